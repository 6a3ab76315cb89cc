"""Posts: the thread that a destination has for a show."""

from dataclasses import replace

import pytest

from bot.model import Destination, Platform, ShowId
from storage.store import Storage
from tests.build import a_show
from tests.storage.builders import SHOW, everything, follow, put_shows, sql

FORUM, OTHER = (Destination(Platform.DISCORD, number) for number in (1, 2))
DARK = ShowId("dark")


@pytest.fixture
async def filled(storage: Storage) -> Storage:
    """A store with two shows; two forums follow the first one."""
    await put_shows(storage, a_show(), a_show("dark"))
    await follow(storage, FORUM, OTHER)
    return storage


async def test_each_show_has_a_thread_of_its_own_in_each_forum(filled: Storage) -> None:
    for forum, show, thread in ((FORUM, SHOW, 10), (FORUM, DARK, 11), (OTHER, SHOW, 2**62)):
        await filled.posts.put(forum, show, thread)
    assert await filled.posts.get(FORUM, SHOW) == 10
    assert await filled.posts.get(FORUM, DARK) == 11
    assert await filled.posts.get(OTHER, SHOW) == 2**62
    assert await filled.posts.get(OTHER, DARK) is None


async def test_a_new_thread_takes_the_place_of_the_old_one(filled: Storage) -> None:
    for thread in (10, 11):
        await filled.posts.put(FORUM, SHOW, thread)
    assert await filled.posts.get(FORUM, SHOW) == 11


async def test_a_thread_that_is_gone_is_forgotten_and_no_other_one(filled: Storage) -> None:
    for forum, show, thread in ((FORUM, SHOW, 10), (FORUM, DARK, 11), (OTHER, SHOW, 10)):
        await filled.posts.put(forum, show, thread)
    await filled.posts.drop(FORUM, 10)
    assert await filled.posts.get(FORUM, SHOW) is None
    assert await filled.posts.get(FORUM, DARK) == 11
    assert await filled.posts.get(OTHER, SHOW) == 10


async def test_a_post_tells_for_which_forum_it_is(filled: Storage) -> None:
    await filled.posts.put(FORUM, SHOW, 10)
    assert await filled.posts.owner(replace(FORUM, thread_id=10)) == FORUM
    assert await filled.posts.owner(replace(OTHER, thread_id=10)) is None
    assert await filled.posts.owner(replace(FORUM, thread_id=11)) is None


async def test_who_deletes_everything_has_no_threads_and_gets_none(filled: Storage) -> None:
    await filled.posts.put(FORUM, SHOW, 10)
    await filled.destinations.forget(FORUM)
    assert await sql(filled, "SELECT * FROM posts") == []
    before = await everything(filled)
    await filled.posts.put(FORUM, SHOW, 11)
    await filled.posts.drop(FORUM, 11)
    assert await everything(filled) == before
