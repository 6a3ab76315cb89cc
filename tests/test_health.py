"""Health: the bot is well, or says in words what is wrong with it."""

import datetime as dt
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from bot.health import Health, HealthCheck, LaneHealth
from bot.model import DeliveryState, Platform
from bot.outbox.lane import LaneState
from storage.store import Storage, open_storage
from storage.trust import trust
from tests.build import NOW
from tests.fakes.clock import FakeClock
from tests.storage.builders import (
    SECOND,
    a_chat,
    claim_all,
    follow,
    put_shows,
    sent,
    tell,
    write,
)

BUSY = LaneHealth(
    alive=True, sent_last_minute=5, held_for_seconds=0, last_progress_seconds=1, due_for_seconds=1
)


def health(lane: LaneHealth = BUSY, **changes: Any) -> Health:
    well = Health(
        at=NOW,
        since=NOW - dt.timedelta(hours=1),
        polled_at=NOW - 30 * SECOND,
        poll_within=120,
        oldest_due=None,
        states=dict.fromkeys(DeliveryState, 0),
        unaccounted=0,
        lanes={Platform.TELEGRAM: lane},
    )
    return replace(well, **changes)


def test_a_bot_that_works_is_well() -> None:
    assert health().reasons == ()
    assert health().ok


@pytest.mark.parametrize(("seconds", "ok"), [(120, True), (121, False)])
def test_the_last_good_poll_may_not_be_long_ago(seconds: int, ok: bool) -> None:
    assert health(polled_at=NOW - seconds * SECOND).ok is ok
    begun = health(polled_at=None, since=NOW - seconds * SECOND)
    assert begun.ok is ok
    assert begun.reasons == (() if ok else ("no poll has ended well for 121 seconds",))


@pytest.mark.parametrize(
    ("idle", "due", "held", "ok"),
    [
        (60, 600, 0, True),
        (61, 600, 0, False),
        (600, 0, 0, True),  # nothing to do
        (600, 60, 0, True),  # something since a moment
        (600, 600, 5, True),  # it was asked to wait
    ],
)
def test_a_lane_must_get_on_while_something_is_due(
    idle: float, due: float, held: float, ok: bool
) -> None:
    lane = replace(BUSY, last_progress_seconds=idle, due_for_seconds=due, held_for_seconds=held)
    assert health(lane).ok is ok
    assert health(lane).reasons == (() if ok else ("nothing has moved on telegram for 61 seconds",))


def test_a_lane_that_ended_is_told() -> None:
    dead = replace(BUSY, alive=False)
    assert health(dead).reasons == ("the deliveries on telegram have stopped",)


@pytest.mark.parametrize("number", [3, -3])
def test_deliveries_that_do_not_add_up_are_told(number: int) -> None:
    assert health(unaccounted=number).reasons == (f"unaccounted for: {number} deliveries",)


def test_it_is_written_as_json() -> None:
    written = json.loads(json.dumps(health(oldest_due=NOW, unaccounted=1).as_json()))
    assert written["ok"] is False
    assert written["reasons"] == ["unaccounted for: 1 delivery"]
    assert written["oldest_due"] == NOW.isoformat()
    assert written["states"] == {str(state): 0 for state in DeliveryState}
    assert written["lanes"]["telegram"] == {
        "alive": True,
        "sent_last_minute": 5,
        "held_for_seconds": 0,
        "last_progress_seconds": 1,
        "due_for_seconds": 1,
    }
    assert json.loads(json.dumps(health(polled_at=None).as_json()))["polled_at"] is None


class _Schedule:
    """A schedule as far as health knows it."""

    polled_at: dt.datetime | None = NOW


def check_of(
    storage: Storage, clock: FakeClock, seconds: float = 60, state: LaneState | None = None
) -> HealthCheck:
    lane = state or LaneState(alive=True, sent_last_minute=2, held_for=0.0, idle_for=90.0)
    schedule: Any = _Schedule()
    return HealthCheck(storage, lambda: {Platform.TELEGRAM: lane}, schedule, seconds, clock)


async def test_a_stall_is_seen_from_what_is_stored(storage: Storage) -> None:
    await put_shows(storage)
    await follow(storage, a_chat(1))
    await tell(storage)
    clock = FakeClock(NOW)
    check = check_of(storage, clock)
    found = await check()
    assert found.ok
    assert found.oldest_due == NOW
    assert found.states[DeliveryState.PENDING] == 1
    clock.pass_by(seconds=61)
    assert (await check()).reasons == ("nothing has moved on telegram for 61 seconds",)
    await storage.deliveries.settle([sent(one) for one in await claim_all(storage, clock())])
    clock.pass_by(seconds=20)  # counts hold for some seconds
    well = await check()
    assert well.ok
    assert well.oldest_due is None
    assert well.states[DeliveryState.SENT] == 1


async def test_the_poll_may_take_three_turns_at_least_two_minutes(storage: Storage) -> None:
    clock = FakeClock(NOW)
    often, seldom = check_of(storage, clock, 1), check_of(storage, clock, 100)
    clock.pass_by(seconds=121)
    assert [(await one()).ok for one in (often, seldom)] == [False, True]
    clock.pass_by(seconds=180)
    assert not (await seldom()).ok


async def test_what_is_due_where_no_lane_is_concerns_no_lane(storage: Storage) -> None:
    await put_shows(storage)
    await follow(storage, a_chat(1))
    await tell(storage)
    clock = FakeClock(NOW)
    schedule: Any = _Schedule()
    check = HealthCheck(storage, dict, schedule, 60, clock)
    clock.pass_by(seconds=100)
    assert (await check()).ok


@pytest.fixture
async def broken(sqlite_url: str) -> AsyncIterator[Storage]:
    """A store from which a delivery has vanished."""
    async with open_storage(sqlite_url, trust()) as storage:
        await put_shows(storage)
        await follow(storage, a_chat(1))
        await tell(storage)
        await write(storage, "DELETE FROM deliveries")
        yield storage


async def test_deliveries_that_vanished_are_seen(broken: Storage) -> None:
    assert "unaccounted for: 1 delivery" in (await check_of(broken, FakeClock(NOW))()).reasons
