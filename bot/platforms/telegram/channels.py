"""Channels: a direct chat can speak for a channel that its person administrates."""

from dataclasses import replace
from typing import Final

import telegram
from telegram.error import TelegramError

from bot.errors import UserError
from bot.message import Message, line
from bot.model import Destination, Platform
from bot.platforms.telegram import wording
from bot.platforms.telegram.calls import Json
from bot.platforms.telegram.people import Asker
from bot.platforms.telegram.rights import Rights
from bot.platforms.telegram.sender import Bot
from bot.text import clean, shorten
from storage.conversations import Conversations

_REQUEST: Final = 1

_RIGHTS: Final = telegram.ChatAdministratorRights(
    is_anonymous=False,
    can_manage_chat=False,
    can_delete_messages=False,
    can_manage_video_chats=False,
    can_restrict_members=False,
    can_promote_members=False,
    can_change_info=False,
    can_invite_users=False,
    can_post_stories=False,
    can_edit_stories=False,
    can_delete_stories=False,
    can_post_messages=True,
)
"""To post is all the bot asks for, and what a person must be allowed to let it."""

PICKER: Final[Json] = telegram.ReplyKeyboardMarkup.from_button(
    telegram.KeyboardButton(
        wording.CHOOSE,
        request_chat=telegram.KeyboardButtonRequestChat(
            _REQUEST,
            chat_is_channel=True,
            user_administrator_rights=_RIGHTS,
            bot_administrator_rights=_RIGHTS,
            request_title=True,
        ),
    ),
    resize_keyboard=True,
    one_time_keyboard=True,
).to_dict()
NO_KEYBOARD: Final[Json] = telegram.ReplyKeyboardRemove().to_dict()


class Channels:
    """Chooses a channel in a direct chat, and remembers it there."""

    def __init__(self, bot: Bot, conversations: Conversations, rights: Rights) -> None:
        self._bot = bot
        self._conversations = conversations
        self._rights = rights

    async def spoken_for(self, who: Asker) -> Destination:
        """What somebody's commands are about: where they write, or the channel they chose."""
        focused = None
        if who.private:
            focused = await self._conversations.focused(Platform.TELEGRAM, who.chat_id)
        return who.here if focused is None else Destination(Platform.TELEGRAM, focused)

    async def command(self, who: Asker, words: str) -> tuple[Message, Json | None]:
        """The answer to /channel: asks which one, or ends it with "off"."""
        if not who.private:
            return Message(wording.ONLY_DIRECT), None
        if words == "off":
            await self._conversations.focus(Platform.TELEGRAM, who.chat_id, None)
            return Message(wording.FOR_ITSELF), NO_KEYBOARD
        return Message(wording.ASK_CHANNEL), PICKER

    async def chosen(self, who: Asker, shared: telegram.ChatShared) -> Message:
        """The answer to a choice, once both may do what it takes; raises `UserError` if not."""
        title = named(shared.title)
        # The bot's own right first: without it Telegram does not tell of the person's.
        if not await self._rights.may_post(shared.chat_id):
            raise UserError(wording.CANNOT_POST.format(title=title))
        if not await self._rights.administrates(shared.chat_id, who.user_id):
            raise UserError(wording.NOT_MANAGED.format(title=title))
        await self._conversations.focus(Platform.TELEGRAM, who.chat_id, shared.chat_id)
        return Message(wording.NOW_FOR.format(title=title))

    async def marked(self, who: Asker, answered: Message, about: Destination) -> Message:
        """The answer with a line that says which channel it is about."""
        still = await self.spoken_for(who) == about
        words = wording.ABOUT if still else wording.WAS_ABOUT
        told = line(words.format(title=await self.title(about.chat_id)))
        return replace(answered, lines=(*answered.lines, told))

    async def title(self, channel_id: int) -> str:
        """What a channel is called now."""
        try:
            return named((await self._bot.get_chat(channel_id)).title)
        except TelegramError:
            return named(None)


def named(title: str | None) -> str:
    """A chat's title as part of a sentence."""
    return f"“{shorten(clean(title), 60)}”" if title else "you chose"
