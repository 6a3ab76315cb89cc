"""Who may change what a chat gets: its administrators, as Telegram knows them."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import structlog
import telegram
from telegram.constants import ChatMemberStatus
from telegram.error import TelegramError

from bot.commands.line import AsCaller
from bot.errors import UserError
from bot.model import Caller, Destination
from bot.platforms.telegram import wording
from bot.platforms.telegram.people import Asker
from bot.platforms.telegram.sender import Bot

KEPT: Final = 60.0
"""Seconds for which an answer of Telegram is believed."""

_REMEMBERED: Final = 10_000

log = structlog.get_logger()


class Rights:
    """Asks Telegram who administrates a chat, and remembers for a minute who does.

    Who does not is asked about each time: they may be made an administrator at any moment.
    """

    def __init__(self, bot: Bot, now: Callable[[], float] = time.monotonic) -> None:
        self._bot = bot
        self._now = now
        self._known: OrderedDict[tuple[int, int], float] = OrderedDict()

    async def manages(self, who: Asker) -> bool:
        """Whether somebody manages the chat they are in; raises `UserError` if nobody knows."""
        if who.private or who.speaks_as_chat:
            return True
        return who.is_person and await self.administrates(who.chat_id, who.user_id)

    def as_caller(self, who: Asker, about: Destination, *, wishes: bool = True) -> AsCaller:
        """Somebody as the core sees them, acting for the chat they are in or another one."""

        async def caller(matters: bool) -> Caller:
            if about.chat_id == who.chat_id:
                manages = matters and await self.manages(who)
                return Caller(about, who.user_id, manages, wishes)
            # What a channel follows is not for those who were its administrators once.
            if not await self.administrates(about.chat_id, who.user_id):
                raise UserError(wording.NO_LONGER_MANAGED)
            return Caller(about, who.user_id, manages=True, wishes=wishes)

        return caller

    async def administrates(self, chat_id: int, user_id: int) -> bool:
        """Whether a person is an administrator of a chat; raises `UserError` if nobody knows.

        In a channel that is an administrator who may post.
        """
        known = self._known.get((chat_id, user_id))
        if known is not None and self._now() < known + KEPT:
            return True
        try:
            member = await self._bot.get_chat_member(chat_id, user_id)
        except TelegramError as error:
            log.info("rights.unknown", chat=chat_id, problem=str(error))
            raise UserError(wording.RIGHTS_UNKNOWN) from error
        if not _manages(member):
            return False
        self._known[chat_id, user_id] = self._now()
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return True

    async def may_post(self, channel_id: int) -> bool:
        """Whether the bot itself may post in a channel."""
        try:
            member = await self._bot.get_chat_member(channel_id, self._bot.id)
        except TelegramError as error:
            log.info("rights.unknown", chat=channel_id, problem=str(error))
            return False
        return isinstance(member, telegram.ChatMemberAdministrator) and bool(
            member.can_post_messages
        )


def _manages(member: telegram.ChatMember) -> bool:
    if isinstance(member, telegram.ChatMemberAdministrator):
        return member.can_post_messages is not False  # told of channels only
    return member.status == ChatMemberStatus.OWNER
