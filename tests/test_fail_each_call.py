"""Each flow with each of its calls failed once, in turn, until the flow passes untouched.

A call is a statement, a commit, or a request to a platform. It fails before it has had an effect,
or after: the disk has it, the platform has it, and who asked is told otherwise. Then people repeat
what they asked for, the bot goes on or starts anew, and nothing is lost, doubled or left open.
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiosqlite
import pytest

from bot.app import Engine
from bot.commands import answer
from bot.errors import (
    AskAgain,
    BadRecord,
    DestinationLost,
    MaybeSent,
    MustWait,
    NotSent,
    StorageError,
)
from bot.model import Caller, DeliveryState, Destination, Platform
from bot.outbox.messenger import Notice
from storage.database import check_file
from storage.store import Storage, open_storage
from storage.trust import trust
from tests.build import NOW, TODAY, a_correction, a_show, an_update
from tests.conftest import PostgreSQL
from tests.fakes.clock import FakeClock
from tests.fakes.messenger import FakeMessenger
from tests.storage.builders import a_folder, a_store, blank, follow, put_shows

HERE: Final = Destination(Platform.TELEGRAM, 1)
THERE: Final = Destination(Platform.TELEGRAM, 2)
MOST: Final = 500
"""No flow has so many calls."""

STRIDE: Final = 9
"""On PostgreSQL each ninth call fails: a database of its own takes most of a second."""


class Calls:
    """Counts calls while a flow is under way, and fails one of them."""

    def __init__(self) -> None:
        self.fatal = 0
        self.late = False
        self.failed = ""
        self.kinds: Counter[str] = Counter()
        self._count = 0
        self._counting = False

    @contextmanager
    def failing(self, number: int, *, late: bool) -> Iterator[None]:
        """Let this call fail, once: before it has an effect, or `late`, after it."""
        self.fatal, self.late, self.failed, self._count = number, late, "", 0
        self._counting = True
        try:
            yield
        finally:
            self._counting = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Look at something without its being part of the flow."""
        counting, self._counting = self._counting, False
        try:
            yield
        finally:
            self._counting = counting

    def hits(self, what: str) -> bool:
        """Whether this call is the one to fail."""
        self._count += self._counting
        if not self._counting or self._count != self.fatal:
            return False
        self.failed = what
        self.kinds[what.split(maxsplit=1)[0]] += 1
        return True


class Platforms(FakeMessenger):
    """A platform that fails one call in its own way."""

    calls: Calls
    way: "Way | None" = None

    async def send(self, destination: Destination, notices: Sequence[Notice]) -> str | None:
        """Fail, perhaps after the message was taken; else as the script says."""
        if self.way is None or not self.calls.hits("send"):
            return await super().send(destination, notices)
        if self.calls.late:
            await super().send(destination, notices)
        raise self.way.error()

    async def edit(
        self, destination: Destination, message_id: str, notices: Sequence[Notice]
    ) -> None:
        """The same for other words."""
        if self.way is None or not self.calls.hits("edit"):
            return await super().edit(destination, message_id, notices)
        if self.calls.late:
            await super().edit(destination, message_id, notices)
        raise self.way.error()


@dataclass(frozen=True)
class Way:
    """How a platform fails, and whether it has the message all the same."""

    name: str
    error: Callable[[], Exception]
    late: bool = False


WAYS: Final = (
    Way("not sent", lambda: NotSent("the network is down")),
    Way("asked to wait", lambda: MustWait("slow down", 7)),
    Way("no answer, not there", lambda: MaybeSent("no answer")),
    Way("no answer, but there", lambda: MaybeSent("no answer"), late=True),
    Way("no answer, known repeat", lambda: AskAgain("no answer"), late=True),
    Way("a surprise", lambda: RuntimeError("surprise")),
)


class Scene:
    """A store, a bot that runs or is started anew, a platform, and people who ask again."""

    def __init__(self, storage: Storage, calls: Calls, *, restarts: bool = False) -> None:
        self.storage = storage
        self.calls = calls
        self.clock = FakeClock(NOW)
        self.chat = Platforms()
        self.chat.calls = calls
        self.restarts = restarts
        self.engine: Engine | None = None
        self._stack = AsyncExitStack()

    async def started(self) -> Engine:
        """The bot, which whoever looks after it starts again when it cannot start."""
        if self.engine is None:
            engine = Engine(
                self.storage,
                {Platform.TELEGRAM: self.chat},
                self.clock,
                steady=lambda: self.clock().timestamp(),
            )
            await repeated(lambda: self._stack.enter_async_context(engine.delivering()))
            self.engine = engine
        return self.engine

    async def stop(self) -> None:
        """Let the bot end."""
        self.engine = None
        await self._stack.aclose()

    async def live(self) -> None:
        """Let the bot poll, deliver and wait until nothing is left to do."""
        for _ in range(8):
            engine = await self.started()
            with suppress(StorageError):  # the schedule polls again
                await engine.poll()
                await self.rest(engine)
            if self.restarts:
                await self.stop()
            with self.calls.paused():
                if not await self.open_work():
                    return
            self.clock.pass_by(minutes=6)
        raise AssertionError(f"never done after {self.calls.failed}: {await self.open_work()}")

    async def rest(self, engine: Engine) -> None:
        """The naps end, as they do by themselves, and the bot works until it has nothing to do.

        `Outbox.settled` would tell it of news, too, and hide that nobody did.
        """
        engine.outbox._stir()
        lanes = engine.outbox._lanes.values()
        async with asyncio.timeout(20):
            while not all(lane.idle.is_set() for lane in lanes):
                for lane in lanes:
                    await lane.idle.wait()

    async def open_work(self) -> dict[str, object]:
        """What somebody still has to do."""
        counts = await self.storage.deliveries.counts()
        found = {
            "pending": counts[DeliveryState.PENDING],
            "jobs": await self.storage.fanouts.open_jobs(),
            "unread": await self.storage.fanouts.unread(1),
        }
        return {name: left for name, left in found.items() if left}

    def titles(self, chat: Destination) -> list[str]:
        """What came there: the first words, without repeats that nobody could know of."""
        return [title.split(" · ")[0] for title in dict.fromkeys(self.chat.titles(chat))]


async def repeated(work: Callable[[], Awaitable[object]]) -> None:
    """Do what a person does: ask once more when it did not work."""
    try:
        await work()
    except StorageError:
        await work()


# --- the flows ---


@dataclass(frozen=True)
class Flow:
    """What happens, what was there before, and what everybody has in the end."""

    name: str
    before: Callable[[Scene], Awaitable[None]]
    act: Callable[[Scene], Awaitable[None]]
    here: tuple[str, ...] = ("DATED",)
    there: tuple[str, ...] = ("DATED",)
    sends: bool = False


MISTAKE: Final = an_update("dated", date="2027-03-03")
CORRECTION: Final = a_correction(MISTAKE, date="2027-03-04")


async def a_show_that_one_follows(scene: Scene) -> None:
    await put_shows(scene.storage)
    await follow(scene.storage, THERE)


async def subscribes(scene: Scene) -> None:
    engine = await scene.started()
    caller = Caller(HERE, 7, manages=True)
    ask = {"show": a_show().title}
    await repeated(lambda: answer(engine.core, caller, "subscribe", ask))
    with scene.calls.paused():
        assert len(await scene.storage.subscriptions.of(HERE)) == 1
        await scene.storage.publishing.publish(MISTAKE, TODAY)
        await scene.live()


async def a_show_that_two_follow(scene: Scene) -> None:
    await put_shows(scene.storage)
    await follow(scene.storage, HERE, THERE)


async def publishes(scene: Scene) -> None:
    with suppress(BadRecord):  # it is stored already: who repeats it is told so
        await repeated(lambda: scene.storage.publishing.publish(MISTAKE, TODAY))
    with scene.calls.paused():
        await scene.live()


async def something_is_published(scene: Scene) -> None:
    await a_show_that_two_follow(scene)
    await scene.storage.publishing.publish(MISTAKE, TODAY)


async def polls(scene: Scene) -> None:
    with scene.calls.paused():
        engine = await scene.started()
        await scene.rest(engine)
    await repeated(engine.poll)
    with scene.calls.paused():
        await scene.live()


async def something_is_polled(scene: Scene) -> None:
    await something_is_published(scene)
    engine = Engine(scene.storage, {}, scene.clock)
    await engine.poll()


async def delivers(scene: Scene) -> None:
    await scene.live()
    await scene.stop()


async def a_mistake_was_delivered(scene: Scene) -> None:
    await something_is_published(scene)
    await scene.live()
    await scene.stop()
    await scene.storage.publishing.publish(CORRECTION, TODAY)


async def loses_and_finds(scene: Scene) -> None:
    """A chat blocks the bot, is suspended, and comes back."""
    scene.chat.lost = {HERE: DestinationLost("the bot was blocked")}
    await scene.live()
    with scene.calls.paused():
        assert await scene.storage.destinations.suspended(HERE)
        assert scene.titles(HERE) == []
    scene.chat.lost = {}
    await repeated(lambda: scene.storage.destinations.resume(HERE, scene.clock()))
    await scene.live()
    await scene.stop()


FLOWS: Final = (
    Flow("subscribe", a_show_that_one_follows, subscribes),
    Flow("publish", a_show_that_two_follow, publishes),
    Flow("poll", something_is_published, polls),
    Flow("deliver", something_is_polled, delivers, sends=True),
    Flow(
        "correct",
        a_mistake_was_delivered,
        delivers,
        ("DATED", "CORRECTION"),
        ("DATED", "CORRECTION"),
        sends=True,
    ),
    Flow("lose and find", something_is_published, loses_and_finds, sends=True),
)


def _name(one: object) -> str:
    return str(getattr(one, "name", one)).replace(" ", "_")


# --- the laws ---


async def check(scene: Scene, flow: Flow, copies: int) -> None:
    """Everybody has what is theirs, once (or `copies` times); it all adds up; nothing is open."""
    what = f"{flow.name}, {scene.calls.failed or 'untouched'} failed"
    assert tuple(scene.titles(HERE)) == flow.here, what
    assert tuple(scene.titles(THERE)) == flow.there, what
    for chat in (HERE, THERE):
        told = Counter(scene.chat.titles(chat))
        assert max(told.values()) <= copies, f"{what}: {told}"
    assert await scene.open_work() == {}, what
    assert await scene.storage.deliveries.unaccounted() == 0, what
    counts = {str(one): n for one, n in (await scene.storage.deliveries.counts()).items() if n}
    assert counts == {"sent": len(flow.here) + len(flow.there)}, what
    logged = await scene.storage.updates.get(MISTAKE.id)
    assert logged is not None, what
    if flow.name == "correct":
        assert {to for to, _, _ in scene.chat.edited} == {HERE, THERE}, what
    driver = scene.storage.database._driver
    assert driver is None or not driver.in_transaction, what


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The calls of a flow; what waits for seconds after trouble waits for moments."""
    for where in ("lane.PAUSE_AFTER_TROUBLE", "lane.SHORT_NAP", "settler.PAUSE"):
        monkeypatch.setattr(f"bot.outbox.{where}", 0.002)
    found = Calls()
    run = aiosqlite.Connection.execute

    async def execute(connection: Any, sql: str, parameters: Any = None) -> Any:
        begins = sql.startswith("BEGIN")
        fails = not (begins and found.late) and found.hits(sql)
        if fails and not found.late:
            raise _io_error()
        cursor = await run(connection, sql, parameters)
        if fails:
            raise _io_error()
        return cursor

    monkeypatch.setattr(aiosqlite.Connection, "execute", execute)
    return found


def _io_error() -> Exception:
    return sqlite3.OperationalError("disk I/O error")


def watch(storage: Storage, calls: Calls, error: Callable[[], Exception]) -> None:
    """Count what a store asks of its driver; late failures matter where something is kept."""
    database = storage.database
    for engine in (database._writer, database._readers):
        dialect = engine.sync_engine.dialect
        undo = dialect.do_rollback
        for name in ("do_execute", "do_executemany", "do_commit", "do_rollback"):
            setattr(dialect, name, _watched(getattr(dialect, name), undo, name, calls, error))


def _watched(
    run: Callable[..., None],
    undo: Callable[[Any], None],
    name: str,
    calls: Calls,
    error: Callable[[], Exception],
) -> Callable[..., None]:
    def call(*given: Any, **more: Any) -> None:
        counts = name == "do_commit" or not calls.late
        fails = counts and calls.hits(f"{name} {str(given[1:2])[:60]}")
        if fails and not calls.late:
            if name == "do_commit":
                undo(*given)  # as SQLite does where a commit fails
            raise error()
        run(*given, **more)
        if fails:
            raise error()

    return call


async def _prepared(flow: Flow) -> tuple[bytes, Platforms]:
    """The file as it is before a flow, and the platform: made once, copied for each call."""
    with a_folder() as folder:
        path = Path(folder) / "store.db"
        path.write_bytes(blank())
        async with open_storage(f"sqlite:///{path}", trust()) as storage:
            scene = Scene(storage, Calls())
            await flow.before(scene)
        return path.read_bytes(), scene.chat


async def _once(
    flow: Flow,
    prepared: tuple[bytes, Platforms],
    calls: Calls,
    number: int,
    *,
    late: bool,
    restarts: bool,
    way: Way | None = None,
) -> None:
    """Run a flow with one call failing, and look at what is left."""
    with a_folder() as folder:
        path = Path(folder) / "store.db"
        path.write_bytes(prepared[0])
        async with open_storage(f"sqlite:///{path}", trust()) as storage:
            if way is None:
                watch(storage, calls, _io_error)
            scene = Scene(storage, calls, restarts=restarts)
            scene.chat.accepted, scene.chat.way = list(prepared[1].accepted), way
            with calls.failing(number, late=late):
                try:
                    await flow.act(scene)
                except BaseException as error:
                    error.add_note(f"call {number} had failed: {calls.failed}")
                    raise
                finally:
                    with calls.paused():
                        await scene.stop()
            await check(scene, flow, copies=2 if way and way.late else 1)
        check_file(path)


async def _each(
    flow: Flow, calls: Calls, *, late: bool, restarts: bool, way: Way | None = None
) -> int:
    """Fail the first call, the second, and so on; returns how many there were."""
    prepared = await _prepared(flow)
    for number in range(1, MOST):
        await _once(flow, prepared, calls, number, late=late, restarts=restarts, way=way)
        if not calls.failed:
            return number - 1
    raise AssertionError("the flow never ends")


@pytest.mark.parametrize("flow", FLOWS, ids=_name)
async def test_any_call_to_the_database_may_fail(flow: Flow, calls: Calls) -> None:
    total = await _each(flow, calls, late=False, restarts=False)
    assert total >= 5
    assert calls.kinds["do_execute"] > 0
    assert calls.kinds["BEGIN"] > 0


@pytest.mark.parametrize("flow", FLOWS, ids=_name)
async def test_anything_may_be_stored_and_its_answer_be_lost(flow: Flow, calls: Calls) -> None:
    assert await _each(flow, calls, late=True, restarts=False) >= 1


@pytest.mark.parametrize("way", WAYS, ids=_name)
@pytest.mark.parametrize("flow", [one for one in FLOWS if one.sends], ids=_name)
async def test_any_request_to_a_platform_may_fail(flow: Flow, way: Way, calls: Calls) -> None:
    for restarts in (False, True):
        total = await _each(flow, calls, late=way.late, restarts=restarts, way=way)
        assert total >= 2


async def test_after_any_failed_call_the_bot_may_be_started_anew(calls: Calls) -> None:
    deliver = next(one for one in FLOWS if one.name == "deliver")
    assert await _each(deliver, calls, late=False, restarts=True) >= 20


# --- and two that go beyond one call ---


async def test_a_poll_that_was_cut_off_after_it_was_stored_is_told_to_the_outbox(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The schedule cancels a poll that takes too long; its unit runs to its end all the same."""
    async with a_store(a_show()) as storage:
        scene = Scene(storage, Calls())
        await follow(storage, HERE)
        engine = await scene.started()
        await scene.rest(engine)
        await storage.publishing.publish(MISTAKE, TODAY)
        begun = asyncio.Event()
        take = storage.fanouts.take

        async def slowly(*given: Any) -> int:
            begun.set()
            return await take(*given)

        monkeypatch.setattr(storage.fanouts, "take", slowly)
        polling = asyncio.create_task(engine.poll())
        await begun.wait()
        await asyncio.sleep(0)
        polling.cancel()
        await asyncio.wait([polling])
        assert await storage.fanouts.unread(1) == []
        try:
            await scene.live()
        finally:
            await scene.stop()
        assert scene.titles(HERE) == ["DATED"]


async def test_news_that_cannot_be_read_for_hours_are_not_given_up(
    monkeypatch: pytest.MonkeyPatch, calls: Calls
) -> None:
    """Nothing was sent, and nothing is wrong with the message or the chat."""

    async def refuses(_: object) -> Any:
        raise StorageError("the disk does not answer")

    async with a_store(a_show()) as storage:
        scene = Scene(storage, calls)
        await follow(storage, HERE)
        await storage.publishing.publish(MISTAKE, TODAY)
        with monkeypatch.context() as patch:
            patch.setattr(storage.updates, "told", refuses)
            engine = await scene.started()
            for _ in range(9):
                await engine.poll()
                await scene.rest(engine)
                scene.clock.pass_by(hours=1)
        try:
            await scene.live()
        finally:
            await scene.stop()
        assert scene.titles(HERE) == ["DATED"]


async def test_on_postgresql_too_any_call_of_a_delivery_may_fail(
    postgresql: PostgreSQL, calls: Calls
) -> None:
    flow = next(one for one in FLOWS if one.name == "deliver")
    for number in range(1, MOST):
        url = postgresql.create()
        try:
            async with open_storage(url, trust()) as storage:
                scene = Scene(storage, calls)
                await flow.before(scene)
                watch(storage, calls, lambda: ConnectionResetError("the connection is gone"))
                with calls.failing(number * STRIDE, late=False):
                    try:
                        await flow.act(scene)
                    finally:
                        with calls.paused():
                            await scene.stop()
                await check(scene, flow, copies=1)
        finally:
            postgresql.drop(url)
        if not calls.failed:
            assert number > 2
            return
    raise AssertionError("the flow never ends")
