"""Declares a slash command as the table of commands has it, for the cogs."""

from collections.abc import Callable
from typing import Any, Final

import discord

from bot.commands import COMMANDS, Access, Takes
from bot.platforms.discord.places import Chosen, Interaction

_CHANNELS: Final = [
    discord.ChannelType.text,
    discord.ChannelType.news,
    discord.ChannelType.forum,
    discord.ChannelType.voice,
    discord.ChannelType.public_thread,
    discord.ChannelType.private_thread,
    discord.ChannelType.news_thread,
]
"""Where messages can be read."""


class _Title(discord.app_commands.Transformer):
    """A title: offered while it is typed, and taken as it was written."""

    async def transform(self, interaction: Interaction, value: str, /) -> str:
        """The title, or the id of the one that was chosen."""
        return value

    async def autocomplete(  # type: ignore[override]
        self, interaction: Interaction, value: str, /
    ) -> list[discord.app_commands.Choice[str]]:
        """The titles that may be meant."""
        choices: list[discord.app_commands.Choice[str]] = await interaction.client.desk.suggest(
            interaction, value
        )
        return choices


class _Place(discord.app_commands.Transformer):
    """A channel or thread, known to the bot or not."""

    @property
    def type(self) -> discord.AppCommandOptionType:
        """Discord lets channels be chosen."""
        return discord.AppCommandOptionType.channel

    @property
    def channel_types(self) -> list[discord.ChannelType]:
        """What can be chosen."""
        return _CHANNELS

    async def transform(self, interaction: Interaction, value: Any, /) -> Chosen:
        """The channel as Discord tells of it."""
        chosen: Chosen = value
        return chosen


Title = discord.app_commands.Transform[str, _Title]
Place = discord.app_commands.Transform[Chosen, _Place]


def command(name: str) -> Callable[[Any], Any]:
    """A slash command with the words of the table, for whom and where that says."""
    declared = COMMANDS[name]

    def declare(callback: Any) -> Any:
        helps = {one.name: one.help for one in declared.parameters}
        choices = {
            one.name: [discord.app_commands.Choice(name=word, value=word) for word in _offered(one)]
            for one in declared.parameters
            if one.choices
        }
        callback = discord.app_commands.describe(**helps)(callback)
        callback = discord.app_commands.choices(**choices)(callback)
        if declared.access is Access.MANAGERS:
            callback = discord.app_commands.default_permissions(manage_guild=True)(callback)
            callback = discord.app_commands.allowed_contexts(guilds=True, dms=True)(callback)
            callback = discord.app_commands.allowed_installs(guilds=True, users=False)(callback)
        else:
            everywhere = {"guilds": True, "dms": True, "private_channels": True}
            callback = discord.app_commands.allowed_contexts(**everywhere)(callback)
            callback = discord.app_commands.allowed_installs(guilds=True, users=True)(callback)
        return discord.app_commands.command(name=name, description=declared.help)(callback)

    return declare


def _offered(parameter: Any) -> tuple[str, ...]:
    everything = ("all",) if parameter.takes is Takes.KINDS else ()
    return (*everything, *parameter.choices)
