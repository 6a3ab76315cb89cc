"""The outbox: claims what is due, says it through a platform's messenger, settles how it went.

Few messages are in flight at a time: workers take one destination after the other from a small
claimed buffer, so a million deliveries need no more memory than a hundred. Fan-out jobs are
expanded only as the buffer drains. Nothing is sent that is not recorded, and a worker goes on
only when the outcome is written down.
"""

import asyncio
import datetime as dt
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol

import structlog

from bot.errors import DestinationLost, NotSent
from bot.message import Message
from bot.model import Clock, Destination, Platform, Seq
from bot.outbox.composer import Composer
from bot.outbox.consequences import expired, settlement
from bot.outbox.settler import Settler
from storage.outbox import Parcel, Settlement
from storage.store import Storage

IN_FLIGHT: Final = 4
CLAIM: Final = 100
"""Destinations claimed at a time."""

CHUNK: Final = 2500
"""Deliveries created at a time: long enough to be quick, short enough to let commands through."""

LOW_WATER: Final = 1000
"""Fan-outs are expanded while fewer deliveries than this are due."""

LEASE: Final = dt.timedelta(minutes=5)
"""How long a claim holds; only a crash lets it run out, and a start releases it at once."""

LONGEST_NAP: Final = 30.0
SHORT_NAP: Final = 0.5
PAUSE_AFTER_TROUBLE: Final = 5.0

log = structlog.get_logger()


class Messenger(Protocol):
    """Sends for one platform. What differs between platforms stays behind this."""

    async def send(self, destination: Destination, messages: Sequence[Message]) -> str | None:
        """Send messages as one; returns the platform's id of it.

        Raises a `DeliveryError` by consequence; anything else counts as unknown.
        """


class Outbox:
    """Delivers what is due, now and as it becomes due."""

    def __init__(
        self,
        storage: Storage,
        messengers: Mapping[Platform, Messenger],
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._storage = storage
        self._messengers = messengers
        self._clock = clock
        self._chance = chance
        self._composer = Composer(storage)
        self._settler = Settler(storage.deliveries)
        self._buffer: deque[Parcel] = deque()
        self._busy: set[int] = set()
        self._jobs: deque[Seq] = deque()
        self._news = True
        self._stir = asyncio.Event()
        self._idle = asyncio.Event()
        self._taking = asyncio.Lock()
        self._stopping = False

    def wake(self) -> None:
        """There is news: look at once."""
        self._composer.forget()
        self._news = True
        self._stir.set()

    async def recover(self) -> None:
        """Take back what an earlier process had claimed; at the start of the only bot."""
        freed = await self._storage.deliveries.release(self._clock())
        if freed:
            log.warning("outbox.recovered", deliveries=freed)

    async def run(self) -> None:
        """Deliver until `stop` is called; what was claimed and not tried is given back."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(IN_FLIGHT):
                workers.create_task(self._worker())
        unsent = [one for parcel in self._buffer for one in parcel.deliveries]
        await self._storage.deliveries.give_back(unsent, self._clock())

    async def settled(self) -> None:
        """Wait until nothing is due and nothing is in flight; `run` must be under way."""
        self._idle.clear()
        self.wake()
        await self._idle.wait()

    def stop(self) -> None:
        """Take nothing more; `run` returns when what is in flight has been settled."""
        self._stopping = True
        self._stir.set()

    async def _worker(self) -> None:
        """Serve one destination after the other; no trouble ends a worker."""
        while not self._stopping:
            try:
                await self._serve_next()
            except Exception as error:  # noqa: BLE001 - a dead worker would stall the deliveries
                log.error("outbox.trouble", problem=str(error), retry_in=PAUSE_AFTER_TROUBLE)
                self._news = True  # whatever was being looked at is looked at again
                await asyncio.sleep(PAUSE_AFTER_TROUBLE)

    async def _serve_next(self) -> None:
        parcel = await self._next()
        if parcel is None:
            return
        try:
            await self._deliver(parcel)
        finally:
            self._busy.discard(parcel.destination_id)
            self._stir.set()  # more may be due there

    async def _next(self) -> Parcel | None:
        """The next destination to serve, as soon as there is one; `None` to stop."""
        async with self._taking:
            while not self._buffer and not self._stopping:
                # Cleared before looking: what happens from here on is looked at again.
                self._stir.clear()
                if not await self._refill():
                    if not self._busy and not self._stir.is_set():
                        self._idle.set()
                    await self._nap()
            return None if self._stopping else self._buffer.popleft()

    async def _refill(self) -> bool:
        """Expand and claim; false when nothing is due."""
        await self._expand()
        now = self._clock()
        claimed = await self._storage.deliveries.claim(now, LEASE, CLAIM, self._busy)
        self._busy.update(parcel.destination_id for parcel in claimed)
        self._buffer.extend(claimed)
        return bool(claimed)

    async def _expand(self) -> None:
        """Create the next deliveries of the open jobs, in turn, while few are due."""
        if self._news:
            self._news = False
            self._jobs = deque(await self._storage.fanouts.open_jobs())
        while self._jobs and not self._stopping and await self._few_due():
            created = await self._storage.fanouts.expand(self._jobs[0], CHUNK)
            seq = self._jobs.popleft()
            if created:
                self._jobs.append(seq)

    async def _few_due(self) -> bool:
        waiting = await self._storage.deliveries.waiting(self._clock(), LOW_WATER)
        return waiting < LOW_WATER

    async def _nap(self) -> None:
        """Sleep until something stirs or the next delivery is due."""
        due = await self._storage.deliveries.next_due()
        wait = (due - self._clock()).total_seconds() if due else LONGEST_NAP
        # Due and yet not claimed: it waits for what is on its way there, whose end will stir.
        wait = min(wait, LONGEST_NAP) if wait > 0 else SHORT_NAP
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._stir.wait()

    async def _deliver(self, parcel: Parcel) -> None:
        """Serve one destination, and write down how it went."""
        error: Exception | None = None
        message_id: str | None = None
        stale: list[Settlement] = []
        current = parcel.deliveries
        try:
            composed = await self._composer.compose(parcel.deliveries)
            current = composed.current
            stale = [expired(one, why, self._clock()) for one, why in composed.stale]
            if current:
                messenger = self._messenger(parcel.destination.platform)
                message_id = await messenger.send(parcel.destination, composed.messages)
        except Exception as caught:  # noqa: BLE001 - whatever it is, the delivery is settled
            error = caught
            log.warning("outbox.failed", to=str(parcel.destination), problem=repr(caught)[:300])
        now, chance = self._clock(), self._chance()
        if isinstance(error, DestinationLost):
            # Before settling: what is held without a suspension would never be freed.
            await self._storage.destinations.suspend(parcel.destination_id, str(error), now)
        done = [settlement(one, error, message_id, now, chance) for one in current]
        await self._settler.settle([*stale, *done])

    def _messenger(self, platform: Platform) -> Messenger:
        messenger = self._messengers.get(platform)
        if messenger is None:
            raise NotSent(f"{platform} is switched off here")
        return messenger
