"""When sending has to stop because Discord refuses too much."""

import pytest

from bot.platforms.discord.refusals import MOST, Refusals


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def refused(times: int, status: int = 403, scope: str | None = None) -> tuple[Refusals, Clock]:
    clock = Clock()
    refusals = Refusals(clock)
    for _ in range(times):
        refusals.answered(status, scope)
    return refusals, clock


@pytest.mark.parametrize("status", [401, 403, 429])
def test_sending_stops_at_500_refusals(status: int) -> None:
    assert not refused(MOST - 1, status)[0].too_many
    assert refused(MOST, status)[0].too_many
    assert MOST == 500


@pytest.mark.parametrize("status", [200, 204, 400, 404, 500, 502])
def test_other_answers_do_not_count(status: int) -> None:
    assert not refused(MOST, status)[0].too_many


def test_a_limit_shared_with_other_bots_does_not_count() -> None:
    assert not refused(MOST, 429, "shared")[0].too_many
    assert refused(MOST, 429, "user")[0].too_many


def test_sending_goes_on_ten_minutes_later() -> None:
    refusals, clock = refused(MOST)
    clock.now = 599
    assert refusals.too_many
    clock.now = 601
    assert not refusals.too_many
