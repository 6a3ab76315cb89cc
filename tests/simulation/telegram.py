"""Telegram, played in this process below the real library: what goes out, and what comes back."""

import asyncio
import errno
import json
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from telegram.ext import ExtBot
from telegram.request import BaseRequest, RequestData
from yarl import URL

from bot.model import Seq
from bot.platforms.seals import Seals
from bot.platforms.telegram import transport
from tests.simulation.faults import BEFORE_CONNECTING, SLOW, TAKEN_UNCLEAR, TELEGRAM, Fault
from tests.simulation.platforms import TO, Request, Room, Server

TOKEN: Final = "1:simulated"
SEALS: Final = Seals(TOKEN)
_PAGE: Final = b"<html><head><title>Bad gateway</title></head></html>"
_LIMITS: Final = transport._limits(75.0, 20.0, 10.0)
_KEY: Final[Any] = SimpleNamespace(host="api.telegram.org", port=443, ssl=True, is_ssl=True)

Answer = tuple[int, bytes]


class TelegramServer(Server):
    """The Bot API. `migrated` are groups by the id they had: messages there are refused."""

    async def sent(self, request: Request, asked: dict[str, Any], fault: Fault | None) -> Answer:
        """What the server does with a request to send, in its own time."""
        await self.on_the_way()
        if fault in (Fault.RESET_BEFORE, Fault.TIMEOUT_BEFORE, Fault.HUNG_UP):
            return 0, b""
        if fault in (Fault.SERVER_ERROR, Fault.GATEWAY, Fault.UNAVAILABLE, Fault.PROXY_PAGE):
            return _trouble(fault)
        refused = self._refused(request.room, asked, fault)
        if refused:
            return refused
        if "text" not in asked:
            return 200, b'{"ok": true, "result": {"id": 1, "is_bot": true, "first_name": "bot"}}'
        is_edit = "message_id" in asked
        wait = self.over([("all", 30, 1.0)]) if is_edit else self._too_fast(request.room)
        if wait:
            self.limited.append(request)
            return _said(429, "Too Many Requests", {"retry_after": int(wait) + 1})
        number = 0
        if not is_edit and not self.took_enough(request, fault):
            number = self.take(request)
        if fault and fault in TAKEN_UNCLEAR:
            return _trouble(fault)
        await asyncio.sleep(SLOW.get(fault, 0.0) if fault else 0.0)
        await self.on_the_way()
        body = {"ok": True, "result": {"message_id": number}}
        return 200, json.dumps(body).encode()

    def _refused(self, room: Room, asked: dict[str, Any], fault: Fault | None) -> Answer | None:
        if int(asked["chat_id"]) in room.former:
            self.hit(Fault.TELEGRAM_MIGRATED)
            words = "Bad Request: group chat was upgraded to a supergroup chat"
            return _said(400, words, {"migrate_to_chat_id": room.chat_id})
        if fault in TELEGRAM:
            return _said(*TELEGRAM[fault])
        for wrong, until in list(room.wrong.items()):
            if until > self.now and _applies(wrong, asked):
                self.hit(wrong)
                return _said(*TELEGRAM[wrong])
        return None

    def _too_fast(self, room: Room) -> float:
        chat = room.chat_id
        limits: list[tuple[object, int, float]] = [("all", 30, 1.0), (chat, 1, 1.0)]
        if chat < 0:
            limits.append((("group", chat), 20, 60.0))
        return self.over(limits)


def _applies(wrong: Fault, asked: dict[str, Any]) -> bool:
    match wrong:
        case Fault.TELEGRAM_MARKUP:
            return "parse_mode" in asked
        case Fault.TELEGRAM_TOO_LONG | Fault.TELEGRAM_TOO_LARGE:
            return "parse_mode" in asked
        case Fault.TELEGRAM_BUTTONS:
            return "reply_markup" in asked
        case Fault.TELEGRAM_PREVIEW:
            return "url" in asked.get("link_preview_options", {})
        case Fault.TELEGRAM_TOPIC_DELETED | Fault.TELEGRAM_TOPIC_CLOSED:
            return "message_thread_id" in asked
    return wrong in TELEGRAM


def _said(status: int, words: str, parameters: dict[str, Any] | None = None) -> Answer:
    body: dict[str, Any] = {"ok": False, "error_code": status, "description": words}
    if parameters:
        body["parameters"] = parameters
    return status, json.dumps(body).encode()


def _trouble(fault: Fault) -> Answer:
    match fault:
        case Fault.SERVER_ERROR | Fault.SERVER_ERROR_AFTER:
            return _said(500, "Internal Server Error: restart")
        case Fault.GATEWAY:
            return 502, _PAGE
        case Fault.GATEWAY_TIMEOUT_AFTER:
            return 504, _PAGE
        case Fault.UNAVAILABLE:
            return 503, _PAGE
        case Fault.PROXY_PAGE:
            return 403, _PAGE
        case Fault.JUNK:
            return 200, b"OK"
    return 0, b""


class Transport(BaseRequest):
    """What the real library sends through: the way to the server, and what happens on it."""

    def __init__(self, server: TelegramServer) -> None:
        self._server = server

    @property
    def read_timeout(self) -> float | None:
        """As the bot's own transport has it."""
        return 75.0

    async def initialize(self) -> None:
        """There is nothing to open."""

    async def shutdown(self) -> None:
        """There is nothing to close."""

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Any = None,
        write_timeout: Any = None,
        connect_timeout: Any = None,
        pool_timeout: Any = None,
    ) -> Answer:
        """Send a message; what fails is told as the bot's own transport tells it."""
        server = self._server
        asked: dict[str, Any] = {"chat_id": 0}
        if request_data is not None and url.endswith(("/sendMessage", "/editMessageText")):
            asked = json.loads(request_data.json_payload)
        room = server.room(int(asked["chat_id"]), _thread(asked))
        request = server.asked(room)
        if request.seqs:
            _check_buttons(asked, request.seqs)
        server.passed("asked")
        fault = request.fault = server.weather.strike(server.now)
        if fault:
            server.hit(fault)
        address = URL(url)
        if fault in BEFORE_CONNECTING:
            await asyncio.sleep(10.0 if fault is Fault.CONNECT_TIMEOUT else 0.02)
            self._fail(request, _unconnected(fault), address)
        answer = await server.apart(server.sent(request, asked, fault), 75.0)
        if fault in (Fault.TIMEOUT_BEFORE, Fault.TIMEOUT_AFTER):
            await asyncio.sleep(75.0)
            answer = None
        if answer is None:
            self._fail(request, aiohttp.SocketTimeoutError(), address)
        if fault in (Fault.RESET_BEFORE, Fault.RESET_AFTER):
            reset = aiohttp.ClientOSError(errno.ECONNRESET, "Connection reset by peer")
            self._fail(request, reset, address)
        if fault is Fault.HUNG_UP:
            self._fail(request, aiohttp.ServerDisconnectedError(), address)
        status, body = answer
        clear = status == 200 and fault is not Fault.JUNK
        server.answered(
            request, f"{status} {'' if clear else body.decode()[:90]}".rstrip(), clear=clear
        )
        return status, body

    def _fail(self, request: Request, error: Exception, address: URL) -> None:
        self._server.answered(request, type(error).__name__)
        raise transport._failure(error, address, _LIMITS)


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


def _thread(asked: dict[str, Any]) -> int | None:
    """The topic that is meant; what falls back to the whole chat still is for its topic."""
    meant = TO.get()
    return meant.thread_id if meant and asked["chat_id"] else asked.get("message_thread_id")


def _check_buttons(asked: dict[str, Any], seqs: tuple[Seq, ...]) -> None:
    for row in asked.get("reply_markup", {}).get("inline_keyboard", ()):
        for button in row:
            pressed = SEALS.open(int(asked["chat_id"]), button["callback_data"])
            assert pressed is None or pressed.seq in seqs, "a button of another update"


def bot(server: TelegramServer) -> ExtBot[None]:
    """The real library's bot, on this server."""
    way = Transport(server)
    return ExtBot(TOKEN, request=way, get_updates_request=way)
