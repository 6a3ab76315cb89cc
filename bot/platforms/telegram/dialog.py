"""Answers what people write."""

import structlog
import telegram

from bot.commands.core import Core
from bot.commands.line import reply
from bot.errors import UserError
from bot.message import Message, answers
from bot.platforms.telegram import wording
from bot.platforms.telegram.channels import Channels
from bot.platforms.telegram.people import Asker, asker
from bot.platforms.telegram.replies import Replies
from bot.platforms.telegram.requests import about_channels, line_of, prompted
from bot.platforms.telegram.rights import Rights
from bot.platforms.telegram.sender import Bot, Markup
from bot.platforms.throttle import Throttle, Verdict

log = structlog.get_logger()


class Limits:
    """How much one person, and one chat, may ask."""

    def __init__(self) -> None:
        self._people = Throttle(burst=8, rate=1)
        self._chats = Throttle(burst=20, rate=2)

    def ask(self, who: Asker) -> Verdict:
        """Count one request."""
        person = self._people.ask(who.user_id)
        return self._chats.ask(who.chat_id) if person is Verdict.TAKE else person


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
        verdict = limits.ask(who)
        if verdict is Verdict.TELL:
            await self._say(who, Message(wording.TOO_FAST), message)
        elif verdict is Verdict.TAKE:
            await self._answer(who, line, message)

    async def _answer(self, who: Asker, line: str, message: telegram.Message) -> None:
        channel = about_channels(line)
        if channel is not None:
            said, markup = await self._channels.command(who, channel)
            await self._say(who, said, message, markup)
            return
        about = await self._channels.spoken_for(who)
        answered = await reply(self._core, line, self._rights.as_caller(who, about))
        if about != who.here:
            answered = await self._channels.marked(answered, about)
        asks = prompted(answered.title)
        markup = telegram.ForceReply(selective=True) if asks else None
        await self._replies.say(who, answered, about, reply_to=message.message_id, markup=markup)

    async def _chosen(self, who: Asker, shared: telegram.ChatShared) -> None:
        try:
            said = await self._channels.chosen(who, shared)
        except UserError as error:
            said = answers.mistake(str(error))
        await self._replies.say(who, said, who.here, markup=telegram.ReplyKeyboardRemove())

    async def _say(
        self,
        who: Asker,
        said: Message,
        message: telegram.Message,
        markup: Markup | None = None,
    ) -> None:
        await self._replies.say(who, said, who.here, reply_to=message.message_id, markup=markup)
