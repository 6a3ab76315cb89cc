"""What stands behind the buttons of an alert: an update and an action, sealed for one chat. Pure.

Nothing is stored for them, so a million alerts cost nothing and a button works for as long as the
message stands. Only this bot can make a seal: its key comes from the token.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass
from typing import Final

from bot.model import Seq

_PREFIX: Final = "a"
_CONTENT: Final = struct.Struct(">QB")
_MARK: Final = 12
"""Bytes of the authentication code."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button of an alert: the update it told of, and which of its actions this is."""

    seq: Seq
    action: int


class Seals:
    """Makes and opens the data of alert buttons."""

    def __init__(self, token: str) -> None:
        self._key = hashlib.sha256(b"cliffhanger buttons\0" + token.encode()).digest()

    def seal(self, chat_id: int, pressed: Pressed) -> str:
        """The data of a button below an alert in this chat: 29 characters."""
        content = _CONTENT.pack(pressed.seq, pressed.action)
        sealed = base64.urlsafe_b64encode(content + self._mark(chat_id, content))
        return _PREFIX + sealed.decode()

    def open(self, chat_id: int, data: str) -> Pressed | None:
        """What a button stands for; `None` when it was not made by this bot for this chat."""
        if not data.startswith(_PREFIX):
            return None
        try:
            sealed = base64.b64decode(data[1:].encode(), b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        content, mark = sealed[: _CONTENT.size], sealed[_CONTENT.size :]
        if not hmac.compare_digest(mark, self._mark(chat_id, content)):
            return None
        seq, action = _CONTENT.unpack(content)
        return Pressed(Seq(seq), action)

    def _mark(self, chat_id: int, content: bytes) -> bytes:
        return hmac.digest(self._key, b"%d:" % chat_id + content, "sha256")[:_MARK]
