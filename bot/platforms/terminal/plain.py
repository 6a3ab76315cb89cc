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
from typing import TextIO

from bot.commands.core import Core
from bot.message import Message
from bot.platforms.terminal.render import as_plain


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

        def read() -> None:
            with suppress(RuntimeError):  # the loop may end while a read is under way
                for line in self._source:
                    loop.call_soon_threadsafe(entered.put_nowait, line)
                loop.call_soon_threadsafe(entered.put_nowait, None)

        threading.Thread(target=read, name="stdin", daemon=True).start()
        while (line := await entered.get()) is not None:
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
