"""The package as others get it: built, installed elsewhere, run outside the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.e2e.process import ROOT

_NOT_PACKAGED = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"
)


def _run(*words: str | Path, folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env={**environment, "COLUMNS": "200"},
        capture_output=True,
        encoding="utf-8",
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _built(folder: Path) -> Path:
    """The wheel, built from a copy: building leaves files beside the sources."""
    shutil.copytree(ROOT, folder / "source", ignore=_NOT_PACKAGED)
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder,
         folder=folder / "source")  # fmt: skip
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_what_the_program_needs_and_works_anywhere(tmp_path: Path) -> None:
    wheel = _built(tmp_path)
    packaged = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    needed = {
        str(path.relative_to(ROOT))
        for pattern in (
            "storage/migrations/**/*.py",
            "storage/curated/**/*.jsonl",
            "storage/trust/*.jsonl",
            "bot/**/*.py",
        )
        for path in ROOT.glob(pattern)
    }
    assert len(needed) > 50
    assert needed <= packaged
    assert {name.split("/")[0] for name in packaged} == {"bot", "cogs", "storage"}

    fresh, empty = tmp_path / "fresh", tmp_path / "empty"
    empty.mkdir()
    _run(sys.executable, "-m", "venv", "--without-pip", fresh, folder=tmp_path)
    python = fresh / "bin" / "python"
    # The dependencies are those of this environment: nothing is fetched.
    site = _run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))",
                folder=empty).strip()  # fmt: skip
    mine = [path for path in sys.path if path.endswith("site-packages")]
    Path(site, "dependencies.pth").write_text("\n".join(mine))
    _run(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps",
         "--quiet", "--disable-pip-version-check", wheel, folder=tmp_path)  # fmt: skip
    where = _run(python, "-c", "import bot, storage; print(bot.__file__, storage.__file__)",
                 folder=empty)  # fmt: skip
    assert all(path.startswith(str(fresh)) for path in where.split())

    command = fresh / "bin" / "cliffhanger"
    assert "CORRECTION · " in _run(command, "demo", "--fast", folder=empty)
    assert list(empty.iterdir()) == []
    assert "all-of-us-are-dead" in _run(command, "shows", folder=empty)
    assert (empty / "cliffhanger.db").exists()
