"""Whether a destination can be reached: doubts about it, and whole chats that cannot be."""

import pytest

from bot.model import Destination, Platform
from storage.store import Storage, open_storage
from storage.trust import trust
from tests.build import NOW
from tests.storage.builders import (
    SECOND,
    a_chat,
    claim,
    everything,
    follow,
    id_of,
    put_shows,
    sql,
    state_of,
    states,
    tell,
)

HERE, THERE = a_chat(1), a_chat(2)
TOPICS = (HERE, a_chat(1, thread=5), a_chat(1, thread=6))
LATER = NOW + 100 * SECOND


@pytest.fixture
async def filled(storage: Storage) -> Storage:
    """A store with one show that two chats follow, the first one in three topics."""
    await put_shows(storage)
    await follow(storage, *TOPICS, THERE)
    return storage


# Doubts


async def test_doubts_are_counted_since_the_first(filled: Storage) -> None:
    doubt = filled.destinations.doubt
    here, there = [await id_of(filled, chat) for chat in (HERE, THERE)]
    assert await doubt(here, "not found", NOW) == (1, NOW)
    assert await doubt(there, "not found", NOW + SECOND) == (1, NOW + SECOND)
    assert await doubt(here, "still not found", LATER) == (2, NOW)
    assert await doubt(here, "not found", LATER + SECOND) == (3, NOW)
    assert await filled.destinations.doubted() == {here, there}
    assert await sql(filled, f"SELECT reason FROM doubts WHERE destination_id = {there}") == [
        ("not found",)
    ]


async def test_what_arrives_ends_the_doubt(filled: Storage) -> None:
    here, there = [await id_of(filled, chat) for chat in (HERE, THERE)]
    for one in (here, there):
        await filled.destinations.doubt(one, "not found", NOW)
    for _ in range(2):
        await filled.destinations.clear_doubt(here)
    assert await filled.destinations.doubted() == {there}
    assert await filled.destinations.doubt(here, "not found", LATER) == (1, LATER)


async def test_doubts_outlive_a_restart(database_url: str) -> None:
    async with open_storage(database_url, trust()) as storage:
        await put_shows(storage)
        await follow(storage, HERE)
        here = await id_of(storage, HERE)
        await storage.destinations.doubt(here, "not found", NOW)
    async with open_storage(database_url, trust()) as storage:
        assert await storage.destinations.doubted() == {here}
        assert await storage.destinations.doubt(here, "not found", LATER) == (2, NOW)


async def test_a_doubted_chat_is_still_served(filled: Storage) -> None:
    await filled.destinations.doubt(await id_of(filled, THERE), "not found", NOW)
    seq = await tell(filled)
    assert await state_of(filled, THERE, seq) == "pending"
    assert THERE in [parcel.destination for parcel in await claim(filled)]


async def test_a_doubt_that_is_believed_is_a_doubt_no_more(filled: Storage) -> None:
    here = await id_of(filled, HERE)
    await filled.destinations.doubt(here, "not found", NOW)
    await filled.destinations.suspend(here, "not found", NOW)
    assert await filled.destinations.doubted() == set()
    assert await filled.destinations.suspended(HERE)


async def test_a_chat_that_is_forgotten_is_not_doubted(filled: Storage) -> None:
    here = await id_of(filled, HERE)
    await filled.destinations.doubt(here, "not found", NOW)
    await filled.destinations.forget(HERE)
    before = await everything(filled)
    assert await filled.destinations.doubt(here, "not found", LATER) == (1, LATER)
    assert await everything(filled) == before
    assert await filled.destinations.doubted() == set()


# A chat with all of its threads


async def test_a_chat_is_suspended_and_resumed_with_all_of_its_threads(filled: Storage) -> None:
    seq = await tell(filled)
    where = (Platform.TELEGRAM, 1)
    assert await filled.destinations.suspend_chat(*where, "kicked", NOW) == 3
    assert [await filled.destinations.suspended(chat) for chat in (*TOPICS, THERE)] == [
        True,
        True,
        True,
        False,
    ]
    assert await states(filled) == {"held": 3, "pending": 1}
    assert [parcel.destination for parcel in await claim(filled)] == [THERE]
    assert await filled.destinations.resume_chat(*where, LATER)
    assert not any([await filled.destinations.suspended(chat) for chat in TOPICS])
    assert [await state_of(filled, chat, seq) for chat in TOPICS] == ["pending"] * 3
    assert await claim(filled, LATER - SECOND) == []
    assert [parcel.destination for parcel in await claim(filled, LATER)] == list(TOPICS)
    assert not await filled.destinations.resume_chat(*where, LATER)


async def test_threads_that_were_not_suspended_are_no_hindrance_to_those_that_were(
    filled: Storage,
) -> None:
    await filled.destinations.suspend(await id_of(filled, TOPICS[1]), "closed", NOW)
    await filled.destinations.suspend_chat(Platform.TELEGRAM, 1, "kicked", LATER)
    rows = await sql(filled, "SELECT reason FROM suspensions ORDER BY destination_id")
    assert rows == [("kicked",), ("closed",), ("kicked",)]
    await filled.destinations.resume(TOPICS[0], NOW)
    assert await filled.destinations.resume_chat(Platform.TELEGRAM, 1, NOW)
    assert await sql(filled, "SELECT reason FROM suspensions") == []


async def test_a_chat_that_is_not_known_can_neither_be_suspended_nor_resumed(
    filled: Storage,
) -> None:
    await filled.destinations.suspend_chat(Platform.TELEGRAM, 2, "kicked", NOW)
    before = await everything(filled)
    for where in ((Platform.TELEGRAM, 99), (Platform.DISCORD, 1), (Platform.DISCORD, 2)):
        assert await filled.destinations.suspend_chat(*where, "kicked", NOW) == 0
        assert not await filled.destinations.resume_chat(*where, NOW)
    assert await everything(filled) == before
    assert not await filled.destinations.suspended(a_chat(99))
    assert not await filled.destinations.suspended(Destination(Platform.DISCORD, 2))
