"""Plain lines, for scripts: one command a line in, plain text out.

Reading and writing block for as long as the other side pleases, so each has a thread of its own;
both are daemons, for a blocked one must not keep the process from ending.
"""

import asyncio
import os
import queue
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final, TextIO

from bot.commands.core import Core
from bot.message import Message
from bot.platforms.terminal.render import as_plain

_AHEAD: Final = 100
"""Lines read before they are answered."""

_LONGEST: Final = 64 * 1024
"""Characters of a line; the rest counts as the next line."""


class PlainFront:
    """Talks with a script, or with whatever stands at the other end of a pipe."""

    def __init__(self, source: TextIO, target: TextIO) -> None:
        self._source = source
        self._target = target
        self._writing: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None

    async def show(self, message: Message) -> None:
        """Write a message and an empty line; returns when it is written."""
        if self._writer is None:
            self._writer = threading.Thread(target=self._write, name="stdout", daemon=True)
            self._writer.start()
        text = f"{as_plain(message)}\n\n".encode(self._target.encoding, "replace")
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writing.put((text, written))
        await written

    async def lines(self, core: Core) -> AsyncIterator[str]:
        """The lines of the source; reading does not hold up alerts."""
        loop = asyncio.get_running_loop()
        entered: asyncio.Queue[str | None] = asyncio.Queue()
        room = threading.Semaphore(_AHEAD)

        def read() -> None:
            with suppress(RuntimeError):  # the loop may end while a read is under way
                while line := self._source.readline(_LONGEST):
                    put(line)
                put(None)

        def put(line: str | None) -> None:
            room.acquire()
            loop.call_soon_threadsafe(entered.put_nowait, line)

        threading.Thread(target=read, name="stdin", daemon=True).start()
        while (line := await entered.get()) is not None:
            room.release()
            yield line

    def _write(self) -> None:
        # Below Python's own buffer, whose lock a blocked thread would hold when the process ends.
        number = self._target.fileno()
        while True:
            text, written = self._writing.get()
            trouble: OSError | None = None
            try:
                while text:
                    text = text[os.write(number, text) :]
            except OSError as error:
                trouble = error
            with suppress(RuntimeError):  # the loop may have ended meanwhile
                written.get_loop().call_soon_threadsafe(_settle, written, trouble)


def _settle(written: asyncio.Future[None], trouble: OSError | None) -> None:
    if written.done():
        return
    if trouble:
        written.set_exception(trouble)
    else:
        written.set_result(None)
