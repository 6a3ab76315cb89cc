"""A Discord with its limits: 50 a second, and 5 in 5 seconds per channel, told of in headers."""

import json
import math
import re
import time
from typing import Any, Final

from aiohttp import web

from tests.bench.discord_alert import an_alert
from tests.bench.discord_gateway import Crowd, application
from tests.bench.discord_server import PREFIX
from tests.bench.pace_limits import Judge, Opened, Refusal, Sliding
from tests.fakes.discord.messages import make
from tests.fakes.discord.routes import SEND, Call
from tests.fakes.discord.world import World

OVERALL: Final = 50
"""Messages a second."""

_CHANNEL: Final = re.compile(rb"/channels/(\d+)/messages$")
_FIRST_MESSAGE: Final = 1_500_000_000_000_000_000


class _World:
    """Judges messages, and knows what a client asks at its start."""

    def __init__(self, crowd: Crowd, gateway: str) -> None:
        # How often a strict window would have refused is counted too: it is not documented which
        # of the two Discord has.
        self._judge = Judge(Opened(OVERALL, 1.0), Sliding(OVERALL, 1.0))
        self._channels: dict[int, Opened] = {}
        self._messages = _FIRST_MESSAGE
        self.report = self._judge.report
        world = crowd.guild.world
        assert isinstance(world, World)
        call = Call(world, SEND, "", {}, {})
        message = world.message_json(make(call, crowd.channel, an_alert()))
        whole = _dumped({**message, "id": "<id>", "channel_id": "<channel>"})
        self._pieces = re.split(rb"<id>|<channel>", whole)
        start_limit = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}
        self._others = {
            b"GET /users/@me": world.bot.json,
            b"GET /oauth2/applications/@me": world.application(),
            b"GET /gateway/bot": {
                "url": gateway,
                "shards": 1,
                "session_start_limit": start_limit,
            },
            b"PUT /applications/%d/commands" % world.bot.id: [],
        }

    def answer(self, method: bytes, path: bytes, body: bytes, now: float) -> bytes:
        """The whole answer to a request that arrives now."""
        path = path.removeprefix(PREFIX.encode()).split(b"?")[0]
        found = _CHANNEL.match(path) if method == b"POST" else None
        if not found:
            return _whole(b"200 OK", b"", _dumped(self._others[b"%s %s" % (method, path)]))
        channel = int(found[1])
        limit = self._channels.setdefault(channel, Opened(5, 5.0))
        refusal = self._judge.judge(channel, limit, now)
        if refusal:
            return _refused(refusal, limit, now)
        self._messages += 1
        message = self._filled(b"%d" % self._messages, found[1])
        return _whole(b"200 OK", _told(limit, now), message)

    def _filled(self, number: bytes, channel: bytes) -> bytes:
        before, between, behind = self._pieces
        return b"%s%s%s%s%s" % (before, number, between, channel, behind)


async def discord() -> tuple[_World, dict[str, Any]]:
    """A Discord whose gateway listens; and what a bot needs to know of it."""
    crowd = Crowd([])
    runner = web.AppRunner(application(crowd, lambda: 0), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    world = _World(crowd, f"ws://127.0.0.1:{runner.addresses[0][1]}")
    return world, {"guild": crowd.guild.id}


def _told(limit: Opened, now: float) -> bytes:
    """What the headers of every answer say of a channel's limit."""
    after = limit.reset_after(now)
    return _LIMIT % (limit.most, limit.left, time.time() + after, after)


def _refused(refusal: Refusal, limit: Opened, now: float) -> bytes:
    seconds = refusal.seconds
    body = {
        "message": "You are being rate limited.",
        "retry_after": round(seconds, 3),
        "global": refusal.overall,
    }
    if refusal.overall:
        headers = b"x-ratelimit-global: true\r\nx-ratelimit-scope: global\r\n"
    else:
        headers = _told(limit, now) + b"x-ratelimit-scope: user\r\n"
    headers += b"retry-after: %d\r\n" % math.ceil(seconds)
    return _whole(b"429 Too Many Requests", headers, _dumped(body))


_LIMIT: Final = (
    b"x-ratelimit-bucket: 6ec1b1a1f9b1c0b1e3d9a0c3f5f7d1a2\r\n"
    b"x-ratelimit-limit: %d\r\n"
    b"x-ratelimit-remaining: %d\r\n"
    b"x-ratelimit-reset: %.3f\r\n"
    b"x-ratelimit-reset-after: %.3f\r\n"
)


def _whole(status: bytes, headers: bytes, body: bytes) -> bytes:
    return _HEAD % (status, headers, len(body)) + body


_HEAD: Final = (
    b"HTTP/1.1 %s\r\n"
    b"Content-Type: application/json\r\n"
    b"Connection: keep-alive\r\n"
    b"strict-transport-security: max-age=31536000; includeSubDomains; preload\r\n"
    b"%s"
    b"vary: Accept-Encoding\r\n"
    b"via: 1.1 google\r\n"
    b"CF-Cache-Status: DYNAMIC\r\n"
    b"X-Content-Type-Options: nosniff\r\n"
    b"Server: cloudflare\r\n"
    b"CF-RAY: 8f0000000000abcd-FRA\r\n"
    b"Content-Length: %d\r\n"
    b"\r\n"
)


def _dumped(told: Any) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()
