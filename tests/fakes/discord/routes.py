"""The requests that the server knows, and what each brings with it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.fakes.discord.channels import Channel
from tests.fakes.discord.faults import Refused, invalid
from tests.fakes.discord.people import Json
from tests.fakes.discord.records import Upload
from tests.fakes.discord.world import World

SEND: Final = "POST /channels/{channel}/messages"
EDIT: Final = "PATCH /channels/{channel}/messages/{message}"
CROSSPOST: Final = "POST /channels/{channel}/messages/{message}/crosspost"
START_THREAD: Final = "POST /channels/{channel}/threads"
OPEN_DM: Final = "POST /users/@me/channels"
ANSWER: Final = "POST /interactions/{interaction}/{token}/callback"
FOLLOW_UP: Final = "POST /webhooks/{application}/{token}"
EDIT_ANSWER: Final = "PATCH /webhooks/{application}/{token}/messages/{message}"
SYNC: Final = "PUT /applications/{application}/commands"
SYNC_GUILD: Final = "PUT /applications/{application}/guilds/{guild}/commands"
LOGIN: Final = "GET /users/@me"
GATEWAY: Final = "GET /gateway/bot"


@dataclass(slots=True)
class Call:
    """A request: ids from its path, and its body, which is checked where it is read."""

    world: World
    route: str
    path: str
    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = None
    files: tuple[Upload, ...] = ()
    warnings: list[str] = field(default_factory=list)
    """What is taken, but not to be done."""

    @property
    def json(self) -> Json:
        """The body, which has to be an object."""
        if not isinstance(self.body, dict):
            raise self.wrong("the body is no object")
        return self.body

    def number(self, name: str) -> int:
        """An id from the path."""
        return whole(self.ids[name])

    @property
    def channel_id(self) -> int | None:
        """The channel that it is about, if any."""
        given = self.ids.get("channel")
        return int(given) if given and given.isdecimal() else None

    def wrong(self, *problems: str) -> Refused:
        """A refusal of a body that breaks the rules, which also fails the test."""
        self.warnings.extend(problems)
        return invalid(*problems)


Result = tuple[int, object]
"""The status and what is answered as JSON, None for nothing."""
Handler = Callable[[Call], Result]
_ROUTES: Final[dict[tuple[str, int], list[tuple[str, list[str], Handler]]]] = {}


def route(*names: str) -> Callable[[Handler], Handler]:
    """Let a function answer requests of these routes."""

    def register(handler: Handler) -> Handler:
        for name in names:
            method, _, path = name.partition(" ")
            parts = path.strip("/").split("/")
            _ROUTES.setdefault((method, len(parts)), []).append((name, parts, handler))
        return handler

    return register


def find(method: str, path: str) -> tuple[str, dict[str, str], Handler] | None:
    """The route of a path, the ids in it, and who answers."""
    given = path.strip("/").split("/")
    for name, parts, handler in _ROUTES.get((method, len(given)), ()):
        ids: dict[str, str] = {}
        for part, value in zip(parts, given, strict=True):
            if part[0] == "{":
                ids[part[1:-1]] = value
            elif part != value:
                break
        else:
            return name, ids, handler
    return None


def whole(value: object) -> int:
    """A snowflake in a path or a body."""
    if isinstance(value, bool) or not str(value).isdecimal():
        raise invalid(f"Value {value!r} is not snowflake.")
    return int(str(value))


def need(call: Call, channel: Channel, permission: str) -> None:
    """Refuse where the bot may not do something in a channel."""
    if not channel.is_private and not call.world.may(channel, permission):
        raise Refused(403, 50013)
