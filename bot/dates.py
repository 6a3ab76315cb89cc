"""Release dates as exact as they are known: EDTF values with a precision, bounds and an order.

A date is never made more exact than its source: a month stays a month, and TBA is no date.
EDTF (ISO 8601-2) is read by the `edtf` library; this module only admits the forms a release
date can have and names them.
"""

import re
import time
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Final, Self

from bot.errors import BadRecord

FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2200
HELP: Final = (
    "Write it as EDTF: 2026-09-02 (a day), 2026-09 (a month), 2026-33 to 2026-36 (quarters), "
    "2026-21 to 2026-24 (spring to winter), 2026-37 to 2026-39 (early, mid, late), 2026 (a year), "
    "2026-09~ (approximate), 2026-06/.. (not before June)."
)


class Precision(StrEnum):
    """How exactly a release date is known."""

    DAY = "day"
    MONTH = "month"
    QUARTER = "quarter"
    SEASON = "season"
    THIRD = "third"
    HALF = "half"
    YEAR = "year"
    OPEN = "open"
    TBA = "tba"


class Change(StrEnum):
    """What a new date means against the date known before."""

    FIRST = "first"
    NARROWED = "narrowed"
    DELAYED = "delayed"
    MOVED_UP = "moved_up"
    UNCHANGED = "unchanged"
    CONTRADICTED = "contradicted"


# ISO 8601-2 numbers the parts of a year in place of a month.
_YEAR_PARTS: Final = {
    Precision.SEASON: range(21, 25),
    Precision.QUARTER: range(33, 37),
    Precision.THIRD: range(37, 40),
    Precision.HALF: range(40, 42),
}
_FORM: Final = re.compile(r"\d{4}(?:-(?P<part>\d\d)(?P<day>-\d\d)?)?(?P<tail>~|/\.\.)?")


@dataclass(frozen=True, slots=True)
class ReleaseDate:
    """When a season comes out, as exactly as its source said.

    `edtf` is the value in EDTF; `lower` and `upper` are the first and last possible day (both
    `None` for TBA, `upper` alone for "not before"); `approximate` says the source said "about".
    """

    edtf: str
    precision: Precision
    lower: date | None
    upper: date | None
    approximate: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an EDTF value.

        Raises `BadRecord` for what is not EDTF, for a day that does not exist, and for forms that
        cannot be a release date.
        """
        found = _parse(text)
        return cls(found.edtf, found.precision, found.lower, found.upper, found.approximate)

    @property
    def part(self) -> int | None:
        """The EDTF number after the year: a month, or 21-41 for a part of the year."""
        match = _FORM.fullmatch(self.edtf)
        return int(match["part"]) if match and match["part"] else None

    def __lt__(self, other: "ReleaseDate") -> bool:
        """Earlier first; of two that begin together the more exact first; TBA last."""
        return self.order < other.order

    @property
    def order(self) -> tuple[date, date, bool]:
        """What dates are sorted and compared by: first day, last day, vagueness."""
        return (self.lower or date.max, self.upper or date.max, self.approximate)

    def change_from(self, known: "ReleaseDate | None") -> Change:
        """What this date means to somebody who knew `known`."""
        if known is None or known.lower is None:
            return Change.UNCHANGED if self.lower is None and known else Change.FIRST
        if self.lower is None:
            return Change.CONTRADICTED
        if self.order == known.order:
            return Change.UNCHANGED
        return _shift(self, known)


TBA: Final = ReleaseDate("", Precision.TBA, None, None)


def _shift(new: ReleaseDate, known: ReleaseDate) -> Change:
    """Compare two different announced dates by their bounds."""
    new_lower, new_upper, new_about = new.order
    old_lower, old_upper, old_about = known.order
    if (new_lower, new_upper) == (old_lower, old_upper):
        return Change.NARROWED if old_about and not new_about else Change.CONTRADICTED
    if new_lower >= old_lower and new_upper <= old_upper:
        return Change.NARROWED
    if new_lower <= old_lower and new_upper >= old_upper:
        return Change.CONTRADICTED
    return Change.DELAYED if new_lower > old_lower else Change.MOVED_UP


@lru_cache(maxsize=4096)
def _parse(text: str) -> ReleaseDate:
    shown = text if len(text) <= 40 else text[:40] + "…"
    match = _FORM.fullmatch(text)
    if match is None:
        raise BadRecord("date", f"{shown!r} is not a release date. {HELP}")
    precision = _precision(match["part"], match["day"], open_end=match["tail"] == "/..")
    if precision is None:
        raise BadRecord("date", f"{shown!r} has no such month or part of a year. {HELP}")
    _check_tail(int(match["part"] or 0), match["tail"], shown)
    lower, upper = _bounds(text, shown)
    if not FIRST_YEAR <= lower.year <= LAST_YEAR:
        raise BadRecord("date", f"the year of {shown!r} is not {FIRST_YEAR} to {LAST_YEAR}.")
    return ReleaseDate(text, precision, lower, upper, approximate=match["tail"] == "~")


def _check_tail(part: int, tail: str | None, shown: str) -> None:
    """EDTF has no approximate parts of a year, and of the open ones only the seasons."""
    if tail == "~" and part > 12:
        raise BadRecord("date", f"{shown!r}: a part of a year is vague by itself; leave out the ~.")
    if tail == "/.." and part > 24:
        raise BadRecord("date", f"{shown!r} is not EDTF: write the first month, as in 2026-07/..")


def _precision(part: str | None, day: str | None, *, open_end: bool) -> Precision | None:
    if part is None:
        found: Precision | None = Precision.YEAR
    elif 1 <= int(part) <= 12:
        found = Precision.DAY if day else Precision.MONTH
    else:
        found = next((name for name, parts in _YEAR_PARTS.items() if int(part) in parts), None)
        found = None if day else found
    return Precision.OPEN if found and open_end else found


def _bounds(text: str, shown: str) -> tuple[date, date | None]:
    from edtf import EDTFParseException, parse_edtf  # pyparsing takes 90 ms to import

    try:
        value = parse_edtf(text)
        upper = None if text.endswith("/..") else _day(value.upper_strict())
        return _day(value.lower_strict()), upper
    except (EDTFParseException, ValueError) as error:  # edtf lets 2023-02-29 and the year 0 pass
        raise BadRecord("date", f"{shown!r} does not exist in the calendar. {HELP}") from error


def _day(value: time.struct_time) -> date:
    return date(value.tm_year, value.tm_mon, value.tm_mday)
