"""Purges: destinations that nothing could be delivered to for so long that they are forgotten."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, and_, case, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.model import Destination
from storage.database import Database, reads, writes
from storage.destinations import forget_conversations, forget_destination, to_destination
from storage.schema import destinations, doubts, subscriptions, suspensions


@dataclass(frozen=True, slots=True)
class Purge:
    """A destination that is to be forgotten, and why.

    `sibling` is one of the same chat or server that can be reached and follows something; there
    is none where this one follows nothing, for then there is nothing to tell.
    """

    destination: Destination
    destination_id: int
    reason: str
    since: dt.datetime
    sibling: Destination | None = None


class Purges:
    """The destinations that have been suspended for long."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reads
    async def due(
        self, connection: AsyncConnection, now: dt.datetime, after: dt.timedelta, limit: int
    ) -> list[Purge]:
        """At most `limit` destinations that have been suspended for `after`, the longest first."""
        statement = (
            select(destinations, suspensions.c.reason, suspensions.c.since, _FOLLOWS.label("any"))
            .join(suspensions, suspensions.c.destination_id == destinations.c.id)
            .where(suspensions.c.since <= now - after, destinations.c.moved_to.is_(None))
            .order_by(suspensions.c.since, destinations.c.id)
            .limit(limit)
        )
        rows = list(await connection.execute(statement))
        return [
            Purge(
                _destination(row),
                row.id,
                row.reason,
                row.since,
                await _sibling(connection, row) if row.any else None,
            )
            for row in rows
        ]

    @writes
    async def forget(self, connection: AsyncConnection, purge: Purge) -> bool:
        """Delete everything about a destination; false where it can be reached again since."""
        still = select(suspensions.c.since).where(
            suspensions.c.destination_id == purge.destination_id,
            suspensions.c.since == purge.since,
        )
        if await connection.scalar(still) is None:
            return False
        lost = purge.destination
        await forget_destination(connection, lost)
        others = select(destinations.c.id).where(
            destinations.c.platform == lost.platform, destinations.c.chat_id == lost.chat_id
        )
        if (await connection.execute(others)).first() is None:  # or else some go on there
            await forget_conversations(connection, lost)
        return True


_FOLLOWS: Final = exists().where(subscriptions.c.destination_id == destinations.c.id)


async def _sibling(connection: AsyncConnection, lost: Row[Any]) -> Destination | None:
    """Where those who were at a lost destination may read: the same chat before the same server."""
    same_chat = destinations.c.chat_id == lost.chat_id
    same_home = and_(destinations.c.home_id.is_not(None), destinations.c.home_id == lost.home_id)
    unreached = (
        exists().where(table.c.destination_id == destinations.c.id)
        for table in (suspensions, doubts)
    )
    statement = (
        select(destinations)
        .where(
            destinations.c.platform == lost.platform,
            or_(same_chat, same_home),
            destinations.c.id != lost.id,
            destinations.c.moved_to.is_(None),
            _FOLLOWS,
            *(~one for one in unreached),
        )
        .order_by(
            case((same_chat, 0), else_=1), func.abs(destinations.c.thread_id), destinations.c.id
        )
        .limit(1)
    )
    row = (await connection.execute(statement)).first()
    return _destination(row) if row else None


def _destination(row: Row[Any]) -> Destination:
    return to_destination(row.platform, row.chat_id, row.thread_id, row.home_id)
