"""Delivers alerts to Discord."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import takewhile
from typing import Final

import structlog
from discord.http import Route

from bot.errors import DeliveryError, DestinationLost, MustWait, PlatformStopped, WaitsAlone
from bot.model import Destination
from bot.outbox.messenger import Notice
from bot.outbox.pace import Pace
from bot.platforms.discord import render
from bot.platforms.discord.buttons import rows
from bot.platforms.discord.errors import (
    CODES,
    NO_RIGHT,
    Banned,
    DirectStopped,
    Mend,
    leaves_nothing_to_edit,
)
from bot.platforms.discord.forums import Forums
from bot.platforms.discord.guilds import EMBEDS, NOT_LISTED, lacks
from bot.platforms.discord.letters import Letter, letter
from bot.platforms.discord.refusals import Refusals
from bot.platforms.discord.wire import Turn, Wire
from bot.platforms.orders import alert_buttons
from bot.platforms.seals import Seals
from storage.store import Storage

_VIEW: Final = "View Channel"
_MOMENT: Final = 2.0
_STARTING: Final = 60.0
"""Seconds in which a session should have begun; without one messages go out all the same."""

_OUTAGE: Final = 900.0
"""Seconds until a server is tried again that Discord cannot reach; its end is told before."""

_PUBLISH_WAITS: Final = (60.0, 600.0, 3600.0)
"""Discord publishes about ten messages of a channel an hour."""
_TROUBLE: Final = "Discord has trouble with the server: it is tried again when that is over."
_TOO_MANY: Final = (
    "Discord refused too many requests: look in the log for which. Nothing is sent for a while, "
    "since Discord bans who goes on."
)

log = structlog.get_logger()


class DiscordMessenger:
    """What the outbox sends through."""

    in_flight = 32
    """More than are really on their way: the library keeps the answer back where it was the last
    message that a channel could take for some seconds."""

    def __init__(
        self,
        wire: Wire,
        seals: Seals,
        storage: Storage,
        refusals: Refusals,
        pace: Pace,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pace = pace
        self._wire = wire
        self._seals = seals
        self._forums = Forums(wire, storage)
        self._refusals = refusals
        self._now = now
        self._no_direct_until = self._banned_until = float("-inf")
        self._publishing: set[asyncio.Task[None]] = set()

    def fitting(self, destination: Destination, notices: Sequence[Notice]) -> int:
        """How many of the notices fit into one message.

        All of it replies to the same message. What is to be published does not go with what is not;
        in a forum each show has its own post.
        """
        first, forum = notices[0], self._forums.known(destination)
        alike = takewhile(
            lambda one: (
                one.publish == first.publish
                and one.reply_to == first.reply_to
                and (not forum or one.show == first.show)
            ),
            notices[: render.fitting([one.message for one in notices])],
        )
        return sum(1 for _ in alike)

    async def send(self, destination: Destination, notices: Sequence[Notice]) -> str | None:
        """Send notices as one message with their buttons; returns its id.

        Raises a `DeliveryError` by consequence.
        """
        message, there = self._letter(destination, notices)
        way = self._forums if self._forums.known(destination) else self._wire
        with self._learning(destination):
            sent = await way.deliver(message, destination, there, self._turn(destination))
        if sent and notices[0].publish:
            self._publish(message.channel_id, sent)
        return sent

    async def edit(
        self, destination: Destination, message_id: str, notices: Sequence[Notice]
    ) -> None:
        """Put notices into a message that was sent; one that is gone is left alone.

        Raises a `DeliveryError` by consequence.
        """
        message, there = self._letter(destination, notices)
        way = self._forums if self._forums.known(destination) else self._wire
        turn = self._turn(destination)
        try:
            with self._learning(destination):
                await way.edit(int(message_id), message, destination, there, turn)
        except DeliveryError as error:
            if not leaves_nothing_to_edit(error):
                raise

    async def probe(self) -> None:
        """Ask who the bot is; raises a `DeliveryError` where no good answer comes."""
        if self._refusals.too_many or self._now() < self._banned_until:
            raise PlatformStopped(_TOO_MANY)
        refused = await self._wire.ask("probe", Route("GET", "/users/@me"))
        if isinstance(refused, Mend):
            raise refused.otherwise

    def _letter(
        self, destination: Destination, notices: Sequence[Notice]
    ) -> tuple[Letter, list[Notice]]:
        """The message for several notices, and these as they are told there.

        Raises a `DeliveryError` where nothing can be sent.
        """
        lacking = self._check(destination)
        buttons = rows(alert_buttons(self._seals, destination.chat_id, notices))
        there = [self._with_role_that_is(destination, one) for one in notices]
        return letter(destination, there, buttons, plain=EMBEDS in lacking), there

    def _turn(self, destination: Destination) -> Turn:
        return partial(self.pace.turn, self.pace.chat(destination))

    @contextmanager
    def _learning(self, destination: Destination) -> Iterator[None]:
        """Remember of a refusal what it says about other messages."""
        try:
            yield
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

    def _check(self, destination: Destination) -> list[str]:
        """What the bot lacks there, as far as is known beforehand.

        Raises a `DeliveryError` where nothing can be sent: each refusal by Discord counts.
        """
        client = self._wire.connected()
        if self._refusals.too_many or self._now() < self._banned_until:
            raise PlatformStopped(_TOO_MANY)
        if self._refusals.wait:
            raise MustWait("Discord lets everything wait.", self._refusals.wait)
        if destination.home_id is None:
            seconds = self._no_direct_until - self._now()
            if seconds > 0:
                raise WaitsAlone("Discord lets the bot write to no person for now.", seconds)
            return []
        if not client.is_ready():
            if self._wire.connected_for < _STARTING:
                raise MustWait("Discord has not told of its servers yet.", _MOMENT)
            return []  # messages do not need the gateway
        guild = client.get_guild(destination.home_id)
        if guild is None:
            raise DestinationLost(NOT_LISTED, NO_RIGHT)  # one doubt with `Guilds`, by its words
        if self._in_trouble(destination):
            raise WaitsAlone(_TROUBLE, _OUTAGE)
        lacking = lacks(guild, destination)
        if set(lacking) - {EMBEDS}:
            why, _ = CODES[50001 if _VIEW in lacking else 50013]
            raise DestinationLost(f"{why}.", NO_RIGHT)
        return lacking

    def _in_trouble(self, destination: Destination) -> bool:
        """Whether Discord cannot reach a server itself; what it says of it then is no loss."""
        client, home_id = self._wire.connected(), destination.home_id
        guild = client.get_guild(home_id) if home_id else None
        if home_id is None or guild is None or not guild.unavailable:
            return False
        self._wire.away.add(home_id)
        return True

    def _with_role_that_is(self, destination: Destination, notice: Notice) -> Notice:
        """The notice without a role that is there no more: it may be gone since a while unseen."""
        client = self._wire.connected()
        guild = client.get_guild(destination.home_id) if destination.home_id else None
        gone = notice.role_id and guild is not None and guild.get_role(notice.role_id) is None
        return replace(notice, role_id=None) if gone else notice

    def _publish(self, channel_id: int, message_id: str) -> None:
        """Hand a message on to the channels that follow this one; nothing waits for it."""
        task = asyncio.create_task(self._published(channel_id, message_id))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)

    async def _published(self, channel_id: int, message_id: str) -> None:
        for wait in _PUBLISH_WAITS:
            await self.pace.turn(channel_id)
            problem = await self._problem_of_publishing(channel_id, message_id)
            if problem is None:
                return
            seconds = max(wait, problem.seconds if isinstance(problem, MustWait) else 0.0)
            log.warning(
                "discord.not_published",
                channel=channel_id,
                problem=str(problem),
                retry_in=seconds,
            )
            await asyncio.sleep(seconds)
        await self.pace.turn(channel_id)
        if await self._problem_of_publishing(channel_id, message_id):
            log.error("discord.publishing_given_up", channel=channel_id)

    async def _problem_of_publishing(
        self, channel_id: int, message_id: str
    ) -> DeliveryError | None:
        route = Route(
            "POST",
            "/channels/{channel_id}/messages/{message_id}/crosspost",
            channel_id=channel_id,
            message_id=message_id,
        )
        try:
            refused = await self._wire.ask((channel_id, message_id), route)
        except DeliveryError as error:
            return error
        return refused.otherwise if isinstance(refused, Mend) else None
