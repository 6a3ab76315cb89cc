"""The record format of the curated store: JSON Lines to values and back, byte for byte.

A line is a show, or an update if it has a `kind`. Reading is strict: an unknown field, a wrong
type or an impossible date is a `BadRecord` that names the field. Rules that need to know more
than the one record stand in `bot.curation`.
"""

import datetime as dt
import re
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)
from ulid import ULID

from bot.dates import ReleaseDate
from bot.errors import BadRecord
from bot.model import (
    AnnouncedDate,
    Certainty,
    Push,
    Show,
    Source,
    SpeakerRole,
    Update,
    UpdateKind,
)
from bot.text import clean, first_unsafe, shorten

LINE_LIMIT: Final = 64 * 1024
"""The longest line that is read, in bytes; a real record has about one thousand."""

TITLE_LIMIT: Final = 200
_SLUG: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_TBA_WORDS: Final = frozenset({"tba", "tbd", "tbc", "to be announced", "to be determined"})


def _plain(text: str) -> str:
    point = first_unsafe(text)
    if point:
        raise ValueError(f"holds the control character {point}; remove it")
    if text != text.strip() or not text:
        raise ValueError("is empty, or has blanks at its ends; remove them")
    return text


def _https(url: str) -> str:
    _plain(url)
    try:
        parts = urlsplit(url)
        plain = parts.scheme == "https" and parts.hostname and "@" not in parts.netloc
        plain = plain and len(url.split()) == 1 and parts.port != 0
    except ValueError:  # brackets or a port that make no sense
        plain = False
    if not plain:
        raise ValueError("is not a plain https address, such as https://example.com/news")
    return url


def _value(text: str) -> str:
    return _https(text) if text.startswith("http") else _plain(text)


def _slug(text: str) -> str:
    if not _SLUG.fullmatch(text):
        raise ValueError("is not made of a-z, 0-9 and single hyphens, such as all-of-us-are-dead")
    return text


def _ulid(text: str) -> str:
    try:
        return str(ULID.from_str(text))
    except ValueError:
        raise ValueError("is not a ULID (26 characters)") from None


def _utc(moment: dt.datetime) -> dt.datetime:
    if moment.tzinfo is None:
        raise ValueError("has no time zone; end it with Z")
    try:
        utc = moment.astimezone(dt.UTC)
    except OverflowError:
        raise ValueError("is not a moment of the years 1 to 9999") from None
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def stamp(moment: dt.datetime) -> str:
    """A moment as the records write it: UTC to the millisecond, "2026-11-22T09:00:00.000Z"."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _date_object(value: object) -> object:
    return {"edtf": value} if isinstance(value, str) else value


Title = Annotated[str, Field(max_length=TITLE_LIMIT), AfterValidator(_plain)]
Name = Annotated[str, Field(max_length=100), AfterValidator(_plain)]
Note = Annotated[str, Field(max_length=500), AfterValidator(_plain)]
Url = Annotated[str, Field(max_length=2000), AfterValidator(_https)]
Slug = Annotated[str, Field(max_length=80), AfterValidator(_slug)]
Ulid = Annotated[str, AfterValidator(_ulid)]
Moment = Annotated[dt.datetime, AfterValidator(_utc), PlainSerializer(stamp)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)


class _Versioned(_Record):
    schema_version: Literal[1] = 1


class ShowRecord(_Versioned):
    """One show of the catalogue as a line of JSON."""

    id: Slug
    title: Title
    original_title: Title | None = None
    aliases: list[Title] = Field(default_factory=list, max_length=50)
    services: list[Name] = Field(default_factory=list, max_length=20)
    ids: dict[Name, Name] = Field(default_factory=dict, max_length=20)
    official_channels: list[Name] = Field(default_factory=list, max_length=50)
    limited: bool = False
    sources: list[Url] = Field(default_factory=list, max_length=20)


class SourceRecord(_Record):
    """Where a fact was read."""

    url: Url | None = None
    outlet: Name | None = None
    kind: Name | None = Field(default=None, alias="class")
    published: dt.date | None = None
    archived: Url | None = None


class DateRecord(_Record):
    """A release date; everything but `edtf` may be left out, and must agree with it otherwise."""

    edtf: str
    precision: str | None = None
    # A date may be given as plain EDTF text; the validator for that loses the JSON mode in which
    # strict days are read from text.
    lower: Annotated[dt.date, Field(strict=False)] | None = None
    upper: Annotated[dt.date, Field(strict=False)] | None = None
    raw: Name | None = None
    tz: Name | None = None
    region: Name | None = None
    year_inferred: bool = False


class UpdateRecord(_Versioned):
    """One update of the log as a line of JSON."""

    id: Ulid
    recorded_at: Moment
    show: Slug
    season: Annotated[int, Field(ge=1, le=9999)] | None = None
    part: Annotated[int, Field(ge=1, le=99)] | None = None
    kind: UpdateKind
    value: Annotated[str, Field(max_length=2000), AfterValidator(_value)] | None = None
    date: Annotated[DateRecord | None, BeforeValidator(_date_object)] = None
    certainty: Certainty
    speaker: Name | None = None
    speaker_role: SpeakerRole | None = None
    source: SourceRecord = Field(default_factory=SourceRecord)
    evidence: Note | None = None
    curator: Name | None = None
    method: Name = "import"
    also: Ulid | None = None
    supersedes: Ulid | None = None
    retracts: Ulid | None = None
    reverses: Ulid | None = None
    reason: Note | None = None
    push: Push = Push.AUTO


_SHOW_FIELDS: Final = frozenset(ShowRecord.model_fields) - {"schema_version"}
_SOURCE_FIELDS: Final = frozenset(SourceRecord.model_fields)
_SAME_FIELDS: Final = frozenset(UpdateRecord.model_fields) - {"schema_version", "date", "source"}


def read_record(line: str) -> Show | Update:
    """Read one line of a curated file.

    Raises `BadRecord` when it is not JSON, breaks the format, or is longer than `LINE_LIMIT`.
    """
    size = len(line.encode("utf-8", "surrogatepass"))
    if size > LINE_LIMIT:
        raise BadRecord("", f"the line has {size:,} bytes; a record has at most {LINE_LIMIT:,}.")
    raw = _json_object(line)
    try:
        if "kind" in raw:
            return to_update(UpdateRecord.model_validate_json(line))
        return to_show(ShowRecord.model_validate_json(line))
    except ValidationError as error:
        raise _bad(error) from None


def show_line(show: Show) -> str:
    """A show as one line of JSON, without a line break."""
    return _show_record(show).model_dump_json(by_alias=True)


def update_line(update: Update) -> str:
    """An update as one line of JSON, without a line break."""
    return _update_record(update).model_dump_json(by_alias=True)


def checked(update: Update) -> Update:
    """The same update after the checks of the format; raises `BadRecord`."""
    try:
        _update_record(update)
    except ValidationError as error:
        raise _bad(error) from None
    return update


def _json_object(line: str) -> dict[str, Any]:
    import json

    try:
        raw = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRecord("", f"this is not JSON ({error}).") from None
    if not isinstance(raw, dict):
        raise BadRecord("", "this is not a JSON object, such as {…}.")
    return raw


def _bad(error: ValidationError) -> BadRecord:
    first = error.errors(include_url=False, include_context=False)[0]
    field = clean(shorten(".".join(str(part) for part in first["loc"]), 80))
    problem = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        problem = "there is no such field; check its spelling"
    elif first["type"] not in ("missing", "string_too_long") and field:
        problem = f"{problem} (it is {clean(shorten(repr(first['input']), 60))})"
    return BadRecord(field, f"{problem}.")


def to_show(record: ShowRecord) -> Show:
    """The show a record describes."""
    fields = {name: getattr(record, name) for name in _SHOW_FIELDS}
    lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    return Show(**{**fields, **lists, "ids": tuple(record.ids.items())})


def to_update(record: UpdateRecord) -> Update:
    """The update a record describes; raises `BadRecord` when its date disagrees with itself."""
    source = Source(**{name: getattr(record.source, name) for name in _SOURCE_FIELDS})
    date = _to_date(record.date) if record.date else None
    same = {name: getattr(record, name) for name in _SAME_FIELDS}
    return Update(**same, date=date, source=source)


def _to_date(record: DateRecord) -> AnnouncedDate:
    if record.raw and record.raw.strip(" .").casefold() in _TBA_WORDS:
        raise BadRecord("date.raw", f"{record.raw!r} is not a date: leave the whole date out.")
    try:
        value = ReleaseDate.parse(record.edtf)
    except BadRecord as error:
        raise BadRecord("date.edtf", error.problem) from None
    for name in ("precision", "lower", "upper"):
        given, computed = getattr(record, name), getattr(value, name)
        if given is not None and given != computed:
            raise BadRecord(
                f"date.{name}", f"{given} does not agree with {value.edtf!r}, which has {computed}."
            )
    return AnnouncedDate(value, record.raw, record.tz, record.region, record.year_inferred)


def _show_record(show: Show) -> ShowRecord:
    fields = {name: getattr(show, name) for name in _SHOW_FIELDS}
    lists = {name: list(value) for name, value in fields.items() if isinstance(value, tuple)}
    return ShowRecord(**{**fields, **lists, "ids": dict(show.ids)})


def _update_record(update: Update) -> UpdateRecord:
    source = SourceRecord(**{name: getattr(update.source, name) for name in _SOURCE_FIELDS})
    date = _date_record(update.date) if update.date else None
    same = {name: getattr(update, name) for name in _SAME_FIELDS}
    return UpdateRecord(**same, date=date, source=source)


def _date_record(announced: AnnouncedDate) -> DateRecord:
    value = announced.value
    return DateRecord(
        edtf=value.edtf,
        precision=value.precision,
        lower=value.lower,
        upper=value.upper,
        raw=announced.raw,
        tz=announced.tz,
        region=announced.region,
        year_inferred=announced.year_inferred,
    )
