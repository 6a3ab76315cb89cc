"""The bot as its own process against a Telegram on the loopback."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.process import Home, LiveBot
from tests.fakes.telegram import FakeTelegram


@pytest.fixture
def telegram() -> Iterator[FakeTelegram]:
    """A Telegram that fails the test for whatever breaks the official table of methods."""
    with FakeTelegram() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, telegram: FakeTelegram) -> Home:
    """A folder with the starter catalogue, whose bot speaks to this Telegram."""
    return at_home(tmp_path, telegram)


def at_home(folder: Path, telegram: FakeTelegram, **settings: str) -> Home:
    """A folder with the starter catalogue and settings for this Telegram."""
    reached = {"TELEGRAM_TOKEN": telegram.token, "TELEGRAM_API_URL": telegram.url}
    return Home.stocked(folder, **{**reached, **settings})


@contextmanager
def serving(home: Home, telegram: FakeTelegram) -> Iterator[LiveBot]:
    """A bot that polls this Telegram; it is stopped at the end, and leaves cleanly."""
    before = len(telegram.calls("getUpdates"))
    with home.bot() as bot:
        bot.until(lambda: len(telegram.calls("getUpdates")) > before, "the first poll")
        yield bot
