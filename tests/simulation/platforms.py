"""What both platforms remember: chats as they really are, requests, and what arrived."""

import asyncio
import contextvars
import random
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from bot.model import Destination, Platform, Seq
from bot.outbox.messenger import Messenger, Notice
from tests.simulation.clock import Process, current, within
from tests.simulation.faults import Fault, Weather

TOLD: Final = contextvars.ContextVar[tuple[Seq, ...]]("told", default=())
"""The updates that a request is about; handed past the bot, so that no wording hides them."""

MOST_TAKEN: Final = 9
"""Times that a server which says that it is in trouble takes the same message all the same."""

TO: Final = contextvars.ContextVar[Destination | None]("to", default=None)


@dataclass(eq=False)
class Room:
    """A place that can follow shows: a chat, a topic or a channel, whatever its id is by now."""

    platform: Platform
    kind: str
    name: str
    chat_id: int
    thread_id: int | None = None
    home_id: int | None = None
    former: list[int] = field(default_factory=list)
    wrong: dict[Fault, float] = field(default_factory=dict)
    """What is wrong with it, until when."""

    @property
    def destination(self) -> Destination:
        """As the bot knows it now, once it heard of it."""
        return Destination(self.platform, self.chat_id, self.thread_id, self.home_id)

    def is_meant(self, chat_id: int, thread_id: int | None) -> bool:
        """Whether this is meant by these ids, now or formerly."""
        return thread_id == self.thread_id and (chat_id == self.chat_id or chat_id in self.former)

    def has(self, fault: Fault, now: float) -> bool:
        """Whether something is wrong with it now."""
        return self.wrong.get(fault, 0.0) > now


@dataclass(eq=False)
class Request:
    """One request to send, and what became of it."""

    number: int
    at: float
    room: Room
    seqs: tuple[Seq, ...]
    process: Process | None
    nonce: str | None = None
    taken_at: float | None = None
    answer: str = "none yet"
    clear: bool = False
    """Whether the process that asked was told that it arrived."""
    answered_at: float | None = None
    fault: Fault | None = None


NOBODY: Final = Room(Platform.TERMINAL, "none", "nobody", 0)
"""What a request is for that is for no room."""


class Server:
    """The half of a platform that is the same for both: it takes, remembers and counts."""

    def __init__(
        self,
        platform: Platform,
        rooms: Sequence[Room],
        chance: random.Random,
        trace: Callable[[str], None],
        hit: Callable[[Fault], None],
        passed: Callable[[str], None],
    ) -> None:
        self.platform = platform
        self.rooms = [room for room in rooms if room.platform is platform]
        self.chance = chance
        self.trace = trace
        self.hit = hit
        self.passed = passed
        self.weather = Weather(chance)
        self.requests: list[Request] = []
        self.arrivals: list[Request] = []
        self.limited: list[Request] = []
        self._windows: dict[object, deque[float]] = defaultdict(deque)

    @property
    def now(self) -> float:
        """The time."""
        return asyncio.get_running_loop().time()

    def room(self, chat_id: int, thread_id: int | None) -> Room:
        """The room that an address means."""
        for room in self.rooms:
            if room.is_meant(chat_id, thread_id):
                return room
        if chat_id == NOBODY.chat_id:
            return NOBODY
        raise LookupError(f"{self.platform}: nobody has {chat_id}/{thread_id}")

    def asked(self, room: Room, nonce: str | None = None) -> Request:
        """Note a request, by whoever runs now."""
        process = current()
        if process is not None and not process.alive:
            raise asyncio.CancelledError
        seqs = TOLD.get() if room is not NOBODY else ()
        request = Request(len(self.requests) + 1, self.now, room, seqs, process, nonce=nonce)
        self.requests.append(request)
        self.trace(f"{self.platform} asked #{request.number} {room.name} {request.seqs}")
        return request

    def take(self, request: Request, note: str = "") -> int:
        """The message arrives; returns its number."""
        request.taken_at = self.now
        self.arrivals.append(request)
        self.trace(f"{self.platform} took #{request.number} {request.room.name} {note}".rstrip())
        if request.process is not None and request.process.alive:
            self.passed("taken")
        return 1000 + request.number

    def took_enough(self, request: Request, fault: Fault | None) -> bool:
        """Whether a server in trouble has taken this message often enough to be believed."""
        if fault not in (Fault.SERVER_ERROR_AFTER, Fault.GATEWAY_TIMEOUT_AFTER):
            return False
        taken = [one for one in self.arrivals if one.room is request.room]
        return sum(1 for one in taken if set(one.seqs) & set(request.seqs)) >= MOST_TAKEN

    def answered(self, request: Request, answer: str, *, clear: bool = False) -> None:
        """Note what the process that asked was told."""
        process = request.process
        if process is not None and not process.alive:
            raise asyncio.CancelledError
        request.answer, request.clear, request.answered_at = answer, clear, self.now
        self.trace(f"{self.platform} told #{request.number} {answer}")
        self.passed("answered")
        if process is not None and not process.alive:
            raise asyncio.CancelledError

    async def apart(self, work: Awaitable[Any], patience: float | None) -> Any:
        """Let the server work, whatever becomes of who asked; `None` when it takes too long."""
        task = asyncio.get_running_loop().create_task(_run(work), context=within(None))
        done, _ = await asyncio.wait({task}, timeout=patience)
        return task.result() if done else None

    async def on_the_way(self) -> None:
        """The time that a message takes to get there."""
        await asyncio.sleep(self.chance.uniform(0.015, 0.06))

    def over(self, limits: Sequence[tuple[object, int, float]]) -> float:
        """Seconds to wait where one more were too many; else 0, and it is counted."""
        now, wait = self.now, 0.0
        for key, most, seconds in limits:
            window = self._windows[key]
            while window and window[0] <= now - seconds:
                window.popleft()
            if len(window) >= most:
                wait = max(wait, window[0] + seconds - now)
        if wait <= 0:
            for key, _, _ in limits:
                self._windows[key].append(now)
        return max(0.0, wait)


async def _run(work: Awaitable[Any]) -> Any:
    return await work


class Watched:
    """A messenger that hands on, past what it sends, which updates that is about."""

    def __init__(self, messenger: Messenger) -> None:
        self._messenger = messenger
        self.in_flight = messenger.in_flight

    def fitting(self, destination: Destination, notices: Sequence[Notice]) -> int:
        """As the messenger says."""
        return self._messenger.fitting(destination, notices)

    async def send(self, destination: Destination, notices: Sequence[Notice]) -> str | None:
        """As the messenger does."""
        TOLD.set(tuple(notice.seq for notice in notices))
        TO.set(destination)
        return await self._messenger.send(destination, notices)

    async def edit(self, destination: Destination, *given: Any) -> None:
        """As the messenger does; it tells nobody anything new."""
        TOLD.set(())
        TO.set(destination)
        await cast(Any, self._messenger).edit(destination, *given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._messenger, name)
