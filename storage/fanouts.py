"""Fan-out jobs: one per pushed update, expanded into deliveries chunk by chunk.

The poll records a job in the unit of work that moves its cursor; a chunk of deliveries and the
job's progress mark are one unit of work too. So a kill at any point neither loses nor doubles one.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Executable,
    Insert,
    Row,
    Select,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.model import DeliveryState, Kinds, Seq, ShowId, UpdateKind
from storage.database import Database, WholeNumber, insert_or, reads, writes
from storage.joins import follow
from storage.schema import (
    Flight,
    bits,
    counters,
    deliveries,
    destinations,
    fanouts,
    reachable_and_wants,
    subscriptions,
    suspensions,
    updates,
    was_sent,
)

_CURSOR = "fanout"


@dataclass(frozen=True, slots=True)
class Unread:
    """An update the poll has not seen yet, as far as the poll needs it."""

    seq: Seq
    show: ShowId
    kind: UpdateKind
    pushes: bool
    retracts_seq: Seq | None


@dataclass(frozen=True, slots=True)
class Job:
    """One update to be told to everybody whom it concerns.

    With `retracts_seq` these are the destinations which got (or may have got) that update; else
    those which follow the show for one of `kinds`.
    """

    seq: Seq
    show: ShowId
    kinds: Kinds
    retracts_seq: Seq | None = None


class Fanouts:
    """The jobs and the poll's cursor."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reads
    async def unread(self, connection: AsyncConnection, limit: int) -> list[Unread]:
        """The first updates after the cursor."""
        return await _unread(connection, limit)

    @writes
    async def take(
        self,
        connection: AsyncConnection,
        decide: Callable[[Unread], Job | None],
        now: dt.datetime,
        limit: int,
    ) -> int:
        """Read after the cursor, record the jobs that `decide` returns, and move the cursor.

        All in one unit of work. Returns how many updates were read.
        """
        unread = await _unread(connection, limit)
        jobs = [job for job in map(decide, unread) if job]
        if jobs:
            await connection.execute(
                insert_or(connection, fanouts), [_row(job, now) for job in jobs]
            )
        taken_back = [job.retracts_seq for job in jobs if job.retracts_seq]
        if taken_back:
            stop = update(fanouts).where(fanouts.c.update_seq.in_(taken_back))
            await connection.execute(stop.values(done=1))
        if unread:
            moved = update(counters).where(counters.c.name == _CURSOR)
            await connection.execute(moved.values(value=unread[-1].seq))
        return len(unread)

    @reads
    async def open_jobs(self, connection: AsyncConnection) -> list[Seq]:
        """The jobs that are not fully expanded, oldest first."""
        statement = select(fanouts.c.update_seq).where(fanouts.c.done == 0)
        rows = await connection.scalars(statement.order_by(fanouts.c.update_seq))
        return [Seq(row) for row in rows]

    @writes
    async def expand(self, connection: AsyncConnection, seq: Seq, chunk: int) -> int:
        """Create the next deliveries of a job, for at most `chunk` of those it concerns.

        Returns how many those were; the job is done when nobody is left. Where it takes an update
        back, those it passes over can never get that update any more.
        """
        job = (await connection.execute(_OPEN_JOB, {"seq": seq})).first()
        if job is None:
            return 0
        given = {**_given(job), "mark": job.mark}
        ahead = await connection.execute(_steps_of(job).ahead, {**given, "chunk": chunk})
        upper, found = ahead.one()
        passed = upper if found == chunk else _LAST
        moves = await connection.scalar(_ANY_MOVED) is not None
        created = await _create(connection, job, {**given, "upper": passed}, moves=moves)
        moved = {"upper": upper or job.mark, "created": created, "done": int(found < chunk)}
        await connection.execute(_PROGRESS, {"seq": seq, **moved})
        if moves:
            await follow(connection)
        return int(found)

    @reads
    async def created(self, connection: AsyncConnection) -> int:
        """How many deliveries all jobs together have created."""
        statement = select(func.coalesce(func.sum(fanouts.c.created), 0))
        return int((await connection.execute(statement)).scalar_one())


async def catch_up(connection: AsyncConnection, destination_id: int) -> None:
    """Create at once what the open jobs hold for a destination that they have not come to yet."""
    ahead = select(fanouts).where(fanouts.c.done == 0, fanouts.c.mark < destination_id)
    for job in list(await connection.execute(ahead)):
        only = {"mark": destination_id - 1, "upper": destination_id}
        created = await _create(connection, job, {**_given(job), **only}, moves=True)
        more = {"seq": job.update_seq, "upper": job.mark, "created": created, "done": 0}
        await connection.execute(_PROGRESS, more)


async def _create(
    connection: AsyncConnection, job: Row[Any], given: dict[str, object], *, moves: bool
) -> int:
    """Create the deliveries of a job after `mark` up to `upper`; returns how many.

    Only where a chat has moved may some be there already, which takes a look at each.
    """
    steps = _steps_of(job)
    created = await connection.execute(steps.create_missing if moves else steps.create, given)
    if job.retracts_seq:
        await connection.execute(_WITHDRAW, given)
    return created.rowcount


async def _unread(connection: AsyncConnection, limit: int) -> list[Unread]:
    cursor = select(counters.c.value).where(counters.c.name == _CURSOR).scalar_subquery()
    statement = (
        select(
            updates.c.seq,
            updates.c.show_id,
            updates.c.kind,
            updates.c.pushes,
            updates.c.retracts_seq,
        )
        .where(updates.c.seq > cursor)
        .order_by(updates.c.seq)
        .limit(limit)
    )
    return [
        Unread(Seq(row.seq), row.show_id, UpdateKind(row.kind), bool(row.pushes), row.retracts_seq)
        for row in await connection.execute(statement)
    ]


def _given(job: Row[Any]) -> dict[str, object]:
    return {
        "seq": job.update_seq,
        "show": job.show_id,
        "wanted": bits(job.kinds),
        "taken_back": job.retracts_seq,
        "due": job.due_at,
    }


def _row(job: Job, now: dt.datetime) -> dict[str, object]:
    return {
        "update_seq": job.seq,
        "show_id": job.show,
        "kinds": job.kinds,
        "retracts_seq": job.retracts_seq,
        "due_at": now,
    }


# Built once: putting these statements together for each chunk costs more than running them.

_OPEN_JOB: Final = select(fanouts).where(
    fanouts.c.update_seq == bindparam("seq"), fanouts.c.done == 0
)
_PROGRESS: Final = (
    update(fanouts)
    .where(fanouts.c.update_seq == bindparam("seq"))
    .values(
        mark=bindparam("upper"),
        created=fanouts.c.created + bindparam("created", type_=WholeNumber),
        done=bindparam("done"),
    )
)


@dataclass(frozen=True)
class _Steps:
    """How one kind of job is expanded: who is next, and their deliveries."""

    ahead: Executable
    create: Insert
    create_missing: Insert


def _steps(audience: Select[Any], state: ColumnElement[Any]) -> _Steps:
    """The statements for an audience (destinations with lanes), and the first state."""
    destination, _ = audience.selected_columns
    seq = bindparam("seq", type_=WholeNumber)
    after = audience.where(destination > bindparam("mark", type_=WholeNumber))
    ahead = after.with_only_columns(destination).order_by(destination).limit(bindparam("chunk"))
    known = deliveries.alias()
    # Who has moved may have it already.
    has_it = exists().where(known.c.destination_id == destination, known.c.update_seq == seq)
    rows = after.where(destination <= bindparam("upper", type_=WholeNumber)).add_columns(
        seq,
        state,
        bindparam("due", type_=deliveries.c.due_at.type),
    )
    columns = ("destination_id", "lane", "update_seq", "state", "due_at")
    next_ones = ahead.subquery()
    return _Steps(
        select(func.max(next_ones.c.destination_id), func.count()).select_from(next_ones),
        insert(deliveries).from_select(columns, rows),
        insert(deliveries).from_select(columns, rows.where(~has_it)),
    )


_PENDING: Final[ColumnElement[str]] = literal_column(f"'{DeliveryState.PENDING}'")
_HELD: Final[ColumnElement[str]] = literal_column(f"'{DeliveryState.HELD}'")
_FOLLOWERS: Final = _steps(
    # Who followed the show, for this kind of news, when the update was published.
    select(subscriptions.c.destination_id, subscriptions.c.lane).where(
        subscriptions.c.show_id == bindparam("show"),
        subscriptions.c.since_seq < bindparam("seq", type_=WholeNumber),
        *reachable_and_wants(bindparam("wanted", type_=WholeNumber)),
    ),
    _PENDING,
)
_TOLD_OF: Final = _steps(
    # Who got the update that is taken back, or may have got it.
    select(deliveries.c.destination_id, deliveries.c.lane).where(
        deliveries.c.update_seq == bindparam("taken_back"), was_sent()
    ),
    case(
        (exists().where(suspensions.c.destination_id == deliveries.c.destination_id), _HELD),
        else_=_PENDING,
    ),
)


def _steps_of(job: Row[Any]) -> _Steps:
    return _TOLD_OF if job.retracts_seq else _FOLLOWERS


_ANY_MOVED: Final = select(destinations.c.id).where(destinations.c.moved_to.is_not(None)).limit(1)
_LAST: Final = 2**63 - 1
_WITHDRAW: Final = (
    # Who has not got what is taken back never will, whoever composes it from an older log.
    update(deliveries)
    .where(
        deliveries.c.update_seq == bindparam("taken_back"),
        deliveries.c.destination_id > bindparam("mark", type_=WholeNumber),
        deliveries.c.destination_id <= bindparam("upper", type_=WholeNumber),
        deliveries.c.state.in_((DeliveryState.PENDING, DeliveryState.HELD)),
        deliveries.c.flight == Flight.GROUNDED,
    )
    .values(
        state=DeliveryState.EXPIRED,
        reason="it was retracted before it was sent",
        settled_at=bindparam("due", type_=deliveries.c.due_at.type),
    )
)
