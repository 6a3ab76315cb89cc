"""What somebody asks for with what they wrote."""

from typing import Any, Final

import pytest
import telegram

from bot.platforms.telegram.requests import about_channels, line_of, prompted

NAME: Final = "CliffhangerBot"
BOT: Final = {"id": 123456789, "is_bot": True, "first_name": "Cliffhanger", "username": NAME}
SOMEBODY: Final = {"id": 5, "is_bot": False, "first_name": "Ann", "username": "ann"}
QUESTION: Final = "Which show? Write: /subscribe show [kinds]"


def message(text: str | None, reply_to: dict[str, Any] | None = None) -> telegram.Message:
    """A message as Telegram tells it."""
    told: dict[str, Any] = {"message_id": 7, "date": 0, "chat": {"id": 5, "type": "private"}}
    told |= {"from": SOMEBODY} | ({} if text is None else {"text": text})
    if reply_to:
        told["reply_to_message"] = {"message_id": 6, "date": 0, "chat": told["chat"]} | reply_to
    return telegram.Message.de_json(told, None)


def in_private(text: str | None) -> str | None:
    return line_of(message(text), NAME, private=True)


def in_group(text: str | None) -> str | None:
    return line_of(message(text), NAME, private=False)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("/status kin", "/status kin"),
        ("/status@CliffhangerBot kin", "/status kin"),
        ("/status@cliffhangerbot   all of us  ", "/status all of us"),
        ("/STATUS kin", "/STATUS kin"),
        ("/status\nkin", "/status kin"),
        ("/status@CliffhangerBot\nkin", "/status kin"),
        ("/status\u00a0kin", "/status kin"),
        ("  /help  ", "/help"),
        ("/start", "/help"),
        ("/START@CliffhangerBot", "/help"),
        ("/start sub_kin", "/subscribe kin"),
        ("/start@CliffhangerBot sub_kin", "/subscribe kin"),
        ("/start status_all-of-us-are-dead", "/status all-of-us-are-dead"),
        ("/start sub_", "/subscribe "),
        ("/start Sub_kin", "/help"),
        ("/start anything else", "/help"),
        ("/channel off", "/channel off"),
        ("/status@OtherBot kin", None),
        ("/start@OtherBot", None),
        ("/status@", "/status"),
    ],
)
def test_a_command_is_heard_everywhere_when_it_is_for_this_bot(text: str, line: str | None) -> None:
    assert in_private(text) == line
    assert in_group(text) == line


@pytest.mark.parametrize(
    ("text", "private", "group"),
    [
        ("kin", "/status kin", None),
        (" squid\ngame ", "/status squid\ngame", None),
        ("subscribe kin", "/status subscribe kin", None),
        ("/roll 20", "/roll 20", None),
        ("/roll@CliffhangerBot 20", "/roll 20", "/roll 20"),
        ("/", "/", None),
        ("", None, None),
        ("   ", None, None),
        (None, None, None),
    ],
)
def test_the_rest_is_for_the_bot_in_a_direct_chat_only(
    text: str | None, private: str | None, group: str | None
) -> None:
    assert in_private(text) == private
    assert in_group(text) == group


@pytest.mark.parametrize(
    ("question", "text", "private", "group"),
    [
        ({"from": BOT, "text": QUESTION}, "kin", "/subscribe kin", "/subscribe kin"),
        ({"from": BOT, "text": QUESTION}, " kin dated ", "/subscribe kin dated",
         "/subscribe kin dated"),
        ({"from": BOT, "text": f"{QUESTION}\n(About the channel “x”)"}, "kin", "/subscribe kin",
         "/subscribe kin"),
        ({"from": BOT, "text": QUESTION}, "/help", "/help", "/help"),
        ({"from": BOT, "text": QUESTION}, "", None, None),
        ({"from": BOT, "text": "RENEWED · Kin"}, "great!", "/status great!", None),
        ({"from": BOT, "text": f"He asked: {QUESTION}"}, "kin", "/status kin", None),
        ({"from": BOT}, "kin", "/status kin", None),
        ({"from": SOMEBODY, "text": QUESTION}, "kin", "/status kin", None),
        ({"from": BOT | {"username": "OtherBot"}, "text": QUESTION}, "kin", "/status kin", None),
        ({"text": QUESTION}, "kin", "/status kin", None),
    ],
)  # fmt: skip
def test_only_the_answer_to_the_bots_own_question_completes_a_command(
    question: dict[str, Any], text: str, private: str | None, group: str | None
) -> None:
    assert line_of(message(text, question), NAME, private=True) == private
    assert line_of(message(text, question), NAME, private=False) == group


@pytest.mark.parametrize(
    ("said", "command"),
    [
        (QUESTION, "/subscribe"),
        ("Which show? Write: /status show", "/status"),
        ("Which show? Write its title after the command.", None),
        ("There is no command /x. Which show? Write: /status show", None),
        ("", None),
    ],
)
def test_a_question_is_known_by_its_words(said: str, command: str | None) -> None:
    assert prompted(said) == command


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/channel", ""),
        ("/Channel  OFF ", "off"),
        ("/channels", None),
        ("/status channel", None),
        ("", None),
    ],
)
def test_channels_are_set_up_by_their_own_command(line: str, words: str | None) -> None:
    assert about_channels(line) == words
