"""The bot on Discord: one client after the other, from its token to its commands, kept alive."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import discord
import structlog

from bot.commands.core import Core
from bot.errors import CliffhangerError, NotSent, PlatformStopped
from bot.model import Clock, Platform
from bot.outbox.pace import DISCORD, Limits, Pace
from bot.platforms.discord.access import Access, invitation
from bot.platforms.discord.client import AnyClient, aim, aim_gateway, new_client
from bot.platforms.discord.desk import Desk
from bot.platforms.discord.errors import Banned, classify
from bot.platforms.discord.guilds import Guilds
from bot.platforms.discord.messenger import DiscordMessenger
from bot.platforms.discord.refusals import Refusals
from bot.platforms.discord.starts import Starts
from bot.platforms.discord.sync import offer_commands
from bot.platforms.discord.watchdog import Watchdog
from bot.platforms.discord.wire import Wire
from bot.platforms.seals import Seals
from storage.store import Storage

STOP_WITHIN: Final = 2.0
"""Seconds that answers under way get when the bot stops."""

REFUSED: Final = 600.0
"""Seconds until a token that was refused is tried again."""

_RETRY: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
_STEADY: Final = 300.0
"""Seconds after which a connection that ends was a good one: trouble is counted anew."""

_IN_PLACE: Final = 40.0
"""Seconds that may be waited while a connection is open; longer waits come before it is opened."""

log = structlog.get_logger()


class TooManyStarts(CliffhangerError):
    """A session may begin only later; the connection is given up until then."""


class Discord:
    """Serves channels, threads, forums, announcement channels and direct messages."""

    platform = Platform.DISCORD

    def __init__(
        self,
        access: Access,
        extensions: Sequence[str],
        storage: Storage,
        clock: Clock,
        limits: Limits = DISCORD,
    ) -> None:
        _quiet()
        self._access = access
        self._extensions = extensions
        self._storage = storage
        self._clock = clock
        self._client: AnyClient | None = None
        self._offering: asyncio.Task[None] | None = None
        self._wire = Wire()
        self._introduced = False
        self._seals = Seals(access.token)
        self._refusals = Refusals()
        self._starts = Starts(storage.notes, clock, access.shards or 1)
        self._pace = Pace(limits)
        self.messenger = DiscordMessenger(
            self._wire, self._seals, storage, self._refusals, self._pace
        )

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Keep the connection for as long as something is to be sent."""
        aim(self._access.api_url)
        try:
            yield
        finally:
            await self._disconnect()

    async def serve(self, core: Core, tell: Callable[[str], None]) -> None:
        """Answer people until cancelled; what was taken is answered first.

        A token that is refused and a Discord that is away are logged, and tried again without end.
        """
        desk = Desk(core, self._seals)
        tries = 0
        try:
            while True:
                began = time.monotonic()
                error = await self._live(desk, core, tell)
                await self._disconnect()
                tries = 0 if time.monotonic() > began + _STEADY else tries + 1
                wait = self._wait(error, tries)
                log.error("discord.disconnected", problem=_words(error), retry_in=wait)
                await asyncio.sleep(wait)
        finally:
            await desk.finish(STOP_WITHIN)

    def _wait(self, error: Exception | None, tries: int) -> float:
        judged = error and classify(error)
        if isinstance(judged, Banned):
            return judged.seconds
        if isinstance(judged, PlatformStopped):
            return REFUSED
        return _RETRY[min(tries, len(_RETRY)) - 1] if tries else 0.0

    async def _live(self, desk: Desk, core: Core, tell: Callable[[str], None]) -> Exception | None:
        """Connect, and stay connected; what ended it, if it was not the watchdog."""
        client = self._client = new_client(
            self._access,
            desk,
            self._extensions,
            self._refusals,
            self._pace,
            self._before_session,
        )
        guilds = Guilds(client, self._storage, self._clock, core.wake, self._wire.away)
        beside: list[asyncio.Task[Any]] = []
        try:
            await client.login(self._access.token)
            self._wire.client = client
            # Never cancelled, as nothing is that sends; it ends by itself with the client.
            self._offering = asyncio.create_task(
                offer_commands(client, self._storage.notes, self._access.dev_guild)
            )
            await self._find_gateway(client)
            beside += [
                asyncio.create_task(work)
                for work in (
                    client.connect(),
                    Watchdog(client).run(),
                    guilds.keep_reconciled(),
                    self._introduce(client, tell),
                )
            ]
            connecting, watching, *_ = beside
            await asyncio.wait({connecting, watching}, return_when=asyncio.FIRST_COMPLETED)
            if connecting.done():
                connecting.result()
        except Exception as error:  # noqa: BLE001 - whatever it was, the next client is tried
            return error
        finally:
            for task in beside:  # the client stays: what is under way is sent through it
                task.cancel()
            if beside:
                await asyncio.wait(beside)
        return None

    async def _find_gateway(self, client: AnyClient) -> None:
        """Ask where sessions begin, and wait until one may."""
        _, url, limit = await client.http.get_bot_gateway()
        aim_gateway(url)
        if limit["remaining"] < max(self._access.shards or 1, 1):
            wait = limit["reset_after"] / 1000
            log.error("discord.no_sessions_left", retry_in=wait)
            await asyncio.sleep(wait)
        wait = await self._starts.wait()
        if wait > _IN_PLACE:
            log.warning("discord.started_too_often", retry_in=round(wait))
        await asyncio.sleep(wait)

    async def _before_session(self) -> None:
        wait = await self._starts.wait()
        # Of several connections the others go on; the library asks again for the one that waits.
        if wait > _IN_PLACE and not self._access.shards:
            raise TooManyStarts(
                f"Too many sessions were begun today: the next one begins in {wait:.0f} s."
            )
        await asyncio.sleep(wait)
        await self._starts.begin()

    async def _disconnect(self) -> None:
        client, self._client, self._wire.client = self._client, None, None
        if client is not None:
            with suppress(Exception):  # it is of no use any more, whatever is wrong with it
                await client.close()

    async def _introduce(self, client: AnyClient, tell: Callable[[str], None]) -> None:
        await client.wait_until_ready()
        if self._introduced:
            return
        self._introduced = True
        tell(f"Cliffhanger speaks on Discord as {client.user}. Ctrl-C ends.")
        if not client.guilds and client.application_id:
            tell(f"It is in no server yet. Invite it: {invitation(client.application_id)}")


def _words(error: Exception | None) -> str:
    if error is None:
        return "the connection was lost"
    if isinstance(error, CliffhangerError):
        return str(error)
    judged = classify(error)
    if isinstance(judged, PlatformStopped | NotSent):
        return str(judged)
    # Among them what the library fails with when its first connection is refused.
    return f"the connection to Discord broke ({type(error).__name__})"


def _quiet() -> None:
    """Keep the library's tracebacks out of the log: ordinary trouble is told here, in a line."""
    # The bot has no voice, and so needs none of what the library misses for it.
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
    for name in ("discord.client", "discord.gateway", "discord.shard"):
        logging.getLogger(name).addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True
