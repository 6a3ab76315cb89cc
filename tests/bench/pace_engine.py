"""The engine as it comes, told to begin by a line: it publishes, delivers, and says its CPU."""

import asyncio
import datetime as dt
import logging
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import structlog

from bot.app import Engine
from bot.model import Destination, Platform
from bot.outbox.messenger import Messenger, Notice
from storage.store import Storage
from tests.bench.child import cpu, heard, say
from tests.bench.pace_plans import PLANS, Plan
from tests.bench.pace_stores import fill, publish
from tests.bench.stores import NOW, a_store

_CONNECTED: Final = 30.0
_PATIENCE: Final = 150.0
_NAP: Final = 0.5


class _OneByOne:
    """A messenger that makes one message of each notice, as the others do that are measured."""

    def __init__(self, messenger: Messenger) -> None:
        self._messenger = messenger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._messenger, name)

    def fitting(self, _destination: Destination, _notices: Sequence[Notice]) -> int:
        return 1


def _one_by_one(messenger: Messenger) -> Any:
    return _OneByOne(messenger)


class Clock:
    """A wall clock that begins on the bench's day."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def __call__(self) -> dt.datetime:
        """The time now."""
        return NOW + dt.timedelta(seconds=time.monotonic() - self._begun)


@asynccontextmanager
async def _on_telegram(
    url: str, path: Path, plan: Plan, _home: int
) -> AsyncIterator[tuple[Storage, Engine]]:
    from bot.platforms.telegram.service import Access, Telegram
    from tests.bench.telegram_alert import TOKEN

    async with a_store(path) as storage:
        await fill(storage, path, plan, Platform.TELEGRAM)
        service = Telegram(Access(TOKEN, url))
        messengers = {Platform.TELEGRAM: _one_by_one(service.messenger)}
        engine = Engine(storage, messengers, Clock())
        async with service.connected(), engine.delivering():
            yield storage, engine


@asynccontextmanager
async def _on_discord(
    url: str, path: Path, plan: Plan, home: int
) -> AsyncIterator[tuple[Storage, Engine]]:
    from bot.platforms.discord.access import Access
    from bot.platforms.discord.service import Discord
    from cogs import EXTENSIONS
    from tests.bench.discord_alert import TOKEN
    from tests.bench.discord_server import PREFIX

    async with a_store(path) as storage:
        await fill(storage, path, plan, Platform.DISCORD, home)
        clock = Clock()
        service = Discord(Access(TOKEN, f"{url}{PREFIX}"), EXTENSIONS, storage, clock)
        engine = Engine(storage, {Platform.DISCORD: _one_by_one(service.messenger)}, clock)
        ready = asyncio.Event()
        async with service.connected(), engine.delivering():
            serving = asyncio.create_task(service.serve(engine.core, lambda _: ready.set()))
            try:
                async with asyncio.timeout(_CONNECTED):
                    await ready.wait()
                yield storage, engine
            finally:
                serving.cancel()
                with suppress(asyncio.CancelledError):
                    await serving


async def _deliver(platform: str, url: str, path: Path, plan: Plan, home: int) -> None:
    on = {"telegram": _on_telegram, "discord": _on_discord}[platform]
    async with on(url, path, plan, home) as (storage, engine):
        say("ready")
        await heard()
        begun = cpu()
        await publish(storage, plan)
        await engine.poll()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await engine.outbox.settled()
                # What was refused and waits for another try.
                while await storage.deliveries.next_due() is not None:
                    await asyncio.sleep(_NAP)
        say(cpu() - begun)


def warn_aside() -> None:
    """Keep what the engine logs from coming between what the process says; errors are shown."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    warn_aside()
    _, _platform, _url, _path, _plan, _home = sys.argv
    asyncio.run(_deliver(_platform, _url, Path(_path), PLANS[_plan], int(_home)))
