"""Keeps what is stored in step with the servers, channels, threads and roles that there are.

Nothing is deleted: subscriptions are suspended with a reason, and come back by themselves.
"""

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Any, Final

import discord
import structlog
from discord.ext import commands

from bot.errors import StorageError
from bot.model import Clock, Destination, Platform
from bot.platforms.discord.access import NEEDED
from bot.platforms.discord.errors import CODES
from bot.platforms.discord.rights import missing, to_post
from storage.store import Storage

KICKED: Final = "the bot was removed from the server; invite it again"
NOT_LISTED: Final = "the bot is in this server no more; invite it again"
CHANNEL_GONE: Final = "the channel was deleted"
THREAD_GONE: Final = "the thread was deleted"
EMBEDS: Final = "Embed Links"

CONFIRMED_AFTER: Final = dt.timedelta(hours=24)
"""How long a server must be missing from Discord's list until that is believed."""

EVERY: Final = 3600.0
"""Seconds between two looks at that list."""

Bot = commands.Bot | commands.AutoShardedBot

log = structlog.get_logger()


class Guilds:
    """Acts on what Discord tells of servers; `away` are those that something waits for."""

    def __init__(
        self,
        client: Bot,
        storage: Storage,
        clock: Clock,
        wake: Callable[[], None],
        away: set[int],
    ) -> None:
        self._client = client
        self._away = away
        self._storage = storage
        self._clock = clock
        self._wake = wake
        for heard in (
            self.on_ready,
            self.on_guild_join,
            self.on_guild_available,
            self.on_guild_remove,
            self.on_guild_channel_delete,
            self.on_guild_channel_update,
            self.on_raw_thread_delete,
            self.on_raw_thread_update,
            self.on_guild_role_update,
            self.on_guild_role_delete,
            self.on_member_update,
        ):
            client.add_listener(heard)

    async def keep_reconciled(self) -> None:
        """Compare what is stored with Discord's list every hour, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            if not self._client.is_ready():
                continue
            try:
                await self.on_ready()
            except StorageError as error:
                log.error("discord.not_reconciled", problem=str(error), retry_in=EVERY)

    async def on_ready(self) -> None:
        """A session has begun, and Discord has told all servers that the bot is in.

        Nothing else tells of those that it was removed from while it was away, nor of what was
        allowed again meanwhile.
        """
        destinations = self._storage.destinations
        present = {guild.id for guild in self._client.guilds}
        lost = await destinations.missing_homes(
            Platform.DISCORD, present, NOT_LISTED, self._clock(), CONFIRMED_AFTER
        )
        if lost:
            log.info("discord.servers_gone", destinations=lost)
        waiting = await destinations.unreached_homes(Platform.DISCORD) | self._away
        for guild in [self._client.get_guild(one) for one in waiting]:
            if guild is not None and not guild.unavailable:
                await self._back(guild)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        """The bot was invited, perhaps again."""
        if await self._storage.destinations.resume_home(Platform.DISCORD, guild.id, self._clock()):
            self._wake()
        await self._look_again(guild, changed=True)

    async def on_guild_available(self, guild: discord.Guild) -> None:
        """A server is there after an outage; at a start all of them are, see `on_ready`."""
        if self._client.is_ready() and not guild.unavailable:
            await self._back(guild)

    async def _back(self, guild: discord.Guild) -> None:
        await self._look_again(guild, changed=False)
        if guild.id in self._away:
            self._away.discard(guild.id)
            now = self._clock()
            if await self._storage.destinations.hurry_home(Platform.DISCORD, guild.id, now):
                self._wake()

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """The bot was removed; an outage is not told this way."""
        await self._storage.destinations.suspend_home(
            Platform.DISCORD, guild.id, KICKED, self._clock()
        )

    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        """A channel is gone, with its threads."""
        await self._storage.destinations.suspend_chat(
            Platform.DISCORD, channel.id, CHANNEL_GONE, self._clock()
        )

    async def on_raw_thread_delete(self, payload: discord.RawThreadDeleteEvent) -> None:
        """A thread is gone; the post of a show in a forum is made anew when there is news."""
        forum = Destination(Platform.DISCORD, payload.parent_id, None, payload.guild_id)
        await self._storage.posts.drop(forum, payload.thread_id)
        await self._storage.destinations.suspend_thread(
            Platform.DISCORD, payload.parent_id, payload.thread_id, THREAD_GONE, self._clock()
        )

    async def on_guild_role_delete(self, role: discord.Role) -> None:
        """A role is gone: its subscriptions stay, and ping nobody."""
        await self._storage.subscriptions.drop_role(Platform.DISCORD, role.id)

    async def on_guild_channel_update(
        self, before: discord.abc.GuildChannel, after: discord.abc.GuildChannel
    ) -> None:
        """Perhaps the bot may post again. Names and colours change all the time in some servers."""
        if before.overwrites != after.overwrites:
            await self._look_again(after.guild, changed=True)

    async def on_guild_role_update(self, before: discord.Role, after: discord.Role) -> None:
        """Perhaps the bot may post again."""
        if before.permissions != after.permissions:
            await self._look_again(after.guild, changed=True)

    async def on_member_update(self, before: discord.Member, after: discord.Member) -> None:
        """Perhaps the bot may post again."""
        if before.roles != after.roles or before.timed_out_until != after.timed_out_until:
            await self._look_again(after.guild, changed=True)

    async def on_raw_thread_update(self, payload: discord.RawThreadUpdateEvent) -> None:
        """Perhaps a thread that was closed takes messages again."""
        about = payload.data.get("thread_metadata", {})
        if about.get("archived") or about.get("locked"):
            return
        unreached = self._storage.destinations.unreached_in(Platform.DISCORD, payload.guild_id)
        for one in await unreached:
            here = one.destination.thread_id == payload.thread_id
            if here and one.why.startswith(CODES[50083][0]):
                await self._resume(one.destination)

    async def _look_again(self, guild: discord.Guild, *, changed: bool) -> None:
        """Resume what can be reached again in a server, if it was for a right or the server.

        What is only in doubt is left to its tries, unless something has `changed`: looking again
        and again would never let it be believed.
        """
        for one in await self._storage.destinations.unreached_in(Platform.DISCORD, guild.id):
            passes = one.why.startswith(_PASSING) and (one.suspended or changed)
            if passes and may_post(guild, one.destination):
                await self._resume(one.destination)

    async def _resume(self, destination: Destination) -> None:
        if await self._storage.destinations.resume(destination, self._clock()):
            self._wake()


_PASSING: Final = (KICKED, NOT_LISTED, CODES[50001][0], CODES[50013][0])
"""How the reasons begin that an administrator can end without the bot being told more."""


def may_post(guild: discord.Guild, destination: Destination) -> bool:
    """Whether the bot may write there, as far as is known."""
    if _channel(guild, destination) is None:
        return False
    return not set(lacks(guild, destination)) - {EMBEDS}  # without them it sends plain text


def lacks(guild: discord.Guild, destination: Destination) -> list[str]:
    """The permissions that the bot lacks there; none where nothing is known."""
    channel: Any = _channel(guild, destination)
    me: discord.Member | None = guild.me
    if channel is None or me is None:
        return []
    kind = discord.ChannelType.public_thread if destination.thread_id else channel.type
    return missing(channel.permissions_for(me), to_post(kind, NEEDED))


def _channel(guild: discord.Guild, destination: Destination) -> Any:
    """The channel or thread; a thread that is folded away is known by its channel alone."""
    thread = guild.get_thread(destination.thread_id) if destination.thread_id else None
    return thread or guild.get_channel(destination.chat_id)
