"""The quality rules, one by one: what is refused, what passes, and what of it is news.

The numbers are those of section 3 of `curation.md`, where the rules come from.
"""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from bot.curation import NEWS_AGE, check, complete, quiet_reason
from bot.errors import BadRecord
from bot.model import Push, Source, SpeakerRole, Update, UpdateKind
from bot.seasons import key_of
from storage.trust import trust
from tests.build import (
    TODAY,
    VIDEO,
    a_context,
    a_correction,
    a_log,
    a_retraction,
    a_show,
    an_id,
    an_update,
    days_ago,
    published,
)


def refused(update: Update, *log: Update, limited: bool = False) -> BadRecord:
    with pytest.raises(BadRecord) as error:
        published(update, a_context(*log, show=a_show(limited=limited)))
    return error.value


def accepted(update: Update, *log: Update) -> Update:
    return published(update, a_context(*log))


def quiet(update: Update, *log: Update, today: dt.date = TODAY) -> str | None:
    context = a_context(*log, today=today)
    return quiet_reason(published(update, context), today)


# --- rule 1: who stands behind it ---


def test_an_official_fact_with_a_speaker_and_an_address_passes() -> None:
    assert quiet(an_update("renewed")) is None


def test_an_official_fact_names_who_said_it() -> None:
    assert refused(an_update(speaker=None)).field == "speaker"


def test_an_official_fact_has_the_address_where_it_was_said() -> None:
    assert refused(an_update(source=Source(outlet="Variety"))).field == "source.url"


@pytest.mark.parametrize(
    ("speaker", "role"),
    [
        ("Netflix", SpeakerRole.PLATFORM),
        ("Netflix Korea", SpeakerRole.PLATFORM),
        ("NETFLIX", SpeakerRole.PLATFORM),
        ("HBO", SpeakerRole.NETWORK),
        ("HBO Max", SpeakerRole.PLATFORM),
        ("Star Wars", SpeakerRole.PRODUCTION),
        ("showrunner Jane Roe", SpeakerRole.SHOWRUNNER),
        ("Creator Jane Roe", SpeakerRole.SHOWRUNNER),
        ("producer Jane Roe", SpeakerRole.PRODUCTION),
        ("studio Trigger", SpeakerRole.PRODUCTION),
        ("the network", None),
        ("network TBS", SpeakerRole.NETWORK),
        ("official account of the show", SpeakerRole.OFFICIAL_ACCOUNT),
        ("@netflixkr", SpeakerRole.OFFICIAL_ACCOUNT),
        ("Hyosan TV", SpeakerRole.PLATFORM),
        ("Jane Roe", None),
        ("Netflixed", None),
        ("The Netflix", None),
        ("A fan of Netflix", None),
    ],
)
def test_a_speaker_has_a_role_by_name_or_in_words(speaker: str, role: SpeakerRole | None) -> None:
    show = a_show(services=("Hyosan TV",))
    assert trust().role(speaker, show) is role
    draft = an_update(speaker=speaker, speaker_role=None)
    assert complete(draft, a_context(show=show)).speaker_role is role


def test_the_word_of_an_unknown_speaker_is_not_official() -> None:
    error = refused(an_update(speaker="Jane Roe", speaker_role=None))
    assert error.field == "speaker"
    assert "'showrunner Jane Roe'" in error.problem


def test_a_role_that_is_given_is_kept() -> None:
    draft = an_update(speaker="Jane Roe", speaker_role=SpeakerRole.SHOWRUNNER)
    assert accepted(draft) == draft


def test_who_is_quoted_in_a_report_gets_no_role_from_us() -> None:
    draft = an_update(certainty="reported", speaker="Netflix")
    assert accepted(draft).speaker_role is None


@pytest.mark.parametrize(
    "source",
    [
        Source(outlet="Variety"),
        Source(outlet="variety"),
        Source(url="https://variety.com/2026/tv/"),
        Source(url="https://VARIETY.com/2026/tv/"),
        Source(url="https://www.variety.com/2026/tv/"),
        Source(url="https://variety.com:443/2026/tv/"),
    ],
)
def test_the_report_of_a_trusted_outlet_passes(source: Source) -> None:
    assert quiet(an_update(certainty="reported", source=source)) is None


@pytest.mark.parametrize(
    "source",
    [
        Source(),
        Source(outlet="A Blog"),
        Source(outlet="Variety News Daily"),
        Source(outlet="A Blog", url="https://variety.com/2026/tv/"),
        Source(url="https://variety.com.evil.io/2026/tv/"),
        Source(url="https://evilvariety.com/2026/tv/"),
        Source(url="https://evil.io/variety.com"),
        Source(url="https://evil.io/?https://variety.com/"),
        Source(url="https://variety.com@evil.io/"),
        Source(url="https://com/"),
        Source(url="https://["),
    ],
)
def test_the_report_of_anybody_else_is_refused(source: Source) -> None:
    error = refused(an_update(certainty="reported", source=source))
    assert error.field == "source.outlet"
    assert "trusted outlets" in error.problem


@pytest.mark.parametrize("push", [Push.AUTO, Push.QUIET])
def test_a_guess_is_never_pushed(push: Push) -> None:
    assert refused(an_update("dated", certainty="speculation", push=push)).field == "push"


@pytest.mark.parametrize("kind", ["dated", "renewed", "cancelled", "trailer"])
def test_a_guess_is_recorded_without_being_sent(kind: str) -> None:
    assert quiet(an_update(kind, certainty="speculation")) == "a guess is never pushed"


# --- what belongs to a kind ---


@pytest.mark.parametrize("kind", ["renewed", "dated", "trailer", "postponed", "released"])
def test_most_facts_are_about_a_season(kind: str) -> None:
    assert refused(an_update(kind, season=None)).field == "season"


@pytest.mark.parametrize("kind", ["cancelled", "ending"])
def test_a_whole_show_can_end(kind: str) -> None:
    assert quiet(an_update(kind, season=None)) is None


@pytest.mark.parametrize("kind", ["trailer", "teaser"])
@pytest.mark.parametrize("value", [None, "", "http://youtu.be/IN5TD4VRcSM", "IN5TD4VRcSM"])
def test_a_trailer_has_the_address_of_the_video(kind: str, value: str | None) -> None:
    assert refused(an_update(kind, value=value)).field == "value"


def test_tba_is_no_date() -> None:
    undated = replace(an_update("dated"), date=None)
    assert refused(undated).field == "date"


@pytest.mark.parametrize("kind", ["renewed", "trailer", "postponed", "production"])
def test_only_a_dated_season_has_a_date(kind: str) -> None:
    assert refused(an_update(kind, date="2027-03")).field == "date"


# --- rule 3: precision, past and far future ---


@pytest.mark.parametrize("date", ["2026-11-21", "2026-10", "2025", "2025~", "2026-35"])
def test_a_date_that_has_passed_is_recorded_quietly(date: str) -> None:
    assert quiet(an_update("dated", date=date)) == "its date has passed"


@pytest.mark.parametrize("date", ["2026-11-22", "2026-11", "2026", "2026-39", "2026-10/.."])
def test_a_date_that_may_still_come_is_news(date: str) -> None:
    assert quiet(an_update("dated", date=date)) is None


@pytest.mark.parametrize("date", ["2031-11-28", "2032", "2040/..", "2199"])
def test_a_date_more_than_five_years_ahead_is_refused(date: str) -> None:
    error = refused(an_update("dated", date=date))
    assert (error.field, "5 years ahead" in error.problem) == ("date", True)


@pytest.mark.parametrize("date", ["2031-11-22", "2031", "2026/.."])
def test_a_date_within_five_years_passes(date: str) -> None:
    assert quiet(an_update("dated", date=date)) is None


def test_a_guess_may_be_wrong_about_everything() -> None:
    guess = an_update("dated", date="2040", certainty="speculation")
    assert accepted(guess, *a_log("cancelled")) == guess


# --- rule 4: the order of seasons, parts and decisions ---


@pytest.mark.parametrize(
    ("dated", "then"),
    [
        ({"season": 2, "date": "2027-06"}, {"season": 3, "date": "2027-05"}),
        ({"season": 3, "date": "2027-06"}, {"season": 2, "date": "2027-07"}),
        ({"part": 1, "date": "2025-11-27"}, {"part": 2, "date": "2025-11-26"}),
        ({"part": 2, "date": "2027-06"}, {"part": 1, "date": "2028"}),
        ({"season": 1, "part": 2, "date": "2027-06"}, {"season": 2, "date": "2027-05"}),
    ],
)
def test_seasons_and_parts_come_out_in_order(dated: dict[str, Any], then: dict[str, Any]) -> None:
    first = an_update("dated", **dated)
    error = refused(an_update("dated", **then), first)
    assert error.field == "date"
    assert "come out in order" in error.problem


@pytest.mark.parametrize(
    ("dated", "then"),
    [
        ({"season": 2, "date": "2027-06"}, {"season": 3, "date": "2027-06"}),
        ({"season": 2, "date": "2027-06"}, {"season": 3, "date": "2027"}),
        ({"season": 2, "date": "2027-06"}, {"season": 3, "date": "2027/.."}),
        ({"season": 2, "date": "2027-06-20"}, {"season": 3, "date": "2027-06-20"}),
        ({"part": 1, "date": "2027-06"}, {"part": 2, "date": "2027-06-20"}),
        ({"date": "2027-06"}, {"part": 1, "date": "2027-05"}),
        ({"season": 10, "date": "2027-06"}, {"season": 9, "date": "2027-05"}),
    ],
)
def test_dates_that_may_be_in_order_pass(dated: dict[str, Any], then: dict[str, Any]) -> None:
    first = an_update("dated", **dated)
    assert quiet(an_update("dated", **then), first) is None


def test_the_order_does_not_care_for_guesses_and_withdrawn_dates() -> None:
    guess = an_update("dated", season=3, date="2026-12", certainty="speculation")
    wrong = an_update("dated", season=3, date="2026-12")
    update = an_update("dated", date="2027-06")
    assert quiet(update, guess, wrong, a_retraction(wrong)) is None


def test_a_season_does_not_come_out_before_it_was_renewed() -> None:
    renewed = an_update("renewed", announced=days_ago(10))
    error = refused(an_update("dated", date="2026-11-11"), renewed)
    assert (error.field, "before the renewal" in error.problem) == ("date", True)
    for date in ("2026-11-12", "2026-11"):
        dated = an_update("dated", date=date)
        assert accepted(dated, renewed) == dated


def test_a_season_that_is_out_cannot_be_dated() -> None:
    log = a_log("released")
    error = refused(an_update("dated"), *log)
    assert (error.field, "out already" in error.problem) == ("date", True)


def test_the_date_of_a_season_that_is_out_can_still_be_confirmed() -> None:
    log = a_log(an_update("dated", date="2026-11-20"), "released")
    second = an_update("dated", date="2026-11-20", certainty="reported")
    assert accepted(second, *log).also == log[0].id


def test_the_same_fact_from_the_same_source_is_recorded_once() -> None:
    assert "recorded already" in str(refused(an_update("renewed"), *a_log("renewed")))


def test_a_date_announced_before_the_one_in_force_is_kept_on_record_only() -> None:
    new = an_update("dated", date="2027-04", announced=days_ago(1))
    old = an_update("dated", date="2027-08", announced=days_ago(2), certainty="reported")
    stored = accepted(old, new)
    assert quiet(stored, new) == "it was recorded quietly"
    assert a_context(new, stored).known(key_of(new)).date.edtf == "2027-04"


# --- rule 5: second sources ---


@pytest.mark.parametrize("kind", ["renewed", "dated", "trailer", "cancelled", "postponed"])
def test_a_second_source_joins_the_first_and_is_not_pushed_again(kind: str) -> None:
    log = a_log(kind)
    second = an_update(kind, certainty="reported")
    assert accepted(second, *log).also == log[0].id
    assert quiet(second, *log) == f"it confirms {log[0].id} from a second source"


def test_after_a_retraction_the_same_news_is_news_again() -> None:
    log = a_log("renewed")
    assert quiet(an_update("renewed"), *log, a_retraction(log[0])) is None


def test_a_first_source_must_be_there() -> None:
    assert refused(an_update(also=an_id(1))).field == "also"


# --- rule 6: a new date against the old one ---


@pytest.mark.parametrize("date", ["2027-03-05", "2027-04", "2027-02", "2028"])
def test_a_narrower_or_another_date_is_news(date: str) -> None:
    assert quiet(an_update("dated", date=date), an_update("dated", date="2027-03")) is None


@pytest.mark.parametrize("date", ["2027", "2027-33", "2027-03~", "2026/.."])
def test_a_wider_date_is_refused(date: str) -> None:
    known = an_update("dated", date="2027-03")
    error = refused(an_update("dated", date=date), known)
    assert error.field == "date"
    assert known.id in error.problem
    assert "supersede or retract it" in error.problem


def test_a_wider_date_may_correct_a_mistake() -> None:
    known = an_update("dated", date="2027-03")
    assert quiet(a_correction(known, date="2027"), known) is None


# --- rule 7: decisions and their reversal ---


@pytest.mark.parametrize("kind", ["renewed", "saved"])
def test_a_cancellation_names_the_decision_that_it_reverses(kind: str) -> None:
    log = a_log("cancelled", kind) if kind == "saved" else a_log(kind)
    error = refused(an_update("cancelled"), *log)
    assert error.field == "reverses"
    assert log[-1].id in error.problem
    assert quiet(an_update("cancelled", reverses=log[-1].id), *log) is None


def test_a_cancellation_may_correct_a_renewal_that_never_was() -> None:
    renewed = an_update("renewed")
    update = a_correction(renewed, kind="cancelled")
    assert quiet(update, renewed) is None


def test_a_cancellation_out_of_the_blue_passes() -> None:
    assert quiet(an_update("cancelled")) is None


@pytest.mark.parametrize("field", ["reverses", "supersedes", "also"])
def test_what_is_referred_to_must_be_in_force(field: str) -> None:
    log = a_log("renewed")
    given: dict[str, Any] = {"reason": "A mistake.", field: log[0].id}
    update = an_update("cancelled", **given)
    assert refused(update, *log, a_retraction(log[0])).field == field
    assert refused(update).field == field


@pytest.mark.parametrize("kind", ["renewed", "dated"])
def test_a_cancelled_season_is_not_simply_renewed(kind: str) -> None:
    log = a_log("cancelled")
    error = refused(an_update(kind), *log)
    assert (error.field, "saved" in error.problem) == ("kind", True)
    assert quiet(an_update(kind, reverses=log[0].id), *log) is None


def test_only_a_cancelled_show_can_be_saved() -> None:
    assert refused(an_update("saved")).field == "kind"
    guess = an_update("cancelled", certainty="speculation")
    assert refused(an_update("saved"), guess).field == "kind"
    assert quiet(an_update("saved"), *a_log("cancelled")) is None
    assert quiet(an_update("saved"), an_update("cancelled", season=None)) is None


def test_an_ending_is_no_cancellation() -> None:
    log = a_log("renewed")
    assert quiet(an_update("ending"), *log) is None
    assert quiet(an_update("dated"), *log, an_update("ending")) is None
    assert refused(an_update("saved"), *log, an_update("ending")).field == "kind"


def test_a_limited_series_is_not_cancelled() -> None:
    error = refused(an_update("cancelled"), limited=True)
    assert (error.field, "limited series" in error.problem) == ("kind", True)


def test_a_limited_series_may_be_renewed_after_all() -> None:
    update = an_update("renewed")
    check(update, a_context(show=a_show(limited=True)))


# --- rule 8: nothing is deleted ---


def test_a_retraction_of_a_fact_is_news() -> None:
    log = a_log("renewed")
    assert quiet(a_retraction(log[0]), *log) is None
    assert quiet(a_retraction(log[0], announced=days_ago(400)), *log) is None


@pytest.mark.parametrize("reason", [None, ""])
def test_a_retraction_says_why(reason: str | None) -> None:
    log = a_log("renewed")
    assert refused(replace(a_retraction(log[0]), reason=reason), *log).field == "reason"


def test_only_what_is_on_record_is_retracted() -> None:
    error = refused(a_retraction(an_update("renewed")))
    assert (error.field, "cliffhanger updates" in error.problem) == ("retracts", True)


def test_nothing_is_retracted_twice() -> None:
    log = a_log("renewed")
    back = a_retraction(log[0])
    error = refused(a_retraction(log[0]), *log, back)
    assert (error.field, "already" in error.problem) == ("retracts", True)
    assert refused(a_retraction(back), *log, back).field == "retracts"


def test_a_retraction_names_its_target() -> None:
    assert refused(an_update("retracted")).field == "retracts"


def test_a_retraction_is_of_that_kind_and_of_the_season_of_its_target() -> None:
    log = a_log("renewed")
    assert refused(a_retraction(log[0], season=3), *log).field == "season"
    assert refused(a_retraction(log[0], part=1), *log).field == "season"
    mixed = replace(a_retraction(log[0]), kind=UpdateKind.RENEWED)
    assert refused(mixed, *log).field == "kind"


def test_a_guess_neither_takes_back_nor_replaces_a_fact() -> None:
    log = a_log("dated")
    assert refused(a_retraction(log[0], certainty="speculation"), *log).field == "certainty"
    assert refused(a_correction(log[0], certainty="speculation"), *log).field == "supersedes"


def test_a_guess_may_be_taken_back_and_replaced() -> None:
    guess = an_update("dated", certainty="speculation")
    assert quiet(a_retraction(guess, certainty="speculation"), guess) == "a guess is never pushed"
    better = a_correction(guess, certainty="speculation", date="2028")
    assert accepted(better, guess) == better


def test_a_correction_says_why() -> None:
    log = a_log("dated")
    assert refused(replace(a_correction(log[0]), reason=None), *log).field == "reason"


@pytest.mark.parametrize("place", [{"season": 3}, {"part": 1}])
def test_a_correction_is_about_the_same_season(place: dict[str, Any]) -> None:
    log = a_log("dated")
    assert refused(a_correction(log[0], **place), *log).field == "supersedes"


# --- rule 9: old news, and what is on record only ---


@pytest.mark.parametrize("kind", ["renewed", "dated", "trailer", "cancelled"])
def test_an_announcement_older_than_thirty_days_is_recorded_quietly(kind: str) -> None:
    assert quiet(an_update(kind, announced=days_ago(30))) is None
    assert "announced 31 days ago" in (quiet(an_update(kind, announced=days_ago(31))) or "")
    assert NEWS_AGE.days == 30


def test_without_a_day_of_announcement_the_day_of_the_record_counts() -> None:
    update = an_update(source=Source(url="https://www.netflix.com/tudum/"))
    assert quiet(update) is None
    assert "31 days" in (quiet(update, today=TODAY + dt.timedelta(days=31)) or "")


@pytest.mark.parametrize("kind", ["teaser", "production", "pending"])
def test_some_kinds_are_on_record_only(kind: str) -> None:
    assert quiet(an_update(kind)) == f"{kind} is kept on record only"


@pytest.mark.parametrize("kind", ["ending", "postponed", "released"])
def test_some_kinds_come_with_one_that_can_be_chosen(kind: str) -> None:
    assert quiet(an_update(kind)) is None


@pytest.mark.parametrize("push", [Push.QUIET, Push.NEVER])
def test_a_curator_may_record_quietly(push: Push) -> None:
    assert quiet(an_update(push=push)) == "it was recorded quietly"


# --- whose word counts ---


def test_the_trust_lists_hold_names_and_bare_domains() -> None:
    domains = [outlet.domain for outlet in trust().outlets]
    domains += [domain for decider in trust().deciders for domain in decider.domains]
    assert len(domains) > 50
    for domain in domains:
        assert domain == domain.casefold().strip("./")
        assert "." in domain
        assert "/" not in domain
        assert "www." not in domain


@pytest.mark.parametrize("things", [trust().outlets, trust().deciders], ids=["outlet", "decider"])
def test_no_name_is_on_a_trust_list_twice(things: tuple[object, ...]) -> None:
    names = [str(getattr(thing, "name", "")).casefold() for thing in things]
    assert len(names) == len(set(names))


def test_a_deciders_own_site_is_known() -> None:
    found = trust().decider_at("https://about.netflix.com/news")
    assert found is not None
    assert found.name == "Netflix"
    assert trust().decider_at("https://netflix.com.evil.io/") is None
    assert trust().decider_at("https://[") is None
    assert trust().decider_at(None) is None
    assert trust().decider_at(VIDEO) is None


def test_news_from_the_future_is_refused() -> None:
    with pytest.raises(BadRecord) as refused:
        check(an_update(announced=TODAY + dt.timedelta(days=2)), a_context())
    assert refused.value.field == "source.published"
    check(an_update(announced=TODAY + dt.timedelta(days=1)), a_context())


def test_what_was_corrected_already_is_retracted_by_its_correction() -> None:
    wrong = an_update("dated", date="2027-03-03")
    right = a_correction(wrong, date="2027-03-04")
    with pytest.raises(BadRecord, match=right.id):
        check(a_retraction(wrong), a_context(wrong, right))
    check(a_retraction(right), a_context(wrong, right))


def test_a_cancelled_show_is_not_renewed_without_more_ado() -> None:
    gone = an_update("cancelled", season=None)
    with pytest.raises(BadRecord) as refused:
        check(an_update("renewed", season=3), a_context(gone))
    assert refused.value.field == "kind"
    check(an_update("renewed", season=3, reverses=gone.id), a_context(gone))
    check(an_update("renewed", season=3), a_context(gone, an_update("saved", season=None)))


@pytest.mark.parametrize("speaker", ["Networker Bob", "creators of chaos", "platformer"])
def test_a_role_is_a_whole_word(speaker: str) -> None:
    assert a_context().trust.role(speaker, a_show()) is None
