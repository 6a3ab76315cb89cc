"""The client of discord.py, set up to keep nothing that this bot does not need."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import discord
import yarl
from discord.ext import commands
from discord.gateway import DiscordWebSocket
from discord.http import HTTPClient, Route

from bot.outbox.pace import Pace
from bot.platforms.discord.access import Access
from bot.platforms.discord.buttons import Button
from bot.platforms.discord.errors import bounded
from bot.platforms.discord.refusals import Refusals

if TYPE_CHECKING:
    from bot.platforms.discord.desk import Desk

LONGEST_LIMIT: Final = 30.0
"""Seconds that a request may wait for its rate limit inside the library: its smallest choice."""

QUIET: Final = 0.5
"""Seconds without a further server after which the bot is ready; later ones are not missed."""

SWEEP: Final = 60.0
"""Seconds between two sweeps of the rate limits that were not used for long."""


class _Ours:
    """What the client does with and without shards."""

    desk: "Desk"

    def __init__(
        self,
        desk: "Desk",
        extensions: Sequence[str],
        begin: Callable[[], Awaitable[None]],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.desk = desk
        self._begin = begin
        self._wanted = extensions

    async def setup_hook(self) -> None:
        """Load the commands, and listen to the buttons of every message ever sent."""
        assert isinstance(self, commands.Bot | commands.AutoShardedBot)  # noqa: S101
        self.tree.error(self.desk.misread)
        self.add_dynamic_items(Button)
        for extension in self._wanted:
            await self.load_extension(extension)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Wait until a session may begin."""
        await self._begin()


class Client(_Ours, commands.Bot):
    """One connection."""


class ShardedClient(_Ours, commands.AutoShardedBot):
    """Several connections, each for a part of the servers."""


AnyClient = Client | ShardedClient


def new_client(
    access: Access,
    desk: "Desk",
    extensions: Sequence[str],
    refusals: Refusals,
    pace: Pace,
    begin: Callable[[], Awaitable[None]],
) -> AnyClient:
    """A client that is not connected yet; `begin` is awaited before each session begins."""
    options: dict[str, Any] = {
        "command_prefix": commands.when_mentioned,
        "help_command": None,
        "intents": intents(),
        "max_messages": None,
        "member_cache_flags": discord.MemberCacheFlags.none(),
        "chunk_guilds_at_startup": False,
        "guild_ready_timeout": QUIET,
        "allowed_mentions": discord.AllowedMentions.none(),
        "max_ratelimit_timeout": LONGEST_LIMIT,
        "http_trace": _counting(refusals, pace),
    }
    if access.shards:
        options["shard_count"] = access.shards
        client: AnyClient = ShardedClient(desk, extensions, begin, **options)
    else:
        client = Client(desk, extensions, begin, **options)
    sweep_seldom(client.http)
    return client


def intents() -> discord.Intents:
    """What Discord is to tell of: servers, with their channels and roles."""
    wanted = discord.Intents.none()
    wanted.guilds = True
    return wanted


def aim(api_url: str) -> None:
    """Let the library speak to the API at this address; it has one for the whole process."""
    Route.BASE = api_url


def aim_gateway(url: str) -> None:
    """Let new sessions begin at this gateway."""
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(url)


def sweep_seldom(http: HTTPClient, now: Callable[[], float] = time.monotonic) -> None:
    """Let the library look for unused rate limits once a minute, not at each new channel.

    Once it knows 256 it looks through all of them for every channel it has not met, so the CPU
    time of a message grows with the number of channels. Nothing public turns this off.
    """
    sweep, swept = http._try_clear_expired_ratelimits, now()  # noqa: SLF001 - see above

    def seldom() -> None:
        nonlocal swept
        if now() >= swept + SWEEP:
            swept = now()
            sweep()

    http._try_clear_expired_ratelimits = seldom  # type: ignore[method-assign]  # noqa: SLF001


_SEND: Final = re.compile(r".*/channels/(\d+)/messages", re.ASCII)


def _counting(refusals: Refusals, pace: Pace) -> aiohttp.TraceConfig:
    """Let the library's HTTP session tell of every answer."""

    async def ended(
        _session: aiohttp.ClientSession,
        _context: SimpleNamespace,
        params: aiohttp.TraceRequestEndParams,
    ) -> None:
        response, headers = params.response, params.response.headers
        scope, wait = headers.get("X-RateLimit-Scope"), bounded(headers.get("Retry-After"))
        refusals.answered(response.status, scope, wait)
        if response.status == HTTPStatus.TOO_MANY_REQUESTS and scope != "shared":
            pace.refused()
        sent = _SEND.fullmatch(params.url.path) if params.method == "POST" else None
        if sent:
            _announce(pace, int(sent[1]), headers)

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(ended)
    return trace


def _announce(pace: Pace, channel_id: int, headers: Mapping[str, str]) -> None:
    """Pass on how many more messages a channel takes, and until when."""
    remaining, reset = headers.get("X-RateLimit-Remaining"), headers.get("X-RateLimit-Reset-After")
    if reset and remaining and remaining.isdecimal():
        pace.announced(channel_id, int(remaining), bounded(reset))
