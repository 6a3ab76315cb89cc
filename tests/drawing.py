"""What the pictures of chats share: the news that is told in them, and how they are drawn."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final
from unicodedata import east_asian_width
from xml.sax.saxutils import escape

from bot.app import Engine
from bot.commands.curate import Draft, draft_update
from bot.model import UpdateKind
from storage.trust import trust
from tests.fakes.clock import FakeClock

Word = tuple[str, str]
"""Letters, and what is special about them."""

WIDTH: Final = 640
LINE: Final = 20
FONT: Final = 'font: 14.5px system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif'

_NEWS: Final = "https://www.netflix.com/tudum/articles/all-of-us-are-dead-season-2"


async def tell_news(engine: Engine, clock: FakeClock) -> None:
    """Let a season be dated, days later."""
    clock.pass_by(days=12)
    show = await engine.core.exact_show("All of Us Are Dead")
    draft = Draft(UpdateKind.DATED, 2, date="2027-03", speaker="Netflix", source=_NEWS)
    update = draft_update(show, draft, trust(), clock())
    await engine.core.storage.publishing.publish(update, clock().date())
    await engine.finish()


def framed(style: str, shapes: Iterable[str], high: float) -> str:
    """The picture as SVG."""
    size = f'width="{WIDTH}" height="{high:g}" viewBox="0 0 {WIDTH} {high:g}" xml:space="preserve"'
    back = box("back", 0.5, 0.5, WIDTH - 1, high - 1)
    start = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    return "\n".join([start, f"<style>\n{style}</style>", back, *shapes, "</svg>\n"])


def wrapped(runs: Iterable[Word], room: float) -> Iterator[list[Word]]:
    """Runs of words in lines that fit into the room."""
    line: list[Word] = []
    for run, kind in runs:
        for word in re.findall(r"\n|\S+ *| +", run):
            more = [*line, (word, kind)]
            if word == "\n" or width(more) > room:
                yield line
                more = [] if word == "\n" else more[-1:]
            line = more
    yield line


def width(line: Iterable[Word]) -> float:
    """About how wide a line is, in a font that is rather wide."""
    return sum(_width(letter) for word, _ in line for letter in word)


def _width(letter: str) -> float:
    if east_asian_width(letter) in "WF":
        return 15
    return 5 if letter in " .,:;·ijlftr/()I'" else 13 if letter in "mwMW" else 9


def lines(said: Iterable[Iterable[Word]], x: float, y: float) -> Iterator[str]:
    """Lines below each other, whose first begins at the top `y`."""
    for number, line in enumerate(said):
        runs = [(kind, "".join(w for w, _ in run)) for kind, run in groupby(line, lambda w: w[1])]
        spans = "".join(f'<tspan class="{kind}">{escape(run)}</tspan>' for kind, run in runs)
        yield text("line", x, y + 13 + number * LINE, spans)


def box(
    kind: str, x: float, y: float, wide: float, high: float, label: str = "", bend: float = 12
) -> str:
    """A box with round corners, and in it its label."""
    size = f'width="{wide:g}" height="{high:g}" rx="{min(high / 2, bend):g}"'
    words = text("label", x + wide / 2, y + high / 2 + 4.5, escape(label)) if label else ""
    return f'<rect class="{kind}" x="{x:g}" y="{y:g}" {size}/>{words}'


def text(kind: str, x: float, y: float, content: str) -> str:
    """A line of SVG."""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{content}</text>'
