"""What is known of a show, as `/status` tells it: facts with their sources, guesses as guesses."""

import datetime as dt
from collections.abc import Sequence
from typing import Final

from bot.message import Action, Line, Link, Message, joined, line, present
from bot.message.dates import ago, date_line, wording
from bot.message.facts import claim, provenance, sayer, season_name, source_link, where
from bot.model import Show, Update
from bot.seasons import Known, SeasonState, Stage

_STAGES: Final = {
    Stage.UNKNOWN: "nothing confirmed yet",
    Stage.PENDING: "no decision yet",
    Stage.RENEWED: "renewed, not dated",
    Stage.WINDOW: "dated roughly",
    Stage.DATED: "dated",
    Stage.POSTPONED: "postponed, no new date",
    Stage.RELEASED: "out",
    Stage.CANCELLED: "cancelled",
}


def status(
    show: Show, seasons: Sequence[SeasonState], today: dt.date, *, followed: bool
) -> Message:
    """What is known of a show's coming season: facts with their sources, guesses marked as such."""
    shown = coming(seasons)
    verb = "Unsubscribe" if followed else "Subscribe"
    then = (Action(verb, f"/{verb.lower()} {show.id}"),)
    if not shown:
        lines = [line("No fact about a coming season is on record."), line(where(show))]
        return Message(f"{show.title}: nothing confirmed yet", present(*lines), actions=then)
    first, *others = shown
    lines = _season_lines(show, first, today)
    for state in others:
        lines += [line(headline(show, state, today)), *_season_lines(show, state, today)]
    return Message(headline(show, first, today), present(*lines), actions=then)


def coming(seasons: Sequence[SeasonState]) -> list[SeasonState]:
    """The seasons people ask about: those that are not out yet, or else the last one.

    What nobody said of a season is no news once something is known of a later one.
    """
    open_ones = [state for state in seasons if state.known.stage is not Stage.RELEASED]
    told = [place for place, one in enumerate(open_ones) if one.known.stage is not Stage.UNKNOWN]
    last = told[-1] if told else 0
    shown = [one for place, one in enumerate(open_ones) if place in told or place >= last]
    return shown or list(seasons[-1:])


def headline(show: Show, state: SeasonState, today: dt.date) -> str:
    """A season and where it stands, in one line."""
    return f"{season_name(show, state.key)}: {stage_words(state.known, today)}"


def stage_words(known: Known, today: dt.date) -> str:
    """Where a season stands, in a few words."""
    words = _STAGES[known.stage]
    if known.stage is Stage.UNKNOWN and known.facts:
        words = "no renewal on record"
    if known.stage in (Stage.DATED, Stage.WINDOW) and _passed(known, today):
        words = "due, its release is not on record"
    return words + (", the last season" if known.ending else "")


def _passed(known: Known, today: dt.date) -> bool:
    return known.date.upper is not None and known.date.upper < today


def _season_lines(show: Show, state: SeasonState, today: dt.date) -> list[Line]:
    known = state.known
    return [
        _decision(known),
        _fact("Last season", known.ending),
        _fact(f"Production ({known.production.value})", known.production)
        if known.production
        else (),
        _date(known, today),
        _fact("Out", known.released),
        _guesses(known),
        joined([_trailer(known), line(where(show)), _age(known, today)]),
    ]


def _decision(known: Known) -> Line:
    update = known.order or known.pending
    if update is None:
        return () if known.facts else line("Renewed: not confirmed by anybody")
    return (f"{str(update.kind).capitalize()}: ", *provenance(update), *_also(known, update))


def _also(known: Known, update: Update) -> Line:
    others = [f"{sayer(other)}" for other in known.also if other.also == update.id]
    return line(f" · also {', '.join(others)}") if others else ()


def _fact(words: str, update: Update | None) -> Line:
    return (f"{words}: ", *provenance(update)) if update else ()


def _date(known: Known, today: dt.date) -> Line:
    update = known.dated
    if known.stage is Stage.CANCELLED:
        return ()
    if update is None:
        return () if known.stage is Stage.RELEASED else line("Release date: not announced")
    old = f" (was: {wording(known.previous_date)})" if known.previous_date else ""
    if known.date.lower is None:
        return ("Release date: not announced", f"{old} · Postponed: ", *provenance(update))
    passed = ", which has passed" if _passed(known, today) else ""
    return ("Release date: ", *date_line(known.date), f"{passed}{old} · ", *provenance(update))


def _guesses(known: Known) -> Line:
    """Guesses, each by whom: they stand on a line of their own, and say what they are."""
    told = [
        joined([(f"{_guess(update)}, {sayer(update)}",), source_link(update)])
        for update in known.rumours
    ]
    return ("Guessed by others, not confirmed: ", *joined(told, by="; ")) if told else ()


def _guess(update: Update) -> str:
    if update.date:
        return update.date.raw or wording(update.date.value)
    return update.value or claim(update)


def _trailer(known: Known) -> Line:
    if known.stage is Stage.CANCELLED:
        return ()
    if known.trailer and known.trailer.value:
        return ("Trailer: ", Link("watch", known.trailer.value))
    teaser = (
        (" (teaser: ", Link("watch", known.teaser.value), ")")
        if known.teaser and known.teaser.value
        else ()
    )
    return ("Trailer: none yet", *teaser)


def _age(known: Known, today: dt.date) -> Line:
    last = known.last_confirmed
    return line(f"Last confirmed fact: {ago(last, today)}") if last else ()
