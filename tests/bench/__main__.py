"""`make bench`: every figure the project promises, with its goal, measured in one run."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from tests.bench import (
    discord,
    fanout,
    outbox,
    pace,
    pace_queue,
    poll,
    start,
    telegram,
    titles,
)
from tests.bench.table import Row, show


def main() -> int:
    """Measure what was asked for; the exit code says whether every goal was reached."""
    asked = _arguments()
    console = Console()
    parts: dict[str, Callable[[Path], list[Row]]] = {
        "start": start.measure,
        "poll": lambda folder: asyncio.run(poll.measure(folder, asked.updates)),
        "fanout": lambda folder: asyncio.run(fanout.measure(folder, asked.subscriptions)),
        "outbox": lambda folder: asyncio.run(outbox.measure(folder)),
        "telegram": telegram.measure,
        "discord": discord.measure,
        "pace": pace.measure,
        "queue": pace_queue.measure,
        "titles": lambda _folder: titles.measure(asked.titles),
    }
    rows: list[Row] = []
    for name in asked.only or parts:
        with (
            console.status(f"Measuring: {name} …"),
            tempfile.TemporaryDirectory(prefix="cliffhanger-bench-") as folder,
        ):
            rows += parts[name](Path(folder))
    show(rows, console)
    return 0 if all(row.ok is not False for row in rows) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--titles", type=Path, help="real titles, JSON Lines, may be gzipped")
    parser.add_argument("--updates", type=int, default=10_000_000)
    parser.add_argument("--subscriptions", type=int, default=1_000_000)
    parser.add_argument(
        "only",
        nargs="*",
        metavar="PART",
        help="start, poll, fanout, outbox, telegram, discord, pace, queue, titles; all if none",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
