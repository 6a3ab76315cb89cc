"""What follows from an error of Telegram: `classify`, one pure function for every answer.

An answer that refuses (400, 403) surely sent nothing. Where no answer came, or one that tells
nothing, only a connection that was never made is sure not to have sent anything.
"""

import datetime as dt
import re
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Final

from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)

from bot.errors import (
    DeliveryError,
    DestinationLost,
    DestinationMoved,
    Doubt,
    HardlySent,
    MaybeSent,
    MustWait,
    NotSent,
    PlatformStopped,
    Refused,
)
from bot.platforms.telegram.transport import surely_not_sent
from bot.text import clean, shorten, without_secrets


class Fix(StrEnum):
    """What to change about a message for its one second try."""

    MARKUP = "markup"
    """Send it without a parse mode."""

    LENGTH = "length"
    """Send it shorter: the first line alone."""

    BUTTONS = "buttons"
    """Send it without buttons."""

    PREVIEW = "preview"
    """Send it without a link preview, and in words what was a file."""

    TOPIC = "topic"
    """The topic is gone: send it to the chat's General topic, and say so; else it is lost."""

    REPLY = "reply"
    """Send it as no reply: the message it answers is gone."""


class Mend(Refused):
    """Refused as it is; it may be taken after `fix`."""

    def __init__(self, text: str, fix: Fix) -> None:
        super().__init__(text)
        self.fix = fix


SLOW_DOWN: Final = 30.0
"""Seconds to wait where Telegram asks to wait and does not say how long."""

LONGEST_WAIT: Final = 14 * 24 * 3600.0

_HOUR: Final = dt.timedelta(hours=1)
CHAT_GONE: Final = Doubt(times=3, over=24 * _HOUR, every=12 * _HOUR, ours=True)
"""Every chat is "not found" for a while when the token is of another bot than the database."""

GROUP_GONE: Final = Doubt(times=2, over=_HOUR, every=6 * _HOUR)
"""A group that is just being upgraded to a supergroup can look deleted."""

NO_RIGHT: Final = Doubt(times=4, over=24 * _HOUR, every=6 * _HOUR)
"""An administrator may open the topic or give the right again."""


def classify(error: BaseException) -> DeliveryError:
    """What follows from an error of a request; never raises."""
    said = _said(error)
    # The order matters: a BadRequest and a TimedOut are NetworkErrors, too.
    match error:
        case DeliveryError():
            return error
        case RetryAfter():
            return _wait(error.retry_after)
        case ChatMigrated():
            return DestinationMoved("the group became a supergroup", error.new_chat_id)
        case Forbidden() | BadRequest() if isinstance(error.__cause__, TelegramError):
            # Its text could not be read: a proxy wrote it, and it says nothing about a chat.
            return NotSent(_told("that was not Telegram: check TELEGRAM_API_URL and proxies", said))
        case Forbidden():
            return _refusal(said, partial(DestinationLost, doubt=NO_RIGHT))
        case InvalidToken():
            # python-telegram-bot's text may hold a token that is not written like one.
            return PlatformStopped(_NOT_ACCEPTED)
        case Conflict():
            return PlatformStopped(_told("another program uses this token: stop one of them", said))
        case BadRequest():
            # Of an unknown kind: tried again a few times only.
            return _refusal(said, DeliveryError)
        case NetworkError():
            return _failed_exchange(error, said)
        case TelegramError():
            # Of a proxy, or of a web site that TELEGRAM_API_URL leads to.
            return MaybeSent(_told("the answer made no sense: check TELEGRAM_API_URL", said))
    return _no_answer(error, said)


_NOT_ACCEPTED: Final = (
    "Telegram does not accept the bot's token: check TELEGRAM_TOKEN, "
    "and TELEGRAM_API_URL if it is set"
)


def _wait(asked: float | dt.timedelta) -> MustWait:
    seconds = asked.total_seconds() if isinstance(asked, dt.timedelta) else float(asked)
    seconds = min(max(seconds, 0.0), LONGEST_WAIT)
    return MustWait(f"Telegram asks to wait {seconds:g} s", seconds)


def _failed_exchange(error: NetworkError, said: str) -> DeliveryError:
    """For answers that are no refusal of this message, and for no answer at all."""
    start = said.lower()
    if start.startswith("too many requests"):
        return _wait(SLOW_DOWN)
    if start.startswith(_TOO_LARGE):
        return Mend(_told("the request is too large", said), Fix.LENGTH)
    if start.startswith("misdirected request"):
        return PlatformStopped(_NOT_ACCEPTED)
    return _no_answer(error, said)


_TOO_LARGE: Final = ("request entity too large", "content too large", "payload too large")


def _no_answer(error: BaseException, said: str) -> DeliveryError:
    """Sent or not is judged by how far the request came.

    A 500 "restart" and the 502 or 504 of a proxy are in doubt as well: the server had the request.
    So is an error of no known kind: it can come from reading the answer to a message that arrived.
    """
    if surely_not_sent(error):
        return NotSent(_told("no connection to Telegram", said))
    if _SERVER_TROUBLE.match(said):
        return HardlySent(_told("Telegram is in trouble", said))
    return MaybeSent(_told("Telegram did not say whether it arrived", said))


_SERVER_TROUBLE: Final = re.compile(
    r"internal server error|bad gateway|service unavailable|gateway timeout", re.IGNORECASE
)


def leaves_nothing_to_edit(error: BaseException) -> bool:
    """Whether an edit was refused because the message is gone, not ours, or like that already."""
    return isinstance(error, BadRequest) and bool(_NOTHING_TO_EDIT.search(_said(error)))


_NOTHING_TO_EDIT: Final = re.compile(
    r"\bmessage (is )?not.modified|message to edit not found|message can't be edited"
    r"|\bmessage_(not_modified|id_invalid|author_required|edit_time_expired)",
    re.IGNORECASE,
)


# --- refusals ---

_Refusal = Callable[[str], DeliveryError]


def _refusal(said: str, unknown: _Refusal) -> DeliveryError:
    """What follows from a 400 or 403 with these words.

    Both are looked up in one table: Telegram's servers and the Bot API's do not agree which of the
    two a missing right is.
    """
    for words, what, refusal in _REFUSALS:
        if words.search(said):
            return refusal(_told(what, said))
    return unknown(_told("Telegram refuses the message", said))


def _mend(fix: Fix) -> _Refusal:
    return partial(Mend, fix=fix)


def _lost(doubt: Doubt) -> _Refusal:
    return partial(DestinationLost, doubt=doubt)


def _row(words: str, what: str, refusal: _Refusal) -> tuple[re.Pattern[str], str, _Refusal]:
    return re.compile(words, re.IGNORECASE), what, refusal


# Texts of the Bot API server and codes of Telegram itself; python-telegram-bot changes their case.
# The refusal of markup comes first, as it quotes the markup.
_REFUSALS: Final = (
    _row(r"entit(y|ies)|text is empty", "the markup was not understood", _mend(Fix.MARKUP)),
    _row(r"reply.markup|keyboard|button", "the buttons were refused", _mend(Fix.BUTTONS)),
    _row(r"too.long", "the message is too long", _mend(Fix.LENGTH)),
    _row(r"frozen_method_invalid", "the bot's account is frozen: ask @BotFather", PlatformStopped),
    _row(r"^logged out", "the bot is logged out of this Bot API server", PlatformStopped),
    _row(
        r"blocked by the user|user_is_blocked",
        "the person has blocked the bot, and can start it again",
        DestinationLost,
    ),
    _row(r"user is deactivated|user_deactivated", "the account was deleted", DestinationLost),
    _row(r"initiate conversation", "the person has never started the bot", DestinationLost),
    _row(r"messages to (the )?bots?\b", "that account is a bot itself", DestinationLost),
    _row(r"was kicked", "the bot was removed, and can be added again", DestinationLost),
    _row(r"not a member", "the bot is not in the chat: add it again", DestinationLost),
    _row(
        r"balance_too_low",
        "the bot's Stars are used up: add some, or set TELEGRAM_PAID_BROADCAST=false",
        PlatformStopped,
    ),
    _row(
        r"allow_payment_required|premium_required",
        "messages to this chat cost money",
        DestinationLost,
    ),
    _row(r"group chat was (deleted|upgraded)", "the group is gone", _lost(GROUP_GONE)),
    _row(
        r"chat not found|(peer_id|chat_id|channel)_(invalid|private)",
        "there is no such chat for this bot",
        _lost(CHAT_GONE),
    ),
    _row(
        r"thread not found|topic_deleted|topic_id_invalid",
        "the topic was deleted: subscribe again in another",
        _mend(Fix.TOPIC),
    ),
    _row(r"topic_closed", "the topic is closed: open it, or subscribe elsewhere", _lost(NO_RIGHT)),
    _row(
        r"rights to send (text|a message)|no write access|administrator rights|chat_admin_required"
        r"|chat_write_forbidden|chat_send_plain_forbidden|chat_restricted",
        "the bot may not write here: give it the right to send messages",
        _lost(NO_RIGHT),
    ),
    _row(
        r"rights to send|chat_send_\w+_forbidden|file.id|http url|web.?page|photo_|image_|media_"
        r"|file is too big",
        "the preview or file was refused",
        _mend(Fix.PREVIEW),
    ),
    _row(
        r"message to (be replied|reply)|repl(y|ied) message|reply_message",
        "the message to reply to is gone",
        _mend(Fix.REPLY),
    ),
)


# --- words ---

_LONGEST: Final = 200


def _said(error: BaseException) -> str:
    """The error's own text in one line, without what is secret."""
    kind = type(error).__name__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - whatever it is, it must not stop the sending
        text = ""
    if not text or not isinstance(error, TelegramError):
        text = f"{kind}: {text}" if text else kind
    # Cleaned first: a character that is taken out must not have hidden a token.
    return without_secrets(clean(text))


def _told(what: str, said: str) -> str:
    return shorten(f"{what} ({said})", _LONGEST)
