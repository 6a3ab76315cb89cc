"""What goes wrong: refusals, rate limits, and by script junk, silence, delays and bans."""

import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.fakes import script
from tests.fakes.discord.people import Json

TEXTS: Final = {
    0: "{status}: {reason}",
    10003: "Unknown Channel",
    10004: "Unknown Guild",
    10007: "Unknown Member",
    10008: "Unknown Message",
    10013: "Unknown User",
    10015: "Unknown Webhook",
    10062: "Unknown interaction",
    10063: "Unknown application command",
    10066: "Unknown application command permissions",
    20026: "Your bot has been flagged by our anti-spam system for abusive behavior.",
    30046: "Maximum number of edits to messages older than 1 hour reached. Try again later.",
    40001: "Unauthorized",
    40003: "You are opening direct messages too fast.",
    40004: "Send messages has been temporarily disabled.",
    40033: "This message has already been crossposted",
    40060: "Interaction has already been acknowledged.",
    40067: "A tag is required to create a forum post in this channel",
    50001: "Missing Access",
    50006: "Cannot send an empty message",
    50007: "Cannot send messages to this user",
    50008: "Cannot send messages in a non-text channel",
    50013: "Missing Permissions",
    50014: "Invalid authentication token provided",
    50024: "Cannot execute action on this channel type",
    50027: "Invalid Webhook Token",
    50033: "Invalid Recipient(s)",
    50035: "Invalid Form Body",
    50083: "Thread is archived",
    50278: "Cannot send messages to this user due to having no mutual guilds",
    110000: "API resource is currently overloaded. Try again a little later",
    130000: "API resource is currently overloaded. Try again a little later",
    160002: "Cannot reply without permission to read message history",
    160004: "A thread has already been created for this message",
    160005: "Thread is locked",
    200000: "Message was blocked by automatic moderation",
    240000: "Message blocked by harmful links filter",
}
_REASONS: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
VIA: Final = {"Via": "1.1 google"}
CLOUDFLARE: Final = (
    "<!doctype html><html><head><title>Access denied | discord.com used Cloudflare to restrict"
    " access</title></head><body>error code: 1015</body></html>"
)


class Refused(Exception):
    """A request that Discord refuses: status, code, and what it adds to them."""

    def __init__(
        self, status: int, code: int = 0, text: str | None = None, more: Json | None = None
    ) -> None:
        usual = TEXTS.get(code, "Error").format(status=status, reason=_REASONS.get(status, "Error"))
        self.text = usual if text is None else text
        super().__init__(self.text)
        self.status = status
        self.code = code
        self.more = more or {}

    @property
    def json(self) -> Json:
        """As Discord writes it."""
        return {"message": self.text, "code": self.code} | self.more


def invalid(*problems: str) -> Refused:
    """A body that breaks the rules."""
    errors = [{"code": "BASE_TYPE_BAD", "message": one} for one in problems]
    return Refused(400, 50035, more={"errors": {"_errors": errors}})


def unknown_channel() -> Refused:
    """A channel that is not there."""
    return Refused(404, 10003)


def missing_access() -> Refused:
    """A place that the bot cannot see."""
    return Refused(403, 50001)


def missing_permissions() -> Refused:
    """Something that the bot may not do."""
    return Refused(403, 50013)


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes over the wire."""

    status: int
    body: bytes
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    code: int | None = None

    @classmethod
    def of(
        cls, status: int, told: object, headers: Mapping[str, str] = VIA, code: int | None = None
    ) -> "Reply":
        """JSON as Discord writes it, or nothing with 204."""
        body = b"" if told is None else json.dumps(told).encode()
        return cls(status, body, headers=headers, code=code)

    @classmethod
    def error(cls, refused: Refused, headers: Mapping[str, str] = VIA) -> "Reply":
        """A refusal."""
        return cls.of(refused.status, refused.json, headers, refused.code)

    @classmethod
    def flood(cls, seconds: float, scope: str = "user") -> "Reply":
        """429 with the seconds to wait; the scope is user, shared or global."""
        is_global = scope == "global"
        told = {
            "message": "You are being rate limited.",
            "retry_after": seconds,
            "global": is_global,
        }
        headers = dict(VIA)
        headers |= {"Retry-After": str(int(seconds) + 1), "X-RateLimit-Scope": scope}
        if is_global:
            headers["X-RateLimit-Global"] = "true"
        return cls.of(429, told, headers)

    @classmethod
    def ban(cls, seconds: int | None) -> "Reply":
        """What Cloudflare answers to an address that it has banned."""
        headers = {} if seconds is None else {"Retry-After": str(seconds)}
        return cls(429, CLOUDFLARE.encode(), "text/html", headers)


Fault = script.Fault[Reply]
Hold = script.Hold


@dataclass(eq=False, slots=True)
class GatewayFault:
    """What befalls connections to the gateway at a point: connect, hello, identify or resume."""

    at: str
    times: int | None = 1
    close: int | None = None
    """Close with this code."""
    invalid: bool | None = None
    """Answer with an invalid session, which can be resumed or not."""
    silent: bool = False
    """Answer nothing."""
    struck: int = 0

    def stop(self) -> None:
        """Let it befall no further connection."""
        self.times = self.struck


@dataclass(slots=True)
class Script(script.Script[Reply]):
    """What goes wrong with requests, and at the gateway."""

    gateway: list[GatewayFault] = field(default_factory=list)

    def at(self, point: str) -> GatewayFault | None:
        """The fault that befalls a connection there; it is counted."""
        for one in self.gateway:
            if one.at == point and (one.times is None or one.struck < one.times):
                one.struck += 1
                return one
        return None


@dataclass(slots=True)
class Limits:
    """How many requests are allowed; where `on` is not set the numbers are too large to matter.

    Each channel has a bucket for new messages. `overall` is the global limit per second.
    """

    on: bool = False
    messages: int = 5
    window: float = 5.0
    overall: int | None = None
    _buckets: dict[str, tuple[float, int]] = field(default_factory=dict)
    _all: deque[float] = field(default_factory=deque)

    def too_many(self) -> Reply | None:
        """Count a request against the global limit."""
        if self.overall is None:
            return None
        now = time.monotonic()
        while self._all and self._all[0] <= now - 1.0:
            self._all.popleft()
        if len(self._all) >= self.overall:
            return Reply.flood(round(self._all[0] + 1.0 - now, 3), "global")
        self._all.append(now)
        return None

    def count(
        self, bucket: str, major: str, *, limited: bool
    ) -> tuple[dict[str, str], Reply | None]:
        """Count a request against its bucket; returns the headers, and a refusal if it is full."""
        most = self.messages if self.on and limited else 1_000_000
        now = time.monotonic()
        end, used = now + self.window, 0
        if self.on and limited:
            old_end, old_used = self._buckets.get(major, (0.0, 0))
            if old_end > now:
                end, used = old_end, old_used
        full = used >= most
        if self.on and limited and not full:
            self._buckets[major] = end, used + 1
        left = end - now
        headers = {
            "X-RateLimit-Limit": str(most),
            "X-RateLimit-Remaining": str(0 if full else most - used - 1),
            "X-RateLimit-Reset": f"{time.time() + left:.3f}",
            "X-RateLimit-Reset-After": f"{left:.3f}",
            "X-RateLimit-Bucket": bucket,
        } | VIA
        if not full:
            return headers, None
        flood = Reply.flood(round(left, 3))
        return headers, Reply(429, flood.body, headers=headers | dict(flood.headers))
