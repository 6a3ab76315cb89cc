"""The store: one database with everything kept in it, opened ready for use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from bot.trust import Trust
from storage.conversations import Conversations
from storage.database import Database
from storage.destinations import Destinations
from storage.fanouts import Fanouts
from storage.joins import Signposts
from storage.notes import Notes
from storage.outbox import Deliveries
from storage.posts import Posts
from storage.publishing import Publishing
from storage.purges import Purges
from storage.shows import Shows
from storage.subscriptions import Subscriptions
from storage.traces import Traces
from storage.updates import Updates
from storage.upgrade import Working, upgrade


class Storage:
    """Everything that is kept, by subject."""

    def __init__(self, database: Database, trust: Trust) -> None:
        self.database = database
        self.shows = Shows(database)
        self.updates = Updates(database)
        self.publishing = Publishing(database, trust)
        signposts = Signposts()
        self.destinations = Destinations(database, signposts)
        self.subscriptions = Subscriptions(database)
        self.fanouts = Fanouts(database)
        self.deliveries = Deliveries(database, signposts)
        self.conversations = Conversations(database)
        self.posts = Posts(database)
        self.notes = Notes(database)
        self.traces = Traces(database)
        self.purges = Purges(database)


@asynccontextmanager
async def open_storage(
    url: str, trust: Trust, *, checkpoints: bool = True, working: Working = nullcontext
) -> AsyncIterator[Storage]:
    """Open the database at `url`, brought to this version, and close it on every way out.

    Raises `StorageError` when it cannot be used.
    """
    database = Database(url, checkpoints=checkpoints)
    try:
        await upgrade(database, working)
        yield Storage(database, trust)
    finally:
        await database.close()
