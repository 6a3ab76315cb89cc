"""Gives the answer to one interaction: within Discord's three seconds, or after a sign of life."""

import asyncio
import io
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import discord
import structlog

from bot.commands.core import Core
from bot.message import Document, Message
from bot.model import Destination
from bot.platforms.discord import render
from bot.platforms.discord.buttons import view
from bot.platforms.discord.places import Interaction
from bot.platforms.orders import Buttons

SOON: Final = 1.5
"""Seconds after which Discord is told that an answer will come; it gives up after three."""

UNANSWERED: Final = (discord.DiscordException, aiohttp.ClientError, OSError, asyncio.TimeoutError)
"""What answering may end with: it came too late, twice, or not at all. What was asked for is done
all the same."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Said:
    """An answer, the destination that its buttons act for, and whether it is put in the place of
    the message whose button was pressed."""

    message: Message
    about: Destination
    in_place: bool = False


class Reply:
    """The reply to one interaction; a `hidden` one is seen by nobody but who asked.

    With `changes` the message whose button was pressed is likely to change.
    """

    def __init__(
        self, core: Core, interaction: Interaction, *, hidden: bool, changes: bool = False
    ) -> None:
        self._core = core
        self._interaction = interaction
        self._hidden = hidden
        self._changes = changes
        self._said = asyncio.Event()
        self._turn = asyncio.Lock()
        self._filled = False

    async def defer_soon(self) -> None:
        """Ask Discord for time, unless the answer is given by then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SOON):
                await self._said.wait()
        async with self._turn:
            if self._said.is_set():
                return
            try:
                await self._interaction.response.defer(
                    ephemeral=self._hidden, thinking=not self._changes
                )
            except UNANSWERED as error:
                _log(error)

    async def say(self, said: Said, chat_id: int) -> None:
        """Give the answer, in the chat where it was asked for."""
        self._said.set()
        buttons = Buttons(said.message)
        async with self._turn:
            try:
                message_id = await self._send(said, buttons)
            except UNANSWERED as error:
                _log(error)
                return
        user_id = self._interaction.user.id
        await buttons.keep(self._core, said.about, chat_id, message_id, user_id)

    async def _send(self, said: Said, buttons: Buttons) -> str:
        """Send the texts; the last one has the buttons and the file. Returns its id."""
        *before, last = render.answer(said.message)
        hidden = self._hidden or said.message.private
        for text in before:
            await self._put({"content": text}, hidden, in_place=said.in_place)
        more: dict[str, Any] = {"content": last}
        shown = view(buttons.sealed)
        if shown:
            more["view"] = shown
        if said.message.document:
            more["file"] = _file(said.message.document)
        return await self._put(more, hidden, in_place=said.in_place and "file" not in more)

    async def _put(self, more: dict[str, Any], hidden: bool, *, in_place: bool) -> str:
        """Send one message, or fill the place that waits for it; returns its id."""
        interaction, response = self._interaction, self._interaction.response
        waits, self._filled = not self._filled, True
        if response.type is None and in_place:
            await response.edit_message(**{"view": None, "embeds": [], **more})
            return str(interaction.message.id if interaction.message else 0)
        if response.type is None:
            sent = await response.send_message(**more, ephemeral=hidden)
            return str(sent.message_id or 0)
        if waits and (in_place or response.type is _THINKING):
            return str((await interaction.edit_original_response(**_edited(more))).id)
        return str((await interaction.followup.send(**more, ephemeral=hidden, wait=True)).id)


_THINKING: Final = discord.InteractionResponseType.deferred_channel_message


def _log(error: Exception) -> None:
    code = getattr(error, "code", None)
    log.info("discord.unanswered", problem=type(error).__name__, code=code)


def _edited(more: dict[str, Any]) -> dict[str, Any]:
    """The same for a message that stands already: what it had before goes."""
    attached = [more["file"]] if "file" in more else []
    rest = {name: value for name, value in more.items() if name != "file"}
    return {"view": None, "embeds": [], **rest, "attachments": attached}


def _file(document: Document) -> discord.File:
    return discord.File(io.BytesIO(document.text.encode()), filename=document.name)
