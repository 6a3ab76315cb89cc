"""A Bot API with Telegram's limits: 30 a second, 1 a second per chat, 20 a minute per group."""

import json
import math
import re
import time
from typing import Any, Final

from tests.bench.pace_limits import Bucket, Judge, Limit, Refusal, Sliding
from tests.bench.telegram_alert import an_alert
from tests.fakes.telegram import markup

OVERALL: Final = 30
"""Messages a second."""

_KINDS: Final[dict[str, type[Bucket] | type[Sliding]]] = {"bucket": Bucket, "window": Sliding}
_CHAT: Final = re.compile(rb'\bchat_id(?:"\s*:\s*"?|=)(-?\d+)')
_BOT: Final = {
    "id": 123456789,
    "is_bot": True,
    "first_name": "Cliffhanger",
    "username": "CliffhangerBot",
}


class _World:
    """Judges messages; whatever else is asked is granted."""

    def __init__(self, overall: Limit) -> None:
        self._judge = Judge(overall)
        self._chats: dict[int, Limit] = {}
        self._before, self._between, self._behind = _canned()
        self._messages = 0
        self.report = self._judge.report

    def answer(self, _method: bytes, path: bytes, body: bytes, now: float) -> bytes:
        """The whole answer to a request that arrives now."""
        if not path.endswith(b"/sendMessage"):
            return _granted(_dumped(_BOT if path.endswith(b"/getMe") else True))
        found = _CHAT.search(body)
        assert found, body
        chat = int(found[1])
        if chat not in self._chats:
            self._chats[chat] = Sliding(1, 1.0) if chat > 0 else Sliding(20, 60.0)
        refusal = self._judge.judge(chat, self._chats[chat], now)
        if refusal:
            return _refused(refusal)
        self._messages += 1
        pieces = (self._before, self._messages, self._between, chat, self._behind)
        return _granted(b"%s%d%s%d%s" % pieces)


def telegram(kind: str) -> _World:
    """With the limit of everybody as a `bucket` or as a strict `window`."""
    return _World(_KINDS[kind](OVERALL, 1.0))


def _canned() -> tuple[bytes, bytes, bytes]:
    """The message that every chat gets, in three pieces around its number and its chat's."""
    alert = an_alert()
    text, entities = markup.read(alert.html, html=True)
    keyboard = [[{"text": text, "callback_data": data} for text, data in alert.buttons]]
    message = {
        "message_id": "<number>",
        "from": _BOT,
        "chat": {"id": "<chat>", "first_name": "Alice", "type": "private"},
        "date": int(time.time()),
        "text": text,
        "entities": entities,
        "link_preview_options": {"is_disabled": True},
        "reply_markup": {"inline_keyboard": keyboard},
    }
    before, rest = _dumped(message).split(b'"<number>"')
    between, behind = rest.split(b'"<chat>"')
    return before, between, behind


def _refused(refusal: Refusal) -> bytes:
    seconds = max(math.ceil(refusal.seconds), 1)
    error = {
        "ok": False,
        "error_code": 429,
        "description": f"Too Many Requests: retry after {seconds}",
        "parameters": {"retry_after": seconds},
    }
    wait = b"Retry-After: %d\r\n" % seconds
    return _whole(b"429 Too Many Requests", wait, _dumped(error))


def _granted(result: bytes) -> bytes:
    return _whole(b"200 OK", b"", b'{"ok":true,"result":%s}' % result)


def _whole(status: bytes, headers: bytes, body: bytes) -> bytes:
    return _HEAD % (status, headers, len(body)) + body


_HEAD: Final = (
    b"HTTP/1.1 %s\r\n"
    b"Server: nginx/1.18.0\r\n"
    b"Content-Type: application/json\r\n"
    b"Connection: keep-alive\r\n"
    b"%s"
    b"Strict-Transport-Security: max-age=31536000; includeSubDomains; preload\r\n"
    b"Access-Control-Allow-Origin: *\r\n"
    b"Content-Length: %d\r\n"
    b"\r\n"
)


def _dumped(told: Any) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()
