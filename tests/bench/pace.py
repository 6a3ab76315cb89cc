"""The share of the documented limits that the engine and others reach, and what that costs them.

Each sends to a server of its own that enforces the limits, at the end of a network with about 85 ms
a round trip. A share counts from the word to begin until the last message arrives.
"""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench import pace_discord, pace_telegram
from tests.bench.child import Child, child
from tests.bench.pace_limits import BESIDE, CHAT, OVERALL
from tests.bench.pace_plans import PLANS
from tests.bench.table import Row

_ENGINES_AT_ONCE: Final = 2
_OTHERS_AT_ONCE: Final = 3
_LIMITS: Final = {"telegram": pace_telegram.OVERALL, "discord": pace_discord.OVERALL}


@dataclass(frozen=True)
class _Run:
    """Who sends to whom, and which share of the limit is the goal, if any."""

    name: str
    platform: str
    limit: str
    plan: str
    kind: str = "engine"
    goal: float | None = None


_ENGINES: Final = (
    _Run("Telegram, token bucket, 1,500 private chats", "telegram", "bucket", "private", goal=0.95),
    _Run(
        "Telegram, strict window, 1,500 private chats", "telegram", "window", "private", goal=0.95
    ),
    _Run(
        "Telegram, token bucket, groups and hot chats too", "telegram", "bucket", "mixed", goal=0.95
    ),
    _Run(
        "Telegram, strict window, groups and hot chats too",
        "telegram",
        "window",
        "mixed",
        goal=0.95,
    ),
    _Run("Discord, 2,500 channels", "discord", "window", "channels", goal=0.95),
    _Run("Discord, 1,800 channels and 20 hot ones", "discord", "window", "hot", goal=0.93),
)
_POOL: Final = "PTB with AIORateLimiter, pool of 32, 3 retries"
_DEFAULT: Final = "PTB with AIORateLimiter as it comes, all at once"
_DISCORD_PY: Final = "discord.py, pool of 16"
_OTHERS: Final = (
    _Run(f"{_POOL}, token bucket", "telegram", "bucket", "private", "ptb_pool"),
    _Run(f"{_POOL}, strict window", "telegram", "window", "private", "ptb_pool"),
    _Run(f"{_DEFAULT}, token bucket", "telegram", "bucket", "private", "ptb_default"),
    _Run(f"{_DEFAULT}, strict window", "telegram", "window", "private", "ptb_default"),
    _Run(f"{_DISCORD_PY}, 2,500 channels", "discord", "window", "channels", "discord_py_pool"),
    _Run(f"{_DISCORD_PY}, 20 of them hot", "discord", "window", "hot", "discord_py_pool"),
    _Run("aiogram, the broadcast of its manual", "telegram", "bucket", "few", "aiogram"),
    _Run("discord.py, one by one", "discord", "window", "few_channels", "discord_py_in_turn"),
)


@dataclass(frozen=True)
class _Result:
    """How a run went: messages that arrived, were refused, never came, or came twice."""

    share: float
    delivered: int
    refused: Counter[str]
    lost: int
    twice: int
    cpu: float

    def __str__(self) -> str:
        told = [
            f"{self.share:.3f}",
            f"{self.refused[OVERALL] + self.refused[CHAT]} × 429",
            f"{self.lost} lost",
            f"{self.cpu / max(self.delivered, 1) * 1e6:,.0f} µs CPU each",
        ]
        if self.twice:
            told.append(f"{self.twice} twice")
        if self.refused[CHAT]:
            told.append(f"{self.refused[CHAT]} of the refusals for one chat's limit")
        if self.refused[BESIDE]:
            told.append(f"a strict window would have refused {self.refused[BESIDE]}")
        return ", ".join(told)


def measure(folder: Path) -> list[Row]:
    """The engine's runs first, few at a time: precision is what is measured."""
    return [*_rows(folder, _ENGINES, _ENGINES_AT_ONCE), *_rows(folder, _OTHERS, _OTHERS_AT_ONCE)]


def _rows(folder: Path, runs: tuple[_Run, ...], at_once: int) -> list[Row]:
    with ThreadPoolExecutor(at_once) as threads:
        results = list(threads.map(lambda run: _result(folder, run), runs))
    return [_row(run, result) for run, result in zip(runs, results, strict=True)]


def _row(run: _Run, result: _Result) -> Row:
    name = f"share of {_LIMITS[run.platform]}/s: {run.name}"
    if run.goal is None:
        return Row(name, str(result), "", None)
    clean = not (result.refused[OVERALL] or result.refused[CHAT] or result.lost or result.twice)
    goal = f"≥ {run.goal}, 0 × 429, 0 lost"
    return Row(name, str(result), goal, clean and result.share >= run.goal)


def _result(folder: Path, run: _Run) -> _Result:
    with child("pace_server", run.platform, run.limit) as server:
        where = server.hear()
        with _sender(folder, run, where) as bot:
            begun = time.monotonic()
            bot.tell("begin")
            cpu = bot.hear()
        server.tell("report")
        return _judged(run, server.hear(), begun, cpu)


def _sender(folder: Path, run: _Run, where: dict[str, Any]) -> AbstractContextManager[Child]:
    if run.kind != "engine":
        return child("pace_clients", run.kind, where["url"], run.plan)
    path = folder / f"pace-{run.platform}-{run.limit}-{run.plan}.db"
    home = where.get("guild", 0)
    return child("pace_engine", run.platform, where["url"], path, run.plan, home)


def _judged(run: _Run, report: dict[str, Any], begun: float, cpu: float) -> _Result:
    arrived = Counter(dict(report["delivered"]))
    wanted = PLANS[run.plan].wanted()
    delivered = arrived.total()
    rate = delivered / max(report["last"] - begun, 1e-9)
    return _Result(
        rate / _LIMITS[run.platform],
        delivered,
        Counter(report["refused"]),
        (wanted - arrived).total(),
        (arrived - wanted).total(),
        cpu,
    )
