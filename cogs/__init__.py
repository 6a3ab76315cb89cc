"""Discord's command surface: one cog a topic. What a command does stands in `bot.commands`."""

from typing import Final

EXTENSIONS: Final = ("cogs.following", "cogs.shows", "cogs.about")
"""What the client loads."""
