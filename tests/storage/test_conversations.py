"""Buttons below answers, and direct chats that speak for another chat."""

import dataclasses
import datetime as dt

import pytest

from bot.errors import StorageError
from bot.model import Destination, Platform
from storage.conversations import KEPT, Keyboard
from storage.store import Storage, open_storage
from storage.trust import trust
from tests.build import NOW
from tests.storage.builders import a_chat, everything, follow, put_shows, sql

MOMENT = dt.timedelta(milliseconds=1)
GROUP = Destination(Platform.TELEGRAM, -1_001_234_567_890, 7)


def a_keyboard(name: str = "k1", acts_for: Destination = GROUP, chat: int = 42) -> Keyboard:
    """Buttons in a direct chat that are about a group."""
    return Keyboard(name, chat, acts_for, 2**52 + 1, ("/follow dark", "/stop “Dark” – ☆"), "m7")


# Buttons


@pytest.mark.parametrize(
    "keyboard",
    [
        a_keyboard(),
        a_keyboard(acts_for=a_chat(5)),
        a_keyboard(acts_for=Destination(Platform.DISCORD, 2**62, 2**61), chat=-(2**62)),
        dataclasses.replace(a_keyboard(), commands=()),
    ],
    ids=["a topic", "a chat", "big numbers", "no buttons"],
)
async def test_buttons_come_back_as_they_were(storage: Storage, keyboard: Keyboard) -> None:
    await storage.conversations.put(keyboard, NOW)
    assert await storage.conversations.get(keyboard.id, NOW) == keyboard


async def test_buttons_outlive_a_restart(database_url: str) -> None:
    async with open_storage(database_url, trust()) as storage:
        await storage.conversations.put(a_keyboard(), NOW)
    async with open_storage(database_url, trust()) as storage:
        assert await storage.conversations.get("k1", NOW) == a_keyboard()


async def test_each_answer_has_its_own_buttons(storage: Storage) -> None:
    first, second = a_keyboard("k1"), a_keyboard("k2", a_chat(5))
    for keyboard in (first, second):
        await storage.conversations.put(keyboard, NOW)
    assert await storage.conversations.get("k1", NOW) == first
    assert await storage.conversations.get("k2", NOW) == second
    assert await storage.conversations.get("k3", NOW) is None


async def test_an_id_is_never_given_to_two_answers(storage: Storage) -> None:
    await storage.conversations.put(a_keyboard(), NOW)
    with pytest.raises(StorageError):
        await storage.conversations.put(a_keyboard(acts_for=a_chat(5)), NOW)
    assert await storage.conversations.get("k1", NOW) == a_keyboard()


async def test_buttons_work_for_thirty_days(storage: Storage) -> None:
    await storage.conversations.put(a_keyboard(), NOW)
    assert dt.timedelta(days=30) == KEPT
    assert await storage.conversations.get("k1", NOW + KEPT) == a_keyboard()
    assert await storage.conversations.get("k1", NOW + KEPT + MOMENT) is None


async def test_buttons_that_are_too_old_go_when_new_ones_come(storage: Storage) -> None:
    await storage.conversations.put(a_keyboard("old"), NOW)
    await storage.conversations.put(a_keyboard("young"), NOW + MOMENT)
    await storage.conversations.put(a_keyboard("new"), NOW + KEPT + MOMENT)
    assert await sql(storage, "SELECT id FROM keyboards ORDER BY id") == [("new",), ("young",)]


async def test_buttons_are_removed_once(storage: Storage) -> None:
    for name in ("k1", "k2"):
        await storage.conversations.put(a_keyboard(name), NOW)
    assert await storage.conversations.remove("k1")
    assert not await storage.conversations.remove("k1")
    assert await storage.conversations.get("k1", NOW) is None
    assert await storage.conversations.get("k2", NOW) is not None


# Speaking for another chat


async def test_a_direct_chat_speaks_for_another_until_it_speaks_for_itself(
    storage: Storage,
) -> None:
    talk = storage.conversations
    assert await talk.focused(Platform.TELEGRAM, 42) is None
    await talk.focus(Platform.TELEGRAM, 42, -5)
    await talk.focus(Platform.TELEGRAM, 42, GROUP.chat_id)
    assert await talk.focused(Platform.TELEGRAM, 42) == GROUP.chat_id
    await talk.focus(Platform.TELEGRAM, 42, None)
    assert await talk.focused(Platform.TELEGRAM, 42) is None
    await talk.focus(Platform.TELEGRAM, 42, None)


async def test_every_direct_chat_of_every_platform_speaks_for_its_own(storage: Storage) -> None:
    talk = storage.conversations
    speakers = [(Platform.TELEGRAM, 42), (Platform.TELEGRAM, 43), (Platform.DISCORD, 42)]
    for on, (platform, chat) in enumerate(speakers, 1):
        await talk.focus(platform, chat, on)
    await talk.focus(Platform.TELEGRAM, 43, None)
    assert [await talk.focused(*speaker) for speaker in speakers] == [1, None, 3]


# Forgotten


async def test_forgetting_a_chat_deletes_the_buttons_in_it_and_about_it(storage: Storage) -> None:
    talk = storage.conversations
    chat, other = a_chat(5), a_chat(6)
    await talk.put(a_keyboard("about it", chat), NOW)
    await talk.put(a_keyboard("in it", other, chat=5), NOW)
    await talk.focus(Platform.TELEGRAM, 42, 5)
    await talk.focus(Platform.TELEGRAM, 5, 6)
    await talk.put(a_keyboard("elsewhere", other), NOW)
    await talk.put(a_keyboard("on Discord", Destination(Platform.DISCORD, 5), chat=5), NOW)
    await talk.focus(Platform.TELEGRAM, 43, 6)
    await talk.focus(Platform.DISCORD, 42, 5)
    assert await storage.destinations.forget(chat) == 0
    kept = await sql(storage, "SELECT id FROM keyboards ORDER BY id")
    assert kept == [("elsewhere",), ("on Discord",)]
    assert await sql(storage, "SELECT platform, chat_id FROM focuses ORDER BY platform") == [
        ("discord", 42),
        ("telegram", 43),
    ]


async def test_a_chat_that_follows_and_talks_leaves_nothing_when_it_is_forgotten(
    storage: Storage,
) -> None:
    await put_shows(storage)
    await follow(storage, GROUP)
    await storage.conversations.put(a_keyboard(), NOW)
    await storage.conversations.focus(Platform.TELEGRAM, 42, GROUP.chat_id)
    assert await storage.destinations.forget(GROUP) == 1
    left = await everything(storage)
    for table in ("destinations", "subscriptions", "keyboards", "focuses"):
        assert left[table] == []
