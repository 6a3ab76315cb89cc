"""The pictures of the README show what the bot says today."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.build import ROOT


# Each is drawn by a program of its own, as a bot leaves its marks on the process it runs in.
@pytest.mark.parametrize(
    ("name", "program"),
    [("demo", "picture"), ("telegram", "telegram_picture"), ("discord", "discord_picture")],
)
def test_the_picture_is_up_to_date(name: str, program: str, tmp_path: Path) -> None:
    drawn = tmp_path / "drawn.svg"
    subprocess.run(
        [sys.executable, "-m", f"tests.{program}", drawn], cwd=ROOT, check=True, timeout=60
    )
    shown = ROOT / "docs" / f"{name}.svg"
    assert shown.read_text(encoding="utf-8") == drawn.read_text(encoding="utf-8"), (
        f"the bot speaks differently now: run `make picture` and look at docs/{name}.svg"
    )
