"""How often sessions may be begun: a bot that crashes again and again must not lose its token.

Discord takes the token of a bot that has begun more than 1,000 sessions in a day (Gateway, Session
Start Limit). The times are kept, so that a crash forgets none.
"""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Final

from bot.model import Clock
from storage.notes import Notes

DAY: Final = dt.timedelta(days=1)
MOST_A_DAY: Final = 490
_GAPS: Final = (
    (20, dt.timedelta(seconds=5)),
    (100, dt.timedelta(seconds=30)),
    (MOST_A_DAY, dt.timedelta(minutes=4)),
)
"""Up to so many starts in a day, so much time between two of them."""

_NOTE: Final = "discord.starts"


def wait_before(starts: Sequence[dt.datetime], now: dt.datetime, shards: int = 1) -> dt.timedelta:
    """How long to wait until the next session may begin. Pure.

    A bot of several shards begins so many at each start. Starts in the future were noted by a
    clock that was wrong; they count as of now.
    """
    recent = sorted(min(one, now) for one in starts if one > now - DAY)
    if not recent:
        return dt.timedelta(0)
    if len(recent) >= MOST_A_DAY:
        return recent[-MOST_A_DAY] + DAY - now
    gap = next(gap for most, gap in _GAPS if len(recent) // shards < most)
    return max(recent[-1] + gap - now, dt.timedelta(0))


class Starts:
    """The starts of the last day, kept in the store."""

    def __init__(self, notes: Notes, clock: Clock, shards: int = 1) -> None:
        self._notes = notes
        self._clock = clock
        self._shards = shards

    async def wait(self) -> float:
        """Seconds until a session may begin."""
        return wait_before(await self._read(), self._clock(), self._shards).total_seconds()

    async def begin(self) -> None:
        """Note that a session begins now; before it does, so that a crash cannot forget it."""
        now = self._clock()
        kept = [one for one in await self._read() if one > now - DAY][-MOST_A_DAY:]
        await self._notes.put(_NOTE, json.dumps([one.timestamp() for one in [*kept, now]]))

    async def _read(self) -> list[dt.datetime]:
        noted = await self._notes.get(_NOTE)
        return [dt.datetime.fromtimestamp(one, dt.UTC) for one in json.loads(noted or "[]")]
