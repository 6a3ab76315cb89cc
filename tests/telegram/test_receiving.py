"""What Telegram tells the bot by long polling, and how the polling outlives every trouble."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
import telegram as library
from structlog.testing import capture_logs
from telegram.error import TelegramError
from telegram.ext import ExtBot

from bot.platforms.telegram.receiving import STALLED, Polling, PollRequest, readable
from tests.fakes.telegram import FakeTelegram, Person

IN_TIME: Final = 10.0


@pytest.fixture
def telegram() -> Iterator[FakeTelegram]:
    with FakeTelegram() as running:
        yield running


@pytest.fixture
def ann(telegram: FakeTelegram) -> Person:
    return telegram.person("Ann")


class Inbox:
    """What the polling took; `request` is what it asks with."""

    def __init__(self, request: PollRequest) -> None:
        self.request = request
        self.queue: asyncio.Queue[library.Update] = asyncio.Queue()
        self.log: list[Any] = []

    async def next(self) -> str:
        """The text of the next message."""
        update = await asyncio.wait_for(self.queue.get(), IN_TIME)
        assert update.message
        return update.message.text or ""

    async def logged(self, event: str) -> dict[str, Any]:
        """Wait for a line of the log."""
        async with asyncio.timeout(IN_TIME):
            while event not in [line["event"] for line in self.log]:
                await asyncio.sleep(0.01)
        return next(dict(line) for line in self.log if line["event"] == event)


@asynccontextmanager
async def polling(telegram: FakeTelegram, stalled: float = STALLED) -> AsyncIterator[Inbox]:
    """Long polling for as long as it takes; however it hangs, it ends at once."""
    request = PollRequest.for_polling()
    inbox = Inbox(request)
    url = f"{telegram.url}/bot"
    bot = ExtBot[None](telegram.token, base_url=url, get_updates_request=request)
    with capture_logs() as inbox.log:
        await bot.initialize()
        polls = Polling(bot, request, inbox.queue, stalled=stalled, look_every=0.02)
        task = asyncio.create_task(polls.run())
        try:
            yield inbox
        finally:
            task.cancel()
            async with asyncio.timeout(5):
                await asyncio.wait([task])
                await bot.shutdown()
            assert task.cancelled()


async def test_messages_come_in_order_and_are_confirmed(
    telegram: FakeTelegram, ann: Person
) -> None:
    telegram.say(ann, "one")
    async with polling(telegram) as inbox:
        telegram.say(ann, "two")
        assert [await inbox.next(), await inbox.next()] == ["one", "two"]
    assert telegram.pending == ()


@pytest.mark.parametrize("trouble", ["refused", "hangs", "wedged"])
async def test_polling_that_has_died_is_begun_anew(
    telegram: FakeTelegram, ann: Person, trouble: str
) -> None:
    if trouble == "refused":
        telegram.fail("getUpdates", status=401)
    if trouble == "hangs":
        telegram.delay("getUpdates", seconds=60, accepted=False)
    async with polling(telegram, stalled=0.4) as inbox:
        if trouble == "wedged":
            await inbox.request._opened().gate.acquire()
        telegram.say(ann, "hello")
        stalled = await inbox.logged("telegram.polling_stalled")
        assert await inbox.next() == "hello"
    assert stalled["log_level"] == "error"


async def test_what_is_quiet_is_not_taken_for_dead(
    telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.platforms.telegram.receiving.POLL", 1)
    async with polling(telegram, stalled=1.8) as inbox:
        await asyncio.to_thread(telegram.wait_for_request, "getUpdates", 2)
    assert inbox.log == []
    assert len(telegram.calls("deleteWebhook")) == 1


async def test_a_token_that_is_refused_is_told_and_tried_again(
    telegram: FakeTelegram, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.platforms.telegram.receiving.REFUSED_WAITS", (0.05, 0.1))
    telegram.fail("deleteWebhook", status=401, times=3)
    telegram.say(ann, "hello")
    async with polling(telegram) as inbox:
        assert await inbox.next() == "hello"
    refused = [line for line in inbox.log if line["event"] == "telegram.refused"]
    assert [line["retry_in"] for line in refused] == [0.05, 0.1, 0.1]
    assert "check TELEGRAM_TOKEN" in refused[0]["problem"]


async def test_a_second_bot_is_named(telegram: FakeTelegram) -> None:
    async with polling(telegram) as first, polling(telegram) as second:
        async with asyncio.timeout(IN_TIME):
            while not first.log and not second.log:
                await asyncio.sleep(0.01)
        line = (first.log or second.log)[0]
    assert (line["event"], line["log_level"]) == ("telegram.second_bot", "error")
    assert "Another program asks Telegram for the messages of this bot" in line["problem"]


@pytest.mark.parametrize("status", [502, 200])
async def test_an_answer_that_is_none_is_told_and_asked_for_again_after_a_while(
    telegram: FakeTelegram, ann: Person, status: int
) -> None:
    telegram.say(ann, "hello")
    junk = telegram.raw("getUpdates", status=status)
    async with polling(telegram) as inbox:
        await inbox.logged("telegram.poll_failed")
        assert await inbox.next() == "hello"
    assert junk.struck == 1
    assert [line["event"] for line in inbox.log] == ["telegram.poll_failed"]


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\xff\xfe\x00",
        b"<html>",
        b"null",
        b"[]",
        b'"text"',
        b'{"ok": true}',
        b'{"ok": true, "result": null}',
        b'{"ok": true, "result": "what?"}',
        b'{"ok": true, "result": [{"message": {}}]}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_junk_is_an_error_that_the_library_waits_after(junk: bytes) -> None:
    with pytest.raises(TelegramError, match="Invalid server response"):
        PollRequest.parse_json_payload(junk)


async def test_an_update_that_cannot_be_read_holds_up_no_other_one(
    telegram: FakeTelegram, ann: Person
) -> None:
    telegram.say(ann, "hello")
    (good,) = telegram.pending
    bad = {"update_id": good["update_id"] - 1, "message": {"message_id": "?", "from": []}}
    telegram.raw("getUpdates", body={"ok": True, "result": [bad, good]})
    async with polling(telegram) as inbox:
        empty = await asyncio.wait_for(inbox.queue.get(), IN_TIME)
        assert (empty.update_id, empty.effective_chat) == (bad["update_id"], None)
        assert await inbox.next() == "hello"
        line = await inbox.logged("telegram.bad_update")
    assert line["update"] == bad["update_id"]
    assert telegram.pending == ()


async def test_a_connection_that_breaks_is_survived(telegram: FakeTelegram, ann: Person) -> None:
    telegram.drop("getUpdates", accepted=False)
    telegram.say(ann, "hello")
    async with polling(telegram) as inbox:
        assert await inbox.next() == "hello"


@pytest.mark.parametrize("told", [None, [], "text", 7, {}, {"update_id": "7"}])
def test_what_is_no_update_is_refused(told: object) -> None:
    with pytest.raises(ValueError, match="no update"):
        readable(told)


def test_an_update_of_a_kind_that_nobody_knows_yet_is_read() -> None:
    told = {"update_id": 7, "hologram": {"message_id": 1}}
    assert readable(told) == told


def test_a_refusal_is_read_as_it_is() -> None:
    answer = PollRequest.parse_json_payload(b'{"ok": false, "description": "Conflict"}')
    assert answer == {"ok": False, "description": "Conflict"}
