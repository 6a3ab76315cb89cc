"""The outbox: claimed once, settled once, and nothing is lost or sent again."""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bot.model import (
    Delivery,
    DeliveryState,
    Destination,
    Kinds,
    Seq,
    Subscription,
    Update,
    UpdateKind,
)
from storage.outbox import Settlement
from storage.store import Storage, open_storage
from storage.trust import trust
from tests.build import NOW, a_retraction, an_update
from tests.storage.builders import (
    LEASE,
    SECOND,
    SHOW,
    a_chat,
    a_folder,
    a_trailer,
    again,
    blank,
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
)

T = TypeVar("T")
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
    (here, _) = await claim(filled)
    await tell(filled)
    (other,) = await filled.deliveries.claim(NOW, LEASE, 100, {here.destination_id})
    assert other.destination == THERE
    assert [parcel.destination for parcel in await claim(filled)] == [HERE]


async def test_what_is_not_due_is_left(filled: Storage) -> None:
    await tell(filled)
    for one in await claim_all(filled):
        await filled.deliveries.settle([again(one)])
    assert await claim_all(filled, NOW + 10 * SECOND - dt.timedelta(milliseconds=1)) == []
    assert len(await claim_all(filled, NOW + 10 * SECOND)) == 2


async def test_what_waits_for_its_time_does_not_go_with_what_is_due(filled: Storage) -> None:
    waiting = await tell(filled)
    await filled.deliveries.settle([again(one) for one in await claim_all(filled)])
    due = await tell(filled)
    assert {one.seq for one in await claim_all(filled)} == {due}
    assert {one.seq for one in await claim_all(filled, NOW + 10 * SECOND)} == {waiting}


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


# After a crash, and at a stop


async def test_what_a_crash_left_in_flight_is_due_at_once_and_may_have_been_sent(
    filled: Storage,
) -> None:
    wrong = an_update("renewed")
    await tell(filled, wrong)
    claimed = await claim_all(filled)
    await filled.deliveries.settle([sent(claimed[0])])
    assert await filled.deliveries.release(NOW + SECOND) == 1
    assert await filled.deliveries.release(NOW + SECOND) == 0
    assert await filled.deliveries.reached(wrong.id) == 2
    (again_due,) = await claim_all(filled, NOW + SECOND)
    assert (again_due.destination_id, again_due.attempts) == (2, 2)


async def test_a_retry_that_crashes_is_due_at_once_too(filled: Storage) -> None:
    await tell(filled)
    await filled.deliveries.settle([again(one, maybe=True) for one in await claim_all(filled)])
    await claim_all(filled, NOW + 10 * SECOND)
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


# Any sequence of it all


class Outbox(RuleBasedStateMachine):
    """People come and go, news comes, sends succeed and fail, the bot crashes."""

    chats = st.integers(1, 4).map(a_chat)
    kinds = st.frozensets(st.sampled_from([UpdateKind.RENEWED, UpdateKind.TRAILER]), min_size=1)

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = a_folder()
        self.url = f"sqlite:///{self.folder.name}/store.db"
        Path(self.folder.name, "store.db").write_bytes(blank())
        self.now = NOW
        self.follows: dict[Destination, Kinds] = {}
        self.log: dict[Seq, Update] = {}
        self.audience: dict[Seq, set[Destination]] = {}
        """Who followed when it was published: nobody else may get it."""
        self.owed: dict[Seq, set[Destination]] = {}
        """Who must get it, since nothing came between."""
        self.flying: list[tuple[Destination, Delivery]] = []
        self.claimed: set[tuple[Destination, Seq]] = set()
        self.ended: dict[tuple[Destination, Seq], DeliveryState] = {}
        self.open()
        self.do(put_shows(self.storage))

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
        self.crash()
        self.poll()
        self.do(expand(self.storage, 2))
        for number in range(1, 5):
            self.suspend(a_chat(number))
            self.resume(a_chat(number))
        delivered = self.do(deliver(self.storage, self.now + dt.timedelta(days=1)))
        assert len(delivered) == len(set(delivered))
        assert {"pending", "held"}.isdisjoint(self.do(states(self.storage)))
        told = self.rows()
        for seq, chats in self.owed.items():
            assert {(chat, seq) for chat in chats} <= told.keys()

    def rows(self) -> dict[tuple[Destination, Seq], str]:
        """The state of every delivery."""
        found = self.do(
            sql(
                self.storage,
                "SELECT chat_id, update_seq, state FROM deliveries "
                "JOIN destinations ON id = destination_id",
            )
        )
        told = {(a_chat(chat), Seq(seq)): state for chat, seq, state in found}
        assert len(told) == len(found)
        return told

    @rule(chat=chats, kinds=kinds)
    def subscribe(self, chat: Destination, kinds: Kinds) -> None:
        before = self.follows.get(chat)
        self.do(self.storage.subscriptions.put(Subscription(chat, SHOW, kinds)))
        if before is not None and before - kinds:
            self.owes_nothing_more(chat)
        self.follows[chat] = kinds

    @rule(chat=chats)
    def unsubscribe(self, chat: Destination) -> None:
        removed = self.do(self.storage.subscriptions.remove(chat, SHOW))
        assert removed == (chat in self.follows)
        self.follows.pop(chat, None)
        self.owes_nothing_more(chat)

    def owes_nothing_more(self, chat: Destination) -> None:
        for chats in self.owed.values():
            chats.discard(chat)

    @rule(kind=st.sampled_from([UpdateKind.RENEWED, UpdateKind.TRAILER]))
    def publish(self, kind: UpdateKind) -> None:
        trailer = kind is UpdateKind.TRAILER
        update = a_trailer() if trailer else an_update(kind, season=len(self.log) + 2)
        seq = self.do(publish(self.storage, update))
        self.log[seq] = update
        self.audience[seq] = set(self.follows)
        self.owed[seq] = {chat for chat, kinds in self.follows.items() if kind in kinds}

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
        self.audience[seq] = {a_chat(number) for number in range(1, 5)}

    @rule()
    def poll(self) -> None:
        self.do(poll(self.storage, self.now))

    @rule(chunk=st.integers(1, 3))
    def expand(self, chunk: int) -> None:
        for seq in self.do(self.storage.fanouts.open_jobs()):
            assert self.do(self.storage.fanouts.expand(seq, chunk)) <= chunk

    @rule(limit=st.integers(1, 6))
    def claim(self, limit: int) -> None:
        busy = {one.destination_id for _, one in self.flying}
        for parcel in self.do(self.storage.deliveries.claim(self.now, LEASE, limit, busy)):
            seqs = [one.seq for one in parcel.deliveries]
            assert seqs == sorted(set(seqs))
            for one in parcel.deliveries:
                key = parcel.destination, one.seq
                assert key not in self.ended, "what was settled is sent again"
                self.claimed.add(key)
                self.flying.append((parcel.destination, one))

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), state=st.sampled_from(DeliveryState), maybe=st.booleans())
    def settle(self, data: st.DataObject, state: DeliveryState, maybe: bool) -> None:
        chat, one = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        done = Settlement(one, state, self.now, maybe_sent=maybe)
        if state is DeliveryState.PENDING:
            done = again(one, self.now, maybe=maybe)
        self.do(self.storage.deliveries.settle([done]))
        assert self.rows()[chat, one.seq] == state
        if state not in (DeliveryState.PENDING, DeliveryState.HELD):
            self.ended[chat, one.seq] = state

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        _, one = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        self.do(self.storage.deliveries.give_back([one], self.now))

    @rule()
    def crash(self) -> None:
        """What was in flight is taken up by the next process."""
        self.do(self.stack.aclose())
        self.open()
        assert self.do(self.storage.deliveries.release(self.now)) == len(self.flying)
        self.flying.clear()

    @rule(chat=chats)
    def suspend(self, chat: Destination) -> None:
        found = self.do(
            sql(self.storage, f"SELECT id FROM destinations WHERE chat_id = {chat.chat_id}")
        )
        for (where,) in found:
            self.do(self.storage.destinations.suspend(where, "kicked", self.now))
            for seq, chats in self.owed.items():
                if not self.log[seq].retracts:
                    chats.discard(chat)

    @rule(chat=chats)
    def resume(self, chat: Destination) -> None:
        self.do(self.storage.destinations.resume(chat, self.now))

    @rule(chat=chats)
    def forget(self, chat: Destination) -> None:
        self.do(self.storage.destinations.forget(chat))
        self.follows.pop(chat, None)
        self.owes_nothing_more(chat)
        self.flying = [(other, one) for other, one in self.flying if other != chat]
        self.claimed = {key for key in self.claimed if key[0] != chat}
        self.ended = {key: state for key, state in self.ended.items() if key[0] != chat}
        for chats in self.audience.values():
            chats.discard(chat)

    @rule(seconds=st.integers(1, 200))
    def wait(self, seconds: int) -> None:
        self.now += seconds * SECOND

    @invariant()
    def the_states_add_up(self) -> None:
        self.do(states(self.storage))

    @invariant()
    def what_is_settled_stays_as_it_is(self) -> None:
        told = self.rows()
        assert self.ended == {key: told[key] for key in self.ended}

    @invariant()
    def only_those_concerned_are_told(self) -> None:
        numbers = {update.id: seq for seq, update in self.log.items()}
        for chat, seq in self.rows():
            target = self.log[seq].retracts
            if target:
                assert (chat, numbers[target]) in self.claimed
            else:
                assert chat in self.audience[seq]


TestAnySequence = Outbox.TestCase
TestAnySequence.settings = settings(max_examples=20, stateful_step_count=40)
