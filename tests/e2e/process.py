"""The program under test, each time as a process of its own: commands, a live bot, one at a screen.

Everything waits for a condition with a deadline, and ends what it started.
"""

import atexit
import codecs
import fcntl
import functools
import json
import os
import pty
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

import pyte

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 20.0
"""Seconds until a condition that does not come fails a test; a good run never needs them."""

STOPS_WITHIN: Final = 10.0
"""Seconds that a clean stop may take."""

POLL: Final = 0.2

_SETTINGS: Final = (
    "DISCORD_TOKEN", "TELEGRAM_TOKEN", "DATABASE_URL", "POLL_SECONDS", "CURATORS", "LOG_LEVEL",
    "LOG_FORMAT", "DISCORD_API_URL", "DISCORD_SHARDS", "DISCORD_DEV_GUILD", "TELEGRAM_API_URL",
    "TELEGRAM_WEBHOOK_URL", "TELEGRAM_WEBHOOK_LISTEN", "TELEGRAM_PAID_BROADCAST",
)  # fmt: skip

# The date library builds its grammar in a way that its own parser only warns of when it finds -W;
# discord.py imports what Python 3.13 no longer has.
PROGRAM: Final = (
    sys.executable, "-W", "error", "-W", "ignore:::pyparsing",
    "-W", "ignore:'audioop':DeprecationWarning", "-m", "bot",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines of its output."""
        return self.out.splitlines()

    @property
    def records(self) -> list[dict[str, Any]]:
        """The JSON records of its output, one a line."""
        return [json.loads(line) for line in self.lines]


def eventually(condition: Callable[[], object], what: str, within: float = PATIENCE) -> None:
    """Wait until the condition holds; fails with `what` after the deadline."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"not within {within} s: {what}"
        time.sleep(0.01)


class Home:
    """A folder with a database of its own, and the program to run there."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.database = folder / "cliffhanger.db"
        inherited = {name: value for name, value in os.environ.items() if name not in _SETTINGS}
        self.environment = {
            **inherited,
            "PYTHONPATH": str(ROOT),
            "XDG_STATE_HOME": str(folder / "state"),
            "DATABASE_URL": f"sqlite:///{self.database}",
            "POLL_SECONDS": str(POLL),
            **settings,
        }

    @classmethod
    def stocked(cls, folder: Path, **settings: str) -> Self:
        """A folder whose database holds the starter catalogue already."""
        home = cls(folder, **settings)
        shutil.copy(_stock(), home.database)
        return home

    def command(self, *words: str, entered: str = "", program: Sequence[str] = PROGRAM) -> Done:
        """Run one command to its end; it never shows a traceback."""
        ended = subprocess.run(
            [*program, *words],
            cwd=self.folder,
            env=self.environment,
            input=entered,
            capture_output=True,
            encoding="utf-8",
            timeout=3 * PATIENCE,
        )
        done = Done(ended.returncode, ended.stdout, ended.stderr)
        assert "Traceback" not in done.err, done.err
        self.check_secrets(done.out + done.err)
        return done

    def check_secrets(self, said: str) -> None:
        """Fail where the program says a token; what is behind its colon is enough to use it."""
        for name in ("DISCORD_TOKEN", "TELEGRAM_TOKEN"):
            secret = self.environment.get(name, "").rpartition(":")[2]
            assert not secret or secret not in said, f"{name} is told: {said}"

    def do(self, *words: str, entered: str = "") -> Done:
        """Run a command that succeeds."""
        done = self.command(*words, entered=entered)
        assert done.code == 0, done
        return done

    def refused(self, *words: str, entered: str = "") -> str:
        """Run a command that is refused with exit code 1; returns the reason."""
        done = self.command(*words, entered=entered)
        assert done.code == 1, done
        assert done.err.strip(), done
        return done.err

    def publish(self, *words: str) -> dict[str, Any]:
        """Publish an update without being asked; returns the stored record."""
        record: dict[str, Any] = self.do("publish", *words, "--yes", "--json").records[0]
        return record

    def deliveries(self) -> dict[str, int]:
        """How many deliveries are in each state."""
        counts: dict[str, int] = self.do("deliveries", "--json").records[0]
        return counts

    def talk(self, *entered: str) -> list[str]:
        """Run the bot on these lines until the end of input; returns what it said."""
        return messages(self.do("run", entered="".join(f"{line}\n" for line in entered)).out)

    @contextmanager
    def bot(self, *, pipe_size: int | None = None) -> Iterator["LiveBot"]:
        """A bot that runs with its standard input open."""
        bot = LiveBot(self, pipe_size)
        try:
            yield bot
        finally:
            bot.close()
            self.check_accounts()

    def check_accounts(self) -> None:
        """Fail where deliveries that were created are in no state, or others are.

        A file that a test has damaged is not looked at.
        """
        if not self.database.exists():
            return
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(self.database)) as connection:
            if not connection.execute(
                "SELECT 1 FROM sqlite_schema WHERE name = 'fanouts'"
            ).fetchall():
                return
            created = "SELECT coalesce(sum(created), 0) FROM fanouts"
            ((missing,),) = connection.execute(f"SELECT ({created}) - count(*) FROM deliveries")
        assert missing == 0, f"{missing} deliveries are not accounted for"

    @contextmanager
    def screen(self) -> Iterator["ScreenBot"]:
        """A bot with a person's terminal."""
        bot = ScreenBot(self)
        try:
            yield bot
        finally:
            bot.close()


@functools.cache
def _stock() -> Path:
    """A database that the program filled at its first start; made once."""
    folder = Path(tempfile.mkdtemp(prefix="cliffhanger-tests-"))
    atexit.register(shutil.rmtree, folder)
    home = Home(folder)
    home.do("shows")
    return home.database


def messages(text: str) -> list[str]:
    """What the bot said, message by message: each ends with an empty line."""
    return [message for message in text.split("\n\n") if message.strip()]


class _Collected:
    """Text that a thread reads from a pipe as it comes."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._chunks: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while chunk := os.read(self._source.fileno(), 65536):
            self._chunks.append(self._decoder.decode(chunk))

    @property
    def text(self) -> str:
        return "".join(self._chunks)

    def to_end(self) -> str:
        """Everything, once the other side has closed."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the output is still open"
        return self.text


class LiveBot:
    """A running bot on pipes. Nothing is read from it before the first look at what it said."""

    def __init__(self, home: Home, pipe_size: int | None = None) -> None:
        self._home = home
        self._process = subprocess.Popen(
            [*PROGRAM, "run"],
            cwd=home.folder,
            env=home.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        process = self._process
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        if pipe_size:
            fcntl.fcntl(self._stdout, fcntl.F_SETPIPE_SZ, pipe_size)
        self._errors = _Collected(self._stderr)
        self._output: _Collected | None = None

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def out(self) -> str:
        """What it printed so far."""
        if self._output is None:
            self._output = _Collected(self._stdout)
        return self._output.text

    @property
    def err(self) -> str:
        """What stands on its standard error so far."""
        return self._errors.text

    @property
    def said(self) -> list[str]:
        """The messages so far, each once it is whole."""
        whole, _, _ = self.out.rpartition("\n\n")
        return messages(whole)

    def enter(self, line: str) -> None:
        """Type a line."""
        self._stdin.write(f"{line}\n".encode())
        self._stdin.flush()

    def ask(self, line: str) -> str:
        """Type a line and wait for the next message."""
        before = len(self.said)
        self.enter(line)
        self.until(lambda: len(self.said) > before, f"an answer to {line}")
        return self.said[before]

    def until(self, condition: Callable[[], object], what: str, within: float = PATIENCE) -> None:
        """Wait for a condition while the bot runs."""

        def holds() -> bool:
            if condition():
                return True
            assert self._process.poll() is None, f"ended before {what}: {self.out}{self.err}"
            return False

        eventually(holds, f"{what}; it said: {self.out}{self.err}", within)

    def wait_for(self, text: str, within: float = PATIENCE) -> str:
        """Wait for a message with this text, and return it."""
        self.until(lambda: any(text in one for one in self.said), repr(text), within)
        return next(one for one in self.said if text in one)

    def backed_up(self) -> bool:
        """Whether its output waits in a full pipe, since nobody has read anything."""
        room = fcntl.fcntl(self._stdout, fcntl.F_GETPIPE_SZ)
        waiting = fcntl.ioctl(self._stdout, termios.FIONREAD, b"\0" * 4)
        return int(struct.unpack("i", waiting)[0]) >= room * 3 // 4

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def end_input(self) -> None:
        """Close its standard input."""
        self._stdin.close()

    def ended(self, within: float = PATIENCE) -> int:
        """Wait for its end; returns the exit code."""
        code = self._process.wait(within)
        self._errors.to_end()
        if self._output is None:
            self._output = _Collected(self._stdout)
        self._output.to_end()
        assert "Traceback" not in self.err, self.err
        return code

    def finish(self) -> int:
        """End the input and wait for the end."""
        self.end_input()
        return self.ended()

    def close(self) -> None:
        """Leave no process and no open pipe."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)
        said = self.out + self._errors.to_end()
        said += self._output.to_end() if self._output else ""
        for pipe in (self._stdin, self._stdout, self._stderr):
            try:
                pipe.close()
            except BrokenPipeError:
                continue
        self._home.check_secrets(said)


class _Answering(pyte.Screen):
    """A screen that answers the questions a program asks its terminal."""

    def __init__(self, columns: int, rows: int, answer: Callable[[str], None]) -> None:
        super().__init__(columns, rows)
        self._answer = answer

    def write_process_input(self, data: str) -> None:
        """Send an answer, such as where the cursor stands."""
        self._answer(data)


class ScreenBot:
    """A running bot at a terminal of 100 × 30, and what the person there sees."""

    COLUMNS: Final = 100
    ROWS: Final = 30

    def __init__(self, home: Home) -> None:
        self._master, slave = pty.openpty()
        size = struct.pack("HHHH", self.ROWS, self.COLUMNS, 0, 0)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
        self._process = subprocess.Popen(
            [*PROGRAM, "run"],
            cwd=home.folder,
            env={**home.environment, "TERM": "xterm-256color"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.raw = b""
        self._lock = threading.Lock()
        self._screen = _Answering(self.COLUMNS, self.ROWS, self.press)
        self._stream = pyte.ByteStream(self._screen)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while chunk := self._chunk():
            with self._lock:
                self.raw += chunk
                self._stream.feed(chunk)

    def _chunk(self) -> bytes:
        try:
            return os.read(self._master, 65536)
        except OSError:  # a terminal that its last program has left
            return b""

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    @property
    def rows(self) -> list[str]:
        """The screen, row by row, without blanks at the ends."""
        with self._lock:
            return [row.rstrip() for row in self._screen.display]

    @property
    def text(self) -> str:
        """The screen."""
        return "\n".join(row for row in self.rows if row)

    @property
    def typed(self) -> str:
        """What stands in the last prompt on the screen."""
        prompts = [row for row in self.rows if row.startswith(PROMPT)]
        return prompts[-1].removeprefix(PROMPT).strip() if prompts else ""

    def until(self, condition: Callable[[Self], object], what: str) -> None:
        """Wait until the screen looks so."""
        end = time.monotonic() + PATIENCE
        while not condition(self):
            assert time.monotonic() < end, f"not on the screen: {what}\n{self.text}"
            time.sleep(0.01)

    def wait_for(self, text: str) -> None:
        """Wait until the screen shows this."""
        self.until(lambda screen: text in screen.text, repr(text))

    def ready(self) -> None:
        """Wait for an empty prompt."""
        self.until(lambda screen: screen.rows_of_prompt and not screen.typed, "an empty prompt")

    @property
    def rows_of_prompt(self) -> list[int]:
        """Where prompts stand on the screen."""
        return [place for place, row in enumerate(self.rows) if row.startswith(PROMPT)]

    def enter(self, line: str) -> None:
        """Type a line and press Enter."""
        self.press(line)
        self.until(lambda screen: screen.typed == line, f"{line!r} in the prompt")
        self.press("\r")

    def ended(self) -> int:
        """Wait for its end; returns the exit code."""
        code = self._process.wait(PATIENCE)
        self._thread.join(PATIENCE)
        assert b"Traceback" not in self.raw, self.text
        return code

    def close(self) -> None:
        """Leave no process and no open terminal."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)
        self._thread.join(PATIENCE)
        os.close(self._master)


PROMPT: Final = "cliffhanger>"
