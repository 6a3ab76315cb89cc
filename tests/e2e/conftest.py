"""Fixtures of the tests that run the bot against a Telegram on the loopback."""

from tests.e2e.telegram import home, telegram

__all__ = ["home", "telegram"]
