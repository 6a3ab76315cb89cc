"""Whether a destination can be reached: doubts about it, and whole chats that cannot be."""

import datetime as dt

import pytest

from bot.model import Destination, Platform
from storage.store import Storage, open_storage
from storage.trust import trust
from tests.build import NOW
from tests.storage.builders import (
    SECOND,
    a_chat,
    again,
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


async def test_one_thread_of_a_chat_is_suspended_alone(filled: Storage) -> None:
    where = (Platform.TELEGRAM, 1)
    assert await filled.destinations.suspend_thread(*where, 5, "deleted", NOW)
    held = [await filled.destinations.suspended(chat) for chat in TOPICS]
    assert held == [False, True, False]
    before = await everything(filled)
    assert not await filled.destinations.suspend_thread(*where, 99, "deleted", NOW)
    assert await everything(filled) == before


# Servers

HOME, AWAY = 100, 200
GONE = "The bot is not in this server."
DAY = dt.timedelta(days=1)


def a_channel(number: int, home: int | None = HOME) -> Destination:
    return Destination(Platform.DISCORD, number, home_id=home)


@pytest.fixture
async def homes(filled: Storage) -> Storage:
    """Two channels of one server, one of another, and a direct chat, besides those of Telegram."""
    await follow(filled, a_channel(1), a_channel(2), a_channel(3, AWAY), a_channel(4, None))
    return filled


async def reached(storage: Storage) -> list[int]:
    """The chats of Discord that are not suspended."""
    chats = [a_channel(number) for number in range(1, 5)]
    return [one.chat_id for one in chats if not await storage.destinations.suspended(one)]


async def missing(storage: Storage, *present: int, now: dt.datetime = NOW) -> int:
    return await storage.destinations.missing_homes(Platform.DISCORD, present, GONE, now, DAY)


async def test_the_server_of_a_chat_is_known_to_whoever_sends_there(homes: Storage) -> None:
    seq = await tell(homes)
    there = {parcel.destination: parcel.destination.home_id for parcel in await claim(homes)}
    assert [there[a_channel(number)] for number in range(1, 5)] == [HOME, HOME, AWAY, None]
    assert there[HERE] is None
    told = await homes.deliveries.told(Platform.DISCORD, 1, seq, "m1")
    assert told
    assert told[0].home_id == HOME


async def test_the_server_of_a_chat_is_learned_later_and_not_unlearned(homes: Storage) -> None:
    await follow(homes, a_channel(4, AWAY), a_channel(3, HOME), a_channel(1, None))
    rows = await sql(homes, "SELECT home_id FROM destinations WHERE platform = 'discord'")
    assert sorted(rows) == [(HOME,)] * 3 + [(AWAY,)]


async def test_a_server_is_suspended_and_resumed_with_all_of_its_channels(homes: Storage) -> None:
    where = (Platform.DISCORD, HOME)
    assert await homes.destinations.suspend_home(*where, "kicked", NOW) == 2
    assert await reached(homes) == [3, 4]
    held = await homes.destinations.unreached_in(*where)
    assert held == [(a_channel(1), "kicked", True), (a_channel(2), "kicked", True)]
    assert {one.destination.home_id for one in held} == {HOME}
    assert await homes.destinations.unreached_homes(Platform.DISCORD) == {HOME}
    assert await homes.destinations.unreached_in(Platform.DISCORD, AWAY) == []
    assert await homes.destinations.resume_home(*where, NOW)
    assert await reached(homes) == [1, 2, 3, 4]
    assert not await homes.destinations.resume_home(*where, NOW)
    assert await homes.destinations.suspend_home(Platform.TELEGRAM, HOME, "kicked", NOW) == 0


async def test_a_server_that_stays_missing_is_suspended_after_a_while(homes: Storage) -> None:
    many = range(1_000, 12_000)
    assert await missing(homes, HOME, *many) == 0
    assert await missing(homes, HOME, *many, now=NOW + DAY - SECOND) == 0
    assert await reached(homes) == [1, 2, 3, 4]
    assert await missing(homes, HOME, *many, now=NOW + DAY) == 1
    assert await reached(homes) == [1, 2, 4]
    assert await missing(homes, HOME, now=NOW + 3 * DAY) == 0
    assert await homes.destinations.doubted() == set()


async def test_a_server_that_is_back_is_doubted_no_more(homes: Storage) -> None:
    assert await missing(homes, AWAY) == 0
    assert await missing(homes, HOME, AWAY, now=NOW + DAY) == 0
    assert await homes.destinations.doubted() == set()
    assert await missing(homes, AWAY, now=NOW + 2 * DAY) == 0
    assert await reached(homes) == [1, 2, 3, 4]


async def test_other_doubts_neither_end_nor_count_when_servers_are_looked_through(
    homes: Storage,
) -> None:
    one, three = [await id_of(homes, a_channel(number)) for number in (1, 3)]
    for destination_id in (one, three):
        await homes.destinations.doubt(destination_id, "not found", NOW)
    assert await missing(homes, HOME, now=NOW + 2 * DAY) == 0
    assert await homes.destinations.doubted() == {one, three}
    assert await reached(homes) == [1, 2, 3, 4]


async def later(storage: Storage, **after: float) -> None:
    """News are due everywhere, and are to be tried again after a while."""
    await tell(storage)
    due = [one for parcel in await claim(storage) for one in parcel.deliveries]
    await storage.deliveries.settle([again(one, NOW + dt.timedelta(**after)) for one in due])


async def due_chats(storage: Storage, now: dt.datetime) -> list[int]:
    """The channels whose news would be sent now."""
    return sorted(parcel.destination.chat_id for parcel in await claim(storage, now))


async def test_what_waits_in_a_server_is_due_when_that_is_there_again(homes: Storage) -> None:
    await later(homes, hours=1)
    assert await homes.destinations.hurry_home(Platform.DISCORD, HOME, NOW + SECOND)
    assert await due_chats(homes, NOW + SECOND) == [1, 2]
    # What is on its way is left to its own outcome.
    assert not await homes.destinations.hurry_home(Platform.DISCORD, HOME, NOW + 2 * SECOND)


async def test_who_is_in_doubt_is_reached_again_with_what_waited(homes: Storage) -> None:
    await later(homes, hours=8)
    await homes.destinations.doubt(await id_of(homes, a_channel(2)), "no right", NOW)
    assert await homes.destinations.unreached_in(Platform.DISCORD, HOME) == [
        (a_channel(2), "no right", False)
    ]
    assert await homes.destinations.resume(a_channel(2), NOW + SECOND)
    assert await due_chats(homes, NOW + SECOND) == [2]
    assert await homes.destinations.doubted() == set()
    assert not await homes.destinations.resume(a_channel(1), NOW + SECOND)
