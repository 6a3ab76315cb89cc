"""A Bot API server that costs next to nothing: canned answers over keep-alive HTTP/1.1.

It runs as a process of its own and takes as little of the machine as it can, so that what is
measured is the client. `Server` starts and asks it; everything under `/control` is for the bench.
"""

import asyncio
import json
import random
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

from tests.bench.telegram_alert import Alert, an_alert
from tests.fakes.telegram import markup

FIRST_ASKER: Final = 10_000_000
"""Chats from here on are people who write to the bot; those below are told of news."""

_ASK: Final = "/subscribe A Show"
_EVERY: Final = (0.025, 0.075)
_PATIENCE: Final = 20.0

Json = dict[str, Any]

_BOT: Final[Json] = {
    "id": 123456789,
    "is_bot": True,
    "first_name": "Cliffhanger",
    "username": "CliffhangerBot",
}
_ME: Final[Json] = {
    **_BOT,
    "can_join_groups": True,
    "can_read_all_group_messages": False,
    "supports_inline_queries": False,
    "can_connect_to_business": False,
    "has_main_web_app": False,
}


class Server:
    """The server's process, as the bench sees it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def sent(self) -> int:
        """How many messages have been sent to chats that did not ask for anything."""
        return int(self._control("sent"))

    def ask(self, count: int) -> None:
        """Let so many people write `/subscribe`, about twenty a second, one command each."""
        self._control(f"ask-{count}")

    def waits(self) -> list[float]:
        """The seconds from each question to its answer, as far as they are answered."""
        return [float(wait) for wait in self._control("waits")]

    def _control(self, what: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/control/{what}", timeout=_PATIENCE) as answer:
            return json.loads(answer.read())["result"]


@contextmanager
def served() -> Iterator[Server]:
    """A server that listens, until the end of the block."""
    command = [sys.executable, "-m", "tests.bench.telegram_server"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            yield Server(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.kill()


# What the process does.


class _World:
    """What was sent and asked, and the poll that waits for something to be asked."""

    def __init__(self, alert: Alert) -> None:
        self.sent = 0
        self.waits: list[float] = []
        self._before, self._between, self._behind = _canned(alert)
        self._messages = 0
        self._asked: dict[int, float] = {}
        self._left = 0
        self._news: list[Json] = []
        self._poll: _Connection | None = None

    def accept(self, body: bytes) -> bytes:
        """A message is sent; the JSON of it."""
        found = _CHAT.search(body)
        assert found, body
        chat = int(found[1])
        if chat < FIRST_ASKER:
            self.sent += 1
        elif chat in self._asked:
            self.waits.append(time.perf_counter() - self._asked.pop(chat))
        self._messages += 1
        return b"%s%d%s%d%s" % (self._before, self._messages, self._between, chat, self._behind)

    def ask(self, count: int) -> None:
        """Let people ask, one after the other."""
        self._left += count
        self._ask_later()

    def _ask_later(self) -> None:
        if self._left:
            asyncio.get_running_loop().call_later(random.uniform(*_EVERY), self._ask)

    def _ask(self) -> None:
        self._left -= 1
        number = FIRST_ASKER + self._left
        person: Json = {"id": number, "first_name": "Alice", "last_name": f"Doe {number}"}
        message = {
            "message_id": 1,
            "from": {**person, "is_bot": False, "language_code": "en"},
            "chat": {**person, "type": "private"},
            "date": int(time.time()),
            "text": _ASK,
            "entities": [{"type": "bot_command", "offset": 0, "length": _ASK.index(" ")}],
        }
        self._asked[number] = time.perf_counter()
        self._news.append({"update_id": number, "message": message})
        if self._poll:
            self.let_go(self._poll)
        self._ask_later()

    def poll(self, connection: "_Connection", body: bytes) -> None:
        """Answer a poll with what there is, or as soon as there is something."""
        found = _TIMEOUT.search(body)
        seconds = int(found[1]) if found else 0
        if self._news or not seconds:
            self._hand_out(connection)
        else:
            self._poll = connection
            asyncio.get_running_loop().call_later(seconds, self.let_go, connection)

    def let_go(self, connection: "_Connection") -> None:
        """End a poll that is held."""
        if self._poll is connection:
            self._poll = None
            self._hand_out(connection)

    def gone(self, connection: "_Connection") -> None:
        """Nobody waits on this connection any more."""
        if self._poll is connection:
            self._poll = None

    def _hand_out(self, connection: "_Connection") -> None:
        news, self._news = self._news, []
        connection.answer(_dumped(news))


class _Connection(asyncio.Protocol):
    """Reads whole requests, one after the other, and answers each at once."""

    def __init__(self, world: _World) -> None:
        self._world = world
        self._read = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        self._world.gone(self)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._read, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._read) < whole:
                return
            path = self._read[: self._read.index(b"\r")].split(b" ")[1]
            body, self._read = self._read[end + 4 : whole], self._read[whole:]
            self._respond(path.rsplit(b"/", 1)[1], body)

    def _respond(self, method: bytes, body: bytes) -> None:
        if method == b"sendMessage":
            self.answer(self._world.accept(body))
        elif method == b"getUpdates":
            self._world.poll(self, body)
        elif method.startswith(b"ask-"):
            self._world.ask(int(method[4:]))
            self.answer(b"true")
        else:
            told = {b"sent": self._world.sent, b"waits": self._world.waits, **_OTHERS}
            self.answer(_dumped(told.get(method, True)))

    def answer(self, result: bytes) -> None:
        """Answer the request that is read."""
        if self._transport:
            self._transport.write(
                b"%s%d\r\n\r\n%s%s}" % (_HEAD, len(_OK) + len(result) + 1, _OK, result)
            )


_CHAT: Final = re.compile(rb'\bchat_id(?:"\s*:\s*"?|=)(\d+)')
_TIMEOUT: Final = re.compile(rb'\btimeout(?:"\s*:\s*"?|=)(\d+)')
_LENGTH: Final = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_OTHERS: Final[dict[bytes, Any]] = {b"getMe": _ME, b"getMyCommands": []}
_OK: Final = b'{"ok":true,"result":'
_HEAD: Final = (
    "HTTP/1.1 200 OK\r\n"
    "Server: nginx/1.18.0\r\n"
    f"Date: {formatdate(usegmt=True)}\r\n"
    "Content-Type: application/json\r\n"
    "Connection: keep-alive\r\n"
    "Strict-Transport-Security: max-age=31536000; includeSubDomains; preload\r\n"
    "Access-Control-Allow-Origin: *\r\n"
    "Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"
    "Access-Control-Expose-Headers: Content-Length,Content-Type,Date,Server,Connection\r\n"
    "Content-Length: "
).encode()


def _canned(alert: Alert) -> tuple[bytes, bytes, bytes]:
    """The message that every chat gets, in three pieces around its number and its chat's."""
    text, entities = markup.read(alert.html, html=True)
    keyboard = [[{"text": text, "callback_data": data} for text, data in alert.buttons]]
    message = {
        "message_id": "<number>",
        "from": _BOT,
        "chat": {"id": "<chat>", "first_name": "Alice", "username": "alice", "type": "private"},
        "date": int(time.time()),
        "text": text,
        "entities": entities,
        "link_preview_options": {"is_disabled": True},
        "reply_markup": {"inline_keyboard": keyboard},
    }
    before, rest = _dumped(message).split(b'"<number>"')
    between, behind = rest.split(b'"<chat>"')
    return before, between, behind


def _dumped(told: object) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()


async def _serve() -> None:
    world = _World(an_alert())
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: _Connection(world), "127.0.0.1", 0, family=socket.AF_INET
    )
    print(listening.sockets[0].getsockname()[1], flush=True)
    # Whoever started it holds the other end, and lets go of it however it ends.
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
