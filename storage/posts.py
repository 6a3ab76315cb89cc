"""Posts: the thread in which a destination is told about one show."""

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.model import Destination, ShowId
from storage.database import Database, insert_or, reads, writes
from storage.destinations import find_destination, to_destination
from storage.schema import destinations, posts


class Posts:
    """Destinations × shows, where alerts of each show go to a thread of their own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reads
    async def get(
        self, connection: AsyncConnection, destination: Destination, show: ShowId
    ) -> int | None:
        """The thread that a destination has for a show, if there is one."""
        thread_id: int | None = await connection.scalar(
            select(posts.c.thread_id).where(
                posts.c.destination_id == await find_destination(connection, destination),
                posts.c.show_id == show,
            )
        )
        return thread_id

    @reads
    async def owner(self, connection: AsyncConnection, thread: Destination) -> Destination | None:
        """The destination that a thread was begun for, if it is such a post."""
        found = (
            select(destinations)
            .join(posts, posts.c.destination_id == destinations.c.id)
            .where(
                destinations.c.platform == thread.platform,
                destinations.c.chat_id == thread.chat_id,
                posts.c.thread_id == thread.thread_id,
            )
        )
        row = (await connection.execute(found)).first()
        if row is None:
            return None
        return to_destination(row.platform, row.chat_id, row.thread_id, row.home_id)

    @writes
    async def put(
        self, connection: AsyncConnection, destination: Destination, show: ShowId, thread_id: int
    ) -> None:
        """Note the thread for a show, in place of an earlier one.

        A destination that was forgotten meanwhile stays forgotten.
        """
        found = await find_destination(connection, destination)
        if found is not None:
            values = {"destination_id": found, "show_id": show, "thread_id": thread_id}
            noted = insert_or(connection, posts, update=("thread_id",))
            await connection.execute(noted.values(values))

    @writes
    async def drop(
        self, connection: AsyncConnection, destination: Destination, thread_id: int
    ) -> None:
        """A thread is gone: nothing goes there any more."""
        found = await find_destination(connection, destination)
        gone = (posts.c.destination_id == found, posts.c.thread_id == thread_id)
        await connection.execute(delete(posts).where(*gone))
