"""What is pushed: one message for one update, the event first, the source always. Pure."""

from dataclasses import dataclass, replace
from typing import Final

from bot.dates import TBA, Change, ReleaseDate
from bot.message import Action, Line, Link, Message, joined, line, present
from bot.message.dates import date_line, day_piece, wording
from bot.message.facts import (
    claim,
    ordinal,
    provenance,
    sayer,
    season_name,
    source_link,
    where,
)
from bot.model import Show, SpeakerRole, Update, UpdateKind
from bot.seasons import Known, fold, key_of


@dataclass(frozen=True, slots=True)
class News:
    """An update with what it is about: the show, and the show's log up to and with the update."""

    show: Show
    update: Update
    log: tuple[Update, ...]

    @property
    def before(self) -> Known:
        """What was known of the season before."""
        return fold(key_of(self.update), self.log[:-1]).known

    @property
    def after(self) -> Known:
        """What is known now."""
        return fold(key_of(self.update), self.log).known

    @property
    def without_the_mistake(self) -> "News":
        """The same as plain news, for those who never heard of what it corrects."""
        plain = replace(self.update, supersedes=None)
        right = tuple(other for other in self.log[:-1] if other.id != self.update.supersedes)
        return News(self.show, plain, (*right, plain))

    def find(self, update_id: str | None) -> Update | None:
        """An earlier update of the show."""
        return next((other for other in self.log if other.id == update_id), None)


def alert(news: News) -> Message:
    """The message that tells subscribers of one update."""
    update = news.update
    if update.retracts:
        return _retraction(news)
    if update.supersedes:
        return _correction(news)
    return Message(
        title=f"{_event(news)} · {_about(news)}",
        lines=present((_sentence(news),), _standing(news), provenance(update)),
        video=update.value if update.kind in _VIDEOS else None,
        actions=actions(news.show),
    )


def actions(show: Show) -> tuple[Action, ...]:
    """What a reader of an alert may want to do next."""
    return (
        Action("Details", f"/status {show.id}"),
        Action("Unsubscribe", f"/unsubscribe {show.id}"),
    )


_VIDEOS: Final = frozenset({UpdateKind.TRAILER, UpdateKind.TEASER})
_EVENTS: Final = {
    Change.DELAYED: "DELAYED",
    Change.MOVED_UP: "MOVED UP",
}


def _event(news: News) -> str:
    if news.update.kind is UpdateKind.DATED:
        return _EVENTS.get(_change(news), "DATED")
    return str(news.update.kind).upper()


def _change(news: News) -> Change:
    return _new_date(news.update).change_from(news.before.date)


def _new_date(update: Update) -> ReleaseDate:
    return update.date.value if update.date else TBA


def _about(news: News) -> str:
    """The season, and for a date the date with the one it replaces."""
    name = season_name(news.show, key_of(news.update))
    if news.update.kind is UpdateKind.DATED:
        return f"{name}: {wording(_new_date(news.update))}{_was(news)}"
    if news.update.kind is UpdateKind.ENDING:
        return f"{name} is the last"
    return name


def _was(news: News) -> str:
    old = news.before.date
    if old.lower is None or _change(news) is Change.UNCHANGED:
        return ""
    if _change(news) is Change.NARROWED:
        return f" (narrowed from {wording(old)})"
    return f" (was: {wording(old)})"


def _sentence(news: News) -> str:
    update = news.update
    season = "the season" if update.season is None else f"{_a(update.season)} season"
    who = sayer(update)
    sentences = {
        UpdateKind.RENEWED: f"{who} has ordered {season}.",
        UpdateKind.CANCELLED: "There will be no further season."
        if update.season is None
        else f"There will be no {ordinal(update.season)} season.",
        UpdateKind.SAVED: f"The show was cancelled and goes on after all, says {who}.",
        UpdateKind.POSTPONED: f"The release{_from_old(news)} is off; there is no new date yet.",
        UpdateKind.RELEASED: "It is out now.",
    }
    if update.kind is UpdateKind.RENEWED and not update.speaker:
        return f"{season.capitalize()} is ordered, {who} reports."
    if update.kind is UpdateKind.RENEWED and update.speaker_role is SpeakerRole.SHOWRUNNER:
        return f"{season.capitalize()} is ordered, says {who}."
    return sentences.get(update.kind, "")


def _a(number: int) -> str:
    word = ordinal(number)
    return f"an {word}" if word.startswith(("8", "11th", "18th")) else f"a {word}"


def _from_old(news: News) -> str:
    return f" ({wording(news.before.date)})" if news.before.date.lower else ""


def _standing(news: News) -> Line:
    """What else is known: the date unless it is the news, the trailer, where to watch."""
    kind, known = news.update.kind, news.after
    if kind in (UpdateKind.CANCELLED, UpdateKind.RELEASED):
        return line(where(news.show))
    date: Line = ()
    if kind not in (UpdateKind.DATED, UpdateKind.POSTPONED):
        value = date_line(known.date) if known.date.lower else ("not announced",)
        date = ("Release date: ", *value)
    return joined([date, _trailer(news), line(where(news.show))])


def _trailer(news: News) -> Line:
    if news.update.kind in _VIDEOS:
        return ()
    trailer = news.after.trailer
    if trailer and trailer.value:
        return ("Trailer: ", Link("watch", trailer.value))
    return ("Trailer: none yet",)


def _retraction(news: News) -> Message:
    """A fact that was pushed is taken back."""
    update = news.update
    wrong = news.find(update.retracts)
    season = season_name(news.show, key_of(wrong or update))
    what = claim(wrong) if wrong else "an earlier message"
    source = provenance(update) if update.source.url else ()
    return Message(
        title=f"CORRECTION · {season}: {what} is withdrawn",
        lines=present((_reason(update),), _now(news), source),
        actions=actions(news.show),
    )


def _now(news: News) -> Line:
    known = news.after
    date = date_line(known.date) if known.date.lower else ("not announced",)
    order = f"{known.order.kind}; " if known.order else ""
    return (f"What is known now: {order}release date: ", *date)


def _correction(news: News) -> Message:
    """A fact that was pushed is replaced by the right one."""
    update, wrong = news.update, news.find(news.update.supersedes)
    return Message(
        title=f"CORRECTION · {season_name(news.show, key_of(update))}: {_instead(update, wrong)}",
        lines=present((_reason(update),), _standing(news), provenance(update)),
        video=update.value if update.kind in _VIDEOS else None,
        actions=actions(news.show),
    )


def amended(news: News, by: News) -> Message:
    """The words to put into the place of an alert that turned out wrong.

    `news` is the alert, and `by` what takes it back or replaces it.
    """
    return _withdrawn(news, by) if by.update.retracts else _corrected(news, by)


def _withdrawn(news: News, by: News) -> Message:
    season = season_name(news.show, key_of(news.update))
    when = line("Withdrawn ", day_piece(by.update.announced))
    return Message(
        title=f"WITHDRAWN · {season}: {claim(news.update)}",
        lines=present((_reason(by.update),), joined([when, source_link(by.update)])),
        actions=actions(news.show),
    )


def _corrected(news: News, by: News) -> Message:
    right = _correction(by)
    season = season_name(by.show, key_of(by.update))
    return replace(right, title=f"CORRECTED · {season}: {_instead(by.update, news.update)}")


def _instead(update: Update, wrong: Update | None) -> str:
    """What is right and what was wrong: "it is 20 April 2027, not 2 April 2027"."""
    if wrong and wrong.date and update.date:
        return f"it is {wording(update.date.value)}, not {wording(wrong.date.value)}"
    return claim(update) + (f" in place of {claim(wrong)}" if wrong else "")


def _reason(update: Update) -> str:
    return f"Why: {update.reason}" if update.reason else ""
