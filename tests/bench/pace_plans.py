"""Whom the contenders of the pace send to: everybody once, and in the mixed plans some often.

No chat gets so much that its own limit would make a plan last longer than everybody's limit does.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from tests.bench.discord_stores import FIRST_CHANNEL

Place = tuple[int, int]
"""A chat and a topic in it, 0 for none."""


@dataclass(frozen=True)
class Plan:
    """Those who get one message, and those who get so many `times`."""

    once: tuple[Place, ...]
    hot: tuple[Place, ...] = ()
    times: int = 1

    def messages(self) -> list[Place]:
        """Where each message goes, in the order of a loop that has them evenly mixed."""
        mixed: list[Place] = []
        for turn in range(self.times):
            mixed += [*self.hot, *self.once[turn :: self.times]]
        return mixed

    def wanted(self) -> Counter[int]:
        """How many messages each chat is to get."""
        return Counter(chat for chat, _ in self.messages())


def _private(count: int, first: int = 1) -> tuple[Place, ...]:
    return tuple((first + number, 0) for number in range(count))


def _groups(count: int, first: int) -> tuple[Place, ...]:
    return tuple((-1_000_000_000_000 - first - number, 0) for number in range(count))


def _topics(groups: int, each: int, first: int) -> tuple[Place, ...]:
    """Topics of groups, which share their group's limit."""
    chats = [chat for chat, _ in _groups(groups, first)]
    return tuple((chat, topic) for topic in range(1, each + 1) for chat in chats)


def _channels(count: int, first: int = 1) -> tuple[Place, ...]:
    return tuple((FIRST_CHANNEL + first + number, 0) for number in range(count))


PLANS: Final = {
    "private": Plan(_private(1500)),
    "few": Plan(_private(300)),
    "mixed": Plan(
        (*_topics(10, 12, 1), *_groups(60, 101), *_private(1120)), _private(20, 1_000_001), 10
    ),
    "channels": Plan(_channels(2500)),
    "few_channels": Plan(_channels(400)),
    "hot": Plan(_channels(1800), _channels(20, 1_000_001), 20),
}
