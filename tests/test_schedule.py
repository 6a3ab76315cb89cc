"""The schedule: polls go on whatever happens to one of them, and to the clock."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

import pytest

from bot.schedule import ClockWatch, Schedule
from tests.build import NOW
from tests.fakes.clock import FakeClock

Jumped = Callable[[dt.timedelta], Awaitable[object]]


async def _ignored(_moved: dt.timedelta) -> None:
    """Take no notice of a jump."""


async def _runs(
    poll: Callable[[], Awaitable[object]], until: asyncio.Event, **options: float
) -> None:
    watch = ClockWatch(FakeClock(NOW), lambda: 0.0)
    schedule = Schedule(poll, 0.05, watch, _ignored, **options)
    schedule.start()
    try:
        async with asyncio.timeout(10):
            await until.wait()
    finally:
        await schedule.stop()


async def test_the_first_poll_comes_at_once_and_more_follow() -> None:
    times: list[float] = []
    enough = asyncio.Event()

    async def poll() -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) == 3:
            enough.set()

    await _runs(poll, enough)
    assert len(times) >= 3


async def test_a_poll_that_raises_is_logged_and_the_next_one_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls = 0
    enough = asyncio.Event()

    async def poll() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("the store is upside down")
        enough.set()

    await _runs(poll, enough)
    assert "the store is upside down" in "".join(capsys.readouterr())


async def test_a_poll_that_hangs_is_given_up_and_the_next_one_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls = 0
    enough = asyncio.Event()

    async def poll() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            await asyncio.Event().wait()
        enough.set()

    await _runs(poll, enough, time_limit=0.1)
    assert "poll.hung" in "".join(capsys.readouterr())


async def test_polls_never_overlap() -> None:
    under_way, most, calls = 0, 0, 0
    enough = asyncio.Event()

    async def poll() -> None:
        nonlocal under_way, most, calls
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.12)
        under_way -= 1
        calls += 1
        if calls == 3:
            enough.set()

    await _runs(poll, enough)
    assert most == 1


async def test_nothing_runs_after_a_stop() -> None:
    calls = 0
    first = asyncio.Event()

    async def poll() -> None:
        nonlocal calls
        calls += 1
        first.set()

    await _runs(poll, first)
    seen = calls
    await asyncio.sleep(0.2)
    assert calls == seen


@pytest.mark.parametrize("hours", [-24, 24])
def test_a_clock_that_is_set_is_noticed_once(hours: int) -> None:
    clock, steady = FakeClock(NOW), 100.0
    watch = ClockWatch(clock, lambda: steady)
    assert watch.jump() is None
    clock.pass_by(hours=hours)
    moved = watch.jump()
    assert moved == dt.timedelta(hours=hours)
    assert watch.jump() == moved  # until it is accepted: what follows from it may fail
    watch.accept(moved)
    assert watch.jump() is None


def test_time_that_passes_is_no_jump() -> None:
    clock, now = FakeClock(NOW), [100.0]
    watch = ClockWatch(clock, lambda: now[0])
    clock.pass_by(days=3)
    now[0] += 3 * 86_400
    assert watch.jump() is None


async def test_after_a_jump_the_poll_runs_at_once_and_the_waits_are_moved() -> None:
    clock = FakeClock(NOW)
    polled, moved = asyncio.Event(), []

    async def poll() -> None:
        polled.set()

    async def jumped(by: dt.timedelta) -> None:
        moved.append(by)

    schedule = Schedule(poll, 3600, ClockWatch(clock, lambda: 0.0), jumped)
    schedule.start()
    try:
        async with asyncio.timeout(10):
            await polled.wait()
            polled.clear()
            clock.pass_by(days=-1)
            await schedule.catch_up()
            await polled.wait()
    finally:
        await schedule.stop()
    assert moved == [dt.timedelta(days=-1)]
