"""What a lane does when something in it dies, hangs or refuses to end."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from bot.app import STOP_WITHIN, Engine
from bot.errors import StorageFull
from bot.model import Destination, Platform
from bot.outbox import carrier, lane
from bot.outbox.expander import Expander
from bot.outbox.lane import LONGEST_END, STALLED, LaneState
from bot.outbox.messenger import Notice
from storage.outbox import Deliveries
from storage.store import Storage
from tests.build import NOW, a_show
from tests.fakes.clock import FakeClock
from tests.fakes.messenger import FakeMessenger
from tests.storage.builders import a_chat, a_store, a_trailer, follow, publish, sql, states

BRIEFLY: Final = 0.3
"""Seconds after which a lane is begun anew here."""

CHATS: Final = [a_chat(number) for number in range(1, 13)]


class Bot:
    """A store with followers, a platform, and a bot between them."""

    def __init__(self, storage: Storage, chat: FakeMessenger) -> None:
        self.storage = storage
        self.chat = chat
        self.clock = FakeClock(NOW)
        self.engine = Engine(storage, {Platform.TELEGRAM: chat}, self.clock)

    async def news(self) -> None:
        """Publish something, which is due at once."""
        await publish(self.storage, a_trailer())
        await self.engine.poll()

    async def until_told(self, count: int, seconds: float = 20) -> None:
        """Wait until so many messages have arrived."""
        async with asyncio.timeout(seconds):
            while len(self.chat.accepted) < count:
                await asyncio.sleep(0.01)

    async def finished(self) -> None:
        """Wait until nothing is due."""
        async with asyncio.timeout(20):
            await self.engine.outbox.settled()

    @property
    def lane(self) -> LaneState:
        return self.engine.outbox.lanes()[Platform.TELEGRAM]

    def told(self) -> list[int]:
        return sorted(to.chat_id for to, _ in self.chat.accepted)

    async def reasons(self) -> list[tuple[str, str | None]]:
        """States and reasons of what did not arrive."""
        rows = await sql(self.storage, "SELECT state, reason FROM deliveries WHERE state <> 'sent'")
        return [(state, reason) for state, reason in rows]


@asynccontextmanager
async def a_bot(chat: FakeMessenger | None = None) -> AsyncIterator[Bot]:
    async with a_store(a_show()) as storage:
        await follow(storage, *CHATS)
        yield Bot(storage, chat or FakeMessenger())


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane that is begun anew soon; it naps for less than that, as it does with long times."""
    monkeypatch.setattr(lane, "STALLED", BRIEFLY)
    monkeypatch.setattr(lane, "LONGEST_NAP", BRIEFLY / 4)
    monkeypatch.setattr(lane, "SHORT_NAP", BRIEFLY / 10)
    monkeypatch.setattr(lane, "LONGEST_END", BRIEFLY)
    monkeypatch.setattr(lane, "PAUSE_AFTER_TROUBLE", BRIEFLY / 10)


impatient = pytest.mark.usefixtures("_impatient")

ALL: Final = [one.chat_id for one in CHATS]


def anew(log: Sequence[Any]) -> int:
    return sum(1 for one in log if one["event"] == "outbox.begun_anew")


def test_every_send_ends_before_its_lane_is_taken_for_dead() -> None:
    assert carrier.LONGEST_SEND < STALLED
    assert lane.LONGEST_NAP <= STALLED / 3
    assert carrier.LONGEST_PROBE < STALLED
    assert LONGEST_END < STOP_WITHIN


@impatient
async def test_a_send_that_a_library_breaks_off_may_have_arrived_and_nothing_else_stops() -> None:
    async with a_bot() as bot:
        bot.chat.faults = [asyncio.CancelledError(), None, asyncio.CancelledError()]
        with capture_logs() as log:
            async with bot.engine.delivering():
                await bot.news()
                await bot.finished()
                assert bot.lane.alive
                assert await bot.reasons() == [("pending", "the sending was broken off")] * 2
                bot.clock.pass_by(seconds=120)
                await bot.finished()
        assert bot.told() == ALL
        assert await states(bot.storage) == {"sent": 12}
        assert not anew(log), "what else was on its way was not given up for it"


@impatient
async def test_workers_outlive_more_of_that_than_there_are_workers() -> None:
    async with a_bot() as bot:
        # No chat more than twice: what may have arrived three times is not sent again.
        bot.chat.faults = [one for _ in range(9) for one in (asyncio.CancelledError(), None)]
        async with bot.engine.delivering():
            await bot.news()
            await bot.finished()
            for _ in range(3):
                bot.clock.pass_by(minutes=15)
                await bot.finished()
        assert bot.told() == ALL


class Fatal(BaseException):
    """What nobody expects of a library."""


@impatient
async def test_a_lane_that_dies_is_begun_anew_and_what_was_on_its_way_may_have_arrived() -> None:
    async with a_bot() as bot:
        bot.chat.faults = [Fatal("the library is broken")]
        with capture_logs() as log:
            async with bot.engine.delivering():
                await bot.news()
                await bot.until_told(12 - bot.chat.in_flight * lane.WORKERS)
                await bot.finished()
                assert bot.lane.alive
                given_up = await bot.reasons()
                bot.clock.pass_by(seconds=120)
                await bot.finished()
        assert anew(log) == 1
        assert set(given_up) == {("pending", "the sending hung, and was given up")}
        assert "Fatal" in next(one["ended"] for one in log if one["event"] == "outbox.begun_anew")
        assert set(bot.told()) == set(ALL)
        assert await states(bot.storage) == {"sent": 12}


@impatient
async def test_a_send_that_never_returns_holds_up_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(carrier, "LONGEST_SEND", BRIEFLY / 3)
    hanging = Hanging(CHATS[0])
    async with a_bot(hanging) as bot:
        async with bot.engine.delivering():
            await bot.news()
            await bot.finished()
            ((state, reason),) = await bot.reasons()
            assert (state, bot.told()) == ("pending", ALL[1:])
            assert "no answer" in (reason or "")
            hanging.lets_go = True
            bot.clock.pass_by(seconds=120)
            await bot.finished()
        assert bot.told() == ALL


class Hanging(FakeMessenger):
    """Sends to one chat never return, until it lets go."""

    def __init__(self, chat: Destination, *, stubborn: bool = False) -> None:
        super().__init__()
        self.hung = chat
        self.stubborn = stubborn
        self.lets_go = False
        self.asked = asyncio.Event()

    async def send(self, destination: Destination, notices: Sequence[Notice]) -> str | None:
        while destination == self.hung and not self.lets_go:
            self.asked.set()
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                if not self.stubborn:
                    raise
        return await super().send(destination, notices)


@impatient
async def test_a_lane_in_which_everything_hangs_is_begun_anew() -> None:
    async with a_bot() as bot:
        bot.chat.gate.clear()
        with capture_logs() as log:
            async with bot.engine.delivering():
                await bot.news()
                start = time.monotonic()
                async with asyncio.timeout(20):
                    while not anew(log):
                        await asyncio.sleep(0.01)
                assert time.monotonic() - start < 10 * BRIEFLY
                bot.chat.gate.set()
                await bot.finished()
                bot.clock.pass_by(seconds=120)
                await bot.finished()
        assert bot.told() == ALL
        assert await states(bot.storage) == {"sent": 12}


@impatient
@pytest.mark.parametrize("what", ["claim", "next_due"])
async def test_a_lane_whose_claim_hangs_is_begun_anew_and_says_for_how_long_it_was_idle(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    usual, calls = getattr(Deliveries, what), 0

    async def hang_once(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            await asyncio.Event().wait()
        return await usual(*given, **named)

    monkeypatch.setattr(Deliveries, what, hang_once)
    async with a_bot() as bot:
        with capture_logs() as log:
            async with bot.engine.delivering():
                await bot.news()
                longest, alive = 0.0, True
                async with asyncio.timeout(20):
                    while not anew(log):
                        longest, alive = max(longest, bot.lane.idle_for), alive and bot.lane.alive
                        await asyncio.sleep(0.01)
                await bot.until_told(12)
                await bot.finished()
        assert longest >= BRIEFLY * 0.8
        assert bot.told() == ALL
        assert not bot.lane.alive, "it has ended"


@impatient
async def test_a_database_that_refuses_while_a_lane_is_begun_anew_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual, refused = Deliveries.give_back, 0

    async def give_back(*given: Any) -> None:
        nonlocal refused
        refused += 1
        if refused == 1:
            raise StorageFull("the disk is full")
        await usual(*given)

    monkeypatch.setattr(Deliveries, "give_back", give_back)
    async with a_bot() as bot:
        bot.chat.faults = [Fatal("the library is broken")]
        async with bot.engine.delivering():
            await bot.news()
            async with asyncio.timeout(20):
                while not refused:
                    await asyncio.sleep(0.01)
            await bot.finished()
            bot.clock.pass_by(minutes=6)  # what was not given back is due when its claim ends
            await bot.finished()
            assert bot.lane.alive
        assert set(bot.told()) == set(ALL)


@impatient
async def test_a_send_that_will_not_end_does_not_keep_its_lane_from_being_begun_anew() -> None:
    hanging = Hanging(CHATS[0], stubborn=True)
    hanging.in_flight = 1
    async with a_bot(hanging) as bot:
        with capture_logs() as log:
            async with bot.engine.delivering():
                await bot.news()
                async with asyncio.timeout(20):
                    while not anew(log):
                        await asyncio.sleep(0.01)
                hanging.lets_go = True
                await bot.finished()
                bot.clock.pass_by(seconds=120)
                await bot.finished()
        assert set(bot.told()) == set(ALL)


# --- the end ---


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_stop_waits_for_no_send_that_hangs(*, stubborn: bool) -> None:
    hanging = Hanging(CHATS[0], stubborn=stubborn)
    async with a_bot(hanging) as bot:
        async with bot.engine.delivering():
            await bot.news()
            await bot.until_told(11)
            start = time.monotonic()
        assert time.monotonic() - start < STOP_WITHIN + LONGEST_END + 1
        assert await bot.storage.deliveries.release(NOW) == 1, "a start takes it as perhaps sent"
        hanging.lets_go = True
        await asyncio.sleep(0.2)  # what would not end ends, before its database does


@impatient
async def test_a_stop_while_a_lane_is_begun_anew_ends_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lane, "SHORT_NAP", 1.0)
    async with a_bot() as bot:
        bot.chat.faults = [Fatal("the library is broken")]
        with capture_logs() as log:
            async with bot.engine.delivering():
                await bot.news()
                async with asyncio.timeout(20):
                    while not anew(log):
                        await asyncio.sleep(0.01)
                start = time.monotonic()
        assert time.monotonic() - start < 2
        assert not bot.lane.alive


async def test_a_stop_while_a_claim_hangs_ends_within_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hang(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Expander, "expand", hang)
    async with a_bot() as bot:
        async with bot.engine.delivering():
            await bot.news()
            await asyncio.sleep(0.1)
            start = time.monotonic()
        assert time.monotonic() - start < STOP_WITHIN + 1
        assert not [one for one in asyncio.all_tasks() if "_refill" in repr(one)]


async def test_what_is_on_its_way_when_a_stop_comes_is_settled() -> None:
    async with a_bot() as bot:
        bot.chat.gate.clear()
        async with bot.engine.delivering():
            await bot.news()
            await bot.chat.entered.wait()
            asyncio.get_running_loop().call_later(0.2, bot.chat.gate.set)
        sent = len(bot.chat.accepted)
        assert 1 <= sent <= bot.chat.in_flight
        assert await states(bot.storage) == {"sent": sent, "pending": 12 - sent}
        assert await bot.storage.deliveries.release(NOW) == 0, "and the rest was given back"
