"""From the command to the first prompt, with the starter catalogue."""

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.measure import percentile
from tests.bench.table import Row

_STARTS = 7
_PATIENCE = 30.0


def measure(folder: Path) -> list[Row]:
    """The median of several starts at a pseudo-terminal; the first one on an empty database."""
    first = _start(folder)
    later = [_start(folder) for _ in range(_STARTS)]
    middle = percentile(later, 0.5)
    return [
        Row("start to first prompt, new database", f"{first:.2f} s", "≤ 1.5 s", first <= 1.5),
        Row(
            f"start to first prompt, median of {_STARTS}",
            f"{middle:.2f} s",
            "≤ 1.5 s",
            middle <= 1.5,
        ),
    ]


def _start(folder: Path) -> float:
    """Seconds until the prompt is drawn; then the bot is ended."""
    ours, theirs = pty.openpty()
    begun = time.perf_counter()
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-m", "bot", "run"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": root, "XDG_STATE_HOME": str(folder), "TERM": "xterm"},
    )
    os.close(theirs)
    try:
        _await(ours, b"cliffhanger>")
        taken = time.perf_counter() - begun
        os.write(ours, b"\x04")
        process.wait(_PATIENCE)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return taken


def _await(terminal: int, words: bytes) -> None:
    seen = b""
    end = time.monotonic() + _PATIENCE
    while words not in seen:
        ready, _, _ = select.select([terminal], [], [], max(end - time.monotonic(), 0))
        if not ready:
            raise TimeoutError(f"no prompt within {_PATIENCE:.0f} s: {seen!r}")
        seen += os.read(terminal, 65536)
        if b"\x1b[6n" in seen:  # the prompt asks where the cursor is
            seen = seen.replace(b"\x1b[6n", b"")
            os.write(terminal, b"\x1b[1;1R")
