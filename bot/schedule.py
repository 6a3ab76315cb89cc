"""The schedule: APScheduler wakes the poll and the chores; their state lives in the database.

What raises or hangs is logged, and its next turn comes. APScheduler counts in wall-clock
time, so a clock set back would make it sleep: a watch on the clock wakes it again.
"""

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum, auto
from typing import Any, Final, NamedTuple

import structlog

from bot.errors import StorageError
from bot.model import Clock

TIME_LIMIT: Final = 60.0
"""Seconds a poll may take before it is given up and another one is begun."""

WATCH_EVERY: Final = 5.0
JUMP: Final = 5.0
"""Seconds by which wall clock and steady clock must part to count as a jump."""

FIRST_WITHIN: Final = 3600.0
"""Seconds within which a chore is done for the first time, however seldom it is done."""

ENDS_WITHIN: Final = 1.0
"""Seconds that something which is given up gets to end."""

log = structlog.get_logger()

Work = Callable[[], Awaitable[object]]
Jumped = Callable[[dt.timedelta], Awaitable[object]]


class ClockWatch:
    """Compares the wall clock with a steady one."""

    def __init__(self, clock: Clock, steady: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._steady = steady
        self._offset = self._measured()
        self._jumped_at: float | None = None

    def jump(self) -> dt.timedelta | None:
        """How far the wall clock was set since `accept`, if it was."""
        moved = self._measured() - self._offset
        return None if abs(moved) < JUMP else dt.timedelta(seconds=moved)

    def accept(self, moved: dt.timedelta) -> None:
        """Take the clock as right after it moved by that much."""
        self._offset += moved.total_seconds()
        self._jumped_at = self._steady()

    def calm(self, seconds: float) -> bool:
        """Whether the wall clock was not set for so long, as far as was seen."""
        if self.jump() is not None:
            return False
        return self._jumped_at is None or self._steady() - self._jumped_at >= seconds

    def _measured(self) -> float:
        return self.clock().timestamp() - self._steady()


class Chore(NamedTuple):
    """Something done regularly beside the poll: the first time after its interval, or an hour."""

    name: str
    seconds: float
    work: Work
    time_limit: float = TIME_LIMIT


class _End(Enum):
    """How something ended."""

    WELL = auto()
    BADLY = auto()
    HUNG = auto()
    STOPPED = auto()


class _Turns:
    """Does one thing again and again, within a time limit and never twice at once.

    What does not end even when it is given up is waited for: another try would wait behind it.
    """

    def __init__(self, name: str, work: Work, time_limit: float) -> None:
        self._name = name
        self._work = work
        self._time_limit = time_limit
        self._task: asyncio.Future[object] | None = None

    async def take(self) -> _End:
        """Do it once; trouble is logged, never raised."""
        given_up = self._task is not None and not self._task.done()
        if self._task is None or not given_up:
            self._task = asyncio.ensure_future(self._work())
            self._task.add_done_callback(_notice)
        try:
            if not await _ends(self._task, self._time_limit):
                log.error(f"{self._name}.hung", given_up_after=self._time_limit)
                await _ends(self._task, ENDS_WITHIN)
                return _End.HUNG
        except asyncio.CancelledError:
            # The scheduler shuts down, and would log a traceback.
            log.debug(f"{self._name}.stopped")
            return _End.STOPPED
        return _End.HUNG if given_up else self._judged(self._task)

    def _judged(self, ended: asyncio.Future[object]) -> _End:
        error = asyncio.CancelledError() if ended.cancelled() else ended.exception()
        if error is not None:
            log.error(f"{self._name}.failed", problem=str(error) or repr(error))
        return _End.WELL if error is None else _End.BADLY


async def _ends(task: asyncio.Future[object], within: float) -> bool:
    """Whether something ends in time; else, or when nobody waits any more, it is cancelled."""
    try:
        ended, _ = await asyncio.wait([task], timeout=within)
        return bool(ended)
    finally:
        task.cancel()  # of no effect where it has ended


def _notice(task: asyncio.Future[object]) -> None:
    """Take notice of how something ended: perhaps nobody waits for it any more."""
    if not task.cancelled():
        task.exception()


class Schedule:
    """Runs `poll` every `seconds`, the first time at once, and the `chores` beside it."""

    def __init__(
        self,
        poll: Work,
        seconds: float,
        watch: ClockWatch,
        jumped: Jumped,
        *,
        chores: Sequence[Chore] = (),
        time_limit: float = TIME_LIMIT,
    ) -> None:
        from apscheduler.schedulers.asyncio import AsyncIOScheduler

        # It would warn whenever a poll takes longer than its turn; what matters is logged here.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self.polled_at: dt.datetime | None = None
        self._poll = _Turns("poll", poll, time_limit)
        self._polling = self._again = False
        self._watch = watch
        self._jumped = jumped
        self._scheduler: Any = AsyncIOScheduler(
            timezone=dt.UTC,
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._job = self._scheduler.add_job(
            self.poll_once,
            "interval",
            seconds=seconds,
            next_run_time=dt.datetime.now(dt.UTC),
            max_instances=2,  # one polls; what comes meanwhile lets it poll once more
        )
        self._chores = [(chore, self._add(chore)) for chore in chores]
        self._guard: asyncio.Task[None] | None = None

    def _add(self, chore: Chore) -> Any:
        turns = _Turns(chore.name, chore.work, chore.time_limit)
        return self._scheduler.add_job(
            turns.take, "interval", seconds=chore.seconds, next_run_time=_first(chore)
        )

    def start(self) -> None:
        """Begin, inside the running event loop."""
        self._scheduler.start()
        self._guard = asyncio.create_task(self._keep_awake())

    async def stop(self) -> None:
        """Begin nothing more."""
        self._scheduler.shutdown(wait=False)
        if self._guard:
            self._guard.cancel()
            await asyncio.wait([self._guard])

    async def poll_once(self) -> None:
        """Poll within the time limit; trouble is logged. After one that hangs comes another.

        While a poll is under way, it is only noted that another one is to follow.
        """
        self._again = True
        if self._polling:
            return
        self._polling = True
        try:
            while self._again:
                self._again = False
                end = await self._poll.take()
                if end is _End.STOPPED:
                    return
                self._again |= end is _End.HUNG
                if end is _End.WELL:
                    self.polled_at = self._watch.clock()
        finally:
            self._polling = False

    async def catch_up(self) -> None:
        """Where the clock was set: poll now, and tell by how much it moved."""
        moved = self._watch.jump()
        if moved is None:
            return
        log.warning("clock.jumped", seconds=moved.total_seconds())
        self._job.modify(next_run_time=dt.datetime.now(dt.UTC))
        for chore, job in self._chores:
            job.modify(next_run_time=_first(chore))
        await self._jumped(moved)
        self._watch.accept(moved)  # only now: what failed is done again

    async def _keep_awake(self) -> None:
        while True:
            await asyncio.sleep(WATCH_EVERY)
            try:
                await self.catch_up()
            except StorageError as error:
                log.error("clock.not_followed", problem=str(error))


def _first(chore: Chore) -> dt.datetime:
    """When a chore is next done after a start or a jump of the clock."""
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=min(chore.seconds, FIRST_WITHIN))
