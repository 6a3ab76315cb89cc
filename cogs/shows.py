"""What is known of shows."""

from discord.ext import commands

from bot.platforms.discord.client import AnyClient
from bot.platforms.discord.declare import Title, command
from bot.platforms.discord.desk import Desk
from bot.platforms.discord.places import Interaction


class Shows(commands.Cog):
    """One show, the dates ahead, the latest news, and what became of it here."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @command("status")
    async def status(self, interaction: Interaction, show: Title) -> None:
        """Tell where a show stands."""
        await self._desk.command(interaction, "status", show=show)

    @command("upcoming")
    async def upcoming(self, interaction: Interaction) -> None:
        """List the confirmed dates ahead."""
        await self._desk.command(interaction, "upcoming")

    @command("latest")
    async def latest(self, interaction: Interaction) -> None:
        """List the latest news."""
        await self._desk.command(interaction, "latest")

    @command("why")
    async def why(self, interaction: Interaction, show: Title) -> None:
        """Explain what came here, and what did not."""
        await self._desk.command(interaction, "why", show=show)


async def setup(client: AnyClient) -> None:
    """Add the cog."""
    await client.add_cog(Shows(client.desk))
