"""Buttons below messages: what is on them, and what a pressed one asks for.

Those of an alert are sealed (`seals`). Those of an answer are a row that one press uses up, bound
to chat, message and person.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bot.commands import COMMANDS
from bot.commands.core import Core
from bot.commands.line import AsCaller
from bot.commands.parse import parse
from bot.errors import UserError
from bot.message import Action, Message
from bot.message.alerts import actions
from bot.model import Destination, Platform
from bot.outbox.messenger import Notice
from bot.platforms import wording
from bot.platforms.seals import Pressed, Seals
from bot.text import shorten
from storage.conversations import Keyboard

PREFIX: Final = "k"
"""Begins the data of a button below an answer."""

_BUTTON: Final = re.compile(PREFIX + r"([\w-]{16}):(\d{1,3})", re.ASCII)
"""The data of a button below an answer: its keyboard, and its place in that."""


class Buttons:
    """The buttons of an answer: short opaque data on them, their commands kept here."""

    def __init__(self, message: Message) -> None:
        offered = (*message.choices, *message.actions)
        self._id = secrets.token_urlsafe(12)
        self._commands = tuple(action.command for action in offered)
        self.sealed = [
            replace(action, command=f"{PREFIX}{self._id}:{place}")
            for place, action in enumerate(offered)
        ]
        """The same actions, with the data of a button in the place of the command."""

    async def keep(
        self, core: Core, about: Destination, chat_id: int, message_id: str, user_id: int
    ) -> None:
        """Remember what they do below this message, for whom, and for which destination."""
        if self.sealed:
            made = Keyboard(self._id, chat_id, about, user_id, self._commands, message_id)
            await core.storage.conversations.put(made, core.clock())


def alert_buttons(seals: Seals, chat_id: int, notices: Sequence[Notice]) -> list[Action]:
    """The actions below alerts, each with its seal; several alerts of one show share theirs."""
    several = len({notice.message.actions for notice in notices}) > 1
    sealed: dict[str, Action] = {}
    for notice in notices:
        _, _, about = notice.message.title.partition(" · ")
        for place, action in enumerate(notice.message.actions):
            label = f"{action.label}: {about}" if several else action.label
            data = seals.seal(chat_id, Pressed(notice.seq, place))
            sealed[action.command] = Action(label, data)
    return list(sealed.values())


@dataclass(frozen=True, slots=True)
class Press:
    """A pressed button: the message it stands below, who pressed, and its data."""

    platform: Platform
    chat_id: int
    message_id: str
    user_id: int
    private: bool
    data: str


@dataclass(frozen=True, slots=True)
class Order:
    """What a button asks for: a command about a destination; `keyboard` is used up by it."""

    line: str
    about: Destination
    keyboard: Keyboard | None = None


class Orders:
    """Finds out what pressed buttons ask for; `UserError` says why one is not obeyed."""

    def __init__(self, core: Core, seals: Seals) -> None:
        self._core = core
        self._seals = seals

    async def order(self, press: Press) -> Order:
        """What a button stands for; raises `UserError` when it does not belong here."""
        button = _BUTTON.fullmatch(press.data)
        if button:
            return await self._of_answer(press, button[1], int(button[2]))
        return await self._of_alert(press)

    async def use(self, order: Order) -> None:
        """Use a keyboard up; raises `UserError` when another press was quicker."""
        keyboard = order.keyboard
        if keyboard and not await self._core.storage.conversations.remove(keyboard.id):
            raise UserError(wording.USED)

    async def keep(self, order: Order) -> None:
        """Let a keyboard that was used work again, as its buttons still stand there."""
        if order.keyboard:
            await self._core.storage.conversations.put(order.keyboard, self._core.clock())

    async def _of_alert(self, press: Press) -> Order:
        sealed = self._seals.open(press.chat_id, press.data)
        told = sealed and await self._core.storage.deliveries.told(
            press.platform, press.chat_id, sealed.seq, press.message_id
        )
        if not sealed or not told:
            raise UserError(wording.FOREIGN)
        destination, show_id = told
        show = await self._core.storage.shows.get(show_id)
        offered = actions(show) if show else ()
        if sealed.action >= len(offered):
            raise UserError(wording.FOREIGN)
        return Order(offered[sealed.action].command, destination)

    async def _of_answer(self, press: Press, name: str, place: int) -> Order:
        kept = await self._core.storage.conversations.get(name, self._core.clock())
        if kept is None:
            raise UserError(wording.USED)
        stands = (kept.acts_for.platform, kept.chat_id, kept.message_id)
        here = stands == (press.platform, press.chat_id, press.message_id)
        if not here or place >= len(kept.commands):
            raise UserError(wording.FOREIGN)
        command = kept.commands[place]
        if kept.user_id not in (press.user_id, press.chat_id):
            raise UserError(wording.NOT_YOURS.format(command=shorten(command, 100)))
        return Order(command, kept.acts_for, kept)


def matters(order: Order, press: Press) -> bool:
    """Whether only who manages the chat may have it done."""
    call = parse(order.line)
    # What was asked in the name of the chat shows who pressed, so that this is looked up too.
    anonymous = order.keyboard is not None and order.keyboard.user_id == press.chat_id
    return COMMANDS[call.name].for_managers(call.arguments) or (anonymous and not press.private)


async def check(order: Order, press: Press, as_caller: AsCaller) -> None:
    """Raise `UserError` for what this person may not do here; the buttons stay then."""
    if matters(order, press) and not (await as_caller(True)).manages:
        raise UserError(wording.MANAGERS.format(command=shorten(order.line, 100)))
