"""A process that has loaded the program, and forks one for each start: that costs no second each.

It reads orders and answers them, each a line of JSON. What it forks is the program's own command
line, to the end of the interpreter; when the orders end, all of them are killed.
"""

import importlib
import json
import os
import signal
import sys
import time
from typing import Any, Final, TextIO

_LOADED: Final = (
    "bot.__main__", "bot.app", "bot.cli.story", "bot.platforms.discord.service",
    "bot.platforms.telegram.service", "apscheduler.schedulers.asyncio", "alembic.command",
    "alembic.config", "rich.console", "cogs", "tests.kill.points",
)  # fmt: skip
_LOOK: Final = 0.002


def main() -> None:
    """Answer orders; in a process that was forked, be the program."""
    for name in _LOADED:
        importlib.import_module(name)
    from cogs import EXTENSIONS

    for name in EXTENSIONS:
        importlib.import_module(name)
    # What is frozen is not looked at again in every child, which would copy its pages.
    importlib.import_module("gc").freeze()
    # Its own reader: the program wants a standard input that nobody has read from.
    born = _answer(os.fdopen(0, closefd=False), sys.stdout)
    if born is not None:
        _be(born)


def _answer(orders: TextIO, answers: TextIO) -> dict[str, Any] | None:
    """Answer until the orders end; in a child, what it is to be."""
    children: set[int] = set()
    print("ready", file=answers, flush=True)
    for line in orders:
        order = json.loads(line)
        if "words" in order:
            pid = os.fork()
            if pid == 0:
                return dict(order)
            children.add(pid)
            print(pid, file=answers, flush=True)
        else:
            code = _ended(order["pid"], order["within"])
            if code is not None:
                children.discard(order["pid"])
            print(json.dumps(code), file=answers, flush=True)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return None


def _ended(pid: int, within: float) -> int | None:
    """How a child ended, as a negative number where by a signal; nothing if it still runs."""
    end = time.monotonic() + within
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(_LOOK)


def _be(order: dict[str, Any]) -> None:
    from bot.__main__ import main as run_program
    from tests.kill.points import die_at, hurry

    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    said = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for handle, place in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(handle, place)
    os.close(nothing)
    os.close(said)
    sys.argv = ["cliffhanger", *order["words"]]
    hurry()
    if order["point"]:
        die_at(order["point"], order["nth"])
    run_program()


if __name__ == "__main__":
    main()
