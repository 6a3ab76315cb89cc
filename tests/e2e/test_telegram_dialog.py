"""What people meet on Telegram: every command, button and place, and what they must not meet."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.process import Home, LiveBot, eventually
from tests.e2e.telegram import at_home, serving
from tests.e2e.test_main_job import NEWS, NEXT_YEAR, OFFICIAL
from tests.fakes.telegram import Answer, Chat, FakeTelegram, Member, Person, Said, Sent

KINDS: Final = ("renewed", "dated", "trailer", "cancelled")
TITLES: Final = (
    "Amber Coast", "Velvet Orbit", "Quarry Lane", "Nine Lanterns", "Fjord Union", "Saltmarsh",
    "Kestrel House", "Mirror Dynasty", "Low Tide Radio", "Paper Empire", "Thornwick",
    "Glass Harvest", "Ivory Signal",
)  # fmt: skip
"""Shows of which nothing is known, for scenarios that publish news of one."""

HOSTILE: Final = {
    "hostile-markup": 'Zed <b>Bold</b> <a href="https://evil.example/">free</a> &amp; "more"',
    "hostile-links": "Zed https://evil.example/x evil.com t.me/evil tg://user?id=1 a@evil.com",
    "hostile-mentions": "Zed @everyone @admin_of_all [x](https://evil.example) `code` *bold*",
    "hostile-scripts": "Zed שלום عليكم 👩‍👩‍👧 🇩🇪 \u0300\u0301\u0302 ℌ",
}


@pytest.fixture(scope="module")
def telegram() -> Iterator[FakeTelegram]:
    """One Telegram for every scenario here: each has people and chats of its own."""
    with FakeTelegram() as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, telegram: FakeTelegram) -> Home:
    """A folder for the one bot."""
    return stocked(tmp_path_factory.mktemp("dialog"), telegram)


def stocked(folder: Path, telegram: FakeTelegram) -> Home:
    """A folder with the starter catalogue, and with shows that were made for these scenarios."""
    home = at_home(folder, telegram, LOG_LEVEL="INFO", LOG_FORMAT="json")
    shows = {title.lower().replace(" ", "-"): title for title in TITLES} | HOSTILE
    records = [{"id": show, "title": title, "services": ["<i>Net</i>flix"]}
               for show, title in shows.items()]  # fmt: skip
    file = folder / "shows-more.jsonl"
    file.write_text("".join(f"{json.dumps(one)}\n" for one in records), encoding="utf-8")
    home.do("load", str(file))
    return home


@pytest.fixture(scope="module", autouse=True)
def bot(home: Home, telegram: FakeTelegram) -> Iterator[LiveBot]:
    """One bot for every scenario here; at its end it has answered each press once, in peace."""
    with serving(home, telegram) as bot:
        yield bot
        check_leaves_in_peace(bot, telegram)


def check_leaves_in_peace(bot: LiveBot, telegram: FakeTelegram) -> None:
    """Stopped it ends well, having logged no trouble and answered every press exactly once."""
    bot.send(signal.SIGTERM)
    assert bot.ended() == 0
    logged = [json.loads(line) for line in bot.err.splitlines() if line.startswith("{")]
    assert [one for one in logged if one["level"] != "info"] == []
    answered = [(one.parameters["callback_query_id"], one.status) for one in telegram.calls(ANSWER)]
    assert len(answered) == len(dict(answered)), "a press was answered twice"
    assert {press for press, status in answered if status != 200} <= EXPIRED


ANSWER: Final = "answerCallbackQuery"
EXPIRED: Final[set[str]] = set()
"""The presses whose time was over when the bot came to them."""


def press(
    telegram: FakeTelegram,
    person: Person,
    message: Sent,
    label: str | None = None,
    *,
    data: str | None = None,
    inaccessible: bool = False,
) -> Answer:
    """Press a button and wait for its answer."""
    pressed = telegram.press(person, message, label, data=data, inaccessible=inaccessible)
    return telegram.wait_for_answer(pressed)


def pressed(
    telegram: FakeTelegram, person: Person, message: Sent, label: str | None = None
) -> Sent:
    """Press a button, and wait for what comes of it in the chat."""
    after = telegram.mark
    answer = press(telegram, person, message, label)
    assert answer.text is None, f"refused: {answer.text}"
    return telegram.wait_for(message.chat_id, after=after)


@contextmanager
def silence(
    telegram: FakeTelegram, person: Person, chat: Chat | None = None, topic: int | None = None
) -> Iterator[None]:
    """What happens inside brings no word there: chats are served in turn, so a last answer tells.

    It leaves everything else of the chat as it is.
    """
    place = chat or person
    before = telegram.mark
    yield
    asked = telegram.say(person, f"/latest@{telegram.bot.username}", chat, topic=topic)
    telegram.wait_for(place, "The latest confirmed news", after=before)
    said = [one for one in telegram.history[before:] if one.chat_id == asked.chat_id]
    assert len(said) == 1, [one.text for one in said]


def refused(
    telegram: FakeTelegram,
    person: Person,
    message: Sent,
    label: str | None = None,
    *,
    data: str | None = None,
) -> str:
    """Press a button that must do nothing; returns the words that pop up."""
    before = telegram.mark
    answer = press(telegram, person, message, label, data=data)
    assert answer.alert
    assert answer.text
    assert [one for one in telegram.history[before:] if one.chat_id == message.chat_id] == []
    return answer.text


def follows(telegram: FakeTelegram, person: Person, chat: Chat | None = None) -> str:
    """What /subscriptions tells there."""
    return telegram.ask(person, f"/subscriptions@{telegram.bot.username}", chat).text


# --- a direct chat ---


def test_start_and_help_list_every_command(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    for text in ("/start", "/help", "/START", "/start something-unknown", "/start sub"):
        said = telegram.ask(ann, text)
        assert said.text.splitlines()[-1].startswith("Write me a title"), "what to do first"
        for command in ("subscribe", "unsubscribe", "subscriptions", "status", "upcoming",
                        "latest", "help", "privacy"):  # fmt: skip
            assert f"/{command}" in said.marked("bot_command"), text
    assert len(telegram.sent_to(ann)) == 5


def test_a_link_to_a_show_subscribes_or_tells(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    told = telegram.ask(ann, "/start status_squid-game")
    assert told.text.startswith("Squid Game: ")
    assert follows(telegram, ann).startswith("You follow no show yet.")
    assert telegram.ask(ann, "/start sub_squid-game").text.startswith(
        "Subscribed: you get every alert for Squid Game."
    )
    assert "Squid Game" in follows(telegram, ann)
    assert (
        "No show called “nothing-like-it”" in telegram.ask(ann, "/start sub_nothing-like-it").text
    )


def test_every_command_answers_in_a_direct_chat(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    first = telegram.ask(ann, "/subscribe all of us are ded")
    assert first.text.startswith("Subscribed: you get every alert for All of Us Are Dead.")
    assert "Renewed: Official · Netflix Korea, 6 June 2022 · source" in first.text
    assert first.marked("bold") == ["Subscribed: you get every alert for All of Us Are Dead."]
    assert "https://www.instagram.com/netflixkr/" in first.links
    assert list(first.buttons) == [*(f"✓ {kind}" for kind in KINDS), "Unsubscribe"]
    again = telegram.ask(ann, "/subscribe AOUAD")
    assert again.text.startswith("You follow All of Us Are Dead already.")
    fewer = telegram.ask(ann, "/subscribe AOUAD dated trailer")
    assert fewer.text.startswith("Changed: you get alerts (dated, trailer) for All of Us")
    assert list(fewer.buttons) == ["renewed", "✓ dated", "✓ trailer", "cancelled", "Unsubscribe"]
    listed = telegram.ask(ann, "/subscriptions")
    assert listed.text.startswith("You follow 1 show.")
    assert "only dated, trailer" in listed.text
    status = telegram.ask(ann, "/status all of us are dead")
    assert status.text.startswith("All of Us Are Dead, season 2: renewed")
    assert list(status.buttons) == ["Unsubscribe"]
    assert telegram.ask(ann, "/latest").text.startswith("The latest confirmed news:")
    assert "onfirmed date" in telegram.ask(ann, "/upcoming").text


def test_the_dates_ahead_are_listed_and_marked(telegram: FakeTelegram, home: Home) -> None:
    home.publish("snowpiercer", "--season", "9", "--kind", "dated",
                 "--date", f"{NEXT_YEAR}-09-02", *OFFICIAL)  # fmt: skip
    ann = telegram.person("Ann")
    telegram.ask(ann, "/subscribe snowpiercer")
    said = telegram.ask(ann, "/upcoming")
    assert f"2 September {NEXT_YEAR} · Snowpiercer, season 9 (followed)" in said.text


def test_an_unsubscription_can_be_taken_back_by_a_button(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    telegram.ask(ann, "/subscribe kin")
    gone = telegram.ask(ann, "/unsubscribe kin")
    assert gone.text == "Unsubscribed: no more alerts for Kin."
    assert follows(telegram, ann).startswith("You follow no show yet.")
    back = pressed(telegram, ann, gone, "Subscribe again")
    assert back.text.startswith("Subscribed: you get every alert for Kin.")
    assert back.message_id == gone.message_id
    assert "Kin" in follows(telegram, ann)
    pressed(telegram, ann, back, "Unsubscribe")
    assert telegram.ask(ann, "/unsubscribe kin").text.startswith("You did not follow Kin")


def test_everything_stored_is_handed_over_as_a_file_and_deleted(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    telegram.ask(ann, "/subscribe woke dated")
    told = telegram.ask(ann, "/privacy")
    assert list(told.buttons) == ["Show everything", "Delete everything"]
    after = telegram.mark
    assert telegram.ask(ann, "/privacy export").text.startswith("Everything stored about this")
    check_export(telegram, ann, after)
    after = telegram.mark
    press(telegram, ann, told, "Show everything")
    check_export(telegram, ann, after)
    # The question still stands there: what was shown can be deleted.
    assert pressed(telegram, ann, told, "Delete everything").text.startswith(
        "Deleted: 1 subscription"
    )
    assert follows(telegram, ann).startswith("You follow no show yet.")
    assert telegram.ask(ann, "/privacy delete").text.startswith("Deleted: 0 subscriptions")


def check_export(telegram: FakeTelegram, person: Person, after: int) -> None:
    """A file came that tells of the one subscription."""
    eventually(lambda: any(one.document for one in telegram.history[after:]), "a document")
    handed = next(one for one in telegram.history[after:] if one.document)
    assert handed.chat_id == person.id
    assert handed.document
    assert handed.document.name == "cliffhanger.json"
    stored = json.loads(handed.document.content)
    (followed,) = stored["subscriptions"]
    assert (followed["show"], followed["kinds"]) == ("woke", ["dated"])
    assert stored["chat_id"] == person.id


def test_a_plain_title_asks_for_the_status_in_a_direct_chat_only(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    assert telegram.ask(ann, "squid game").text.startswith("Squid Game: ")
    assert telegram.ask(ann, " squid\ngame ").text.startswith("Squid Game: ")
    offered = telegram.ask(ann, "outlander please")
    assert offered.text == "“outlander please” is no title. Did you mean: Outlander?"
    assert pressed(telegram, ann, offered, "Outlander").text.startswith("Outlander")
    group = telegram.group("Fans", members=[ann], bot="administrator")
    with silence(telegram, ann, group):
        telegram.say(ann, "squid game", group)


@pytest.mark.parametrize("command", ["/subscribe", "/status", "/unsubscribe"])
def test_which_show_is_asked_and_the_reply_completes_it(
    telegram: FakeTelegram, command: str
) -> None:
    ann = telegram.person("Ann")
    question = telegram.ask(ann, command)
    assert question.text.startswith("Which show?")
    assert question.reply_markup == {"force_reply": True, "selective": True}
    after = telegram.mark
    telegram.say(ann, "the old man", reply_to=question)
    said = telegram.wait_for(ann, after=after)
    starts = {"/subscribe": "Subscribed: you get every alert for The Old Man.",
              "/status": "The Old Man, season 2: renewed",
              "/unsubscribe": "You did not follow The Old Man; nothing changed."}  # fmt: skip
    assert said.text.startswith(starts[command])


def test_which_show_is_asked_of_one_person_in_a_group(telegram: FakeTelegram) -> None:
    ann, bob = telegram.person("Ann"), telegram.person("Bob")
    group = telegram.supergroup("Fans", owner=ann, members=[bob])
    after = telegram.mark
    asked = telegram.say(ann, "/subscribe", group)
    question = telegram.wait_for(group, "Which show?", after=after)
    assert question.reply_to == asked.message_id, "else a selective question is for nobody"
    assert question.reply_markup == {"force_reply": True, "selective": True}
    after = telegram.mark
    telegram.say(bob, "kin", group, reply_to=question)
    assert "administrators" in telegram.wait_for(group, after=after).text
    after = telegram.mark
    telegram.say(ann, "kin", group, reply_to=question)
    assert telegram.wait_for(group, after=after).text.startswith("Subscribed: ")


def test_only_commands_of_this_bot_are_heard(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    group = telegram.supergroup("Fans", owner=ann, bot="administrator")
    for place in (None, group):
        for text in ("/status@CliffhangerBot kin", "/status@cliffhangerBOT kin", "/STATUS kin",
                     "/status@CliffhangerBot\nkin", "/status\nkin"):  # fmt: skip
            assert telegram.ask(ann, text, place).text.startswith("Kin, season 2: "), (text, place)
        with silence(telegram, ann, place):
            telegram.say(ann, "/status@OtherBot kin", place)
            telegram.say(ann, "/start@OtherBot", place)
        ann = telegram.person("Ann again")


def test_an_unknown_command_is_told_in_a_direct_chat_and_passed_over_in_a_group(
    telegram: FakeTelegram,
) -> None:
    ann = telegram.person("Ann")
    assert telegram.ask(ann, "/subscibe kin").text == (
        "There is no command /subscibe. Did you mean /subscribe?"
    )
    assert "/help" in telegram.ask(ann, "/roll 20").text
    group = telegram.supergroup("Fans", owner=ann)
    with silence(telegram, ann, group):
        telegram.say(ann, "/roll 20", group)
        telegram.say(ann, "/subscibe kin", group)
    assert "/help" in telegram.ask(ann, "/roll@CliffhangerBot 20", group).text


def test_an_edit_mends_a_slip_and_history_stays_history(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    after = telegram.mark
    said = telegram.say(ann, "/status kinn of mine")
    telegram.wait_for(ann, after=after)
    after = telegram.mark
    telegram.edit(said, "/status kin")
    assert telegram.wait_for(ann, after=after).text.startswith("Kin, season 2: ")
    with silence(telegram, ann):
        queue_edited(telegram, said, "/status reacher", seconds=301)
    after = telegram.mark
    queue_edited(telegram, said, "/status reacher", seconds=299)
    assert telegram.wait_for(ann, after=after).text.startswith("Reacher")


def queue_edited(telegram: FakeTelegram, said: Said, text: str, *, seconds: int) -> None:
    """Edit a message so long after it was written."""
    body = message_of(telegram, said)
    edited = {"text": text, "edit_date": body["date"], "date": body["date"] - seconds}
    telegram.queue("edited_message", body | edited)


def message_of(telegram: FakeTelegram, said: Said) -> dict[str, Any]:
    """A message in the form of the Bot API."""
    body = telegram.message(said)
    assert body
    return dict(body)


def test_who_does_not_speak_to_the_bot_is_not_answered(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    channel = telegram.channel("News", owner=ann, bot="left")
    group = telegram.supergroup("Fans", owner=ann, bot="administrator")
    body = message_of(telegram, telegram.say(ann, "/latest", group))
    telegram.wait_for(group, "The latest")
    robot = {"id": 777888999, "is_bot": True, "first_name": "Robot", "username": "RobotBot"}
    forwarded = {"type": "user", "date": body["date"], "sender_user": robot}
    with silence(telegram, ann, group):
        telegram.queue("message", body | {"text": "/help", "forward_origin": forwarded})
        telegram.queue("message", body | {"text": "/help", "via_bot": robot})
        telegram.queue("message", body | {"text": "/help", "from": robot})
        telegram.post(channel, "/help", into=group)
        telegram.post(channel, "/subscribe kin", into=group)
    assert "administrators" in said_as_channel(telegram, ann, group, channel)
    direct = message_of(telegram, telegram.say(ann, "/latest"))
    telegram.wait_for(ann, "The latest")
    with silence(telegram, ann):
        telegram.queue("message", direct | {"text": "/help", "forward_origin": forwarded})
        telegram.queue("message", direct | {"text": "kin", "forward_origin": forwarded})


def said_as_channel(telegram: FakeTelegram, person: Person, group: Chat, channel: Chat) -> str:
    """The answer to a channel that wants to subscribe in a group."""
    after = telegram.mark
    telegram.say(person, "/subscribe kin", group, as_channel=channel)
    return telegram.wait_for(group, after=after).text


# --- buttons below answers ---


def test_an_ambiguous_title_is_chosen_by_a_button(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    asked = telegram.ask(ann, "/subscribe star trek")
    assert asked.text.startswith("“star trek” may be: ")
    assert list(asked.buttons) == ["Star Trek: Discovery", "Star Trek: Strange New Worlds"]
    chosen = pressed(telegram, ann, asked, "Star Trek: Strange New Worlds")
    assert chosen.method == "editMessageText"
    assert chosen.message_id == asked.message_id
    assert chosen.text.startswith("Subscribed: you get every alert for Star Trek: Strange New")
    assert follows(telegram, ann).startswith("You follow 1 show.")


def test_kinds_are_switched_by_buttons(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    said = telegram.ask(ann, "/subscribe feria")
    said = pressed(telegram, ann, said, "✓ trailer")
    assert said.text.startswith("Changed: you get alerts (renewed, dated, cancelled) for Feria.")
    for kind in ("renewed", "dated"):
        said = pressed(telegram, ann, said, f"✓ {kind}")
    assert list(said.buttons) == ["renewed", "dated", "trailer", "✓ cancelled", "Unsubscribe"]
    said = pressed(telegram, ann, said, "✓ cancelled")
    assert said.text.startswith("You follow Feria already (cancelled)."), "the last one stays"
    said = pressed(telegram, ann, said, "dated")
    assert "only dated, cancelled" in follows(telegram, ann)
    assert pressed(telegram, ann, said, "Unsubscribe").text.startswith("Unsubscribed: ")
    assert len(telegram.on_screen(ann)) == 2, "each press changed the one answer"


def test_a_long_list_is_turned_by_buttons(telegram: FakeTelegram, home: Home) -> None:
    ann, bob, cleo = (telegram.person(name) for name in ("Ann", "Bob", "Cleo"))
    group = telegram.supergroup("Fans", owner=ann, admins=[bob, cleo])
    titles = sorted((one["title"] for one in home.do("shows", "--json").records), key=str.casefold)
    for number, title in enumerate(titles[:12]):
        # One person may send so many at once: two of them share the work.
        assert title in telegram.ask((bob, cleo)[number % 2], f"/subscribe {title}", group).text
    first = telegram.ask(ann, "/subscriptions", group)
    assert first.text.startswith("You follow 12 shows. Page 1 of 2:")
    assert list(first.buttons) == [*titles[:10], "Next"]
    second = pressed(telegram, ann, first, "Next")
    assert second.message_id == first.message_id
    assert list(second.buttons) == [*titles[10:12], "Previous"]
    assert list(pressed(telegram, ann, second, "Previous").buttons) == list(first.buttons)
    last = telegram.ask(ann, "/subscriptions 99", group)
    assert last.text.startswith("You follow 12 shows. Page 2 of 2:")


def test_a_show_of_the_list_opens_with_its_switches(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    telegram.ask(ann, "/subscribe arcane trailer")
    opened = pressed(telegram, ann, telegram.ask(ann, "/subscriptions"), "Arcane")
    assert opened.text.startswith("You follow Arcane already (trailer).")
    assert list(opened.buttons) == ["renewed", "dated", "✓ trailer", "cancelled", "Unsubscribe"]


# --- alerts and their buttons ---


def announce(home: Home, show: str, season: int = 19, *more: str) -> None:
    """Publish a renewal."""
    home.publish(show, "--season", str(season), "--kind", "renewed", *OFFICIAL, *more)


def test_an_alert_offers_details_and_an_end(telegram: FakeTelegram, home: Home) -> None:
    ann = telegram.person("Ann")
    telegram.ask(ann, "/subscribe amber coast")
    after = telegram.mark
    announce(home, "amber coast")
    alert = telegram.wait_for(ann, "RENEWED · Amber Coast, season 19", after=after)
    assert list(alert.buttons) == ["Details", "Unsubscribe"]
    assert alert.links == [NEWS]
    told = pressed(telegram, ann, alert, "Details")
    assert told.text.startswith("Amber Coast, season 19: renewed")
    assert told.message_id != alert.message_id
    assert list(told.buttons) == ["Unsubscribe"]
    assert pressed(telegram, ann, alert, "Details").text == told.text, "it works again and again"
    gone = pressed(telegram, ann, alert, "Unsubscribe")
    assert gone.text == "Unsubscribed: no more alerts for Amber Coast."
    assert gone.message_id != alert.message_id, "the news stays"
    assert follows(telegram, ann).startswith("You follow no show yet.")
    assert pressed(telegram, ann, alert, "Unsubscribe").text.startswith(
        "You did not follow Amber Coast"
    )


def test_buttons_work_after_a_restart_and_after_a_year(tmp_path: Path) -> None:
    with FakeTelegram() as telegram:
        home = stocked(tmp_path, telegram)
        ann = telegram.person("Ann")
        forum = telegram.supergroup("Fans", owner=ann, forum=True)
        topic = forum.topic("News")
        with serving(home, telegram) as bot:
            telegram.ask(ann, "/subscribe velvet orbit")
            asked = telegram.ask(ann, "/subscribe star")
            telegram.ask(ann, "/subscribe velvet orbit", forum, topic=topic)
            announce(home, "velvet orbit")
            alert = telegram.wait_for(ann, "RENEWED")
            posted = telegram.wait_for(forum, "RENEWED")
            check_leaves_in_peace(bot, telegram)
        with serving(home, telegram) as bot:
            told = pressed(telegram, ann, alert, "Details")
            assert told.text.startswith("Velvet Orbit, season 19: renewed")
            assert (
                "Star Trek: Discovery" in pressed(telegram, ann, asked, "Star Trek: Discovery").text
            )
            after = telegram.mark
            assert press(telegram, ann, alert, "Details", inaccessible=True).text is None
            assert telegram.wait_for(ann, after=after).text == told.text
            after = telegram.mark
            assert press(telegram, ann, posted, "Details", inaccessible=True).text is None
            assert telegram.wait_for(forum, after=after).thread_id == topic, "in its topic"
            after = telegram.mark
            assert press(telegram, ann, posted, "Unsubscribe", inaccessible=True).text is None
            gone = telegram.wait_for(forum, after=after)
            assert gone.text == "Unsubscribed: no more alerts for Velvet Orbit."
            assert gone.thread_id == topic
            check_leaves_in_peace(bot, telegram)


@pytest.mark.parametrize(
    "data",
    ["a", "k", "x", "a" + "A" * 28, "k" + "A" * 16 + ":0", "kx:²", ":", "a🤷", "k:" + "9" * 60,
     "k\x00:0", "A" * 64, "/unsubscribe kin"],
)  # fmt: skip
def test_forged_data_is_refused(telegram: FakeTelegram, data: str) -> None:
    ann = telegram.person("Ann")
    said = telegram.ask(ann, "/subscribe kin")
    words = refused(telegram, ann, said, data=data)
    assert "/help" in words, "it says what to do instead"


def test_a_keyboard_belongs_to_its_message_and_chat(telegram: FakeTelegram) -> None:
    ann, bob = telegram.person("Ann"), telegram.person("Bob")
    mine = telegram.ask(ann, "/subscribe kin")
    other = telegram.ask(ann, "/subscribe woke")
    his = telegram.ask(bob, "/subscribe kin")
    data = mine.buttons["Unsubscribe"]
    for person, message in ((bob, his), (ann, other)):
        assert "does not belong to this message" in refused(telegram, person, message, data=data)
    past = data.partition(":")[0] + ":99"
    assert "does not belong to this message" in refused(telegram, ann, mine, data=past)
    assert follows(telegram, ann).startswith("You follow 2 shows.")
    assert follows(telegram, bob).startswith("You follow 1 show.")
    # Still whole for whom it was made.
    assert pressed(telegram, ann, mine, "Unsubscribe").text.startswith("Unsubscribed: ")


def test_an_alerts_seal_fits_one_chat_and_message(telegram: FakeTelegram, home: Home) -> None:
    ann, bob, cleo = (telegram.person(name) for name in ("Ann", "Bob", "Cleo"))
    for person in (ann, bob):
        telegram.ask(person, "/subscribe quarry lane")
    answers = {one: telegram.ask(one, "/status kin") for one in (ann, bob, cleo)}
    announce(home, "quarry lane")
    alerts = {person: telegram.wait_for(person, "RENEWED") for person in (ann, bob)}
    seal = alerts[ann].buttons["Unsubscribe"]
    # Until it is written down which message it was, a seal is good for every one of its chat.
    eventually(lambda: home.deliveries()["pending"] == 0, "that the sending is written down")
    for person, message in (
        (bob, alerts[bob]), (bob, answers[bob]), (cleo, answers[cleo]), (ann, answers[ann]),
    ):  # fmt: skip
        assert "does not belong to this message" in refused(telegram, person, message, data=seal)
    for person in (ann, bob):
        assert follows(telegram, person).startswith("You follow 1 show.")


def test_a_used_keyboard_is_used_up(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    said = telegram.ask(ann, "/subscribe arcane")
    old = said.buttons["✓ trailer"]
    changed = pressed(telegram, ann, said, "✓ trailer")
    assert refused(telegram, ann, changed, data=old).startswith("These buttons were used")
    assert "only renewed, dated, cancelled" in follows(telegram, ann)


def test_a_press_that_nobody_waits_for_any_more_is_done_in_peace(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    said = telegram.ask(ann, "/subscribe arcane")
    after = telegram.mark
    with telegram.held("sendMessage", chat=ann) as hold:
        telegram.say(ann, "/latest")
        telegram.wait_until_held(hold)
        late = telegram.press(ann, said, "Unsubscribe")
        telegram.expire(late)
        EXPIRED.add(late.id)
    assert telegram.wait_for(ann, "Unsubscribed: ", after=after).message_id == said.message_id


# --- groups ---


def test_in_a_group_administrators_decide(telegram: FakeTelegram) -> None:
    owner, admin, member = (telegram.person(name) for name in ("Owner", "Admin", "Member"))
    group = telegram.supergroup("Fans", owner=owner, admins=[admin], members=[member])
    for command in ("/subscribe kin", "/unsubscribe kin", "/privacy delete", "/privacy export"):
        said = telegram.ask(member, command, group)
        assert said.text.startswith("Only those who manage this chat can change what it gets.")
        assert f"to send {command} here" in said.text
        assert not said.document
    assert telegram.ask(member, "/status kin", group).text.startswith("Kin")
    assert telegram.ask(member, "/privacy", group).text.startswith("What Cliffhanger stores")
    assert telegram.ask(owner, "/subscribe kin", group).text.startswith("Subscribed: ")
    assert telegram.ask(admin, "/unsubscribe kin", group).text.startswith("Unsubscribed: ")
    assert telegram.ask(admin, "/subscribe kin", group).text.startswith("Subscribed: ")
    assert "Kin" in follows(telegram, member, group)
    assert follows(telegram, member).startswith("You follow no show yet.")


def test_an_answer_in_a_group_replies_to_the_question(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    group = telegram.supergroup("Fans", owner=ann)
    after = telegram.mark
    asked = telegram.say(ann, "/status kin", group)
    assert telegram.wait_for(group, after=after).reply_to == asked.message_id
    assert telegram.ask(ann, "/status kin").reply_to is None


def test_buttons_in_a_group_are_for_whoever_asked(telegram: FakeTelegram) -> None:
    ann, bob, member = (telegram.person(name) for name in ("Ann", "Bob", "Member"))
    group = telegram.supergroup("Fans", owner=ann, admins=[bob], members=[member])
    said = telegram.ask(ann, "/subscribe star trek", group)
    for other in (bob, member):
        words = refused(telegram, other, said, "Star Trek: Discovery")
        assert words.startswith("These buttons are for whoever asked.")
        assert "/subscribe star-trek-discovery" in words
    assert pressed(telegram, ann, said, "Star Trek: Discovery").text.startswith("Subscribed")
    told = telegram.ask(member, "/status star trek: discovery", group)
    words = refused(telegram, member, told, "Unsubscribe")
    assert words.startswith("Only administrators of this chat can do that")
    assert "Star Trek: Discovery" in follows(telegram, bob, group)


def test_alerts_in_a_group_inform_all_and_obey_administrators(
    telegram: FakeTelegram, home: Home
) -> None:
    ann, member = telegram.person("Ann"), telegram.person("Member")
    group = telegram.group("Fans", owner=ann, members=[member])
    telegram.ask(ann, "/subscribe nine lanterns", group)
    announce(home, "nine lanterns")
    alert = telegram.wait_for(group, "RENEWED")
    told = pressed(telegram, member, alert, "Details")
    assert told.text.startswith("Nine Lanterns, season 19: renewed")
    assert told.reply_to == alert.message_id
    words = refused(telegram, member, alert, "Unsubscribe")
    assert words == (
        "Only administrators of this chat can do that, in their own name: "
        "/unsubscribe nine-lanterns"
    )
    assert pressed(telegram, ann, alert, "Unsubscribe").text.startswith("Unsubscribed: ")


def test_an_anonymous_administrator_decides_and_presses_as_a_person(
    telegram: FakeTelegram,
) -> None:
    ann, member = telegram.person("Ann"), telegram.person("Member")
    group = telegram.supergroup("Fans", owner=ann, members=[member])
    after = telegram.mark
    telegram.say(ann, "/subscribe star trek", group, as_anonymous_admin=True)
    said = telegram.wait_for(group, after=after)
    assert "Only administrators" in refused(telegram, member, said, "Star Trek: Discovery")
    after = telegram.mark
    telegram.say(ann, "/status star trek", group, as_anonymous_admin=True)
    asked = telegram.wait_for(group, after=after)
    assert "Only administrators" in refused(telegram, member, asked, "Star Trek: Discovery")
    chosen = pressed(telegram, ann, said, "Star Trek: Discovery")
    assert chosen.text.startswith("Subscribed: ")
    # Now they are hers: she has pressed in her own name.
    assert "for whoever asked" in refused(telegram, member, chosen, "✓ trailer")
    after = telegram.mark
    telegram.say(ann, "/status star trek: discovery", group, as_anonymous_admin=True)
    told = telegram.wait_for(group, after=after)
    assert "Only administrators" in refused(telegram, member, told, "Unsubscribe")
    assert pressed(telegram, ann, told, "Unsubscribe").text.startswith("Unsubscribed: ")


def test_who_was_made_an_administrator_may_decide_at_once(telegram: FakeTelegram) -> None:
    ann, bob = telegram.person("Ann"), telegram.person("Bob")
    group = telegram.supergroup("Fans", owner=ann, members=[bob])
    assert "administrators" in telegram.ask(bob, "/subscribe kin", group).text
    telegram.set_member(group, bob, "administrator")
    assert telegram.ask(bob, "/subscribe kin", group).text.startswith("Subscribed: ")


def test_topics_are_places_of_their_own(telegram: FakeTelegram, home: Home) -> None:
    ann = telegram.person("Ann")
    forum = telegram.supergroup("Fans", owner=ann, forum=True)
    news, talk = forum.topic("News"), forum.topic("Talk")
    said = telegram.ask(ann, "/subscribe fjord union", forum, topic=news)
    assert said.thread_id == news
    assert telegram.ask(ann, "/subscriptions", forum, topic=talk).text.startswith(
        "You follow no show yet."
    )
    general = telegram.ask(ann, "/subscriptions", forum)
    assert general.text.startswith("You follow no show yet.")
    assert general.thread_id is None
    telegram.ask(ann, "/subscribe saltmarsh", forum)
    for show in ("fjord union", "saltmarsh"):
        announce(home, show)
    alert = telegram.wait_for(forum, "RENEWED · Fjord Union")
    assert alert.thread_id == news
    assert telegram.wait_for(forum, "RENEWED · Saltmarsh").thread_id is None
    assert [one.thread_id for one in telegram.sent_to(forum) if "RENEWED ·" in one.text].count(
        news
    ) == 1
    told = pressed(telegram, ann, alert, "Details")
    assert told.thread_id == news
    assert list(told.buttons) == ["Unsubscribe"]
    assert pressed(telegram, ann, told, "Unsubscribe").thread_id == news
    assert telegram.ask(ann, "/subscriptions", forum, topic=news).text.startswith("You follow no")
    assert "Saltmarsh" in follows(telegram, ann, forum)


def test_a_file_goes_to_the_topic_where_it_was_asked_for(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    forum = telegram.supergroup("Fans", owner=ann, forum=True)
    topic = forum.topic("News")
    telegram.ask(ann, "/subscribe woke dated", forum, topic=topic)
    telegram.say(ann, "/privacy export", forum, topic=topic)
    eventually(lambda: telegram.sent_to(forum)[-1].document, "the file")
    handed = telegram.sent_to(forum)[-1]
    assert handed.thread_id == topic
    assert handed.document
    assert json.loads(handed.document.content)["thread_id"] == topic


# --- channels ---


def owned_channel(telegram: FakeTelegram, owner: Person, title: str = "Series News") -> Chat:
    """A private channel that does not know the bot yet."""
    return telegram.channel(title, owner=owner, bot="left")


def choose(telegram: FakeTelegram, person: Person, channel: Chat) -> Sent:
    """Choose a channel in a direct chat; returns what the bot says to it."""
    asked = telegram.ask(person, "/channel")
    after = telegram.mark
    telegram.share_chat(person, asked, channel)
    return telegram.wait_for(person, after=after)


def test_a_direct_chat_speaks_for_a_channel(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    channel = owned_channel(telegram, ann)
    asked = telegram.ask(ann, "/channel")
    assert asked.text.startswith("Which channel is to get alerts?")
    after = telegram.mark
    telegram.share_chat(ann, asked, channel)
    said = telegram.wait_for(ann, after=after)
    assert said.text.startswith("From now on what you send here is about the channel “Series News”")
    assert said.reply_markup == {"remove_keyboard": True}
    assert channel.bot.may("can_post_messages")
    subscribed = telegram.ask(ann, "/subscribe kin")
    assert subscribed.text.startswith("Subscribed: you get every alert for Kin.")
    assert "(About the channel “Series News”; /channel off ends that.)" in subscribed.text
    fewer = pressed(telegram, ann, subscribed, "✓ cancelled")
    assert "(About the channel “Series News”; /channel off ends that.)" in fewer.text
    question = telegram.ask(ann, "/status")
    assert question.reply_markup == {"force_reply": True, "selective": True}
    off = telegram.ask(ann, "/channel off")
    assert off.text == "What you send here is about this chat again."
    assert off.reply_markup == {"remove_keyboard": True}
    assert follows(telegram, ann).startswith("You follow no show yet.")
    assert telegram.sent_to(channel) == (), "nothing of the set-up is seen there"


def test_alerts_in_a_channel_inform_its_readers_by_pop_ups(
    telegram: FakeTelegram, home: Home
) -> None:
    ann, reader = telegram.person("Ann"), telegram.person("Reader")
    channel = owned_channel(telegram, ann)
    choose(telegram, ann, channel)
    telegram.ask(ann, "/subscribe kestrel house")
    announce(home, "kestrel house")
    alert = telegram.wait_for(channel, "RENEWED · Kestrel House")
    assert [one for one in telegram.sent_to(ann) if one.text.startswith("RENEWED")] == []
    before = telegram.mark
    for _ in range(2):
        answer = press(telegram, reader, alert, "Details")
        assert answer.alert
        assert answer.text
        assert answer.text.startswith("Kestrel House, season 19: renewed")
    assert "Only administrators" in refused(telegram, reader, alert, "Unsubscribe")
    assert press(telegram, ann, alert, "Unsubscribe").text == (
        "Unsubscribed: no more alerts for Kestrel House."
    )
    assert telegram.mark == before, "nothing is posted for all readers"
    assert telegram.ask(ann, "/subscriptions").text.startswith("You follow no show yet.")


def test_a_channel_is_chosen_by_whoever_may_post_there(telegram: FakeTelegram) -> None:
    ann, bob, cleo = (telegram.person(name) for name in ("Ann", "Bob", "Cleo"))
    channel = telegram.channel("Series News", owner=ann, admins=[bob], members=[cleo])
    telegram.set_member(channel, bob, "administrator", can_post_messages=False)
    said = choose(telegram, bob, channel)
    assert said.text.startswith("You may not post in “Series News”")
    assert said.reply_markup == {"remove_keyboard": True}
    assert shared(telegram, cleo, channel).text.startswith("You may not post in “Series News”")
    for person in (bob, cleo):
        telegram.ask(person, "/subscribe kin")
        assert "Kin" in follows(telegram, person)
    assert choose(telegram, ann, channel).text.startswith("From now on")
    assert telegram.ask(ann, "/subscriptions").text.startswith("You follow no show yet.")


def shared(telegram: FakeTelegram, person: Person, chat: Chat) -> Sent:
    """Share a channel as no client would: without having the rights that the button asks for."""
    body = message_of(telegram, telegram.say(person, "/latest"))
    telegram.wait_for(person, "The latest")
    del body["text"]
    body.pop("entities", None)
    after = telegram.mark
    telegram.queue("message", body | {"chat_shared": {"request_id": 1, "chat_id": chat.id,
                                                      "title": chat.title}})  # fmt: skip
    return telegram.wait_for(person, after=after)


@pytest.mark.parametrize("where", ["left", "kicked", "member", "administrator"])
def test_a_channel_where_the_bot_may_not_post_is_refused(
    telegram: FakeTelegram, where: Any
) -> None:
    ann = telegram.person("Ann")
    channel = owned_channel(telegram, ann)
    telegram.set_bot(channel, where, can_post_messages=False)
    said = shared(telegram, ann, channel)
    assert said.text.startswith("I may not post in “Series News”. Make me an administrator there")
    assert "/channel" in said.text


def test_what_is_stored_of_a_channel_is_deleted_with_its_choice(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    channel = owned_channel(telegram, ann)
    telegram.ask(ann, "/subscribe kin")
    choose(telegram, ann, channel)
    telegram.ask(ann, "/subscribe woke")
    said = telegram.ask(ann, "/privacy delete")
    assert said.text.startswith("Deleted: 1 subscription")
    assert said.text.endswith(
        "(That was about the channel “Series News”; what you send here now is not.)"
    )
    assert "Kin" in follows(telegram, ann), "her own are left"
    choose(telegram, ann, channel)
    assert "You follow no show yet." in follows(telegram, ann)


def test_buttons_keep_to_the_channel_they_were_made_for(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    channel = owned_channel(telegram, ann)
    choose(telegram, ann, channel)
    said = telegram.ask(ann, "/subscribe kin")
    telegram.ask(ann, "/channel off")
    changed = pressed(telegram, ann, said, "✓ trailer")
    assert changed.text.startswith("Changed: ")
    assert changed.text.endswith("; what you send here now is not.)")
    assert follows(telegram, ann).startswith("You follow no show yet.")
    choose(telegram, ann, channel)
    assert "only renewed, dated, cancelled" in follows(telegram, ann)


def test_commands_in_the_channel_itself_are_its_administrators(telegram: FakeTelegram) -> None:
    ann, reader = telegram.person("Ann"), telegram.person("Reader")
    channel = telegram.channel("Series News", owner=ann, members=[reader])
    after = telegram.mark
    telegram.post(channel, "/subscribe arcane")
    said = telegram.wait_for(channel, after=after)
    assert said.text.startswith("Subscribed: you get every alert for Arcane.")
    assert "Only administrators" in refused(telegram, reader, said, "✓ trailer")
    changed = pressed(telegram, ann, said, "✓ trailer")
    assert changed.text.startswith("Changed: ")
    after = telegram.mark
    telegram.post(channel, "/channel")
    assert "direct chat" in telegram.wait_for(channel, after=after).text
    after = telegram.mark
    telegram.post(channel, "/status")
    assert telegram.wait_for(channel, after=after).text.startswith("Which show?")
    after = telegram.mark
    telegram.post(channel, "Good news today!")
    telegram.post(channel, "/nothing for this bot")
    telegram.post(channel, "/subscriptions")
    assert telegram.wait_for(channel, after=after).text.startswith("You follow 1 show.")
    asked = [
        one for one in telegram.calls("sendMessage") if one.parameters["chat_id"] == channel.id
    ]
    assert {one.status for one in asked} == {200}, "nothing is tried that channels do not take"


def test_channels_are_set_up_in_direct_chats_only(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    group = telegram.supergroup("Fans", owner=ann)
    said = telegram.ask(ann, "/channel", group)
    assert said.text == "Channels are set up in a direct chat with me: send /channel there."
    assert said.reply_markup is None


# --- coming and going ---


def put_off(telegram: FakeTelegram, home: Home, show: str, *places: Chat | Person) -> None:
    """Publish news whose first attempt to each of these places fails, so that it waits."""
    odd = "Bad Request: something that nobody knows"
    faults = [telegram.fail(status=400, description=odd, chat=place) for place in places]
    announce(home, show)
    eventually(lambda: all(fault.struck for fault in faults), "the first attempt")


def test_who_blocks_the_bot_keeps_everything_until_coming_back(
    telegram: FakeTelegram, home: Home
) -> None:
    ann, bob = telegram.person("Ann"), telegram.person("Bob")
    for person in (ann, bob):
        telegram.ask(person, "/subscribe mirror dynasty")
    before = telegram.mark
    put_off(telegram, home, "mirror dynasty", ann, bob)
    for person in (ann, bob):
        telegram.block(person)
    eventually(lambda: home.deliveries()["held"] == 2, "news that is held")
    assert telegram.mark == before
    tried = [one for one in telegram.calls("sendMessage") if one.status == 403]
    assert tried == [], "nothing is sent to who is known to have blocked the bot"
    telegram.unblock(ann)
    telegram.wait_for(ann, "RENEWED · Mirror Dynasty, season 19", after=before)
    telegram.say(bob, "/start")
    telegram.wait_for(bob, "RENEWED · Mirror Dynasty, season 19", after=before)
    announce(home, "mirror dynasty", 20)
    for person in (ann, bob):
        telegram.wait_for(person, "RENEWED · Mirror Dynasty, season 20", after=before)
        assert len([one for one in telegram.sent_to(person) if "RENEWED ·" in one.text]) == 2
        assert "Mirror Dynasty" in follows(telegram, person)


def test_who_blocked_the_bot_unnoticed_is_found_out_and_kept(
    telegram: FakeTelegram, home: Home
) -> None:
    ann = telegram.person("Ann")
    telegram.ask(ann, "/subscribe thornwick")
    telegram.private(ann).bot = Member("kicked")  # and no update tells of it
    announce(home, "thornwick")
    eventually(lambda: home.deliveries()["held"] == 1, "news that is held")
    before = telegram.mark
    telegram.private(ann).bot = Member("member")  # nor of this
    telegram.say(ann, "/help")
    telegram.wait_for(ann, "RENEWED · Thornwick, season 19", after=before)


def test_a_group_that_removes_or_mutes_the_bot_keeps_everything(
    telegram: FakeTelegram, home: Home
) -> None:
    ann = telegram.person("Ann")
    removed, muted = telegram.group("Removed", owner=ann), telegram.supergroup("Muted", owner=ann)
    for group in (removed, muted):
        telegram.ask(ann, "/subscribe glass harvest", group)
    before = telegram.mark
    put_off(telegram, home, "glass harvest", removed, muted)
    telegram.remove_bot(removed)
    telegram.set_bot(muted, "restricted", can_send_messages=False)
    eventually(lambda: home.deliveries()["held"] == 2, "news that is held")
    assert telegram.mark == before
    telegram.add_bot(removed)
    telegram.set_bot(muted, "restricted", can_send_messages=True)
    for group in (removed, muted):
        telegram.wait_for(group, "RENEWED · Glass Harvest, season 19", after=before)
        assert "Glass Harvest" in follows(telegram, ann, group)


def test_a_channel_that_takes_the_right_to_post_keeps_everything(
    telegram: FakeTelegram, home: Home
) -> None:
    ann = telegram.person("Ann")
    channel = owned_channel(telegram, ann)
    choose(telegram, ann, channel)
    telegram.ask(ann, "/subscribe ivory signal")
    put_off(telegram, home, "ivory signal", channel)
    telegram.set_bot(channel, "administrator", can_post_messages=False)
    eventually(lambda: home.deliveries()["held"] == 1, "news that is held")
    assert telegram.sent_to(channel) == ()
    telegram.set_bot(channel, "administrator", can_post_messages=True)
    telegram.wait_for(channel, "RENEWED · Ivory Signal, season 19")


def test_a_group_that_forbids_writing_does_no_harm(telegram: FakeTelegram, bot: LiveBot) -> None:
    ann = telegram.person("Ann")
    group = telegram.supergroup("Silent", owner=ann)
    fault = telegram.fail(
        status=400, description="Bad Request: CHAT_WRITE_FORBIDDEN", times=None, chat=group
    )
    said = telegram.mark
    for text in ("/start", "/subscribe kin", "/status", "/privacy export", "/status star"):
        telegram.say(ann, text, group)
    eventually(lambda: fault.struck >= 5, "answers that are refused")
    assert telegram.mark == said
    fault.stop()
    assert "Kin" in follows(telegram, ann, group), "what was asked is done"
    assert bot.is_running


def test_a_group_without_files_is_told_so(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    group = telegram.supergroup("No files", owner=ann)
    telegram.set_bot(group, "restricted", can_send_messages=True, can_send_documents=False)
    after = telegram.mark
    telegram.say(ann, "/privacy export", group)
    telegram.wait_for(group, "I may not send files here", after=after)


# --- harm ---


@pytest.mark.parametrize("show", HOSTILE)
def test_a_hostile_title_stays_words(telegram: FakeTelegram, home: Home, show: str) -> None:
    ann = telegram.person("Ann")
    title = HOSTILE[show]
    start = telegram.mark
    said = telegram.ask(ann, f"/subscribe {show}")
    pressed(telegram, ann, said, "✓ trailer")
    telegram.ask(ann, f"/status {show}")
    telegram.ask(ann, "/subscriptions")
    telegram.ask(ann, "/subscribe zed")
    announce(home, show)
    alert = telegram.wait_for(ann, "RENEWED", after=start)
    pressed(telegram, ann, alert, "Details")
    pressed(telegram, ann, alert, "Unsubscribe")
    told = telegram.history[start:]
    words = title.replace("\u2060", "")
    assert sum(words in one.text.replace("\u2060", "") for one in told) >= 7
    for one in (one for one in told if one.chat_id == ann.id):
        check_harmless(one)


def check_harmless(message: Sent) -> None:
    """Nobody is mentioned, nothing is marked but the first line, and links lead where they say."""
    kinds = {one["type"] for one in message.entities}
    assert kinds <= {"bold", "text_link", "bot_command"}, message.entities
    assert message.marked("bold") == [message.text.partition("\n")[0]]
    assert set(message.links) <= {NEWS}


def test_hostile_names_and_words_stay_words(telegram: FakeTelegram) -> None:
    bad = '<b>x</b> @admin_of_all https://evil.example/ evil.com \u202egnp.exe <a href="tg://x">y'
    ann = telegram.person(bad, username="evil_com")
    channel = owned_channel(telegram, ann, bad)
    group = telegram.supergroup(bad, owner=ann)
    start = telegram.mark
    choose(telegram, ann, channel)
    telegram.ask(ann, "/subscribe kin")
    telegram.ask(ann, "/channel off")
    telegram.ask(ann, bad[:150])
    telegram.ask(ann, f"/{bad}")
    telegram.ask(ann, f"/subscribe {bad}", group)
    other = telegram.channel(bad, owner=ann, bot="administrator")
    telegram.set_bot(other, "administrator", can_post_messages=False)
    choose(telegram, ann, other)
    told = telegram.history[start:]
    assert any("evil" in one.text for one in told)
    for one in told:
        kinds = {entity["type"] for entity in one.entities}
        assert kinds <= {"bold", "text_link", "bot_command"}, one.entities
        assert not [link for link in one.links if "evil" in link]
        assert "\u202e" not in one.text


def test_a_flood_is_told_once_and_holds_up_nobody_else(telegram: FakeTelegram) -> None:
    ann, bob = telegram.person("Ann"), telegram.person("Bob")
    group = telegram.supergroup("Fans", owner=ann, members=[bob])
    with telegram.held(chat=ann) as hold:
        for number in range(50):
            telegram.say(ann, f"/status {number}")
        telegram.wait_until_held(hold)
        assert telegram.ask(bob, "/status kin").text.startswith("Kin")
        assert telegram.ask(bob, "/status kin", group).text.startswith("Kin")
    notices = wait_until_heard_again(telegram, ann)
    assert notices == 1
    assert len(telegram.sent_to(ann)) < 20


def wait_until_heard_again(telegram: FakeTelegram, person: Person) -> int:
    """Ask until there is an answer; returns how often the person was told to wait."""

    def heard() -> bool:
        telegram.say(person, "/latest")
        return any("The latest" in one.text for one in telegram.sent_to(person))

    eventually(heard, "an answer after the flood")
    return sum("too much at once" in one.text for one in telegram.sent_to(person))


def test_many_presses_at_once_are_all_answered(telegram: FakeTelegram, home: Home) -> None:
    ann = telegram.person("Ann")
    telegram.ask(ann, "/subscribe low tide radio")
    announce(home, "low tide radio")
    alert = telegram.wait_for(ann, "RENEWED")
    presses = [telegram.press(ann, alert, "Details") for _ in range(30)]
    words = [telegram.wait_for_answer(one).text for one in presses]
    assert words[0] is None
    assert words[-1]
    assert "Wait a few seconds" in words[-1]


def test_the_readers_of_a_channel_do_not_use_up_each_others_presses(
    telegram: FakeTelegram, home: Home
) -> None:
    ann = telegram.person("Ann")
    channel = telegram.channel("Series News", owner=ann)
    telegram.post(channel, "/subscribe paper empire")
    telegram.wait_for(channel, "Subscribed")
    announce(home, "paper empire")
    alert = telegram.wait_for(channel, "RENEWED")
    presses = [telegram.press(telegram.person("Reader"), alert, "Details") for _ in range(60)]
    for one in presses:
        words = telegram.wait_for_answer(one).text
        assert words
        assert words.startswith("Paper Empire, season 19: renewed")


# --- what Telegram shows beside the chat ---


def test_each_kind_of_chat_is_offered_its_commands(telegram: FakeTelegram) -> None:
    everything = {"subscribe", "unsubscribe", "subscriptions", "status", "upcoming", "latest",
                  "why", "help", "privacy"}  # fmt: skip
    telegram.wait_for_request("setMyCommands", 4)
    assert set(telegram.commands()) == everything
    assert set(telegram.commands("all_private_chats")) == everything | {"start", "channel"}
    assert set(telegram.commands("all_chat_administrators")) == everything
    assert set(telegram.commands("all_group_chats")) == everything - {"subscribe", "unsubscribe"}
