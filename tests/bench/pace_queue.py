"""A queue of a million: the first message, memory, the cost of the next ones, and a restart."""

import asyncio
import datetime as dt
import sqlite3
import sys
import time
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Final

import psutil

from bot.app import Engine
from bot.model import DeliveryState, Platform, Seq
from bot.outbox.lane import CLAIM, LEASE
from storage.outbox import Settlement
from storage.store import Storage
from tests.bench import pace_burst
from tests.bench.child import child, heard, say
from tests.bench.measure import percentile
from tests.bench.pace_engine import Clock, warn_aside
from tests.bench.pace_sinks import Sink
from tests.bench.stores import NOW, SHOW, a_store, fill_subscriptions, published
from tests.bench.table import Row

_MANY: Final = 1_000_000
_WATCHED: Final = 15.0
_SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
_ROUNDS: Final = 31
_LEFT: Final = 100_000
_SPARE: Final = 10_000
_SENT_BEFORE: Final = 2.0
_ROUND_TRIP: Final = 0.085


def measure(folder: Path) -> list[Row]:
    """All figures of the queue, one after the other."""
    return [
        *asyncio.run(pace_burst.measure(folder)),
        *_queued(folder),
        asyncio.run(_flatness(folder)),
        _restart(folder),
    ]


# A million queued.


def _queued(folder: Path) -> list[Row]:
    with child("pace_queue", "queued", folder / "queued.db", _MANY) as engine:
        engine.tell("begin")
        first, growth, sent = engine.hear()
    return [
        Row(
            f"{_MANY:,} deliveries queued: first message after the publish",
            f"{first:.2f} s",
            "≤ 5 s",
            first <= 5,
        ),
        Row(
            f"memory with {_MANY:,} deliveries queued above none, while {sent:,} go out",
            f"{growth / 2**20:+.1f} MB",
            "≤ 50 MB",
            growth <= 50 * 2**20,
        ),
    ]


async def _queue(path: Path, count: int) -> None:
    """Publish to so many; say the wait for the first message, the memory added, and how many went.

    Memory is the most of the first seconds above that of the idle engine.
    """
    async with a_store(path) as storage:
        await asyncio.to_thread(fill_subscriptions, path, count)
        sink = Sink()
        engine = Engine(storage, {Platform.TELEGRAM: sink}, Clock())
        async with engine.delivering():
            say("ready")
            await heard()
            idle = peak = psutil.Process().memory_info().rss
            begun = time.monotonic()
            await published(storage, 1)
            await engine.poll()
            while time.monotonic() < begun + _WATCHED:
                await asyncio.sleep(0.1)
                peak = max(peak, psutil.Process().memory_info().rss)
            say([sink.first_at - begun, peak - idle, sink.messages])


# Claiming and settling.


async def _flatness(folder: Path) -> Row:
    """All sizes in turn, round by round; the first round is no count."""
    taken: dict[int, list[float]] = {size: [] for size in _SIZES}
    async with AsyncExitStack() as stack:
        stores = {}
        for size in _SIZES:
            path = folder / f"{size}.db"
            stores[size] = path, await stack.enter_async_context(a_store(path))
            await _fill_pending(stores[size][1], path, size)
        for turn in range(1 + _ROUNDS):
            for size, (path, storage) in stores.items():
                taken[size].append(await _turn(path, storage, turn))
    few, *_, many = (each[1:] for each in taken.values())
    ratio = percentile([most / least for most, least in zip(many, few, strict=True)], 0.5)
    told = ", ".join(
        f"{percentile(each[1:], 0.5) * 1000:.1f} ms with {size:,}" for size, each in taken.items()
    )
    return Row(
        f"claim and settle {CLAIM}: with {_SIZES[-1]:,} pending against {_SIZES[0]:,}",
        f"{ratio:.2f} ({told}; medians of {_ROUNDS})",
        "≤ 1.3",
        ratio <= 1.3,
    )


async def _turn(path: Path, storage: Storage, turn: int) -> float:
    """Seconds that a claim took with its settling; what it took is due again, after the others."""
    begun = time.perf_counter()
    claimed = await _claim_and_settle(storage, NOW + dt.timedelta(minutes=1))
    taken = time.perf_counter() - begun
    assert len(claimed) == CLAIM, f"{len(claimed)} were due"
    await asyncio.to_thread(_renew, path, claimed, NOW + dt.timedelta(seconds=turn))
    return taken


async def _claim_and_settle(storage: Storage, now: dt.datetime) -> list[int]:
    parcels = await storage.deliveries.claim(now, LEASE, CLAIM, (), Platform.TELEGRAM)
    due = [one for parcel in parcels for one in parcel.deliveries]
    await storage.deliveries.settle(
        [Settlement(one, DeliveryState.SENT, now, message_id="1") for one in due]
    )
    return [parcel.destination_id for parcel in parcels]


async def _fill_pending(storage: Storage, path: Path, count: int) -> None:
    """Let so many follow the show, and have a delivery of its update due."""
    await asyncio.to_thread(fill_subscriptions, path, count)
    await asyncio.to_thread(_make_due, path, await published(storage, 1))


def _make_due(path: Path, seq: Seq) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO deliveries (destination_id, update_seq, state, due_at, lane) "
            "SELECT destination_id, ?, 'pending', ?, lane FROM subscriptions WHERE show_id = ?",
            (seq, _milliseconds(NOW), SHOW),
        )


def _renew(path: Path, destinations: list[int], due: dt.datetime) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.executemany(
            "UPDATE deliveries SET state = 'pending', due_at = ?, attempts = 0, flight = 0, "
            "message_id = NULL, settled_at = NULL WHERE destination_id = ?",
            [(_milliseconds(due), destination) for destination in destinations],
        )
        connection.execute("COMMIT")


def _milliseconds(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)


# A restart.


def _restart(folder: Path) -> Row:
    path = folder / "restart.db"
    asyncio.run(_prepare(path))
    with child("pace_queue", "resume", path, 0) as engine:
        engine.hear()
        time.sleep(_SENT_BEFORE)
    left = _pending(path)
    assert left >= _LEFT, f"only {left} were left"
    begun = time.monotonic()
    with child("pace_queue", "resume", path, 0) as engine:
        taken = engine.hear() - begun
    return Row(
        f"killed with {left:,} pending: from the next start to its first message",
        f"{taken:.2f} s",
        "≤ 5 s",
        taken <= 5,
    )


async def _prepare(path: Path) -> None:
    async with a_store(path) as storage:
        await _fill_pending(storage, path, _LEFT + _SPARE)


def _pending(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT count(*) FROM deliveries WHERE state = 'pending'")
        return int(found.fetchone()[0])


async def _resume(path: Path) -> None:
    """Deliver what is there; say when the first message had arrived."""
    async with a_store(path) as storage:
        sink = Sink(_ROUND_TRIP)
        engine = Engine(storage, {Platform.TELEGRAM: sink}, Clock())
        say("ready")
        async with engine.delivering():
            await sink.first.wait()
            say(sink.first_at)
            await heard()


if __name__ == "__main__":
    warn_aside()
    if sys.argv[1] == "queued":
        asyncio.run(_queue(Path(sys.argv[2]), int(sys.argv[3])))
    else:
        asyncio.run(_resume(Path(sys.argv[2])))
