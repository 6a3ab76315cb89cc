"""Whose turn it is: claimed parcels, in an order that lets no slow chat hold up others. Pure."""

import heapq
from collections import deque
from collections.abc import Iterable
from typing import Final

from bot.outbox.pace import Pace
from storage.outbox import Parcel

ENOUGH: Final = 100
"""Parcels that nothing keeps back; with so many, no more are claimed."""

MOST_OF_A_CHAT: Final = 20
"""Parcels of one chat that wait here; what is more would keep out those of others."""

MOST_WAITING: Final = 400
"""Parcels for chats that may not get more yet; with so many, no more are claimed."""


class Turns:
    """Parcels in the order they came; a chat that had to wait comes first when it may go on.

    To one chat, whichever of its threads is meant, one message is on its way at a time.
    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._fresh: deque[Parcel] = deque()
        self._waiting: dict[int, deque[Parcel]] = {}
        self._due: list[tuple[float, int]] = []
        self._serving: set[int] = set()

    @property
    def any(self) -> bool:
        """Whether there are parcels that nothing is known to keep back."""
        return bool(self._fresh)

    @property
    def full(self) -> bool:
        """Whether there is enough: parcels that nothing keeps back, or many that wait."""
        return len(self._fresh) >= ENOUGH or self._many_wait

    @property
    def _many_wait(self) -> bool:
        return sum(map(len, self._waiting.values())) >= MOST_WAITING

    def add(self, parcels: Iterable[Parcel]) -> None:
        """Take parcels that were claimed."""
        self._fresh.extend(parcels)

    def next(self, now: float) -> Parcel | None:
        """The next parcel that may go out; its chat gets no other until `done`."""
        while self._due and self._due[0][0] <= now:
            _, chat = heapq.heappop(self._due)
            waiting = self._waiting.get(chat)
            if not waiting or chat in self._serving:
                continue
            if wait := self._pace.wait(chat):
                heapq.heappush(self._due, (now + wait, chat))
                continue
            return self._serve(chat, waiting)
        while self._fresh:
            parcel = self._fresh.popleft()
            chat = self._pace.chat(parcel.destination)
            wait = self._pace.wait(chat)
            if chat not in self._serving and chat not in self._waiting and not wait:
                self._serving.add(chat)
                return parcel
            if chat not in self._waiting and chat not in self._serving:
                heapq.heappush(self._due, (now + wait, chat))
            self._waiting.setdefault(chat, deque()).append(parcel)
        return None

    def done(self, parcel: Parcel, rest: Parcel | None, now: float) -> None:
        """A message of a parcel went out, or failed; the rest of it goes before all else there."""
        chat = self._pace.chat(parcel.destination)
        self._serving.discard(chat)
        if rest:
            self._waiting.setdefault(chat, deque()).appendleft(rest)
        if chat in self._waiting:
            heapq.heappush(self._due, (now + self._pace.wait(chat), chat))

    def wait(self, now: float) -> float | None:
        """Seconds until a chat may go on; `None` where none waits."""
        return max(0.0, self._due[0][0] - now) if self._due else None

    def late(self, beyond: float, now: float) -> list[tuple[Parcel, float]]:
        """Take out what may not go for more than `beyond` seconds, with how long it has to wait."""
        taken: list[tuple[Parcel, float]] = []
        for until, chat in [one for one in self._due if one[0] > now + beyond]:
            if chat not in self._serving:
                taken += [(parcel, until - now) for parcel in self._waiting.pop(chat, ())]
        for waiting in self._waiting.values():
            while len(waiting) > MOST_OF_A_CHAT:
                taken.append((waiting.pop(), beyond))
        self._due = [one for one in self._due if one[1] in self._waiting]
        heapq.heapify(self._due)
        return taken

    def clear(self) -> list[Parcel]:
        """Take out everything that is not being served."""
        left = [*self._fresh, *(one for waiting in self._waiting.values() for one in waiting)]
        self._fresh.clear()
        self._waiting.clear()
        self._due.clear()
        return left

    def _serve(self, chat: int, waiting: deque[Parcel]) -> Parcel:
        self._serving.add(chat)
        parcel = waiting.popleft()
        if not waiting:
            del self._waiting[chat]
        return parcel
