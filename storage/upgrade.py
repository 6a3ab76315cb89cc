"""Brings a database to today's tables: a checked backup first, then the missing steps."""

import datetime as dt
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import StorageUnusable
from storage.database import Database, back_up, check_file, create_private
from storage.migrations import HEAD

Working = Callable[[str], AbstractContextManager[object]]
"""Is entered while something long is done, with what it is, so that a person sees progress."""

_STEPS: Final = Path(__file__).parent / "migrations"


async def upgrade(database: Database, working: Working) -> None:
    """Make the tables those of this version; raises `StorageUnusable` for a newer database."""
    if database.path is not None:
        create_private(database.path)
    version = await current_version(database)
    if version == HEAD:
        return
    if version is not None:
        _check_known(database, version)
        if database.path is not None:
            with working(f"Copying the database before it goes from version {version} to {HEAD}"):
                await back_up_now(database)
    with working(f"Bringing the database to version {HEAD}"):
        await database.write(lambda connection: connection.run_sync(_run_steps))


async def current_version(database: Database) -> str | None:
    """The version of the tables, `None` for an empty database.

    Raises `StorageUnusable` when the tables are not Cliffhanger's.
    """
    return await database.read(lambda connection: _version(connection, database))


async def _version(connection: AsyncConnection, database: Database) -> str | None:
    tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    if "alembic_version" in tables:
        return str(await connection.scalar(text("SELECT version_num FROM alembic_version")))
    if tables:
        raise StorageUnusable(
            f"{database.shown} holds tables that are not Cliffhanger's. Set DATABASE_URL to a "
            "database of its own."
        )
    return None


def _check_known(database: Database, version: str) -> None:
    known = {path.name.split("_")[0] for path in (_STEPS / "versions").glob("[0-9]*_*.py")}
    if version not in known:
        raise StorageUnusable(
            f"{database.shown} has version {version}, made by a newer Cliffhanger; this one knows "
            f"versions up to {HEAD}. Install the newer Cliffhanger, or use a backup made before it."
        )


async def back_up_now(database: Database) -> Path:
    """Write a checked copy beside the database, named after the moment; returns its path."""
    import asyncio

    if database.path is None:
        raise StorageUnusable("Only SQLite is backed up by Cliffhanger; use pg_dump for this one.")
    moment = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    target = database.path.with_name(f"{database.path.name}.{moment}.backup")
    await asyncio.to_thread(back_up, database.path, target)
    return target


async def check(database: Database) -> None:
    """Check that the database is sound and of this version; raises `StorageUnusable`."""
    import asyncio

    if database.path is not None:
        if not database.path.exists():
            raise StorageUnusable(
                f"There is no database at {database.shown} yet: `cliffhanger run` makes it."
            )
        await asyncio.to_thread(check_file, database.path)
    version = await current_version(database)
    if version is not None:
        _check_known(database, version)
    if version != HEAD:
        raise StorageUnusable(
            f"{database.shown} has version {version or 'none'}; `cliffhanger db upgrade` brings it "
            f"to {HEAD}."
        )


def _run_steps(connection: Connection) -> Any:
    from alembic import command  # takes 300 ms to import, and is rarely needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_STEPS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
