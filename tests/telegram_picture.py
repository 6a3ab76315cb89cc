"""Draws the picture of a chat in the README: what a fan and the bot say on the fake Telegram.

Only the clock is not real: it stands on two days, so that the picture does not age.
`make picture` writes it; a test compares it with what the bot says today.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from bot.app import Engine
from bot.commands.curate import Draft, draft_update
from bot.commands.files import load_starter
from bot.message.dates import day
from bot.model import Platform, UpdateKind
from bot.platforms.telegram.service import Access, Telegram
from storage.store import open_storage
from storage.trust import trust
from tests.build import NOW
from tests.fakes.clock import FakeClock
from tests.fakes.telegram import FakeTelegram, Said, Sent
from tests.fakes.telegram.markup import part

Json = dict[str, Any]
Word = tuple[str, str]  # with the kinds of its marks

_NEWS: Final = "https://www.netflix.com/tudum/articles/all-of-us-are-dead-season-2"
_WIDTH, _BUBBLE, _EDGE, _PAD, _GAP, _ROW, _LINE, _BUTTON = 640, 568, 16, 12, 16, 4, 20, 34
_STYLE: Final = """<style>
text { fill: #1c2733; font: 14.5px system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif }
.bold { font-weight: 600 } .text_link, .bot_command { fill: #1769c5 }
.label { font-size: 13px; text-anchor: middle } .pill, .button { fill: #ccd9e4 }
.back { fill: #e3eaf0; stroke: #c3ced8 } .theirs { fill: #fff } .ours { fill: #d5ecd4 }
.pressed { fill: #fff; stroke: #1769c5; stroke-width: 2 }</style>"""


async def talk() -> list[Json]:
    """Days, and what is said on them: a fan subscribes, is told of news and asks for more."""
    clock = FakeClock(NOW.replace(hour=12))
    async with _serving(clock) as (server, engine):
        fan = server.person("A fan")

        def shown(message: Said | Sent, **more: str) -> Json:
            return {**(server.message(message) or {}), **more}

        asked = server.say(fan, "/subscribe all of us are ded")
        answer = await asyncio.to_thread(server.wait_for, fan)
        said = [{"day": day(clock().date())}, shown(asked), shown(answer)]
        clock.pass_by(days=12)
        show = await engine.core.exact_show("All of Us Are Dead")
        draft = Draft(UpdateKind.DATED, 2, date="2027-03", speaker="Netflix", source=_NEWS)
        update = draft_update(show, draft, trust(), clock())
        await engine.core.storage.publishing.publish(update, clock().date())
        await engine.finish()
        alert = await asyncio.to_thread(server.wait_for, fan, "DATED")
        server.press(fan, alert, "Details")
        details = await asyncio.to_thread(server.wait_for, fan, "dated roughly")
        said += [{"day": day(clock().date())}, shown(alert, pressed="Details"), shown(details)]
        return said


@asynccontextmanager
async def _serving(clock: FakeClock) -> AsyncIterator[tuple[FakeTelegram, Engine]]:
    with tempfile.TemporaryDirectory() as folder, FakeTelegram() as server:
        async with open_storage(f"sqlite:///{folder}/picture.db", trust()) as storage:
            await load_starter(storage, clock().date())
            telegram = Telegram(Access(server.token, server.url))
            engine = Engine(storage, {Platform.TELEGRAM: telegram.messenger}, clock)
            async with telegram.connected(), engine.delivering(), asyncio.TaskGroup() as group:
                serving = group.create_task(telegram.serve(engine.core, lambda _: None))
                yield server, engine
                serving.cancel()


def draw() -> str:
    """The picture as SVG."""
    drawn, top = [_STYLE], _GAP
    for one in asyncio.run(talk()):
        shapes, high = _shapes(one, top)
        drawn, top = drawn + shapes, top + high + _GAP
    drawn.insert(1, _box("back", 0.5, 0.5, _WIDTH - 1, top - 1))
    size = f'width="{_WIDTH}" height="{top}" viewBox="0 0 {_WIDTH} {top}" xml:space="preserve"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', *drawn, "</svg>\n"])


def _shapes(message: Json, top: int) -> tuple[list[str], int]:
    """A day, or a bubble with the buttons below it; and how high it is."""
    if "day" in message:
        return [_box("pill", _WIDTH / 2 - 78, top, 156, 24, message["day"])], 24
    lines = list(_lines(message["text"], message.get("entities", ())))
    by_bot = message["from"]["is_bot"]
    wide = _BUBBLE if by_bot else 2 * _PAD + max(map(_width, lines))
    left = _EDGE if by_bot else _WIDTH - _EDGE - wide
    high = len(lines) * _LINE + 2 * _PAD - 4
    drawn = [_box("theirs" if by_bot else "ours", left, top, wide, high)]
    for number, line in enumerate(lines):
        runs = [(kind, "".join(w for w, _ in run)) for kind, run in groupby(line, lambda w: w[1])]
        spans = "".join(f'<tspan class="{kind}">{escape(run)}</tspan>' for kind, run in runs)
        drawn.append(_text("line", left + _PAD, top + _PAD + 13 + number * _LINE, spans))
    for row in message.get("reply_markup", {}).get("inline_keyboard", ()):
        each = (wide - _ROW * (len(row) - 1)) / len(row)
        for place, label in enumerate(button["text"] for button in row):
            kind = "button pressed" if label == message.get("pressed") else "button"
            x = left + place * (each + _ROW)
            drawn.append(_box(kind, x, top + high + _ROW, each, _BUTTON, label))
        high += _ROW + _BUTTON
    return drawn, high


def _lines(text: str, entities: Iterable[Json]) -> Iterator[list[Word]]:
    """The text in lines that fit into a bubble."""
    ends = {one["offset"] + length for one in entities for length in (0, one["length"])}
    line: list[Word] = []
    for start, stop in pairwise(sorted({0, len(text.encode("utf-16-le")) // 2} | ends)):
        marks = [e["type"] for e in entities if 0 <= start - e["offset"] < e["length"]]
        run = part(text, {"offset": start, "length": stop - start})
        for word in re.findall(r"\n|\S+ *| +", run):
            more = [*line, (word, " ".join(marks))]
            if word == "\n" or _width(more) > _BUBBLE - 2 * _PAD:
                yield line
                more = [] if word == "\n" else more[-1:]
            line = more
    yield line


def _width(line: Iterable[Word]) -> float:
    """About how wide a line is, in a font that is rather wide."""
    text = "".join(word for word, _ in line)
    return sum(5 if c in " .,:;·ijlftr/()I'" else 13 if c in "mwMW" else 9 for c in text)


def _box(kind: str, x: float, y: float, wide: float, high: float, label: str = "") -> str:
    size = f'width="{wide:g}" height="{high:g}" rx="{min(high / 2, 12):g}"'
    words = _text("label", x + wide / 2, y + high / 2 + 4.5, escape(label)) if label else ""
    return f'<rect class="{kind}" x="{x:g}" y="{y:g}" {size}/>{words}'


def _text(kind: str, x: float, y: float, content: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{content}</text>'


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw(), encoding="utf-8")
