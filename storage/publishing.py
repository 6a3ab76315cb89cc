"""Publishing: an update is completed, checked against its show's log, and appended, in one unit."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.curation import Context, check, complete, quiet_reason
from bot.errors import BadRecord
from bot.model import Push, Show, ShowId, Update, UpdateId
from bot.records import checked
from bot.trust import Trust
from storage.database import Database, reads, writes
from storage.shows import find_shows, put_shows
from storage.updates import append, log_of, stored

Numbered = tuple[int, Show | Update]
"""A record with the line of the file it stands on."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An update as it would be stored, with its show and the show's log before it."""

    show: Show
    log: tuple[Update, ...]
    update: Update
    quiet: str | None
    """Why nobody will be told, if so."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading a file changed."""

    shows: int = 0
    updates: int = 0
    unchanged: int = 0

    def __add__(self, other: "Loaded") -> "Loaded":
        return Loaded(
            self.shows + other.shows,
            self.updates + other.updates,
            self.unchanged + other.unchanged,
        )


class BadLine(Exception):
    """A record of a file breaks a rule; `line` is where it stands."""

    def __init__(self, line: int, cause: BadRecord) -> None:
        super().__init__(str(cause))
        self.line = line
        self.cause = cause


class Publishing:
    """The way into the log."""

    def __init__(self, database: Database, trust: Trust) -> None:
        self._database = database
        self._trust = trust

    @reads
    async def prepare(self, connection: AsyncConnection, draft: Update, today: dt.date) -> Prepared:
        """What publishing would store; raises `BadRecord` for what may not be stored."""
        return await self._prepare(connection, draft, today)

    @writes
    async def publish(self, connection: AsyncConnection, draft: Update, today: dt.date) -> Prepared:
        """Append an update to the log; raises `BadRecord` for what may not be stored.

        It is prepared anew in this unit of work: the log may have grown since it was shown.
        """
        prepared = await self._prepare(connection, draft, today)
        await append(connection, [(prepared.update, prepared.quiet is None)])
        return prepared

    @writes
    async def load(
        self, connection: AsyncConnection, records: Sequence[Numbered], today: dt.date
    ) -> Loaded:
        """Store the records of one file that are not stored yet: all, or none.

        Raises `BadLine` for the first record that may not be stored.
        """
        shows = _shows(records)
        changed = await put_shows(connection, shows) if shows else 0
        lines = [(line, record) for line, record in records if isinstance(record, Update)]
        batch = _Batch(self._trust, today)
        await batch.prepare(connection, [update for _, update in lines])
        for line, update in lines:
            batch.add(line, update)
        if batch.entries:
            await append(connection, batch.entries)
        same = len(records) - changed - len(batch.entries)
        return Loaded(changed, len(batch.entries), same)

    async def _prepare(
        self, connection: AsyncConnection, draft: Update, today: dt.date
    ) -> Prepared:
        found = await find_shows(connection, [draft.show])
        if draft.show not in found:
            raise _no_show(draft.show)
        log = await log_of(connection, draft.show)
        context = Context(found[draft.show], log, self._trust, today)
        update = _ready(draft, context)
        return Prepared(context.show, tuple(log), update, quiet_reason(update, today))


def _shows(records: Sequence[Numbered]) -> list[Show]:
    lines: dict[ShowId, int] = {}
    shows = []
    for line, record in records:
        if isinstance(record, Show):
            if record.id in lines:
                first = lines[record.id]
                raise BadLine(line, BadRecord("id", f"{record.id} stands on line {first} as well."))
            lines[record.id] = line
            shows.append(record)
    return shows


class _Batch:
    """The updates of one file, each checked against the log and those before it in the file."""

    def __init__(self, trust: Trust, today: dt.date) -> None:
        self.entries: list[tuple[Update, bool]] = []
        self._trust = trust
        self._today = today
        self._shows: dict[ShowId, Show] = {}
        self._logs: dict[ShowId, list[Update]] = {}
        self._stored: dict[UpdateId, Update] = {}
        self._lines: dict[UpdateId, int] = {}

    async def prepare(self, connection: AsyncConnection, updates: Iterable[Update]) -> None:
        """Read what the checks need."""
        named = {update.show for update in updates}
        self._shows = await find_shows(connection, named) if named else {}
        self._logs = {show: await log_of(connection, show) for show in self._shows}
        ids = {update.id for update in updates}
        self._stored = await stored(connection, ids) if ids else {}

    def add(self, line: int, update: Update) -> None:
        """Take the update on this line; raises `BadLine`."""
        try:
            self._add(line, update)
        except BadRecord as error:
            raise BadLine(line, error) from error

    def _add(self, line: int, update: Update) -> None:
        if update.id in self._lines:
            first = self._lines[update.id]
            raise BadRecord("id", f"{update.id} stands on line {first} as well.")
        self._lines[update.id] = line
        if update.id in self._stored:
            _check_same(update, self._stored[update.id])
            return
        if update.show not in self._shows:
            raise _no_show(update.show)
        log = self._logs[update.show]
        context = Context(self._shows[update.show], log, self._trust, self._today)
        ready = _ready(update, context)
        log.append(ready)
        self.entries.append((ready, quiet_reason(ready, self._today) is None))


def _ready(update: Update, context: Context) -> Update:
    ready = complete(update, context)
    check(ready, context)
    return checked(ready)


def _check_same(update: Update, known: Update) -> None:
    """The same record again is fine; another one may not take its id."""
    filled = replace(
        update,
        speaker_role=update.speaker_role or known.speaker_role,
        also=update.also or known.also,
        # Quiet by a rule: something newer was in force when it was stored.
        push=known.push if update.push is Push.AUTO and known.push is Push.QUIET else update.push,
    )
    if filled != known:
        raise BadRecord("id", f"{update.id} is stored with other content; ids are never reused.")


def _no_show(show: ShowId) -> BadRecord:
    return BadRecord("show", f"no show has the id {show!r}; load the show first.")
