"""Judges a scenario by what people published, what arrived, and what is stored at the end.

It knows nothing of how the bot works: only what it promises.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from bot.model import Certainty, Platform, Push, Seq
from storage.outbox import TOO_LATE
from tests.simulation.assembly import PACED
from tests.simulation.discord import KNOWN_FOR
from tests.simulation.notes import Notes, Published, Row
from tests.simulation.platforms import Request, Room

if TYPE_CHECKING:
    from tests.simulation.world import Scenario

MOST_COPIES: Final = 3
ON_THE_WAY: Final = 300.0
"""Seconds that a message may have been on its way when it was taken back."""

Key = tuple[Room, Seq]


@dataclass(frozen=True)
class Violation:
    """A promise that was broken: which, when, and what led to it."""

    promise: str
    at: float
    text: str
    around: tuple[str, ...] = ()

    def __str__(self) -> str:
        led = "".join(f"\n      {line}" for line in self.around)
        return f"{self.promise}, at {self.at:.3f}: {self.text}{led}"


def check(scenario: "Scenario", counts: Mapping[str, int], created: int) -> list[Violation]:
    """Every broken promise of a scenario that has ended."""
    checker = _Checker(scenario)
    found = [*checker.conservation(counts, created)]
    for one in checker.notes.published.values():
        found += checker.quiet(one)
        if one.pushes and (one.followed_as or one.update.retracts):
            found += checker.losses(one)
            found += checker.withdrawn(one)
    found += checker.strangers()
    found += checker.copies()
    found += checker.order()
    found += checker.limits()
    return sorted(found, key=lambda one: (one.at, one.promise, one.text))


class _Checker:
    def __init__(self, scenario: "Scenario") -> None:
        self.notes: Notes = scenario.notes
        self._trace = scenario.trace
        self._end = scenario.now
        self._wall = scenario.clock()
        self._requests: dict[Key, list[Request]] = defaultdict(list)
        self._arrivals: dict[Key, list[Request]] = defaultdict(list)
        self._limited = [one for server in scenario.servers for one in server.limited]
        for server in scenario.servers:
            for request in server.requests:
                for seq in request.seqs:
                    self._requests[request.room, seq].append(request)
            for request in server.arrivals:
                for seq in request.seqs:
                    self._arrivals[request.room, seq].append(request)
        self._rows: dict[Key, list[Row]] = defaultdict(list)
        for row in self.notes.rows():
            self._rows[row.room, row.seq].append(row)
        self._killed = {process: at for at, process in scenario.kills}

    def _found(self, promise: str, at: float, text: str, words: str = "") -> Violation:
        return Violation(promise, at, text, tuple(self._trace.around(at, words)))

    def conservation(self, counts: Mapping[str, int], created: int) -> Iterator[Violation]:
        """The states add up to what was created."""
        stored = sum(len(rows) for rows in self._rows.values())
        if not sum(counts.values()) == created == stored:
            text = f"{dict(counts)} of {created} created, {stored} stored"
            yield self._found("the states add up", self._end, text)

    def quiet(self, one: Published) -> Iterator[Violation]:
        """A guess, and what is kept on record only, is told to nobody."""
        told = one.update.push is Push.AUTO and one.update.certainty is not Certainty.SPECULATION
        if one.pushes and told:
            return
        for (room, seq), requests in self._requests.items():
            if seq == one.seq:
                text = f"{one.update.certainty} {one.update.kind} {seq} to {room.name}"
                yield self._found("no guess is sent", requests[0].at, text, room.name)

    def losses(self, one: Published) -> Iterator[Violation]:
        """Whoever was to be told was told, or it is stored why not."""
        if one.polled_at is None:
            yield self._found("nothing is lost", self._end, f"{one.seq} was never polled")
            return
        for room in sorted(self._concerned(one), key=lambda room: room.name):
            problem = self._problem(one, room)
            if problem:
                text = f"{one.seq} for {room.name}: {problem}"
                yield self._found("nothing is lost", self._end, text, room.name)

    def _concerned(self, one: Published) -> set[Room]:
        if one.update.retracts is None:
            return set(one.audience)
        target = next(
            known.seq
            for known in self.notes.published.values()
            if known.update.id == one.update.retracts
        )
        until = one.polled_at or 0.0
        return {
            room
            for (room, seq), taken in self._arrivals.items()
            if seq == target and any((each.taken_at or 0.0) < until for each in taken)
        }

    def _problem(self, one: Published, room: Room) -> str | None:
        arrived = bool(self._arrivals.get((room, one.seq)))
        rows = self._rows.get((room, one.seq), [])
        if arrived and rows:
            return None
        if not rows:
            if self._excused(one, room):
                return None
            return "it arrived, and nothing is stored" if arrived else "no trace of it"
        problems = [self._unexplained(one, room, row) for row in rows]
        return None if None in problems else problems[0]

    def _excused(self, one: Published, room: Room) -> bool:
        """Whether a fan-out may have passed a follower over."""
        until = one.expanded_at if one.expanded_at is not None else self._end
        if one.update.retracts is None:
            changes = self.notes.changed[room, one.update.show]
            if any(one.at <= at <= until for at, _ in changes):
                return True
            if one.withdrawn_at is not None and one.withdrawn_at <= until:
                return True
        return self.notes.was_suspended(room, one.at, until)

    def _unexplained(self, one: Published, room: Room, row: Row) -> str | None:
        """What is wrong with a delivery that never arrived, by its state."""
        shown = f"{row.state} ({row.reason})"
        requests = self._requests.get((room, one.seq), [])
        match row.state:
            case "sent":
                return f"{shown}, but it never arrived"
            case "pending":
                ahead = row.due_ms / 1000 - self._wall.timestamp()
                fine = row.reason and ahead > -60
                return None if fine else f"{shown}, due in {ahead:.0f} s"
            case "held":
                return None if self.notes.was_suspended(room, self._end, self._end) else shown
            case "expired":
                return None if self._has_expired(one, room, row) else shown
            case "failed":
                refused = [
                    r for r in requests if r.answer.startswith("4") or "JUNK" in str(r.fault)
                ]
                return None if refused and row.reason else f"{shown}, and nobody refused it"
            case "uncertain":
                unclear = [r for r in requests if not r.clear]
                return None if unclear and row.reason else f"{shown}, and all was clear"
        return f"unknown state {shown}"

    def _has_expired(self, one: Published, room: Room, row: Row) -> bool:
        reason = row.reason or ""
        if "unsubscribed" in reason:
            changes = self.notes.changed[room, one.update.show]
            return any(kinds is None and at >= one.at for at, kinds in changes)
        if TOO_LATE in reason:
            return one.polled_at is not None
        if "before it was sent" in reason:
            return one.withdrawn_at is not None
        return "never arrived here" in reason and one.update.retracts is not None

    def withdrawn(self, one: Published) -> Iterator[Violation]:
        """What was taken back is not sent once the bot has read that."""
        taken_back = self.notes.published.get(one.withdrawn_by or Seq(0))
        if taken_back is None or taken_back.polled_at is None or taken_back.withdrawn_at:
            return  # what took it back may be taken back itself
        for (room, seq), requests in self._requests.items():
            if seq == one.seq:
                for late in requests:
                    if late.at > taken_back.polled_at + ON_THE_WAY:
                        text = f"{seq} to {room.name}, withdrawn by {taken_back.seq}"
                        yield self._found("nothing withdrawn is sent", late.at, text, room.name)

    def strangers(self) -> Iterator[Violation]:
        """Nobody gets what they did not follow."""
        for (room, seq), requests in self._requests.items():
            one = self.notes.published.get(seq)
            if one is None:
                yield self._found("nothing is made up", requests[0].at, f"{seq} to {room.name}")
            elif one.update.retracts is None:
                if self._corrects_there(one, room):
                    continue
                if room not in one.audience and not self._joined_late(one, room):
                    text = f"{seq} to {room.name}, which did not follow"
                    yield self._found("only followers are told", requests[0].at, text, room.name)
                for late in requests:
                    if self._left_before(one, room, late.at - ON_THE_WAY):
                        text = f"{seq} to {room.name}, which had left"
                        yield self._found("only followers are told", late.at, text, room.name)
            elif room not in self._ever_tried(one):
                text = f"{seq} to {room.name}, which had not got the mistake"
                yield self._found("only followers are told", requests[0].at, text, room.name)

    def _corrects_there(self, one: Published, room: Room) -> bool:
        """Whether it corrects what this room got, or may have."""
        corrected = one.update.supersedes
        return corrected is not None and any(
            known.update.id == corrected and (room, known.seq) in self._requests
            for known in self.notes.published.values()
        )

    def _joined_late(self, one: Published, room: Room) -> bool:
        """Whether a room followed the show, and asked for this kind before the fan-out came."""
        until = one.expanded_at if one.expanded_at is not None else self._end
        changes = self.notes.changed[room, one.update.show]
        before = [kinds for at, kinds in changes if at <= one.at]
        now_wants = any(
            one.at < at <= until and one.followed_as in (kinds or ()) for at, kinds in changes
        )
        return bool(before) and before[-1] is not None and now_wants

    def _left_before(self, one: Published, room: Room, moment: float) -> bool:
        """Whether a room had left a show at that moment, and was not back until then or since."""
        changes = self.notes.changed[room, one.update.show]
        before = [kinds for at, kinds in changes if at <= moment]
        since = [at for at, _ in changes if moment < at <= moment + ON_THE_WAY]
        return bool(before) and before[-1] is None and not since

    def _ever_tried(self, one: Published) -> set[Room]:
        target = next(
            known.seq
            for known in self.notes.published.values()
            if known.update.id == one.update.retracts
        )
        return {room for room, seq in self._requests if seq == target}

    def copies(self) -> Iterator[Violation]:
        """No message comes twice without need, on Discord not within minutes."""
        for (room, seq), taken in self._arrivals.items():
            if len(taken) > MOST_COPIES:
                text = f"{len(taken)} copies of {seq} for {room.name}"
                yield self._found("at most three copies", taken[3].taken_at or 0, text, room.name)
            for first, second in pairwise(taken):
                yield from self._repeat(room, seq, first, second)

    def _repeat(self, room: Room, seq: Seq, first: Request, second: Request) -> Iterator[Violation]:
        at, before = second.taken_at or 0.0, first.taken_at or 0.0
        text = f"{seq} for {room.name}, #{first.number} and #{second.number}"
        if room.platform is Platform.DISCORD and at - before < KNOWN_FOR - 1.0:
            yield self._found("Discord knows a repeat", at, text, room.name)
        killed = first.process is not None and self._killed.get(first.process, at + 1) <= at
        if first.clear and not killed:
            yield self._found("no needless copies", at, text, room.name)

    def order(self) -> Iterator[Violation]:
        """What corrects comes after what it corrects, and news in the order of publication."""
        firsts: dict[Room, list[tuple[float, Seq]]] = defaultdict(list)
        for (room, seq), taken in self._arrivals.items():
            firsts[room].append((taken[0].taken_at or 0.0, seq))
        for room, arrived in firsts.items():
            arrived.sort()
            times = {seq: at for at, seq in arrived}
            for at, seq in arrived:
                one = self.notes.published.get(seq)
                by = one.withdrawn_by if one else None
                if by and by in times and times[by] < at:
                    text = f"{by} before {seq}, which it takes back, for {room.name}"
                    yield self._found("a correction comes after", at, text, room.name)
            for (_, earlier), (at, later) in pairwise(arrived):
                # One that is known by two ids is two, until the bot hears that it is one.
                if earlier > later and not room.former:
                    text = f"{later} after {earlier} for {room.name}"
                    yield self._found("in the order of publication", at, text, room.name)

    def _was_new(self, request: Request) -> bool:
        """Whether another process sent within the minute: nobody knows what a dead one sent."""
        return any(
            one.process is not request.process
            and one.room.platform is request.room.platform
            and request.at - 60.0 <= (one.taken_at or 0.0) <= request.at + 1.0
            for taken in self._arrivals.values()
            for one in taken
        )

    def limits(self) -> Iterator[Violation]:
        """A bot that paces itself is never told that it is too fast."""
        for request in self._limited if PACED else ():
            if self._was_new(request):
                continue
            text = f"#{request.number} for {request.room.name}"
            yield self._found("never too fast", request.at, text, str(request.room.platform))
