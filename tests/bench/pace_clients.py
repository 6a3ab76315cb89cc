"""Those whom the engine's pace is measured by, each with the pace its library or manual has.

Each is a process of its own: a line tells it to begin, and it says the CPU that it took.
"""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Final

from tests.bench.child import cpu, heard, say
from tests.bench.pace_plans import PLANS, Place

Work = Callable[[Sequence[Place]], Awaitable[None]]
"""Sends a message to each of these."""

_Send = Callable[[Place], Awaitable[object]]
_PTB_POOL: Final = 32
_PTB_RETRIES: Final = 3
_DISCORD_POOL: Final = 16
_DOCUMENTED_NAP: Final = 0.05
_PATIENCE: Final = 150.0


# Telegram.


@asynccontextmanager
async def _ptb(url: str, retries: int) -> AsyncIterator[_Send]:
    """python-telegram-bot with its own limiter."""
    import telegram
    from telegram.ext import AIORateLimiter, ExtBot
    from telegram.request import HTTPXRequest

    from tests.bench.telegram_alert import TOKEN, an_alert

    alert = an_alert()
    row = [telegram.InlineKeyboardButton(text, callback_data=data) for text, data in alert.buttons]
    keyboard = telegram.InlineKeyboardMarkup([row])
    # So many connections an application has; a wait for one is no part of what is measured.
    request = HTTPXRequest(connection_pool_size=256, pool_timeout=60.0)
    limiter = AIORateLimiter(max_retries=retries)
    async with ExtBot(TOKEN, f"{url}/bot", request=request, rate_limiter=limiter) as bot:

        async def send(place: Place) -> None:
            chat, topic = place
            with suppress(telegram.error.TelegramError):  # the bench counts what arrived
                await bot.send_message(
                    chat,
                    alert.html,
                    parse_mode="HTML",
                    link_preview_options=telegram.LinkPreviewOptions(is_disabled=True),
                    reply_markup=keyboard,
                    message_thread_id=topic or None,
                )

        yield send


@asynccontextmanager
async def _ptb_pool(url: str) -> AsyncIterator[Work]:
    async with _ptb(url, _PTB_RETRIES) as send:
        yield partial(_pool, send, _PTB_POOL)


@asynccontextmanager
async def _ptb_default(url: str) -> AsyncIterator[Work]:
    """Everything at once: the limiter makes it wait, and tries nothing again."""
    async with _ptb(url, 0) as send:

        async def work(places: Sequence[Place]) -> None:
            await asyncio.gather(*map(send, places))

        yield work


@asynccontextmanager
async def _aiogram(url: str) -> AsyncIterator[Work]:
    """The broadcast that aiogram's manual has."""
    from aiogram import Bot
    from aiogram.client.session.aiohttp import AiohttpSession
    from aiogram.client.telegram import TelegramAPIServer
    from aiogram.exceptions import TelegramRetryAfter
    from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions

    from tests.bench.telegram_alert import TOKEN, an_alert

    alert = an_alert()
    row = [InlineKeyboardButton(text=text, callback_data=data) for text, data in alert.buttons]
    async with Bot(TOKEN, AiohttpSession(api=TelegramAPIServer.from_base(url))) as bot:

        async def send(chat: int) -> None:
            try:
                await bot.send_message(
                    chat,
                    alert.html,
                    parse_mode="HTML",
                    link_preview_options=LinkPreviewOptions(is_disabled=True),
                    reply_markup=InlineKeyboardMarkup(inline_keyboard=[row]),
                )
            except TelegramRetryAfter as error:
                await asyncio.sleep(error.retry_after)
                await send(chat)

        async def work(places: Sequence[Place]) -> None:
            for chat, _ in places:
                await send(chat)
                await asyncio.sleep(_DOCUMENTED_NAP)

        yield work


# Discord.


@asynccontextmanager
async def _discord_py(url: str, in_flight: int) -> AsyncIterator[Work]:
    """discord.py as it comes."""
    import discord

    from bot.platforms.discord.client import aim
    from tests.bench.discord_alert import TOKEN, an_alert
    from tests.bench.discord_server import PREFIX

    aim(f"{url}{PREFIX}")
    alert = an_alert()
    embed = discord.Embed.from_dict(alert["embeds"][0])
    view = discord.ui.View(timeout=None)
    for button in alert["components"][0]["components"]:
        view.add_item(discord.ui.Button(label=button["label"], custom_id=button["custom_id"]))
    view.stop()  # else the library would keep one for each message
    async with discord.Client(
        intents=discord.Intents.none(), allowed_mentions=discord.AllowedMentions.none()
    ) as client:
        await client.login(TOKEN)

        async def send(place: Place) -> None:
            to = client.get_partial_messageable(place[0])
            with suppress(discord.DiscordException):  # the bench counts what arrived
                await to.send(alert["content"], embed=embed, view=view)

        yield partial(_pool, send, in_flight)


async def _pool(send: _Send, in_flight: int, places: Sequence[Place]) -> None:
    waiting = iter(places)

    async def worker() -> None:
        for place in waiting:
            await send(place)

    await asyncio.gather(*(worker() for _ in range(in_flight)))


_KINDS: Final[dict[str, Callable[[str], AbstractAsyncContextManager[Work]]]] = {
    "ptb_pool": _ptb_pool,
    "ptb_default": _ptb_default,
    "aiogram": _aiogram,
    "discord_py_pool": partial(_discord_py, in_flight=_DISCORD_POOL),
    "discord_py_in_turn": partial(_discord_py, in_flight=1),
}


async def _deliver(kind: str, url: str, plan: str) -> None:
    async with _KINDS[kind](url) as work:
        say("ready")
        await heard()
        begun = cpu()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await work(PLANS[plan].messages())
        say(cpu() - begun)


if __name__ == "__main__":
    logging.disable()  # each refusal would be told, with a traceback
    asyncio.run(_deliver(*sys.argv[1:4]))
