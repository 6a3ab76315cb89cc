"""What somebody asks for, read from what they wrote. Pure."""

import re
from typing import Final

import telegram

from bot.commands import COMMANDS
from bot.platforms.telegram.menu import CHANNEL, OWN_COMMANDS, START

LONGEST_TITLE: Final = 80
"""Characters of what is taken for a title without a command."""

_PAYLOADS: Final = {"sub_": "/subscribe", "status_": "/status"}
_PROMPT: Final = re.compile(r"\AWhich \w+\? Write: (/\w+)")


def line_of(message: telegram.Message, username: str, *, private: bool) -> str | None:
    """The command line that a message stands for; `None` when it is none of the bot's business.

    That is a command for another bot, and in groups whatever does not call this one by name. In a
    direct chat words without a command ask for the status of a show. The answer to a question of
    the bot completes the command that was asked for.
    """
    text = (message.text or "").strip()
    if not text.startswith("/"):
        asked = _completed(message, text, username)
        # A sentence is no title: it is not to be kept as a wish.
        title = f"/status {text}" if len(text) <= LONGEST_TITLE else "/help"
        return asked or (title if text and private else None)
    word, *others = text.split(maxsplit=1)
    rest = "".join(others)
    name, _, addressed = word.partition("@")
    if addressed and addressed.casefold() != username.casefold():
        return None
    known = name[1:].casefold() in COMMANDS or name[1:].casefold() in OWN_COMMANDS
    if not known and not addressed and not private:
        return None
    return _started(rest) if name.casefold() == f"/{START}" else f"{name} {rest}".strip()


def _started(payload: str) -> str:
    """What a link such as t.me/bot?start=sub_all-of-us-are-dead asks for."""
    for prefix, command in _PAYLOADS.items():
        if payload.startswith(prefix):
            return f"{command} {payload.removeprefix(prefix)}"
    return "/help"


def _completed(message: telegram.Message, text: str, username: str) -> str | None:
    question = message.reply_to_message
    if question is None or question.from_user is None or question.from_user.username != username:
        return None
    command = prompted(question.text or "")
    return f"{command} {text}" if command and text else None


def prompted(text: str) -> str | None:
    """The command that a question such as "Which show? Write: /status show" asks to complete."""
    found = _PROMPT.match(text)
    return found[1] if found else None


def about_channels(line: str) -> str | None:
    """The words after /channel; `None` when it is another command."""
    name, _, rest = line.partition(" ")
    return rest.strip().casefold() if name.casefold() == f"/{CHANNEL}" else None
