"""The updates store: an append-only log, in the order of publication."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.model import Seq, Show, ShowId, Update, UpdateId
from bot.records import read_record, update_line
from storage.database import Database, batches, reads
from storage.schema import counters, fanouts, shows, updates
from storage.shows import read_show


@dataclass(frozen=True, slots=True)
class Logged:
    """An update with its place in the log."""

    seq: Seq
    update: Update


@dataclass(frozen=True, slots=True)
class Told:
    """An update with its show and the show's whole log; `taken_at` is when the poll took it."""

    show: Show
    update: Update
    log: tuple[Update, ...]
    taken_at: dt.datetime | None


class Updates:
    """The log of updates."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reads
    async def of_show(self, connection: AsyncConnection, show_id: ShowId) -> list[Update]:
        """The log of one show."""
        return await log_of(connection, show_id)

    @reads
    async def of_shows(
        self, connection: AsyncConnection, ids: Collection[ShowId]
    ) -> dict[ShowId, list[Update]]:
        """The logs of several shows."""
        logs: dict[ShowId, list[Update]] = {show_id: [] for show_id in ids}
        for entry in await _read(connection, _log().where(updates.c.show_id.in_(ids))):
            logs[entry.show].append(entry)
        return logs

    @reads
    async def all(self, connection: AsyncConnection) -> list[Update]:
        """The whole log."""
        return await _read(connection, _log())

    @reads
    async def get(self, connection: AsyncConnection, update_id: str) -> Logged | None:
        """The update with that id."""
        statement = select(updates.c.seq, updates.c.record).where(updates.c.id == update_id)
        row = (await connection.execute(statement)).first()
        return Logged(Seq(row.seq), _update(row.record)) if row else None

    @reads
    async def latest(self, connection: AsyncConnection, limit: int) -> list[Update]:
        """The newest confirmed updates, by the day they were announced."""
        statement = (
            select(updates.c.record)
            .where(updates.c.confirmed == 1, updates.c.retracts_seq.is_(None))
            .order_by(updates.c.announced.desc(), updates.c.seq.desc())
            .limit(limit)
        )
        return await _read(connection, statement)

    @reads
    async def dated_after(self, connection: AsyncConnection, day: dt.date) -> list[ShowId]:
        """The shows for which a date was announced that has not passed on that day."""
        ahead = updates.c.until >= day.isoformat()
        rows = await connection.execute(select(updates.c.show_id).where(ahead).distinct())
        return [ShowId(row.show_id) for row in rows]

    @reads
    async def told(self, connection: AsyncConnection, seqs: Iterable[Seq]) -> dict[Seq, Told]:
        """What is needed to tell of some updates."""
        statement = (
            select(
                updates.c.seq,
                updates.c.show_id,
                updates.c.record,
                shows.c.record.label("show"),
                fanouts.c.due_at,
            )
            .join(shows, shows.c.id == updates.c.show_id)
            .outerjoin(fanouts, fanouts.c.update_seq == updates.c.seq)
            .where(updates.c.seq.in_(set(seqs)))
        )
        rows = (await connection.execute(statement)).all()
        logs = {row.show_id: tuple(await log_of(connection, row.show_id)) for row in rows}
        return {
            row.seq: Told(read_show(row.show), _update(row.record), logs[row.show_id], row.due_at)
            for row in rows
        }


async def log_of(connection: AsyncConnection, show_id: str) -> list[Update]:
    """The log of one show."""
    return await _read(connection, _log().where(updates.c.show_id == show_id))


async def stored(connection: AsyncConnection, ids: Iterable[UpdateId]) -> dict[UpdateId, Update]:
    """The updates with these ids that are in the log."""
    found: dict[UpdateId, Update] = {}
    for batch in batches(set(ids)):
        read = await _read(connection, _log().where(updates.c.id.in_(batch)))
        found.update({entry.id: entry for entry in read})
    return found


async def append(connection: AsyncConnection, entries: Sequence[tuple[Update, bool]]) -> Seq:
    """Add updates, each with whether it is pushed, to the end of the log; the last one's place.

    The counter is moved in the same unit of work: on both databases whoever appends next waits,
    so that places become visible in their order and a reader of the log never skips one.
    """
    moved = update(counters).where(counters.c.name == "updates")
    last = await connection.execute(
        moved.values(value=counters.c.value + len(entries)).returning(counters.c.value)
    )
    end: int = last.scalar_one()
    places = {entry.id: end - len(entries) + n for n, (entry, _) in enumerate(entries, 1)}
    named = [one for entry, _ in entries for one in (entry.retracts, entry.supersedes)]
    known = {**await _places(connection, named), **places}
    await connection.execute(
        insert(updates), [_row(entry, known, pushes=pushes) for entry, pushes in entries]
    )
    return Seq(end)


async def _places(
    connection: AsyncConnection, ids: Iterable[UpdateId | None]
) -> dict[UpdateId, int]:
    wanted = {update_id for update_id in ids if update_id}
    places: dict[UpdateId, int] = {}
    for batch in batches(wanted):
        statement = select(updates.c.id, updates.c.seq).where(updates.c.id.in_(batch))
        rows = await connection.execute(statement)
        places.update({UpdateId(row.id): row.seq for row in rows})
    return places


def _row(entry: Update, places: Mapping[UpdateId, int], *, pushes: bool) -> dict[str, Any]:
    return {
        "seq": places[entry.id],
        "id": entry.id,
        "show_id": entry.show,
        "kind": entry.kind,
        "confirmed": int(entry.confirmed),
        "announced": entry.announced.isoformat(),
        "until": _until(entry),
        "pushes": int(pushes),
        "retracts_seq": places[entry.retracts] if entry.retracts else None,
        "supersedes_seq": places[entry.supersedes] if entry.supersedes else None,
        "record": update_line(entry),
    }


def _until(entry: Update) -> str | None:
    """The last day the announced date leaves open, for a confirmed date."""
    if entry.date is None or not entry.confirmed:
        return None
    return (entry.date.value.upper or dt.date.max).isoformat()


def _log() -> Select[Any]:
    return select(updates.c.record).order_by(updates.c.seq)


async def _read(connection: AsyncConnection, statement: Select[Any]) -> list[Update]:
    return [_update(record) for record in await connection.scalars(statement)]


def _update(record: str) -> Update:
    return cast("Update", read_record(record))
