"""What the bot knows and does, as values: shows, updates, subscriptions, deliveries."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NewType

from bot.dates import ReleaseDate

ShowId = NewType("ShowId", str)
UpdateId = NewType("UpdateId", str)
Seq = NewType("Seq", int)
"""An update's place in the log, rising in the order of publication."""

Clock = Callable[[], dt.datetime]
"""Tells the time as an aware UTC value; a parameter everywhere: a demo can be another day."""


class UpdateKind(StrEnum):
    """What an update says, in the past tense; terms as in the trade press."""

    RENEWED = "renewed"
    DATED = "dated"
    TRAILER = "trailer"
    CANCELLED = "cancelled"
    ENDING = "ending"
    SAVED = "saved"
    POSTPONED = "postponed"
    RELEASED = "released"
    TEASER = "teaser"
    PRODUCTION = "production"
    PENDING = "pending"
    RETRACTED = "retracted"


class Certainty(StrEnum):
    """Who stands behind an update."""

    OFFICIAL = "official"
    REPORTED = "reported"
    SPECULATION = "speculation"


class SpeakerRole(StrEnum):
    """Who can make a fact official."""

    NETWORK = "network"
    PLATFORM = "platform"
    PRODUCTION = "production"
    SHOWRUNNER = "showrunner"
    OFFICIAL_ACCOUNT = "official_account"


class Push(StrEnum):
    """Whether an update is to be sent: as news, kept on record only, or never."""

    AUTO = "auto"
    QUIET = "quiet"
    NEVER = "never"


class Platform(StrEnum):
    """Where people chat with the bot."""

    TERMINAL = "terminal"
    DISCORD = "discord"
    TELEGRAM = "telegram"


class DeliveryState(StrEnum):
    """Where a delivery stands; every delivery is in exactly one state."""

    PENDING = "pending"
    HELD = "held"
    SENT = "sent"
    EXPIRED = "expired"
    FAILED = "failed"
    UNCERTAIN = "uncertain"


FOLLOWABLE: Final = (
    UpdateKind.RENEWED,
    UpdateKind.DATED,
    UpdateKind.TRAILER,
    UpdateKind.CANCELLED,
)
"""The kinds a person can choose; the other kinds that are pushed go with one of them."""

_FOLLOWED_AS: Final = {
    **{kind: kind for kind in FOLLOWABLE},
    UpdateKind.SAVED: UpdateKind.RENEWED,
    UpdateKind.POSTPONED: UpdateKind.DATED,
    UpdateKind.RELEASED: UpdateKind.DATED,
    UpdateKind.ENDING: UpdateKind.CANCELLED,
}


def followed_as(kind: UpdateKind) -> UpdateKind | None:
    """The choice that brings this kind: `saved` comes with `renewed`; `None` is never pushed."""
    return _FOLLOWED_AS.get(kind)


SHORT_LIVED: Final = frozenset({UpdateKind.TRAILER, UpdateKind.TEASER})
"""The kinds that are no news any more after two days; the others are not after a week."""

SHORT_LIFE: Final = dt.timedelta(hours=48)
LIFE: Final = dt.timedelta(days=7)


def life(kind: UpdateKind) -> dt.timedelta:
    """How long after its publication an update is sent at all."""
    return SHORT_LIFE if kind in SHORT_LIVED else LIFE


Kinds = frozenset[UpdateKind]
ALL_KINDS: Final[Kinds] = frozenset(FOLLOWABLE)


@dataclass(frozen=True, slots=True)
class Show:
    """A series of the catalogue; `aliases` are other titles in any script."""

    id: ShowId
    title: str
    original_title: str | None = None
    aliases: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    ids: tuple[tuple[str, str], ...] = ()
    official_channels: tuple[str, ...] = ()
    limited: bool = False
    sources: tuple[str, ...] = ()

    @property
    def titles(self) -> tuple[str, ...]:
        """Every title the show is known by, the main one first."""
        original = (self.original_title,) if self.original_title else ()
        return (self.title, *original, *self.aliases)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact was read; `published` is the day it was announced there."""

    url: str | None = None
    outlet: str | None = None
    kind: str | None = None
    published: dt.date | None = None
    archived: str | None = None


@dataclass(frozen=True, slots=True)
class AnnouncedDate:
    """A release date as announced: the value, the words used, and where it holds."""

    value: ReleaseDate
    raw: str | None = None
    tz: str | None = None
    region: str | None = None
    year_inferred: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """One curated fact about a season; never changed once it is in the log.

    `value` is a trailer's address or a production stage. `also` names the update whose fact this
    one confirms from a second source; `supersedes` the mistake it corrects; `retracts` what it
    takes back; `reverses` the true decision that it undoes.
    """

    id: UpdateId
    recorded_at: dt.datetime
    show: ShowId
    season: int | None
    kind: UpdateKind
    certainty: Certainty
    part: int | None = None
    value: str | None = None
    date: AnnouncedDate | None = None
    speaker: str | None = None
    speaker_role: SpeakerRole | None = None
    source: Source = field(default_factory=Source)
    evidence: str | None = None
    curator: str | None = None
    method: str = "cli"
    also: UpdateId | None = None
    supersedes: UpdateId | None = None
    retracts: UpdateId | None = None
    reverses: UpdateId | None = None
    reason: str | None = None
    push: Push = Push.AUTO

    @property
    def announced(self) -> dt.date:
        """The day the fact was announced, or, where nobody says, recorded."""
        return self.source.published or self.recorded_at.date()

    @property
    def confirmed(self) -> bool:
        """Whether somebody who can know stands behind it."""
        return self.certainty is not Certainty.SPECULATION


@dataclass(frozen=True, slots=True)
class Destination:
    """Where messages go: a chat of a platform, or one thread (topic) of it.

    `home_id` is the server that the chat belongs to, on platforms which have such; it is no part
    of what the destination is.
    """

    platform: Platform
    chat_id: int
    thread_id: int | None = None
    home_id: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        thread = f"/{self.thread_id}" if self.thread_id is not None else ""
        return f"{self.platform}:{self.chat_id}{thread}"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A destination follows a show, for the kinds it wants.

    Alerts ping the role `role_id`, and with `publish` go on to the channels that follow this one.
    In a request `None` leaves either as it was.
    """

    destination: Destination
    show: ShowId
    kinds: Kinds = ALL_KINDS
    role_id: int | None = None
    publish: bool | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One update on its way to one destination; `attempts` counts the sends begun.

    Those of one `bundle` were sent as one message that may have arrived, and are repeated as one.
    `deaths` counts the sends during which the process died.
    """

    seq: Seq
    destination_id: int
    attempts: int
    bundle: Seq | None = None
    deaths: int = 0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, where the alerts go, and whether this person manages that chat.

    `wishes` says whether a title that the catalogue lacks is noted for the curators: not where it
    may be any sentence.
    """

    destination: Destination
    user_id: int
    manages: bool = False
    wishes: bool = True
