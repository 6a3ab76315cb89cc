"""The engine on Discord: CPU per message beside bare loops, and answers during a fan-out."""

import time
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.child import Child, child, late_naps
from tests.bench.discord_server import TITLES, Server, served
from tests.bench.measure import percentile
from tests.bench.table import Row

_ROUNDS: Final = 5
_MESSAGES: Final = 2_000
_LONG_ROUNDS: Final = 2
_FEW: Final = 200
_MANY: Final = 8_000

_FAN_OUT: Final = 100_000
_QUESTIONS: Final = 200
_PARTS: Final = 3
_SUGGESTIONS: Final = 40.0
"""Titles typed a second: half a minute of them would outlast the fan-out."""

_COMMANDS: Final = 30.0
"""Commands a second from people who send one each."""

_FLOOD: Final = 10_000 / 60
_FLOODED: Final = 6.0
_LET_IT_RUN: Final = 2.0
_PATIENCE: Final = 60.0


@dataclass(frozen=True)
class _Contender:
    """Who sends, and to how many channels a round."""

    name: str
    kind: str
    channels: int


_STOCK: Final = _Contender("discord.py, bare loop, 16 in flight", "stock", _MESSAGES)
_SELDOM: Final = _Contender(
    "discord.py that sweeps seldom, bare loop, 16 in flight", "sweeping_seldom", _MESSAGES
)
_HIKARI: Final = _Contender("hikari, bare loop, 16 in flight", "with_hikari", _MESSAGES)
_ENGINE: Final = _Contender("the whole engine", "whole_engine", _MESSAGES)

_STOCK_MANY: Final = _Contender(f"{_STOCK.name}, to {_MANY:,} channels", "stock", _MANY)
_STOCK_FEW: Final = _Contender(f"{_STOCK.name}, to {_FEW} channels", "stock", _FEW)
_AT_ONCE: Final = _Contender(f"{_ENGINE.name}, to {_MANY:,} channels", "whole_engine", _MANY)
# Updates to few channels each, so that both do the same but for whom they send to: an update has
# costs of its own, which a comparison with `_AT_ONCE` would take for those of the few channels.
_OTHERS: Final = _Contender(
    f"{_ENGINE.name}, to {_FEW} channels, then {_FEW} others …", "whole_engine", _FEW
)
_AGAIN: Final = _Contender(
    f"{_ENGINE.name}, to {_FEW} channels again and again", "engine_again", _FEW
)
_Taken = dict[_Contender, list[float]]


def measure(folder: Path) -> list[Row]:
    """All figures, against one server in a process of its own."""
    with served() as server:
        return [
            *_costs(server, folder),
            *_flatness(server, folder),
            *_answers(server, folder),
            *_flooded(server, folder),
        ]


def _costs(server: Server, folder: Path) -> list[Row]:
    """CPU per message, and how much of it the engine needs more than whom it is measured by."""
    taken = _rounds(server, folder, (_STOCK, _SELDOM, _HIKARI, _ENGINE), _MESSAGES, _ROUNDS)
    return [
        *(_cost(f"CPU per message: {one.name}", each) for one, each in taken.items()),
        _ratio(f"the whole engine against {_STOCK.name}", taken[_ENGINE], taken[_STOCK], 1.35),
        _ratio(f"the whole engine against {_SELDOM.name}", taken[_ENGINE], taken[_SELDOM], None),
    ]


def _flatness(server: Server, folder: Path) -> list[Row]:
    """CPU per message where each goes to another channel, against the same number to few."""
    bare = _rounds(server, folder, (_STOCK_MANY, _STOCK_FEW), _MANY, _LONG_ROUNDS, warm_up=0)
    ours = _rounds(server, folder, (_AT_ONCE, _OTHERS, _AGAIN), _MANY, _LONG_ROUNDS, warm_up=0)
    about = f"{_MANY:,} messages to {_MANY:,} channels against {_FEW}"
    return [
        *(_cost(f"CPU per message: {one.name}", each) for one, each in (bare | ours).items()),
        _ratio(f"{about}: {_STOCK.name}", bare[_STOCK_MANY], bare[_STOCK_FEW], None),
        _ratio(f"{about}: {_ENGINE.name}", ours[_OTHERS], ours[_AGAIN], 1.3),
    ]


def _cost(name: str, each: list[float]) -> Row:
    return Row(
        name,
        f"{percentile(each, 0.5) * 1e6:,.0f} µs ({min(each) * 1e6:,.0f} to "
        f"{max(each) * 1e6:,.0f} in {len(each)} rounds)",
        "",
        None,
    )


def _ratio(name: str, mine: list[float], theirs: list[float], most: float | None) -> Row:
    ratios = [one / other for one, other in zip(mine, theirs, strict=True)]
    ratio = percentile(ratios, 0.5)
    return Row(
        name,
        f"{ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        "" if most is None else f"≤ {most}",
        None if most is None else ratio <= most,
    )


def _rounds(
    server: Server,
    folder: Path,
    contenders: tuple[_Contender, ...],
    messages: int,
    rounds: int,
    warm_up: int = 1,
) -> _Taken:
    """The CPU seconds per message of everybody in turn, round by round."""
    taken: _Taken = {one: [] for one in contenders}
    with ExitStack() as stack:
        children = {
            one: stack.enter_context(_child(one.kind, server, folder, one.channels))
            for one in contenders
        }
        for _ in range(warm_up + rounds):
            for one, bot in children.items():
                before = server.sent()
                bot.tell(messages)
                taken[one].append(bot.hear() / messages)
                assert server.sent() - before >= messages, f"{one.name} did not send them all"
    return {one: each[warm_up:] for one, each in taken.items()}


def _answers(server: Server, folder: Path) -> list[Row]:
    """Titles that people type while the bot delivers.

    The verdict is on the middle one of several parts: whatever else this machine does for a second
    would decide on the hundredth of everything.
    """
    before = server.sent()
    with _child("beside", server, folder, _FAN_OUT) as bot:
        bot.tell("begin")
        time.sleep(_LET_IT_RUN)
        begun, first = time.monotonic(), server.sent()
        waits, idle = _asked(server, "suggest", _PARTS * _QUESTIONS, _SUGGESTIONS)
        last = server.sent()
        rate = (last - first) / (time.monotonic() - begun)
        bot.tell("stop")
        lag, naps = bot.hear()
    assert last - before < _FAN_OUT, "the fan-out had ended before the last answer"
    parts = [waits[start : start + _QUESTIONS] for start in range(0, len(waits), _QUESTIONS)]
    p99 = percentile([percentile(part, 0.99) for part in parts], 0.5) * 1000
    return [
        Row(
            f"title completed from {TITLES:,} during a fan-out to {_FAN_OUT:,}: p99 of "
            f"{_QUESTIONS}, median of {_PARTS}",
            f"{p99:.0f} ms (of all {len(waits)}: p50 {percentile(waits, 0.5) * 1000:.0f}, "
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


def _flooded(server: Server, folder: Path) -> list[Row]:
    """People who use a command while one person sends far too many."""
    with _child("beside", server, folder, 1) as bot:
        bot.tell("begin")
        server.ask("flood", int(_FLOOD * _FLOODED), _FLOOD)
        waits, _ = _asked(server, "command", int(_COMMANDS * _FLOODED), _COMMANDS)
    p95 = percentile(waits, 0.95) * 1000
    return [
        Row(
            f"/subscribe beside 10,000 commands a minute from one person: p95 of {len(waits)} "
            "from others",
            f"{p95:.0f} ms (p50 {percentile(waits, 0.5) * 1000:.0f} ms)",
            "≤ 500 ms",
            p95 <= 500,
        ),
    ]


def _asked(server: Server, kind: str, count: int, rate: float) -> tuple[list[float], list[float]]:
    """How long people waited who asked so often; and how late naps ended here meanwhile."""
    server.ask(kind, count, rate)
    idle: list[float] = []
    until = time.monotonic() + _PATIENCE
    while len(server.waits()) < count and time.monotonic() < until:
        idle += late_naps(50)
    waits = server.waits()
    assert len(waits) == count, f"{len(waits)} of {count} were answered"
    return waits, idle


def _child(kind: str, server: Server, folder: Path, channels: int) -> AbstractContextManager[Child]:
    return child("discord_clients", kind, server.url, folder, server.guild_id, channels)
