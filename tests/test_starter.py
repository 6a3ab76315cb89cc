"""The starter catalogue: every shipped record keeps the rules, and says what its sources said."""

import datetime as dt
import json
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from bot.commands.files import STARTER, files_of
from bot.curation import Context, check, complete, quiet_reason
from bot.dates import TBA
from bot.model import Push, Show, ShowId, Update, UpdateKind
from bot.records import read_record, show_line, update_line
from bot.seasons import Known, SeasonKey, Stage, fold, in_force, key_of
from storage.trust import trust
from tests.build import shared_file

SHIPPED = dt.date(2026, 11, 22)
FILES = files_of([STARTER])
UPDATE_FILES = [path for path in FILES if "updates" in path.parts]
INSTAGRAM = "https://www.instagram.com/netflixkr/"
OF_THE_ARTICLE = {
    "all-of-us-are-dead": "All of Us Are Dead",
    "mayor-of-kingstown": "Mayor of Kingstown",
    "tsurune-the-linking-shot": "Tsurune: The Linking Shot",
    "vikings-valhalla": "Vikings: Valhalla",
}


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


@cache
def records() -> tuple[Show | Update, ...]:
    return tuple(read_record(line) for path in FILES for line in lines_of(path))


@cache
def shows() -> dict[ShowId, Show]:
    return {record.id: record for record in records() if isinstance(record, Show)}


@cache
def updates() -> tuple[Update, ...]:
    return tuple(record for record in records() if isinstance(record, Update))


def known(show: str, season: int) -> Known:
    return fold(SeasonKey(ShowId(show), season), updates()).known


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_file_is_written_as_dump_writes_it(path: Path) -> None:
    for line in lines_of(path):
        record = read_record(line)
        assert line == (show_line(record) if isinstance(record, Show) else update_line(record))
    assert path.read_bytes().endswith(b"\n")


@pytest.mark.parametrize("path", UPDATE_FILES, ids=lambda path: path.stem)
def test_a_shipped_file_passes_the_rules_when_it_is_replayed(path: Path) -> None:
    log: list[Update] = []
    for line in lines_of(path):
        update = read_record(line)
        assert isinstance(update, Update)
        assert update.show == path.stem
        assert str(update.recorded_at.year) == path.parent.name
        context = Context(shows()[update.show], tuple(log), trust(), SHIPPED)
        ready = complete(update, context)
        check(ready, context)
        assert ready == update, "what follows from the rest is written down"
        log.append(ready)


def test_updates_stand_in_the_order_of_their_ids_and_moments() -> None:
    for path in UPDATE_FILES:
        log = [update for update in updates() if update.show == path.stem]
        assert log == sorted(log, key=lambda update: (update.recorded_at, update.id))


def test_no_id_is_used_twice() -> None:
    ids = Counter(record.id for record in records())
    assert [one for one, times in ids.items() if times > 1] == []


def test_no_title_means_two_shows() -> None:
    titles = Counter(
        title for show in shows().values() for title in {one.casefold() for one in show.titles}
    )
    assert [title for title, times in titles.items() if times > 1] == []


def test_nothing_shipped_is_pushed() -> None:
    assert [update for update in updates() if quiet_reason(update, SHIPPED) is None] == []
    assert all(update.push is not Push.AUTO for update in updates())


def test_every_update_names_a_source_and_says_what_it_saw() -> None:
    for update in updates():
        assert update.source.url or update.source.outlet, update.id
        assert update.source.published, update.id
        assert update.evidence, update.id


def test_every_show_names_a_source_or_stands_in_the_article() -> None:
    bare = {show.id for show in shows().values() if not show.sources}
    assert bare <= {*OF_THE_ARTICLE, "squid-game"}


def test_every_update_is_about_a_show_of_the_catalogue() -> None:
    assert {update.show for update in updates()} <= shows().keys()


def test_the_shows_of_the_article_are_there() -> None:
    assert {one: shows()[ShowId(one)].title for one in OF_THE_ARTICLE} == OF_THE_ARTICLE


def test_at_least_25_further_shows_have_news_of_every_kind() -> None:
    facts = [one for one in updates() if one.confirmed and one.show not in OF_THE_ARTICLE]
    assert len({one.show for one in facts}) >= 25
    kinds = Counter(one.kind for one in facts)
    for kind in ("renewed", "dated", "trailer", "cancelled"):
        assert kinds[UpdateKind(kind)] >= 3


def test_all_of_us_are_dead_is_renewed_and_not_dated() -> None:
    season = known("all-of-us-are-dead", 2)
    assert season.stage is Stage.RENEWED
    assert season.order is not None
    assert (season.order.certainty, season.order.speaker) == ("official", "Netflix Korea")
    assert season.order.source.url == INSTAGRAM
    assert season.date == TBA
    assert (season.trailer, season.teaser) == (None, None)


def test_mid_2023_is_a_rumour_and_nothing_more() -> None:
    guesses = known("all-of-us-are-dead", 2).rumours
    (date,) = [one.date for one in guesses if one.date]
    assert (date.value.edtf, date.raw) == ("2023-38", "mid-2023")
    assert all(one.push is Push.NEVER for one in guesses)


def test_what_the_article_only_asks_is_no_fact() -> None:
    assert known("mayor-of-kingstown", 3).order is None
    assert known("vikings-valhalla", 3).order is None
    assert known("tsurune-the-linking-shot", 2).order is None


def test_no_season_contradicts_itself() -> None:
    for show in shows():
        log = [update for update in updates() if update.show == show]
        for update in in_force(log):
            assert fold(key_of(update), log).known.contradictions == ()


def test_every_address_is_one_of_the_headlines() -> None:
    text = shared_file("data/headlines.jsonl").read_text(encoding="utf-8")
    links = {json.loads(line)["link"] for line in text.splitlines()} | {INSTAGRAM}
    strangers = {one.source.url for one in updates() if one.source.url} - links
    assert strangers == set()
