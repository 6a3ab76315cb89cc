"""What every command line shares: settings, an open store, output, and errors as exit codes."""

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Final, TypeVar

import typer

from bot.config import ENV_FILE, Settings, env_file_warning, unknown_settings
from bot.text import clean

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one record a line.")]
AsksNothing = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

REFUSED: Final = 1


def tell(text: str) -> None:
    """Say something about the work to the person, beside the output."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def working(words: str) -> AbstractContextManager[object]:
    """Show that something long is under way: a spinner at a terminal, nothing elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    return console.status(f"{words} …") if console.is_terminal else nullcontext()


def say(text: str) -> None:
    """Print output, with nothing in it that could steer a terminal."""
    print("\n".join(clean(line) for line in text.split("\n")))  # noqa: T201


def accept_any_text() -> None:
    """Put "?" where the terminal's encoding lacks a character, in place of failing."""
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def settings() -> Settings:
    """The settings, after a warning where others could read them; raises `SettingsError`."""
    from bot.logs import set_up

    warning = env_file_warning()
    if warning:
        tell(f"Warning: {warning}")
    read = Settings.read()
    for name in unknown_settings():
        tell(f"Warning: {ENV_FILE} sets {clean(name)}, which is no setting. See .env.example.")
    set_up(read)
    return read


def with_storage(work: Callable[..., Awaitable[T]], *, starter: bool = True) -> T:
    """Run `work` with the open store, and close it; works beside a running bot."""
    from bot.app import opened

    read = settings()

    async def main() -> T:
        async with opened(read, working, starter=starter) as storage:
            return await work(storage)

    return asyncio.run(main())


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless told not to; ends with exit code 1 on "no"."""
    if not yes and not typer.confirm(question, err=True):
        tell("Nothing was stored.")
        raise typer.Exit(REFUSED)
