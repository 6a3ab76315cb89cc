"""Tells Discord which commands there are, when they have changed."""

import asyncio
import hashlib
import json
from typing import Final

import aiohttp
import discord
import structlog

from bot.errors import StorageError
from bot.platforms.discord.guilds import Bot
from storage.notes import Notes

_NOTE: Final = "discord.commands"
_RETRY: Final = (10.0, 60.0, 600.0)

_TROUBLE: Final = (
    discord.DiscordException,
    aiohttp.ClientError,
    OSError,
    StorageError,
    RuntimeError,
)
"""Among them what the library says of a client that was closed meanwhile."""

log = structlog.get_logger()


async def offer_commands(client: Bot, notes: Notes, dev_guild: int | None) -> None:
    """Sync the commands unless Discord has them; tried again without end, the bot works without."""
    guild = discord.Object(dev_guild) if dev_guild else None
    if guild:
        client.tree.copy_global_to(guild=guild)
    wanted = f"{client.application_id}:{dev_guild or 'all'}:{digest(client, guild)}"
    tries = 0
    while not client.is_closed():
        try:
            if await notes.get(_NOTE) != wanted:
                await client.tree.sync(guild=guild)
                await notes.put(_NOTE, wanted)
        except _TROUBLE as error:
            if client.is_closed():
                return
            wait = _RETRY[min(tries, len(_RETRY) - 1)]
            tries += 1
            problem = _words(error, dev_guild)
            log.error("discord.commands_not_offered", problem=problem, retry_in=wait)
            await asyncio.sleep(wait)
        else:
            return


def digest(client: Bot, guild: discord.Object | None) -> str:
    """What changes when a command does."""
    declared = [one.to_dict(client.tree) for one in client.tree.get_commands(guild=guild)]
    declared.sort(key=lambda one: str(one["name"]))
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()


def _words(error: Exception, dev_guild: int | None) -> str:
    if isinstance(error, discord.Forbidden) and dev_guild:
        return (
            f"the bot is not in the server DISCORD_DEV_GUILD={dev_guild}, or was invited without "
            "the scope applications.commands: `cliffhanger doctor` tells the link that invites it"
        )
    if isinstance(error, discord.app_commands.CommandSyncFailure):
        return f"Discord refuses a command: {error}"
    if isinstance(error, discord.HTTPException):
        return f"Discord answers {error.status}: {error.text}"
    return type(error).__name__
