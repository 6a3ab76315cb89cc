"""Fan-out: whom news reaches, whatever happens between two chunks."""

import datetime as dt
from itertools import groupby
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.model import (
    ALL_KINDS,
    DeliveryState,
    Destination,
    Kinds,
    Platform,
    Seq,
    Update,
    UpdateKind,
)
from bot.poll import decide
from storage.fanouts import Fanouts, Job, Unread
from storage.outbox import Settlement
from storage.store import Storage, open_storage
from storage.trust import trust
from tests.build import NOW, a_correction, a_retraction, a_show, an_update
from tests.storage.builders import (
    SECOND,
    a_chat,
    a_store,
    a_trailer,
    again,
    board,
    chats_told,
    claim_all,
    deliver,
    expand,
    fan_out,
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

RENEWED = frozenset({UpdateKind.RENEWED})
TRAILER = frozenset({UpdateKind.TRAILER})
CHATS = [a_chat(n) for n in range(1, 8)]


@pytest.fixture
async def filled(storage: Storage) -> Storage:
    """A store with one show that seven chats follow."""
    await put_shows(storage)
    await follow(storage, *CHATS)
    return storage


async def cursor(storage: Storage) -> int:
    ((value,),) = await sql(storage, "SELECT value FROM counters WHERE name = 'fanout'")
    return int(value)


# Taking


async def test_taking_moves_the_cursor_and_records_the_jobs_together(filled: Storage) -> None:
    seqs = [await publish(filled, a_trailer()) for _ in range(5)]
    assert await filled.fanouts.take(decide, NOW, 3) == 3
    assert await cursor(filled) == 3
    assert await filled.fanouts.open_jobs() == seqs[:3]
    assert [one.seq for one in await filled.fanouts.unread(10)] == seqs[3:]
    assert await filled.fanouts.take(decide, NOW, 3) == 2
    assert await filled.fanouts.take(decide, NOW, 3) == 0
    assert await filled.fanouts.open_jobs() == seqs


@pytest.mark.parametrize("bad", [1, 2, 3])
async def test_a_decision_that_fails_leaves_cursor_and_jobs_as_they_were(
    filled: Storage, bad: int
) -> None:
    seqs = [await publish(filled, a_trailer()) for _ in range(3)]

    def stumble(update: Unread) -> Job | None:
        if update.seq == bad:
            raise ValueError("no idea")
        return decide(update)

    with pytest.raises(ValueError, match="no idea"):
        await filled.fanouts.take(stumble, NOW, 10)
    assert (await cursor(filled), await filled.fanouts.open_jobs()) == (0, [])
    await poll(filled)
    assert await filled.fanouts.open_jobs() == seqs


async def test_a_job_of_an_update_that_is_not_there_moves_nothing(filled: Storage) -> None:
    await publish(filled, a_trailer())

    def wrong(update: Unread) -> Job:
        return Job(type(update.seq)(99), update.show, ALL_KINDS)

    with pytest.raises(Exception, match="failed"):
        await filled.fanouts.take(wrong, NOW, 10)
    assert await cursor(filled) == 0


async def test_what_is_not_pushed_is_read_and_told_to_nobody(filled: Storage) -> None:
    await publish(filled, an_update("renewed", certainty="speculation"))
    await fan_out(filled)
    assert await cursor(filled) == 1
    assert await states(filled) == {}


async def test_news_is_due_from_the_poll_that_saw_it(filled: Storage) -> None:
    await publish(filled, a_trailer())
    await fan_out(filled, NOW + SECOND)
    assert await filled.deliveries.next_due() == NOW + SECOND
    assert await claim_all(filled, NOW) == []


# Expanding


async def test_an_update_reaches_those_who_follow_the_show_for_its_kind(storage: Storage) -> None:
    await put_shows(storage, a_show(), a_show("dark"))
    await follow(storage, CHATS[0], kinds=TRAILER)
    await follow(storage, CHATS[1], kinds=RENEWED)
    await follow(storage, CHATS[2], kinds=ALL_KINDS)
    await follow(storage, CHATS[3], show=a_show("dark").id)
    assert await chats_told(storage, await tell(storage, a_trailer())) == [1, 3]
    assert await chats_told(storage, await tell(storage, an_update("renewed"))) == [2, 3]


async def test_a_chunk_and_its_mark_are_stored_together(filled: Storage) -> None:
    seq = await publish(filled, a_trailer())
    await poll(filled)
    created = [await filled.fanouts.expand(seq, 3) for _ in range(4)]
    assert created == [3, 3, 1, 0]
    assert await filled.fanouts.created() == 7
    assert await filled.fanouts.open_jobs() == []


async def test_an_audience_that_fills_its_last_chunk_is_expanded_to_its_end(
    filled: Storage,
) -> None:
    seq = await publish(filled, a_trailer())
    await poll(filled)
    assert await filled.fanouts.expand(seq, 7) == 7
    await expand(filled)
    assert await filled.fanouts.open_jobs() == []
    assert await states(filled) == {"pending": 7}


async def test_a_job_that_does_not_exist_or_is_done_creates_nothing(filled: Storage) -> None:
    seq = await tell(filled)
    assert await filled.fanouts.expand(seq, 3) == 0
    assert await filled.fanouts.expand(type(seq)(99), 3) == 0
    assert await states(filled) == {"pending": 7}


async def test_polling_again_creates_nothing_again(filled: Storage) -> None:
    await tell(filled)
    await fan_out(filled)
    assert await states(filled) == {"pending": 7}


KINDS = ["trailer", "renewed", "dated"]
audiences = st.dictionaries(
    st.integers(1, 60),
    st.tuples(
        st.frozensets(st.sampled_from(sorted(ALL_KINDS)), min_size=1),
        st.booleans(),
    ),
    max_size=15,
)


@given(audiences, st.integers(1, 6), st.sampled_from(KINDS))
@settings(max_examples=25)
async def test_in_chunks_the_same_are_told_as_at_once(
    audience: dict[int, tuple[Kinds, bool]], chunk: int, kind: str
) -> None:
    told = []
    for size in (chunk, 1000):
        async with a_store(a_show()) as storage:
            for number, (kinds, suspended) in audience.items():
                await follow(storage, a_chat(number), kinds=kinds)
                if suspended:
                    await suspend(storage, number)
            seq = await publish(storage, an_update(kind))
            await poll(storage)
            await expand(storage, size)
            told.append({n: await state_of(storage, a_chat(n), seq) for n in audience})
            assert sum((await states(storage)).values()) == len(await chats_told(storage, seq))
    wanted = {
        number: ("held" if suspended else "pending") if UpdateKind(kind) in kinds else None
        for number, (kinds, suspended) in audience.items()
    }
    assert told == [wanted] * 2


async def suspend(storage: Storage, number: int) -> None:
    ((where,),) = await sql(storage, f"SELECT id FROM destinations WHERE chat_id = {number}")
    await storage.destinations.suspend(where, "kicked", NOW)


@pytest.mark.parametrize("chunks", [0, 1, 2, 3])
async def test_a_kill_between_chunks_neither_loses_nor_doubles(
    database_url: str, chunks: int
) -> None:
    async with open_storage(database_url, trust()) as storage:
        await put_shows(storage)
        await follow(storage, *CHATS)
        seq = await publish(storage, a_trailer())
        await poll(storage)
        for _ in range(chunks):
            await storage.fanouts.expand(seq, 3)
    async with open_storage(database_url, trust()) as storage:
        await fan_out(storage)
        assert await chats_told(storage, seq) == [chat.chat_id for chat in CHATS]
        assert await states(storage) == {"pending": 7}


async def test_a_chunk_that_fails_in_its_middle_is_taken_again_whole(filled: Storage) -> None:
    """The mark must not move without its deliveries, nor they be stored without it."""
    seq = await publish(filled, a_trailer())
    await poll(filled)

    async def die_after(connection: Any) -> None:
        expand_together: Any = Fanouts.expand_together
        await expand_together.__wrapped__(filled.fanouts, connection, [seq], 3)
        raise ValueError("killed")

    with pytest.raises(ValueError, match="killed"):
        await filled.database.write(die_after)
    assert await states(filled) == {}
    await expand(filled, 3)
    assert await states(filled) == {"pending": 7}


# Several at once


async def test_what_is_expanded_together_comes_to_the_same_chat(filled: Storage) -> None:
    await follow(filled, *CHATS[:2], kinds=TRAILER)
    renewed = await publish(filled, an_update("renewed"))
    trailer = await publish(filled, a_trailer())
    await poll(filled)
    # The denser one has come to the third chat; the other one goes no further.
    step = await filled.fanouts.expand_together([renewed, trailer], 3)
    assert step == (3, (renewed, trailer), False)
    assert await chats_told(filled, trailer) == [1, 2, 3]
    assert await chats_told(filled, renewed) == [3]
    assert [job.mark for job in await filled.fanouts.standing()] == [3, 3]
    assert (await filled.fanouts.expand_together([renewed, trailer], 100)).open == ()
    assert await chats_told(filled, renewed) == [3, 4, 5, 6, 7]


async def test_what_has_come_further_alone_waits_for_the_others(filled: Storage) -> None:
    ahead, behind = await publish(filled, a_trailer()), await publish(filled, a_trailer())
    await poll(filled)
    await filled.fanouts.expand(ahead, 4)
    await filled.fanouts.expand_together([ahead, behind], 2)
    assert [job.mark for job in await filled.fanouts.standing()] == [4, 2]
    await filled.fanouts.expand_together([ahead, behind], 3)
    assert [job.mark for job in await filled.fanouts.standing()] == [5, 5]
    await expand(filled)
    assert await states(filled) == {"pending": 14}


async def test_jobs_that_are_done_or_unknown_are_passed_over(filled: Storage) -> None:
    done = await tell(filled)
    seq = await publish(filled, a_trailer())
    await poll(filled)
    unknown = type(seq)(99)
    assert await filled.fanouts.expand_together([done, seq, unknown], 3) == (3, (seq,), False)
    assert await filled.fanouts.expand_together([], 3) == (0, (), False)


async def test_what_is_expanded_is_due_when_its_platform_is_and_else_when_the_job_is(
    filled: Storage,
) -> None:
    await follow(filled, Destination(Platform.DISCORD, 1))
    seq = await publish(filled, a_trailer())
    await poll(filled)
    due = {Platform.DISCORD: NOW + SECOND}
    await filled.fanouts.expand_together([seq], 100, due)
    assert await filled.deliveries.next_due(Platform.DISCORD) == NOW + SECOND
    assert await filled.deliveries.next_due(Platform.TELEGRAM) == NOW


@given(audiences, st.integers(1, 6), st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
@settings(max_examples=15)
async def test_together_the_same_are_told_as_one_after_the_other(
    audience: dict[int, tuple[Kinds, bool]], chunk: int, kinds: list[str]
) -> None:
    """At any time a chat has all that it is to get, or nothing; a job ends when nobody is left."""
    seqs: list[Seq] = []
    async with a_store(a_show()) as alone, a_store(a_show()) as together:
        for storage in (alone, together):
            for number, (wanted, suspended) in audience.items():
                await follow(storage, a_chat(number), kinds=wanted)
                if suspended:
                    await suspend(storage, number)
            seqs = [
                await publish(
                    storage, a_trailer() if kind == "trailer" else an_update(kind, season=n)
                )
                for n, kind in enumerate(kinds, 2)
            ]
            await poll(storage)
        await expand(alone)
        expected, found = await rows_by_chat(alone), await rows_by_chat(together)
        open_ones, steps = tuple(seqs), 0
        while open_ones:
            step = await together.fanouts.expand_together(open_ones, chunk)
            open_ones, steps = step.open, steps + 1
            assert steps <= len(audience) // chunk * len(kinds) + 1, "it comes to no end"
            assert step.passed <= chunk
            found = await rows_by_chat(together)
            assert found.items() <= expected.items(), "a chat has a part of what it gets"
            marks = {job.mark for job in await together.fanouts.standing()}
            assert len(marks) <= 1
            for seq in set(seqs) - set(open_ones):
                assert await chats_told(together, seq) == await chats_told(alone, seq)
        assert found == expected
        assert await together.deliveries.unaccounted() == 0


async def rows_by_chat(storage: Storage) -> dict[int, list[tuple[Any, ...]]]:
    rows = await sql(
        storage,
        "SELECT destination_id, update_seq, state, reason, due_at, lane FROM deliveries "
        "ORDER BY destination_id, update_seq",
    )
    return {to: list(each) for to, each in groupby(rows, itemgetter(0))}


# Corrections


@pytest.fixture
async def mistaken(storage: Storage) -> tuple[Storage, Update]:
    """Who got a mistake and who did not: 1, 2, 3, 4 got it, 5 may have, 6 and 7 did not."""
    await put_shows(storage)
    await follow(storage, *CHATS)
    wrong = an_update("renewed")
    await tell(storage, wrong)
    claimed = await claim_all(storage)
    failed = [Settlement(one, DeliveryState.FAILED, NOW, reason="bad") for one in claimed[5:]]
    maybe = Settlement(claimed[4], DeliveryState.UNCERTAIN, NOW)
    await storage.deliveries.settle([*map(sent, claimed[:4]), maybe, *failed])
    return storage, wrong


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
async def test_a_correction_goes_to_followers_and_to_whoever_got_the_mistake(
    mistaken: tuple[Storage, Update], chunk: int
) -> None:
    storage, wrong = mistaken
    for chat in (CHATS[0], CHATS[5]):  # got it, did not
        await storage.subscriptions.remove(chat, a_show().id)
    for chat in (CHATS[1], CHATS[6]):  # got it, did not
        await follow(storage, chat, kinds=TRAILER)
    await suspend(storage, 3)
    await follow(storage, a_chat(8), kinds=RENEWED)
    correction = await publish(storage, a_correction(wrong))
    await poll(storage)
    await expand(storage, chunk)
    assert await chats_told(storage, correction) == [1, 2, 3, 4, 5, 8]
    assert await state_of(storage, CHATS[2], correction) == "held"
    await deliver(storage)
    got = [n for n in range(1, 9) if await state_of(storage, a_chat(n), correction) == "sent"]
    assert got == [1, 2, 4, 5, 8]
    await storage.destinations.resume(CHATS[2], NOW)
    assert [one.destination_id for one in await deliver(storage)] == [3]


async def test_who_unsubscribes_gets_a_correction_of_what_they_got_and_of_nothing_else(
    mistaken: tuple[Storage, Update],
) -> None:
    storage, wrong = mistaken
    correction = await tell(storage, a_correction(wrong))
    for chat in CHATS:
        await storage.subscriptions.remove(chat, a_show().id)
    found = [await state_of(storage, chat, correction) for chat in CHATS]
    assert found == ["pending"] * 5 + ["expired"] * 2


async def test_a_correction_that_failed_once_still_goes_to_who_has_unsubscribed_meanwhile(
    mistaken: tuple[Storage, Update],
) -> None:
    storage, wrong = mistaken
    await tell(storage, a_correction(wrong))
    claimed = await claim_all(storage)
    for chat in CHATS:
        await storage.subscriptions.remove(chat, a_show().id)
    await storage.deliveries.settle([again(one) for one in claimed])
    later = await claim_all(storage, NOW + 10 * SECOND)
    assert [one.destination_id for one in later] == [1, 2, 3, 4, 5]


async def test_a_correction_of_what_nobody_got_is_news_to_followers_alone(filled: Storage) -> None:
    wrong = an_update("renewed")
    await publish(filled, wrong)
    await follow(filled, CHATS[0], kinds=TRAILER)
    correction = await publish(filled, a_correction(wrong))
    await fan_out(filled)
    assert await chats_told(filled, correction) == [2, 3, 4, 5, 6, 7]


# Coming and going meanwhile


async def test_news_for_a_suspended_chat_is_held_with_its_reason_until_it_is_back(
    filled: Storage,
) -> None:
    await suspend(filled, 2)
    seq = await tell(filled)
    held = await sql(filled, "SELECT destination_id, reason FROM deliveries WHERE state = 'held'")
    assert held == [(2, "kicked")]
    assert 2 not in [one.destination_id for one in await deliver(filled)]
    await filled.destinations.resume(CHATS[1], NOW)
    assert [(one.destination_id, one.seq) for one in await deliver(filled)] == [(2, seq)]


async def test_who_subscribes_later_gets_no_backlog(filled: Storage) -> None:
    seq = await publish(filled, a_trailer())
    await follow(filled, a_chat(50))
    await fan_out(filled)
    assert 50 not in await chats_told(filled, seq)
    assert 50 in await chats_told(filled, await tell(filled))


async def test_who_subscribes_in_the_middle_of_a_fan_out_gets_no_backlog(filled: Storage) -> None:
    seq = await publish(filled, a_trailer())
    await poll(filled)
    await filled.fanouts.expand(seq, 3)
    await follow(filled, a_chat(50))
    await filled.subscriptions.remove(CHATS[6], a_show().id)
    await follow(filled, CHATS[6])
    await expand(filled, 3)
    assert await chats_told(filled, seq) == [1, 2, 3, 4, 5, 6]


async def test_who_changes_kinds_keeps_following_since_then(filled: Storage) -> None:
    seq = await publish(filled, a_trailer())
    await follow(filled, CHATS[0], kinds=TRAILER)
    await follow(filled, CHATS[1], kinds=RENEWED)
    await fan_out(filled)
    assert await chats_told(filled, seq) == [1, 3, 4, 5, 6, 7]


async def test_who_unsubscribes_in_the_middle_of_a_fan_out_gets_nothing_of_it(
    filled: Storage,
) -> None:
    seq = await publish(filled, a_trailer())
    await poll(filled)
    await filled.fanouts.expand(seq, 3)
    for chat in (CHATS[1], CHATS[5]):
        await filled.subscriptions.remove(chat, a_show().id)
    await expand(filled, 3)
    assert await state_of(filled, CHATS[1], seq) == "expired"
    assert await state_of(filled, CHATS[5], seq) is None
    assert await states(filled) == {"expired": 1, "pending": 5}


# Taking back


async def test_a_retraction_goes_to_those_who_got_or_may_have_got_the_mistake(
    storage: Storage,
) -> None:
    await put_shows(storage)
    await follow(storage, *CHATS)
    wrong = an_update("renewed")
    seq = await tell(storage, wrong)
    one, two, three, four, five, six, seven = await claim_all(storage)
    failed = Settlement(two, DeliveryState.FAILED, NOW, reason="bad")
    uncertain = Settlement(three, DeliveryState.UNCERTAIN, NOW, maybe_sent=True)
    held = Settlement(six, DeliveryState.HELD, NOW, reason="kicked")
    await storage.deliveries.settle(
        [sent(one), failed, uncertain, again(four), again(five, maybe=True), held]
    )
    retraction = await publish(storage, a_retraction(wrong))
    await poll(storage)
    await expand(storage, 2)
    assert await chats_told(storage, retraction) == [1, 3, 5, 7]
    assert await state_of(storage, CHATS[3], seq) == "expired"
    assert await state_of(storage, CHATS[5], seq) == "expired"
    await storage.deliveries.settle([sent(seven)])
    assert await state_of(storage, CHATS[6], seq) == "sent"
    assert sum((await states(storage)).values()) == 11


async def test_that_an_earlier_attempt_may_have_arrived_is_never_forgotten(
    storage: Storage,
) -> None:
    await put_shows(storage)
    await follow(storage, *CHATS[:4])
    wrong = an_update("renewed")
    await tell(storage, wrong)
    first = await claim_all(storage)
    await board(storage, first)
    await storage.deliveries.settle([again(one, maybe=True) for one in first[:2]])
    await storage.deliveries.release(NOW)
    later = NOW + 60 * SECOND
    surely_not, given_back, lost_here, tried_again = await claim_all(storage, later)
    await storage.deliveries.settle([again(surely_not, later)])
    await storage.deliveries.give_back([given_back], later)
    await storage.deliveries.settle([Settlement(lost_here, DeliveryState.HELD, later)])
    await storage.deliveries.settle([Settlement(tried_again, DeliveryState.FAILED, later)])
    await suspend(storage, 3)
    await storage.destinations.resume(CHATS[2], later)
    retraction = await tell(storage, a_retraction(wrong))
    assert await chats_told(storage, retraction) == [1, 2, 3, 4]


async def test_what_was_given_back_or_surely_refused_needs_no_correction(storage: Storage) -> None:
    await put_shows(storage)
    await follow(storage, *CHATS[:2])
    wrong = an_update("renewed")
    await tell(storage, wrong)
    await storage.deliveries.settle([again(one) for one in await claim_all(storage)])
    refused, given_back = await claim_all(storage, NOW + 60 * SECOND)
    await storage.deliveries.settle([again(refused)])
    await storage.deliveries.give_back([given_back], NOW)
    assert await chats_told(storage, await tell(storage, a_retraction(wrong))) == []
    assert await states(storage) == {"expired": 2}


async def test_a_retraction_stops_the_fan_out_of_the_mistake(filled: Storage) -> None:
    wrong = an_update("renewed")
    seq = await publish(filled, wrong)
    await poll(filled)
    await filled.fanouts.expand(seq, 2)
    await deliver(filled)
    retraction = await publish(filled, a_retraction(wrong))
    await fan_out(filled)
    assert await chats_told(filled, seq) == [1, 2]
    assert await chats_told(filled, retraction) == [1, 2]


async def test_a_mistake_retracted_before_the_poll_reaches_nobody(filled: Storage) -> None:
    wrong = an_update("renewed")
    await publish(filled, wrong)
    await publish(filled, a_retraction(wrong))
    await fan_out(filled)
    assert await states(filled) == {}
    assert await filled.fanouts.open_jobs() == []


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
async def test_what_a_retraction_passes_over_can_never_be_sent_any_more(
    filled: Storage, chunk: int
) -> None:
    wrong = an_update("renewed")
    seq = await tell(filled, wrong)
    claimed = await board(filled, await claim_all(filled))
    await filled.deliveries.settle([sent(claimed[4])])
    await filled.deliveries.release(NOW)  # those may have been sent
    await filled.subscriptions.remove(CHATS[0], a_show().id)
    later = await tell(filled)  # another one is not touched
    await publish(filled, a_retraction(wrong))
    await poll(filled)
    await expand(filled, chunk)
    assert await state_of(filled, CHATS[0], seq) == "expired"
    assert await state_of(filled, CHATS[1], later) == "pending"


async def test_a_correction_for_a_suspended_chat_is_held(filled: Storage) -> None:
    wrong = an_update("renewed")
    await tell(filled, wrong)
    await deliver(filled)
    await suspend(filled, 2)
    retraction = await tell(filled, a_retraction(wrong))
    assert await state_of(filled, CHATS[1], retraction) == "held"
    assert await state_of(filled, CHATS[2], retraction) == "pending"
    await filled.destinations.resume(CHATS[1], NOW)
    assert len(await deliver(filled)) == 7


async def test_a_clock_set_back_delays_no_fan_out(filled: Storage) -> None:
    ahead = NOW + dt.timedelta(hours=1)
    seq = await publish(filled, a_trailer())
    await poll(filled, ahead)
    await filled.fanouts.expand(seq, 3)
    await filled.deliveries.shift(NOW - ahead)
    await expand(filled)
    assert len(await claim_all(filled, NOW)) == 7
