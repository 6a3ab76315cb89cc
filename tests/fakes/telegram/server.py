"""The HTTP side: a loopback server in a thread of its own, in front of a world."""

import asyncio
import json
import re
import time
import traceback
from typing import Final

import aiohttp
from aiohttp import web

from tests.fakes.loopback import Loopback
from tests.fakes.telegram.faults import (
    CONFLICT,
    POLLING,
    Fault,
    Refused,
    Reply,
    bad_request,
)
from tests.fakes.telegram.gate import Gate
from tests.fakes.telegram.methods import METHODS, allow
from tests.fakes.telegram.parameters import Missing, Parameters
from tests.fakes.telegram.people import Json
from tests.fakes.telegram.records import Request, Upload
from tests.fakes.telegram.updates import Webhook
from tests.fakes.telegram.world import World

SECRET: Final = "X-Telegram-Bot-Api-Secret-Token"
_PATIENCE: Final = 10.0
_MOST_UPDATES: Final = 100
_LONGEST_POLL: Final = 50
_POST_AGAIN: Final = 0.2
_BY_WEBHOOK: Final = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete"
    " the webhook first"
)
_SET_WEBHOOK: Final = "Conflict: terminated by setWebhook request"


class Server(Loopback):
    """Answers at `url` from `start` to `stop`."""

    name = "the fake Telegram"

    def __init__(self, world: World, token: str, gate: Gate | None) -> None:
        super().__init__()
        self._world = world
        self._token = token
        self._gate = gate
        self._poll = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def route(self, application: web.Application) -> None:
        """Every method is answered in one place."""
        application.router.add_route("*", "/{path:.*}", self._handle)

    async def serve(self, stopping: asyncio.Event) -> None:
        """Post updates to the webhook, if there is one."""
        with self._world.lock:
            self._world.on_change = self.changed
        posting = asyncio.create_task(self._post_updates())
        await stopping.wait()
        with self._world.lock:
            self._world.on_change = None
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        found = re.fullmatch(r"/bot(\d+:[\w-]+)/(\w+)", request.path)
        if not found:
            return _response(Reply.error(Refused(404, "Not Found")))
        method = _METHOD_NAMES.get(found[2].lower(), found[2])
        try:
            raw, files = await _read(request)
        except ValueError as error:
            raw, files = {}, {}
            reply: Reply | None = self._violated(
                [f"{method} has a body that nobody can read: {error}"]
            )
        else:
            known = found[1] == self._token and not self._world.revoked
            reply = await self._replied(method, raw, files) if known else _UNAUTHORIZED
        gone = request.transport is None or request.transport.is_closing()
        status = reply.status if reply and not gone else None
        given = Parameters.of(raw, files).values
        with self._world.change():
            self._world.requests.append(Request(method, given, status, time.monotonic()))
        if reply is None:
            if request.transport:
                request.transport.abort()
            return web.Response()
        return _response(reply)

    async def _replied(self, method: str, raw: Json, files: dict[str, Upload]) -> Reply | None:
        """The answer, or nothing where the connection is to be closed without one."""
        wrong = self._gate.request(method, raw, files) if self._gate else []
        if wrong:
            return self._violated(wrong)
        try:
            return await self._answer(method, Parameters.of(raw, files))
        except Exception:  # noqa: BLE001 - whatever it is, the test has to see it
            with self._world.change():
                self._world.crashes.append(traceback.format_exc())
            return Reply.error(Refused(500, "Internal Server Error: the fake broke"))

    def _violated(self, wrong: list[str]) -> Reply:
        with self._world.change():
            self._world.violations += wrong
        return Reply.error(bad_request("; ".join(wrong)))

    async def _answer(self, method: str, given: Parameters) -> Reply | None:
        with self._world.lock:
            fault = self._world.script.fault(method, given.chat)
        if fault and not fault.accepted:
            await asyncio.sleep(fault.seconds)
            if fault.drops or fault.reply:
                return fault.reply
        await self._held(method, given, accepted=False)
        reply = await self._carry_out(method, given)
        await self._held(method, given, accepted=True)
        return await _afterwards(fault, reply) if fault and fault.accepted else reply

    async def _carry_out(self, method: str, given: Parameters) -> Reply:
        try:
            result = (
                await self._get_updates(given) if method == POLLING else self._call(method, given)
            )
        except Refused as refused:
            return Reply.error(refused)
        except Missing as missing:
            return self._violated([f"the fake has no {missing}"])
        if self._gate:
            assert not (wrong := self._gate.result(method, result)), wrong
        return Reply.result(result)

    def _call(self, method: str, given: Parameters) -> object:
        function = METHODS.get(method)
        if function is None:
            raise Missing(f"method {method}")
        with self._world.change():
            return function(self._world, given)

    async def _held(self, method: str, given: Parameters, *, accepted: bool) -> None:
        with self._world.lock:
            holds = self._world.script.held(method, given.chat)
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

    async def _get_updates(self, given: Parameters) -> list[Json]:
        """Wait for updates; the next that asks ends the wait of the one before."""
        self._poll += 1
        poll = self._poll
        self._wake()
        world = self._world
        with world.lock:
            if world.updates.webhook:
                raise Refused(409, _BY_WEBHOOK)
            allow(world, given)
            world.updates.confirm(given.whole("offset") or 0)
        limit = min(max(given.whole("limit") or _MOST_UPDATES, 1), _MOST_UPDATES)
        end = time.monotonic() + min(given.whole("timeout") or 0, _LONGEST_POLL)
        while True:
            with world.lock:
                updates = world.updates.take(limit)
                webhook = world.updates.webhook
            if poll != self._poll:
                raise Refused(409, CONFLICT)
            if webhook:
                raise Refused(409, _SET_WEBHOOK)
            left = end - time.monotonic()
            if updates or left <= 0:
                return updates
            self._count_poll(+1)
            try:
                await self._until_news(left)
            finally:
                self._count_poll(-1)

    def _count_poll(self, change: int) -> None:
        """Tell whoever waits for it that a poll waits; polls themselves are not to wake by it."""
        with self._world.lock:
            self._world.updates.polls += change
            self._world.lock.notify_all()

    async def _post_updates(self) -> None:
        """Post what waits to the webhook, one after another, each until it is taken."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_PATIENCE)) as session:
            while True:
                with self._world.lock:
                    hook = self._world.updates.webhook
                    update = next(iter(self._world.updates.pending), None)
                if hook is None or update is None:
                    await self._until_news(_PATIENCE)
                elif error := await _posted(session, hook, update):
                    with self._world.change():
                        hook.error, hook.error_at = error, int(time.time())
                    await asyncio.sleep(_POST_AGAIN)
                else:
                    with self._world.change():
                        self._world.updates.confirm(update["update_id"] + 1)


_UNAUTHORIZED: Final = Reply.error(Refused(401, "Unauthorized"))
_METHOD_NAMES: Final = {name.lower(): name for name in (*METHODS, POLLING)}


async def _afterwards(fault: Fault, reply: Reply) -> Reply | None:
    await asyncio.sleep(fault.seconds)
    return None if fault.drops else fault.reply or reply


async def _posted(session: aiohttp.ClientSession, hook: Webhook, update: Json) -> str | None:
    """Post an update; returns what went wrong, in the server's words."""
    headers = {SECRET: hook.secret} if hook.secret else {}
    try:
        async with session.post(hook.url, json=update, headers=headers) as response:
            if response.ok:
                return None
            return f"Wrong response from the webhook: {response.status} {response.reason}"
    except TimeoutError:
        return "Read timeout expired"
    except aiohttp.ClientConnectorError:
        return "Connection refused"
    except aiohttp.ClientError:
        return "Webhook connection closed"


async def _read(request: web.Request) -> tuple[Json, dict[str, Upload]]:
    """The parameters and files of a request, in whichever form they come."""
    values: Json = dict(request.query)
    files: dict[str, Upload] = {}
    if request.content_type == "application/json":
        body = json.loads(await request.text() or "{}")
        if not isinstance(body, dict):
            raise ValueError("it is no object")
        return values | body, files
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            with value.file as file:
                files[name] = Upload(value.filename, file.read(), value.content_type)
        else:
            values[name] = value
    return values, files


def _response(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body, content_type=reply.media_type)
