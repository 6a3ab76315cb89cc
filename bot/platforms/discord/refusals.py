"""Counts what Discord refuses: too much of it, and it bans the address of this machine. Pure."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

WINDOW: Final = 600.0
MOST: Final = 500
"""Discord bans an address for a while after 10,000 refusals in 600 seconds; far before that
something is wrong. Source: Discord's developer documentation, Rate Limits, Invalid Requests."""

_REFUSED: Final = frozenset({401, 403, 429})


class Refusals:
    """The refusals of the last ten minutes, and whether sending has to stop."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._times: deque[float] = deque(maxlen=MOST)
        self._all_wait_until = float("-inf")

    def answered(self, status: int, scope: str | None, wait: float = 0.0) -> None:
        """Note an answer by its HTTP status, the scope of a rate limit, and the seconds it asks.

        A limit that is shared with other bots is not counted by Discord.
        """
        if status in _REFUSED and scope != "shared":
            self._times.append(self._now())
        if scope == "global":
            self._all_wait_until = max(self._all_wait_until, self._now() + wait)

    @property
    def wait(self) -> float:
        """Seconds that everything has to wait for Discord's global limit.

        The library holds all requests for a short one, and for a long one none.
        """
        return max(0.0, self._all_wait_until - self._now())

    @property
    def too_many(self) -> bool:
        """Whether nothing may be sent: each further refusal brings the ban nearer."""
        return len(self._times) == MOST and self._times[0] > self._now() - WINDOW
