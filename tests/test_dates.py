"""Release dates: as exact as their source, and never more."""

import datetime as dt
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.dates import FIRST_YEAR, LAST_YEAR, TBA, Change, Precision, ReleaseDate
from bot.errors import BadRecord
from bot.message import Day
from bot.message.dates import ago, date_line, wording

FORMS = [
    ("2026-09-02", "day", "2026-09-02", "2026-09-02", "2 September 2026"),
    ("2024-02-29", "day", "2024-02-29", "2024-02-29", "29 February 2024"),
    ("2026-09", "month", "2026-09-01", "2026-09-30", "September 2026"),
    ("2024-02", "month", "2024-02-01", "2024-02-29", "February 2024"),
    ("2026-33", "quarter", "2026-01-01", "2026-03-31", "the first quarter of 2026"),
    ("2026-34", "quarter", "2026-04-01", "2026-06-30", "the second quarter of 2026"),
    ("2026-35", "quarter", "2026-07-01", "2026-09-30", "the third quarter of 2026"),
    ("2026-36", "quarter", "2026-10-01", "2026-12-31", "the fourth quarter of 2026"),
    ("2026-21", "season", "2026-03-01", "2026-05-31", "spring 2026"),
    ("2026-22", "season", "2026-06-01", "2026-08-31", "summer 2026"),
    ("2026-23", "season", "2026-09-01", "2026-11-30", "autumn 2026"),
    ("2026-37", "third", "2026-01-01", "2026-04-30", "early 2026"),
    ("2023-38", "third", "2023-05-01", "2023-08-31", "mid-2023"),
    ("2026-39", "third", "2026-09-01", "2026-12-31", "late 2026"),
    ("2026-40", "half", "2026-01-01", "2026-06-30", "the first half of 2026"),
    ("2026-41", "half", "2026-07-01", "2026-12-31", "the second half of 2026"),
    ("2026", "year", "2026-01-01", "2026-12-31", "2026"),
    ("2026~", "year", "2026-01-01", "2026-12-31", "about 2026"),
    ("2026-09~", "month", "2026-09-01", "2026-09-30", "about September 2026"),
    ("2026-09-02~", "day", "2026-09-02", "2026-09-02", "about 2 September 2026"),
    ("2026-06/..", "open", "2026-06-01", None, "not before June 2026"),
    ("2026-06-15/..", "open", "2026-06-15", None, "not before 15 June 2026"),
    ("2026-23/..", "open", "2026-09-01", None, "not before autumn 2026"),
    ("2027/..", "open", "2027-01-01", None, "not before 2027"),
]


@pytest.mark.parametrize(("edtf", "precision", "lower", "upper", "words"), FORMS)
def test_every_form_has_a_precision_bounds_and_a_wording(
    edtf: str, precision: str, lower: str, upper: str | None, words: str
) -> None:
    value = ReleaseDate.parse(edtf)
    assert value.edtf == edtf
    assert value.precision == precision
    assert str(value.lower) == lower
    assert value.upper == (dt.date.fromisoformat(upper) if upper else None)
    assert value.approximate == edtf.endswith("~")
    assert wording(value) == words


def test_winter_is_a_season_that_begins_in_december() -> None:
    winter = ReleaseDate.parse("2026-24")
    assert (winter.precision, winter.lower) == (Precision.SEASON, dt.date(2026, 12, 1))
    assert wording(winter) == "winter 2026"


@pytest.mark.parametrize(
    "text",
    [
        "", "TBA", "tba", "tbd", "TBC", "soon", "2026-9", "26", "02.09.2026", "2026/09",
        "fall 2026", " 2026", "2026 ", "2026-09\n", "2026?", "2026-21?", "2026~/..", "../2026",
        "2026-01/2026-03", "2026-09-02T20:00", "Y20260", "-2026", "２０２６-９", "٢٠٢٦",
        "2026-09-02\x1b[31m",
    ],
)  # fmt: skip
def test_what_is_no_release_date_is_refused_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(BadRecord) as refused:
        ReleaseDate.parse(text)
    assert refused.value.field == "date"
    assert "2026-09-02 (a day)" in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "text",
    ["2023-02-30", "2023-02-29", "1900-02-29", "2026-04-31", "2026-09-00", "2023-02-29/..", "0000"],
)
def test_a_day_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(BadRecord, match="does not exist in the calendar"):
        ReleaseDate.parse(text)


@pytest.mark.parametrize("part", ["00", "13", "20", "25", "32", "42", "99", "21-05", "33-01"])
def test_a_part_of_the_year_that_does_not_exist_is_refused(part: str) -> None:
    with pytest.raises(BadRecord, match="no such month or part of a year"):
        ReleaseDate.parse(f"2026-{part}")


@pytest.mark.parametrize("text", ["2026-21~", "2026-33~", "2026-38~", "2026-41~"])
def test_a_part_of_a_year_is_vague_by_itself(text: str) -> None:
    with pytest.raises(BadRecord, match="leave out the ~"):
        ReleaseDate.parse(text)


@pytest.mark.parametrize("text", ["2026-33/..", "2026-38/..", "2026-41/.."])
def test_not_before_a_part_of_the_year_is_written_with_its_first_month(text: str) -> None:
    with pytest.raises(BadRecord, match="write the first month"):
        ReleaseDate.parse(text)


@pytest.mark.parametrize("text", ["1899", "2201", "0001-01-01", "9999-12-31"])
def test_a_year_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(BadRecord, match="is not 1900 to 2200"):
        ReleaseDate.parse(text)


def test_an_endless_text_is_not_repeated_in_the_refusal() -> None:
    with pytest.raises(BadRecord) as refused:
        ReleaseDate.parse("9" * 1_000_000)
    assert len(str(refused.value)) < 500


@example("2026-09-02")
@example("0000-01/..")
@given(st.text() | st.from_regex(r"\d{4}(-\d\d){0,2}(~|/\.\.)?", fullmatch=True))
def test_any_text_is_a_date_of_a_sensible_year_or_refused(text: str) -> None:
    try:
        value = ReleaseDate.parse(text)
    except BadRecord:
        return
    assert value.edtf == text
    assert value.lower is not None
    assert FIRST_YEAR <= value.lower.year <= LAST_YEAR


def test_tba_has_no_days_and_says_so() -> None:
    assert (TBA.lower, TBA.upper, TBA.precision) == (None, None, Precision.TBA)
    assert wording(TBA) == "date not announced"
    assert date_line(TBA) == ("date not announced",)


_NUMBERS = [f"{number:02d}" for number in (1, 2, 6, 7, 9, 12, *range(21, 25), *range(33, 42))]
_YEARS = ["2026", "2027"]
_PARTS = [f"{year}-{number}" for year in _YEARS for number in _NUMBERS]
_DAYS = [f"{month}-{day}" for month in _PARTS[:6] for day in ("01", "02", "28")]
_ABOUT = [f"{value}~" for value in (*_YEARS, *_PARTS[:6], *_DAYS[:4])]
_OPEN = [f"{value}/.." for value in (*_YEARS, *_PARTS[:10], *_DAYS)]
_POOL = [*_YEARS, *_PARTS, *_DAYS, *_ABOUT, *_OPEN]
announced = st.sampled_from(_POOL).map(ReleaseDate.parse)
any_date = announced | st.just(TBA)


@given(any_date)
def test_a_month_never_becomes_a_day(value: ReleaseDate) -> None:
    pieces = date_line(value)
    exact = value.precision is Precision.DAY and not value.approximate
    assert any(isinstance(piece, Day) for piece in pieces) == exact
    if exact:
        assert value.lower == value.upper
    elif value.precision is not Precision.DAY:
        assert value.lower is None or value.lower != value.upper


@given(announced)
def test_bounds_are_in_order_and_in_the_year_that_was_said(value: ReleaseDate) -> None:
    assert value.lower is not None
    assert str(value.lower.year) == value.edtf[:4]
    assert (value.upper is None) == (value.precision is Precision.OPEN)
    assert value.upper is None or value.lower <= value.upper


@given(announced)
def test_the_wording_names_the_year_and_every_vagueness(value: ReleaseDate) -> None:
    words = wording(value)
    assert value.edtf[:4] in words
    assert words.startswith("not before ") == (value.precision is Precision.OPEN)
    assert words.startswith("about ") == value.approximate


def change(old: str | None, new: str) -> Change:
    before = ReleaseDate.parse(old) if old else None
    return (ReleaseDate.parse(new) if new else TBA).change_from(before)


@pytest.mark.parametrize(
    ("old", "new", "meaning"),
    [
        (None, "2026-09", Change.FIRST),
        (None, "2026-09-02", Change.FIRST),
        ("2026", "2026-09", Change.NARROWED),
        ("2026", "2026-09-02", Change.NARROWED),
        ("2026-23", "2026-09-30", Change.NARROWED),
        ("2026-09~", "2026-09", Change.NARROWED),
        ("2026-06/..", "2027-01-05", Change.NARROWED),
        ("2026-06/..", "2026-09/..", Change.NARROWED),
        ("2026-09", "2026-10", Change.DELAYED),
        ("2026-09-02", "2026-09-03", Change.DELAYED),
        ("2026-09-02", "2027", Change.DELAYED),
        ("2026-33", "2026-21", Change.DELAYED),
        ("2026-10", "2026-09", Change.MOVED_UP),
        ("2027", "2026-12-24", Change.MOVED_UP),
        ("2026-09/..", "2026-08-31", Change.MOVED_UP),
        ("2026-09-02", "2026-09-02", Change.UNCHANGED),
        ("2026", "2026", Change.UNCHANGED),
        ("2026-09-02", "2026-09", Change.CONTRADICTED),
        ("2026-09-02", "2026", Change.CONTRADICTED),
        ("2026-09", "2026-09~", Change.CONTRADICTED),
        ("2026-09-02", "2026/..", Change.CONTRADICTED),
        ("2026-09-02", "", Change.CONTRADICTED),
    ],
)
def test_a_new_date_has_a_meaning_against_the_old_one(
    old: str | None, new: str, meaning: Change
) -> None:
    assert change(old, new) is meaning


@given(announced)
def test_against_nothing_every_date_is_the_first(value: ReleaseDate) -> None:
    assert value.change_from(None) is Change.FIRST
    assert value.change_from(TBA) is Change.FIRST


@given(any_date)
def test_a_date_does_not_change_itself(value: ReleaseDate) -> None:
    assert value.change_from(value) is Change.UNCHANGED


def pairs(meaning: Change) -> list[tuple[ReleaseDate, ReleaseDate]]:
    """All old and new dates of the pool where the new one means this."""
    dates = [ReleaseDate.parse(text) for text in _POOL]
    return [(old, new) for old, new in product(dates, dates) if new.change_from(old) is meaning]


def test_narrowing_never_widens() -> None:
    found = pairs(Change.NARROWED)
    assert len(found) > 500
    for old, new in found:
        assert new.order[0] >= old.order[0]
        assert new.order[1] <= old.order[1]
        assert not new.approximate or new.order[:2] != old.order[:2]


@given(announced, announced)
def test_each_meaning_has_its_mirror(one: ReleaseDate, other: ReleaseDate) -> None:
    mirror = {
        Change.NARROWED: Change.CONTRADICTED,
        Change.CONTRADICTED: Change.NARROWED,
        Change.DELAYED: Change.MOVED_UP,
        Change.MOVED_UP: Change.DELAYED,
        Change.UNCHANGED: Change.UNCHANGED,
    }
    assert one.change_from(other) is mirror[other.change_from(one)]


def test_a_delay_begins_later_and_ends_no_earlier() -> None:
    found = pairs(Change.DELAYED)
    assert len(found) > 500
    for old, new in found:
        assert new.order[0] > old.order[0]
        assert new.order[1] >= old.order[1]


@given(st.lists(any_date))
def test_sorting_is_total_and_tba_comes_last(values: list[ReleaseDate]) -> None:
    ordered = sorted(values)
    assert [one.order for one in ordered] == sorted(one.order for one in values)
    dated = [one for one in ordered if one.lower]
    assert ordered[: len(dated)] == dated
    lowers = [one.lower for one in dated if one.lower]
    assert lowers == sorted(lowers)


@given(any_date, any_date)
def test_of_two_dates_one_is_earlier_or_they_say_the_same(
    one: ReleaseDate, other: ReleaseDate
) -> None:
    same = other.change_from(one) is Change.UNCHANGED
    assert [one < other, other < one, same].count(True) == 1


def test_of_dates_that_begin_together_the_more_exact_is_first() -> None:
    texts = ["2026/..", "2026~", "2026", "2026-40", "2026-37", "2026-33", "2026-01", "2026-01-01"]
    assert [one.edtf for one in sorted(map(ReleaseDate.parse, texts))] == [
        "2026-01-01", "2026-01", "2026-33", "2026-37", "2026-40", "2026", "2026~", "2026/..",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0, "today"),
        (1, "1 day ago"),
        (172, "172 days ago"),
        (731, "731 days ago"),
        (1200, "more than 3 years ago"),
        (-3, "today"),
    ],
)
def test_an_age_is_told_in_days_and_a_great_one_in_years(days: int, words: str) -> None:
    today = dt.date(2022, 11, 25)
    assert ago(today - dt.timedelta(days=days), today) == words
