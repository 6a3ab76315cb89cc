"""What the storage tests share: stores ready for use, chats that follow, news, and raw rows."""

import asyncio
import datetime as dt
import functools
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.model import (
    ALL_KINDS,
    Delivery,
    DeliveryState,
    Destination,
    Kinds,
    Platform,
    Seq,
    Show,
    ShowId,
    Subscription,
    Update,
)
from bot.poll import decide
from storage.database import Database
from storage.outbox import Parcel, Settlement
from storage.store import Storage, open_storage
from storage.trust import trust
from tests.build import NOW, TODAY, a_show, an_update

SHOW: Final = a_show().id
LEASE: Final = dt.timedelta(minutes=5)
SECOND: Final = dt.timedelta(seconds=1)
_NUMBERS: Final = count(1)


def a_chat(number: int = 1, thread: int | None = None) -> Destination:
    """A chat on Telegram, or a topic of it."""
    return Destination(Platform.TELEGRAM, number, thread)


def a_trailer(**changes: Any) -> Update:
    """A trailer that no other update is about."""
    video = f"https://www.youtube.com/watch?v={next(_NUMBERS):011}"
    return an_update("trailer", **{"value": video, **changes})


async def put_shows(storage: Storage, *shows: Show) -> None:
    """Fill the catalogue; with one show where none is named."""
    named = shows or (a_show(),)
    await storage.publishing.load(list(enumerate(named, 1)), TODAY)


async def follow(
    storage: Storage, *chats: Destination, kinds: Kinds = ALL_KINDS, show: ShowId = SHOW
) -> None:
    """Let chats follow a show."""
    for chat in chats:
        await storage.subscriptions.put(Subscription(chat, show, kinds))


def followed(chat: Destination, show: ShowId = SHOW, kinds: Kinds = ALL_KINDS) -> Subscription:
    """A subscription as it is stored when nothing but the kinds was asked for."""
    return Subscription(chat, show, kinds, publish=False)


async def publish(storage: Storage, update: Update) -> Seq:
    """Publish an update; returns its place in the log."""
    stored = (await storage.publishing.publish(update, TODAY)).update
    logged = await storage.updates.get(stored.id)
    assert logged is not None
    return logged.seq


async def poll(storage: Storage, now: dt.datetime = NOW) -> None:
    """Take all that is new, as the poll does."""
    while await storage.fanouts.take(decide, now, 500):
        pass


async def expand(storage: Storage, chunk: int = 1000) -> None:
    """Expand every open job to its end."""
    for seq in await storage.fanouts.open_jobs():
        while seq in await storage.fanouts.open_jobs():
            await storage.fanouts.expand(seq, chunk)


async def fan_out(storage: Storage, now: dt.datetime = NOW) -> None:
    """Poll and expand everything."""
    await poll(storage, now)
    await expand(storage)


async def tell(storage: Storage, update: Update | None = None) -> Seq:
    """Publish, poll and expand: the update is pending for every follower."""
    seq = await publish(storage, update or a_trailer())
    await fan_out(storage)
    return seq


async def claim(storage: Storage, now: dt.datetime = NOW, limit: int = 100) -> list[Parcel]:
    """Claim what is due."""
    return await storage.deliveries.claim(now, LEASE, limit)


async def claim_all(storage: Storage, now: dt.datetime = NOW) -> list[Delivery]:
    """Claim everything that is due, as deliveries."""
    return [one for parcel in await claim(storage, now) for one in parcel.deliveries]


async def board(storage: Storage, claimed: list[Delivery]) -> list[Delivery]:
    """Put what was claimed aboard: from here on nobody knows whether it arrives."""
    await storage.deliveries.settle([], claimed)
    return claimed


def sent(delivery: Delivery, at: dt.datetime = NOW) -> Settlement:
    """It arrived."""
    return Settlement(delivery, DeliveryState.SENT, at, message_id="m1")


def again(delivery: Delivery, at: dt.datetime = NOW, *, maybe: bool = False) -> Settlement:
    """It did not arrive, or nobody knows; it is tried again in ten seconds."""
    due = at + 10 * SECOND
    return Settlement(
        delivery, DeliveryState.PENDING, at, due_at=due, reason="no answer", maybe_sent=maybe
    )


async def deliver(storage: Storage, now: dt.datetime = NOW) -> list[Delivery]:
    """Claim everything that is due and say that it was sent."""
    delivered: list[Delivery] = []
    while claimed := await claim_all(storage, now):
        await storage.deliveries.settle([sent(one, now) for one in claimed])
        delivered += claimed
    return delivered


async def state_of(storage: Storage, chat: Destination, seq: Seq) -> str | None:
    """The state of one delivery, if there is one."""
    rows = await sql(
        storage,
        "SELECT state FROM deliveries JOIN destinations ON id = destination_id "
        f"WHERE chat_id = {chat.chat_id} AND thread_id = {chat.thread_id or 0} "
        f"AND update_seq = {seq}",
    )
    return str(rows[0][0]) if rows else None


async def id_of(storage: Storage, chat: Destination) -> int:
    """The row of a chat."""
    ((found,),) = await sql(
        storage,
        f"SELECT id FROM destinations WHERE platform = '{chat.platform}' "
        f"AND chat_id = {chat.chat_id} AND thread_id = {chat.thread_id or 0}",
    )
    return int(found)


async def chats_told(storage: Storage, seq: Seq) -> list[int]:
    """The chats for which there is a delivery of an update, whatever its state."""
    rows = await sql(
        storage,
        "SELECT chat_id FROM deliveries JOIN destinations ON id = destination_id "
        f"WHERE update_seq = {seq} ORDER BY chat_id",
    )
    return [row[0] for row in rows]


async def states(storage: Storage) -> dict[str, int]:
    """The states that occur; they add up to what was created."""
    counts = await storage.deliveries.counts()
    assert list(counts) == list(DeliveryState)
    assert await storage.deliveries.unaccounted() == 0
    assert sum(counts.values()) == await storage.fanouts.created()
    return {str(state): number for state, number in counts.items() if number}


async def sql(where: Storage | Database, statement: str) -> list[tuple[Any, ...]]:
    """The rows of a reading statement."""
    database = where.database if isinstance(where, Storage) else where

    async def work(connection: AsyncConnection) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await connection.execute(text(statement))]

    return await database.read(work)


async def write(where: Storage | Database, *statements: str) -> None:
    """Run statements as one unit of work."""
    database = where.database if isinstance(where, Storage) else where

    async def work(connection: AsyncConnection) -> None:
        for statement in statements:
            await connection.execute(text(statement))

    await database.write(work)


async def everything(where: Storage | Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    database = where.database if isinstance(where, Storage) else where
    sqlite = database.path is not None
    names = await sql(
        database,
        "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        if sqlite
        else "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename",
    )
    return {
        name: sorted(await sql(database, f"SELECT * FROM {name}"), key=repr) for (name,) in names
    }


@functools.cache
def blank() -> bytes:
    """A SQLite file of this version with nothing in it; copying it is quicker than making it."""

    async def make(path: Path) -> None:
        async with open_storage(f"sqlite:///{path}", trust()):
            pass

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:
        path = Path(folder) / "blank.db"
        thread.submit(lambda: asyncio.run(make(path))).result()
        return path.read_bytes()


def a_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for one example of a property, in memory where there is such a place."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)


@asynccontextmanager
async def a_store(*shows: Show) -> AsyncIterator[Storage]:
    """A new SQLite store with these shows, for one example of a property."""
    with a_folder() as folder:
        path = Path(folder) / "store.db"
        path.write_bytes(blank())
        async with open_storage(f"sqlite:///{path}", trust()) as storage:
            if shows:
                await put_shows(storage, *shows)
            yield storage
