"""The terminal as a chat: a prompt for people, plain lines for scripts.

Its one destination is this terminal; alerts are drawn above the prompt while a person types.
"""

import asyncio
import io
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol, TextIO

from bot.commands import answer
from bot.commands.core import Core
from bot.commands.parse import parse
from bot.errors import NotSent, StorageError, UserError
from bot.message import Message, answers
from bot.model import Caller, Destination, Platform
from bot.platforms.terminal.render import as_plain

HERE: Final = Destination(Platform.TERMINAL, 0)
ME: Final = Caller(HERE, 0)

Show = Callable[[Message], None]
"""Puts a message on the screen; raises `OSError` when the screen is gone."""


class TerminalMessenger:
    """Delivers alerts to the screen."""

    def __init__(self, show: Show) -> None:
        self._show = show

    async def send(self, _destination: Destination, messages: Sequence[Message]) -> str | None:
        """Show messages; raises `NotSent` when nobody reads the output any more."""
        try:
            for message in messages:
                self._show(message)
        except OSError as error:
            raise NotSent(f"the terminal takes no more output ({error})") from error
        return None


class Front(Protocol):
    """One way to talk with a person: it shows messages, and gives the lines they enter."""

    def show(self, message: Message) -> None:
        """Put a message on the screen."""

    def lines(self, core: Core) -> AsyncIterator[str]:
        """What is entered, line by line, until the end of input."""


class PlainFront:
    """For scripts: plain text out, one command a line in."""

    def __init__(self, source: TextIO, target: TextIO) -> None:
        self._source = source
        self._target = target

    def show(self, message: Message) -> None:
        """Print a message, followed by an empty line."""
        print(as_plain(message), end="\n\n", file=self._target, flush=True)

    async def lines(self, core: Core) -> AsyncIterator[str]:
        """The lines of the source; reading does not hold up alerts."""
        loop = asyncio.get_running_loop()
        entered: asyncio.Queue[str | None] = asyncio.Queue()

        def read() -> None:
            with suppress(RuntimeError):  # the loop may end while a read is under way
                for line in self._source:
                    loop.call_soon_threadsafe(entered.put_nowait, line)
                loop.call_soon_threadsafe(entered.put_nowait, None)

        # A daemon: a blocked read must not keep the process from ending.
        threading.Thread(target=read, name="stdin", daemon=True).start()
        while (line := await entered.get()) is not None:
            yield line


async def chat(core: Core, front: Front) -> None:
    """Answer what is entered until the end of input."""
    async for line in front.lines(core):
        if line.strip():
            front.show(await reply(core, line))


async def reply(core: Core, line: str) -> Message:
    """What the bot says to one line; trouble with the database is told, not raised."""
    try:
        call = parse(line.strip())
        return await answer(core, ME, call.name, call.arguments)
    except (UserError, StorageError) as error:
        return answers.mistake(str(error))


def best_front() -> Front:
    """A prompt where a person sits at the terminal, plain lines elsewhere."""
    if sys.stdin is None:  # closed by whoever started the bot
        return PlainFront(io.StringIO(), sys.stdout)
    if sys.stdin.isatty() and sys.stdout.isatty():
        from bot.platforms.terminal.prompt import PromptFront

        return PromptFront()
    return PlainFront(sys.stdin, sys.stdout)
