"""How fan-outs become deliveries: together, each in its turn, and never too early or too late."""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

import pytest

from bot.errors import StorageFull
from bot.model import Destination, Platform, Seq, ShowId
from bot.outbox import expander
from bot.outbox.expander import AHEAD, AT_ONCE, Expander
from storage.fanouts import Fanouts
from storage.outbox import Parcel
from storage.store import Storage
from tests.build import NOW, a_show
from tests.fakes.clock import FakeClock
from tests.storage.builders import (
    LEASE,
    a_chat,
    a_store,
    a_trailer,
    follow,
    poll,
    publish,
    sent,
    sql,
    states,
)

BIG: Final = a_show()
SHOWS: Final = [a_show(f"show-{number}") for number in range(AT_ONCE + 4)]
SMALL: Final = SHOWS[0]
CHUNK: Final = 20
LOW_WATER: Final = 10
RATE: Final = 10.0
MANY: Final = 300


class Fan:
    """A store, an expander and a platform that takes so many messages a second."""

    def __init__(self, storage: Storage, rates: dict[Platform, float | None] | None = None) -> None:
        self.storage = storage
        self.clock = FakeClock(NOW)
        self.rates = rates or {Platform.TELEGRAM: RATE}
        self.created = 0
        self.restart()

    def restart(self) -> None:
        self.expander = Expander(self.storage, self.clock, self.stir, self.rates)

    def stir(self) -> None:
        self.created += 1

    async def news(self, show: ShowId = BIG.id, count: int = 1) -> list[Seq]:
        """Publish updates; those of one call are polled together."""
        seqs = [await publish(self.storage, a_trailer(show=show)) for _ in range(count)]
        await poll(self.storage, self.clock())
        self.expander.look_again()
        return seqs

    async def expand(self, platform: Platform = Platform.TELEGRAM) -> None:
        async with asyncio.timeout(30):
            await self.expander.expand(platform, lambda: False)

    async def claim(self, limit: int = 5, platform: Platform = Platform.TELEGRAM) -> list[Parcel]:
        """What a lane does: expand, and take what is due."""
        await self.expand(platform)
        return await self.storage.deliveries.claim(self.clock(), LEASE, limit, (), platform)

    async def send(self, limit: int = 5, platform: Platform = Platform.TELEGRAM) -> list[Parcel]:
        """Send what is due, as fast as the platform takes it; to one after the other."""
        parcels = await self.claim(limit, platform)
        done = [sent(one, self.clock()) for parcel in parcels for one in parcel.deliveries]
        await self.storage.deliveries.settle(done)
        rate = self.rates[platform]
        if rate:
            self.clock.pass_by(seconds=len(parcels) / rate)
        return parcels

    async def pending(self) -> int:
        return (await states(self.storage)).get("pending", 0)

    async def jobs(self) -> int:
        return len(await self.storage.fanouts.open_jobs())


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small chunks stand for large ones."""
    monkeypatch.setattr(expander, "CHUNK", CHUNK)
    monkeypatch.setattr(expander, "LOW_WATER", LOW_WATER)


@pytest.fixture
async def storage() -> AsyncIterator[Storage]:
    async with a_store(BIG, *SHOWS) as storage:
        yield storage


async def fans(storage: Storage, first: int, count: int, show: ShowId = BIG.id) -> None:
    """Chats that follow a show."""
    await follow(storage, *(a_chat(first + number) for number in range(count)), show=show)


def numbers(parcels: list[Parcel]) -> list[int]:
    return [parcel.destination.chat_id for parcel in parcels]


async def test_what_is_published_together_reaches_each_chat_together(storage: Storage) -> None:
    await fans(storage, 1, 50)
    await fans(storage, 26, 50, SMALL.id)
    fan = Fan(storage)
    for show in (BIG.id, SMALL.id):
        await publish(storage, a_trailer(show=show))
    await fan.news()
    messages = []
    while parcels := await fan.send():
        messages += parcels
    assert Counter(numbers(messages)) == Counter(range(1, 76)), "one message to each"
    assert Counter(len(one.deliveries) for one in messages) == {2: 25, 3: 25, 1: 25}


async def test_what_is_published_later_does_not_wait_for_a_great_fan_out(storage: Storage) -> None:
    await fans(storage, 1, MANY)
    await fans(storage, 10_000, 5, SMALL.id)
    fan = Fan(storage)
    await fan.news()
    for _ in range(10):
        await fan.send()
    assert await fan.jobs() == 1
    await fan.news(SMALL.id)
    before = fan.clock()
    told: list[int] = []
    while not set(range(10_000, 10_005)) <= set(told):
        told += numbers(await fan.send())
    assert len(told) <= CHUNK + LOW_WATER + 5
    assert fan.clock() - before <= dt.timedelta(seconds=(CHUNK + LOW_WATER + 5) / RATE)
    assert await fan.jobs() == 1
    while parcels := await fan.send(50):
        told += numbers(parcels)
    assert await states(storage) == {"sent": MANY + 5}


async def test_two_great_fan_outs_take_turns(storage: Storage) -> None:
    await fans(storage, 1, 300)
    await fans(storage, 1001, 300, SMALL.id)
    fan = Fan(storage)
    await fan.news()
    await fan.send()
    await fan.news(SMALL.id)
    told: list[int] = []
    while len(told) < 300:
        told += numbers(await fan.send())
    shares = Counter(one > 1000 for one in told)
    assert abs(shares[True] - shares[False]) <= 4 * CHUNK


async def test_no_more_is_created_than_is_needed_soon(storage: Storage) -> None:
    await fans(storage, 1, MANY)
    fan = Fan(storage)
    await fan.news()
    most = 0
    while await fan.send():
        most = max(most, await fan.pending())
    assert most <= CHUNK + LOW_WATER + RATE * AHEAD.total_seconds()
    assert await states(storage) == {"sent": MANY}


async def test_it_is_never_idle_while_there_is_something_to_send(storage: Storage) -> None:
    await fans(storage, 1, 5 * CHUNK - 1)
    fan = Fan(storage)
    await fan.news()
    told: list[int] = []
    while await fan.jobs():  # no time passes: the platform takes more than it says
        parcels = await fan.claim(1000)
        assert parcels
        told += numbers(parcels)
    assert sorted(told) == list(range(1, 5 * CHUNK))


async def test_after_a_restart_nothing_is_lost_or_told_twice(storage: Storage) -> None:
    await fans(storage, 1, 150)
    await fans(storage, 100, 100, SMALL.id)
    fan = Fan(storage)
    await fan.news()
    told: list[tuple[int, int]] = []
    rounds = 0
    while True:
        if rounds == 3:
            await fan.news(SMALL.id)
        parcels = await fan.send(11)
        if not parcels:
            break
        told += [(one.destination_id, two.seq) for one in parcels for two in one.deliveries]
        if rounds % 2:
            fan.restart()
        rounds += 1
    assert len(told) == len(set(told)) == 250
    assert await states(storage) == {"sent": 250}


async def test_a_chunk_that_cannot_be_stored_is_created_later(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fans(storage, 1, 3 * CHUNK)
    fan = Fan(storage)
    await fan.news()
    await fan.send()
    with monkeypatch.context() as patched:

        async def crash(*_: object) -> None:
            raise StorageFull("the disk is full")

        patched.setattr(Fanouts, "expand_together", crash)
        fan.clock.pass_by(minutes=1)
        while await fan.storage.deliveries.waiting(fan.clock(), 1):
            parcels = await storage.deliveries.claim(fan.clock(), LEASE, 100)
            await storage.deliveries.settle([sent(one.deliveries[0]) for one in parcels])
        for _ in range(2):
            with pytest.raises(StorageFull):
                await fan.expand()
    while await fan.send():
        pass
    assert await states(storage) == {"sent": 3 * CHUNK}


async def test_new_jobs_get_a_first_chunk_before_anything_else_but_not_all_at_once(
    storage: Storage,
) -> None:
    await fans(storage, 1, MANY)
    for number, show in enumerate(SHOWS):
        await fans(storage, 1001 + 100 * number, 60, show.id)
    fan = Fan(storage)
    await fan.news()
    await fan.send()
    for show in SHOWS:
        fan.clock.pass_by(seconds=0.001)
        await fan.news(show.id)
    await fan.expand()
    created = await chunks(storage)
    assert [count for show, count in created.items() if show != BIG.id] == [CHUNK] * AT_ONCE
    assert set(created) == {BIG.id, *(show.id for show in SHOWS[-AT_ONCE:])}, "the newest first"
    told: set[int] = set()
    for _ in range(60):
        told |= {(one - 1001) // 100 for one in numbers(await fan.send(15)) if one > 1000}
    assert told == set(range(len(SHOWS)))


async def chunks(storage: Storage) -> dict[str, int]:
    """How many deliveries of each show there are."""
    rows = await sql(
        storage,
        "SELECT show_id, count(*) FROM deliveries JOIN fanouts USING (update_seq) GROUP BY 1",
    )
    return {row[0]: row[1] for row in rows}


async def test_each_platform_gets_its_deliveries_as_fast_as_it_takes_them(
    storage: Storage,
) -> None:
    rates: dict[Platform, float | None] = {Platform.TELEGRAM: RATE, Platform.DISCORD: 5 * RATE}
    for number in range(150):  # of each, in no order
        await follow(storage, Destination(Platform.DISCORD, number + 1), a_chat(number + 1))
    fan = Fan(storage, rates)
    await fan.news()
    start = fan.clock()
    count: Counter[Platform] = Counter()
    for second in range(30):
        for platform, rate in rates.items():
            assert rate
            fan.clock.now = start + dt.timedelta(seconds=second)
            got = await fan.send(int(rate), platform)
            assert got or count[platform] == 150, f"{platform} was idle in second {second}"
            count[platform] += len(got)
    assert count == {Platform.TELEGRAM: 150, Platform.DISCORD: 150}
    assert await fan.jobs() == 0


async def test_a_platform_without_a_limit_gets_all_that_it_takes(storage: Storage) -> None:
    await fans(storage, 1, 200)
    fan = Fan(storage, {Platform.TELEGRAM: None})
    await fan.news()
    told = 0
    while parcels := await fan.send(50):
        told += len(parcels)
    assert told == 200
    assert fan.clock() == NOW


async def test_whoever_sends_hears_of_new_deliveries_and_of_none_where_there_are_none(
    storage: Storage,
) -> None:
    fan = Fan(storage)
    await fan.news()
    await fan.expand()
    assert (fan.created, await fan.jobs()) == (0, 0)
    await fans(storage, 1, 3)
    await fan.news()
    await fan.expand()
    assert (fan.created, await fan.pending()) == (1, 3)


async def test_a_stop_ends_it_between_two_chunks(storage: Storage) -> None:
    await fans(storage, 1, 5 * CHUNK)
    fan = Fan(storage, {Platform.TELEGRAM: None})
    await fan.news()
    await fan.expander.expand(Platform.TELEGRAM, lambda: fan.created > 0)
    assert await fan.pending() == CHUNK
