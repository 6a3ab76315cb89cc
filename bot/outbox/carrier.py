"""Carries what is due to one destination, and writes down how it went."""

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Final

import structlog

from bot.errors import (
    DeliveryError,
    DestinationLost,
    DestinationMoved,
    HardlySent,
    MaybeSent,
    MustWait,
    NotSent,
    PlatformStopped,
    Refused,
    StorageError,
    WaitsAlone,
)
from bot.model import Clock, Delivery
from bot.outbox.composer import Composer, Item, Rewrite
from bot.outbox.consequences import Untried, believed, expired, put_off, settlement
from bot.outbox.holds import SILENCE, STOPPED, Holds
from bot.outbox.messenger import Messenger, Notice
from bot.outbox.settler import PAUSE, Settler
from bot.outbox.tally import Tally
from storage.outbox import Parcel, Settlement
from storage.store import Storage

IN_FLIGHT: Final = 4
"""Messages on their way at a time, on a platform that says nothing else."""

LONGEST_SEND: Final = 110.0
"""Seconds after which a send is given up that its platform's library has forgotten."""

LONGEST_PROBE: Final = 20.0
_REWRITES_KEPT: Final = 1000

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
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._messenger = messenger
        self._storage = storage
        self._composer = composer
        self._settler = settler
        self._holds = holds
        self._clock = clock
        self._chance = chance
        self._doubted: set[int] = set()
        self._rewritten: set[tuple[int, Rewrite]] = set()
        self._reached_at: dt.datetime | None = None
        self.in_flight = messenger.in_flight
        self.pace = messenger.pace
        self.sent = Tally(steady)
        self._slots = asyncio.Semaphore(self.in_flight)
        self._stopping = False

    async def recover(self) -> None:
        """Remember what an earlier process knew."""
        self._doubted = await self._storage.destinations.doubted()

    def stop(self) -> None:
        """Send nothing more; what is on its way is settled."""
        self._stopping = True

    async def probe(self) -> None:
        """Ask the platform something harmless, after it was away or refused everything."""
        try:
            async with asyncio.timeout(LONGEST_PROBE):
                await self._messenger.probe()
        except PlatformStopped as error:
            self._stop(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the platform did not answer
            seconds = error.seconds if isinstance(error, MustWait) else 0.0
            log.info("outbox.still_unanswered", problem=_words(error))
            self._holds.still_silent(seconds)
        else:
            self._holds.answered()

    async def carry(self, parcel: Parcel) -> Parcel | None:
        """Send one message of what is due to a destination, and settle it right after its answer.

        Returns what is left to be sent there.
        """
        try:
            composed = await self._composer.compose(parcel, self._clock())
        except StorageError as trouble:  # which says nothing about the message
            log.error("outbox.not_read", problem=str(trouble), retry_in=PAUSE)
            await self.give_up(parcel, Untried(PAUSE, aboard=False))
            return None
        except Exception as caught:  # noqa: BLE001 - whatever it is, the deliveries are settled
            log.warning("outbox.not_composed", to=str(parcel.destination), problem=repr(caught))
            await self.give_up(parcel, caught)
            return None
        outcomes = [expired(one, why, self._clock()) for one, why in composed.stale]
        outcomes += [self._refused(one, why) for one, why in composed.broken]
        if not composed.current:
            await self._settler.settle(outcomes)
            return None
        count = self._fitting(parcel, composed.current)
        tried, left = composed.current[:count], [one.delivery for one in composed.current[count:]]
        error, message_id = await self._send(parcel, tried)
        if isinstance(error, _ReplyWaits):
            # The reply goes to this chat before anything else does, as soon as it may.
            await self._settler.settle(outcomes)
            return replace(parcel, deliveries=tuple(one.delivery for one in composed.current))
        # What has an id has arrived, even where it was the last that could.
        outcomes += self._outcomes(tried, None if message_id else error, message_id)
        if left and error:
            # What comes later in the log is not sent before what comes earlier.
            (failed,) = self._outcomes(tried[-1:], error, None)
            outcomes += [put_off(one, failed) for one in left]
            left = []
        await self._settler.settle(outcomes)
        if error is None:
            await self._clear_doubt(parcel.destination_id)
        if isinstance(error, DestinationMoved):
            await self._move(parcel, error.chat_id)
        return replace(parcel, deliveries=tuple(left)) if left else None

    async def give_up(self, parcel: Parcel, error: Exception) -> None:
        """Settle deliveries that ended without an outcome of their own."""
        now, chance, first = self._clock(), self._chance(), parcel.deliveries[0].seq
        await self._settler.settle(
            [settlement(one, error, None, now, chance, first) for one in parcel.deliveries]
        )

    def _refused(self, delivery: Delivery, why: str) -> Settlement:
        return settlement(delivery, Refused(why), None, self._clock(), self._chance())

    def _fitting(self, parcel: Parcel, items: Sequence[Item]) -> int:
        """How many of the first go out as one message: what was one is repeated as it was."""
        bundle = items[0].delivery.bundle
        alike = list(takewhile(lambda one: one.delivery.bundle == bundle, items))
        try:
            return self._messenger.fitting(parcel.destination, [one.notice for one in alike])
        except Exception as error:  # noqa: BLE001 - sent alone, it fails alone
            log.error("outbox.not_measured", to=str(parcel.destination), problem=repr(error))
            return 1

    def _outcomes(
        self, tried: Sequence[Item], error: Exception | None, message_id: str | None
    ) -> list[Settlement]:
        """How to write down the deliveries of one message."""
        now, chance, first = self._clock(), self._chance(), tried[0].delivery.seq
        return [
            settlement(one.delivery, error, message_id, now, chance, first, one.until)
            for one in tried
        ]

    async def _send(
        self, parcel: Parcel, items: Sequence[Item]
    ) -> tuple[Exception | None, str | None]:
        """Send one message; how it went, as far as it concerns its deliveries."""
        try:
            async with self._slots:
                message_id = await self._hand_over(parcel, items)
        except (Exception, asyncio.CancelledError) as caught:
            if isinstance(caught, asyncio.CancelledError) and is_cancelled():
                raise
            error = _told_apart(caught)
            if isinstance(error, Untried):
                return error, None
            known = isinstance(error, DeliveryError)
            tell = log.info if known and not isinstance(error, Refused) else log.warning
            tell("outbox.failed", to=str(parcel.destination), problem=_words(error))
            judged = await self._judged(parcel, error)
            return judged, judged.message_id if isinstance(judged, DestinationLost) else None
        self._holds.served(parcel.destination.chat_id)
        self._reached_at = self._clock()
        self.sent.count()
        return None, message_id

    async def _hand_over(self, parcel: Parcel, items: Sequence[Item]) -> str | None:
        """Give one message to the platform when it may leave; that is written down first."""
        to, chat = parcel.destination, self.pace.chat(parcel.destination)
        self._check_open(aboard=False)
        await self._rewrite(parcel, items)
        await self._settler.board([one.delivery for one in items])
        await self.pace.turn(chat)
        self._check_open(aboard=True)
        try:
            async with asyncio.timeout(LONGEST_SEND):
                return await self._messenger.send(to, [one.notice for one in items])
        except TimeoutError as error:
            raise MaybeSent(f"there was no answer for {LONGEST_SEND:.0f} seconds") from error

    async def _rewrite(self, parcel: Parcel, items: Sequence[Item]) -> None:
        """Change the messages that told of a mistake; raises where their reply has to wait then."""
        chat = self.pace.chat(parcel.destination)
        for rewrite in dict.fromkeys(one.rewrite for one in items if one.rewrite):
            what = parcel.destination_id, rewrite
            if what in self._rewritten:
                continue
            await self.pace.turn(chat)
            self._check_open(aboard=False)
            await self._edit(parcel, rewrite.message_id, rewrite.notices)
            if len(self._rewritten) >= _REWRITES_KEPT:
                self._rewritten.clear()
            self._rewritten.add(what)
            if self.pace.wait(chat):
                raise _ReplyWaits(aboard=False)

    async def _edit(self, parcel: Parcel, message_id: str, notices: Sequence[Notice]) -> None:
        """Change a message that told of a mistake; where it cannot be, the reply must do."""
        try:
            async with asyncio.timeout(LONGEST_SEND):
                await self._messenger.edit(parcel.destination, message_id, notices)
        except DeliveryError as error:
            if isinstance(error, MaybeSent):
                raise _unchanged(error) from error
            if type(error) not in (DeliveryError, Refused, WaitsAlone):
                raise
            log.warning("outbox.not_edited", to=str(parcel.destination), problem=str(error))
        except TimeoutError as error:
            raise _unchanged(error) from error

    def _check_open(self, *, aboard: bool) -> None:
        if self._stopping or self._holds.remaining():
            raise Untried(aboard=aboard)

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
        if isinstance(error, MaybeSent):
            troubled = isinstance(error, HardlySent)
            if self._holds.unanswered(chat, troubled=troubled):
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


class _ReplyWaits(Untried):
    """A mistake was changed where it stood, and its chat may get the reply only in a moment."""


def _unchanged(error: Exception) -> NotSent:
    """The same words again are no harm, and the reply to them has not been sent."""
    return NotSent(f"the earlier message was perhaps not changed: {error}")


def _told_apart(caught: BaseException) -> Exception:
    """A library that breaks off its own request does not say whether it arrived."""
    return caught if isinstance(caught, Exception) else MaybeSent("the sending was broken off")


def is_cancelled() -> bool:
    """Whether this task is to end; a library may raise `CancelledError` by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, DeliveryError) else repr(error)[:300]
