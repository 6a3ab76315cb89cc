"""The words for one fact: the season it is about, who said it and when, where to read it."""

from typing import Final

from bot.message import Line, Link, joined, line
from bot.message.dates import day_piece, wording
from bot.model import Certainty, Show, Update, UpdateKind
from bot.seasons import SeasonKey

_ORDINALS: Final = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", 6: "sixth"}


def season_name(show: Show, key: SeasonKey) -> str:
    """A show with the season and part: "Ozark, season 4, part 1"."""
    season = f", season {key.season}" if key.season is not None else ""
    part = f", part {key.part}" if key.part is not None else ""
    return f"{show.title}{season}{part}"


def ordinal(number: int) -> str:
    """A season's number as an adjective: "second", "21st"."""
    if number in _ORDINALS:
        return _ORDINALS[number]
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10)
    return f"{number}{suffix or 'th'}"


def sayer(update: Update) -> str:
    """Who said it: the speaker, else the outlet, else the site."""
    return update.speaker or update.source.outlet or "others"


def provenance(update: Update) -> Line:
    """Certainty, speaker, day and source: "Official · Netflix, 6 June 2022 · source"."""
    who = f"{sayer(update)}, " if sayer(update) != "others" else ""
    return joined(
        [
            line(certainty_word(update).capitalize()),
            line(who, day_piece(update.announced)),
            source_link(update) or _outlet(update),
        ]
    )


def _outlet(update: Update) -> Line:
    # Where nobody is quoted the outlet is the sayer, and named as such.
    return line(update.source.outlet if update.speaker else None)


def certainty_word(update: Update) -> str:
    """How sure a fact is, in one word or two."""
    guess = update.certainty is Certainty.SPECULATION
    return "not confirmed" if guess else str(update.certainty)


def source_link(update: Update, words: str = "source") -> Line:
    """A link to where the fact was read; empty when there is none."""
    return (Link(words, update.source.url),) if update.source.url else ()


def claim(update: Update) -> str:
    """What an update claims, in few words: "the date 3 March 2027", "the renewal"."""
    if update.kind is UpdateKind.DATED and update.date:
        return f"the date {wording(update.date.value)}"
    return _CLAIMS.get(update.kind, "the news")


_CLAIMS: Final = {
    UpdateKind.RENEWED: "the renewal",
    UpdateKind.TRAILER: "the trailer",
    UpdateKind.TEASER: "the teaser",
    UpdateKind.CANCELLED: "the cancellation",
    UpdateKind.ENDING: "that it is the last season",
    UpdateKind.SAVED: "the rescue",
    UpdateKind.POSTPONED: "the postponement",
    UpdateKind.RELEASED: "that it is out",
}


def where(show: Show) -> str:
    """Where to watch, if it is known: "On Netflix"."""
    return f"On {', '.join(show.services)}" if show.services else ""
