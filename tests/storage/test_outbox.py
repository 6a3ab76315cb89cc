"""The outbox: claimed once, settled once, and nothing is lost or sent again."""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Collection, Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.errors import AskAgain
from bot.model import (
    Delivery,
    DeliveryState,
    Destination,
    Kinds,
    Platform,
    Seq,
    ShowId,
    Subscription,
    Update,
    UpdateKind,
)
from bot.outbox.consequences import settlement
from storage.outbox import (
    LONGEST_TRAIL,
    MOST_DEATHS,
    QUARANTINED,
    TOO_LATE,
    Extras,
    Settlement,
)
from storage.schema import REACHED, milliseconds
from storage.store import Storage, open_storage
from storage.trust import trust
from tests.build import NOW, a_retraction, a_show, an_update
from tests.storage.builders import (
    LEASE,
    SECOND,
    SHOW,
    a_chat,
    a_folder,
    a_trailer,
    again,
    blank,
    board,
    claim,
    claim_all,
    deliver,
    expand,
    follow,
    poll,
    publish,
    put_shows,
    sent,
    sql,
    state_of,
    states,
    tell,
    write,
)

T = TypeVar("T")
Outcome = tuple[DeliveryState, bool] | None
HERE, THERE = a_chat(1), a_chat(2)


@pytest.fixture
async def filled(storage: Storage) -> Storage:
    """A store with one show that two chats follow."""
    await put_shows(storage)
    await follow(storage, HERE, THERE)
    return storage


# Claiming


async def test_everything_due_for_a_chat_is_claimed_together_in_order(filled: Storage) -> None:
    seqs = [await tell(filled) for _ in range(3)]
    parcels = await claim(filled)
    assert [parcel.destination for parcel in parcels] == [HERE, THERE]
    for parcel in parcels:
        assert [one.seq for one in parcel.deliveries] == seqs
        assert {one.destination_id for one in parcel.deliveries} == {parcel.destination_id}
        assert [one.attempts for one in parcel.deliveries] == [1, 1, 1]


async def test_even_at_the_limit_a_chat_gets_all_that_is_due_to_it(filled: Storage) -> None:
    seqs = [await tell(filled) for _ in range(3)]
    (parcel,) = await claim(filled, limit=1)
    assert [one.seq for one in parcel.deliveries] == seqs
    (other,) = await claim(filled, limit=1)
    assert other.destination != parcel.destination


async def test_those_due_longest_are_claimed_first(filled: Storage) -> None:
    await tell(filled)
    first, second = await claim_all(filled)
    await filled.deliveries.settle([again(first, NOW + SECOND), again(second, NOW)])
    assert await claim_all(filled, NOW + 9 * SECOND) == []
    (parcel,) = await claim(filled, NOW + 30 * SECOND, limit=1)
    assert parcel.destination_id == second.destination_id


async def test_a_busy_chat_is_left_alone(filled: Storage) -> None:
    await tell(filled)
    here, there = await claim(filled)
    await filled.deliveries.settle([sent(one) for one in there.deliveries])
    await tell(filled)
    (other,) = await filled.deliveries.claim(NOW, LEASE, 100, {here.destination_id})
    assert other.destination == THERE
    await filled.deliveries.settle([sent(one) for one in here.deliveries])
    assert [parcel.destination for parcel in await claim(filled)] == [HERE]


async def test_what_is_not_due_is_left(filled: Storage) -> None:
    await tell(filled)
    for one in await claim_all(filled):
        await filled.deliveries.settle([again(one)])
    assert await claim_all(filled, NOW + 10 * SECOND - dt.timedelta(milliseconds=1)) == []
    assert len(await claim_all(filled, NOW + 10 * SECOND)) == 2


async def test_later_news_waits_for_what_was_published_earlier_and_goes_with_it(
    filled: Storage,
) -> None:
    waiting = await tell(filled)
    await filled.deliveries.settle([again(one) for one in await claim_all(filled)])
    due = await tell(filled)
    almost = NOW + 10 * SECOND - dt.timedelta(milliseconds=1)
    assert await claim_all(filled) == await claim_all(filled, almost) == []
    assert await filled.deliveries.next_due() == NOW + 10 * SECOND
    for parcel in await claim(filled, NOW + 10 * SECOND):
        assert [(one.seq, one.attempts) for one in parcel.deliveries] == [(waiting, 2), (due, 1)]


async def test_what_waits_for_its_time_does_not_go_with_what_was_published_earlier(
    filled: Storage,
) -> None:
    """Only what is later waits: the earlier one is due and goes alone."""
    earlier, later = await tell(filled), await tell(filled)
    done = [again(one) if one.seq == later else due_now(one) for one in await claim_all(filled)]
    await filled.deliveries.settle(done)
    assert [one.seq for one in await deliver(filled)] == [earlier, earlier]
    assert [one.seq for one in await claim_all(filled, NOW + 10 * SECOND)] == [later, later]


async def test_a_chat_waits_for_its_own_news_only(filled: Storage) -> None:
    await tell(filled)
    here, there = await claim_all(filled)
    await filled.deliveries.settle([again(here), sent(there)])
    seq = await tell(filled)
    claimed = await claim_all(filled)
    assert [(one.destination_id, one.seq) for one in claimed] == [(there.destination_id, seq)]


@pytest.mark.parametrize("end", [DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.UNCERTAIN])
async def test_what_has_ended_is_not_waited_for(filled: Storage, end: DeliveryState) -> None:
    await tell(filled)
    later = NOW + dt.timedelta(hours=1)
    ended = [Settlement(one, end, NOW, due_at=later) for one in await claim_all(filled)]
    await filled.deliveries.settle(ended)
    seq = await tell(filled)
    assert [one.seq for one in await claim_all(filled)] == [seq, seq]


async def test_later_news_waits_for_the_longest_wait_before_it(filled: Storage) -> None:
    for _ in range(2):
        await tell(filled)
    await filled.deliveries.settle(
        [again(one, NOW + one.seq * SECOND) for one in await claim_all(filled)]
    )
    await tell(filled)
    claimed = [await deliver(filled, NOW + seconds * SECOND) for seconds in (0, 11, 12)]
    assert [sorted(one.seq for one in each) for each in claimed] == [[], [1, 1], [2, 2, 3, 3]]


async def test_a_repeat_waits_for_nobody(filled: Storage) -> None:
    await tell(filled)
    await filled.deliveries.settle([again(one) for one in await claim_all(filled)])
    await write(filled, "UPDATE deliveries SET due_at = due_at + 3600000")
    await tell(filled)
    await write(filled, "UPDATE deliveries SET bundle = 2 WHERE update_seq = 2")
    assert [one.seq for one in await claim_all(filled)] == [2, 2]


async def test_a_claim_holds_for_its_lease(filled: Storage) -> None:
    await tell(filled)
    await claim_all(filled)
    assert await claim_all(filled) == []
    assert await claim_all(filled, NOW + LEASE - SECOND) == []
    assert [one.attempts for one in await claim_all(filled, NOW + LEASE)] == [2, 2]


async def test_nothing_due_is_an_empty_claim(filled: Storage) -> None:
    assert await claim(filled) == []
    assert await filled.deliveries.claim(NOW, LEASE, 100, {1, 2, 3}) == []


async def test_claims_at_the_same_time_never_share_a_delivery(
    filled: Storage, database_url: str
) -> None:
    await follow(filled, *(a_chat(n) for n in range(3, 60)))
    for _ in range(2):
        await tell(filled)
    async with open_storage(database_url, trust(), checkpoints=False) as other:
        claims = await asyncio.gather(
            *(claim(each, limit=7) for _ in range(30) for each in (filled, other))
        )
    claimed = Counter(
        (one.destination_id, one.seq)
        for parcels in claims
        for parcel in parcels
        for one in parcel.deliveries
    )
    assert set(claimed.values()) == {1}
    assert len(claimed) == 2 * 59


# Settling


@pytest.mark.parametrize("state", [state for state in DeliveryState if state != "pending"])
async def test_a_settled_delivery_is_in_its_state_and_not_claimed_again(
    filled: Storage, state: DeliveryState
) -> None:
    seq = await tell(filled)
    (one, _) = await claim_all(filled)
    if state is DeliveryState.HELD:
        await filled.destinations.suspend(one.destination_id, "blocked", NOW)
    await filled.deliveries.settle(
        [Settlement(one, state, NOW + SECOND, message_id="m7", reason="because")]
    )
    assert await state_of(filled, HERE, seq) == state
    assert await states(filled) == {state: 1, "pending": 1}
    assert [left.destination_id for left in await claim_all(filled, NOW + LEASE)] == [2]
    exported = (await filled.destinations.export(HERE))["deliveries"]
    assert [(row["state"], row["reason"], row["settled_at"]) for row in exported] == [
        (state, "because", (NOW + SECOND).isoformat())
    ]
    assert await sql(filled, "SELECT message_id FROM deliveries WHERE message_id IS NOT NULL") == [
        ("m7",)
    ]


async def test_what_is_tried_again_stays_pending_until_then(filled: Storage) -> None:
    await tell(filled)
    for one in await claim_all(filled):
        await filled.deliveries.settle([again(one)])
    assert await states(filled) == {"pending": 2}
    assert await filled.deliveries.next_due() == NOW + 10 * SECOND
    assert {one.attempts for one in await claim_all(filled, NOW + 10 * SECOND)} == {2}


@pytest.mark.parametrize("first", [state for state in DeliveryState if state != "pending"])
async def test_what_is_settled_is_settled(filled: Storage, first: DeliveryState) -> None:
    await tell(filled)
    (one, _) = await claim_all(filled)
    if first is DeliveryState.HELD:
        await filled.destinations.suspend(one.destination_id, "blocked", NOW)
    await filled.deliveries.settle([Settlement(one, first, NOW, reason="first")])
    row = await row_of(filled, one)
    for state in DeliveryState:
        late = Settlement(one, state, NOW + SECOND, due_at=NOW, message_id="late", reason="late")
        await filled.deliveries.settle([late])
    await filled.deliveries.give_back([one], NOW)
    await filled.deliveries.release(NOW)
    await filled.deliveries.shift(dt.timedelta(hours=1))
    assert await row_of(filled, one) == row


async def test_what_is_resumed_before_it_is_held_is_not_held_for_ever(filled: Storage) -> None:
    seq = await tell(filled)
    (one, _) = await claim_all(filled)
    await filled.destinations.suspend(one.destination_id, "blocked", NOW)
    assert await filled.destinations.resume(HERE, NOW)
    held = Settlement(one, DeliveryState.HELD, NOW, due_at=NOW, reason="blocked")
    await filled.deliveries.settle([held])
    assert await state_of(filled, HERE, seq) == "pending"
    assert one.destination_id in [left.destination_id for left in await claim_all(filled, NOW)]


async def test_what_a_wrong_clock_put_years_ahead_is_due_at_the_next_start(filled: Storage) -> None:
    await tell(filled)
    (one, two) = await claim_all(filled)
    ahead, later = NOW + dt.timedelta(days=1500), NOW + dt.timedelta(hours=8)
    await filled.deliveries.settle(
        [
            Settlement(one, DeliveryState.PENDING, NOW, due_at=ahead),
            Settlement(two, DeliveryState.PENDING, NOW, due_at=later),
        ]
    )
    await filled.deliveries.release(NOW)
    assert [left.destination_id for left in await claim_all(filled, NOW)] == [one.destination_id]


async def row_of(storage: Storage, one: Delivery) -> list[Any]:
    return await sql(
        storage,
        f"SELECT * FROM deliveries WHERE destination_id = {one.destination_id} "
        f"AND update_seq = {one.seq}",
    )


async def test_outcomes_are_stored_together_or_not_at_all(filled: Storage) -> None:
    await tell(filled)
    one, two = await claim_all(filled)
    bad = Settlement(two, "no such state", NOW)  # type: ignore[arg-type]
    with pytest.raises(Exception, match="failed"):
        await filled.deliveries.settle([sent(one), bad])
    assert await states(filled) == {"pending": 2}


async def test_what_fails_after_its_chat_unsubscribed_is_not_tried_again(filled: Storage) -> None:
    """Even though others follow the show."""
    seq = await tell(filled)
    claimed = await claim_all(filled)
    await filled.subscriptions.remove(HERE, SHOW)
    await filled.deliveries.settle([again(one) for one in claimed])
    (parcel,) = await claim(filled, NOW + 10 * SECOND)
    assert parcel.destination == THERE
    assert await state_of(filled, HERE, seq) == "expired"


async def test_an_attempt_that_does_not_count_is_as_if_it_had_not_been_made(
    filled: Storage,
) -> None:
    await tell(filled)
    for counted, attempts in ((True, 1), (False, 2), (False, 2), (True, 2), (True, 3)):
        claimed = await claim_all(filled)
        assert [one.attempts for one in claimed] == [attempts, attempts]
        await filled.deliveries.settle(
            [Settlement(one, DeliveryState.PENDING, NOW, due_at=NOW, counted=counted)
             for one in claimed]
        )  # fmt: skip
    assert await states(filled) == {"pending": 2}


# Lanes

ELSEWHERE = Destination(Platform.DISCORD, 1)


@pytest.fixture
async def mixed(filled: Storage) -> Storage:
    """A store with one show that chats on three platforms follow."""
    await follow(filled, ELSEWHERE, Destination(Platform.TERMINAL, 0))
    return filled


async def test_a_claim_for_one_platform_leaves_the_others_alone(mixed: Storage) -> None:
    for _ in range(2):
        await tell(mixed)
    (parcel,) = await mixed.deliveries.claim(NOW, LEASE, 100, platform=Platform.DISCORD)
    assert (parcel.destination, len(parcel.deliveries)) == (ELSEWHERE, 2)
    assert await mixed.deliveries.claim(NOW, LEASE, 100, platform=Platform.DISCORD) == []
    parcels = await mixed.deliveries.claim(NOW, LEASE, 100, platform=Platform.TELEGRAM)
    assert [parcel.destination for parcel in parcels] == [HERE, THERE]
    (left,) = await claim(mixed)
    assert left.destination.platform is Platform.TERMINAL


async def test_what_is_due_elsewhere_takes_no_room_in_a_claim(mixed: Storage) -> None:
    await tell(mixed)
    (one,) = await mixed.deliveries.claim(NOW, LEASE, 1, platform=Platform.DISCORD)
    assert one.destination == ELSEWHERE
    (two,) = await mixed.deliveries.claim(NOW, LEASE, 1, {1}, Platform.TELEGRAM)
    assert two.destination == THERE


async def test_each_platform_has_its_own_waiting_and_next_due(mixed: Storage) -> None:
    await tell(mixed)
    await mixed.deliveries.settle([again(one) for one in await claim_all(mixed)])
    await tell(mixed)
    for parcel in await mixed.deliveries.claim(NOW, LEASE, 100, platform=Platform.DISCORD):
        await mixed.deliveries.settle([sent(one) for one in parcel.deliveries])
    waiting = [await mixed.deliveries.waiting(NOW, 100, platform) for platform in Platform]
    assert dict(zip(Platform, waiting, strict=True)) == {
        Platform.TERMINAL: 1,
        Platform.DISCORD: 0,
        Platform.TELEGRAM: 2,
    }
    assert await mixed.deliveries.waiting(NOW, 1, Platform.TELEGRAM) == 1
    assert await mixed.deliveries.waiting(NOW, 100) == 3
    due = [await mixed.deliveries.next_due(platform) for platform in Platform]
    assert due == [NOW, NOW + 10 * SECOND, NOW]
    assert await mixed.deliveries.next_due() == NOW
    await deliver(mixed)
    assert await mixed.deliveries.next_due() == NOW + 10 * SECOND
    await deliver(mixed, NOW + 10 * SECOND)
    assert [await mixed.deliveries.next_due(platform) for platform in Platform] == [None] * 3


async def test_news_and_corrections_get_the_lane_of_their_platform(mixed: Storage) -> None:
    wrong = an_update("renewed")
    await tell(mixed, wrong)
    await deliver(mixed)
    await tell(mixed, a_retraction(wrong))
    lanes = await sql(
        mixed,
        "SELECT platform, lane, count(*) FROM deliveries JOIN destinations ON id = destination_id "
        "GROUP BY platform, lane ORDER BY platform",
    )
    assert lanes == [("discord", 1, 2), ("telegram", 2, 4), ("terminal", 0, 2)]


async def test_a_claim_finds_what_is_due_by_the_index_and_reads_no_table_through(
    sqlite_url: str,
) -> None:
    async with open_storage(sqlite_url, trust()) as storage:
        await put_shows(storage)
        await follow(storage, *map(a_chat, range(1, 20)), ELSEWHERE)
        await tell(storage)
        ran: list[tuple[str, Any]] = []

        def note(
            _connection: object, _cursor: object, statement: str, given: Any, *_: object
        ) -> None:
            ran.append((statement, given))

        for engine in (storage.database._writer, storage.database._readers):
            event.listen(engine.sync_engine, "before_cursor_execute", note)
        await storage.deliveries.claim(NOW, LEASE, 5, {1}, Platform.TELEGRAM)
        await storage.deliveries.waiting(NOW, 5, Platform.TELEGRAM)
        await storage.deliveries.next_due(Platform.TELEGRAM)
        steps = [step for one in ran[:] for step in await plan_of(storage, *one)]
    by_index = "SEARCH deliveries USING INDEX ix_deliveries_due (lane=?"
    assert sum(step.startswith(by_index) for step in steps) == 3
    repeats = "SEARCH deliveries USING INDEX ix_deliveries_repeats (lane=? AND due_at<?)"
    assert steps.count(repeats) == 1
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps
    extras = "SEARCH subscriptions USING INDEX ix_subscriptions_extras (destination_id=?)"
    assert extras in steps
    tables = ("deliveries", "destinations", "subscriptions", "updates")
    assert [step for step in steps if step.startswith(tuple(f"SCAN {one}" for one in tables))] == []


async def plan_of(storage: Storage, statement: str, given: Any) -> list[str]:
    """How SQLite would run a statement."""

    async def explain(connection: AsyncConnection) -> list[str]:
        steps = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(given))
        return [str(step.detail) for step in steps]

    return await storage.database.read(explain)


# What alerts do besides arriving


async def test_a_claim_tells_what_the_alerts_of_each_show_do_besides(filled: Storage) -> None:
    dark = ShowId("dark")
    await put_shows(filled, a_show(), a_show("dark"))
    await follow(filled, HERE, show=dark)
    await filled.subscriptions.put(Subscription(HERE, SHOW, role_id=2**62))
    await filled.subscriptions.put(Subscription(ELSEWHERE, SHOW, publish=True))
    await tell(filled)
    await tell(filled, a_trailer(show="dark"))
    extras = {parcel.destination: parcel.extras for parcel in await claim(filled)}
    assert extras == {
        HERE: {SHOW: Extras(2**62)},
        THERE: {},
        ELSEWHERE: {SHOW: Extras(publish=True)},
    }


# What was one message, and may have arrived


async def bundles(storage: Storage) -> list[tuple[int, int | None]]:
    """The updates that are due to the first chat, in order, each with its bundle."""
    parcel = next(one for one in await claim(storage) if one.destination == HERE)
    return [(one.seq, one.bundle) for one in parcel.deliveries]


async def three_claimed(storage: Storage) -> list[Delivery]:
    """The deliveries of three updates to the first chat, claimed."""
    for _ in range(3):
        await tell(storage)
    return [one for one in await claim_all(storage) if one.destination_id == 1]


async def three_aboard(storage: Storage) -> list[Delivery]:
    """The same, and those of the other chats, about to be sent."""
    for _ in range(3):
        await tell(storage)
    return [
        one for one in await board(storage, await claim_all(storage)) if one.destination_id == 1
    ]


async def test_what_was_one_message_is_claimed_as_one_for_as_long_as_it_waits(
    filled: Storage,
) -> None:
    one, two, three = await three_claimed(filled)
    await filled.deliveries.settle([bundled(one, one), bundled(three, one), due_now(two)])
    for _ in range(2):
        assert await bundles(filled) == [(1, 1), (3, 1), (2, None)]
        # However the next tries end: the first message is the one that may have arrived.
        await filled.deliveries.settle([bundled(three, three), due_now(one), due_now(two)])


def bundled(one: Delivery, first: Delivery) -> Settlement:
    return replace(due_now(one), maybe_sent=True, bundle=first.seq)


def due_now(one: Delivery) -> Settlement:
    return Settlement(one, DeliveryState.PENDING, NOW, due_at=NOW)


async def test_what_a_crash_left_in_flight_is_a_bundle_for_each_chat(filled: Storage) -> None:
    one, *_ = await three_aboard(filled)
    await filled.deliveries.settle([sent(one)])
    await filled.deliveries.release(NOW)
    await tell(filled)
    assert await bundles(filled) == [(2, 2), (3, 2), (4, None)]
    ((first,),) = await sql(
        filled, "SELECT DISTINCT bundle FROM deliveries WHERE destination_id = 2 AND update_seq < 4"
    )
    assert first == 1


async def test_a_crash_leaves_a_bundle_as_it_was(filled: Storage) -> None:
    one, two, three = await three_claimed(filled)
    await filled.deliveries.settle([bundled(one, one), bundled(two, one), due_now(three)])
    for _ in range(2):
        await board(filled, await claim_all(filled))
        await filled.deliveries.release(NOW)
    assert await bundles(filled) == [(1, 1), (2, 1), (3, 3)]


async def test_what_was_claimed_and_never_aboard_is_as_if_it_had_never_been_claimed(
    filled: Storage,
) -> None:
    wrong = an_update("renewed")
    await tell(filled, wrong)
    claimed = await claim_all(filled)
    assert await filled.deliveries.release(NOW) == 2
    assert await filled.deliveries.reached(wrong.id) == 0
    assert await claim_all(filled) == claimed
    assert [(one.attempts, one.bundle, one.deaths) for one in claimed] == [(1, None, 0)] * 2


async def test_of_what_a_crash_left_only_what_was_aboard_may_have_been_sent(
    filled: Storage,
) -> None:
    wrong = an_update("renewed")
    await tell(filled, wrong)
    aboard, not_aboard = await claim_all(filled)
    await board(filled, [aboard])
    assert await filled.deliveries.release(NOW) == 2
    assert await filled.deliveries.reached(wrong.id) == 1
    tried, untried = await claim_all(filled)
    assert tried == replace(aboard, attempts=2, bundle=aboard.seq, deaths=1)
    assert untried == not_aboard


async def test_what_is_aboard_is_on_its_way_as_before(filled: Storage) -> None:
    await tell(filled)
    claimed = await claim_all(filled)
    assert (before := await sql(filled, KEPT))
    await board(filled, claimed)
    assert await sql(filled, KEPT) == before
    assert await claim_all(filled) == []
    assert await sql(filled, "SELECT DISTINCT deaths FROM deliveries") == [(1,)]


KEPT = (
    "SELECT state, due_at, attempts, flight, message_id, reason, settled_at, bundle, trail "
    "FROM deliveries ORDER BY destination_id"
)


async def die_once(storage: Storage) -> list[Delivery]:
    """Everything that is due is put aboard, and the process dies."""
    claimed = await board(storage, await claim_all(storage))
    await storage.deliveries.release(NOW)
    return claimed


async def test_what_the_process_dies_of_again_and_again_is_sent_no_more(filled: Storage) -> None:
    seq = await tell(filled)
    for death in range(MOST_DEATHS):
        assert await state_of(filled, HERE, seq) == "pending"
        assert [one.deaths for one in await die_once(filled)] == [death, death]
    assert await claim_all(filled, NOW + LEASE) == []
    assert await states(filled) == {"uncertain": 2}
    quarantined = await filled.deliveries.failures(10)
    assert [(one.reason, one.at) for one in quarantined] == [(QUARANTINED, NOW)] * 2
    later = await tell(filled)
    assert [one.seq for one in await claim_all(filled)] == [later, later]


async def test_who_may_have_got_what_is_quarantined_gets_its_correction(filled: Storage) -> None:
    wrong = an_update("renewed")
    await tell(filled, wrong)
    for _ in range(MOST_DEATHS):
        await die_once(filled)
    retraction = await tell(filled, a_retraction(wrong))
    assert [one.seq for one in await claim_all(filled)] == [retraction, retraction]


@pytest.mark.parametrize("maybe", [True, False])
async def test_an_outcome_shows_that_the_process_did_not_die_of_it(
    filled: Storage, maybe: bool
) -> None:
    await tell(filled)
    for _ in range(MOST_DEATHS - 1):
        await die_once(filled)
    claimed = await board(filled, await claim_all(filled))
    await filled.deliveries.settle([replace(due_now(one), maybe_sent=maybe) for one in claimed])
    assert [one.deaths for one in await die_once(filled)] == [0, 0]
    assert await states(filled) == {"pending": 2}


async def test_only_what_was_aboard_too_often_is_quarantined(filled: Storage) -> None:
    await tell(filled)
    for _ in range(MOST_DEATHS):
        one, _ = await claim_all(filled)
        await board(filled, [one])
        await filled.deliveries.release(NOW)
    (left,) = await claim_all(filled)
    assert (left.destination_id, left.attempts, left.deaths) == (2, 1, 0)
    assert await states(filled) == {"pending": 1, "uncertain": 1}


# What came of the attempts


async def trails(storage: Storage) -> list[str | None]:
    return [row[0] for row in await sql(storage, "SELECT trail FROM deliveries ORDER BY 1")]


async def test_what_came_of_each_attempt_is_noted_a_line_each(filled: Storage) -> None:
    await tell(filled)
    for words in ("first: no answer", None, "third: busy – später"):
        done = [replace(due_now(one), told=words) for one in await claim_all(filled)]
        await filled.deliveries.settle(done)
    assert await trails(filled) == ["first: no answer\nthird: busy – später"] * 2
    claimed = await board(filled, await claim_all(filled))
    await filled.deliveries.settle([sent(one) for one in claimed])
    assert await trails(filled) == ["first: no answer\nthird: busy – später"] * 2


async def test_of_what_arrives_at_once_nothing_is_noted(filled: Storage) -> None:
    await tell(filled)
    await deliver(filled)
    assert await trails(filled) == [None, None]


async def test_a_trail_does_not_grow_for_ever(filled: Storage) -> None:
    await tell(filled)
    for _ in range(5):
        done = [replace(due_now(one), told="x" * 999) for one in await claim_all(filled)]
        await filled.deliveries.settle(done)
    (trail, _) = await trails(filled)
    assert trail == "\n".join(["x" * 999] * 5)[:LONGEST_TRAIL]


# What is news no more

DAY = dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("update", "days"),
    [
        (a_trailer(), 2),
        (an_update("cancelled"), 7),
        (an_update("renewed"), 7),
        (an_update("dated"), 7),
    ],
)
async def test_what_is_held_for_too_long_for_its_kind_expires(
    filled: Storage, update: Update, days: int
) -> None:
    await filled.destinations.suspend(1, "kicked", NOW)
    seq = await tell(filled, update)
    end = NOW + days * DAY
    assert await filled.deliveries.expire(end) == 0
    assert await filled.deliveries.expire(end + SECOND) == 1
    assert await filled.deliveries.expire(end + SECOND) == 0
    assert await states(filled) == {"expired": 1, "pending": 1}
    ((reason, at),) = await sql(
        filled, "SELECT reason, settled_at FROM deliveries WHERE state = 'expired'"
    )
    assert (reason, at) == (TOO_LATE, milliseconds(end + SECOND))
    await filled.destinations.resume(HERE, end)
    assert [(one.destination_id, one.seq) for one in await claim_all(filled, end)] == [(2, seq)]


async def test_what_waits_for_its_time_does_not_expire_there(filled: Storage) -> None:
    await tell(filled)
    await filled.deliveries.settle([again(one) for one in await claim_all(filled)])
    assert await filled.deliveries.expire(NOW + 30 * DAY) == 0
    assert await states(filled) == {"pending": 2}


async def test_those_that_expire_are_ended_a_few_at_a_time(filled: Storage) -> None:
    for chat in (1, 2):
        await filled.destinations.suspend(chat, "kicked", NOW)
    for _ in range(2):
        await tell(filled)
    later = NOW + 3 * DAY
    assert [await filled.deliveries.expire(later, 3) for _ in range(3)] == [3, 1, 0]
    assert await states(filled) == {"expired": 4}


# Which message told of what


async def test_a_message_tells_of_all_that_was_sent_with_it(filled: Storage) -> None:
    logged = [a_trailer() for _ in range(4)]
    for update in logged:
        await tell(filled, update)
    one, two, three, four = [d for d in await claim_all(filled) if d.destination_id == 1]
    m2 = replace(sent(two), message_id="m2")
    await filled.deliveries.settle([sent(three), m2, sent(one), again(four)])
    message_of = filled.deliveries.message_of
    found = [await message_of(1, update.id) for update in logged]
    assert found == [("m1", [1, 3]), ("m2", [2]), ("m1", [1, 3]), None]
    # The same id elsewhere is another message.
    assert await message_of(2, logged[0].id) is None
    assert await message_of(1, a_trailer().id) is None


# A repeat comes before news

CHATS, CLAIM = 600, 50


@pytest.fixture
async def crowded(storage: Storage) -> Storage:
    """A store with an update that is due to many chats."""
    await put_shows(storage)
    await write(
        storage,
        *(f"INSERT INTO destinations (platform, chat_id) VALUES ('telegram', {chat})"
          for chat in range(1, CHATS + 1)),
        "INSERT INTO subscriptions (show_id, destination_id, kinds, since_seq, lane) "
        f"SELECT '{SHOW}', id, 15, 0, 2 FROM destinations",
    )  # fmt: skip
    await tell(storage)
    return storage


async def claim_some(
    storage: Storage, now: dt.datetime = NOW, limit: int = CLAIM, busy: Collection[int] = ()
) -> list[Delivery]:
    parcels = await storage.deliveries.claim(now, LEASE, limit, busy, Platform.TELEGRAM)
    return [one for parcel in parcels for one in parcel.deliveries]


async def test_what_may_have_arrived_is_repeated_as_soon_as_it_is_due_before_any_news(
    crowded: Storage,
) -> None:
    unanswered, *others = await claim_some(crowded)
    error = AskAgain("no answer")
    asked = settlement(unanswered, error, None, NOW, 0.5, unanswered.seq)
    await crowded.deliveries.settle([asked, *map(sent, others)])
    assert asked.due_at is not None
    early = await claim_some(crowded, asked.due_at - dt.timedelta(milliseconds=1))
    assert unanswered.destination_id not in [one.destination_id for one in early]
    claimed = await claim_some(crowded, asked.due_at)
    assert unanswered.destination_id in [one.destination_id for one in claimed]
    assert len(claimed) == CLAIM
    assert not {one.destination_id for one in claimed} & {one.destination_id for one in early}


async def test_what_a_crash_left_in_flight_is_repeated_before_any_news(crowded: Storage) -> None:
    lost = await board(crowded, await claim_some(crowded, limit=CLAIM + 10))
    assert await crowded.deliveries.release(NOW + SECOND) == CLAIM + 10
    first, second = [await claim_some(crowded, NOW + SECOND) for _ in range(2)]
    assert [len(first), len(second)] == [CLAIM, CLAIM]
    repeated = [one.destination_id for one in (*first, *second) if one.bundle]
    assert sorted(repeated) == [one.destination_id for one in lost]
    assert [one.bundle is None for one in second].count(True) == CLAIM - 10


async def test_repeats_of_many_updates_leave_no_room_for_news_while_more_are_due(
    crowded: Storage,
) -> None:
    await tell(crowded)
    lost = await board(crowded, await claim_some(crowded) + await claim_some(crowded))
    assert len({one.destination_id for one in lost}) == len(lost) / 2 == CLAIM
    await crowded.deliveries.release(NOW + SECOND)
    claimed = [await claim_some(crowded, NOW + SECOND) for _ in range(3)]
    assert [all(one.bundle for one in each) for each in claimed] == [True, True, False]


@pytest.mark.parametrize("blocked", [CLAIM, 4 * CLAIM, 9 * CLAIM])
async def test_chats_where_later_news_waits_do_not_block_the_others(
    crowded: Storage, blocked: int
) -> None:
    """Even where more of them than are claimed at a time are at the head of the queue."""
    waiting = await claim_some(crowded, limit=blocked)
    assert len(waiting) == blocked
    await crowded.deliveries.settle([again(one) for one in waiting])
    await crowded.deliveries.settle([sent(one) for one in await claim_some(crowded, limit=CHATS)])
    await tell(crowded)
    # Where they are many, a claim that finds nobody else has passed them: the next one goes on.
    claimed = await claim_some(crowded) or await claim_some(crowded)
    assert len(claimed) == CLAIM
    others = {one.destination_id for one in waiting}
    assert not others & {one.destination_id for one in claimed}
    busy = {one.destination_id for one in claimed}
    together = await claim_some(crowded, NOW + 10 * SECOND, 10 * CHATS, busy)
    numbers = Counter(one.destination_id for one in together if one.destination_id in others)
    assert numbers == dict.fromkeys(others, 2)


async def test_a_repeat_to_a_busy_chat_or_on_another_platform_takes_no_room(
    crowded: Storage,
) -> None:
    lost = await board(crowded, await claim_some(crowded))
    await crowded.deliveries.release(NOW + SECOND)
    busy = {one.destination_id for one in lost}
    news = await claim_some(crowded, NOW + SECOND, busy=busy)
    assert len(news) == CLAIM
    assert not busy & {one.destination_id for one in news}
    elsewhere = await crowded.deliveries.claim(
        NOW + SECOND, LEASE, CLAIM, platform=Platform.DISCORD
    )
    assert elsewhere == []


# After a crash, and at a stop


async def test_what_a_crash_left_in_flight_is_due_at_once_and_may_have_been_sent(
    filled: Storage,
) -> None:
    wrong = an_update("renewed")
    await tell(filled, wrong)
    claimed = await board(filled, await claim_all(filled))
    await filled.deliveries.settle([sent(claimed[0])])
    assert await filled.deliveries.release(NOW + SECOND) == 1
    assert await filled.deliveries.release(NOW + SECOND) == 0
    assert await filled.deliveries.reached(wrong.id) == 2
    (again_due,) = await claim_all(filled, NOW + SECOND)
    assert (again_due.destination_id, again_due.attempts) == (2, 2)


async def test_a_retry_that_crashes_is_due_at_once_too(filled: Storage) -> None:
    await tell(filled)
    await filled.deliveries.settle([again(one, maybe=True) for one in await claim_all(filled)])
    await board(filled, await claim_all(filled, NOW + 10 * SECOND))
    assert await filled.deliveries.release(NOW + 11 * SECOND) == 2
    assert len(await claim_all(filled, NOW + 11 * SECOND)) == 2


async def test_releasing_leaves_what_waits_for_its_time(filled: Storage) -> None:
    await tell(filled)
    await filled.deliveries.settle([again(one, maybe=True) for one in await claim_all(filled)])
    assert await filled.deliveries.release(NOW) == 0
    assert await claim_all(filled) == []


async def test_what_is_given_back_is_as_if_it_had_never_been_claimed(filled: Storage) -> None:
    wrong = an_update("renewed")
    await tell(filled, wrong)
    claimed = await claim_all(filled)
    await filled.deliveries.give_back(claimed, NOW)
    await filled.deliveries.give_back([], NOW)
    assert await filled.deliveries.reached(wrong.id) == 0
    assert await claim_all(filled) == claimed


async def test_a_clock_that_jumps_leaves_every_wait_as_long_as_it_was(filled: Storage) -> None:
    await tell(filled)
    one, two = await claim_all(filled)
    await filled.deliveries.settle([again(one), sent(two)])
    hour = dt.timedelta(hours=1)
    for jump in (-hour, hour, hour, dt.timedelta(milliseconds=-1)):
        due = await filled.deliveries.next_due()
        assert due is not None
        assert await filled.deliveries.shift(jump) == 1
        assert await filled.deliveries.next_due() == due + jump


# Looking


async def test_the_next_due_is_the_first_that_is_pending(filled: Storage) -> None:
    assert await filled.deliveries.next_due() is None
    await tell(filled)
    one, two = await claim_all(filled)
    await filled.deliveries.settle([again(one, NOW + SECOND), again(two, NOW)])
    assert await filled.deliveries.next_due() == NOW + 10 * SECOND
    await filled.deliveries.settle([sent(two)])
    assert await filled.deliveries.next_due() == NOW + 11 * SECOND
    await filled.deliveries.settle([sent(one)])
    assert await filled.deliveries.next_due() is None


async def test_those_waiting_are_counted_up_to_a_number(filled: Storage) -> None:
    for _ in range(2):
        await tell(filled)
    assert [await filled.deliveries.waiting(NOW, most) for most in (1, 3, 4, 100)] == [1, 3, 4, 4]
    await deliver(filled)
    assert await filled.deliveries.waiting(NOW, 100) == 0


async def test_the_last_failures_come_first_with_their_reasons(filled: Storage) -> None:
    first, second = a_trailer(), a_trailer()
    await tell(filled, first)
    await tell(filled, second)
    one, two, three, four = await claim_all(filled)
    outcomes = [
        Settlement(one, DeliveryState.FAILED, NOW, reason="bad request"),
        Settlement(two, DeliveryState.UNCERTAIN, NOW + SECOND, reason="no answer"),
        Settlement(three, DeliveryState.EXPIRED, NOW + 2 * SECOND, reason="old"),
        sent(four),
    ]
    await filled.deliveries.settle(outcomes)
    uncertain, failed = await filled.deliveries.failures(10)
    assert (uncertain.state, uncertain.reason) == ("uncertain", "no answer")
    assert (uncertain.at, uncertain.destination) == (NOW + SECOND, HERE)
    assert (failed.update_id, failed.state, failed.reason) == (first.id, "failed", "bad request")
    assert await filled.deliveries.failures(1) == [uncertain]


async def test_reached_counts_those_who_got_it_or_may_have(filled: Storage) -> None:
    update = a_trailer()
    await tell(filled, update)
    assert await filled.deliveries.reached(update.id) == 0
    one, two = await claim_all(filled)
    assert await filled.deliveries.reached(update.id) == 2
    await filled.deliveries.settle([sent(one), again(two)])
    assert await filled.deliveries.reached(update.id) == 1
    assert await filled.deliveries.reached(a_trailer().id) == 0


async def test_an_update_has_arrived_where_it_was_sent_or_may_have_been(filled: Storage) -> None:
    update = an_update("renewed")
    await tell(filled, update)
    one, two = await claim_all(filled)
    ids = (one.destination_id, two.destination_id)
    assert [await filled.deliveries.arrived(where, update.id) for where in ids] == [False, False]
    await filled.deliveries.settle([again(one), again(two, maybe=True)])
    assert [await filled.deliveries.arrived(where, update.id) for where in ids] == [False, True]
    one, two = await claim_all(filled, NOW + 10 * SECOND)
    assert [await filled.deliveries.arrived(where, update.id) for where in ids] == [False, True]
    failed = Settlement(two, DeliveryState.FAILED, NOW)
    await filled.deliveries.settle([sent(one), failed])
    assert [await filled.deliveries.arrived(where, update.id) for where in ids] == [True, True]
    assert not await filled.deliveries.arrived(ids[0], a_trailer().id)


# Any sequence of it all


class Outbox(RuleBasedStateMachine):
    """People come, go and move, news comes, sends succeed and fail, the bot crashes."""

    chats = st.integers(1, 4)
    kinds = st.frozensets(st.sampled_from([UpdateKind.RENEWED, UpdateKind.TRAILER]), min_size=1)

    outcomes = st.lists(
        st.none() | st.tuples(st.sampled_from(DeliveryState), st.booleans()), max_size=6
    )
    """How attempts end, and whether they may have arrived; `None` was not tried."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = a_folder()
        self.url = f"sqlite:///{self.folder.name}/store.db"
        Path(self.folder.name, "store.db").write_bytes(blank())
        self.now = NOW
        self.became: dict[int, int] = {}
        """Chats that go on under another id, and which."""
        self.follows: dict[Destination, Kinds] = {}
        self.suspended: set[Destination] = set()
        self.log: dict[Seq, Update] = {}
        self.audience: dict[Seq, set[Destination]] = {}
        """Who followed when it was published: nobody else may get it."""
        self.owed: dict[Seq, set[Destination]] = {}
        """Who must get it, since nothing came between."""
        self.flying: list[tuple[Destination, Delivery]] = []
        self.aboard: set[tuple[int, Seq]] = set()
        """Of those, what is about to be sent: after a crash nobody knows whether it was."""
        self.claimed: set[tuple[Destination, Seq]] = set()
        self.ended: dict[tuple[Destination, Seq], DeliveryState] = {}
        self.open()
        self.do(put_shows(self.storage))
        for number in (1, 2, 3):
            self.subscribe(number, frozenset({UpdateKind.RENEWED, UpdateKind.TRAILER}))
        self.publish(UpdateKind.TRAILER, at_once=True)
        self.take(6)

    def open(self) -> None:
        self.stack = AsyncExitStack()
        opening = self.stack.enter_async_context(open_storage(self.url, trust()))
        self.storage: Storage = self.do(opening)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        try:
            self.drain()
        finally:
            self.do(self.stack.aclose())
            self.runner.close()
            self.folder.cleanup()

    def drain(self) -> None:
        """When everybody is back and everything is sent, nobody lacks what they are owed."""
        self.crash(times=1, aboard=False)
        self.poll()
        self.do(expand(self.storage, 2))
        for chat in list(self.suspended):
            self.resume(chat.chat_id)
        self.now += dt.timedelta(days=1)
        while self.take(100):
            self.do(self.storage.deliveries.settle([sent(one) for _, one in self.flying]))
            self.flying.clear()
        assert {"pending", "held"}.isdisjoint(self.do(states(self.storage)))
        told = self.rows()
        assert {len(found) for found in told.values()} <= {1}
        for seq, chats in self.owed.items():
            assert {(chat, seq) for chat in chats} <= told.keys()

    def rows(self) -> dict[tuple[Destination, Seq], list[str]]:
        """The states of every delivery: one, or two while something is on its way to two ids."""
        found = self.do(
            sql(
                self.storage,
                "SELECT there.chat_id, update_seq, state FROM deliveries "
                "JOIN destinations AS here ON here.id = destination_id "
                "JOIN destinations AS there ON there.id = coalesce(here.moved_to, here.id)",
            )
        )
        told: dict[tuple[Destination, Seq], list[str]] = {}
        for chat, seq, state in found:
            told.setdefault((a_chat(chat), Seq(seq)), []).append(state)
        return told

    def id_of(self, chat: Destination) -> int | None:
        found = f"SELECT id FROM destinations WHERE chat_id = {chat.chat_id}"
        return next((where for (where,) in self.do(sql(self.storage, found))), None)

    def now_of(self, number: int) -> Destination:
        """Where a chat is by now."""
        while number in self.became:
            number = self.became[number]
        return a_chat(number)

    @rule(number=chats, what=st.sampled_from(["unsubscribe", "suspend", "resume", "forget"]))
    def leave_or_come_back(self, number: int, what: str) -> None:
        {
            "unsubscribe": self.unsubscribe,
            "suspend": self.suspend,
            "resume": self.resume,
            "forget": self.forget,
        }[what](number)

    @rule(number=chats, kinds=kinds)
    def subscribe(self, number: int, kinds: Kinds) -> None:
        chat = self.now_of(number)
        before = self.follows.get(chat)
        self.do(self.storage.subscriptions.put(Subscription(chat, SHOW, kinds)))
        if before is not None and before - kinds:
            self.owes_nothing_more(chat)
        self.follows[chat] = kinds

    def unsubscribe(self, number: int) -> None:
        chat = self.now_of(number)
        removed = self.do(self.storage.subscriptions.remove(chat, SHOW))
        assert removed == (chat in self.follows)
        self.follows.pop(chat, None)
        self.owes_nothing_more(chat)

    def owes_nothing_more(self, chat: Destination) -> None:
        for chats in self.owed.values():
            chats.discard(chat)

    @rule(kind=st.sampled_from([UpdateKind.RENEWED, UpdateKind.TRAILER]), at_once=st.booleans())
    def publish(self, kind: UpdateKind, at_once: bool) -> None:
        trailer = kind is UpdateKind.TRAILER
        update = a_trailer() if trailer else an_update(kind, season=len(self.log) + 2)
        seq = self.do(publish(self.storage, update))
        self.log[seq] = update
        self.audience[seq] = set(self.follows)
        followers = {chat for chat, kinds in self.follows.items() if kind in kinds}
        self.owed[seq] = followers
        if at_once:
            self.expand(10, polled=True)

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def retract(self, data: st.DataObject) -> None:
        gone = {update.retracts for update in self.log.values()}
        left = [s for s, one in self.log.items() if not one.retracts and one.id not in gone]
        if not left:
            return
        target = data.draw(st.sampled_from(left))
        retraction = a_retraction(self.log[target])
        seq = self.do(publish(self.storage, retraction))
        self.log[seq] = retraction
        self.owed[target] = set()
        sent_to = {
            chat for (chat, of), state in self.ended.items() if of == target and state == "sent"
        }
        self.owed[seq] = sent_to
        self.audience[seq] = {a_chat(number) for number in range(1, 6)}

    def poll(self) -> None:
        self.do(poll(self.storage, self.now))

    @rule(chunk=st.integers(1, 3), polled=st.booleans())
    def expand(self, chunk: int, polled: bool) -> None:
        if polled:
            self.poll()
        for seq in self.do(self.storage.fanouts.open_jobs()):
            assert self.do(self.storage.fanouts.expand(seq, chunk)) <= chunk

    @rule(
        limit=st.integers(1, 6),
        seconds=st.integers(0, 200),
        aboard=st.booleans(),
        outcomes=outcomes,
    )
    def serve(self, limit: int, seconds: int, aboard: bool, outcomes: list[Outcome]) -> None:
        """Claim, and then some of what is on its way lands; the other waits for a later time."""
        self.now += seconds * SECOND
        self.take(limit)
        if aboard:
            self.board()
        self.land_some(outcomes)

    def board(self) -> None:
        """All that is claimed is about to be sent."""
        new = [one for _, one in self.flying if (one.destination_id, one.seq) not in self.aboard]
        self.do(self.storage.deliveries.settle([], new))
        self.aboard |= {(one.destination_id, one.seq) for one in new}

    def land_some(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes[: len(self.flying)]:
            chat, one = self.flying.pop(len(outcomes) % len(self.flying))
            tried = (one.destination_id, one.seq) in self.aboard
            self.aboard.discard((one.destination_id, one.seq))
            if outcome is None and tried:
                self.land(chat, one, DeliveryState.PENDING, maybe=True)
            elif outcome is None:
                self.do(self.storage.deliveries.give_back([one], self.now))
            else:
                self.land(chat, one, *outcome)

    def take(self, limit: int) -> int:
        """Claim, as the bot does; returns how many deliveries."""
        busy = {one.destination_id for _, one in self.flying}
        taken = [
            (parcel.destination, one)
            for parcel in self.do(self.storage.deliveries.claim(self.now, LEASE, limit, busy))
            for one in parcel.deliveries
        ]
        keys = [(chat, one.seq) for chat, one in taken]
        assert len(keys) == len(set(keys))
        assert self.ended.keys().isdisjoint(keys), "what was settled is sent again"
        assert self.in_flight().isdisjoint(keys), "what is on its way is sent again"
        assert all(one.deaths < MOST_DEATHS for _, one in taken)
        self.check_order([one for _, one in taken])
        for chat, seq in keys:
            assert chat in self.follows or self.log[seq].retracts, "it does not follow any more"
        self.claimed |= set(keys)
        self.flying += taken
        return len(taken)

    def check_order(self, taken: list[Delivery]) -> None:
        """Nothing that was published earlier is left waiting, but for repeats."""
        pending = "SELECT destination_id, update_seq FROM deliveries WHERE state = 'pending'"
        left = set(self.do(sql(self.storage, pending)))
        left -= {(one.destination_id, one.seq) for one in taken}
        for one in taken:
            earlier = {seq for where, seq in left if where == one.destination_id and seq < one.seq}
            assert one.bundle or not earlier, "it overtook"

    def in_flight(self) -> set[tuple[Destination, Seq]]:
        return {(chat, one.seq) for chat, one in self.flying}

    def land(self, chat: Destination, one: Delivery, state: DeliveryState, maybe: bool) -> None:
        done = Settlement(one, state, self.now, maybe_sent=maybe)
        if state is DeliveryState.PENDING:
            done = again(one, self.now, maybe=maybe)
        self.do(self.storage.deliveries.settle([done]))
        key, told = (chat, one.seq), self.rows()[chat, one.seq]
        if state in REACHED:
            if self.ended.get(key) is not DeliveryState.SENT:  # a twin that was sent is kept
                self.ended[key] = state
            assert self.ended[key] in told
        elif key in self.ended or key in self.in_flight() or one.destination_id != self.id_of(chat):
            assert told  # it has a twin, or had one: their laws are in `test_moves.py`
        elif state is DeliveryState.HELD and chat not in self.suspended:
            assert told == ["pending"]
        else:
            assert told == [state]
            if state not in (DeliveryState.PENDING, DeliveryState.HELD):
                self.ended[key] = state

    @precondition(lambda self: self.flying)
    @rule(times=st.integers(1, MOST_DEATHS), aboard=st.booleans())
    def crash(self, times: int, aboard: bool) -> None:
        """What was in flight is taken up by the next process; it may die of it as well."""
        for _ in range(times):
            if aboard:
                self.board()
            self.do(self.stack.aclose())
            self.open()
            assert self.do(self.storage.deliveries.release(self.now)) == len(self.flying)
            for chat, one in self.flying:
                deaths = one.deaths + ((one.destination_id, one.seq) in self.aboard)
                if deaths == MOST_DEATHS and self.ended.get((chat, one.seq)) is None:
                    self.ended[chat, one.seq] = DeliveryState.UNCERTAIN
            self.flying.clear()
            self.aboard.clear()
            if aboard:
                self.take(100)

    def suspend(self, number: int) -> None:
        chat = self.now_of(number)
        where = self.id_of(chat)
        if where is not None:
            self.do(self.storage.destinations.suspend(where, "kicked", self.now))
            self.suspended.add(chat)

    def resume(self, number: int) -> None:
        chat = self.now_of(number)
        resumed = self.do(self.storage.destinations.resume(chat, self.now))
        assert resumed == (chat in self.suspended)
        self.suspended.discard(chat)

    @rule(number=chats, to=st.integers(1, 5), outcomes=outcomes)
    def move(self, number: int, to: int, outcomes: list[Outcome]) -> None:
        """A chat goes on under another id: a new one, or that of another chat."""
        old, new = self.now_of(number), a_chat(to)
        if to in self.became or old == new:
            return
        joins = self.id_of(old) is not None and self.id_of(new) is not None
        self.do(self.storage.destinations.move(old.platform, old.chat_id, to, self.now))
        self.became[old.chat_id] = to
        if old in self.follows:
            self.follows[new] = self.follows.pop(old) | self.follows.get(new, frozenset())
        self.suspended.discard(old)
        for chats in (*self.owed.values(), *self.audience.values()):
            if old in chats:
                chats.remove(old)
                chats.add(new)
        self.flying = [(new if chat == old else chat, one) for chat, one in self.flying]
        self.claimed = {(new if chat == old else chat, seq) for chat, seq in self.claimed}
        ended, self.ended = self.ended, {}
        for (chat, seq), state in ended.items():
            key = (new if chat == old else chat), seq
            # What ended otherwise may wait for another attempt: its twin has one to go.
            stays = state in REACHED or not joins or chat not in (old, new)
            if stays and self.ended.get(key) is not DeliveryState.SENT:
                self.ended[key] = state
        self.land_some(outcomes)

    def forget(self, number: int) -> None:
        chat = self.now_of(number)
        self.do(self.storage.destinations.forget(chat))
        self.follows.pop(chat, None)
        self.suspended.discard(chat)
        self.owes_nothing_more(chat)
        self.flying = [(other, one) for other, one in self.flying if other != chat]
        self.claimed = {key for key in self.claimed if key[0] != chat}
        self.ended = {key: state for key, state in self.ended.items() if key[0] != chat}
        for chats in self.audience.values():
            chats.discard(chat)

    @invariant()
    def the_laws_hold(self) -> None:
        self.do(states(self.storage))  # they add up
        told = self.rows()
        for key, state in self.ended.items():
            assert state in told[key], "what is settled has changed"
        twice = {key for key, found in told.items() if len(found) > 1}
        assert twice <= self.in_flight(), "a chat has two deliveries of an update"
        numbers = {update.id: seq for seq, update in self.log.items()}
        for chat, seq in told:
            target = self.log[seq].retracts
            if target:
                assert (chat, numbers[target]) in self.claimed, "it never got the mistake"
            else:
                assert chat in self.audience[seq], "it did not follow then"


TestAnySequence = Outbox.TestCase
TestAnySequence.settings = settings(max_examples=25, stateful_step_count=40)
