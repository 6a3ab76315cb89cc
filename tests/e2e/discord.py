"""The bot as its own process against a Discord on the loopback."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.process import STOPS_WITHIN, Home, LiveBot
from tests.fakes.discord import Channel, FakeDiscord


@pytest.fixture
def discord() -> Iterator[FakeDiscord]:
    """A Discord that fails the test for whatever the real one would not have."""
    with FakeDiscord() as running:
        yield running


@pytest.fixture
def discord_home(tmp_path: Path, discord: FakeDiscord) -> Iterator[Home]:
    """A folder with the starter catalogue, whose bot speaks to this Discord.

    Whatever the bot leaves there must not hold its token.
    """
    yield on_discord(tmp_path, discord)
    check_files(tmp_path, discord)


def on_discord(folder: Path, discord: FakeDiscord, **settings: str) -> Home:
    """A folder with the starter catalogue and settings for this Discord."""
    reached = {"DISCORD_TOKEN": discord.token, "DISCORD_API_URL": discord.url}
    return Home.stocked(folder, **{**reached, **settings})


def check_files(folder: Path, discord: FakeDiscord) -> None:
    """Fail where the token stands in a file."""
    secret = discord.token.encode()
    assert not [one for one in folder.rglob("*") if one.is_file() and secret in one.read_bytes()]


@contextmanager
def talking(
    home: Home, discord: FakeDiscord, offered_in: Channel | None = None
) -> Iterator[LiveBot]:
    """A bot that is ready there; it is stopped at the end, and leaves cleanly.

    A guild should be there before: the bot is ready half a second after the last one it hears of.
    Its commands are everywhere, or in the server of a channel alone.
    """
    with home.bot() as bot:
        bot.until(lambda: "speaks on Discord as " in bot.err, "that it begins")
        discord.wait_until_registered("subscribe", offered_in, STOPS_WITHIN)
        yield bot
        if bot.is_running:
            bot.send(signal.SIGTERM)
            assert bot.ended(STOPS_WITHIN) == 0
