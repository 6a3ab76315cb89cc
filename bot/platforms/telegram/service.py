"""The bot on Telegram: one application, from its token to its handlers, kept alive."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakValueDictionary

import structlog
import telegram
from telegram.constants import ChatType
from telegram.error import InvalidToken, TelegramError
from telegram.ext import (
    Application,
    BaseUpdateProcessor,
    CallbackQueryHandler,
    ChatMemberHandler,
    ExtBot,
    MessageHandler,
    filters,
)

from bot.commands.core import Core
from bot.model import Platform
from bot.outbox.carrier import IN_FLIGHT
from bot.outbox.pace import TELEGRAM, TELEGRAM_PAID, Pace
from bot.outbox.pace import Limits as SendingLimits
from bot.platforms.limits import Limits
from bot.platforms.orders import PREFIX
from bot.platforms.seals import Seals
from bot.platforms.seen import Seen
from bot.platforms.telegram.channels import Channels
from bot.platforms.telegram.dialog import Dialog
from bot.platforms.telegram.errors import classify
from bot.platforms.telegram.membership import loss
from bot.platforms.telegram.menu import offer_commands
from bot.platforms.telegram.messenger import TelegramMessenger
from bot.platforms.telegram.presses import Presses
from bot.platforms.telegram.receiving import REFUSED_WAITS, Polling, PollRequest
from bot.platforms.telegram.replies import Replies
from bot.platforms.telegram.rights import Rights
from bot.platforms.telegram.transport import AiohttpRequest
from bot.platforms.telegram.webhook import Webhook

AT_ONCE: Final = 4096
"""Updates that may wait or be answered at the same time; those of one chat go one by one."""

PAID_IN_FLIGHT: Final = 128
"""Alerts on their way at a time where more than 30 a second are paid for."""

STOP_WITHIN: Final = 2.0
"""Seconds that answers under way get when the bot stops."""

_EDITED_WITHIN: Final = 300.0
"""Seconds in which an edited command counts: its writer mends a slip. Later it is history."""

_RETRY: Final = (1.0, 2.0, 5.0, 10.0, 30.0)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach Telegram: the bot's token is secret.

    With a `webhook_url` Telegram sends there, and `listen` (host:port) is where it arrives. With
    `paid` alerts go out faster than 30 a second, for Stars.
    """

    token: str
    api_url: str
    webhook_url: str | None = None
    listen: str = "127.0.0.1:8080"
    paid: bool = False

    def __repr__(self) -> str:
        return f"Access(api_url={self.api_url!r})"


class _Bot(ExtBot[None]):
    """A bot that does not tell its token wherever it is shown."""

    def __repr__(self) -> str:
        return "Bot"


class Telegram:
    """Serves private chats, groups, forum topics and channels."""

    platform = Platform.TELEGRAM

    def __init__(self, access: Access, limits: SendingLimits | None = None) -> None:
        """The limits are Telegram's own unless others are given."""
        self._access = access
        _quiet()
        in_flight = PAID_IN_FLIGHT if access.paid else IN_FLIGHT
        self._pace = Pace(limits or (TELEGRAM_PAID if access.paid else TELEGRAM))
        self._sending = AiohttpRequest.for_sending(in_flight)
        self._polling = PollRequest.for_polling()
        self._bot: ExtBot[None] = _Bot(
            access.token,
            base_url=f"{access.api_url}/bot",
            base_file_url=f"{access.api_url}/file/bot",
            request=self._sending,
            get_updates_request=self._polling,
        )
        self._seals = Seals(access.token)
        self.messenger = TelegramMessenger(
            self._bot, self._seals, self._pace, in_flight=in_flight, paid=access.paid
        )

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Keep connections for as long as something is to be sent."""
        await self._sending.initialize()
        try:
            yield
        finally:
            with suppress(TelegramError):
                await self._bot.shutdown()
            await self._sending.shutdown()
            await self._polling.shutdown()

    async def serve(self, core: Core, tell: Callable[[str], None]) -> None:
        """Answer people until cancelled; what was taken is answered first.

        A token that is refused and a server that is away are logged, and tried again without end.
        """
        application = self._application(core)
        await self._begin(application)
        try:
            await application.start()
            tell(f"Cliffhanger speaks on Telegram as @{self._bot.username}. Ctrl-C ends.")
            await offer_commands(self._bot)
            await self._receiver(application.update_queue).run()
        finally:
            if application.running:
                await self._end(application)

    async def _begin(self, application: Application[Any, Any, Any, Any, Any, Any]) -> None:
        """Learn who the bot is."""
        tries = 0
        while True:
            try:
                await application.initialize()
            except TelegramError as error:
                waits = REFUSED_WAITS if isinstance(error, InvalidToken) else _RETRY
                wait = waits[min(tries, len(waits) - 1)]
                tries += 1
                log.error("telegram.not_begun", problem=str(classify(error)), retry_in=wait)
                await asyncio.sleep(wait)
            else:
                return

    async def _end(self, application: Application[Any, Any, Any, Any, Any, Any]) -> None:
        """Answer what was taken; Telegram not answering does not hold up the stop."""
        try:
            await asyncio.wait_for(application.stop(), STOP_WITHIN)
        except TimeoutError:
            log.warning("telegram.stop_gave_up", after=STOP_WITHIN)

    def _receiver(self, queue: "asyncio.Queue[Any]") -> Polling | Webhook:
        access = self._access
        if access.webhook_url:
            return Webhook(self._bot, access.webhook_url, access.listen, queue)
        return Polling(self._bot, self._polling, queue)

    def _application(self, core: Core) -> Application[Any, Any, Any, Any, Any, Any]:
        handlers = Handlers(self._bot, core, self._seals, self._pace)
        application = (
            Application.builder()
            .bot(self._bot)
            .updater(None)
            .concurrent_updates(InTurn(AT_ONCE))
            .build()
        )
        application.add_handler(ChatMemberHandler(handlers.membership))
        application.add_handler(CallbackQueryHandler(handlers.pressed))
        application.add_handler(MessageHandler(filters.ALL, handlers.heard))
        application.add_error_handler(_log_trouble)
        return application


def _quiet() -> None:
    """Keep the library's tracebacks out of the log: ordinary trouble is told here, in a line."""
    for name in ("telegram.ext.Updater", "telegram.request.BaseRequest"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # That a refused token ends the polling is told nowhere else.
    logging.getLogger("telegram.ext").addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True


class InTurn(BaseUpdateProcessor):
    """Serves many chats at the same time, and in each chat one update after the other."""

    def __init__(self, at_once: int) -> None:
        super().__init__(at_once)
        self._chats: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def do_process_update(self, update: object, coroutine: Awaitable[Any]) -> None:
        """Wait for the chat's turn, then process."""
        turn = self._chats.setdefault(_turn_of(update), asyncio.Lock())
        async with turn:
            await coroutine

    async def initialize(self) -> None:
        """Nothing is to be prepared."""

    async def shutdown(self) -> None:
        """Nothing is to be closed."""


def _turn_of(update: object) -> int:
    """Whose updates go one by one: a chat's, but each reader's who presses in a channel.

    The buttons below an answer are the chat's again: they work once the answer is given.
    """
    if not isinstance(update, telegram.Update) or update.effective_chat is None:
        return 0
    query, kind = update.callback_query, update.effective_chat.type
    if query and kind == ChatType.CHANNEL and not (query.data or "").startswith(PREFIX):
        return query.from_user.id
    return update.effective_chat.id


class Handlers:
    """What happens with each kind of update."""

    def __init__(self, bot: ExtBot[None], core: Core, seals: Seals, pace: Pace) -> None:
        self._core = core
        self._limits = Limits()
        self._seen = Seen()
        rights = Rights(bot)
        channels = Channels(bot, core.storage.conversations, rights)
        replies = Replies(bot, core, pace)
        self._dialog = Dialog(bot, core, rights, channels, replies)
        self._presses = Presses(core, seals, rights, channels, replies)

    async def heard(self, update: telegram.Update, _context: object) -> None:
        """A message, written or edited, or a notice of Telegram itself."""
        message = update.effective_message
        if message is None or self._seen.again(update.update_id):
            return
        if message.migrate_to_chat_id:
            await self._moved(message.chat.id, message.migrate_to_chat_id)
        elif message.migrate_from_chat_id:
            await self._moved(message.migrate_from_chat_id, message.chat.id)
        elif not _is_history(message):
            await self._dialog.heard(message, self._limits)

    async def pressed(self, update: telegram.Update, _context: object) -> None:
        """A pressed button."""
        if update.callback_query and not self._seen.again(update.update_id):
            await self._presses.pressed(update.callback_query, self._limits)

    async def membership(self, update: telegram.Update, _context: object) -> None:
        """The bot was added, removed, blocked, or given other rights."""
        change = update.my_chat_member
        if change is None or self._seen.again(update.update_id):
            return
        destinations, now = self._core.storage.destinations, self._core.clock()
        lost = loss(change.chat, change.new_chat_member)
        if lost:
            await destinations.suspend_chat(Platform.TELEGRAM, change.chat.id, lost, now)
        elif await destinations.resume_chat(Platform.TELEGRAM, change.chat.id, now):
            self._core.wake()

    async def _moved(self, old: int, new: int) -> None:
        now = self._core.clock()
        await self._core.storage.destinations.move(Platform.TELEGRAM, old, new, now)
        self._core.wake()


def _is_history(message: telegram.Message) -> bool:
    if message.edit_date is None:
        return False
    return (message.edit_date - message.date).total_seconds() > _EDITED_WITHIN


async def _log_trouble(_update: object, context: Any) -> None:
    log.error("telegram.handler_failed", problem=repr(context.error)[:300])
