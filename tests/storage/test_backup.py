"""Backups: sound copies, private, beside a bot at work; and the check of a file."""

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.errors import StorageError, StorageUnusable
from storage.database import Database, back_up, check_file
from storage.store import Storage, open_storage
from storage.trust import trust
from storage.upgrade import back_up_now, check
from tests.build import ROOT, TODAY
from tests.storage.builders import (
    a_chat,
    a_trailer,
    everything,
    follow,
    publish,
    put_shows,
    states,
    tell,
)


@pytest.fixture
def path(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.fixture
async def filled(sqlite_url: str, path: Path) -> Path:
    """A file with something in every page, that nobody has open."""
    async with open_storage(sqlite_url, trust()) as storage:
        await put_shows(storage)
        await follow(storage, *(a_chat(n) for n in range(100)))
        for _ in range(5):
            await tell(storage, a_trailer(evidence="x" * 500))
    return path


@pytest.fixture
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def beside(path: Path) -> list[str]:
    """The files beside a database that are not SQLite's."""
    own = {path.name, f"{path.name}-wal", f"{path.name}-shm"}
    return sorted(file.name for file in path.parent.iterdir() if file.name not in own)


@pytest.mark.usefixtures("_open_umask")
async def test_a_backup_is_a_sound_private_copy_with_everything(filled: Path) -> None:
    async with open_storage(f"sqlite:///{filled}", trust()) as storage:
        copy = await back_up_now(storage.database)
        before = await everything(storage)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert beside(filled) == [copy.name]
    check_file(copy)
    async with open_storage(f"sqlite:///{copy}", trust()) as restored:
        assert await everything(restored) == before
        await tell(restored)


async def test_a_backup_while_the_store_is_written_to_holds_whole_units(filled: Path) -> None:
    async def keep_writing(storage: Storage) -> None:
        for _ in range(25):
            await tell(storage)

    async with open_storage(f"sqlite:///{filled}", trust()) as storage:
        writing = asyncio.create_task(keep_writing(storage))
        copies = []
        while not writing.done():
            copies.append(await back_up_now(storage.database))
        await writing
    assert copies
    for copy in copies:
        await assert_whole(copy)


async def assert_whole(copy: Path) -> None:
    check_file(copy)
    async with open_storage(f"sqlite:///{copy}", trust()) as storage:
        await check(storage.database)
        assert (await states(storage))["pending"] % 100 == 0
        assert len(await storage.updates.all()) >= 5


async def test_what_is_committed_but_not_checkpointed_is_in_the_backup(filled: Path) -> None:
    async with open_storage(f"sqlite:///{filled}", trust(), checkpoints=False) as storage:
        update = a_trailer()
        await publish(storage, update)
        copy = await back_up_now(storage.database)
    async with open_storage(f"sqlite:///{copy}", trust()) as restored:
        assert await restored.updates.get(update.id) is not None


async def test_backups_at_the_same_time_have_names_of_their_own(filled: Path) -> None:
    async with open_storage(f"sqlite:///{filled}", trust()) as storage:
        copies = await asyncio.gather(*(back_up_now(storage.database) for _ in range(8)))
    assert len(set(copies)) == 8
    assert beside(filled) == sorted(copy.name for copy in copies)
    for copy in copies:
        check_file(copy)


async def test_only_a_file_is_backed_up(storage: Storage) -> None:
    if storage.database.path:
        await back_up_now(storage.database)
        return
    with pytest.raises(StorageUnusable, match="Only SQLite is backed up by Cliffhanger; use pg_d"):
        await back_up_now(storage.database)


def test_a_backup_of_what_is_no_database_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "source.db"
    source.write_bytes(b"no database" * 100)
    with pytest.raises(
        StorageError, match=r"The backup to .*copy.db failed: .*Nothing was changed"
    ):
        back_up(source, tmp_path / "copy.db")
    assert sorted(tmp_path.iterdir()) == [source]


def test_a_backup_into_a_folder_that_is_not_there_is_refused(filled: Path) -> None:
    with pytest.raises(StorageUnusable, match="Check that its folder exists"):
        back_up(filled, filled.parent / "missing" / "copy.db")


def test_a_backup_that_turns_out_unsound_is_not_kept(filled: Path) -> None:
    """VACUUM copies a row without its parent; the check of the copy finds it."""
    connection = sqlite3.connect(filled)
    connection.execute("DELETE FROM destinations WHERE id = 7")
    connection.commit()
    connection.close()
    before = beside(filled)
    with pytest.raises(StorageUnusable, match="damaged"):
        back_up(filled, filled.parent / "copy.db")
    assert beside(filled) == before


# Checking


def test_a_sound_file_passes_the_check(filled: Path) -> None:
    content = filled.read_bytes()
    check_file(filled)
    assert filled.read_bytes() == content


@pytest.mark.parametrize("name", ["a b.db", "50%.db", "what?.db", "#1.db", "größe.db", "%20.db"])
async def test_a_file_of_any_name_is_opened_checked_and_copied(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    async with open_storage(
        f"sqlite:///{str(path).replace('%', '%25').replace('?', '%3F')}", trust()
    ) as storage:
        await put_shows(storage)
        if storage.database.path == path:
            check_file(path)
    copy = tmp_path / f"copy {name}"
    source = storage.database.path
    assert source is not None
    back_up(source, copy)
    check_file(copy)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
async def test_a_damaged_file_is_found_and_named(filled: Path, share: float) -> None:
    content = bytearray(filled.read_bytes())
    start = int(len(content) * share) // 4096 * 4096
    for place in range(start, start + 400):
        content[place] ^= 0xFF
    filled.write_bytes(content)
    with pytest.raises(StorageUnusable, match=f"^{filled} is damaged"):
        check_file(filled)
    database = Database(f"sqlite:///{filled}")
    with pytest.raises(StorageUnusable, match=f"^{filled} is damaged"):
        await check(database)
    await database.close()


def test_a_file_cut_short_is_found(filled: Path) -> None:
    content = filled.read_bytes()
    filled.write_bytes(content[: len(content) // 2])
    with pytest.raises(StorageUnusable, match="is damaged"):
        check_file(filled)


def test_a_file_that_is_no_database_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(StorageUnusable, match="is damaged: file is not a database"):
        check_file(path)


def test_a_damaged_file_cannot_be_backed_up_and_says_so(filled: Path) -> None:
    content = bytearray(filled.read_bytes())
    content[4096:8192] = bytes(4096)
    filled.write_bytes(content)
    with pytest.raises(StorageError, match=r"backup|damaged"):
        back_up(filled, filled.parent / "copy.db")
    assert beside(filled) == []


async def test_the_shipped_catalogue_survives_its_backup(sqlite_url: str) -> None:
    from bot.commands.files import load

    async with open_storage(sqlite_url, trust()) as storage:
        await load(storage, [ROOT / "storage" / "curated"], TODAY, lambda loaded: None)
        copy = await back_up_now(storage.database)
        shows = await storage.shows.all()
    async with open_storage(f"sqlite:///{copy}", trust()) as restored:
        assert await restored.shows.all() == shows
