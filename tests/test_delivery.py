"""From the log to the messengers: poll, outbox and settling, on both databases."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from bot.app import Engine
from bot.errors import (
    AskAgain,
    DestinationLost,
    DestinationMoved,
    Doubt,
    MaybeSent,
    MustWait,
    NotSent,
    PlatformStopped,
    Refused,
    StorageFull,
    Troubled,
)
from bot.model import (
    ALL_KINDS,
    Delivery,
    DeliveryState,
    Destination,
    Kinds,
    Platform,
    Seq,
    Subscription,
    Update,
    UpdateKind,
)
from bot.outbox.carrier import IN_FLIGHT
from bot.outbox.holds import STOPPED, Holds
from bot.outbox.settler import Settler
from storage.joins import Signposts
from storage.outbox import QUARANTINED, Deliveries, Settlement
from storage.store import Storage
from tests.build import NOW, TODAY, a_retraction, a_show, an_update
from tests.fakes.clock import FakeClock
from tests.fakes.messenger import FakeMessenger

HERE = Destination(Platform.TELEGRAM, 1)
THERE = Destination(Platform.TELEGRAM, 2)
ELSEWHERE = Destination(Platform.DISCORD, 1)
PERHAPS = Doubt(times=2, over=dt.timedelta(hours=1), every=dt.timedelta(hours=2), ours=True)


class World:
    """A store with one show, an engine, a platform and a clock."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.clock = FakeClock(NOW)
        self.chat = FakeMessenger()
        self.engine = self.new_engine()

    def new_engine(self) -> Engine:
        return Engine(self.storage, {Platform.TELEGRAM: self.chat}, self.clock)

    async def follow(self, destination: Destination = HERE, kinds: Kinds = ALL_KINDS) -> None:
        wanted = Subscription(destination, a_show().id, kinds)
        await self.storage.subscriptions.put(wanted)

    async def publish(self, update: Update) -> Update:
        return (await self.storage.publishing.publish(update, TODAY)).update

    async def deliver(self) -> None:
        """Everything that is due now, by a bot that starts and stops."""
        self.engine = self.new_engine()
        async with self.engine.delivering():
            await self.engine.finish()

    async def expand(self) -> None:
        """Everything that is new is pending, and nothing is sent."""
        await self.engine.poll()
        for job in await self.storage.fanouts.open_jobs():
            await self.storage.fanouts.expand(job, 100)

    async def counts(self) -> dict[str, int]:
        """The states that occur; they always add up to what was created."""
        counts = await self.storage.deliveries.counts()
        assert sum(counts.values()) == await self.storage.fanouts.created()
        return {str(state): count for state, count in counts.items() if count}


on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what does not depend on the kind of database."""


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The steady clock of holds, in the hands of the test."""
    clock = FakeClock(NOW)
    monkeypatch.setattr("bot.outbox.Holds", lambda _: Holds(lambda: clock().timestamp()))
    return clock


@pytest.fixture
async def world(storage: Storage) -> World:
    await storage.publishing.load([(1, a_show())], TODAY)
    return World(storage)


async def test_a_fact_reaches_everybody_who_follows_the_show_once(world: World) -> None:
    await world.follow(HERE)
    await world.follow(THERE)
    await world.publish(an_update("renewed"))
    await world.deliver()
    await world.deliver()
    assert world.chat.titles(HERE) == ["RENEWED · All of Us Are Dead, season 2"]
    assert world.chat.titles(THERE) == world.chat.titles(HERE)
    assert await world.counts() == {"sent": 2}


async def test_a_guess_reaches_nobody(world: World) -> None:
    await world.follow()
    await world.publish(an_update("dated", certainty="speculation"))
    await world.deliver()
    assert world.chat.attempts == 0
    assert await world.counts() == {}


async def test_a_second_source_is_not_news(world: World) -> None:
    await world.follow()
    first = await world.publish(an_update("renewed"))
    second = await world.publish(an_update("renewed", certainty="reported"))
    await world.deliver()
    assert second.also == first.id
    assert len(world.chat.titles()) == 1


async def test_only_the_wanted_kinds_arrive(world: World) -> None:
    await world.follow(kinds=frozenset({UpdateKind.TRAILER}))
    await world.publish(an_update("renewed"))
    await world.publish(an_update("trailer"))
    await world.deliver()
    assert world.chat.titles() == ["TRAILER · All of Us Are Dead, season 2"]


async def test_what_is_due_together_goes_out_as_one_message_in_order(world: World) -> None:
    await world.follow()
    for kind in ("renewed", "dated", "trailer"):
        await world.publish(an_update(kind))
    await world.deliver()
    assert world.chat.attempts == 1
    assert [title.split(" · ")[0] for title in world.chat.titles()] == [
        "RENEWED",
        "DATED",
        "TRAILER",
    ]


async def test_old_news_is_no_backlog_for_a_new_follower(world: World) -> None:
    await world.publish(an_update("renewed"))
    await world.follow()
    await world.deliver()
    await world.publish(an_update("trailer"))
    await world.deliver()
    assert world.chat.titles() == ["TRAILER · All of Us Are Dead, season 2"]


async def test_a_failed_send_is_tried_again_after_a_wait_and_not_before(world: World) -> None:
    await world.follow()
    await world.publish(an_update("renewed"))
    world.chat.faults = [NotSent("the network is down")]
    await world.deliver()
    await world.deliver()
    assert world.chat.attempts == 1
    assert await world.counts() == {"pending": 1}
    world.clock.pass_by(seconds=7)
    await world.deliver()
    assert await world.counts() == {"sent": 1}


async def test_the_wait_a_platform_asks_for_is_kept(world: World) -> None:
    await world.follow()
    await world.publish(an_update("renewed"))
    world.chat.faults = [MustWait("too many requests", 600)]
    await world.deliver()
    world.clock.pass_by(seconds=599)
    await world.deliver()
    assert world.chat.attempts == 1
    world.clock.pass_by(seconds=61)
    await world.deliver()
    assert world.chat.attempts == 2


async def test_an_unknown_error_ends_in_failed_with_its_reason(world: World) -> None:
    await world.follow()
    await world.publish(an_update("renewed"))
    world.chat.faults = [RuntimeError(f"surprise {n}") for n in range(9)]
    for _ in range(9):
        await world.deliver()
        world.clock.pass_by(days=1)
    assert world.chat.attempts == 5
    assert await world.counts() == {"failed": 1}
    (failure,) = await world.storage.deliveries.failures(10)
    assert (failure.destination, failure.reason) == (HERE, "surprise 4")


async def test_what_is_refused_for_good_fails_at_once(world: World) -> None:
    await world.follow()
    await world.publish(an_update("renewed"))
    world.chat.faults = [Refused("the message is empty")]
    await world.deliver()
    assert await world.counts() == {"failed": 1}


async def test_after_three_doubtful_sends_it_is_uncertain(world: World) -> None:
    await world.follow()
    await world.publish(an_update("renewed"))
    world.chat.faults = [MaybeSent("no answer")] * 3
    for _ in range(4):
        await world.deliver()
        world.clock.pass_by(hours=1)
    assert world.chat.attempts == 3
    assert await world.counts() == {"uncertain": 1}


@on_one_database
async def test_an_outage_of_days_loses_nothing_and_costs_no_attempts(
    world: World, steady: FakeClock
) -> None:
    await world.follow()
    await world.publish(an_update("renewed"))
    world.chat.faults = [Troubled("503")]
    world.chat.probe_faults = [Troubled("503")] * 100
    world.engine = world.new_engine()
    async with world.engine.delivering():
        await world.engine.finish()
        for _ in range(99):
            world.clock.pass_by(hours=1)
            steady.pass_by(hours=1)
            await world.engine.finish()
        assert world.chat.probes == 100
        assert world.chat.attempts == 1  # each of them may have arrived: they are not wasted
        steady.pass_by(hours=1)
        await world.engine.finish()
    assert world.chat.titles() == ["RENEWED · All of Us Are Dead, season 2"]
    assert await world.counts() == {"sent": 1}


async def test_a_platform_in_trouble_is_left_alone_for_a_while(world: World) -> None:
    for chat in range(1, 31):
        await world.follow(Destination(Platform.TELEGRAM, chat))
    await world.publish(an_update("renewed"))
    world.chat.faults = [Troubled("503")] * 30
    await world.deliver()
    assert 1 <= world.chat.attempts <= IN_FLIGHT
    assert await world.counts() == {"pending": 30}


async def test_a_lost_chat_is_suspended_and_its_news_kept_for_its_return(world: World) -> None:
    await world.follow()
    await world.publish(an_update("renewed"))
    world.chat.faults = [DestinationLost("the bot was blocked")]
    await world.deliver()
    await world.publish(an_update("trailer"))
    await world.deliver()
    assert await world.counts() == {"held": 2}
    assert await world.storage.destinations.resume(HERE, world.clock())
    await world.deliver()
    assert world.chat.titles() == [
        "RENEWED · All of Us Are Dead, season 2",
        "TRAILER · All of Us Are Dead, season 2",
    ]


async def test_one_failing_chat_holds_up_nobody_else(world: World) -> None:
    for chat in range(1, 21):
        await world.follow(Destination(Platform.TELEGRAM, chat))
    await world.publish(an_update("renewed"))
    world.chat.faults = [NotSent("slow"), None, NotSent("slow")]
    await world.deliver()
    assert await world.counts() == {"sent": 18, "pending": 2}


async def test_few_messages_are_in_flight_at_a_time(world: World) -> None:
    for chat in range(1, 51):
        await world.follow(Destination(Platform.TELEGRAM, chat))
    await world.publish(an_update("renewed"))
    world.chat.gate.clear()
    async with world.engine.delivering():
        await world.engine.poll()
        async with asyncio.timeout(10):
            while world.chat.attempts < IN_FLIGHT:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        assert world.chat.attempts == IN_FLIGHT
        world.chat.gate.set()
        await world.engine.finish()
    assert len(world.chat.accepted) == 50
    assert world.chat.most_at_once == IN_FLIGHT


async def test_a_retraction_reaches_exactly_those_who_got_the_mistake(world: World) -> None:
    await world.follow(HERE)
    wrong = await world.publish(an_update("dated", date="2027-03-03"))
    await world.deliver()
    await world.follow(THERE)
    await world.publish(a_retraction(wrong, reason="Netflix named another day"))
    await world.deliver()
    assert world.chat.titles(HERE)[1:] == [
        "CORRECTION · All of Us Are Dead, season 2: the date 3 March 2027 is withdrawn"
    ]
    assert world.chat.titles(THERE) == []


async def test_what_is_retracted_before_it_was_sent_is_never_sent(world: World) -> None:
    await world.follow()
    wrong = await world.publish(an_update("dated"))
    await world.publish(a_retraction(wrong))
    await world.deliver()
    assert world.chat.titles() == []
    assert await world.counts() == {}


async def test_what_is_retracted_while_it_waits_for_a_retry_is_never_sent(world: World) -> None:
    await world.follow()
    wrong = await world.publish(an_update("dated"))
    world.chat.faults = [NotSent("later")]
    await world.deliver()
    await world.publish(a_retraction(wrong))
    world.clock.pass_by(hours=1)
    await world.deliver()
    assert world.chat.titles() == []
    assert set(await world.counts()) == {"expired"}


async def test_what_is_corrected_before_it_was_sent_is_replaced_by_plain_news(
    world: World,
) -> None:
    await world.follow()
    wrong = await world.publish(an_update("dated", date="2027-03-03"))
    right = an_update("dated", date="2027-03-04", supersedes=wrong.id, reason="a slip")
    await world.publish(right)
    await world.deliver()
    assert world.chat.titles() == ["DATED · All of Us Are Dead, season 2: 4 March 2027"]
    assert await world.counts() == {"sent": 1, "expired": 1}


async def test_who_got_a_mistake_is_told_what_was_wrong_and_others_the_news(world: World) -> None:
    await world.follow(HERE)
    wrong = await world.publish(an_update("dated", date="2027-03-03"))
    await world.deliver()
    await world.follow(THERE)
    right = an_update("dated", date="2027-03-04", supersedes=wrong.id, reason="a slip")
    await world.publish(right)
    await world.deliver()
    assert world.chat.titles(HERE)[1:] == [
        "CORRECTION · All of Us Are Dead, season 2: it is 4 March 2027, not 3 March 2027"
    ]
    assert world.chat.titles(THERE) == ["DATED · All of Us Are Dead, season 2: 4 March 2027"]
    words = "CORRECTED · All of Us Are Dead, season 2: it is 4 March 2027, not 3 March 2027"
    assert world.chat.edited == [(HERE, "message-1", (words,))]
    told = {notices[0].reply_to for notices in world.chat.tried[1:]}
    assert told == {"message-1", None}


async def test_a_mistake_is_taken_out_of_the_message_that_told_of_other_news_as_well(
    world: World,
) -> None:
    await world.follow()
    wrong = await world.publish(an_update("dated", date="2027-03-03"))
    await world.publish(an_update("trailer"))
    await world.deliver()
    await world.publish(a_retraction(wrong))
    await world.deliver()
    ((to, message_id, titles),) = world.chat.edited
    assert (to, message_id) == (HERE, "message-1")
    assert titles[0].startswith("WITHDRAWN · All of Us Are Dead, season 2")
    assert titles[1] == "TRAILER · All of Us Are Dead, season 2"
    assert world.chat.tried[-1][0].reply_to == "message-1"


async def test_who_got_a_mistake_and_has_left_since_is_told_all_the_same(world: World) -> None:
    await world.follow(HERE)
    wrong = await world.publish(an_update("dated", date="2027-03-03"))
    await world.deliver()
    await world.storage.subscriptions.remove(HERE, a_show().id)
    right = an_update("dated", date="2027-03-04", supersedes=wrong.id, reason="a slip")
    await world.publish(right)
    await world.deliver()
    assert len(world.chat.titles(HERE)) == 2
    assert await world.counts() == {"sent": 2}


async def test_an_edit_that_fails_for_now_is_made_again_before_the_reply(world: World) -> None:
    await world.follow()
    wrong = await world.publish(an_update("dated", date="2027-03-03"))
    await world.deliver()
    await world.publish(a_retraction(wrong))
    world.chat.edit_faults = [MaybeSent("no answer")]
    await world.deliver()
    assert (world.chat.attempts, world.chat.edited) == (1, [])
    world.clock.pass_by(minutes=1)
    await world.deliver()
    assert (world.chat.attempts, len(world.chat.edited)) == (2, 1)


async def test_a_message_that_cannot_be_changed_is_answered_all_the_same(world: World) -> None:
    await world.follow()
    wrong = await world.publish(an_update("dated", date="2027-03-03"))
    await world.deliver()
    await world.publish(a_retraction(wrong))
    world.chat.edit_faults = [Refused("too old")]
    await world.deliver()
    assert world.chat.titles()[-1].startswith("CORRECTION")


@pytest.mark.parametrize(("kind", "hours"), [("trailer", 48), ("renewed", 168)])
async def test_what_could_not_be_sent_while_it_was_news_expires(
    world: World, kind: str, hours: int
) -> None:
    await world.follow()
    await world.publish(an_update(kind))
    world.chat.faults = [NotSent("down")]
    await world.deliver()
    world.clock.pass_by(hours=hours, minutes=1)
    await world.deliver()
    assert world.chat.titles() == []
    assert await world.counts() == {"expired": 1}
    assert (await world.storage.deliveries.failures(1)) == []


async def test_unsubscribing_stops_what_was_not_sent_yet(world: World) -> None:
    await world.follow()
    await world.publish(an_update("renewed"))
    world.chat.faults = [NotSent("later")]
    await world.deliver()
    await world.storage.subscriptions.remove(HERE, a_show().id)
    world.clock.pass_by(hours=1)
    await world.deliver()
    assert await world.counts() == {"expired": 1}


async def test_what_fails_while_somebody_unsubscribes_is_not_tried_again(world: World) -> None:
    await world.follow()
    await world.publish(an_update("renewed"))
    world.chat.faults = [NotSent("later")]
    world.chat.gate.clear()
    async with world.engine.delivering():
        await world.engine.poll()
        await world.chat.entered.wait()
        await world.storage.subscriptions.remove(HERE, a_show().id)
        world.chat.gate.set()
        await world.engine.finish()
    world.clock.pass_by(hours=1)
    await world.deliver()
    assert world.chat.attempts == 1
    assert await world.counts() == {"expired": 1}


async def test_a_platform_that_is_off_keeps_its_news(world: World) -> None:
    elsewhere = Destination(Platform.DISCORD, 7)
    await world.follow(elsewhere)
    await world.publish(an_update("renewed"))
    await world.deliver()
    assert await world.counts() == {"pending": 1}


async def test_a_stop_settles_what_is_in_flight_and_gives_back_the_rest(world: World) -> None:
    for chat in range(1, 11):
        await world.follow(Destination(Platform.TELEGRAM, chat))
    await world.publish(an_update("renewed"))
    world.chat.gate.clear()
    async with world.engine.delivering():
        await world.engine.poll()
        while world.chat.attempts < IN_FLIGHT:
            await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.05, world.chat.gate.set)
    sent = len(world.chat.accepted)
    assert sent == IN_FLIGHT
    assert await world.counts() == {"sent": sent, "pending": 10 - sent}
    await world.deliver()
    assert sorted(to.chat_id for to, _ in world.chat.accepted) == list(range(1, 11))


async def test_a_message_that_may_have_arrived_is_repeated_with_exactly_the_same_news(
    world: World,
) -> None:
    await world.follow()
    for kind in ("renewed", "dated"):
        await world.publish(an_update(kind))
    world.chat.faults = [AskAgain("no answer")] * 2
    await world.deliver()
    await world.publish(an_update("trailer"))
    await world.expand()
    for _ in range(2):
        world.clock.pass_by(seconds=6)
        await world.deliver()
    tried = [[notice.seq for notice in notices] for notices in world.chat.tried]
    assert tried == [[1, 2], [1, 2], [1, 2], [3]]
    assert await world.counts() == {"sent": 3}


async def test_after_a_crash_a_message_is_repeated_with_exactly_the_same_news(
    world: World,
) -> None:
    await world.follow()
    for kind in ("renewed", "dated", "trailer"):
        await world.publish(an_update(kind))
    await world.expand()
    (parcel,) = await world.storage.deliveries.claim(world.clock(), dt.timedelta(hours=1), 100)
    await world.storage.deliveries.settle([], parcel.deliveries[:2])  # those were about to be sent
    await world.publish(an_update("trailer", season=3))
    world.chat.room = 2
    await world.deliver()
    tried = [[notice.seq for notice in notices] for notices in world.chat.tried]
    assert tried[0] == [1, 2]
    assert [seq for seqs in tried for seq in seqs] == [1, 2, 3, 4]


async def test_what_the_bot_died_of_three_times_is_sent_no_more_and_others_go_on(
    world: World,
) -> None:
    await world.follow(HERE)
    await world.follow(THERE)
    await world.publish(an_update("renewed"))
    await world.expand()
    for _ in range(3):
        parcels = await world.storage.deliveries.claim(NOW, dt.timedelta(hours=1), 100)
        poison = next(one for one in parcels if one.destination == HERE)
        await world.storage.deliveries.settle([], poison.deliveries)
        await world.storage.deliveries.release(NOW)
    await world.deliver()
    assert world.chat.titles(HERE) == []
    assert len(world.chat.titles(THERE)) == 1
    assert await world.counts() == {"sent": 1, "uncertain": 1}
    (failure,) = await world.storage.deliveries.failures(10)
    assert failure.reason == QUARANTINED


async def test_what_the_bot_may_have_died_of_goes_out_while_nothing_else_does(
    world: World,
) -> None:
    for chat in range(1, 9):
        await world.follow(Destination(Platform.TELEGRAM, chat))
    await world.publish(an_update("renewed"))
    await world.expand()
    for _ in range(2):
        parcels = await world.storage.deliveries.claim(NOW, dt.timedelta(hours=1), 100)
        aboard = [one for parcel in parcels for one in parcel.deliveries]
        await world.storage.deliveries.settle([], aboard)
        await world.storage.deliveries.release(NOW)
    await world.deliver()
    assert world.chat.most_at_once == 1
    assert await world.counts() == {"sent": 8}


async def test_what_a_crashed_bot_had_claimed_goes_out_at_the_next_start(world: World) -> None:
    await world.follow()
    await world.publish(an_update("renewed"))
    await world.engine.poll()
    (job,) = await world.storage.fanouts.open_jobs()
    await world.storage.fanouts.expand(job, 100)
    claimed = await world.storage.deliveries.claim(world.clock(), dt.timedelta(hours=1), 100)
    assert len(claimed) == 1
    await world.deliver()
    assert await world.counts() == {"sent": 1}


async def test_news_that_comes_while_the_bot_sleeps_goes_out_at_once(world: World) -> None:
    await world.follow()
    async with world.engine.delivering():
        await world.engine.finish()
        await world.publish(an_update("renewed"))
        async with asyncio.timeout(10):
            await world.engine.finish()
    assert len(world.chat.titles()) == 1


async def test_a_clock_set_back_delays_nothing(world: World) -> None:
    await world.follow()
    await world.publish(an_update("renewed"))
    world.chat.faults = [NotSent("later")]
    await world.deliver()
    world.clock.pass_by(days=-1)
    await world.storage.deliveries.shift(dt.timedelta(days=-1))
    world.clock.pass_by(seconds=7)
    await world.deliver()
    assert await world.counts() == {"sent": 1}


async def test_many_updates_at_once_are_not_all_expanded_before_the_first_message(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.outbox.expander.CHUNK", 10)
    monkeypatch.setattr("bot.outbox.expander.LOW_WATER", 10)
    for chat in range(1, 41):
        await world.follow(Destination(Platform.TELEGRAM, chat))
    for season in range(3, 23):
        await world.publish(an_update("renewed", season=season))
    world.chat.gate.clear()
    async with world.engine.delivering():
        await world.engine.poll()
        await world.chat.entered.wait()
        assert await world.storage.fanouts.created() <= 40
        world.chat.gate.set()
        await world.engine.finish()
    assert await world.counts() == {"sent": 800}


async def test_chats_that_wait_for_a_retry_hold_up_the_news_of_no_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.outbox.expander.LOW_WATER", 3)
    for chat in range(1, 6):
        await world.follow(Destination(Platform.TELEGRAM, chat))
    await world.publish(an_update("renewed"))
    world.chat.faults = [NotSent("down")] * 5
    await world.deliver()
    await world.follow(Destination(Platform.TELEGRAM, 6))
    await world.publish(an_update("trailer"))
    await world.deliver()
    assert await world.counts() == {"sent": 1, "pending": 10}


async def test_in_each_chat_news_comes_in_the_order_of_its_publication(world: World) -> None:
    await world.follow()
    await world.publish(an_update("renewed"))
    world.chat.faults = [NotSent("down")]
    await world.deliver()
    await world.publish(an_update("trailer"))
    await world.deliver()
    assert world.chat.titles() == []
    world.clock.pass_by(seconds=7)
    await world.deliver()
    assert [title.split(" · ")[0] for title in world.chat.titles()] == ["RENEWED", "TRAILER"]
    assert len(world.chat.accepted) == 1


async def test_two_messages_are_never_on_their_way_to_one_chat(world: World) -> None:
    await world.follow()
    await world.publish(an_update("renewed"))
    world.chat.gate.clear()
    async with world.engine.delivering():
        await world.engine.poll()
        await world.chat.entered.wait()
        await world.publish(an_update("trailer"))
        await world.engine.poll()
        await asyncio.sleep(0.1)
        assert world.chat.attempts == 1
        world.chat.gate.set()
        await world.engine.finish()
    assert [title.split(" · ")[0] for title in world.chat.titles()] == ["RENEWED", "TRAILER"]


async def test_a_settler_that_fails_says_so_to_whoever_waits(world: World) -> None:
    class Broken(Deliveries):
        async def settle(self, done: object, aboard: object = ()) -> None:
            raise ValueError("no such text")

    settler = Settler(Broken(world.storage.database, Signposts()))
    async with asyncio.timeout(10):
        for _ in range(2):
            with pytest.raises(ValueError, match="no such text"):
                await settler.settle([Settlement(Delivery(Seq(1), 1, 1), DeliveryState.SENT, NOW)])


class _FullDisk(Deliveries):
    """Deliveries on a disk that is full for the first settles; everything else is real."""

    def __init__(self, storage: Storage, refusals: int) -> None:
        super().__init__(storage.database, Signposts())
        self.refusals = refusals

    async def settle(self, done: object, aboard: object = ()) -> None:
        if self.refusals:
            self.refusals -= 1
            raise StorageFull("The disk is full.")
        await super().settle(done, aboard)  # type: ignore[arg-type]


@asynccontextmanager
async def _quick_settler(
    world: World, refusals: int, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Settler]:
    monkeypatch.setattr("bot.outbox.settler.PAUSE", 0.01)
    yield Settler(_FullDisk(world.storage, refusals))


async def test_an_outcome_is_kept_until_the_full_disk_takes_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.follow()
    await world.publish(an_update("renewed"))
    await world.engine.poll()
    (job,) = await world.storage.fanouts.open_jobs()
    await world.storage.fanouts.expand(job, 100)
    (parcel,) = await world.storage.deliveries.claim(NOW, dt.timedelta(hours=1), 100)
    outcome = Settlement(parcel.deliveries[0], DeliveryState.SENT, NOW)
    async with _quick_settler(world, 3, monkeypatch) as settler, asyncio.timeout(10):
        await settler.settle([outcome])
    assert await world.counts() == {"sent": 1}


async def test_outcomes_that_arrive_while_the_writer_is_busy_are_written_together(
    world: World,
) -> None:
    written: list[int] = []

    class Counting(Deliveries):
        async def settle(self, done: object, aboard: object = ()) -> None:
            written.append(len(done))  # type: ignore[arg-type]
            await super().settle(done, aboard)  # type: ignore[arg-type]

    for chat in range(1, 9):
        await world.follow(Destination(Platform.TELEGRAM, chat))
    await world.publish(an_update("renewed"))
    await world.engine.poll()
    (job,) = await world.storage.fanouts.open_jobs()
    await world.storage.fanouts.expand(job, 100)
    parcels = await world.storage.deliveries.claim(NOW, dt.timedelta(hours=1), 100)
    settler = Settler(Counting(world.storage.database, Signposts()))
    outcomes = [Settlement(one.deliveries[0], DeliveryState.SENT, NOW) for one in parcels]
    await asyncio.gather(*(settler.settle([outcome]) for outcome in outcomes))
    assert await world.counts() == {"sent": 8}
    assert sum(written) == 8
    assert len(written) <= 2


# --- lanes ---


@on_one_database
async def test_a_platform_that_hangs_holds_up_no_other_one(world: World) -> None:
    hanging, other = world.chat, FakeMessenger()
    hanging.gate.clear()
    await world.follow(HERE)
    await world.follow(ELSEWHERE)
    await world.publish(an_update("renewed"))
    platforms = {Platform.TELEGRAM: hanging, Platform.DISCORD: other}
    engine = Engine(world.storage, platforms, world.clock)
    async with engine.delivering():
        await engine.poll()
        await until(lambda: other.titles(ELSEWHERE) != [])
        assert hanging.titles() == []
        hanging.gate.set()
        await engine.finish()
    assert len(hanging.titles(HERE)) == 1


@on_one_database
async def test_a_platform_that_is_stopped_holds_up_no_other_one(world: World) -> None:
    refusing, other = world.chat, FakeMessenger()
    refusing.faults = [PlatformStopped("the token is not accepted")] * 9
    for destination in (HERE, THERE, ELSEWHERE):
        await world.follow(destination)
    platforms = {Platform.TELEGRAM: refusing, Platform.DISCORD: other}
    engine = Engine(world.storage, platforms, world.clock)
    async with engine.delivering():
        for kind in ("renewed", "dated"):
            await world.publish(an_update(kind))
            await engine.finish()
    assert len(other.titles(ELSEWHERE)) == 2
    assert await world.counts() == {"sent": 2, "pending": 4}


# --- when nothing may be sent ---


@on_one_database
async def test_a_platform_that_refuses_everything_is_tried_again_after_ten_minutes(
    world: World, steady: FakeClock
) -> None:
    for chat in range(1, 31):
        await world.follow(Destination(Platform.TELEGRAM, chat))
    await world.publish(an_update("renewed"))
    world.chat.faults = [PlatformStopped("the token is not accepted")] * IN_FLIGHT
    world.engine = world.new_engine()
    async with world.engine.delivering():
        await world.engine.finish()
        assert world.chat.attempts <= IN_FLIGHT
        assert await world.counts() == {"pending": 30}
        steady.pass_by(seconds=STOPPED)
        world.chat.faults = []
        await world.engine.finish()
    assert await world.counts() == {"sent": 30}
    assert len(world.chat.accepted) == 30


@on_one_database
async def test_three_chats_that_are_to_wait_hold_all_others(
    world: World, steady: FakeClock
) -> None:
    for chat in range(1, 31):
        await world.follow(Destination(Platform.TELEGRAM, chat))
    await world.publish(an_update("renewed"))
    world.chat.faults = [MustWait("slow down", 60)] * 3
    world.engine = world.new_engine()
    async with world.engine.delivering():
        await world.engine.finish()
        assert world.chat.attempts < 3 + 2 * IN_FLIGHT
        world.clock.pass_by(seconds=66)
        await world.engine.finish()
        assert world.chat.attempts < 3 + 2 * IN_FLIGHT
        steady.pass_by(seconds=60)
        await world.engine.finish()
    assert await world.counts() == {"sent": 30}


@on_one_database
async def test_a_bot_stops_at_once_while_nothing_may_be_sent(world: World) -> None:
    for chat in range(1, 11):
        await world.follow(Destination(Platform.TELEGRAM, chat))
    await world.publish(an_update("renewed"))
    world.chat.faults = [PlatformStopped("the token is not accepted")] * 10
    async with asyncio.timeout(10):
        await world.deliver()
    assert await world.counts() == {"pending": 10}


@on_one_database
async def test_nobody_is_given_up_while_most_chats_seem_lost(world: World) -> None:
    for chat in range(1, 31):
        await world.follow(Destination(Platform.TELEGRAM, chat))
    await world.publish(an_update("renewed"))
    world.chat.faults = [DestinationLost("chat not found", PERHAPS)] * 100
    async with world.engine.delivering():
        await world.engine.finish()
    assert world.chat.attempts <= 10 + IN_FLIGHT
    assert await world.counts() == {"pending": 30}


# --- doubts ---


@on_one_database
async def test_a_chat_that_seems_lost_is_not_given_up_while_nobody_is_reached(
    world: World,
) -> None:
    await world.follow(HERE)
    await world.publish(an_update("renewed"))
    world.chat.faults = [DestinationLost("chat not found", PERHAPS)] * 9
    async with world.engine.delivering():
        for _ in range(9):
            await world.engine.finish()
            world.clock.pass_by(hours=2, minutes=13)
        assert await world.counts() == {"pending": 1}
        await world.engine.finish()
    assert await world.counts() == {"sent": 1}


@on_one_database
async def test_a_doubt_is_believed_once_somebody_else_was_reached(world: World) -> None:
    await world.follow(HERE)
    await world.follow(THERE)
    await world.publish(an_update("renewed"))
    async with world.engine.delivering():
        for _ in range(2):
            world.chat.lost = {HERE: DestinationLost("chat not found", PERHAPS)}
            assert not await world.storage.destinations.suspended(HERE)
            await world.engine.finish()
            world.clock.pass_by(hours=2, minutes=13)
    assert await world.storage.destinations.suspended(HERE)
    assert await world.counts() == {"held": 1, "sent": 1}


async def test_a_doubt_ends_with_the_next_message_that_arrives(world: World) -> None:
    await world.follow(HERE)
    await world.follow(THERE)
    async with world.engine.delivering():
        for kind in ("renewed", "dated", "trailer"):
            world.chat.lost = {HERE: DestinationLost("chat not found", PERHAPS)}
            await world.publish(an_update(kind))
            await world.engine.finish()
            assert await world.storage.destinations.doubted() != set()
            world.chat.lost = {}
            world.clock.pass_by(hours=2, minutes=13)
            await world.engine.finish()
            assert await world.storage.destinations.doubted() == set()
    assert await world.counts() == {"sent": 6}


@on_one_database
async def test_a_doubt_outlives_a_restart(world: World) -> None:
    await world.follow(HERE)
    await world.publish(an_update("renewed"))
    world.chat.faults = [DestinationLost("chat not found", PERHAPS)]
    await world.deliver()
    world.clock.pass_by(hours=2, minutes=13)
    await world.deliver()
    assert await world.counts() == {"sent": 1}
    assert await world.storage.destinations.doubted() == set()


@on_one_database
async def test_a_doubt_that_cannot_be_cleared_repeats_no_message(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(_: int) -> None:
        raise StorageFull("The disk is full.")

    monkeypatch.setattr("bot.outbox.lane.PAUSE_AFTER_TROUBLE", 0.01)
    await world.follow(HERE)
    await world.publish(an_update("renewed"))
    world.chat.faults = [DestinationLost("chat not found", PERHAPS)]
    await world.deliver()
    monkeypatch.setattr(world.storage.destinations, "clear_doubt", refuses)
    world.clock.pass_by(hours=2, minutes=13)
    await world.deliver()
    world.clock.pass_by(hours=1)
    await world.deliver()
    assert len(world.chat.titles(HERE)) == 1


# --- several messages to one chat ---


async def publish_several(world: World, count: int) -> list[str]:
    """Publish so much at once; returns the titles."""
    for season in range(11, 11 + count):
        await world.publish(an_update("renewed", season=season))
    return [f"RENEWED · All of Us Are Dead, season {n}" for n in range(11, 11 + count)]


@on_one_database
async def test_what_does_not_fit_into_one_message_goes_out_as_several(world: World) -> None:
    world.chat.room = 2
    await world.follow()
    titles = await publish_several(world, 5)
    await world.deliver()
    assert [len(messages) for _, messages in world.chat.accepted] == [2, 2, 1]
    assert world.chat.titles() == titles
    assert await world.counts() == {"sent": 5}


@on_one_database
@pytest.mark.parametrize(
    ("fault", "states"),
    [
        (NotSent("the network is down"), {"sent": 1, "pending": 3}),
        (MaybeSent("no answer"), {"sent": 1, "pending": 3}),
        (MustWait("slow down", 7), {"sent": 1, "pending": 3}),
        (DestinationLost("blocked"), {"sent": 1, "held": 3}),
    ],
)
async def test_what_is_behind_a_failure_waits_for_it_and_is_not_counted(
    world: World, fault: Exception, states: dict[str, int]
) -> None:
    world.chat.room = 1
    await world.follow()
    titles = await publish_several(world, 4)
    world.chat.faults = [None, fault]
    await world.deliver()
    assert world.chat.attempts == 2
    assert await world.counts() == states
    await world.storage.destinations.resume(HERE, world.clock())
    world.clock.pass_by(minutes=2)
    for _ in range(4):
        world.chat.faults = [NotSent("the network is down")]
        await world.deliver()
        world.clock.pass_by(days=1)
    await world.deliver()
    assert world.chat.titles() == titles
    assert await world.counts() == {"sent": 4}


@on_one_database
async def test_what_is_refused_for_good_holds_up_nothing_behind_it(world: World) -> None:
    world.chat.room = 1
    await world.follow()
    titles = await publish_several(world, 4)
    world.chat.faults = [None, Refused("no")]
    await world.deliver()
    assert world.chat.titles() == [titles[0], *titles[2:]]
    assert await world.counts() == {"sent": 3, "failed": 1}


# --- moves ---


async def test_a_chat_that_moved_is_told_at_its_new_place_at_once(world: World) -> None:
    world.chat.room = 1
    await world.follow(HERE)
    titles = await publish_several(world, 3)
    world.chat.faults = [None, DestinationMoved("upgraded", 77)]
    await world.deliver()
    assert world.chat.titles(HERE) == titles[:1]
    assert world.chat.titles(Destination(Platform.TELEGRAM, 77)) == titles[1:]
    assert await world.counts() == {"sent": 3}


async def test_a_chat_that_moved_to_one_that_follows_too_is_told_once(world: World) -> None:
    await world.follow(HERE)
    await world.follow(THERE)
    world.chat.lost = {HERE: DestinationMoved("upgraded", THERE.chat_id)}
    for kind in ("renewed", "dated"):
        await world.publish(an_update(kind))
        await world.deliver()
    assert world.chat.titles(HERE) == []
    assert len(world.chat.titles(THERE)) == 2


async def test_a_chat_that_moves_while_a_message_is_on_its_way_is_told_once(
    world: World,
) -> None:
    await world.follow(HERE)
    await world.follow(THERE)
    for chat in range(3, 20):
        await world.follow(Destination(Platform.TELEGRAM, chat))
    await world.publish(an_update("renewed"))
    world.chat.gate.clear()
    async with world.engine.delivering():
        await world.engine.poll()
        await world.chat.entered.wait()
        await world.storage.destinations.move(Platform.TELEGRAM, 1, 2, world.clock())
        world.chat.gate.set()
        await world.engine.finish()
    told = [to.chat_id for to, _ in world.chat.accepted]
    assert sorted(set(told) - {1, 2}) == list(range(3, 20))
    assert len(told) == len(set(told))


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what happens beside the test."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)
