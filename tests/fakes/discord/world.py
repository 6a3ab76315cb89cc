"""The world behind the server: guilds, messages, commands, sessions, and all that happened.

Everything here is guarded by `lock`, which is notified of every change.
"""

import copy
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Final

from tests.fakes.discord.channels import DM, Channel
from tests.fakes.discord.faults import Limits, Script, missing_access, unknown_channel
from tests.fakes.discord.guilds import Guild
from tests.fakes.discord.people import Json, Person, Snowflakes, stamp, stamp_of
from tests.fakes.discord.permissions import ALL, BITS, granted
from tests.fakes.discord.records import (
    Identify,
    Interaction,
    Repeat,
    Request,
    Sent,
    walk,
)
from tests.fakes.discord.sessions import Session

GUILDS: Final = 1 << 0
GUILD_MESSAGES: Final = 1 << 9
DIRECT_MESSAGES: Final = 1 << 12
PRIVILEGED: Final = (1 << 1) | (1 << 8) | (1 << 15)
"""Members, presences and message content."""
_ALWAYS: Final = ("INTERACTION_CREATE", "GUILD_MEMBER_UPDATE")
_ROLE_MENTION: Final = re.compile(r"<@&(\d+)>")
_USER_MENTION: Final = re.compile(r"<@!?(\d+)>")


@dataclass
class World:
    """Everything that the server knows."""

    bot: Person
    token: str
    gate: ModuleType | None = None
    now: Callable[[], float] = time.monotonic
    script: Script = field(default_factory=Script)
    limits: Limits = field(default_factory=Limits)
    revoked: bool = False
    banned: bool = False

    people: dict[int, Person] = field(default_factory=dict)
    guilds: dict[int, Guild] = field(default_factory=dict)
    dms: dict[int, Channel] = field(default_factory=dict)
    """DMs by their own ids."""
    messages: dict[int, Sent] = field(default_factory=dict)
    nonces: dict[str, tuple[float, Sent]] = field(default_factory=dict)
    nonce_window: float = 120.0
    commands: dict[int | None, list[Json]] = field(default_factory=dict)
    """The registered commands, of a guild or of all."""
    overrides: dict[tuple[int, int], list[Json]] = field(default_factory=dict)
    """The permissions of commands that a guild has set: guild, and command or application."""
    interactions: dict[str, Interaction] = field(default_factory=dict)
    """By their tokens."""
    answer_within: float = 3.0
    token_lives: float = 900.0

    sessions: dict[str, Session] = field(default_factory=dict)
    disallowed: int = 0
    starts_left: int = 1000
    starts_total: int = 1000
    shards: int = 1
    heartbeat_interval: float = 41.25
    acks: bool = True
    heartbeats: int = 0

    history: list[Sent] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    repeats: list[Repeat] = field(default_factory=list)
    identifies: list[Identify] = field(default_factory=list)
    resumes: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)

    lock: threading.Condition = field(default_factory=threading.Condition)
    wake: Callable[[], None] | None = None
    """Wakes the answers that are held."""
    gateway_url: str = ""
    _ids: Snowflakes = field(default_factory=Snowflakes)
    _channels: dict[int, Channel] = field(default_factory=dict)
    _dms: dict[int, Channel] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.people[self.bot.id] = self.bot

    @contextmanager
    def change(self) -> Iterator[None]:
        """Change something, and tell everyone who waits."""
        with self.lock:
            yield
            self.lock.notify_all()

    def snowflake(self) -> int:
        """The next id."""
        return self._ids.next()

    def guild_id(self) -> int:
        """The id of the next guild."""
        return self._ids.next_moment()

    def dispatch(self, name: str, data: Json, guild: int | None = None) -> None:
        """Tell the bot of an event, on the shard of the guild, if it has asked for such."""
        if guild is not None and name not in ("INTERACTION_CREATE", "GUILD_DELETE"):
            place = self.guilds.get(guild)
            if place is None or not place.has_bot or not place.is_available:
                return
        need = 0 if name in _ALWAYS else GUILDS
        if name.startswith("MESSAGE_"):
            need = DIRECT_MESSAGES if guild is None else GUILD_MESSAGES
        for session in self.sessions.values():
            if session.covers(guild) and session.intents & need == need:
                session.event(name, data)

    def channel(self, channel_id: int) -> Channel:
        """A channel, thread or DM; raises `Refused` where there is none."""
        if found := self.dms.get(channel_id):
            return found
        found = self._channels.get(channel_id)
        if found is None:
            for guild in self.guilds.values():
                if found := guild.channels.get(channel_id):
                    self._channels[channel_id] = found
                    break
        if found is None or found.deleted or (found.guild and found.guild.is_missing):
            raise unknown_channel()
        return found

    def visible(self, channel_id: int) -> Channel:
        """A channel that the bot can see; raises `Refused` where it cannot."""
        channel = self.channel(channel_id)
        if not channel.is_private and not self.may(channel, "view_channel"):
            raise missing_access()
        return channel

    def may(self, channel: Channel, permission: str) -> bool:
        """Whether the bot may do something in a channel."""
        return bool(self.allowed(channel, self.bot) & BITS[permission])

    def allowed(self, channel: Channel, who: Person) -> int:
        """What somebody may do in a channel."""
        return granted(channel.guild, who.id, channel) if channel.guild else ALL

    def dm(self, person: Person) -> Channel:
        """The DM of the bot with somebody."""
        if (found := self._dms.get(person.id)) is None:
            found = Channel(self, self.snowflake(), DM, "", recipients=[person])
            self.dms[found.id] = self._dms[person.id] = found
        return found

    def pings(self, channel: Channel, content: str, allowed: Json | None) -> tuple[int, ...]:
        """Whom a message really pings: @everyone is given as the guild's id."""
        rules = {"parse": ["users", "roles", "everyone"]} if allowed is None else allowed
        parse = rules.get("parse") or []
        users = [str(one) for one in rules.get("users") or []]
        found = [
            int(user)
            for user in _USER_MENTION.findall(content)
            if "users" in parse or user in users
        ]
        guild = channel.guild
        if guild is None:
            return tuple(found)
        mentions_all = self.may(channel, "mention_everyone")
        for number in _ROLE_MENTION.findall(content):
            role = guild.roles.get(int(number))
            named = number in [str(one) for one in rules.get("roles") or []]
            if role and ("roles" in parse or named) and (role.mentionable or mentions_all):
                found.append(role.id)
        if mentions_all and "everyone" in parse and re.search("@(everyone|here)", content):
            found.append(guild.id)
        return tuple(found)

    def message_json(self, sent: Sent) -> Json:
        """A message as it stands, in Discord's form."""
        told: Json = {
            "id": str(sent.id),
            "channel_id": str(sent.channel_id),
            "type": 19 if sent.reply_to else 20 if sent.interaction else 0,
            "author": self.bot.json,
            "content": sent.content,
            "embeds": [{"type": "rich"} | one for one in sent.embeds],
            "components": _numbered(sent.components),
            "attachments": [self._attachment(sent, n) for n in range(len(sent.files))],
            "mentions": [],
            "mention_roles": [str(one) for one in sent.pings if one not in self.people],
            "mention_everyone": sent.guild_id in sent.pings,
            "pinned": False,
            "tts": False,
            "flags": sent.flags | (1 if sent.crossposted else 0),
            "timestamp": stamp_of(sent.id),
            "edited_timestamp": stamp() if sent.edits else None,
        }
        if sent.nonce is not None:
            told["nonce"] = sent.nonce
        if sent.reply_to:
            told["message_reference"] = {
                "type": 0,
                "message_id": str(sent.reply_to),
                "channel_id": str(sent.channel_id),
            }
        if sent.interaction:
            told |= {"application_id": str(self.bot.id), "webhook_id": str(self.bot.id)}
        return told

    def _attachment(self, sent: Sent, index: int) -> Json:
        file = sent.files[index]
        url = f"https://cdn.discordapp.com/attachments/{sent.channel_id}/{sent.id}/{file.name}"
        return {
            "id": str(sent.id + index),
            "filename": file.name,
            "size": len(file.content),
            "url": url,
            "proxy_url": url,
            "content_type": file.media_type,
        }

    def application(self) -> Json:
        """The application of the bot."""
        return {
            "id": str(self.bot.id),
            "name": self.bot.name,
            "icon": None,
            "description": "",
            "type": None,
            "bot": self.bot.json,
            "summary": "",
            "bot_public": True,
            "bot_require_code_grant": False,
            "verify_key": "0" * 64,
            "flags": 1 << 23,
            "flags_new": str(1 << 23),
            "explicit_content_filter": 0,
            "eligible_oauth2_scopes": [],
            "approximate_user_authorization_count": 0,
            "hook": True,
            "is_monetized": False,
            "approximate_guild_count": len([one for one in self.guilds.values() if one.has_bot]),
            "approximate_user_install_count": 0,
            "redirect_uris": [],
            "interactions_endpoint_url": None,
            "role_connections_verification_url": None,
            "event_webhooks_status": 1,
            "integration_types_config": {"0": {}, "1": {}},
            "owner": {**self.bot.json, "bot": False},
            "team": None,
        }


def _numbered(components: list[Json]) -> list[Json]:
    """Components with the ids that Discord gives those which have none."""
    told = copy.deepcopy(components)
    for number, one in enumerate(walk(told), 1):
        one.setdefault("id", number)
    return told
