"""The composition root: settings → storage → messengers → schedule, and shutdown in reverse."""

import asyncio
import datetime as dt
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from bot.commands.core import Catalogue, Core
from bot.commands.files import load_starter
from bot.config import Settings
from bot.errors import CliffhangerError, StorageUnusable
from bot.health import HealthCheck
from bot.lock import only_bot
from bot.model import Clock, Platform
from bot.outbox import Outbox
from bot.outbox.messenger import Messenger
from bot.platforms.terminal import Front, TerminalMessenger, chat
from bot.poll import Poll
from bot.schedule import ClockWatch, Schedule
from bot.upkeep import Upkeep
from cogs import EXTENSIONS
from storage.database import file_of
from storage.store import Storage, open_storage
from storage.trust import trust
from storage.upgrade import Working

if TYPE_CHECKING:
    from bot.platforms.discord.access import Access as DiscordAccess
    from bot.platforms.telegram.service import Access as TelegramAccess

STOP_WITHIN: Final = 5.0
"""Seconds that sends in flight get to end when the bot stops."""

END_OF_INPUT_WITHIN: Final = 60.0
"""Seconds that deliveries get at the end of a script's input."""

log = structlog.get_logger()


def utc_now() -> dt.datetime:
    """The time now."""
    return dt.datetime.now(dt.UTC)


@asynccontextmanager
async def opened(
    settings: Settings, working: Working, *, bot: bool = False, starter: bool = True
) -> AsyncIterator[Storage]:
    """The storage that the settings name, ready for use.

    A tool beside a running bot (`bot` false) leaves checkpoints to the bot. Raises `StorageError`.
    """
    url = settings.database_url.get_secret_value()
    if file_of(url) is None:
        raise StorageUnusable(
            "Running on PostgreSQL is not ready yet. Set DATABASE_URL to a file, such as "
            "sqlite:///cliffhanger.db."
        )
    async with open_storage(url, trust(), checkpoints=bot, working=working) as storage:
        if starter:
            await load_starter(storage, utc_now().date())
        yield storage


class Engine:
    """Poll and outbox of one bot: the part between the store and the messengers."""

    def __init__(
        self,
        storage: Storage,
        messengers: Mapping[Platform, Messenger],
        clock: Clock,
        chance: Callable[[], float] = random.random,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.outbox = Outbox(storage, messengers, clock, chance, steady)
        self.poll = Poll(storage, clock, self.outbox.wake)
        self.core = Core(storage, Catalogue(storage), clock, wake=self.outbox.wake)

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """Deliver in the background; on the way out, what is in flight is settled first."""
        await self.outbox.recover()
        delivering = asyncio.create_task(self.outbox.run())
        try:
            yield
        finally:
            self.outbox.stop()
            _, late = await asyncio.wait([delivering], timeout=STOP_WITHIN)
            if late:
                log.warning("stop.gave_up", after=STOP_WITHIN)
                delivering.cancel()
                await asyncio.wait([delivering])
            elif delivering.exception():
                log.error("outbox.died", problem=repr(delivering.exception()))

    async def finish(self) -> None:
        """Take what is new and deliver what is due."""
        await self.poll()
        await self.outbox.settled()


class Service(Protocol):
    """A chat platform, as far as the composition root knows it."""

    platform: Platform

    @property
    def messenger(self) -> Messenger:
        """What the outbox sends through."""

    def connected(self) -> AbstractAsyncContextManager[None]:
        """Keep connections for as long as something is to be sent."""

    async def serve(self, core: Core, tell: Callable[[str], None]) -> None:
        """Answer people until cancelled; trouble of the platform is logged, and never raised."""


async def run(
    settings: Settings,
    front: Callable[[], Front],
    working: Working,
    tell: Callable[[str], None],
) -> None:
    """Run the bot on the platforms that have a token, or in the terminal where none has.

    It ends at Ctrl-C or SIGTERM, and in the terminal at the end of input. `tell` says to the person
    who started it where it speaks.
    """
    path = file_of(settings.database_url.get_secret_value())
    with _stop_signals() as stopping, only_bot(path):
        async with opened(settings, working, bot=True) as storage:
            services = list(_services(settings, storage))
            if services:
                await _run_on_platforms(settings, services, storage, stopping, tell)
            else:
                await _run_in_terminal(settings, storage, front(), stopping)


async def _run_in_terminal(
    settings: Settings, storage: Storage, front: Front, stopping: asyncio.Event
) -> None:
    engine = Engine(storage, {Platform.TERMINAL: TerminalMessenger(front.show)}, utc_now)
    async with engine.delivering(), _polling(engine, storage, settings.poll_seconds):
        ended = await _until(stopping, chat(engine.core, front))
        if ended:
            await _finish(engine)


async def _run_on_platforms(
    settings: Settings,
    services: Sequence[Service],
    storage: Storage,
    stopping: asyncio.Event,
    tell: Callable[[str], None],
) -> None:
    engine = Engine(storage, {one.platform: one.messenger for one in services}, utc_now)
    await engine.core.catalogue.index()  # before there are clients, and people who wait
    async with AsyncExitStack() as stack:
        for service in services:
            await stack.enter_async_context(service.connected())
        await stack.enter_async_context(engine.delivering())
        await stack.enter_async_context(_polling(engine, storage, settings.poll_seconds))
        await _until(stopping, _serve(services, engine.core, tell))


async def _serve(services: Sequence[Service], core: Core, tell: Callable[[str], None]) -> None:
    try:
        async with asyncio.TaskGroup() as serving:
            for service in services:
                serving.create_task(service.serve(core, tell))
    except BaseExceptionGroup as failed:  # such as a setting that cannot be used
        raise failed.exceptions[0] from None


def _services(settings: Settings, storage: Storage) -> Iterator[Service]:
    """The platforms that have a token."""
    discord, telegram = discord_access(settings), telegram_access(settings)
    if discord:
        from bot.platforms.discord.service import Discord

        yield Discord(discord, EXTENSIONS, storage, utc_now)
    if telegram:
        from bot.platforms.telegram.service import Telegram

        # Else every wait that Telegram asks for comes with a warning about the type of its number.
        os.environ.setdefault("PTB_TIMEDELTA", "1")
        yield Telegram(telegram)


def discord_access(settings: Settings) -> "DiscordAccess | None":
    """How to reach Discord, if the bot has a token for it."""
    if not settings.discord_token:
        return None
    from bot.platforms.discord.access import Access  # takes 300 ms to import

    return Access(
        settings.discord_token.get_secret_value(),
        settings.discord_api_url,
        settings.discord_shards,
        settings.discord_dev_guild,
    )


def telegram_access(settings: Settings) -> "TelegramAccess | None":
    """How to reach Telegram, if the bot has a token for it."""
    if not settings.telegram_token:
        return None
    from bot.platforms.telegram.service import Access  # takes 300 ms to import

    return Access(
        settings.telegram_token.get_secret_value(),
        settings.telegram_api_url,
        settings.telegram_webhook_url,
        settings.telegram_webhook_listen,
        settings.telegram_paid_broadcast,
    )


async def _finish(engine: Engine) -> None:
    try:
        async with asyncio.timeout(END_OF_INPUT_WITHIN):
            await engine.finish()
    except TimeoutError:
        raise CliffhangerError(
            f"Not everything could be delivered within {END_OF_INPUT_WITHIN:.0f} seconds. What is "
            "left goes out at the next start; `cliffhanger deliveries` tells how much."
        ) from None


@asynccontextmanager
async def _polling(engine: Engine, storage: Storage, seconds: float) -> AsyncIterator[HealthCheck]:
    """Poll and look after everything; gives what can tell how the bot is."""

    async def jumped(by: dt.timedelta) -> None:
        await storage.deliveries.shift(by)
        await storage.deliveries.bound(utc_now())
        engine.outbox.clock_was_set()

    watch = ClockWatch(utc_now)
    upkeep = Upkeep(storage, utc_now, watch, engine.outbox.tell)
    schedule = Schedule(engine.poll, seconds, watch, jumped, chores=upkeep.chores)
    schedule.start()
    try:
        yield HealthCheck(storage, engine.outbox.lanes, schedule, seconds, utc_now)
    finally:
        await schedule.stop()


async def _until(stopping: asyncio.Event, talk: Coroutine[Any, Any, None]) -> bool:
    """Talk until the end of input (true), or until a signal comes (false)."""
    talking = asyncio.create_task(talk)
    signalled = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait([talking, signalled], return_when=asyncio.FIRST_COMPLETED)
        if talking.done():
            talking.result()
        return talking.done()
    finally:
        talking.cancel()
        signalled.cancel()
        await asyncio.wait([talking, signalled])


@contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    """An event that SIGTERM, SIGHUP and Ctrl-C set, in place of ending at once."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, event.set)
    try:
        yield event
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
