"""A messenger without a network, for what is measured of the queue behind it."""

import asyncio
import time
from collections.abc import Sequence

from bot.model import Destination
from bot.outbox.carrier import IN_FLIGHT
from bot.outbox.messenger import Notice
from bot.outbox.pace import UNLIMITED, Limits, Pace


class Sink:
    """Counts messages and the updates in them; remembers when the first and the last came."""

    in_flight = IN_FLIGHT

    def __init__(self, seconds: float = 0.0, limits: Limits = UNLIMITED) -> None:
        self.pace = Pace(limits)
        self.messages = self.updates = 0
        self.first = asyncio.Event()
        self.first_at = self.last_at = 0.0
        self._seconds = seconds

    def fitting(self, _destination: Destination, notices: Sequence[Notice]) -> int:
        """All of them."""
        return len(notices)

    async def send(self, _destination: Destination, notices: Sequence[Notice]) -> str | None:
        """It arrives after so many seconds."""
        if self._seconds:
            await asyncio.sleep(self._seconds)
        self.last_at = time.monotonic()
        if not self.messages:
            self.first_at = self.last_at
            self.first.set()
        self.messages += 1
        self.updates += len(notices)
        return str(self.messages)

    async def edit(
        self, _destination: Destination, _message_id: str, _notices: Sequence[Notice]
    ) -> None:
        """Nothing is to be edited."""

    async def probe(self) -> None:
        """It is there."""
