"""What people do: talk, press buttons, block the bot, move it around, close topics."""

import time
from typing import Final

from tests.fakes.telegram import markup
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
    Status,
    Topic,
)
from tests.fakes.telegram.records import Post, Press, Said, Sent
from tests.fakes.telegram.world import SUPERGROUPS, World

_FIRST_PERSON: Final = 410_000_000
_FIRST_GROUP: Final = -4_100_000_000


class Stage:
    """People and chats, and what they do that the bot may be told of."""

    _world: World

    def person(
        self,
        name: str,
        *,
        username: str | None = None,
        language: str | None = "en",
        started: bool = False,
    ) -> Person:
        """Somebody with an account; `started` says that they have started the bot before."""
        with self._world.change():
            person = Person(_FIRST_PERSON + self._world.number(), name, username, language)
            self._world.people[person.id] = person
            bot = Member("member") if started else LEFT
            self._world.add(Chat(person.id, "private", name, username, bot=bot))
        return person

    def group(
        self,
        title: str,
        *,
        owner: Person | None = None,
        admins: tuple[Person, ...] | list[Person] = (),
        members: tuple[Person, ...] | list[Person] = (),
        bot: Member | Status = "member",
    ) -> Chat:
        """A basic group, in which the bot is already without having been told."""
        return self._place("group", title, owner, admins, members, bot)

    def supergroup(
        self,
        title: str,
        *,
        owner: Person | None = None,
        admins: tuple[Person, ...] | list[Person] = (),
        members: tuple[Person, ...] | list[Person] = (),
        bot: Member | Status = "member",
        forum: bool = False,
        username: str | None = None,
    ) -> Chat:
        """A supergroup, in which the bot is already without having been told."""
        chat = self._place("supergroup", title, owner, admins, members, bot)
        chat.username = username
        if forum:
            chat.is_forum = True
            chat.topics[GENERAL] = Topic(GENERAL, "General")
            chat.last_message = GENERAL
        return chat

    def channel(
        self,
        title: str,
        *,
        owner: Person | None = None,
        admins: tuple[Person, ...] | list[Person] = (),
        members: tuple[Person, ...] | list[Person] = (),
        bot: Member | Status = "administrator",
        username: str | None = None,
    ) -> Chat:
        """A channel, in which the bot is already without having been told."""
        chat = self._place("channel", title, owner, admins, members, bot)
        chat.username = username
        return chat

    def _place(
        self,
        kind: str,
        title: str,
        owner: Person | None,
        admins: tuple[Person, ...] | list[Person],
        members: tuple[Person, ...] | list[Person],
        bot: Member | Status,
    ) -> Chat:
        with self._world.change():
            number = self._world.number()
            chat_id = _FIRST_GROUP - number if kind == "group" else SUPERGROUPS - 2**31 - number
            chat = Chat(chat_id, kind, title, bot=_member(bot))
            chat.members |= {one.id: Member("member") for one in members}
            chat.members |= {one.id: Member("administrator") for one in admins}
            if owner:
                chat.members[owner.id] = Member("creator")
            return self._world.add(chat)

    def private(self, person: Person) -> Chat:
        """The chat of a person with the bot."""
        return self._world.chats[person.id]

    def say(
        self,
        person: Person,
        text: str,
        chat: Chat | None = None,
        *,
        topic: int | None = None,
        as_anonymous_admin: bool = False,
        as_channel: Chat | None = None,
        reply_to: Said | Sent | int | None = None,
    ) -> Said:
        """Write a message; to the bot itself where no chat is named, which starts or unblocks it.

        In groups the bot hears of it as privacy mode has it: commands, replies to the bot, and all
        where it is an administrator.
        """
        chat = chat or self.private(person)
        with self._world.change():
            self._enter(person, chat)
            text, entities = markup.said(text)
            content: Json = {"text": text} | ({"entities": entities} if entities else {})
            sender: Json = {"from": person.json}
            if as_anonymous_admin:
                assert chat.type in GROUPS
                assert chat.member(person.id).is_admin, f"{person.first_name} is no administrator"
                sender = {"from": ANONYMOUS.json, "sender_chat": chat.json}
            if as_channel:
                sender = {"from": CHANNEL_BOT.json, "sender_chat": as_channel.json}
            return self._arrives(chat, sender, content, topic, reply_to)

    def post(
        self, channel: Chat, text: str, *, into: Chat | None = None, signed: str | None = None
    ) -> Said:
        """Post in a channel; `into` is a linked group that Telegram copies the post to."""
        with self._world.change():
            text, entities = markup.said(text)
            content: Json = {"text": text} | ({"entities": entities} if entities else {})
            if signed:
                content["author_signature"] = signed
            said = self._arrives(channel, {"sender_chat": channel.json}, content, None, None)
            if into:
                sender = {"from": LINKED_CHANNEL.json, "sender_chat": channel.json}
                self._arrives(into, sender, content | {"is_automatic_forward": True}, None, None)
        return said

    def edit(self, message: Said, text: str) -> None:
        """Change what a person or a channel has written."""
        with self._world.change():
            post = self._world.posts[message.chat_id, message.message_id]
            text, entities = markup.said(text)
            post.json = post.json | {"text": text, "edit_date": int(time.time())}
            post.json.pop("entities", None)
            if entities:
                post.json["entities"] = entities
            chat = self._world.chats[message.chat_id]
            if self._world.hears(chat, post.json):
                kind = "edited_channel_post" if chat.type == "channel" else "edited_message"
                self._world.updates.add(kind, post.json)

    def press(
        self,
        person: Person,
        message: Sent,
        label: str | None = None,
        *,
        data: str | None = None,
        inaccessible: bool = False,
    ) -> Press:
        """Press the inline button with this label, as the message stands now.

        `data` sends what no button holds, as a forged client can. `inaccessible` presses it in a
        message so old that the bot is told of the message's place only.
        """
        with self._world.change():
            post = self._world.posts.get((message.chat_id, message.message_id))
            assert post or data is not None, "the message is deleted"
            if data is None:
                assert post
                data = _button(post, label)
            place: Json = {"chat": self._world.chats[message.chat_id].json}
            place |= {"message_id": message.message_id, "date": 0}
            press = Press(str(10**17 + self._world.number()), person.id, data)
            self._world.presses[press.id] = press
            query: Json = {
                "id": press.id,
                "from": person.json,
                "message": place if inaccessible or post is None else post.json,
                "chat_instance": str(abs(message.chat_id) * 7919),
                "data": data,
            }
            self._world.updates.add("callback_query", query)
        return press

    def expire(self, press: Press) -> None:
        """Let so much time pass that a press can no longer be answered."""
        with self._world.change():
            del self._world.presses[press.id]

    def share_chat(self, person: Person, request: Sent, chosen: Chat) -> Said:
        """Choose a chat with the button of the bot's message that asks for one.

        As in Telegram only an administrator can share a channel, and the bot gets the rights there
        that the button asks for.
        """
        asked = _chat_request(request)
        assert asked["chat_is_channel"] == (chosen.type == "channel"), "a chat of the wrong kind"
        rights = asked.get("bot_administrator_rights")
        with self._world.change():
            if "user_administrator_rights" in asked or chosen.type == "channel":
                assert chosen.member(person.id).is_admin, f"{person.first_name} is no administrator"
            if rights and not chosen.bot.is_admin:
                self._world.become(chosen, Member("administrator", rights), person)
            elif asked.get("bot_is_member") and not chosen.bot.is_in:
                self._world.become(chosen, Member("member"), person)
            shared: Json = {"request_id": asked["request_id"], "chat_id": chosen.id}
            if asked.get("request_title"):
                shared["title"] = chosen.title
            if asked.get("request_username") and chosen.username:
                shared["username"] = chosen.username
            chat = self._world.chats[request.chat_id]
            return self._arrives(chat, {"from": person.json}, {"chat_shared": shared}, None, None)

    def set_bot(
        self, chat: Chat, status: Status, *, by: Person | None = None, **rights: bool
    ) -> None:
        """Make the bot a member, administrator, restricted … of a chat, and tell it.

        Rights go by their name in the Bot API; those left out are as usual for the status.
        """
        with self._world.change():
            joins = not chat.bot.is_in
            actor = by or self._somebody(chat)
            self._world.become(chat, Member(status, rights), actor)
            if joins and chat.bot.is_in and chat.type in GROUPS:
                content = {"new_chat_members": [self._world.bot.json]}
                self._arrives(chat, {"from": actor.json}, content, None, None)

    def add_bot(
        self, chat: Chat, *, by: Person | None = None, status: Status = "member", **rights: bool
    ) -> None:
        """Add the bot to a chat."""
        self.set_bot(chat, status, by=by, **rights)

    def remove_bot(self, chat: Chat, *, by: Person | None = None) -> None:
        """Remove the bot from a chat."""
        self.set_bot(chat, "kicked", by=by)

    def set_member(
        self,
        chat: Chat,
        person: Person,
        status: Status,
        *,
        by: Person | None = None,
        **rights: bool,
    ) -> None:
        """Make somebody a member, administrator … of a chat."""
        with self._world.change():
            actor = by or self._somebody(chat)
            self._world.change_member(chat, person, Member(status, rights), actor)

    def block(self, person: Person) -> None:
        """Let somebody block the bot."""
        with self._world.change():
            self._world.become(self.private(person), Member("kicked"), person)

    def unblock(self, person: Person) -> None:
        """Let somebody unblock the bot."""
        with self._world.change():
            self._world.become(self.private(person), Member("member"), person)

    def deactivate(self, person: Person) -> None:
        """Let an account be deleted."""
        with self._world.change():
            self.private(person).deleted = True

    def delete_chat(self, chat: Chat) -> None:
        """Let a group or channel be deleted; the bot is not told."""
        with self._world.change():
            chat.deleted = True

    def upgrade(self, group: Chat, *, by: Person | None = None, announced: bool = True) -> Chat:
        """Upgrade a group to a supergroup, which has another id; returns the supergroup.

        Without `announced` the bot misses both service messages.
        """
        assert group.type == "group"
        with self._world.change():
            chat_id = SUPERGROUPS - 2**31 - self._world.number()
            new = Chat(chat_id, "supergroup", group.title, bot=group.bot, members=group.members)
            self._world.add(new)
            if announced:
                old_sender = {"from": (by or self._somebody(group)).json}
                self._arrives(group, old_sender, {"migrate_to_chat_id": new.id}, None, None)
            group.moved_to = new
            if announced:
                sender = {"from": ANONYMOUS.json, "sender_chat": new.json}
                self._arrives(new, sender, {"migrate_from_chat_id": group.id}, None, None)
        return new

    def close_topic(self, chat: Chat, topic: int = GENERAL) -> None:
        """Close a topic, General where none is named."""
        self._set_closed(chat, topic, closed=True)

    def reopen_topic(self, chat: Chat, topic: int = GENERAL) -> None:
        """Open a closed topic again."""
        self._set_closed(chat, topic, closed=False)

    def delete_topic(self, chat: Chat, topic: int) -> None:
        """Delete a topic; the bot is not told."""
        with self._world.change():
            chat.topics[topic].deleted = True

    def queue(self, kind: str, body: Json) -> None:
        """Queue an update that a test makes up; it keeps to the official table, unlike `raw`."""
        with self._world.change():
            self._world.updates.add(kind, body)

    def forget_updates(self) -> None:
        """Lose what waits, as Telegram does after a day."""
        with self._world.change():
            self._world.updates.pending.clear()

    def _set_closed(self, chat: Chat, topic: int, *, closed: bool) -> None:
        with self._world.change():
            chat.topics[topic].closed = closed
            name = "forum_topic_closed" if closed else "forum_topic_reopened"
            sender = {"from": self._somebody(chat).json}
            self._arrives(chat, sender, {name: {}}, None if topic == GENERAL else topic, None)

    def _enter(self, person: Person, chat: Chat) -> None:
        if chat.type == "private":
            assert chat.id == person.id, "only its person writes in a private chat"
            if chat.bot.status == "kicked":
                self._world.become(chat, Member("member"), person)
            chat.bot = Member("member")
        elif not chat.member(person.id).is_in:
            chat.members[person.id] = Member("member")

    def _somebody(self, chat: Chat) -> Person:
        """Who does something there where a test does not say who: an administrator, if any."""
        if chat.type == "private":
            return self._world.people[chat.id]
        ranked = sorted(chat.members, key=lambda user: not chat.members[user].is_admin)
        return self._world.people[ranked[0]] if ranked else ANONYMOUS

    def _arrives(
        self,
        chat: Chat,
        sender: Json,
        content: Json,
        topic: int | None,
        reply_to: Said | Sent | int | None,
    ) -> Said:
        """Let a message stand in a chat, and tell the bot where it hears of such."""
        assert topic is None or topic in chat.topics, f"{chat.title} has no topic {topic}"
        told = self._world.message(chat, sender, content, topic)
        if reply_to is not None:
            number = reply_to if isinstance(reply_to, int) else reply_to.message_id
            replied = self._world.posts[chat.id, number].json
            told["reply_to_message"] = {
                name: value for name, value in replied.items() if name != "reply_to_message"
            }
            if chat.type == "supergroup" and not chat.is_forum:
                # A thread of replies has an id too, although it is no topic.
                told["message_thread_id"] = replied.get("message_thread_id", number)
        self._world.posts[chat.id, told["message_id"]] = Post(told, by_bot=False)
        if self._world.hears(chat, told):
            kind = "channel_post" if chat.type == "channel" else "message"
            self._world.updates.add(kind, told)
        return Said(chat.id, told["message_id"])


def _member(bot: Member | Status) -> Member:
    return bot if isinstance(bot, Member) else Member(bot)


def _button(post: Post, label: str | None) -> str:
    buttons = {
        button["text"]: button.get("callback_data")
        for row in post.json.get("reply_markup", {}).get("inline_keyboard", ())
        for button in row
    }
    if label is None:
        assert len(buttons) == 1, f"which button? there are {list(buttons)}"
        label = next(iter(buttons))
    data: str | None = buttons.get(label)
    assert data is not None, f"no button {label!r} to press; there are {list(buttons)}"
    return data


def _chat_request(message: Sent) -> Json:
    for row in (message.reply_markup or {}).get("keyboard", ()):
        for button in row:
            if isinstance(button, dict) and (asked := button.get("request_chat")):
                found: Json = asked
                return found
    raise AssertionError(f"the message asks for no chat: {message.text}")
