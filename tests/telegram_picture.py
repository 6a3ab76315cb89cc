"""Draws the picture of a chat in the README: what a fan and the bot say on the fake Telegram.

Only the clock is not real: it stands on two days, so that the picture does not age.
`make picture` writes it; a test compares it with what the bot says today.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from bot.app import Engine
from bot.commands.files import load_starter
from bot.message.dates import day
from bot.model import Platform
from bot.platforms.telegram.service import Access, Telegram
from storage.store import open_storage
from storage.trust import trust
from tests.build import NOW
from tests.drawing import FONT, LINE, WIDTH, Word, box, framed, lines, tell_news, width, wrapped
from tests.fakes.clock import FakeClock
from tests.fakes.telegram import FakeTelegram, Said, Sent
from tests.fakes.telegram.markup import part

Json = dict[str, Any]

_BUBBLE, _EDGE, _PAD, _GAP, _ROW, _BUTTON = 568, 16, 12, 16, 4, 34
_STYLE: Final = f"""\
text {{ fill: #1c2733; {FONT} }}
.bold {{ font-weight: 600 }} .text_link, .bot_command {{ fill: #1769c5 }}
.label {{ font-size: 13px; text-anchor: middle }} .pill, .button {{ fill: #ccd9e4 }}
.back {{ fill: #e3eaf0; stroke: #c3ced8 }} .theirs {{ fill: #fff }} .ours {{ fill: #d5ecd4 }}
.pressed {{ fill: #fff; stroke: #1769c5; stroke-width: 2 }}"""


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
        await tell_news(engine, clock)
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
    drawn, top = list[str](), _GAP
    for one in asyncio.run(talk()):
        shapes, high = _shapes(one, top)
        drawn, top = drawn + shapes, top + high + _GAP
    return framed(_STYLE, drawn, top)


def _shapes(message: Json, top: int) -> tuple[list[str], int]:
    """A day, or a bubble with the buttons below it; and how high it is."""
    if "day" in message:
        return [box("pill", WIDTH / 2 - 78, top, 156, 24, message["day"])], 24
    runs = _runs(message["text"], message.get("entities", ()))
    said = list(wrapped(runs, _BUBBLE - 2 * _PAD))
    by_bot = message["from"]["is_bot"]
    wide = _BUBBLE if by_bot else 2 * _PAD + max(map(width, said))
    left = _EDGE if by_bot else WIDTH - _EDGE - wide
    high = len(said) * LINE + 2 * _PAD - 4
    drawn = [box("theirs" if by_bot else "ours", left, top, wide, high)]
    drawn += lines(said, left + _PAD, top + _PAD)
    for row in message.get("reply_markup", {}).get("inline_keyboard", ()):
        each = (wide - _ROW * (len(row) - 1)) / len(row)
        for place, label in enumerate(button["text"] for button in row):
            kind = "button pressed" if label == message.get("pressed") else "button"
            x = left + place * (each + _ROW)
            drawn.append(box(kind, x, top + high + _ROW, each, _BUTTON, label))
        high += _ROW + _BUTTON
    return drawn, high


def _runs(text: str, entities: Iterable[Json]) -> Iterator[Word]:
    """The text in runs with the kinds of their marks."""
    ends = {one["offset"] + length for one in entities for length in (0, one["length"])}
    for start, stop in pairwise(sorted({0, len(text.encode("utf-16-le")) // 2} | ends)):
        marks = [e["type"] for e in entities if 0 <= start - e["offset"] < e["length"]]
        yield part(text, {"offset": start, "length": stop - start}), " ".join(marks)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw(), encoding="utf-8")
