"""The engine on Telegram: CPU per message beside bare loops, and answers during a fan-out."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.child import child, late_naps
from tests.bench.measure import percentile
from tests.bench.table import Row
from tests.bench.telegram_server import Server, served

_ROUNDS: Final = 5
_FAN_OUT: Final = 100_000
_QUESTIONS: Final = 200
_PARTS: Final = 3
_LET_IT_RUN: Final = 2.0
_PATIENCE: Final = 60.0


@dataclass(frozen=True)
class _Contender:
    """Who sends, and to how many chats a round; `number` is what its process is told."""

    name: str
    kind: str
    number: int
    chats: int


_STOCK: Final = _Contender("stock PTB, bare loop, 16 in flight", "stock", 16, 400)
_BARE: Final = _Contender("PTB on our transport, bare loop, 16 in flight", "over_aiohttp", 16, 2000)
_FEW: Final = _Contender("PTB on our transport, bare loop, 4 in flight", "over_aiohttp", 4, 2000)
_AIOGRAM: Final = _Contender("aiogram, bare loop, 16 in flight", "with_aiogram", 16, 2000)
_ENGINE: Final = _Contender("the whole engine", "whole_engine", 2000, 2000)
_ALL: Final = (_STOCK, _BARE, _FEW, _AIOGRAM, _ENGINE)
_GOALS: Final = ((_STOCK, 0.35), (_BARE, 1.35))


def measure(folder: Path) -> list[Row]:
    """All figures, against one server in a process of its own."""
    with served() as server:
        return [*_costs(server, folder), *_answers(server, folder)]


def _costs(server: Server, folder: Path) -> list[Row]:
    """CPU per message, and how much of it the engine needs more than whom it is measured by."""
    taken = _rounds(server, folder)
    rows = [
        Row(
            f"CPU per message: {one.name}",
            f"{percentile(each, 0.5) * 1e6:,.0f} µs ({min(each) * 1e6:,.0f} to "
            f"{max(each) * 1e6:,.0f} in {_ROUNDS} rounds)",
            "",
            None,
        )
        for one, each in taken.items()
    ]
    for other, most in _GOALS:
        pairs = zip(taken[_ENGINE], taken[other], strict=True)
        ratios = [mine / theirs for mine, theirs in pairs]
        ratio = percentile(ratios, 0.5)
        rows.append(
            Row(
                f"the whole engine against {other.name}",
                f"{ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                f"≤ {most}",
                ratio <= most,
            )
        )
    return rows


def _rounds(server: Server, folder: Path) -> dict[_Contender, list[float]]:
    """The CPU seconds per message of everybody in turn, round by round; the first is no count."""
    taken: dict[_Contender, list[float]] = {one: [] for one in _ALL}
    with ExitStack() as stack:
        children = {
            one: stack.enter_context(
                child("telegram_clients", one.kind, server.url, folder, one.number)
            )
            for one in _ALL
        }
        for _ in range(1 + _ROUNDS):
            for one, bot in children.items():
                before = server.sent()
                bot.tell(one.chats)
                taken[one].append(bot.hear() / one.chats)
                assert server.sent() - before >= one.chats, f"{one.name} did not send them all"
    return {one: each[1:] for one, each in taken.items()}


def _answers(server: Server, folder: Path) -> list[Row]:
    """People who write to the bot while it delivers.

    They write for half a minute, and the verdict is on the middle one of its parts: whatever else
    this machine does for a second would decide on the hundredth of everything.
    """
    asked, before = _PARTS * _QUESTIONS, server.sent()
    with child("telegram_clients", "beside", server.url, folder, _FAN_OUT) as bot:
        bot.tell("begin")
        time.sleep(_LET_IT_RUN)
        begun, first = time.monotonic(), server.sent()
        server.ask(asked)
        idle: list[float] = []
        while len(server.waits()) < asked and time.monotonic() < begun + _PATIENCE:
            idle += late_naps(50)
        last = server.sent()
        rate = (last - first) / (time.monotonic() - begun)
        bot.tell("stop")
        lag, naps = bot.hear()
    waits = server.waits()
    assert len(waits) == asked, f"{len(waits)} of {asked} were answered"
    assert last - before < _FAN_OUT, "the fan-out had ended before the last answer"
    parts = [waits[start : start + _QUESTIONS] for start in range(0, asked, _QUESTIONS)]
    p99 = percentile([percentile(part, 0.99) for part in parts], 0.5) * 1000
    return [
        Row(
            f"/subscribe answered during a fan-out to {_FAN_OUT:,}: p99 of {_QUESTIONS}, median of "
            f"{_PARTS}",
            f"{p99:.0f} ms (of all {asked}: p50 {percentile(waits, 0.5) * 1000:.0f}, "
            f"p99 {percentile(waits, 0.99) * 1000:.0f} ms; {rate:,.0f} messages/s beside)",
            "≤ 100 ms",
            p99 <= 100,
        ),
        Row(
            f"lag of the event loop meanwhile: p99 of {naps:,}",
            f"{lag * 1000:.0f} ms (of a process that does nothing else: "
            f"{percentile(idle, 0.99) * 1000:.0f} ms)",
            "≤ 50 ms",
            lag <= 0.05,
        ),
    ]
