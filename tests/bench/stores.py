"""Databases of any size for the bench, filled by plain SQL through the real tables."""

import datetime as dt
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from ulid import ULID

from bot.model import (
    Certainty,
    Seq,
    Show,
    ShowId,
    Source,
    Update,
    UpdateId,
    UpdateKind,
)
from storage.store import Storage, open_storage
from storage.trust import trust

SHOW = ShowId("a-show")
NOW = dt.datetime(2026, 11, 22, 9, tzinfo=dt.UTC)


@asynccontextmanager
async def a_store(path: Path) -> AsyncIterator[Storage]:
    """A store with one show, as the bot opens it."""
    async with open_storage(f"sqlite:///{path}", trust()) as storage:
        if not await storage.shows.count():
            await storage.publishing.load([(1, Show(SHOW, "A Show"))], NOW.date())
        yield storage


def fill_updates(path: Path, count: int) -> None:
    """Put `count` updates into the log, all of them read by the poll already."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute(
            "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO updates (seq, id, show_id, kind, confirmed, announced, pushes, record) "
            "SELECT i, printf('%026d', i), ?, 'production', 1, '2026-11-22', 0, '{}' FROM n",
            (count, SHOW),
        )
        connection.execute(
            "UPDATE counters SET value = ? WHERE name IN ('updates', 'fanout')", (count,)
        )
        connection.execute("COMMIT")


def fill_subscriptions(path: Path, count: int) -> None:
    """Let `count` chats follow the show."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        numbers = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        connection.execute(
            numbers + "INSERT INTO destinations (id, platform, chat_id) "
            "SELECT i, 'telegram', i FROM n",
            (count,),
        )
        connection.execute(
            "INSERT INTO subscriptions (show_id, destination_id, kinds, since_seq, lane) "
            "SELECT ?, id, 15, 0, 2 FROM destinations",
            (SHOW,),
        )
        connection.execute("COMMIT")


async def published(storage: Storage, season: int) -> Seq:
    """Publish one renewal that everybody is to be told of; its place in the log."""
    update = Update(
        id=UpdateId(str(ULID())),
        recorded_at=NOW,
        show=SHOW,
        season=season,
        kind=UpdateKind.RENEWED,
        certainty=Certainty.OFFICIAL,
        speaker="Netflix",
        source=Source(url="https://www.netflix.com/a", published=NOW.date()),
    )
    await storage.publishing.publish(update, NOW.date())
    logged = await storage.updates.get(update.id)
    assert logged is not None
    return logged.seq
