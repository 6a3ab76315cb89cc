"""Several updates at once for chats that follow more than one of the shows.

Five shows, and 20,000 chats in a ring: each show is followed by 8,000 neighbours, and shares one
half of them with the show before and the other with the one behind. So everybody follows two.
"""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from bot.app import Engine
from bot.model import Platform, Show, ShowId
from bot.outbox.pace import Limit, Limits
from storage.store import Storage
from tests.bench.pace_engine import Clock
from tests.bench.pace_sinks import Sink
from tests.bench.pace_stores import publish_renewal
from tests.bench.stores import NOW, a_store
from tests.bench.table import Row

_SHOWS: Final = 5
_CHATS: Final = 20_000
_EACH: Final = 2 * _CHATS // _SHOWS
_DUE: Final = _SHOWS * _EACH
_RATE: Final = 400
"""Messages a second: more than Telegram's limit, so that it ends within a minute."""


async def measure(folder: Path) -> list[Row]:
    """How many messages it takes, and how long, from the moment before they are published."""
    path = folder / "burst.db"
    async with a_store(path) as storage:
        shows = await _fill(storage, path)
        sink = Sink(limits=Limits(overall=Limit(_RATE, 1.0)))
        engine = Engine(storage, {Platform.TELEGRAM: sink}, Clock())
        async with engine.delivering():
            begun = time.monotonic()
            for show in shows:
                await publish_renewal(storage, show, 1)
            await engine.finish()
    assert sink.updates == _DUE, f"{sink.updates} of {_DUE} were delivered"
    ratio = sink.messages / _DUE
    taken = sink.last_at - begun
    least = sink.messages / _RATE
    return [
        Row(
            f"burst of {_SHOWS} updates for {_CHATS:,} chats, each due two: messages ÷ updates due",
            f"{ratio:.2f} ({sink.messages:,} ÷ {_DUE:,})",
            "0.50 is least",
            None,
        ),
        Row(
            "that burst: time until it is over ÷ the least that the limit allows",
            f"{taken / least:.3f} ({taken:.1f} s; {least:.1f} s at {_RATE}/s)",
            "≤ 1.05",
            taken <= 1.05 * least,
        ),
    ]


async def _fill(storage: Storage, path: Path) -> list[ShowId]:
    shows = [ShowId(f"show-{number}") for number in range(_SHOWS)]
    records = [(line, Show(show, f"Show {line}")) for line, show in enumerate(shows, 1)]
    await storage.publishing.load(records, NOW.date())
    chats = range(_CHATS)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO destinations (id, platform, chat_id) VALUES (?, 'telegram', ?)",
            [(1 + chat, 1 + chat) for chat in chats],
        )
        connection.executemany(
            "INSERT INTO subscriptions (show_id, destination_id, kinds, since_seq, lane) "
            "VALUES (?, ?, 15, 0, 2)",
            [
                (show, 1 + (number * _EACH // 2 + place) % _CHATS)
                for number, show in enumerate(shows)
                for place in range(_EACH)
            ],
        )
        connection.execute("COMMIT")
    return shows
