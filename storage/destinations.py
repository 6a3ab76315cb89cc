"""Destinations: where messages go, whether they can be reached, and what is stored of them."""

import datetime as dt
import json
from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Text,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.model import DeliveryState, Destination, Platform
from storage.database import Database, among, insert_or, reads, writes
from storage.joins import Signposts, hold
from storage.moves import move_chat, resume_row
from storage.schema import (
    deliveries,
    destinations,
    doubts,
    fanouts,
    focuses,
    keyboards,
    on_its_way,
    posts,
    subscriptions,
    suspensions,
    updates,
    wishes,
)


class Unreached(NamedTuple):
    """A destination that is suspended, or only in doubt, and why."""

    destination: Destination
    why: str
    suspended: bool


class Destinations:
    """The chats and threads the bot speaks to."""

    def __init__(self, database: Database, signposts: Signposts) -> None:
        self._database = database
        self._signposts = signposts

    @writes
    async def suspend(
        self, connection: AsyncConnection, destination_id: int, reason: str, now: dt.datetime
    ) -> None:
        """Stop sending there for now: its subscriptions stay, what was due is held.

        What is on its way is left to its own outcome; a destination forgotten meanwhile to itself.
        """
        await _suspend(connection, destination_id, reason, now)

    @writes
    async def suspend_chat(
        self,
        connection: AsyncConnection,
        platform: Platform,
        chat_id: int,
        reason: str,
        now: dt.datetime,
    ) -> int:
        """Stop sending to a chat and all of its threads; returns how many destinations it has."""
        known = await _rows(connection, platform, destinations.c.chat_id == chat_id)
        return await _suspend_all(connection, known, reason, now)

    @writes
    async def suspend_thread(
        self,
        connection: AsyncConnection,
        platform: Platform,
        chat_id: int,
        thread_id: int,
        reason: str,
        now: dt.datetime,
    ) -> bool:
        """Stop sending to one thread of a chat; false when it is no destination."""
        thread = Destination(platform, chat_id, thread_id)
        destination_id = await find_destination(connection, thread)
        if destination_id is None:
            return False
        await _suspend(connection, destination_id, reason, now)
        return True

    @writes
    async def suspend_home(
        self,
        connection: AsyncConnection,
        platform: Platform,
        home_id: int,
        reason: str,
        now: dt.datetime,
    ) -> int:
        """Stop sending to everything in a server; returns how many destinations it has."""
        known = await _rows(connection, platform, destinations.c.home_id == home_id)
        return await _suspend_all(connection, known, reason, now)

    @writes
    async def missing_homes(
        self,
        connection: AsyncConnection,
        platform: Platform,
        present: Collection[int],
        reason: str,
        now: dt.datetime,
        over: dt.timedelta,
    ) -> int:
        """Doubt what is in servers that are not among those `present`; end it where they are.

        What has been missing for at least `over` is suspended; returns how many were now. A doubt
        for another `reason` is left to whoever has it.
        """
        listed = literal(json.dumps(list(present)), Text)
        here = destinations.c.home_id.op("IN")(among(listed))
        missing = destinations.c.home_id.op("NOT IN")(among(listed))
        back = select(destinations.c.id).where(*_known(platform, here))
        ours = doubts.c.reason == reason
        await connection.execute(delete(doubts).where(ours, doubts.c.destination_id.in_(back)))
        lost = (*_known(platform, missing), ~_SUSPENDED)
        first = select(
            destinations.c.id, literal(reason, Text), literal(now, doubts.c.since.type), literal(1)
        ).where(*lost)
        columns = ["destination_id", "reason", "since", "times"]
        await connection.execute(insert_or(connection, doubts).from_select(columns, first))
        believed = (ours, doubts.c.since <= now - over)
        gone = select(destinations.c.id).join(doubts).where(*lost, *believed)
        return await _suspend_all(connection, list(await connection.scalars(gone)), reason, now)

    @writes
    async def resume(
        self, connection: AsyncConnection, destination: Destination, now: dt.datetime
    ) -> bool:
        """Send there again, what was held first, and at once what waited for it to be reached.

        False when it was neither suspended nor in doubt.
        """
        destination_id = await find_destination(connection, destination)
        if destination_id is None:
            return False
        resumed = await resume_row(connection, destination_id, now)
        mine = doubts.c.destination_id == destination_id
        doubted = await connection.execute(delete(doubts).where(mine))
        if doubted.rowcount:
            await _hurry(connection, deliveries.c.destination_id == destination_id, now)
        return resumed or bool(doubted.rowcount)

    @writes
    async def resume_chat(
        self, connection: AsyncConnection, platform: Platform, chat_id: int, now: dt.datetime
    ) -> bool:
        """Send to a chat and all of its threads again; false when none was suspended."""
        known = await _rows(connection, platform, destinations.c.chat_id == chat_id)
        return any([await resume_row(connection, one, now) for one in known])

    @writes
    async def resume_home(
        self, connection: AsyncConnection, platform: Platform, home_id: int, now: dt.datetime
    ) -> bool:
        """Send to everything in a server again; false when nothing was suspended."""
        known = await _rows(connection, platform, destinations.c.home_id == home_id)
        return any([await resume_row(connection, one, now) for one in known])

    @writes
    async def hurry_home(
        self, connection: AsyncConnection, platform: Platform, home_id: int, now: dt.datetime
    ) -> bool:
        """Make due now what waits in a server; false when nothing does."""
        known = select(destinations.c.id).where(
            *_known(platform, destinations.c.home_id == home_id)
        )
        return await _hurry(connection, deliveries.c.destination_id.in_(known), now)

    @reads
    async def unreached_in(
        self, connection: AsyncConnection, platform: Platform, home_id: int
    ) -> list[Unreached]:
        """What is suspended in a server, or in doubt."""
        mine = destinations.c.id
        why = func.coalesce(suspensions.c.reason, doubts.c.reason)
        rows = (
            select(destinations, why.label("why"), suspensions.c.since)
            .outerjoin(suspensions, suspensions.c.destination_id == mine)
            .outerjoin(doubts, doubts.c.destination_id == mine)
            .where(*_known(platform, destinations.c.home_id == home_id), why.is_not(None))
            .order_by(mine)
        )
        return [
            Unreached(
                to_destination(row.platform, row.chat_id, row.thread_id, row.home_id),
                row.why,
                suspended=row.since is not None,
            )
            for row in await connection.execute(rows)
        ]

    @reads
    async def unreached_homes(self, connection: AsyncConnection, platform: Platform) -> set[int]:
        """The servers where something is suspended, or in doubt."""
        doubted = exists().where(doubts.c.destination_id == destinations.c.id)
        here = _known(platform, destinations.c.home_id.is_not(None))
        homes = select(destinations.c.home_id).where(*here, or_(_SUSPENDED, doubted)).distinct()
        return set(await connection.scalars(homes))

    @reads
    async def suspended(self, connection: AsyncConnection, destination: Destination) -> bool:
        """Whether sending there has stopped for now."""
        destination_id = await find_destination(connection, destination)
        held = select(suspensions.c.since).where(suspensions.c.destination_id == destination_id)
        return await connection.scalar(held) is not None

    @writes
    async def doubt(
        self, connection: AsyncConnection, destination_id: int, reason: str, now: dt.datetime
    ) -> tuple[int, dt.datetime]:
        """Note that a destination seems lost; returns how often it did, and since when."""
        mine = doubts.c.destination_id == destination_id
        row = (await connection.execute(select(doubts).where(mine))).first()
        if row:
            again = update(doubts).where(mine).values(times=row.times + 1, reason=reason)
            await connection.execute(again)
            return row.times + 1, row.since
        if await _is_here(connection, destination_id):
            first = {"destination_id": destination_id, "reason": reason, "since": now, "times": 1}
            await connection.execute(insert(doubts).values(first))
        return 1, now

    @writes
    async def clear_doubt(self, connection: AsyncConnection, destination_id: int) -> None:
        """Something arrived there: it is not lost."""
        await connection.execute(delete(doubts).where(doubts.c.destination_id == destination_id))

    @reads
    async def doubted(self, connection: AsyncConnection) -> set[int]:
        """The destinations that seem lost."""
        return set(await connection.scalars(select(doubts.c.destination_id)))

    @writes
    async def move(
        self,
        connection: AsyncConnection,
        platform: Platform,
        old: int,
        new: int,
        now: dt.datetime,
    ) -> None:
        """The chat `old` goes on as `new`: everything of it moves there, thread by thread.

        Where the new one is known already the two become one; nothing is sent twice to it, and
        what is on its way follows when its outcome is known. Doing it again changes nothing.
        """
        self._signposts.any = True
        await move_chat(connection, platform, old, new, now)

    @writes
    async def wish(
        self, connection: AsyncConnection, destination: Destination, asked: str, now: dt.datetime
    ) -> None:
        """Note a title that was asked for and is not in the catalogue."""
        destination_id = await put_destination(connection, destination)
        values = {"destination_id": destination_id, "asked": asked, "at": now}
        await connection.execute(insert_or(connection, wishes).values(values))

    @reads
    async def wishes(self, connection: AsyncConnection) -> list[tuple[str, int]]:
        """Titles that were asked for in vain, with how many chats asked, most first."""
        count = func.count().label("asked_by")
        statement = select(wishes.c.asked, count).group_by(wishes.c.asked)
        rows = await connection.execute(statement.order_by(count.desc(), wishes.c.asked))
        return [(row.asked, row.asked_by) for row in rows]

    @reads
    async def export(self, connection: AsyncConnection, destination: Destination) -> dict[str, Any]:
        """Everything stored about a destination, ready to be written as JSON."""
        found = await find_destination(connection, destination)
        follows = (
            select(subscriptions)
            .where(subscriptions.c.destination_id == found)
            .order_by(subscriptions.c.show_id)
        )
        asked = select(wishes.c.asked, wishes.c.at).where(wishes.c.destination_id == found)
        sent = (
            select(
                updates.c.id,
                deliveries.c.state,
                deliveries.c.reason,
                deliveries.c.settled_at,
                deliveries.c.attempts,
                deliveries.c.trail,
            )
            .join(updates, updates.c.seq == deliveries.c.update_seq)
            .where(deliveries.c.destination_id == found)
            .order_by(deliveries.c.update_seq)
        )
        held = select(suspensions).where(suspensions.c.destination_id == found)
        threads = select(posts).where(posts.c.destination_id == found).order_by(posts.c.show_id)
        home = select(destinations.c.home_id).where(destinations.c.id == found)
        return {
            "platform": destination.platform,
            "chat_id": destination.chat_id,
            "thread_id": destination.thread_id,
            "server_id": await connection.scalar(home),
            "subscriptions": [
                {
                    "show": row.show_id,
                    "kinds": sorted(row.kinds),
                    "role_id": row.role_id,
                    "publish": bool(row.publish),
                }
                for row in await connection.execute(follows)
            ],
            "posts": [
                {"show": row.show_id, "thread_id": row.thread_id}
                for row in await connection.execute(threads)
            ],
            "deliveries": [
                {
                    "update": row.id,
                    "state": row.state,
                    "reason": row.reason,
                    "settled_at": _iso(row.settled_at),
                    "attempts": row.attempts,
                    "answers": row.trail.splitlines() if row.trail else [],
                }
                for row in await connection.execute(sent)
            ],
            "wishes": [
                {"title": row.asked, "at": _iso(row.at)} for row in await connection.execute(asked)
            ],
            "suspended": [
                {"reason": row.reason, "since": _iso(row.since)}
                for row in await connection.execute(held)
            ],
        }

    @writes
    async def forget(self, connection: AsyncConnection, destination: Destination) -> int:
        """Delete everything about a destination; returns how many subscriptions there were."""
        await forget_conversations(connection, destination)
        return await forget_destination(connection, destination)


_SUSPENDED: Final = exists().where(suspensions.c.destination_id == destinations.c.id)


def _known(platform: Platform, which: ColumnElement[bool]) -> tuple[ColumnElement[bool], ...]:
    """The conditions for destinations of a platform that have not become others."""
    return destinations.c.platform == platform, which, destinations.c.moved_to.is_(None)


async def _rows(
    connection: AsyncConnection, platform: Platform, which: ColumnElement[bool]
) -> list[int]:
    here = select(destinations.c.id).where(*_known(platform, which))
    return list(await connection.scalars(here))


async def _hurry(connection: AsyncConnection, which: ColumnElement[bool], now: dt.datetime) -> bool:
    """Make due what waits; what is on its way is left to its own outcome."""
    waits = (
        which,
        deliveries.c.state == DeliveryState.PENDING,
        ~on_its_way(),
        deliveries.c.due_at > now,
    )
    hurried = await connection.execute(update(deliveries).where(*waits).values(due_at=now))
    return hurried.rowcount > 0


async def _suspend_all(
    connection: AsyncConnection, ids: Sequence[int], reason: str, now: dt.datetime
) -> int:
    for destination_id in ids:
        await _suspend(connection, destination_id, reason, now)
    return len(ids)


async def _is_here(connection: AsyncConnection, destination_id: int) -> bool:
    """Whether a destination is known, and has not become another one."""
    known = (destinations.c.id == destination_id, destinations.c.moved_to.is_(None))
    return await connection.scalar(select(destinations.c.id).where(*known)) is not None


async def _suspend(
    connection: AsyncConnection, destination_id: int, reason: str, now: dt.datetime
) -> None:
    if not await _is_here(connection, destination_id):
        return
    values = {"destination_id": destination_id, "reason": reason, "since": now}
    await connection.execute(insert_or(connection, suspensions).values(values))
    await connection.execute(delete(doubts).where(doubts.c.destination_id == destination_id))
    await hold(connection, destination_id, reason)


async def forget_conversations(connection: AsyncConnection, destination: Destination) -> None:
    """Delete what is kept of the conversations in the chat, or about it."""
    for table in (keyboards, focuses):
        about = or_(
            table.c.chat_id == destination.chat_id, table.c.for_chat_id == destination.chat_id
        )
        here = table.c.platform == destination.platform
        await connection.execute(delete(table).where(here, about))


async def forget_destination(connection: AsyncConnection, destination: Destination) -> int:
    """Delete a destination and all that hangs on it; returns how many subscriptions there were."""
    found = await find_destination(connection, destination)
    if found is None:
        return 0
    followed = await connection.execute(
        delete(subscriptions).where(subscriptions.c.destination_id == found)
    )
    # What this chat left behind when it got its id goes with it.
    former = select(destinations.c.id).where(destinations.c.moved_to == found)
    rows = [found, *await connection.scalars(former)]
    for one in rows:
        mine = select(deliveries.c.update_seq).where(deliveries.c.destination_id == one)
        # The deliveries go too; the number created keeps adding up without them.
        await connection.execute(
            update(fanouts)
            .where(fanouts.c.update_seq.in_(mine))
            .values(created=fanouts.c.created - 1)
        )
    await connection.execute(delete(destinations).where(destinations.c.id.in_(rows)))
    return followed.rowcount


async def find_destination(connection: AsyncConnection, destination: Destination) -> int | None:
    """The row of a destination, if it is known: where it has moved, the one it has become."""
    found: int | None = await connection.scalar(
        select(func.coalesce(destinations.c.moved_to, destinations.c.id)).where(
            destinations.c.platform == destination.platform,
            destinations.c.chat_id == destination.chat_id,
            destinations.c.thread_id == (destination.thread_id or 0),
        )
    )
    return found


async def put_destination(connection: AsyncConnection, destination: Destination) -> int:
    """The row of a destination, made where it is new."""
    values = {
        "platform": destination.platform,
        "chat_id": destination.chat_id,
        "thread_id": destination.thread_id or 0,
    }
    await connection.execute(insert_or(connection, destinations).values(values))
    found = await find_destination(connection, destination)
    assert found is not None  # noqa: S101 - it was just stored
    if destination.home_id is not None:
        new = (
            destinations.c.id == found,
            destinations.c.home_id.is_distinct_from(destination.home_id),
        )
        home = update(destinations).where(*new).values(home_id=destination.home_id)
        await connection.execute(home)
    return found


def to_destination(
    platform: str, chat_id: int, thread_id: int, home_id: int | None = None
) -> Destination:
    """A stored destination as a value."""
    return Destination(Platform(platform), chat_id, thread_id or None, home_id)


def _iso(moment: dt.datetime | None) -> str | None:
    return moment.isoformat() if moment else None
