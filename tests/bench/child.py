"""Processes of the bench: told and heard line by line, and what each measures of itself."""

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Final

from tests.bench.measure import percentile

NAP: Final = 0.01

Tell = Callable[[int], Awaitable[float]]
"""Sends so many messages; returns the CPU seconds that it took this process."""


class Child:
    """A process that sends."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def tell(self, what: object) -> None:
        """Give it a line."""
        assert self._process.stdin
        print(what, file=self._process.stdin, flush=True)

    def hear(self) -> Any:
        """Wait for what it says."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the process has ended; see above"
        return json.loads(line)


@contextmanager
def child(module: str, *words: object) -> Iterator[Child]:
    """A module of the bench as a process of its own, from when it is ready."""
    with subprocess.Popen(
        [sys.executable, "-m", f"tests.bench.{module}", *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            made = Child(process)
            assert made.hear() == "ready"
            yield made
        finally:
            process.kill()


def late_naps(count: int) -> list[float]:
    """How many seconds late naps end, in a process that only naps: what the machine adds."""
    late = []
    for _ in range(count):
        begun = time.perf_counter()
        time.sleep(NAP)
        late.append(time.perf_counter() - begun - NAP)
    return late


# Within such a process.


def cpu() -> float:
    """User and system time of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def say(told: Any) -> None:
    """Say something to whoever started this process."""
    print(json.dumps(told), flush=True)


async def heard() -> str:
    """The next line; nothing at the end."""
    return await asyncio.to_thread(sys.stdin.readline)


async def measured(contender: AbstractAsyncContextManager[Tell]) -> None:
    """Send as many as a line of the input says, again and again; answer with CPU seconds."""
    async with contender as tell:
        say("ready")
        while line := await heard():
            say(await tell(int(line)))


async def tell_lag_until_heard() -> None:
    """Say how late naps ended in this event loop until a line came: p99 in seconds, and count."""
    late: list[float] = []
    napping = asyncio.create_task(_nap(late))
    await heard()
    napping.cancel()
    say([percentile(late, 0.99), len(late)])


async def _nap(late: list[float]) -> None:
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(NAP)
        late.append(time.perf_counter() - begun - NAP)
