"""The terminal as a chat: a prompt for people, plain lines for scripts.

Its one destination is this terminal; alerts are drawn above the prompt while a person types.
"""

import io
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Protocol

from bot.commands.core import Core
from bot.commands.line import reply as reply_to
from bot.errors import NotSent
from bot.message import Message
from bot.model import Caller, Destination, Platform
from bot.outbox.messenger import Notice
from bot.outbox.pace import UNLIMITED, Pace
from bot.platforms.terminal.plain import PlainFront

HERE: Final = Destination(Platform.TERMINAL, 0)
ME: Final = Caller(HERE, 0, manages=True)

_LEAVE: Final = frozenset({"/quit", "/exit"})

Show = Callable[[Message], Awaitable[None]]
"""Puts a message on the screen; raises `OSError` when the screen is gone."""


class TerminalMessenger:
    """Delivers alerts to the screen."""

    in_flight = 1

    def __init__(self, show: Show) -> None:
        self.pace = Pace(UNLIMITED)
        self._show = show

    def fitting(self, _destination: Destination, notices: Sequence[Notice]) -> int:
        """All of them: a screen has room."""
        return len(notices)

    async def send(self, _destination: Destination, notices: Sequence[Notice]) -> str | None:
        """Show messages; raises `NotSent` when nobody reads the output any more."""
        try:
            for notice in notices:
                await self._show(notice.message)
        except OSError as error:
            raise NotSent(f"the terminal takes no more output ({error})") from error
        return None

    async def edit(
        self, _destination: Destination, _message_id: str, _notices: Sequence[Notice]
    ) -> None:
        """Leave it: what was shown has scrolled on, and has no id."""

    async def probe(self) -> None:
        """Nothing is to be asked: whether the screen is there is seen when something is shown."""


class Front(Protocol):
    """One way to talk with a person: it shows messages, and gives the lines they enter."""

    async def show(self, message: Message) -> None:
        """Put a message on the screen."""

    def lines(self, core: Core) -> AsyncIterator[str]:
        """What is entered, line by line, until the end of input."""


async def chat(core: Core, front: Front) -> None:
    """Answer what is entered until the end of input, or until somebody leaves."""
    async for line in front.lines(core):
        if line.strip() in _LEAVE:
            return
        if line.strip():
            await front.show(await reply(core, line))


async def reply(core: Core, line: str) -> Message:
    """What the bot says to one line."""
    return await reply_to(core, line.strip(), _me)


async def _me(_matters: bool) -> Caller:
    return ME


def best_front() -> Front:
    """A prompt where a person sits at the terminal, plain lines elsewhere."""
    if sys.stdout is None:  # closed by whoever started the bot, as may be the input
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    if sys.stdin is None:
        return PlainFront(io.StringIO(), sys.stdout)
    clever = os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")
    if clever and sys.stdin.isatty() and sys.stdout.isatty():
        from bot.platforms.terminal.prompt import PromptFront

        return PromptFront()
    return PlainFront(sys.stdin, sys.stdout)
