"""Trouble on the way to Telegram: named, outlived, stopped in time, and no token in sight of it."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

import pytest
from telegram.ext import Application, Updater

from bot.outbox.carrier import IN_FLIGHT
from bot.outbox.holds import SILENCE
from bot.platforms.telegram.service import Access, Telegram
from tests.e2e.process import PATIENCE, STOPS_WITHIN, Home, LiveBot, eventually
from tests.e2e.telegram import at_home, serving
from tests.e2e.test_telegram_delivery import fans, follow, renew, states
from tests.fakes.telegram import TOKEN, FakeTelegram

SECRET: Final = "X-Telegram-Bot-Api-Secret-Token"
DISCORD: Final = "MTAxMjM0NTY3ODkwMTIzNDU2.GhIjKl.abcdefghijklmnopqrstuvwxyz0123456789AB"


def a_free_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"TELEGRAM_TOKEN": "123456789:AAF-wrong-wrong-wrong-wrong-wrong-wr"}, "TELEGRAM_TOKEN"),
        ({"TELEGRAM_API_URL": "http://127.0.0.1:1"}, "cannot connect to 127.0.0.1:1"),
        ({"TELEGRAM_API_URL": "https://"}, "cannot speak TLS with 127.0.0.1:"),
        ({}, "check TELEGRAM_API_URL"),
    ],
    ids=["token", "port", "scheme", "page"],
)
def test_a_wrong_setting_is_named_tried_again_and_keeps_nobody_from_publishing(
    tmp_path: Path, telegram: FakeTelegram, changed: dict[str, str], problem: str
) -> None:
    if "https://" in changed.values():
        changed = {"TELEGRAM_API_URL": telegram.url.replace("http:", "https:")}
    if not changed:
        telegram.raw("getMe", times=None)
    home = at_home(tmp_path, telegram, **changed)
    with home.bot() as bot:
        bot.until(lambda: problem in bot.err, "the problem")
        if problem == "TELEGRAM_TOKEN":
            renew(home)
        assert bot.is_running
        bot.send(signal.SIGTERM)
        assert bot.ended(STOPS_WITHIN) == 0
    assert "telegram.not_begun" in bot.err
    assert f"retry_in={'60.0' if problem == 'TELEGRAM_TOKEN' else '1.0'}" in bot.err
    assert bot.err.isprintable() or all(line.isprintable() for line in bot.err.splitlines())


def test_a_bot_that_was_away_begins_as_soon_as_telegram_answers(
    home: Home, telegram: FakeTelegram
) -> None:
    telegram.down()
    with home.bot() as bot:
        bot.until(lambda: "retry_in=1.0" in bot.err, "a first failure")
        telegram.up()
        bot.until(lambda: "speaks on Telegram" in bot.err, "that it begins")
        assert telegram.ask(telegram.person("Ann"), "/help").text


def test_two_tokens_that_were_mixed_up_are_named(tmp_path: Path, telegram: FakeTelegram) -> None:
    mixed = at_home(tmp_path, telegram, DISCORD_TOKEN=telegram.token, TELEGRAM_TOKEN=DISCORD)
    assert "DISCORD_TOKEN: holds a token of Telegram; set it as TELEGRAM_TOKEN" in mixed.refused(
        "run"
    )
    assert telegram.requests == ()


def test_an_update_that_comes_twice_is_answered_once(home: Home, telegram: FakeTelegram) -> None:
    ann, ben = telegram.person("Ann"), telegram.person("Ben")
    update = {"update_id": 5, "message": _said(ann.id, "/subscribe ozark")}
    with serving(home, telegram):
        telegram.say(ann, "/help")
        telegram.wait_for(ann, "/unsubscribe")
        again = telegram.raw("getUpdates", body={"ok": True, "result": [update, update]}, times=3)
        telegram.say(ben, "/help")
        eventually(lambda: again.struck == 3, "the same update six times")
        telegram.ask(ben, "/subscriptions")
    told = [one.text.split()[0].strip(":") for one in telegram.history]
    assert sorted(told) == ["Cliffhanger", "Cliffhanger", "Subscribed", "You"]


def test_a_block_that_is_told_again_when_it_is_over_stops_no_alert(
    home: Home, telegram: FakeTelegram
) -> None:
    ann, ben = telegram.person("Ann"), telegram.person("Ben")
    with serving(home, telegram):
        follow(telegram, ann)
        with telegram.held("getUpdates", accepted=False) as held:
            telegram.ask(ben, "/help")
            telegram.wait_until_held(held)
            telegram.block(ann)
            telegram.unblock(ann)
            *_, blocked, unblocked = telegram.pending
            over = {"update_id": unblocked["update_id"]}
            telegram.raw("getUpdates", body={"ok": True, "result": [blocked]})
            last = telegram.raw("getUpdates", body={"ok": True, "result": [over]})
        eventually(lambda: last.struck, "the second block")
        renew(home)
        telegram.wait_for(ann, "RENEWED")


def test_a_telegram_that_never_answers_does_not_keep_the_bot_from_stopping(
    home: Home, telegram: FakeTelegram
) -> None:
    held = telegram.hold("getMe")
    with home.bot() as bot:
        telegram.wait_until_held(held)
        assert stopped(bot) < STOPS_WITHIN


def test_a_telegram_that_hangs_in_the_middle_of_everything_does_not_either(
    home: Home, telegram: FakeTelegram
) -> None:
    with serving(home, telegram) as bot:
        people = fans(telegram, 8)
        held, polls = telegram.hold(), telegram.hold("getUpdates", accepted=False)
        telegram.say(people[0], "/help")
        telegram.wait_until_held(held)
        telegram.wait_until_held(polls)
        renew(home)
        telegram.wait_until_held(held, 1 + IN_FLIGHT)
        assert stopped(bot) < STOPS_WITHIN
    assert states(home) == {"pending": 8}


def stopped(bot: LiveBot) -> float:
    """Stop a bot, impatiently; returns how many seconds that took."""
    begun = time.monotonic()
    bot.send(signal.SIGTERM)
    bot.send(signal.SIGTERM)
    assert bot.ended(2 * STOPS_WITHIN) == 0
    return time.monotonic() - begun


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_trouble_makes_the_bot_tell_its_token(
    home: Home, telegram: FakeTelegram, log_format: str
) -> None:
    home.environment |= {"LOG_LEVEL": "DEBUG", "LOG_FORMAT": log_format}
    token = telegram.token
    addresses = [f"{telegram.url}/bot{form}/x" for form in
                 (token, token.replace(":", "%3A"), token.replace(":", "%3a"))]  # fmt: skip
    page = f"<html><body>{' '.join(addresses)} {token}</body></html>"
    for status in (502, 200, 404):
        telegram.raw("setMyCommands", status=status, body=page)
    telegram.raw("getMe", status=502, body=page)
    with serving(home, telegram) as bot:
        ann, *others = fans(telegram, 7)
        faults: list[dict[str, Any]] = [
            {"status": 502, "body": page},
            {"status": 200, "body": page},
            {"status": 400, "body": json.dumps({"ok": False, "description": page})},
            {"status": 403, "body": json.dumps({"ok": False, "description": page})},
            {"status": 200, "body": json.dumps({"ok": True, "result": page})},
        ]
        struck = [
            telegram.raw(chat=one, **fault) for one, fault in zip(others, faults, strict=False)
        ]
        struck.append(telegram.fail(status=429, description=page, chat=others[5]))
        for fault in faults[:2]:
            telegram.raw("getUpdates", **fault)
        telegram.raw(status=401, body=page, chat=ann)
        telegram.say(ann, "/help")
        bot.until(lambda: "telegram.unanswered" in bot.err, "that nobody can be answered")
        renew(home)
        # Telegram said that it is in trouble: it is left alone for a while.
        telegram.wait_for(ann, "RENEWED", within=SILENCE + PATIENCE)
        bot.until(lambda: all(one.struck for one in struck), "each failure", SILENCE + PATIENCE)
        bot.until(lambda: bot.err.count("poll_failed") == 2, "failed polls")
        telegram.ask(others[2], "/privacy export")
        bot.until(lambda: telegram.sent_to(others[2])[-1].document, "the export")
    if log_format == "json":
        home.command("doctor")
        home.do("dump", "out")
    assert "[secret]" in bot.err
    (export,) = [one.document.content.decode() for one in telegram.history if one.document]
    assert "[secret]" in export
    home.check_secrets(export)
    # What the bot says and leaves is searched for the token by `home` and `serving`.


def test_nothing_that_could_be_shown_tells_the_token() -> None:
    telegram = Telegram(Access(TOKEN, "http://127.0.0.1:1"))
    updater = Updater(telegram._bot, asyncio.Queue())
    application = Application.builder().bot(telegram._bot).updater(None).build()
    shown = (telegram, telegram._access, telegram._bot, updater, application, telegram.messenger)
    assert not [one for one in shown if TOKEN.rpartition(":")[2] in f"{one} {one!r}"]


@pytest.mark.parametrize("shape", ["", "%3A"])
def test_an_error_that_nobody_expected_does_not_tell_the_token(
    home: Home, telegram: FakeTelegram, shape: str
) -> None:
    token = telegram.token.replace(":", shape) if shape else telegram.token
    program = (
        "import bot.app, bot.__main__\n"
        f"def broken(*_): raise RuntimeError('no route to http://x/bot{token}/getMe')\n"
        "bot.app.only_bot = broken\n"
        "bot.__main__.main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "run"],
        cwd=home.folder,
        env=home.environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert ended.returncode == 1
    assert "RuntimeError: no route to http://x/bot[secret]/getMe" in ended.stderr
    home.check_secrets(ended.stdout + ended.stderr)


def test_updates_can_come_by_webhook_and_polling_ends_that(
    tmp_path: Path, home: Home, telegram: FakeTelegram
) -> None:
    port = a_free_port()
    url = f"http://127.0.0.1:{port}/telegram"
    hook = {"TELEGRAM_WEBHOOK_URL": url, "TELEGRAM_WEBHOOK_LISTEN": f"127.0.0.1:{port}"}
    plain = dict(home.environment)
    home.environment |= hook
    ann = telegram.person("Ann")
    with serving(home, telegram):
        told = telegram.wait_for_request("setWebhook").parameters
        assert told["url"] == url
        follow(telegram, ann)
        update = {"update_id": 5, "message": _said(ann.id, "/help")}
        before = telegram.mark
        assert _posted(url, update, None) == 403
        assert _posted(url, update, "wrong") == 403
        assert _posted(url, [], str(told["secret_token"])) == 400
        assert _posted(url, {"x": "y" * 2**20}, str(told["secret_token"])) == 413
        assert _posted(url, None, str(told["secret_token"])) == 405
        for _ in range(3):
            assert _posted(url, update, str(told["secret_token"])) == 200
        renew(home)
        telegram.wait_for(ann, "RENEWED")
        answers = [one.text.split()[0] for one in telegram.history[before:]]
        assert answers == ["Cliffhanger", "RENEWED"]
        assert telegram.calls("getUpdates") == ()
        home.folder = tmp_path / "second"
        home.folder.mkdir()
        second = at_home(home.folder, telegram, **hook)
        assert f"TELEGRAM_WEBHOOK_LISTEN = 127.0.0.1:{port}: cannot listen" in second.refused("run")
    home.folder, home.environment = tmp_path, plain
    with serving(home, telegram):
        assert "You follow 1 show" in telegram.ask(ann, "/subscriptions").text
        assert telegram.calls("deleteWebhook")


def _said(person: int, text: str) -> dict[str, Any]:
    somebody = {"id": person, "is_bot": False, "first_name": "Ann"}
    chat = {"id": person, "type": "private", "first_name": "Ann"}
    return {"message_id": 9000, "date": int(time.time()), "from": somebody, "chat": chat,
            "text": text}  # fmt: skip


def _posted(url: str, body: object, secret: str | None) -> int:
    """Post JSON, or get where there is none; returns the status."""
    headers = {"Content-Type": "application/json"} | ({SECRET: secret} if secret else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code
