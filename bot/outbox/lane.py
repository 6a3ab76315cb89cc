"""A lane: the deliveries of one platform, claimed, said and settled apart from the others'.

What is slow, hangs or is refused on one platform holds up no other one.
"""

import asyncio
import datetime as dt
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import structlog

from bot.errors import StorageError
from bot.model import Clock, Platform
from bot.outbox.carrier import Carrier
from bot.outbox.expander import Expander
from bot.outbox.holds import Holds
from storage.outbox import Parcel
from storage.store import Storage

WORKERS: Final = 2
"""Workers for each message in flight: while outcomes are stored, other messages go out."""

CLAIM: Final = 200
"""Destinations claimed at a time."""

LEASE: Final = dt.timedelta(minutes=5)
"""How long a claim holds; only a crash lets it run out, and a start releases it at once."""

LONGEST_NAP: Final = 30.0
SHORT_NAP: Final = 0.5
PAUSE_AFTER_TROUBLE: Final = 5.0

log = structlog.get_logger()


class Lane:
    """Delivers what is due on one platform, now and as it becomes due."""

    def __init__(
        self,
        platform: Platform,
        carrier: Carrier,
        holds: Holds,
        storage: Storage,
        expander: Expander,
        clock: Clock,
    ) -> None:
        self.idle = asyncio.Event()
        self._platform = platform
        self._carrier = carrier
        self._holds = holds
        self._deliveries = storage.deliveries
        self._expander = expander
        self._clock = clock
        self._buffer: deque[Parcel] = deque()
        self._busy: set[int] = set()
        self._stir = asyncio.Event()
        self._taking = asyncio.Lock()
        self._stopping = False

    def stir(self) -> None:
        """Something has changed: look again."""
        self.idle.clear()
        self._stir.set()

    def stop(self) -> None:
        """Take nothing more; `run` returns when what is in flight has been settled."""
        self._stopping = True
        self._carrier.stop()
        self.stir()

    async def run(self) -> None:
        """Deliver until `stop` is called; what was claimed and not tried is given back."""
        await self._recover()
        async with asyncio.TaskGroup() as workers:
            for _ in range(WORKERS * self._carrier.in_flight):
                workers.create_task(self._worker())
        await self._give_back(self._buffer)

    async def _recover(self) -> None:
        while not self._stopping:
            try:
                await self._carrier.recover()
            except StorageError as error:
                log.error("outbox.trouble", problem=str(error), retry_in=PAUSE_AFTER_TROUBLE)
                await asyncio.sleep(PAUSE_AFTER_TROUBLE)
            else:
                return

    async def _worker(self) -> None:
        """Serve one destination after the other; no trouble ends a worker."""
        while not self._stopping:
            try:
                await self._serve_next()
            except Exception as error:  # noqa: BLE001 - a dead worker would stall the deliveries
                log.error("outbox.trouble", problem=str(error), retry_in=PAUSE_AFTER_TROUBLE)
                self._expander.look_again()  # whatever was being looked at is looked at again
                await asyncio.sleep(PAUSE_AFTER_TROUBLE)

    async def _serve_next(self) -> None:
        parcel = await self._next()
        if parcel is None:
            return
        try:
            await self._carrier.carry(parcel)
        finally:
            self._busy.discard(parcel.destination_id)
            self.stir()  # more may be due there

    async def _next(self) -> Parcel | None:
        """The next destination to serve, as soon as there is one; `None` to stop."""
        async with self._taking:
            while not self._stopping:
                # Cleared before looking: what happens from here on is looked at again.
                self._stir.clear()
                held = self._holds.remaining()
                if held:
                    await self._hold(held)
                elif self._buffer or await self._refill():
                    return self._buffer.popleft()
                else:
                    self._rest()
                    await self._nap()
            return None

    def _rest(self) -> None:
        if not self._busy and not self._stir.is_set():
            self.idle.set()

    async def _hold(self, seconds: float) -> None:
        """Send nothing for a while; what is claimed meanwhile would only grow old."""
        waiting, self._buffer = self._buffer, deque()
        self._busy.difference_update(parcel.destination_id for parcel in waiting)
        await self._give_back(waiting)
        self._rest()
        await self._sleep(min(seconds, LONGEST_NAP))

    async def _give_back(self, parcels: Iterable[Parcel]) -> None:
        unsent = [one for parcel in parcels for one in parcel.deliveries]
        await self._deliveries.give_back(unsent, self._clock())

    async def _refill(self) -> bool:
        """Expand and claim; false when nothing is due."""
        await self._expander.expand(self._platform, lambda: self._stopping)
        claimed = await self._deliveries.claim(
            self._clock(), LEASE, CLAIM, self._busy, self._platform
        )
        self._busy.update(parcel.destination_id for parcel in claimed)
        self._buffer.extend(claimed)
        return bool(claimed)

    async def _nap(self) -> None:
        """Sleep until something stirs or the next delivery is due."""
        due = await self._deliveries.next_due(self._platform)
        wait = (due - self._clock()).total_seconds() if due else LONGEST_NAP
        # Due and yet not claimed: it waits for what is on its way there, whose end will stir.
        await self._sleep(min(wait, LONGEST_NAP) if wait > 0 else SHORT_NAP)

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stir.wait()
