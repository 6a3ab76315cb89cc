"""Limits as the fakes of the pace enforce them: judged by when a request arrives."""

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any, Final, Protocol

OVERALL: Final = "overall"
CHAT: Final = "chat"
BESIDE: Final = "beside"


class Limit(Protocol):
    """So many in so many seconds."""

    def wait(self, now: float) -> float:
        """Seconds until one more is taken; 0 when it is now."""

    def take(self, now: float) -> None:
        """One is taken."""


class Sliding:
    """At most so many in any stretch of so many seconds."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._taken: deque[float] = deque(maxlen=most)

    def wait(self, now: float) -> float:
        """Until the first of the last ones is out of the stretch."""
        if len(self._taken) < self._most:
            return 0.0
        return max(self._taken[0] + self._seconds - now, 0.0)

    def take(self, now: float) -> None:
        """One more."""
        self._taken.append(now)


class Bucket:
    """Tokens that come back evenly, of which so many are kept."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._rate = most, most / seconds
        self._tokens, self._at = float(most), 0.0

    def wait(self, now: float) -> float:
        """Until there is a token."""
        self._tokens = min(self._tokens + (now - self._at) * self._rate, self._most)
        self._at = now
        return max((1 - self._tokens) / self._rate, 0.0)

    def take(self, now: float) -> None:
        """One less."""
        self._tokens -= 1


class Opened:
    """So many in a window that the first one opens, as Discord tells of in its headers."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most, self._seconds = most, seconds
        self._ends, self.left = 0.0, most

    def reset_after(self, now: float) -> float:
        """Seconds until the window ends."""
        return max(self._ends - now, 0.0)

    def wait(self, now: float) -> float:
        """Until the window ends, if it has no room left."""
        return 0.0 if self.left else self.reset_after(now)

    def take(self, now: float) -> None:
        """One more in this window, or the first in a new one."""
        if now >= self._ends:
            self._ends, self.left = now + self._seconds, self.most
        self.left -= 1


@dataclass(frozen=True)
class Refusal:
    """Too many, of this chat or of everybody's."""

    seconds: float
    overall: bool


class Judge:
    """Decides which messages are let through, and counts; what is refused uses up nothing.

    The limit in `beside` refuses nothing: it is counted how often it would have.
    """

    def __init__(self, overall: Limit, beside: Limit | None = None) -> None:
        self._overall, self._beside = overall, beside
        self.delivered: Counter[int] = Counter()
        self.refused: Counter[str] = Counter()
        self.last = 0.0

    def judge(self, chat: int, limit: Limit, now: float) -> Refusal | None:
        """Let a message to a chat through that has this limit, or say how long it has to wait."""
        overall, own = self._overall.wait(now), limit.wait(now)
        if overall or own:
            self.refused[OVERALL if overall else CHAT] += 1
            return Refusal(overall or own, overall > 0)
        self._overall.take(now)
        limit.take(now)
        self.delivered[chat] += 1
        self.last = now
        if self._beside and self._beside.wait(now):
            self.refused[BESIDE] += 1
        elif self._beside:
            self._beside.take(now)
        return None

    def report(self) -> dict[str, Any]:
        """What was counted, as it is told to the bench."""
        return {
            "delivered": list(self.delivered.items()),
            "refused": self.refused,
            "last": self.last,
        }
