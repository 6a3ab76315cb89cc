"""How dates read: "2 September 2026", "autumn 2026", "not before June 2026", "40 days ago"."""

import datetime as dt
from typing import Final

from bot.dates import Precision, ReleaseDate
from bot.message import Day, Line, line
from bot.text import plural

NOT_ANNOUNCED: Final = "date not announced"
_TWO_YEARS: Final = 2 * 366
_LOCALE: Final = "en_GB"
_PART_NAMES: Final = {
    21: "spring", 22: "summer", 23: "autumn", 24: "winter",
    33: "the first quarter of", 34: "the second quarter of",
    35: "the third quarter of", 36: "the fourth quarter of",
    37: "early", 38: "mid", 39: "late",
    40: "the first half of", 41: "the second half of",
}  # fmt: skip


def day(date: dt.date) -> str:
    """A day in words: "2 September 2026"."""
    return _formatted(date, "d MMMM y")


def day_piece(date: dt.date) -> Day:
    """A day as a piece of a message."""
    return Day(date, day(date))


def wording(value: ReleaseDate) -> str:
    """A release date in words, exactly as vague as it is."""
    if value.lower is None:
        return NOT_ANNOUNCED
    if value.precision is Precision.OPEN:
        return f"not before {_exact(ReleaseDate.parse(value.edtf.removesuffix('/..')))}"
    return f"about {_exact(value)}" if value.approximate else _exact(value)


def date_line(value: ReleaseDate) -> Line:
    """A release date as part of a line; a day stays a date that platforms can render."""
    if value.precision is Precision.DAY and value.lower and not value.approximate:
        return line(day_piece(value.lower))
    return line(wording(value))


def ago(then: dt.date, today: dt.date) -> str:
    """How long ago a day was: "today", "172 days ago", "more than 4 years ago"."""
    days = (today - then).days
    if days >= _TWO_YEARS:
        return f"more than {days // 366} years ago"
    return f"{plural(days, 'day')} ago" if days > 0 else "today"


def _exact(value: ReleaseDate) -> str:
    assert value.lower is not None  # noqa: S101 - `wording` has sent TBA home
    if value.precision is Precision.DAY:
        return day(value.lower)
    if value.precision is Precision.MONTH:
        return _formatted(value.lower, "MMMM y")
    if value.precision is Precision.YEAR or value.part is None:
        return str(value.lower.year)
    return _part_of_year(value.part, value.lower.year)


def _part_of_year(part: int, year: int) -> str:
    name = _PART_NAMES[part]
    return f"{name}-{year}" if name == "mid" else f"{name} {year}"


def _formatted(date: dt.date, pattern: str) -> str:
    from babel.dates import format_date

    return format_date(date, pattern, locale=_LOCALE)
