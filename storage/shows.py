"""The catalogue: shows and every title they are known by."""

from collections.abc import Iterable, Sequence
from typing import cast

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.model import Show, ShowId
from bot.records import read_record, show_line
from storage.database import Database, batches, insert_or, reads
from storage.schema import counters, shows, titles


class Shows:
    """The catalogue of shows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reads
    async def get(self, connection: AsyncConnection, show_id: str) -> Show | None:
        """The show with that id."""
        return (await find_shows(connection, [show_id])).get(ShowId(show_id))

    @reads
    async def some(self, connection: AsyncConnection, ids: Iterable[str]) -> list[Show]:
        """The shows with these ids."""
        return list((await find_shows(connection, ids)).values())

    @reads
    async def all(self, connection: AsyncConnection) -> list[Show]:
        """Every show, by id."""
        rows = await connection.scalars(select(shows.c.record).order_by(shows.c.id))
        return [read_show(record) for record in rows]

    @reads
    async def titles(self, connection: AsyncConnection) -> list[tuple[str, str]]:
        """(show id, title) for every title of every show, the main one first."""
        statement = select(titles.c.show_id, titles.c.title)
        rows = await connection.execute(statement.order_by(titles.c.show_id, titles.c.place))
        return [(row.show_id, row.title) for row in rows]

    @reads
    async def version(self, connection: AsyncConnection) -> int:
        """A number that grows whenever the catalogue changes."""
        found = await connection.scalar(
            select(counters.c.value).where(counters.c.name == "catalogue")
        )
        return found or 0

    @reads
    async def count(self, connection: AsyncConnection) -> int:
        """How many shows there are."""
        return await connection.scalar(select(func.count()).select_from(shows)) or 0


async def find_shows(connection: AsyncConnection, ids: Iterable[str]) -> dict[ShowId, Show]:
    """The shows with these ids, by id."""
    found: dict[ShowId, Show] = {}
    for batch in batches(set(ids)):
        records = await connection.scalars(select(shows.c.record).where(shows.c.id.in_(batch)))
        found.update({show.id: show for show in map(read_show, records)})
    return found


async def put_shows(connection: AsyncConnection, changed: Sequence[Show]) -> int:
    """Store shows that are new or differ from what is stored; returns how many were."""
    return sum([await _put(connection, batch) for batch in batches(changed)])


async def _put(connection: AsyncConnection, changed: Sequence[Show]) -> int:
    lines = {show.id: show_line(show) for show in changed}
    statement = select(shows.c.id, shows.c.record).where(shows.c.id.in_(lines))
    stored = {row.id: row.record for row in await connection.execute(statement)}
    news = [show for show in changed if stored.get(show.id) != lines[show.id]]
    if not news:
        return 0
    await connection.execute(
        insert_or(connection, shows, update=("title", "record")),
        [{"id": show.id, "title": show.title, "record": lines[show.id]} for show in news],
    )
    await connection.execute(delete(titles).where(titles.c.show_id.in_([s.id for s in news])))
    await connection.execute(
        insert(titles),
        [
            {"show_id": show.id, "place": place, "title": title}
            for show in news
            for place, title in enumerate(show.titles)
        ],
    )
    grown = update(counters).where(counters.c.name == "catalogue")
    await connection.execute(grown.values(value=counters.c.value + 1))
    return len(news)


def read_show(record: str) -> Show:
    """A stored record as a show."""
    return cast("Show", read_record(record))
