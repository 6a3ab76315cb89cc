"""The prompt, driven like a person does it: keys in, a screen out."""

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.process import PROMPT, Home
from tests.e2e.test_main_job import OFFICIAL

CTRL_C, CTRL_D, CTRL_U, UP, DOWN, TAB, ENTER = (
    "\x03",
    "\x04",
    "\x15",
    "\x1b[A",
    "\x1b[B",
    "\t",
    "\r",
)


def test_a_person_types_completes_and_is_told_above_the_prompt(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    with home.screen() as screen:
        screen.ready()
        assert "/subscribe all of us are dead" in screen.text, "the welcome says how to begin"

        screen.press("/unsu")
        screen.wait_for("follow a show no more")
        screen.press(TAB)
        screen.until(lambda s: s.typed == "/unsubscribe", "the completed command")
        screen.press(CTRL_U + "/subscribe ozk")
        screen.until(lambda s: "Ozark" in s.text, "the completed title")
        screen.press(TAB)
        screen.until(lambda s: s.typed == "/subscribe Ozark", "the completed title")
        screen.press(ENTER)
        screen.wait_for("you get every alert for Ozark")
        screen.ready()

        screen.press("/status oz")
        screen.until(lambda s: s.typed == "/status oz", "half a command")
        home.publish("ozark", "--season", "9", "--kind", "renewed", *OFFICIAL)
        screen.wait_for("RENEWED · Ozark, season 9")
        screen.until(lambda s: s.typed == "/status oz", "what was typed")
        alert = next(place for place, row in enumerate(screen.rows) if row.startswith("RENEWED"))
        assert alert < screen.rows_of_prompt[-1], "the alert stands above the prompt"
        screen.press("ark" + ENTER)
        screen.wait_for("Ozark, season 9: renewed, not dated")
        screen.ready()

        screen.press(UP)
        screen.until(lambda s: s.typed == "/status ozark", "the last command")
        screen.press(UP)
        screen.until(lambda s: s.typed == "/subscribe Ozark", "the command before")
        screen.press(CTRL_C)
        screen.ready()
        screen.press(CTRL_C)
        assert screen.ended() == 0


def test_history_outlives_the_bot_and_is_private_and_ctrl_d_ends(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    with home.screen() as screen:
        screen.ready()
        screen.enter("/upcoming")
        screen.wait_for("date")
        screen.ready()
        screen.press(CTRL_D)
        assert screen.ended() == 0
    history = tmp_path / "state" / "cliffhanger" / "history"
    assert history.stat().st_mode & 0o077 == 0
    with home.screen() as screen:
        screen.ready()
        screen.press(UP)
        screen.until(lambda s: s.typed == "/upcoming", "the command of the bot before")
        screen.press(CTRL_U + CTRL_D)
        assert screen.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_prompt_with_a_half_typed_line(
    tmp_path: Path, number: signal.Signals
) -> None:
    home = Home.stocked(tmp_path)
    with home.screen() as screen:
        screen.ready()
        screen.press("/status oz")
        screen.until(lambda s: s.typed == "/status oz", "half a command")
        os.kill(screen.pid, number)
        assert screen.ended() == 0


def test_nothing_that_is_entered_steers_the_terminal(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    evil = "evil\x1b]0;owned\x07\x1b[2J\x1b[31mtitle"
    with home.screen() as screen:
        screen.ready()
        screen.press(f"\x1b[200~/status {evil}\x1b[201~")
        screen.until(lambda s: "owned" in s.typed, "the pasted text")
        screen.press(ENTER)
        screen.wait_for("No show called “evil]0;owned[2J[31mtitle”")
        screen.wait_for(PROMPT)
        for steering in (b"\x1b]0;owned", b"\x1b[31mtitle"):
            assert steering not in screen.raw
        screen.ready()
        screen.press(CTRL_D)
        assert screen.ended() == 0
