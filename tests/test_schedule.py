"""The schedule: polls go on whatever happens to one of them, and to the clock."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence

import pytest

from bot import schedule as scheduling
from bot.schedule import ENDS_WITHIN, TIME_LIMIT, Chore, ClockWatch, Schedule
from tests.build import NOW
from tests.fakes.clock import FakeClock

Jumped = Callable[[dt.timedelta], Awaitable[object]]


async def _ignored(_moved: dt.timedelta) -> None:
    """Take no notice of a jump."""


async def _nothing() -> None:
    """Poll in vain."""


async def _runs(
    poll: Callable[[], Awaitable[object]],
    until: asyncio.Event,
    *,
    every: float = 0.05,
    chores: Sequence[Chore] = (),
    time_limit: float = TIME_LIMIT,
) -> Schedule:
    watch = ClockWatch(FakeClock(NOW), lambda: 0.0)
    schedule = Schedule(poll, every, watch, _ignored, chores=chores, time_limit=time_limit)
    schedule.start()
    try:
        async with asyncio.timeout(10):
            await until.wait()
    finally:
        await schedule.stop()
    return schedule


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


async def test_a_hang_is_found_and_cured_however_seldom_the_poll_is() -> None:
    calls = 0
    enough = asyncio.Event()

    async def poll() -> None:
        nonlocal calls
        calls += 1
        if calls <= 2:
            await asyncio.Event().wait()
        enough.set()

    await _runs(poll, enough, every=3600, time_limit=0.1)
    assert calls == 3
    assert TIME_LIMIT + ENDS_WITHIN < 120


async def test_a_poll_that_cannot_be_given_up_is_told_of_and_not_doubled(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduling, "ENDS_WITHIN", 0.05)
    calls, said = 0, ""
    stuck, enough = asyncio.Event(), asyncio.Event()

    async def deaf() -> None:
        while not stuck.is_set():
            try:
                await stuck.wait()
            except asyncio.CancelledError:
                continue
        raise RuntimeError("nobody hears this any more")

    async def poll() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            await deaf()
        enough.set()

    async def watch() -> None:
        nonlocal said
        while said.count("poll.hung") < 3:
            await asyncio.sleep(0.01)
            said += "".join(capsys.readouterr())
        assert calls == 1
        stuck.set()

    watching = asyncio.create_task(watch())
    await _runs(poll, enough, every=3600, time_limit=0.1)
    await watching
    assert calls == 2


async def test_the_last_poll_that_ended_well_is_known() -> None:
    calls = 0
    failed, enough = asyncio.Event(), asyncio.Event()

    async def poll() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            failed.set()
            raise RuntimeError("not yet")
        if calls == 3:
            enough.set()

    schedule = await _runs(poll, failed, every=3600)
    assert schedule.polled_at is None
    schedule = await _runs(poll, enough)
    assert schedule.polled_at == NOW


async def test_chores_come_round_and_trouble_ends_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    times = 0
    hung, enough = asyncio.Event(), asyncio.Event()

    async def fails() -> None:
        nonlocal times
        times += 1
        if times == 4:
            enough.set()
        raise RuntimeError("the broom is broken")

    async def hangs() -> None:
        hung.set()
        await asyncio.Event().wait()

    chores = (Chore("sweep", 0.05, fails), Chore("dust", 0.05, hangs, time_limit=0.05))
    await _runs(_nothing, enough, chores=chores)
    assert hung.is_set()
    said = "".join(capsys.readouterr())
    assert said.count("the broom is broken") >= 3
    assert "sweep.failed" in said
    assert "dust.hung" in said


async def test_a_chore_that_is_seldom_comes_within_an_hour_of_a_start_or_a_jump() -> None:
    clock = FakeClock(NOW)
    daily = Chore("purge", 86_400, _nothing)
    often = Chore("count", 600, _nothing)
    schedule = Schedule(
        _nothing, 60, ClockWatch(clock, lambda: 0.0), _ignored, chores=(daily, often)
    )

    def first() -> list[int]:
        now = dt.datetime.now(dt.UTC)
        ahead = [job.next_run_time - now for _, job in schedule._chores]
        return [round(one.total_seconds(), -1) for one in ahead]

    schedule.start()
    try:
        assert first() == [3600, 600]
        for _, job in schedule._chores:
            job.modify(next_run_time=dt.datetime.now(dt.UTC) + dt.timedelta(days=9))
        clock.pass_by(days=-9)
        await schedule.catch_up()
        assert first() == [3600, 600]
    finally:
        await schedule.stop()


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


async def test_a_stop_ends_the_poll_under_way_and_the_one_that_was_to_follow() -> None:
    calls = 0
    begun, ended = asyncio.Event(), asyncio.Event()

    async def poll() -> None:
        nonlocal calls
        calls += 1
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    schedule = Schedule(poll, 3600, ClockWatch(FakeClock(NOW), lambda: 0.0), _ignored)
    schedule.start()
    async with asyncio.timeout(10):
        await begun.wait()
        await schedule.poll_once()
        await schedule.stop()
        await ended.wait()
    await asyncio.sleep(0.05)
    assert calls == 1


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


def test_the_clock_is_calm_some_time_after_it_was_set() -> None:
    clock, now = FakeClock(NOW), [100.0]
    watch = ClockWatch(clock, lambda: now[0])
    assert watch.calm(3600)
    clock.pass_by(hours=5)
    assert not watch.calm(3600)
    watch.accept(dt.timedelta(hours=5))
    assert not watch.calm(3600)
    clock.pass_by(hours=1)
    now[0] += 3600
    assert watch.calm(3600)
    assert not watch.calm(3601)


def test_time_that_passes_is_no_jump() -> None:
    clock, now = FakeClock(NOW), [100.0]
    watch = ClockWatch(clock, lambda: now[0])
    clock.pass_by(days=3)
    now[0] += 3 * 86_400
    assert watch.jump() is None


async def test_what_wants_a_poll_during_one_gets_another_one_after_it() -> None:
    calls = 0
    begun, end = asyncio.Event(), asyncio.Event()

    async def poll() -> None:
        nonlocal calls
        calls += 1
        begun.set()
        await end.wait()

    schedule = Schedule(poll, 3600, ClockWatch(FakeClock(NOW), lambda: 0.0), _ignored)
    polling = asyncio.create_task(schedule.poll_once())
    await begun.wait()
    await schedule.poll_once()
    await schedule.poll_once()
    assert calls == 1
    end.set()
    await polling
    assert calls == 2


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
