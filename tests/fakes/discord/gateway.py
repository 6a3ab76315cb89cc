"""The gateway: a websocket that tells a bot what happens, and takes it back where it left."""

import asyncio
import json
import zlib
from collections import deque
from typing import Any, Final

from aiohttp import WSMsgType, web

from tests.fakes.discord.people import Json
from tests.fakes.discord.records import Identify
from tests.fakes.discord.sessions import Session
from tests.fakes.discord.world import PRIVILEGED, World

HEARTBEAT: Final = 1
IDENTIFY: Final = 2
RESUME: Final = 6
RECONNECT: Final = 7
INVALID_SESSION: Final = 9
HELLO: Final = 10
ACK: Final = 11
_ENDS_SESSION: Final = (1000, 1001)
"""With these codes a bot ends its session; with others it may come back."""


class Connection:
    """One websocket; its methods may be called from any thread."""

    def __init__(
        self, world: World, loop: asyncio.AbstractEventLoop, socket: web.WebSocketResponse
    ) -> None:
        self._world = world
        self._loop = loop
        self._socket = socket
        self._waiting: deque[Json | int] = deque()
        self._news = asyncio.Event()
        self._deflate: Any = None
        self._closing = False
        self._closed_with: int | None = None
        self._request: web.Request | None = None
        self.session: Session | None = None

    def put(self, payload: Json) -> None:
        """Send something, after what was put before."""
        self._waiting.append(payload)
        self._loop.call_soon_threadsafe(self._news.set)

    def close(self, code: int) -> None:
        """Close, after what was put before."""
        self._waiting.append(code)
        self._loop.call_soon_threadsafe(self._news.set)

    def cut(self) -> None:
        """Break the connection at once."""

        def cut() -> None:
            if self._request and self._request.transport:
                self._request.transport.abort()

        self._loop.call_soon_threadsafe(cut)

    async def run(self, request: web.Request) -> None:
        """Serve the connection until it ends."""
        self._request = request
        if request.query.get("compress") == "zlib-stream":
            self._deflate = zlib.compressobj()
        writing = asyncio.create_task(self._write())
        try:
            self._hello()
            while (message := await self._socket.receive()).type is WSMsgType.TEXT:
                self._received(json.loads(message.data))
            if message.type is WSMsgType.CLOSE:
                self._closed_with = message.data
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            self._ended()

    async def _write(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                payload = self._waiting.popleft()
                if isinstance(payload, int):
                    self._closing = True
                    await self._socket.close(code=payload, message=b"")
                    return
                await self._send(json.dumps(payload))

    async def _send(self, text: str) -> None:
        if self._socket.closed:
            return
        if self._deflate is None:
            await self._socket.send_str(text)
        else:
            data = self._deflate.compress(text.encode()) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            await self._socket.send_bytes(data)

    def _ended(self) -> None:
        with self._world.change():
            session = self.session
            if session is None:
                return
            if session.line is self:
                session.line = None
            if self._closed_with in _ENDS_SESSION and not self._closing:
                self._world.sessions.pop(session.id, None)

    def _hello(self) -> None:
        with self._world.change():
            fault = self._world.script.at("hello")
            if fault and fault.silent:
                return
            if fault and fault.close is not None:
                self.close(fault.close)
                return
            interval = self._world.heartbeat_interval
        self.put(_op(HELLO, {"heartbeat_interval": int(interval * 1000), "_trace": []}))

    def _received(self, message: Json) -> None:
        op, data = message.get("op"), message.get("d")
        with self._world.change():
            if op == HEARTBEAT:
                self._world.heartbeats += 1
                if self._world.acks:
                    self.put(_op(ACK))
            elif op == IDENTIFY and isinstance(data, dict):
                self._identify(data)
            elif op == RESUME and isinstance(data, dict):
                self._resume(data)
            elif self.session is None:
                self.close(4003)
            elif op not in (3, 4, 8):
                self.close(4001)

    def _struck(self, point: str) -> bool:
        """Whether the script has answered in the gateway's place."""
        fault = self._world.script.at(point)
        if fault is None:
            return False
        if fault.close is not None:
            self.close(fault.close)
        elif fault.invalid is not None:
            self.put(_op(INVALID_SESSION, fault.invalid))
        return True

    def _identify(self, data: Json) -> None:
        world = self._world
        index, count = data.get("shard") or (0, 1)
        intents = int(data.get("intents", 0))
        world.starts_left = max(0, world.starts_left - 1)
        code = self._refusal(data, intents, index, count)
        world.identifies.append(
            Identify(world.now(), intents, (index, count), data.get("presence"), code is None)
        )
        if code is not None:
            self.close(code)
        elif not self._struck("identify"):
            self.session = Session(intents, (index, count), line=self)
            world.sessions[self.session.id] = self.session
            self._ready(self.session)

    def _refusal(self, data: Json, intents: int, index: int, count: int) -> int | None:
        world = self._world
        if self.session is not None:
            return 4005
        if world.starts_left == 0:
            # So Discord does: the token is reset, and every session with it ends.
            world.revoked = True
            for session in world.sessions.values():
                if session.line:
                    session.line.close(4004)
            world.sessions.clear()
        if world.revoked or data.get("token") != world.token:
            return 4004
        if not 0 <= index < count:
            return 4010
        if intents & world.disallowed & PRIVILEGED:
            return 4014
        return None

    def _ready(self, session: Session) -> None:
        world = self._world
        mine = [one for one in world.guilds.values() if one.has_bot and session.covers(one.id)]
        session.event(
            "READY",
            {
                "v": 10,
                "user": world.bot.json | {"verified": True, "mfa_enabled": False, "email": None},
                "guilds": [one.stub for one in mine],
                "private_channels": [],
                "session_id": session.id,
                "session_type": "normal",
                "resume_gateway_url": world.gateway_url,
                "shard": list(session.shard),
                "application": {"id": str(world.bot.id), "flags": 1 << 23},
                "_trace": [],
            },
        )
        for guild in mine:
            if guild.is_available and session.intents & 1:
                session.event("GUILD_CREATE", guild.created())

    def _resume(self, data: Json) -> None:
        world = self._world
        world.resumes.append(world.now())
        if world.revoked or data.get("token") != world.token:
            self.close(4004)
            return
        if self._struck("resume"):
            return
        session = world.sessions.get(str(data.get("session_id")))
        seen = int(data.get("seq") or 0)
        if session is None or session.is_forgotten:
            self.put(_op(INVALID_SESSION, False))
            return
        if seen > len(session.events):
            self.close(4007)
            return
        if session.line:
            session.line.close(4000)
        self.session, session.line = session, self
        for event in session.events[seen:]:
            self.put(event)
        session.event("RESUMED", {"_trace": []})


def _op(op: int, data: object = None) -> Json:
    return {"op": op, "d": data, "s": None, "t": None}
