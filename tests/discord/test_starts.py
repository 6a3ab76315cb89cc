"""How often sessions may be begun."""

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from bot.platforms.discord.starts import DAY, MOST_A_DAY, Starts, wait_before
from storage.store import Storage

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
DISCORDS_LIMIT = 500


def seconds_ago(*ages: float) -> list[dt.datetime]:
    return [NOW - dt.timedelta(seconds=age) for age in ages]


def test_the_first_start_does_not_wait() -> None:
    assert wait_before([], NOW) == dt.timedelta(0)


def test_two_starts_are_five_seconds_apart() -> None:
    assert wait_before(seconds_ago(2), NOW) == dt.timedelta(seconds=3)
    assert wait_before(seconds_ago(5), NOW) == dt.timedelta(0)


def test_a_bot_that_starts_often_waits_longer() -> None:
    assert wait_before(seconds_ago(*range(0, 200, 10)), NOW) == dt.timedelta(seconds=30)
    assert wait_before(seconds_ago(*range(0, 4000, 40)), NOW) == dt.timedelta(minutes=4)


def test_what_was_begun_more_than_a_day_ago_is_forgotten() -> None:
    assert wait_before(seconds_ago(*[86_400 + one for one in range(500)]), NOW) == dt.timedelta(0)


def test_a_start_noted_by_a_clock_that_was_ahead_counts_as_now() -> None:
    assert wait_before([NOW + DAY], NOW) == dt.timedelta(seconds=5)


def test_a_crash_loop_never_begins_500_sessions_within_a_day() -> None:
    now, starts = NOW, list[dt.datetime]()
    while now < NOW + 2 * DAY:
        now += wait_before(starts[-600:], now)
        starts.append(now)
        now += dt.timedelta(seconds=1)  # and it crashes
    for first in starts:
        assert sum(first <= one < first + DAY for one in starts) < DISCORDS_LIMIT
    assert len(starts) > MOST_A_DAY / 2


def test_each_start_of_a_bot_with_shards_begins_a_session_for_each() -> None:
    starts = seconds_ago(*range(0, 1000, 10))
    assert wait_before(starts, NOW) == dt.timedelta(minutes=4)
    assert wait_before(starts, NOW, shards=16) == dt.timedelta(seconds=5)


@given(st.lists(st.floats(-1e5, 2e5), max_size=600))
def test_no_wait_is_negative_or_longer_than_a_day(ages: list[float]) -> None:
    wait = wait_before(seconds_ago(*ages), NOW)
    assert dt.timedelta(0) <= wait <= DAY


async def test_starts_outlive_the_process(storage: Storage) -> None:
    await Starts(storage.notes, lambda: NOW).begin()
    later = Starts(storage.notes, lambda: NOW + dt.timedelta(seconds=1))
    assert await later.wait() == 4
    await later.begin()
    assert await Starts(storage.notes, lambda: NOW + dt.timedelta(seconds=3)).wait() == 3
