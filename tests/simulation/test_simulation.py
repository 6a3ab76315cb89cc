"""The simulation itself: it finds nothing in the bot, finds what is planted, and repeats itself."""

import asyncio
import hashlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import bot.platforms.telegram.messenger
import storage.publishing
from tests.build import ROOT
from tests.simulation.__main__ import HOURS_EACH
from tests.simulation.world import play

SEED = 1
EACH = 10
KINDS = 40
"""Kinds of faults that strike at least in `EACH` scenarios."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "first",
    [pytest.param(first, marks=pytest.mark.xdist_group(f"hours-{first}"))
     for first in range(0, 50, EACH)],
)  # fmt: skip
def test_no_promise_is_broken_in_four_hundred_hours(first: int) -> None:
    played = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", str(SEED),
         "--first", str(first), "--hours", str(EACH * HOURS_EACH)],
        # Without counting lines, which takes as long as the play.
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert played.returncode == 0, played.stdout
    (struck,) = re.findall(r"(\d+) kinds of faults struck", played.stdout)
    assert int(struck) >= KINDS


def test_equal_seeds_give_equal_traces(tmp_path: Path) -> None:
    first, again = io.StringIO(), io.StringIO()
    play("same/0", 12, first)
    play("same/0", 12, again)
    elsewhere = tmp_path / "trace.txt"
    subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", "same", "--hours", "12",
         "--trace", str(elsewhere)],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        timeout=100,
    )  # fmt: skip
    assert first.getvalue() == again.getvalue() == elsewhere.read_text(encoding="utf-8")


def test_other_seeds_give_other_traces() -> None:
    assert play("one/0", 3)[1].digest != play("other/0", 3)[1].digest


def test_a_trace_is_what_was_written_down() -> None:
    out = io.StringIO()
    _, trace = play("digest/0", 3, out)
    assert hashlib.sha256(out.getvalue().encode()).hexdigest() == trace.digest


_send: Any = bot.platforms.telegram.messenger.send  # type: ignore[attr-defined]


async def _thrown_away(*_given: Any) -> int:
    return 7


async def _sent_twice(*given: Any) -> int:
    await _send(*given)
    await asyncio.sleep(70)  # or else the platform would refuse the second one, again and again
    number: int = await _send(*given)
    return number


PLANTED: dict[str, tuple[Any, str, Callable[..., Any], str]] = {
    "a lost message": (
        bot.platforms.telegram.messenger, "send", _thrown_away, "nothing is lost",
    ),
    "a message that is sent twice": (
        bot.platforms.telegram.messenger, "send", _sent_twice, "no needless copies",
    ),
    "a guess that is sent": (
        storage.publishing, "quiet_reason", lambda _update, _today: None, "no guess is sent",
    ),
}  # fmt: skip


@pytest.mark.parametrize("bug", PLANTED)
def test_the_checker_notices(bug: str) -> None:
    module, name, planted, promise = PLANTED[bug]
    with patch.object(module, name, planted):
        for index in range(6):
            outcome, _ = play(f"planted/{index}", 24)
            if promise in {one.promise for one in outcome.violations}:
                return
    pytest.fail(f"nobody noticed {bug}")
