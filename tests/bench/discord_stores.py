"""A database with channels that follow a show, and a catalogue of made-up titles."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from tests.bench.stores import SHOW
from tests.bench.titles import SCRIPTS, beginning, made_up, one_edit

FIRST_CHANNEL: Final = 1_000_000_000
_SCRIPTS: Final = ("Latin", *SCRIPTS, "Latin", "Latin")
_SEED: Final = 20261122


def fill_channels(path: Path, count: int, guild_id: int) -> None:
    """Let `count` channels of a server follow the show."""
    with _opened(path) as connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO destinations (id, platform, chat_id, home_id) "
            "SELECT i, 'discord', ? + i, ? FROM n",
            (count, FIRST_CHANNEL, guild_id),
        )
        connection.execute(
            "INSERT INTO subscriptions (show_id, destination_id, kinds, since_seq, lane) "
            "SELECT ?, id, 15, 0, 1 FROM destinations",
            (SHOW,),
        )


def renew_channels(path: Path, count: int) -> None:
    """Let all of the `count` channels be others, which nothing has been sent to yet."""
    with _opened(path) as connection:
        connection.execute("UPDATE destinations SET chat_id = chat_id + ?", (count,))


def fill_titles(path: Path, titles: list[str]) -> None:
    """Put shows into the catalogue of which nothing but the title will be asked for."""
    shows = [(f"show-{number}", title) for number, title in enumerate(titles)]
    with _opened(path) as connection:
        connection.executemany("INSERT INTO shows (id, title, record) VALUES (?, ?, '{}')", shows)
        connection.executemany("INSERT INTO titles (show_id, place, title) VALUES (?, 0, ?)", shows)
        connection.execute("UPDATE counters SET value = value + 1 WHERE name = 'catalogue'")


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        yield connection
        connection.execute("COMMIT")


def catalogue(count: int) -> list[str]:
    """So many made-up titles in four scripts, half of them Latin; each time the same."""
    rng = random.Random(_SEED)
    titles: dict[str, None] = {}
    while len(titles) < count:
        titles[made_up(rng, _SCRIPTS[len(titles) % len(_SCRIPTS)])] = None
    return list(titles)


def typed(titles: list[str], count: int) -> list[str]:
    """What people type who look for some of the titles: their beginnings, every other mistyped."""
    rng = random.Random(_SEED)
    long = [one for one in titles if len(one) > 3]
    texts = [beginning(one) for one in rng.choices(long, k=count)]
    alphabet = "".join(texts)
    return [
        one_edit(rng, text, alphabet) if place % 2 else text for place, text in enumerate(texts)
    ]
