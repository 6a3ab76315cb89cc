"""A scenario: some days of a bot among people, platforms and faults, all from one seed."""

import asyncio
import datetime as dt
import gc
import hashlib
import logging
import random
import re
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import structlog
from sqlalchemy.exc import SAWarning

from bot.errors import StorageError
from bot.model import Platform
from bot.platforms.discord.guilds import Guilds
from bot.schedule import ClockWatch, Schedule
from storage.database import Database
from storage.store import Storage
from storage.trust import trust
from tests.simulation.assembly import Bot, patched
from tests.simulation.checker import Violation, check
from tests.simulation.clock import Process, WallClock, current, virtual_time, within
from tests.simulation.database import Trouble, inline
from tests.simulation.discord import DiscordServer, Guild
from tests.simulation.faults import CRASHES, Fault
from tests.simulation.notes import Notes
from tests.simulation.people import People, population
from tests.simulation.platforms import Server
from tests.simulation.telegram import TelegramServer
from tests.simulation.troubles import Troubles
from tests.storage.builders import a_folder, blank

HOUR: Final = 3600.0
POLL_EVERY: Final = 300.0
SETTLES_WITHIN: Final = 24 * HOUR
_ADDRESS: Final = re.compile(r"0x[0-9a-f]+")


class Trace:
    """A line for each thing that happens; kept as a digest, and in full where it is asked for."""

    def __init__(self, out: IO[str] | None = None) -> None:
        self.lines: list[str] = []
        self._out = out
        self._digest = hashlib.sha256()
        self.now: Callable[[], float] = lambda: 0.0
        self.folder = "no folder yet"
        """What differs each time, and is left out."""

    def __call__(self, what: str) -> None:
        process = current()
        if process is not None and not process.alive:
            return
        line = f"{self.now():14.6f} {what.replace(self.folder, '')}"
        self.lines.append(line)
        self._digest.update(line.encode() + b"\n")
        if self._out:
            self._out.write(line + "\n")

    @property
    def digest(self) -> str:
        """What equal traces have in common, and others not."""
        return self._digest.hexdigest()

    def around(self, moment: float, words: str = "", most: int = 25) -> list[str]:
        """The lines before a moment that have these words, and the last ones whatever they say."""
        before = [line for line in self.lines if float(line[:14]) <= moment + 1e-6]
        told = [line for line in before if words and words in line]
        return told[-most:] or before[-most:]


@dataclass
class Outcome:
    """How a scenario went."""

    seed: str
    hours: float
    violations: list[Violation]
    hits: Counter[Fault]
    digest: str
    counts: Counter[str] = field(default_factory=Counter)


class Scenario:
    """One of many: its own database, people, platforms and troubles."""

    def __init__(self, seed: str, hours: float, folder: Path, trace: Trace) -> None:
        self.seed = seed
        self.hours = hours
        self.trace = trace
        self.hits: Counter[Fault] = Counter()
        self.chance = self.drawn("process")
        self.path = folder / "simulated.db"
        self.path.write_bytes(blank())
        rooms, self.homes = population(self.drawn("rooms"))
        self.notes = Notes(self.path, rooms)
        given = (rooms, self.drawn("platforms"), trace, self.hit, self.passed)
        self.telegram = TelegramServer(Platform.TELEGRAM, *given)
        self.discord = DiscordServer(Platform.DISCORD, *given)
        self.trouble = Trouble(self.drawn("database"), self.passed)
        self.trouble.hit = lambda what: self.hit(_OF_DATABASE[what])
        self.trouble.committed = lambda tables: self.notes.look(tables, self.now)
        self.process: Process | None = None
        self.bot: Bot | None = None
        self.failure: Exception | None = None
        """What ended a process that should not have ended."""
        self.kills: list[tuple[float, Process]] = []
        self.clock: WallClock
        self.outside: Storage
        """What curators and people use beside the bot, and what never fails."""
        self.people: People
        self.poll_raises_until = self.poll_hangs_until = 0.0
        self.doom: tuple[str, int] | None = None
        self._starts = 0
        self._life: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._clock_set = asyncio.Event()
        self._restart: asyncio.Task[None] | None = None

    def drawn(self, name: str) -> random.Random:
        """Chance of its own, so that one kind of event does not move the others."""
        return random.Random(f"{self.seed}/{name}")

    @property
    def servers(self) -> tuple[Server, Server]:
        """Both platforms."""
        return self.telegram, self.discord

    @property
    def now(self) -> float:
        """The time."""
        return asyncio.get_running_loop().time()

    def hit(self, fault: Fault) -> None:
        """A fault has struck."""
        self.hits[fault] += 1

    # --- the process ---

    def passed(self, point: str) -> None:
        """The process got to a point at which it may die."""
        if self.doom and self.doom[0] == point and self.process and self.process.alive:
            left = self.doom[1] - 1
            self.doom = (point, left) if left > 0 else None
            if left <= 0:
                self.hit(next(fault for fault, name in CRASHES.items() if name == point))
                self.crash(f"({point})")

    def crash(self, why: str = "", *, back_in: float | None = None) -> None:
        """The process dies without a word, and is started again."""
        process = self.process
        if process is None or not process.alive:
            return
        process.kill()
        self.kills.append((self.now, process))
        self.process = self.bot = None
        waits = self.chance.choice((1.0, 5.0, 30.0, 200.0)) if back_in is None else back_in
        self._later(waits)
        self._say(f"-- {process} died {why}, back in {waits:g} s")

    def _say(self, what: str) -> None:
        within(None).run(self.trace, what)

    def _later(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._restart = loop.create_task(self._start(seconds), context=within(None))

    async def _start(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if self.process is not None:
            return
        self._starts += 1
        self._stopping = asyncio.Event()
        self._clock_set = asyncio.Event()
        process = self.process = Process(self._starts)
        self.trace(f"-- {process} starts")
        loop = asyncio.get_running_loop()
        self._life = loop.create_task(self._live(process), context=within(process))

    async def _live(self, process: Process) -> None:
        database = Database(f"sqlite:///{self.path}")
        try:
            storage = Storage(database, _TRUST)
            loop = asyncio.get_running_loop()
            made = Bot(
                storage, self.telegram, self.discord, self.clock, loop.time,
                self.drawn(f"chance {process.number}"),
            )  # fmt: skip
            self.bot = made
            await self._serve(made)
        except StorageError as error:
            self.trace(f"-- {process} ends: {error}")
            self.crash("(the database)")
        except Exception as error:
            self.failure = self.failure or error
            raise
        finally:
            with suppress(StorageError):
                await database.close()

    async def _serve(self, made: Bot) -> None:
        schedule = Schedule(
            lambda: self._poll(made), POLL_EVERY, ClockWatch(self.clock, lambda: self.now),
            lambda by: self._jumped(made, by),
        )  # fmt: skip
        guilds = Guilds(
            made.client, made.storage, self.clock, made.engine.outbox.wake, made.wire.away
        )
        made.guilds = guilds
        async with made.engine.delivering():
            beside = [
                asyncio.create_task(one)
                for one in (
                    self._poll_on(schedule), self._watch(schedule), self._reconcile(made, guilds)
                )
            ]  # fmt: skip
            try:
                await self._stopping.wait()
            finally:
                for task in beside:
                    task.cancel()

    async def _poll_on(self, schedule: Schedule) -> None:
        while True:
            await schedule.poll_once()
            await asyncio.sleep(POLL_EVERY)

    async def _poll(self, made: Bot) -> None:
        if self.now < self.poll_raises_until:
            self.hit(Fault.POLL_RAISES)
            raise RuntimeError("simulated")
        if self.now < self.poll_hangs_until:
            self.hit(Fault.POLL_HANGS)
            await asyncio.sleep(10 * HOUR)
        await made.engine.poll()

    async def _jumped(self, made: Bot, by: dt.timedelta) -> None:
        await made.storage.deliveries.shift(by)
        await made.storage.deliveries.bound(self.clock())
        made.engine.outbox.wake()

    async def _watch(self, schedule: Schedule) -> None:
        """The guard of the schedule: it looks every five seconds, here when there is a reason."""
        while True:
            await self._clock_set.wait()
            self._clock_set.clear()
            await asyncio.sleep(self.chance.uniform(0.0, 5.0))
            while True:
                try:
                    await schedule.catch_up()
                except StorageError:
                    await asyncio.sleep(5.0)
                else:
                    break

    async def _reconcile(self, made: Bot, guilds: Guilds) -> None:
        while True:
            if made.client.is_ready():
                with suppress(StorageError):
                    await guilds.on_ready()
                await asyncio.sleep(HOUR)
            else:
                await asyncio.sleep(max(1.0, self.discord.ready_at - self.now))

    async def stop(self, back_in: float) -> None:
        """A clean stop, as at SIGTERM, and a start later."""
        process, life = self.process, self._life
        if process is None or life is None:
            return
        self._say(f"-- {process} stops")
        self._stopping.set()
        await asyncio.wait([life], timeout=60.0)
        if self.process is process:
            process.kill()
            self.kills.append((self.now, process))
            self.process = self.bot = None
            self._say(f"-- {process} has stopped")
            self._later(back_in)

    def set_clock(self, by: dt.timedelta) -> None:
        """Somebody sets the clock of the machine."""
        self.clock.offset += by
        self._clock_set.set()
        self._say(f"-- the clock is set by {by}")

    def tell(self, event: Callable[[Bot], Awaitable[Any]]) -> None:
        """Let the bot hear of something, if there is one: an event nobody hears is lost."""
        made, process = self.bot, self.process
        if made is None or process is None:
            return

        async def heard() -> None:
            with suppress(StorageError):
                await event(made)

        asyncio.get_running_loop().create_task(heard(), context=within(process))

    def guild(self, home_id: int) -> Guild:
        """A server of Discord."""
        return Guild(self.discord, home_id)

    # --- the course of events ---

    async def play(self) -> Outcome:
        """From the start to the end, when nothing goes wrong any more and all has settled."""
        loop = asyncio.get_running_loop()
        self.trace.now = loop.time
        self.clock = WallClock(loop)
        outside = Database(f"sqlite:///{self.path}", checkpoints=False)
        self.outside = Storage(outside, _TRUST)
        people, troubles = People(self), Troubles(self)
        await people.begin()
        self._later(0.0)
        try:
            async with asyncio.TaskGroup() as going:
                going.create_task(people.live(self.hours * HOUR))
                going.create_task(troubles.rage(self.hours * HOUR))
            troubles.end()
            await self._settle()
            counts = await self.outside.deliveries.counts()
            created = await self.outside.fanouts.created()
        finally:
            await self.stop(0.0)
            if self._restart:
                self._restart.cancel()
            await outside.close()
        if self.failure:
            raise self.failure
        violations = check(self, {str(k): v for k, v in counts.items()}, created)
        outcome = Outcome(self.seed, self.hours, violations, self.hits, self.trace.digest)
        outcome.counts.update({str(state): number for state, number in counts.items()})
        outcome.counts["requests"] = sum(len(one.requests) for one in self.servers)
        outcome.counts["arrived"] = sum(len(one.arrivals) for one in self.servers)
        outcome.counts["published"] = len(self.notes.published)
        outcome.counts["killed"] = len(self.kills)
        outcome.counts["limited"] = sum(len(one.limited) for one in self.servers)
        self.notes.close()
        return outcome

    async def _settle(self) -> None:
        """Wait until nothing is due any more, or for a day."""
        if self.process is None and (self._restart is None or self._restart.done()):
            self._later(0.0)
        end = self.now + SETTLES_WITHIN
        await asyncio.sleep(900.0)
        while self.now < end:
            ((left,),) = self.notes.sql("SELECT count(*) FROM deliveries WHERE state = 'pending'")
            ((jobs,),) = self.notes.sql("SELECT count(*) FROM fanouts WHERE done = 0")
            if not left and not jobs:
                return
            await asyncio.sleep(1800.0)


_TRUST: Final = trust()
_OF_DATABASE: Final = {
    "busy": Fault.BUSY,
    "full": Fault.FULL,
    "failing": Fault.FAILING,
    "unreadable": Fault.UNREADABLE,
}


@contextmanager
def _logs_into(trace: Trace) -> Iterator[None]:
    def told(_logger: object, level: str, event: MutableMapping[str, Any]) -> Any:
        name = event.pop("event")
        said = " ".join(f"{key}={_ADDRESS.sub('0x', str(event[key]))}" for key in sorted(event))
        trace(f"{level} {name} {said}".rstrip())
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[told], cache_logger_on_first_use=False)
    logging.disable(logging.CRITICAL)  # the libraries would show a traceback for each fault
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        structlog.configure(**before)


def play(seed: str, hours: float, out: IO[str] | None = None) -> tuple[Outcome, Trace]:
    """Play one scenario from its seed."""
    blank()  # made once, with real threads, before there are none
    gc.collect()
    gc.disable()  # it would close the connections of the dead at moments of its own
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)  # whoever was killed has closed nothing
            return _play(seed, hours, out)
    finally:
        gc.enable()


def _play(seed: str, hours: float, out: IO[str] | None) -> tuple[Outcome, Trace]:
    trace = Trace(out)
    with a_folder() as folder, _logs_into(trace), virtual_time() as loop:
        trace.folder = folder
        chance = random.Random(f"{seed}/outbox")

        async def go() -> Outcome:
            scenario = Scenario(seed, hours, Path(folder), trace)
            with inline(scenario.trouble), patched(loop.time, chance):
                return await scenario.play()

        outcome = loop.run_until_complete(go())
        gc.collect()
    return outcome, trace
