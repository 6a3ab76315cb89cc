"""A chat that goes on under another id: its destinations move, or join those of the new chat."""

import datetime as dt
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Table,
    and_,
    case,
    delete,
    exists,
    func,
    select,
    type_coerce,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.model import Platform
from storage.database import WholeNumber
from storage.fanouts import catch_up
from storage.joins import follow, free, hold, join_deliveries
from storage.schema import (
    deliveries,
    destinations,
    doubts,
    focuses,
    keyboards,
    posts,
    subscriptions,
    suspensions,
    wishes,
)


async def move_chat(
    connection: AsyncConnection, platform: Platform, old: int, new: int, now: dt.datetime
) -> None:
    """Move every destination of the chat `old` to the chat `new`."""
    if old == new:
        return
    of_chat = (destinations.c.platform == platform, destinations.c.chat_id == old)
    here = select(destinations).where(*of_chat, destinations.c.moved_to.is_(None))
    for row in list(await connection.execute(here)):
        # In the new chat messages are counted anew: an id of the old one is another message there.
        told = update(deliveries).where(deliveries.c.destination_id == row.id)
        await connection.execute(told.values(message_id=None))
        there = select(destinations.c.id).where(
            destinations.c.platform == platform,
            destinations.c.chat_id == new,
            destinations.c.thread_id == row.thread_id,
        )
        target = await connection.scalar(there)
        if target is None:
            moved = update(destinations).where(destinations.c.id == row.id)
            await connection.execute(moved.values(chat_id=new))
            # What was said of the old chat, and its threads, are none of the new one's.
            for table in (doubts, posts):
                await connection.execute(delete(table).where(table.c.destination_id == row.id))
            await resume_row(connection, row.id, now)
        else:
            await _join(connection, row.id, target, now)
            await follow(connection)
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
    await free(connection, destination_id, now)
    return True


async def _join(connection: AsyncConnection, old: int, new: int, now: dt.datetime) -> None:
    """Give everything of one destination to another one; the first stays as a signpost."""
    # It may have been a signpost itself: a chat that moved away and is back.
    back = update(destinations).where(destinations.c.id == new)
    await connection.execute(back.values(moved_to=None))
    # A fan-out has come to one of them and not to the other: it would miss what moves behind it.
    await catch_up(connection, old)
    await catch_up(connection, new)
    await _join_subscriptions(connection, old, new)
    await join_deliveries(connection, old, new)
    await connection.execute(
        update(wishes)
        .where(wishes.c.destination_id == old, ~_also(wishes, new, "asked"))
        .values(destination_id=new)
    )
    for table in (wishes, suspensions, doubts, posts):
        await connection.execute(delete(table).where(table.c.destination_id == old))
    why = select(suspensions.c.reason).where(suspensions.c.destination_id == new)
    reason = await connection.scalar(why)
    if reason is None:
        await free(connection, new, now)
    else:
        await hold(connection, new, reason)
    signposts = (destinations.c.id == old) | (destinations.c.moved_to == old)
    await connection.execute(update(destinations).where(signposts).values(moved_to=new))


async def _join_subscriptions(connection: AsyncConnection, old: int, new: int) -> None:
    """Follow what either followed, for the kinds that either wanted, since the earlier one did.

    The role of the new one is pinged, or else that of the old one; what either published, is.
    """
    theirs = subscriptions.alias()
    both = and_(theirs.c.destination_id == old, theirs.c.show_id == subscriptions.c.show_id)
    wanted, since, role, publish = (
        select(column).where(both).scalar_subquery()
        for column in (theirs.c.kinds, theirs.c.since_seq, theirs.c.role_id, theirs.c.publish)
    )
    kinds = _bits(subscriptions.c.kinds).bitwise_or(_bits(wanted))
    earlier = case((since < subscriptions.c.since_seq, since), else_=subscriptions.c.since_seq)
    await connection.execute(
        update(subscriptions)
        .where(subscriptions.c.destination_id == new, exists().where(both))
        .values(
            kinds=kinds,
            since_seq=earlier,
            role_id=func.coalesce(subscriptions.c.role_id, role),
            publish=subscriptions.c.publish.bitwise_or(publish),
        )
    )
    await connection.execute(
        update(subscriptions)
        .where(subscriptions.c.destination_id == old, ~_also(subscriptions, new, "show_id"))
        .values(destination_id=new)
    )
    await connection.execute(delete(subscriptions).where(subscriptions.c.destination_id == old))


def _also(table: Table, destination_id: int, by: str) -> ColumnElement[bool]:
    """The condition that the other destination has such a row as well."""
    other = table.alias()
    return exists().where(other.c.destination_id == destination_id, other.c[by] == table.c[by])


def _bits(kinds: ColumnElement[Any]) -> ColumnElement[int]:
    return type_coerce(kinds, WholeNumber)
