"""What `cliffhanger doctor` says of Telegram: what it looked at, and what to do."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from telegram.ext import ExtBot

from bot.platforms.findings import Verdict
from bot.platforms.telegram.doctor import _clock, examine
from bot.platforms.telegram.service import Access
from tests.build import NOW
from tests.fakes.telegram import FakeTelegram

HOOK = "https://bot.example.org/telegram"


@pytest.fixture
def telegram() -> Iterator[FakeTelegram]:
    with FakeTelegram() as running:
        yield running


@pytest.fixture
def access(telegram: FakeTelegram) -> Access:
    return Access(telegram.token, telegram.url)


async def found(access: Access) -> dict[str, Verdict]:
    return {finding.words: finding.verdict for finding in await examine(access)}


async def mended(access: Access) -> str:
    (only,) = [words for words, verdict in (await found(access)).items() if verdict == "MEND"]
    return only


async def test_a_bot_that_is_well_is_named(access: Access) -> None:
    assert await found(access) == {
        "Telegram knows the bot as @CliffhangerBot": Verdict.OK,
        "messages come by long polling": Verdict.OK,
        "the clock agrees with Telegram's": Verdict.OK,
    }


async def test_a_token_that_is_not_accepted_is_to_be_copied_again(
    telegram: FakeTelegram, access: Access
) -> None:
    telegram.revoke()
    assert "does not accept TELEGRAM_TOKEN. Copy it again from @BotFather" in await mended(access)
    assert telegram.token not in await mended(access)


async def test_an_address_where_nobody_answers_is_named(
    telegram: FakeTelegram, access: Access
) -> None:
    telegram.down()
    assert f"Telegram at {telegram.url} gives no good answer" in await mended(access)


async def test_a_web_page_at_the_address_is_no_telegram(
    telegram: FakeTelegram, access: Access
) -> None:
    telegram.raw("getMe", status=200)
    assert "gives no good answer" in await mended(access)


async def test_a_bot_that_cannot_be_added_to_groups_is_noted(
    telegram: FakeTelegram, access: Access
) -> None:
    me: dict[str, Any] = {"id": 1, "is_bot": True, "first_name": "C", "username": "c_bot"}
    telegram.raw("getMe", body={"ok": True, "result": {**me, "can_join_groups": False}})
    words = next(words for words, verdict in (await found(access)).items() if verdict == "note")
    assert "/setjoingroups" in words


async def hooked(telegram: FakeTelegram) -> None:
    async with ExtBot(telegram.token, base_url=f"{telegram.url}/bot") as bot:
        await bot.set_webhook(HOOK)


async def test_a_webhook_that_is_left_from_before_is_noted(
    telegram: FakeTelegram, access: Access
) -> None:
    await hooked(telegram)
    assert any("removes it at its start" in words for words in await found(access))


async def test_the_webhook_that_is_asked_for_is_compared_with_what_telegram_has(
    telegram: FakeTelegram, access: Access
) -> None:
    wanted = replace(access, webhook_url=HOOK)
    assert any("not set at Telegram yet" in words for words in await found(wanted))
    await hooked(telegram)
    assert "messages come by a webhook" in await found(wanted)


async def test_what_telegram_cannot_deliver_is_told_with_its_reason(
    telegram: FakeTelegram, access: Access
) -> None:
    info = {"url": HOOK, "has_custom_certificate": False, "pending_update_count": 1234}
    trouble = {"last_error_date": 1, "last_error_message": "SSL error: self signed certificate"}
    telegram.raw("getWebhookInfo", body={"ok": True, "result": {**info, **trouble}})
    words = await found(replace(access, webhook_url=HOOK))
    assert any("SSL error: self signed certificate. Check" in one for one in words)
    assert any(one.startswith("1,234 messages wait at Telegram") for one in words)


@pytest.mark.parametrize(
    ("seconds", "verdict", "words"),
    [
        (0, Verdict.OK, "agrees"),
        (29, Verdict.OK, "agrees"),
        (31, Verdict.MEND, "31 s ahead of"),
        (-3600, Verdict.MEND, "3,600 s behind"),
    ],
)
def test_a_clock_that_is_wrong_is_to_be_set(seconds: int, verdict: Verdict, words: str) -> None:
    finding = _clock(NOW, NOW + dt.timedelta(seconds=seconds))
    assert finding.verdict is verdict
    assert words in finding.words
