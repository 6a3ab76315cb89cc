"""The parameters of a request to the Bot API."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.fakes.telegram.records import Upload

_TEXTS: Final = frozenset((
    "text", "caption", "parse_mode", "callback_query_id", "url", "secret_token", "name",
    "description", "short_description", "language_code", "action", "document", "ip_address",
))  # fmt: skip


class Missing(Exception):
    """Something that Telegram has and this fake has not."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a request."""

    values: Mapping[str, Any]
    files: Mapping[str, Upload]

    @classmethod
    def of(cls, raw: Mapping[str, Any], files: Mapping[str, Upload]) -> "Parameters":
        """Parameters as they came; in forms, all that is no text holds JSON."""
        return cls({name: _decoded(name, value) for name, value in raw.items()}, files)

    def get(self, name: str) -> Any:
        """A parameter, or nothing."""
        return self.values.get(name)

    def text(self, name: str) -> str:
        """A text, empty where there is none."""
        return str(self.values.get(name, ""))

    def whole(self, name: str) -> int | None:
        """A whole number, or nothing."""
        value = self.values.get(name)
        return value if isinstance(value, int) else None

    @property
    def chat(self) -> int | None:
        """The number of the chat that the request is about."""
        return self.whole("chat_id")


def _decoded(name: str, value: object) -> object:
    if not isinstance(value, str) or name in _TEXTS:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
