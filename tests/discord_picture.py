"""Draws the picture of a chat in the README: what a member and the bot say on the fake Discord.

Only the clock is not real: it stands on two days, so that the picture does not age.
`make picture` writes it; a test compares it with what the bot says today.
"""

import asyncio
import datetime as dt
import re
import sys
import tempfile
from asyncio import to_thread
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from bot.app import Engine
from bot.commands.files import load_starter
from bot.message.dates import day
from bot.model import Platform
from bot.platforms.discord.access import Access
from bot.platforms.discord.service import Discord
from cogs import EXTENSIONS
from storage.store import open_storage
from storage.trust import trust
from tests.build import NOW
from tests.drawing import (
    FONT,
    LINE,
    WIDTH,
    Word,
    box,
    framed,
    lines,
    tell_news,
    text,
    width,
    wrapped,
)
from tests.fakes.clock import FakeClock
from tests.fakes.discord import FakeDiscord, Sent

Json = dict[str, Any]

_RIGHTS: Final = ("view_channel", "send_messages", "send_messages_in_threads", "embed_links")
_EDGE, _LEFT, _GAP, _PAD, _BUTTON = 16, 72, 20, 12, 32
_ROOM: Final = WIDTH - _LEFT - _EDGE
_STYLE: Final = f"""\
text {{ fill: #dbdee1; {FONT} }}
.back {{ fill: #313338; stroke: #1e1f22 }} .rule, .hook {{ fill: none; stroke: #4e5058 }}
.bold {{ fill: #f2f3f5; font-weight: 600 }} .link {{ fill: #00a8fc }}
.dim {{ fill: #949ba4; font-size: 12.5px }} .eye {{ fill: #949ba4 }} .pupil {{ fill: #313338 }}
.label {{ font-size: 13px; text-anchor: middle }} .day {{ fill: #313338 }}
.app {{ fill: #5865f2 }} .person {{ fill: #248046 }}
.initial {{ fill: #fff; font-weight: 600; text-anchor: middle }}
.big {{ font-size: 19px }} .small {{ font-size: 9.5px }}
.card {{ fill: #2b2d31 }} .entry {{ fill: #383a40 }} .value {{ fill: #1e1f22 }}
.chosen {{ fill: #404249 }} .button {{ fill: #4e5058 }}
.pressed {{ fill: #6d6f78; stroke: #dbdee1; stroke-width: 2 }}
.alone {{ fill: #5865f2; fill-opacity: 0.07 }}"""


@dataclass(frozen=True)
class Typed:
    """A command while it is typed, and the titles that are offered."""

    command: str
    option: str
    hint: str
    words: str
    offered: list[str]


@dataclass(frozen=True)
class Answer:
    """A message of the bot, and above it what it answers to."""

    sent: Sent
    bot: str
    at: str
    to: tuple[str, str] | None = None
    """Who did what."""
    pressed: str = ""


async def talk() -> list[str | Typed | Answer]:
    """A place, days, and what is said on them: a member subscribes a channel, and news come."""
    clock = FakeClock(NOW.replace(hour=12))
    async with _serving(clock) as (server, engine):
        bot, at = server.bot.name, f"{clock():%H:%M}"
        guild = server.guild("Fans", *_RIGHTS)
        channel, ann = guild.text("tv-news"), server.person("Ann")
        guild.join(ann, [guild.role("mods", "manage_guild")])

        words = "지금"
        typing = await to_thread(server.autocomplete, ann, channel, "subscribe", show=words)
        choices = typing.choices or []
        option = server.commands()["subscribe"]["options"][0]
        names = [one["name"] for one in choices]
        typed = Typed("/subscribe", option["name"], option["description"], words, names)
        asked = await to_thread(server.ask, ann, channel, "subscribe", show=choices[0]["value"])
        assert asked.answer
        subscribed = Answer(asked.answer, bot, at, (ann.name, "used /subscribe"))
        today = day(clock().date())

        await tell_news(engine, clock)
        sent = await to_thread(server.wait_for, channel, "DATED")
        press = await to_thread(server.press, ann, sent, "Details")
        details = (await to_thread(server.wait_for_answer, press)).answer
        assert details
        alert = Answer(sent, bot, at, pressed="Details")
        more = Answer(details, bot, at, (bot, sent.content))
        return [f"# {channel.name}", today, typed, subscribed, day(clock().date()), alert, more]


@asynccontextmanager
async def _serving(clock: FakeClock) -> AsyncIterator[tuple[FakeDiscord, Engine]]:
    with tempfile.TemporaryDirectory() as folder, FakeDiscord() as server:
        async with open_storage(f"sqlite:///{folder}/picture.db", trust()) as storage:
            await load_starter(storage, clock().date())
            discord = Discord(Access(server.token, server.url), EXTENSIONS, storage, clock)
            engine = Engine(storage, {Platform.DISCORD: discord.messenger}, clock)
            async with discord.connected(), engine.delivering(), asyncio.TaskGroup() as group:
                ready = asyncio.Event()
                serving = group.create_task(discord.serve(engine.core, lambda _: ready.set()))
                await ready.wait()
                yield server, engine
                serving.cancel()


def draw() -> str:
    """The picture as SVG."""
    shapes = _Shapes()
    for one in asyncio.run(talk()):
        shapes.add(one)
        shapes.top += _GAP
    return framed(_STYLE, shapes.drawn, shapes.top)


class _Shapes:
    """What is drawn from the top downwards, and how far down that is."""

    def __init__(self) -> None:
        self.drawn: list[str] = []
        self.top = 0.0

    def add(self, one: str | Typed | Answer) -> None:
        """Draw it, and come to stand below."""
        match one:
            case Typed():
                self._typed(one)
            case Answer():
                self._answer(one)
            case _ if one.startswith("# "):
                self._place(one)
            case _:
                self._day(one)

    def _place(self, name: str) -> None:
        self._text("bold", _EDGE, 29, name)
        self.top += 46
        self._rule(1, WIDTH - 1)

    def _day(self, name: str) -> None:
        self.top += 6
        self._rule(_EDGE, WIDTH - _EDGE)
        wide = _wide(name) + 8
        self._box("day", (WIDTH - wide) / 2, -8, wide, 16, 0)
        self._text("label dim", WIDTH / 2, 4.5, name)
        self.top += 6

    def _typed(self, typed: Typed) -> None:
        wide, row = WIDTH - 2 * _EDGE, 34
        self._box("card", _EDGE, 0, wide, row * (len(typed.offered) + 1) + 8, 8)
        self._text("bold", _EDGE + _PAD, 22, typed.option)
        self._text("dim", _EDGE + 2 * _PAD + _wide(typed.option), 22, typed.hint)
        self.top += row
        for number, title in enumerate(typed.offered):
            if not number:
                self._box("chosen", _EDGE + 8, 0, wide - 16, row, 6)
            self._text("line", _EDGE + _PAD + 8, 22, title)
            self.top += row
        self.top += 16
        self._box("entry", _EDGE, 0, wide, 44, 8)
        self._text("line", _EDGE + _PAD, 27, typed.command)
        x = _EDGE + 2 * _PAD + _wide(typed.command)
        named, given = _wide(typed.option), _wide(typed.words)
        self._box("value", x, 7, named + given + 40, 30, 6)
        self._text("bold", x + 10, 27, typed.option)
        self._box("chosen", x + named + 18, 10, given + 18, 24, 4)
        self._text("line", x + named + 27, 27, typed.words)
        self.top += 44

    def _answer(self, answer: Answer) -> None:
        start, before = self.top - 8, len(self.drawn)
        if answer.to:
            who, what = map(escape, answer.to)
            self.drawn.append(f'<path class="hook" d="M36 {self.top + 20:g}v-6q0-6 6-6h24"/>')
            self._avatar("app" if who == answer.bot else "person", who, _LEFT, 16)
            self._text("dim", _LEFT + 23, 12, f'<tspan class="bold">{who}</tspan> {what}')
            self.top += 24
        self._avatar("app", answer.bot, _EDGE, 40)
        self._text("bold", _LEFT, 14, answer.bot)
        x = _LEFT + _wide(answer.bot) + 15
        self._box("app", x, 2, 32, 16, 4)
        self._text("initial small", x + 16, 13.5, "APP")
        self._text("dim", x + 42, 14, answer.at)
        self.top += 20
        self._words(answer.sent.content, _LEFT, _ROOM)
        for embed in answer.sent.embeds:
            self._embed(embed)
        for row in answer.sent.components:
            self._buttons([one["label"] for one in row["components"]], answer.pressed)
        if answer.sent.is_ephemeral:
            self.top += 6
            eye = f"M{_LEFT} {self.top + 8:g}q8-10 16 0q-8 10-16 0z"
            self.drawn.append(f'<path class="eye" d="{eye}"/>')
            self._box("pupil", _LEFT + 6, 6, 4, 4, 4)
            note = 'Only you can see this · <tspan class="link">Dismiss message</tspan>'
            self._text("dim", _LEFT + 22, 12.5, note)
            self.top += 18
            high = self.top + 8 - start
            around = [
                box("alone", 1, start, WIDTH - 2, high, bend=0),
                box("app", 1, start, 3, high, bend=0),
            ]
            self.drawn[before:before] = around

    def _embed(self, embed: Json) -> None:
        said = list(wrapped(_runs(embed["description"]), _ROOM - 4 - 2 * _PAD))
        wide = max(map(width, said)) + 2 * _PAD
        high = len(said) * LINE + 2 * _PAD - 4
        self.top += 6
        self.drawn.append(f'<g fill="#{embed["color"]:06x}">')
        self._box("bar", _LEFT, 0, 20, high, 4)
        self.drawn.append("</g>")
        self._box("card", _LEFT + 4, 0, wide, high, 4)
        self.top += _PAD
        self._words(embed["description"], _LEFT + 4 + _PAD, _ROOM - 4 - 2 * _PAD)
        self.top += _PAD - 4

    def _buttons(self, labels: Iterable[str], pressed: str) -> None:
        x, self.top = float(_LEFT), self.top + 8
        for label in labels:
            wide = _wide(label) + 2 * _PAD
            kind = "button pressed" if label == pressed else "button"
            self._box(kind, x, 0, wide, _BUTTON, 8, label)
            x += wide + 8
        self.top += _BUTTON

    def _words(self, words: str, x: float, room: float) -> None:
        said = list(wrapped(_runs(words), room))
        self.drawn += lines(said, x, self.top)
        self.top += LINE * len(said)

    def _avatar(self, kind: str, name: str, x: float, wide: float) -> None:
        self._box(kind, x, 0, wide, wide, wide)
        size = "big" if wide > LINE else "small"
        self._text(f"initial {size}", x + wide / 2, wide * 2 / 3, escape(name[:1]))

    def _box(
        self, kind: str, x: float, y: float, wide: float, high: float, bend: float, label: str = ""
    ) -> None:
        self.drawn.append(box(kind, x, self.top + y, wide, high, label, bend))

    def _text(self, kind: str, x: float, y: float, content: str) -> None:
        self.drawn.append(text(kind, x, self.top + y, content))

    def _rule(self, left: float, right: float) -> None:
        self.drawn.append(f'<path class="rule" d="M{left:g} {self.top:g}H{right:g}"/>')


_MARK: Final = re.compile(
    r"(?P<bold>\*\*)|\\(?P<escaped>.)|<t:(?P<time>\d+):D>"
    r"|\[(?P<link>(?:\\.|[^\]])*)\]\(<?https?://[^)>]*>?\)|(?P<other>[^\\*\[<]+|.)",
    re.DOTALL,
)


def _wide(words: str) -> float:
    return width([(words, "")])


def _runs(markdown: str) -> Iterator[Word]:
    """What is read of a text of the bot: letters in runs with their marks."""
    for kind, run in groupby(_marked(markdown), lambda one: one[1]):
        yield "".join(words for words, _ in run), kind


def _marked(markdown: str) -> Iterator[Word]:
    kind = ""
    for found in _MARK.finditer(markdown):
        match found.lastgroup, found[found.lastgroup or 0]:
            case "bold", _:
                kind = "" if kind else "bold"
            case "link", words:
                yield re.sub(r"\\(.)", r"\1", words), "link"
            case "time", seconds:
                yield day(dt.datetime.fromtimestamp(int(seconds), dt.UTC).date()), kind
            case _, words:
                yield words, kind


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw(), encoding="utf-8")
