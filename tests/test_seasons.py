"""What is known of a season follows from its log, however it was read."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.dates import TBA, Change
from bot.model import Push, ShowId, Update, UpdateId, UpdateKind
from bot.seasons import (
    Known,
    SeasonKey,
    SeasonState,
    Stage,
    fold,
    fold_show,
    in_force,
    same_fact,
    withdrawn,
)
from tests.build import VIDEO, a_correction, a_log, a_retraction, an_update, days_ago

SHOW = ShowId("all-of-us-are-dead")
SEASON_2 = SeasonKey(SHOW, 2)
PART_1 = SeasonKey(SHOW, 2, 1)


def known(*log: Update, key: SeasonKey = SEASON_2) -> Known:
    return fold(key, log).known


def guess(kind: str = "dated", **changes: object) -> Update:
    return an_update(kind, certainty="speculation", **changes)  # type: ignore[arg-type]


# --- the ladder ---


@pytest.mark.parametrize(
    ("log", "stage"),
    [
        ([], Stage.UNKNOWN),
        ([guess()], Stage.UNKNOWN),
        ([an_update("trailer")], Stage.UNKNOWN),
        ([an_update("pending")], Stage.PENDING),
        ([an_update("pending"), an_update("renewed")], Stage.RENEWED),
        ([an_update("renewed"), an_update("dated", date="2027-03")], Stage.WINDOW),
        ([an_update("renewed"), an_update("dated", date="2027-03-05~")], Stage.DATED),
        ([an_update("renewed"), an_update("dated", date="2027/..")], Stage.WINDOW),
        ([an_update("renewed"), an_update("dated", date="2027-03-05")], Stage.DATED),
        ([an_update("dated", date="2027-03-05"), an_update("postponed")], Stage.POSTPONED),
        ([an_update("postponed"), an_update("dated", date="2027-03")], Stage.WINDOW),
        ([an_update("dated", date="2027-03-05"), an_update("released")], Stage.RELEASED),
        ([an_update("renewed"), an_update("cancelled")], Stage.CANCELLED),
        ([an_update("dated"), an_update("cancelled")], Stage.CANCELLED),
        ([an_update("cancelled"), an_update("saved")], Stage.RENEWED),
        ([an_update("cancelled"), an_update("renewed")], Stage.RENEWED),
        ([an_update("ending")], Stage.UNKNOWN),
        ([an_update("renewed"), an_update("production", value="filming")], Stage.RENEWED),
    ],
)
def test_the_stage_is_the_highest_step_that_is_confirmed(log: list[Update], stage: Stage) -> None:
    assert known(*log).stage is stage


def test_the_date_in_force_keeps_the_one_before_and_what_changed() -> None:
    first, delay = an_update("dated", date="2026-09"), an_update("dated", date="2026-10")
    after = known(first, delay)
    assert after.dated == delay
    assert (str(after.date.edtf), after.change) == ("2026-10", Change.DELAYED)
    assert after.previous_date is not None
    assert after.previous_date.edtf == "2026-09"


def test_a_first_date_has_none_before_it() -> None:
    after = known(an_update("dated"))
    assert (after.previous_date, after.change) == (None, Change.FIRST)


def test_a_vaguer_date_is_kept_apart_and_changes_nothing() -> None:
    day, year = an_update("dated", date="2026-09-02"), an_update("dated", date="2026")
    after = known(day, year)
    assert (after.dated, after.contradictions) == (day, (year,))


def test_a_postponed_season_has_no_date_but_remembers_it() -> None:
    after = known(an_update("dated", date="2026-09-02"), an_update("postponed"))
    assert after.date == TBA
    assert after.previous_date is not None
    assert after.previous_date.edtf == "2026-09-02"


def test_an_ending_season_is_renewed_and_not_cancelled() -> None:
    ending = an_update("ending")
    after = known(an_update("renewed"), ending)
    assert (after.stage, after.ending) == (Stage.RENEWED, ending)


def test_teaser_and_trailer_are_different_things() -> None:
    teaser = an_update("teaser")
    after = known(teaser)
    assert (after.teaser, after.trailer) == (teaser, None)


def test_the_last_confirmed_day_is_the_newest_announcement_and_no_guess() -> None:
    after = known(
        an_update("renewed", announced=days_ago(172)),
        an_update("trailer", announced=days_ago(200)),
        guess(announced=days_ago(1)),
    )
    assert after.last_confirmed == days_ago(172)
    assert known(guess()).last_confirmed is None


def test_a_second_source_makes_a_fact_fresher() -> None:
    first = an_update("renewed", announced=days_ago(20))
    second = an_update("renewed", announced=days_ago(3), also=first.id)
    assert known(first, second).last_confirmed == days_ago(3)


def test_facts_stand_in_the_order_of_their_announcement() -> None:
    late, early = an_update("renewed", announced=days_ago(1)), an_update("trailer")
    early = replace(early, source=replace(early.source, published=days_ago(9)))
    assert known(late, early).facts == (early, late)


# --- parts and seasons ---


def test_seasons_do_not_mix() -> None:
    third = an_update("dated", season=3)
    assert known(third).stage is Stage.UNKNOWN
    assert known(replace(third, show=ShowId("another")), key=SeasonKey(SHOW, 3)) == Known()


def test_a_part_follows_the_orders_of_its_season_and_not_its_dates() -> None:
    renewed, dated = an_update("renewed"), an_update("dated")
    part = known(renewed, dated, key=PART_1)
    assert (part.order, part.dated) == (renewed, None)
    assert known(an_update("cancelled"), key=PART_1).stage is Stage.CANCELLED


def test_a_season_does_not_take_the_date_of_its_part() -> None:
    part = an_update("dated", part=1)
    assert known(part).dated is None
    assert known(part, key=PART_1).dated == part


def test_a_show_is_folded_season_by_season_and_part_by_part_in_order() -> None:
    log = a_log(
        an_update("dated", season=10),
        an_update("dated", season=2, part=2),
        an_update("cancelled", season=None),
        an_update("dated", season=2, part=1),
        an_update("renewed", season=2),
    )
    keys = [(state.key.season, state.key.part) for state in fold_show(log)]
    assert keys == [(None, None), (2, None), (2, 1), (2, 2), (10, None)]


@pytest.mark.parametrize("take_back", [a_retraction, a_correction])
def test_what_is_taken_back_for_a_season_is_taken_back_for_its_parts(
    take_back: Callable[[Update], Update],
) -> None:
    renewed, part = an_update("renewed"), an_update("dated", part=1)
    back = take_back(renewed)
    assert known(renewed, part, back, key=PART_1).order != renewed


# --- laws ---


def _referring(update: Update, role: str, target: Update) -> Update:
    if role == "also":
        return replace(update, also=target.id)
    return replace(update, supersedes=target.id)


@st.composite
def logs(draw: st.DrawFn, size: int = 9) -> list[Update]:
    """A log of season 2 and its first part, with second sources, corrections and guesses."""
    log: list[Update] = []
    kinds = [kind for kind in UpdateKind if kind is not UpdateKind.RETRACTED]
    for _ in range(draw(st.integers(0, size))):
        changes: dict[str, object] = {
            "certainty": draw(st.sampled_from(["official", "reported", "speculation"])),
            "part": draw(st.sampled_from([None, None, 1])),
            "announced": days_ago(draw(st.integers(0, 400))),
        }
        kind = draw(st.sampled_from(kinds))
        if kind is UpdateKind.DATED:
            edtf = ["2027", "2027-03", "2027-03-05", "2027-04", "2027-33", "2027-03~", "2026/.."]
            changes["date"] = draw(st.sampled_from(edtf))
        update = an_update(kind, **changes)  # type: ignore[arg-type]
        alike = [one for one in log if one.part == update.part and not one.retracts]
        if alike:
            role = draw(st.sampled_from(["news", "news", "also", "supersedes", "retraction"]))
            target = draw(st.sampled_from(alike))
            if role == "retraction" and target.id not in withdrawn(log):
                update = a_retraction(target)
            elif role in ("also", "supersedes"):
                update = _referring(update, role, target)
        log.append(update)
    return log


@given(logs(), st.lists(st.integers(0, 9)))
def test_the_fold_does_not_depend_on_how_the_log_is_cut_into_polls(
    log: list[Update], cuts: list[int]
) -> None:
    for key in (SEASON_2, PART_1):
        state = SeasonState(key)
        places = [0, *sorted(cuts), len(log)]
        for start, end in pairwise(places):
            state = state.after(log[start:end])
        assert state == fold(key, log)


@given(logs(), st.data())
def test_a_retracted_update_is_as_if_it_had_never_been(
    log: list[Update], data: st.DataObject
) -> None:
    targets = [one for one in log if not one.retracts and one.id not in withdrawn(log)]
    if not targets:
        return
    target = data.draw(st.sampled_from(targets))
    without = [one for one in log if one is not target]
    for key in (SEASON_2, PART_1):
        assert known(*log, a_retraction(target), key=key) == known(*without, key=key)


def facts_of(one: Known) -> list[object]:
    return [getattr(one, field.name) for field in fields(one) if field.name != "rumours"]


@given(logs(), st.data())
def test_guesses_never_change_the_facts(log: list[Update], data: st.DataObject) -> None:
    for index in data.draw(st.lists(st.integers(0, len(log)), max_size=4)):
        kind = data.draw(st.sampled_from(["dated", "renewed", "cancelled", "trailer", "released"]))
        before, log = log, [*log[:index], guess(kind), *log[index:]]
        assert facts_of(known(*log)) == facts_of(known(*before))
        assert known(*log).stage is known(*before).stage


# --- corrections and second sources ---


def test_a_superseding_update_takes_the_place_of_the_mistake() -> None:
    wrong = an_update("dated", date="2026-09-02")
    right = a_correction(wrong, date="2026")
    after = known(wrong, right)
    assert (after.dated, after.contradictions, after.previous_date) == (right, (), None)


def test_when_a_correction_is_retracted_the_first_word_holds_again() -> None:
    wrong = an_update("dated", date="2026-09-02")
    right = a_correction(wrong, date="2026-10-02")
    assert known(wrong, right, a_retraction(right)).dated == wrong


def test_a_second_source_joins_the_first() -> None:
    first = an_update("renewed")
    second = an_update("renewed", certainty="reported", also=first.id)
    after = known(first, second)
    assert (after.order, after.also) == (first, (second,))


def test_a_second_source_carries_the_fact_when_the_first_is_retracted() -> None:
    first = an_update("renewed")
    second = an_update("renewed", certainty="reported", also=first.id)
    after = known(first, second, a_retraction(first))
    assert (after.order, after.also) == (second, ())


def test_a_retraction_is_no_update_in_force() -> None:
    renewed, dated = a_log("renewed", "dated")
    back = a_retraction(dated)
    assert in_force([renewed, dated, back]) == [renewed]
    assert withdrawn([renewed, dated, back]) == {dated.id}


# --- guesses ---


def test_a_guess_stands_apart_until_a_fact_of_its_kind_arrives() -> None:
    rumour, other = guess("dated", date="2023-38"), guess("renewed")
    assert known(rumour, other).rumours == (rumour, other)
    assert known(rumour, other, an_update("dated")).rumours == (other,)


def test_a_guess_that_comes_after_the_fact_is_shown() -> None:
    rumour = guess("dated", date="2028")
    assert known(an_update("dated"), rumour).rumours == (rumour,)


# --- the same fact ---


def first_said(update: Update, *log: Update) -> UpdateId | None:
    found = same_fact(update, log)
    return found.id if found else None


@pytest.mark.parametrize(
    "kind",
    ["renewed", "dated", "trailer", "cancelled", "ending", "released", "teaser", "postponed"],
)
def test_the_same_fact_from_a_second_source_is_known_already(kind: str) -> None:
    first = an_update(kind)
    assert first_said(an_update(kind, certainty="reported"), first) == first.id


@pytest.mark.parametrize("kind", ["renewed", "dated", "trailer", "cancelled", "ending"])
def test_another_season_or_part_is_another_fact(kind: str) -> None:
    first = an_update(kind)
    assert first_said(an_update(kind, season=3), first) is None
    assert first_said(an_update(kind, show="another"), first) is None
    whole = kind in ("renewed", "cancelled")
    assert (first_said(an_update(kind, part=1), first) == first.id) == whole


def test_a_guess_and_a_fact_are_never_the_same() -> None:
    assert first_said(guess("renewed"), an_update("renewed")) is None
    assert first_said(an_update("renewed"), guess("renewed")) is None
    assert first_said(an_update("trailer"), guess("trailer")) is None


def test_moved_and_moved_back_is_news() -> None:
    log = [an_update("dated", date=date) for date in ("2026-09", "2026-10")]
    assert first_said(an_update("dated", date="2026-09"), *log) is None
    assert first_said(an_update("dated", date="2026-10"), *log) == log[1].id


def test_a_more_exact_date_is_news() -> None:
    assert (
        first_said(an_update("dated", date="2026-09-02"), an_update("dated", date="2026")) is None
    )


def test_renewed_again_after_a_cancellation_is_news() -> None:
    log = a_log("renewed", "cancelled")
    assert first_said(an_update("renewed"), *log) is None
    assert first_said(an_update("cancelled"), *log) == log[1].id


def test_postponed_again_after_a_new_date_is_news() -> None:
    log = a_log("dated", "postponed", an_update("dated", date="2028"))
    assert first_said(an_update("postponed"), *log) is None


def test_a_retracted_fact_is_news_when_it_is_said_again() -> None:
    first = an_update("trailer")
    assert first_said(an_update("trailer"), first, a_retraction(first)) is None


def test_a_correction_is_never_a_second_source() -> None:
    first = an_update("renewed")
    assert first_said(a_correction(first), first) is None


@pytest.mark.parametrize(
    "address",
    [
        VIDEO,
        "https://youtu.be/IN5TD4VRcSM",
        "https://youtu.be/IN5TD4VRcSM?t=3",
        "https://m.youtube.com/watch?v=IN5TD4VRcSM&feature=share",
        "https://www.youtube.com/watch?app=desktop&v=IN5TD4VRcSM",
        "https://youtube.com/shorts/IN5TD4VRcSM",
        "https://www.youtube.com/embed/IN5TD4VRcSM",
    ],
)
def test_one_video_by_two_addresses_is_one_trailer(address: str) -> None:
    first = an_update("trailer")
    assert first_said(an_update("trailer", value=address), first) == first.id


@pytest.mark.parametrize(
    "address",
    [
        "https://www.youtube.com/watch?v=in5td4vrcsm",
        "https://youtu.be/AAAAAAAAAAA",
        "https://vimeo.com/1",
        "https://evil.example/?u=https://youtu.be/IN5TD4VRcSM",
    ],
)
def test_another_video_is_another_trailer(address: str) -> None:
    assert first_said(an_update("trailer", value=address), an_update("trailer")) is None


def test_a_slash_at_the_end_makes_no_other_address() -> None:
    first = an_update("trailer", value="https://vimeo.com/1")
    assert first_said(an_update("trailer", value="https://vimeo.com/1/"), first) == first.id


@given(logs())
def test_saying_again_what_is_known_is_never_news(log: list[Update]) -> None:
    now = known(*log)
    again: Sequence[Update | None] = (now.order, now.dated, now.trailer, now.released, now.ending)
    for fact in again:
        if fact and fact.part is None:
            repeated = replace(fact, id=UpdateId("new"), also=None, supersedes=None, push=Push.AUTO)
            assert same_fact(repeated, log) is not None


def test_an_update_is_about_the_day_it_was_announced() -> None:
    dated = an_update("renewed", announced=dt.date(2022, 6, 6))
    assert dated.announced == dt.date(2022, 6, 6)
    assert replace(dated, source=replace(dated.source, published=None)).announced == dt.date(
        2026, 11, 22
    )
