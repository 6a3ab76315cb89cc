"""Discord, played in this process below the real library's HTTP client."""

import asyncio
import errno
import json
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
import discord
from discord.http import HTTPClient
from multidict import CIMultiDict

from bot.platforms.discord.client import LONGEST_LIMIT
from bot.platforms.discord.refusals import Refusals
from tests.simulation.faults import BEFORE_CONNECTING, DISCORD, SLOW, TAKEN_UNCLEAR, Fault
from tests.simulation.platforms import NOBODY, TO, Request, Room, Server

KNOWN_FOR: Final = 180.0
"""Seconds for which a repeat is known by its key."""

_KEY: Final[Any] = SimpleNamespace(host="discord.com", port=443, ssl=True, is_ssl=True)
_PAGE: Final = "<html><head><title>Error 1015</title></head></html>"
_MAY: Final = discord.Permissions(
    view_channel=True, send_messages=True, send_messages_in_threads=True, embed_links=True
)


class Response:
    """An answer, as far as the library reads one."""

    def __init__(
        self, status: int, body: object, headers: dict[str, str] | None = None, reason: str = ""
    ) -> None:
        self.status = status
        self.reason = reason
        self._body = body
        kind = "text/html" if isinstance(body, str) else "application/json"
        self.headers = CIMultiDict({"Content-Type": kind, "Via": "1.1 google", **(headers or {})})
        if isinstance(body, str):
            del self.headers["Via"]

    async def text(self, encoding: str = "utf-8") -> str:
        """The body."""
        return self._body if isinstance(self._body, str) else json.dumps(self._body)


class DiscordServer(Server):
    """The API, the servers and their channels. `away` are servers that it cannot reach."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.keys: dict[str, tuple[float, int]] = {}
        self.deleted: set[int] = set()
        self.away: set[int] = set()
        self.left: set[int] = set()
        self.ready_at = 0.0

    async def sent(self, request: Request, body: dict[str, Any], fault: Fault | None) -> Response:
        """What the server does with a request to send, in its own time."""
        await self.on_the_way()
        if fault in (Fault.RESET_BEFORE, Fault.TIMEOUT_BEFORE, Fault.HUNG_UP):
            return Response(0, {})
        if fault in (Fault.SERVER_ERROR, Fault.GATEWAY, Fault.UNAVAILABLE, Fault.PROXY_PAGE):
            return _trouble(fault)
        refused = self._refused(request.room, body, fault)
        if refused:
            return refused
        if "change" in body:
            return self._changed(request.room, body["change"])
        known = self.keys.get(request.nonce or "")
        if known and known[0] > self.now - KNOWN_FOR:
            self.trace(f"discord knew #{request.number} by its key")
            if known[1] in self.deleted:
                return _said(404, 10008, "Unknown Message")
            await self.on_the_way()
            return Response(200, {"id": str(known[1])})
        where = request.room.thread_id or request.room.chat_id
        wait = self.over([("all", 50, 1.0), (where, 5, 5.0)])
        if wait:
            self.limited.append(request)
            return _limited(wait, "user")
        number = self.take(request)
        if request.nonce:
            self.keys[request.nonce] = (self.now, number)
        if fault is Fault.DISCORD_DELETED:
            self.deleted.add(number)
            return _trouble(Fault.SERVER_ERROR)
        if fault and fault in TAKEN_UNCLEAR:
            return _trouble(fault)
        await asyncio.sleep(SLOW.get(fault, 0.0) if fault else 0.0)
        await self.on_the_way()
        return Response(200, {"id": str(number)}, self._headers(where, fault))

    def _changed(self, room: Room, what: str) -> Response:
        """A message was edited, a thread opened, or somebody asked who the bot is."""
        if what == "thread" and room.has(Fault.DISCORD_LOCKED, self.now):
            return _said(403, 50013, "Missing Permissions")
        if what == "thread":
            room.wrong.pop(Fault.DISCORD_ARCHIVED, None)
        return Response(200, {"id": "1"})

    def _headers(self, where: int, fault: Fault | None) -> dict[str, str]:
        window = self._windows[where]
        left = 0 if fault is Fault.DISCORD_BUCKET else max(0, 5 - len(window))
        reset = 4.0 if fault is Fault.DISCORD_BUCKET else window[0] + 5.0 - self.now
        return {
            "X-RateLimit-Bucket": "messages",
            "X-RateLimit-Limit": "5",
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset-After": f"{max(0.0, reset):.3f}",
        }

    def _refused(self, room: Room, body: dict[str, Any], fault: Fault | None) -> Response | None:
        if room.home_id in self.left:
            self.hit(Fault.DISCORD_KICKED)
            return _said(403, 50001, "Missing Access")
        if room.home_id in self.away:
            self.hit(Fault.DISCORD_GUILD_AWAY)
            return _said(404, 10003, "Unknown Channel")
        limited = _of_limits(fault)
        if limited:
            return limited
        direct = fault in (Fault.DISCORD_FLAGGED, Fault.DISCORD_DIRECT_FAST)
        if fault in DISCORD and (room.home_id is None or not direct):
            return _said(*DISCORD[fault])
        for wrong, until in list(room.wrong.items()):
            if "change" not in body and until > self.now and _applies(wrong, body, room):
                self.hit(wrong)
                if wrong is Fault.DISCORD_429_LONG:
                    return _limited(10_000.0, "user")
                return _said(*DISCORD[wrong])
        return None


def _applies(wrong: Fault, body: dict[str, Any], room: Room) -> bool:
    match wrong:
        case Fault.DISCORD_FORM | Fault.DISCORD_EMPTY:
            return "embeds" in body
        case Fault.DISCORD_AUTOMOD | Fault.DISCORD_HARMFUL:
            return "embeds" in body or "http" in body["content"]
        case Fault.DISCORD_ARCHIVED | Fault.DISCORD_LOCKED:
            return bool(body["to_thread"])
        case Fault.DISCORD_429_LONG:
            return True
        case Fault.DISCORD_RIGHT_TAKEN | Fault.DISCORD_NO_EMBEDS:
            return False
    return wrong in DISCORD


def _of_limits(fault: Fault | None) -> Response | None:
    match fault:
        case Fault.DISCORD_429:
            return _limited(7.5, "user")
        case Fault.DISCORD_429_GLOBAL:
            return _limited(3.0, "global")
        case Fault.DISCORD_429_SHARED:
            return _limited(12.0, "shared")
        case Fault.DISCORD_BAN:
            return Response(429, _PAGE, {"Retry-After": "300"}, "Too Many Requests")
    return None


def _limited(wait: float, scope: str) -> Response:
    body = {"message": "You are being rate limited.", "retry_after": wait}
    headers = {"Retry-After": f"{wait:.3f}", "X-RateLimit-Scope": scope}
    return Response(429, {**body, "global": scope == "global"}, headers, "Too Many Requests")


def _said(status: int, code: int, words: str) -> Response:
    return Response(status, {"code": code, "message": words}, reason=words)


def _trouble(fault: Fault | None) -> Response:
    match fault:
        case Fault.SERVER_ERROR | Fault.SERVER_ERROR_AFTER:
            return Response(500, {"message": "500: Internal Server Error", "code": 0})
        case Fault.GATEWAY:
            return Response(502, _PAGE)
        case Fault.GATEWAY_TIMEOUT_AFTER:
            return Response(504, _PAGE)
        case Fault.UNAVAILABLE:
            return Response(503, _PAGE)
        case Fault.PROXY_PAGE:
            return Response(403, _PAGE)
        case Fault.JUNK:
            return Response(200, "OK")
    return Response(0, {})


class _Exchange:
    """One request of the library's session."""

    def __init__(self, session: "Session", url: str, data: str) -> None:
        self._session = session
        self._url = url
        self._data = data

    async def __aenter__(self) -> Response:
        return await self._session.ask(self._url, self._data)

    async def __aexit__(self, *_: object) -> None:
        """Nothing is to be closed."""


class Session:
    """Stands in for the library's HTTP session: the way to the server, and what happens on it."""

    def __init__(self, server: DiscordServer, refusals: Refusals) -> None:
        self._server = server
        self._refusals = refusals

    def request(self, method: str, url: str, **given: Any) -> _Exchange:
        """A request that begins when it is entered."""
        return _Exchange(self, f"{method} {url}", given.get("data", "{}"))

    async def ask(self, url: str, data: str) -> Response:
        """Send a message; raises what aiohttp raises."""
        server = self._server
        body = json.loads(data)
        meant = TO.get()
        _, _, place = url.partition("/channels/")
        if url.startswith("GET") or meant is None:
            room, body = NOBODY, {"change": "nothing"}
        else:
            channel, _, rest = place.partition("/")
            room = server.room(meant.chat_id, meant.thread_id)
            body["to_thread"] = meant.thread_id == int(channel)
            if url.startswith("PATCH"):
                body = {"change": "message" if rest else "thread"}
        request = server.asked(room, body.get("nonce"))
        server.passed("asked")
        fault = request.fault = server.weather.strike(server.now)
        if fault:
            server.hit(fault)
        if fault in BEFORE_CONNECTING:
            await asyncio.sleep(30.0 if fault is Fault.CONNECT_TIMEOUT else 0.02)
            self._fail(request, _unconnected(fault))
        response = await server.apart(server.sent(request, body, fault), 300.0)
        if fault in (Fault.TIMEOUT_BEFORE, Fault.TIMEOUT_AFTER) or response is None:
            await asyncio.sleep(300.0)
            self._fail(request, aiohttp.ServerTimeoutError())
        if fault in (Fault.RESET_BEFORE, Fault.RESET_AFTER):
            reset = aiohttp.ClientOSError(errno.ECONNRESET, "Connection reset by peer")
            self._fail(request, reset)
        if fault is Fault.HUNG_UP:
            self._fail(request, aiohttp.ServerDisconnectedError())
        return self._read(request, response)

    def _read(self, request: Request, response: Response) -> Response:
        headers = response.headers
        clear = response.status == 200 and request.fault is not Fault.JUNK
        self._server.answered(request, f"{response.status} {response.reason}".rstrip(), clear=clear)
        wait = float(headers.get("Retry-After", 0))
        self._refusals.answered(response.status, headers.get("X-RateLimit-Scope"), wait)
        return response

    def _fail(self, request: Request, error: Exception) -> None:
        self._server.answered(request, type(error).__name__)
        raise error


def _unconnected(fault: Fault | None) -> Exception:
    match fault:
        case Fault.CONNECT_TIMEOUT:
            return aiohttp.ConnectionTimeoutError()
        case Fault.NO_NAME:
            return aiohttp.ClientConnectorDNSError(_KEY, OSError(-2, "Name or service not known"))
        case Fault.BAD_TLS:
            return aiohttp.ClientConnectorSSLError(_KEY, OSError(1, "bad certificate"))
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    return aiohttp.ClientConnectorError(_KEY, refused)


class Channel:
    """A channel or thread, and what the bot may do there."""

    def __init__(self, server: DiscordServer, room: Room) -> None:
        self._server = server
        self._room = room
        self.type = discord.ChannelType.text

    def permissions_for(self, _member: object) -> discord.Permissions:
        """What the bot may do, as it is told."""
        have, now = discord.Permissions(_MAY.value), self._server.now
        if self._room.has(Fault.DISCORD_RIGHT_TAKEN, now):
            self._server.hit(Fault.DISCORD_RIGHT_TAKEN)
            have.send_messages = have.send_messages_in_threads = False
        if self._room.has(Fault.DISCORD_NO_EMBEDS, now):
            self._server.hit(Fault.DISCORD_NO_EMBEDS)
            have.embed_links = False
        return have


class Guild:
    """A server, as the library's memory has it."""

    def __init__(self, server: DiscordServer, home_id: int) -> None:
        self._server = server
        self.id = home_id
        self.me = object()

    @property
    def unavailable(self) -> bool:
        """Whether Discord itself cannot reach it."""
        return self.id in self._server.away

    def get_channel(self, channel_id: int) -> Channel | None:
        """A channel by its id."""
        rooms = (one for one in self._server.rooms if one.home_id == self.id)
        found = next((one for one in rooms if one.chat_id == channel_id), None)
        return Channel(self._server, found) if found else None

    def get_thread(self, thread_id: int) -> Channel | None:
        """A thread by its id."""
        found = next((one for one in self._server.rooms if one.thread_id == thread_id), None)
        return Channel(self._server, found) if found else None

    def get_role(self, _role_id: int) -> None:
        """There are no roles."""


class Client:
    """A client of the library that is connected, as far as the bot's own code asks it."""

    user = SimpleNamespace(id=1)

    def __init__(self, server: DiscordServer, refusals: Refusals) -> None:
        self._server = server
        loop = asyncio.get_running_loop()
        self.http = HTTPClient(loop, max_ratelimit_timeout=LONGEST_LIMIT)
        self.http.token = "simulated"
        self.http._global_over = asyncio.Event()
        self.http._global_over.set()
        self.http._HTTPClient__session = Session(server, refusals)  # type: ignore[attr-defined]

    @property
    def guilds(self) -> list[Guild]:
        """The servers that the bot is in."""
        homes = sorted({one.home_id for one in self._server.rooms if one.home_id})
        return [Guild(self._server, one) for one in homes if one not in self._server.left]

    def is_ready(self) -> bool:
        """Whether Discord has told of all servers."""
        return self._server.now >= self._server.ready_at

    def get_guild(self, home_id: int) -> Guild | None:
        """A server by its id, if the bot is in it."""
        return None if home_id in self._server.left else Guild(self._server, home_id)

    def get_channel(self, _channel_id: int) -> None:
        """No forums here."""

    def add_listener(self, _heard: object) -> None:
        """Events are told by the scenario itself."""
