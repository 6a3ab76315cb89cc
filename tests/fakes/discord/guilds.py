"""Guilds, how Discord writes them, and what befalls them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.fakes.discord import channels as kinds
from tests.fakes.discord.channels import Channel
from tests.fakes.discord.people import Json, Member, Overwrite, Person, Role, Stage
from tests.fakes.discord.permissions import EVERYONE, bits, granted, names

if TYPE_CHECKING:
    from collections.abc import Sequence

Whom = Role | Person | None
"""A role, a member, or the bot where there is none."""


@dataclass(eq=False, slots=True)
class Guild:
    """A guild; what is done here is told to the bot if it is in it."""

    world: Stage = field(repr=False)
    id: int
    name: str
    owner: Person
    locale: str = "en-US"
    roles: dict[int, Role] = field(default_factory=dict, repr=False)
    members: dict[int, Member] = field(default_factory=dict, repr=False)
    channels: dict[int, Channel] = field(default_factory=dict, repr=False)
    """Channels and threads by id, without those deleted."""
    is_available: bool = True
    is_missing: bool = False
    """Whether requests for its channels are answered as if there were none."""
    is_deleted: bool = False

    @property
    def has_bot(self) -> bool:
        """Whether the bot is in it."""
        return self.world.bot.id in self.members

    @property
    def everyone(self) -> Role:
        """The role of everyone."""
        return self.roles[self.id]

    @property
    def bot_role(self) -> Role | None:
        """The bot's own role."""
        bot = self.world.bot.id
        return next((role for role in self.roles.values() if role.managed_by == bot), None)

    @property
    def stub(self) -> Json:
        """What is told of it while it is unavailable."""
        return {"id": str(self.id), "unavailable": True}

    @property
    def json(self) -> Json:
        """A guild as REST has it."""
        nothing = (
            "icon", "splash", "discovery_splash", "banner", "description", "vanity_url_code",
            "afk_channel_id", "application_id", "system_channel_id", "rules_channel_id",
            "public_updates_channel_id", "safety_alerts_channel_id", "widget_channel_id",
            "home_header", "incidents_data", "inventory_settings", "hub_type",
        )  # fmt: skip
        return dict.fromkeys(nothing) | {
            "id": str(self.id),
            "name": self.name,
            "owner_id": str(self.owner.id),
            "preferred_locale": self.locale,
            "region": "deprecated",
            "roles": [role.json for role in self.roles.values()],
            "emojis": [],
            "stickers": [],
            "features": [],
            "afk_timeout": 300,
            "verification_level": 0,
            "default_message_notifications": 1,
            "explicit_content_filter": 0,
            "mfa_level": 0,
            "nsfw": False,
            "nsfw_level": 0,
            "premium_tier": 0,
            "premium_subscription_count": 0,
            "premium_progress_bar_enabled": False,
            "system_channel_flags": 0,
            "max_members": 500_000,
            "max_presences": None,
            "max_video_channel_users": 25,
            "max_stage_video_channel_users": 50,
            "widget_enabled": False,
        }

    def created(self, *, joined: bool = False) -> Json:
        """What GUILD_CREATE tells; a guild that the bot has joined just now is not `unavailable`.

        discord.py tells a join from a return by that.
        """
        bot = self.world.bot.id
        mine = self.members[bot]
        visible = [
            one.json
            for one in self.channels.values()
            if one.is_thread and not one.archived and granted(self, bot, one)
        ]
        told = self.json | {
            "joined_at": mine.joined_at,
            "large": len(self.members) > 250,
            "member_count": len(self.members),
            "members": [mine.json()],
            "voice_states": [],
            "presences": [],
            "channels": [one.json for one in self.channels.values() if not one.is_thread],
            "threads": visible,
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }
        return told if joined else told | {"unavailable": False}

    def text(self, name: str, *, under: Channel | None = None, topic: str | None = None) -> Channel:
        """Make a text channel."""
        return self.channel(kinds.TEXT, name, under=under, topic=topic)

    def announcement(self, name: str, *, under: Channel | None = None) -> Channel:
        """Make an announcement channel."""
        return self.channel(kinds.ANNOUNCEMENT, name, under=under)

    def forum(self, name: str, *, under: Channel | None = None) -> Channel:
        """Make a forum."""
        return self.channel(kinds.FORUM, name, under=under)

    def category(self, name: str) -> Channel:
        """Make a category."""
        return self.channel(kinds.CATEGORY, name)

    def voice(self, name: str, *, under: Channel | None = None) -> Channel:
        """Make a voice channel."""
        return self.channel(kinds.VOICE, name, under=under)

    def channel(
        self, kind: int, name: str, *, under: Channel | None = None, topic: str | None = None
    ) -> Channel:
        """Make a channel of a kind."""
        with self.world.change():
            made = Channel(self.world, self.world.snowflake(), kind, name, self, under)
            made.position, made.topic = len(self.channels), topic
            if under:
                made.overwrites.update(under.overwrites)
            self.channels[made.id] = made
            made.told("CREATE")
        return made

    def role(
        self, name: str, *permissions: str, mentionable: bool = False, position: int | None = None
    ) -> Role:
        """Make a role with permissions by their names."""
        with self.world.change():
            role = Role(self.world.snowflake(), name, bits(*permissions), mentionable)
            role.position = len(self.roles) if position is None else position
            self.roles[role.id] = role
            self._told("GUILD_ROLE_CREATE", {"role": role.json})
        return role

    def change_role(
        self,
        role: Role,
        *,
        name: str | None = None,
        mentionable: bool | None = None,
        permissions: Iterable[str] | None = None,
    ) -> None:
        """Change a role."""
        with self.world.change():
            role.name = role.name if name is None else name
            role.mentionable = role.mentionable if mentionable is None else mentionable
            if permissions is not None:
                role.permissions = bits(*permissions)
            self._told("GUILD_ROLE_UPDATE", {"role": role.json})

    def delete_role(self, role: Role) -> None:
        """Delete a role."""
        with self.world.change():
            del self.roles[role.id]
            for member in self.members.values():
                if role.id in member.roles:
                    member.roles.remove(role.id)
            self._told("GUILD_ROLE_DELETE", {"role_id": str(role.id)})

    def join(self, person: Person, roles: "Sequence[Role]" = (), nick: str | None = None) -> Member:
        """Let somebody be a member."""
        with self.world.change():
            member = Member(person, [role.id for role in roles], nick)
            self.members[person.id] = member
        return member

    def leave(self, person: Person) -> None:
        """Let somebody leave."""
        with self.world.change():
            del self.members[person.id]

    def set_roles(self, person: Person, roles: "Sequence[Role]") -> None:
        """Give somebody these roles besides what a bot always keeps; a bot is told of its own."""
        with self.world.change():
            member = self.members[person.id]
            kept = [one for one in member.roles if self.roles[one].managed_by == person.id]
            member.roles = kept + [role.id for role in roles]
            if person is self.world.bot:
                self._told("GUILD_MEMBER_UPDATE", member.json())

    def rename_bot(self, nick: str | None) -> None:
        """Give the bot a nickname here."""
        with self.world.change():
            member = self.members[self.world.bot.id]
            member.nick = nick
            self._told("GUILD_MEMBER_UPDATE", member.json())

    def allow(self, channel: Channel, *permissions: str, to: Whom = None) -> None:
        """Allow something in a channel, to the bot where nobody is named."""
        self._overwrite(channel, permissions, to, allow=True)

    def forbid(self, channel: Channel, *permissions: str, to: Whom = None) -> None:
        """Forbid something in a channel, to the bot where nobody is named."""
        self._overwrite(channel, permissions, to, allow=False)

    def _overwrite(
        self, channel: Channel, permissions: Iterable[str], to: Whom, *, allow: bool
    ) -> None:
        assert not channel.is_thread, "a thread has the permissions of its parent"
        whom = to or self.world.bot
        with self.world.change():
            old = channel.overwrites.get(whom.id) or Overwrite(whom.id, isinstance(whom, Person))
            given = bits(*permissions)
            channel.overwrites[whom.id] = (
                Overwrite(old.id, old.is_member, old.allow | given, old.deny & ~given)
                if allow
                else Overwrite(old.id, old.is_member, old.allow & ~given, old.deny | given)
            )
            channel.told("UPDATE")

    def allows(self, channel: Channel | None = None, who: Person | None = None) -> set[str]:
        """What somebody may do in a channel or in the guild, the bot where nobody is named."""
        return names(granted(self, (who or self.world.bot).id, channel))

    def kick_bot(self, *, told: bool = True) -> None:
        """Remove the bot; it is told unless it is offline anyway or the event is to be lost."""
        with self.world.change():
            if told and self.is_available:
                self.world.dispatch("GUILD_DELETE", {"id": str(self.id)}, self.id)
            self._without_bot()

    def add_bot(self, *permissions: str) -> None:
        """Add the bot, with the permissions that are asked for."""
        with self.world.change():
            self.with_bot(*permissions)
            self.world.dispatch("GUILD_CREATE", self.created(joined=True), self.id)

    def with_bot(self, *permissions: str) -> None:
        """Let the bot be a member, which is told nobody."""
        bot = self.world.bot
        role = Role(self.world.snowflake(), bot.name, bits(*permissions), position=len(self.roles))
        role.managed_by = bot.id
        self.roles[role.id] = role
        self.members[bot.id] = Member(bot, [role.id])

    def _without_bot(self) -> None:
        if role := self.bot_role:
            del self.roles[role.id]
        self.members.pop(self.world.bot.id, None)

    def delete(self) -> None:
        """Delete the guild, which looks to the bot as if it was kicked."""
        with self.world.change():
            self.world.dispatch("GUILD_DELETE", {"id": str(self.id)}, self.id)
            self.is_deleted = True
            for channel in self.channels.values():
                channel.deleted = True
            self.members.clear()

    def unavailable(self, *, missing: bool = False) -> None:
        """Let an outage begin; `missing` answers for its channels as if there were none."""
        with self.world.change():
            self.world.dispatch("GUILD_DELETE", self.stub, self.id)
            self.is_available, self.is_missing = False, missing

    def available(self) -> None:
        """Let an outage end."""
        with self.world.change():
            self.is_available, self.is_missing = True, False
            self.world.dispatch("GUILD_CREATE", self.created(), self.id)

    def rename(self, name: str) -> None:
        """Give it another name."""
        with self.world.change():
            self.name = name
            self.world.dispatch("GUILD_UPDATE", self.json, self.id)

    def _told(self, name: str, data: Json) -> None:
        self.world.dispatch(name, data | {"guild_id": str(self.id)}, self.id)


def everyone(guild: Guild) -> Role:
    """The role of everyone in a new guild, whose id is the guild's."""
    return Role(guild.id, "@everyone", EVERYONE, position=0)
