"""Those who send: bare loops of two libraries, and the engine. Each runs as its own process."""

import asyncio
import datetime as dt
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import telegram
from telegram.request import BaseRequest, HTTPXRequest

from bot.app import Engine
from bot.model import DeliveryState, Platform
from bot.outbox.pace import UNLIMITED
from bot.platforms.telegram.service import Access, Telegram
from bot.platforms.telegram.transport import AiohttpRequest
from storage.store import Storage
from tests.bench.child import Tell, cpu, heard, measured, say, tell_lag_until_heard
from tests.bench.stores import NOW, a_store, fill_subscriptions, published
from tests.bench.telegram_alert import TOKEN, an_alert

_WARM_UP: Final = 100


# The contenders.


@asynccontextmanager
async def stock(url: str, in_flight: int) -> AsyncIterator[Tell]:
    """A bare loop on python-telegram-bot as it comes, over httpx."""
    pool = HTTPXRequest(connection_pool_size=in_flight, pool_timeout=30.0)
    async with _bare_ptb(url, pool, in_flight) as tell:
        yield tell


@asynccontextmanager
async def over_aiohttp(url: str, in_flight: int) -> AsyncIterator[Tell]:
    """The same loop on the engine's transport."""
    async with _bare_ptb(url, AiohttpRequest.for_sending(), in_flight) as tell:
        yield tell


@asynccontextmanager
async def _bare_ptb(url: str, request: BaseRequest, in_flight: int) -> AsyncIterator[Tell]:
    alert = an_alert()
    row = [telegram.InlineKeyboardButton(text, callback_data=data) for text, data in alert.buttons]
    send = partial(
        telegram.Bot(TOKEN, f"{url}/bot", request=request).send_message,
        text=alert.html,
        parse_mode="HTML",
        link_preview_options=telegram.LinkPreviewOptions(is_disabled=True),
        reply_markup=telegram.InlineKeyboardMarkup([row]),
    )
    await request.initialize()
    try:
        yield partial(_loop, send, in_flight)
    finally:
        await request.shutdown()


@asynccontextmanager
async def with_aiogram(url: str, in_flight: int) -> AsyncIterator[Tell]:
    """A bare loop on aiogram."""
    # It takes seconds to import, which no other contender should wait for.
    from aiogram import Bot
    from aiogram.client.session.aiohttp import AiohttpSession
    from aiogram.client.telegram import TelegramAPIServer
    from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions

    alert = an_alert()
    row = [InlineKeyboardButton(text=text, callback_data=data) for text, data in alert.buttons]
    async with Bot(TOKEN, AiohttpSession(api=TelegramAPIServer.from_base(url))) as bot:
        send = partial(
            bot.send_message,
            text=alert.html,
            parse_mode="HTML",
            link_preview_options=LinkPreviewOptions(is_disabled=True),
            reply_markup=InlineKeyboardMarkup(inline_keyboard=[row]),
        )
        yield partial(_loop, send, in_flight)


async def _loop(send: Callable[[int], Awaitable[object]], in_flight: int, count: int) -> float:
    await _send_all(send, in_flight, _WARM_UP)
    begun = cpu()
    await _send_all(send, in_flight, count)
    return cpu() - begun


async def _send_all(send: Callable[[int], Awaitable[object]], in_flight: int, count: int) -> None:
    chats = iter(range(1, count + 1))

    async def worker() -> None:
        for chat in chats:
            await send(chat)

    await asyncio.gather(*(worker() for _ in range(in_flight)))


@asynccontextmanager
async def whole_engine(url: str, folder: Path, count: int) -> AsyncIterator[Tell]:
    """Claim, compose, render, send and settle, on a database file; each time to all `count`."""
    async with _engine(url, folder / "engine.db", count) as (storage, engine, _):
        season = 0

        async def tell(chats: int) -> float:
            nonlocal season
            season += 1
            await published(storage, season)
            await engine.poll()
            begun = cpu()
            await engine.outbox.settled()
            taken = cpu() - begun
            sent = (await storage.deliveries.counts())[DeliveryState.SENT]
            assert sent == season * count == season * chats, f"{sent} were sent"
            return taken

        yield tell


@asynccontextmanager
async def _engine(
    url: str, path: Path, count: int
) -> AsyncIterator[tuple[Storage, Engine, Telegram]]:
    begun = time.monotonic()

    def clock() -> dt.datetime:
        return NOW + dt.timedelta(seconds=time.monotonic() - begun)

    async with a_store(path) as storage:
        fill_subscriptions(path, count)
        service = Telegram(Access(TOKEN, url), limits=UNLIMITED)
        engine = Engine(storage, {Platform.TELEGRAM: service.messenger}, clock)
        async with service.connected(), engine.delivering():
            yield storage, engine, service


# What their processes do.


async def _beside(url: str, folder: Path, count: int) -> None:
    """Deliver to `count` chats and answer people, until told to stop; answer with the loop's lag.

    The answer is the 99th percentile of how late a nap of 10 ms ended, and how many there were.
    """
    async with _engine(url, folder / "beside.db", count) as (storage, engine, service):
        serving = asyncio.create_task(service.serve(engine.core, lambda _: say("ready")))
        await heard()
        await published(storage, 1)
        await engine.poll()
        await tell_lag_until_heard()
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


def _main(name: str, url: str, folder: Path, number: int) -> None:
    bare = {"stock": stock, "over_aiohttp": over_aiohttp, "with_aiogram": with_aiogram}
    if name == "beside":
        asyncio.run(_beside(url, folder, number))
    elif name == "whole_engine":
        asyncio.run(measured(whole_engine(url, folder, number)))
    else:
        asyncio.run(measured(bare[name](url, number)))


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
