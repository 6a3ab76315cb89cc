"""The circuit of a platform: open while it asks everybody to wait, is away, or refuses everything.

When it was away or refused, something harmless is asked before messages go out again: each message
that is not answered may have arrived, and may be sent only a few times.

Times are seconds of a steady clock, which no setting of the wall clock moves.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

STOPPED: Final = 600.0
"""Seconds without a send on a platform that refuses everything, until one is tried again."""

FLOODED_CHATS: Final = 3
FLOODED_WITHIN: Final = 10.0
"""So many chats that were asked to wait within so many seconds: it means everybody."""

LONGEST_FLOOD: Final = 60.0
"""Seconds after which everybody is tried again, however long one chat has to wait."""

SILENT_CHATS: Final = 5
TROUBLED_CHATS: Final = 2
SILENCE: Final = 20.0
"""So many chats in a row without an answer: the platform is away, and is tried again later.

Short enough that the tries of one message stay within the two minutes in which Discord knows it.
"""

LOST_WINDOW: Final = 600.0
LOST_MOST: Final = 10_000
"""Chats reached after which counting begins anew, however soon: they are kept in memory."""

LOST_SHARE: Final = 0.2
LOST_LEAST: Final = 10
"""More than this share of the chats unknown, and at least so many: the fault is not theirs."""


class Holds:
    """A deadline before which a platform is left alone; a later one wins."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until = float("-inf")
        self._tripped = False
        self._flooded: deque[tuple[float, int]] = deque()
        self._silent: set[int] = set()
        self._window = now()
        self._served: set[int] = set()
        self._lost: set[int] = set()

    def remaining(self) -> float:
        """Seconds until something may be sent; 0 when it may now."""
        return max(0.0, self._until - self._now())

    @property
    def on_trial(self) -> bool:
        """Whether the platform is to be asked something harmless before a message is sent."""
        return self._tripped and not self.remaining()

    def stop(self) -> None:
        """The platform refuses everything."""
        self._tripped = True
        self._hold(STOPPED)

    def still_silent(self, seconds: float = 0.0) -> None:
        """It did not answer what was asked, or asks to wait so long."""
        self._hold(max(SILENCE, min(seconds, STOPPED)))

    def answered(self) -> None:
        """It answered what was asked: messages may go out."""
        self._tripped = False

    def flooded(self, chat_id: int, seconds: float) -> bool:
        """A chat was asked to wait; true when everybody has to, and for how long is bounded."""
        now = self._now()
        self._flooded.append((now, chat_id))
        while self._flooded[0][0] < now - FLOODED_WITHIN:
            self._flooded.popleft()
        if len({chat for _, chat in self._flooded}) < FLOODED_CHATS:
            return False
        self._hold(min(seconds, LONGEST_FLOOD))
        return True

    def unanswered(self, chat_id: int, *, troubled: bool = False) -> bool:
        """No answer came, or one that says so; true when the platform is away, and all wait.

        That is when several chats in a row were not answered, or one again; fewer where it is
        `troubled` by its own word. At the first such word it is asked before anything else is sent.
        """
        again = chat_id in self._silent
        self._silent.add(chat_id)
        self._tripped = self._tripped or troubled
        if len(self._silent) < (TROUBLED_CHATS if troubled else SILENT_CHATS) and not again:
            return False
        self._tripped = True
        self._hold(SILENCE)
        return True

    def served(self, chat_id: int) -> None:
        """A message arrived."""
        self._turn()
        self._silent.clear()
        self._served.add(chat_id)

    def lost(self, chat_id: int) -> bool:
        """A chat seems lost; true when too many do to believe it."""
        self._turn()
        self._lost.add(chat_id)
        chats = len(self._lost | self._served)
        return len(self._lost) >= LOST_LEAST and len(self._lost) > LOST_SHARE * chats

    def _turn(self) -> None:
        if self._now() >= self._window + LOST_WINDOW or len(self._served) >= LOST_MOST:
            self._window = self._now()
            self._served.clear()
            self._lost.clear()

    def _hold(self, seconds: float) -> None:
        self._until = max(self._until, self._now() + seconds)
