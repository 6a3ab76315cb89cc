"""Sessions at the gateway: what was told in which order, for a bot that comes back."""

import secrets
from dataclasses import dataclass, field
from typing import Protocol

from tests.fakes.discord.people import Json

DISPATCH = 0


class Line(Protocol):
    """A connection as a session sees it; may be called from any thread."""

    def put(self, payload: Json) -> None:
        """Send something, after what was put before."""

    def close(self, code: int) -> None:
        """Close, after what was put before."""

    def cut(self) -> None:
        """Break the connection at once."""


@dataclass(eq=False, slots=True)
class Session:
    """What a shard has been told, whether it was connected or not."""

    intents: int
    shard: tuple[int, int] = (0, 1)
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    line: Line | None = None
    events: list[Json] = field(default_factory=list)
    is_forgotten: bool = False
    """Whether it can no longer be resumed."""

    def covers(self, guild: int | None) -> bool:
        """Whether events of a guild go to it; those of no guild go to the first shard."""
        index, count = self.shard
        return ((guild or 0) >> 22) % count == index

    def event(self, name: str, data: Json) -> None:
        """Tell of an event now, or when the bot comes back."""
        told = {"op": DISPATCH, "t": name, "s": len(self.events) + 1, "d": data}
        self.events.append(told)
        if self.line:
            self.line.put(told)
