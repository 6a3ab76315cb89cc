"""Who wrote or pressed, and where: read from an update. Pure."""

from dataclasses import dataclass
from typing import Final

import telegram
from telegram.constants import ChatType

from bot.model import Destination, Platform

_ANONYMOUS_ADMIN: Final = 1087968824
"""The account in whose name Telegram shows anonymous administrators."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody in a chat; `speaks_as_chat` is who may post in the name of the chat itself."""

    chat_id: int
    thread_id: int | None
    private: bool
    user_id: int
    in_channel: bool = False
    speaks_as_chat: bool = False
    is_person: bool = True
    """Whether rights can be looked up: not for a channel that posts in a group."""

    @property
    def here(self) -> Destination:
        """Where this was written."""
        return Destination(Platform.TELEGRAM, self.chat_id, self.thread_id)

    @property
    def shared_chat(self) -> int | None:
        """The chat whose allowance this uses: a channel's many readers share none."""
        return None if self.in_channel else self.chat_id


def asker(message: telegram.Message) -> Asker | None:
    """Who wrote a message; `None` for those the bot does not listen to.

    These are other bots, what was forwarded (it was said elsewhere, to somebody else), and the
    posts of a channel that Telegram copies into its discussion group.
    """
    if message.is_automatic_forward or message.forward_origin or message.via_bot:
        return None
    chat, sender, user = message.chat, message.sender_chat, message.from_user
    as_chat = sender is not None and sender.id == chat.id
    known = user is not None and not user.is_bot
    if not (known or sender):
        return None
    return Asker(
        chat_id=chat.id,
        thread_id=topic_of(message),
        private=chat.type == ChatType.PRIVATE,
        user_id=sender.id if sender else user.id if user else 0,
        speaks_as_chat=as_chat and (chat.type == ChatType.CHANNEL or _is_anonymous(user)),
        in_channel=chat.type == ChatType.CHANNEL,
        is_person=sender is None,
    )


def _is_anonymous(user: telegram.User | None) -> bool:
    return user is not None and user.id == _ANONYMOUS_ADMIN


def topic_of(message: telegram.Message) -> int | None:
    """The topic a message stands in; a thread of replies is none."""
    return message.message_thread_id if message.is_topic_message else None


def presser(query: telegram.CallbackQuery) -> Asker | None:
    """Who pressed a button; `None` where the message is not known any more."""
    message = query.message
    if message is None:
        return None
    return Asker(
        chat_id=message.chat.id,
        thread_id=topic_of(message) if isinstance(message, telegram.Message) else None,
        private=message.chat.type == ChatType.PRIVATE,
        user_id=query.from_user.id,
        in_channel=message.chat.type == ChatType.CHANNEL,
    )
