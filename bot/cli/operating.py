"""The operator's commands: deliveries, doctor, db."""

import json
import sqlite3
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.console import REFUSED, say, settings, tell, with_storage
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
    problems = 0
    for good, finding in _findings(settings()):
        problems += not good
        say(f"{'ok  ' if good else 'MEND'}  {finding}")
    if problems:
        raise typer.Exit(REFUSED)


def _findings(read: Settings) -> list[tuple[bool, str]]:
    import asyncio

    from bot.errors import StorageError
    from storage.database import SAFE_SQLITE, Database
    from storage.upgrade import check

    async def state() -> tuple[bool, str]:
        database = Database(read.database_url.get_secret_value(), checkpoints=False)
        try:
            await check(database)
        except StorageError as error:
            return False, str(error)
        finally:
            await database.close()
        return True, f"{database.shown} is sound and of this version"

    needed = ".".join(map(str, SAFE_SQLITE))
    safe = sqlite3.sqlite_version_info >= SAFE_SQLITE
    sqlite = f"SQLite {sqlite3.sqlite_version}"
    return [
        (True, "the settings can be used"),
        asyncio.run(state()),
        (True, sqlite)
        if safe
        else (
            True,
            f"{sqlite} is older than {needed}: two processes that write and checkpoint at once may "
            "damage the file. Cliffhanger leaves checkpoints to the bot alone; run no other tool "
            "that checkpoints (such as Litestream) beside it, or install a newer SQLite",
        ),
    ]


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
        tell("Copying and checking …")
        say(str(await back_up_now(storage.database)))

    with_storage(work, starter=False)


@db.command()
def check() -> None:
    """Check that the database is sound and of this version."""
    import asyncio

    from storage.database import Database
    from storage.upgrade import check as check_database

    read = settings()

    async def main() -> str:
        database = Database(read.database_url.get_secret_value(), checkpoints=False)
        try:
            await check_database(database)
        finally:
            await database.close()
        return database.shown

    say(f"{asyncio.run(main())} is sound.")
