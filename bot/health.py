"""Health: whether the bot does its work, as one value with the reasons where it does not."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bot.model import Clock, DeliveryState, Platform
from bot.outbox.lane import LaneState
from bot.schedule import Schedule
from bot.text import plural
from storage.store import Storage

POLLS_MISSED: Final = 3
LEAST_POLL_AGE: Final = 120.0
"""Seconds that the last poll may be ago, however often there are polls."""

COUNTED_FOR: Final = 10.0
"""Seconds for which a count holds: counting looks at each delivery, and anybody may ask."""

STALLED_AFTER: Final = 60.0
"""Seconds in which a lane must get on while something is due."""


@dataclass(frozen=True, slots=True)
class LaneHealth:
    """How the deliveries of one platform get on; `due_for_seconds` is the age of the oldest due."""

    alive: bool
    sent_last_minute: int
    held_for_seconds: float
    last_progress_seconds: float
    due_for_seconds: float = 0.0

    @property
    def stalled(self) -> bool:
        """Whether it does nothing although something is due, and nothing asked it to wait."""
        idle = min(self.last_progress_seconds, self.due_for_seconds)
        return self.held_for_seconds <= 0 and idle > STALLED_AFTER


@dataclass(frozen=True, slots=True)
class Health:
    """How the bot was at one moment; `polled_at` is when the last poll ended well."""

    at: dt.datetime
    since: dt.datetime
    polled_at: dt.datetime | None
    poll_within: float
    oldest_due: dt.datetime | None
    states: Mapping[DeliveryState, int]
    unaccounted: int
    lanes: Mapping[Platform, LaneHealth]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the bot is not well; none where it is."""
        found = []
        age = (self.at - (self.polled_at or self.since)).total_seconds()
        if age > self.poll_within:
            found.append(f"no poll has ended well for {age:.0f} seconds")
        for platform, lane in self.lanes.items():
            if not lane.alive:
                found.append(f"the deliveries on {platform} have stopped")
            elif lane.stalled:
                idle = min(lane.last_progress_seconds, lane.due_for_seconds)
                found.append(f"nothing has moved on {platform} for {idle:.0f} seconds")
        if self.unaccounted:
            found.append(f"unaccounted for: {plural(self.unaccounted, 'delivery', 'deliveries')}")
        return tuple(found)

    @property
    def ok(self) -> bool:
        """Whether everything is as it should be."""
        return not self.reasons

    def as_json(self) -> dict[str, Any]:
        """The same, ready to be written as JSON."""
        return {
            "ok": self.ok,
            "reasons": list(self.reasons),
            "at": self.at.isoformat(),
            "polled_at": self.polled_at.isoformat() if self.polled_at else None,
            "oldest_due": self.oldest_due.isoformat() if self.oldest_due else None,
            "states": {str(state): count for state, count in self.states.items()},
            "unaccounted": self.unaccounted,
            "lanes": {
                str(platform): {
                    "alive": lane.alive,
                    "sent_last_minute": lane.sent_last_minute,
                    "held_for_seconds": round(lane.held_for_seconds, 1),
                    "last_progress_seconds": round(lane.last_progress_seconds, 1),
                    "due_for_seconds": round(lane.due_for_seconds, 1),
                }
                for platform, lane in self.lanes.items()
            },
        }


class HealthCheck:
    """Looks how the bot is; `lanes` tells how each platform's deliveries get on."""

    def __init__(
        self,
        storage: Storage,
        lanes: Callable[[], Mapping[Platform, LaneState]],
        schedule: Schedule,
        poll_seconds: float,
        clock: Clock,
    ) -> None:
        self._deliveries = storage.deliveries
        self._lanes = lanes
        self._schedule = schedule
        self._poll_within = max(POLLS_MISSED * poll_seconds, LEAST_POLL_AGE)
        self._clock = clock
        self._since = self._counted_at = clock()
        self._counts: tuple[Mapping[DeliveryState, int], int] | None = None

    async def __call__(self) -> Health:
        """How the bot is now. Raises `StorageError`."""
        lanes = self._lanes()
        due = {platform: await self._deliveries.next_due(platform) for platform in Platform}
        now = self._clock()
        states, unaccounted = await self._counted(now)
        return Health(
            at=now,
            since=self._since,
            polled_at=self._schedule.polled_at,
            poll_within=self._poll_within,
            oldest_due=min((one for one in due.values() if one), default=None),
            states=states,
            unaccounted=unaccounted,
            lanes={platform: _lane(state, due[platform], now) for platform, state in lanes.items()},
        )

    async def _counted(self, now: dt.datetime) -> tuple[Mapping[DeliveryState, int], int]:
        """The deliveries by state, and how many are unaccounted for."""
        if self._counts is None or abs((now - self._counted_at).total_seconds()) > COUNTED_FOR:
            unaccounted = await self._deliveries.unaccounted()
            self._counts = await self._deliveries.counts(), unaccounted
            self._counted_at = now
        return self._counts


def _lane(state: LaneState, due: dt.datetime | None, now: dt.datetime) -> LaneHealth:
    waits = max(0.0, (now - due).total_seconds()) if due else 0.0
    return LaneHealth(
        state.alive, state.sent_last_minute, state.held_for, state.idle_for, due_for_seconds=waits
    )
