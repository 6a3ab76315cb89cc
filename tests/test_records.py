"""The record format: every byte comes back, and every mistake is named by its field."""

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.dates import Precision
from bot.errors import BadFile, BadRecord
from bot.model import (
    AnnouncedDate,
    Certainty,
    Push,
    Show,
    ShowId,
    Source,
    SpeakerRole,
    Update,
    UpdateKind,
)
from bot.records import LINE_LIMIT, checked, read_record, show_line, stamp, update_line
from bot.text import clean, first_unsafe
from tests.build import a_date, a_show, an_id, an_update

# --- round trips ---

_LETTERS = st.characters(exclude_categories=["Cc", "Cs", "Co", "Cn"]).filter(
    lambda letter: first_unsafe(letter) is None
)


def words(most: int) -> st.SearchStrategy[str]:
    """Text that a record may hold."""
    return st.text(_LETTERS, max_size=most).map(lambda text: text.strip() or "x")


_slugs = st.from_regex(r"[a-z0-9]{1,9}(-[a-z0-9]{1,9}){0,4}", fullmatch=True)
_urls = st.sampled_from(
    ["https://variety.com/2026/x-1/", "https://例え.jp/ä?q=1&r=“2”#3", "https://a.b:8443/<>\\"]
)
_days = st.dates(dt.date(1990, 1, 1), dt.date(2100, 1, 1))
_moments = st.datetimes(timezones=st.just(dt.UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
_ids = st.integers(0, 10**6).map(an_id)
_dates = st.builds(
    a_date,
    st.sampled_from(["2026-09-02", "2026-09", "2026-33", "2023-38", "2026~", "2026-06/..", "2027"]),
    raw=st.none() | words(100),
    tz=st.none() | words(100),
    region=st.none() | words(100),
    year_inferred=st.booleans(),
)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


_updates = st.builds(
    Update,
    id=_ids,
    recorded_at=_moments,
    show=_slugs.map(ShowId),
    season=maybe(st.integers(1, 9999)),
    kind=st.sampled_from(UpdateKind),
    certainty=st.sampled_from(Certainty),
    part=maybe(st.integers(1, 99)),
    value=maybe(words(300).filter(lambda text: not text.startswith("http")) | _urls),
    date=maybe(_dates),
    speaker=maybe(words(100)),
    speaker_role=maybe(st.sampled_from(SpeakerRole)),
    source=st.builds(
        Source,
        url=maybe(_urls),
        outlet=maybe(words(100)),
        kind=maybe(words(100)),
        published=maybe(_days),
        archived=maybe(_urls),
    ),
    evidence=maybe(words(500)),
    curator=maybe(words(100)),
    method=words(100),
    also=maybe(_ids),
    supersedes=maybe(_ids),
    retracts=maybe(_ids),
    reverses=maybe(_ids),
    reason=maybe(words(500)),
    push=st.sampled_from(Push),
)
_shows = st.builds(
    Show,
    id=_slugs.map(ShowId),
    title=words(200),
    original_title=maybe(words(200)),
    aliases=st.lists(words(200), max_size=4).map(tuple),
    services=st.lists(words(100), max_size=4).map(tuple),
    ids=st.dictionaries(words(100), words(100), max_size=4).map(lambda ids: tuple(ids.items())),
    official_channels=st.lists(words(100), max_size=4).map(tuple),
    limited=st.booleans(),
    sources=st.lists(_urls, max_size=4).map(tuple),
)


@given(_updates)
def test_an_update_comes_back_to_the_byte(update: Update) -> None:
    line = update_line(update)
    assert "\n" not in line
    back = read_record(line)
    assert back == update
    assert isinstance(back, Update)
    assert update_line(back).encode() == line.encode()
    assert checked(update) is update


@given(_shows)
def test_a_show_comes_back_to_the_byte(show: Show) -> None:
    line = show_line(show)
    back = read_record(line)
    assert back == show
    assert isinstance(back, Show)
    assert show_line(back).encode() == line.encode()


def test_the_fields_stand_in_one_order_and_the_source_has_a_class() -> None:
    raw = json.loads(update_line(an_update(source=Source(kind="trade"))))
    assert list(raw)[:8] == [
        "schema_version", "id", "recorded_at", "show", "season", "part", "kind", "value",
    ]  # fmt: skip
    assert raw["source"]["class"] == "trade"
    assert "kind" not in raw["source"]


def test_a_date_is_written_with_its_precision_and_bounds() -> None:
    raw = json.loads(update_line(an_update("dated", date="2023-38")))
    assert raw["date"]["precision"] == "third"
    assert (raw["date"]["lower"], raw["date"]["upper"]) == ("2023-05-01", "2023-08-31")


def test_a_moment_is_written_in_utc_to_the_millisecond() -> None:
    tokyo = dt.timezone(dt.timedelta(hours=9))
    assert stamp(dt.datetime(2026, 11, 22, 18, 0, 0, 1999, tokyo)) == "2026-11-22T09:00:00.001Z"


# --- what may be left out ---

LEAST = {
    "id": "01M817RXN8ZRCQP1SXQMH6Q8AN",
    "recorded_at": "2026-11-22T09:00:00Z",
    "show": "all-of-us-are-dead",
    "kind": "renewed",
    "certainty": "official",
}


def an_update_line(**changes: object) -> str:
    return json.dumps({**LEAST, **changes}, ensure_ascii=False)


def read_update(**changes: object) -> Update:
    update = read_record(an_update_line(**changes))
    assert isinstance(update, Update)
    return update


def test_what_is_left_out_has_a_default() -> None:
    update = read_update()
    assert update == Update(
        id=update.id,
        recorded_at=dt.datetime(2026, 11, 22, 9, tzinfo=dt.UTC),
        show=ShowId("all-of-us-are-dead"),
        season=None,
        kind=UpdateKind.RENEWED,
        certainty=Certainty.OFFICIAL,
        method="import",
        push=Push.AUTO,
    )


def test_a_show_needs_an_id_and_a_title_and_no_more() -> None:
    assert read_record('{"id": "ozark", "title": "Ozark"}') == Show(ShowId("ozark"), "Ozark")


def test_a_date_may_be_plain_text() -> None:
    assert read_update(kind="dated", date="2026-09").date == a_date("2026-09")


def test_a_date_may_say_only_its_value() -> None:
    date = read_update(kind="dated", date={"edtf": "2026-23", "raw": "this fall"}).date
    assert date == a_date("2026-23", raw="this fall")
    assert isinstance(date, AnnouncedDate)
    assert date.value.precision is Precision.SEASON


def test_other_time_zones_become_utc_and_finer_times_milliseconds() -> None:
    update = read_update(recorded_at="2026-11-22T18:00:00.123456+09:00")
    assert update.recorded_at == dt.datetime(2026, 11, 22, 9, 0, 0, 123000, dt.UTC)
    assert update.recorded_at.tzinfo is dt.UTC


def test_an_id_is_kept_in_capitals() -> None:
    assert read_update(id=LEAST["id"].lower()).id == LEAST["id"]


# --- bad input ---


def refusal(line: str) -> BadRecord:
    with pytest.raises(BadRecord) as refused:
        read_record(line)
    text = str(refused.value)
    assert len(text) < 1000
    assert clean(text) == text
    return refused.value


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not JSON"),
        ("", "not JSON"),
        ("kind: renewed", "not JSON"),
        ('{"kind": "renewed"} {}', "not JSON"),
        ("[" * 60_000, "not JSON"),
        ('{"season": ' + "9" * 5000 + "}", "not JSON"),
        ("[]", "not a JSON object"),
        ('"renewed"', "not a JSON object"),
        ("null", "not a JSON object"),
    ],
)
def test_what_is_not_a_json_object_is_refused(line: str, says: str) -> None:
    error = refusal(line)
    assert (error.field, says in error.problem) == ("", True)


def test_ten_megabytes_in_a_field_are_refused_by_their_size() -> None:
    error = refusal(an_update_line(evidence="x" * 10_000_000))
    assert "the line has 10,000," in error.problem
    assert "at most 65,536" in error.problem


def test_a_line_is_measured_in_bytes() -> None:
    assert "bytes" in refusal(an_update_line(evidence="한" * (LINE_LIMIT // 3))).problem


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("kind", "renewd", "'renewed', 'dated'"),
        ("kind", None, "it is None"),
        ("certainty", "rumour", "'official', 'reported'"),
        ("push", "loud", "'auto', 'quiet'"),
        ("speaker_role", "fan", "'network', 'platform'"),
        ("schema_version", 2, "1"),
        ("season", 0, "greater than or equal to 1"),
        ("season", 10_000, "less than or equal to 9999"),
        ("season", "2", "valid integer"),
        ("season", 2.5, "valid integer"),
        ("season", True, "valid integer"),
        ("part", -1, "greater than or equal to 1"),
        ("show", "All of Us", "a-z, 0-9"),
        ("show", "a--b", "a-z, 0-9"),
        ("show", "../etc/passwd", "a-z, 0-9"),
        ("show", 5, "valid string"),
        ("id", "42", "not a ULID"),
        ("id", "U" * 26, "not a ULID"),
        ("also", "x", "not a ULID"),
        ("supersedes", "x", "not a ULID"),
        ("retracts", "x", "not a ULID"),
        ("reverses", "x", "not a ULID"),
        ("recorded_at", "2026-11-22T09:00:00", "no time zone; end it with Z"),
        ("recorded_at", "yesterday", "valid datetime"),
        ("recorded_at", 1_700_000_000, "valid datetime"),
        ("recorded_at", "0001-01-01T00:00:00+14:00", "not a moment of the years"),
        ("recorded_at", "9999-12-31T23:00:00-05:00", "not a moment of the years"),
        ("speaker", "", "is empty"),
        ("speaker", " Netflix", "blanks at its ends"),
        ("speaker", ["Netflix"], "valid string"),
        ("speaker", "x" * 101, "at most 100"),
        ("evidence", "x" * 501, "at most 500"),
        ("value", "x" * 2001, "at most 2000"),
        ("value", "http://youtu.be/IN5TD4VRcSM", "plain https address"),
        ("value", "https://", "plain https address"),
        ("value", "https://youtu.be/x bold on red", "plain https address"),
        ("source", "https://variety.com/", "object"),
    ],
)
def test_a_wrong_value_is_refused_by_its_field(field: str, value: object, says: str) -> None:
    error = refusal(an_update_line(**{field: value}))
    assert error.field == field
    assert says in error.problem


@pytest.mark.parametrize("field", ["id", "recorded_at", "show", "certainty"])
def test_a_missing_field_is_named(field: str) -> None:
    raw = {name: value for name, value in LEAST.items() if name != field}
    error = refusal(json.dumps(raw))
    assert (error.field, error.problem) == (field, "Field required.")


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({**LEAST, "sesaon": 2}, "sesaon"),
        ({**LEAST, "source": {"link": "https://variety.com/"}}, "source.link"),
        ({**LEAST, "date": {"edtf": "2026", "value": "2026"}}, "date.value"),
        ({"id": "ozark", "title": "Ozark", "season": 2}, "season"),
    ],
)
def test_an_unknown_field_is_named(raw: object, field: str) -> None:
    error = refusal(json.dumps(raw))
    assert error.field == field
    assert "no such field" in error.problem


def test_the_name_of_an_unknown_field_steers_nothing_and_has_an_end() -> None:
    assert len(refusal(an_update_line(**{"\x1b[31m" + "x" * 50_000: 1})).field) <= 80


_NO_URLS = [
    "http://variety.com/news",
    "ftp://variety.com/news",
    "javascript:alert(1)",
    "variety.com/news",
    "https://",
    "https:///news",
    "https://[",
    "https://editor:secret@variety.com/news",
    "https://variety.com@evil.io/",
    "https://variety.com/a b",
    "https://variety.com/a\u3000b",
]


@pytest.mark.parametrize("url", _NO_URLS)
@pytest.mark.parametrize("field", ["url", "archived"])
def test_an_address_is_plain_https(field: str, url: str) -> None:
    assert refusal(an_update_line(source={field: url})).field == f"source.{field}"


@pytest.mark.parametrize("url", _NO_URLS)
def test_the_sources_of_a_show_are_plain_https(url: str) -> None:
    assert refusal(json.dumps({"id": "x", "title": "X", "sources": [url]})).field == "sources.0"


_UNSAFE = {
    "a terminal escape": ("Oz\x1b[2Jark", "U+001B"),
    "a window title": ("Oz\x1b]0;hello\x07ark", "U+001B"),
    "an 8-bit escape": ("Oz\x9b2Jark", "U+009B"),
    "a bell": ("Oz\x07ark", "U+0007"),
    "a backspace": ("Oz\x08ark", "U+0008"),
    "a line break": ("Oz\nark", "U+000A"),
    "a line separator": ("Oz\u2028ark", "U+2028"),
    "a null": ("Oz\x00ark", "U+0000"),
    "a right-to-left override": ("Oz\u202ekra", "U+202E"),
    "an isolate": ("Oz\u2067ark", "U+2067"),
    "an Arabic letter mark": ("Oz\u061cark", "U+061C"),
    "a byte order mark": ("Oz\ufeffark", "U+FEFF"),
    "a private character": ("Oz\ue000ark", "U+E000"),
}


@pytest.mark.parametrize(("text", "point"), _UNSAFE.values(), ids=_UNSAFE)
@pytest.mark.parametrize("escaped", [True, False], ids=["escaped", "raw"])
def test_what_could_steer_a_terminal_is_refused_in_every_text(
    text: str, point: str, escaped: bool
) -> None:
    for field in ("speaker", "evidence", "reason", "value", "curator", "method"):
        error = refusal(json.dumps({**LEAST, field: text}))
        assert (error.field, point in error.problem) == (field, True)
    for field, value in [("title", text), ("original_title", text)]:
        show = {"id": "x", "title": "X", field: value}
        error = refusal(json.dumps(show, ensure_ascii=escaped or text < "Oz "))
        assert error.field == field
    for field in ("aliases", "services", "official_channels"):
        assert refusal(json.dumps({"id": "x", "title": "X", field: [text]})).field == f"{field}.0"
    assert refusal(json.dumps({"id": "x", "title": "X", "ids": {"imdb": text}})).field == "ids.imdb"


def test_half_a_character_is_refused() -> None:
    assert "JSON" in refusal(an_update_line(evidence="x").replace('"x"', r'"\ud800"')).problem


def test_a_title_of_5000_characters_is_refused() -> None:
    error = refusal(json.dumps({"id": "x", "title": "X" * 5000}))
    assert (error.field, error.problem) == ("title", "String should have at most 200 characters.")


@pytest.mark.parametrize(
    ("date", "field", "says"),
    [
        ("2023-02-30", "date.edtf", "does not exist in the calendar"),
        ("2023-02-29", "date.edtf", "does not exist in the calendar"),
        ("TBA", "date.edtf", "is not a release date"),
        ("", "date.edtf", "is not a release date"),
        ({"edtf": "mid-2023"}, "date.edtf", "is not a release date"),
        ({"edtf": "2026-09-02", "raw": "TBA"}, "date.raw", "leave the whole date out"),
        ({"edtf": "2026-09-02", "raw": "To be announced."}, "date.raw", "leave the whole date out"),
        ({"edtf": "2026-12-31", "precision": "tba"}, "date.precision", "has day"),
        ({"edtf": "2026-09", "precision": "day"}, "date.precision", "has month"),
        ({"edtf": "2026-09", "precision": "fortnight"}, "date.precision", "has month"),
        ({"edtf": "2026-09", "lower": "2026-09-02"}, "date.lower", "has 2026-09-01"),
        ({"edtf": "2026-09", "upper": "2026-10-01"}, "date.upper", "has 2026-09-30"),
        ({"edtf": "2026/..", "upper": "2026-12-31"}, "date.upper", "has None"),
        ({"edtf": "2026-09", "lower": "2026-02-30"}, "date.lower", "date"),
        ({"precision": "day"}, "date.edtf", "required"),
        ({"edtf": 2026}, "date.edtf", "valid string"),
        ({"edtf": "2026", "year_inferred": "yes"}, "date.year_inferred", "valid boolean"),
        (2026, "date", "object"),
        (["2026"], "date", "object"),
    ],
)
def test_a_wrong_date_is_refused_by_its_field(date: object, field: str, says: str) -> None:
    error = refusal(an_update_line(kind="dated", date=date))
    assert error.field == field
    assert says in error.problem


@pytest.mark.parametrize("published", ["2023-02-30", "TBA", 5, "2026-11-22T09:00:00Z"])
def test_the_day_of_an_announcement_is_a_day(published: object) -> None:
    assert refusal(an_update_line(source={"published": published})).field == "source.published"


@pytest.mark.parametrize(
    ("show", "field"),
    [
        ({"id": "Ozark"}, "id"),
        ({"id": "x" * 81}, "id"),
        ({"title": ""}, "title"),
        ({"title": None}, "title"),
        ({"aliases": "AOUAD"}, "aliases"),
        ({"aliases": ["x"] * 51}, "aliases"),
        ({"limited": 1}, "limited"),
        ({"ids": ["tt1"]}, "ids"),
        ({"ids": {"imdb": 1}}, "ids.imdb"),
    ],
)
def test_a_wrong_show_is_refused_by_its_field(show: dict[str, object], field: str) -> None:
    assert refusal(json.dumps({"id": "ozark", "title": "Ozark", **show})).field == field


@given(
    st.dictionaries(
        st.sampled_from([*json.loads(update_line(an_update())), "title", "aliases", "zzz"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    )
)
def test_any_json_is_a_record_or_refused(changes: dict[str, Any]) -> None:
    refused = ""
    try:
        assert isinstance(read_record(an_update_line(**changes)), Update)
    except BadRecord as error:
        refused = str(error)
    assert clean(refused) == refused


@given(st.text())
def test_any_text_is_refused(text: str) -> None:
    refusal(text)


def test_an_update_made_by_the_program_is_checked_like_one_from_a_file() -> None:
    with pytest.raises(BadRecord) as refused:
        checked(an_update(speaker="Net\x1bflix"))
    assert refused.value.field == "speaker"


def test_a_bad_line_of_a_file_says_where_it_stands_and_that_nothing_was_stored() -> None:
    cause = refusal(an_update_line(kind="renewd"))
    text = str(BadFile("updates/2026/ozark.jsonl", 3, cause))
    assert text.startswith("updates/2026/ozark.jsonl, line 3, field 'kind': ")
    assert text.endswith("Nothing of this file was stored.")


def test_a_show_is_no_update() -> None:
    assert isinstance(read_record(show_line(a_show())), Show)
