"""Fixtures of the tests that run the bot against a Telegram or a Discord on the loopback."""

from tests.e2e.discord import discord, discord_home
from tests.e2e.telegram import home, telegram

__all__ = ["discord", "discord_home", "home", "telegram"]
