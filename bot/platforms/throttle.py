"""How many commands one person or chat may send: some at once, then one now and then. Pure."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

_REMEMBERED: Final = 10_000
_PAUSED: Final = 2
"""So many commands are left only for who has waited a little."""


class Verdict(Enum):
    """What to do with a command: take it, refuse it with a word, or pass over it in silence."""

    TAKE = auto()
    TELL = auto()
    IGNORE = auto()


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float
    told: bool = False


class Throttle:
    """Lets `burst` commands through at once and `rate` more a second, for each key on its own.

    Who is refused is told once, and heard again when a command is left for them. Who goes on
    without a pause is not told again.
    """

    def __init__(self, burst: int, rate: float, now: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._rate = rate
        self._now = now
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def ask(self, key: Hashable) -> Verdict:
        """Count one command of `key`."""
        now = self._now()
        bucket = self._buckets.pop(key, None) or _Bucket(self._burst, now)
        bucket.left = min(self._burst, bucket.left + (now - bucket.at) * self._rate)
        bucket.at = now
        self._buckets[key] = bucket
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        if bucket.left >= _PAUSED:
            bucket.told = False
        if bucket.left >= 1:
            bucket.left -= 1
            return Verdict.TAKE
        told, bucket.told = bucket.told, True
        return Verdict.IGNORE if told else Verdict.TELL
