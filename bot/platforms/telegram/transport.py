"""Requests to the Bot API over aiohttp: a fraction of the work of python-telegram-bot's own way.

What fails is told in python-telegram-bot's own errors, whose `__cause__` says whether the request
can have gone out (`surely_not_sent`). None of them holds an address: it would hold the bot's token.
"""

import asyncio
import datetime as dt
import os
import re
import ssl
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import aiohttp
from aiohttp import hdrs
from telegram.error import NetworkError, TimedOut
from telegram.request import BaseRequest, RequestData
from yarl import URL

from bot.text import MASK, clean, shorten, without_secrets

if TYPE_CHECKING:
    from telegram._utils.types import ODVInput

LARGEST_ANSWER: Final = 20 * 2**20
"""Bytes. The Bot API gives out no file that is larger."""

# Shorter than any server waits: a request on a connection that is just being closed is in doubt.
_IDLE: Final = 15.0
# Closing takes no time, but for a peer that neither reads nor hangs up.
_CLOSE_WITHIN: Final = 2.0
_JSON: Final[Mapping[str, str]] = {hdrs.CONTENT_TYPE: "application/json"}
_TOKEN: Final = re.compile(r"/bot([^/]*:[^/]+)")


class NotConnected(aiohttp.ClientConnectionError):
    """There was no connection to send the request on."""


class AiohttpRequest(BaseRequest):
    """A pool of connections to the Bot API.

    Proxies come from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, the certificates that
    are trusted from the system or `SSL_CERT_FILE`; both are read whenever the pool is opened.
    """

    def __init__(
        self,
        *,
        connections: int = 16,
        read_timeout: float | None = 75.0,
        connect_timeout: float | None = 10.0,
        pool_timeout: float | None = 30.0,
        write_timeout: float | None = 20.0,
    ) -> None:
        """Nothing is opened yet. Timeouts are in seconds; `None` sets no limit.

        `read_timeout` is the longest silence of the server once the request is written,
        `connect_timeout` the time for a connection with its TLS, `pool_timeout` the wait for one of
        the `connections`. All of a request has the time to connect, to write and to read together.
        """
        self._connections = connections
        self._read_timeout = read_timeout
        self._connect_timeout = connect_timeout
        self._pool_timeout = pool_timeout
        self._write_timeout = write_timeout
        self._pool: _Pool | None = None
        self._shut_down = False
        self._date: str | None = None
        self.last_success: float | None = None
        """When the server last answered with a 2xx, on the clock of `time.monotonic`."""

    @classmethod
    def for_sending(cls, alerts: int = 4) -> Self:
        """For all that is not a poll: so many alerts at a time, and answers beside them.

        The server itself may sleep 60 s before it answers.
        """
        return cls(connections=alerts + 12, read_timeout=75.0)

    @classmethod
    def for_polling(cls) -> Self:
        """For getUpdates; python-telegram-bot adds the poll's own wait to the read timeout."""
        return cls(connections=1, read_timeout=15.0)

    @property
    def read_timeout(self) -> float | None:
        """The longest silence of the server, in seconds, where a request says nothing else."""
        return self._read_timeout

    @property
    def server_date(self) -> dt.datetime | None:
        """The server's clock at its last answer, to the second."""
        try:
            date = parsedate_to_datetime(self._date) if self._date else None
        except ValueError:
            return None
        return date.astimezone(dt.UTC) if date and date.tzinfo else None

    async def initialize(self) -> None:
        """Open the pool, also after a shutdown; an open one stays as it is."""
        self._shut_down = False
        self._opened()

    async def shutdown(self) -> None:
        """Close every connection. What is under way fails, and so do later requests."""
        self._shut_down = True
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def renew(self) -> None:
        """Go on with new connections, in whatever state the old ones are: they are closed.

        What is under way on them fails; what waits for one goes out on a new one. A pool that is
        not open stays so.
        """
        pool = self._pool
        if pool is not None:
            self._pool = _Pool(self._connections)
            await pool.close()

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: "ODVInput[float]" = BaseRequest.DEFAULT_NONE,
        write_timeout: "ODVInput[float]" = BaseRequest.DEFAULT_NONE,
        connect_timeout: "ODVInput[float]" = BaseRequest.DEFAULT_NONE,
        pool_timeout: "ODVInput[float]" = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        """The status and the body of the server's answer, whatever the status is.

        Raises `TimedOut` when a timeout ends it and `NetworkError` when anything else does;
        `surely_not_sent` tells which of them are safe to try again.
        """
        address = _address(url)
        limits = _limits(
            _chosen(read_timeout, self._read_timeout),
            _chosen(write_timeout, self._write_timeout),
            _chosen(connect_timeout, self._connect_timeout),
        )
        gate = self._opened().gate
        await _enter(gate, _chosen(pool_timeout, self._pool_timeout))
        try:
            # Only now: the pool may have been renewed or closed meanwhile.
            return await self._send(self._opened(), method, address, request_data, limits)
        finally:
            gate.release()

    def _opened(self) -> "_Pool":
        if self._shut_down:
            text = "the connections to Telegram are closed"
            raise NetworkError(text) from NotConnected(text)
        if self._pool is None:
            self._pool = _Pool(self._connections)
        return self._pool

    async def _send(
        self, pool: "_Pool", method: str, address: URL, data: RequestData | None, limits: "_Limits"
    ) -> tuple[int, bytes]:
        error: Exception
        scope = asyncio.timeout(limits.total)
        try:
            async with scope:
                pool.under_way.add(scope)
                return await self._exchange(pool, method, address, data, limits)
        except (aiohttp.ClientError, OSError) as caught:
            error = caught
        finally:
            pool.under_way.discard(scope)
        if pool.closed:
            error = aiohttp.ClientConnectionError("the connections to Telegram were closed")
        # Out here it has no `__context__`: that would be the error that may tell the address.
        raise _failure(error, address, limits)

    async def _exchange(
        self, pool: "_Pool", method: str, address: URL, data: RequestData | None, limits: "_Limits"
    ) -> tuple[int, bytes]:
        body, headers = _encoded(data)
        async with pool.session.request(
            method,
            address,
            data=body,
            headers=headers,
            allow_redirects=False,
            proxy=pool.proxy(address.scheme, address.host_port_subcomponent or ""),
            timeout=limits.of_aiohttp,
        ) as response:
            answer = await _read(response)
        self._date = response.headers.get(hdrs.DATE)
        status = response.status
        if 200 <= status < 300:
            self.last_success = time.monotonic()
            if answer.startswith(b"{"):
                return status, answer
        return status, _masked(answer, address)


def surely_not_sent(error: BaseException) -> bool:
    """Whether a request failed before any of it can have gone out; else it may have arrived.

    Understands what `AiohttpRequest` and python-telegram-bot's own transport raise.
    """
    return any(one is not None and _is_before_sending(one) for one in (error, error.__cause__))


_BEFORE_SENDING: Final = (
    NotConnected,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)
_HTTPX_BEFORE_SENDING: Final = frozenset(
    {"ConnectError", "ConnectTimeout", "InvalidURL", "PoolTimeout", "ProxyError"}
)


def _is_before_sending(error: BaseException) -> bool:
    if isinstance(error, _BEFORE_SENDING):
        return True
    kind = type(error)
    return kind.__module__ == "httpx" and kind.__name__ in _HTTPX_BEFORE_SENDING


# What a request is made of.


def _chosen(timeout: "ODVInput[float]", default: float | None) -> float | None:
    return timeout if timeout is None or isinstance(timeout, int | float) else default


class _Limits(NamedTuple):
    """How long a request may take, in seconds."""

    read: float | None
    connect: float | None
    total: float | None
    of_aiohttp: aiohttp.ClientTimeout


@lru_cache(maxsize=32)
def _limits(read: float | None, write: float | None, connect: float | None) -> _Limits:
    # The total is for a server that sends a byte now and then, which is never silent, and for one
    # that does not read: aiohttp has no limit for that.
    total = None if read is None or write is None or connect is None else read + write + connect
    of_aiohttp = aiohttp.ClientTimeout(total=None, connect=connect, sock_read=read)
    return _Limits(read, connect, total, of_aiohttp)


@lru_cache(maxsize=128)
def _address(url: str) -> URL:
    try:
        return URL(url)
    except ValueError:
        text = "the address of the Bot API is not a URL"
    raise NetworkError(text) from NotConnected(text)


def _encoded(
    data: RequestData | None,
) -> tuple[bytes | aiohttp.FormData | None, Mapping[str, str] | None]:
    """The body and its headers.

    Parameters go as JSON, which is a tenth of the work of a form; to the Bot API it is the same.
    """
    if data is None:
        return None, None
    if not data.contains_files:
        return data.json_payload, _JSON
    # The Bot API takes file names as they are: a quoted one would be shown quoted.
    form = aiohttp.FormData(quote_fields=False)
    for name, value in data.json_parameters.items():
        form.add_field(name, value)
    for name, (filename, content, kind) in data.multipart_data.items():
        file = BytesIO(content if isinstance(content, bytes) else content.read())
        form.add_field(name, file, filename=filename, content_type=kind)
    return form, None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > LARGEST_ANSWER:
            raise NetworkError(f"the answer is larger than {LARGEST_ANSWER >> 20} MB")
        parts.append(part)
    return b"".join(parts)


# Connections.


class _Pool:
    """A session of aiohttp, and what is under way on it."""

    def __init__(self, connections: int) -> None:
        # Counted here, because aiohttp does not tell a wait for a connection from a slow one.
        self.gate = asyncio.Semaphore(connections)
        self.under_way: set[asyncio.Timeout] = set()
        self.closed = False
        # aiohttp's own trust_env looks proxies up for every single request, in two other threads,
        # and would send what is in ~/.netrc.
        self.proxy = lru_cache(maxsize=16)(_proxy)
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=_tls(), keepalive_timeout=_IDLE),
            cookie_jar=aiohttp.DummyCookieJar(),
            # Answers are small: to unpack them costs more than it saves.
            headers={
                hdrs.USER_AGENT: BaseRequest.USER_AGENT,
                hdrs.ACCEPT_ENCODING: "identity",
            },
        )

    async def close(self) -> None:
        """End what is under way, wherever it hangs, and hang up."""
        self.closed = True
        for scope in self.under_way:
            if not scope.expired():
                scope.reschedule(0)
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_WITHIN):
                await self.session.close()


async def _enter(gate: asyncio.Semaphore, limit: float | None) -> None:
    """Wait for one of the connections; raises `TimedOut`."""
    if not gate.locked():
        await gate.acquire()
        return
    try:
        async with asyncio.timeout(limit):
            await gate.acquire()
    except TimeoutError:
        text = f"all connections to Telegram were busy{_after(limit)}: the request was not sent"
    else:
        return
    raise TimedOut(text) from aiohttp.ConnectionTimeoutError(text)


def _tls() -> ssl.SSLContext:
    # aiohttp's own is made when it is imported: SSL_CERT_FILE would be read only then.
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _proxy(scheme: str, place: str) -> URL | None:
    """The proxy for a host, with its user and password; raises `NotConnected`."""
    proxies = urllib.request.getproxies()
    named = proxies.get(scheme) or proxies.get("all")
    if not named or urllib.request.proxy_bypass(place):
        return None
    with suppress(ValueError):
        proxy = URL(named if "://" in named else f"http://{named}")
        if proxy.scheme in ("http", "https") and proxy.host:
            return proxy
    raise NotConnected(f"the proxy for {scheme} must be an address like http://proxy.example:3128")


# Errors.


def _failure(error: Exception, address: URL, limits: _Limits) -> NetworkError:
    text = _told(error, address.host or "", limits).replace(_token(address), MASK)
    failure = TimedOut(text) if isinstance(error, TimeoutError) else NetworkError(text)
    failure.__cause__ = _harmless(error, address, text)
    return failure


def _told(error: Exception, host: str, limits: _Limits) -> str:
    """What happened, in a line that may be shown."""
    match error:
        case NotConnected():
            return str(error)
        case aiohttp.ConnectionTimeoutError():
            return f"no connection to {host}{_after(limits.connect)}"
        case aiohttp.SocketTimeoutError():
            return f"no answer from {host}{_after(limits.read)}"
        case TimeoutError():
            return f"no whole answer from {host}{_after(limits.total)}"
        case aiohttp.ClientConnectorError():
            return _told_of_connecting(error)
        case aiohttp.ClientHttpProxyError():
            return f"the proxy does not connect to {host} ({error.status} {_line(error.message)})"
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return "the address of the Bot API is not one of HTTP"
        case aiohttp.ServerDisconnectedError():
            return f"{host} closed the connection without an answer"
        case aiohttp.ClientResponseError():
            return f"{host} answered something that is not HTTP"
        case OSError():
            return f"the connection to {host} broke ({_reason(error)})"
        case aiohttp.ClientConnectionError():
            return f"the connection to {host} broke ({_line(str(error))})"
    return f"the answer of {host} broke off ({_line(str(error))})"


def _told_of_connecting(error: aiohttp.ClientConnectorError) -> str:
    place = f"{error.host}:{error.port}"
    match error:
        case aiohttp.ClientConnectorDNSError():
            return f"cannot find {error.host} ({_reason(error.os_error)})"
        case aiohttp.ClientConnectorCertificateError(certificate_error=cause):
            reason = getattr(cause, "verify_message", "") or str(cause)
            return f"the certificate of {place} is not trusted ({_line(reason)})"
        case aiohttp.ClientConnectorSSLError():
            return f"cannot speak TLS with {place} ({_reason(error.os_error)})"
        case aiohttp.ClientProxyConnectionError():
            return f"cannot connect to the proxy {place} ({_reason(error.os_error)})"
    return f"cannot connect to {place} ({_reason(error.os_error)})"


def _reason(error: OSError) -> str:
    """The system's words: the libraries between put addresses into theirs."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no reason given").replace("_", " ").lower()
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return _line(error.strerror or type(error).__name__)


def _after(limit: float | None) -> str:
    return "" if limit is None else f" after {limit:g} s"


def _line(text: str) -> str:
    return shorten(without_secrets(" ".join(clean(text).split())), 200)


def _harmless(error: Exception, address: URL, text: str) -> Exception:
    """The error, or one of the same meaning where it or what led to it tells a secret."""
    token = _token(address)
    shown = "".join(f"{one} {one!r}" for one in _led_to(error))
    if token not in shown and without_secrets(shown) == shown:
        return error
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return aiohttp.ConnectionTimeoutError(text)
    return NotConnected(text) if surely_not_sent(error) else aiohttp.ClientConnectionError(text)


def _led_to(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    for _ in range(16):
        if one is None:
            return
        yield one
        one = one.__cause__ or one.__context__


def _token(address: URL) -> str:
    found = _TOKEN.search(address.raw_path)
    return found[1] if found else str(address)


def _masked(answer: bytes, address: URL) -> bytes:
    # A page of a proxy may repeat the address, and python-telegram-bot tells and logs such a page.
    token = _token(address)
    for form in (token, token.replace(":", "%3A"), token.replace(":", "%3a")):
        answer = answer.replace(form.encode(), MASK.encode())
    return answer
