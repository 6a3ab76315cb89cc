"""The poll: takes what is new in the updates store and records whom to tell.

It decides (pure), and stores the decision in the unit of work that moves the cursor. It sends
nothing: the outbox expands the jobs and delivers.
"""

from collections.abc import Callable
from typing import Final

import structlog

from bot.model import ALL_KINDS, Clock, followed_as
from storage.fanouts import Job, Unread
from storage.store import Storage

BATCH: Final = 500
"""Updates read at a time."""

log = structlog.get_logger()


def decide(update: Unread) -> Job | None:
    """Whom an update concerns: nobody, the followers of its kind, or those who got a mistake."""
    if not update.pushes:
        return None
    if update.retracts_seq is not None:
        return Job(update.seq, update.show, ALL_KINDS, update.retracts_seq)
    kind = followed_as(update.kind)
    if kind is None:
        return None
    # A correction goes to whoever got the mistake, too, whatever they follow.
    return Job(update.seq, update.show, frozenset({kind}), corrects_seq=update.supersedes_seq)


class Poll:
    """Reads the log after the cursor; `on_news` is called when something was recorded."""

    def __init__(self, storage: Storage, clock: Clock, on_news: Callable[[], None]) -> None:
        self._fanouts = storage.fanouts
        self._clock = clock
        self._on_news = on_news

    async def __call__(self) -> int:
        """Take everything that is new; returns how many updates were read."""
        taken = 0
        while await self._fanouts.unread(1):
            try:
                taken += await self._fanouts.take(decide, self._clock(), BATCH)
            finally:
                self._on_news()  # also when cut off: what was stored is not read again
        if taken:
            log.info("poll.took", updates=taken)
        return taken
