"""What is known of a season: the fold of its updates, and what a new one changes. Pure.

The log is never edited, so what is known is computed from it: a retraction or a superseding
update takes its target out, and what remains is read in the order of publication. Folding
everything at once or poll by poll gives the same.
"""

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import reduce
from typing import Any, Final

from bot.dates import TBA, Change, Precision, ReleaseDate
from bot.model import ShowId, Update, UpdateId, UpdateKind


class Stage(StrEnum):
    """The ladder a season climbs; every step is one update."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    RENEWED = "renewed"
    WINDOW = "window"
    DATED = "dated"
    POSTPONED = "postponed"
    RELEASED = "released"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Known:
    """What is confirmed of one season (or part), each fact with the update that says it.

    `dated` holds the update of the date in force, `previous_date` the date before that one;
    `rumours` are the guesses of others, never mixed with the facts; `also` the second sources.
    """

    order: Update | None = None
    dated: Update | None = None
    previous_date: ReleaseDate | None = None
    change: Change | None = None
    trailer: Update | None = None
    teaser: Update | None = None
    released: Update | None = None
    ending: Update | None = None
    pending: Update | None = None
    production: Update | None = None
    rumours: tuple[Update, ...] = ()
    contradictions: tuple[Update, ...] = ()
    also: tuple[Update, ...] = ()

    @property
    def date(self) -> ReleaseDate:
        """The release date in force; TBA when none is announced or it was postponed."""
        return self.dated.date.value if self.dated and self.dated.date else TBA

    @property
    def stage(self) -> Stage:
        """The highest step of the ladder that is confirmed."""
        if self.order and self.order.kind is UpdateKind.CANCELLED:
            return Stage.CANCELLED
        if self.released:
            return Stage.RELEASED
        if self.dated:
            return self._dated_stage
        if self.order:
            return Stage.RENEWED
        return Stage.PENDING if self.pending else Stage.UNKNOWN

    @property
    def _dated_stage(self) -> Stage:
        if self.dated and self.dated.kind is UpdateKind.POSTPONED:
            return Stage.POSTPONED
        return Stage.DATED if self.date.precision is Precision.DAY else Stage.WINDOW

    @property
    def facts(self) -> tuple[Update, ...]:
        """The confirmed updates in force, in the order they were announced."""
        slots = (
            self.order, self.dated, self.trailer, self.teaser,
            self.released, self.ending, self.pending, self.production,
        )  # fmt: skip
        return tuple(sorted((slot for slot in slots if slot), key=lambda update: update.announced))

    @property
    def last_confirmed(self) -> dt.date | None:
        """The day of the newest confirmed fact."""
        return max((update.announced for update in (*self.facts, *self.also)), default=None)


@dataclass(frozen=True, slots=True)
class SeasonKey:
    """A season of a show, or a part of one; `season` is `None` for the show as a whole."""

    show: ShowId
    season: int | None
    part: int | None = None


@dataclass(frozen=True, slots=True)
class SeasonState:
    """The log of one season so far, and what is known from it."""

    key: SeasonKey
    log: tuple[Update, ...] = ()
    known: Known = field(default_factory=Known)

    def after(self, updates: Iterable[Update]) -> "SeasonState":
        """The state once `updates`, later in the log, are read as well."""
        log = self.log + tuple(update for update in updates if _matters(update, self.key))
        return SeasonState(
            self.key, log, _know([one for one in in_force(log) if concerns(one, self.key)])
        )


def concerns(update: Update, key: SeasonKey) -> bool:
    """Whether an update tells about this season: its own, or for a part an order of the whole."""
    if (update.show, update.season) != (key.show, key.season):
        return False
    return update.part == key.part or (update.part is None and update.kind in _WHOLE_SEASON)


def _matters(update: Update, key: SeasonKey) -> bool:
    # A part follows the orders of its whole season, and so what takes them back.
    return concerns(update, key) or bool(update.retracts or update.supersedes)


def key_of(update: Update) -> SeasonKey:
    """The season an update is about."""
    return SeasonKey(update.show, update.season, update.part)


def fold(key: SeasonKey, updates: Iterable[Update]) -> SeasonState:
    """What is known of one season after its log, or the log of its show."""
    return SeasonState(key).after(updates)


def fold_show(updates: Sequence[Update]) -> list[SeasonState]:
    """Every season and part of one show that an update is about, in order, the whole show first."""
    seasons: dict[int | None, list[Update]] = {}
    for update in updates:
        seasons.setdefault(update.season, []).append(update)
    keys = sorted({key_of(update) for update in updates}, key=_place)
    return [fold(key, seasons[key.season]) for key in keys]


def _place(key: SeasonKey) -> tuple[int, int]:
    return (-1 if key.season is None else key.season, -1 if key.part is None else key.part)


def withdrawn(updates: Iterable[Update]) -> frozenset[UpdateId]:
    """The updates that were retracted."""
    return frozenset(update.retracts for update in updates if update.retracts)


def in_force(updates: Sequence[Update]) -> list[Update]:
    """The updates that still count: not retracted, not superseded, and no retractions."""
    gone = withdrawn(updates)
    replaced = {update.supersedes for update in updates if update.id not in gone}
    return [
        update
        for update in updates
        if update.id not in gone and update.id not in replaced and not update.retracts
    ]


def _know(updates: Sequence[Update]) -> Known:
    return reduce(_Learner(frozenset(update.id for update in updates)), updates, Known())


_SLOTS: Final = {
    UpdateKind.RENEWED: "order",
    UpdateKind.CANCELLED: "order",
    UpdateKind.SAVED: "order",
    UpdateKind.TRAILER: "trailer",
    UpdateKind.TEASER: "teaser",
    UpdateKind.RELEASED: "released",
    UpdateKind.ENDING: "ending",
    UpdateKind.PENDING: "pending",
    UpdateKind.PRODUCTION: "production",
}
_WHOLE_SEASON: Final = frozenset(
    {UpdateKind.RENEWED, UpdateKind.CANCELLED, UpdateKind.SAVED, UpdateKind.ENDING}
)


@dataclass(frozen=True, slots=True)
class _Learner:
    """Adds one update in force to what is known; `ids` are all the updates in force."""

    ids: frozenset[UpdateId]

    def __call__(self, known: Known, update: Update) -> Known:
        if not update.confirmed:
            return replace(known, rumours=(*known.rumours, update))
        rumours = tuple(rumour for rumour in known.rumours if rumour.kind is not update.kind)
        known = replace(known, rumours=rumours)
        if update.also in self.ids:
            return replace(known, also=(*known.also, update))
        if update.kind in _ABOUT_DATES and outdated(known, update):
            return known
        if update.kind is UpdateKind.POSTPONED:
            return replace(known, dated=update, previous_date=_or_none(known.date), change=None)
        if update.kind is UpdateKind.DATED and update.date:
            return _learn_date(known, update, update.date.value)
        slot = _SLOTS.get(update.kind)
        learned: dict[str, Any] = {slot: update} if slot else {}
        return replace(known, **learned)


_ABOUT_DATES: Final = frozenset({UpdateKind.DATED, UpdateKind.POSTPONED})


def outdated(known: Known, update: Update) -> bool:
    """Whether a date was announced before the one in force: it adds to the record, no more."""
    return (
        known.dated is not None
        and not update.supersedes
        and update.announced < known.dated.announced
    )


def _learn_date(known: Known, update: Update, value: ReleaseDate) -> Known:
    change = value.change_from(_or_none(known.date))
    if change is Change.UNCHANGED:
        return replace(known, also=(*known.also, update))
    if change is Change.CONTRADICTED:
        return replace(known, contradictions=(*known.contradictions, update))
    return replace(known, dated=update, previous_date=_or_none(known.date), change=change)


def _or_none(value: ReleaseDate) -> ReleaseDate | None:
    return None if value.precision is Precision.TBA else value


def same_fact(update: Update, log: Sequence[Update]) -> Update | None:
    """The update in force that already says this, when `update` is only a second source of it.

    A guess and a fact are never the same. Of dates and orders only the one in force counts: a
    season that was moved and moved back has news.
    """
    if not update.confirmed or update.retracts or update.supersedes:
        return None
    known = fold(key_of(update), log).known
    if update.kind is UpdateKind.DATED and update.date:
        change = update.date.value.change_from(_or_none(known.date))
        return known.dated if change is Change.UNCHANGED else None
    if update.kind is UpdateKind.POSTPONED:
        off = known.dated and known.dated.kind is UpdateKind.POSTPONED
        return known.dated if off else None
    candidates = in_force([known_update for known_update in log if known_update.confirmed])
    if update.kind in _ORDERS:
        current = known.order
        return current if current and current.kind is update.kind else None
    return next((other for other in candidates if _fact(other) == _fact(update)), None)


_ORDERS: Final = frozenset({UpdateKind.RENEWED, UpdateKind.CANCELLED, UpdateKind.SAVED})


def _fact(update: Update) -> tuple[SeasonKey, UpdateKind, str | None]:
    return key_of(update), update.kind, normal_value(update.value)


def normal_value(value: str | None) -> str | None:
    """A value as compared: the same video by its long and its short address is one."""
    if value is None:
        return None
    video = _YOUTUBE.search(value)
    return f"youtube:{video['id']}" if video else value.rstrip("/")


_YOUTUBE: Final = re.compile(
    r"^https?://(?:(?:www\.|m\.)?youtube\.com/(?:watch\?(?:.*&)?v=|shorts/|embed/)|youtu\.be/)"
    r"(?P<id>[\w-]{11})"
)
