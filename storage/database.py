"""The engine, its one writer, its readers and its units of work; tells the two databases apart.

Everything that differs between SQLite and PostgreSQL stands here and nowhere else: column types
and table options, settings of a connection, triggers, backups, and what an error means.
"""

import asyncio
import errno
import functools
import os
import shutil
import sqlite3
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from sqlalchemy import BigInteger, Index, Integer, Table, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.functions import FunctionElement

from bot.errors import StorageBusy, StorageError, StorageFull, StorageUnusable

P = ParamSpec("P")
T = TypeVar("T")

WholeNumber: Final = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit whole number; SQLite's STRICT tables know it as INTEGER."""

STRICT: Final[dict[str, Any]] = {"sqlite_strict": True}
"""Options of a table: types are enforced."""

CLUSTERED: Final[dict[str, Any]] = {"sqlite_strict": True, "sqlite_with_rowid": False}
"""Options of a table that is stored in the order of its primary key."""

NEVER_REUSED: Final[dict[str, Any]] = {**STRICT, "sqlite_autoincrement": True}
"""Options of a table whose numbers are not given out again after a row was deleted."""

BUSY_SECONDS: Final = 30.0
"""How long to wait for another process that is writing before giving up."""

ONE_TRY_SECONDS: Final = 2.0
"""How long one try waits, in which a stop has to wait as well."""

SAFE_SQLITE: Final = (3, 51, 3)
"""Older versions can damage the file when two processes write and checkpoint at once."""

_PRAGMAS: Final = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # Without it INSERT OR REPLACE deletes past the trigger that refuses DELETE.
    "PRAGMA recursive_triggers = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
)


def partial_index(name: str, *columns: str, where: str) -> Index:
    """An index over only the rows that match `where`."""
    condition = text(where)
    return Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


def insert_or(connection: AsyncConnection, table: Table, *, update: Sequence[str] = ()) -> Any:
    """An INSERT that, where the row is there already, changes the `update` columns or nothing."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table)
    if not update:
        return statement.on_conflict_do_nothing()
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={name: statement.excluded[name] for name in update},
    )


class among(FunctionElement[int]):  # noqa: N801 - reads like SQLAlchemy's own functions
    """Whole numbers handed over as one JSON list, for "IN": the statement is always the same.

    A list of parameters is another statement for each length, and costs more than what it finds.
    """

    inherit_cache = True


@compiles(among, "sqlite")
def _among_on_sqlite(element: among, compiler: SQLCompiler, **given: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.clauses, **given)}))"  # noqa: S608


@compiles(among, "postgresql")
def _among_on_postgresql(element: among, compiler: SQLCompiler, **given: Any) -> str:
    listed = f"CAST({compiler.process(element.clauses, **given)} AS JSON)"
    return f"(SELECT CAST(value AS BIGINT) FROM json_array_elements_text({listed}) AS value)"  # noqa: S608


class json_rows(FunctionElement[Any]):  # noqa: N801 - as above
    """Rows handed over as one JSON list of lists: a table with the column `value`."""

    inherit_cache = True


class json_field(FunctionElement[Any]):  # noqa: N801 - as above
    """One field of such a row, by its place."""

    inherit_cache = True


@compiles(json_rows, "sqlite")
def _rows_on_sqlite(element: json_rows, compiler: SQLCompiler, **given: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **given)})"


@compiles(json_rows, "postgresql")
def _rows_on_postgresql(element: json_rows, compiler: SQLCompiler, **given: Any) -> str:
    return f"jsonb_array_elements(CAST({compiler.process(element.clauses, **given)} AS JSONB))"


@compiles(json_field, "sqlite")
def _field_on_sqlite(element: json_field, compiler: SQLCompiler, **given: Any) -> str:
    value, place = (compiler.process(one, **given) for one in element.clauses)
    return f"json_extract({value}, '$[' || {place} || ']')"


@compiles(json_field, "postgresql")
def _field_on_postgresql(element: json_field, compiler: SQLCompiler, **given: Any) -> str:
    value, place = (compiler.process(one, **given) for one in element.clauses)
    return f"({value} ->> {place})"


def batches(values: Iterable[T]) -> Iterator[list[T]]:
    """Values in lists that are short enough to be the parameters of one statement."""
    left = iter(values)
    while batch := list(islice(left, 1000)):
        yield batch


def append_only(dialect: str, table: str) -> list[str]:
    """The statements that make a table refuse UPDATE and DELETE."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_refuse_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    return [
        f"CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$",
        f"CREATE TRIGGER {table}_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()",
    ]


class Database:
    """One database: a single writer connection, and readers beside it.

    Units of work are serialised by a lock, in the order they were asked for, so that a long
    fan-out cannot starve a command. `checkpoints` is false for a tool beside a running bot: with
    SQLite before 3.51.3 only one process may checkpoint.
    """

    def __init__(self, url: str, *, checkpoints: bool = True) -> None:
        self.url = _driver_url(url)
        self.path = file_of(url)
        self._lock = asyncio.Lock()
        self._reading_now: set[asyncio.Future[Any]] = set()
        self._closed = False
        self._checkpoints = checkpoints
        self._driver: Any = None
        self._texts: dict[UpdateBase, tuple[str, list[str], dict[str, Any]]] = {}
        self._writer = self._engine(pool_size=1, immediate=True)
        self._readers = self._engine(pool_size=4, immediate=False)

    @property
    def shown(self) -> str:
        """The address, without its password."""
        return str(self.path) if self.path else self.url.render_as_string(hide_password=True)

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run one unit of work: all of it is stored, or nothing.

        A cancelled caller waits for a unit that has begun to end: half a unit never stays open,
        and a commit that was begun is not lost. While another process writes, it is tried again
        until `BUSY_SECONDS` have passed. Raises `StorageError`.
        """
        return await self._in_turn(lambda: self._unit(work))

    async def write_at_once(self, statement: UpdateBase, given: dict[str, Any]) -> None:
        """Run one statement as a unit of work by itself, like `write` at a fraction of its cost.

        For what is written with every message: the values are handed to the driver as they are, so
        they must be numbers and texts. Raises `StorageError`.
        """
        if _is_sqlite(self.url):
            await self._in_turn(lambda: self._at_once(statement, given))
        else:
            await self.write(lambda connection: connection.execute(statement, given))

    async def _in_turn(self, unit: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a unit to its end when its turn comes; again while another process writes."""
        end = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                async with self._lock:
                    return await _to_its_end(unit())
            except StorageBusy:
                if time.monotonic() >= end:
                    raise

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run reading statements on a connection of their own; raises `StorageError`."""
        self._check_open()
        reading = asyncio.ensure_future(self._reading(work))
        self._reading_now.add(reading)
        reading.add_done_callback(self._reading_now.discard)
        return await _to_its_end(reading)

    async def _unit(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        self._check_open()
        try:
            async with self._writer.begin() as connection:
                return await work(connection)
        except (DBAPIError, sqlite3.Error, OSError) as error:
            raise self._translated(error) from error

    async def _at_once(self, statement: UpdateBase, given: dict[str, Any]) -> None:
        self._check_open()
        text, names, brought = self._compiled(statement)
        values = [given[name] if name in given else brought[name] for name in names]
        try:
            if self._driver is None:
                async with self._writer.connect():
                    pass  # which notes the driver
            if self._driver.in_transaction:
                raise StorageError(f"The database {self.shown} has an open unit of work.")
            # One turn of the driver's thread: outside of a transaction a statement is one itself.
            await self._driver.execute(text, values)
        except (DBAPIError, sqlite3.Error, OSError, ValueError) as error:
            raise self._translated(error) from error

    def _compiled(self, statement: UpdateBase) -> tuple[str, list[str], dict[str, Any]]:
        """A statement as SQLite takes it: its text, the names of its values, those it brings."""
        if statement not in self._texts:
            compiled = statement.compile(self._writer.sync_engine)
            assert isinstance(compiled, SQLCompiler)  # noqa: S101 - what statements compile to
            names = list(compiled.positiontup or ())
            self._texts[statement] = (str(compiled), names, dict(compiled.params))
        return self._texts[statement]

    async def _reading(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        try:
            async with self._readers.connect() as connection:
                return await work(connection)
        except (DBAPIError, sqlite3.Error, OSError) as error:
            raise self._translated(error) from error

    async def close(self) -> None:
        """Close every connection; an open one would keep the process from ending."""
        await _to_its_end(self._close())

    async def _close(self) -> None:
        async with self._lock:
            self._closed = True
            if self._reading_now:
                await asyncio.wait(self._reading_now)
            await self._readers.dispose()
            await self._writer.dispose()

    def _check_open(self) -> None:
        # A connection that is opened after the others were closed would never be.
        if self._closed:
            raise StorageError(f"The database {self.shown} is closed already.")

    def _engine(self, *, pool_size: int, immediate: bool) -> AsyncEngine:
        options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0}
        if not _is_sqlite(self.url):
            level = {} if immediate else {"isolation_level": "AUTOCOMMIT"}
            return create_async_engine(self.url, **options, **level)
        engine = create_async_engine(
            self.url,
            **options,
            pool_reset_on_return=None,
            # No isolation level: the driver begins nothing by itself, BEGIN is written out below.
            connect_args={"timeout": ONE_TRY_SECONDS, "isolation_level": None},
        )
        event.listen(engine.sync_engine, "connect", self._prepare)
        if immediate:
            # Only who writes: a file that turns out to be somebody else's stays as it is.
            event.listen(engine.sync_engine, "connect", _write_ahead)
            event.listen(engine.sync_engine, "connect", self._note_driver)
            event.listen(engine.sync_engine, "begin", _begin_immediate)
        return engine

    def _note_driver(self, connection: Any, _record: object) -> None:
        self._driver = connection.driver_connection

    def _prepare(self, connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        if not self._checkpoints:
            cursor.execute("PRAGMA wal_autocheckpoint = 0")
        cursor.close()

    def _translated(self, error: Exception) -> StorageError:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        code = (getattr(cause, "sqlite_errorcode", 0) or 0) & 0xFF
        if code == sqlite3.SQLITE_IOERR and self.path and _is_full(self.path):
            code = sqlite3.SQLITE_FULL
        problem = _SQLITE_PROBLEMS.get(code)
        if problem is None:
            return StorageError(f"The database {self.shown} failed: {cause}")
        kind, words = problem
        return kind(words.format(path=self.shown))


_SQLITE_PROBLEMS: Final[dict[int, tuple[type[StorageError], str]]] = {
    sqlite3.SQLITE_BUSY: (
        StorageBusy,
        f"Another process has been writing to {{path}} for {BUSY_SECONDS:.0f} seconds. Nothing was "
        "stored: try again when it is done.",
    ),
    sqlite3.SQLITE_LOCKED: (StorageBusy, "{path} is in use. Nothing was stored: try again."),
    sqlite3.SQLITE_FULL: (
        StorageFull,
        "The disk that holds {path} is full. Nothing was stored: make room, then try again.",
    ),
    sqlite3.SQLITE_READONLY: (
        StorageUnusable,
        "{path} cannot be written to. Give this user the right to write it and its folder.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        StorageUnusable,
        "{path} cannot be opened. Check that its folder exists and that this user may write there.",
    ),
    sqlite3.SQLITE_NOTADB: (
        StorageUnusable,
        "{path} is not a database of Cliffhanger. Set DATABASE_URL to another file, or move this "
        "one away.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        StorageUnusable,
        "{path} is damaged. Stop the bot and put the newest good backup in its place.",
    ),
}


class _HasDatabase(Protocol):
    _database: Database


S = TypeVar("S", bound=_HasDatabase)


def writes(
    method: Callable[Concatenate[S, AsyncConnection, P], Awaitable[T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Make a method one unit of work: it is given the writer's connection."""

    @functools.wraps(method)
    async def unit(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._database.write(
            lambda connection: method(self, connection, *args, **kwargs)
        )

    return unit


def reads(
    method: Callable[Concatenate[S, AsyncConnection, P], Awaitable[T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Make a method read on a connection of its own."""

    @functools.wraps(method)
    async def reading(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._database.read(
            lambda connection: method(self, connection, *args, **kwargs)
        )

    return reading


async def _to_its_end(work: Awaitable[T]) -> T:
    """Run to the end even when the caller is cancelled, then let the cancellation go on."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):  # cancelled again: the answer is the same
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # nobody waits for it any more
        raise


def file_of(url: str) -> Path | None:
    """The file of a SQLite address; `None` for another database."""
    parsed = make_url(url)
    return Path(parsed.database) if _is_sqlite(parsed) and parsed.database else None


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _driver_url(url: str) -> URL:
    parsed = make_url(url)
    return parsed.set(drivername="sqlite+aiosqlite" if _is_sqlite(parsed) else "postgresql+asyncpg")


def _write_ahead(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    # A read that turns into a write fails at once when somebody wrote in between; this waits.
    # Handed to the driver itself: a cursor would cost two more turns of its thread.
    adapted = connection.connection.dbapi_connection
    adapted.run_async(lambda driver: driver.execute("BEGIN IMMEDIATE"))


def _is_full(path: Path) -> bool:
    """Whether the disk has no room left even for the files beside the database."""
    return shutil.disk_usage(path.parent).free < 64 * 1024


def create_private(path: Path) -> None:
    """Create an empty file that only its owner may read; raises `StorageUnusable`."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        reason = os.strerror(error.errno or errno.EIO)
        raise StorageUnusable(
            f"{path} cannot be written ({reason}). Check that its folder exists and that this user "
            "may write there."
        ) from error


def back_up(source: Path, target: Path) -> None:
    """Write a checked copy of a SQLite database to `target`, readable by its owner alone.

    Raises `StorageError` when the copy cannot be written or is not sound; no copy is left then.
    """
    part = target.with_name(target.name + ".part")
    create_private(part)
    try:
        connection = sqlite3.connect(source, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("VACUUM INTO ?", (str(part),))
        finally:
            connection.close()
        check_file(part)
        with part.open("rb+") as copy:
            os.fsync(copy.fileno())
        part.replace(target)
    except sqlite3.Error as error:
        raise StorageError(
            f"The backup to {target} failed: {error}. Nothing was changed."
        ) from error
    finally:
        part.unlink(missing_ok=True)


def check_file(path: Path) -> None:
    """Check that a SQLite database is sound; raises `StorageUnusable` with what was found."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        connection = sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)
    except sqlite3.Error as error:
        raise StorageUnusable(f"{path} cannot be opened: {error}.") from error
    try:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
        orphans = connection.execute("PRAGMA foreign_key_check").fetchmany(5)
    except sqlite3.DatabaseError as error:
        raise StorageUnusable(f"{path} is damaged: {error}.") from error
    finally:
        connection.close()
    if found != ["ok"] or orphans:
        raise StorageUnusable(f"{path} is damaged: {'; '.join(map(str, [*found, *orphans]))}.")
