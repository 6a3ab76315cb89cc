"""Delivers alerts to Discord."""

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Final

import structlog
from discord.http import Route

from bot.errors import DeliveryError, DestinationLost, PlatformStopped, WaitsAlone
from bot.model import Destination
from bot.outbox.messenger import Notice
from bot.platforms.discord import render
from bot.platforms.discord.buttons import rows
from bot.platforms.discord.errors import NO_RIGHT, Banned, DirectStopped, Mend
from bot.platforms.discord.forums import Forums
from bot.platforms.discord.guilds import NOT_LISTED
from bot.platforms.discord.letters import letter
from bot.platforms.discord.refusals import Refusals
from bot.platforms.discord.wire import Wire
from bot.platforms.orders import alert_buttons
from bot.platforms.seals import Seals
from storage.store import Storage

_STARTING: Final = 1.0
_OUTAGE: Final = 60.0
_TROUBLE: Final = "Discord has trouble with the server: it is tried again when that is over."
_TOO_MANY: Final = (
    "Discord refused too many requests: look in the log for which. Nothing is sent for a while, "
    "since Discord bans who goes on."
)

log = structlog.get_logger()


class DiscordMessenger:
    """What the outbox sends through."""

    in_flight = 8

    def __init__(
        self,
        wire: Wire,
        seals: Seals,
        storage: Storage,
        refusals: Refusals,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wire = wire
        self._seals = seals
        self._forums = Forums(wire, storage)
        self._refusals = refusals
        self._now = now
        self._no_direct_until = self._banned_until = float("-inf")
        self._publishing: set[asyncio.Task[None]] = set()

    def fitting(self, destination: Destination, notices: Sequence[Notice]) -> int:
        """How many of the notices fit into one message; in a forum each show has its own post."""
        fit = render.fitting([one.message for one in notices])
        if not self._forums.known(destination):
            return fit
        same = takewhile(lambda one: one.show == notices[0].show, notices[:fit])
        return sum(1 for _ in same)

    async def send(self, destination: Destination, notices: Sequence[Notice]) -> str | None:
        """Send notices as one message with their buttons; returns its id.

        Raises a `DeliveryError` by consequence.
        """
        self._check(destination)
        buttons = rows(alert_buttons(self._seals, destination.chat_id, notices))
        message = letter(destination, notices, buttons)
        way = self._forums if self._forums.known(destination) else self._wire
        try:
            sent = await way.deliver(message, destination, notices)
        except Banned as error:
            self._banned_until = self._now() + error.seconds
            raise
        except DirectStopped as error:
            self._no_direct_until = self._now() + error.seconds
            log.error("discord.flagged", problem=str(error))
            raise
        except DestinationLost as error:
            if error.doubt and self._in_trouble(destination):
                raise WaitsAlone(_TROUBLE, _OUTAGE) from error
            raise
        if sent and any(one.publish for one in notices):
            self._publish(message.channel_id, sent)
        return sent

    def _check(self, destination: Destination) -> None:
        """Raise a `DeliveryError` where it is known beforehand that nothing can be sent."""
        client = self._wire.connected()
        if self._refusals.too_many or self._now() < self._banned_until:
            raise PlatformStopped(_TOO_MANY)
        if destination.home_id is None:
            seconds = self._no_direct_until - self._now()
            if seconds > 0:
                raise WaitsAlone("Discord lets the bot write to no person for now.", seconds)
            return
        guild = client.get_guild(destination.home_id)
        if not client.is_ready() and (guild is None or guild.unavailable):
            raise WaitsAlone("Discord has not told of the server yet.", _STARTING)
        if guild is None:
            raise DestinationLost(NOT_LISTED, NO_RIGHT)  # one doubt with `Guilds`, by its words
        if guild.unavailable:
            raise WaitsAlone(_TROUBLE, _OUTAGE)

    def _in_trouble(self, destination: Destination) -> bool:
        """Whether Discord cannot reach a server itself; what it says of it then is no loss."""
        client = self._wire.connected()
        guild = client.get_guild(destination.home_id) if destination.home_id else None
        return guild is not None and guild.unavailable

    def _publish(self, channel_id: int, message_id: str) -> None:
        """Hand a message on to the channels that follow this one; nothing waits for it."""
        task = asyncio.create_task(self._published(channel_id, message_id))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)

    async def _published(self, channel_id: int, message_id: str) -> None:
        route = Route(
            "POST",
            "/channels/{channel_id}/messages/{message_id}/crosspost",
            channel_id=channel_id,
            message_id=message_id,
        )
        try:
            refused = await self._wire.ask((channel_id, message_id), route)
        except DeliveryError as error:
            log.warning("discord.not_published", channel=channel_id, problem=str(error))
        else:
            if isinstance(refused, Mend):
                problem = str(refused.otherwise)
                log.warning("discord.not_published", channel=channel_id, problem=problem)
