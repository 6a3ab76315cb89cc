"""Named moments at which a process dies: what is called there is wrapped, inside that process."""

import functools
import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from unittest import mock

from alembic.ddl.impl import DefaultImpl

from bot.model import Platform
from bot.outbox import expander
from bot.platforms.discord import client, messenger, starts, wire
from bot.platforms.discord.messenger import DiscordMessenger
from bot.platforms.telegram.messenger import TelegramMessenger
from storage import database, upgrade
from storage.fanouts import Fanouts
from storage.outbox import Deliveries, Parcel
from storage.publishing import Publishing

CHUNK: Final = 8
TOGETHER: Final = 4
"""Deliveries created at a time, and jobs at a time: a fan-out to few chats has a middle."""

_STEPS: Final = 50
"""Steps of SQLite's machine between two looks at the fuse."""


class _Fuse:
    """Ends the process at the `count`-th burn, as an operator's SIGKILL would."""

    def __init__(self, count: int) -> None:
        self._left = count

    def burn(self) -> None:
        self._left -= 1
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


_Arm = Callable[[_Fuse], None]
_Counts = Callable[[Any], object]


def _always(_result: object) -> bool:
    return True


def _replace(owner: object, name: str, made: object) -> None:
    """For the rest of the process."""
    mock.patch.object(owner, name, made).start()


def _after(owner: object, name: str, counts: _Counts = _always) -> _Arm:
    """Right after a coroutine function returned with what counts."""

    def arm(fuse: _Fuse) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        async def dying(*args: Any, **kwargs: Any) -> Any:
            result = await original(*args, **kwargs)
            if counts(result):
                fuse.burn()
            return result

        _replace(owner, name, dying)

    return arm


def _after_at_once(owner: object, name: str) -> _Arm:
    """Right after a plain function returned."""

    def arm(fuse: _Fuse) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def dying(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            fuse.burn()
            return result

        _replace(owner, name, dying)

    return arm


def _while_copying(fuse: _Fuse) -> None:
    """In the middle of the copy of a database."""
    original, connect = database.back_up, sqlite3.connect

    def watched(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)
        connection.set_progress_handler(fuse.burn, _STEPS)
        return connection

    def dying(source: Path, target: Path) -> None:
        _replace(sqlite3, "connect", watched)
        original(source, target)

    _replace(upgrade, "back_up", dying)


def _of(platform: Platform) -> _Counts:
    def counts(parcels: list[Parcel]) -> bool:
        return any(one.destination.platform is platform for one in parcels)

    return counts


_ARMS: Final[dict[str, _Arm]] = {
    "publish.committed": _after(Publishing, "publish"),
    "poll.taken": _after(Fanouts, "take", bool),
    "fanout.middle": _after(Fanouts, "expand_together", lambda done: done.passed),
    "discord.claimed": _after(Deliveries, "claim", _of(Platform.DISCORD)),
    "telegram.claimed": _after(Deliveries, "claim", _of(Platform.TELEGRAM)),
    "discord.answered": _after(DiscordMessenger, "send"),
    "telegram.answered": _after(TelegramMessenger, "send"),
    "settled": _after(Deliveries, "settle"),
    "migration.step": _after_at_once(DefaultImpl, "_exec"),
    "backup.copying": _while_copying,
    "backup.checked": _after_at_once(database, "check_file"),
    "backup.made": _after_at_once(upgrade, "back_up"),
}


def die_at(name: str, nth: int) -> None:
    """Let this process die at the `nth` time that it comes to a point."""
    _ARMS[name](_Fuse(nth))


def hurry() -> None:
    """Cut short what a bot waits for after a start, so that one that lives briefly sends as well.

    A real bot spares Discord: it waits for its servers, and begins few sessions in a row.
    """
    _replace(expander, "CHUNK", CHUNK)
    _replace(expander, "TOGETHER", TOGETHER)
    _replace(wire, "_NOT_CONNECTED", 0.05)
    _replace(messenger, "_MOMENT", 0.05)
    _replace(client, "QUIET", 0.05)
    _replace(starts, "wait_before", lambda *_: starts.DAY * 0)
