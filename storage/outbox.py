"""The outbox: deliveries on their way, claimed and settled in batches."""

import datetime as dt
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    select,
    text,
    tuple_,
    type_coerce,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from bot.model import (
    LIFE,
    SHORT_LIFE,
    SHORT_LIVED,
    Delivery,
    DeliveryState,
    Destination,
    Platform,
    Seq,
    ShowId,
)
from storage.database import Database, WholeNumber, among, json_field, json_rows, reads, writes
from storage.destinations import to_destination
from storage.joins import Signposts, follow
from storage.schema import (
    HAS_EXTRAS,
    LANDED,
    REACHED,
    Flight,
    deliveries,
    destinations,
    fanouts,
    milliseconds,
    no_correction,
    on_its_way,
    subscriptions,
    suspensions,
    updates,
    was_sent,
)

UNSUBSCRIBED: Final = "unsubscribed before it was sent"

MOST_DEATHS: Final = 3
"""So often the process may die while a message is on its way; then it is sent no more."""

QUARANTINED: Final = f"the bot died {MOST_DEATHS} times while it was on its way; see the log"

TOO_LATE: Final = "it could not be sent while it was news"

LONGEST_TRAIL: Final = 4000
"""Characters kept of what came of the attempts; the last one is the reason besides."""

_ROUNDS: Final = 5
_MILLISECOND: Final = dt.timedelta(milliseconds=1)
_PENDING: Final = deliveries.c.state == DeliveryState.PENDING
_TAKE_OFF: Final = deliveries.c.flight.bitwise_or(Flight.OPEN)
_NEXT_DUE: Final = (
    select(deliveries.c.due_at)
    .where(_PENDING, deliveries.c.lane == bindparam("lane", type_=deliveries.c.lane.type))
    .order_by(deliveries.c.due_at)
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Extras:
    """What alerts of a subscription do besides arriving."""

    role_id: int | None = None
    publish: bool = False


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is due for one destination, in the order of publication; bundles stay together.

    `extras` are those of its subscriptions that have any.
    """

    destination_id: int
    destination: Destination
    deliveries: tuple[Delivery, ...]
    extras: Mapping[ShowId, Extras] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one delivery ended, or when it is tried again (`state` stays `pending` then)."""

    delivery: Delivery
    state: DeliveryState
    at: dt.datetime
    due_at: dt.datetime | None = None
    message_id: str | None = None
    reason: str | None = None
    maybe_sent: bool = False
    counted: bool = True
    """Whether this attempt counts towards those after which a delivery is given up."""
    bundle: Seq | None = None
    """The first update of the message that may have arrived; a bundle that it had already stays."""
    told: str | None = None
    """What is noted of this attempt; nothing where it was none."""
    aboard: bool = True
    """Whether it was about to be sent."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A delivery that did not arrive, for the operator's eyes."""

    update_id: str
    destination: Destination
    state: DeliveryState
    reason: str | None
    at: dt.datetime | None


class Deliveries:
    """The rows of the outbox."""

    def __init__(self, database: Database, signposts: Signposts) -> None:
        self._database = database
        self._signposts = signposts

    @writes
    async def claim(
        self,
        connection: AsyncConnection,
        now: dt.datetime,
        lease: dt.timedelta,
        limit: int,
        busy: Collection[int] = (),
        platform: Platform | None = None,
    ) -> list[Parcel]:
        """Take what is due for at most `limit` destinations, everything due for one together.

        What may have arrived comes first, then what is due longest: a platform that knows a repeat
        by its key forgets it soon. A claimed row is due again when its lease ends: should this
        process die, another takes it.
        `busy` are destinations to leave alone because something is on its way to them; with a
        `platform` only its destinations are served.
        """
        for _ in range(_ROUNDS):
            chosen = await _chosen(connection, now, limit, busy, platform)
            if not chosen:
                return []
            given = {"now": now, "chosen": json.dumps(list(chosen))}
            await connection.execute(_EXPIRE_UNWANTED, given)
            await connection.execute(_LET_EARLIER_PASS, given)
            taken = await connection.execute(_TAKE, {**given, "until": now + lease})
            if claimed := [Delivery(*row) for row in taken]:
                return await _parcels(connection, claimed)
        return []

    async def settle(self, done: Sequence[Settlement], aboard: Sequence[Delivery] = ()) -> None:
        """Write down how deliveries ended, and which are `aboard`, all in one unit of work.

        Those are about to be sent: should the process die before they are settled, that counts.
        """
        rows = json.dumps([*map(_settled, done), *map(_boarding, aboard)])
        if not self._signposts.any:
            await self._database.write_at_once(_SETTLE, {"rows": rows})
            rows = "[]"
        if self._signposts.any:  # now, if not before: a chat may have moved meanwhile
            await self._settle_and_follow(rows)

    @writes
    async def _settle_and_follow(self, connection: AsyncConnection, rows: str) -> None:
        await connection.execute(_SETTLE, {"rows": rows})
        self._signposts.any = await follow(connection)

    @writes
    async def release(self, connection: AsyncConnection, now: dt.datetime) -> int:
        """Make everything that an earlier process had claimed due now; some may have been sent.

        What was aboard for one destination is a bundle: it was one message. What was aboard at too
        many deaths is quarantined: it is sent no more, since it may be what the process dies of.
        """
        quarantined = await connection.execute(_QUARANTINE, {"now": now})
        tried = await connection.execute(_RELEASE, {"now": now})
        untried = await connection.execute(_RELEASE_UNTRIED, {"now": now})
        await follow(connection)
        await _no_later_than(connection, now)
        return quarantined.rowcount + tried.rowcount + untried.rowcount

    @writes
    async def give_back(
        self, connection: AsyncConnection, unsent: Sequence[Delivery], due_at: dt.datetime
    ) -> None:
        """Undo the claim of deliveries that were not tried; they are due then."""
        if unsent:
            rows = [{"to": one.destination_id, "seq": one.seq, "at": due_at} for one in unsent]
            await connection.execute(_GIVE_BACK, rows)
            if self._signposts.any:
                await follow(connection)

    @writes
    async def expire(self, connection: AsyncConnection, now: dt.datetime, limit: int = 1000) -> int:
        """End at most `limit` deliveries that are held and news no more; returns how many."""
        late = await connection.execute(_EXPIRE_HELD, {"now": now, "most": limit})
        return late.rowcount

    @writes
    async def shift(self, connection: AsyncConnection, by: dt.timedelta) -> int:
        """Move every pending due time after the clock was set: waits stay as long as they were.

        What is still to be expanded moves too, and the beginning of what is still news.
        """
        step = literal(by // dt.timedelta(milliseconds=1), WholeNumber)
        later = type_coerce(deliveries.c.due_at, WholeNumber) + step
        moved = await connection.execute(update(deliveries).where(_PENDING).values(due_at=later))
        later = type_coerce(fanouts.c.due_at, WholeNumber) + step
        # Also what is expanded: from then on counts how long its updates are news.
        newest = select(func.max(type_coerce(fanouts.c.due_at, WholeNumber))).scalar_subquery()
        recent = type_coerce(fanouts.c.due_at, WholeNumber) > newest - LIFE // _MILLISECOND
        still = (fanouts.c.done == 0) | recent
        await connection.execute(update(fanouts).where(still).values(due_at=later))
        return moved.rowcount

    @writes
    async def bound(self, connection: AsyncConnection, now: dt.datetime) -> None:
        """Make due now what a wrong clock put further ahead than any wait is long."""
        await _no_later_than(connection, now)

    @reads
    async def next_due(
        self, connection: AsyncConnection, platform: Platform | None = None
    ) -> dt.datetime | None:
        """When the next delivery is due, on one platform or on any."""
        found = []
        for lane in [platform] if platform else Platform:
            row = (await connection.execute(_NEXT_DUE, {"lane": lane})).first()
            found += [row.due_at] if row else []
        return min(found, default=None)

    @reads
    async def waiting(
        self,
        connection: AsyncConnection,
        now: dt.datetime,
        most: int,
        platform: Platform | None = None,
    ) -> int:
        """How many deliveries are due, counted up to `most`; those that wait are not."""
        due = select(deliveries.c.update_seq).where(*_due(now, platform))
        some = due.limit(most).subquery()
        return (await connection.execute(select(func.count()).select_from(some))).scalar_one()

    @reads
    async def counts(self, connection: AsyncConnection) -> dict[DeliveryState, int]:
        """How many deliveries are in each state."""
        statement = select(deliveries.c.state, func.count()).group_by(deliveries.c.state)
        found = {row[0]: row[1] for row in await connection.execute(statement)}
        return {state: found.get(state, 0) for state in DeliveryState}

    @reads
    async def unaccounted(self, connection: AsyncConnection) -> int:
        """Deliveries that the jobs created and that are in no state, less those never created.

        It is 0 at any time: what is created is somewhere, and what is somewhere was created.
        """
        return int((await connection.execute(_UNACCOUNTED)).scalar_one())

    @reads
    async def message_of(
        self, connection: AsyncConnection, destination_id: int, update_id: str
    ) -> tuple[str, list[Seq]] | None:
        """The message that told a destination of an update: its id, and all that it told of."""
        mine = deliveries.c.destination_id == destination_id
        of_update = updates.c.seq == deliveries.c.update_seq, updates.c.id == update_id
        found = select(deliveries.c.message_id).where(mine, *of_update)
        message_id = await connection.scalar(found)
        if message_id is None:
            return None
        all_of_it = select(deliveries.c.update_seq).where(
            mine, deliveries.c.message_id == message_id, deliveries.c.state.in_(REACHED)
        )
        rows = await connection.scalars(all_of_it.order_by(deliveries.c.update_seq))
        return message_id, [Seq(row) for row in rows]

    @reads
    async def reached(self, connection: AsyncConnection, update_id: str) -> int:
        """How many destinations got an update, or may have got it."""
        statement = (
            select(func.count())
            .select_from(deliveries.join(updates, updates.c.seq == deliveries.c.update_seq))
            .where(updates.c.id == update_id, was_sent())
        )
        return (await connection.execute(statement)).scalar_one()

    @reads
    async def arrived(
        self, connection: AsyncConnection, destination_id: int, update_id: str
    ) -> bool:
        """Whether an update reached this destination, or an earlier attempt may have.

        For whoever has claimed what is due there: an attempt under way is not counted, unless it
        was on its way to the chat's former id.
        """
        former = select(destinations.c.id).where(destinations.c.moved_to == destination_id)
        ids = union_all(select(literal(destination_id, WholeNumber)), former)
        elsewhere = deliveries.c.destination_id != destination_id
        lost = deliveries.c.flight.bitwise_and(Flight.LOST) != 0
        statement = (
            select(deliveries.c.update_seq)
            .join(updates, updates.c.seq == deliveries.c.update_seq)
            .where(
                deliveries.c.destination_id.in_(ids),
                updates.c.id == update_id,
                deliveries.c.state.in_(REACHED) | lost | (elsewhere & on_its_way()),
            )
        )
        return (await connection.execute(statement)).first() is not None

    @reads
    async def told(
        self,
        connection: AsyncConnection,
        platform: Platform,
        chat_id: int,
        seq: Seq,
        message_id: str,
    ) -> tuple[Destination, ShowId] | None:
        """Which destination of a chat got an update in this message, and which show it was of.

        A message whose sending was never confirmed has no id here, and counts as well.
        """
        statement = (
            select(destinations.c.thread_id, destinations.c.home_id, updates.c.show_id)
            .join(deliveries, deliveries.c.destination_id == destinations.c.id)
            .join(updates, updates.c.seq == deliveries.c.update_seq)
            .where(
                destinations.c.platform == platform,
                destinations.c.chat_id == chat_id,
                deliveries.c.update_seq == seq,
                func.coalesce(deliveries.c.message_id, message_id) == message_id,
            )
        )
        row = (await connection.execute(statement)).first()
        if row is None:
            return None
        told = to_destination(platform, chat_id, row.thread_id, row.home_id)
        return told, ShowId(row.show_id)

    @reads
    async def failures(self, connection: AsyncConnection, limit: int) -> list[Failure]:
        """The last deliveries that did not arrive, newest first."""
        bad = (DeliveryState.FAILED, DeliveryState.UNCERTAIN)
        statement = (
            select(updates.c.id, destinations, deliveries.c.state, deliveries.c.reason,
                   deliveries.c.settled_at)
            .join(updates, updates.c.seq == deliveries.c.update_seq)
            .join(destinations, destinations.c.id == deliveries.c.destination_id)
            .where(deliveries.c.state.in_(bad))
            .order_by(deliveries.c.settled_at.desc())
            .limit(limit)
        )  # fmt: skip
        return [
            Failure(
                row[0],
                to_destination(row.platform, row.chat_id, row.thread_id, row.home_id),
                DeliveryState(row.state),
                row.reason,
                row.settled_at,
            )
            for row in await connection.execute(statement)
        ]


LONGEST_WAIT: Final = dt.timedelta(days=1)
"""No retry is further ahead than this; what seems to be was stamped by a clock that was wrong."""


async def _no_later_than(connection: AsyncConnection, now: dt.datetime) -> None:
    for table, waiting in ((deliveries, _PENDING), (fanouts, fanouts.c.done == 0)):
        beyond = table.c.due_at > now + LONGEST_WAIT
        await connection.execute(update(table).where(waiting, beyond).values(due_at=now))


def _due(now: dt.datetime, platform: Platform | None) -> tuple[ColumnElement[bool], ...]:
    lane = (deliveries.c.lane == platform,) if platform else ()
    return _PENDING, deliveries.c.due_at <= now, *lane


def _unwanted() -> ColumnElement[bool]:
    """The condition that a delivery is news for a chat that has unsubscribed since.

    What was on its way at that moment and failed comes back as pending, and is caught here.
    """
    # Correlated explicitly: two levels down, a table of the statement is taken for another one.
    moved = select(destinations.c.moved_to).where(destinations.c.id == deliveries.c.destination_id)
    chat = func.coalesce(moved.correlate(deliveries).scalar_subquery(), deliveries.c.destination_id)
    follows = exists().where(
        subscriptions.c.show_id == updates.c.show_id, subscriptions.c.destination_id == chat
    )
    unfollowed = ~follows.correlate(updates, deliveries)
    return exists().where(updates.c.seq == deliveries.c.update_seq, no_correction(), unfollowed)


async def _chosen(
    connection: AsyncConnection,
    now: dt.datetime,
    limit: int,
    busy: Collection[int],
    platform: Platform | None,
) -> set[int]:
    """The destinations to serve: those with a repeat that is due, then those due longest."""
    repeats, heads = (_REPEATS, _HEADS) if platform else (_REPEATS_ANYWHERE, _HEADS_ANYWHERE)
    given = {"now": now, "lane": platform, "busy": json.dumps(list(busy)), "most": limit}
    rows = list(await connection.scalars(repeats, given))
    chosen = set(rows)
    if len(rows) < limit:  # or else more repeats may be due
        others = {"busy": json.dumps([*busy, *chosen]), "most": limit - len(chosen)}
        chosen.update(await connection.scalars(heads, {**given, **others}))
    return chosen


async def _parcels(connection: AsyncConnection, claimed: list[Delivery]) -> list[Parcel]:
    """The claimed deliveries by destination, those due longest first."""
    ids = json.dumps(list({delivery.destination_id for delivery in claimed}))
    rows = list(await connection.execute(_ADDRESSES, {"chosen": ids}))
    where = {was: (to_destination(*address), now) for was, now, *address in rows}
    extras = await _extras(connection, {now for _, now in where.values()})
    parcels: dict[int, list[Delivery]] = {}
    for delivery in sorted(claimed, key=_place):
        parcels.setdefault(delivery.destination_id, []).append(delivery)
    return [
        Parcel(to, where[to][0], tuple(due), extras.get(where[to][1], _NO_EXTRAS))
        for to, due in parcels.items()
    ]


def _place(delivery: Delivery) -> tuple[int, ...]:
    """Where a delivery comes: by publication, a bundle as a whole by its first."""
    return delivery.bundle or delivery.seq, delivery.seq, delivery.destination_id


_NO_EXTRAS: Final[Mapping[ShowId, Extras]] = {}


async def _extras(
    connection: AsyncConnection, ids: Collection[int]
) -> dict[int, dict[ShowId, Extras]]:
    """The subscriptions of these destinations that have extras, by destination and show."""
    found: dict[int, dict[ShowId, Extras]] = {}
    rows = await connection.execute(_EXTRAS, {"chosen": json.dumps(list(ids))})
    for to, show, role_id, publish in rows:
        found.setdefault(to, {})[ShowId(show)] = Extras(role_id, bool(publish))
    return found


def _addresses() -> Select[Any]:
    """Where destinations are now: those that have moved, at their new chat."""
    now = destinations.alias()
    there = func.coalesce(destinations.c.moved_to, destinations.c.id) == now.c.id
    columns = (now.c.id, now.c.platform, now.c.chat_id, now.c.thread_id, now.c.home_id)
    return select(destinations.c.id.label("was"), *columns).join(now, there)


# Built once: putting these statements together for each claim costs more than running them.

_NOW: Final = bindparam("now", type_=deliveries.c.due_at.type)
_HEADS_ANYWHERE: Final = (
    select(deliveries.c.destination_id)
    .where(
        _PENDING,
        deliveries.c.due_at <= _NOW,
        deliveries.c.destination_id.op("NOT IN")(among(bindparam("busy", type_=Text))),
    )
    .order_by(deliveries.c.due_at, deliveries.c.destination_id)
    .limit(bindparam("most"))
)
_THIS_LANE: Final = deliveries.c.lane == bindparam("lane", type_=deliveries.c.lane.type)
_HEADS: Final = _HEADS_ANYWHERE.where(_THIS_LANE)
_REPEATS_ANYWHERE: Final = _HEADS_ANYWHERE.where(deliveries.c.bundle.is_not(None))
_REPEATS: Final = _REPEATS_ANYWHERE.where(_THIS_LANE)
_DUE_THERE: Final = (
    _PENDING,
    deliveries.c.due_at <= _NOW,
    deliveries.c.destination_id.op("IN")(among(bindparam("chosen", type_=Text))),
)
_EXPIRE_UNWANTED: Final = (
    update(deliveries)
    .where(*_DUE_THERE, _unwanted())
    .values(state=DeliveryState.EXPIRED, reason=UNSUBSCRIBED, settled_at=_NOW)
)
_EARLIER: Final = deliveries.alias()
_LATER_THAN: Final = (
    select(func.max(_EARLIER.c.due_at))
    .where(
        _EARLIER.c.destination_id == deliveries.c.destination_id,
        _EARLIER.c.update_seq < deliveries.c.update_seq,
        _EARLIER.c.state == DeliveryState.PENDING,
        _EARLIER.c.due_at > _NOW,
    )
    .correlate(deliveries)
    .scalar_subquery()
)
_LET_EARLIER_PASS: Final = (
    # What was published earlier and waits goes first; a repeat is earlier news by itself.
    update(deliveries)
    .where(*_DUE_THERE, deliveries.c.bundle.is_(None), _LATER_THAN.is_not(None))
    .values(due_at=_LATER_THAN)
)
_TAKE: Final = (
    update(deliveries)
    .where(*_DUE_THERE)
    .values(
        due_at=bindparam("until", type_=deliveries.c.due_at.type),
        attempts=deliveries.c.attempts + 1,
        flight=_TAKE_OFF,
    )
    .returning(
        deliveries.c.update_seq,
        deliveries.c.destination_id,
        deliveries.c.attempts,
        deliveries.c.bundle,
        deliveries.c.deaths,
    )
)
_ADDRESSES: Final = _addresses().where(
    destinations.c.id.op("IN")(among(bindparam("chosen", type_=Text)))
)

_EXTRAS: Final = select(
    subscriptions.c.destination_id,
    subscriptions.c.show_id,
    subscriptions.c.role_id,
    subscriptions.c.publish,
).where(
    text(f"({HAS_EXTRAS})"),
    subscriptions.c.destination_id.op("IN")(among(bindparam("chosen", type_=Text))),
)
_UNBUNDLED: Final = case((deliveries.c.bundle.is_(None), deliveries.c.update_seq))
_TRIED: Final = (_PENDING, on_its_way(), deliveries.c.deaths > 0)
_QUARANTINE: Final = (
    update(deliveries)
    .where(*_TRIED, deliveries.c.deaths >= MOST_DEATHS)
    .values(state=DeliveryState.UNCERTAIN, reason=QUARANTINED, settled_at=_NOW, flight=Flight.LOST)
)
_FREED: Final = (
    select(deliveries.c.destination_id, func.min(_UNBUNDLED).label("bundle"))
    .where(*_TRIED)
    .group_by(deliveries.c.destination_id)
    .subquery()
)
_RELEASE: Final = (
    update(deliveries)
    .where(*_TRIED, deliveries.c.destination_id == _FREED.c.destination_id)
    .values(
        due_at=_NOW,
        flight=Flight.LOST,
        bundle=func.coalesce(deliveries.c.bundle, _FREED.c.bundle),
    )
)
_RELEASE_UNTRIED: Final = (
    # Claimed, and never aboard.
    update(deliveries)
    .where(_PENDING, on_its_way())
    .values(due_at=_NOW, flight=LANDED, attempts=deliveries.c.attempts - 1)
)

_SUSPENDED: Final = exists().where(suspensions.c.destination_id == deliveries.c.destination_id)
_PENDING_STATE: Final[ColumnElement[str]] = literal_column(f"'{DeliveryState.PENDING}'")
_THIS: Final = update(deliveries).where(
    deliveries.c.destination_id == bindparam("to"),
    deliveries.c.update_seq == bindparam("seq"),
    _PENDING,
)
_AT: Final = bindparam("at", type_=deliveries.c.due_at.type)
_GIVE_BACK: Final = _THIS.values(
    due_at=_AT,
    attempts=deliveries.c.attempts - 1,
    flight=LANDED,
)
_TEXT: Final = Text()
_ROWS: Final = json_rows(bindparam("rows", type_=Text)).table_valued("value", name="given")


def _given(place: int, kind: TypeEngine[Any]) -> ColumnElement[Any]:
    """A field of what `_settled` hands over."""
    return cast(json_field(_ROWS.c.value, literal_column(str(place))), kind)


_NEW_STATE: Final = _given(2, _TEXT)
_ENDS: Final = _NEW_STATE.is_not(None)


def _at_its_end(column: ColumnElement[Any], value: ColumnElement[Any]) -> ColumnElement[Any]:
    """What a column becomes where an attempt has ended; one that is aboard keeps all."""
    return case((_ENDS, value), else_=column)


_TRAIL: Final = func.substr(
    func.coalesce(deliveries.c.trail + literal("\n", _TEXT), literal("", _TEXT))
    + _given(10, _TEXT),
    # Written out: PostgreSQL has no `substr` for the big whole numbers that are bound.
    literal_column("1"),
    literal_column(str(LONGEST_TRAIL)),
)
_SETTLE: Final = (
    update(deliveries)
    .where(
        deliveries.c.destination_id == _given(0, WholeNumber),
        deliveries.c.update_seq == _given(1, WholeNumber),
        _PENDING,
    )
    .values(
        # Resumed meanwhile: what nobody holds any more would never be freed.
        state=case(
            (and_(literal_column(f"'{DeliveryState.HELD}'") == _NEW_STATE, ~_SUSPENDED),
             _PENDING_STATE),
            else_=func.coalesce(_NEW_STATE, deliveries.c.state),
        ),
        due_at=func.coalesce(
            _given(3, WholeNumber), type_coerce(deliveries.c.due_at, WholeNumber)
        ),
        flight=_at_its_end(deliveries.c.flight, LANDED.bitwise_or(_given(4, WholeNumber))),
        attempts=deliveries.c.attempts - _given(5, WholeNumber),
        message_id=_at_its_end(deliveries.c.message_id, _given(6, _TEXT)),
        reason=_at_its_end(deliveries.c.reason, _given(7, _TEXT)),
        settled_at=_at_its_end(
            type_coerce(deliveries.c.settled_at, WholeNumber), _given(8, WholeNumber)
        ),
        # One that it has stays: where a bundle has shrunk, its rest goes together all the same.
        bundle=func.coalesce(deliveries.c.bundle, _given(9, WholeNumber)),
        trail=case((_given(10, _TEXT).is_(None), deliveries.c.trail), else_=_TRAIL),
        deaths=case(
            (_given(11, WholeNumber).is_(None), literal_column("0")),
            (deliveries.c.deaths + _given(11, WholeNumber) < 0, literal_column("0")),
            else_=deliveries.c.deaths + _given(11, WholeNumber),
        ),
    )
)  # fmt: skip

_ACCOUNTED: Final = select(func.count()).select_from(deliveries).scalar_subquery()
_UNACCOUNTED: Final = select(func.coalesce(func.sum(fanouts.c.created), 0) - _ACCOUNTED)
_LIFE: Final = case(
    (updates.c.kind.in_(SHORT_LIVED), literal(SHORT_LIFE // _MILLISECOND, WholeNumber)),
    else_=literal(LIFE // _MILLISECOND, WholeNumber),
)
_LATE: Final = (
    select(deliveries.c.destination_id, deliveries.c.update_seq)
    .join(suspensions, suspensions.c.destination_id == deliveries.c.destination_id)
    .join(fanouts, fanouts.c.update_seq == deliveries.c.update_seq)
    .join(updates, updates.c.seq == deliveries.c.update_seq)
    .where(
        deliveries.c.state == DeliveryState.HELD,
        type_coerce(fanouts.c.due_at, WholeNumber) + _LIFE < type_coerce(_NOW, WholeNumber),
    )
    .limit(bindparam("most"))
)
_EXPIRE_HELD: Final = (
    update(deliveries)
    .where(tuple_(deliveries.c.destination_id, deliveries.c.update_seq).in_(_LATE))
    .values(state=DeliveryState.EXPIRED, reason=TOO_LATE, settled_at=_NOW)
)


def _boarding(one: Delivery) -> list[object]:
    """What `_SETTLE` takes for one that is about to be sent."""
    return [one.destination_id, one.seq, None, None, 0, 0, None, None, None, None, None, 1]


def _settled(one: Settlement) -> list[object]:
    return [
        one.delivery.destination_id,
        one.delivery.seq,
        one.state,
        milliseconds(one.due_at) if one.due_at else None,
        Flight.LOST if one.maybe_sent else Flight.GROUNDED,
        0 if one.counted else 1,
        one.message_id,
        one.reason,
        milliseconds(one.at),
        one.bundle,
        one.told,
        # What was tried has been survived; what was not takes back that it was aboard.
        None if one.counted else -int(one.aboard),
    ]
