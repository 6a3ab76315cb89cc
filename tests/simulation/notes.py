"""What was written down of people and of the database, for the checker.

Nothing of it is read from the bot's own memory.
"""

import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from bot.model import Kinds, Seq, ShowId, Update, UpdateKind
from tests.simulation.platforms import Room


@dataclass(eq=False)
class Published:
    """An update, who followed it when it was published, and what became of it."""

    seq: Seq
    update: Update
    at: float
    pushes: bool
    followed_as: UpdateKind | None
    audience: frozenset[Room]
    polled_at: float | None = None
    expanded_at: float | None = None
    withdrawn_at: float | None = None
    """When it was retracted or corrected."""
    withdrawn_by: Seq | None = None


@dataclass(eq=False)
class Row:
    """A delivery as it is stored."""

    room: Room
    seq: Seq
    state: str
    due_ms: int
    attempts: int
    flight: int
    reason: str | None
    message_id: str | None


@dataclass
class Notes:
    """Who follows what, what was published, who was suspended when."""

    path: Path
    rooms: list[Room]
    published: dict[Seq, Published] = field(default_factory=dict)
    follows: dict[tuple[Room, ShowId], Kinds] = field(default_factory=dict)
    changed: dict[tuple[Room, ShowId], list[tuple[float, Kinds | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """When a subscription was made, changed or ended."""
    suspended: dict[Room, list[list[float]]] = field(default_factory=lambda: defaultdict(list))
    """When each room was suspended: from, until, and the number of its destination."""
    _now_suspended: set[int] = field(default_factory=set)
    _connection: sqlite3.Connection | None = None

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        """The rows of a statement, read past the bot's own code."""
        if self._connection is None:
            self._connection = sqlite3.connect(self.path, isolation_level=None)
        return self._connection.execute(statement).fetchall()

    def close(self) -> None:
        """Read no more."""
        if self._connection is not None:
            self._connection.close()

    def follow(self, room: Room, show: ShowId, kinds: Kinds, now: float) -> None:
        """A room follows a show, or changes for what."""
        self.follows[room, show] = kinds
        self.changed[room, show].append((now, kinds))

    def leave(self, room: Room, show: ShowId, now: float) -> None:
        """A room follows a show no more."""
        del self.follows[room, show]
        self.changed[room, show].append((now, None))

    def audience(self, show: ShowId, kind: UpdateKind | None) -> frozenset[Room]:
        """Who follows a show for such news now."""
        return frozenset(
            room for (room, of), kinds in self.follows.items() if of == show and kind in kinds
        )

    def look(self, tables: frozenset[str], now: float) -> None:
        """Something was committed: note what the checker has to know the time of."""
        if "suspensions" in tables:
            self._look_at_suspensions(now)
        if "counters" in tables:
            ((cursor,),) = self.sql("SELECT value FROM counters WHERE name = 'fanout'")
            for one in self.published.values():
                if one.polled_at is None and one.seq <= int(str(cursor)):
                    one.polled_at = now
        if "fanouts" in tables:
            for (seq,) in self.sql("SELECT update_seq FROM fanouts WHERE done = 1"):
                known = self.published.get(Seq(int(str(seq))))
                if known and known.expanded_at is None:
                    known.expanded_at = now

    def _look_at_suspensions(self, now: float) -> None:
        found = {int(str(row[0])) for row in self.sql("SELECT destination_id FROM suspensions")}
        if found == self._now_suspended:
            return
        rooms = self.rooms_by_id()
        for one in sorted(found - self._now_suspended):
            self.suspended[rooms[one]].append([now, float("inf"), one])
        for one in sorted(self._now_suspended - found):
            if one in rooms:
                for span in self.suspended[rooms[one]]:
                    if span[2] == one:
                        span[1] = min(span[1], now)
        self._now_suspended = found

    def rooms_by_id(self) -> dict[int, Room]:
        """Which room each row of the destinations is."""
        found = {}
        rows = self.sql("SELECT id, platform, chat_id, thread_id FROM destinations")
        for number, platform, chat_id, thread_id in rows:
            for room in self.rooms:
                thread = int(str(thread_id)) or None
                if room.platform == platform and room.is_meant(int(str(chat_id)), thread):
                    found[int(str(number))] = room
        return found

    def was_suspended(self, room: Room, start: float, end: float) -> bool:
        """Whether a room was suspended at any time between."""
        return any(begun <= end and ended >= start for begun, ended, _ in self.suspended[room])

    def rows(self) -> list[Row]:
        """Every delivery that is stored."""
        rooms = self.rooms_by_id()
        found = self.sql(
            "SELECT destination_id, update_seq, state, due_at, attempts, flight, reason, "
            "message_id FROM deliveries ORDER BY destination_id, update_seq"
        )
        return [
            Row(
                rooms[int(str(to))], Seq(int(str(seq))), str(state), int(str(due)),
                int(str(attempts)), int(str(flight)), None if reason is None else str(reason),
                None if message_id is None else str(message_id),
            )
            for to, seq, state, due, attempts, flight, reason, message_id in found
        ]  # fmt: skip
