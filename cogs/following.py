"""Following shows."""

import discord
from discord.app_commands import Range
from discord.ext import commands

from bot.platforms.discord.client import AnyClient
from bot.platforms.discord.declare import Place, Title, command
from bot.platforms.discord.desk import Desk
from bot.platforms.discord.places import Interaction


class Following(commands.Cog):
    """Subscribe, unsubscribe, and what is followed."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @command("subscribe")
    async def subscribe(
        self,
        interaction: Interaction,
        show: Title,
        kinds: str | None = None,
        channel: Place | None = None,
        role: discord.Role | None = None,
        publish: bool | None = None,
    ) -> None:
        """Follow a show."""
        await self._desk.command(
            interaction,
            "subscribe",
            show=show,
            kinds=kinds,
            channel=channel,
            role=role,
            publish=publish,
        )

    @command("unsubscribe")
    async def unsubscribe(
        self, interaction: Interaction, show: Title, channel: Place | None = None
    ) -> None:
        """Follow a show no more."""
        await self._desk.command(interaction, "unsubscribe", show=show, channel=channel)

    @command("subscriptions")
    async def subscriptions(
        self,
        interaction: Interaction,
        page: Range[int, 1, 999_999] | None = None,
        channel: Place | None = None,
    ) -> None:
        """List what is followed."""
        await self._desk.command(interaction, "subscriptions", page=page, channel=channel)


async def setup(client: AnyClient) -> None:
    """Add the cog."""
    await client.add_cog(Following(client.desk))
