"""What is sent to a channel: one message with its buttons, mentions and its key. Pure."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bot.message import Message
from bot.model import Destination
from bot.outbox.messenger import Notice
from bot.platforms.discord import render, wording
from bot.platforms.discord.buttons import Json
from bot.platforms.discord.errors import Fix

_KEY_BYTES: Final = 15
"""120 bits, written as 24 characters: Discord takes keys of up to 25."""

_LONGEST_ARCHIVE: Final = 10_080
"""Minutes without a message after which a post is folded away: a week, the longest choice."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message for one channel or thread; `roles` are pinged, and nobody else.

    `reply_to` is a message of the same channel.
    """

    channel_id: int
    content: str
    embeds: tuple[Json, ...]
    buttons: Sequence[Json]
    roles: tuple[int, ...]
    key: str
    reply_to: int | None = None

    @property
    def body(self) -> Json:
        """The message as Discord takes it."""
        roles = [str(one) for one in self.roles]
        body: Json = {
            "content": self.content,
            "allowed_mentions": {"parse": [], "roles": roles} if roles else {"parse": []},
        }
        if self.embeds:
            body["embeds"] = list(self.embeds)
        if self.buttons:
            body["components"] = list(self.buttons)
        return body

    @property
    def keyed(self) -> Json:
        """The message with its key: the same one again is known by it, and not sent twice."""
        keyed = {**self.body, "nonce": self.key, "enforce_nonce": True}
        if self.reply_to is None:
            return keyed
        reference = {"message_id": str(self.reply_to), "fail_if_not_exists": False}
        return {**keyed, "message_reference": reference}

    @property
    def edited(self) -> Json:
        """The message in the place of another, of which nothing stays; it pings nobody."""
        return {
            "content": self.content,
            "embeds": list(self.embeds),
            "components": list(self.buttons),
            "allowed_mentions": {"parse": []},
        }

    def as_post(self, name: str, tags: Sequence[int]) -> Json:
        """A new post of a forum that begins with the message."""
        post: Json = {
            "name": name,
            "auto_archive_duration": _LONGEST_ARCHIVE,
            "message": self.body,
        }
        return {**post, "applied_tags": [str(one) for one in tags]} if tags else post


def letter(
    destination: Destination,
    notices: Sequence[Notice],
    buttons: Sequence[Json],
    *,
    plain: bool = False,
) -> Letter:
    """The message for several notices, with an embed each, or `plain` without any."""
    roles = tuple(dict.fromkeys(one.role_id for one in notices if one.role_id))
    roles = roles[: render.MOST_ROLES]
    messages = _messages(notices)
    alert = render.alert(messages, roles)
    if plain and alert.embeds:
        alert = render.Alert(render.plain(messages, roles), ())
    return Letter(
        channel_id=destination.thread_id or destination.chat_id,
        content=alert.content,
        embeds=alert.embeds,
        buttons=buttons,
        roles=roles,
        key=key(destination, notices),
        reply_to=int(notices[0].reply_to) if notices[0].reply_to else None,
    )


def key(destination: Destination, notices: Sequence[Notice]) -> str:
    """What is the same for the same updates to the same place, after any restart, and else never.

    Discord keeps the keys of a bot for all channels together.
    """
    where = f"{destination.chat_id}/{destination.thread_id or 0}"
    what = ",".join(str(one.seq) for one in notices)
    digest = hashlib.sha256(f"{where}:{what}".encode()).digest()[:_KEY_BYTES]
    return base64.b32encode(digest).decode()


def mended(
    refused: Letter, fix: Fix, destination: Destination, notices: Sequence[Notice]
) -> Letter | None:
    """The message with what was refused left out; `None` where there is no other form."""
    messages = _messages(notices)
    match fix:
        case Fix.PLAIN if refused.embeds:
            return replace(refused, content=render.plain(messages, refused.roles), embeds=())
        case Fix.LINKS:
            content = render.plain(messages, refused.roles, links=False)
            return replace(refused, content=content, embeds=())
        case Fix.REPLY if refused.reply_to:
            return replace(refused, reply_to=None)
        case Fix.ROOM if destination.thread_id:
            # Behind the first, so that the word is not cut off where there are many.
            told = [messages[0], Message(wording.MOVED_HERE), *messages[1:]]
            content = render.plain(told, refused.roles)
            return replace(
                refused,
                channel_id=destination.chat_id,
                content=content,
                embeds=(),
                reply_to=None,
            )
    return None


def _messages(notices: Sequence[Notice]) -> list[Message]:
    return [one.message for one in notices]
