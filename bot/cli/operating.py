"""The operator's commands: deliveries, doctor, db."""

import asyncio
import json
import sqlite3
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.console import REFUSED, say, settings, with_storage, working
from bot.config import Settings
from bot.platforms.findings import Finding, Verdict

if TYPE_CHECKING:  # the store takes long to import; usage errors and --help do without it
    from storage.store import Storage

db = typer.Typer(help="The database: upgrade, backup, check.", no_args_is_help=True)

_LAST = 10


def deliveries(
    why: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="DESTINATION UPDATE",
            help="Explain why an update was sent to a destination, or was not.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count the deliveries by state, and show what waits longest and what failed last."""

    async def work(storage: "Storage") -> None:
        if why:
            await _explain(storage, *why, as_json=as_json)
        else:
            await _count(storage, as_json=as_json)

    with_storage(work)


async def _count(storage: "Storage", *, as_json: bool) -> None:
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
    if failures:
        last = failures[0]
        say(f"More: cliffhanger deliveries --why {last.destination} {last.update_id}")


async def _explain(storage: "Storage", to: str, update_id: str, *, as_json: bool) -> None:
    from bot.app import utc_now
    from bot.commands.why import trace
    from bot.message.why import explained, heading, recorded

    found, now = await trace(storage.traces, to, update_id), utc_now()
    if as_json:
        say(json.dumps(recorded(found, now), ensure_ascii=False))
        return
    say(f"{heading(found)}, to {found.destination}")
    for step in explained(found, now):
        say(f"  {step}")


def doctor() -> None:
    """Check the settings, the database and this machine, and say what to do."""
    read = settings()
    findings = [Finding(Verdict.OK, "the settings can be used"), _database_finding(read)]
    findings.append(_sqlite_finding())
    findings += _platform_findings(read)
    for verdict, finding in findings:
        say(f"{verdict:<4}  {finding}")
    if any(verdict is Verdict.MEND for verdict, _ in findings):
        raise typer.Exit(REFUSED)


def _platform_findings(read: Settings) -> list[Finding]:
    from bot.app import discord_access, telegram_access

    discord, telegram = discord_access(read), telegram_access(read)
    found: list[Finding] = []
    if discord:
        from bot.platforms.discord.doctor import examine as examine_discord

        with working("Asking Discord"):
            found += asyncio.run(examine_discord(discord))
    if telegram:
        from bot.platforms.telegram.doctor import examine as examine_telegram

        with working("Asking Telegram"):
            found += asyncio.run(examine_telegram(telegram))
    nowhere = "without DISCORD_TOKEN or TELEGRAM_TOKEN the bot runs in the terminal"
    return found or [Finding(Verdict.NOTE, nowhere)]


def _database_finding(read: Settings) -> Finding:
    from bot.errors import StorageError

    try:
        return Finding(Verdict.OK, f"{_checked(read)} is sound and of this version")
    except StorageError as error:
        return Finding(Verdict.MEND, str(error))


def _sqlite_finding() -> Finding:
    from storage.database import SAFE_SQLITE

    name = f"SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info >= SAFE_SQLITE:
        return Finding(Verdict.OK, name)
    return Finding(
        Verdict.NOTE,
        f"{name} is older than {'.'.join(map(str, SAFE_SQLITE))}: two processes that write and "
        "checkpoint at once may damage the file. Cliffhanger leaves checkpoints to the bot alone; "
        "run no other tool that checkpoints (such as Litestream) beside it, or install a newer "
        "SQLite",
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
