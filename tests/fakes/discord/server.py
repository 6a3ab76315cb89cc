"""The HTTP side: a loopback server in a thread of its own, in front of a world."""

import asyncio
import json
import logging
import traceback
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from tests.fakes.discord import callbacks, messages, places, registry
from tests.fakes.discord.faults import Fault, Refused, Reply, invalid
from tests.fakes.discord.gateway import Connection
from tests.fakes.discord.records import Request, Upload
from tests.fakes.discord.routes import SEND, Call, Handler, find
from tests.fakes.discord.world import World
from tests.fakes.loopback import Loopback

PREFIX: Final = "/api/v10"
GATEWAY_PATH: Final = "/gateway"
_HANDLERS: Final = (callbacks, messages, places, registry)
_PATIENCE: Final = 10.0
_NO_TOKEN: Final = ("/interactions/", "/webhooks/")


class Server(Loopback):
    """Answers at `url` from `start` to `stop`."""

    name = "the fake Discord"

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._connections: set[Connection] = set()

    @property
    def url(self) -> str:
        """Where REST listens."""
        return f"http://127.0.0.1:{self._port}{PREFIX}"

    def route(self, application: web.Application) -> None:
        """The gateway stands beside REST."""
        application.router.add_get(GATEWAY_PATH, self._gateway)
        application.router.add_get(f"{GATEWAY_PATH}/", self._gateway)
        application.router.add_route("*", "/{path:.*}", self._handle)

    async def serve(self, stopping: asyncio.Event) -> None:
        """Tell the world whom to wake."""
        with self._world.lock:
            self._world.wake = self.changed
        await stopping.wait()
        with self._world.lock:
            self._world.wake = None

    async def _listen(self) -> None:
        await super()._listen()
        with self._world.change():
            self._world.gateway_url = f"ws://127.0.0.1:{self._port}{GATEWAY_PATH}"

    async def _close(self) -> None:
        for connection in list(self._connections):
            connection.cut()
        await super()._close()

    async def _gateway(self, request: web.Request) -> web.StreamResponse:
        with self._world.change():
            fault = self._world.script.at("connect")
        if fault:
            return web.Response(status=fault.close or 502)
        socket = web.WebSocketResponse(max_msg_size=0, autoping=True)
        await socket.prepare(request)
        assert self._loop
        connection = Connection(self._world, self._loop, socket)
        self._connections.add(connection)
        try:
            await connection.run(request)
        except (ConnectionError, asyncio.CancelledError):
            logging.getLogger(__name__).debug("a gateway connection broke")
        except Exception:  # noqa: BLE001 - whatever it is, the test has to see it
            self._crashed()
        finally:
            self._connections.discard(connection)
        return socket

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        found = find(request.method, path.removeprefix(PREFIX)) if PREFIX in path else None
        if found is None:
            with self._world.change():
                self._world.violations.append(f"the fake has no {request.method} {path}")
            return _response(Reply.error(Refused(404, 0, "404: Not Found")))
        route, ids, handler = found
        query = request.query
        call = Call(self._world, route, path.removeprefix(PREFIX), ids, query)
        try:
            await _read(request, call)
            reply = await self._replied(request, call, handler)
        except ValueError as error:
            call.warnings.append(f"a body that nobody can read: {error}")
            reply = Reply.error(Refused(400, 50109, "The request body contains invalid JSON."))
        except Exception:  # noqa: BLE001 - whatever it is, the test has to see it
            self._crashed()
            reply = Reply.error(Refused(500, 0, "the fake broke"))
        self._note(request, call, reply)
        if reply is None:
            if request.transport:
                request.transport.abort()
            return web.Response()
        return _response(reply)

    def _crashed(self) -> None:
        with self._world.change():
            self._world.crashes.append(traceback.format_exc())

    def _note(self, request: web.Request, call: Call, reply: Reply | None) -> None:
        gone = request.transport is None or request.transport.is_closing()
        status = reply.status if reply and not gone else None
        world = self._world
        with world.change():
            world.violations += [f"{call.route}: {one}" for one in call.warnings]
            scope = reply.headers.get("X-RateLimit-Scope") if reply else None
            code = reply.code if reply else None
            at = world.now()
            world.requests.append(
                Request(call.route, request.method, call.path, call.body, status, code, at, scope)
            )

    async def _replied(self, request: web.Request, call: Call, handler: Handler) -> Reply | None:
        """The answer, or nothing where the connection is to be closed without one."""
        world = self._world
        with world.lock:
            fault = world.script.fault(call.route, call.channel_id)
        if fault and not fault.accepted:
            await asyncio.sleep(fault.seconds)
            if fault.drops or fault.reply:
                return fault.reply
        open_to_all = call.path.startswith(_NO_TOKEN)
        if not open_to_all and not self._is_bot(request.headers):
            return Reply.error(Refused(401, 0, "401: Unauthorized"))
        if not open_to_all and (flood := world.limits.too_many()):
            return flood
        await self._held(call, accepted=False)
        reply = self._carry_out(call, handler)
        await self._held(call, accepted=True)
        return await _afterwards(fault, reply) if fault and fault.accepted else reply

    def _is_bot(self, headers: Mapping[str, str]) -> bool:
        world = self._world
        return not world.revoked and headers.get("Authorization") == f"Bot {world.token}"

    def _carry_out(self, call: Call, handler: Handler) -> Reply:
        """Carry the request out, and say how many more are allowed."""
        method, template = call.route.split(" ", 1)
        major = f"{template}:{call.ids.get('channel') or call.ids.get('guild') or ''}"
        bucket = f"{abs(hash(call.route)):032x}"
        limited = call.route == SEND
        headers, full = self._world.limits.count(bucket, major, limited=limited)
        if full:
            return full
        wrong = self._gate("problems", method, call.path, call.body)
        if wrong and not all("is empty" in one for one in wrong):
            call.warnings.extend(wrong)
            return Reply.error(invalid(*wrong), headers)
        with self._world.change():
            try:
                status, told = handler(call)
            except Refused as refused:
                return Reply.error(refused, headers)
        if odd := self._gate("answer_problems", method, call.path, status, told):
            call.warnings.extend(f"the fake's own answer: {one}" for one in odd)
        return Reply.of(status, told, headers)

    def _gate(self, check: str, *about: object) -> list[str]:
        function = getattr(self._world.gate, check, None) if self._world.gate else None
        found = function(*about) if function else []
        # The description forgets the channels for media, which discord.py names beside forums.
        return [one for one in found if not ("channel_types" in one and one.endswith(": 16"))]

    async def _held(self, call: Call, *, accepted: bool) -> None:
        if not self._world.script.holds:
            return
        with self._world.lock:
            holds = self._world.script.held(call.route, call.channel_id)
        for hold in holds:
            if hold.accepted is not accepted:
                continue
            with self._world.change():
                hold.waiting += 1
            try:
                while not hold.released:
                    await self._until_news(_PATIENCE)
            finally:
                with self._world.change():
                    hold.waiting -= 1

    async def _until_news(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return


async def _afterwards(fault: Fault, reply: Reply) -> Reply | None:
    await asyncio.sleep(fault.seconds)
    return None if fault.drops else fault.reply or reply


async def _read(request: web.Request, call: Call) -> None:
    """Read the body, in whichever form it comes."""
    if request.content_type == "multipart/form-data":
        files = []
        for value in (await request.post()).values():
            if isinstance(value, web.FileField):
                with value.file as file:
                    files.append(Upload(value.filename, file.read(), value.content_type))
            elif isinstance(value, str):
                call.body = json.loads(value)
        call.files = tuple(files)
    elif raw := await request.read():
        call.body = json.loads(raw)


def _response(reply: Reply) -> web.Response:
    headers = dict(reply.headers)
    if reply.body:
        headers["Content-Type"] = reply.media_type
    return web.Response(status=reply.status, body=reply.body or None, headers=headers)
