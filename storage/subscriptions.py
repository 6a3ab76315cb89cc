"""Subscriptions: who follows which show, for which kinds of news."""

from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, exists, func, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.model import DeliveryState, Destination, Kinds, Platform, ShowId, Subscription
from storage.database import Database, insert_or, reads, writes
from storage.destinations import find_destination, put_destination
from storage.outbox import UNSUBSCRIBED
from storage.schema import (
    HAS_EXTRAS,
    bits,
    counters,
    deliveries,
    no_correction,
    on_its_way,
    reachable_and_wants,
    subscriptions,
    updates,
)


class Outcome(StrEnum):
    """What a request to subscribe did."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class Subscriptions:
    """Destinations × shows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @writes
    async def put(self, connection: AsyncConnection, subscription: Subscription) -> Outcome:
        """Follow a show from now on, or change how; older updates are no news."""
        destination_id = await put_destination(connection, subscription.destination)
        row = _row(subscription.show, destination_id)
        stored = (await connection.execute(select(subscriptions).where(*row))).first()
        wanted = _wanted(subscription, stored)
        if stored and wanted == {name: getattr(stored, name) for name in wanted}:
            return Outcome.UNCHANGED
        last = select(counters.c.value).where(counters.c.name == "updates").scalar_subquery()
        await connection.execute(
            insert_or(connection, subscriptions, update=tuple(wanted)).values(
                show_id=subscription.show,
                destination_id=destination_id,
                since_seq=last,
                lane=subscription.destination.platform,
                **wanted,
            )
        )
        return Outcome.ADDED if stored is None else Outcome.CHANGED

    @writes
    async def remove(
        self, connection: AsyncConnection, destination: Destination, show: ShowId
    ) -> bool:
        """Follow a show no more; what was not sent yet expires. False when it was not followed."""
        destination_id = await find_destination(connection, destination)
        if destination_id is None:
            return False
        removed = await connection.execute(delete(subscriptions).where(*_row(show, destination_id)))
        # A correction still goes out: whoever got the mistake keeps it otherwise.
        news = exists().where(
            updates.c.seq == deliveries.c.update_seq, updates.c.show_id == show, no_correction()
        )
        await connection.execute(
            update(deliveries)
            .where(
                deliveries.c.destination_id == destination_id,
                deliveries.c.state.in_((DeliveryState.PENDING, DeliveryState.HELD)),
                ~on_its_way(),
                news,
            )
            .values(state=DeliveryState.EXPIRED, reason=UNSUBSCRIBED)
        )
        return bool(removed.rowcount)

    @reads
    async def of(self, connection: AsyncConnection, destination: Destination) -> list[Subscription]:
        """What a destination follows, by show."""
        destination_id = await find_destination(connection, destination)
        statement = select(subscriptions).where(subscriptions.c.destination_id == destination_id)
        rows = await connection.execute(statement.order_by(subscriptions.c.show_id))
        return [_subscription(destination, row) for row in rows]

    @reads
    async def get(
        self, connection: AsyncConnection, destination: Destination, show: ShowId
    ) -> Subscription | None:
        """How a destination follows a show, if it does."""
        destination_id = await find_destination(connection, destination)
        mine = select(subscriptions).where(subscriptions.c.destination_id == destination_id)
        row = (await connection.execute(mine.where(subscriptions.c.show_id == show))).first()
        return _subscription(destination, row) if row else None

    @writes
    async def drop_role(self, connection: AsyncConnection, platform: Platform, role_id: int) -> int:
        """A role is gone: alerts ping it no more. Returns how many subscriptions did."""
        pinging = (subscriptions.c.lane == platform, subscriptions.c.role_id == role_id)
        # Whoever pings has extras; said aloud, so that only those are looked through.
        those = update(subscriptions).where(text(f"({HAS_EXTRAS})"), *pinging)
        return (await connection.execute(those.values(role_id=None))).rowcount

    @reads
    async def audience(self, connection: AsyncConnection, show: ShowId, kinds: Kinds) -> int:
        """How many destinations that can be reached want some of these kinds of news of a show."""
        statement = select(func.count()).select_from(subscriptions)
        found = statement.where(
            subscriptions.c.show_id == show, *reachable_and_wants(literal(bits(kinds)))
        )
        return (await connection.execute(found)).scalar_one()


def _wanted(asked: Subscription, stored: Row[Any] | None) -> dict[str, Any]:
    """What is to be stored of a request: where it leaves something open, what is stored already."""
    role_id, publish = asked.role_id, asked.publish
    if role_id is None and stored:
        role_id = stored.role_id
    if publish is None and stored:
        publish = stored.publish
    return {"kinds": asked.kinds, "role_id": role_id, "publish": int(publish or 0)}


def _subscription(destination: Destination, row: Row[Any]) -> Subscription:
    return Subscription(destination, row.show_id, row.kinds, row.role_id, bool(row.publish))


def _row(show: ShowId, destination_id: int) -> tuple[ColumnElement[bool], ...]:
    return subscriptions.c.show_id == show, subscriptions.c.destination_id == destination_id
