"""Answers pressed buttons, once it is certain that they belong to this chat, message and person."""

import re
from dataclasses import dataclass, replace
from typing import Final

import structlog
import telegram
from telegram.error import TelegramError

from bot.commands import COMMANDS
from bot.commands.core import Core
from bot.commands.line import reply
from bot.commands.parse import parse
from bot.errors import StorageError, UserError
from bot.message import Message, plain
from bot.message.alerts import actions
from bot.model import Destination, Platform
from bot.platforms.telegram import wording
from bot.platforms.telegram.channels import Channels
from bot.platforms.telegram.dialog import Limits
from bot.platforms.telegram.people import Asker, presser
from bot.platforms.telegram.replies import PREFIX, Replies
from bot.platforms.telegram.rights import Rights
from bot.platforms.telegram.seals import Seals
from bot.platforms.throttle import Verdict
from bot.text import clean, shorten
from storage.conversations import Keyboard

log = structlog.get_logger()

_BUTTON: Final = re.compile(PREFIX + r"([\w-]{16}):(\d{1,3})", re.ASCII)
"""The data of a button below an answer: its keyboard, and its place in that."""

_POPUP: Final = 200
"""Characters that an answer to a pressed button can have."""


@dataclass(frozen=True, slots=True)
class _Order:
    """What a button asks for: a command about a destination; `keyboard` is used up by it."""

    line: str
    about: Destination
    keyboard: Keyboard | None = None


class Presses:
    """Answers buttons, each press exactly once."""

    def __init__(
        self, core: Core, seals: Seals, rights: Rights, channels: Channels, replies: Replies
    ) -> None:
        self._core = core
        self._seals = seals
        self._rights = rights
        self._channels = channels
        self._replies = replies

    async def pressed(self, query: telegram.CallbackQuery, limits: Limits) -> None:
        """Do what a button says, or refuse it politely."""
        who = presser(query)
        if who is None or query.message is None:
            await _tell(query, wording.USED)
            return
        if limits.ask(who) is not Verdict.TAKE:
            await _tell(query, wording.TOO_FAST)
            return
        try:
            order = await self._order(who, query.data or "", str(query.message.message_id))
            await self._check(who, order)
            await self._use(order)
        except (UserError, StorageError) as refusal:
            await _tell(query, str(refusal))
            return
        if not query.message.is_accessible and order.about.chat_id == who.chat_id:
            # A message that is too old does not tell its topic; what it was sent for does.
            who = replace(who, thread_id=order.about.thread_id)
        await self._do(query, who, order, query.message.message_id)

    async def _order(self, who: Asker, data: str, message_id: str) -> _Order:
        """What the data of a button stands for; raises `UserError` when it does not belong here."""
        button = _BUTTON.fullmatch(data)
        if button:
            return await self._of_answer(who, button[1], int(button[2]), message_id)
        return await self._of_alert(who, data, message_id)

    async def _of_alert(self, who: Asker, data: str, message_id: str) -> _Order:
        sealed = self._seals.open(who.chat_id, data)
        told = sealed and await self._core.storage.deliveries.told(
            Platform.TELEGRAM, who.chat_id, sealed.seq, message_id
        )
        if not sealed or not told:
            raise UserError(wording.FOREIGN)
        destination, show_id = told
        show = await self._core.storage.shows.get(show_id)
        offered = actions(show) if show else ()
        if sealed.action >= len(offered):
            raise UserError(wording.FOREIGN)
        return _Order(offered[sealed.action].command, destination)

    async def _of_answer(self, who: Asker, name: str, place: int, message_id: str) -> _Order:
        kept = await self._core.storage.conversations.get(name, self._core.clock())
        if kept is None:
            raise UserError(wording.USED)
        here = (kept.chat_id, kept.message_id) == (who.chat_id, message_id)
        if not here or place >= len(kept.commands):
            raise UserError(wording.FOREIGN)
        command = kept.commands[place]
        if kept.user_id not in (who.user_id, who.chat_id):
            raise UserError(wording.NOT_YOURS.format(command=shorten(command, 100)))
        return _Order(command, kept.acts_for, kept)

    async def _check(self, who: Asker, order: _Order) -> None:
        """Raise `UserError` for what this person may not do here; the buttons stay then."""
        call = parse(order.line)
        # What an anonymous administrator asked shows who pressed, so that this is looked up too.
        anonymous = order.keyboard is not None and order.keyboard.user_id == who.chat_id
        if COMMANDS[call.name].for_managers(call.arguments) or (anonymous and not who.private):
            caller = await self._rights.as_caller(who, order.about)(True)
            if not caller.manages:
                raise UserError(wording.MANAGERS.format(command=shorten(order.line, 100)))

    async def _use(self, order: _Order) -> None:
        """Use a keyboard up; raises `UserError` when another press was quicker."""
        keyboard = order.keyboard
        if keyboard and not await self._core.storage.conversations.remove(keyboard.id):
            raise UserError(wording.USED)

    async def _do(
        self, query: telegram.CallbackQuery, who: Asker, order: _Order, message_id: int
    ) -> None:
        if order.keyboard:
            await _tell(query)
            answered = await self._answer(who, order)
            await self._replies.change(who, message_id, answered, order.about)
            if answered.document:  # it went beside the message, whose buttons still stand there
                await self._core.storage.conversations.put(order.keyboard, self._core.clock())
        elif who.in_channel:
            # Whoever reads a channel may press; an answer below would be for all of its readers.
            answered = await self._answer(who, order)
            await _tell(query, "\n".join([answered.title, *map(plain, answered.lines)]))
        else:
            await _tell(query)
            answered = await self._answer(who, order)
            await self._replies.say(who, answered, order.about, reply_to=message_id)

    async def _answer(self, who: Asker, order: _Order) -> Message:
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
