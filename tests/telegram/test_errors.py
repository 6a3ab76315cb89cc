"""What follows from every way in which Telegram, or the way to it, can fail."""

import asyncio
import datetime as dt
import json
from collections.abc import Callable
from typing import Any, Final

import aiohttp
import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    EndPointNotFound,
    Forbidden,
    InvalidToken,
    NetworkError,
    PassportDecryptionError,
    RetryAfter,
    TelegramError,
    TimedOut,
)
from telegram.request import BaseRequest, HTTPXRequest

from bot.errors import (
    DeliveryError,
    DestinationLost,
    DestinationMoved,
    HardlySent,
    MaybeSent,
    MustWait,
    NotSent,
    PlatformStopped,
    Refused,
)
from bot.platforms.telegram.errors import (
    CHAT_GONE,
    GROUP_GONE,
    LONGEST_WAIT,
    NO_RIGHT,
    Fix,
    Mend,
    classify,
    leaves_nothing_to_edit,
)
from bot.platforms.telegram.transport import surely_not_sent
from bot.text import first_unsafe

pytestmark = pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")

URL: Final = "https://api.telegram.org/bot1:x/sendMessage"
TOKEN: Final = "123456789:AAF-canary-canary-canary-canary-cana"

Answer = tuple[int, bytes] | Exception


class FixedAnswer(BaseRequest):
    """python-telegram-bot's own reading of answers, with one answer for every request."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    @property
    def read_timeout(self) -> float:
        return 5.0

    async def initialize(self) -> None: ...

    async def shutdown(self) -> None: ...

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


async def error_of(request: BaseRequest) -> BaseException:
    """The error with which a request ends."""
    async with request:
        with pytest.raises(Exception) as failed:  # noqa: PT011 - which one is for others to say
            await request.post(URL)
    return failed.value


async def answered(status: int, description: str, **parameters: Any) -> BaseException:
    """The error python-telegram-bot makes of an answer of the Bot API."""
    body: dict[str, Any] = {"ok": False, "error_code": status, "description": description}
    if parameters:
        body["parameters"] = parameters
    return await error_of(FixedAnswer((status, json.dumps(body).encode())))


def outcome(error: BaseException) -> Any:
    """What follows: the kind, with what belongs to it."""
    judged = classify(error)
    details: dict[type, Callable[[Any], Any]] = {
        DestinationLost: lambda lost: (DestinationLost, lost.doubt),
        DestinationMoved: lambda moved: (DestinationMoved, moved.chat_id),
        MustWait: lambda wait: (MustWait, wait.seconds),
        Mend: lambda mend: mend.fix,
    }
    return details.get(type(judged), type)(judged)


# --- answers ---

LOST: Final = (DestinationLost, None)
GONE: Final = (DestinationLost, CHAT_GONE)
LOCKED: Final = (DestinationLost, NO_RIGHT)

REFUSALS: Final[list[tuple[int, str, Any]]] = [
    (403, "Forbidden: bot was blocked by the user", LOST),
    (400, "Bad Request: USER_IS_BLOCKED", LOST),
    (403, "Forbidden: user is deactivated", LOST),
    (400, "Bad Request: INPUT_USER_DEACTIVATED", LOST),
    (403, "Forbidden: bot can't initiate conversation with a user", LOST),
    (403, "Forbidden: the bot can't send messages to the bot", LOST),
    (403, "Forbidden: bot can't send messages to bots", LOST),
    (403, "Forbidden: bot was kicked from the group chat", LOST),
    (403, "Forbidden: bot was kicked from the supergroup chat", LOST),
    (403, "Forbidden: bot was kicked from the channel chat", LOST),
    (403, "Forbidden: bot is not a member of the group chat", LOST),
    (403, "Forbidden: bot is not a member of the supergroup chat", LOST),
    (403, "Forbidden: bot is not a member of the channel chat", LOST),
    (403, "Forbidden: the group chat was deleted", (DestinationLost, GROUP_GONE)),
    (
        400,
        "Bad Request: group chat was upgraded to a supergroup chat",  # without the new id
        (DestinationLost, GROUP_GONE),
    ),
    (400, "Bad Request: chat not found", GONE),
    (400, "Bad Request: private chat not found", GONE),
    (400, "Bad Request: PEER_ID_INVALID", GONE),
    (400, "Bad Request: CHANNEL_PRIVATE", GONE),
    (400, "Bad Request: message thread not found", Fix.TOPIC),
    (400, "Bad Request: TOPIC_DELETED", Fix.TOPIC),
    (400, "Bad Request: TOPIC_CLOSED", LOCKED),
    (400, "Bad Request: not enough rights to send text messages to the chat", LOCKED),
    (403, "Forbidden: not enough rights to send text messages to the chat", LOCKED),
    (400, "Bad Request: have no rights to send a message", LOCKED),
    (400, "Bad Request: have no write access to the chat", LOCKED),
    (400, "Bad Request: CHAT_WRITE_FORBIDDEN", LOCKED),
    (400, "Bad Request: CHAT_SEND_PLAIN_FORBIDDEN", LOCKED),
    (400, "Bad Request: CHAT_RESTRICTED", LOCKED),
    (400, "Bad Request: need administrator rights in the channel chat", LOCKED),
    (400, "Bad Request: not enough rights to send photos to the chat", Fix.PREVIEW),
    (400, "Bad Request: not enough rights to send documents to the chat", Fix.PREVIEW),
    (400, "Bad Request: CHAT_SEND_DOCS_FORBIDDEN", Fix.PREVIEW),
    (400, "Bad Request: ALLOW_PAYMENT_REQUIRED_5", LOST),
    (400, "Bad Request: BALANCE_TOO_LOW", PlatformStopped),
    (400, 'Bad Request: can\'t parse entities: Unsupported start tag "button"', Fix.MARKUP),
    (400, "Bad Request: ENTITY_BOUNDS_INVALID", Fix.MARKUP),
    (400, "Bad Request: message text is empty", Fix.MARKUP),
    (400, "Bad Request: message is too long", Fix.LENGTH),
    (400, "Bad Request: MESSAGE_TOO_LONG", Fix.LENGTH),
    (400, "Bad Request: text is too long", Fix.LENGTH),
    (400, "Bad Request: message caption is too long", Fix.LENGTH),
    (400, "Bad Request: MEDIA_CAPTION_TOO_LONG", Fix.LENGTH),
    (400, "Bad Request: wrong file identifier/HTTP URL specified", Fix.PREVIEW),
    (400, "Bad Request: failed to get HTTP URL content", Fix.PREVIEW),
    (400, "Bad Request: wrong type of the web page content", Fix.PREVIEW),
    (400, "Bad Request: WEBPAGE_URL_INVALID", Fix.PREVIEW),
    (400, "Bad Request: PHOTO_INVALID_DIMENSIONS", Fix.PREVIEW),
    (400, "Bad Request: IMAGE_PROCESS_FAILED", Fix.PREVIEW),
    (400, "Bad Request: BUTTON_DATA_INVALID", Fix.BUTTONS),
    (400, "Bad Request: BUTTON_URL_INVALID", Fix.BUTTONS),
    (400, "Bad Request: inline keyboard button URL 'x' is invalid: Wrong URL", Fix.BUTTONS),
    (400, "Bad Request: REPLY_MARKUP_INVALID", Fix.BUTTONS),
    (400, "Bad Request: reply markup is too long", Fix.BUTTONS),
    (400, "Bad Request: message to be replied not found", Fix.REPLY),
    (400, "Bad Request: REPLY_MESSAGE_ID_INVALID", Fix.REPLY),
    (400, "Bad Request: FROZEN_METHOD_INVALID", PlatformStopped),
    (400, "Logged out", PlatformStopped),
    (400, "Bad Request: something that was never seen", DeliveryError),
    (403, "Forbidden: something that was never seen", LOCKED),
]


OTHERS: Final[list[tuple[int, str, Any]]] = [
    (401, "Unauthorized", PlatformStopped),
    (401, "Unauthorized: invalid token specified", PlatformStopped),
    (404, "Not Found", PlatformStopped),
    (421, "Misdirected Request: unallowed token specified", PlatformStopped),
    (409, "Conflict: terminated by other getUpdates request", PlatformStopped),
    (413, "Request Entity Too Large", Fix.LENGTH),
    (429, "Too Many Requests: retry later", (MustWait, 30.0)),
    (500, "Internal Server Error: restart", HardlySent),
]


@pytest.mark.parametrize(
    ("status", "description", "expected"),
    [
        (
            400,
            "Bad Request: message is not modified: specified new message content and reply markup "
            "are exactly the same as a current content and reply markup of the message",
            True,
        ),
        (400, "Bad Request: MESSAGE_NOT_MODIFIED", True),
        (400, "Bad Request: message to edit not found", True),
        (400, "Bad Request: message can't be edited", True),
        (400, "Bad Request: MESSAGE_ID_INVALID", True),
        (400, "Bad Request: chat not found", False),
        (400, "Bad Request: REPLY_MESSAGE_ID_INVALID", False),
        (400, "Bad Request: can't parse entities", False),
        (403, "Forbidden: bot was blocked by the user", False),
        (500, "Internal Server Error: message to edit not found", False),
    ],
)
async def test_what_cannot_be_edited_any_more_is_told_from_what_failed(
    status: int, description: str, *, expected: bool
) -> None:
    assert leaves_nothing_to_edit(await answered(status, description)) is expected


@pytest.mark.parametrize(("status", "description", "expected"), REFUSALS + OTHERS)
async def test_every_answer_has_its_consequence(
    status: int, description: str, expected: Any
) -> None:
    assert outcome(await answered(status, description)) == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"<html>Welcome", MaybeSent),
        (502, b"<html>Bad Gateway", HardlySent),
        (504, b"<html>Gateway Timeout", HardlySent),
        (520, b"error code: 520", MaybeSent),
        (413, b"<html>Too Large", Fix.LENGTH),
        (429, b"slow down", (MustWait, 30.0)),
        (404, b"<html>Not Found", PlatformStopped),
        # A page of a proxy says nothing about a chat, whatever words are in it.
        (403, b"<html><button>bot was blocked by the user", NotSent),
        (400, b"<html>chat not found", NotSent),
    ],
)
async def test_an_answer_that_is_not_of_the_bot_api_has_its_consequence(
    status: int, body: bytes, expected: Any
) -> None:
    assert outcome(await error_of(FixedAnswer((status, body)))) == expected


async def test_a_group_that_moved_tells_its_new_id() -> None:
    text = "Bad Request: group chat was upgraded to a supergroup chat"
    moved = await answered(400, text, migrate_to_chat_id=-1001234567890)
    assert outcome(moved) == (DestinationMoved, -1001234567890)


@pytest.mark.parametrize("as_timedelta", ["true", "false"])
@pytest.mark.parametrize(
    ("asked", "seconds"), [(35, 35.0), (10_072, 10_072.0), (10**9, LONGEST_WAIT), (0, 30.0)]
)
async def test_the_wait_that_was_asked_for_is_kept(
    asked: int, seconds: float, as_timedelta: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", as_timedelta)
    error = await answered(429, f"Too Many Requests: retry after {asked}", retry_after=asked)
    assert outcome(error) == (MustWait, seconds)


@pytest.mark.parametrize("asked", [1.5, dt.timedelta(seconds=1.5)])
def test_a_wait_may_be_a_part_of_a_second(asked: Any) -> None:
    assert outcome(RetryAfter(asked)) == (MustWait, 1.5)


# --- no answer ---


async def over_httpx(failure: type[httpx.RequestError]) -> BaseException:
    """The error of python-telegram-bot's own transport where httpx fails so."""

    def fail(_request: httpx.Request) -> httpx.Response:
        raise failure("failed")

    return await error_of(HTTPXRequest(httpx_kwargs={"transport": httpx.MockTransport(fail)}))


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (httpx.PoolTimeout, NotSent),
        (httpx.ConnectTimeout, NotSent),
        (httpx.ConnectError, NotSent),
        (httpx.ReadTimeout, MaybeSent),
        (httpx.WriteTimeout, MaybeSent),
        (httpx.ReadError, MaybeSent),
        (httpx.RemoteProtocolError, MaybeSent),
    ],
)
async def test_only_what_failed_before_it_was_connected_is_surely_not_sent(
    failure: type[httpx.RequestError], expected: Any
) -> None:
    error = await over_httpx(failure)
    assert surely_not_sent(error) is (expected is NotSent)
    assert outcome(error) == expected


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (caused(TimedOut(), aiohttp.ConnectionTimeoutError()), NotSent),
        (caused(TimedOut(), aiohttp.SocketTimeoutError()), MaybeSent),
        (caused(NetworkError("x"), aiohttp.ServerDisconnectedError()), MaybeSent),
        (caused(NetworkError("x"), ConnectionResetError()), MaybeSent),
        (TimedOut(), MaybeSent),
        (NetworkError("x"), MaybeSent),
    ],
)
def test_the_cause_tells_whether_a_request_went_out(error: Exception, expected: Any) -> None:
    assert outcome(error) == expected


async def test_a_failure_of_an_unknown_kind_may_have_sent_the_message() -> None:
    # So fails the reading of the answer to a message that did arrive.
    assert outcome(KeyError("message_id")) == MaybeSent
    assert str(classify(KeyError("message_id"))).endswith("(KeyError: 'message_id')")
    assert outcome(await error_of(FixedAnswer(ValueError("a bug")))) == MaybeSent


def test_what_is_judged_already_stays_as_it_is() -> None:
    judged = MustWait("later", 3)
    assert classify(judged) is judged


# --- what is read ---


def test_a_refusal_that_can_be_mended_is_a_refusal_where_nobody_mends_it() -> None:
    assert isinstance(classify(BadRequest("Message is too long")), Refused)


def test_a_token_that_is_not_accepted_tells_what_to_check_and_not_the_token() -> None:
    judged = classify(InvalidToken("The token `hunter2` was rejected by the server."))
    assert "TELEGRAM_TOKEN" in str(judged)
    assert "TELEGRAM_API_URL" in str(judged)
    assert "hunter2" not in str(judged)


@pytest.mark.parametrize("before", [0, 100, 150, 165, 180, 190, 250])
@pytest.mark.parametrize("hidden", [TOKEN, TOKEN[:20] + "\x00" + TOKEN[20:]])
@pytest.mark.parametrize(
    "kind", [Forbidden, BadRequest, Conflict, InvalidToken, TimedOut, NetworkError, TelegramError]
)
def test_no_text_holds_a_token(kind: type[TelegramError], hidden: str, before: int) -> None:
    text = str(classify(kind("x" * before + f" https://h/bot{hidden}/sendMessage")))
    assert "canary" not in text
    assert len(text) <= 200


class Speechless(Exception):
    """An error that cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError


texts = st.text() | st.sampled_from([text for _, text, _ in REFUSALS]).map(str.swapcase)
errors: st.SearchStrategy[BaseException] = (
    st.one_of(
        *(
            st.builds(kind, texts)
            for kind in (
                BadRequest, Conflict, EndPointNotFound, Forbidden, InvalidToken, NetworkError,
                PassportDecryptionError, TelegramError, TimedOut, ValueError, OSError,
                KeyboardInterrupt, asyncio.CancelledError, SystemExit,
            )
        )
    )
    | st.builds(ChatMigrated, st.integers())
    | st.builds(RetryAfter, st.floats(-1e9, 1e9) | st.timedeltas())
    | st.just(Speechless())
)  # fmt: skip


@example(Speechless(), None)
@given(errors, st.none() | errors)
def test_every_error_has_a_consequence(error: BaseException, cause: BaseException | None) -> None:
    error.__cause__ = cause
    judged = classify(error)
    assert isinstance(judged, DeliveryError)
    assert str(judged)
    assert first_unsafe(str(judged)) is None
    if isinstance(judged, MustWait):
        assert 0 <= judged.seconds <= LONGEST_WAIT
