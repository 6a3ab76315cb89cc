"""The bot against a Bot API server that this project did not write: lo-bot-api-emulator.

It checks every request against a table of its own, and has queues for polling and webhooks. What
differs from Telegram is put right here, and nothing else: its getMe has no username, and it knows
no link previews. It has no groups, topics, rights or reply keyboards either, so this is a direct
chat; it checks no token, and takes a message for any chat without having it anywhere. It notices
late that a poll was hung up, so the last one of a bot that stops can get a 409.
"""

import asyncio
import signal
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web

from tests.e2e.process import STOPS_WITHIN, Home, LiveBot, eventually
from tests.e2e.test_main_job import NEWS
from tests.e2e.test_telegram_delivery import renew
from tests.e2e.test_telegram_trouble import a_free_port

lo_bot_api_emulator: Any = pytest.importorskip("lo_bot_api_emulator")

TOKEN: Final = "123456789:AAFpeerPeerPeerPeerPeerPeerPeerPeer"
ANN: Final = {"id": 410, "is_bot": False, "first_name": "Ann"}
CHAT: Final = {"id": 410, "type": "private", "first_name": "Ann"}


class Emulator(lo_bot_api_emulator.LoBotApiEmulator):  # type: ignore[misc]
    """The emulator with the little that it lacks, and a memory of what the bot asked for."""

    def __init__(self) -> None:
        super().__init__(allow_insecure_loopback_webhooks=True)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def validate(self, method: str, fields: dict[str, Any], uploads: dict[str, Any]) -> Any:
        """Check a request; returns the result of the method."""
        fields.pop("link_preview_options", None)
        result = super().validate(method, fields, uploads)
        self.asked.append((method, dict(fields)))
        return result | {"username": "PeerBot"} if method == "getMe" else result


class Peer:
    """The emulator in a thread of its own."""

    def __init__(self) -> None:
        self.emulator = Emulator()
        self.port = a_free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner = web.AppRunner(self.emulator.app(), access_log=None, shutdown_timeout=0.01)
        self._run(self._start())

    async def _start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    def close(self) -> None:
        """End it."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        await self._runner.cleanup()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for one in others:
            one.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def tell(self, kind: str, **body: Any) -> None:
        """Let something happen that the bot is told of."""
        self._run(self.emulator.enqueue_update({kind: body}, token=TOKEN))

    def say(self, text: str) -> None:
        """Let Ann write."""
        said = {"message_id": 1, "date": int(time.time()), "chat": CHAT, "from": ANN, "text": text}
        self.tell("message", **said)

    def waiting(self) -> int:
        """How many updates the bot has not taken."""
        return int(self.emulator._update_queues.info(TOKEN)["pending_update_count"])

    def calls(self, method: str) -> list[dict[str, Any]]:
        """What the bot asked for with a method, in order."""
        return [fields for asked, fields in self.emulator.asked if asked == method]

    def wait_for(self, text: str) -> dict[str, Any]:
        """Wait for a message with this text."""
        eventually(lambda: self._said(text), f"{text!r}; it got {self.calls('sendMessage')}")
        return self._said(text)[0]

    def _said(self, text: str) -> list[dict[str, Any]]:
        return [one for one in self.calls("sendMessage") if text in one["text"]]


@pytest.fixture
def peer() -> Iterator[Peer]:
    running = Peer()
    yield running
    running.close()
    refused = [(one["method"], one["status"]) for one in running.emulator.requests]
    assert {one for one in refused if one[1] != 200} <= {("getUpdates", 409)}


@pytest.fixture
def home(tmp_path: Path, peer: Peer) -> Home:
    api = f"http://127.0.0.1:{peer.port}"
    return Home.stocked(tmp_path, TELEGRAM_TOKEN=TOKEN, TELEGRAM_API_URL=api)


@contextmanager
def serving(home: Home) -> Iterator[LiveBot]:
    """A bot that knows who it is; it is stopped at the end, and leaves cleanly."""
    with home.bot() as bot:
        bot.until(lambda: "speaks on Telegram as @PeerBot" in bot.err, "that it begins")
        yield bot
        bot.send(signal.SIGTERM)
        assert bot.ended(STOPS_WITHIN) == 0


def test_commands_alerts_and_buttons_by_polling(home: Home, peer: Peer) -> None:
    peer.say("/subscribe ozark")
    with serving(home):
        subscribed = peer.wait_for("Subscribed: you get every alert for Ozark")
        assert (subscribed["chat_id"], subscribed["parse_mode"]) == (ANN["id"], "HTML")
        renew(home)
        alert = peer.wait_for("RENEWED · Ozark, season 9")
        assert NEWS in alert["text"]
        (row,) = alert["reply_markup"]["inline_keyboard"]
        details = {"message_id": 2, "date": int(time.time()), "chat": CHAT, "text": "RENEWED"}
        data = row[0]["callback_data"]
        press = {"id": "77", "from": ANN, "chat_instance": "1", "message": details, "data": data}
        peer.tell("callback_query", **press)
        eventually(lambda: peer.calls("answerCallbackQuery"), "an answer to the press")
        eventually(lambda: not peer.waiting(), "the confirmation of every update")
        assert peer.calls("answerCallbackQuery")[0]["callback_query_id"] == "77"
    assert len(peer.calls("setMyCommands")) == 4
    assert peer.calls("deleteWebhook")
    assert home.deliveries()["sent"] == 1


def test_commands_by_webhook_and_by_polling_after_it(home: Home, peer: Peer) -> None:
    port = a_free_port()
    hook = {
        "TELEGRAM_WEBHOOK_URL": f"http://127.0.0.1:{port}/hook",
        "TELEGRAM_WEBHOOK_LISTEN": f"127.0.0.1:{port}",
    }
    plain = dict(home.environment)
    peer.say("/subscribe ozark")
    home.environment |= hook
    with serving(home):
        peer.wait_for("Subscribed: you get every alert for Ozark")
        peer.say("/help")
        peer.wait_for("/unsubscribe show")
        assert peer.waiting() == 0
        assert peer.calls("getUpdates") == []
    peer.say("/subscriptions")
    assert peer.waiting() == 1, "nobody listens"
    home.environment = plain
    with serving(home):
        peer.wait_for("You follow 1 show.")
        eventually(lambda: not peer.waiting(), "its confirmation")
