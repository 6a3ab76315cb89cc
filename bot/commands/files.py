"""The store as files: load JSON Lines into it, and dump it as what `load` reads."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bot.errors import BadFile, BadRecord, CliffhangerError
from bot.model import Show, ShowId, Update
from bot.records import LINE_LIMIT, read_record, show_line, update_line
from storage.publishing import BadLine, Loaded, Numbered
from storage.store import Storage

STARTER: Final = Path(__file__).parents[2] / "storage" / "curated"
"""The catalogue that an empty database starts with."""


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """One file of a load, and what it changed."""

    path: Path
    changed: Loaded


async def load(
    storage: Storage, paths: Sequence[Path], today: dt.date, done: Callable[[LoadedFile], None]
) -> Loaded:
    """Store what the files hold and the store does not, file by file; shows come first.

    Raises `BadFile` at the first bad record: of that file nothing is stored.
    """
    total = Loaded()
    for path in files_of(paths):
        changed = await _load_file(storage, path, today)
        done(LoadedFile(path, changed))
        total += changed
    return total


async def load_starter(storage: Storage, today: dt.date) -> None:
    """Fill an empty catalogue with the starter catalogue, in one unit of work."""
    if await storage.shows.count():
        return
    records = [one for path in files_of([STARTER]) for one in _read(path)]
    await storage.publishing.load(records, today)


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The curated files named, those of folders included: shows first, then in order of name.

    Raises `CliffhangerError` when there are none.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise CliffhangerError(f"There is no file or folder {path}.")
        found += path.rglob("*.jsonl") if path.is_dir() else [path]
    if not found:
        raise CliffhangerError(
            f"No *.jsonl file is in {', '.join(map(str, paths))}. Curated files are JSON Lines."
        )
    return sorted(found, key=lambda path: (not path.name.startswith("shows"), path))


async def _load_file(storage: Storage, path: Path, today: dt.date) -> Loaded:
    try:
        return await storage.publishing.load(list(_read(path)), today)
    except BadLine as error:
        raise BadFile(str(path), error.line, error.cause) from None


def _read(path: Path) -> Iterator[Numbered]:
    """The records of a file; raises `BadFile`. Blank lines are passed over."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LINE_LIMIT + 2), b""), 1):
                if line.strip():
                    yield number, _record(path, number, line)
    except OSError as error:
        raise CliffhangerError(f"{path} cannot be read: {error.strerror}.") from error


def _record(path: Path, number: int, line: bytes) -> Show | Update:
    try:
        return read_record(line.decode("utf-8-sig").strip())
    except UnicodeDecodeError:
        raise BadFile(str(path), number, BadRecord("", "this is not text in UTF-8.")) from None
    except BadRecord as error:
        raise BadFile(str(path), number, error) from None


async def dump(storage: Storage, folder: Path) -> int:
    """Write the whole store as the files that `load` reads; returns how many files there are.

    The same store always gives the same bytes.
    """
    files = {folder / "shows.jsonl": [show_line(show) for show in await storage.shows.all()]}
    years: dict[ShowId, int] = {}
    for update in await storage.updates.all():
        # Files are read in the order of years: a clock that went back must not reorder a log.
        years[update.show] = max(years.get(update.show, 0), update.recorded_at.year)
        path = folder / "updates" / str(years[update.show]) / f"{update.show}.jsonl"
        files.setdefault(path, []).append(update_line(update))
    try:
        for path, lines in files.items():
            _write(path, lines)
    except OSError as error:
        raise CliffhangerError(f"{error.filename} cannot be written: {error.strerror}.") from error
    return len(files)


def _write(path: Path, lines: Sequence[str]) -> None:
    """Write whole or not at all: whoever reads meanwhile sees the old file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    part.replace(path)
