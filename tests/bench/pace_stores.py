"""Databases in which a plan's chats follow two shows: one has one update, the other many."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from ulid import ULID

from bot.model import Certainty, Platform, Show, ShowId, Source, Update, UpdateId, UpdateKind
from storage.store import Storage
from tests.bench.pace_plans import Plan
from tests.bench.stores import NOW, SHOW

HOT: Final = ShowId("a-hot-show")
_LANES: Final = {Platform.DISCORD: 1, Platform.TELEGRAM: 2}


async def fill(
    storage: Storage, path: Path, plan: Plan, platform: Platform, home: int | None = None
) -> None:
    """Let those in the plan follow the shows; those who get many messages were there first."""
    await storage.publishing.load([(1, Show(HOT, "A Hot Show"))], NOW.date())
    both = [*((HOT, place) for place in plan.hot), *((SHOW, place) for place in plan.once)]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO destinations (id, platform, chat_id, thread_id, home_id) "
            "VALUES (?, ?, ?, ?, ?)",
            [(number, platform, *place, home) for number, (_, place) in enumerate(both, 1)],
        )
        connection.executemany(
            "INSERT INTO subscriptions (show_id, destination_id, kinds, since_seq, lane) "
            "VALUES (?, ?, 15, 0, ?)",
            [(show, number, _LANES[platform]) for number, (show, _) in enumerate(both, 1)],
        )
        connection.execute("COMMIT")


async def publish(storage: Storage, plan: Plan) -> None:
    """Publish everything that the plan's chats are to be told of."""
    news = [(SHOW, 1)]
    if plan.hot:
        news += [(HOT, season) for season in range(1, plan.times + 1)]
    for show, season in news:
        await publish_renewal(storage, show, season)


async def publish_renewal(storage: Storage, show: ShowId, season: int) -> None:
    """Publish one renewal."""
    update = Update(
        id=UpdateId(str(ULID())),
        recorded_at=NOW,
        show=show,
        season=season,
        kind=UpdateKind.RENEWED,
        certainty=Certainty.OFFICIAL,
        speaker="Netflix",
        source=Source(url="https://www.netflix.com/a", published=NOW.date()),
    )
    await storage.publishing.publish(update, NOW.date())
