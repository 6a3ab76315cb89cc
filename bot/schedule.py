"""The schedule: APScheduler wakes the poll; all state lives in the database, none in its jobs.

A poll that raises or hangs is logged and the next one runs. APScheduler counts in wall-clock
time, so a clock set back would make it sleep: a watch on the clock wakes it again.
"""

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from bot.errors import StorageError
from bot.model import Clock

TIME_LIMIT: Final = 60.0
"""Seconds a poll may take before it is given up."""

WATCH_EVERY: Final = 5.0
JUMP: Final = 5.0
"""Seconds by which wall clock and steady clock must part to count as a jump."""

log = structlog.get_logger()

Jumped = Callable[[dt.timedelta], Awaitable[object]]


class ClockWatch:
    """Compares the wall clock with a steady one."""

    def __init__(self, clock: Clock, steady: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._steady = steady
        self._offset = self._measured()

    def jump(self) -> dt.timedelta | None:
        """How far the wall clock was set since `accept`, if it was."""
        moved = self._measured() - self._offset
        return None if abs(moved) < JUMP else dt.timedelta(seconds=moved)

    def accept(self, moved: dt.timedelta) -> None:
        """Take the clock as right after it moved by that much."""
        self._offset += moved.total_seconds()

    def _measured(self) -> float:
        return self._clock().timestamp() - self._steady()


class Schedule:
    """Runs `poll` every `seconds`, the first time at once."""

    def __init__(
        self,
        poll: Callable[[], Awaitable[object]],
        seconds: float,
        watch: ClockWatch,
        jumped: Jumped,
        *,
        time_limit: float = TIME_LIMIT,
    ) -> None:
        from apscheduler.schedulers.asyncio import AsyncIOScheduler

        # It would warn whenever a poll takes longer than its turn; what matters is logged here.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._poll = poll
        self._watch = watch
        self._jumped = jumped
        self._time_limit = time_limit
        self._scheduler: Any = AsyncIOScheduler(
            timezone=dt.UTC,
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._job = self._scheduler.add_job(
            self.poll_once, "interval", seconds=seconds, next_run_time=dt.datetime.now(dt.UTC)
        )
        self._guard: asyncio.Task[None] | None = None

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
        """Poll within the time limit; trouble is logged, the next poll runs."""
        try:
            async with asyncio.timeout(self._time_limit):
                await self._poll()
        except TimeoutError:
            log.error("poll.hung", given_up_after=self._time_limit)
        except asyncio.CancelledError:
            log.debug("poll.stopped")  # the scheduler shuts down, and would log a traceback
        except Exception as error:  # noqa: BLE001 - whatever it is, the next poll runs
            log.error("poll.failed", problem=str(error) or repr(error))

    async def catch_up(self) -> None:
        """Where the clock was set: poll now, and tell by how much it moved."""
        moved = self._watch.jump()
        if moved is None:
            return
        log.warning("clock.jumped", seconds=moved.total_seconds())
        self._job.modify(next_run_time=dt.datetime.now(dt.UTC))
        await self._jumped(moved)
        self._watch.accept(moved)  # only now: what failed is done again

    async def _keep_awake(self) -> None:
        while True:
            await asyncio.sleep(WATCH_EVERY)
            try:
                await self.catch_up()
            except StorageError as error:
                log.error("clock.not_followed", problem=str(error))
