"""A chat platform in memory: keeps what was sent, and fails as it is told to."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.message import Message
from bot.model import Destination
from bot.outbox.carrier import IN_FLIGHT
from bot.outbox.messenger import Notice
from bot.outbox.pace import UNLIMITED, Pace


@dataclass
class FakeMessenger:
    """Accepts messages; `faults` are used up one a send, `gate` holds sends back while closed.

    `lost` are destinations where every send fails, and how. `edit_faults` are used up one an edit,
    `probe_faults` one a probe.
    """

    faults: list[BaseException | None] = field(default_factory=list)
    lost: dict[Destination, Exception] = field(default_factory=dict)
    accepted: list[tuple[Destination, tuple[Message, ...]]] = field(default_factory=list)
    tried: list[tuple[Notice, ...]] = field(default_factory=list)
    in_flight: int = IN_FLIGHT
    attempts: int = 0
    room: int = 1000
    most_at_once: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    pace: Pace = field(default_factory=lambda: Pace(UNLIMITED))
    edited: list[tuple[Destination, str, tuple[str, ...]]] = field(default_factory=list)
    edit_faults: list[BaseException | None] = field(default_factory=list)
    probes: int = 0
    probe_faults: list[BaseException | None] = field(default_factory=list)
    _now: int = 0

    def __post_init__(self) -> None:
        self.gate.set()

    def fitting(self, destination: Destination, notices: Sequence[Notice]) -> int:
        """As many as `room` says; all of them by default."""
        return min(len(notices), self.room)

    async def send(self, destination: Destination, notices: Sequence[Notice]) -> str | None:
        """Accept or fail, as scripted."""
        self.attempts += 1
        self.tried.append(tuple(notices))
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        self.entered.set()
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
            fault = self.faults.pop(0) if self.faults else None
            if fault:
                raise fault
            if destination in self.lost:
                raise self.lost[destination]
        finally:
            self._now -= 1
        self.accepted.append((destination, tuple(notice.message for notice in notices)))
        return f"message-{len(self.accepted)}"

    async def edit(
        self, destination: Destination, message_id: str, notices: Sequence[Notice]
    ) -> None:
        """Note the titles, or fail, as scripted."""
        await asyncio.sleep(0)
        fault = self.edit_faults.pop(0) if self.edit_faults else None
        if fault:
            raise fault
        titles = tuple(notice.message.title for notice in notices)
        self.edited.append((destination, message_id, titles))

    async def probe(self) -> None:
        """Answer, or fail as scripted."""
        self.probes += 1
        fault = self.probe_faults.pop(0) if self.probe_faults else None
        if fault:
            raise fault

    def titles(self, destination: Destination | None = None) -> list[str]:
        """The first lines of what was accepted, in order, there or anywhere."""
        return [
            message.title
            for to, messages in self.accepted
            if destination in (None, to)
            for message in messages
        ]
