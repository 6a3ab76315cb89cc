"""Channels, threads and DMs, how Discord writes them, and what befalls them."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.fakes.discord.people import Json, Overwrite, Person, Stage, stamp, stamp_of

if TYPE_CHECKING:
    from tests.fakes.discord.guilds import Guild

TEXT: Final = 0
DM: Final = 1
VOICE: Final = 2
GROUP_DM: Final = 3
CATEGORY: Final = 4
ANNOUNCEMENT: Final = 5
ANNOUNCEMENT_THREAD: Final = 10
PUBLIC_THREAD: Final = 11
PRIVATE_THREAD: Final = 12
STAGE: Final = 13
FORUM: Final = 15
MEDIA: Final = 16
_THREADS: Final = (ANNOUNCEMENT_THREAD, PUBLIC_THREAD, PRIVATE_THREAD)


@dataclass(eq=False, slots=True)
class Channel:
    """A channel of a guild, a thread in one, or a DM."""

    world: Stage = field(repr=False)
    id: int
    kind: int
    name: str
    guild: "Guild | None" = field(default=None, repr=False)
    parent: "Channel | None" = field(default=None, repr=False)
    overwrites: dict[int, Overwrite] = field(default_factory=dict, repr=False)
    position: int = 0
    topic: str | None = None
    recipients: list[Person] = field(default_factory=list)
    tags: dict[int, str] = field(default_factory=dict)
    """The tags of a forum, by id."""
    requires_tag: bool = False
    owner_id: int = 0
    archived: bool = False
    locked: bool = False
    deleted: bool = False
    last_message_id: int | None = None
    message_count: int = 0
    applied_tags: list[int] = field(default_factory=list)

    @property
    def is_thread(self) -> bool:
        """Whether it is a thread, or a post in a forum."""
        return self.kind in _THREADS

    @property
    def is_private(self) -> bool:
        """Whether it is a DM."""
        return self.kind in (DM, GROUP_DM)

    @property
    def mention(self) -> str:
        """How a message mentions it."""
        return f"<#{self.id}>"

    @property
    def json(self) -> Json:
        """A channel as Discord writes it."""
        told: Json = {
            "id": str(self.id),
            "type": self.kind,
            "flags": 0,
            "last_message_id": str(self.last_message_id) if self.last_message_id else None,
        }
        if self.is_private:
            told["recipients"] = [one.json for one in self.recipients]
            if self.kind == GROUP_DM:
                told |= {"name": self.name, "icon": None, "owner_id": str(self.recipients[0].id)}
            return told
        told |= {"name": self.name, "rate_limit_per_user": 0}
        told["guild_id"] = str(self.guild.id) if self.guild else None
        told["parent_id"] = str(self.parent.id) if self.parent else None
        return told | (self._thread_json() if self.is_thread else self._channel_json())

    def _thread_json(self) -> Json:
        return {
            "owner_id": str(self.owner_id),
            "message_count": self.message_count,
            "total_message_sent": self.message_count,
            "member_count": 1,
            "applied_tags": [str(one) for one in self.applied_tags],
            "thread_metadata": {
                "archived": self.archived,
                "archive_timestamp": stamp_of(self.id),
                "auto_archive_duration": 4320,
                "locked": self.locked,
                "create_timestamp": stamp_of(self.id),
            },
        }

    def _channel_json(self) -> Json:
        told: Json = {
            "position": self.position,
            "permission_overwrites": [one.json for one in self.overwrites.values()],
            "nsfw": False,
        }
        if self.kind == CATEGORY:
            return told
        told["topic"] = self.topic
        if self.kind in (VOICE, STAGE):
            told |= {"bitrate": 64000, "user_limit": 0, "rtc_region": None}
        else:
            told |= {"last_pin_timestamp": None, "default_auto_archive_duration": 4320}
        if self.kind in (FORUM, MEDIA):
            told["available_tags"] = [
                {"id": str(one), "name": name, "moderated": False, "emoji_id": None,
                 "emoji_name": None}
                for one, name in self.tags.items()
            ]  # fmt: skip
            told |= {
                "flags": 16 if self.requires_tag else 0,
                "default_reaction_emoji": None,
                "default_sort_order": None,
                "default_forum_layout": 0,
                "template": "",
            }
        return told

    def thread(
        self,
        name: str,
        *,
        owner: Person | None = None,
        private: bool = False,
        number: int | None = None,
    ) -> "Channel":
        """Open a thread in this channel, with the id of the message it is at; the bot is told."""
        public = ANNOUNCEMENT_THREAD if self.kind == ANNOUNCEMENT else PUBLIC_THREAD
        with self.world.change():
            assert self.guild
            kind = PRIVATE_THREAD if private else public
            number = number or self.world.snowflake()
            thread = Channel(self.world, number, kind, name, self.guild, self)
            thread.owner_id = (owner or self.guild.owner).id
            self.guild.channels[thread.id] = thread
            told = thread.json | {"newly_created": True}
            self.world.dispatch("THREAD_CREATE", told, self.guild.id)
        return thread

    def post(self, name: str, *, owner: Person | None = None, tag: str | None = None) -> "Channel":
        """Open a post in this forum; the bot is told."""
        assert self.kind in (FORUM, MEDIA)
        post = self.thread(name, owner=owner)
        post.applied_tags = [one for one, label in self.tags.items() if label == tag]
        return post

    def rename(self, name: str) -> None:
        """Give it another name."""
        with self.world.change():
            self.name = name
            self.told("UPDATE")

    def archive(self, *, locked: bool = False) -> None:
        """Archive this thread, and lock it if wanted."""
        with self.world.change():
            self.archived, self.locked = True, locked
            self.told("UPDATE")

    def unarchive(self) -> None:
        """Open this thread again."""
        with self.world.change():
            self.archived = self.locked = False
            self.told("UPDATE")

    def delete(self) -> None:
        """Delete it, with its threads; the bot is told."""
        with self.world.change():
            assert self.guild
            for one in list(self.guild.channels.values()):
                if one is self or (one.is_thread and one.parent is self):
                    one.deleted = True
                    del self.guild.channels[one.id]
            if self.is_thread:
                assert self.parent
                told: Json = {
                    "id": str(self.id),
                    "guild_id": str(self.guild.id),
                    "parent_id": str(self.parent.id),
                    "type": self.kind,
                }
                self.world.dispatch("THREAD_DELETE", told, self.guild.id)
            else:
                self.told("DELETE")

    def told(self, what: str) -> None:
        """Tell the bot that this was created, updated or deleted."""
        assert self.guild
        kind = "THREAD" if self.is_thread else "CHANNEL"
        self.world.dispatch(f"{kind}_{what}", self.json, self.guild.id)

    def add_tag(self, name: str, *, required: bool = False) -> int:
        """Let this forum have a tag; returns its id."""
        with self.world.change():
            tag = self.world.snowflake()
            self.tags[tag] = name
            self.requires_tag = self.requires_tag or required
            self.told("UPDATE")
        return tag


def thread_member(thread: Channel, who: int) -> Json:
    """Somebody in a thread."""
    return {"id": str(thread.id), "user_id": str(who), "join_timestamp": stamp(), "flags": 0}
