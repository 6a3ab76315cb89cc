"""The operator's commands: deliveries, doctor, db."""

import asyncio
import json
import sqlite3
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.console import REFUSED, say, settings, with_storage, working
from bot.config import Settings

if TYPE_CHECKING:  # the store takes long to import; usage errors and --help do without it
    from storage.store import Storage

db = typer.Typer(help="The database: upgrade, backup, check.", no_args_is_help=True)

_LAST = 10


def deliveries(
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Count the deliveries by state, and show what waits longest and what failed last."""

    async def work(storage: "Storage") -> None:
        counts = await storage.deliveries.counts()
        if as_json:
            say(json.dumps({str(state): count for state, count in counts.items()}))
            return
        for state, count in counts.items():
            say(f"{state:<10} {count:>12,}")
        due = await storage.deliveries.next_due()
        say(f"Oldest due: {due.isoformat(timespec='seconds') if due else 'none'}")
        failures = await storage.deliveries.failures(_LAST)
        say("Last failures:" if failures else "No failures.")
        for one in failures:
            when = one.at.isoformat(timespec="seconds") if one.at else ""
            say(f"  {when}  {one.update_id} to {one.destination}: {one.state}, {one.reason}")

    with_storage(work)


def doctor() -> None:
    """Check the settings, the database and this machine, and say what to do."""
    findings = _findings(settings())
    for verdict, finding in findings:
        say(f"{verdict:<4}  {finding}")
    if any(verdict is Verdict.MEND for verdict, _ in findings):
        raise typer.Exit(REFUSED)


class Verdict(StrEnum):
    """What the doctor thinks of a finding."""

    OK = "ok"
    NOTE = "note"
    MEND = "MEND"


def _findings(read: Settings) -> list[tuple[Verdict, str]]:
    return [_settings_finding(read), _database_finding(read), _sqlite_finding()]


def _settings_finding(read: Settings) -> tuple[Verdict, str]:
    from bot.app import check_platforms
    from bot.errors import SettingsError

    try:
        check_platforms(read)
    except SettingsError as error:
        return Verdict.MEND, str(error)
    return Verdict.OK, "the settings can be used"


def _database_finding(read: Settings) -> tuple[Verdict, str]:
    from bot.errors import StorageError

    try:
        return Verdict.OK, f"{_checked(read)} is sound and of this version"
    except StorageError as error:
        return Verdict.MEND, str(error)


def _sqlite_finding() -> tuple[Verdict, str]:
    from storage.database import SAFE_SQLITE

    name = f"SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info >= SAFE_SQLITE:
        return Verdict.OK, name
    return Verdict.NOTE, (
        f"{name} is older than {'.'.join(map(str, SAFE_SQLITE))}: two processes that write and "
        "checkpoint at once may damage the file. Cliffhanger leaves checkpoints to the bot alone; "
        "run no other tool that checkpoints (such as Litestream) beside it, or install a newer "
        "SQLite"
    )


def _checked(read: Settings) -> str:
    """Check the database; its name. Raises `StorageError` with what is wrong."""
    from storage.database import Database
    from storage.upgrade import check as check_database

    async def main() -> str:
        database = Database(read.database_url.get_secret_value(), checkpoints=False)
        try:
            await check_database(database)
        finally:
            await database.close()
        return database.shown

    return asyncio.run(main())


@db.command()
def upgrade() -> None:
    """Bring the database to this version, after a backup."""

    async def work(storage: "Storage") -> None:
        say(f"{storage.database.shown} is of this version.")

    with_storage(work, starter=False)


@db.command()
def backup() -> None:
    """Write a checked copy of the database beside it; works while the bot runs."""
    from storage.upgrade import back_up_now

    async def work(storage: "Storage") -> None:
        with working("Copying the database and checking the copy"):
            path = await back_up_now(storage.database)
        say(str(path))

    with_storage(work, starter=False)


@db.command()
def check() -> None:
    """Check that the database is sound and of this version."""
    read = settings()
    with working("Checking the database"):
        name = _checked(read)
    say(f"{name} is sound.")
