"""`make kill`: so many kills, seen to go on, and what came of them."""

import argparse
import random
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.kill.campaign import Campaign
from tests.kill.migration import kill_in_migration
from tests.kill.scene import Scene, problems

_SHOWN: Final = 20


def main() -> int:
    """Kill; the exit code says whether the promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.kill", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="bots to kill")
    parser.add_argument("--seed", type=int, help="of an earlier run, to be repeated")
    asked = parser.parse_args()
    seed = secrets.randbelow(2**32) if asked.seed is None else asked.seed
    console = Console()
    console.print(f"Seed {seed}")
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="cliffhanger-kill-") as folder,
        Scene(Path(folder)) as scene,
    ):
        scene.stock()
        campaign = Campaign(scene, random.Random(seed))
        ticks = iter(track(range(asked.kills), "Killing", console=console))
        next(ticks, None)
        campaign.run(asked.kills, lambda: next(ticks, None))
        verdicts = scene.verdicts()
    with (
        console.status("Killing in an upgrade …"),
        tempfile.TemporaryDirectory(prefix="cliffhanger-kill-") as folder,
        Scene(Path(folder)) as scene,
    ):
        steps = kill_in_migration(scene, stride=1)
        upgraded = scene.verdicts()
    table = Table("platform", "kills", "updates", "expected", "lost", "extra copies", "most copies")
    for one in verdicts:
        figures = (asked.kills, one.updates, one.expected, one.lost, one.extras, one.worst)
        table.add_row(one.platform, *map(str, figures))
    console.print(table)
    console.print(", ".join(f"{kind} {count}" for kind, count in campaign.kinds.most_common()))
    console.print(f"in an upgrade and its backup {steps}")
    console.print(f"{time.monotonic() - began:.0f} s")
    broken = problems([*verdicts, *upgraded])
    for problem in broken[:_SHOWN]:
        console.print(problem, style="red")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
