"""Forum channels: each show has a post of its own, and later news stand below it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import discord
from discord.http import Route

from bot.errors import DestinationLost, MaybeSent
from bot.model import Destination
from bot.outbox.messenger import Notice
from bot.platforms.discord import render
from bot.platforms.discord.errors import NO_ACCESS, NO_RIGHT, Fix, Mend
from bot.platforms.discord.letters import Letter, key, mended
from bot.platforms.discord.places import FORUMS
from bot.platforms.discord.wire import Turn, Wire
from storage.store import Storage


class Forums:
    """Finds the post of a show, and begins it where there is none."""

    def __init__(self, wire: Wire, storage: Storage) -> None:
        self._wire = wire
        self._posts = storage.posts
        self._shows = storage.shows
        self._unanswered: dict[Destination, str] = {}
        """The message, by its key, whose post was asked for in a forum; no answer came."""

    def known(self, destination: Destination) -> bool:
        """Whether a destination is a forum, as far as Discord has told."""
        return destination.thread_id is None and self._channel(destination) is not None

    def _channel(self, destination: Destination) -> discord.ForumChannel | None:
        client = self._wire.client
        channel: Any = client and client.get_channel(destination.chat_id)
        return channel if channel is not None and channel.type in FORUMS else None

    async def deliver(
        self, message: Letter, forum: Destination, notices: Sequence[Notice], turn: Turn
    ) -> str | None:
        """Send news of one show into its post; where that is gone or closed, into a new one.

        The turn is waited for before a second request alone. Raises a `DeliveryError` by
        consequence.
        """
        show = notices[0].show
        known = await self._shows.get(show)
        name = render.post_name(known.title if known else show)
        unanswered = self._unanswered.pop(forum, None)
        post = await self._posts.get(forum, show)
        if post is None:
            post = self._left_behind(forum, name)
            if post is not None and unanswered == message.key:  # it begins with this message
                await self._posts.put(forum, show, post)
                return str(post)
        if post is not None:
            try:
                there = replace(forum, thread_id=post)
                reply = replace(message, channel_id=post, key=key(there, notices))
                sent = await self._wire.deliver(reply, forum, notices, turn)
            except DestinationLost as error:
                if error.doubt in (NO_ACCESS, NO_RIGHT):  # a new post would come with each news
                    raise
                await self._posts.drop(forum, post)
                await turn()
            else:
                await self._posts.put(forum, show, post)
                return sent
        try:
            begun = await self._begin(message, name, forum, notices, turn)
        except MaybeSent:
            if post is None:  # or else the old one could be taken for the new one
                self._unanswered[forum] = message.key
            raise
        await self._posts.put(forum, show, int(begun))
        return begun

    async def edit(
        self,
        message_id: int,
        message: Letter,
        forum: Destination,
        notices: Sequence[Notice],
        turn: Turn,
    ) -> None:
        """Put other words into a message in the post of its show; without a post it is gone.

        Raises a `DeliveryError` by consequence.
        """
        post = await self._posts.get(forum, notices[0].show)
        if post is not None:
            there = replace(message, channel_id=post)
            await self._wire.edit(message_id, there, forum, notices, turn)

    def _left_behind(self, forum: Destination, name: str) -> int | None:
        """A post that was begun, and not noted: the bot or its connection died before."""
        client, channel = self._wire.client, self._channel(forum)
        if client is None or client.user is None or channel is None:
            return None
        mine = (one for one in channel.threads if one.owner_id == client.user.id)
        return next((one.id for one in mine if one.name == name and not one.locked), None)

    async def _begin(
        self,
        message: Letter,
        name: str,
        forum: Destination,
        notices: Sequence[Notice],
        turn: Turn,
    ) -> str:
        """Begin a post; its first message has the same id."""
        route = Route("POST", "/channels/{channel_id}/threads", channel_id=forum.chat_id)
        tags = self._tags(forum, message)
        begun = await self._wire.ask((forum, name), route, message.as_post(name, tags))
        if isinstance(begun, Mend):
            again = mended(message, begun.fix, forum, notices)
            if again is None or begun.fix is Fix.FORUM:
                raise begun.otherwise
            await turn()
            begun = await self._wire.ask((forum, name), route, again.as_post(name, tags))
        if isinstance(begun, Mend):
            raise begun.otherwise
        assert begun is not None  # noqa: S101 - posts have no key, and so are never known before
        return str(begun["id"])

    def _tags(self, forum: Destination, message: Letter) -> list[int]:
        """The tag that is called like the event; where one must be, any."""
        channel = self._channel(forum)
        if channel is None:
            return []
        event = message.content.partition(" ")[0].casefold()
        fitting = [one.id for one in channel.available_tags if one.name.casefold() == event]
        if not fitting and channel.flags.require_tag:
            fitting = [one.id for one in channel.available_tags]
        return fitting[:1]
