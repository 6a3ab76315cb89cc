"""About the bot."""

from discord.ext import commands

from bot.platforms.discord.client import AnyClient
from bot.platforms.discord.declare import Place, command
from bot.platforms.discord.desk import Desk
from bot.platforms.discord.places import Interaction


class About(commands.Cog):
    """Help, and what is stored."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @command("help")
    async def help(self, interaction: Interaction) -> None:
        """List the commands."""
        await self._desk.command(interaction, "help")

    @command("privacy")
    async def privacy(
        self, interaction: Interaction, action: str | None = None, channel: Place | None = None
    ) -> None:
        """Tell what is stored, export or delete it."""
        await self._desk.command(interaction, "privacy", action=action, channel=channel)


async def setup(client: AnyClient) -> None:
    """Add the cog."""
    await client.add_cog(About(client.desk))
