"""The tables, once for both databases.

shows ─┬─ titles              every title a show is known by, for the search
       └─ updates             the log: append-only, `seq` is the order of publication
destinations ─┬─ subscriptions    destination × show, with the kinds it wants
              ├─ suspensions      destinations that cannot be reached for now, and why
              ├─ doubts           destinations that perhaps cannot be reached, not believed yet
              ├─ wishes           titles asked for that the catalogue lacks
              ├─ posts            the thread that a destination has for a show
              └─ deliveries       the outbox: destination × update, unique
fanouts                       one job per pushed update, and how far it is expanded
keyboards                     the buttons below an answer, and what each of them does
focuses                       the chat that a direct chat speaks for
counters                      the last `seq`, the poll's cursor, the catalogue's version
notes                         what a platform remembers between starts
"""

import datetime as dt
from enum import IntFlag
from typing import Any, Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ColumnElement,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    exists,
    text,
    type_coerce,
)
from sqlalchemy.types import TypeDecorator

from bot.model import DeliveryState, Kinds, Platform, UpdateKind
from storage.database import CLUSTERED, NEVER_REUSED, STRICT, WholeNumber, partial_index

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_BITS: Final = {
    UpdateKind.RENEWED: 1,
    UpdateKind.DATED: 2,
    UpdateKind.TRAILER: 4,
    UpdateKind.CANCELLED: 8,
}


class Moment(TypeDecorator[dt.datetime]):
    """An aware UTC time, kept as whole milliseconds since 1970."""

    impl = WholeNumber
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> int | None:
        """To milliseconds."""
        return None if value is None else milliseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> dt.datetime | None:
        """From milliseconds."""
        return None if value is None else _EPOCH + dt.timedelta(milliseconds=value)


def milliseconds(moment: dt.datetime) -> int:
    """A time as it is stored."""
    return (moment - _EPOCH) // dt.timedelta(milliseconds=1)


class KindSet(TypeDecorator[Kinds]):
    """The kinds a subscription wants, kept as bits."""

    impl = WholeNumber
    cache_ok = True

    def process_bind_param(self, value: Kinds | None, dialect: Dialect) -> int | None:
        """To bits."""
        return None if value is None else bits(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Kinds | None:
        """From bits."""
        return None if value is None else frozenset(k for k, bit in _BITS.items() if value & bit)


_LANES: Final = {Platform.TERMINAL: 0, Platform.DISCORD: 1, Platform.TELEGRAM: 2}


class Lane(TypeDecorator[Platform]):
    """A platform as a small number: every delivery has one, so that each platform's are found."""

    impl = WholeNumber
    cache_ok = True

    def process_bind_param(self, value: Platform | None, dialect: Dialect) -> int | None:
        """To its number."""
        return None if value is None else _LANES[value]

    def process_result_value(self, value: Any, dialect: Dialect) -> Platform | None:
        """From its number."""
        return None if value is None else _PLATFORMS[value]


_PLATFORMS: Final = {number: platform for platform, number in _LANES.items()}


class Flight(IntFlag):
    """Whether a delivery may have reached its destination before it is settled.

    `OPEN` is on its way now, `LOST` was on its way before and may have arrived.
    """

    GROUNDED = 0
    OPEN = 1
    LOST = 2


def bits(kinds: Kinds) -> int:
    """Kinds as the bits that are stored."""
    return sum(_BITS[kind] for kind in kinds)


def _one_of(column: str, names: type[Platform] | type[DeliveryState]) -> CheckConstraint:
    listed = ", ".join(f"'{name}'" for name in names)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _within(column: str, least: int, most: int) -> CheckConstraint:
    return CheckConstraint(f"{column} BETWEEN {least} AND {most}", name=column)


def _flag(column: str) -> CheckConstraint:
    return CheckConstraint(f"{column} IN (0, 1)", name=column)


metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

counters: Final = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", WholeNumber, nullable=False),
    **CLUSTERED,
)

shows: Final = Table(
    "shows",
    metadata,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("record", Text, nullable=False),
    **CLUSTERED,
)

titles: Final = Table(
    "titles",
    metadata,
    Column("show_id", Text, ForeignKey("shows.id", ondelete="CASCADE"), nullable=False),
    Column("place", WholeNumber, nullable=False),
    Column("title", Text, nullable=False),
    PrimaryKeyConstraint("show_id", "place"),
    **CLUSTERED,
)

updates: Final = Table(
    "updates",
    metadata,
    Column("seq", WholeNumber, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("show_id", Text, ForeignKey("shows.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("confirmed", WholeNumber, _flag("confirmed"), nullable=False),
    Column("announced", Text, nullable=False),
    # The last day that a confirmed date leaves open; nothing for other kinds.
    Column("until", Text),
    Column("pushes", WholeNumber, _flag("pushes"), nullable=False),
    Column("retracts_seq", WholeNumber),
    Column("record", Text, nullable=False),
    Column("supersedes_seq", WholeNumber),
    UniqueConstraint("id"),
    Index("ix_updates_show", "show_id", "seq"),
    Index("ix_updates_announced", "announced", "seq"),
    partial_index("ix_updates_until", "until", where="until IS NOT NULL"),
    **STRICT,
)

destinations: Final = Table(
    "destinations",
    metadata,
    Column("id", WholeNumber, primary_key=True),
    Column("platform", Text, _one_of("platform", Platform), nullable=False),
    Column("chat_id", WholeNumber, nullable=False),
    Column("thread_id", WholeNumber, nullable=False, server_default=text("0")),
    # The chat got another id that was known already: what was on its way stays here until it ends.
    Column("moved_to", WholeNumber),
    # The server that the chat belongs to, on platforms which have such.
    Column("home_id", WholeNumber),
    UniqueConstraint("platform", "chat_id", "thread_id"),
    partial_index("ix_destinations_moved", "moved_to", where="moved_to IS NOT NULL"),
    partial_index("ix_destinations_home", "platform", "home_id", where="home_id IS NOT NULL"),
    **NEVER_REUSED,
)

suspensions: Final = Table(
    "suspensions",
    metadata,
    Column(
        "destination_id",
        WholeNumber,
        ForeignKey("destinations.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("reason", Text, nullable=False),
    Column("since", Moment, nullable=False),
    **STRICT,
)

doubts: Final = Table(
    "doubts",
    metadata,
    Column(
        "destination_id",
        WholeNumber,
        ForeignKey("destinations.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("reason", Text, nullable=False),
    Column("since", Moment, nullable=False),
    Column("times", WholeNumber, nullable=False),
    **STRICT,
)

HAS_EXTRAS: Final = "role_id IS NOT NULL OR publish = 1"
"""The condition that alerts of a subscription do more than arrive; an index has it verbatim."""

subscriptions: Final = Table(
    "subscriptions",
    metadata,
    Column("show_id", Text, ForeignKey("shows.id"), nullable=False),
    Column(
        "destination_id",
        WholeNumber,
        ForeignKey("destinations.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("kinds", KindSet, _within("kinds", 1, 15), nullable=False),
    # Only updates after this one are news to the subscriber: no backlog, whenever it is expanded.
    Column("since_seq", WholeNumber, nullable=False),
    # The destination's platform again: a fan-out copies it without looking it up.
    Column("lane", Lane, nullable=False, server_default=text("0")),
    # The role that alerts ping.
    Column("role_id", WholeNumber),
    # Whether alerts go on to the channels that follow this one.
    Column("publish", WholeNumber, _flag("publish"), nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("show_id", "destination_id"),
    Index("ix_subscriptions_destination", "destination_id", "show_id"),
    partial_index("ix_subscriptions_extras", "destination_id", "show_id", where=HAS_EXTRAS),
    **CLUSTERED,
)

wishes: Final = Table(
    "wishes",
    metadata,
    Column(
        "destination_id",
        WholeNumber,
        ForeignKey("destinations.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("asked", Text, nullable=False),
    Column("at", Moment, nullable=False),
    PrimaryKeyConstraint("destination_id", "asked"),
    **CLUSTERED,
)

fanouts: Final = Table(
    "fanouts",
    metadata,
    Column(
        "update_seq",
        WholeNumber,
        ForeignKey("updates.seq"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("show_id", Text, nullable=False),
    Column("kinds", KindSet, nullable=False),
    Column("retracts_seq", WholeNumber),
    Column("due_at", Moment, nullable=False),
    # Destinations up to this id are expanded already.
    Column("mark", WholeNumber, nullable=False, server_default=text("0")),
    Column("created", WholeNumber, nullable=False, server_default=text("0")),
    Column("done", WholeNumber, _flag("done"), nullable=False, server_default=text("0")),
    # The mistake that the update replaces: whoever got that is told besides those who follow.
    Column("corrects_seq", WholeNumber),
    partial_index("ix_fanouts_open", "update_seq", where="done = 0"),
    **STRICT,
)

deliveries: Final = Table(
    "deliveries",
    metadata,
    Column(
        "destination_id",
        WholeNumber,
        ForeignKey("destinations.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("update_seq", WholeNumber, ForeignKey("updates.seq"), nullable=False),
    Column("state", Text, _one_of("state", DeliveryState), nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("attempts", WholeNumber, nullable=False, server_default=text("0")),
    # The bits of `Flight`.
    Column(
        "flight",
        WholeNumber,
        _within("flight", 0, 3),
        nullable=False,
        server_default=text("0"),
    ),
    Column("message_id", Text),
    Column("reason", Text),
    Column("settled_at", Moment),
    Column("lane", Lane, nullable=False, server_default=text("0")),
    # Deliveries of one message that may have arrived: it is repeated with exactly these.
    Column("bundle", WholeNumber),
    # How often it was sent off and nothing was heard of it: the process died meanwhile.
    Column("deaths", WholeNumber, nullable=False, server_default=text("0")),
    # What came of its attempts, a line each; nothing where the first one arrived.
    Column("trail", Text),
    PrimaryKeyConstraint("destination_id", "update_seq"),
    partial_index("ix_deliveries_due", "lane", "due_at", where="state = 'pending'"),
    partial_index(
        "ix_deliveries_repeats",
        "lane",
        "due_at",
        where="state = 'pending' AND bundle IS NOT NULL",
    ),
    partial_index(
        "ix_deliveries_waiting", "destination_id", "update_seq", where="state = 'pending'"
    ),
    **CLUSTERED,
)

posts: Final = Table(
    "posts",
    metadata,
    Column(
        "destination_id",
        WholeNumber,
        ForeignKey("destinations.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("show_id", Text, nullable=False),
    Column("thread_id", WholeNumber, nullable=False),
    PrimaryKeyConstraint("destination_id", "show_id"),
    **CLUSTERED,
)

notes: Final = Table(
    "notes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    **CLUSTERED,
)

keyboards: Final = Table(
    "keyboards",
    metadata,
    Column("id", Text, primary_key=True),
    Column("platform", Text, _one_of("platform", Platform), nullable=False),
    # Where the message stands; what its buttons do is done for the second chat and thread.
    Column("chat_id", WholeNumber, nullable=False),
    Column("message_id", Text),
    Column("for_chat_id", WholeNumber, nullable=False),
    Column("for_thread_id", WholeNumber, nullable=False),
    Column("user_id", WholeNumber, nullable=False),
    Column("commands", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
    Index("ix_keyboards_made", "made_at"),
    Index("ix_keyboards_for", "platform", "for_chat_id"),
    **STRICT,
)

focuses: Final = Table(
    "focuses",
    metadata,
    Column("platform", Text, _one_of("platform", Platform), nullable=False),
    Column("chat_id", WholeNumber, nullable=False),
    Column("for_chat_id", WholeNumber, nullable=False),
    PrimaryKeyConstraint("platform", "chat_id"),
    **CLUSTERED,
)

LANDED: Final = deliveries.c.flight.bitwise_and(Flight.LOST)
"""What stays when an attempt has ended: that an earlier one may have arrived."""


def on_its_way() -> ColumnElement[bool]:
    """The condition that a delivery is claimed: its outcome is not known yet."""
    return deliveries.c.flight.bitwise_and(Flight.OPEN) != 0


REACHED: Final = (DeliveryState.SENT, DeliveryState.UNCERTAIN)
"""The states of what arrived, or may have."""


def was_sent() -> ColumnElement[bool]:
    """The condition that a delivery reached its destination, or may have."""
    return deliveries.c.state.in_(REACHED) | (deliveries.c.flight > Flight.GROUNDED)


def no_correction() -> ColumnElement[bool]:
    """The condition that an update tells its delivery's destination of no mistake it got.

    A correction goes out even to whoever has unsubscribed since: they keep the mistake otherwise.
    """
    mistake = deliveries.alias()
    got = exists().where(
        mistake.c.destination_id == deliveries.c.destination_id,
        mistake.c.update_seq == updates.c.supersedes_seq,
        mistake.c.state.in_(REACHED) | (mistake.c.flight > Flight.GROUNDED),
    )
    return updates.c.retracts_seq.is_(None) & ~got.correlate(deliveries, updates)


def wants(wanted: ColumnElement[int]) -> ColumnElement[bool]:
    """The condition that a subscription wants some of these kinds (as bits)."""
    return type_coerce(subscriptions.c.kinds, WholeNumber).bitwise_and(wanted) != 0


def reachable_and_wants(wanted: ColumnElement[int]) -> tuple[ColumnElement[bool], ...]:
    """The conditions that a subscription wants some of these kinds (as bits), and can be served."""
    suspended = exists().where(suspensions.c.destination_id == subscriptions.c.destination_id)
    return wants(wanted), ~suspended
