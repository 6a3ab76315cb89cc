"""Whether the promise was kept, from what the servers accepted and what was published alone. Pure.

After a publish is committed nothing is lost. On Discord nothing comes twice. On Telegram each extra
copy has an attempt that was in flight when the process died, and none comes more than three times.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from bot.model import Platform

MOST_COPIES: Final = 3
UNSETTLED: Final = 1.0
"""Seconds in which an answer may not have been written down yet, on a busy machine."""

MOST_IN_FLIGHT: Final = 8
"""Messages that may be unsettled at one death: four unanswered, and four answered just now."""


@dataclass(frozen=True, slots=True, order=True)
class Chat:
    """Where messages go."""

    platform: Platform
    id: int

    def __str__(self) -> str:
        return f"{self.platform}:{self.id}"


@dataclass(frozen=True, slots=True)
class Published:
    """An update in the log: its title, and who followed its show."""

    title: str
    audience: frozenset[Chat]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that a server accepted, and when its answer went out, if it did."""

    chat: Chat
    titles: tuple[str, ...]
    at: float
    answered: float | None = None


@dataclass(slots=True)
class Verdict:
    """What became of the promise on one platform."""

    platform: Platform
    updates: int
    expected: int
    lost: int = 0
    extras: int = 0
    worst: int = 0
    problems: list[str] = field(default_factory=list)


def check(
    platform: Platform,
    log: Sequence[Published],
    arrivals: Iterable[Arrival],
    deaths: Sequence[float],
) -> Verdict:
    """The verdict on a platform; `log` is in the order of publication, `deaths` are times."""
    there = sorted((one for one in arrivals if one.chat.platform is platform), key=lambda a: a.at)
    copies: dict[tuple[Chat, str], list[Arrival]] = defaultdict(list)
    for one in there:
        for title in one.titles:
            copies[one.chat, title].append(one)
    wanted = [
        (chat, one.title)
        for one in log
        for chat in sorted(one.audience)
        if chat.platform is platform
    ]
    verdict = Verdict(platform, len(log), len(wanted))
    lost = [it for it in wanted if it not in copies]
    verdict.lost = len(lost)
    verdict.extras = sum(len(each) - 1 for each in copies.values())
    verdict.worst = max(map(len, copies.values()), default=0)
    verdict.problems += [f"{title} never came to {chat}" for chat, title in lost]
    verdict.problems += [
        f"{title} came to {chat}, which does not follow it"
        for chat, title in copies.keys() - set(wanted)
    ]
    verdict.problems += _disorder(log, there)
    verdict.problems += _repeats(platform, copies, deaths)
    return verdict


def _disorder(log: Sequence[Published], arrivals: Iterable[Arrival]) -> Iterator[str]:
    """First arrivals in a chat that are not in the order of publication."""
    places = {one.title: place for place, one in enumerate(log)}
    firsts: dict[Chat, dict[str, None]] = defaultdict(dict)
    for one in arrivals:
        firsts[one.chat].update(dict.fromkeys(title for title in one.titles if title in places))
    for chat, titles in firsts.items():
        for before, after in pairwise(titles):
            if places[before] > places[after]:
                yield f"{after} came to {chat} only after {before}"


def _repeats(
    platform: Platform, copies: dict[tuple[Chat, str], list[Arrival]], deaths: Sequence[float]
) -> Iterator[str]:
    """Copies that may not be."""
    in_flight: dict[float, set[tuple[Chat, float]]] = defaultdict(set)
    for (chat, title), each in copies.items():
        if platform is Platform.DISCORD and len(each) > 1:
            yield f"{title} came to {chat} {len(each)} times"
            continue
        if len(each) > MOST_COPIES:
            yield f"{title} came to {chat} {len(each)} times, more than ever promised"
        for earlier, later in pairwise(each):
            death = _explains(earlier, later, deaths)
            if death is None:
                yield (
                    f"{title} came to {chat} again after {later.at - earlier.at:.3f} s, and was "
                    f"not in flight at any of {_between(earlier, later, deaths)}"
                )
            else:
                in_flight[death].add((chat, earlier.at))
    for messages in in_flight.values():
        if len(messages) > MOST_IN_FLIGHT:
            yield f"{len(messages)} messages were repeated after one death"
        for chat, count in Counter(chat for chat, _ in messages).items():
            if count > 1:
                yield f"{count} messages to {chat} were in flight at one death"


def _between(earlier: Arrival, later: Arrival, deaths: Iterable[float]) -> str:
    """The deaths between two copies, and when the first one was answered, in its seconds."""
    answered = "never" if earlier.answered is None else f"{earlier.answered - earlier.at:.3f} s"
    found = [f"{one - earlier.at:.3f} s" for one in deaths if earlier.at <= one <= later.at]
    return f"the deaths ({', '.join(found)}), answered after {answered}"


def _explains(earlier: Arrival, later: Arrival, deaths: Iterable[float]) -> float | None:
    """The death at which an arrival was unsettled, so that it came again."""
    for death in deaths:
        unsettled = earlier.answered is None or earlier.answered > death - UNSETTLED
        if earlier.at <= death <= later.at:
            return death if unsettled else None
    return None
