"""A Discord that costs next to nothing: canned answers over keep-alive HTTP/1.1, and a gateway.

It runs as a process of its own and takes as little of the machine as it can, so that what is
measured is the client. `Server` starts and asks it.
"""

import asyncio
import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any, Final

from aiohttp import web

from tests.bench.discord_alert import an_alert
from tests.bench.discord_gateway import Crowd, application
from tests.bench.discord_stores import catalogue, typed
from tests.fakes.discord.messages import make
from tests.fakes.discord.people import Json
from tests.fakes.discord.routes import SEND, Call
from tests.fakes.discord.world import World

PREFIX: Final = "/api/v10"
TITLES: Final = 100_000
_TYPED: Final = 1_000
_PATIENCE: Final = 20.0


class Server:
    """The server's process, as the bench sees it: where REST is, and the id of the one guild."""

    def __init__(self, rest: int, control: int, guild_id: int) -> None:
        self.url = f"http://127.0.0.1:{rest}{PREFIX}"
        self.guild_id = guild_id
        self._control_at = f"http://127.0.0.1:{control}/control"

    def sent(self) -> int:
        """How many messages have been sent to channels."""
        return int(self._control("sent"))

    def ask(self, kind: str, count: int, rate: float) -> None:
        """Let people ask; the kinds are those of `Crowd.begin`."""
        self._control(f"{kind}-{count}?rate={rate}")

    def waits(self) -> list[float]:
        """The seconds from each question to its answer, as far as they are answered."""
        return [float(wait) for wait in self._control("waits")]

    def _control(self, what: str) -> Any:
        with urllib.request.urlopen(f"{self._control_at}/{what}", timeout=_PATIENCE) as answer:
            return json.loads(answer.read())


@contextmanager
def served() -> Iterator[Server]:
    """A server that listens, until the end of the block."""
    command = [sys.executable, "-m", "tests.bench.discord_server"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            yield Server(*json.loads(process.stdout.readline()))
        finally:
            process.kill()


# What the process does.


class _World:
    """What was sent, and the canned answers."""

    def __init__(self, crowd: Crowd, gateway: str) -> None:
        self.sent = 0
        self._crowd = crowd
        world = crowd.guild.world
        assert isinstance(world, World)
        self._message = _message(crowd, world)
        self._before, self._between, self._behind = _pieces(self._message)
        start_limit = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}
        self._others = {
            b"GET /users/@me": _dumped(world.bot.json),
            b"GET /oauth2/applications/@me": _dumped(world.application()),
            b"GET /gateway/bot": _dumped(
                {"url": gateway, "shards": 1, "session_start_limit": start_limit}
            ),
            b"PUT /applications/%d/commands" % world.bot.id: b"[]",
        }

    def answer(self, what: bytes, body: bytes) -> bytes | None:
        """The JSON that is answered to a request; nothing where there is no such thing."""
        found = _CHANNEL.match(what)
        if found:
            self.sent += 1
            number = _FIRST_MESSAGE + self.sent
            return b"%s%d%s%s%s" % (self._before, number, self._between, found[1], self._behind)
        if called_back := _CALLBACK.match(what):
            return self._called_back(called_back, json.loads(body))
        if edited := _EDITED.match(what):
            self._crowd.answered(edited[1].decode())
            return _dumped(self._message)
        return self._others.get(what)

    def _called_back(self, found: "re.Match[bytes]", body: Json) -> bytes:
        kind = body["type"]
        told: Json = {"interaction": {"id": found[1].decode(), "type": 2}}
        if kind in _ANSWERS:
            self._crowd.answered(found[2].decode())
        if kind == _MESSAGE:
            told["resource"] = {"type": kind, "message": self._message}
        return _dumped(told)


_FIRST_MESSAGE: Final = 1_500_000_000_000_000_000
_MESSAGE, _CHOICES = 4, 8
_ANSWERS: Final = (_MESSAGE, _CHOICES)
_CHANNEL: Final = re.compile(rb"POST /channels/(\d+)/messages$")
_CALLBACK: Final = re.compile(rb"POST /interactions/(\d+)/([^/]+)/callback")
_EDITED: Final = re.compile(rb"PATCH /webhooks/\d+/([^/]+)/messages/@original")


class _Connection(asyncio.Protocol):
    """Reads whole requests, one after the other, and answers each at once."""

    def __init__(self, world: _World) -> None:
        self._world = world
        self._read = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._read, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._read) < whole:
                return
            method, path, _ = self._read[: self._read.index(b"\r")].split(b" ")
            body, self._read = self._read[end + 4 : whole], self._read[whole:]
            path = path.removeprefix(PREFIX.encode()).split(b"?")[0]
            self._answer(b"%s %s" % (method, path), body)

    def _answer(self, what: bytes, body: bytes) -> None:
        answer = self._world.answer(what, body)
        assert answer is not None, f"nothing is said to {what!r}"
        assert self._transport
        reset = time.time() + _WINDOW
        self._transport.write(_HEAD % (len(answer), reset, _WINDOW) + answer)


_LENGTH: Final = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_WINDOW: Final = 1.0
"""Seconds; the limit within them is none that anybody reaches, since no waiting is measured."""

_HEAD: Final = (
    "HTTP/1.1 200 OK\r\n"
    f"Date: {formatdate(usegmt=True)}\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: %d\r\n"
    "Connection: keep-alive\r\n"
    "strict-transport-security: max-age=31536000; includeSubDomains; preload\r\n"
    "x-ratelimit-bucket: 6ec1b1a1f9b1c0b1e3d9a0c3f5f7d1a2\r\n"
    "x-ratelimit-limit: 1000\r\n"
    "x-ratelimit-remaining: 999\r\n"
    "x-ratelimit-reset: %.3f\r\n"
    "x-ratelimit-reset-after: %.3f\r\n"
    "vary: Accept-Encoding\r\n"
    "via: 1.1 google\r\n"
    'alt-svc: h3=":443"; ma=86400\r\n'
    "CF-Cache-Status: DYNAMIC\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Server: cloudflare\r\n"
    "CF-RAY: 8f0000000000abcd-FRA\r\n"
    "\r\n"
).encode()


def _message(crowd: Crowd, world: World) -> Json:
    """The message that every channel gets, as the fake Discord writes it."""
    call = Call(world, SEND, "", {}, {})
    return world.message_json(make(call, crowd.channel, an_alert()))


def _pieces(message: Json) -> tuple[bytes, bytes, bytes]:
    """A message in three pieces around its id and its channel's."""
    whole = _dumped({"id": "<id>", "channel_id": "<channel>"} | _without_ids(message))
    before, rest = whole.split(b"<id>")
    between, behind = rest.split(b"<channel>")
    return before, between, behind


def _without_ids(message: Json) -> Json:
    return {key: value for key, value in message.items() if key not in ("id", "channel_id")}


def _dumped(told: object) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    crowd = Crowd(typed(catalogue(TITLES), _TYPED))
    runner = web.AppRunner(application(crowd, lambda: world.sent), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    world = _World(crowd, f"ws://127.0.0.1:{port}")
    listening = await loop.create_server(
        lambda: _Connection(world), "127.0.0.1", 0, family=socket.AF_INET
    )
    rest = listening.sockets[0].getsockname()[1]
    print(json.dumps([rest, port, crowd.guild.id]), flush=True)
    # Whoever started it holds the other end, and lets go of it however it ends.
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
