"""Notes: what a platform remembers between starts."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database import Database, insert_or, reads, writes
from storage.schema import notes


class Notes:
    """Texts by name; a name begins with its platform, such as "discord.commands"."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reads
    async def get(self, connection: AsyncConnection, name: str) -> str | None:
        """What was noted last under a name, if anything was."""
        value: str | None = await connection.scalar(
            select(notes.c.value).where(notes.c.name == name)
        )
        return value

    @writes
    async def put(self, connection: AsyncConnection, name: str, value: str) -> None:
        """Note a text, in place of what was noted under this name before."""
        noted = insert_or(connection, notes, update=("value",))
        await connection.execute(noted.values(name=name, value=value))
