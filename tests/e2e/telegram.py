"""The bot as its own process against a Telegram on the loopback."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.process import STOPS_WITHIN, Home, LiveBot
from tests.fakes.telegram import FakeTelegram


@pytest.fixture
def telegram() -> Iterator[FakeTelegram]:
    """A Telegram that fails the test for whatever breaks the official table of methods."""
    with FakeTelegram() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, telegram: FakeTelegram) -> Iterator[Home]:
    """A folder with the starter catalogue, whose bot speaks to this Telegram.

    Whatever the bot leaves there must not hold its token.
    """
    yield at_home(tmp_path, telegram)
    secret = telegram.token.rpartition(":")[2].encode()
    assert not [one for one in tmp_path.rglob("*") if one.is_file() and secret in one.read_bytes()]


def at_home(folder: Path, telegram: FakeTelegram, **settings: str) -> Home:
    """A folder with the starter catalogue and settings for this Telegram."""
    reached = {"TELEGRAM_TOKEN": telegram.token, "TELEGRAM_API_URL": telegram.url}
    return Home.stocked(folder, **{**reached, **settings})


@contextmanager
def serving(home: Home, telegram: FakeTelegram) -> Iterator[LiveBot]:
    """A bot that knows who it is there; it is stopped at the end, and leaves cleanly."""
    with home.bot() as bot:
        name = telegram.bot.username
        bot.until(lambda: f"speaks on Telegram as @{name}" in bot.err, "that it begins")
        yield bot
        if bot.is_running:
            bot.send(signal.SIGTERM)
            assert bot.ended(STOPS_WITHIN) == 0
