"""Answers pressed buttons, once it is certain that they belong to this chat, message and person."""

from dataclasses import replace
from typing import Final

import structlog
import telegram
from telegram.error import TelegramError

from bot.commands.core import Core
from bot.commands.line import reply
from bot.errors import StorageError, UserError
from bot.message import Message, plain
from bot.model import Platform
from bot.platforms import wording
from bot.platforms.limits import Limits
from bot.platforms.orders import Order, Orders, Press, check
from bot.platforms.seals import Seals
from bot.platforms.telegram.channels import Channels
from bot.platforms.telegram.people import Asker, presser
from bot.platforms.telegram.replies import Replies
from bot.platforms.telegram.rights import Rights
from bot.platforms.throttle import Verdict
from bot.text import clean, shorten

log = structlog.get_logger()

_POPUP: Final = 200
"""Characters that an answer to a pressed button can have."""


class Presses:
    """Answers buttons, each press exactly once."""

    def __init__(
        self, core: Core, seals: Seals, rights: Rights, channels: Channels, replies: Replies
    ) -> None:
        self._core = core
        self._orders = Orders(core, seals)
        self._rights = rights
        self._channels = channels
        self._replies = replies

    async def pressed(self, query: telegram.CallbackQuery, limits: Limits) -> None:
        """Do what a button says, or refuse it politely."""
        who = presser(query)
        if who is None or query.message is None:
            await _tell(query, wording.USED)
            return
        if limits.ask(who.user_id, who.shared_chat) is not Verdict.TAKE:
            await _tell(query, wording.TOO_FAST)
            return
        press = Press(
            platform=Platform.TELEGRAM,
            chat_id=who.chat_id,
            message_id=str(query.message.message_id),
            user_id=who.user_id,
            private=who.private,
            data=query.data or "",
        )
        try:
            order = await self._orders.order(press)
            await check(order, press, self._rights.as_caller(who, order.about))
            await self._orders.use(order)
        except (UserError, StorageError) as refusal:
            await _tell(query, str(refusal))
            return
        if not query.message.is_accessible and order.about.chat_id == who.chat_id:
            # A message that is too old does not tell its topic; what it was sent for does.
            who = replace(who, thread_id=order.about.thread_id)
        await self._do(query, who, order, query.message.message_id)

    async def _do(
        self, query: telegram.CallbackQuery, who: Asker, order: Order, message_id: int
    ) -> None:
        if order.keyboard:
            await _tell(query)
            answered = await self._answer(who, order)
            await self._replies.change(who, message_id, answered, order.about)
            if answered.document:  # it went beside the message, whose buttons still stand there
                await self._orders.keep(order)
        elif who.in_channel:
            # Whoever reads a channel may press; an answer below would be for all of its readers.
            answered = await self._answer(who, order)
            await _tell(query, "\n".join([answered.title, *map(plain, answered.lines)]))
        else:
            await _tell(query)
            answered = await self._answer(who, order)
            await self._replies.say(who, answered, order.about, reply_to=message_id)

    async def _answer(self, who: Asker, order: Order) -> Message:
        answered = await reply(self._core, order.line, self._rights.as_caller(who, order.about))
        elsewhere = order.about.chat_id != who.chat_id
        return await self._channels.marked(who, answered, order.about) if elsewhere else answered


async def _tell(query: telegram.CallbackQuery, words: str | None = None) -> None:
    """End the press, with words that pop up or without; one that is too old needs no end."""
    try:
        text = shorten(clean_lines(words), _POPUP) if words else None
        await query.answer(text, show_alert=bool(text))
    except TelegramError as error:
        log.info("telegram.press_unanswered", problem=str(error))


def clean_lines(text: str) -> str:
    """The text with its line breaks and nothing else that could steer a screen."""
    return "\n".join(map(clean, text.split("\n")))
