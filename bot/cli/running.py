"""`cliffhanger run` and `cliffhanger demo`."""

import asyncio
import signal
import sys
from typing import NoReturn

import typer

from bot.cli.console import settings, tell, working


def run() -> None:
    """Run the bot on the platforms whose token is set; without any it chats in this terminal."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end_at_once)
    from bot.app import run as run_bot
    from bot.platforms.terminal import best_front

    asyncio.run(run_bot(settings(), best_front, working, tell))


def _end_at_once(*_: object) -> NoReturn:
    """Nothing has begun while the program loads; later the bot has its own way to stop."""
    sys.exit(0)


def demo(
    fast: bool = typer.Option(False, "--fast", help="Do not pause between the steps."),
) -> None:
    """Show the whole story in ten seconds, on a throw-away database."""
    from rich.console import Console

    from bot.cli.story import tell_story

    settings()
    console = Console(highlight=False)
    asyncio.run(tell_story(console, pause=0.0 if fast else 1.0))
    console.print("[bold]That was the demo.[/bold] `cliffhanger run` is the real thing.")
