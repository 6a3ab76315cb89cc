"""`cliffhanger run` and `cliffhanger demo`."""

import asyncio

import typer

from bot.cli.console import settings, tell


def run() -> None:
    """Run the bot; with no token set it chats in this terminal."""
    from bot.app import run as run_bot
    from bot.platforms.terminal import best_front

    asyncio.run(run_bot(settings(), best_front(), tell))


def demo(
    fast: bool = typer.Option(False, "--fast", help="Do not pause between the steps."),
) -> None:
    """Show the whole story in ten seconds, on a throw-away database."""
    from bot.cli.story import tell_story

    settings()
    asyncio.run(tell_story(pause=0.0 if fast else 1.0))
