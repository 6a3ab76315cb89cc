"""Who asks, and about which channel: read from an interaction. Pure."""

from dataclasses import dataclass, replace
from typing import Any, Final

import discord
from discord.app_commands import AppCommandChannel, AppCommandThread

from bot.errors import UserError
from bot.model import Destination, Platform
from bot.platforms.discord import wording

Interaction = discord.Interaction[Any]
Chosen = AppCommandChannel | AppCommandThread

THREADS: Final = frozenset(
    {
        discord.ChannelType.news_thread,
        discord.ChannelType.public_thread,
        discord.ChannelType.private_thread,
    }
)
FORUMS: Final = frozenset({discord.ChannelType.forum, discord.ChannelType.media})


@dataclass(frozen=True, slots=True)
class Place:
    """A channel that is asked about: what it is, and what may be done there.

    `mine` are the bot's permissions (`None` if unknown), `theirs` those of who asks.
    """

    destination: Destination
    kind: discord.ChannelType
    name: str
    theirs: discord.Permissions
    mine: discord.Permissions | None
    chosen: bool = False
    """Whether it was named, and is not where the command was sent."""

    @property
    def private(self) -> bool:
        """Whether it is a direct chat with the bot."""
        return self.kind is discord.ChannelType.private


def here(interaction: Interaction) -> Place:
    """The channel where something was asked."""
    channel, channel_id = interaction.channel, interaction.channel_id or 0
    guild_id = interaction.guild_id
    kind = channel.type if channel else discord.ChannelType.text
    if guild_id is None and not _among_people(interaction):
        kind = discord.ChannelType.private
    parent = channel.parent_id if isinstance(channel, discord.Thread) else None
    return Place(
        _destination(channel_id, parent, guild_id),
        kind,
        getattr(channel, "name", None) or "this channel",
        interaction.permissions,
        interaction.app_permissions,
    )


def _among_people(interaction: Interaction) -> bool:
    """Whether it was asked in a chat between people, to which the bot does not belong."""
    return bool(interaction.context.private_channel)


def placed(interaction: Interaction, channel: Chosen | None) -> Place:
    """The channel that is asked about; raises `UserError` for one of another server."""
    if channel is None or channel.id == interaction.channel_id:
        return here(interaction)
    if interaction.guild_id is None:
        raise UserError(wording.ONLY_IN_A_SERVER)
    home = _told(interaction, channel).get("guild_id")
    if home is not None and int(home) != interaction.guild_id:
        raise UserError(wording.OTHER_SERVER.format(channel=channel.name))
    parent = channel.parent_id if isinstance(channel, AppCommandThread) else None
    return Place(
        _destination(channel.id, parent, interaction.guild_id),
        channel.type,
        channel.name,
        channel.permissions,
        _mine(interaction, channel),
        chosen=True,
    )


def _destination(channel_id: int, parent_id: int | None, guild_id: int | None) -> Destination:
    """A thread belongs to its channel: what happens to that happens to the thread."""
    if parent_id is None:
        return Destination(Platform.DISCORD, channel_id, None, guild_id)
    return Destination(Platform.DISCORD, parent_id, channel_id, guild_id)


def _told(interaction: Interaction, channel: Chosen) -> dict[str, Any]:
    """What Discord tells of a channel that was named; the library says that all are from here."""
    data: Any = interaction.data or {}
    told: dict[str, Any] = data.get("resolved", {}).get("channels", {}).get(str(channel.id), {})
    return told


def _mine(interaction: Interaction, channel: Chosen) -> discord.Permissions | None:
    """What the bot may do in a channel that was named: told by Discord, or else worked out."""
    told = _told(interaction, channel)
    if "app_permissions" in told:
        return discord.Permissions(int(told["app_permissions"]))
    guild = interaction.guild
    known = guild.get_channel_or_thread(channel.id) if guild else None
    if guild is None or known is None or guild.me is None:
        return None
    return known.permissions_for(guild.me)


def there(interaction: Interaction, destination: Destination) -> Place:
    """A destination of the server where a button was pressed, as far as it is known."""
    asked = here(interaction)
    if asked.destination == destination:
        return asked
    guild = interaction.guild
    known: Any = guild and guild.get_channel_or_thread(destination.thread_id or destination.chat_id)
    me, person = guild.me if guild else None, interaction.user
    if known is None or not isinstance(person, discord.Member):
        return replace(asked, destination=destination, mine=None, chosen=True)
    return Place(
        destination,
        known.type,
        known.name,
        known.permissions_for(person),
        known.permissions_for(me) if me else None,
        chosen=True,
    )


def name_of(interaction: Interaction, destination: Destination) -> str:
    """The name of a channel or thread of the server where this was asked."""
    number = destination.thread_id or destination.chat_id
    known = interaction.guild and interaction.guild.get_channel_or_thread(number)
    return known.name if known else "another channel"


def is_member(interaction: Interaction) -> bool:
    """Whether the bot is in the server where this was asked, and so can post there."""
    if interaction.guild_id is None:
        return not _among_people(interaction)
    known = interaction.client.get_guild(interaction.guild_id)
    return known is not None or interaction.is_guild_integration()
