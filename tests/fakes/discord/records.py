"""What the fake remembers: messages, edits, requests, interactions, sessions and repeats."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tests.fakes.discord.channels import Channel
from tests.fakes.discord.people import Json, Person

EPHEMERAL: Final = 1 << 6
LOADING: Final = 1 << 7
SILENT: Final = 1 << 12
COMPONENTS_V2: Final = 1 << 15

COMMAND: Final = 2
COMPONENT: Final = 3
AUTOCOMPLETE: Final = 4
MODAL: Final = 5


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a request."""

    name: str
    content: bytes = field(repr=False)
    media_type: str


@dataclass(frozen=True, slots=True)
class Edit:
    """What a message became."""

    content: str
    embeds: list[Json]
    components: list[Json]
    allowed_mentions: Json | None
    at: float


@dataclass(eq=False)
class Sent:
    """A message of the bot as it stands now; `edits` says what it became when."""

    id: int
    channel_id: int
    parent_id: int | None
    """The channel that the thread is in, where `channel_id` is a thread."""
    guild_id: int | None
    content: str
    embeds: list[Json]
    components: list[Json]
    allowed_mentions: Json | None
    """As given; None where nothing was."""
    nonce: str | None
    flags: int
    reply_to: int | None
    files: tuple[Upload, ...]
    at: float
    """When, by the clock of `time.monotonic`."""
    interaction: "Interaction | None" = field(default=None, repr=False)
    pings: tuple[int, ...] = ()
    """The people and roles that it really pings."""
    edits: list[Edit] = field(default_factory=list)
    crossposted: bool = False
    deleted: bool = False
    body: Json = field(default_factory=dict, repr=False)
    """The request."""

    @property
    def thread_id(self) -> int | None:
        """The thread that it is in."""
        return self.channel_id if self.parent_id else None

    @property
    def is_ephemeral(self) -> bool:
        """Whether only one person sees it."""
        return bool(self.flags & EPHEMERAL)

    @property
    def is_silent(self) -> bool:
        """Whether it notifies nobody."""
        return bool(self.flags & SILENT)

    @property
    def text(self) -> str:
        """All that can be read in it: content, embeds, and texts among the components."""
        parts: list[str | None] = [self.content]
        for embed in self.embeds:
            parts += [embed.get("author", {}).get("name"), embed.get("title")]
            parts.append(embed.get("description"))
            for one in embed.get("fields", ()):
                parts += [one["name"], one["value"]]
            parts.append(embed.get("footer", {}).get("text"))
        parts += [one.get("content") for one in walk(self.components)]
        return "\n".join(part for part in parts if part)

    @property
    def buttons(self) -> dict[str, str]:
        """The buttons: label and custom id or address."""
        return {
            one.get("label") or (one.get("emoji") or {}).get("name") or "": one.get("custom_id")
            or one.get("url", "")
            for one in walk(self.components)
            if one["type"] == 2
        }


def walk(components: list[Json]) -> Iterator[Json]:
    """Every component, those within others too."""
    for one in components:
        yield one
        yield from walk(one.get("components", []))
        if accessory := one.get("accessory"):
            yield accessory


@dataclass(eq=False)
class Interaction:
    """A command, a press or an autocomplete, and what the bot has answered to it so far."""

    id: int
    token: str
    type: int
    person: Person
    channel: Channel
    json: Json = field(repr=False)
    sent_at: float
    name: str = ""
    """The command, or the custom id that was pressed."""
    message: Sent | None = None
    """The message that was pressed."""

    acknowledged: int | None = None
    """The type of the callback."""
    acknowledged_after: float | None = None
    ephemeral: bool = False
    answer: Sent | None = None
    """The first message, or the pressed message if the bot has changed that."""
    edits: list[Edit] = field(default_factory=list)
    followups: list[Sent] = field(default_factory=list)
    choices: list[Json] | None = None
    """The choices of an autocomplete."""
    modal: Json | None = None
    refusals: list[int] = field(default_factory=list)
    """The codes with which callbacks and follow-ups were refused."""

    @property
    def text(self) -> str:
        """What the answer says."""
        return self.answer.text if self.answer else ""


@dataclass(frozen=True, slots=True)
class Request:
    """A request with what was answered; the status is None where nothing was."""

    route: str
    """Method and path with names for ids, such as "POST /channels/{channel}/messages"."""
    method: str
    path: str
    body: Any
    status: int | None
    code: int | None
    at: float
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Identify:
    """An IDENTIFY at the gateway."""

    at: float
    intents: int
    shard: tuple[int, int]
    presence: Json | None
    accepted: bool


@dataclass(frozen=True, slots=True)
class Repeat:
    """A message that was not made because its nonce was used before."""

    nonce: str
    channel_id: int
    earlier: int
    refused: bool
    """Whether it was answered with 10008, as the earlier message is deleted."""
    at: float
