"""What a conversation needs to remember: buttons below an answer, and for whom a chat speaks."""

import datetime as dt
import json
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.model import Destination, Platform
from storage.database import Database, reads, writes
from storage.destinations import to_destination
from storage.schema import focuses, keyboards

KEPT: Final = dt.timedelta(days=30)
"""How long the buttons of an answer work."""


@dataclass(frozen=True, slots=True)
class Keyboard:
    """The buttons below one answer: whose they are, where they stand, and what each does.

    `acts_for` is the destination that the commands are about. Without a message they work nowhere.
    """

    id: str
    chat_id: int
    acts_for: Destination
    user_id: int
    commands: tuple[str, ...]
    message_id: str | None = None


class Conversations:
    """Buttons below answers, and direct chats that speak for another chat."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @writes
    async def put(self, connection: AsyncConnection, keyboard: Keyboard, now: dt.datetime) -> None:
        """Keep a keyboard; those that are too old go."""
        await connection.execute(delete(keyboards).where(keyboards.c.made_at < now - KEPT))
        await connection.execute(
            insert(keyboards).values(
                id=keyboard.id,
                platform=keyboard.acts_for.platform,
                chat_id=keyboard.chat_id,
                message_id=keyboard.message_id,
                for_chat_id=keyboard.acts_for.chat_id,
                for_thread_id=keyboard.acts_for.thread_id or 0,
                user_id=keyboard.user_id,
                commands=json.dumps(keyboard.commands),
                made_at=now,
            )
        )

    @writes
    async def remove(self, connection: AsyncConnection, keyboard_id: str) -> bool:
        """Forget a keyboard that was used; false when it was gone already."""
        gone = await connection.execute(delete(keyboards).where(keyboards.c.id == keyboard_id))
        return bool(gone.rowcount)

    @reads
    async def get(
        self, connection: AsyncConnection, keyboard_id: str, now: dt.datetime
    ) -> Keyboard | None:
        """A keyboard by its id, unless it is too old."""
        known = select(keyboards).where(
            keyboards.c.id == keyboard_id, keyboards.c.made_at >= now - KEPT
        )
        row = (await connection.execute(known)).first()
        if row is None:
            return None
        return Keyboard(
            row.id,
            row.chat_id,
            to_destination(row.platform, row.for_chat_id, row.for_thread_id),
            row.user_id,
            tuple(json.loads(row.commands)),
            row.message_id,
        )

    @writes
    async def focus(
        self, connection: AsyncConnection, platform: Platform, chat_id: int, on: int | None
    ) -> None:
        """Let a direct chat speak for the chat `on`, or for itself again."""
        mine = (focuses.c.platform == platform, focuses.c.chat_id == chat_id)
        await connection.execute(delete(focuses).where(*mine))
        if on is not None:
            values = {"platform": platform, "chat_id": chat_id, "for_chat_id": on}
            await connection.execute(insert(focuses).values(values))

    @reads
    async def focused(
        self, connection: AsyncConnection, platform: Platform, chat_id: int
    ) -> int | None:
        """The chat that a direct chat speaks for, if it is not itself."""
        mine = select(focuses.c.for_chat_id).where(
            focuses.c.platform == platform, focuses.c.chat_id == chat_id
        )
        return await connection.scalar(mine)
