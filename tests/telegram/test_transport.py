"""The transport to the Bot API, beside the one that python-telegram-bot brings along.

What both must do alike is asked of both, through a real `telegram.Bot` over real sockets. Every
failure is searched for the token, in all it says and in all that led to it.
"""

import asyncio
import datetime as dt
import gc
import json
import logging
import os
import shutil
import socket
import ssl
import struct
import subprocess
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
import pytest
import telegram
from aiohttp import web
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)
from telegram.request import BaseRequest, HTTPXRequest

from bot.platforms.telegram.transport import (
    LARGEST_ANSWER,
    AiohttpRequest,
    NotConnected,
    surely_not_sent,
)

SECRET: Final = "CANARYcanary-CANARY_canaryCANARYcan"
TOKEN: Final = f"123456789:{SECRET}"
PASSWORD: Final = "proxypassword"

ME: Final = b'{"ok":true,"result":{"id":1,"is_bot":true,"first_name":"Cliffhanger"}}'
SENT: Final = b'{"ok":true,"result":{"message_id":7,"date":1,"chat":{"id":5,"type":"private"}}}'
_PROXY_SETTINGS: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file")

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class MakeTransport(Protocol):
    """Makes a transport; times in seconds."""

    def __call__(
        self,
        *,
        connections: int = 4,
        read: float = 5.0,
        connect: float = 5.0,
        pool: float = 5.0,
        write: float = 5.0,
    ) -> BaseRequest: ...


def ours(
    *,
    connections: int = 4,
    read: float = 5.0,
    connect: float = 5.0,
    pool: float = 5.0,
    write: float = 5.0,
) -> AiohttpRequest:
    return AiohttpRequest(
        connections=connections,
        read_timeout=read,
        connect_timeout=connect,
        pool_timeout=pool,
        write_timeout=write,
    )


def stock(
    *,
    connections: int = 4,
    read: float = 5.0,
    connect: float = 5.0,
    pool: float = 5.0,
    write: float = 5.0,
) -> HTTPXRequest:
    return HTTPXRequest(
        connection_pool_size=connections,
        read_timeout=read,
        connect_timeout=connect,
        pool_timeout=pool,
        write_timeout=write,
        media_write_timeout=write,
    )


@pytest.fixture(params=[ours, stock])
def make(request: pytest.FixtureRequest) -> MakeTransport:
    made: MakeTransport = request.param
    return made


@pytest.fixture(scope="module", autouse=True)
def _only_what_is_new() -> Iterator[None]:
    """Let `gc.collect` look at what the tests leave behind, not at all the libraries each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No settings from outside; nothing stays open, and our transport logs no secret."""
    for name in _PROXY_SETTINGS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    caplog.set_level(logging.DEBUG)
    before = _sockets()
    yield
    gc.collect()
    assert _sockets() <= before
    # Of others only: the stock transport logs every address, and `telegram.Bot` where it begins.
    others = ("httpx", "httpcore", "telegram.Bot")
    lines = [one for one in caplog.records if not one.name.startswith(others)]
    assert not _secrets_in("".join(caplog.handler.format(one) for one in lines))


def _sockets() -> int:
    count = 0
    for handle in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed since it was listed
            count += str(handle.readlink()).startswith("socket:")
    return count


def _secrets_in(text: str) -> list[str]:
    return [secret for secret in (SECRET, PASSWORD) if secret in text]


async def failure_of(call: Awaitable[object]) -> TelegramError:
    """The error a call ends with; neither it nor anything that led to it tells a secret."""
    with pytest.raises(TelegramError) as caught:
        await call
    for one in _all_of(caught.value):
        # httpx keeps the request with its address in the error, though it does not say it.
        kept = {} if type(one).__module__ == "httpx" else vars(one)
        assert not _secrets_in(f"{one} {one!r} {one.args} {kept}"), type(one)
    assert not _secrets_in("".join(traceback.format_exception(caught.value)))
    return caught.value


def _all_of(error: BaseException) -> Iterator[BaseException]:
    """The error, and all that is kept in it of how it came to be."""
    yield error
    for one in (error.__cause__, error.__context__):
        if one is not None:
            yield from _all_of(one)


async def until(holds: Callable[[], object]) -> None:
    """Wait for what the other side of a connection does."""
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def open_bot(base: str, transport: BaseRequest) -> AsyncIterator[telegram.Bot]:
    """A bot whose every request goes to `base` by this transport."""
    async with transport:
        yield telegram.Bot(
            TOKEN, base_url=f"{base}/bot", request=transport, get_updates_request=transport
        )


# Servers.


@dataclass
class Received:
    """A request as the Bot API reads it, whichever way the parameters came."""

    fields: dict[str, str]
    files: dict[str, tuple[str, str, bytes]]
    headers: dict[str, str]


@dataclass
class Server:
    """A server that answers every request alike."""

    base: str = ""
    status: int = 200
    body: bytes = SENT
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0.0
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    received: list[Received] = field(default_factory=list)
    peers: set[object] = field(default_factory=set)
    busy: int = 0
    busiest: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.received.append(await _received(request))
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        try:
            await asyncio.sleep(self.pause)
            await self.goes_on.wait()
        finally:
            self.busy -= 1
        return web.Response(
            status=self.status, body=self.body, content_type=self.kind, headers=self.headers
        )


async def _received(request: web.Request) -> Received:
    fields: dict[str, str] = {}
    files: dict[str, tuple[str, str, bytes]] = {}
    if request.content_type == "application/json":
        fields = await request.json()
    else:
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                files[name] = (value.filename, value.content_type, value.file.read())
                value.file.close()
            else:
                assert isinstance(value, str)
                fields[name] = value
    return Received(fields, files, dict(request.headers))


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    made.goes_on.set()
    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@asynccontextmanager
async def peer(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A port of this machine where every connection is given to `talk`."""
    tasks: set[asyncio.Task[object]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await talk(reader, writer)
        finally:
            writer.transport.abort()

    serving = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield serving.sockets[0].getsockname()[1]
    finally:
        serving.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await serving.wait_closed()
        await asyncio.sleep(0)


async def read_request(reader: asyncio.StreamReader) -> str:
    """The head of a request whose body was read, too."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = head.lower().partition("content-length:")[2].partition("\r\n")[0]
    await reader.readexactly(int(length or 0))
    return head


def http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Never answer; ends when the other side hangs up."""
    while await reader.read(2**16):
        pass


async def answer_me(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await read_request(reader)
        writer.write(http(ME))


def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection off instead of closing it."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


# What arrives.


async def test_a_message_arrives_with_all_its_parameters(
    server: Server, make: MakeTransport
) -> None:
    keys = telegram.InlineKeyboardMarkup.from_button(
        telegram.InlineKeyboardButton("Mute", callback_data="m:1")
    )
    async with open_bot(server.base, make()) as bot:
        message = await bot.send_message(
            -1001234567890,
            "<b>Élite</b> & “Ø” 🎬\n100 % + 1",
            parse_mode="HTML",
            reply_markup=keys,
            disable_notification=False,
        )
    assert message.message_id == 7
    [received] = server.received
    assert json.loads(received.fields.pop("reply_markup")) == keys.to_dict()
    assert received.fields == {
        "chat_id": "-1001234567890",
        "text": "<b>Élite</b> & “Ø” 🎬\n100 % + 1",
        "parse_mode": "HTML",
        "disable_notification": "false",
    }
    assert received.headers["User-Agent"] == BaseRequest.USER_AGENT


async def test_a_call_without_parameters_arrives(server: Server, make: MakeTransport) -> None:
    server.body = ME
    async with open_bot(server.base, make()) as bot:
        assert (await bot.get_me()).first_name == "Cliffhanger"
    assert server.received[0].fields == {}


async def test_files_arrive_byte_for_byte(
    server: Server, make: MakeTransport, tmp_path: Path
) -> None:
    picture = os.urandom(3 * 2**19)  # more than aiohttp likes to get in one piece
    path = tmp_path / "Größe 1.txt"
    path.write_bytes(b"\r\n--\0\r\n" * 1000)
    with path.open("rb") as file:
        async with open_bot(server.base, make()) as bot:
            await bot.send_photo(5, picture, caption="Ø 🎬", filename="a.png")
            await bot.send_document(5, telegram.InputFile(file, read_file_handle=False))
    photo, document = server.received
    assert photo.fields == {"chat_id": "5", "caption": "Ø 🎬"}
    assert photo.files == {"photo": ("a.png", "image/png", picture)}
    assert document.files == {"document": ("Größe 1.txt", "text/plain", path.read_bytes())}


async def test_files_of_an_album_are_attached_by_name(server: Server, make: MakeTransport) -> None:
    server.body = b'{"ok":true,"result":[]}'
    album = [telegram.InputMediaPhoto(b"one"), telegram.InputMediaPhoto(b"two")]
    async with open_bot(server.base, make()) as bot:
        await bot.send_media_group(5, album)
    [received] = server.received
    assert sorted(content for _, _, content in received.files.values()) == [b"one", b"two"]
    assert all(f"attach://{name}" in received.fields["media"] for name in received.files)


async def test_a_file_is_fetched(server: Server, make: MakeTransport) -> None:
    server.body = os.urandom(2**20)
    async with make() as transport:
        assert await transport.retrieve(f"{server.base}/file/bot{TOKEN}/a.jpg") == server.body


async def test_connections_are_used_again(server: Server, make: MakeTransport) -> None:
    async with open_bot(server.base, make()) as bot:
        for _ in range(10):
            await bot.send_message(5, "x")
    assert len(server.peers) == 1


async def test_no_more_requests_are_under_way_than_there_are_connections(
    server: Server, make: MakeTransport
) -> None:
    server.pause = 0.02
    async with open_bot(server.base, make(connections=2)) as bot:
        await asyncio.gather(*[bot.send_message(5, "x") for _ in range(8)])
    assert server.busiest == 2
    assert len(server.peers) == 2


# What the server says.


@pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")  # of RetryAfter
@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (
            403,
            b'{"ok":false,"description":"Forbidden: bot was blocked by the user"}',
            Forbidden,
            "Forbidden: bot was blocked by the user",
        ),
        (
            400,
            b'{"ok":false,"description":"Bad Request: TOPIC_CLOSED"}',
            BadRequest,
            "Topic_closed",
        ),
        (
            400,
            b'{"ok":false,"description":"x","parameters":{"migrate_to_chat_id":-1009}}',
            ChatMigrated,
            "Group migrated to supergroup. New chat id: -1009",
        ),
        (401, b'{"ok":false,"description":"Unauthorized"}', InvalidToken, "Unauthorized"),
        (404, b'{"ok":false,"description":"Not Found"}', InvalidToken, "Not Found"),
        (409, b'{"ok":false,"description":"Conflict: webhook"}', Conflict, "Conflict: webhook"),
        (413, b'{"ok":false,"description":"Too Large"}', NetworkError, "Too Large"),
        (
            429,
            b'{"ok":false,"description":"Too Many","parameters":{"retry_after":7}}',
            RetryAfter,
            "Flood control exceeded. Retry in 7 seconds",
        ),
        (429, b'{"ok":false,"description":"Too Many"}', NetworkError, "Too Many"),
        (500, b'{"ok":false,"description":"restart"}', NetworkError, "restart"),
        (
            502,
            b"<html>",
            NetworkError,
            "Bad Gateway (502). Parsing the server response b'<html>' failed",
        ),
        (504, b"", NetworkError, "Gateway Timeout (504). Parsing the server response b'' failed"),
        (
            599,
            b"x",
            NetworkError,
            "Unknown HTTPError (599). Parsing the server response b'x' failed",
        ),
        (200, b"<html>", TelegramError, "Invalid server response"),
        (200, b"", TelegramError, "Invalid server response"),
        (200, b'{"ok":true,"resu', TelegramError, "Invalid server response"),
    ],
)
async def test_every_refusal_is_told_alike(
    server: Server,
    make: MakeTransport,
    status: int,
    body: bytes,
    kind: type[TelegramError],
    text: str,
) -> None:
    server.status, server.body = status, body
    async with open_bot(server.base, make()) as bot:
        error = await failure_of(bot.send_message(5, "x"))
    assert (type(error), str(error)) == (kind, text)
    assert not surely_not_sent(error)


async def test_nobody_is_followed_elsewhere(server: Server, make: MakeTransport) -> None:
    server.status, server.body = 302, b"{}"
    server.headers = {"Location": f"{server.base}/elsewhere"}
    async with open_bot(server.base, make()) as bot:
        error = await failure_of(bot.send_message(5, "x"))
    assert (type(error), str(error)) == (NetworkError, "Found (302)")
    assert len(server.received) == 1


async def test_a_page_that_repeats_the_address_is_told_without_the_token(server: Server) -> None:
    server.body = f"<html>no /bot{TOKEN}/sendMessage here".encode()
    async with open_bot(server.base, ours()) as bot:
        for server.status in (404, 200):
            await failure_of(bot.send_message(5, "x"))
        server.status, server.body = 404, b'{"description":"%s"}' % TOKEN.encode()
        assert str(await failure_of(bot.send_message(5, "x"))) == "[secret]"


async def test_what_is_not_http_is_told_without_the_token() -> None:
    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"250 OK\r\n " + (await read_request(reader)).encode())
        await hang(reader, writer)

    async with peer(repeat) as port, open_bot(f"http://127.0.0.1:{port}", ours()) as bot:
        error = await failure_of(bot.send_message(5, "x"))
    assert type(error) is NetworkError
    assert str(error) == "127.0.0.1 answered something that is not HTTP"


async def test_cookies_are_not_kept(server: Server) -> None:
    server.headers = {"Set-Cookie": "a=b; Path=/"}
    async with open_bot(server.base, ours()) as bot:
        for _ in range(2):
            await bot.send_message(5, "x")
    assert all("Cookie" not in one.headers for one in server.received)


async def test_a_record_of_the_last_answer_is_kept(server: Server) -> None:
    server.headers = {"Date": "Sun, 06 Nov 1994 08:49:37 GMT"}
    transport = ours()
    async with open_bot(server.base, transport) as bot:
        assert transport.last_success is None
        assert transport.server_date is None
        before = time.monotonic()
        await bot.send_message(5, "x")
        answered = transport.last_success
        assert answered is not None
        assert before <= answered <= time.monotonic()
        assert transport.server_date == dt.datetime(1994, 11, 6, 8, 49, 37, tzinfo=dt.UTC)
        server.status, server.headers = 500, {"Date": "yesterday"}
        await failure_of(bot.send_message(5, "x"))
        assert transport.last_success == answered
        assert transport.server_date is None


async def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(2**20))
            await writer.drain()

    async with peer(flood) as port, open_bot(f"http://127.0.0.1:{port}", ours()) as bot:
        error = await failure_of(bot.send_message(5, "x"))
    assert (type(error), str(error)) == (NetworkError, "the answer is larger than 20 MB")
    assert not surely_not_sent(error)


async def test_the_largest_file_is_read(server: Server) -> None:
    server.body = bytes(LARGEST_ANSWER)
    async with ours() as transport:
        assert len(await transport.retrieve(server.base)) == LARGEST_ANSWER


# What breaks.


async def test_a_refused_connection_was_surely_not_used(make: MakeTransport) -> None:
    port = closed_port()
    async with open_bot(f"http://127.0.0.1:{port}", make()) as bot:
        error = await failure_of(bot.send_message(5, "x"))
    assert type(error) is NetworkError
    assert surely_not_sent(error)
    if make is ours:
        assert str(error) == f"cannot connect to 127.0.0.1:{port} (Connection refused)"
        assert isinstance(error.__cause__, aiohttp.ClientConnectorError)


async def test_a_name_that_is_not_known_was_surely_not_sent_to(
    make: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look_up(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    async with open_bot("http://api.example", make()) as bot:
        error = await failure_of(bot.send_message(5, "x"))
    assert type(error) is NetworkError
    assert surely_not_sent(error)
    if make is ours:
        assert str(error) == "cannot find api.example (Name or service not known)"


@pytest.mark.parametrize("base", ["http://[half", "ftp://127.0.0.1", "http://", "nothing", ""])
async def test_an_address_that_is_none_was_surely_not_sent_to(base: str) -> None:
    async with open_bot(base, ours()) as bot:
        error = await failure_of(bot.send_message(5, "x"))
    assert type(error) is NetworkError
    assert surely_not_sent(error)
    assert str(error).startswith("the address of the Bot API is not")


async def _hang_up(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await read_request(reader)


async def _hang_up_hard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    reset(writer)


async def _break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"ok":')
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def _break_a_header_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-")
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def _speak_otherwise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"250 OK\r\n\r\n")
    await writer.drain()
    await hang(reader, writer)


async def _send_a_broken_archive(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nwhat")
    await writer.drain()
    await hang(reader, writer)


@pytest.mark.parametrize(
    ("talk", "text"),
    [
        (_hang_up, "127.0.0.1 closed the connection without an answer"),
        (_hang_up_hard, "the connection to 127.0.0.1 broke (Connection reset by peer)"),
        (_break_off, "the answer of 127.0.0.1 broke off"),
        (_break_a_header_off, "127.0.0.1 closed the connection without an answer"),
        (_speak_otherwise, "127.0.0.1 answered something that is not HTTP"),
        (_send_a_broken_archive, "the answer of 127.0.0.1 broke off"),
    ],
)
async def test_a_connection_that_breaks_after_the_request_leaves_it_in_doubt(
    make: MakeTransport, talk: Talk, text: str
) -> None:
    requests = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        await talk(reader, writer)

    async with peer(once) as port, open_bot(f"http://127.0.0.1:{port}", make()) as bot:
        error = await failure_of(bot.send_message(5, "x"))
    assert type(error) is NetworkError
    assert not surely_not_sent(error)
    assert requests == 1, "a message that may have arrived is not sent again"
    if make is ours:
        assert str(error).startswith(text)


async def test_an_answer_whose_parts_are_miscounted_is_in_doubt(make: MakeTransport) -> None:
    async def miscount(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"what\r\n")
        await hang(reader, writer)

    # aiohttp sees the mistake, but wakes nobody for it: only the time for the whole ends this.
    transport = make(read=0.1, write=0.1, connect=0.1)
    async with peer(miscount) as port, open_bot(f"http://127.0.0.1:{port}", transport) as bot:
        error = await failure_of(bot.send_message(5, "x"))
    assert isinstance(error, NetworkError)
    assert not surely_not_sent(error)


async def test_an_upload_that_is_cut_off_is_in_doubt(make: MakeTransport) -> None:
    async def cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        reset(writer)

    async with peer(cut_off) as port, open_bot(f"http://127.0.0.1:{port}", make()) as bot:
        error = await failure_of(bot.send_photo(5, bytes(2**24)))
    assert type(error) is NetworkError
    assert not surely_not_sent(error)


# Time.


async def test_an_answer_that_does_not_come_leaves_the_request_in_doubt(
    make: MakeTransport,
) -> None:
    async with peer(hang) as port, open_bot(f"http://127.0.0.1:{port}", make(read=0.1)) as bot:
        error = await failure_of(bot.send_message(5, "x"))
    assert type(error) is TimedOut
    assert not surely_not_sent(error)
    if make is ours:
        assert str(error) == "no answer from 127.0.0.1 after 0.1 s"
        assert isinstance(error.__cause__, aiohttp.SocketTimeoutError)


async def test_a_call_sets_its_own_time(server: Server, make: MakeTransport) -> None:
    server.pause = 0.2
    async with open_bot(server.base, make()) as bot:
        assert type(await failure_of(bot.send_message(5, "x", read_timeout=0.1))) is TimedOut
    async with open_bot(server.base, make(read=0.1)) as bot:
        await bot.send_message(5, "x", read_timeout=None)
        await bot.send_message(5, "x", read_timeout=5)


async def test_a_connection_that_takes_too_long_was_surely_not_used(make: MakeTransport) -> None:
    # It is taken, but nobody answers the first word of TLS.
    async with peer(hang) as port, open_bot(f"https://127.0.0.1:{port}", make(connect=0.1)) as bot:
        error = await failure_of(bot.send_message(5, "x"))
    assert type(error) is TimedOut
    assert surely_not_sent(error)
    if make is ours:
        assert str(error) == "no connection to 127.0.0.1 after 0.1 s"
        assert isinstance(error.__cause__, aiohttp.ConnectionTimeoutError)


async def test_what_waits_too_long_for_a_connection_was_surely_not_sent(
    server: Server, make: MakeTransport
) -> None:
    server.goes_on.clear()
    async with open_bot(server.base, make(connections=1, pool=0.1)) as bot:
        slow = asyncio.create_task(bot.send_message(5, "slow"))
        await until(lambda: server.busy)
        error = await failure_of(bot.send_message(5, "x"))
        assert type(error) is TimedOut
        assert surely_not_sent(error)
        server.goes_on.set()
        await slow
        await bot.send_message(5, "next")
    assert [one.fields["text"] for one in server.received] == ["slow", "next"]


async def test_an_answer_in_drops_ends_with_the_time_for_the_whole() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b" ")
            await asyncio.sleep(0.02)

    transport = ours(connect=0.1, write=0.1, read=0.1)
    async with peer(drip) as port, open_bot(f"http://127.0.0.1:{port}", transport) as bot:
        error = await failure_of(bot.send_message(5, "x"))
    assert (type(error), str(error)) == (TimedOut, "no whole answer from 127.0.0.1 after 0.3 s")
    assert not surely_not_sent(error)


async def _ignore(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take a connection, and never read what comes on it."""
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(60)


async def test_an_upload_that_nobody_reads_ends_with_the_time_for_the_whole() -> None:
    transport = ours(connect=0.1, write=0.1, read=0.1)
    async with peer(_ignore) as port, open_bot(f"http://127.0.0.1:{port}", transport) as bot:
        error = await failure_of(bot.send_photo(5, bytes(2**24)))
    assert type(error) is TimedOut
    assert not surely_not_sent(error)


async def test_a_cancelled_request_ends_as_cancelled(make: MakeTransport) -> None:
    async with (
        peer(hang) as port,
        open_bot(f"http://127.0.0.1:{port}", make(connections=1)) as bot,
    ):
        under_way, waiting = (asyncio.create_task(bot.send_message(5, "x")) for _ in range(2))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way


# Proxies and certificates.


@dataclass
class Proxy:
    """A proxy that notes what is asked of it; a connection through it leads to `port`."""

    port: int = 0
    answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n"
    pause: float = 0.0
    asked: list[str] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            self.asked.append(request)
            if request.startswith("CONNECT "):
                break
            writer.write(http(SENT))
        await asyncio.sleep(self.pause)
        writer.write(self.answer)
        if not self.answer.startswith(b"HTTP/1.1 200"):
            return await writer.drain()
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            await asyncio.gather(_pour(reader, far_writer), _pour(far_reader, writer))
        finally:
            far_writer.transport.abort()
        return None


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while some := await reader.read(2**16):
        writer.write(some)
    writer.close()


@dataclass(frozen=True)
class Certificate:
    """One for 127.0.0.1 that nobody has signed but itself."""

    path: Path
    context: ssl.SSLContext


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    if not (openssl := shutil.which("openssl")):
        pytest.skip("a certificate is made with the command openssl, which is not here")
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        [
            openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", "key.pem", "-out", "certificate.pem", "-days", "2",
            "-subj", "/CN=loopback", "-addext", "subjectAltName=IP:127.0.0.1",
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return Certificate(folder / "certificate.pem", context)


async def test_a_certificate_that_is_not_trusted_is_refused(
    make: MakeTransport, certificate: Certificate
) -> None:
    async with (
        peer(answer_me, certificate.context) as port,
        open_bot(f"https://127.0.0.1:{port}", make()) as bot,
    ):
        error = await failure_of(bot.get_me())
    assert type(error) is NetworkError
    assert surely_not_sent(error)
    if make is ours:
        assert str(error) == (
            f"the certificate of 127.0.0.1:{port} is not trusted (self-signed certificate)"
        )


async def test_a_certificate_that_is_named_is_trusted(
    make: MakeTransport, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    async with (
        peer(answer_me, certificate.context) as port,
        open_bot(f"https://127.0.0.1:{port}", make()) as bot,
    ):
        assert (await bot.get_me()).id == 1


async def test_a_certificate_for_another_host_is_refused(
    make: MakeTransport, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    async with (
        peer(answer_me, certificate.context) as port,
        open_bot(f"https://localhost:{port}", make()) as bot,
    ):
        error = await failure_of(bot.get_me())
    assert type(error) is NetworkError
    assert surely_not_sent(error)


async def test_a_server_without_tls_is_refused(make: MakeTransport) -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.2)

    async with peer(greet) as port, open_bot(f"https://127.0.0.1:{port}", make()) as bot:
        error = await failure_of(bot.get_me())
    assert type(error) is NetworkError
    assert surely_not_sent(error)
    if make is ours:
        assert str(error).startswith(f"cannot speak TLS with 127.0.0.1:{port} (")


async def test_plain_requests_go_through_the_proxy(
    make: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy()
    async with peer(proxy.talk) as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:{PASSWORD}@127.0.0.1:{port}")
        async with open_bot("http://api.example:81", make()) as bot:
            await bot.send_message(5, "x")
            await bot.send_message(5, "y")
    assert len(proxy.asked) == 2
    for request in proxy.asked:
        assert request.startswith(f"POST http://api.example:81/bot{TOKEN}/sendMessage HTTP/1.1\r\n")
        assert "Proxy-Authorization: Basic dXNlcjpwcm94eXBhc3N3b3Jk" in request


@pytest.mark.parametrize("setting", ["HTTPS_PROXY", "ALL_PROXY"])
async def test_tls_goes_through_the_proxy_unread(
    make: MakeTransport,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    proxy = Proxy()
    async with AsyncExitStack() as stack:
        proxy.port = await stack.enter_async_context(peer(answer_me, certificate.context))
        port = await stack.enter_async_context(peer(proxy.talk))
        monkeypatch.setenv(setting, f"http://user:{PASSWORD}@127.0.0.1:{port}")
        async with open_bot("https://127.0.0.1:444", make()) as bot:
            assert (await bot.get_me()).id == 1
            assert (await bot.get_me()).id == 1
    [request] = proxy.asked
    assert request.startswith("CONNECT 127.0.0.1:444 HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic dXNlcjpwcm94eXBhc3N3b3Jk" in request


async def test_the_password_of_the_proxy_is_not_told(
    make: MakeTransport, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy()
    async with AsyncExitStack() as stack:
        proxy.port = await stack.enter_async_context(peer(answer_me, certificate.context))
        port = await stack.enter_async_context(peer(proxy.talk))
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{PASSWORD}@127.0.0.1:{port}")
        async with open_bot("https://127.0.0.1:444", make()) as bot:
            error = await failure_of(bot.get_me())
    assert type(error) is NetworkError
    assert surely_not_sent(error)


async def test_hosts_that_are_excepted_are_reached_without_the_proxy(
    server: Server, make: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("NO_PROXY", "example.com,127.0.0.1")
    async with open_bot(server.base, make()) as bot:
        await bot.send_message(5, "x")


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_nothing_goes_out_where_the_proxy_is_not_there(
    make: MakeTransport, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    port = closed_port()
    monkeypatch.setenv("ALL_PROXY", f"http://user:{PASSWORD}@127.0.0.1:{port}")
    async with open_bot(f"{scheme}://api.example", make()) as bot:
        error = await failure_of(bot.send_message(5, "x"))
    assert type(error) is NetworkError
    assert surely_not_sent(error)
    if make is ours:
        assert str(error) == f"cannot connect to the proxy 127.0.0.1:{port} (Connection refused)"


async def test_nothing_goes_out_where_the_proxy_says_no(
    make: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(answer=b"HTTP/1.1 407 Who are you?\r\nContent-Length: 0\r\n\r\n")
    async with peer(proxy.talk) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{PASSWORD}@127.0.0.1:{port}")
        async with open_bot("https://api.example", make()) as bot:
            error = await failure_of(bot.send_message(5, "x"))
    assert type(error) is NetworkError
    assert surely_not_sent(error)
    if make is ours:
        assert str(error) == "the proxy does not connect to api.example (407 Who are you?)"


@pytest.mark.parametrize("address", ["socks5://user:proxypassword@h:1", "http://", "http://[h"])
async def test_nothing_goes_out_where_the_proxy_cannot_be_understood(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    async with open_bot("https://api.example", ours()) as bot:
        error = await failure_of(bot.send_message(5, "x"))
    assert type(error) is NetworkError
    assert surely_not_sent(error)
    assert str(error).startswith("the proxy for https must be an address like ")


# Opening, closing, beginning anew.


async def test_a_transport_can_be_closed_twice_and_opened_again(
    server: Server, make: MakeTransport
) -> None:
    transport = make()
    bot = telegram.Bot(
        TOKEN, base_url=f"{server.base}/bot", request=transport, get_updates_request=transport
    )
    for _ in range(2):
        await transport.initialize()
        await transport.initialize()
        await bot.send_message(5, "x")
        await transport.shutdown()
        await transport.shutdown()
    error = await failure_of(bot.send_message(5, "x"))
    assert type(error) is NetworkError
    assert len(server.received) == 2


async def test_a_transport_that_was_closed_has_surely_not_sent(server: Server) -> None:
    transport = ours()
    async with open_bot(server.base, transport) as bot:
        await bot.send_message(5, "x")
    await transport.renew()
    error = await failure_of(bot.send_message(5, "x"))
    assert surely_not_sent(error)
    assert str(error) == "the connections to Telegram are closed"


async def test_the_first_request_opens_the_transport(server: Server) -> None:
    transport = ours()
    assert transport.read_timeout == 5.0
    assert await transport.retrieve(server.base) == SENT
    await transport.shutdown()


def test_a_transport_is_made_before_there_is_a_loop() -> None:
    assert AiohttpRequest.for_sending().read_timeout == 75.0
    assert AiohttpRequest.for_polling().read_timeout == 15.0


async def test_closing_ends_what_is_under_way_and_what_waits() -> None:
    transport = ours(connections=1)
    async with peer(hang) as port, open_bot(f"http://127.0.0.1:{port}", transport) as bot:
        under_way, waiting = (asyncio.create_task(bot.send_message(5, "x")) for _ in range(2))
        await asyncio.sleep(0.05)
        await transport.shutdown()
        assert not surely_not_sent(await failure_of(under_way))
        assert surely_not_sent(await failure_of(waiting))


async def test_closing_ends_an_upload_that_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.platforms.telegram.transport._CLOSE_WITHIN", 0.1)
    transport = ours()
    async with peer(_ignore) as port, open_bot(f"http://127.0.0.1:{port}", transport) as bot:
        upload = asyncio.create_task(bot.send_photo(5, bytes(2**24)))
        await asyncio.sleep(0.1)
        await asyncio.wait_for(transport.shutdown(), 1)
        error = await asyncio.wait_for(failure_of(upload), 1)
    assert (type(error), str(error)) == (
        NetworkError,
        "the connection to 127.0.0.1 broke (the connections to Telegram were closed)",
    )
    assert not surely_not_sent(error)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_closing_ends_what_is_just_connecting(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    proxy = Proxy(pause=60)
    transport = ours()
    async with peer(proxy.talk if scheme == "http" else hang) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://127.0.0.1:{port}")
        async with open_bot("https://api.example", transport) as bot:
            under_way = asyncio.create_task(bot.send_message(5, "x"))
            await asyncio.sleep(0.05)
            await transport.renew()
            assert type(await asyncio.wait_for(failure_of(under_way), 1)) is NetworkError


async def test_a_renewed_transport_polls_on_new_connections() -> None:
    connections = 0
    hung_up = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections > 1:
            return await answer_me(reader, writer)
        await hang(reader, writer)
        hung_up.set()
        return None

    transport = ours(connections=1)
    async with peer(talk) as port, open_bot(f"http://127.0.0.1:{port}", transport) as bot:
        poll = asyncio.create_task(bot.get_updates(timeout=30))
        waiting = asyncio.create_task(bot.get_me())
        await until(lambda: connections)
        await transport.renew()
        error = await failure_of(poll)
        assert type(error) is NetworkError
        assert not surely_not_sent(error)
        assert (await waiting).id == 1
        assert (await bot.get_me()).id == 1
        await until(hung_up.is_set)
    assert connections == 2


async def test_renewing_does_not_cancel_who_waits_for_a_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look_ups = 0

    async def look_up(*_: object, **__: object) -> Any:
        nonlocal look_ups
        look_ups += 1
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    transport = ours()
    async with open_bot("http://api.example", transport) as bot:
        first, second = (asyncio.create_task(bot.send_message(5, "x")) for _ in range(2))
        await until(lambda: look_ups == 1)
        await transport.renew()
        for one in (first, second):
            assert type(await failure_of(one)) is NetworkError
        third = asyncio.create_task(bot.send_message(5, "x"))
        await until(lambda: look_ups == 2)
        third.cancel()
        with pytest.raises(asyncio.CancelledError):
            await third


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimedOut(), False),
        (NetworkError("x"), False),
        (BadRequest("x"), False),
        (ValueError("x"), False),
        (NotConnected("x"), True),
        (aiohttp.ConnectionTimeoutError("x"), True),
        (aiohttp.InvalidURL("x"), True),
        (aiohttp.SocketTimeoutError("x"), False),
        (aiohttp.ServerTimeoutError("x"), False),
        (aiohttp.ServerDisconnectedError(), False),
        (aiohttp.ClientOSError(104, "x"), False),
        (aiohttp.ClientPayloadError("x"), False),
        (TimeoutError(), False),
        (ConnectionRefusedError(), False),
    ],
)
def test_only_what_comes_before_a_connection_is_surely_not_sent(
    error: BaseException, expected: bool
) -> None:
    assert surely_not_sent(error) is expected
    wrapped = NetworkError("x")
    wrapped.__cause__ = error
    assert surely_not_sent(wrapped) is expected
