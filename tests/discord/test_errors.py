"""What follows from every way in which Discord, or the way to it, can fail."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
import discord
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

from bot.errors import (
    AskAgain,
    DeliveryError,
    DestinationLost,
    MustWait,
    NotSent,
    PlatformStopped,
    Refused,
    Troubled,
    WaitsAlone,
)
from bot.platforms.discord.errors import (
    CODES,
    GONE,
    LONGEST_WAIT,
    NO_ACCESS,
    NO_RIGHT,
    Banned,
    Delivered,
    DirectStopped,
    Fix,
    Judged,
    Mend,
    classify,
    leaves_nothing_to_edit,
)
from bot.text import first_unsafe

# Never a token of anybody: its parts only have the right lengths.
TOKEN: Final = "MTAwMDAwMDAwMDAwMDAwMDAw.GcanRy.canary-canary-canary-canary-canary"
JSON: Final = {"Content-Type": "application/json", "Via": "1.1 google"}
HTML: Final = {"Content-Type": "text/html"}


@dataclass
class Response:
    """What an error of discord.py keeps of an answer, with the request and its token."""

    status: int
    headers: CIMultiDict[str] = field(default_factory=lambda: CIMultiDict(JSON))
    reason: str = "Reason"
    request_info: Any = field(
        default_factory=lambda: SimpleNamespace(headers={"Authorization": f"Bot {TOKEN}"})
    )


def answered(
    status: int, code: int = 0, text: str = "what Discord says", **headers: str
) -> discord.HTTPException:
    """The error discord.py makes of an answer of Discord, with an own class for some statuses."""
    kind = {403: discord.Forbidden, 404: discord.NotFound}.get(
        status, discord.DiscordServerError if status >= 500 else discord.HTTPException
    )
    response: Any = Response(status)
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return kind(response, {"code": code, "message": text})


def from_elsewhere(status: int, **headers: str) -> discord.HTTPException:
    """The error that discord.py makes of a page of somebody between it and the bot."""
    error = answered(status)
    response: Any = Response(status, CIMultiDict(HTML))
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return type(error)(response, "<html>error code: 1015")


def outcome(judged: Judged) -> Any:
    """What follows: the kind, with what belongs to it."""
    details: dict[type, Callable[[Any], Any]] = {
        DestinationLost: lambda lost: (DestinationLost, lost.doubt),
        MustWait: lambda wait: (MustWait, wait.seconds),
        WaitsAlone: lambda wait: (WaitsAlone, wait.seconds),
        DirectStopped: lambda wait: (DirectStopped, wait.seconds),
        Banned: lambda ban: (Banned, ban.seconds),
        Mend: lambda mend: (mend.fix, outcome(mend.otherwise)),
    }
    return details.get(type(judged), type)(judged)


# --- answers ---

LOST: Final = (DestinationLost, None)
PLAIN: Final = (Fix.PLAIN, Refused)
FORUM: Final = (Fix.FORUM, LOST)
ROOM: Final = (Fix.ROOM, LOST)

ANSWERS: Final[list[tuple[int, int, Any]]] = [
    (403, 50001, (DestinationLost, NO_ACCESS)),
    (403, 50013, (Fix.PLAIN, (DestinationLost, NO_RIGHT))),
    (404, 10003, (DestinationLost, GONE)),
    (404, 10004, (DestinationLost, GONE)),
    (404, 10008, Delivered),
    (404, 10015, LOST),
    (401, 50027, PlatformStopped),
    (404, 50027, LOST),
    (403, 50007, LOST),
    (403, 50278, LOST),
    (403, 20026, (DirectStopped, 3600)),
    (403, 40003, (WaitsAlone, 3600)),
    (400, 40003, (WaitsAlone, 3600)),
    (400, 50035, PLAIN),
    (400, 50006, PLAIN),
    (413, 40005, PLAIN),
    (400, 50109, PLAIN),
    (400, 50045, PLAIN),
    (400, 50046, PLAIN),
    (400, 50008, FORUM),
    (403, 40058, FORUM),
    (400, 50024, LOST),
    (400, 220001, LOST),
    (400, 50083, ROOM),
    (403, 160005, ROOM),
    (400, 160002, (Fix.REPLY, (DestinationLost, NO_RIGHT))),
    (400, 160004, ROOM),
    (400, 160006, (Fix.ROOM, (DestinationLost, NO_RIGHT))),
    (400, 200000, (Fix.LINKS, Refused)),
    (400, 240000, (Fix.LINKS, Refused)),
    (403, 40001, PlatformStopped),
    (400, 40001, PlatformStopped),
    (403, 50014, PlatformStopped),
    (400, 50014, PlatformStopped),
    (401, 0, PlatformStopped),
    (403, 40004, (MustWait, 1800)),
    (403, 40006, (MustWait, 1800)),
    (429, 40062, (MustWait, 300)),
    (403, 110000, (MustWait, 1800)),
    (503, 130000, (MustWait, 300)),
    (429, 30046, (WaitsAlone, 600)),
    (429, 20022, (WaitsAlone, 600)),
    (429, 20028, (WaitsAlone, 60)),
    (429, 20029, (WaitsAlone, 60)),
    (429, 20016, (WaitsAlone, 60)),
    (404, 10062, Refused),
    (400, 40060, Refused),
    (500, 0, Troubled),
    (502, 0, Troubled),
    (503, 0, Troubled),
    (504, 0, Troubled),
    (524, 0, Troubled),
    (400, 0, DeliveryError),
    (403, 999_999, DeliveryError),
    (404, 0, DeliveryError),
    (404, 999_999, DeliveryError),
]


@pytest.mark.parametrize(("status", "code", "expected"), ANSWERS)
def test_every_answer_has_its_consequence(status: int, code: int, expected: Any) -> None:
    assert outcome(classify(answered(status, code))) == expected


def test_a_reply_that_is_refused_goes_out_as_none() -> None:
    text = "In message_reference: Unknown message"
    assert outcome(classify(answered(400, 50035, text))) == (Fix.REPLY, Refused)


@pytest.mark.parametrize(
    ("status", "code", "expected"), [(404, 10003, True), (403, 50005, True), (403, 50001, False)]
)
def test_what_cannot_be_edited_any_more_is_told_from_what_failed(
    status: int, code: int, *, expected: bool
) -> None:
    error = DeliveryError("it failed")
    error.__cause__ = answered(status, code)
    assert leaves_nothing_to_edit(error) is expected
    assert not leaves_nothing_to_edit(DeliveryError("it failed"))


def test_every_code_that_is_known_is_in_the_table_of_answers() -> None:
    assert {code for _, code, _ in ANSWERS} >= CODES.keys()


@pytest.mark.parametrize("code", CODES)
def test_every_answer_tells_what_to_do_next_in_a_short_sentence(code: int) -> None:
    judged = classify(answered(400, code, "x" * 1000))
    if isinstance(judged, Delivered):
        return
    text = str(judged.otherwise if isinstance(judged, Mend) else judged)
    assert re.fullmatch(r"[A-Z][^.]+ \(400/\d+: x{9,}…\)\.", text)
    assert ": " in text.partition(" (400/")[0] or ", and " in text
    assert len(text) <= 200


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        # A page of a proxy says nothing about a channel.
        (from_elsewhere(400), NotSent),
        (from_elsewhere(403), NotSent),
        (from_elsewhere(404), NotSent),
        (from_elsewhere(502), Troubled),
        (from_elsewhere(503), Troubled),
    ],
)
def test_an_answer_that_is_not_of_discord_has_its_consequence(
    error: BaseException, expected: Any
) -> None:
    assert outcome(classify(error)) == expected


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (from_elsewhere(429), 900.0),
        (from_elsewhere(429, Retry_After="3600"), 3600.0),
        (from_elsewhere(429, Retry_After="soon"), 900.0),
        (from_elsewhere(429, Retry_After="1e99"), LONGEST_WAIT),
        (from_elsewhere(429, Via="1.1 google"), 900.0),
    ],
)
def test_a_ban_of_the_guard_stops_everything_for_as_long_as_it_says(
    error: BaseException, seconds: float
) -> None:
    judged = classify(error)
    assert isinstance(judged, PlatformStopped)
    assert outcome(judged) == (Banned, seconds)


def test_a_429_without_the_mark_of_discord_is_a_ban() -> None:
    unmarked: Any = Response(429, CIMultiDict({"Content-Type": "application/json"}))
    error = discord.HTTPException(unmarked, {"message": "too many"})
    assert outcome(classify(error)) == (Banned, 900.0)


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (discord.RateLimited(42.5), (WaitsAlone, 42.5)),  # that is the limit of one channel
        (discord.RateLimited(-1), (WaitsAlone, 0.0)),
        (discord.RateLimited(1e12), (WaitsAlone, LONGEST_WAIT)),
        (answered(429), (MustWait, 30.0)),  # after five times in the library
        (answered(429, Retry_After="7"), (MustWait, 7.0)),
    ],
)
def test_the_wait_that_was_asked_for_is_kept(error: BaseException, wait: object) -> None:
    assert outcome(classify(error)) == wait


# --- no answer ---


def connection_key() -> Any:
    return SimpleNamespace(host="discord.com", port=443, ssl=True, is_ssl=True)


def a_url_with_a_secret() -> Any:
    return SimpleNamespace(real_url=URL(f"https://discord.com/api/v10/webhooks/1/{TOKEN}"))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (aiohttp.ClientConnectorError(connection_key(), OSError("refused")), NotSent),
        (aiohttp.ClientConnectorDNSError(connection_key(), OSError("no name")), NotSent),
        (aiohttp.ClientProxyConnectionError(connection_key(), OSError("refused")), NotSent),
        (aiohttp.ConnectionTimeoutError(), NotSent),
        (aiohttp.InvalidURL("nowhere"), NotSent),
        (aiohttp.ServerDisconnectedError(), AskAgain),
        (aiohttp.ClientOSError(104, "Connection reset by peer"), AskAgain),
        (aiohttp.ClientPayloadError(), AskAgain),
        (aiohttp.SocketTimeoutError(), AskAgain),
        (aiohttp.ClientResponseError(a_url_with_a_secret(), ()), AskAgain),
        (ConnectionResetError(104, "Connection reset by peer"), AskAgain),
        (OSError("x"), AskAgain),
        (TimeoutError(), AskAgain),
        (asyncio.CancelledError(), AskAgain),
        (KeyError("id"), AskAgain),
        (discord.InvalidData("x"), AskAgain),
    ],
)
def test_only_what_failed_before_it_was_connected_is_surely_not_sent(
    error: BaseException, expected: Any
) -> None:
    assert outcome(classify(error)) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        *((code, PlatformStopped) for code in (4004, 4010, 4011, 4012, 4013, 4014)),
        *((code, NotSent) for code in (1000, 4000, 4009)),
    ],
)
def test_a_closed_gateway_stops_where_a_new_connection_cannot_help(
    code: int, expected: Any
) -> None:
    socket: Any = SimpleNamespace(close_code=code)
    assert outcome(classify(discord.ConnectionClosed(socket, shard_id=None))) == expected


@pytest.mark.parametrize(
    "error", [discord.LoginFailure(TOKEN), answered(401), answered(403, 40001)]
)
def test_a_token_that_is_not_accepted_tells_what_to_set(error: BaseException) -> None:
    judged = classify(error)
    assert isinstance(judged, PlatformStopped)
    assert "DISCORD_TOKEN" in str(judged)


def test_intents_that_are_not_granted_tell_where_to_switch_them_on() -> None:
    judged = classify(discord.PrivilegedIntentsRequired(None))
    assert isinstance(judged, PlatformStopped)
    assert "developer portal" in str(judged)


def test_what_is_judged_already_stays_as_it_is() -> None:
    judged = MustWait("later", 3)
    assert classify(judged) is judged


# --- what is read ---


def texts_of(judged: Judged) -> str:
    return str(judged.otherwise) if isinstance(judged, Mend) else str(judged)


@pytest.mark.parametrize("before", [0, 30, 60, 90, 120, 150, 250])
@pytest.mark.parametrize("hidden", [TOKEN, TOKEN[:20] + "\x00" + TOKEN[20:]])
@pytest.mark.parametrize(
    "kind",
    [
        lambda text: answered(403, 50013, text),
        lambda text: answered(400, 0, text),
        lambda text: answered(503, 0, text),
        discord.LoginFailure,
        aiohttp.ClientError,
        OSError,
        ValueError,
    ],
)
def test_no_text_holds_a_token(
    kind: Callable[[str], BaseException], hidden: str, before: int
) -> None:
    text = texts_of(classify(kind("x" * before + f" Bot {hidden}")))
    assert "canary" not in text
    assert len(text) <= 200


def test_no_text_holds_an_address_that_lets_anybody_write() -> None:
    error = aiohttp.ClientResponseError(
        a_url_with_a_secret(), (), status=400, message="interaction-token-canary"
    )
    assert "canary" not in str(classify(error))
    assert "canary" not in str(
        classify(aiohttp.InvalidURL("https://discord.com/webhooks/1/canary"))
    )


@pytest.mark.parametrize(("status", "code"), [(status, code) for status, code, _ in ANSWERS])
def test_nothing_is_told_of_the_request_that_was_refused(status: int, code: int) -> None:
    judged = classify(answered(status, code))
    assert "canary" not in texts_of(judged) + repr(judged)


class Speechless(Exception):
    """An error that cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError


errors: Final[st.SearchStrategy[BaseException]] = (
    st.builds(
        answered,
        st.integers(400, 599),
        st.sampled_from(sorted(CODES)) | st.integers(),
        st.text(),
        Retry_After=st.text() | st.floats().map(str),
    )
    | st.one_of(*(st.builds(kind, st.text()) for kind in (ValueError, OSError, SystemExit)))
    | st.builds(discord.RateLimited, st.floats())
    | st.just(Speechless())
)


@example(Speechless())
@given(errors)
def test_every_error_has_a_consequence_that_can_be_shown(error: BaseException) -> None:
    judged = classify(error)
    assert isinstance(judged, Judged)
    assert texts_of(judged)
    assert first_unsafe(texts_of(judged)) is None
    if isinstance(judged, MustWait | Banned):
        assert 0 <= judged.seconds <= LONGEST_WAIT
