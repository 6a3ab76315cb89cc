"""Units of work: all or nothing, one after the other, beside other processes, on a full disk."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

import storage.database
from bot.errors import StorageBusy, StorageError, StorageFull
from storage.database import Database
from storage.store import Storage, open_storage
from storage.trust import trust
from tests.build import ROOT, TODAY, a_show
from tests.storage.builders import (
    a_chat,
    a_trailer,
    deliver,
    everything,
    fan_out,
    follow,
    publish,
    put_shows,
    sql,
    states,
    tell,
)

Work = Callable[[AsyncConnection], Awaitable[Any]]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database with one table of notes."""
    opened = Database(database_url)
    try:
        await opened.write(lambda c: c.execute(text("CREATE TABLE notes (word TEXT)")))
        yield opened
    finally:
        await opened.close()


def note(word: str) -> Work:
    return lambda connection: connection.execute(text(f"INSERT INTO notes VALUES ('{word}')"))


async def notes(where: Database) -> list[str]:
    return [word for (word,) in await sql(where, "SELECT word FROM notes")]


class Gate:
    """A unit of work that stands still in its middle until it is let on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.let_on = asyncio.Event()

    async def __call__(self, connection: AsyncConnection) -> str:
        await note("first")(connection)
        self.reached.set()
        await self.let_on.wait()
        await note("second")(connection)
        return "done"


# All or nothing


async def test_a_unit_that_fails_stores_nothing_and_the_next_one_works(database: Database) -> None:
    async def work(connection: AsyncConnection) -> None:
        await note("half")(connection)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        await database.write(work)
    assert await notes(database) == []
    await database.write(note("whole"))
    assert await notes(database) == ["whole"]


async def test_a_refused_statement_takes_the_whole_unit_with_it(database: Database) -> None:
    async def work(connection: AsyncConnection) -> None:
        await note("half")(connection)
        await connection.execute(text("INSERT INTO no_such_table VALUES (1)"))

    with pytest.raises(StorageError, match="no_such_table"):
        await database.write(work)
    assert await notes(database) == []
    await database.write(note("whole"))
    assert await notes(database) == ["whole"]


async def test_nobody_sees_half_a_unit(database: Database) -> None:
    gate = Gate()
    unit = asyncio.create_task(database.write(gate))
    await gate.reached.wait()
    assert await notes(database) == []
    gate.let_on.set()
    assert await unit == "done"
    assert await notes(database) == ["first", "second"]


# Cancelled


@pytest.mark.parametrize("times", [1, 2, 5])
async def test_a_cancelled_caller_waits_until_its_unit_is_stored(
    database: Database, times: int
) -> None:
    gate = Gate()
    caller = asyncio.create_task(database.write(gate))
    await gate.reached.wait()
    for _ in range(times):
        caller.cancel()
        await asyncio.sleep(0.01)
    assert not caller.done()
    gate.let_on.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert await notes(database) == ["first", "second"]
    await database.write(note("next"))
    assert len(await notes(database)) == 3


async def test_a_cancelled_caller_whose_unit_fails_leaves_nothing(database: Database) -> None:
    gate = Gate()

    async def work(connection: AsyncConnection) -> None:
        await gate(connection)
        raise ValueError("no more")

    caller = asyncio.create_task(database.write(work))
    await gate.reached.wait()
    caller.cancel()
    gate.let_on.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert await notes(database) == []


async def test_callers_cancelled_at_any_moment_leave_whole_units(database: Database) -> None:
    async def work(connection: AsyncConnection) -> None:
        await note("a")(connection)
        await asyncio.sleep(0)
        await note("b")(connection)

    for patience in range(30):
        caller = asyncio.create_task(database.write(work))
        for _ in range(patience):
            await asyncio.sleep(0)
        caller.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await caller
    stored = await notes(database)
    assert stored.count("a") == stored.count("b")
    await database.write(note("next"))
    assert "next" in await notes(database)


async def test_a_unit_ended_by_the_loop_itself_is_rolled_back(database: Database) -> None:
    gate = Gate()
    before = asyncio.all_tasks()
    caller = asyncio.create_task(database.write(gate))
    await gate.reached.wait()
    for task in asyncio.all_tasks() - before:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert await notes(database) == []
    await database.write(note("next"))
    assert await notes(database) == ["next"]


# One after the other


async def test_units_do_not_interleave(database: Database) -> None:
    async def add_one(connection: AsyncConnection) -> None:
        count = (await connection.execute(text("SELECT count(*) FROM notes"))).scalar_one()
        await asyncio.sleep(0)
        await note(str(count))(connection)

    await asyncio.gather(*(database.write(add_one) for _ in range(20)))
    assert await notes(database) == [str(n) for n in range(20)]


async def test_units_run_in_the_order_they_were_asked_for(database: Database) -> None:
    gate = Gate()
    first = asyncio.create_task(database.write(gate))
    await gate.reached.wait()
    others = []
    for n in range(5):
        others.append(asyncio.create_task(database.write(note(str(n)))))
        await asyncio.sleep(0)
    gate.let_on.set()
    await asyncio.gather(first, *others)
    assert await notes(database) == ["first", "second", "0", "1", "2", "3", "4"]


async def test_reading_goes_on_while_a_unit_is_under_way(database: Database) -> None:
    gate = Gate()
    unit = asyncio.create_task(database.write(gate))
    await gate.reached.wait()
    assert await asyncio.gather(*(notes(database) for _ in range(12))) == [[]] * 12
    gate.let_on.set()
    await unit


# Beside another process

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("INSERT INTO notes VALUES ('theirs')")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
connection.close()
"""


@pytest.fixture
async def on_file(sqlite_url: str) -> AsyncIterator[Database]:
    """A SQLite database with one table of notes."""
    opened = Database(sqlite_url)
    try:
        await opened.write(lambda c: c.execute(text("CREATE TABLE notes (word TEXT)")))
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def other_process(on_file: Database) -> Iterator[subprocess.Popen[str]]:
    """Another process, in the middle of a transaction that ends at its next line of input."""
    command = [sys.executable, "-c", HOLD, str(on_file.path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.communicate("end\n" if process.poll() is None else None)


async def test_reading_then_writing_waits_for_another_process(
    on_file: Database, other_process: subprocess.Popen[str]
) -> None:
    async def count_then_note(connection: AsyncConnection) -> None:
        count = (await connection.execute(text("SELECT count(*) FROM notes"))).scalar_one()
        await note(f"after {count}")(connection)

    unit = asyncio.create_task(on_file.write(count_then_note))
    done, _ = await asyncio.wait([unit], timeout=0.2)
    assert not done
    assert await notes(on_file) == []
    other_process.communicate("end\n")
    await unit
    assert await notes(on_file) == ["theirs", "after 1"]


async def test_two_processes_that_read_then_write_lose_nothing(on_file: Database) -> None:
    async def add_one(connection: AsyncConnection) -> None:
        count = (await connection.execute(text("SELECT count(*) FROM notes"))).scalar_one()
        await note(str(count))(connection)

    other = Database(f"sqlite:///{on_file.path}", checkpoints=False)
    await asyncio.gather(*(each.write(add_one) for _ in range(15) for each in (on_file, other)))
    assert sorted(map(int, await notes(on_file))) == list(range(30))
    await other.close()


async def test_who_waits_too_long_is_told_what_happened(
    on_file: Database, other_process: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.database, "BUSY_SECONDS", 0.05)
    hasty = Database(f"sqlite:///{on_file.path}")
    with pytest.raises(StorageBusy, match="Another process has been writing to") as caught:
        await hasty.write(note("mine"))
    assert str(on_file.path) in str(caught.value)
    assert "Nothing was stored: try again" in str(caught.value)
    assert "locked" not in str(caught.value)
    other_process.communicate("end\n")
    await hasty.write(note("mine"))
    await hasty.close()
    assert await notes(on_file) == ["theirs", "mine"]


# A full disk


async def test_a_disk_that_fills_at_any_write_stores_nothing_of_the_unit(sqlite_url: str) -> None:
    """Every point at which pages can run out is tried, until a load goes through."""
    shows = [a_show(f"show-{n}", aliases=("x" * 200,)) for n in range(20)]
    updates = [a_trailer(show=show.id, evidence="x" * 500) for show in shows for _ in range(2)]
    refused = 0
    async with open_storage(sqlite_url, trust()) as opened:
        before = await everything(opened)
        for room in range(1000):
            await limit(opened, room)
            try:
                await opened.publishing.load(list(enumerate([*shows, *updates], 1)), TODAY)
            except StorageFull:
                refused += 1
                assert await everything(opened) == before
            else:
                break
        assert refused > 10
        assert len(await opened.updates.all()) == len(updates)


async def test_when_there_is_room_again_a_full_store_goes_on(sqlite_url: str) -> None:
    async with open_storage(sqlite_url, trust()) as opened:
        await put_shows(opened)
        await follow(opened, *map(a_chat, range(50)))
        await limit(opened, 0)
        with pytest.raises(StorageFull, match=r"is full\. Nothing was stored: make room"):
            await publish_for_ever(opened)
        stored = len(await opened.updates.all())
        await limit(opened, 1_000_000)
        await publish(opened, a_trailer())
        await fan_out(opened)
        assert [one.seq for one in (await opened.fanouts.unread(1))] == []
        await deliver(opened)
        assert await states(opened) == {"sent": 50 * (stored + 1)}


async def publish_for_ever(opened: Storage) -> None:
    """What was published is there, until no more fits."""
    for stored in range(100_000):
        assert len(await opened.updates.all()) == stored
        await publish(opened, a_trailer(evidence="x" * 500))


async def limit(opened: Storage, room: int) -> None:
    """Let the file grow by this many pages and no more."""

    async def work(connection: AsyncConnection) -> None:
        pages = (await connection.execute(text("PRAGMA page_count"))).scalar_one()
        await connection.execute(text(f"PRAGMA max_page_count = {pages + room}"))

    await opened.database.write(work)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_disk_that_is_really_full_is_named_and_freed_again(small_disk: Path) -> None:
    path = small_disk / "cliffhanger.db"
    async with open_storage(f"sqlite:///{path}", trust()) as opened:
        await put_shows(opened)
        await follow(opened, a_chat())
        ballast = small_disk / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        with pytest.raises(StorageFull, match=f"The disk that holds {path} is full"):
            await publish_for_ever(opened)
        stored = len(await opened.updates.all())
        ballast.unlink()
        await tell(opened)
        await deliver(opened)
        assert await states(opened) == {"sent": stored + 1}


# Connections


async def test_every_connection_has_the_settings_that_keep_data_safe(on_file: Database) -> None:
    expected = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "recursive_triggers": 1,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "busy_timeout": 2_000,
        "wal_autocheckpoint": 1000,
    }
    together = asyncio.Barrier(4)

    async def settings(connection: AsyncConnection) -> dict[str, Any]:
        await asyncio.wait_for(together.wait(), 30)
        return await settings_of(connection)

    async def settings_of(connection: AsyncConnection) -> dict[str, Any]:
        return {
            name: (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in expected
        }

    assert await on_file.write(settings_of) == expected
    readers = await asyncio.gather(*(on_file.read(settings) for _ in range(4)))
    assert readers == [expected] * 4


async def test_a_tool_beside_the_bot_leaves_the_checkpoint_to_it(on_file: Database) -> None:
    path = str(on_file.path)
    await on_file.write(note("bot"))
    tool = Database(f"sqlite:///{path}", checkpoints=False)
    before = Path(path).read_bytes()
    await tool.write(lots)
    await tool.close()
    assert Path(path).read_bytes() == before
    assert Path(f"{path}-wal").stat().st_size > 8_000_000
    await on_file.write(note("bot"))
    assert len(Path(path).read_bytes()) > 8_000_000


async def lots(connection: AsyncConnection) -> None:
    """More than a checkpoint would wait for."""
    for _ in range(100):
        await note("x" * 100_000)(connection)


async def test_after_the_end_nothing_is_opened_any_more(database: Database) -> None:
    await database.close()
    with pytest.raises(StorageError, match="is closed already"):
        await database.write(note("late"))
    with pytest.raises(StorageError, match="is closed already"):
        await notes(database)
    await database.close()


async def test_closing_waits_for_what_is_under_way(database: Database) -> None:
    gate, reading = Gate(), asyncio.Event()

    async def slow(connection: AsyncConnection) -> Any:
        reading.set()
        await gate.let_on.wait()
        return (await connection.execute(text("SELECT count(*) FROM notes"))).scalar_one()

    unit = asyncio.create_task(database.write(gate))
    read = asyncio.create_task(database.read(slow))
    await gate.reached.wait()
    await reading.wait()
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    gate.let_on.set()
    await closing
    assert unit.done()
    assert read.done()
    assert await unit == "done"
    await read


ENDS = """
import asyncio, signal, sqlite3, sys
from sqlalchemy import text
from storage.store import open_storage
from storage.trust import trust
url = "sqlite:///" + sys.argv[1]
# A shell that starts the tests in the background has its children ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

async def main():
    {}

async def use(storage):
    await asyncio.gather(*(storage.shows.count() for _ in range(8)))

asyncio.run(main())
"""


def well() -> str:
    return """
    async with open_storage(url, trust()) as storage:
        await use(storage)"""


def by_an_error() -> str:
    return """
    async with open_storage(url, trust()) as storage:
        await use(storage)
        raise ValueError"""


def with_tasks_left() -> str:
    return """
    async def late(storage):
        try:
            await asyncio.sleep(60)
        finally:
            await storage.shows.count()
    async with open_storage(url, trust()) as storage:
        await use(storage)
        task = asyncio.create_task(late(storage))
        await asyncio.sleep(0)"""


def by_a_newer_version() -> str:
    return """
    async with open_storage(url, trust()) as storage:
        await storage.database.write(
            lambda c: c.execute(text("UPDATE alembic_version SET version_num = '0999'")))
    async with open_storage(url, trust()):
        pass"""


def by_what_is_no_database() -> str:
    return """
    open(sys.argv[1], "w").write("no database" * 100)
    async with open_storage(url, trust()):
        pass"""


def by_a_signal() -> str:
    return """
    import os, signal
    async def work(connection):
        await connection.execute(text("DELETE FROM counters"))
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0.2)
    async with open_storage(url, trust()) as storage:
        await use(storage)
        await storage.database.write(work)"""


@pytest.mark.parametrize(
    "ending",
    [
        well,
        by_an_error,
        with_tasks_left,
        by_a_newer_version,
        by_what_is_no_database,
        by_a_signal,
    ],
)
def test_a_process_ends_however_it_leaves_the_store(
    tmp_path: Path, ending: Callable[[], str]
) -> None:
    """A connection that is left open would hang it: the thread of a connection never ends."""
    script = ENDS.format(ending().strip())
    command = [sys.executable, "-c", script, str(tmp_path / "cliffhanger.db")]
    ended = subprocess.run(command, cwd=ROOT, timeout=30, capture_output=True, text=True)
    assert (ended.returncode == 0) == (ending in (well, with_tasks_left)), ended.stderr
