"""One bot a database: a second one would send everything twice."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bot.errors import CliffhangerError
from bot.text import clean


@contextmanager
def only_bot(database: Path | None) -> Iterator[None]:
    """Hold the database file as its only bot; the system lets go when the process ends.

    Raises `CliffhangerError` naming the process that holds it. Without a file there is no lock.
    """
    if database is None:
        yield
        return
    if database.is_dir():
        raise CliffhangerError(f"{database} is a folder. Set DATABASE_URL to a file in it.")
    real = database.resolve()  # two names of one file are one database
    path = real.with_name(real.name + ".lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CliffhangerError(
            f"{path} cannot be written ({error.strerror}). Check that its folder exists and that "
            "this user may write there."
        ) from error
    try:
        _take(handle)
        yield
    finally:
        os.close(handle)


def _take(handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = clean(os.read(handle, 20).decode(errors="replace")).strip() or "unknown"
        raise CliffhangerError(
            f"A bot runs on this database already (process {holder}). Stop it first, or set "
            "DATABASE_URL to another database. Commands such as `cliffhanger publish` work beside "
            "it."
        ) from None
    with suppress(OSError):  # the name is for people; a full disk does not matter here
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
