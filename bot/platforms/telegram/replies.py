"""Gives answers: in the chat and topic of the question, with buttons that only fit there."""

import io
from functools import partial

import structlog
from telegram.constants import ParseMode
from telegram.error import BadRequest, TelegramError

from bot.commands.core import Core
from bot.errors import DeliveryError, DestinationLost, DestinationMoved, MustWait
from bot.message import Document, Message
from bot.model import Destination, Platform
from bot.outbox.pace import Pace
from bot.platforms.orders import Buttons
from bot.platforms.telegram import render, wording
from bot.platforms.telegram.calls import Json, call
from bot.platforms.telegram.errors import Mend, classify
from bot.platforms.telegram.people import Asker
from bot.platforms.telegram.sender import Bot, Letter, in_parts, keyboard, preview, send

log = structlog.get_logger()


class Replies:
    """Sends answers, and changes them in place when one of their buttons was pressed."""

    def __init__(self, bot: Bot, core: Core, pace: Pace) -> None:
        self._bot = bot
        self._core = core
        self._pace = pace

    async def say(
        self,
        who: Asker,
        message: Message,
        about: Destination,
        *,
        reply_to: int | None = None,
        markup: Json | None = None,
    ) -> None:
        """Answer somebody; trouble is logged, since there is nobody else to tell.

        `about` is the destination that the buttons act for; `markup` is put in place of buttons.
        """
        buttons = Buttons(message)
        letter = Letter(
            chat_id=who.chat_id,
            html=None,
            plain="",
            thread_id=who.thread_id,
            buttons=keyboard(buttons.sealed) or markup,
            video=render.preview([message]),
            reply_to=None if who.private else reply_to,
        )
        try:
            sent = 0
            for part in in_parts(letter, render.html(message), render.plain(message)):
                sent = await self._send(part)
            if message.document:
                await self._hand_over(who, message.document)
        except DestinationLost as error:
            await self._unsaid(who, error)
            if error.message_id is None:
                return
            sent = int(error.message_id)  # in General, as the topic is gone
        except DeliveryError as error:
            await self._unsaid(who, error)
            return
        # Nobody can press before it is kept, as chats are served in turn.
        await buttons.keep(self._core, about, who.chat_id, str(sent), who.user_id)
        await self._reached(who)

    async def change(
        self, who: Asker, message_id: int, message: Message, about: Destination
    ) -> None:
        """Put an answer in the place of an earlier one, whose button was pressed."""
        texts, buttons = render.html(message), Buttons(message)
        if message.document or len(texts) > 1:
            await self.say(who, message, about)
            return
        await self._pace.reply(who.chat_id)
        try:
            await call(
                self._bot,
                "editMessageText",
                chat_id=who.chat_id,
                message_id=message_id,
                text=texts[0],
                parse_mode=ParseMode.HTML,
                reply_markup=keyboard(buttons.sealed),
                link_preview_options=preview(render.preview([message])),
            )
        except BadRequest as error:
            log.info("telegram.not_edited", chat=who.chat_id, problem=str(error))
            await self.say(who, message, about)
            return
        except TelegramError as error:
            await self._unsaid(who, classify(error))
            return
        await buttons.keep(self._core, about, who.chat_id, str(message_id), who.user_id)

    async def _send(self, letter: Letter) -> int:
        turn = partial(self._pace.reply, letter.chat_id)
        await turn()
        return await send(self._bot, letter, turn)

    async def _hand_over(self, who: Asker, document: Document) -> None:
        content = io.BytesIO(document.text.encode())
        await self._pace.reply(who.chat_id)
        try:
            await self._bot.send_document(
                who.chat_id, content, filename=document.name, message_thread_id=who.thread_id
            )
        except TelegramError as error:
            refused = classify(error)
            if not isinstance(refused, Mend):
                raise refused from error
            await self._send(Letter(who.chat_id, None, wording.NO_FILES, who.thread_id))

    async def _reached(self, who: Asker) -> None:
        """Whoever could be answered can be told of news again."""
        destinations, here = self._core.storage.destinations, who.here
        if await destinations.suspended(here):
            await destinations.resume(here, self._core.clock())
            self._core.wake()

    async def _unsaid(self, who: Asker, error: DeliveryError) -> None:
        log.info("telegram.unanswered", chat=who.chat_id, problem=str(error))
        if isinstance(error, MustWait):
            self._pace.refused()
        if isinstance(error, DestinationMoved):
            now = self._core.clock()
            await self._core.storage.destinations.move(
                Platform.TELEGRAM, who.chat_id, error.chat_id, now
            )
