"""Finds connections that have stalled unseen, and begins them anew."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import structlog
from discord.ext import commands

from bot.platforms.discord.guilds import Bot

EVERY: Final = 10.0
SILENT: Final = 120.0
"""Seconds without a sign of life of a connection that are too many."""

LOST: Final = 300.0
"""Seconds without any connection after which the library is not left to connect again."""

log = structlog.get_logger()


class Watchdog:
    """Looks at the gateway connections and at the hold that a global rate limit puts on requests.

    Both are private to the library, which has no public word on either; a test fails when they
    are there no more.
    """

    def __init__(self, client: Bot, now: Callable[[], float] = time.perf_counter) -> None:
        self._client = client
        self._now = now
        self._alive = now()
        self._held_since: float | None = None

    async def run(self) -> None:
        """Look until there is nothing more to hope for: a new client is needed then."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                if not await self.look():
                    return
            except Exception:
                log.exception("discord.not_watched")

    async def look(self) -> bool:
        """Look once; false when all connections have been lost for too long."""
        self._free_requests()
        now, ages = self._now(), []
        for socket in _sockets(self._client):
            age = now - heard_at(socket)
            ages.append(age)
            if SILENT < age < float("inf"):
                log.error("discord.gateway_silent", seconds=round(age))
                await socket.close(4000)  # the library goes on with the session
        if any(age <= SILENT for age in ages):
            self._alive = now
        if now <= self._alive + LOST:
            return True
        log.error("discord.gateway_lost", seconds=round(now - self._alive))
        return False

    def _free_requests(self) -> None:
        """Set what a request clears when all must wait: one that is cancelled leaves it cleared."""
        over = self._client.http._global_over  # noqa: SLF001 - see the class
        if not self._client.http.token or over.is_set():  # it is no event before the login
            self._held_since = None
        elif self._held_since is None:
            self._held_since = self._now()
        elif self._now() > self._held_since + SILENT:
            log.error("discord.requests_blocked", seconds=SILENT)
            over.set()


def _sockets(client: Bot) -> Iterator[Any]:
    if isinstance(client, commands.AutoShardedBot):
        yield from (shard._parent.ws for shard in client.shards.values())  # noqa: SLF001
    elif client.ws is not None:
        yield client.ws


def heard_at(socket: Any) -> float:
    """When something was last received; long ago when it is not connected."""
    keeper = socket._keep_alive  # noqa: SLF001 - see `Watchdog`
    return keeper._last_recv if keeper else float("-inf")  # noqa: SLF001
