"""Draws the picture of the README: the demo's first chapter, as the terminal shows it.

`make picture` writes it; a test compares it with what the bot says today.
"""

import asyncio
import io
import re
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from bot.cli.story import tell_story, the_article

WIDTH = 106


def draw() -> str:
    """The picture as SVG."""
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False
    )
    asyncio.run(tell_story(console, pause=0.0, chapters=(the_article,)))
    # Without web fonts: the picture loads nothing from anywhere.
    form = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return console.export_svg(title="cliffhanger demo", code_format=form, unique_id="cliffhanger")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw(), encoding="utf-8")
