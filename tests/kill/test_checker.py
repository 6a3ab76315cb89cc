"""The checker of the kill test sees whatever breaks the promise."""

from dataclasses import replace
from typing import Final

import pytest

from bot.model import Platform
from tests.kill.checker import Arrival, Chat, Published, check

ANN: Final = Chat(Platform.TELEGRAM, 1)
BEN: Final = Chat(Platform.TELEGRAM, 2)
NEWS: Final = Chat(Platform.DISCORD, 3)
EVERYBODY: Final = frozenset({ANN, BEN, NEWS})
LOG: Final = (Published("first", EVERYBODY), Published("second", EVERYBODY))
DEATH: Final = 10.0


def an_arrival(chat: Chat, *titles: str, at: float = 1.0, answered: float | None = 1.01) -> Arrival:
    """A message that came and was answered."""
    return Arrival(chat, titles, at, answered)


GOOD: Final = (
    an_arrival(ANN, "first"),
    an_arrival(ANN, "second", at=2.0),
    an_arrival(BEN, "first", "second"),
    an_arrival(NEWS, "first", "second"),
)


def wrong(
    platform: Platform, *arrivals: Arrival, deaths: tuple[float, ...] = (DEATH,)
) -> list[str]:
    """What the checker finds."""
    return check(platform, LOG, arrivals, deaths).problems


@pytest.mark.parametrize("platform", [Platform.DISCORD, Platform.TELEGRAM])
def test_what_came_once_and_in_order_is_as_promised(platform: Platform) -> None:
    verdict = check(platform, LOG, GOOD, [DEATH])
    assert verdict.problems == []
    assert (verdict.lost, verdict.extras, verdict.worst) == (0, 0, 1)
    assert verdict.expected == (2 if platform is Platform.DISCORD else 4)


@pytest.mark.parametrize("missing", range(len(GOOD)))
def test_each_message_that_is_missing_is_a_loss(missing: int) -> None:
    left = GOOD[:missing] + GOOD[missing + 1 :]
    platform = GOOD[missing].chat.platform
    verdict = check(platform, LOG, left, [DEATH])
    assert verdict.lost == len(GOOD[missing].titles)
    assert all("never came" in one for one in verdict.problems)


def test_an_update_that_is_missing_in_a_message_of_several_is_a_loss() -> None:
    less = replace(GOOD[2], titles=("second",))
    assert wrong(Platform.TELEGRAM, *GOOD[:2], less) == ["first never came to telegram:2"]


def test_what_nobody_asked_for_is_told() -> None:
    log = (Published("first", frozenset({ANN})),)
    found = check(Platform.TELEGRAM, log, [GOOD[0], an_arrival(BEN, "first")], [])
    assert found.problems == ["first came to telegram:2, which does not follow it"]


@pytest.mark.parametrize(
    "arrivals",
    [
        (an_arrival(ANN, "second"), an_arrival(ANN, "first", at=2.0)),
        (an_arrival(ANN, "second", "first"),),
    ],
)
def test_what_comes_in_another_order_than_it_was_published_is_told(
    arrivals: tuple[Arrival, ...],
) -> None:
    found = wrong(Platform.TELEGRAM, *arrivals, GOOD[2])
    assert found == ["first came to telegram:1 only after second"]


@pytest.mark.parametrize("answered", [None, DEATH - 0.5, DEATH + 0.5])
def test_a_copy_is_explained_by_an_attempt_in_flight_at_a_death(answered: float | None) -> None:
    lost = an_arrival(ANN, "second", at=DEATH - 2, answered=answered)
    again = an_arrival(ANN, "second", at=DEATH + 1)
    verdict = check(Platform.TELEGRAM, LOG, [GOOD[0], lost, again, GOOD[2]], [DEATH])
    assert verdict.problems == []
    assert (verdict.extras, verdict.worst) == (1, 2)


@pytest.mark.parametrize(
    ("at", "answered", "deaths"),
    [
        (DEATH - 2, DEATH - 1.5, (DEATH,)),  # settled long ago
        (DEATH - 2, None, ()),  # nobody died
        (DEATH - 2, None, (DEATH - 3, DEATH + 2)),  # died before, and after
    ],
)
def test_a_copy_that_no_death_explains_is_told(
    at: float, answered: float | None, deaths: tuple[float, ...]
) -> None:
    first = an_arrival(ANN, "second", at=at, answered=answered)
    again = an_arrival(ANN, "second", at=DEATH + 1)
    (found,) = wrong(Platform.TELEGRAM, GOOD[0], first, again, GOOD[2], deaths=deaths)
    assert "second came to telegram:1 again" in found


def test_more_than_three_copies_are_told_whatever_explains_them() -> None:
    copies = [an_arrival(ANN, "second", at=DEATH + n, answered=None) for n in range(4)]
    deaths = tuple(DEATH + n + 0.5 for n in range(4))
    assert wrong(Platform.TELEGRAM, GOOD[0], *copies[:3], GOOD[2], deaths=deaths) == []
    (found,) = wrong(Platform.TELEGRAM, GOOD[0], *copies, GOOD[2], deaths=deaths)
    assert "4 times" in found


def test_a_second_copy_on_discord_is_told_even_where_a_death_would_explain_it() -> None:
    again = an_arrival(NEWS, "first", at=DEATH + 1)
    first = an_arrival(NEWS, "first", "second", at=DEATH - 1, answered=None)
    assert wrong(Platform.DISCORD, first, again) == ["first came to discord:3 2 times"]


def test_more_repeats_than_can_be_in_flight_at_one_death_are_told() -> None:
    chats = [Chat(Platform.TELEGRAM, number) for number in range(9)]
    log = (Published("first", frozenset(chats)),)
    copies = [
        an_arrival(chat, "first", at=at, answered=None) for chat in chats for at in (9.0, 11.0)
    ]
    found = check(Platform.TELEGRAM, log, copies, [DEATH]).problems
    assert found == ["9 messages were repeated after one death"]
