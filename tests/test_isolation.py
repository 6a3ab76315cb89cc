"""Chats that are dead, slow or poison cost the others next to nothing.

Ten thousand chats, 30 % of them dead and one message poison, on a platform that takes so many
messages a second. Time is virtual, and the database free: what is measured is who waits for whom.
"""

import asyncio
import datetime as dt
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from bot.app import Engine
from bot.errors import DestinationLost, Doubt, NotSent, WaitsAlone
from bot.message import Message
from bot.message.alerts import News, alert
from bot.model import Destination, Platform
from bot.outbox.messenger import Notice
from bot.outbox.pace import Limit, Limits, Pace
from storage.store import Storage, open_storage
from storage.trust import trust
from tests.build import NOW, TODAY, a_show, an_update
from tests.fakes.clock import FakeClock
from tests.fakes.messenger import FakeMessenger
from tests.storage.builders import (
    a_chat,
    a_folder,
    a_store,
    blank,
    follow,
    put_shows,
    states,
)
from tests.virtual_time import VirtualLoop, virtual_time

CHATS: Final = 10_000
DEAD: Final = 3_000
RATE: Final = 50
"""Messages a second that the platform takes."""

LATENCY: Final = 0.2
"""Seconds until it answers."""

SLACK: Final = 1.1
PERHAPS: Final = Doubt(times=2, over=dt.timedelta(hours=1), every=dt.timedelta(hours=2), ours=True)


def _every(count: int, of: Collection[int]) -> list[int]:
    """So many of these, spread evenly."""
    listed = sorted(of)
    return [listed[place * len(listed) // count] for place in range(count)]


@dataclass
class Sink:
    """A platform that takes `RATE` messages a second and answers each after `LATENCY`."""

    loop: VirtualLoop
    bad: Mapping[int, Exception | None] = field(default_factory=dict)
    """How each send to a chat fails; with `None` no answer ever comes."""
    in_flight: int = 24
    came: dict[tuple[int, str], list[float]] = field(default_factory=dict)
    sends: int = 0

    def __post_init__(self) -> None:
        self.pace = Pace(Limits(Limit(RATE, 1.0)), self.loop.time)

    def fitting(self, _to: Destination, notices: Sequence[Notice]) -> int:
        """All of them."""
        return len(notices)

    async def send(self, to: Destination, notices: Sequence[Notice]) -> str:
        """Take a message, or fail as the chat does."""
        self.sends += 1
        if to.chat_id in self.bad:
            error = self.bad[to.chat_id]
            await asyncio.sleep(LATENCY if error else 3600)
            assert error
            raise error
        await asyncio.sleep(LATENCY)
        for notice in notices:
            self.came.setdefault((to.chat_id, notice.message.title), []).append(self.loop.time())
        return f"message-{self.sends}"

    async def edit(self, to: Destination, message_id: str, notices: Sequence[Notice]) -> None:
        """Nothing is edited here."""

    async def probe(self) -> None:
        """It answers."""


@dataclass(frozen=True)
class Run:
    """When each healthy chat got each update, after its publication; and what was sent."""

    arrivals: list[dict[int, float]]
    sends: list[int]
    counts: dict[str, int]

    def p95(self, update: int) -> float:
        """The time after which 95 % had it."""
        times = sorted(self.arrivals[update].values())
        return times[len(times) * 95 // 100]


def _fill(path: Path, chats: Collection[int]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        numbers = [(chat,) for chat in chats]
        connection.executemany(
            "INSERT INTO destinations (id, platform, chat_id) SELECT ?1, 'telegram', ?1", numbers
        )
        connection.execute(
            "INSERT INTO subscriptions (show_id, destination_id, kinds, since_seq, lane) "
            "SELECT ?, id, 15, 0, 2 FROM destinations",
            (a_show().id,),
        )


def measured(chats: Collection[int], bad: Mapping[int, Exception | None], updates: int = 2) -> Run:
    """Tell these chats of some updates, one after the other."""
    healthy = set(chats) - set(bad)

    async def work(loop: VirtualLoop) -> Run:
        with a_folder() as folder:
            path = Path(folder) / "store.db"
            path.write_bytes(blank())
            async with open_storage(f"sqlite:///{path}", trust()) as storage:
                await put_shows(storage)
                _fill(path, chats)
                return await _tell(storage, loop, healthy, bad, updates)

    with virtual_time() as run:
        return run(work)


async def _tell(
    storage: Storage,
    loop: VirtualLoop,
    healthy: Collection[int],
    bad: Mapping[int, Exception | None],
    updates: int,
) -> Run:
    sink = Sink(loop, bad)
    engine = Engine(storage, {Platform.TELEGRAM: sink}, loop.clock, lambda: 0.5, loop.time)
    run = Run([], [], {})
    async with engine.delivering():
        for season in range(2, 2 + updates):
            sink.came.clear()
            sent, began = sink.sends, loop.time()
            await storage.publishing.publish(an_update("renewed", season=season), TODAY)
            await engine.poll()
            while len(sink.came) < len(healthy):
                assert loop.time() < began + 3600, f"{len(healthy) - len(sink.came)} lack it"
                await asyncio.sleep(1)
            assert all(len(times) == 1 for times in sink.came.values()), "it came twice"
            run.arrivals.append({chat: at[0] - began for (chat, _), at in sink.came.items()})
            await asyncio.sleep(600)
            run.sends.append(sink.sends - sent)
    run.counts.update({str(one): n for one, n in (await storage.deliveries.counts()).items() if n})
    assert await storage.deliveries.unaccounted() == 0
    return run


def test_dead_chats_and_poison_delay_nobody_else() -> None:
    every = range(1, CHATS + 1)
    dead = _every(DEAD, every)
    bad: dict[int, Exception | None] = {
        chat: DestinationLost("the bot was blocked") for chat in dead
    }
    bad.update((chat, DestinationLost("chat not found", PERHAPS)) for chat in dead[7::100])
    bad.update((chat, WaitsAlone("slow mode", 3600)) for chat in dead[31::100])
    bad.update((chat, NotSent("connection reset")) for chat in dead[63::300])
    bad.update((chat, None) for chat in dead[500::600])  # never an answer
    bad[dead[1]] = RuntimeError("no message of this chat can be rendered")
    alone = measured([chat for chat in every if chat not in bad], {}, updates=1)
    beside = measured(every, bad)
    assert beside.arrivals[1].keys() == alone.arrivals[0].keys()
    assert len(beside.arrivals[1]) == CHATS - DEAD
    assert alone.counts == {"sent": CHATS - DEAD}
    assert beside.counts["sent"] == 2 * (CHATS - DEAD)
    ratios = [beside.p95(update) / alone.p95(0) for update in (0, 1)]
    print(f"p95 beside/alone: {ratios}; sends {beside.sends} / {alone.sends}; {beside.counts}")
    # Once each is a message that the platform counts: who is dead is found so.
    assert ratios[0] <= SLACK * CHATS / (CHATS - DEAD)
    assert ratios[1] <= SLACK


async def test_an_update_that_cannot_be_said_costs_the_chat_no_other_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two updates are due to a chat together, and one of them is poison."""
    here, there = a_chat(1), a_chat(2)
    poison = a_show("elite")

    def worded(news: News) -> Message:
        if news.show.id == poison.id:
            raise ValueError("it cannot be said")
        return alert(news)

    monkeypatch.setattr("bot.outbox.composer.alert", worded)
    clock, chat = FakeClock(NOW), FakeMessenger()
    async with a_store(a_show(), poison) as storage:
        await follow(storage, here, there)
        await follow(storage, here, show=poison.id)
        for show in (poison.id, a_show().id):
            await storage.publishing.publish(an_update("renewed", show=show), TODAY)
        engine = Engine(storage, {Platform.TELEGRAM: chat}, clock)
        async with engine.delivering():
            for _ in range(9):
                await engine.finish()
                clock.pass_by(hours=6)
        assert len(chat.titles(there)) == 1
        assert await states(storage) == {"sent": 2, "failed": 1}
        assert len(chat.titles(here)) == 1
