"""Who may still ask: each person, and each chat whose people share an allowance."""

import pytest

from bot.platforms.limits import Limits
from bot.platforms.throttle import Verdict

TAKE, TELL, IGNORE = Verdict.TAKE, Verdict.TELL, Verdict.IGNORE


@pytest.fixture
def limits() -> Limits:
    """Limits on a day on which no time passes."""
    return Limits(lambda: 0.0)


def test_a_person_is_refused_in_every_chat_and_nobody_else_is(limits: Limits) -> None:
    said = [limits.ask(1, chat) for chat in range(10)]
    assert said == [TAKE] * 8 + [TELL, IGNORE]
    assert limits.ask(2, 0) is TAKE


def test_the_people_of_a_chat_share_its_allowance(limits: Limits) -> None:
    said = [limits.ask(person, -5) for person in range(22)]
    assert said == [TAKE] * 20 + [TELL, IGNORE]
    assert limits.ask(30, -6) is TAKE


def test_many_readers_without_a_chat_of_their_own_share_nothing(limits: Limits) -> None:
    assert {limits.ask(person, None) for person in range(100)} == {TAKE}


def test_a_person_who_was_refused_uses_nothing_up_of_the_chat(limits: Limits) -> None:
    for _ in range(100):
        limits.ask(1, -5)
    assert [limits.ask(person, -5) for person in range(2, 14)] == [TAKE] * 12
