"""Processes of the program that live briefly: started, waited for, and killed by their number."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.e2e.process import PROGRAM, ROOT

PATIENCE: Final = 30.0


class Running:
    """A process of the program."""

    def __init__(self, nursery: "Nursery", pid: int) -> None:
        self._nursery = nursery
        self.pid = pid
        self.code: int | None = None

    def kill(self) -> None:
        """End it at once, wherever it is."""
        os.kill(self.pid, signal.SIGKILL)  # still a child of the zygote: the number is its own
        self.ended()

    def stop(self, within: float) -> int | None:
        """Ask it to stop; returns its exit code, or nothing where it still runs."""
        os.kill(self.pid, signal.SIGTERM)
        return self.ended(within)

    def ended(self, within: float = PATIENCE) -> int | None:
        """Wait for its end; returns the exit code, or nothing where it still runs."""
        if self.code is None:
            self.code = self._nursery.ask({"pid": self.pid, "within": within})
        return self.code


class Nursery:
    """Starts processes of the program in a folder, with these settings."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._folder = folder
        self.log = folder / "said.txt"
        self.log.touch(0o600)
        # A process that is killed has nothing to say about coverage.
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("COV")
        }
        self._environment = {**inherited, "PYTHONPATH": str(ROOT), **settings}
        self._zygote = subprocess.Popen(
            [*PROGRAM[:-1], "tests.kill.zygote"],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == "ready"

    def __enter__(self) -> Self:
        """Ready."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        """End every process that is left."""
        assert self._zygote.stdin
        assert self._zygote.stdout
        self._zygote.stdin.close()
        try:
            self._zygote.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._zygote.kill()
            self._zygote.wait()
        self._zygote.stdout.close()

    def start(self, *words: str, point: str = "", nth: int = 1) -> Running:
        """Start a command; it dies by itself at the `nth` time that it comes to a point."""
        order = {
            "words": words,
            "folder": str(self._folder),
            "environment": self._environment,
            "log": str(self.log),
            "point": point,
            "nth": nth,
        }
        return Running(self, int(self.ask(order)))

    def do(self, *words: str, point: str = "", nth: int = 1) -> int | None:
        """Run a command to its end; returns the exit code."""
        return self.start(*words, point=point, nth=nth).ended()

    def ask(self, order: Mapping[str, Any]) -> Any:
        """Give an order, and return the answer."""
        assert self._zygote.stdin
        print(json.dumps(order), file=self._zygote.stdin, flush=True)
        return json.loads(self._read())

    @property
    def said(self) -> str:
        """What all of them have said."""
        return self.log.read_text("utf-8")

    def _read(self) -> str:
        assert self._zygote.stdout
        line = self._zygote.stdout.readline()
        assert line, f"the zygote has ended with {self._zygote.poll()}"
        return line.strip()
