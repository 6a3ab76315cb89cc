"""What the servers of the fakes share: a thread of their own, and waiting for what they know."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from aiohttp import web

STARTS_WITHIN: Final = 10.0
PATIENCE: Final = 20.0
"""Seconds until something that does not come fails a test."""

_MOST_BODY: Final = 64 << 20
_T = TypeVar("_T")


class Loopback:
    """A server that answers at one port of this machine, from `start` to `stop`."""

    name = "a fake"

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._news = asyncio.Event()
        self._stopping = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = 0

    def start(self) -> None:
        """Start the thread; returns when the server listens."""
        listens = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._live(listens)), name=self.name, daemon=True
        )
        self._thread.start()
        assert listens.wait(STARTS_WITHIN), f"{self.name} did not start"

    def stop(self) -> None:
        """End every request and the thread."""
        assert self._loop
        assert self._thread
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(STARTS_WITHIN)
        assert not self._thread.is_alive(), f"{self.name} did not stop"

    def down(self) -> None:
        """Close the port and every connection."""
        self._run(self._close())

    def up(self) -> None:
        """Listen again, at the same port."""
        self._run(self._listen())

    def changed(self) -> None:
        """Wake up whoever waits for news; from any thread."""
        assert self._loop
        self._loop.call_soon_threadsafe(self._wake)

    def route(self, application: web.Application) -> None:
        """Say what is answered where."""
        raise NotImplementedError

    async def serve(self, stopping: asyncio.Event) -> None:
        """What goes on beside the answers, until the server stops."""
        await stopping.wait()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._loop
        asyncio.run_coroutine_threadsafe(work, self._loop).result(STARTS_WITHIN)

    async def _live(self, listens: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        await self._listen()
        listens.set()
        await self.serve(self._stopping)
        await self._close()

    async def _listen(self) -> None:
        application = web.Application(client_max_size=_MOST_BODY)
        self.route(application)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def until(
    lock: threading.Condition,
    found: Callable[[], _T | None],
    what: Callable[[], str],
    within: float,
) -> _T:
    """What is found of what a lock guards, asked after each change; fails with `what`."""
    end = time.monotonic() + within
    with lock:
        while (result := found()) is None:
            left = end - time.monotonic()
            assert left > 0, f"not within {within} s: {what()}"
            lock.wait(left)
    return result
