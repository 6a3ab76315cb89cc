"""Answers what people ask on Discord: commands, titles while they are typed, pressed buttons."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final
from weakref import WeakValueDictionary

import discord
import structlog
from discord.app_commands import (
    AppCommandError,
    CommandNotFound,
    CommandSignatureMismatch,
    TransformerError,
)

from bot.commands import COMMANDS
from bot.commands.core import Core
from bot.commands.line import reply, respond
from bot.commands.parse import Call, parse, read_kinds
from bot.errors import StorageError, UserError
from bot.message import Message, answers
from bot.message import line as words
from bot.model import Caller, Platform
from bot.platforms import wording as shared
from bot.platforms.discord import wording
from bot.platforms.discord.places import (
    Chosen,
    Interaction,
    Place,
    here,
    is_member,
    name_of,
    placed,
    there,
)
from bot.platforms.discord.replies import Reply, Said
from bot.platforms.discord.rights import Rights, check_subscription
from bot.platforms.limits import Limits
from bot.platforms.orders import PREFIX, Order, Orders, Press, check
from bot.platforms.seals import Seals
from bot.platforms.seen import Seen
from bot.platforms.throttle import Throttle, Verdict
from bot.text import shorten

OFFERED: Final = 25
"""Titles that are offered while one is typed: as many as Discord shows."""

_LONGEST: Final = 100
"""Characters of what is offered. Source: developer documentation, Application Commands."""

_OLDER: Final = (CommandNotFound, CommandSignatureMismatch, TransformerError)

log = structlog.get_logger()


class Desk:
    """Where every interaction arrives; each is answered once, and one person's in turn."""

    def __init__(self, core: Core, seals: Seals) -> None:
        self._core = core
        self._orders = Orders(core, seals)
        self._rights = Rights()
        self._limits = Limits()
        self._typing = Throttle(burst=40, rate=10)
        self._seen = Seen()
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._open: set[asyncio.Task[None]] = set()

    async def command(
        self,
        interaction: Interaction,
        name: str,
        *,
        channel: Chosen | None = None,
        role: discord.Role | None = None,
        **options: Any,
    ) -> None:
        """Answer a command; options that were left out are `None`."""
        if self._seen.again(interaction.id):
            return
        given = {key: value for key, value in options.items() if value is not None}
        if "kinds" in given:
            given["kinds"] = read_kinds(given["kinds"])
        if role:
            given["role"] = role.id
        reply = Reply(self._core, interaction, hidden=COMMANDS[name].private)
        await self._in_turn(
            interaction, reply, partial(self._answer, interaction, Call(name, given), channel, role)
        )

    async def suggest(
        self, interaction: Interaction, text: str
    ) -> list[discord.app_commands.Choice[str]]:
        """Titles that may be meant, best first."""
        if self._typing.ask(interaction.user.id) is not Verdict.TAKE:
            return []
        found = await self._core.suggest(text, OFFERED)
        return [
            discord.app_commands.Choice(name=shorten(one.title, _LONGEST), value=one.show)
            for one in found
            if len(one.show) <= _LONGEST
        ]

    async def pressed(self, interaction: Interaction, data: str) -> None:
        """Do what a button says, or refuse it politely."""
        message = interaction.message
        if message is None or self._seen.again(interaction.id):
            return
        place = here(interaction)
        press = Press(
            platform=Platform.DISCORD,
            chat_id=place.destination.chat_id,
            message_id=str(message.id),
            user_id=interaction.user.id,
            private=place.private,
            data=data,
        )
        reply = Reply(self._core, interaction, hidden=True, changes=data.startswith(PREFIX))
        await self._in_turn(interaction, reply, partial(self._obey, interaction, place, press))

    async def misread(self, interaction: Interaction, error: AppCommandError) -> None:
        """Tell of a command that is not known, or not so: people may see an older one for a while.

        Whatever else was raised is a fault of the program.
        """
        if isinstance(error, _OLDER):
            log.info("discord.command_unknown", problem=str(error)[:300])
            said = answers.mistake(wording.OLDER)
        else:
            log.error("discord.command_failed", exc_info=error)
            said = answers.trouble()
        if interaction.type is discord.InteractionType.application_command:
            about = here(interaction).destination
            await Reply(self._core, interaction, hidden=True).say(Said(said, about), about.chat_id)

    async def finish(self, within: float) -> None:
        """Give the answers that are under way; the program ends."""
        if self._open:
            await asyncio.wait(self._open, timeout=within)

    # --- one at a time ---

    async def _in_turn(
        self,
        interaction: Interaction,
        reply: Reply,
        answer: Callable[[], Awaitable[Said]],
    ) -> None:
        """Answer once what this person asked before is answered: its buttons are known then."""
        place = here(interaction)
        user_id = interaction.user.id
        # Answers use up nothing of a channel's, and silence is shown as a failure to who asked.
        match self._limits.ask(user_id, None):
            case Verdict.IGNORE:
                return
            case Verdict.TELL:
                too_fast = Said(Message(shared.TOO_FAST, private=True), place.destination)
                await reply.say(too_fast, place.destination.chat_id)
                return
        deferring = self._watched(reply.defer_soon())
        turn = self._turns.setdefault(user_id, asyncio.Lock())
        task = self._watched(self._serve(turn, reply, answer, place))
        await asyncio.wait({task, deferring})

    async def _serve(
        self,
        turn: asyncio.Lock,
        reply: Reply,
        answer: Callable[[], Awaitable[Said]],
        place: Place,
    ) -> None:
        async with turn:
            await reply.say(await answer(), place.destination.chat_id)

    def _watched(self, work: Any) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._open.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._open.discard(task)
        if not task.cancelled() and task.exception():
            log.error("discord.handler_failed", problem=repr(task.exception())[:300])

    # --- answers ---

    async def _answer(
        self,
        interaction: Interaction,
        call: Call,
        channel: Chosen | None,
        role: discord.Role | None,
    ) -> Said:
        try:
            place = await self._placed(interaction, channel)
        except (UserError, StorageError) as error:
            return Said(answers.mistake(str(error)), here(interaction).destination)
        as_caller = partial(self._caller, interaction, place, call, role)
        said = await respond(self._core, call, as_caller)
        if place.chosen:
            said = _about(said, place.name)
        await self._reached(place)
        return Said(said, place.destination)

    async def _placed(self, interaction: Interaction, channel: Chosen | None) -> Place:
        """The channel that is asked about: in the post of a show, the forum which has that post."""
        place = placed(interaction, channel)
        if place.destination.thread_id is None:
            return place
        forum = await self._core.storage.posts.owner(place.destination)
        if forum is None:
            return place
        return replace(place, destination=forum, name=name_of(interaction, forum), chosen=True)

    async def _caller(
        self,
        interaction: Interaction,
        place: Place,
        call: Call,
        role: discord.Role | None,
        matters: bool,
    ) -> Caller:
        """Who asks, as the core sees them; raises `UserError` for what cannot be had there."""
        if place.chosen and not place.theirs.view_channel:
            raise UserError(wording.NOT_VISIBLE.format(channel=place.name))
        manages = await self._manages(interaction, place, call, matters=matters)
        if call.name == "subscribe":
            check_subscription(place, role, call.arguments.get("publish"))
        member = is_member(interaction)
        return Caller(place.destination, interaction.user.id, manages, wishes=member)

    async def _manages(
        self, interaction: Interaction, place: Place, call: Call, *, matters: bool
    ) -> bool:
        """Whether this person manages the place, where it matters; if not, `UserError` says so."""
        if not matters or place.private:
            return matters
        if not is_member(interaction):
            raise UserError(wording.NOT_A_MEMBER)
        if not await self._rights.manages(interaction, call.name):
            raise UserError(wording.MANAGERS)
        return True

    async def _obey(self, interaction: Interaction, place: Place, press: Press) -> Said:
        try:
            order = await self._orders.order(press)
            if interaction.guild_id is not None:  # what a button acts for does not tell its server
                home = replace(order.about, home_id=interaction.guild_id)
                order = replace(order, about=home)
            as_caller = self._presser(interaction, place, order)
            await check(order, press, as_caller)
            await self._orders.use(order)
        except (UserError, StorageError) as refusal:
            return Said(answers.mistake(str(refusal)), place.destination)
        said = await reply(self._core, order.line, as_caller)
        if said.document:  # it stands beside the message, whose buttons go on to work
            await self._orders.keep(order)
        if order.keyboard and order.about != place.destination:
            said = _about(said, name_of(interaction, order.about))
        return Said(said, order.about, in_place=order.keyboard is not None)

    def _presser(
        self, interaction: Interaction, place: Place, order: Order
    ) -> Callable[[bool], Awaitable[Caller]]:
        call = parse(order.line)

        async def caller(matters: bool) -> Caller:
            manages = await self._manages(interaction, place, call, matters=matters)
            if call.name == "subscribe":
                check_subscription(
                    there(interaction, order.about),
                    _role(interaction, call),
                    call.arguments.get("publish"),
                )
            return Caller(order.about, interaction.user.id, manages)

        return caller

    async def _reached(self, place: Place) -> None:
        """Whoever sends a command in a direct chat can be written to again."""
        if not place.private:
            return
        destinations = self._core.storage.destinations
        try:
            if await destinations.suspended(place.destination):
                await destinations.resume(place.destination, self._core.clock())
                self._core.wake()
        except StorageError as error:
            log.error("discord.not_resumed", problem=str(error))


def _role(interaction: Interaction, call: Call) -> discord.Role | None:
    """The role that a button names, if it is there still."""
    role_id = call.arguments.get("role")
    return interaction.guild.get_role(role_id) if interaction.guild and role_id else None


def _about(said: Message, channel: str) -> Message:
    """The same, saying which channel it is about; a mistake is about none."""
    if said.private:
        return said
    return replace(said, lines=(*said.lines, words(wording.FOR_CHANNEL.format(channel=channel))))
