"""News on its way to Telegram, by the bot as its own process: to every kind of chat, once."""

import signal
import sqlite3
from collections import Counter
from contextlib import closing
from typing import Any, Final

from bot.outbox.carrier import IN_FLIGHT
from bot.platforms.telegram.sender import TOPIC_GONE
from tests.e2e.process import STOPS_WITHIN, Home, LiveBot
from tests.e2e.telegram import serving
from tests.e2e.test_main_job import NEWS, NEXT_YEAR, OFFICIAL, TRAILER
from tests.fakes.telegram import Chat, FakeTelegram, Person, Sent

RENEWAL: Final = ("ozark", "--season", "9", "--kind", "renewed", *OFFICIAL)
MANY: Final = 40


def renew(home: Home, season: int = 9) -> dict[str, Any]:
    """Publish that Ozark goes on."""
    show = ("ozark", "--season", str(season), "--kind", "renewed")
    return home.publish(*show, *OFFICIAL)


def follow(telegram: FakeTelegram, person: Person, chat: Chat | None = None, **where: int) -> None:
    """Let somebody follow Ozark, for a chat where one is named."""
    assert "Subscribed" in telegram.ask(person, "/subscribe ozark", chat, **where).text


def fans(telegram: FakeTelegram, count: int) -> list[Person]:
    """People who follow Ozark."""
    people = [telegram.person(f"Fan {number}") for number in range(count)]
    for one in people:
        telegram.say(one, "/subscribe ozark")
    for one in people:
        telegram.wait_for(one, "Subscribed")
    return people


def alerts(telegram: FakeTelegram, word: str = "RENEWED") -> Counter[int]:
    """How many alerts each chat got."""
    return Counter(one.chat_id for one in telegram.history if one.text.startswith(word))


def states(home: Home) -> dict[str, int]:
    """The states of deliveries that occur."""
    return {state: count for state, count in home.deliveries().items() if count}


def rows(home: Home) -> dict[int, tuple[str, int, str | None]]:
    """State, counted attempts and reason of the delivery to each chat, as they are stored."""
    with closing(sqlite3.connect(home.database)) as database:
        found = database.execute(
            "SELECT chat_id, state, attempts, reason FROM deliveries "
            "JOIN destinations ON id = destination_id"
        ).fetchall()
    return {chat: (state, attempts, reason) for chat, state, attempts, reason in found}


def until_settled(bot: LiveBot, home: Home, count: int, **expected: int) -> None:
    """Wait for these states; those that are sent come last."""

    def settled() -> bool:
        found = Counter(state for state, _, _ in rows(home).values())
        return found == expected

    bot.until(settled, f"{count} deliveries: {expected}")


def test_news_arrives_in_every_kind_of_chat_once_with_buttons_and_its_source(
    home: Home, telegram: FakeTelegram
) -> None:
    ann = telegram.person("Ann")
    group = telegram.group("Group", owner=ann)
    forum = telegram.supergroup("Forum", owner=ann, forum=True)
    topic = forum.topic("Series")
    channel = telegram.channel("Channel", owner=ann)
    places: list[tuple[Person | Chat, int | None]] = [
        (ann, None), (group, None), (forum, None), (forum, topic), (channel, None),
    ]  # fmt: skip
    with serving(home, telegram):
        follow(telegram, ann)
        follow(telegram, ann, group)
        follow(telegram, ann, forum)
        follow(telegram, ann, forum, topic=topic)
        telegram.share_chat(ann, telegram.ask(ann, "/channel"), channel)
        telegram.wait_for(ann, "From now on")
        follow(telegram, ann)
        telegram.ask(ann, "/channel off")

        wrong = renew(home)
        got: list[Sent] = [telegram.wait_for(to, "RENEWED", topic=on) for to, on in places]
        for alert in got:
            assert alert.text.startswith("RENEWED · Ozark, season 9\n")
            assert alert.marked("bold") == ["RENEWED · Ozark, season 9"]
            assert alert.links == [NEWS]
            assert list(alert.buttons) == ["Details", "Unsubscribe"]
            assert alert.link_preview_options == {"is_disabled": True}
        found = [one for one in telegram.history if one.text.startswith("RENEWED")]
        assert {(one.chat_id, one.thread_id) for one in found} == {(to.id, on) for to, on in places}
        assert len({data for one in got for data in one.buttons.values()}) >= 8

        trailer = ("ozark", "--season", "9", "--kind", "trailer", "--trailer", TRAILER)
        home.publish(*trailer, "--speaker", "Netflix")
        for to, on in places:
            alert = telegram.wait_for(to, "TRAILER", topic=on)
            assert TRAILER in alert.text.split("\n"), "the bare link stands on a line of its own"
            assert alert.link_preview_options == {"url": TRAILER, "prefer_large_media": True}

        home.do("retract", wrong["id"], "--reason", "it was a hoax", "--yes")
        for to, on in places:
            assert "it was a hoax" in telegram.wait_for(to, "CORRECTION", topic=on).text
    told = Counter(one.text.split(" ")[0] for one in telegram.history if " · " in one.text[:20])
    assert told == {"RENEWED": 5, "TRAILER": 5, "WITHDRAWN": 5, "CORRECTION": 5}
    edited = [one for one in telegram.history if one.text.startswith("WITHDRAWN")]
    mistakes = {(one.chat_id, one.thread_id): one.message_id for one in got}
    assert {(one.chat_id, one.thread_id): one.message_id for one in edited} == mistakes
    replies = [one for one in telegram.history if one.text.startswith("CORRECTION")]
    assert {(one.chat_id, one.thread_id): one.reply_to for one in replies} == mistakes
    assert states(home) == {"sent": 15}


def test_what_was_published_while_the_bot_was_away_comes_in_order_and_together(
    home: Home, telegram: FakeTelegram
) -> None:
    ann, ben = telegram.person("Ann"), telegram.person("Ben")
    with serving(home, telegram):
        follow(telegram, ann)
        telegram.ask(ann, "/subscribe squid game")
        follow(telegram, ben)
    for show in ("ozark", "squid game"):
        home.publish(show, "--season", "9", "--kind", "renewed", *OFFICIAL)
    home.publish("ozark", "--season", "9", "--kind", "dated", "--date", f"{NEXT_YEAR}", *OFFICIAL)
    with serving(home, telegram):
        together = telegram.wait_for(ann, "DATED")
        alone = telegram.wait_for(ben, "DATED")
    assert [title.split(",")[0] for title in together.marked("bold")] == [
        "RENEWED · Ozark", "RENEWED · Squid Game", "DATED · Ozark",
    ]  # fmt: skip
    assert [label.split(",")[0] for label in together.buttons] == [
        "Details: Ozark", "Unsubscribe: Ozark", "Details: Squid Game", "Unsubscribe: Squid Game",
    ]  # fmt: skip
    assert alone.text.startswith("RENEWED · Ozark, season 9\n")
    assert list(alone.buttons) == ["Details", "Unsubscribe"]


# One that says Telegram is in trouble holds back everybody: see tests/telegram/test_messenger.py.
FAULTS: Final[dict[str, tuple[int, str, str]]] = {
    "blocked": (403, "Forbidden: bot was blocked by the user", "held"),
    "deactivated": (403, "Forbidden: user is deactivated", "held"),
    "kicked": (403, "Forbidden: bot was kicked from the supergroup chat", "held"),
    "payment": (400, "Bad Request: ALLOW_PAYMENT_REQUIRED_5", "held"),
    "not found": (400, "Bad Request: chat not found", "pending"),
    "no right": (400, "Bad Request: not enough rights to send text messages", "pending"),
    "markup": (400, "Bad Request: can't parse entities: no such tag", "sent"),
    "buttons": (400, "Bad Request: REPLY_MARKUP_INVALID", "sent"),
    "wait": (429, "Too Many Requests: retry later", "pending"),
    "unknown": (400, "Bad Request: something new", "pending"),
}


def test_a_chat_that_fails_keeps_no_other_one_from_its_news(
    home: Home, telegram: FakeTelegram
) -> None:
    home.environment |= {"LOG_LEVEL": "DEBUG", "LOG_FORMAT": "json"}
    with serving(home, telegram) as bot:
        struck = dict(zip(FAULTS, fans(telegram, len(FAULTS)), strict=True))
        healthy = fans(telegram, 20)
        junk, dropped, lost, refuses = fans(telegram, 4)
        healthy += fans(telegram, 20)
        for name, (status, description, _) in FAULTS.items():
            telegram.fail(status=status, description=description, chat=struck[name])
        telegram.raw(chat=junk)
        telegram.drop(accepted=False, chat=dropped)
        telegram.drop(accepted=True, chat=lost)
        telegram.fail(status=400, description="Bad Request: can't parse entities: no such tag",
                      times=2, chat=refuses)  # fmt: skip
        renew(home)
        until_settled(bot, home, 54, sent=42, held=4, pending=7, failed=1)
        found = rows(home)
        for name, (_, _, state) in FAULTS.items():
            assert found[struck[name].id][0] == state, name
        assert {found[one.id][0] for one in healthy} == {"sent"}
        assert {found[one.id][0] for one in (junk, dropped, lost)} == {"pending"}
        assert found[refuses.id][0] == "failed"
        assert "blocked the bot" in (found[struck["blocked"].id][2] or "")
        told = alerts(telegram)
        assert [told[one.id] for one in healthy] == [1] * 40
        assert (told[lost.id], told[dropped.id]) == (1, 0)
        plain = telegram.wait_for(struck["markup"], "RENEWED")
        assert (plain.entities and plain.marked("bold"), list(plain.buttons)) == (
            [], ["Details", "Unsubscribe"],
        )  # fmt: skip
        assert telegram.wait_for(struck["buttons"], "RENEWED").buttons == {}
        listed = home.do("deliveries").out
        assert f"telegram:{refuses.id}: failed, the markup was not understood" in listed

        # Whoever answers or unblocks the bot gets what was kept for them.
        telegram.say(struck["blocked"], "/help")
        telegram.wait_for(struck["blocked"], "RENEWED")
        telegram.block(healthy[0])
        telegram.unblock(healthy[0])
        renew(home, 10)
        telegram.wait_for(healthy[0], "season 10")
    assert max(alerts(telegram).values()) == 2


def test_who_asks_to_wait_is_waited_for_while_others_are_told(
    home: Home, telegram: FakeTelegram
) -> None:
    with serving(home, telegram) as bot:
        slow, *others = fans(telegram, 6)
        telegram.flood(2, chat=slow)
        renew(home)
        for other in others:
            telegram.wait_for(other, "RENEWED")
        assert alerts(telegram)[slow.id] == 0
        until_settled(bot, home, 6, sent=5, pending=1)
        assert rows(home)[slow.id][1] == 0, "the attempt does not count"
        told = telegram.wait_for(slow, "RENEWED")
    refused = next(one for one in telegram.calls("sendMessage") if one.status == 429)
    assert told.at - refused.at >= 2


def test_a_group_that_becomes_a_supergroup_in_the_middle_is_told_once_and_for_good(
    home: Home, telegram: FakeTelegram
) -> None:
    ann = telegram.person("Ann")
    groups = [telegram.group(f"Group {number}", owner=ann) for number in range(4)]
    with serving(home, telegram):
        for group in groups:
            follow(telegram, ann, group)
        people = fans(telegram, 20)
        with telegram.held(accepted=False) as held:
            renew(home)
            telegram.wait_until_held(held, IN_FLIGHT)
            new = [
                telegram.upgrade(one, by=ann, announced=n % 2 == 0) for n, one in enumerate(groups)
            ]
            # Of the others both ids follow, until the bot hears that they are one.
            for one in new[2:]:
                telegram.say(ann, "/subscribe ozark", one)
        everybody: list[Person | Chat] = [*new, *people]
        for place in everybody:
            telegram.wait_for(place, "RENEWED")
        home.publish("ozark", "--season", "9", "--kind", "dated", "--date", f"{NEXT_YEAR}",
                     *OFFICIAL)  # fmt: skip
        for place in everybody:
            telegram.wait_for(place, "DATED")
    once = {place.id: 1 for place in everybody}
    assert alerts(telegram) == once
    assert alerts(telegram, "DATED") == once
    assert set(states(home)) <= {"sent", "expired"}


def test_a_topic_that_was_deleted_is_told_of_once_in_general_and_given_up(
    home: Home, telegram: FakeTelegram
) -> None:
    ann = telegram.person("Ann")
    forum = telegram.supergroup("Forum", owner=ann, forum=True)
    kept, gone = forum.topic("Kept"), forum.topic("Gone")
    with serving(home, telegram):
        for topic in (kept, gone):
            follow(telegram, ann, forum, topic=topic)
        telegram.delete_topic(forum, gone)
        renew(home)
        telegram.wait_for(forum, "RENEWED", topic=kept)
        assert telegram.wait_for(forum, TOPIC_GONE).thread_id is None
        renew(home, 10)
        telegram.wait_for(forum, "season 10", topic=kept)
    assert alerts(telegram) == {forum.id: 3}


def test_a_telegram_that_goes_away_and_comes_back_loses_nothing(
    home: Home, telegram: FakeTelegram
) -> None:
    with serving(home, telegram) as bot:
        people = fans(telegram, 5)
        telegram.down()
        renew(home)
        bot.until(lambda: len(rows(home)) == 5, "deliveries")
        until_settled(bot, home, 5, pending=5)
        telegram.up()
        for one in people:
            telegram.wait_for(one, "RENEWED")
        assert "Ozark" in telegram.ask(people[0], "/subscriptions").text
    assert alerts(telegram) == {one.id: 1 for one in people}


def test_a_stop_in_the_middle_of_a_fan_out_repeats_nothing(
    home: Home, telegram: FakeTelegram
) -> None:
    with serving(home, telegram) as bot:
        people = fans(telegram, MANY)
        slow = telegram.delay(seconds=0.1, times=None)
        renew(home)
        bot.until(lambda: alerts(telegram).total() >= 10, "some alerts")
        bot.send(signal.SIGTERM)
        assert bot.ended(STOPS_WITHIN) == 0
    told = alerts(telegram).total()
    assert 10 <= told < MANY
    assert states(home) == {"sent": told, "pending": MANY - told}
    slow.stop()
    with serving(home, telegram):
        for one in people:
            telegram.wait_for(one, "RENEWED")
    assert alerts(telegram) == {one.id: 1 for one in people}


def test_a_crash_in_the_middle_of_a_fan_out_loses_nothing_and_repeats_what_was_on_its_way(
    home: Home, telegram: FakeTelegram
) -> None:
    with serving(home, telegram) as bot:
        people = fans(telegram, MANY)
        with telegram.held():
            renew(home)
            bot.until(lambda: alerts(telegram).total() == IN_FLIGHT, "alerts on their way")
            bot.close()
    with telegram.held(), serving(home, telegram) as bot:
        bot.until(lambda: alerts(telegram).total() == 2 * IN_FLIGHT, "them again")
        bot.close()
    with serving(home, telegram) as bot:
        bot.until(lambda: len(alerts(telegram)) == MANY, "all alerts")
        until_settled(bot, home, MANY, sent=MANY)
    told = alerts(telegram)
    assert set(told) == {one.id for one in people}
    assert told.total() - MANY == 2 * IN_FLIGHT
    assert states(home) == {"sent": MANY}
