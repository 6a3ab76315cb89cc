"""The quality rules of the curated store: what may be published, and what of it is news. Pure.

`complete` fills in what follows from the rest, `check` raises `BadRecord` for the first rule that
is broken, `quiet_reason` says why something is recorded without being pushed.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bot.dates import Change, ReleaseDate
from bot.errors import BadRecord
from bot.model import Certainty, Push, Show, Update, UpdateId, UpdateKind, followed_as
from bot.seasons import (
    Known,
    SeasonKey,
    Stage,
    fold,
    fold_show,
    in_force,
    key_of,
    outdated,
    same_fact,
    withdrawn,
)
from bot.trust import Trust

NEWS_AGE: Final = dt.timedelta(days=30)
"""An announcement older than this is no news any more: it is recorded quietly."""

_BEGUN: Final = dt.date(2026, 11, 22)
_TIME_ZONES: Final = dt.timedelta(days=1)
_HORIZON: Final = dt.timedelta(days=5 * 366)
_DATED_KINDS: Final = frozenset({UpdateKind.DATED, UpdateKind.RELEASED})
_VIDEO_KINDS: Final = frozenset({UpdateKind.TRAILER, UpdateKind.TEASER})
_NO_SEASON_NEEDED: Final = frozenset(
    {UpdateKind.CANCELLED, UpdateKind.ENDING, UpdateKind.SAVED, UpdateKind.RETRACTED}
)


@dataclass(frozen=True, slots=True)
class Context:
    """What a record is checked against: its show, the show's log so far, trust, and the day."""

    show: Show
    log: Sequence[Update]
    trust: Trust
    today: dt.date

    def find(self, update_id: UpdateId) -> Update | None:
        """The update of this show with that id."""
        return next((update for update in self.log if update.id == update_id), None)

    def known(self, key: SeasonKey) -> Known:
        """What is known of a season before the record."""
        return fold(key, self.log).known


def complete(update: Update, context: Context) -> Update:
    """The update with what follows from the rest: the speaker's role, `also`, no push for a guess.

    A second source names the first in `also`; it is never pushed.
    """
    if update.speaker and update.speaker_role is None and update.certainty is Certainty.OFFICIAL:
        update = replace(update, speaker_role=context.trust.role(update.speaker, context.show))
    first = same_fact(update, context.log)
    if update.also is None and first is not None:
        return replace(update, also=first.id)
    late = update.kind is UpdateKind.DATED and outdated(context.known(key_of(update)), update)
    return replace(update, push=Push.QUIET) if late and update.push is Push.AUTO else update


def check(update: Update, context: Context) -> None:
    """Raise `BadRecord` for the first quality rule that the update breaks."""
    if update.retracts:
        _check_retraction(update, context)
        return
    _check_not_ahead(update, context.today)
    _check_certainty(update, context.trust)
    _check_parts_of_kind(update)
    _check_references(update, context)
    _check_new(update, context)
    if update.confirmed:
        _check_decision(update, context)
        _check_date(update, context)


def quiet_reason(update: Update, today: dt.date) -> str | None:
    """Why an update is recorded without being sent to anybody, or `None` when it is news."""
    if not update.confirmed:
        return "a guess is never pushed"
    if update.also:
        return f"it confirms {update.also} from a second source"
    if followed_as(update.kind) is None and not update.retracts:
        return f"{update.kind} is kept on record only"
    if update.retracts:
        return None if update.push is Push.AUTO else "it was recorded quietly"
    age = today - update.announced
    if age > NEWS_AGE:
        return f"it was announced {age.days} days ago, which is no news any more"
    if update.kind is UpdateKind.DATED and _ended(
        update.date.value if update.date else None, today
    ):
        return "its date has passed"
    return None if update.push is Push.AUTO else "it was recorded quietly"


def _ended(value: ReleaseDate | None, today: dt.date) -> bool:
    return value is not None and value.upper is not None and value.upper < today


def _check_certainty(update: Update, trust: Trust) -> None:
    if update.certainty is Certainty.SPECULATION:
        if update.push is not Push.NEVER:
            raise BadRecord("push", "a guess is never pushed: set it to 'never'.")
    elif update.certainty is Certainty.OFFICIAL:
        _check_official(update)
    elif trust.outlet(update.source.outlet, update.source.url) is None:
        named = update.source.outlet or update.source.url or "nobody"
        raise BadRecord(
            "source.outlet",
            f"{named!r} is not on the list of trusted outlets. Name one that is, or record this "
            "as speculation.",
        )


def _check_official(update: Update) -> None:
    if not update.speaker:
        raise BadRecord("speaker", "an official fact names who said it.")
    if update.speaker_role is None:
        raise BadRecord(
            "speaker",
            f"{update.speaker!r} is not known to decide about this show. Say what they are, such "
            f"as 'showrunner {update.speaker}', or record this as reported.",
        )
    if not update.source.url:
        raise BadRecord("source.url", "an official fact has the address where it was said.")


def _check_not_ahead(update: Update, today: dt.date) -> None:
    # A computer that does not know the time yet begins in 1970.
    latest = max(today, _BEGUN) + _TIME_ZONES
    if update.announced > latest:
        raise BadRecord("source.published", f"{update.announced} is in the future.")
    if update.recorded_at.date() > latest:
        raise BadRecord("recorded_at", f"{update.recorded_at} is in the future.")


def _check_parts_of_kind(update: Update) -> None:
    kind = update.kind
    if kind is UpdateKind.RETRACTED:
        raise BadRecord("retracts", "a retraction names the update it takes back.")
    if update.season is None and kind not in _NO_SEASON_NEEDED:
        raise BadRecord("season", f"{kind} is about a season: give its number.")
    if kind is UpdateKind.DATED and update.date is None:
        raise BadRecord(
            "date", "a dated update has a date; one that is not announced is no update."
        )
    if update.date and kind not in _DATED_KINDS:
        raise BadRecord("date", f"{kind} has no date of release; record that as a dated update.")
    if kind in _VIDEO_KINDS and not (update.value or "").startswith("https://"):
        raise BadRecord("value", f"a {kind} has the https address of the video.")


def _check_references(update: Update, context: Context) -> None:
    valid = {other.id: other for other in in_force(context.log)}
    for field in ("supersedes", "reverses", "also"):
        target = getattr(update, field)
        if target and target not in valid:
            raise BadRecord(field, f"no update of this show in force has the id {target}.")
    if update.supersedes:
        if not update.reason:
            raise BadRecord("reason", "a correction says why.")
        if key_of(valid[update.supersedes]) != key_of(update):
            raise BadRecord("supersedes", "a correction is about the same season and part.")
        if valid[update.supersedes].confirmed and not update.confirmed:
            raise BadRecord("supersedes", "a guess cannot take the place of a confirmed fact.")


def _check_new(update: Update, context: Context) -> None:
    """A second source is another source; the same one again is a slip of the curator's."""
    first = context.find(update.also) if update.also else None
    if first and (first.source.url, first.source.outlet, first.speaker) == (
        update.source.url,
        update.source.outlet,
        update.speaker,
    ):
        raise BadRecord("", f"this is recorded already from the same source ({first.id}).")


def _check_retraction(update: Update, context: Context) -> None:
    target = context.find(update.retracts) if update.retracts else None
    if target is None:
        raise BadRecord(
            "retracts",
            f"no update of this show has the id {update.retracts}; see `cliffhanger updates`.",
        )
    if target.retracts:
        raise BadRecord("retracts", "a retraction cannot be retracted: publish the fact again.")
    if any(other.retracts == target.id for other in context.log):
        raise BadRecord("retracts", f"{target.id} is retracted already.")
    if update.kind is not UpdateKind.RETRACTED:
        raise BadRecord("kind", "an update that takes another one back is of the kind 'retracted'.")
    if key_of(target) != key_of(update):
        raise BadRecord("season", "a retraction is about the season and part of its target.")
    if target.confirmed and not update.confirmed:
        raise BadRecord("certainty", "a guess cannot take back a confirmed fact.")
    if target not in in_force(context.log):
        gone = withdrawn(context.log)
        later = next(
            other.id
            for other in context.log
            if other.supersedes == target.id and other.id not in gone
        )
        raise BadRecord("retracts", f"{target.id} was corrected by {later} already; retract that.")
    if not update.reason:
        raise BadRecord("reason", "a retraction says why.")


def _check_decision(update: Update, context: Context) -> None:
    """Orders and cancellations agree with what was decided before."""
    order = context.known(key_of(update)).order
    if update.kind is UpdateKind.CANCELLED and update.season is None:
        order = order or _last_order(context)
    if update.kind is UpdateKind.CANCELLED:
        if context.show.limited:
            raise BadRecord("kind", "a limited series has no next season that could be cancelled.")
        renewed = order is not None and order.kind is not UpdateKind.CANCELLED
        if order and renewed and order.id not in (update.reverses, update.supersedes):
            raise BadRecord(
                "reverses",
                f"{_season(order)} was {order.kind} ({order.id}). Name that update to say that the "
                "decision was reversed, or the season that will not come.",
            )
    if update.kind is UpdateKind.SAVED and not any(
        other.kind is UpdateKind.CANCELLED and other.confirmed for other in in_force(context.log)
    ):
        raise BadRecord("kind", "only a cancelled show can be saved; no cancellation is on record.")
    if update.kind is UpdateKind.RENEWED:
        order = order or context.known(SeasonKey(update.show, None)).order
    if update.kind in (UpdateKind.RENEWED, UpdateKind.DATED) and order:
        _check_not_cancelled(update, order)


def _last_order(context: Context) -> Update | None:
    """The order of the highest season that is not out yet, as far as is on record."""
    states = [state for state in fold_show(context.log) if state.key.season is not None]
    ahead = [state for state in states[-1:] if state.known.stage is not Stage.RELEASED]
    return ahead[0].known.order if ahead else None


def _season(update: Update) -> str:
    return f"season {update.season}" if update.season is not None else "the show"


def _check_not_cancelled(update: Update, order: Update) -> None:
    if order.kind is UpdateKind.CANCELLED and order.id not in (update.reverses, update.supersedes):
        raise BadRecord(
            "kind",
            f"it was cancelled ({order.id}). Record it as saved, or name that update as reversed.",
        )


def _check_date(update: Update, context: Context) -> None:
    if update.kind is not UpdateKind.DATED or update.date is None:
        return
    value = update.date.value
    if value.lower and value.lower > context.today + _HORIZON:
        raise BadRecord("date", f"{value.edtf} is more than 5 years ahead.")
    known = context.known(key_of(update))
    if known.stage is Stage.RELEASED and not update.also:
        raise BadRecord("date", "this season is out already; it cannot be dated any more.")
    if _surely_before(value, known.order):
        raise BadRecord("date", f"{value.edtf} is before the renewal was announced.")
    settled = update.supersedes or outdated(known, update)
    if not settled and value.change_from(known.date) is Change.CONTRADICTED:
        raise BadRecord(
            "date",
            f"{value.edtf} is less exact than what is known ({known.date.edtf}, "
            f"{known.dated.id if known.dated else ''}). If that is wrong, supersede or retract it.",
        )
    _check_order(update, value, context)


def _surely_before(value: ReleaseDate, order: Update | None) -> bool:
    return order is not None and value.upper is not None and value.upper < order.announced


def _check_order(update: Update, value: ReleaseDate, context: Context) -> None:
    """Seasons come out in the order of their numbers, and so do the parts of a season."""
    here = (update.season or 0, update.part or 0)
    for state in fold_show(context.log):
        known = state.known.date
        there = (state.key.season or 0, state.key.part or 0)
        whole = there[0] == here[0] and 0 in (there[1], here[1])
        if state.key.season is None or there == here or whole:
            continue
        early, late = (known, value) if there < here else (value, known)
        if early.lower and late.upper and late.upper < early.lower:
            name = f"season {there[0]}" + (f", part {there[1]}" if there[1] else "")
            raise BadRecord(
                "date",
                f"{value.edtf} does not fit {name}, which is dated {known.edtf}: seasons and "
                "parts come out in order.",
            )
