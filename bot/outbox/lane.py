"""A lane: the deliveries of one platform, claimed, said and settled apart from the others'.

What is slow, hangs or is refused on one platform holds up no other one.
"""

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, NamedTuple

import structlog

from bot.errors import MaybeSent, StorageError
from bot.model import Clock, Platform
from bot.outbox.carrier import Carrier, is_cancelled
from bot.outbox.expander import Expander
from bot.outbox.holds import Holds
from bot.outbox.turns import Turns
from storage.outbox import MOST_DEATHS, Parcel
from storage.store import Storage

WORKERS: Final = 2
"""Workers for each message in flight: while outcomes are stored, other messages go out."""

CLAIM: Final = 200
"""Destinations claimed at a time."""

LEASE: Final = dt.timedelta(minutes=5)
"""How long a claim holds; only a crash lets it run out, and a start releases it at once."""

STALLED: Final = 120.0
"""Seconds without a sign of life after which a lane is begun anew.

Longer than the longest send, which ends by itself before, and than any nap.
"""

LONGEST_END: Final = 3.0
"""Seconds after which what will not end is left behind."""

LONGEST_NAP: Final = 30.0
SHORT_NAP: Final = 0.5
PAUSE_AFTER_TROUBLE: Final = 5.0

LATE: Final = 10.0
"""Seconds beyond which what its chat may not get yet waits in the database, not in memory."""

log = structlog.get_logger()


class LaneState(NamedTuple):
    """How a lane is: whether it runs, what it sent, how long it is held, and has been idle."""

    alive: bool
    sent_last_minute: int
    held_for: float
    """Seconds until something may be sent, where the platform is away or asks to wait."""
    idle_for: float
    """Seconds since the last sign of life; a lane without work gives one every half minute."""


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
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.idle = asyncio.Event()
        self._platform = platform
        self._carrier = carrier
        self._holds = holds
        self._deliveries = storage.deliveries
        self._expander = expander
        self._clock = clock
        self._steady = steady
        self._turns = Turns(carrier.pace)
        self._busy: set[int] = set()
        self._serving: dict[int, Parcel] = {}
        self._stir = asyncio.Event()
        self._taking = asyncio.Lock()
        self._refilling: asyncio.Task[bool] | None = None
        self._stopping = False
        self._running: asyncio.Task[None] | None = None
        self._seen = steady()

    @property
    def state(self) -> LaneState:
        """How the lane is now."""
        sent, held = self._carrier.sent.last_minute, self._holds.remaining()
        alive = self._running is not None and not self._running.done()
        return LaneState(alive, sent, held, self._steady() - self._seen)

    def stir(self) -> None:
        """Something has changed: look again."""
        self.idle.clear()
        self._stir.set()

    def stop(self) -> None:
        """Take nothing more; `run` returns when what is in flight has been settled."""
        self._stopping = True
        self._carrier.stop()
        self.stir()

    async def keep_running(self) -> None:
        """Deliver until `stop` is called; a lane that dies or stalls is begun anew."""
        while not self._stopping:
            self._seen = self._steady()
            self._running = running = asyncio.create_task(self._run())
            try:
                while not running.done() and not self._stalled():
                    await asyncio.wait({running}, timeout=STALLED / 6)
            finally:
                ending = [one for one in (running, self._refilling) if one]
                for one in ending:
                    one.cancel()
                await asyncio.wait(ending, timeout=LONGEST_END)
                self._running = self._refilling = None
            if self._stopping:
                return
            log.error("outbox.begun_anew", platform=self._platform, ended=_ending(running))
            try:
                await self._give_up()
            except Exception as error:  # noqa: BLE001 - the rest is due when its claim ends
                log.error("outbox.trouble", problem=str(error), retry_in=SHORT_NAP)
            await asyncio.sleep(SHORT_NAP)

    async def _run(self) -> None:
        """Deliver until `stop` is called; what was claimed and not tried is given back."""
        await self._recover()
        async with asyncio.TaskGroup() as workers:
            for _ in range(WORKERS * self._carrier.in_flight):
                workers.create_task(self._worker())
        await self._refill_ended()
        await self._give_back(self._turns.clear())

    def _stalled(self) -> bool:
        return not self._stopping and self._steady() - self._seen > STALLED

    async def _give_up(self) -> None:
        """What was on its way when the lane ended may have arrived; the rest was not tried."""
        hung, self._serving = self._serving, {}
        waiting = self._turns.clear()
        self._turns = Turns(self._carrier.pace)
        self._taking = asyncio.Lock()
        self._busy.clear()
        for parcel in hung.values():
            await self._carrier.give_up(parcel, MaybeSent("the sending hung, and was given up"))
        await self._give_back(waiting)

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
        while not self._stopping and not is_cancelled():
            try:
                parcel = await self._next()
                if parcel:
                    await self._serve(parcel)
            # A dead worker would stall the deliveries; also a library may say `CancelledError`.
            except (Exception, asyncio.CancelledError) as error:
                if is_cancelled():
                    raise
                log.error("outbox.trouble", problem=_words(error), retry_in=PAUSE_AFTER_TROUBLE)
                self._expander.look_again()  # whatever was being looked at is looked at again
                await asyncio.sleep(PAUSE_AFTER_TROUBLE)

    async def _serve(self, parcel: Parcel) -> None:
        self._serving[parcel.destination_id] = parcel
        rest: Parcel | None = None
        try:
            rest = await self._carrier.carry(parcel)
        except (Exception, asyncio.CancelledError):
            if not is_cancelled():  # else the lane ends, and gives it up
                self._done(parcel, None)
            raise
        self._done(parcel, rest)

    def _done(self, parcel: Parcel, rest: Parcel | None) -> None:
        self._seen = self._steady()
        if self._serving.get(parcel.destination_id) is not parcel:
            return  # it was given up
        del self._serving[parcel.destination_id]
        self._turns.done(parcel, rest, self._steady())
        if rest is None:
            self._busy.discard(parcel.destination_id)
        self.stir()  # more may be due there

    async def _next(self) -> Parcel | None:
        """The next destination to serve, as soon as there is one; `None` to stop."""
        async with self._taking:
            while not self._stopping:
                self._seen = self._steady()
                # Cleared before looking: what happens from here on is looked at again.
                self._stir.clear()
                held = self._holds.remaining()
                if held:
                    await self._hold(held)
                elif self._holds.on_trial:
                    await self._carrier.probe()
                elif parcel := self._take():
                    if not _suspect(parcel):
                        return parcel
                    await self._serve_alone(parcel)
                elif not await self._refilled():
                    self._rest()
                    await self._nap()
            return None

    def _take(self) -> Parcel | None:
        """The next parcel of those claimed; more are claimed before they come to an end."""
        if self._turns.any:
            self._refill_beside()
        return self._turns.next(self._steady())

    async def _serve_alone(self, parcel: Parcel) -> None:
        """Send what the bot may have died of while nothing else is on its way, which it may not."""
        while self._serving and not self._stopping:
            self._stir.clear()
            await self._sleep(SHORT_NAP)
        await self._serve(parcel)

    def _rest(self) -> None:
        if not self._busy and not self._stir.is_set():
            self.idle.set()

    async def _hold(self, seconds: float) -> None:
        """Send nothing for a while; what is claimed meanwhile would only grow old."""
        await self._put_back(self._turns.clear())
        self._rest()
        await self._sleep(min(seconds, LONGEST_NAP))

    async def _put_back(self, parcels: list[Parcel], wait: float = 0.0) -> None:
        self._busy.difference_update(parcel.destination_id for parcel in parcels)
        await self._give_back(parcels, wait)

    async def _give_back(self, parcels: Iterable[Parcel], wait: float = 0.0) -> None:
        unsent = [one for parcel in parcels for one in parcel.deliveries]
        await self._deliveries.give_back(unsent, self._clock() + dt.timedelta(seconds=wait))

    def _refill_beside(self) -> None:
        """Claim more while what is left goes out, so that the sending never waits for it."""
        if self._refilling and self._refilling.done():
            ended, self._refilling = self._refilling, None
            ended.result()  # its trouble is that of whoever looks
        if self._refilling is None and not self._turns.full:
            self._refilling = asyncio.create_task(self._refill())

    async def _make_room(self) -> None:
        """Put back what must wait for long, so that it keeps out nothing else."""
        for parcel, wait in self._turns.late(LATE, self._steady()):
            await self._put_back([parcel], wait)

    async def _refilled(self) -> bool:
        """Whether more was claimed; what came after an earlier look is looked for again."""
        await self._make_room()
        if await self._refill_ended():
            return True
        self._refill_beside()
        return await self._refill_ended()

    async def _refill_ended(self) -> bool:
        """Wait for the claim that is under way; false where it found nothing, or there is none."""
        if self._refilling is None:
            return False
        await asyncio.wait({self._refilling})
        ended, self._refilling = self._refilling, None
        return ended.result()

    async def _refill(self) -> bool:
        """Expand and claim; false when nothing is due."""
        await self._expander.expand(self._platform, lambda: self._stopping)
        claimed = await self._deliveries.claim(
            self._clock(), LEASE, CLAIM, self._busy, self._platform
        )
        self._busy.update(parcel.destination_id for parcel in claimed)
        self._turns.add(claimed)
        return bool(claimed)

    async def _nap(self) -> None:
        """Sleep until something stirs, a chat may go on, or the next delivery is due."""
        due = await self._deliveries.next_due(self._platform)
        wait = (due - self._clock()).total_seconds() if due else LONGEST_NAP
        # Due and yet not claimed: it waits for what is on its way there, whose end will stir.
        wait = min(wait, LONGEST_NAP) if wait > 0 else SHORT_NAP
        chat = self._turns.wait(self._steady())
        await self._sleep(wait if chat is None else min(wait, max(chat, 0.001)))

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stir.wait()


def _suspect(parcel: Parcel) -> bool:
    """Whether the bot may have died of it: once more, and it is known."""
    return any(one.deaths >= MOST_DEATHS - 1 for one in parcel.deliveries)


def _words(error: BaseException) -> str:
    return str(error) or repr(error)


def _ending(task: "asyncio.Task[None]") -> str:
    if task.cancelled() or not task.done():
        return "without a sign of life"
    return repr(task.exception())[:300]
