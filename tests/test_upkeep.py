"""Upkeep: what is held ends in time, what is lost for good is forgotten, and nothing else is."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

import pytest

from bot import upkeep
from bot.message import Link, Message, plain
from bot.message.answers import removed
from bot.model import Destination, Platform
from bot.schedule import ClockWatch
from bot.upkeep import AT_A_TIME, GIVEN_UP_AFTER, Upkeep
from storage.store import Storage, open_storage
from storage.trust import trust
from tests.build import NOW
from tests.fakes.clock import FakeClock
from tests.storage.builders import (
    SECOND,
    SHOW,
    a_chat,
    deliver,
    follow,
    id_of,
    put_shows,
    states,
    tell,
    write,
)

LONG_AGO: Final = NOW - GIVEN_UP_AFTER
LOST: Final = a_chat(-100123, 45)
TOPIC: Final = a_chat(-100123, 46)


def a_channel(number: int, home: int | None = 9) -> Destination:
    return Destination(Platform.DISCORD, number, None, home)


@dataclass
class Bench:
    """Upkeep over a store, with what was told."""

    storage: Storage
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))
    steady: list[float] = field(default_factory=lambda: [1000.0])
    told: list[tuple[Destination, Message]] = field(default_factory=list)
    trouble: Exception | None = None

    def __post_init__(self) -> None:
        self.watch = ClockWatch(self.clock, lambda: self.steady[0])
        self.upkeep = Upkeep(self.storage, self.clock, self.watch, self.tell)

    async def tell(self, destination: Destination, message: Message) -> None:
        if self.trouble:
            raise self.trouble
        self.told.append((destination, message))

    async def lose(self, *chats: Destination, since: dt.datetime = LONG_AGO) -> None:
        """Let chats follow, and then be out of reach."""
        await follow(self.storage, *chats)
        for chat in chats:
            await self.storage.destinations.suspend(await id_of(self.storage, chat), "gone", since)

    async def known(self, chat: Destination) -> bool:
        """Whether anything is stored of a chat's subscriptions."""
        return bool(await self.storage.subscriptions.of(chat))


@pytest.fixture
async def bench(storage: Storage) -> Bench:
    await put_shows(storage)
    return Bench(storage)


# --- the deliveries ---


async def test_what_adds_up_is_no_trouble(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    await follow(bench.storage, LOST)
    await tell(bench.storage)
    assert await bench.upkeep.count() == 0
    assert "unaccounted" not in "".join(capsys.readouterr())


@pytest.fixture
async def broken(sqlite_url: str) -> AsyncIterator[Bench]:
    """A store from which a delivery has vanished."""
    async with open_storage(sqlite_url, trust()) as storage:
        await put_shows(storage)
        await follow(storage, LOST)
        await tell(storage)
        await write(storage, "DELETE FROM deliveries")
        yield Bench(storage)


async def test_deliveries_that_vanish_are_an_error(
    broken: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await broken.upkeep.count() == 1
    said = "".join(capsys.readouterr())
    assert "deliveries.unaccounted" in said
    assert "number=1" in said.replace("\x1b[0m", "").replace("\x1b[35m", "").replace("\x1b[36m", "")


async def test_what_is_held_ends_once_it_is_news_no_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "EXPIRED_AT_A_TIME", 1)  # more than one go is needed
    await follow(bench.storage, LOST)
    await tell(bench.storage)
    await tell(bench.storage)
    await bench.storage.destinations.suspend(await id_of(bench.storage, LOST), "gone", NOW)
    assert await bench.upkeep.expire() == 0
    assert await states(bench.storage) == {"held": 2}
    bench.clock.pass_by(hours=49)
    assert await bench.upkeep.expire() == 2
    assert await states(bench.storage) == {"expired": 2}


# --- the purge ---


async def test_what_was_out_of_reach_for_long_is_forgotten_and_nothing_else(bench: Bench) -> None:
    just = a_chat(2)
    await bench.lose(LOST)
    await bench.lose(just, since=LONG_AGO + SECOND)
    await follow(bench.storage, a_chat(3))
    assert await bench.upkeep.purge() == 1
    assert [await bench.known(one) for one in (LOST, just, a_chat(3))] == [False, True, True]
    bench.clock.pass_by(seconds=1)
    bench.steady[0] += 1
    assert await bench.upkeep.purge() == 1
    assert not await bench.known(just)


async def test_the_deliveries_of_what_is_forgotten_keep_adding_up(bench: Bench) -> None:
    await follow(bench.storage, LOST, TOPIC)
    await tell(bench.storage)
    await deliver(bench.storage)
    await tell(bench.storage)
    await bench.lose(LOST)
    assert await bench.upkeep.purge() == 1
    assert await states(bench.storage) == {"sent": 1, "pending": 1}
    assert await bench.upkeep.count() == 0


async def test_another_topic_of_the_chat_is_told(bench: Bench) -> None:
    await bench.lose(LOST)
    await follow(bench.storage, TOPIC)
    await bench.upkeep.purge()
    ((to, message),) = bench.told
    assert to == TOPIC
    assert message == removed(LOST, TOPIC, "gone", 90)


async def test_another_channel_of_the_server_is_told(bench: Bench) -> None:
    await bench.lose(a_channel(1))
    await follow(bench.storage, a_channel(2), a_channel(3, home=8))
    await bench.upkeep.purge()
    assert [to for to, _ in bench.told] == [a_channel(2)]


async def test_the_same_chat_is_told_rather_than_the_same_server(bench: Bench) -> None:
    thread = Destination(Platform.DISCORD, 1, 77, 9)
    await follow(bench.storage, a_channel(2), thread)
    await bench.lose(a_channel(1))
    await bench.upkeep.purge()
    assert [to for to, _ in bench.told] == [thread]


@pytest.mark.parametrize("why", ["suspended", "doubted", "follows nothing", "elsewhere", "a chat"])
async def test_nobody_is_told_who_cannot_be_or_need_not(bench: Bench, why: str) -> None:
    beside, stored = TOPIC, bench.storage.destinations
    if why == "elsewhere":
        beside = Destination(Platform.DISCORD, LOST.chat_id)
    if why == "a chat":
        beside = a_chat(77)  # neither is in a server
    await follow(bench.storage, beside)
    if why == "suspended":
        await stored.suspend(await id_of(bench.storage, beside), "gone", NOW)
    if why == "doubted":
        await stored.doubt(await id_of(bench.storage, beside), "gone", NOW)
    if why == "follows nothing":
        await bench.storage.subscriptions.remove(beside, SHOW)
    await bench.lose(LOST)
    assert await bench.upkeep.purge() == 1
    assert bench.told == []


async def test_of_a_chat_that_followed_nothing_nobody_is_told(bench: Bench) -> None:
    await bench.lose(LOST)
    await bench.storage.subscriptions.remove(LOST, SHOW)
    await follow(bench.storage, TOPIC)
    assert await bench.upkeep.purge() == 1
    assert bench.told == []


@pytest.mark.parametrize("trouble", [RuntimeError("no way"), TimeoutError()])
async def test_a_notice_that_fails_stops_nothing(bench: Bench, trouble: Exception) -> None:
    bench.trouble = trouble
    await bench.lose(LOST, a_chat(-100123, 47))
    await follow(bench.storage, TOPIC)
    assert await bench.upkeep.purge() == 2


async def test_a_notice_that_hangs_stops_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "TOLD_WITHIN", 0.05)

    async def hang(_destination: Destination, _message: Message) -> None:
        await asyncio.Event().wait()

    await bench.lose(LOST)
    await follow(bench.storage, TOPIC)
    keeper = Upkeep(bench.storage, bench.clock, bench.watch, hang)
    async with asyncio.timeout(10):
        assert await keeper.purge() == 1


async def test_who_can_be_reached_again_meanwhile_is_kept(bench: Bench) -> None:
    await bench.lose(LOST)
    (due,) = await bench.storage.purges.due(NOW, GIVEN_UP_AFTER, 10)
    await bench.storage.destinations.resume(LOST, NOW)
    assert not await bench.storage.purges.forget(due)
    assert await bench.known(LOST)
    await bench.storage.destinations.suspend(due.destination_id, "gone", NOW)
    assert not await bench.storage.purges.forget(due)
    assert await bench.known(LOST)


async def test_few_are_forgotten_at_a_time_the_longest_lost_first(bench: Bench) -> None:
    chats = [a_chat(number) for number in range(1, AT_A_TIME + 3)]
    await bench.lose(*chats)
    older = a_chat(999)
    await bench.lose(older, since=LONG_AGO - SECOND)
    assert await bench.upkeep.purge() == AT_A_TIME
    assert not await bench.known(older)
    assert await bench.upkeep.purge() == 3


@pytest.mark.parametrize("accepted", [False, True])
async def test_nothing_is_forgotten_soon_after_the_clock_was_set(
    bench: Bench, accepted: bool
) -> None:
    await bench.lose(LOST, since=NOW)
    bench.clock.pass_by(days=100)
    if accepted:
        bench.watch.accept(dt.timedelta(days=100))
    assert await bench.upkeep.purge() == 0
    assert await bench.known(LOST)


async def test_an_hour_after_the_clock_was_set_it_is_believed(bench: Bench) -> None:
    await bench.lose(LOST, since=NOW)
    bench.clock.pass_by(days=100)
    bench.watch.accept(dt.timedelta(days=100))
    bench.clock.pass_by(minutes=59)
    bench.steady[0] += 59 * 60
    assert await bench.upkeep.purge() == 0
    bench.clock.pass_by(minutes=1)
    bench.steady[0] += 60
    assert await bench.upkeep.purge() == 1


async def test_the_buttons_of_other_topics_stay(bench: Bench) -> None:
    await bench.lose(LOST)
    await follow(bench.storage, TOPIC)
    conversations = bench.storage.conversations
    await conversations.focus(Platform.TELEGRAM, 5, LOST.chat_id)
    await bench.upkeep.purge()
    assert await conversations.focused(Platform.TELEGRAM, 5) == LOST.chat_id
    await bench.lose(TOPIC)
    await bench.upkeep.purge()
    assert await conversations.focused(Platform.TELEGRAM, 5) is None


# --- the words ---


@pytest.mark.parametrize(
    ("lost", "told", "words", "address"),
    [
        (LOST, TOPIC, "another topic of this chat", "https://t.me/c/123/45"),
        (a_channel(1), a_channel(2), "another channel of this server",
         "https://discord.com/channels/9/1"),
        (Destination(Platform.DISCORD, 1, 7, 9), a_channel(1), "another topic of this chat",
         "https://discord.com/channels/9/7"),
        (a_chat(5, 6), a_chat(5), "another topic of this chat", None),
    ],
)  # fmt: skip
def test_the_notice_names_the_place_the_reason_and_the_way_back(
    lost: Destination, told: Destination, words: str, address: str | None
) -> None:
    message = removed(lost, told, "the bot was removed", 90)
    assert message.title == f"Alerts for {words} were removed."
    text = " ".join(plain(line) for line in message.lines)
    assert "for 90 days (the bot was removed)." in text
    assert "/subscribe" in text
    links = [one.url for line in message.lines for one in line if isinstance(one, Link)]
    assert links == ([address] if address else [])


def test_the_chores_come_often_enough_and_have_limits() -> None:
    nothing: Callable[..., object] = lambda *_: None  # noqa: E731
    watch = ClockWatch(FakeClock(NOW), lambda: 0.0)
    chores = {one.name: one for one in Upkeep(nothing, nothing, watch, nothing).chores}  # type: ignore[arg-type]
    assert {name: one.seconds for name, one in chores.items()} == {
        "conservation": 600, "expiry": 600, "purge": 86_400,
    }  # fmt: skip
    assert chores["purge"].time_limit > AT_A_TIME * upkeep.TOLD_WITHIN
