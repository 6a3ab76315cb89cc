"""Fan-out jobs: one per pushed update, expanded into deliveries chunk by chunk.

The poll records a job in the unit of work that moves its cursor; a chunk of deliveries and the
job's progress mark are one unit of work too. So a kill at any point neither loses nor doubles one.
"""

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Executable,
    Insert,
    Row,
    Text,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal,
    literal_column,
    null,
    select,
    union,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.model import DeliveryState, Kinds, Platform, Seq, ShowId, UpdateKind
from storage.database import Database, WholeNumber, among, insert_or, reads, writes
from storage.joins import follow
from storage.schema import (
    Flight,
    bits,
    counters,
    deliveries,
    destinations,
    fanouts,
    subscriptions,
    suspensions,
    updates,
    wants,
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
    retracts_seq: Seq | None = None
    supersedes_seq: Seq | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One update to be told to everybody whom it concerns.

    With `retracts_seq` these are the destinations which got (or may have got) that update; else
    those which follow the show for one of `kinds`, and those which got what it `corrects_seq`.
    """

    seq: Seq
    show: ShowId
    kinds: Kinds
    retracts_seq: Seq | None = None
    corrects_seq: Seq | None = None


class OpenJob(NamedTuple):
    """A job that is not fully expanded: destinations up to `mark` are."""

    seq: Seq
    mark: int
    due_at: dt.datetime


class Expanded(NamedTuple):
    """What a step did: for how many destinations at most, and which jobs are not done.

    They are `held` where an earlier update of the same show has to be expanded first.
    """

    passed: int
    open: tuple[Seq, ...]
    held: bool = False


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
        return [job.seq for job in await _open_jobs(connection)]

    @reads
    async def standing(self, connection: AsyncConnection) -> list[OpenJob]:
        """The jobs that are not fully expanded, and how far they are."""
        return await _open_jobs(connection)

    async def expand(self, seq: Seq, chunk: int) -> int:
        """Create the next deliveries of a job, for at most `chunk` of those it concerns.

        Returns how many those were; the job is done when nobody is left.
        """
        return (await self.expand_together([seq], chunk)).passed

    @writes
    async def expand_together(
        self,
        connection: AsyncConnection,
        seqs: Sequence[Seq],
        chunk: int,
        due: Mapping[Platform, dt.datetime] | None = None,
    ) -> Expanded:
        """Create the next deliveries of several jobs, for at most `chunk` that each concerns.

        All of them come to the same destination, as far as the densest reaches: what one chat is to
        be told can go out as one message. They go no further than open jobs of earlier updates of
        the same show, which come first there. They are `due` by platform, or when the job is. Where
        a job takes an update back, those it passes over can never get that update any more.
        """
        found = [(await connection.execute(_OPEN_JOB, {"seq": seq})).first() for seq in seqs]
        reaches = [await _reach(connection, job, chunk) for job in found if job]
        limit = min((one.upper for one in reaches if one.passed == chunk), default=_LAST)
        for job, *_ in reaches:
            earlier = {"seq": job.update_seq, "show": job.show_id, "seqs": _listed(seqs)}
            mark = await connection.scalar(_EARLIER_MARK, earlier)
            limit = limit if mark is None else min(limit, mark)
        if reaches and limit <= min(one.job.mark for one in reaches):
            return Expanded(0, tuple(one.job.update_seq for one in reaches), held=True)
        moves = await connection.scalar(_ANY_MOVED) is not None
        for job, upper, passed in reaches:
            done = passed < chunk and upper <= limit
            await _expand(connection, job, _LAST if done else limit, due or {}, moves=moves)
        if moves:
            await follow(connection)
        passed = max((one.passed for one in reaches), default=0)
        return Expanded(
            passed, tuple(await connection.scalars(_STILL_OPEN, {"seqs": _listed(seqs)}))
        )

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
        created = await _create(connection, job, {**_given(job, {}), **only}, moves=True)
        more = {"seq": job.update_seq, "upper": job.mark, "created": created, "done": 0}
        await connection.execute(_PROGRESS, more)


class _Reach(NamedTuple):
    """How far one step of a job reaches: to which destination, over how many that it concerns."""

    job: Row[Any]
    upper: int
    passed: int


async def _reach(connection: AsyncConnection, job: Row[Any], chunk: int) -> _Reach:
    given = {**_given(job, {}), "mark": job.mark, "chunk": chunk}
    upper, passed = (await connection.execute(_steps_of(job).ahead, given)).one()
    return _Reach(job, upper or job.mark, passed)


async def _expand(
    connection: AsyncConnection,
    job: Row[Any],
    upper: int,
    due: Mapping[Platform, dt.datetime],
    *,
    moves: bool,
) -> None:
    """Create a job's deliveries up to a destination, or all that are left, and mark it."""
    given = {**_given(job, due), "mark": job.mark, "upper": upper}
    created = await _create(connection, job, given, moves=moves)
    done = upper == _LAST
    mark = job.mark if done else max(job.mark, upper)
    moved = {"seq": job.update_seq, "upper": mark, "created": created, "done": int(done)}
    await connection.execute(_PROGRESS, moved)


async def _create(
    connection: AsyncConnection, job: Row[Any], given: dict[str, object], *, moves: bool
) -> int:
    """Create the deliveries of a job after `mark` up to `upper`; returns how many.

    Only where a chat has moved may some be there already, which takes a look at each; and only
    where some are suspended may one have to be held.
    """
    steps = _steps_of(job)
    some_held = await connection.scalar(_ANY_SUSPENDED) is not None
    created = await connection.execute(steps.create[moves, some_held], given)
    if job.retracts_seq:
        await connection.execute(_WITHDRAW, given)
    return created.rowcount


async def _open_jobs(connection: AsyncConnection) -> list[OpenJob]:
    columns = (fanouts.c.update_seq, fanouts.c.mark, fanouts.c.due_at)
    statement = select(*columns).where(fanouts.c.done == 0).order_by(fanouts.c.update_seq)
    return [OpenJob(*row) for row in await connection.execute(statement)]


def _listed(seqs: Sequence[Seq]) -> str:
    return json.dumps(list(seqs))


async def _unread(connection: AsyncConnection, limit: int) -> list[Unread]:
    cursor = select(counters.c.value).where(counters.c.name == _CURSOR).scalar_subquery()
    statement = (
        select(
            updates.c.seq,
            updates.c.show_id,
            updates.c.kind,
            updates.c.pushes,
            updates.c.retracts_seq,
            updates.c.supersedes_seq,
        )
        .where(updates.c.seq > cursor)
        .order_by(updates.c.seq)
        .limit(limit)
    )
    return [
        Unread(
            Seq(row.seq),
            row.show_id,
            UpdateKind(row.kind),
            bool(row.pushes),
            row.retracts_seq,
            row.supersedes_seq,
        )
        for row in await connection.execute(statement)
    ]


def _given(job: Row[Any], due: Mapping[Platform, dt.datetime]) -> dict[str, object]:
    return {
        "seq": job.update_seq,
        "show": job.show_id,
        "wanted": bits(job.kinds),
        "taken_back": job.retracts_seq,
        "corrects": job.corrects_seq,
        "due": job.due_at,
        **{f"due_{platform}": due.get(platform, job.due_at) for platform in Platform},
    }


def _row(job: Job, now: dt.datetime) -> dict[str, object]:
    return {
        "update_seq": job.seq,
        "show_id": job.show,
        "kinds": job.kinds,
        "retracts_seq": job.retracts_seq,
        "corrects_seq": job.corrects_seq,
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


_EARLIER_MARK: Final = select(func.min(fanouts.c.mark)).where(
    fanouts.c.done == 0,
    fanouts.c.show_id == bindparam("show"),
    fanouts.c.update_seq < bindparam("seq"),
    fanouts.c.update_seq.op("NOT IN")(among(bindparam("seqs", type_=Text))),
)
_STILL_OPEN: Final = (
    select(fanouts.c.update_seq)
    .where(fanouts.c.update_seq.op("IN")(among(bindparam("seqs", type_=Text))), fanouts.c.done == 0)
    .order_by(fanouts.c.update_seq)
)


@dataclass(frozen=True)
class _Steps:
    """How one kind of job is expanded: who is next, and their deliveries.

    Those are created without a look at each, or with one: whether it is there already (some chat
    has moved), and whether its destination is suspended (some are).
    """

    ahead: Executable
    create: Mapping[tuple[bool, bool], Insert]


def _steps(destination: ColumnElement[int], lane: ColumnElement[Any], *which: Any) -> _Steps:
    """The statements for an audience: where a destination and its lane stand, and who is meant."""
    seq = bindparam("seq", type_=WholeNumber)
    after = select(destination, lane).where(
        *which, destination > bindparam("mark", type_=WholeNumber)
    )
    ahead = after.with_only_columns(destination).order_by(destination).limit(bindparam("chunk"))
    known = deliveries.alias()
    # Who has moved may have it already.
    has_it = exists().where(known.c.destination_id == destination, known.c.update_seq == seq)
    upto = after.where(destination <= bindparam("upper", type_=WholeNumber))
    why = (
        select(suspensions.c.reason)
        .where(suspensions.c.destination_id == destination)
        .correlate_except(suspensions)
        .scalar_subquery()
    )
    held = case((why.is_not(None), _HELD), else_=_PENDING)
    due = case(
        *(
            (lane == literal(platform, lane.type), bindparam(f"due_{platform}", type_=_MOMENT))
            for platform in Platform
        ),
        else_=bindparam("due", type_=_MOMENT),
    )
    columns = ("destination_id", "lane", "update_seq", "due_at", "state", "reason")
    create = {}
    for moves, some_held in product((False, True), repeat=2):
        rows = upto.where(~has_it) if moves else upto
        state = (held, why) if some_held else (_PENDING, null())
        create[moves, some_held] = insert(deliveries).from_select(
            columns, rows.add_columns(seq, due, *state)
        )
    next_ones = ahead.subquery()
    last = func.max(next_ones.c.destination_id)
    return _Steps(select(last, func.count()).select_from(next_ones), create)


_MOMENT: Final = deliveries.c.due_at.type
_PENDING: Final[ColumnElement[str]] = literal_column(f"'{DeliveryState.PENDING}'")
_HELD: Final[ColumnElement[str]] = literal_column(f"'{DeliveryState.HELD}'")
_FOLLOWS: Final = (
    # Who followed the show, for this kind of news, when the update was published.
    subscriptions.c.show_id == bindparam("show"),
    subscriptions.c.since_seq < bindparam("seq", type_=WholeNumber),
    wants(bindparam("wanted", type_=WholeNumber)),
)
_FOLLOWERS: Final = _steps(subscriptions.c.destination_id, subscriptions.c.lane, *_FOLLOWS)


def _got(parameter: str) -> tuple[ColumnElement[bool], ...]:
    """Who got an update, or may have got it."""
    return deliveries.c.update_seq == bindparam(parameter, type_=WholeNumber), was_sent()


_TOLD_OF: Final = _steps(deliveries.c.destination_id, deliveries.c.lane, *_got("taken_back"))
_EITHER: Final = union(
    select(subscriptions.c.destination_id, subscriptions.c.lane).where(*_FOLLOWS),
    select(deliveries.c.destination_id, deliveries.c.lane).where(*_got("corrects")),
).subquery("concerned")
_CONCERNED: Final = _steps(_EITHER.c.destination_id, _EITHER.c.lane)


def _steps_of(job: Row[Any]) -> _Steps:
    if job.retracts_seq:
        return _TOLD_OF
    return _CONCERNED if job.corrects_seq else _FOLLOWERS


_ANY_SUSPENDED: Final = select(suspensions.c.destination_id).limit(1)
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
