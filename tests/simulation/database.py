"""SQLite without threads: each call of the driver is carried out at once, or fails as it is told.

A unit of work takes a few virtual milliseconds before it begins and after it is committed; in
between nothing else runs. So a process dies before a unit or after it, and sometimes amid one.
"""

import asyncio
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

import aiosqlite
import aiosqlite.core

from tests.simulation.clock import Process, current

_SOON: Final = 0.002


class Trouble:
    """What the disk and other programs do to the bot's database, and who looks on."""

    def __init__(self, chance: random.Random, passed: Callable[[str], None]) -> None:
        self.chance = chance
        self.passed = passed
        """Told of each point that the bot's database gets to: `begin`, `committed`."""
        self.busy_until = self.full_until = self.failing_until = self.unreadable_until = 0.0
        self.hit: Callable[[str], None] = lambda _what: None
        self.committed: Callable[[frozenset[str]], None] = lambda _tables: None


class InlineConnection(aiosqlite.core.Connection):
    """A connection of aiosqlite that has no thread."""

    trouble: Trouble

    def __init__(self, connector: Callable[[], sqlite3.Connection], chunk: int) -> None:
        self._running = True
        self._connection: Any = None
        self._connector = connector
        self._iter_chunk_size = chunk
        self._thread: Any = SimpleNamespace(daemon=True)
        self._process: Process | None = current()
        self._touched: set[str] = set()

    def __del__(self) -> None:
        """Nothing is left to warn of: there is no thread."""

    def stop(self) -> Any:
        """Close it; there is no thread to stop."""
        self._running = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __await__(self) -> Any:
        return self._connect().__await__()

    async def _connect(self) -> "InlineConnection":
        self._check()
        self._connection = self._connector()
        if self._process is not None:
            self._process.connections.append(self._connection)
        return self

    async def close(self) -> None:
        """Close it."""
        if self._process is not None and self._connection in self._process.connections:
            self._process.connections.remove(self._connection)
        self.stop()

    def _check(self) -> None:
        if self._process is not None and not self._process.alive:
            raise sqlite3.OperationalError("the process is dead")

    async def _execute(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        self._check()
        if not self._running or self._connection is None:
            raise ValueError("Connection closed")
        said = args[0] if args and isinstance(args[0], str) else ""
        if self._process is None or not said:
            if fn == self._connection.commit:
                return await self._commit(fn)
            return fn(*args, **kwargs)
        return await self._said(said, fn, args)

    async def _said(self, said: str, fn: Any, args: Any) -> Any:
        verb, alone = said.split(None, 1)[0], not self._connection.in_transaction
        if verb == "PRAGMA":
            return fn(said.replace("synchronous = FULL", "synchronous = OFF"), *args[1:])
        writes = verb in ("INSERT", "UPDATE", "DELETE", "REPLACE", "WITH")
        if verb == "BEGIN" or (writes and alone):
            await self._begun()
        elif verb == "SELECT" and alone:
            self._fail_reading()
        if writes:
            self._fail_writing()
            self._note(said)
        done = fn(*args)
        if writes and alone:
            await self._ended()
        return done

    def _note(self, said: str) -> None:
        for table in ("suspensions", "fanouts", "deliveries", "counters"):
            if table in said:
                self._touched.add(table)

    async def _begun(self) -> None:
        trouble, loop = self.trouble, asyncio.get_running_loop()
        await asyncio.sleep(trouble.chance.uniform(0.0002, _SOON))
        trouble.passed("before a write")
        self._check()
        if loop.time() < trouble.busy_until:
            trouble.hit("busy")
            await asyncio.sleep(2.0)
            self._check()
            if loop.time() < trouble.busy_until:
                raise _failed("database is locked", sqlite3.SQLITE_BUSY)

    def _fail_writing(self) -> None:
        trouble, now = self.trouble, asyncio.get_running_loop().time()
        if now < trouble.full_until and trouble.chance.random() < 0.7:
            trouble.hit("full")
            self._undo()
            raise _failed("database or disk is full", sqlite3.SQLITE_FULL)
        if now < trouble.failing_until and trouble.chance.random() < 0.4:
            trouble.hit("failing")
            self._undo()
            raise _failed("disk I/O error", sqlite3.SQLITE_IOERR)
        trouble.passed("amid a write")
        self._check()

    def _fail_reading(self) -> None:
        trouble, now = self.trouble, asyncio.get_running_loop().time()
        if now < trouble.unreadable_until and trouble.chance.random() < 0.4:
            trouble.hit("unreadable")
            raise _failed("disk I/O error", sqlite3.SQLITE_IOERR)

    def _undo(self) -> None:
        """SQLite itself has ended the unit of work by then."""
        if self._connection.in_transaction:
            self._connection.rollback()
        self._touched.clear()

    async def _commit(self, fn: Any) -> None:
        if self._process is None:
            fn()
            return
        fn()
        await self._ended()

    async def _ended(self) -> None:
        touched, self._touched = frozenset(self._touched), set()
        if touched:
            self.trouble.committed(touched)
        self.trouble.passed("after a write")
        self._check()
        await asyncio.sleep(self.trouble.chance.uniform(0.0002, _SOON))


def _failed(text: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


@contextmanager
def inline(trouble: Trouble) -> Iterator[None]:
    """Let every connection of aiosqlite be one without a thread."""
    kind = type("Inline", (InlineConnection,), {"trouble": trouble})

    def connect(database: Any, *, iter_chunk_size: int = 64, **given: Any) -> Any:
        options = {**given, "timeout": 0, "check_same_thread": False}
        return kind(lambda: sqlite3.connect(str(database), **options), iter_chunk_size)

    with patch.object(aiosqlite, "connect", connect):
        yield
