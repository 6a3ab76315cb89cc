"""What was served already: platforms tell some things a second time. Pure."""

from collections import OrderedDict
from typing import Final

_REMEMBERED: Final = 10_000


class Seen:
    """Remembers the last numbers of updates or interactions."""

    def __init__(self) -> None:
        self._numbers: OrderedDict[int, None] = OrderedDict()

    def again(self, number: int) -> bool:
        """Whether a number comes a second time; it is remembered from now on."""
        if number in self._numbers:
            return True
        self._numbers[number] = None
        if len(self._numbers) > _REMEMBERED:
            self._numbers.popitem(last=False)
        return False
