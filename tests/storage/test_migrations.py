"""Opening a database: from nothing, from an older version, from what is none of ours."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from bot.errors import StorageError, StorageUnusable
from bot.model import Destination, Platform
from storage import schema, upgrade
from storage.database import Database, check_file
from storage.migrations import HEAD
from storage.store import Storage, open_storage
from storage.trust import trust
from storage.upgrade import Working
from tests.build import NOW, ROOT, a_show
from tests.storage.builders import LEASE, everything, put_shows, sql, write


@pytest.fixture
def path(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """What is private must be so even where new files are open to everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


async def open_and_close(url: str) -> None:
    async with open_storage(url, trust()):
        pass


def backups(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.backup*"))


# From nothing


async def test_an_empty_database_is_brought_to_the_newest_version(storage: Storage) -> None:
    assert await upgrade.current_version(storage.database) == HEAD
    assert await storage.shows.count() == 0
    assert await storage.fanouts.unread(1) == []


async def test_the_migrated_tables_are_those_of_the_schema(storage: Storage) -> None:
    def differences(connection: Connection) -> Any:
        options = {"compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), all_tables)

    all_tables = schema.metadata
    assert await storage.database.read(lambda c: c.run_sync(differences)) == []


async def test_checks_indexes_keys_and_options_are_those_of_the_schema(storage: Storage) -> None:
    migrated = await storage.database.read(lambda c: c.run_sync(reflected))
    await storage.database.write(lambda c: c.run_sync(_create_anew))
    assert migrated == await storage.database.read(lambda c: c.run_sync(reflected))
    checks = {check for table in migrated.values() for check in table["checks"]}
    assert {
        "ck_deliveries_state",
        "ck_deliveries_flight",
        "ck_destinations_platform",
        "ck_subscriptions_kinds",
        "ck_subscriptions_publish",
        "ck_updates_pushes",
        "ck_fanouts_done",
    } <= checks


def _create_anew(connection: Connection) -> None:
    schema.metadata.drop_all(connection)
    schema.metadata.create_all(connection)


def reflected(connection: Connection) -> dict[str, dict[str, Any]]:
    """All that defines the tables and that Alembic does not compare."""
    found = inspect(connection)
    tables = {name: found for name in found.get_table_names() if name != "alembic_version"}
    return {
        name: {
            "checks": {
                check["name"]: check["sqltext"] for check in found.get_check_constraints(name)
            },
            "indexes": {
                index["name"]: (
                    index["column_names"],
                    {name: str(words) for name, words in index.get("dialect_options", {}).items()},
                )
                for index in found.get_indexes(name)
            },
            "key": found.get_pk_constraint(name),
            "unique": sorted(map(repr, found.get_unique_constraints(name))),
            "references": sorted(map(repr, found.get_foreign_keys(name))),
            "columns": [
                (column["name"], repr(column["type"]), column["nullable"], column["default"])
                for column in found.get_columns(name)
            ],
            "options": found.get_table_options(name),
        }
        for name in tables
    }


CLUSTERED = {
    "counters", "deliveries", "focuses", "notes", "posts", "shows", "subscriptions", "titles",
    "wishes",
}  # fmt: skip


async def test_sqlite_enforces_types_and_clusters_the_big_tables(sqlite_url: str) -> None:
    async with open_storage(sqlite_url, trust()) as storage:
        made = dict(await sql(storage, "SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
    del made["alembic_version"], made["sqlite_sequence"]  # of Alembic and of AUTOINCREMENT
    assert set(made) == set(schema.metadata.tables)
    assert {name for name, words in made.items() if _option("STRICT", words)} == set(made)
    assert {name for name, words in made.items() if _option("WITHOUT ROWID", words)} == CLUSTERED


def _option(option: str, made: str) -> bool:
    return option in made.rpartition(")")[2]


async def test_only_due_and_open_rows_are_indexed(storage: Storage) -> None:
    listed = (
        "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        if storage.database.path
        else "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"
    )
    partial = {
        match[1]
        for (words,) in await sql(storage, listed)
        if (match := re.search(r"INDEX (\w+) .* WHERE ", words))
    }
    assert partial == {
        "ix_deliveries_due", "ix_deliveries_repeats", "ix_deliveries_waiting",
        "ix_destinations_home", "ix_destinations_moved", "ix_fanouts_open",
        "ix_subscriptions_extras", "ix_updates_until",
    }  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO destinations (platform, chat_id) VALUES ('pigeon', 1)",
        "INSERT INTO subscriptions VALUES ('all-of-us-are-dead', 1, 16, 0, 2, NULL, 0)",
        "INSERT INTO subscriptions VALUES ('all-of-us-are-dead', 1, 0, 0, 2, NULL, 0)",
        "INSERT INTO subscriptions VALUES ('all-of-us-are-dead', 1, 1, 0, 2, NULL, 2)",
        "INSERT INTO subscriptions VALUES ('no-such-show', 1, 1, 0, 2, NULL, 0)",
        "INSERT INTO subscriptions VALUES ('all-of-us-are-dead', 99, 1, 0, 2, NULL, 0)",
        "INSERT INTO posts VALUES (99, 'all-of-us-are-dead', 1)",
        "INSERT INTO destinations (platform, chat_id) VALUES ('telegram', 7)",
        "INSERT INTO fanouts (update_seq, show_id, kinds, due_at) VALUES (9, 'x', 1, 1)",
        "INSERT INTO counters VALUES ('name', 'text')",
    ],
)
async def test_the_database_itself_refuses_rows_that_make_no_sense(
    storage: Storage, statement: str
) -> None:
    await put_shows(storage)
    await write(storage, "INSERT INTO destinations (platform, chat_id) VALUES ('telegram', 7)")
    before = await everything(storage)
    with pytest.raises(StorageError):
        await write(storage, statement)
    assert await everything(storage) == before


def test_head_is_the_newest_step_and_the_steps_are_one_line() -> None:
    steps = ScriptDirectory(str(ROOT / "storage" / "migrations"))
    assert steps.get_heads() == [HEAD]
    assert len(steps.get_bases()) == 1
    for step in steps.walk_revisions():
        assert Path(step.path).name.split("_")[0] == step.revision


def _noted(told: list[str]) -> Working:
    """Notes what long work is under way."""

    def working(words: str) -> AbstractContextManager[None]:
        told.append(words)
        return nullcontext()

    return working


async def test_opening_again_changes_nothing(database_url: str) -> None:
    async with open_storage(database_url, trust()) as storage:
        await put_shows(storage)
        before = await everything(storage)
    told: list[str] = []
    async with open_storage(database_url, trust(), working=_noted(told)) as storage:
        assert await everything(storage) == before
    assert told == []


async def test_no_backup_is_made_of_a_database_of_this_version(sqlite_url: str, path: Path) -> None:
    await open_and_close(sqlite_url)
    content = path.read_bytes()
    await open_and_close(sqlite_url)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


async def test_only_its_owner_may_read_the_database(sqlite_url: str, path: Path) -> None:
    async with open_storage(sqlite_url, trust()) as storage:
        await put_shows(storage)
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == dict.fromkeys([path.name, f"{path.name}-wal", f"{path.name}-shm"], 0o600)


async def test_processes_that_start_together_make_one_database(path: Path) -> None:
    script = (
        "import asyncio, sys, tests.storage.test_migrations as m\n"
        "asyncio.run(m.open_and_close(sys.argv[1]))"
    )
    command = [sys.executable, "-c", script, f"sqlite:///{path}"]
    started = [subprocess.Popen(command, cwd=ROOT) for _ in range(3)]
    assert [one.wait(60) for one in started] == [0, 0, 0]
    check_file(path)


# What is none of ours


async def test_a_newer_version_is_refused_and_left_as_it_is(database_url: str) -> None:
    async with open_storage(database_url, trust()) as storage:
        await write(storage, "UPDATE alembic_version SET version_num = '0999'")
    database = Database(database_url)
    before = await everything(database)
    content = database.path.read_bytes() if database.path else b""
    with pytest.raises(StorageUnusable, match=rf"version 0999, .* up to {HEAD}\. Install"):
        await open_and_close(database_url)
    assert await everything(database) == before
    await database.close()
    if database.path:
        assert database.path.read_bytes() == content
        assert backups(database.path) == []


async def test_a_database_of_something_else_is_refused_and_left_as_it_is(database_url: str) -> None:
    database = Database(database_url)
    await write(database, "CREATE TABLE recipes (name TEXT)", "INSERT INTO recipes VALUES ('pie')")
    with pytest.raises(
        StorageUnusable, match=r"tables that are not Cliffhanger's\. Set DATABASE_URL"
    ):
        await open_and_close(database_url)
    assert await everything(database) == {"recipes": [("pie",)]}
    await database.close()


@pytest.mark.parametrize("content", [b"no database\n" * 100, b"\0" * 4096, b"x" * 20])
async def test_what_is_not_a_database_is_refused_and_left_as_it_is(
    sqlite_url: str, path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    with pytest.raises(
        StorageUnusable, match=r"is not a database of Cliffhanger\. Set DATABASE_URL"
    ):
        await open_and_close(sqlite_url)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def nothing_there(folder: Path) -> Path:
    return folder / "missing" / "cliffhanger.db"


def a_folder(folder: Path) -> Path:
    (folder / "cliffhanger.db").mkdir()
    return folder / "cliffhanger.db"


def below_a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file" / "cliffhanger.db"


def too_long(folder: Path) -> Path:
    return folder / ("x" * 300)


def a_loop(folder: Path) -> Path:
    (folder / "cliffhanger.db").symlink_to(folder / "cliffhanger.db")
    return folder / "cliffhanger.db"


def where_nothing_can_be_made(_folder: Path) -> Path:
    return Path("/proc/cliffhanger.db")


@pytest.mark.parametrize(
    "place", [nothing_there, a_folder, below_a_file, too_long, a_loop, where_nothing_can_be_made]
)
async def test_a_place_that_cannot_be_written_is_named_with_what_to_do(
    tmp_path: Path, place: Any
) -> None:
    path = place(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StorageUnusable, match="Check that its folder exists and that") as caught:
        await open_and_close(f"sqlite:///{path}")
    assert str(path) in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


# From an older version

STEP = '''
"""A step of tomorrow."""
from alembic import op
revision = "0005"
down_revision = "0004"
def upgrade() -> None:
    op.execute("CREATE TABLE seasons (number INTEGER)")
    op.execute("UPDATE shows SET title = 'changed'")
    {then}
'''


FIRST_ROWS = (
    "INSERT INTO shows VALUES ('dark', 'Dark', '{}'), ('alf', 'ALF', '{}')",
    "INSERT INTO titles VALUES ('dark', 0, 'Dark'), ('dark', 1, 'Темнота')",
    "INSERT INTO updates VALUES (1, 'u1', 'dark', 'renewed', 1, '2026-11-20', NULL, 1, NULL, '{}')",
    "INSERT INTO updates VALUES (2, 'u2', 'dark', 'retracted', 1, '2026-11-21', NULL, 1, 1, '{}')",
    "UPDATE counters SET value = 2 WHERE name IN ('updates', 'fanout')",
    "INSERT INTO destinations (platform, chat_id, thread_id) VALUES "
    "('telegram', -5, 7), ('terminal', 0, 0), ('discord', 5, 0), ('telegram', -5, 0)",
    "INSERT INTO suspensions VALUES (4, 'kicked', 1000)",
    "INSERT INTO wishes VALUES (1, 'dune', 1000)",
    "INSERT INTO subscriptions SELECT 'dark', id, 15, 0 FROM destinations",
    "INSERT INTO subscriptions VALUES ('alf', 3, 4, 1)",
    "INSERT INTO fanouts VALUES (1, 'dark', 15, NULL, 1000, 3, 4, 1), "
    "(2, 'dark', 15, 1, 1000, 1, 1, 0)",
    "INSERT INTO deliveries VALUES (1, 1, 'sent', 1000, 1, 0, 'm1', NULL, 2000)",
    "INSERT INTO deliveries VALUES (1, 2, 'pending', 1000, 2, 1, NULL, 'no answer', NULL)",
    "INSERT INTO deliveries VALUES (2, 1, 'uncertain', 1000, 3, 2, NULL, 'no answer', 2000)",
    "INSERT INTO deliveries VALUES (3, 1, 'pending', 1000, 0, 0, NULL, NULL, NULL)",
    "INSERT INTO deliveries VALUES (4, 1, 'held', 1000, 1, 0, NULL, 'kicked', 2000)",
)
"""Something in every table of the first version, for every platform."""

LANES = {1: 2, 2: 0, 3: 1, 4: 2}


SECOND_ROWS = (
    "INSERT INTO destinations (platform, chat_id, moved_to) VALUES ('telegram', -6, 4)",
    "INSERT INTO doubts VALUES (3, 'not found', 1000, 2)",
    "INSERT INTO keyboards VALUES ('k1', 'telegram', -5, 'm1', -5, 0, 1, '[]', 1000)",
    "INSERT INTO focuses VALUES ('telegram', 1, -5)",
)
"""Something in all that the second version has added."""

THIRD_ROWS = (
    "INSERT INTO posts VALUES (3, 'dark', 77)",
    "INSERT INTO notes VALUES ('name', 'value')",
)
"""Something in all that the third version has added."""


async def old_version(url: str, version: str, *more: str) -> dict[str, list[tuple[Any, ...]]]:
    """A database that came from 0001 with all of those rows, and more of its own version.

    Returns the rows as they are stored.
    """

    def step_to(connection: Connection, revision: str) -> None:
        config = Config()
        config.set_main_option("script_location", str(ROOT / "storage" / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    database = Database(url)
    await database.write(lambda connection: connection.run_sync(step_to, "0001"))
    await write(database, *FIRST_ROWS)
    await database.write(lambda connection: connection.run_sync(step_to, version))
    await write(database, *more)
    stored = await everything(database)
    await database.close()
    return stored


async def test_a_database_of_the_first_version_keeps_all_and_gets_its_lanes(
    database_url: str,
) -> None:
    before = await old_version(database_url, "0001")
    assert [] not in before.values()
    del before["alembic_version"]
    expected = {
        **before,
        "destinations": [(*row, None, None) for row in before["destinations"]],
        "subscriptions": [(*row, LANES[row[1]], None, 0) for row in before["subscriptions"]],
        "deliveries": [(*row, LANES[row[0]], None, 0, None) for row in before["deliveries"]],
        **with_corrections(before),
    }
    async with open_storage(database_url, trust()) as storage:
        assert await upgrade.current_version(storage.database) == HEAD
        after = await everything(storage)
        assert {name: after[name] for name in before} == expected
        assert [after[name] for name in ("doubts", "keyboards", "focuses")] == [[], [], []]
        for platform, due in zip(Platform, (0, 1, 1), strict=True):
            assert await storage.deliveries.waiting(NOW, 10, platform) == due
        (parcel,) = await storage.deliveries.claim(NOW, LEASE, 10, platform=Platform.DISCORD)
        assert parcel.destination == Destination(Platform.DISCORD, 5)


async def test_a_database_of_the_second_version_keeps_all(database_url: str) -> None:
    before = await old_version(database_url, "0002", *SECOND_ROWS)
    assert [] not in before.values()
    del before["alembic_version"]
    expected = {
        **before,
        "destinations": [(*row, None) for row in before["destinations"]],
        "subscriptions": [(*row, None, 0) for row in before["subscriptions"]],
        "deliveries": [(*row, None, 0, None) for row in before["deliveries"]],
        **with_corrections(before),
    }
    async with open_storage(database_url, trust()) as storage:
        assert await upgrade.current_version(storage.database) == HEAD
        after = await everything(storage)
        assert {name: after[name] for name in before} == expected
        assert [after[name] for name in ("posts", "notes")] == [[], []]


async def test_a_database_of_the_third_version_keeps_all_and_nothing_in_it_has_died(
    database_url: str,
) -> None:
    before = await old_version(database_url, "0003", *SECOND_ROWS, *THIRD_ROWS)
    assert [] not in before.values()
    del before["alembic_version"]
    expected = {
        **before,
        "deliveries": [(*row, 0, None) for row in before["deliveries"]],
        **with_corrections(before),
    }
    async with open_storage(database_url, trust()) as storage:
        assert await upgrade.current_version(storage.database) == HEAD
        assert await everything(storage) == {**expected, "alembic_version": [(HEAD,)]}
        assert await storage.deliveries.unaccounted() == 0
        assert await storage.deliveries.release(NOW) == 1  # what the old version had claimed


def with_corrections(before: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """Updates and jobs as the fourth version stores them: what is there corrects nothing."""
    return {name: [(*row, None) for row in before[name]] for name in ("updates", "fanouts")}


@pytest.fixture
def tomorrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The steps of a next version, for which a test writes `0005_next.py`."""
    steps = tmp_path / "tomorrow"
    shutil.copytree(ROOT / "storage" / "migrations", steps)
    monkeypatch.setattr(upgrade, "_STEPS", steps)
    monkeypatch.setattr(upgrade, "HEAD", "0005")
    return steps / "versions" / "0005_next.py"


async def old_database(url: str) -> None:
    async with open_storage(url, trust()) as storage:
        await put_shows(storage)


@pytest.fixture
async def yesterdays_file(sqlite_url: str, path: Path) -> Path:
    """A file made by today's version, with something in it."""
    await old_database(sqlite_url)
    return path


async def test_an_older_database_gets_the_missing_steps_and_keeps_its_rows(
    yesterdays_file: Path, tomorrow: Path
) -> None:
    tomorrow.write_text(STEP.format(then=""))
    async with open_storage(f"sqlite:///{yesterdays_file}", trust()) as storage:
        assert await upgrade.current_version(storage.database) == "0005"
        assert await sql(storage, "SELECT title FROM shows") == [("changed",)]
        assert await sql(storage, "SELECT count(*) FROM seasons") == [(0,)]


async def test_before_a_step_a_checked_private_copy_is_made_and_told(
    yesterdays_file: Path, tomorrow: Path
) -> None:
    tomorrow.write_text(STEP.format(then=""))
    told: list[str] = []
    async with open_storage(f"sqlite:///{yesterdays_file}", trust(), working=_noted(told)):
        pass
    (copy,) = backups(yesterdays_file)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert told == [
        "Copying the database before it goes from version 0004 to 0005",
        "Bringing the database to version 0005",
    ]
    check_file(copy)
    assert rows(copy, "SELECT version_num FROM alembic_version") == [("0004",)]
    assert rows(copy, "SELECT title FROM shows") == [(a_show().title,)]


async def test_a_step_that_fails_leaves_the_old_state_and_the_copy(
    yesterdays_file: Path, tomorrow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tomorrow.write_text(STEP.format(then='op.execute("SELECT nonsense")'))
    with pytest.raises(StorageError, match="nonsense"):
        await open_and_close(f"sqlite:///{yesterdays_file}")
    assert len(backups(yesterdays_file)) == 1
    assert_as_of_today(yesterdays_file)
    monkeypatch.undo()
    await open_and_close(f"sqlite:///{yesterdays_file}")


async def test_a_step_that_is_killed_leaves_the_old_state(
    yesterdays_file: Path, tomorrow: Path
) -> None:
    tomorrow.write_text(STEP.format(then="import os; os._exit(9)"))
    script = (
        "import asyncio, pathlib, sys; from storage import upgrade\n"
        "import tests.storage.test_migrations as m\n"
        "upgrade._STEPS = pathlib.Path(sys.argv[2]); upgrade.HEAD = '0005'\n"
        "asyncio.run(m.open_and_close(sys.argv[1]))"
    )
    where = [f"sqlite:///{yesterdays_file}", str(tomorrow.parent.parent)]
    killed = subprocess.run([sys.executable, "-c", script, *where], cwd=ROOT, timeout=60)
    assert killed.returncode == 9
    assert_as_of_today(yesterdays_file)


async def test_without_a_backup_there_is_no_step(
    yesterdays_file: Path, tomorrow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(source: Path, target: Path) -> None:
        raise StorageError("The backup failed.")

    tomorrow.write_text(STEP.format(then=""))
    monkeypatch.setattr(upgrade, "back_up", no_room)
    with pytest.raises(StorageError, match="The backup failed"):
        await open_and_close(f"sqlite:///{yesterdays_file}")
    assert_as_of_today(yesterdays_file)


def assert_as_of_today(path: Path) -> None:
    assert rows(path, "SELECT version_num FROM alembic_version") == [(HEAD,)]
    assert rows(path, "SELECT title FROM shows") == [(a_show().title,)]
    assert rows(path, "SELECT 1 FROM sqlite_master WHERE name = 'seasons'") == []
    check_file(path)


def rows(path: Path, statement: str) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


# The check of an operator


async def test_the_check_is_content_with_a_database_of_this_version(storage: Storage) -> None:
    await upgrade.check(storage.database)


async def test_the_check_names_a_database_that_is_not_there(sqlite_url: str, path: Path) -> None:
    database = Database(sqlite_url)
    with pytest.raises(StorageUnusable, match=f"There is no database at {path} yet"):
        await upgrade.check(database)
    await database.close()
    assert not path.exists()


async def test_the_check_names_the_command_for_an_older_database(
    yesterdays_file: Path, tomorrow: Path
) -> None:
    tomorrow.write_text(STEP.format(then=""))
    database = Database(f"sqlite:///{yesterdays_file}")
    with pytest.raises(StorageUnusable, match=r"version 0004; `cliffhanger db upgrade` .* 0005"):
        await upgrade.check(database)
    await database.close()
