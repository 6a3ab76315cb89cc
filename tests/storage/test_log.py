"""The log of updates: append-only, in order, without gaps, and the same again from its files."""

import asyncio
import datetime as dt
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.commands.files import dump, load
from bot.errors import BadFile, BadRecord, StorageError
from bot.model import Certainty, Show, Update, UpdateKind
from bot.records import show_line, update_line
from storage.fanouts import Unread
from storage.publishing import BadLine, Loaded
from storage.store import Storage, open_storage
from storage.trust import trust
from tests.build import NOW, ROOT, TODAY, a_retraction, a_show, an_id, an_update, days_ago
from tests.storage.builders import (
    SHOW,
    a_store,
    a_trailer,
    everything,
    poll,
    publish,
    put_shows,
    sql,
    write,
)


@pytest.fixture
async def filled(storage: Storage) -> Storage:
    """A store with one show."""
    await put_shows(storage)
    return storage


# Append-only


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE updates SET record = '{}'",
        "UPDATE updates SET seq = seq + 100",
        "DELETE FROM updates",
        "DELETE FROM updates WHERE seq = 1",
    ],
)
async def test_the_log_refuses_to_be_changed(filled: Storage, statement: str) -> None:
    await publish(filled, a_trailer())
    before = await everything(filled)
    with pytest.raises(StorageError, match="updates is append-only"):
        await write(filled, statement)
    assert await everything(filled) == before


async def test_the_log_refuses_to_be_replaced_or_emptied(filled: Storage) -> None:
    await publish(filled, a_trailer())
    before = await everything(filled)
    statement = (
        "INSERT OR REPLACE INTO updates SELECT * FROM updates"
        if filled.database.path
        else "TRUNCATE updates CASCADE"
    )
    with pytest.raises(StorageError, match="updates is append-only"):
        await write(filled, statement)
    assert await everything(filled) == before


# Order


async def test_places_rise_by_one_in_the_order_of_publication(filled: Storage) -> None:
    published = [a_trailer() for _ in range(5)]
    places = [await publish(filled, update) for update in reversed(published)]
    assert places == [1, 2, 3, 4, 5]
    assert [update.id for update in await filled.updates.all()] == [
        update.id for update in reversed(published)
    ]


async def test_a_reader_of_a_log_that_two_processes_write_skips_nothing(
    filled: Storage, database_url: str
) -> None:
    read: list[int] = []

    def note(unread: Unread) -> None:
        read.append(unread.seq)

    async def publish_some(storage: Storage) -> None:
        for _ in range(15):
            await storage.publishing.publish(a_trailer(), TODAY)

    async def keep_reading() -> None:
        while len(read) < 30:
            await filled.fanouts.take(note, NOW, 3)
            await asyncio.sleep(0)

    async with open_storage(database_url, trust(), checkpoints=False) as other:
        await asyncio.wait_for(
            asyncio.gather(publish_some(filled), publish_some(other), keep_reading()), 60
        )
    assert read == list(range(1, 31))


async def test_a_refused_update_leaves_no_gap(filled: Storage) -> None:
    await publish(filled, a_trailer())
    with pytest.raises(BadRecord):
        await publish(filled, an_update("trailer", value="no address"))
    assert await publish(filled, a_trailer()) == 2


# Publishing


async def test_preparing_shows_what_would_be_stored_and_stores_nothing(filled: Storage) -> None:
    draft = a_trailer(speaker_role=None)
    prepared = await filled.publishing.prepare(draft, TODAY)
    assert await filled.updates.all() == []
    stored = await filled.publishing.publish(draft, TODAY)
    assert stored == prepared
    assert stored.quiet is None
    assert await filled.updates.all() == [stored.update]
    logged = await filled.updates.get(draft.id)
    assert logged is not None
    assert (logged.seq, logged.update) == (1, stored.update)


async def test_a_second_source_joins_the_fact_and_is_not_pushed(filled: Storage) -> None:
    first = an_update("renewed")
    await publish(filled, first)
    second = await filled.publishing.publish(an_update("renewed", certainty="reported"), TODAY)
    assert second.update.also == first.id
    assert first.id in (second.quiet or "")
    assert [one.pushes for one in await filled.fanouts.unread(10)] == [True, False]


async def test_a_guess_and_old_news_are_recorded_and_not_pushed(filled: Storage) -> None:
    await publish(filled, an_update("renewed", certainty="speculation"))
    await publish(filled, a_trailer(announced=days_ago(31)))
    await publish(filled, a_trailer(announced=days_ago(30)))
    assert [one.pushes for one in await filled.fanouts.unread(10)] == [False, False, True]


async def test_a_retraction_names_the_place_of_what_it_takes_back(filled: Storage) -> None:
    await publish(filled, a_trailer())
    wrong = a_trailer()
    place = await publish(filled, wrong)
    await publish(filled, a_retraction(wrong))
    assert [one.retracts_seq for one in await filled.fanouts.unread(10)] == [None, None, place]


async def test_a_thing_is_retracted_once(filled: Storage) -> None:
    wrong = a_trailer()
    await publish(filled, wrong)
    await publish(filled, a_retraction(wrong))
    with pytest.raises(BadRecord, match="retracted already"):
        await publish(filled, a_retraction(wrong))
    assert len(await filled.updates.all()) == 2


async def test_what_is_unknown_cannot_be_retracted(filled: Storage) -> None:
    with pytest.raises(BadRecord, match="no update of this show has the id"):
        await publish(filled, a_retraction(an_update()))
    assert await filled.updates.all() == []


async def test_what_was_shown_is_checked_again_when_it_is_stored(filled: Storage) -> None:
    """Somebody else published the same meanwhile."""
    draft = an_update("renewed")
    shown = await filled.publishing.prepare(draft, TODAY)
    await publish(filled, an_update("renewed", certainty="reported"))
    stored = await filled.publishing.publish(draft, TODAY)
    assert shown.quiet is None
    assert stored.quiet is not None


async def test_a_show_that_is_not_in_the_catalogue_has_no_updates(filled: Storage) -> None:
    with pytest.raises(BadRecord, match="no show has the id 'dark'"):
        await publish(filled, an_update(show="dark"))


async def test_an_id_is_never_used_twice(filled: Storage) -> None:
    first = a_trailer()
    await publish(filled, first)
    before = await everything(filled)
    with pytest.raises((StorageError, BadRecord)):
        await filled.publishing.publish(a_trailer(id=first.id), TODAY)
    assert await everything(filled) == before


# Files


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "updates.jsonl"


def write_lines(path: Path, *records: Show | Update | str) -> Path:
    lines = [_line(record) for record in records]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def _line(record: Show | Update | str) -> str:
    if isinstance(record, str):
        return record
    return show_line(record) if isinstance(record, Show) else update_line(record)


async def load_files(storage: Storage, *paths: Path) -> Loaded:
    return await load(storage, paths, TODAY, lambda loaded: None)


async def test_the_same_file_twice_changes_nothing(storage: Storage, file: Path) -> None:
    write_lines(file, a_show(), an_update("renewed"), a_trailer(), a_show("dark"))
    assert await load_files(storage, file) == Loaded(shows=2, updates=2, unchanged=0)
    before = await everything(storage)
    assert await load_files(storage, file) == Loaded(shows=0, updates=0, unchanged=4)
    assert await everything(storage) == before


async def test_a_changed_show_is_stored_anew_with_its_titles(storage: Storage, file: Path) -> None:
    await load_files(
        storage, write_lines(file, a_show(aliases=("AOUAD", "Zombies")), a_show("dark"))
    )
    version = await storage.shows.version()
    changed = a_show(aliases=("AOUAD",), original_title="지금 우리 학교는")
    assert await load_files(storage, write_lines(file, changed, a_show("dark"))) == Loaded(1, 0, 1)
    assert await storage.shows.get(SHOW) == changed
    assert [title for show, title in await storage.shows.titles() if show == SHOW] == [
        "All of Us Are Dead",
        "지금 우리 학교는",
        "AOUAD",
    ]
    assert await storage.shows.version() > version


async def test_a_catalogue_larger_than_a_statement_has_parameters(storage: Storage) -> None:
    shows = [a_show(f"show-{n}") for n in range(33_000)]
    await put_shows(storage, *shows)
    assert len(await storage.shows.some(show.id for show in shows)) == len(shows)


async def test_of_a_file_with_a_bad_record_nothing_is_stored(storage: Storage, file: Path) -> None:
    bad = an_update("trailer", value="no address")
    write_lines(file, a_show(), "", a_trailer(), bad, a_trailer())
    with pytest.raises(BadFile, match=f"{file}, line 4, field 'value'") as caught:
        await load_files(storage, file)
    assert (caught.value.line, caught.value.field) == (4, "value")
    assert "Nothing of this file was stored" in str(caught.value)
    assert await storage.shows.all() == []
    assert await storage.updates.all() == []
    assert await storage.shows.version() == 0


@pytest.mark.parametrize(
    ("line", "field", "problem"),
    [
        ("{", "", "not JSON"),
        ("[]", "", "not a JSON object"),
        ('{"kind": "renewed"}', "id", "required"),
        ('{"id": "dark", "title": "Dark", "colour": 1}', "colour", "no such field"),
        ('{"id": "dark", "title": "' + "x" * 5000 + '"}', "title", "200"),
        ('{"id": "dark", "title": "\\u001b[31m"}', "title", "control character"),
        ('{"id": "dark", "title": "' + "x" * 10_000_000 + '"}', "", "bytes"),
    ],
)
async def test_a_line_that_is_no_record_is_named(
    sqlite_url: str, file: Path, line: str, field: str, problem: str
) -> None:
    write_lines(file, a_show(), line)
    async with open_storage(sqlite_url, trust()) as storage:
        with pytest.raises(BadFile) as caught:
            await load_files(storage, file)
        assert (caught.value.line, caught.value.field) == (2, field)
        assert problem in str(caught.value)
        assert await storage.shows.all() == []


async def test_files_before_the_bad_one_stay(storage: Storage, tmp_path: Path) -> None:
    good = write_lines(tmp_path / "shows.jsonl", a_show())
    bad = write_lines(tmp_path / "updates.jsonl", a_retraction(an_update()))
    with pytest.raises(BadFile, match="field 'retracts'"):
        await load_files(storage, bad, good)
    assert await storage.shows.count() == 1


async def test_an_id_that_stands_twice_in_a_file_is_named_with_both_lines(
    storage: Storage, file: Path
) -> None:
    first = a_trailer()
    write_lines(file, a_show(), first, a_trailer(), a_trailer(id=first.id))
    with pytest.raises(BadFile, match=f"line 4, field 'id': {first.id} stands on line 2 as well"):
        await load_files(storage, file)
    assert await storage.updates.all() == []


async def test_a_show_that_stands_twice_in_a_file_is_named_with_both_lines(
    storage: Storage, file: Path
) -> None:
    write_lines(file, a_show(), a_trailer(), a_show(title="Another"))
    with pytest.raises(BadFile, match=f"line 3, field 'id': {SHOW} stands on line 1 as well"):
        await load_files(storage, file)
    assert await storage.shows.all() == []


async def test_an_id_of_the_log_cannot_be_taken_by_another_record(
    filled: Storage, file: Path
) -> None:
    first = a_trailer()
    await publish(filled, first)
    write_lines(file, a_trailer(), a_trailer(id=first.id))
    with pytest.raises(BadFile, match=r"line 2, field 'id': .* ids are never reused"):
        await load_files(filled, file)
    assert len(await filled.updates.all()) == 1


async def test_records_of_one_file_may_speak_of_each_other(storage: Storage, file: Path) -> None:
    wrong = a_trailer()
    write_lines(file, a_show(), wrong, a_retraction(wrong))
    await load_files(storage, file)
    assert [one.retracts_seq for one in await storage.fanouts.unread(10)] == [None, 1]


async def test_a_retraction_of_something_unknown_is_named(filled: Storage, file: Path) -> None:
    write_lines(file, a_trailer(), a_retraction(an_update()))
    with pytest.raises(BadFile, match="line 2, field 'retracts': no update of this show"):
        await load_files(filled, file)
    assert await filled.updates.all() == []


async def test_the_error_of_a_store_names_the_line(filled: Storage) -> None:
    with pytest.raises(BadLine) as caught:
        await filled.publishing.load([(7, an_update(show="dark"))], TODAY)
    assert (caught.value.line, caught.value.cause.field) == (7, "show")


# Load, dump, load, dump


async def dumped(storage: Storage) -> dict[str, bytes]:
    """The files of a dump."""
    with tempfile.TemporaryDirectory() as folder:
        await dump(storage, Path(folder))
        return contents(Path(folder))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.jsonl"))
    }


async def loaded(storage: Storage, files: dict[str, bytes]) -> Loaded:
    """Load the files of a dump."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return await load_files(storage, Path(folder))


async def test_the_shipped_catalogue_comes_out_as_it_went_in(storage: Storage) -> None:
    await load_files(storage, ROOT / "storage" / "curated")
    files = await dumped(storage)
    assert files == contents(ROOT / "storage" / "curated")
    again = await loaded(storage, files)
    assert (again.shows, again.updates) == (0, 0)
    assert await dumped(storage) == files


words = st.text(st.characters(codec="utf-8", categories=("L", "N", "S")), min_size=1, max_size=20)
shows = st.lists(
    st.builds(
        lambda name, title, aliases, services, limited: a_show(
            name,
            title=title,
            aliases=tuple(aliases),
            services=("Netflix", *services),
            limited=limited,
        ),
        st.sampled_from(["dark", "see", "kin", "all-of-us-are-dead"]),
        words,
        st.lists(words, max_size=3),
        st.lists(words, max_size=2),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda show: show.id,
)
drafts = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(
                ["renewed", "dated", "trailer", "teaser", "cancelled", "postponed", "released"]
            ),
            "certainty": st.sampled_from(Certainty),
            "season": st.integers(1, 4),
            "part": st.sampled_from([None, 1, 2]),
            "date": st.sampled_from(["2027", "2027-03", "2027-03-04", "2027-22", "2028-05~"]),
            "announced": st.integers(0, 60).map(days_ago),
            "evidence": st.none() | words,
            "show": st.integers(0, 3),
            "years": st.integers(0, 1),
            "retracts": st.booleans(),
        }
    ),
    max_size=12,
)


@given(shows, drafts)
@settings(max_examples=25)
async def test_any_store_comes_out_of_its_files_as_it_was(
    shows: list[Show], drafts: list[dict[str, Any]]
) -> None:
    async with a_store(*shows) as first:
        moment = NOW
        for draft in drafts:
            moment += dt.timedelta(days=300 * draft["years"], milliseconds=1)
            await _try_to_publish(first, shows, draft, moment)
        files = await dumped(first)
        again = await loaded(first, files)
        assert (again.shows, again.updates) == (0, 0)
        async with a_store() as second:
            await loaded(second, files)
            assert await dumped(second) == files
            assert await second.shows.all() == await first.shows.all()
            for show in shows:
                assert await second.updates.of_show(show.id) == await first.updates.of_show(show.id)


async def _try_to_publish(
    storage: Storage, shows: list[Show], draft: dict[str, Any], moment: dt.datetime
) -> None:
    """Publish what the rules allow."""
    draft = dict(draft)
    show = shows[draft.pop("show") % len(shows)]
    log = await storage.updates.of_show(show.id)
    del draft["years"]
    if draft.pop("retracts") and log:
        update = a_retraction(log[0])
    else:
        dated = draft["kind"] == UpdateKind.DATED
        update = an_update(**{**draft, "show": show.id, "date": draft["date"] if dated else None})
    try:
        await storage.publishing.publish(replace(update, recorded_at=moment), TODAY)
    except BadRecord:
        return


async def test_a_dump_keeps_the_order_of_what_was_published_within_a_year(filled: Storage) -> None:
    """An update that was recorded before another, and added after it."""
    late, early = a_trailer(), a_trailer(recorded_at=NOW - dt.timedelta(days=1))
    await publish(filled, late)
    await publish(filled, early)
    content = (await dumped(filled))[f"updates/2026/{SHOW}.jsonl"].decode()
    assert re.findall(r'^{[^}]*?"id":"(\w+)"', content, re.MULTILINE) == [late.id, early.id]


async def test_a_dump_loads_again_after_a_clock_that_went_back_a_year(
    filled: Storage, tmp_path: Path
) -> None:
    trailer = a_trailer()
    await publish(filled, trailer)
    await publish(filled, a_retraction(trailer, recorded_at=NOW - dt.timedelta(days=400)))
    content = await dumped(filled)
    async with open_storage(f"sqlite:///{tmp_path / 'other.db'}", trust()) as other:
        for name, data in content.items():
            path = tmp_path / "dump" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        await load(other, [tmp_path / "dump"], TODAY, lambda _file: None)
        assert await dumped(other) == content


async def test_a_dump_that_cannot_be_written_is_named(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with open_storage(sqlite_url, trust()) as storage:
        await put_shows(storage)
        with pytest.raises(Exception, match="cannot be written"):
            await dump(storage, tmp_path / "file" / "below")


# Reading


async def test_the_latest_are_the_confirmed_ones_by_the_day_they_were_announced(
    filled: Storage,
) -> None:
    old, new = a_trailer(announced=days_ago(9)), a_trailer(announced=days_ago(1))
    same_day = a_trailer(announced=days_ago(1))
    for update in (new, same_day, old, an_update(certainty="speculation"), a_retraction(old)):
        await publish(filled, update)
    found = [update.id for update in await filled.updates.latest(10)]
    assert found == [same_day.id, new.id, old.id]
    assert [update.id for update in await filled.updates.latest(1)] == [same_day.id]


async def test_shows_with_a_date_ahead_are_found_by_its_last_possible_day(storage: Storage) -> None:
    await put_shows(storage, *(a_show(name) for name in ("dark", "kin", "see", "alf")))
    await publish(storage, an_update("dated", show="dark", date="2027-03"))
    await publish(storage, an_update("dated", show="kin", date="2027-02-28"))
    await publish(storage, an_update("dated", show="see", date="2027-01/.."))
    await publish(storage, an_update("dated", show="alf", date="2030", certainty="speculation"))
    for day, found in {
        dt.date(2027, 2, 28): ["dark", "kin", "see"],
        dt.date(2027, 3, 31): ["dark", "see"],
        dt.date(2100, 1, 1): ["see"],
    }.items():
        assert sorted(await storage.updates.dated_after(day)) == found


async def test_what_is_told_comes_with_its_show_and_its_whole_log(filled: Storage) -> None:
    first, second = a_trailer(), a_trailer()
    seqs = [await publish(filled, first), await publish(filled, second)]
    told = await filled.updates.told([seqs[1]])
    assert list(told) == [seqs[1]]
    one = told[seqs[1]]
    assert (one.show.id, one.update.id) == (SHOW, second.id)
    assert [each.id for each in one.log] == [first.id, second.id]
    assert one.taken_at is None  # nobody has polled
    await poll(filled, NOW)
    assert (await filled.updates.told([seqs[1]]))[seqs[1]].taken_at == NOW
    assert await filled.updates.told([]) == {}
    assert await filled.updates.get(an_id()) is None
    assert await sql(filled, "SELECT max(seq) FROM updates") == [(2,)]
