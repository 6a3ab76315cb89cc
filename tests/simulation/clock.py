"""An event loop on virtual time, with processes that can die in the middle of anything."""

import asyncio
import contextvars
import datetime as dt
import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

EPOCH: Final = dt.datetime(2026, 11, 22, 9, tzinfo=dt.UTC)


class Process:
    """Everything that one start of the bot set going: its tasks and its connections.

    When it is killed, nothing that it still does has an effect: whoever stands outside (the
    database, the platforms) asks `alive` first.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.alive = True
        self.tasks: list[asyncio.Task[Any]] = []
        self.connections: list[Any] = []

    def __str__(self) -> str:
        return f"process {self.number}"

    def kill(self) -> None:
        """End it without a word: connections close, tasks get no further."""
        self.alive = False
        for connection in self.connections:
            connection.close()
        for task in self.tasks:
            task.cancel()

    def forget_ended(self) -> None:
        """Let go of what has ended."""
        self.tasks = [task for task in self.tasks if not task.done()]


_PROCESS: Final = contextvars.ContextVar[Process | None]("process", default=None)


def current() -> Process | None:
    """The process that runs now; `None` is the world around it."""
    return _PROCESS.get()


def within(process: Process | None) -> contextvars.Context:
    """A context to run something as part of a process, or of the world."""
    context = contextvars.Context()
    context.run(_PROCESS.set, process)
    return context


class _NoWait(selectors.BaseSelector):
    """Waits for nothing: the time that is to pass has passed."""

    def __init__(self) -> None:
        self._keys: dict[Any, selectors.SelectorKey] = {}
        self.now = 0.0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = self._keys[fileobj] = selectors.SelectorKey(fileobj, number, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def get_map(self) -> Any:
        return self._keys

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everything waits, and nothing will ever happen")
        if timeout > 0:
            self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer when nothing is ready. Tasks belong to the process that made them."""

    def __init__(self) -> None:
        self._no_wait = _NoWait()
        super().__init__(self._no_wait)
        self.set_task_factory(_made)

    def time(self) -> float:
        """Seconds since the simulation began."""
        return self._no_wait.now


def _made(
    loop: asyncio.AbstractEventLoop, coro: Any, context: contextvars.Context | None = None
) -> "asyncio.Task[Any]":
    task = asyncio.Task(coro, loop=loop, context=context)
    process = _PROCESS.get() if context is None else context.get(_PROCESS)
    if process is not None:
        if len(process.tasks) > 200:
            process.forget_ended()
        process.tasks.append(task)
        if not process.alive:
            task.cancel()
    return task


class WallClock:
    """The clock of the machine: the virtual time, and by how much it was set."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.offset = dt.timedelta()

    def __call__(self) -> dt.datetime:
        return EPOCH + self.offset + dt.timedelta(seconds=self._loop.time())

    def truly(self) -> dt.datetime:
        """What a clock shows that nobody sets."""
        return EPOCH + dt.timedelta(seconds=self._loop.time())


@contextmanager
def virtual_time() -> Iterator[VirtualLoop]:
    """A loop on virtual time, closed at the end with whatever is left in it."""
    loop = VirtualLoop()
    try:
        yield loop
    finally:
        for _ in range(20):
            left = [task for task in asyncio.all_tasks(loop) if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            loop.run_until_complete(_ended(left))
        loop.close()


async def _ended(tasks: list["asyncio.Task[Any]"]) -> None:
    await asyncio.wait(tasks, timeout=3600)
