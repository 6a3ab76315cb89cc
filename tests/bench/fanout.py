"""One update for a million subscriptions, and what that does to somebody who subscribes then."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from bot.model import Destination, Platform, Seq, Subscription
from bot.outbox.expander import CHUNK
from bot.poll import Poll
from storage.store import Storage
from tests.bench.measure import percentile
from tests.bench.stores import NOW, SHOW, a_store, fill_subscriptions, published
from tests.bench.table import Row

_PAIRS = 3


async def measure(folder: Path, count: int = 1_000_000) -> list[Row]:
    """Rows a second against one bare INSERT … SELECT, in turn; then /subscribe beside it."""
    path = folder / "fanout.db"
    async with a_store(path) as storage:
        fill_subscriptions(path, count)
        ratios, rates = [], []
        for pair in range(_PAIRS):
            bare = _bare(path, await published(storage, 2 * pair + 1))
            ours = await _expand_all(storage, path, await published(storage, 2 * pair + 2))
            _sweep(path)
            ratios.append(bare / ours)
            rates.append(count / ours)
        waits = await _subscribe_beside(storage, path, await published(storage, 2 * _PAIRS + 1))
    ratio, p99 = percentile(ratios, 0.5), percentile(waits, 0.99) * 1000
    return [
        Row(
            f"fan-out to {count:,}: rows/s against a bare INSERT … SELECT",
            f"{ratio:.2f} ({percentile(rates, 0.5):,.0f} rows/s, median of {_PAIRS} pairs)",
            "≥ 0.5",
            ratio >= 0.5,
        ),
        Row(
            f"/subscribe during that fan-out: p99 of {len(waits):,}",
            f"{p99:.1f} ms (p50 {percentile(waits, 0.5) * 1000:.1f} ms)",
            "≤ 20 ms",
            p99 <= 20,
        ),
    ]


def _bare(path: Path, seq: Seq) -> float:
    """One INSERT … SELECT into the same table with the same indexes; seconds."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        begun = time.perf_counter()
        connection.execute(
            "INSERT INTO deliveries (destination_id, update_seq, state, due_at) "
            "SELECT destination_id, ?, 'pending', 0 FROM subscriptions WHERE show_id = ?",
            (seq, SHOW),
        )
        taken = time.perf_counter() - begun
    _sweep(path)
    return taken


async def _expand_all(storage: Storage, path: Path, seq: Seq) -> float:
    """The same rows through the job, chunk by chunk; seconds."""
    await Poll(storage, lambda: NOW, lambda: None)()
    _close_others(path, seq)
    begun = time.perf_counter()
    while await storage.fanouts.expand(seq, CHUNK):
        pass
    return time.perf_counter() - begun


def _close_others(path: Path, seq: Seq) -> None:
    """End the jobs of earlier updates, whose rows the bare statement made: they would go first."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE fanouts SET done = 1 WHERE update_seq <> ?", (seq,))


def _sweep(path: Path) -> None:
    """The next run starts from the same empty outbox and an empty write-ahead log."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM deliveries")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def _subscribe_beside(storage: Storage, path: Path, seq: Seq) -> list[float]:
    """How long each /subscribe took while a fan-out ran; seconds."""
    await Poll(storage, lambda: NOW, lambda: None)()
    _close_others(path, seq)
    waits: list[float] = []
    done = asyncio.Event()

    async def expand() -> None:
        while await storage.fanouts.expand(seq, CHUNK):
            pass
        done.set()

    async def subscribe() -> None:
        chat = 10_000_000
        while not done.is_set():
            chat += 1
            new = Subscription(Destination(Platform.TELEGRAM, chat), SHOW)
            begun = time.perf_counter()
            await storage.subscriptions.put(new)
            waits.append(time.perf_counter() - begun)
            await asyncio.sleep(0.002)

    await asyncio.gather(expand(), subscribe())
    return waits
