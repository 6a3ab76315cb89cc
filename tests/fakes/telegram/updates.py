"""The queue of updates: what waits for the bot until it has confirmed it."""

from dataclasses import dataclass, field
from typing import Final

from tests.fakes.telegram.people import Json

ON_REQUEST: Final = frozenset(("chat_member", "message_reaction", "message_reaction_count"))
"""Updates that a bot gets only when it names them."""

FIRST: Final = 731_000_001


@dataclass(slots=True)
class Webhook:
    """Where updates are posted to."""

    url: str
    secret: str
    connections: int = 40
    error: str | None = None
    error_at: int = 0


@dataclass(slots=True)
class Updates:
    """Updates in the order in which they happened."""

    pending: list[Json] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    webhook: Webhook | None = None
    polls: int = 0
    """Long polls that wait for news just now."""
    _next: int = FIRST

    def add(self, kind: str, body: Json) -> None:
        """Queue an update, unless the bot has said that it does not want such."""
        wanted = kind in self.allowed if self.allowed else kind not in ON_REQUEST
        if wanted:
            self.pending.append({"update_id": self._next, kind: body})
            self._next += 1

    def confirm(self, offset: int) -> None:
        """Forget what is below the offset; a negative one keeps that many of the newest."""
        if offset < 0:
            del self.pending[:offset]
        self.pending = [one for one in self.pending if one["update_id"] >= offset]

    def take(self, limit: int) -> list[Json]:
        """The oldest that wait. They stay until they are confirmed."""
        return self.pending[:limit]
