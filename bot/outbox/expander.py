"""Fan-out jobs become deliveries only as they are needed, chunk by chunk, one job after another."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from bot.model import Clock, Platform, Seq
from storage.store import Storage

CHUNK: Final = 2500
"""Deliveries created at a time: long enough to be quick, short enough to let commands through."""

LOW_WATER: Final = 1000
"""Fan-outs are expanded while a platform has fewer deliveries due than this."""


class Expander:
    """Creates the next deliveries of the open jobs; `created` is called when there are new ones."""

    def __init__(self, storage: Storage, clock: Clock, created: Callable[[], None]) -> None:
        self._storage = storage
        self._clock = clock
        self._created = created
        self._jobs: deque[Seq] = deque()
        self._news = True
        self._expanding = asyncio.Lock()

    def look_again(self) -> None:
        """There may be new jobs."""
        self._news = True

    async def expand(self, platform: Platform, stopping: Callable[[], bool]) -> None:
        """Expand the open jobs in turn while little is due on a platform."""
        while (self._news or self._jobs) and not stopping() and await self._few_due(platform):
            async with self._expanding:
                created = await self._next_chunk()
            if created:
                self._created()

    async def _next_chunk(self) -> int:
        if self._news:
            self._news = False
            self._jobs = deque(await self._storage.fanouts.open_jobs())
        if not self._jobs:
            return 0
        created = await self._storage.fanouts.expand(self._jobs[0], CHUNK)
        seq = self._jobs.popleft()
        if created:
            self._jobs.append(seq)
        return created

    async def _few_due(self, platform: Platform) -> bool:
        due = await self._storage.deliveries.waiting(self._clock(), LOW_WATER, platform)
        return due < LOW_WATER
