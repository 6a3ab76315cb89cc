"""How many messages arrived within the last minute."""

from collections import deque
from collections.abc import Callable
from typing import Final

MINUTE: Final = 60.0


class Tally:
    """Counts by the second, so that a minute of any rate takes no more than sixty numbers."""

    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady = steady
        self._seconds: deque[tuple[int, int]] = deque()

    def count(self) -> None:
        """One more."""
        second = int(self._steady())
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + 1)
        else:
            self._seconds.append((second, 1))
            self._sweep()

    @property
    def last_minute(self) -> int:
        """How many there were in the last sixty seconds."""
        self._sweep()
        return sum(count for _, count in self._seconds)

    def _sweep(self) -> None:
        old = self._steady() - MINUTE
        while self._seconds and self._seconds[0][0] < old:
            self._seconds.popleft()
