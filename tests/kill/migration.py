"""Kills while a database of the first version is brought to today's."""

import asyncio
import datetime as dt
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from bot.poll import decide
from storage.database import Database, check_file
from storage.migrations import HEAD
from storage.store import open_storage
from storage.trust import trust
from tests.build import ROOT
from tests.kill.points import CHUNK
from tests.kill.scene import Scene

FIRST: Final = "0001"
_IN_THE_BACKUP: Final = ("backup.copying", "backup.checked", "backup.made")


def kill_in_migration(scene: Scene, stride: int) -> int:
    """Kill in the backup before the steps, then at each `stride`-th statement of them.

    Each time the database is as it was. The last upgrade is let through; then a bot delivers what
    was under way in the old database. Returns how many were killed.
    """
    _fill(scene)
    _age(scene.url, scene.database)
    killed = 0
    for point in _IN_THE_BACKUP:
        scene.died(scene.nursery.start("run", point=point))
        _check_as_it_was(scene.database)
        killed += 1
    step = 1
    while (code := scene.nursery.do("db", "upgrade", point="migration.step", nth=step)) != 0:
        assert code == -signal.SIGKILL, f"it ended with {code}:\n{scene.tail}"
        _check_as_it_was(scene.database)
        killed += 1
        step += stride
    assert step > stride, "no statement was ever come to"
    assert _version(scene.database) == HEAD
    for copy in scene.folder.glob("*.backup"):
        check_file(copy)
    bot = scene.bot()
    scene.delivered(bot)
    scene.stop(bot)
    return killed


def _fill(scene: Scene) -> None:
    """An update whose fan-out is half done, and one that nobody has taken yet."""
    scene.stock()
    scene.publish()
    asyncio.run(_begin_fan_out(scene.url))
    scene.publish()


async def _begin_fan_out(url: str) -> None:
    async with open_storage(url, trust()) as storage:
        await storage.fanouts.take(decide, dt.datetime.now(dt.UTC), 500)
        (seq,) = await storage.fanouts.open_jobs()
        assert await storage.fanouts.expand(seq, CHUNK) == CHUNK


def _age(url: str, path: Path) -> None:
    """Put all that the first version could store into a database as that version made it."""
    new = path.with_name("new.db")
    path.rename(new)
    asyncio.run(_make_first(url))
    with closing(sqlite3.connect(path)) as old:
        old.execute("ATTACH ? AS new", (str(new),))
        old.execute("DELETE FROM counters")
        found = old.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in found:
            if table not in ("alembic_version", "sqlite_sequence"):
                columns = ", ".join(
                    row[1] for row in old.execute(f"PRAGMA main.table_info({table})")
                )
                old.execute(
                    f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}"
                )
        old.commit()
    new.unlink()


async def _make_first(url: str) -> None:
    database = Database(url)
    await database.write(lambda connection: connection.run_sync(_steps_to_first))
    await database.close()


def _steps_to_first(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "storage" / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, FIRST)


def _check_as_it_was(path: Path) -> None:
    check_file(path)
    assert _version(path) == FIRST


def _version(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        return str(database.execute("SELECT version_num FROM alembic_version").fetchone()[0])
