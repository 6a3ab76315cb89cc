"""Pacing: the limits of a platform as data, and when the next message may leave.

A platform counts what arrives within a window. Messages that leave a window apart can arrive closer
together, by as much as the way there varies; so the window is kept a margin longer here, over a log
of when messages really left. Beside it stands a least gap, so that they leave evenly. What one
timer is late does not add up: only the window counts, not the sum of the gaps.

Times are seconds of a steady clock.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bot.model import Destination

MARGIN: Final = 0.042
"""Seconds that a window is kept longer: how much later than another a message may be on its way."""

WIDENED: Final = 0.02
"""Seconds by which a refusal makes the margin longer."""

SAME_CAUSE: Final = 1.0
"""Seconds within which several refusals count as one: what was on its way together."""

WIDEST: Final = 1.0
"""The longest margin, however often the platform refuses."""

EASED_AFTER: Final = 60.0
"""Seconds without a refusal after which the margin becomes shorter again."""

EVENLY: Final = 0.75
"""The least gap, as a share of the even one: what one message was late, the next can make up."""

FINEST: Final = 0.01
"""Seconds over which messages leave evenly; what is finer no timer can keep."""

ASKED_WITHIN: Final = 10.0
RESERVE: Final = 2
"""Sends of each window that are left to answers, while somebody has asked within ten seconds."""

_SWEPT_EVERY: Final = 256


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many messages in any so many seconds."""

    most: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What a platform lets a bot send: in all, to one chat, and to one group (besides).

    With `threads_apart` each thread counts as a chat. `None` is no limit.
    """

    overall: Limit | None = None
    chat: Limit | None = None
    group: Limit | None = None
    threads_apart: bool = False


UNLIMITED: Final = Limits()

TELEGRAM: Final = Limits(Limit(30, 1.0), Limit(1, 1.0), Limit(20, 60.0))
"""30 a second, one a second to a chat, 20 a minute to a group: core.telegram.org/bots/faq."""

TELEGRAM_PAID: Final = Limits(Limit(1000, 1.0), Limit(1, 1.0), Limit(20, 60.0))
"""With `allow_paid_broadcast`, up to 1000 a second; what is above 30 a second costs Stars."""

DISCORD: Final = Limits(Limit(50, 1.0), Limit(5, 5.0), threads_apart=True)
"""50 a second; the rest is announced: discord.com/developers/docs/topics/rate-limits.

Five in five seconds to a channel is what holds until the first answer has announced its limit.
"""


class Pace:
    """When messages may leave, for one token. Everything that is sent with it passes here."""

    def __init__(self, limits: Limits, now: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._now = now
        most = limits.overall.most if limits.overall else 1
        self._left: deque[float] = deque(maxlen=most)
        self._chats: dict[int, deque[float]] = {}
        self._told: dict[int, float] = {}
        self._line = asyncio.Lock()
        self._answers = 0
        self._asked_at = float("-inf")
        self._margin = MARGIN
        self._refused_at = float("-inf")
        self._counted = 0

    @property
    def rate(self) -> float | None:
        """Messages a second at most; `None` without a limit."""
        return (
            self.limits.overall.most / self.limits.overall.seconds if self.limits.overall else None
        )

    @property
    def margin(self) -> float:
        """Seconds that windows are kept longer now."""
        return self._margin

    def chat(self, destination: Destination) -> int:
        """What limits for one chat are counted by."""
        if self.limits.threads_apart and destination.thread_id is not None:
            return destination.thread_id
        return destination.chat_id

    def wait(self, chat: int) -> float:
        """Seconds until the chat may get another message; 0 when it may now."""
        now = self._now()
        until = self._told.get(chat)
        if until is None:
            until = max((self._until(chat, limit) for limit in self._limits_of(chat)), default=now)
        return max(0.0, until - now)

    async def turn(self, chat: int) -> None:
        """Wait until a message may leave, in the order of asking, and count it as leaving now."""
        if not self.limits.overall:
            return
        async with self._line:
            while (wait := self._overall(self._reserve())) > 0 or self._answers:  # noqa: ASYNC110
                await asyncio.sleep(max(wait, 0.001))
            self._count(chat)

    async def reply(self, chat: int) -> None:
        """The same for an answer to a person: the next message that may leave is this one."""
        if not self.limits.overall:
            return
        self._asked_at = self._now()
        self._answers += 1
        try:
            while (wait := self._overall(0)) > 0:  # noqa: ASYNC110 - a time, not a change
                await asyncio.sleep(wait)
            self._count(chat)
        finally:
            self._answers -= 1

    def announced(self, chat: int, remaining: int, reset_after: float) -> None:
        """The platform told how many more a chat may get before its limit starts anew."""
        self._told[chat] = self._now() + reset_after if remaining <= 0 else float("-inf")
        self._chats.pop(chat, None)

    def refused(self) -> None:
        """The platform refused a message as one too many: keep more distance for a while."""
        now = self._now()
        if now > self._refused_at + SAME_CAUSE:
            self._margin = min(WIDEST, self._margin + WIDENED)
        self._refused_at = now

    def _reserve(self) -> int:
        return RESERVE if self._now() < self._asked_at + ASKED_WITHIN else 0

    def _overall(self, reserve: int) -> float:
        """Seconds until a message may leave, where some of the window are left to others."""
        limit = self.limits.overall
        if limit is None or not self._left:
            return 0.0
        now = self._now()
        if self._margin > MARGIN and now > self._refused_at + EASED_AFTER:
            self._margin, self._refused_at = max(MARGIN, self._margin - WIDENED), now
        even = limit.seconds / limit.most
        some = min(max(1, round(FINEST / even)), len(self._left))
        until = self._left[-some] + EVENLY * some * even
        most = max(1, limit.most - reserve)
        if len(self._left) >= most:
            until = max(until, self._left[-most] + limit.seconds + self._margin)
        return until - now

    def _count(self, chat: int) -> None:
        now = self._now()
        self._left.append(now)
        self._counted += 1
        if self._counted % _SWEPT_EVERY == 0:
            self._sweep(now)
        if limits := self._limits_of(chat):
            log = self._chats.get(chat)
            if log is None:
                log = self._chats[chat] = deque(maxlen=max(limit.most for limit in limits))
            log.append(now)

    def _limits_of(self, chat: int) -> list[Limit]:
        """The limits of a chat; on platforms with a limit for groups their ids are negative."""
        group = self.limits.group if chat < 0 else None
        return [limit for limit in (self.limits.chat, group) if limit]

    def _until(self, chat: int, limit: Limit) -> float:
        log = self._chats.get(chat)
        if log is None or len(log) < limit.most:
            return float("-inf")
        return log[-limit.most] + limit.seconds + self._margin

    def _sweep(self, now: float) -> None:
        """Forget what no limit reaches back to."""
        longest = max(
            (one.seconds for one in (self.limits.chat, self.limits.group) if one), default=0
        )
        old = now - longest - WIDEST
        self._chats = {chat: log for chat, log in self._chats.items() if log[-1] > old}
        self._told = {chat: until for chat, until in self._told.items() if until > old}
