"""Two destinations that turn out to be one chat: their deliveries become one list.

What is on its way when a chat moves keeps its old destination until its outcome is known; then it
follows. So `follow` runs wherever attempts end, and wherever deliveries are created.
"""

import datetime as dt
from typing import Final

from sqlalchemy import ColumnElement, FromClause, case, delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.model import DeliveryState
from storage.schema import (
    LANDED,
    REACHED,
    Flight,
    deliveries,
    destinations,
    fanouts,
    on_its_way,
    suspensions,
)

_SIGNPOSTS: Final = select(destinations.c.id, destinations.c.moved_to).where(
    destinations.c.moved_to.is_not(None),
    exists().where(deliveries.c.destination_id == destinations.c.id),
)


class Signposts:
    """Whether something may have stayed behind at a signpost; so, until somebody has looked."""

    def __init__(self) -> None:
        self.any = True


async def follow(connection: AsyncConnection) -> bool:
    """Let what stayed behind follow to where its chat is now, if its outcome is known.

    False when nothing stayed behind anywhere.
    """
    found = list(await connection.execute(_SIGNPOSTS))
    # Twice: what has followed may have a twin that is still on its way, to yet another former id.
    for left in found * min(len(found), 2):
        await join_deliveries(connection, left.id, left.moved_to)
        why = select(suspensions.c.reason).where(suspensions.c.destination_id == left.moved_to)
        reason = await connection.scalar(why)
        if reason is not None:
            await hold(connection, left.moved_to, reason)
    return bool(found)


async def hold(connection: AsyncConnection, destination_id: int, reason: str) -> None:
    """Hold what is due to a destination; what is on its way is left to its own outcome."""
    due = (
        deliveries.c.destination_id == destination_id,
        deliveries.c.state == DeliveryState.PENDING,
        ~on_its_way(),
    )
    held = update(deliveries).where(*due).values(state=DeliveryState.HELD, reason=reason)
    await connection.execute(held)


async def free(connection: AsyncConnection, destination_id: int, now: dt.datetime) -> None:
    """Make due what was held."""
    held = (
        deliveries.c.destination_id == destination_id,
        deliveries.c.state == DeliveryState.HELD,
    )
    await connection.execute(
        update(deliveries)
        .where(*held)
        .values(state=DeliveryState.PENDING, due_at=now, flight=LANDED)
    )


async def join_deliveries(connection: AsyncConnection, old: int, new: int) -> None:
    """Give the deliveries of one destination to another; one of each update is left.

    What was sent, or may have been, comes before what waits, and that before what ended otherwise.
    """
    here, there = deliveries.c.destination_id == old, deliveries.c.destination_id == new
    for mine, other in ((here, new), (there, old)):
        # What is on its way outlives its twin: that an attempt may have arrived must stay known.
        lost = update(deliveries).where(mine, on_its_way(), _twin(other, flight=Flight.LOST))
        await connection.execute(lost.values(flight=Flight.OPEN | Flight.LOST))
    await _drop(connection, there, ~on_its_way(), _twin(old, better=True))
    alone = update(deliveries).where(here, ~on_its_way(), ~_twin(new))
    await connection.execute(alone.values(destination_id=new))
    # What arrived stays behind while its twin is on its way: that one may fail.
    waits = deliveries.c.state.in_(REACHED) & _twin(new, flight=Flight.OPEN)
    await _drop(connection, here, ~on_its_way(), _twin(new), ~waits)


def _twin(
    destination_id: int, *, better: bool = False, flight: Flight | None = None
) -> ColumnElement[bool]:
    """The condition that a destination has a delivery of the same update, such as is asked for."""
    twin = deliveries.alias()
    same = twin.c.destination_id == destination_id, twin.c.update_seq == deliveries.c.update_seq
    wanted = [_worth(twin) > _worth(deliveries)] if better else []
    wanted += [twin.c.flight.bitwise_and(flight) != 0] if flight else []
    return exists().where(*same, *wanted)


def _worth(table: FromClause) -> ColumnElement[int]:
    """Which of two deliveries of one update is kept: the one that is worth more."""
    state, flight = table.c.state, table.c.flight
    return case(
        (state == DeliveryState.SENT, 6),
        (state == DeliveryState.UNCERTAIN, 5),
        (flight.bitwise_and(Flight.OPEN) != 0, 4),
        (flight > Flight.GROUNDED, 3),
        (state == DeliveryState.PENDING, 2),
        (state == DeliveryState.HELD, 1),
        else_=0,
    )


async def _drop(connection: AsyncConnection, *which: ColumnElement[bool]) -> None:
    """Delete deliveries that have a twin; the number created keeps adding up."""
    seqs = select(deliveries.c.update_seq).where(*which)
    fewer = update(fanouts).where(fanouts.c.update_seq.in_(seqs))
    await connection.execute(fewer.values(created=fanouts.c.created - 1))
    await connection.execute(delete(deliveries).where(*which))
