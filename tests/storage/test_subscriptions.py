"""Following shows: who follows what, who can be reached, and what is kept of a chat."""

from collections.abc import Callable
from dataclasses import replace
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
    ShowId,
    Subscription,
    UpdateKind,
)
from storage.outbox import Settlement
from storage.store import Storage
from storage.subscriptions import Outcome
from tests.build import NOW, a_retraction, a_show, an_update
from tests.storage.builders import (
    SECOND,
    SHOW,
    a_chat,
    a_store,
    a_trailer,
    again,
    claim,
    claim_all,
    deliver,
    everything,
    expand,
    fan_out,
    follow,
    followed,
    id_of,
    poll,
    publish,
    put_shows,
    sent,
    sql,
    state_of,
    states,
    tell,
)

HERE, THERE = a_chat(1), a_chat(2)
DATED = frozenset({UpdateKind.DATED})
kinds_chosen = st.frozensets(st.sampled_from(sorted(ALL_KINDS)), min_size=1)


@pytest.fixture
async def filled(storage: Storage) -> Storage:
    """A store with two shows."""
    await put_shows(storage, a_show(), a_show("dark"))
    return storage


# Following


async def test_subscribing_adds_changes_or_leaves(filled: Storage) -> None:
    put = filled.subscriptions.put
    assert await put(Subscription(HERE, SHOW, DATED)) is Outcome.ADDED
    assert await put(Subscription(HERE, SHOW, DATED)) is Outcome.UNCHANGED
    assert await put(Subscription(HERE, SHOW)) is Outcome.CHANGED
    assert await filled.subscriptions.of(HERE) == [followed(HERE)]


async def test_a_role_to_ping_and_publishing_stay_until_they_are_named_again(
    filled: Storage,
) -> None:
    async def put(role: int | None, publish: bool | None, kinds: Kinds = ALL_KINDS) -> Outcome:
        wanted = Subscription(HERE, SHOW, kinds, role, publish)
        return await filled.subscriptions.put(wanted)

    async def stored() -> tuple[int | None, bool | None]:
        (one,) = await filled.subscriptions.of(HERE)
        assert await filled.subscriptions.get(HERE, SHOW) == one
        return one.role_id, one.publish

    assert await put(7, None) is Outcome.ADDED
    assert await stored() == (7, False)
    assert await put(None, None) is await put(7, False) is Outcome.UNCHANGED
    assert await put(None, True) is Outcome.CHANGED
    assert await put(None, None, DATED) is Outcome.CHANGED
    assert await stored() == (7, True)
    assert await put(8, None, DATED) is await put(8, False, DATED) is Outcome.CHANGED
    assert await stored() == (8, False)
    assert await filled.subscriptions.get(THERE, SHOW) is None


async def test_a_role_that_is_gone_is_pinged_no_more_and_the_show_is_still_followed(
    filled: Storage,
) -> None:
    discord = [Destination(Platform.DISCORD, number) for number in (1, 2)]
    for chat, role in ((discord[0], 7), (discord[1], 8), (HERE, 7)):
        await filled.subscriptions.put(Subscription(chat, SHOW, role_id=role))
    assert await filled.subscriptions.drop_role(Platform.DISCORD, 7) == 1
    assert await filled.subscriptions.drop_role(Platform.DISCORD, 7) == 0
    kept = [await filled.subscriptions.get(chat, SHOW) for chat in (*discord, HERE)]
    assert [one and one.role_id for one in kept] == [None, 8, 7]
    assert all(kept)


async def test_a_chat_follows_shows_in_order_and_others_do_not_see_it(filled: Storage) -> None:
    await follow(filled, HERE, show=ShowId("dark"))
    await follow(filled, HERE)
    assert [one.show for one in await filled.subscriptions.of(HERE)] == [SHOW, "dark"]
    assert await filled.subscriptions.of(THERE) == []


async def test_unsubscribing_says_whether_the_show_was_followed(filled: Storage) -> None:
    await follow(filled, HERE)
    assert not await filled.subscriptions.remove(THERE, SHOW)
    assert not await filled.subscriptions.remove(HERE, ShowId("dark"))
    assert await filled.subscriptions.remove(HERE, SHOW)
    assert not await filled.subscriptions.remove(HERE, SHOW)
    assert await filled.subscriptions.of(HERE) == []


@given(kinds_chosen, kinds_chosen)
@settings(max_examples=30)
async def test_any_choice_of_kinds_is_kept(first: Kinds, second: Kinds) -> None:
    async with a_store(a_show()) as storage:
        await storage.subscriptions.put(Subscription(HERE, SHOW, first))
        changed = await storage.subscriptions.put(Subscription(HERE, SHOW, second))
        assert (changed is Outcome.UNCHANGED) == (first == second)
        assert await storage.subscriptions.of(HERE) == [followed(HERE, SHOW, second)]
        for kind in ALL_KINDS:
            reached = await storage.subscriptions.audience(SHOW, frozenset({kind}))
            assert reached == (kind in second)


@pytest.mark.parametrize(
    "chat",
    [
        a_chat(-(2**63)),
        a_chat(2**63 - 1),
        a_chat(-1_001_234_567_890, thread=2**31),
        Destination(Platform.DISCORD, 1_234_567_890_123_456_789, 2**62),
        Destination(Platform.TERMINAL, 0),
    ],
    ids=str,
)
async def test_a_chat_comes_back_as_it_was(filled: Storage, chat: Destination) -> None:
    await follow(filled, chat)
    await tell(filled)
    (parcel,) = await claim(filled)
    assert parcel.destination == chat
    assert await filled.subscriptions.of(chat) == [followed(chat)]


async def test_the_threads_and_the_platforms_of_a_number_are_chats_of_their_own(
    filled: Storage,
) -> None:
    chats = [a_chat(1), a_chat(1, thread=1), a_chat(1, thread=2), Destination(Platform.DISCORD, 1)]
    await follow(filled, *chats[:3])
    await follow(filled, chats[3], kinds=DATED)
    await filled.subscriptions.remove(chats[1], SHOW)
    followed = [await filled.subscriptions.of(chat) for chat in chats]
    assert [len(one) for one in followed] == [1, 0, 1, 1]
    await tell(filled)
    assert {parcel.destination for parcel in await claim(filled)} == {chats[0], chats[2]}


async def test_the_audience_are_those_who_want_it_and_can_be_reached(filled: Storage) -> None:
    await follow(filled, HERE, THERE)
    await follow(filled, a_chat(3), kinds=DATED)
    await follow(filled, a_chat(4), show=ShowId("dark"))
    trailer = frozenset({UpdateKind.TRAILER})
    assert await filled.subscriptions.audience(SHOW, trailer) == 2
    assert await filled.subscriptions.audience(SHOW, trailer | DATED) == 3
    await filled.destinations.suspend(await id_of(filled, HERE), "kicked", NOW)
    assert await filled.subscriptions.audience(SHOW, trailer) == 1


# Suspended


async def test_what_was_due_to_a_suspended_chat_is_held_until_it_is_back(filled: Storage) -> None:
    await follow(filled, HERE, THERE)
    seq = await tell(filled)
    await filled.destinations.suspend(await id_of(filled, HERE), "kicked", NOW)
    assert await states(filled) == {"held": 1, "pending": 1}
    assert [parcel.destination for parcel in await claim(filled)] == [THERE]
    later = NOW + 100 * SECOND
    assert await filled.destinations.resume(HERE, later)
    assert await state_of(filled, HERE, seq) == "pending"
    assert await claim_all(filled, later - SECOND) == []
    assert [one.attempts for one in await claim_all(filled, later)] == [1]
    assert not await filled.destinations.resume(HERE, later)
    assert not await filled.destinations.resume(a_chat(99), later)


async def test_a_suspended_chat_keeps_its_subscriptions_and_gets_all_news_when_it_is_back(
    filled: Storage,
) -> None:
    await follow(filled, HERE)
    await filled.destinations.suspend(await id_of(filled, HERE), "kicked", NOW)
    missed = await tell(filled)
    assert await state_of(filled, HERE, missed) == "held"
    assert await deliver(filled) == []
    assert len(await filled.subscriptions.of(HERE)) == 1
    await filled.destinations.resume(HERE, NOW)
    seq = await tell(filled)
    assert [one.seq for one in await deliver(filled)] == [missed, seq]


async def test_suspending_twice_keeps_the_first_reason(filled: Storage) -> None:
    await follow(filled, HERE)
    where = await id_of(filled, HERE)
    await filled.destinations.suspend(where, "kicked", NOW)
    await filled.destinations.suspend(where, "deleted", NOW + SECOND)
    exported = await filled.destinations.export(HERE)
    assert exported["suspended"] == [{"reason": "kicked", "since": NOW.isoformat()}]


async def test_what_is_on_its_way_when_a_chat_is_suspended_keeps_its_own_outcome(
    filled: Storage,
) -> None:
    await follow(filled, HERE)
    await tell(filled)
    (flying,) = await claim_all(filled)
    await filled.destinations.suspend(flying.destination_id, "kicked", NOW)
    await filled.deliveries.settle([sent(flying)])
    assert await states(filled) == {"sent": 1}
    await filled.destinations.resume(HERE, NOW)
    assert await claim_all(filled) == []


async def test_suspending_a_chat_that_was_forgotten_meanwhile_does_nothing(
    filled: Storage,
) -> None:
    await follow(filled, HERE)
    where = await id_of(filled, HERE)
    await filled.destinations.forget(HERE)
    before = await everything(filled)
    await filled.destinations.suspend(where, "kicked", NOW)
    assert await everything(filled) == before


# Wishes


async def test_wishes_are_counted_by_chat_most_wanted_first(filled: Storage) -> None:
    for chat, title in ((HERE, "dune"), (THERE, "dune"), (HERE, "alf"), (HERE, "dune")):
        await filled.destinations.wish(chat, title, NOW)
    assert await filled.destinations.wishes() == [("dune", 2), ("alf", 1)]


# What is kept of a chat


async def everything_about(storage: Storage, chat: Destination) -> None:
    """A chat with something in every table."""
    await follow(storage, chat)
    await follow(storage, chat, show=ShowId("dark"), kinds=DATED)
    await storage.destinations.wish(chat, "dune", NOW)
    await tell(storage)
    await deliver(storage)
    await tell(storage)
    await storage.destinations.suspend(await id_of(storage, chat), "kicked", NOW)


async def test_the_export_holds_all_that_is_stored(filled: Storage) -> None:
    chat = a_chat(7, thread=8)
    await everything_about(filled, chat)
    here = replace(chat, home_id=9)
    await filled.subscriptions.put(Subscription(here, SHOW, role_id=5, publish=True))
    await filled.posts.put(chat, SHOW, 6)
    first, second = await filled.updates.of_show(SHOW)
    assert await filled.destinations.export(chat) == {
        "platform": "telegram",
        "chat_id": 7,
        "thread_id": 8,
        "server_id": 9,
        "subscriptions": [
            {
                "show": SHOW,
                "kinds": ["cancelled", "dated", "renewed", "trailer"],
                "role_id": 5,
                "publish": True,
            },
            {"show": "dark", "kinds": ["dated"], "role_id": None, "publish": False},
        ],
        "posts": [{"show": SHOW, "thread_id": 6}],
        "deliveries": [
            {
                "update": first.id,
                "state": "sent",
                "reason": None,
                "settled_at": NOW.isoformat(),
                "attempts": 1,
                "answers": [],
            },
            {
                "update": second.id,
                "state": "held",
                "reason": "kicked",
                "settled_at": None,
                "attempts": 0,
                "answers": [],
            },
        ],
        "wishes": [{"title": "dune", "at": NOW.isoformat()}],
        "suspended": [{"reason": "kicked", "since": NOW.isoformat()}],
    }


async def test_the_export_of_a_stranger_is_empty(filled: Storage) -> None:
    await everything_about(filled, HERE)
    exported = await filled.destinations.export(THERE)
    assert [exported[name] for name in ("subscriptions", "deliveries", "wishes", "suspended")] == [
        [],
        [],
        [],
        [],
    ]


async def test_forgetting_leaves_nothing_of_the_chat_and_all_of_the_others(
    filled: Storage,
) -> None:
    await everything_about(filled, HERE)
    await follow(filled, THERE)
    await tell(filled)
    here, there = await id_of(filled, HERE), await id_of(filled, THERE)
    kept = await rows_of(filled, there)
    assert await filled.destinations.forget(HERE) == 2
    assert await rows_of(filled, here) == {}
    assert await rows_of(filled, there) == kept
    assert await states(filled) == {"pending": 1}
    assert await filled.destinations.forget(HERE) == 0


async def rows_of(storage: Storage, where: int) -> dict[str, Any]:
    """The rows of every table that belong to a destination."""
    found = {}
    for table in ("subscriptions", "suspensions", "wishes", "deliveries", "destinations"):
        column = "id" if table == "destinations" else "destination_id"
        rows = await sql(storage, f"SELECT * FROM {table} WHERE {column} = {where}")
        if rows:
            found[table] = rows
    return found


async def test_an_outcome_that_comes_after_a_chat_was_forgotten_changes_nothing(
    filled: Storage,
) -> None:
    await follow(filled, HERE)
    await tell(filled)
    (flying,) = await claim_all(filled)
    await filled.destinations.forget(HERE)
    await filled.deliveries.settle([sent(flying)])
    await filled.deliveries.give_back([flying], NOW)
    assert await states(filled) == {}


async def test_forgetting_in_the_middle_of_a_fan_out_leaves_the_others_theirs(
    filled: Storage,
) -> None:
    chats = [a_chat(n) for n in range(6)]
    await follow(filled, *chats)
    await publish(filled, a_trailer())
    await poll(filled)
    (job,) = await filled.fanouts.open_jobs()
    await filled.fanouts.expand(job, 3)
    await filled.destinations.forget(chats[1])
    await filled.destinations.forget(chats[4])
    await expand(filled)
    assert await states(filled) == {"pending": 4}
    assert len(await deliver(filled)) == 4


# Unsubscribing with news on its way


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (None, "expired"),
        (again, "expired"),
        (lambda flying: again(flying, maybe=True), "expired"),
        (sent, "sent"),
        (lambda flying: Settlement(flying, DeliveryState.HELD, NOW, reason="kicked"), "expired"),
        (lambda flying: Settlement(flying, DeliveryState.FAILED, NOW, reason="bad"), "failed"),
    ],
)
async def test_unsubscribing_lets_expire_what_was_not_sent(
    filled: Storage, outcome: Callable[[Any], Settlement] | None, state: str
) -> None:
    await follow(filled, HERE, THERE)
    await follow(filled, HERE, show=ShowId("dark"))
    seq = await tell(filled)
    if outcome:
        claimed = await claim_all(filled)
        await filled.deliveries.settle([outcome(one) for one in claimed])
    other = await tell(filled, a_trailer(show="dark"))
    await filled.subscriptions.remove(HERE, SHOW)
    assert await state_of(filled, HERE, seq) == state
    assert await state_of(filled, THERE, seq) != "expired"
    assert await state_of(filled, HERE, other) == "pending"


async def test_unsubscribing_leaves_what_is_on_its_way_to_its_own_outcome(
    filled: Storage,
) -> None:
    await follow(filled, HERE)
    seq = await tell(filled)
    (flying,) = await claim_all(filled)
    await filled.subscriptions.remove(HERE, SHOW)
    assert await state_of(filled, HERE, seq) == "pending"
    await filled.deliveries.settle([sent(flying)])
    assert await state_of(filled, HERE, seq) == "sent"


async def test_coming_back_brings_nothing_that_was_missed(filled: Storage) -> None:
    await follow(filled, HERE)
    await publish(filled, a_trailer())
    await filled.subscriptions.remove(HERE, SHOW)
    await publish(filled, a_trailer())
    await follow(filled, HERE)
    await fan_out(filled)
    assert await states(filled) == {}


async def test_a_correction_reaches_those_who_follow_no_more(filled: Storage) -> None:
    await follow(filled, HERE)
    wrong = an_update("renewed")
    await tell(filled, wrong)
    await deliver(filled)
    await filled.subscriptions.remove(HERE, SHOW)
    correction = await tell(filled, a_retraction(wrong))
    assert await state_of(filled, HERE, correction) == "pending"
