"""The outbox at work: memory by the number of deliveries, and the time to the first message."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from bot.app import Engine
from bot.model import Destination, Platform
from bot.outbox.carrier import IN_FLIGHT
from bot.outbox.messenger import Notice
from bot.outbox.pace import UNLIMITED, Pace
from bot.poll import Poll
from tests.bench.measure import percentile
from tests.bench.stores import NOW, a_store, fill_subscriptions, published
from tests.bench.table import Row

_FEW, _MANY = 20_000, 300_000
_FIRSTS = 20


class _Sink:
    """A messenger that only counts, and remembers when the first message came."""

    in_flight = IN_FLIGHT

    def __init__(self) -> None:
        self.pace = Pace(UNLIMITED)
        self.reset()

    def reset(self) -> None:
        self.count = 0
        self.first = asyncio.Event()
        self.first_at = 0.0

    def fitting(self, destination: Destination, notices: Sequence[Notice]) -> int:
        return len(notices)

    async def send(self, _destination: Destination, _notices: Sequence[Notice]) -> str | None:
        if not self.count:
            self.first_at = time.perf_counter()
            self.first.set()
        self.count += 1
        return None

    async def edit(
        self, _destination: Destination, _message_id: str, _notices: Sequence[Notice]
    ) -> None:
        return

    async def probe(self) -> None:
        return


async def measure(folder: Path) -> list[Row]:
    """Resident memory, each size in a process of its own, and the wait for the first message."""
    peaks = {count: await asyncio.to_thread(_peak, folder, count) for count in (_FEW, _MANY)}
    growth = (peaks[_MANY] - peaks[_FEW]) / 2**20
    firsts = await _firsts(folder)
    slowest = max(firsts) * 1000
    return [
        Row(
            f"memory with {_MANY:,} deliveries above {_FEW:,}",
            f"{growth:+.1f} MB (peak {peaks[_MANY] / 2**20:.0f} MB)",
            "≤ 5 MB",
            growth <= 5,
        ),
        Row(
            f"first message out after the poll, slowest of {_FIRSTS}",
            f"{slowest:.0f} ms (median {percentile(firsts, 0.5) * 1000:.0f} ms)",
            "≤ 100 ms",
            slowest <= 100,
        ),
    ]


def _peak(folder: Path, count: int) -> int:
    """The largest resident memory, in bytes, of a process that delivers `count` messages."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.outbox", str(folder / f"{count}.db"), str(count)],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


async def _deliver(path: Path, count: int) -> int:
    async with a_store(path) as storage:
        fill_subscriptions(path, count)
        await published(storage, 1)
        sink = _Sink()
        engine = Engine(storage, {Platform.TELEGRAM: sink}, lambda: NOW)
        peak = 0
        async with engine.delivering():
            finishing = asyncio.create_task(engine.finish())
            while not finishing.done():
                peak = max(peak, psutil.Process().memory_info().rss)
                await asyncio.wait([finishing], timeout=0.1)
            finishing.result()
    assert sink.count == count, f"{sink.count} of {count} were delivered"
    return peak


async def _firsts(folder: Path) -> list[float]:
    """Seconds from the moment the poll has recorded the update to the first message.

    The outbox is idle before; the first round is that of a bot that has just started.
    """
    waits, seen = [], []
    async with a_store(folder / "first.db") as storage:
        fill_subscriptions(folder / "first.db", 1_000)
        sink = _Sink()
        engine = Engine(storage, {Platform.TELEGRAM: sink}, lambda: NOW)

        def note() -> None:
            seen.append(time.perf_counter())
            engine.outbox.wake()

        poll = Poll(storage, lambda: NOW, note)
        async with engine.delivering():
            for season in range(1, _FIRSTS + 1):
                await engine.finish()
                sink.reset()
                await published(storage, season)
                await poll()
                await sink.first.wait()
                waits.append(sink.first_at - seen[-1])
    return waits


if __name__ == "__main__":
    print(asyncio.run(_deliver(Path(sys.argv[1]), int(sys.argv[2]))))
