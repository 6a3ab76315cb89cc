"""What the bot says: the event first, who said it always, guesses apart, and no markup."""

import datetime as dt
import io
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from bot.message import Action, Day, Line, Link, Message, joined, line, plain
from bot.message.alerts import News, alert, amended
from bot.message.answers import (
    already_subscribed,
    deleted,
    help_page,
    latest,
    subscribed,
    subscriptions,
    unknown_show,
    unsubscribed,
    upcoming,
)
from bot.message.facts import ordinal
from bot.message.status import status
from bot.model import (
    Destination,
    Platform,
    Show,
    Source,
    SpeakerRole,
    Subscription,
    Update,
    UpdateKind,
)
from bot.platforms.terminal.render import as_plain, as_rich
from bot.seasons import SeasonKey, fold, fold_show
from bot.text import clean
from tests.build import (
    TODAY,
    VIDEO,
    a_correction,
    a_date,
    a_log,
    a_retraction,
    a_show,
    an_update,
)

SHOW = a_show()
NEWS_URL = "https://www.netflix.com/tudum/news"


def alert_of(*log: Update, show: Show = SHOW) -> Message:
    return alert(News(show, log[-1], log))


def text_of(message: Message) -> str:
    return "\n".join(plain(words) for words in message.lines)


# --- alerts ---


def test_a_renewal_says_who_ordered_what_and_what_is_not_known() -> None:
    june = dt.date(2022, 6, 6)
    message = alert_of(an_update("renewed", speaker="Netflix Korea", announced=june))
    assert message.title == "RENEWED · All of Us Are Dead, season 2"
    assert text_of(message).splitlines() == [
        "Netflix Korea has ordered a second season.",
        "Release date: not announced · Trailer: none yet · On Netflix",
        "Official · Netflix Korea, 6 June 2022 · source",
    ]
    assert Link("source", NEWS_URL) in message.lines[-1]
    assert Day(june, "6 June 2022") in message.lines[-1]
    assert message.actions == (
        Action("Details", "/status all-of-us-are-dead"),
        Action("Unsubscribe", "/unsubscribe all-of-us-are-dead"),
    )


def test_a_reported_renewal_is_the_word_of_the_outlet() -> None:
    message = alert_of(an_update("renewed", certainty="reported"))
    assert text_of(message).startswith("A second season is ordered, Variety reports.")
    assert "Reported · Variety, 22 November 2026 · source" in text_of(message)


@pytest.mark.parametrize(
    ("season", "words"),
    [
        (1, "a first season"), (3, "a third season"), (7, "a 7th season"), (8, "an 8th season"),
        (11, "an 11th season"), (18, "an 18th season"), (21, "a 21st season"),
        (80, "an 80th season"), (111, "a 111th season"),
    ],
)  # fmt: skip
def test_a_number_of_a_season_reads_as_english(season: int, words: str) -> None:
    assert f"has ordered {words}." in text_of(alert_of(an_update("renewed", season=season)))


def test_ordinals_end_as_they_are_spoken() -> None:
    assert [ordinal(number) for number in (2, 12, 13, 22, 33, 112, 121)] == [
        "second", "12th", "13th", "22nd", "33rd", "112th", "121st",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("dates", "title"),
    [
        (["2026-23"], "DATED · {}: autumn 2026"),
        (["2027", "2027-23"], "DATED · {}: autumn 2027 (narrowed from 2027)"),
        (["2027-03", "2027-04"], "DELAYED · {}: April 2027 (was: March 2027)"),
        (["2027-03-02", "2027-03-01"], "MOVED UP · {}: 1 March 2027 (was: 2 March 2027)"),
        (["2027-06/..", "2027-09-02"], "DATED · {}: 2 September 2027 (narrowed from {old})"),
    ],
)
def test_a_date_is_the_news_with_what_it_changes(dates: list[str], title: str) -> None:
    message = alert_of(*(an_update("dated", date=date) for date in dates))
    name = "All of Us Are Dead, season 2"
    assert message.title == title.format(name, old="not before June 2027")
    assert "Release date" not in text_of(message)
    assert text_of(message).endswith("Official · Netflix, 22 November 2026 · source")


def test_a_trailer_plays_and_the_date_is_told_with_it() -> None:
    message = alert_of(an_update("dated", date="2027-03-05"), an_update("trailer"))
    assert message.title == "TRAILER · All of Us Are Dead, season 2"
    assert message.video == VIDEO
    assert "Release date: 5 March 2027 · On Netflix" in text_of(message)
    assert "Trailer:" not in text_of(message)


def test_a_renewal_after_a_trailer_links_the_trailer() -> None:
    message = alert_of(*a_log("trailer", "renewed"))
    assert any(Link("watch", VIDEO) in words for words in message.lines)


@pytest.mark.parametrize(
    ("update", "title", "sentence"),
    [
        (an_update("cancelled"), "CANCELLED · {}, season 2", "There will be no second season."),
        (an_update("cancelled", season=None), "CANCELLED · {}", "There will be no further season."),
        (an_update("ending"), "ENDING · {}, season 2 is the last", ""),
        (
            an_update("saved"),
            "SAVED · {}, season 2",
            "was cancelled and goes on after all, says Ne",
        ),
        (an_update("postponed"), "POSTPONED · {}, season 2", "The release is off; there is no new"),
        (an_update("released"), "RELEASED · {}, season 2", "It is out now."),
        (an_update("dated", part=1), "DATED · {}, season 2, part 1: March 2027", "On Netflix"),
    ],
)
def test_every_kind_has_its_event_and_sentence(update: Update, title: str, sentence: str) -> None:
    message = alert_of(update)
    assert message.title == title.format("All of Us Are Dead")
    assert sentence in text_of(message)


def test_a_postponed_season_names_the_date_that_is_off() -> None:
    message = alert_of(an_update("dated", date="2027-03-05"), an_update("postponed"))
    assert "The release (5 March 2027) is off; there is no new date yet." in text_of(message)


@pytest.mark.parametrize("kind", [kind for kind in UpdateKind if kind is not UpdateKind.RETRACTED])
@pytest.mark.parametrize("certainty", ["official", "reported"])
def test_speaker_day_and_source_are_always_told(kind: UpdateKind, certainty: str) -> None:
    update = an_update(kind, certainty=certainty, announced=dt.date(2026, 11, 20))
    message = alert_of(update)
    assert message.title.startswith(("DATED" if kind == "dated" else kind.upper()) + " · All of Us")
    last = plain(message.lines[-1])
    who = "Netflix" if certainty == "official" else "Variety"
    assert last == f"{certainty.capitalize()} · {who}, 20 November 2026 · source"
    assert any(isinstance(piece, Link) for piece in message.lines[-1])


def test_a_report_without_an_address_names_the_outlet_beside_the_speaker() -> None:
    source = Source(outlet="Variety", published=TODAY)
    update = an_update("renewed", certainty="reported", speaker="Netflix", source=source)
    last = plain(alert_of(update).lines[-1])
    assert last == "Reported · Netflix, 22 November 2026 · Variety"


def test_a_retraction_names_what_is_withdrawn_why_and_what_is_known_now() -> None:
    log = a_log("renewed", an_update("dated", date="2027-03-03"))
    message = alert_of(*log, a_retraction(log[1], "The day was of another show."))
    assert message.title == (
        "CORRECTION · All of Us Are Dead, season 2: the date 3 March 2027 is withdrawn"
    )
    assert "Why: The day was of another show." in text_of(message)
    assert "What is known now: renewed; release date: not announced" in text_of(message)
    assert message.lines[-1][-1] == Link("source", NEWS_URL)


def test_a_correction_says_what_was_wrong_and_what_is_right() -> None:
    wrong = an_update("dated", date="2027-03-03")
    message = alert_of(wrong, a_correction(wrong, "A slip.", date="2027-03-13"))
    assert message.title == (
        "CORRECTION · All of Us Are Dead, season 2: it is 13 March 2027, not 3 March 2027"
    )
    assert "Why: A slip." in text_of(message)
    assert "Official · Netflix, 22 November 2026 · source" in text_of(message)


def amended_by(*log: Update) -> Message:
    """The first alert of a log, as the last update leaves it."""
    return amended(News(SHOW, log[0], log[:1]), News(SHOW, log[-1], log))


def test_what_is_withdrawn_says_so_why_and_when() -> None:
    wrong = an_update("dated", date="2027-03-03")
    message = amended_by(wrong, a_retraction(wrong, "The day was of another show."))
    assert message.title == "WITHDRAWN · All of Us Are Dead, season 2: the date 3 March 2027"
    assert text_of(message).splitlines() == [
        "Why: The day was of another show.",
        "Withdrawn 22 November 2026 · source",
    ]
    assert message.lines[-1][-1] == Link("source", NEWS_URL)
    assert message.actions == alert_of(wrong).actions


def test_what_is_withdrawn_without_a_source_has_the_day_alone() -> None:
    wrong = an_update("renewed")
    message = amended_by(wrong, a_retraction(wrong, source=Source(published=TODAY)))
    assert text_of(message).splitlines()[-1] == "Withdrawn 22 November 2026"


@pytest.mark.parametrize("kind", ["trailer", "teaser"])
def test_a_video_that_is_withdrawn_is_shown_nowhere(kind: str) -> None:
    wrong = an_update(kind)
    assert VIDEO in as_plain(alert_of(wrong))
    message = amended_by(wrong, a_retraction(wrong))
    assert message.video is None
    assert VIDEO not in as_plain(message)
    assert message.title == f"WITHDRAWN · All of Us Are Dead, season 2: the {kind}"


def test_what_is_corrected_says_what_is_right_and_what_was_wrong() -> None:
    wrong = an_update("dated", date="2027-04-02")
    right = a_correction(wrong, "A slip.", date="2027-04-20")
    message = amended_by(wrong, right)
    assert message.title == (
        "CORRECTED · All of Us Are Dead, season 2: it is 20 April 2027, not 2 April 2027"
    )
    assert message.lines == alert_of(wrong, right).lines
    assert message.actions == alert_of(wrong).actions


def test_a_video_that_is_corrected_is_the_right_one() -> None:
    wrong, right = an_update("trailer"), "https://www.youtube.com/watch?v=abcdefghijk"
    message = amended_by(wrong, a_correction(wrong, value=right))
    assert message.video == right
    assert VIDEO not in as_plain(message)


def test_an_alert_tells_no_guess() -> None:
    guess = an_update("dated", date="2023-38", certainty="speculation")
    message = alert_of(guess, an_update("renewed"))
    assert "2023" not in as_plain(message)
    assert "not announced" in as_plain(message)


# --- the answer to /status ---


def status_of(*log: Update, show: Show = SHOW, today: dt.date = TODAY) -> Message:
    return status(show, fold_show(log), today, followed=True)


def test_the_status_keeps_facts_and_guesses_apart() -> None:
    june = dt.date(2022, 6, 6)
    message = status_of(
        an_update("renewed", announced=june),
        an_update(
            "dated",
            date=a_date("2023-38", raw="mid-2023"),
            certainty="speculation",
            source=Source(outlet="a release-date article"),
        ),
        today=dt.date(2022, 11, 25),
    )
    assert message.title == "All of Us Are Dead, season 2: renewed, not dated"
    assert text_of(message).splitlines() == [
        "Renewed: Official · Netflix, 6 June 2022 · source",
        "Release date: not announced",
        "Guessed by others, not confirmed: mid-2023, a release-date article",
        "Trailer: none yet · On Netflix · Last confirmed fact: 172 days ago",
    ]


@pytest.mark.parametrize(
    ("kind", "words"), [("ending", "Last season: Official"), ("released", "Out: Official")]
)
def test_the_status_names_the_source_of_every_fact(kind: str, words: str) -> None:
    message = status_of(an_update("renewed"), an_update(kind))
    assert f"{words} · Netflix, 22 November 2026 · source" in text_of(message)


def test_a_date_that_has_passed_is_said_to_have_passed() -> None:
    dated = an_update("dated", date="2022-07-28", announced=dt.date(2022, 6, 28))
    message = status_of(dated)
    assert message.title.endswith(": due, its release is not on record")
    assert "Release date: 28 July 2022, which has passed · " in text_of(message)


def test_what_is_in_production_is_a_fact_though_nobody_renewed_it() -> None:
    message = status_of(an_update("production", value="wrapped", certainty="reported"))
    assert message.title.endswith(": no renewal on record")
    assert "Production (wrapped): Reported · Variety, " in text_of(message)
    assert "not confirmed" not in text_of(message)


def test_the_status_offers_what_the_reader_can_do() -> None:
    for followed, command in ((True, "/unsubscribe"), (False, "/subscribe")):
        for log in ([], [an_update("renewed")]):
            (action,) = status(SHOW, fold_show(log), TODAY, followed=followed).actions
            assert action.command == f"{command} {SHOW.id}"


def test_a_second_source_does_not_replace_what_it_confirms() -> None:
    first = an_update("dated", date="2027-03-05")
    again = an_update("dated", date="2027-03-05", certainty="reported", also=first.id)
    assert "was:" not in alert_of(first, again).title


def test_a_showrunner_says_and_a_platform_orders() -> None:
    said = an_update(speaker="showrunner Jane Roe", speaker_role=SpeakerRole.SHOWRUNNER)
    assert "A second season is ordered, says showrunner Jane Roe." in text_of(alert_of(said))
    assert "Netflix has ordered a second season." in text_of(alert_of(an_update()))


def test_nothing_confirmed_is_an_answer() -> None:
    message = status_of()
    assert message.title == "All of Us Are Dead: nothing confirmed yet"
    assert "On Netflix" in text_of(message)


def test_a_guess_alone_confirms_nothing() -> None:
    message = status_of(an_update("renewed", certainty="speculation"))
    assert message.title == "All of Us Are Dead, season 2: nothing confirmed yet"
    assert "Renewed: not confirmed by anybody" in text_of(message)
    assert "Guessed by others, not confirmed: the renewal, a blog" in text_of(message)
    assert "Last confirmed" not in text_of(message)


def test_a_date_tells_its_source_and_the_date_before() -> None:
    log = a_log("renewed", *(an_update("dated", date=date) for date in ("2027", "2028-03-05")))
    message = status_of(*log)
    assert message.title.endswith(": dated")
    assert (
        "Release date: 5 March 2028 (was: 2027) · Official · Netflix, 22 November 2026 · source"
    ) in text_of(message)


def test_a_rough_date_is_called_rough() -> None:
    assert status_of(an_update("dated", date="2027-23")).title.endswith(": dated roughly")


def test_a_second_source_is_named() -> None:
    first = an_update("renewed")
    second = an_update("renewed", certainty="reported", also=first.id)
    assert "source · also Variety" in text_of(status_of(first, second))


def test_a_cancelled_season_has_neither_date_nor_trailer() -> None:
    message = status_of(an_update("dated"), an_update("cancelled"))
    assert message.title.endswith(", season 2: cancelled")
    assert "Cancelled: Official · Netflix" in text_of(message)
    assert "Release date" not in text_of(message)
    assert "Trailer" not in text_of(message)


def test_a_postponement_names_its_source_and_the_date_that_is_off() -> None:
    postponed = an_update("postponed", announced=dt.date(2026, 11, 20))
    dated = an_update("dated", date="2027-03-05", announced=dt.date(2026, 11, 1))
    message = status_of(dated, postponed)
    assert message.title.endswith(": postponed, no new date")
    assert (
        "Release date: not announced (was: 5 March 2027) · Postponed: Official · Netflix, "
        "20 November 2026 · source"
    ) in text_of(message)


def test_a_trailer_and_a_teaser_are_links() -> None:
    teaser = an_update("teaser", value="https://youtu.be/AAAAAAAAAAA")
    told = status_of(teaser).lines
    assert any("Trailer: none yet" in words for words in told)
    assert any(Link("watch", "https://youtu.be/AAAAAAAAAAA") in words for words in told)
    assert any(Link("watch", VIDEO) in words for words in status_of(an_update("trailer")).lines)


def test_the_last_season_is_said_to_be_the_last() -> None:
    assert status_of(*a_log("renewed", "ending")).title.endswith("not dated, the last season")


def test_several_open_seasons_are_told_each_under_its_name() -> None:
    message = status_of(
        an_update("released", season=1),
        an_update("renewed", season=3),
        an_update("dated", season=2, date="2027-03-05"),
    )
    assert message.title == "All of Us Are Dead, season 2: dated"
    told = text_of(message).splitlines()
    assert "All of Us Are Dead, season 2: dated" not in told
    assert "All of Us Are Dead, season 3: renewed, not dated" in told
    assert "season 1" not in text_of(message)


def test_when_all_is_out_the_last_season_is_told() -> None:
    log = [an_update("released", season=season) for season in (1, 2)]
    assert status_of(*log).title == "All of Us Are Dead, season 2: out"
    assert "not announced" not in text_of(status_of(*log))


def test_a_season_of_which_nobody_said_anything_is_left_out_once_a_later_one_is_renewed() -> None:
    trailer = an_update("trailer", season=1)
    assert status_of(trailer).title == "All of Us Are Dead, season 1: no renewal on record"
    later = status_of(trailer, an_update("renewed", season=2))
    assert later.title == "All of Us Are Dead, season 2: renewed, not dated"
    assert "season 1" not in text_of(later)


# --- other answers ---


def test_a_subscription_says_what_comes_and_what_is_known() -> None:
    now = status_of(an_update("renewed"))
    here = Subscription(Destination(Platform.TERMINAL, 0), SHOW.id)
    message = subscribed(SHOW, here, now, changed=False)
    assert message.title == "Subscribed: you get every alert for All of Us Are Dead."
    assert plain(message.lines[0]) == now.title
    some = replace(here, kinds=frozenset({UpdateKind.DATED, UpdateKind.RENEWED}))
    changed = subscribed(SHOW, some, now, changed=True).title
    assert changed.startswith("Changed: you get alerts (renewed, dated) for")
    assert already_subscribed(SHOW, some, now).title.endswith("already (renewed, dated).")
    assert unsubscribed(SHOW).actions[0].command == "/subscribe all-of-us-are-dead"
    before = replace(some, role_id=7, publish=True)
    again = unsubscribed(SHOW, before).actions[0].command
    assert again == "/subscribe all-of-us-are-dead renewed,dated role:7 publish:yes"


def test_who_is_pinged_and_where_alerts_go_on_to_is_said() -> None:
    now = status_of(an_update("renewed"))
    plainly = Subscription(Destination(Platform.DISCORD, 5), SHOW.id)
    pings = "Alerts ping the role you chose."
    published = "Alerts are published to the channels that follow this one."
    for follows, said in (
        (replace(plainly, role_id=7), [pings]),
        (replace(plainly, publish=True), [published]),
        (replace(plainly, role_id=7, publish=True), [pings, published]),
        (replace(plainly, publish=False), []),
    ):
        for answer in (
            subscribed(SHOW, follows, now, changed=True),
            already_subscribed(SHOW, follows, now),
        ):
            assert [plain(one) for one in answer.lines] == [
                *said, now.title, *map(plain, now.lines)
            ]  # fmt: skip
    both = replace(plainly, role_id=7, publish=True)
    assert text_of(subscriptions([(SHOW, both, [])], 1, TODAY)).endswith(
        "nothing confirmed yet · pings a role · published"
    )


def test_the_list_of_subscriptions_says_where_each_stands() -> None:
    here = Subscription(Destination(Platform.TERMINAL, 0), SHOW.id, frozenset({UpdateKind.DATED}))
    message = subscriptions([(SHOW, here, fold_show([an_update("renewed")]))], 1, TODAY)
    assert message.title == "You follow 1 show."
    assert text_of(message) == ("• All of Us Are Dead, season 2: renewed, not dated · only dated")
    assert "/subscribe" in text_of(subscriptions([], 0, TODAY))


def test_dates_ahead_and_the_latest_news_name_the_season() -> None:
    dated = an_update("dated", date="2027-03-05")
    state = fold(SeasonKey(SHOW.id, 2), [dated])
    assert text_of(upcoming([(SHOW, state)], {SHOW.id})) == (
        "• 5 March 2027 · All of Us Are Dead, season 2 (followed)"
    )
    assert text_of(latest([(SHOW, dated)])) == (
        "• 22 November 2026 · DATED · All of Us Are Dead, season 2: 5 March 2027 · "
        "official, Netflix · source"
    )
    assert upcoming([], set()).title == "No confirmed date lies ahead."
    assert latest([]).title == "No news yet."


def test_an_unknown_show_gives_the_nearest_titles_or_says_there_are_none() -> None:
    assert "Did you mean: Ozark; Oz?" in unknown_show("Ozzark", ["Ozark", "Oz"])
    assert "Noted for the curators" in unknown_show("xyz", [])


def test_help_and_deletion_count_and_list() -> None:
    assert text_of(help_page([("/help", "this list")])) == "/help – this list"
    assert deleted(1).title.startswith("Deleted: 1 subscription and")
    assert deleted(1200).title.startswith("Deleted: 1,200 subscriptions and")


def test_what_is_empty_makes_no_line_and_no_separator() -> None:
    assert line("a", None, "") == ("a",)
    assert plain(joined([("a",), (), ("b", "c")])) == "a · bc"


# --- a terminal cannot be steered ---

_TYPICAL = st.sampled_from(
    ["\x1b[2J", "\x1b]0;title\x07", "\x1b]8;;https://evil.io\x1b\\", "\x9b31m", "\r", "\n", "\x08"]
)
hostile = st.lists(_TYPICAL | st.text(max_size=8), max_size=6).map("".join)
pieces: st.SearchStrategy[Any] = (
    hostile
    | st.builds(Link, hostile, hostile.map("https://example.com/{}".format))
    | st.builds(Link, hostile, hostile)
    | st.builds(Day, st.dates(), hostile)
)
messages = st.builds(
    Message,
    title=hostile,
    lines=st.lists(st.lists(pieces, max_size=4).map(tuple), max_size=4).map(tuple),
    video=st.none() | hostile,
    actions=st.lists(st.builds(Action, hostile, hostile), max_size=2).map(tuple),
)
_SGR = re.compile(r"\x1b\[[0-9;]*m")
_LINK = re.compile(r"\x1b\]8;(?:id=\d+)?;([^\x1b\x07]*)\x1b\\")


def rows(message: Message) -> int:
    return 1 + len(message.lines) + bool(message.video) + bool(message.actions)


def drawn(message: Message) -> str:
    screen = io.StringIO()
    console = Console(
        file=screen, force_terminal=True, color_system="truecolor", width=100_000, _environ={}
    )
    console.print(as_rich(message), soft_wrap=True)
    return screen.getvalue()


@given(messages)
def test_plain_text_holds_nothing_that_steers_a_terminal(message: Message) -> None:
    text = as_plain(message)
    assert text.split("\n") == [clean(row) for row in text.split("\n")]
    assert text.count("\n") == rows(message) - 1


@example(Message("", ((Link("x", "https://a b bold on red\x1b\\\x1b[2J"),),)))
@example(Message("", ((Link("x", "a;b\x07\x1b]0;evil"),),)))
@given(messages)
def test_a_drawn_message_holds_only_colours_and_links(message: Message) -> None:
    screen = drawn(message)
    bare = _LINK.sub("", _SGR.sub("", screen))
    assert bare.split("\n") == [clean(row) for row in bare.split("\n")]
    assert bare.count("\n") == rows(message)


@given(st.lists(st.builds(Link, st.just("x"), hostile), min_size=1, max_size=4))
def test_a_link_leads_to_its_whole_address_and_nowhere_else(links: list[Link]) -> None:
    words: Line = tuple(links)
    targets = {target for target in _LINK.findall(drawn(Message("", (words,)))) if target}
    assert targets == {clean(link.url) for link in links} - {""}


def test_plain_text_shows_addresses() -> None:
    text = as_plain(alert_of(an_update("trailer")))
    assert f"source <{NEWS_URL}>" in text
    assert f"\n{VIDEO}\n" in text
    assert text.endswith(
        "[Details: /status all-of-us-are-dead]   [Unsubscribe: /unsubscribe all-of-us-are-dead]"
    )


def test_brackets_in_a_title_are_no_markup() -> None:
    assert "[bold]Oz[/bold]" in drawn(Message("[bold]Oz[/bold]"))


@pytest.mark.parametrize(
    ("title", "style"),
    [
        ("RENEWED · Ozark", "bold green"),
        ("CANCELLED · Ozark", "bold red"),
        ("CORRECTION · Ozark", "bold yellow"),
        ("You follow no show yet.", "bold"),
    ],
)
def test_news_stands_out(title: str, style: str) -> None:
    assert [str(span.style) for span in as_rich(Message(title)).spans] == [style]
