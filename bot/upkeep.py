"""Upkeep: what is done regularly, whatever else happens.

Every few minutes the deliveries are counted against what was created, and what is held ends once
it is news no more. Daily, what nothing could be delivered to for months is forgotten.
"""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from bot.message import Message
from bot.message.answers import removed
from bot.model import Clock, Destination
from bot.schedule import Chore, ClockWatch
from storage.purges import Purge
from storage.store import Storage

COUNT_EVERY: Final = 600.0
PURGE_EVERY: Final = 86_400.0

GIVEN_UP_AFTER: Final = dt.timedelta(days=90)
"""How long a destination is suspended before it is forgotten."""

AT_A_TIME: Final = 100
"""Destinations forgotten in one go."""

CALM_FOR: Final = 3600.0
"""Seconds after the clock was set in which nothing is forgotten: it may be wrong again."""

TOLD_WITHIN: Final = 10.0
"""Seconds that one notice may take."""

PURGE_WITHIN: Final = AT_A_TIME * (TOLD_WITHIN + 2)
EXPIRED_AT_A_TIME: Final = 1000

log = structlog.get_logger()

Tell = Callable[[Destination, Message], Awaitable[object]]


class Upkeep:
    """The chores of a bot; `tell` sends a message to a destination."""

    def __init__(self, storage: Storage, clock: Clock, watch: ClockWatch, tell: Tell) -> None:
        self._storage = storage
        self._clock = clock
        self._watch = watch
        self._tell = tell

    @property
    def chores(self) -> tuple[Chore, ...]:
        """What is to be done, and how often."""
        return (
            Chore("conservation", COUNT_EVERY, self.count),
            Chore("expiry", COUNT_EVERY, self.expire),
            Chore("purge", PURGE_EVERY, self.purge, PURGE_WITHIN),
        )

    async def count(self) -> int:
        """How many deliveries are unaccounted for; any is an error, and logged as one."""
        missing = await self._storage.deliveries.unaccounted()
        if missing:
            log.error("deliveries.unaccounted", number=missing)
        return missing

    async def expire(self) -> int:
        """End what is held and news no more; returns how many deliveries that were."""
        ended = 0
        while count := await self._storage.deliveries.expire(self._clock(), EXPIRED_AT_A_TIME):
            ended += count
        if ended:
            log.info("deliveries.expired", number=ended)
        return ended

    async def purge(self) -> int:
        """Forget what could not be reached for months; returns how many destinations that were.

        Not while the clock is in doubt: by a wrong one everything may have been suspended long ago.
        """
        if not self._watch.calm(CALM_FOR):
            log.warning("purge.put_off", reason="the clock was set within the last hour")
            return 0
        forgotten = 0
        for one in await self._storage.purges.due(self._clock(), GIVEN_UP_AFTER, AT_A_TIME):
            # Somebody may have let the bot in again meanwhile: then nothing is forgotten or told.
            if await self._storage.purges.forget(one):
                forgotten += 1
                log.info("purge.forgot", destination=str(one.destination), reason=one.reason)
                await self._notify(one)
        return forgotten

    async def _notify(self, gone: Purge) -> None:
        """Tell whoever can still be reached beside it; a failure to tell is only logged."""
        if gone.sibling is None:
            return
        notice = removed(gone.destination, gone.sibling, gone.reason, GIVEN_UP_AFTER.days)
        try:
            async with asyncio.timeout(TOLD_WITHIN):
                await self._tell(gone.sibling, notice)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are forgotten too
            problem = str(error) or repr(error)
            log.warning("purge.not_told", to=str(gone.sibling), problem=problem)
