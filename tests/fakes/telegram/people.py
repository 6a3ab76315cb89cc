"""Who is in the world: people, chats, memberships and topics, and how Telegram writes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Json = dict[str, Any]
Status = Literal["creator", "administrator", "member", "restricted", "left", "kicked"]

GROUPS: Final = ("group", "supergroup")
GENERAL: Final = 1
"""The topic that is there without being made; messages in it carry no topic."""

_ADMIN_RIGHTS: Final = (
    "can_manage_chat", "can_delete_messages", "can_manage_video_chats", "can_restrict_members",
    "can_promote_members", "can_change_info", "can_invite_users", "can_post_stories",
    "can_edit_stories", "can_delete_stories",
)  # fmt: skip
_GROUP_ADMIN_RIGHTS: Final = ("can_pin_messages", "can_manage_topics", "can_manage_tags")
_CHANNEL_ADMIN_RIGHTS: Final = (
    "can_post_messages", "can_edit_messages", "can_manage_direct_messages",
)  # fmt: skip
_MEMBER_RIGHTS: Final = (
    "can_send_messages", "can_send_audios", "can_send_documents", "can_send_photos",
    "can_send_videos", "can_send_video_notes", "can_send_voice_notes", "can_send_polls",
    "can_send_other_messages", "can_add_web_page_previews", "can_react_to_messages",
    "can_edit_tag", "can_change_info", "can_invite_users", "can_pin_messages",
    "can_manage_topics",
)  # fmt: skip
RIGHTS: Final = frozenset(
    (*_ADMIN_RIGHTS, *_GROUP_ADMIN_RIGHTS, *_CHANNEL_ADMIN_RIGHTS, *_MEMBER_RIGHTS, "is_anonymous")
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account; a chat with the bot has the same id."""

    id: int
    first_name: str
    username: str | None = None
    language: str | None = "en"
    is_bot: bool = False

    @property
    def json(self) -> Json:
        """A User."""
        return _without_nothing(
            id=self.id,
            is_bot=self.is_bot,
            first_name=self.first_name,
            username=self.username,
            language_code=self.language,
        )


ANONYMOUS: Final = Person(1087968824, "Group", "GroupAnonymousBot", None, is_bot=True)
"""Whom Telegram names as the sender of what an anonymous administrator writes."""

CHANNEL_BOT: Final = Person(136817688, "Channel", "Channel_Bot", None, is_bot=True)
"""Whom Telegram names as the sender of what a channel writes in a group."""

LINKED_CHANNEL: Final = Person(777000, "Telegram", None, None)
"""Whom Telegram names as the sender of a channel's post that it copies into the linked group."""


@dataclass(frozen=True, slots=True)
class Member:
    """What somebody is in a chat; `rights` says what differs from the usual for that status."""

    status: Status
    rights: Mapping[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = set(self.rights) - RIGHTS
        assert not unknown, f"no such right in Telegram: {', '.join(sorted(unknown))}"

    @property
    def is_in(self) -> bool:
        """Whether they are in the chat."""
        return self.status not in ("left", "kicked")

    @property
    def is_admin(self) -> bool:
        """Whether they administer the chat."""
        return self.status in ("creator", "administrator")

    def may(self, right: str) -> bool:
        """Whether they have a right, by its name in the Bot API."""
        usual = {
            "creator": right != "is_anonymous",
            "administrator": right not in ("is_anonymous", "can_promote_members"),
            "member": right.startswith("can_send_"),
        }.get(self.status, False)
        return self.rights.get(right, usual)

    def json(self, person: Person, chat_type: str) -> Json:
        """A ChatMember of a chat of this type."""
        told: Json = {"status": self.status, "user": person.json}
        if self.is_admin:
            told["is_anonymous"] = self.may("is_anonymous")
        if self.status == "administrator":
            more = _CHANNEL_ADMIN_RIGHTS if chat_type == "channel" else _GROUP_ADMIN_RIGHTS
            told["can_be_edited"] = False
            told |= {right: self.may(right) for right in (*_ADMIN_RIGHTS, *more)}
        if self.status == "restricted":
            told |= {right: self.may(right) for right in _MEMBER_RIGHTS}
            told["is_member"] = True
        if self.status in ("restricted", "kicked"):
            told["until_date"] = 0
        return told


LEFT: Final = Member("left")


@dataclass(slots=True)
class Topic:
    """A topic of a forum."""

    id: int
    name: str
    closed: bool = False
    deleted: bool = False


@dataclass(eq=False, slots=True)
class Chat:
    """A place for messages, with what the bot and the others are there.

    In a private chat `bot` is "left" until its person has started the bot and "kicked" while it is
    blocked.
    """

    id: int
    type: str
    title: str
    username: str | None = None
    is_forum: bool = False
    bot: Member = field(default_factory=lambda: Member("member"))
    members: dict[int, Member] = field(default_factory=dict)
    topics: dict[int, Topic] = field(default_factory=dict)
    moved_to: "Chat | None" = None
    deleted: bool = False
    last_message: int = 0

    @property
    def json(self) -> Json:
        """A Chat."""
        name = "first_name" if self.type == "private" else "title"
        told = _without_nothing(id=self.id, type=self.type, username=self.username)
        return told | {name: self.title} | ({"is_forum": True} if self.is_forum else {})

    @property
    def is_own_numbering(self) -> bool:
        """Whether its messages are numbered by themselves; others share one count."""
        return self.type in ("supergroup", "channel")

    def topic(self, name: str) -> int:
        """Open a topic that the bot was not told of; returns its id."""
        assert self.is_forum, f"{self.title} has no topics"
        self.last_message += 1
        self.topics[self.last_message] = Topic(self.last_message, name)
        return self.last_message

    def member(self, user: int) -> Member:
        """What somebody is here."""
        return self.members.get(user, LEFT)


def _without_nothing(**values: Any) -> Json:
    return {name: value for name, value in values.items() if value is not None}
