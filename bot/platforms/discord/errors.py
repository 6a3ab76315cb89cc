"""What follows from an error of Discord: `classify`, one pure function for every answer.

Discord knows for some minutes which keys (nonces) it took: where no answer came, the same message
is asked for again. An answer tells by its code what is wrong, and surely sent nothing.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Final

import aiohttp
import discord

from bot.errors import (
    AskAgain,
    DeliveryError,
    DestinationLost,
    Doubt,
    MustWait,
    NotSent,
    PlatformStopped,
    Refused,
    Troubled,
    WaitsAlone,
)
from bot.text import clean, shorten, without_secrets


class Fix(StrEnum):
    """What to change about a message for its one second try."""

    PLAIN = "plain"
    """Send it as text alone, and short: no embed, no files."""

    LINKS = "links"
    """Send it without links."""

    REPLY = "reply"
    """Send it as no reply."""

    ROOM = "room"
    """The thread is closed: send it to the channel around it, and say so."""

    FORUM = "forum"
    """The channel takes no messages: if it is a forum, make a post there."""


@dataclass(frozen=True, slots=True)
class Mend:
    """Refused as it is, and it may be taken after `fix`.

    Where that cannot be done, or was done already, `otherwise` follows.
    """

    fix: Fix
    otherwise: DeliveryError


@dataclass(frozen=True, slots=True)
class Delivered:
    """The message arrived at an earlier try, and was deleted since."""


class DirectStopped(WaitsAlone):
    """Not sent, and no other direct message can be for as long: the bot is flagged for spam."""


class Banned(PlatformStopped):
    """Not sent: this address of the internet may ask nothing for `seconds`."""

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(text)
        self.seconds = seconds


Judged = DeliveryError | Mend | Delivered

_MINUTE: Final = dt.timedelta(minutes=1)
_HOUR: Final = dt.timedelta(hours=1)
NO_ACCESS: Final = Doubt(times=2, over=_HOUR, every=30 * _MINUTE, ours=True)
"""A permission may just be in change; and a token of another bot sees none of the channels."""

NO_RIGHT: Final = Doubt(times=3, over=24 * _HOUR, every=8 * _HOUR)
"""An administrator may give the permission again."""

GONE: Final = Doubt(times=2, over=_HOUR, every=35 * _MINUTE, ours=True)
"""While Discord is in trouble, channels that exist are not found."""

BANNED_FOR: Final = 900.0
"""Seconds without a request where Discord's guard bans this address and says not for how long."""

LONGEST_WAIT: Final = 24 * 3600.0
_SLOW_DOWN: Final = 30.0


def classify(error: BaseException) -> Judged:
    """What follows from an error of sending a message; never raises."""
    match error:
        case DeliveryError():
            return error
        case discord.RateLimited():
            seconds = bounded(error.retry_after)
            return WaitsAlone(f"Discord asks to wait {seconds:g} s.", seconds)  # in one channel
        case discord.HTTPException():
            return _answered(error)
        case discord.LoginFailure():
            return PlatformStopped(f"{_NOT_ACCEPTED}.")
        case discord.PrivilegedIntentsRequired():
            return PlatformStopped(f"{_INTENTS}.")
        case discord.ConnectionClosed():
            return _gateway_closed(error.code)
    said = _said(error)
    if isinstance(error, _BEFORE_SENDING):
        return NotSent(_told("There is no connection to Discord: check the network", said))
    # Of an unknown kind it can come from reading the answer to a message that arrived.
    return AskAgain(_told("Discord did not say whether it arrived: it is asked again", said))


_NOT_ACCEPTED: Final = (
    "Discord does not accept the bot's token: set DISCORD_TOKEN to the one in the developer portal "
    "(Bot, Reset Token), and start the bot again"
)
_INTENTS: Final = (
    "Discord refuses what the bot wants to be told, which needs no privileged intents: is this an "
    "unchanged version? Else switch on what it asks for in the developer portal"
)
_BEFORE_SENDING: Final = (
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
)


def _answered(error: discord.HTTPException) -> Judged:
    if error.status == 401:
        return PlatformStopped(f"{_NOT_ACCEPTED}.")
    if error.code == _FORM_REFUSED and _REFERENCE in error.text:
        return Mend(Fix.REPLY, Refused(_told(_FORM, _said(error))))
    if error.code in CODES:
        what, consequence = CODES[error.code]
        return consequence(_told(what, _said(error)))
    if error.status == 429:
        return _too_many(error)
    if error.status >= 500:
        return Troubled(_told("Discord is in trouble: it is asked again", _said(error)))
    if not _is_json(error):
        said = _said(error)
        return NotSent(_told("That was not Discord: check the network and its proxies", said))
    # Of an unknown kind: tried again a few times only.
    return DeliveryError(_told("Discord refuses the message: report this code", _said(error)))


def leaves_nothing_to_edit(error: DeliveryError) -> bool:
    """Whether an edit was refused because the channel is gone, or the message is not ours."""
    cause = error.__cause__
    return isinstance(cause, discord.HTTPException) and cause.code in _NOTHING_TO_EDIT


_NOTHING_TO_EDIT: Final = frozenset({10003, 50005})
_FORM_REFUSED: Final = 50035
_REFERENCE: Final = "message_reference"


def _too_many(error: discord.HTTPException) -> DeliveryError:
    """Discord tells how to wait; the guard in front of it bans whoever goes on."""
    asked = bounded(_headers(error).get("Retry-After"))
    if "Via" in _headers(error) and _is_json(error):
        seconds = asked or _SLOW_DOWN
        return MustWait(f"Discord asks to wait {seconds:g} s.", seconds)
    seconds = asked or BANNED_FOR
    return Banned(
        "Discord takes no requests from this address for now, as too many were refused: look in "
        f"the log for what; nothing is sent for {seconds:g} s.",
        seconds,
    )


def _gateway_closed(code: int) -> DeliveryError:
    if code == 4004:
        return PlatformStopped(f"{_NOT_ACCEPTED}.")
    if code in (4013, 4014):
        return PlatformStopped(f"{_INTENTS}.")
    if 4010 <= code <= 4012:
        return PlatformStopped(f"Discord wants bots to connect otherwise: update it ({code}).")
    return NotSent(f"Discord closed the connection: it is made anew ({code}).")


# --- codes ---

_Consequence = Callable[[str], Judged]


def _mend(fix: Fix, otherwise: Callable[[str], DeliveryError]) -> _Consequence:
    return lambda text: Mend(fix, otherwise(text))


def _lost(doubt: Doubt) -> Callable[[str], DeliveryError]:
    return partial(DestinationLost, doubt=doubt)


def _wait(seconds: float) -> _Consequence:
    return partial(MustWait, seconds=seconds)


def _wait_alone(seconds: float) -> _Consequence:
    return partial(WaitsAlone, seconds=seconds)


def _delivered(_text: str) -> Delivered:
    return Delivered()


_CHOOSE: Final = "This channel takes no messages: choose a text channel or a thread"
_CLOSED: Final = "The thread is closed: open it, or subscribe in another"
_SLOW: Final = "Too much is written there: it is tried again later"
_EDITS: Final = "Messages were edited too often there: it is tried again later"
_FORM: Final = "Discord does not take the form of the message: report this"
_MEDIA: Final = "Discord does not take what is in the message: report this"
_PERMIT: Final = "The bot may not write in the channel: give it Send Messages and Embed Links there"
_NO_DIRECT: Final = (
    "The person takes no direct messages from the bot: they can allow it, then send it a command"
)
_BUSY: Final = "Discord has switched this off for a while: it is tried again later"

CODES: Final[Mapping[int, tuple[str, _Consequence]]] = {
    # The destination.
    50001: (
        "The bot may not see the channel: give it View Channel and Send Messages there",
        _lost(NO_ACCESS),
    ),
    50013: (_PERMIT, _mend(Fix.PLAIN, _lost(NO_RIGHT))),
    10003: ("There is no such channel: subscribe in another", _lost(GONE)),
    10004: ("There is no such server for the bot: invite it again", _lost(GONE)),
    10015: ("The webhook was deleted: subscribe again", DestinationLost),
    50027: ("The webhook is not valid any more: subscribe again", DestinationLost),
    50007: (_NO_DIRECT, DestinationLost),
    50278: (
        "The bot and the person share no server any more: they can join one of its servers",
        DestinationLost,
    ),
    50008: (_CHOOSE, _mend(Fix.FORUM, DestinationLost)),
    40058: (_CHOOSE, _mend(Fix.FORUM, DestinationLost)),
    50024: (_CHOOSE, DestinationLost),
    220001: (_CHOOSE, DestinationLost),
    50083: (_CLOSED, _mend(Fix.ROOM, DestinationLost)),
    160005: (_CLOSED, _mend(Fix.ROOM, DestinationLost)),
    160004: ("The message has a thread: subscribe there", _mend(Fix.ROOM, DestinationLost)),
    160006: (
        "The server has as many open threads as it may: close some",
        _mend(Fix.ROOM, _lost(NO_RIGHT)),
    ),
    160002: (
        "The bot may not reply there: give it Read Message History",
        _mend(Fix.REPLY, _lost(NO_RIGHT)),
    ),
    # The message.
    10008: ("The message was deleted", _delivered),
    50035: (_FORM, _mend(Fix.PLAIN, Refused)),
    50006: (_FORM, _mend(Fix.PLAIN, Refused)),
    50109: (_FORM, _mend(Fix.PLAIN, Refused)),
    40005: (_MEDIA, _mend(Fix.PLAIN, Refused)),
    50045: (_MEDIA, _mend(Fix.PLAIN, Refused)),
    50046: (_MEDIA, _mend(Fix.PLAIN, Refused)),
    200000: (
        "The server's AutoMod blocks the message: let it pass the bot's role",
        _mend(Fix.LINKS, Refused),
    ),
    240000: ("Discord takes a link for harmful: check the source", _mend(Fix.LINKS, Refused)),
    10062: ("The command was not answered in time: ask again", Refused),
    40060: ("Another program answered the command: stop it", Refused),
    # The bot.
    40001: (_NOT_ACCEPTED, PlatformStopped),
    50014: (_NOT_ACCEPTED, PlatformStopped),
    20026: (
        "Discord flagged the bot for spam, and it may write to no person: appeal to its support",
        partial(DirectStopped, seconds=3600.0),
    ),
    40003: ("Direct messages were begun too fast: it is tried again later", _wait_alone(3600.0)),
    40004: (_BUSY, _wait(1800.0)),
    40006: (_BUSY, _wait(1800.0)),
    110000: (_BUSY, _wait(1800.0)),
    40062: (_BUSY, _wait(300.0)),
    130000: ("Discord is overloaded: it is tried again later", _wait(300.0)),
    30046: (_EDITS, _wait_alone(600.0)),
    20022: (_EDITS, _wait_alone(600.0)),
    20016: (_SLOW, _wait_alone(60.0)),
    20028: (_SLOW, _wait_alone(60.0)),
    20029: (_SLOW, _wait_alone(60.0)),
}
"""What each code says to the operator, and what follows from it."""


# --- what is read ---

_LONGEST: Final = 200


def _headers(error: discord.HTTPException) -> Mapping[str, Any]:
    return error.response.headers


def _is_json(error: discord.HTTPException) -> bool:
    return _headers(error).get("Content-Type") == "application/json"


def bounded(asked: object) -> float:
    """The seconds to wait; 0 where it is no number."""
    try:
        return min(max(0.0, float(str(asked))), LONGEST_WAIT)
    except ValueError:
        return 0.0


def _said(error: BaseException) -> str:
    """What was said in one line, without what is secret.

    The errors of aiohttp know the address, which holds the secret of a webhook or an interaction;
    an answer knows the request with its token.
    """
    kind = type(error).__name__
    match error:
        case discord.HTTPException():
            kind, text = f"{error.status}/{error.code}", error.text
        case aiohttp.ClientError() if not isinstance(error, aiohttp.ClientConnectorError):
            text = ""
        case _:
            text = _text_of(error)
    return without_secrets(clean(f"{kind}: {text}" if text else kind))


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - whatever it is, it must not stop the sending
        return ""


def _told(what: str, said: str) -> str:
    return f"{what} ({shorten(said, _LONGEST - len(what) - 4)})."
