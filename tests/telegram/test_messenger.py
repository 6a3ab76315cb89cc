"""Alerts on their way to Telegram: what follows from each of its answers, in the store and there.

The outbox, the messenger, python-telegram-bot and HTTP are real; only the clock is not.
"""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from bot.app import Engine
from bot.model import Destination, Platform, Subscription, Update
from bot.outbox import Outbox
from bot.outbox.carrier import IN_FLIGHT
from bot.outbox.holds import SILENCE, STOPPED, Holds
from bot.outbox.pace import UNLIMITED
from bot.platforms.telegram.service import Access, Telegram
from bot.poll import Poll
from storage.store import Storage
from tests.build import NOW, TODAY, VIDEO, a_retraction, a_show, an_update
from tests.fakes.clock import FakeClock
from tests.fakes.telegram import Chat, FakeTelegram, Person, Sent
from tests.storage.builders import a_store, sql

HOUR: Final = 3600.0
SHOW: Final = a_show()
OTHERS: Final = [a_show("squid-game"), a_show("the-glory")]


@dataclass(frozen=True)
class Outcome:
    """What became of a delivery; `wait` is the seconds until it is tried again."""

    state: str
    wait: float | None = None
    attempts: int = 1
    tries: int = 1
    """Requests to Telegram."""
    reason: str | None = field(default=None, compare=False)


class World:
    """A store, a Telegram and the part of the bot between them."""

    def __init__(self, storage: Storage, telegram: FakeTelegram, service: Telegram) -> None:
        self.storage = storage
        self.telegram = telegram
        self.clock = FakeClock(NOW)
        self._service = service
        self.engine = self.new_engine()

    def new_engine(self) -> Engine:
        """A bot that starts; by chance its waits are neither longer nor shorter than usual."""
        messengers = {Platform.TELEGRAM: self._service.messenger}
        engine = Engine(self.storage, messengers, self.clock)
        engine.outbox = Outbox(self.storage, messengers, self.clock, chance=lambda: 0.5)
        engine.poll = Poll(self.storage, self.clock, engine.outbox.wake)
        return engine

    async def fans(self, count: int) -> list[Person]:
        """People who follow the show."""
        fans = [self.telegram.person(f"Fan {n}", started=True) for n in range(count)]
        for one in fans:
            await self.follow(one)
        return fans

    async def follow(
        self, where: Person | Chat, thread: int | None = None, show: str = SHOW.id
    ) -> None:
        """Let a chat follow the show."""
        here = Destination(Platform.TELEGRAM, where.id, thread)
        await self.storage.subscriptions.put(Subscription(here, a_show(show).id))

    async def publish(self, update: Update) -> Update:
        return (await self.storage.publishing.publish(update, TODAY)).update

    async def deliver(self) -> None:
        """Everything that is due now, by a bot that starts and stops."""
        self.engine = self.new_engine()
        async with self.engine.delivering():
            await self.engine.finish()

    async def tell(self) -> None:
        """Publish news, and deliver what is due."""
        await self.publish(an_update("renewed"))
        await self.deliver()

    async def later(self, **duration: float) -> None:
        """Let time pass, and deliver what is due then."""
        self.clock.pass_by(**duration)
        await self.deliver()

    async def outcome(self, where: Person | Chat) -> Outcome:
        """What became of the only delivery to a chat."""
        (row,) = await sql(
            self.storage,
            "SELECT state, due_at, attempts, reason FROM deliveries "
            f"JOIN destinations ON id = destination_id WHERE chat_id = {where.id}",
        )
        state, due_at, attempts, reason = row
        due = dt.datetime.fromtimestamp(due_at / 1000, dt.UTC) if state == "pending" else None
        wait = None if due is None else round((due - self.clock()).total_seconds(), 1)
        tries = [one for one in self.tries() if one["chat_id"] == where.id]
        return Outcome(state, wait, attempts, len(tries), reason)

    async def states(self) -> dict[str, int]:
        counts = await self.storage.deliveries.counts()
        assert sum(counts.values()) == await self.storage.fanouts.created()
        return {str(state): count for state, count in counts.items() if count}

    async def is_suspended(self, where: Person | Chat) -> bool:
        return await self.storage.destinations.suspended(Destination(Platform.TELEGRAM, where.id))

    def tries(self) -> list[dict[str, Any]]:
        return [dict(one.parameters) for one in self.telegram.calls("sendMessage")]

    def told(self) -> Counter[int]:
        """How many messages each chat got."""
        return Counter(one.chat_id for one in self.telegram.history)


@pytest.fixture(autouse=True)
def _as_the_application_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "1")


@asynccontextmanager
async def a_world(telegram: FakeTelegram) -> AsyncIterator[World]:
    service = Telegram(Access(telegram.token, telegram.url), limits=UNLIMITED)
    async with a_store(SHOW, *OTHERS) as storage, service.connected():
        yield World(storage, telegram, service)


@pytest.fixture
def telegram() -> Iterator[FakeTelegram]:
    with FakeTelegram() as running:
        yield running


@pytest.fixture
async def world(telegram: FakeTelegram) -> AsyncIterator[World]:
    async with a_world(telegram) as world:
        yield world


def asked(seconds: float) -> float:
    """A wait that was asked for, with what is added so that not all come back at once."""
    return seconds * 1.05


SENT: Final = Outcome("sent")
MENDED: Final = Outcome("sent", tries=2)
HELD: Final = Outcome("held")
LATER: Final = Outcome("pending", 5.0)
PERHAPS: Final = Outcome("pending", 60.0)
GONE: Final = Outcome("pending", asked(12 * HOUR), attempts=0)
NO_RIGHT: Final = Outcome("pending", asked(6 * HOUR), attempts=0)

ANSWERS: Final[list[tuple[int, str, dict[str, Any] | None, Outcome]]] = [
    (403, "Forbidden: bot was blocked by the user", None, HELD),
    (400, "Bad Request: USER_IS_BLOCKED", None, HELD),
    (403, "Forbidden: user is deactivated", None, HELD),
    (400, "Bad Request: INPUT_USER_DEACTIVATED", None, HELD),
    (403, "Forbidden: bot can't initiate conversation with a user", None, HELD),
    (403, "Forbidden: the bot can't send messages to the bot", None, HELD),
    (403, "Forbidden: bot was kicked from the group chat", None, HELD),
    (403, "Forbidden: bot was kicked from the supergroup chat", None, HELD),
    (403, "Forbidden: bot was kicked from the channel chat", None, HELD),
    (403, "Forbidden: bot is not a member of the channel chat", None, HELD),
    (403, "Forbidden: the group chat was deleted", None, NO_RIGHT),
    (400, "Bad Request: chat not found", None, GONE),
    (400, "Bad Request: private chat not found", None, GONE),
    (400, "Bad Request: message thread not found", None, MENDED),
    (400, "Bad Request: TOPIC_DELETED", None, MENDED),
    (400, "Bad Request: TOPIC_CLOSED", None, NO_RIGHT),
    (400, "Bad Request: not enough rights to send text messages to the chat", None, NO_RIGHT),
    (400, "Bad Request: not enough rights to send photos to the chat", None, MENDED),
    (400, "Bad Request: have no write access to the chat", None, NO_RIGHT),
    (400, "Bad Request: CHAT_WRITE_FORBIDDEN", None, NO_RIGHT),
    (400, "Bad Request: CHAT_SEND_PLAIN_FORBIDDEN", None, NO_RIGHT),
    (400, "Bad Request: CHAT_RESTRICTED", None, NO_RIGHT),
    (400, "Bad Request: need administrator rights in the channel chat", None, NO_RIGHT),
    (400, "Bad Request: ALLOW_PAYMENT_REQUIRED_5", None, HELD),
    (400, 'Bad Request: can\'t parse entities: Unsupported start tag "x"', None, MENDED),
    (400, "Bad Request: message is too long", None, MENDED),
    (400, "Bad Request: message text is empty", None, MENDED),
    (400, "Bad Request: wrong file identifier/HTTP URL specified", None, MENDED),
    (400, "Bad Request: failed to get HTTP URL content", None, MENDED),
    (400, "Bad Request: wrong type of the web page content", None, MENDED),
    (400, "Bad Request: PHOTO_INVALID_DIMENSIONS", None, MENDED),
    (400, "Bad Request: IMAGE_PROCESS_FAILED", None, MENDED),
    (400, "Bad Request: REPLY_MARKUP_INVALID", None, MENDED),
    (400, "Bad Request: BUTTON_URL_INVALID", None, MENDED),
    (400, "Bad Request: something that was never seen", None, LATER),
    (403, "Forbidden: something that was never seen", None, NO_RIGHT),
    (429, "Too Many Requests: retry after 7", {"retry_after": 7}, Outcome("pending", 7.3, 0)),
    (429, "Too Many Requests: retry later", None, Outcome("pending", asked(30), 0)),
    (413, "Request Entity Too Large", None, MENDED),
    (500, "Internal Server Error: restart", None, LATER),
    (502, "Bad Gateway", None, LATER),
    (504, "Gateway Timeout", None, LATER),
]


@pytest.fixture
def _without_a_circuit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer is looked at apart from the others that come in the same run.

    Of so many, one that says Telegram is in trouble would hold back what was not tried yet; when
    that is so, and for how long, is what test_holds.py is about.
    """
    monkeypatch.setattr(Holds, "unanswered", lambda *_, **__: False)


@pytest.mark.usefixtures("_without_a_circuit")
async def test_every_answer_has_its_outcome_and_touches_no_other_chat(
    telegram: FakeTelegram, world: World
) -> None:
    fans = await world.fans(60)
    struck = {}
    for status, description, parameters, _ in ANSWERS:
        (struck[description],) = await world.fans(1)
        telegram.fail(
            status=status,
            description=description,
            parameters=parameters,
            chat=struck[description],
        )
    fans += await world.fans(5)
    await world.tell()

    became = {what: await world.outcome(who) for what, who in struck.items()}
    assert became == {what: outcome for _, what, _, outcome in ANSWERS}
    assert [await world.outcome(fan) for fan in fans] == [SENT] * 65
    for what, who in struck.items():
        gone = "thread not found" in what or "TOPIC_DELETED" in what
        assert await world.is_suspended(who) == (gone or became[what] == HELD), what
    assert {what for what, one in became.items() if one.state != "sent" and not one.reason} == set()


async def test_a_third_of_all_chats_blocking_the_bot_stops_no_alert_to_the_others(
    telegram: FakeTelegram, world: World
) -> None:
    fans = await world.fans(45)
    for fan in fans[::3]:
        telegram.block(fan)
    await world.tell()
    assert await world.states() == {"sent": 30, "held": 15}
    await world.publish(an_update("dated"))
    await world.deliver()
    assert world.told() == {fan.id: 2 for place, fan in enumerate(fans) if place % 3}
    assert len(world.tries()) == 45 + 30, "nobody who has blocked the bot is asked again"


NO_ANSWERS: Final[list[tuple[str, dict[str, Any], Outcome]]] = [
    ("raw", {"status": 200}, PERHAPS),
    ("raw", {"body": "{}"}, PERHAPS),
    ("raw", {"body": '{"ok": true, "result": "what?"}'}, PERHAPS),
    ("raw", {"status": 502}, LATER),
    ("raw", {"status": 504}, LATER),
    ("raw", {"status": 403}, LATER),
    ("raw", {"status": 413}, MENDED),
    ("drop", {"accepted": False}, PERHAPS),
    ("drop", {"accepted": True}, PERHAPS),
]


@pytest.mark.usefixtures("_without_a_circuit")
async def test_what_is_no_answer_is_in_doubt_and_touches_no_other_chat(
    telegram: FakeTelegram, world: World
) -> None:
    struck, fans = [], []
    for fault, options, _ in NO_ANSWERS:
        struck += await world.fans(1)
        getattr(telegram, fault)(chat=struck[-1], **options)
        fans += await world.fans(2)
    await world.tell()
    became = [await world.outcome(who) for who in struck]
    assert became == [outcome for _, _, outcome in NO_ANSWERS]
    assert [await world.outcome(fan) for fan in fans] == [SENT] * len(fans)


STOPPERS: Final = [
    (401, "Unauthorized"),
    (404, "Not Found"),
    (421, "Misdirected Request: unallowed token specified"),
    (400, "Bad Request: FROZEN_METHOD_INVALID"),
    (400, "Logged out"),
]


@pytest.mark.parametrize(("status", "description"), STOPPERS)
async def test_what_refuses_the_bot_stops_all_sending_for_a_while(
    telegram: FakeTelegram, world: World, status: int, description: str
) -> None:
    fans = await world.fans(30)
    telegram.fail(status=status, description=description, times=None)
    with capture_logs() as log:
        await world.tell()
    assert await world.states() == {"pending": 30}
    assert len(world.tries()) <= IN_FLIGHT
    assert await world.outcome(fans[-1]) == Outcome("pending", 0.0, attempts=0, tries=0)
    stops = [one for one in log if one["event"] == "outbox.stopped"]
    assert stops[0]["tried_again_in"] == STOPPED


async def test_after_a_stop_everybody_is_told_once(
    telegram: FakeTelegram, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady = 0.0
    monkeypatch.setattr("bot.outbox.Holds", lambda _: Holds(lambda: steady))
    await world.fans(10)
    telegram.revoke()
    await world.publish(an_update("renewed"))
    engine = world.new_engine()
    async with engine.delivering():
        await engine.finish()
        telegram.restore()
        tries = len(world.tries())
        steady = STOPPED - 1
        await engine.finish()
        assert len(world.tries()) == tries
        steady = STOPPED
        await engine.finish()
    assert set(world.told().values()) == {1}
    assert await world.states() == {"sent": 10}


async def test_a_chat_that_is_not_found_is_given_up_after_a_day(
    telegram: FakeTelegram, world: World
) -> None:
    lost, found, other = await world.fans(3)
    telegram.fail(status=400, description="Bad Request: chat not found", times=None, chat=lost)
    telegram.fail(status=400, description="Bad Request: chat not found", times=2, chat=found)
    engine = world.new_engine()
    async with engine.delivering():
        await world.publish(an_update("renewed"))
        for _ in range(2):
            await engine.finish()
            assert not await world.is_suspended(lost)
            world.clock.pass_by(hours=12, seconds=2161)
        await engine.finish()
    assert await world.is_suspended(lost)
    became = [(await world.outcome(one)).state for one in (lost, found, other)]
    assert became == ["held", "sent", "sent"]
    assert await sql(world.storage, "SELECT * FROM doubts") == []


async def test_a_missing_right_is_waited_for_and_then_given_up(
    telegram: FakeTelegram, world: World
) -> None:
    mute = telegram.supergroup("Mute", bot="restricted")
    given = telegram.supergroup("Given", bot="restricted")
    for chat in (mute, given):
        telegram.set_bot(chat, "restricted", can_send_messages=False)
        await world.follow(chat)
    engine = world.new_engine()
    async with engine.delivering():
        await world.publish(an_update("renewed"))
        await engine.finish()
        telegram.set_bot(given, "restricted", can_send_messages=True)
        for _ in range(4):
            assert not await world.is_suspended(mute)
            world.clock.pass_by(hours=6, seconds=1081)
            await engine.finish()
    assert (await world.outcome(mute)).state == "held"
    assert await world.is_suspended(mute)
    assert (await world.outcome(given)).state == "sent"


async def test_a_token_of_another_bot_suspends_nobody_however_long_it_stays(
    telegram: FakeTelegram, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady = 0.0
    monkeypatch.setattr("bot.outbox.Holds", lambda _: Holds(lambda: steady))
    fans = await world.fans(40)
    fault = telegram.fail(status=400, description="Bad Request: chat not found", times=None)
    await world.publish(an_update("renewed"))
    engine = world.new_engine()
    async with engine.delivering():
        for _ in range(2 * 24 + 2):
            await engine.finish()
            world.clock.pass_by(hours=1)
            steady += HOUR
        assert len(world.tries()) >= 3 * 40
        assert not [fan for fan in fans if await world.is_suspended(fan)]
        fault.stop()
        world.clock.pass_by(hours=13)
        await engine.finish()
    assert world.told() == {fan.id: 1 for fan in fans}


async def test_who_asks_to_wait_is_waited_for_and_the_try_does_not_count(
    telegram: FakeTelegram, world: World
) -> None:
    slow, *others = await world.fans(8)
    telegram.flood(600, chat=slow, times=30)
    await world.tell()
    assert await world.states() == {"sent": 7, "pending": 1}
    for tries in range(1, 31):
        await world.later(seconds=629)
        assert await world.outcome(slow) == Outcome("pending", 1.0, attempts=0, tries=tries)
        await world.later(seconds=1)
    assert await world.outcome(slow) == Outcome("sent", attempts=1, tries=31)
    assert [await world.outcome(other) for other in others] == [SENT] * 7


async def test_three_chats_that_are_to_wait_hold_everybody(
    telegram: FakeTelegram, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady = 0.0
    monkeypatch.setattr("bot.outbox.Holds", lambda _: Holds(lambda: steady))
    fans = await world.fans(40)
    for fan in fans[:3]:
        telegram.flood(30, chat=fan)
    await world.publish(an_update("renewed"))
    engine = world.new_engine()
    async with engine.delivering():
        await engine.finish()
        assert 3 <= len(world.tries()) <= 3 + 2 * IN_FLIGHT
        early = len(world.tries())
        steady = 29.9
        world.clock.pass_by(seconds=33)
        await engine.finish()
        assert len(world.tries()) == early
        steady = 30.0
        await engine.finish()
    assert await world.states() == {"sent": 40}
    assert set(world.told().values()) == {1}


async def test_a_telegram_in_trouble_is_left_alone_and_asked_something_harmless_first(
    telegram: FakeTelegram, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady = 0.0
    monkeypatch.setattr("bot.outbox.Holds", lambda _: Holds(lambda: steady))
    await world.fans(40)
    telegram.fail(status=502, description="Bad Gateway")
    telegram.fail("getMe", status=502, description="Bad Gateway")
    await world.publish(an_update("renewed"))
    engine = world.new_engine()
    async with engine.delivering():
        await engine.finish()
        tries, asked = len(world.tries()), len(telegram.calls("getMe"))
        assert asked >= 1
        assert 1 <= tries <= 2 * IN_FLIGHT
        world.clock.pass_by(seconds=SILENCE)
        steady = SILENCE - 1
        await engine.finish()
        assert (len(world.tries()), len(telegram.calls("getMe"))) == (tries, asked)
        telegram.fail("getMe", status=502, description="Bad Gateway")
        steady = SILENCE
        await engine.finish()
        assert (len(world.tries()), len(telegram.calls("getMe"))) == (tries, asked + 1)
        steady = 2 * SILENCE
        await engine.finish()
        assert len(telegram.calls("getMe")) == asked + 2
    assert await world.states() == {"sent": 40}
    assert set(world.told().values()) == {1}


async def test_a_telegram_that_takes_only_so_many_a_second_gets_everything_once() -> None:
    with FakeTelegram(limits=True) as telegram:
        assert telegram._world.limits
        telegram._world.limits.overall = 10
        async with a_world(telegram) as world:
            await world.fans(15)
            await world.tell()
            async with asyncio.timeout(20):
                while (await world.states()).keys() != {"sent"}:
                    await asyncio.sleep(0.3)
                    await world.later(seconds=0.3)
            assert len(world.tries()) > 15
            assert set(world.told().values()) == {1}


async def test_what_is_in_doubt_is_tried_three_times_and_then_uncertain(
    telegram: FakeTelegram, world: World
) -> None:
    (fan,) = await world.fans(1)
    telegram.drop(accepted=True, times=None)
    await world.tell()
    assert await world.outcome(fan) == Outcome("pending", 60.0, 1, 1)
    await world.later(seconds=60)
    assert await world.outcome(fan) == Outcome("pending", 600.0, 2, 2)
    await world.later(seconds=600)
    assert await world.outcome(fan) == Outcome("uncertain", None, 3, 3)
    await world.later(days=30)
    assert world.told() == {fan.id: 3}


async def test_a_telegram_that_is_away_is_tried_later_each_time_and_nothing_is_lost(
    telegram: FakeTelegram, world: World
) -> None:
    (fan,) = await world.fans(1)
    telegram.down()
    await world.tell()
    waits = []
    for _ in range(10):
        waits.append((await world.outcome(fan)).wait)
        await world.later(seconds=waits[-1] or 0)
    assert waits == [5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28800]
    telegram.up()
    await world.later(seconds=28800)
    assert (await world.outcome(fan)).state == "sent"
    assert world.told() == {fan.id: 1}


async def test_several_alerts_of_one_chat_are_one_message_with_buttons_for_each_show(
    telegram: FakeTelegram, world: World
) -> None:
    (fan,) = await world.fans(1)
    for show in OTHERS:
        await world.follow(fan, show=show.id)
    await world.publish(an_update("renewed"))
    await world.publish(an_update("renewed", show="squid-game"))
    await world.publish(an_update("dated"))
    await world.deliver()
    (sent,) = telegram.sent_to(fan)
    assert [one.split(" · ")[0] for one in sent.marked("bold")] == ["RENEWED", "RENEWED", "DATED"]
    assert [label.split(",")[0] for label in sent.buttons] == [
        "Details: All of Us Are Dead",
        "Unsubscribe: All of Us Are Dead",
        "Details: Squid Game",
        "Unsubscribe: Squid Game",
    ]
    assert len(set(sent.buttons.values())) == 4
    assert all(len(data.encode()) <= 64 for data in sent.buttons.values())


async def test_more_than_one_text_holds_goes_out_as_several_in_order(
    telegram: FakeTelegram, world: World
) -> None:
    (fan,) = await world.fans(1)
    for season in range(100, 130):
        await world.publish(an_update("renewed", season=season))
    await world.deliver()
    sent = telegram.sent_to(fan)
    assert 2 <= len(sent) <= 3
    titles = [title for one in sent for title in one.marked("bold")]
    assert titles == [f"RENEWED · All of Us Are Dead, season {n}" for n in range(100, 130)]
    assert all(list(one.buttons) == ["Details", "Unsubscribe"] for one in sent)
    assert await world.states() == {"sent": 30}


async def test_what_is_refused_for_good_holds_up_nothing_later(
    telegram: FakeTelegram, world: World
) -> None:
    (fan,) = await world.fans(1)
    for season in range(100, 130):
        await world.publish(an_update("renewed", season=season))
    telegram.fail(status=400, description="Bad Request: can't parse entities", times=2)
    await world.deliver()
    sent = [title for one in telegram.sent_to(fan) for title in one.marked("bold")]
    assert sent[-1] == "RENEWED · All of Us Are Dead, season 129"
    assert await world.states() == {"failed": 30 - len(sent), "sent": len(sent)}


@pytest.mark.parametrize("fault", ["wait", "doubt", "lost"])
async def test_what_comes_later_is_not_sent_before_what_comes_earlier(
    telegram: FakeTelegram, world: World, fault: str
) -> None:
    (fan,) = await world.fans(1)
    for season in range(100, 130):
        await world.publish(an_update("renewed", season=season))
    if fault == "wait":
        telegram.flood(60, chat=fan)
    if fault == "doubt":
        telegram.fail(status=500, chat=fan)
    if fault == "lost":
        telegram.block(fan)
    await world.deliver()
    assert len(world.tries()) == 1
    if fault == "lost":
        assert await world.states() == {"held": 30}
        telegram.unblock(fan)
        here = Destination(Platform.TELEGRAM, fan.id)
        assert await world.storage.destinations.resume(here, world.clock())
    await world.later(minutes=11)
    titles = [title for one in telegram.sent_to(fan) for title in one.marked("bold")]
    assert titles == [f"RENEWED · All of Us Are Dead, season {n}" for n in range(100, 130)]


async def test_a_trailer_shows_a_large_preview_and_its_bare_address(
    telegram: FakeTelegram, world: World
) -> None:
    (fan,) = await world.fans(1)
    await world.publish(an_update("trailer"))
    await world.deliver()
    (sent,) = telegram.sent_to(fan)
    assert sent.link_preview_options == {"url": VIDEO, "prefer_large_media": True}
    assert VIDEO in sent.text.split("\n")


async def test_a_preview_that_is_refused_is_left_out(telegram: FakeTelegram, world: World) -> None:
    (fan,) = await world.fans(1)
    telegram.fail(status=400, description="Bad Request: WEBPAGE_URL_INVALID")
    await world.publish(an_update("trailer"))
    await world.deliver()
    (sent,) = telegram.sent_to(fan)
    assert sent.link_preview_options == {"is_disabled": True}
    assert VIDEO in sent.text


async def test_a_correction_reaches_whoever_may_have_got_the_mistake(
    telegram: FakeTelegram, world: World
) -> None:
    sure, doubtful, blocked = await world.fans(3)
    telegram.drop(accepted=True, chat=doubtful)
    telegram.block(blocked)
    wrong = await world.publish(an_update("dated", date="2027-03-03"))
    await world.deliver()
    telegram.unblock(blocked)
    await world.publish(a_retraction(wrong))
    await world.later(seconds=61)
    texts = {
        who: [one.text.split(" ")[0] for one in telegram.sent_to(who)]
        for who in (sure, doubtful, blocked)
    }
    assert texts == {sure: ["DATED", "CORRECTION"], doubtful: ["DATED", "CORRECTION"], blocked: []}


async def test_a_group_that_became_a_supergroup_is_told_there_once(
    telegram: FakeTelegram, world: World
) -> None:
    group, both = telegram.group("Group"), telegram.group("Both")
    new, new_both = (telegram.upgrade(one, announced=False) for one in (group, both))
    for chat in (group, both, new_both):
        await world.follow(chat)
    await world.fans(3)
    await world.tell()
    await world.publish(an_update("dated"))
    await world.later(seconds=1)
    told = world.told()
    assert (told[new.id], told[new_both.id]) == (2, 2)
    assert (told[group.id], told[both.id]) == (0, 0)
    assert set(await world.states()) <= {"sent", "expired"}


async def test_a_topic_that_was_deleted_is_told_of_in_general_once(
    telegram: FakeTelegram, world: World
) -> None:
    forum = telegram.supergroup("Forum", forum=True)
    kept, gone = forum.topic("Kept"), forum.topic("Gone")
    for topic in (kept, gone):
        await world.follow(forum, topic)
    telegram.delete_topic(forum, gone)
    await world.tell()
    sent: tuple[Sent, ...] = telegram.sent_to(forum)
    assert sorted((one.thread_id or 0, "was deleted" in one.text) for one in sent) == [
        (0, True),
        (kept, False),
    ]
    assert await world.states() == {"sent": 2}
    await world.publish(an_update("trailer"))
    await world.deliver()
    assert [one.thread_id for one in telegram.sent_to(forum)[len(sent) :]] == [kept]


async def test_one_that_hangs_holds_up_nobody(telegram: FakeTelegram, world: World) -> None:
    slow, *others = await world.fans(20)
    await world.publish(an_update("renewed"))
    engine = world.new_engine()
    with telegram.held(chat=slow):
        async with engine.delivering():
            await engine.poll()
            for other in others:
                await asyncio.to_thread(telegram.wait_for, other, "RENEWED")
            telegram.release()
            await engine.finish()
    assert set(world.told().values()) == {1}
