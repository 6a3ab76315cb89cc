"""A chat that goes on under another id: its destinations move, or join those of the new chat."""

import datetime as dt
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, delete, exists, func, select, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.model import DeliveryState, Platform
from storage.database import WholeNumber
from storage.schema import (
    LANDED,
    Flight,
    deliveries,
    destinations,
    doubts,
    fanouts,
    focuses,
    keyboards,
    on_its_way,
    subscriptions,
    suspensions,
    wishes,
)


async def move_chat(
    connection: AsyncConnection, platform: Platform, old: int, new: int, now: dt.datetime
) -> None:
    """Move every destination of the chat `old` to the chat `new`."""
    of_chat = (destinations.c.platform == platform, destinations.c.chat_id == old)
    for row in list(await connection.execute(select(destinations).where(*of_chat))):
        there = select(destinations.c.id).where(
            destinations.c.platform == platform,
            destinations.c.chat_id == new,
            destinations.c.thread_id == row.thread_id,
        )
        target = await connection.scalar(there)
        if target is None:
            moved = update(destinations).where(destinations.c.id == row.id)
            await connection.execute(moved.values(chat_id=new))
            await resume_row(connection, row.id, now)
        else:
            await _join(connection, row.id, target, now)
    for table in (keyboards, focuses):
        about = (table.c.platform == platform, table.c.for_chat_id == old)
        await connection.execute(update(table).where(*about).values(for_chat_id=new))


async def resume_row(connection: AsyncConnection, destination_id: int, now: dt.datetime) -> bool:
    """End the suspension of a destination and free what was held; false when there was none."""
    ended = await connection.execute(
        delete(suspensions).where(suspensions.c.destination_id == destination_id)
    )
    if not ended.rowcount:
        return False
    await _free(connection, destination_id, now)
    return True


async def _free(connection: AsyncConnection, destination_id: int, now: dt.datetime) -> None:
    held = (
        deliveries.c.destination_id == destination_id,
        deliveries.c.state == DeliveryState.HELD,
    )
    await connection.execute(
        update(deliveries)
        .where(*held)
        .values(state=DeliveryState.PENDING, due_at=now, flight=LANDED)
    )


async def _join(connection: AsyncConnection, old: int, new: int, now: dt.datetime) -> None:
    """Give everything of one destination to another one; the first stays as a signpost."""
    await _join_subscriptions(connection, old, new)
    await _join_deliveries(connection, old, new)
    await connection.execute(
        update(wishes)
        .where(wishes.c.destination_id == old, ~_also(wishes, new, "asked"))
        .values(destination_id=new)
    )
    for table in (wishes, suspensions, doubts):
        await connection.execute(delete(table).where(table.c.destination_id == old))
    held = select(suspensions.c.since).where(suspensions.c.destination_id == new)
    if await connection.scalar(held) is None:
        await _free(connection, new, now)
    signposts = (destinations.c.id == old) | (destinations.c.moved_to == old)
    await connection.execute(update(destinations).where(signposts).values(moved_to=new))


async def _join_subscriptions(connection: AsyncConnection, old: int, new: int) -> None:
    """Follow what either followed, for the kinds that either wanted."""
    theirs = subscriptions.alias()
    both = and_(theirs.c.destination_id == old, theirs.c.show_id == subscriptions.c.show_id)
    wanted = select(theirs.c.kinds).where(both).scalar_subquery()
    kinds = func.coalesce(wanted, subscriptions.c.kinds)
    merged = _bits(subscriptions.c.kinds).bitwise_or(_bits(kinds))
    await connection.execute(
        update(subscriptions)
        .where(subscriptions.c.destination_id == new, exists().where(both))
        .values(kinds=merged)
    )
    await connection.execute(
        update(subscriptions)
        .where(subscriptions.c.destination_id == old, ~_also(subscriptions, new, "show_id"))
        .values(destination_id=new)
    )
    await connection.execute(delete(subscriptions).where(subscriptions.c.destination_id == old))


async def _join_deliveries(connection: AsyncConnection, old: int, new: int) -> None:
    """One delivery of each update is left: the one that was sent, where one was."""
    ours = (deliveries.c.destination_id == old, ~on_its_way())
    theirs = deliveries.alias()
    sent_there = exists().where(
        theirs.c.destination_id == old,
        theirs.c.update_seq == deliveries.c.update_seq,
        theirs.c.state.in_((DeliveryState.SENT, DeliveryState.UNCERTAIN))
        | (theirs.c.flight > Flight.GROUNDED),
    )
    unsent = (
        deliveries.c.destination_id == new,
        deliveries.c.state.in_((DeliveryState.PENDING, DeliveryState.HELD)),
        deliveries.c.flight == Flight.GROUNDED,
    )
    await _drop(connection, and_(*unsent, sent_there))
    await connection.execute(
        update(deliveries)
        .where(*ours, ~_also(deliveries, new, "update_seq"))
        .values(destination_id=new)
    )
    await _drop(connection, and_(*ours))


async def _drop(connection: AsyncConnection, which: ColumnElement[bool]) -> None:
    """Delete deliveries that have a twin; the number created keeps adding up."""
    seqs = list(await connection.scalars(select(deliveries.c.update_seq).where(which)))
    await connection.execute(delete(deliveries).where(which))
    if seqs:
        fewer = update(fanouts).where(fanouts.c.update_seq.in_(seqs))
        await connection.execute(fewer.values(created=fanouts.c.created - 1))


def _also(table: Table, destination_id: int, by: str) -> ColumnElement[bool]:
    """The condition that the other destination has such a row as well."""
    other = table.alias()
    return exists().where(other.c.destination_id == destination_id, other.c[by] == table.c[by])


def _bits(kinds: ColumnElement[Any]) -> ColumnElement[int]:
    return type_coerce(kinds, WholeNumber)
