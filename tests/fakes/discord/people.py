"""Who is in the world: people, roles and memberships, and how Discord writes them."""

import datetime as dt
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

Json = dict[str, Any]

EPOCH: Final = 1_420_070_400_000
"""The millisecond at which snowflakes begin."""


class Stage(Protocol):
    """What the places need of the world that they are in."""

    bot: "Person"

    def change(self) -> AbstractContextManager[None]:
        """Change something, and tell everyone who waits."""

    def snowflake(self) -> int:
        """The next id."""

    def dispatch(self, name: str, data: Json, guild: int | None = None) -> None:
        """Tell the bot of an event."""


class Snowflakes:
    """Ids, which rise and hold the time."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        """The next id."""
        self._last = max(self._last + 1, _milliseconds() << 22)
        return self._last

    def next_moment(self) -> int:
        """The next id in a later millisecond, so that guilds do not all fall to one shard."""
        self._last = ((max(self._last >> 22, _milliseconds() - 1)) + 1) << 22
        return self._last


def _milliseconds() -> int:
    return int(time.time() * 1000) - EPOCH


def stamp(seconds: float | None = None) -> str:
    """A moment as Discord writes it."""
    moment = time.time() if seconds is None else seconds
    return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat(timespec="microseconds")


def stamp_of(snowflake: int) -> str:
    """The moment that an id holds."""
    return stamp(((snowflake >> 22) + EPOCH) / 1000)


@dataclass(eq=False, slots=True)
class Person:
    """Somebody with an account."""

    id: int
    name: str
    locale: str = "en-US"
    is_bot: bool = False
    has_installed: bool = False
    """Whether they have installed the bot for themselves."""
    closed: int | None = None
    """The code with which messages to them are refused, such as 50007."""

    @property
    def json(self) -> Json:
        """A user."""
        return {
            "id": str(self.id),
            "username": self.name.lower().replace(" ", "_"),
            "discriminator": "0000" if self.is_bot else "0",
            "global_name": None if self.is_bot else self.name,
            "avatar": None,
            "avatar_decoration_data": None,
            "collectibles": None,
            "primary_guild": None,
            "clan": None,
            "bot": self.is_bot,
            "public_flags": 0,
            "flags": 0,
        }

    @property
    def mention(self) -> str:
        """How a message mentions them."""
        return f"<@{self.id}>"


@dataclass(eq=False, slots=True)
class Role:
    """A role of a guild."""

    id: int
    name: str
    permissions: int = 0
    mentionable: bool = False
    position: int = 1
    managed_by: int | None = None
    """The bot whose own role it is."""

    @property
    def json(self) -> Json:
        """A role."""
        told: Json = {
            "id": str(self.id),
            "name": self.name,
            "description": None,
            "permissions": str(self.permissions),
            "position": self.position,
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "managed": self.managed_by is not None,
            "mentionable": self.mentionable,
            "icon": None,
            "unicode_emoji": None,
            "flags": 0,
        }
        if self.managed_by is not None:
            told["tags"] = {"bot_id": str(self.managed_by)}
        return told

    @property
    def mention(self) -> str:
        """How a message mentions it."""
        return f"<@&{self.id}>"


@dataclass(eq=False, slots=True)
class Member:
    """Somebody in a guild; roles by id, in the order they were given."""

    person: Person
    roles: list[int] = field(default_factory=list)
    nick: str | None = None
    joined_at: str = field(default_factory=stamp)

    def json(self, permissions: int | None = None, *, user: bool = True) -> Json:
        """A member, with permissions where they come with an interaction."""
        told: Json = {
            "roles": [str(role) for role in self.roles],
            "nick": self.nick,
            "joined_at": self.joined_at,
            "premium_since": None,
            "communication_disabled_until": None,
            "deaf": False,
            "mute": False,
            "pending": False,
            "avatar": None,
            "banner": None,
            "flags": 0,
        }
        if user:
            told["user"] = self.person.json
        if permissions is not None:
            told["permissions"] = str(permissions)
        return told


@dataclass(frozen=True, slots=True)
class Overwrite:
    """What a channel allows and denies to a role or a member."""

    id: int
    is_member: bool
    allow: int = 0
    deny: int = 0

    @property
    def json(self) -> Json:
        """An overwrite."""
        return {
            "id": str(self.id),
            "type": int(self.is_member),
            "allow": str(self.allow),
            "deny": str(self.deny),
        }
