"""Telegram and Discord as far as their limits go, at the other end of a network that jitters.

Each is a process of its own that takes as little of the machine as it can. A request arrives some
time after it was sent and is judged then; its answer takes some time too.
"""

import asyncio
import random
import re
import socket
import sys
import time
from typing import Any, Final, Protocol

from tests.bench.child import heard, say
from tests.bench.pace_discord import discord
from tests.bench.pace_telegram import telegram

WAY: Final = (0.028, 0.060)
"""Seconds that a request takes, and its answer: about 85 ms both ways."""


class World(Protocol):
    """What answers requests."""

    def answer(self, method: bytes, path: bytes, body: bytes, now: float) -> bytes:
        """The whole answer to a request that arrives now."""

    def report(self) -> dict[str, Any]:
        """What was delivered and refused."""


class _Connection(asyncio.Protocol):
    """Reads whole requests; each arrives, and is answered, in its own time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._read = b""
        self._later = asyncio.get_running_loop().call_later
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._read, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._read) < whole:
                return
            method, path, _ = self._read[: self._read.index(b"\r")].split(b" ")
            body, self._read = self._read[end + 4 : whole], self._read[whole:]
            self._later(random.uniform(*WAY), self._arrive, method, path, body)

    def _arrive(self, method: bytes, path: bytes, body: bytes) -> None:
        answer = self._world.answer(method, path, body, time.monotonic())
        self._later(random.uniform(*WAY), self._respond, answer)

    def _respond(self, answer: bytes) -> None:
        if self._transport:
            self._transport.write(answer)


_LENGTH: Final = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)


async def _serve(platform: str, kind: str) -> None:
    """Say where it is, then at each line what was counted; Discord's limit is of one kind only."""
    world: World
    where: dict[str, Any] = {}
    if platform == "telegram":
        world = telegram(kind)
    else:
        world, where = await discord()
    listening = await asyncio.get_running_loop().create_server(
        lambda: _Connection(world), "127.0.0.1", 0, family=socket.AF_INET
    )
    port = listening.sockets[0].getsockname()[1]
    say("ready")
    say({"url": f"http://127.0.0.1:{port}", **where})
    while await heard():
        say(world.report())


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2]))
