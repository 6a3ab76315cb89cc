"""What goes wrong by script: refusals, junk, silence, delays, and answers that are held back."""

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from tests.fakes import script
from tests.fakes.telegram.people import Json

POLLING: Final = "getUpdates"
CONFLICT: Final = (
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is"
    " running"
)
_TEXTS: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: CONFLICT,
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error: restart",
    502: "Bad Gateway",
}


class Refused(Exception):
    """A request that the server refuses: status, description and what it adds to them."""

    def __init__(self, status: int, description: str, parameters: Json | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.parameters = parameters


def bad_request(text: str) -> Refused:
    """A refusal with 400; the server writes the first letter small unless it is all capitals."""
    capital = text[1:2].isupper() or text[1:2] == "_"
    return Refused(400, f"Bad Request: {text if capital else text[:1].lower() + text[1:]}")


def forbidden(text: str) -> Refused:
    """A refusal with 403."""
    return Refused(403, f"Forbidden: {text}")


def flood(seconds: float) -> Refused:
    """A refusal with 429 and the seconds to wait."""
    wait = max(1, round(seconds))
    return Refused(429, f"Too Many Requests: retry after {wait}", {"retry_after": wait})


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes over the wire."""

    status: int
    body: bytes
    media_type: str = "application/json"

    @classmethod
    def error(cls, refused: Refused) -> "Reply":
        """A refusal as the server writes it."""
        told: Json = {
            "ok": False,
            "error_code": refused.status,
            "description": refused.description,
        }
        if refused.parameters is not None:
            told["parameters"] = refused.parameters
        return cls(refused.status, json.dumps(told).encode())

    @classmethod
    def result(cls, result: object) -> "Reply":
        """A result as the server writes it."""
        return cls(200, json.dumps({"ok": True, "result": result}).encode())


Fault = script.Fault[Reply]
Hold = script.Hold
Script = script.Script[Reply]


def scripted(status: int, description: str | None, parameters: Json | None) -> Refused:
    """A refusal as a script asks for it, with the usual text where it gives none."""
    if description is None:
        description = _TEXTS.get(status, "Bad Request")
        if parameters and "retry_after" in parameters:
            description += f": retry after {parameters['retry_after']}"
    return Refused(status, description, parameters)


@dataclass(slots=True)
class Limits:
    """How much may be sent: 30 a second in all, one a second to a chat, 20 a minute to a group.

    What is paid for may be 1000 a second.
    """

    overall: int = 30
    paid: int = 1000
    group: int = 20
    _all: deque[float] = field(default_factory=deque)
    _chats: dict[int, deque[float]] = field(default_factory=dict)

    def count(self, chat: int, *, group: bool, now: float, paid: bool = False) -> None:
        """Count a message; raises `Refused` with the seconds to wait where it is too many."""
        sent = self._chats.setdefault(chat, deque())
        overall = self.paid if paid else self.overall
        waits = [_wait(self._all, overall, 1.0, now), _wait(sent, 1, 1.0, now)]
        if group:
            waits.append(_wait(sent, self.group, 60.0, now))
        if (longest := max(waits)) > 0:
            raise flood(longest)
        self._all.append(now)
        sent.append(now)


def _wait(times: deque[float], most: int, window: float, now: float) -> float:
    """The seconds until one more fits into the window."""
    recent = [one for one in times if one > now - window]
    while times and times[0] <= now - 60.0:
        times.popleft()
    return recent[-most] + window - now if len(recent) >= most else 0.0
