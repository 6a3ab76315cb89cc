"""Traces: what is recorded of an update for one destination, or why nothing is."""

from typing import Any, Final, cast

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    exists,
    false,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.message.why import Following, Sending, Stopped, Taken, Trace
from bot.model import DeliveryState, Destination, Seq, ShowId, Update, UpdateId
from bot.records import read_record
from storage.database import Database, reads
from storage.schema import (
    Flight,
    counters,
    deliveries,
    destinations,
    fanouts,
    shows,
    subscriptions,
    suspensions,
    updates,
    was_sent,
)
from storage.shows import read_show

_CURSOR: Final = "fanout"


class Traces:
    """What became of updates. Each answer is read by one statement, so that its parts agree."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reads
    async def of(
        self, connection: AsyncConnection, destination: Destination, update_id: str
    ) -> Trace | None:
        """What became of an update for a destination; `None` where there is no such update."""
        found = await _read(connection, destination, updates.c.id == update_id)
        return found[0] if found else None

    @reads
    async def of_show(
        self, connection: AsyncConnection, destination: Destination, show: ShowId, limit: int
    ) -> list[Trace]:
        """What became of the last `limit` updates about a show, the newest first."""
        last = select(updates.c.seq).where(updates.c.show_id == show)
        newest = last.order_by(updates.c.seq.desc()).limit(limit).subquery()
        return await _read(connection, destination, updates.c.seq.in_(select(newest.c.seq)))


async def _read(
    connection: AsyncConnection, destination: Destination, which: ColumnElement[bool]
) -> list[Trace]:
    rows = await connection.execute(_statement(destination).where(which))
    # A chat that has moved may have two deliveries of an update: its own comes first.
    traces: dict[int, Trace] = {}
    for row in rows:
        if row.seq not in traces:
            traces[row.seq] = _trace(destination, row)
    return list(traces.values())


def _statement(destination: Destination) -> Select[Any]:
    """Everything about updates and one destination, the newest first."""
    here = _row_of(destination)
    rows = select(destinations.c.id).where(
        or_(destinations.c.id == here, destinations.c.moved_to == here)
    )
    replaced = func.coalesce(updates.c.retracts_seq, updates.c.supersedes_seq)
    follows = and_(
        subscriptions.c.show_id == updates.c.show_id, subscriptions.c.destination_id == here
    )
    sending = and_(deliveries.c.update_seq == updates.c.seq, deliveries.c.destination_id.in_(rows))
    former = func.coalesce(deliveries.c.destination_id != here, false())
    cursor = select(counters.c.value).where(counters.c.name == _CURSOR).scalar_subquery()
    return (
        select(
            here.label("here"),
            updates.c.seq,
            updates.c.record,
            updates.c.pushes,
            updates.c.retracts_seq,
            (updates.c.seq <= cursor).label("read"),
            shows.c.record.label("show"),
            subscriptions.c.kinds.label("wanted"),
            subscriptions.c.since_seq,
            fanouts.c.due_at.label("taken_at"),
            fanouts.c.mark,
            fanouts.c.done,
            suspensions.c.reason.label("stopped"),
            suspensions.c.since,
            deliveries.c.state,
            deliveries.c.due_at,
            deliveries.c.attempts,
            deliveries.c.flight,
            deliveries.c.message_id,
            deliveries.c.reason,
            deliveries.c.settled_at,
            deliveries.c.trail,
            _id_of(replaced).label("mistake"),
            _got(rows, replaced).label("got_mistake"),
            _undone_by().label("undone_by"),
            _behind().label("behind"),
        )
        .join(shows, shows.c.id == updates.c.show_id)
        .outerjoin(fanouts, fanouts.c.update_seq == updates.c.seq)
        .outerjoin(subscriptions, follows)
        .outerjoin(suspensions, suspensions.c.destination_id == here)
        .outerjoin(deliveries, sending)
        .order_by(updates.c.seq.desc(), former)
    )


def _row_of(destination: Destination) -> ScalarSelect[Any]:
    """The row of a destination: where it has moved, the one it has become."""
    return (
        select(func.coalesce(destinations.c.moved_to, destinations.c.id))
        .where(
            destinations.c.platform == destination.platform,
            destinations.c.chat_id == destination.chat_id,
            destinations.c.thread_id == (destination.thread_id or 0),
        )
        .scalar_subquery()
    )


def _id_of(seq: ColumnElement[Any]) -> ScalarSelect[Any]:
    other = updates.alias()
    return select(other.c.id).where(other.c.seq == seq).correlate(updates).scalar_subquery()


def _got(rows: Select[Any], seq: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the destination got an update, or may have got it."""
    got = select(deliveries.c.destination_id).where(
        deliveries.c.destination_id.in_(rows), was_sent()
    )
    mine = got.add_columns(deliveries.c.update_seq).subquery()
    return exists().where(mine.c.update_seq == seq).correlate(updates)


def _undone_by() -> ScalarSelect[Any]:
    """The record of the first update that takes this one back or replaces it."""
    later = updates.alias()
    undoes = or_(later.c.retracts_seq == updates.c.seq, later.c.supersedes_seq == updates.c.seq)
    return (
        select(later.c.record)
        .where(later.c.show_id == updates.c.show_id, undoes)
        .order_by(later.c.seq)
        .limit(1)
        .correlate(updates)
        .scalar_subquery()
    )


def _behind() -> ColumnElement[bool]:
    """Whether earlier news for the same destination waits."""
    earlier = deliveries.alias()
    return (
        exists()
        .where(
            earlier.c.destination_id == deliveries.c.destination_id,
            earlier.c.update_seq < deliveries.c.update_seq,
            earlier.c.state == literal(DeliveryState.PENDING, earlier.c.state.type),
        )
        .correlate(deliveries)
    )


def _trace(destination: Destination, row: Any) -> Trace:
    return Trace(
        destination,
        read_show(row.show),
        _update(row.record),
        Seq(row.seq),
        bool(row.pushes),
        known=row.here is not None,
        read=bool(row.read),
        following=Following(row.wanted, Seq(row.since_seq)) if row.wanted else None,
        taken=_taken(row) if row.taken_at else None,
        stopped=Stopped(row.stopped, row.since) if row.since else None,
        sending=_sending(row) if row.state else None,
        mistake=UpdateId(row.mistake) if row.mistake else None,
        got_mistake=bool(row.got_mistake),
        undone_by=_update(row.undone_by) if row.undone_by else None,
    )


def _taken(row: Any) -> Taken:
    return Taken(row.taken_at, come=bool(row.done) or row.mark >= (row.here or 0))


def _sending(row: Any) -> Sending:
    return Sending(
        DeliveryState(row.state),
        row.due_at,
        row.attempts,
        on_its_way=bool(row.flight & Flight.OPEN),
        message_id=row.message_id,
        reason=row.reason,
        settled_at=row.settled_at,
        trail=tuple((row.trail or "").splitlines()),
        behind=bool(row.behind),
    )


def _update(record: str) -> Update:
    return cast("Update", read_record(record))
