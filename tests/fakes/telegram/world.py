"""The world behind the server: who is where, every message, and what waits for the bot.

Everything here is guarded by `lock`, which is notified of every change.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.fakes.telegram.faults import Limits, Refused, Script, bad_request, forbidden
from tests.fakes.telegram.people import (
    ANONYMOUS,
    CHANNEL_BOT,
    GENERAL,
    GROUPS,
    LEFT,
    LINKED_CHANNEL,
    Chat,
    Json,
    Member,
    Person,
)
from tests.fakes.telegram.records import Answer, Post, Press, Request, Sent
from tests.fakes.telegram.updates import Updates

SUPERGROUPS: Final = -1_000_000_000_000
"""Ids of supergroups and channels lie below this."""


@dataclass
class World:
    """Everything that the server knows."""

    bot: Person
    privacy: bool = True
    limits: Limits | None = None
    people: dict[int, Person] = field(default_factory=dict)
    chats: dict[int, Chat] = field(default_factory=dict)
    posts: dict[tuple[int, int], Post] = field(default_factory=dict)
    updates: Updates = field(default_factory=Updates)
    script: Script = field(default_factory=Script)
    revoked: bool = False

    history: list[Sent] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    presses: dict[str, Press] = field(default_factory=dict)
    """Presses that wait for an answer."""
    settings: dict[tuple[str, str, str], object] = field(default_factory=dict)
    """What the bot has set: the kind of setting, the scope and the language."""

    lock: threading.Condition = field(default_factory=threading.Condition)
    on_change: Callable[[], None] | None = None
    _numbers: int = 0
    _messages: int = 0

    def __post_init__(self) -> None:
        for person in (self.bot, ANONYMOUS, CHANNEL_BOT, LINKED_CHANNEL):
            self.people[person.id] = person

    @contextmanager
    def change(self) -> Iterator[None]:
        """Change something, and tell everyone who waits."""
        with self.lock:
            yield
            self.lock.notify_all()
            if self.on_change:
                self.on_change()

    def number(self) -> int:
        """A number that was not given before, for ids."""
        self._numbers += 1
        return self._numbers

    def message_id(self, chat: Chat) -> int:
        """The id of the next message in a chat."""
        if chat.is_own_numbering:
            chat.last_message += 1
            return chat.last_message
        self._messages += 1
        return self._messages

    def add(self, chat: Chat) -> Chat:
        """Let there be a chat."""
        self.chats[chat.id] = chat
        return chat

    def chat(self, chat_id: object) -> Chat:
        """The chat of an id or @name; raises `Refused` where there is none."""
        if isinstance(chat_id, str) and chat_id.startswith("@"):
            named = (one for one in self.chats.values() if one.username == chat_id[1:])
            found = next(named, None)
        elif isinstance(chat_id, int):
            found = self.chats.get(chat_id)
        else:
            raise bad_request("chat not found" if chat_id else "chat_id is empty")
        if found is None or (found.deleted and found.is_own_numbering):
            raise bad_request("chat not found")
        return found

    def reachable(self, chat_id: object, *, read_only: bool = False) -> Chat:
        """A chat that the bot may write to, or look at; raises `Refused` with the reason."""
        chat = self.chat(chat_id)
        refused = _private(chat) if chat.type == "private" else _shared(chat)
        if refused and not (read_only and chat.type in ("private", "group")):
            raise refused
        return chat

    def writable(self, chat_id: object, thread: int | None, what: str) -> Chat:
        """A chat and topic where the bot may send this; raises `Refused` with the reason."""
        chat = self.reachable(chat_id)
        if chat.type == "channel" and not (chat.bot.is_admin and chat.bot.may("can_post_messages")):
            raise bad_request("need administrator rights in the channel chat")
        right = "can_send_documents" if what == "documents" else "can_send_messages"
        if chat.bot.status == "restricted" and not chat.bot.may(right):
            raise bad_request(f"not enough rights to send {what} to the chat")
        self._check_topic(chat, thread)
        return chat

    def _check_topic(self, chat: Chat, thread: int | None) -> None:
        if chat.type == "private" and thread:
            raise bad_request("message thread not found")
        if not chat.is_forum:
            return
        topic = chat.topics.get(thread or GENERAL)
        if thread and (thread == GENERAL or topic is None or topic.deleted):
            raise bad_request("message thread not found")
        manages = chat.bot.is_admin and chat.bot.may("can_manage_topics")
        if topic and topic.closed and not manages:
            raise bad_request("TOPIC_CLOSED")

    def thread(self, chat: Chat, thread: int | None) -> int | None:
        """The topic that a message goes to: outside of forums it is ignored."""
        return thread if chat.is_forum else None

    def message(self, chat: Chat, sender: Json, content: Json, thread: int | None = None) -> Json:
        """A new Message in a chat."""
        told: Json = {"message_id": self.message_id(chat), **sender}
        told |= {"date": int(time.time()), "chat": chat.json}
        if thread:
            topic = chat.topics[thread]
            told |= {"message_thread_id": thread, "is_topic_message": True}
            # Telegram counts every message of a topic as a reply to the one that opened it.
            told["reply_to_message"] = {
                "message_id": thread,
                "date": told["date"],
                "chat": chat.json,
                "message_thread_id": thread,
                "is_topic_message": True,
                "forum_topic_created": {"name": topic.name, "icon_color": 0x6FB9F0},
            }
        return told | content

    def bot_sender(self, chat: Chat) -> Json:
        """How messages of the bot in a chat name their sender."""
        return {"sender_chat": chat.json} if chat.type == "channel" else {"from": self.bot.json}

    def hears(self, chat: Chat, message: Json) -> bool:
        """Whether the bot is told of a message of a person, in view of privacy mode."""
        if not chat.bot.is_in or chat.deleted or chat.moved_to:
            return False
        if chat.type not in GROUPS or chat.bot.is_admin or not self.privacy:
            return True
        text = message.get("text", "")
        if text.startswith("/"):
            _, at, name = text.split()[0].partition("@")
            return not at or name.lower() == (self.bot.username or "").lower()
        answered = message.get("reply_to_message", {}).get("from", {})
        return "text" not in message or answered.get("id") == self.bot.id

    def become(self, chat: Chat, status: Member, by: Person) -> None:
        """Change what the bot is in a chat, and tell it."""
        body = self._changed(chat, self.bot, chat.bot, status, by)
        chat.bot = status
        self.updates.add("my_chat_member", body)

    def change_member(self, chat: Chat, person: Person, status: Member, by: Person) -> None:
        """Change what somebody is in a chat; the bot is told if it asked for such updates."""
        body = self._changed(chat, person, chat.member(person.id), status, by)
        chat.members[person.id] = status
        if chat.bot.is_admin:
            self.updates.add("chat_member", body)

    def _changed(self, chat: Chat, who: Person, old: Member, new: Member, by: Person) -> Json:
        return {
            "chat": chat.json,
            "from": by.json,
            "date": int(time.time()),
            "old_chat_member": old.json(who, chat.type),
            "new_chat_member": new.json(who, chat.type),
        }

    def status(self, chat: Chat, person: Person) -> Member:
        """What somebody is in a chat, the bot included."""
        if person.id == self.bot.id:
            return chat.bot
        if chat.type == "private":
            return Member("member") if person.id == chat.id else LEFT
        return chat.member(person.id)


def _private(chat: Chat) -> Refused | None:
    if chat.deleted:
        return forbidden("user is deactivated")
    if chat.bot.status == "kicked":
        return forbidden("bot was blocked by the user")
    if chat.bot.status == "left":
        return forbidden("bot can't initiate conversation with a user")
    return None


def _shared(chat: Chat) -> Refused | None:
    if chat.moved_to:
        refused = bad_request("group chat was upgraded to a supergroup chat")
        return Refused(400, refused.description, {"migrate_to_chat_id": chat.moved_to.id})
    if chat.deleted:
        return forbidden("the group chat was deleted")
    if chat.bot.status == "kicked":
        return forbidden(f"bot was kicked from the {chat.type} chat")
    if chat.bot.status == "left":
        return forbidden(f"bot is not a member of the {chat.type} chat")
    return None
