"""The canned server's gateway: it tells whoever has come last of a server, and what people do."""

import asyncio
import json
import random
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from aiohttp import WSMsgType, web

from tests.fakes.discord import TOKEN, FakeDiscord, calls
from tests.fakes.discord.people import Json, Person
from tests.fakes.discord.records import AUTOCOMPLETE, COMMAND

BEAT, IDENTIFY, HELLO, ACK = 1, 2, 10, 11
_SUBSCRIBE: Final[Json] = {"id": "1", "name": "subscribe", "type": 1}
_ASKED: Final = "A Show"


class Crowd:
    """The people: what they ask, and how long they wait for their answers.

    The names and the JSON of them come from the fake Discord, whose server is not started.
    """

    def __init__(self, typed: Sequence[str]) -> None:
        self.fake = FakeDiscord(TOKEN)
        self.guild = self.fake.guild("Fans")
        self.channel = self.guild.text("news")
        self.waits: list[float] = []
        self.tell: Callable[[str, Json], None] | None = None
        self._typed = typed
        self._asked: dict[str, float] = {}
        self._asking: set[asyncio.Task[None]] = set()

    def begin(self, kind: str, count: int, rate: float) -> None:
        """Let `count` interactions come, about `rate` a second.

        Those of the kinds `suggest` and `command` come from a person each, and their waits are
        counted; those of the kind `flood` all come from one person.
        """
        if kind != "flood":
            self.waits = []
            self._asked.clear()
        task = asyncio.create_task(self._ask(kind, count, rate))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    def answered(self, token: str) -> None:
        """An interaction has its answer."""
        begun = self._asked.pop(token, None)
        if begun is not None:
            self.waits.append(time.perf_counter() - begun)

    async def _ask(self, kind: str, count: int, rate: float) -> None:
        one = self.fake.person("Mallory")
        begun = time.monotonic()
        for number in range(count):
            person = one if kind == "flood" else self.fake.person(f"Alice {number}")
            self._send(kind, person, self._typed[number % len(self._typed)])
            late = time.monotonic() - begun - number / rate
            await asyncio.sleep(max(random.uniform(0.5, 1.5) / rate - late, 0))

    def _send(self, kind: str, person: Person, text: str) -> None:
        completes = kind == "suggest"
        option = {"type": 3, "name": "show", "value": text if completes else _ASKED}
        data = {**_SUBSCRIBE, "options": [{**option, "focused": True} if completes else option]}
        world = self.guild.world
        number = world.snowflake()
        token = f"{kind}-{number}"
        told = calls.frame(
            world,  # type: ignore[arg-type]
            person,
            self.fake.dm(person),
            AUTOCOMPLETE if completes else COMMAND,
            data,
        )
        assert self.tell, "nobody is connected"
        if kind != "flood":
            self._asked[token] = time.perf_counter()
        self.tell("INTERACTION_CREATE", {**told, "id": str(number), "token": token})


class Line:
    """One websocket."""

    def __init__(self, crowd: Crowd, socket: web.WebSocketResponse) -> None:
        self._crowd = crowd
        self._socket = socket
        self._deflate = zlib.compressobj()
        self._number = 0
        self._news: asyncio.Queue[Json] = asyncio.Queue()

    async def run(self) -> None:
        """Serve it until it ends."""
        writing = asyncio.create_task(self._write())
        self._put(HELLO, {"heartbeat_interval": 41_250})
        try:
            async for message in self._socket:
                if message.type is WSMsgType.TEXT:
                    self._received(json.loads(message.data))
        finally:
            writing.cancel()

    def _received(self, message: Json) -> None:
        if message["op"] == BEAT:
            self._put(ACK, None)
        elif message["op"] == IDENTIFY:
            bot, guild = self._crowd.fake.bot, self._crowd.guild
            ready: dict[str, Any] = {
                "v": 10,
                "user": bot.json,
                "guilds": [guild.stub],
                "session_id": "bench",
                "resume_gateway_url": "ws://127.0.0.1:1",
                "application": {"id": str(bot.id), "flags": 1 << 23},
            }
            self._tell("READY", ready)
            self._tell("GUILD_CREATE", guild.created())
            self._crowd.tell = self._tell

    def _tell(self, name: str, data: Json) -> None:
        self._number += 1
        self._news.put_nowait({"op": 0, "t": name, "s": self._number, "d": data})

    def _put(self, op: int, data: object) -> None:
        self._news.put_nowait({"op": op, "t": None, "s": None, "d": data})

    async def _write(self) -> None:
        while True:
            text = json.dumps(await self._news.get()).encode()
            whole = self._deflate.compress(text) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            await self._socket.send_bytes(whole)


def application(crowd: Crowd, sent: Callable[[], int]) -> web.Application:
    """The gateway at `/`, and under `/control` what the bench wants of it."""

    async def gateway(request: web.Request) -> web.StreamResponse:
        assert request.query["compress"] == "zlib-stream", "another stream is not made here"
        socket = web.WebSocketResponse(compress=False, max_msg_size=0)
        await socket.prepare(request)
        await Line(crowd, socket).run()
        return socket

    async def control(request: web.Request) -> web.Response:
        what, _, number = request.match_info["what"].partition("-")
        if number:
            crowd.begin(what, int(number), float(request.query["rate"]))
        told = {"sent": sent(), "waits": crowd.waits}
        return web.json_response(told.get(what, True))

    made = web.Application()
    made.router.add_get("/", gateway)
    made.router.add_get("/control/{what}", control)
    return made
