"""Fan-out jobs become deliveries only as they are needed, chunk by chunk, and each in its turn.

What was published together is expanded together, so that one chat gets it as one message. A chunk's
deliveries are due as late as a platform could come to them: a million of one update are then spread
over the hours that they take, and whatever is published meanwhile goes in between, not behind.
"""

import asyncio
import datetime as dt
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from bot.model import Clock, Platform, Seq
from storage.fanouts import OpenJob
from storage.store import Storage

CHUNK: Final = 2500
"""Deliveries created at a time: long enough to be quick, short enough to let commands through."""

LOW_WATER: Final = 1000
"""Fan-outs are expanded while a platform has fewer deliveries due than this."""

TOGETHER: Final = 20
"""Jobs expanded together at most."""

AT_ONCE: Final = 4
"""New groups that get a first chunk before anything else is sent."""

AHEAD: Final = dt.timedelta(seconds=10)
"""A group has enough for now when its next deliveries would be due later than this."""


@dataclass
class _Group:
    """Jobs that were published together; `turns` is when their next deliveries are due."""

    seqs: list[Seq]
    turns: dict[Platform, dt.datetime] = field(default_factory=dict)
    fresh: bool = True
    held: bool = False
    """Whether an earlier update of the same show has to be expanded first."""


class Expander:
    """Creates the next deliveries of the open jobs; `created` is called when there are new ones.

    `rates` are the messages a second that each platform takes; `None` is any number.
    """

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        created: Callable[[], None],
        rates: Mapping[Platform, float | None],
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._created = created
        self._rates = {platform: rate for platform, rate in rates.items() if rate}
        self._groups: deque[_Group] = deque()
        self._news = True
        self._expanding = asyncio.Lock()

    def look_again(self) -> None:
        """There may be new jobs."""
        self._news = True

    def forget_turns(self) -> None:
        """The clock was set: when the next deliveries are due is to be found out again."""
        for group in self._groups:
            group.turns.clear()

    async def expand(self, platform: Platform, stopping: Callable[[], bool]) -> None:
        """Expand the open jobs in turn while little is due on a platform, new ones first."""
        first = AT_ONCE
        while (self._news or self._groups) and not stopping():
            async with self._expanding:
                if self._news:
                    await self._learn()
                due = await self._storage.deliveries.waiting(self._clock(), LOW_WATER, platform)
                group = self._next(platform, due, first)
                if group is None:
                    return
                first -= group.fresh
                passed = await self._expand(group, dry=None if due else platform)
            if passed:
                self._created()

    async def _learn(self) -> None:
        self._news = False
        known = {seq for group in self._groups for seq in group.seqs}
        jobs = [job for job in await self._storage.fanouts.standing() if job.seq not in known]
        # The newest first: it is the one that nobody has waited for yet.
        self._groups.extendleft(_Group([job.seq for job in jobs]) for jobs in _alike(jobs))

    def _next(self, platform: Platform, due: int, first: int) -> _Group | None:
        """Whose turn it is; nobody's where enough is due, or will be as fast as it can be sent."""
        free = [group for group in self._groups if not group.held]
        new = next((group for group in free if group.fresh), None)
        if new and first > 0:
            return new
        if due >= LOW_WATER:
            return None
        soon = self._clock() + AHEAD
        ready = (one for one in free if not due or one.turns.get(platform, soon) <= soon)
        return next(ready, None)

    async def _expand(self, group: _Group, dry: Platform | None) -> int:
        """Create a group's next deliveries; a platform that is `dry` gets them at once."""
        turns = await self._turns(group, dry)
        chunk = max(1, CHUNK // len(group.seqs))
        done = await self._storage.fanouts.expand_together(group.seqs, chunk, turns)
        group.fresh, group.seqs = False, list(done.open)
        for other in self._groups if not done.held else ():
            other.held = False
        group.held = done.held
        for platform, rate in self._rates.items():
            group.turns[platform] = turns[platform] + dt.timedelta(seconds=done.passed / rate)
        self._groups.remove(group)
        if group.seqs:
            self._groups.append(group)
        return done.passed

    async def _turns(self, group: _Group, dry: Platform | None) -> dict[Platform, dt.datetime]:
        """When the next deliveries of a group are due on the platforms that have a limit.

        The first ones are beside what is being sent now, however long that has waited.
        """
        now, turns = self._clock(), {}
        for platform in self._rates:
            turn = group.turns.get(platform)
            if turn is None or platform is dry:
                oldest = await self._storage.deliveries.next_due(platform)
                turn = min(now, oldest) if oldest else now
            turns[platform] = turn
        return turns


def _alike(jobs: Iterable[OpenJob]) -> Iterator[list[OpenJob]]:
    """Jobs that were published together and are equally far, a number at a time."""
    for _, same in groupby(jobs, key=lambda job: (job.mark, job.due_at)):
        listed = list(same)
        for start in range(0, len(listed), TOGETHER):
            yield listed[start : start + TOGETHER]
