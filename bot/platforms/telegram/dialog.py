"""Answers what people write."""

from dataclasses import replace
from typing import Final

import structlog
import telegram

from bot.commands.core import Core
from bot.commands.line import reply
from bot.errors import StorageError, UserError
from bot.message import Message, answers
from bot.message import line as words
from bot.model import Destination
from bot.platforms.limits import Limits
from bot.platforms.telegram import wording
from bot.platforms.telegram.calls import Json
from bot.platforms.telegram.channels import NO_KEYBOARD, Channels
from bot.platforms.telegram.people import Asker, asker
from bot.platforms.telegram.replies import Replies
from bot.platforms.telegram.requests import about_channels, line_of, prompted
from bot.platforms.telegram.rights import Rights
from bot.platforms.telegram.sender import Bot
from bot.platforms.throttle import Verdict
from bot.platforms.wording import TOO_FAST

log = structlog.get_logger()

_ASK: Final[Json] = {"force_reply": True, "selective": True}
"""Opens the reader's keyboard for an answer."""


class Dialog:
    """Answers messages in the chat and topic where they were written."""

    def __init__(
        self, bot: Bot, core: Core, rights: Rights, channels: Channels, replies: Replies
    ) -> None:
        self._bot = bot
        self._core = core
        self._rights = rights
        self._channels = channels
        self._replies = replies

    async def heard(self, message: telegram.Message, limits: Limits) -> None:
        """Answer a message, if it is for the bot."""
        who = asker(message)
        if who is None:
            return
        if message.chat_shared:
            await self._chosen(who, message.chat_shared)
            return
        line = line_of(message, self._bot.username, private=who.private)
        if line is None:
            return
        verdict = limits.ask(who.user_id, who.shared_chat)
        if verdict is Verdict.TELL:
            said, about, markup = Message(TOO_FAST), who.here, None
        elif verdict is Verdict.TAKE:
            said, about, markup = await self._answer(
                who, line, sure=line != f"/status {message.text}"
            )
        else:
            return
        await self._replies.say(who, said, about, reply_to=message.message_id, markup=markup)

    async def _answer(
        self, who: Asker, line: str, *, sure: bool
    ) -> tuple[Message, Destination, Json | None]:
        """The answer, the destination it is about, and a keyboard that comes with it.

        Where it is not `sure` that a title was meant, none is noted as a wish.
        """
        try:
            channel = about_channels(line)
            if channel is not None:
                said, markup = await self._channels.command(who, channel)
                return said, who.here, markup
            about = await self._channels.spoken_for(who)
        except StorageError as error:
            return answers.mistake(str(error)), who.here, None
        said = await reply(self._core, line, self._rights.as_caller(who, about, wishes=sure))
        if who.private and line.casefold() == "/help":
            said = replace(said, lines=(*said.lines, words(wording.BEGIN)))
        if about != who.here:
            said = await self._channels.marked(who, said, about)
        asks = prompted(said.title) and not who.in_channel  # there Telegram refuses it
        return said, about, _ASK if asks else None

    async def _chosen(self, who: Asker, shared: telegram.ChatShared) -> None:
        try:
            said = await self._channels.chosen(who, shared)
        except (UserError, StorageError) as error:
            said = answers.mistake(str(error))
        await self._replies.say(who, said, who.here, markup=NO_KEYBOARD)
