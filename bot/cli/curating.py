"""The curators' commands: publish, retract, updates, shows, load, dump, wishes."""

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bot.cli.console import AsJson, AsksNothing, confirm, say, tell, with_storage
from bot.model import Certainty, UpdateKind
from bot.text import clean, plural

if TYPE_CHECKING:  # the store takes long to import; usage errors and --help do without it
    from bot.commands.core import Core
    from bot.commands.curate import Draft, Preview
    from bot.model import Update
    from storage.store import Storage

ShowArgument = Annotated[str, typer.Argument(metavar="SHOW", help="Id, title or alias of a show.")]
Kind = Annotated[
    UpdateKind,
    typer.Option(
        metavar="KIND",
        help="renewed, dated, trailer, cancelled, ending, saved, postponed or released; kept on "
        "record and not sent: teaser, production, pending.",
    ),
]


def publish(
    show: ShowArgument,
    kind: Kind,
    season: Annotated[int | None, typer.Option(min=1, max=9999)] = None,
    part: Annotated[int | None, typer.Option(min=1, max=99)] = None,
    date: Annotated[str | None, typer.Option(help="Release date in EDTF: 2026-09-02.")] = None,
    trailer: Annotated[str | None, typer.Option(metavar="URL")] = None,
    certainty: Annotated[
        Certainty | None,
        typer.Option(
            metavar="official|reported|speculation",
            help="Worked out from --speaker or --outlet if left out.",
        ),
    ] = None,
    speaker: Annotated[
        str | None, typer.Option(metavar="WHO", help="Who decided: Netflix, showrunner Jane Roe.")
    ] = None,
    source: Annotated[str | None, typer.Option(metavar="URL", help="Where it was read.")] = None,
    outlet: Annotated[str | None, typer.Option(metavar="NAME", help="Who reported it.")] = None,
    announced: Annotated[
        dt.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="Day it was announced."),
    ] = None,
    evidence: Annotated[str | None, typer.Option(help="A short note in your own words.")] = None,
    supersedes: Annotated[
        str | None, typer.Option(metavar="ID", help="The mistake this corrects.")
    ] = None,
    reverses: Annotated[
        str | None, typer.Option(metavar="ID", help="The decision this undoes.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for a correction.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Record it, tell nobody.")] = False,
    yes: AsksNothing = False,
    as_json: AsJson = False,
) -> None:
    """Publish an update: show what it says and to how many, ask, store it."""
    from bot.commands.curate import Draft

    draft = Draft(
        kind=kind,
        season=season,
        part=part,
        date=date,
        trailer=trailer,
        certainty=certainty,
        speaker=speaker,
        source=source,
        outlet=outlet,
        announced=announced.date() if announced else None,
        evidence=evidence,
        supersedes=supersedes,
        reverses=reverses,
        reason=reason,
        quiet=quiet,
    )

    async def work(storage: "Storage") -> None:
        await _publish(storage, await _drafted(storage, show, draft), yes=yes, as_json=as_json)

    with _named_as_options():
        with_storage(work)


_OPTIONS: Final = {
    "value": "--trailer",
    "source": "--source",
    "source.url": "--source",
    "source.outlet": "--outlet",
    "source.published": "--announced",
    "retracts": "cliffhanger retract",
    **{
        name: f"--{name}"
        for name in (
            "season",
            "part",
            "kind",
            "date",
            "certainty",
            "speaker",
            "evidence",
            "supersedes",
            "reverses",
            "reason",
            "announced",
        )
    },
}


@contextmanager
def _named_as_options() -> Iterator[None]:
    """Name what is to be mended as the command line calls it."""
    from bot.errors import BadRecord

    try:
        yield
    except BadRecord as error:
        option = _OPTIONS.get(error.field.removesuffix(".edtf"), error.field)
        raise BadRecord(option, error.problem) from error


def _core(storage: "Storage") -> "Core":
    from bot.app import utc_now
    from bot.commands.core import Catalogue, Core

    return Core(storage, Catalogue(storage), utc_now)


async def _drafted(storage: "Storage", show: str, draft: "Draft") -> "Update":
    from bot.app import utc_now
    from bot.commands.curate import draft_update
    from storage.trust import trust

    found = await _core(storage).exact_show(show)
    return draft_update(found, draft, trust(), utc_now())


def retract(
    update_id: Annotated[str, typer.Argument(metavar="ID", help="The update to take back.")],
    reason: Annotated[str, typer.Option(help="Why; the people who got it read this.")],
    yes: AsksNothing = False,
    as_json: AsJson = False,
) -> None:
    """Take an update back; whoever got it gets a correction."""
    from bot.app import utc_now
    from bot.commands.curate import draft_retraction
    from bot.errors import CliffhangerError

    async def work(storage: "Storage") -> None:
        target = await storage.updates.get(clean(update_id).strip().upper())
        if target is None:
            raise CliffhangerError(
                f"No update has the id {update_id}. `cliffhanger updates` lists them."
            )
        await _publish(
            storage, draft_retraction(target.update, reason, utc_now()), yes=yes, as_json=as_json
        )

    with_storage(work)


async def _publish(storage: "Storage", update: "Update", *, yes: bool, as_json: bool) -> None:
    from bot.commands.curate import preview
    from bot.records import update_line

    today = update.recorded_at.date()
    shown = await preview(storage, update, today)
    if not (as_json and yes):
        tell(_described(shown))
        confirm("Publish this?", yes=yes)
    stored = await storage.publishing.publish(update, today)
    if as_json:
        say(update_line(stored.update))
    else:
        say(f"Published {stored.update.id}.")


def _described(shown: "Preview") -> str:
    from bot.platforms.terminal.render import as_plain

    quiet = shown.prepared.quiet
    audience = f"Nobody is told: {quiet}." if quiet else _audience(shown.audience)
    return f"{as_plain(shown.message)}\n\n{audience}"


def _audience(chats: int) -> str:
    return f"To {plural(chats, 'chat')}." if chats else "Nobody follows this yet."


def updates(
    show: Annotated[str | None, typer.Argument(metavar="[SHOW]")] = None, as_json: AsJson = False
) -> None:
    """List the log of updates, of one show or of all."""
    from bot.records import update_line

    async def work(storage: "Storage") -> None:
        if show is None:
            log = await storage.updates.all()
        else:
            found = await _core(storage).exact_show(show)
            log = await storage.updates.of_show(found.id)
        gone = _gone(log)
        for update in log:
            say(update_line(update) if as_json else _line(update) + gone.get(update.id, ""))
        if not log:
            tell("No updates.")

    with_storage(work)


def _gone(log: Sequence["Update"]) -> dict[str, str]:
    """What became of the updates that no longer count."""
    corrected = {other.supersedes: "  corrected" for other in log if other.supersedes}
    retracted = {other.retracts: "  retracted" for other in log if other.retracts}
    return {str(found): words for found, words in {**corrected, **retracted}.items()}


def _line(update: "Update") -> str:
    from bot.message.dates import wording
    from bot.message.facts import sayer

    season = f"season {update.season}" if update.season is not None else "the show"
    part = f" part {update.part}" if update.part is not None else ""
    date = f" {wording(update.date.value)}" if update.date else ""
    target = f" {update.retracts} ({update.reason})" if update.retracts else ""
    return (
        f"{update.id}  {update.announced}  {update.show}, {season}{part}: {update.kind}"
        f"{date}{target}" + ("" if update.retracts else f"  [{update.certainty}, {sayer(update)}]")
    )


def shows(
    text: Annotated[str | None, typer.Argument(metavar="[TEXT]")] = None, as_json: AsJson = False
) -> None:
    """List the catalogue, or the shows whose titles come near TEXT, best first."""
    from bot.records import show_line

    async def work(storage: "Storage") -> None:
        found = await storage.shows.all()
        if text is not None:
            by_id = {str(show.id): show for show in found}
            found = [by_id[match.show] for match in await _core(storage).suggest(text)]
        for show in found:
            aliases = f"  ({', '.join(show.titles[1:])})" if show.titles[1:] else ""
            say(show_line(show) if as_json else f"{show.id}  {show.title}{aliases}")
        if not found:
            tell("No show matches." if text is not None else "The catalogue is empty.")

    with_storage(work)


def load(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files or folders.")],
) -> None:
    """Load shows and updates from JSON Lines; what is stored already changes nothing."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    from bot.app import utc_now
    from bot.commands.files import LoadedFile, files_of
    from bot.commands.files import load as load_files

    async def work(storage: "Storage") -> None:
        console = Console(stderr=True)
        with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
            task = progress.add_task("Loading", total=len(files_of(paths)))

            def done(file: LoadedFile) -> None:
                progress.update(task, advance=1, description=escape(clean(file.path.name)))

            total = await load_files(storage, paths, utc_now().date(), done)
        say(
            f"Loaded {plural(total.shows, 'show')} and {plural(total.updates, 'update')}; "
            f"{plural(total.unchanged, 'record')} unchanged."
        )

    with_storage(work, starter=False)


def dump(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
) -> None:
    """Write the whole store as files that `load` reads."""
    from bot.commands.files import dump as dump_files

    async def work(storage: "Storage") -> None:
        say(f"Wrote {plural(await dump_files(storage, folder), 'file')} to {folder}.")

    with_storage(work)


def wishes() -> None:
    """List the titles that were asked for and are not in the catalogue."""

    async def work(storage: "Storage") -> None:
        found = await storage.destinations.wishes()
        for asked, by in found:
            say(f"{by:>5}  {asked}")
        if not found:
            tell("No wishes.")

    with_storage(work)
