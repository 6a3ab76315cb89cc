"""An event loop whose time jumps to the next timer whenever nothing is under way.

Whoever waits for a thread (SQLite, through aiosqlite) waits in real time, and no virtual time
passes meanwhile: the database is infinitely fast, and what is measured is the same on any machine.
"""

import asyncio
import datetime as dt
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import aiosqlite
import pytest

from tests.build import NOW

T = TypeVar("T")


class _Jumping(selectors.DefaultSelector):
    """Waits for threads while any is at work; else it lets time jump."""

    def __init__(self) -> None:
        super().__init__()
        self.at_work = 0
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """What is ready: after a jump nothing but timers."""
        if self.at_work and (timeout is None or timeout > 0):
            return super().select(None)
        found = super().select(0 if timeout is not None else None)
        if not found and timeout:
            self.now += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; `clock` is the wall clock that belongs to it."""

    def __init__(self) -> None:
        self.selector = _Jumping()
        super().__init__(self.selector)

    def time(self) -> float:
        """Seconds since it began."""
        return self.selector.now

    def clock(self) -> dt.datetime:
        """The date and the time."""
        return NOW + dt.timedelta(seconds=self.selector.now)


@contextmanager
def virtual_time() -> Iterator[Callable[[Callable[[VirtualLoop], Coroutine[Any, Any, T]]], T]]:
    """Run work on a loop with virtual time."""
    loop = VirtualLoop()
    run = aiosqlite.Connection._execute

    async def counted(self: Any, fn: Any, *args: Any, **kwargs: Any) -> Any:
        loop.selector.at_work += 1
        try:
            return await run(self, fn, *args, **kwargs)  # type: ignore[no-untyped-call]
        finally:
            loop.selector.at_work -= 1

    with pytest.MonkeyPatch.context() as patch, asyncio.Runner(loop_factory=lambda: loop) as runner:
        patch.setattr(aiosqlite.Connection, "_execute", counted)
        yield lambda work: runner.run(work(loop))
