"""Destinations: where messages go, whether they can be reached, and what is stored of them."""

import datetime as dt
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.model import DeliveryState, Destination, Platform
from storage.database import Database, insert_or, reads, writes
from storage.schema import (
    LANDED,
    deliveries,
    destinations,
    fanouts,
    on_its_way,
    subscriptions,
    suspensions,
    updates,
    wishes,
)


class Destinations:
    """The chats and threads the bot speaks to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @writes
    async def suspend(
        self, connection: AsyncConnection, destination_id: int, reason: str, now: dt.datetime
    ) -> None:
        """Stop sending there for now: its subscriptions stay, what was due is held.

        What is on its way is left to its own outcome; a destination forgotten meanwhile to itself.
        """
        known = select(destinations.c.id).where(destinations.c.id == destination_id)
        if await connection.scalar(known) is None:
            return
        values = {"destination_id": destination_id, "reason": reason, "since": now}
        await connection.execute(insert_or(connection, suspensions).values(values))
        await connection.execute(
            update(deliveries)
            .where(
                deliveries.c.destination_id == destination_id,
                deliveries.c.state == DeliveryState.PENDING,
                ~on_its_way(),
            )
            .values(state=DeliveryState.HELD, reason=reason)
        )

    @writes
    async def resume(
        self, connection: AsyncConnection, destination: Destination, now: dt.datetime
    ) -> bool:
        """Send there again, what was held first; false when it was not suspended."""
        destination_id = await find_destination(connection, destination)
        ended = await connection.execute(
            delete(suspensions).where(suspensions.c.destination_id == destination_id)
        )
        if not ended.rowcount:
            return False
        await connection.execute(
            update(deliveries)
            .where(
                deliveries.c.destination_id == destination_id,
                deliveries.c.state == DeliveryState.HELD,
            )
            .values(state=DeliveryState.PENDING, due_at=now, flight=LANDED)
        )
        return True

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
        from sqlalchemy import func

        count = func.count().label("asked_by")
        statement = select(wishes.c.asked, count).group_by(wishes.c.asked)
        rows = await connection.execute(statement.order_by(count.desc(), wishes.c.asked))
        return [(row.asked, row.asked_by) for row in rows]

    @reads
    async def export(self, connection: AsyncConnection, destination: Destination) -> dict[str, Any]:
        """Everything stored about a destination, ready to be written as JSON."""
        found = await find_destination(connection, destination)
        follows = select(subscriptions).where(subscriptions.c.destination_id == found)
        asked = select(wishes.c.asked, wishes.c.at).where(wishes.c.destination_id == found)
        sent = (
            select(updates.c.id, deliveries.c.state, deliveries.c.reason, deliveries.c.settled_at)
            .join(updates, updates.c.seq == deliveries.c.update_seq)
            .where(deliveries.c.destination_id == found)
            .order_by(deliveries.c.update_seq)
        )
        held = select(suspensions).where(suspensions.c.destination_id == found)
        return {
            "platform": destination.platform,
            "chat_id": destination.chat_id,
            "thread_id": destination.thread_id,
            "subscriptions": [
                {"show": row.show_id, "kinds": sorted(row.kinds)}
                for row in await connection.execute(follows)
            ],
            "deliveries": [
                {
                    "update": row.id,
                    "state": row.state,
                    "reason": row.reason,
                    "settled_at": _iso(row.settled_at),
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
        found = await find_destination(connection, destination)
        followed = await connection.execute(
            delete(subscriptions).where(subscriptions.c.destination_id == found)
        )
        mine = select(deliveries.c.update_seq).where(deliveries.c.destination_id == found)
        # The deliveries go with the destination; the number created keeps adding up without them.
        await connection.execute(
            update(fanouts)
            .where(fanouts.c.update_seq.in_(mine))
            .values(created=fanouts.c.created - 1)
        )
        await connection.execute(delete(destinations).where(destinations.c.id == found))
        return followed.rowcount


async def find_destination(connection: AsyncConnection, destination: Destination) -> int | None:
    """The row of a destination, if it is known."""
    return await connection.scalar(
        select(destinations.c.id).where(
            destinations.c.platform == destination.platform,
            destinations.c.chat_id == destination.chat_id,
            destinations.c.thread_id == (destination.thread_id or 0),
        )
    )


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
    return found


def to_destination(platform: str, chat_id: int, thread_id: int) -> Destination:
    """A stored destination as a value."""
    return Destination(Platform(platform), chat_id, thread_id or None)


def _iso(moment: dt.datetime | None) -> str | None:
    return moment.isoformat() if moment else None
