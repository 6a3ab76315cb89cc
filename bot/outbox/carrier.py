"""Carries what is due to one destination, and writes down how it went."""

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Final

import structlog

from bot.errors import (
    DeliveryError,
    DestinationLost,
    DestinationMoved,
    MaybeSent,
    MustWait,
    NotSent,
    PlatformStopped,
    Refused,
    StorageError,
    WaitsAlone,
)
from bot.model import Clock, Delivery
from bot.outbox.composer import Composer
from bot.outbox.consequences import believed, expired, put_off, settlement
from bot.outbox.holds import SILENCE, STOPPED, Holds
from bot.outbox.messenger import Messenger, Notice
from bot.outbox.settler import Settler
from storage.outbox import Parcel, Settlement
from storage.store import Storage

IN_FLIGHT: Final = 4
"""Messages on their way at a time, on a platform that says nothing else."""

log = structlog.get_logger()


class Carrier:
    """Sends through one platform's messenger, and acts on what follows from it."""

    def __init__(
        self,
        messenger: Messenger,
        storage: Storage,
        composer: Composer,
        settler: Settler,
        holds: Holds,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._messenger = messenger
        self._storage = storage
        self._composer = composer
        self._settler = settler
        self._holds = holds
        self._clock = clock
        self._chance = chance
        self._doubted: set[int] = set()
        self._reached_at: dt.datetime | None = None
        self.in_flight = messenger.in_flight
        self._slots = asyncio.Semaphore(self.in_flight)
        self._stopping = False

    async def recover(self) -> None:
        """Remember what an earlier process knew."""
        self._doubted = await self._storage.destinations.doubted()

    def stop(self) -> None:
        """Send nothing more; what is on its way is settled."""
        self._stopping = True

    async def carry(self, parcel: Parcel) -> None:
        """Send what is due to a destination, and settle each message right after its answer."""
        try:
            composed = await self._composer.compose(parcel)
        except Exception as caught:  # noqa: BLE001 - whatever it is, the deliveries are settled
            log.warning("outbox.not_composed", to=str(parcel.destination), problem=repr(caught))
            await self._settler.settle(self._outcomes(parcel.deliveries, caught, None))
            return
        outcomes = [expired(one, why, self._clock()) for one, why in composed.stale]
        deliveries, notices = composed.current, composed.notices
        while deliveries:
            count = self._fitting(parcel, deliveries, notices)
            tried = deliveries[:count]
            error, message_id = await self._send(parcel, notices[:count])
            # What has an id has arrived, even where it was the last that could.
            outcomes += self._outcomes(tried, None if message_id else error, message_id)
            deliveries, notices = deliveries[count:], notices[count:]
            if error:
                # What comes later in the log is not sent before what comes earlier.
                (failed,) = self._outcomes(tried[-1:], error, None)
                outcomes += [put_off(one, failed) for one in deliveries]
                deliveries = ()
            await self._settler.settle(outcomes)
            outcomes = []
            if error is None:
                await self._clear_doubt(parcel.destination_id)
            if isinstance(error, DestinationMoved):
                await self._move(parcel, error.chat_id)
        if outcomes:
            await self._settler.settle(outcomes)

    def _fitting(
        self, parcel: Parcel, deliveries: Sequence[Delivery], notices: Sequence[Notice]
    ) -> int:
        """How many of the first go out as one message: what was one is repeated as it was."""
        bundle = deliveries[0].bundle
        alike = sum(1 for _ in takewhile(lambda one: one.bundle == bundle, deliveries))
        return self._messenger.fitting(parcel.destination, notices[:alike])

    def _outcomes(
        self, tried: Sequence[Delivery], error: Exception | None, message_id: str | None
    ) -> list[Settlement]:
        """How to write down the deliveries of one message."""
        now, chance, first = self._clock(), self._chance(), tried[0].seq
        return [settlement(one, error, message_id, now, chance, first) for one in tried]

    async def _send(
        self, parcel: Parcel, notices: Sequence[Notice]
    ) -> tuple[Exception | None, str | None]:
        """Send one message; how it went, as far as it concerns its deliveries."""
        try:
            async with self._slots:
                if self._stopping or self._holds.remaining():
                    return MustWait("nothing is sent just now", 0), None
                message_id = await self._messenger.send(parcel.destination, notices)
        except Exception as error:  # noqa: BLE001 - whatever it is, the delivery is settled
            known = isinstance(error, DeliveryError)
            tell = log.info if known and not isinstance(error, Refused) else log.warning
            tell("outbox.failed", to=str(parcel.destination), problem=_words(error))
            judged = await self._judged(parcel, error)
            return judged, judged.message_id if isinstance(judged, DestinationLost) else None
        self._holds.served(parcel.destination.chat_id)
        self._reached_at = self._clock()
        return None, message_id

    async def _judged(self, parcel: Parcel, error: Exception) -> Exception:
        """What the failure means once it is seen beside those of other times and chats."""
        chat = parcel.destination.chat_id
        if isinstance(error, DestinationLost):
            try:
                return await self._lost(parcel, error)
            except StorageError as trouble:  # the next attempt will find it lost again
                log.error("outbox.not_noted", problem=str(trouble))
        if isinstance(error, DestinationMoved) and error.chat_id == chat:
            return NotSent(f"{error}, to where it was")
        if isinstance(error, WaitsAlone):
            return error
        if isinstance(error, MustWait) and self._holds.flooded(chat, error.seconds):
            log.warning("outbox.flooded", seconds=error.seconds)
        if isinstance(error, MaybeSent) and self._holds.unanswered(chat):
            log.error("outbox.unanswered", problem=str(error), tried_again_in=SILENCE)
        if isinstance(error, PlatformStopped):
            self._stop(error)
        return error

    async def _lost(self, parcel: Parcel, error: DestinationLost) -> Exception:
        """Suspend a destination, or wait and see while it may be a passing state."""
        now, destination_id = self._clock(), parcel.destination_id
        if error.doubt:
            if error.doubt.ours and self._holds.lost(parcel.destination.chat_id):
                return self._stop(PlatformStopped(_TOO_MANY))
            self._doubted.add(destination_id)
            times, since = await self._storage.destinations.doubt(destination_id, str(error), now)
            # Where nobody at all is reached, the fault may be ours: a token of another bot.
            reached = self._reached_at is not None and self._reached_at >= since
            if not reached or not believed(error.doubt, times, now - since):
                return MustWait(str(error), error.doubt.every.total_seconds())
        # Before settling: what is held without a suspension would never be freed.
        self._doubted.discard(destination_id)
        await self._storage.destinations.suspend(destination_id, str(error), now)
        return error

    async def _clear_doubt(self, destination_id: int) -> None:
        if destination_id in self._doubted:
            self._doubted.discard(destination_id)
            await self._storage.destinations.clear_doubt(destination_id)

    def _stop(self, error: PlatformStopped) -> PlatformStopped:
        self._holds.stop()
        log.error("outbox.stopped", problem=str(error), tried_again_in=STOPPED)
        return error

    async def _move(self, parcel: Parcel, chat_id: int) -> None:
        old = parcel.destination
        await self._storage.destinations.move(old.platform, old.chat_id, chat_id, self._clock())


_TOO_MANY: Final = (
    "More than every fifth chat is unknown to the platform. Does the token belong to the bot that "
    "these chats know? Nothing is sent for now."
)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, DeliveryError) else repr(error)[:300]
