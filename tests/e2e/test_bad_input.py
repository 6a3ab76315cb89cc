"""Bad input, bad machines, bad timing: a clear message each, and nothing lost."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from ulid import ULID

from tests.e2e.process import PROGRAM, STOPS_WITHIN, Home, eventually, messages
from tests.e2e.test_main_job import NEWS, OFFICIAL

RENEWAL = ("ozark", "--season", "9", "--kind", "renewed", *OFFICIAL)
SMALLEST_PIPE = 4096
CANARY = "canary-7f3a9c-never-to-be-seen"
STEERING = ("\x1b", "\x07", "\u202e", "\u200f")


def _show(**changes: Any) -> dict[str, Any]:
    return {"id": "a-show", "title": "A Show", **changes}


def _update(**changes: Any) -> dict[str, Any]:
    """A guess about a show: a record that is right in itself."""
    return {
        "id": str(ULID()),
        "recorded_at": "2026-01-02T03:04:05.000Z",
        "show": "a-show",
        "season": 2,
        "kind": "dated",
        "date": {"edtf": "2027-09"},
        "certainty": "speculation",
        "push": "never",
        **changes,
    }


def _renewals(count: int) -> list[dict[str, Any]]:
    """News of one show, one season each."""
    today = {"url": NEWS, "published": str(ULID().datetime.date())}
    return [
        _update(show="ozark", season=100 + number, kind="renewed", date=None, push="auto",
                certainty="official", speaker="Netflix", source=today)
        for number in range(count)
    ]  # fmt: skip


def _write(path: Path, *lines: object) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("POLL_SECONDS", "often", "'often': Input should be a valid number"),
        ("LOG_LEVEL", "LOUD", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("DATABASE_URL", f"mysql://me:{CANARY}@host/x", "write sqlite:///cliffhanger.db"),
        ("DATABASE_URL", f"postgresql://me:{CANARY}@host/x", "PostgreSQL is not ready yet"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_secrets_are_not_shown(
    tmp_path: Path, name: str, value: str, problem: str
) -> None:
    refusal = Home(tmp_path, **{name: value}).refused("run")
    assert problem in refusal
    assert name in refusal
    assert CANARY not in refusal
    assert list(tmp_path.iterdir()) == []


def test_a_token_is_never_written_anywhere_not_even_at_debug(tmp_path: Path) -> None:
    nobody = {"DISCORD_API_URL": "http://127.0.0.1:9/api/v10"}
    home = Home.stocked(
        tmp_path, DISCORD_TOKEN=CANARY, LOG_LEVEL="DEBUG", LOG_FORMAT="json", **nobody
    )
    with home.bot() as bot:
        bot.until(lambda: "discord.disconnected" in bot.err, "that nobody is there")
        assert CANARY not in bot.out + bot.err
    ended = [
        home.do("publish", *RENEWAL, "--yes"),
        home.command("doctor"),
        home.do("dump", "dump"),
    ]
    for done in ended:
        assert CANARY not in done.out + done.err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]


def test_a_settings_file_that_others_can_read_is_warned_of_and_used(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    file = _write(tmp_path / ".env", "LOG_LEVEL=INFO")
    file.chmod(0o644)
    done = home.do("shows", "ozark")
    assert "Run: chmod 600 .env" in done.err
    assert done.out.startswith("ozark")
    file.chmod(0o600)
    assert home.do("shows", "ozark").err == ""


def _nonsense(path: Path) -> None:
    path.write_text("this is a letter, not a database\n" * 100)


def _newer(path: Path) -> None:
    Home(path.parent, DATABASE_URL=f"sqlite:///{path}").do("db", "upgrade")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()


def _rows(path: Path) -> list[str] | bytes:
    """What a file holds; of a database, what is in its tables."""
    if path.is_dir():
        return b""
    if not path.read_bytes().startswith(b"SQLite format 3"):
        return path.read_bytes()
    connection = sqlite3.connect(path)
    rows = list(connection.iterdump())
    connection.close()
    return rows


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE letters (words TEXT)")
    connection.close()


@pytest.mark.parametrize(
    ("make", "command", "problem"),
    [
        (_nonsense, "shows", "is not a database of Cliffhanger"),
        (_newer, "run", "has version 9999, made by a newer Cliffhanger; this one knows versions"),
        (_foreign, "run", "holds tables that are not Cliffhanger's"),
        (Path.mkdir, "shows", "cannot be written"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_and_left_alone(
    tmp_path: Path, make: Callable[[Path], None], command: str, problem: str
) -> None:
    home = Home(tmp_path)
    make(home.database)
    before = _rows(home.database)
    refusal = home.refused(command)
    assert problem in refusal
    assert str(home.database) in refusal
    assert _rows(home.database) == before


@contextmanager
def _disk(folder: Path) -> Iterator[Path]:
    """A disk of two megabytes; skips where mounting is not permitted."""
    folder.mkdir()
    if sys.platform != "linux" or not shutil.which("mount"):
        pytest.skip("a small disk needs Linux and mount")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"mounting is not permitted: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def _fill(disk: Path) -> Path:
    """A file that takes all the room there is."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 512)
    return filler


def test_a_database_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    with _disk(tmp_path / "disk") as disk:
        home = Home.stocked(disk)
        home.do("db", "upgrade")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        assert "cannot be" in home.refused("run")


def test_a_full_disk_stores_nothing_and_says_so(tmp_path: Path) -> None:
    with _disk(tmp_path / "disk") as disk:
        home = Home.stocked(disk)
        with home.bot() as bot:
            bot.ask("/subscribe ozark")
            filler = _fill(disk)
            refusal = home.refused("publish", *RENEWAL, "--yes")
            assert "is full. Nothing was stored: make room, then try again." in refusal
            assert "is full" in bot.ask("/subscribe kin")
            filler.unlink()
            home.publish(*RENEWAL)
            bot.wait_for("RENEWED · Ozark, season 9")
            assert "You follow 1 show." in bot.ask("/subscriptions")
            assert bot.finish() == 0
            assert bot.out.count("RENEWED · ") == 1


def test_a_disk_that_fills_while_alerts_go_out_sends_none_twice(tmp_path: Path) -> None:
    with _disk(tmp_path / "disk") as disk:
        home = Home.stocked(disk)
        home.talk("/subscribe ozark")
        news = _write(disk / "news.jsonl", *_renewals(20))
        with home.bot(pipe_size=SMALLEST_PIPE) as bot:
            home.do("load", str(news))
            eventually(bot.backed_up, "alerts under way")
            filler = _fill(disk)
            bot.until(lambda: len(bot.said) == 20, "all alerts")
            bot.until(lambda: "is full" in bot.err, "a log line that the outcome cannot be stored")
            filler.unlink()
            assert bot.finish() == 0
            assert bot.out.count("RENEWED · ") == 20
        assert home.deliveries()["sent"] == 20
        assert home.talk() == []


_LONG = "y" * 10_000_000
BAD_LINES: dict[str, tuple[object, str, str]] = {
    "json": ("{this is not JSON", "", "not JSON"),
    "kind": (_update(kind="rumoured"), "kind", "'renewed'"),
    "february": (_update(date={"edtf": "2023-02-30"}), "date.edtf", "2023-02-30"),
    "tba": (_update(date={"edtf": "2027-09-02", "raw": "TBA"}), "date.raw", "leave the whole"),
    "retraction": (
        _update(kind="retracted", date=None, retracts=str(ULID()), reason="a hoax"),
        "retracts", "no update of this show",
    ),
    "large": (_show(title=_LONG), "", "at most 65,536"),
    "long": (_show(title="y" * 5000), "title", "at most 200"),
    "escape": (_show(title="A \x1b]0;owned\x07Show"), "title", "U+001B"),
    "right-to-left": (_show(title="A \u202eShow"), "title", "U+202E"),
}  # fmt: skip


def test_a_bad_line_is_named_with_its_field_and_nothing_of_its_file_is_stored(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path)
    good, twin = _update(), _update()
    cases = {
        **BAD_LINES,
        "twin": (twin, "id", "stands on line 2 as well"),
        "reused": (_update(id=good["id"], season=3), "id", "ids are never reused"),
    }
    home.do("load", str(_write(tmp_path / "good.jsonl", _show(), good)))
    for name, (line, _, _) in cases.items():
        _write(tmp_path / f"{name}.jsonl", _show(id="new", title="New"), twin, line)

    with ThreadPoolExecutor(4) as pool:
        refusals = list(pool.map(lambda name: home.refused("load", f"{name}.jsonl"), cases))
    for refusal, (name, (_, field, problem)) in zip(refusals, cases.items(), strict=True):
        assert refusal.startswith(f"cliffhanger: {name}.jsonl, line 3"), refusal
        assert not field or f"field '{field}'" in refusal, refusal
        assert problem in refusal, refusal
        assert "Nothing of this file was stored." in refusal
        assert len(refusal) < 1000, "a long value is not shown in full"
        assert not any(sign in refusal for sign in STEERING)
    assert len(home.do("shows", "--json").records) == 1
    assert [one["id"] for one in home.do("updates", "--json").records] == [good["id"]]


def test_hostile_lines_are_answered_and_cannot_steer_the_terminal(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    said = home.talk(
        "/status evil\x1b]0;owned\x07\x1b[2J\u202etitle",
        "/status " + "x" * 5000,
        '/status "all of us',
        "/stauts ozark",
        "/" + "z" * 3000,
        "/subscribe",
        "/privacy everything",
        "hello",
        "/help me",
        "\u202e\x1b[2J",
    )
    assert "No show called “evil]0;owned[2Jtitle”" in said[0]
    assert "titles have at most 200" in said[1]
    assert "A quote" in said[2]
    assert "Did you mean /status?" in said[3]
    assert len(said[4]) < 200
    assert "Write: /subscribe show" in said[5]
    assert "export, delete" in said[6]
    assert "slash" in said[7]
    assert "is too much" in said[8]
    assert len(said) == 10
    assert not any(sign in "".join(said) for sign in STEERING)


def test_hostile_arguments_are_refused_and_cannot_steer_the_terminal(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    kind = ("--season", "9", "--kind", "renewed", "--yes")
    broken = os.fsdecode(b"\xff\xfe")
    for words in (
        ("publish", "Oz\x1b]0;owned\x07\u202eark", *kind),
        ("publish", "x" * 5000, *kind),
        ("publish", "ozark", *kind, "--speaker", "Netflix", "--source", "https://[bad"),
        ("retract", broken + "\x1b[2J", "--reason", "none"),
    ):
        refusal = home.refused(*words)
        assert len(refusal) < 1000
        assert not any(sign in refusal for sign in STEERING)


def test_text_in_another_encoding_stops_neither_reading_nor_writing(tmp_path: Path) -> None:
    ascii_only = Home.stocked(tmp_path, PYTHONIOENCODING="ascii")
    assert "All of Us Are Dead" in ascii_only.do("shows", "all of us are dead").out
    strict = Home.stocked(tmp_path, PYTHONIOENCODING="utf-8:strict")
    ended = subprocess.run(
        [*PROGRAM, "run"], cwd=tmp_path, env=strict.environment, timeout=30,
        input=b"/status \xff\xfe\n/subscriptions\n", capture_output=True,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"You follow no show yet." in ended.stdout


def test_a_bot_whose_input_was_closed_delivers_and_ends(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    home.talk("/subscribe ozark")
    home.publish(*RENEWAL)
    closed = ("sh", "-c", 'exec "$@" <&-', "sh", *PROGRAM)
    done = home.command("run", program=closed)
    assert done.code == 0
    assert "RENEWED · Ozark, season 9" in done.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_bot_that_is_starting(tmp_path: Path, number: signal.Signals) -> None:
    with Home(tmp_path).bot() as bot:
        eventually((tmp_path / "cliffhanger.db.lock").exists, "the start")
        bot.send(number)
        assert bot.ended(STOPS_WITHIN) == 0
        assert bot.err == ""


def test_a_signal_stops_an_idle_bot_and_one_that_is_delivering(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    with home.bot() as idle:
        idle.ask("/subscribe ozark")
        idle.send(signal.SIGINT)
        assert idle.ended(STOPS_WITHIN) == 0
        assert idle.err == ""
    home.do("load", str(_write(tmp_path / "news.jsonl", *_renewals(30))))
    with home.bot(pipe_size=SMALLEST_PIPE) as delivering:
        eventually(delivering.backed_up, "alerts under way")
        delivering.send(signal.SIGTERM)
        assert "RENEWED" in delivering.wait_for("RENEWED")
        assert delivering.ended(STOPS_WITHIN) == 0
        assert delivering.err == ""
    told = Counter(_alerts(delivering.out))
    told.update(_alerts("\n\n".join(home.talk())))
    assert set(told.values()) == {1}
    assert len(told) == 30


def test_a_signal_stops_a_bot_whose_database_another_process_holds(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    with home.bot() as bot:
        bot.ask("/help")
        with closing(sqlite3.connect(tmp_path / "cliffhanger.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            bot.enter("/subscribe ozark")
            bot.send(signal.SIGTERM)
            assert bot.ended(STOPS_WITHIN) == 0
        assert "Traceback" not in bot.err
        assert "database is locked" not in bot.err


def test_a_database_is_one_under_all_its_names(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    (tmp_path / "other.db").symlink_to(tmp_path / "cliffhanger.db")
    with home.bot() as bot:
        bot.ask("/help")
        other = Home(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path / 'other.db'}")
        assert "A bot runs on this database already" in other.refused("run")


def test_a_signal_stops_a_bot_whose_output_nobody_reads(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    home.talk("/subscribe ozark")
    home.do("load", str(_write(tmp_path / "news.jsonl", *_renewals(30))))
    with home.bot(pipe_size=SMALLEST_PIPE) as bot:
        eventually(bot.backed_up, "alerts under way")
        bot.send(signal.SIGTERM)
        assert bot.ended(STOPS_WITHIN) == 0
        assert "Traceback" not in bot.err
    counts = json.loads(home.do("deliveries", "--json").out)
    assert counts["sent"] + counts["pending"] == sum(counts.values()) == 30


def _alerts(text: str) -> list[str]:
    """The first lines of the alerts in the output."""
    return [one.splitlines()[0] for one in messages(text) if one.startswith("RENEWED · ")]


def test_a_kill_while_delivering_loses_nothing_and_repeats_only_what_was_under_way(
    tmp_path: Path,
) -> None:
    home = Home.stocked(tmp_path)
    home.talk("/subscribe ozark")
    home.publish(*RENEWAL)
    assert _alerts("\n\n".join(home.talk())) == ["RENEWED · Ozark, season 9"]
    news = _write(tmp_path / "news.jsonl", *_renewals(60))
    home.do("load", str(news))
    with home.bot(pipe_size=SMALLEST_PIPE) as bot:
        eventually(bot.backed_up, "alerts under way")
        bot.send(signal.SIGKILL)
        assert bot.ended() == -signal.SIGKILL
        shown = _alerts(bot.out)
    assert 0 < len(shown) < 60
    rest = _alerts("\n\n".join(home.talk()))
    assert {*shown, *rest} == {f"RENEWED · Ozark, season {100 + n}" for n in range(60)}
    assert len(rest) == len(set(rest)), "what was settled before the kill is not said again"
    assert len(shown) == len(set(shown))
    assert home.deliveries() == {
        "pending": 0, "held": 0, "sent": 61, "expired": 0, "failed": 0, "uncertain": 0,
    }  # fmt: skip


def test_a_second_bot_on_the_same_database_is_refused(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    with home.bot() as bot:
        bot.ask("/help")
        assert f"(process {bot.pid})" in home.refused("run")
        bot.send(signal.SIGKILL)
        assert bot.ended() == -signal.SIGKILL
    assert home.talk("/help"), "a killed bot leaves no lock"


@pytest.mark.parametrize("words", ["updates --json", "run"])
def test_output_that_nobody_reads_any_more_ends_without_a_traceback(
    tmp_path: Path, words: str
) -> None:
    piped = f'"$@" {words} | head -n 1; echo "${{PIPESTATUS[0]}}"'
    done = Home.stocked(tmp_path).command(
        program=("bash", "-c", piped, "bash", *PROGRAM), entered="/help\n" * 30
    )
    assert done.err == ""
    assert len(done.lines) == 2
    assert done.lines[-1] == "1"
