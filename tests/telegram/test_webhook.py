"""What Telegram posts to an address of the bot, and what anybody else may try there."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import pytest
import telegram as library
from structlog.testing import capture_logs
from telegram.ext import ExtBot

from bot.errors import SettingsError
from bot.platforms.telegram.transport import AiohttpRequest
from bot.platforms.telegram.webhook import BODY_LIMIT, Webhook
from tests.fakes.telegram import FakeTelegram

IN_TIME: Final = 10.0
SECRET: Final = "X-Telegram-Bot-Api-Secret-Token"
UPDATE: Final = {"update_id": 7, "callback_query": {"id": "1", "chat_instance": "2", "data": "x",
                 "from": {"id": 1, "is_bot": False, "first_name": "Ann"}}}  # fmt: skip


@pytest.fixture
def telegram() -> Iterator[FakeTelegram]:
    with FakeTelegram() as running:
        yield running


def _more_than_is_taken() -> io.BytesIO:
    return io.BytesIO(b" " * (BODY_LIMIT + 1))


class Hook:
    """A webhook that listens, and what it took; `post` is anybody's way to it."""

    def __init__(self, telegram: FakeTelegram, listen: str) -> None:
        self.telegram = telegram
        self.url = f"http://{listen}/hook"
        self.queue: asyncio.Queue[library.Update] = asyncio.Queue()
        self.log: list[Any] = []
        self.request = AiohttpRequest.for_sending()
        base = f"{telegram.url}/bot"
        bot = ExtBot[None](telegram.token, base_url=base, request=self.request)
        self.webhook = Webhook(bot, self.url, listen, self.queue)

    @property
    def secret(self) -> str:
        """What Telegram was told to say."""
        return str(self.telegram.calls("setWebhook")[-1].parameters["secret_token"])

    async def announced(self, count: int = 1) -> None:
        """Wait until Telegram knows the address."""
        await asyncio.to_thread(self.telegram.wait_for_request, "setWebhook", count)

    async def post(self, secret: str | None, path: str = "", **body: Any) -> int:
        """Post something; returns the status."""
        headers = {} if secret is None else {SECRET: secret}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url + path, headers=headers, **body) as answer,
        ):
            return answer.status


def a_free_place() -> str:
    """A host and port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@asynccontextmanager
async def listening(telegram: FakeTelegram) -> AsyncIterator[Hook]:
    """A webhook that Telegram knows of, unless it refuses."""
    hook = Hook(telegram, a_free_place())
    with capture_logs() as hook.log:
        task = asyncio.create_task(hook.webhook.run())
        try:
            yield hook
        finally:
            task.cancel()
            async with asyncio.timeout(5):
                await asyncio.wait([task])
                await hook.request.shutdown()
            assert task.cancelled()


async def test_what_telegram_posts_is_taken_in_order(telegram: FakeTelegram) -> None:
    ann = telegram.person("Ann")
    async with listening(telegram) as hook:
        await hook.announced()
        told = telegram.calls("setWebhook")[0].parameters
        assert told["url"] == hook.url
        assert "my_chat_member" in told["allowed_updates"]
        assert len(hook.secret) >= 32
        for text in ("one", "two"):
            telegram.say(ann, text)
        taken = [await asyncio.wait_for(hook.queue.get(), IN_TIME) for _ in range(2)]
        assert [one.message and one.message.text for one in taken] == ["one", "two"]
        await asyncio.to_thread(telegram.wait_until_confirmed)


@pytest.mark.parametrize("secret", [None, "", "wrong", "ü"])
async def test_who_does_not_know_the_secret_is_refused(
    telegram: FakeTelegram, secret: str | None
) -> None:
    async with listening(telegram) as hook:
        await hook.announced()
        assert await hook.post(secret, json=UPDATE) == 403
        assert await hook.post(secret, data=_more_than_is_taken()) == 403
        assert hook.queue.empty()
        assert await hook.post(hook.secret, json=UPDATE) == 200
        assert hook.queue.get_nowait().update_id == UPDATE["update_id"]


async def test_a_secret_that_is_no_text_is_refused(telegram: FakeTelegram) -> None:
    async with listening(telegram) as hook:
        await hook.announced()
        host, _, port = hook.url.removeprefix("http://").removesuffix("/hook").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        header = SECRET.encode() + b": \xff\xfe"
        writer.write(b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n" + header)
        writer.write(b"\r\n\r\n")
        assert b" 403 " in await asyncio.wait_for(reader.readline(), IN_TIME)
        writer.close()
        await writer.wait_closed()


async def test_each_start_has_a_secret_of_its_own(telegram: FakeTelegram) -> None:
    async with listening(telegram) as hook:
        await hook.announced()
        first = hook.secret
    async with listening(telegram) as hook:
        await hook.announced(2)
        assert hook.secret != first
        assert await hook.post(first, json=UPDATE) == 403


async def test_a_body_that_is_too_large_is_refused(telegram: FakeTelegram) -> None:
    async with listening(telegram) as hook:
        await hook.announced()
        assert await hook.post(hook.secret, data=_more_than_is_taken()) == 413
        assert await hook.post(hook.secret, json=UPDATE) == 200


@pytest.mark.parametrize(
    "junk", [b"", b"what?", b"\xff\xfe", b"null", b"[]", b"7", b"{}", b"[" * 100_000]
)
async def test_junk_is_refused(telegram: FakeTelegram, junk: bytes) -> None:
    async with listening(telegram) as hook:
        await hook.announced()
        assert await hook.post(hook.secret, data=junk) == 400
        assert hook.queue.empty()
    assert [line["event"] for line in hook.log] == ["telegram.bad_request"]


async def test_an_update_that_cannot_be_read_does_not_come_again(telegram: FakeTelegram) -> None:
    async with listening(telegram) as hook:
        await hook.announced()
        broken = {"update_id": 8, "message": "what?"}
        assert await hook.post(hook.secret, json=broken) == 200
        assert hook.queue.get_nowait().effective_chat is None
    assert [line["event"] for line in hook.log] == ["telegram.bad_update"]


async def test_nothing_else_is_served(telegram: FakeTelegram) -> None:
    async with listening(telegram) as hook, aiohttp.ClientSession() as session:
        await hook.announced()
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            async with session.request(method, hook.url) as answer:
                assert answer.status == 405
        assert await hook.post(hook.secret, "/more", json=UPDATE) == 404


async def test_a_place_that_is_taken_is_named(telegram: FakeTelegram) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        hook = Hook(telegram, f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(SettingsError, match=r"TELEGRAM_WEBHOOK_LISTEN = 127\.0\.0\.1:\d+: "):
            await asyncio.wait_for(hook.webhook.run(), IN_TIME)
        await hook.request.shutdown()
    assert telegram.calls("setWebhook") == ()


async def test_a_telegram_that_refuses_is_told_and_asked_again(
    telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.platforms.telegram.webhook.REFUSED_WAITS", (0.01, 0.02))
    monkeypatch.setattr("bot.platforms.telegram.webhook._RETRY", 0.03)
    telegram.fail("setWebhook", status=401)
    telegram.fail("setWebhook", status=400, description="Bad Request: bad webhook: IP address")
    telegram.fail("setWebhook", status=502)
    async with listening(telegram) as hook:
        await hook.announced(4)
        assert await hook.post(hook.secret, json=UPDATE) == 200
    assert [(line["event"], line["retry_in"]) for line in hook.log] == [
        ("telegram.no_webhook", 0.01),
        ("telegram.no_webhook", 0.03),
        ("telegram.no_webhook", 0.03),
    ]
    assert "check TELEGRAM_TOKEN" in hook.log[0]["problem"]
    assert "bad webhook: IP address" in hook.log[1]["problem"].lower().replace("ip", "IP")


async def test_a_telegram_that_hangs_holds_up_no_stop(telegram: FakeTelegram) -> None:
    held = telegram.hold("setWebhook")
    async with listening(telegram):
        await asyncio.to_thread(telegram.wait_until_held, held)
