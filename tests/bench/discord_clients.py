"""Those who send: bare loops of two libraries, and the engine. Each runs as its own process."""

import asyncio
import datetime as dt
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import discord

from bot.app import Engine
from bot.model import DeliveryState, Platform
from bot.outbox.pace import UNLIMITED
from bot.platforms.discord.access import Access
from bot.platforms.discord.client import aim, sweep_seldom
from bot.platforms.discord.service import Discord
from cogs import EXTENSIONS
from storage.store import Storage
from tests.bench.child import Tell, cpu, heard, measured, say, tell_lag_until_heard
from tests.bench.discord_alert import TOKEN, an_alert
from tests.bench.discord_server import TITLES
from tests.bench.discord_stores import (
    FIRST_CHANNEL,
    catalogue,
    fill_channels,
    fill_titles,
    renew_channels,
)
from tests.bench.stores import NOW, a_store, published

Send = Callable[[int, str], Awaitable[object]]
"""Sends the alert to a channel, with a key."""

IN_FLIGHT: Final = 16
_WARM_UP: Final = 100
_SETTLED: Final = 30.0


# The contenders.


@asynccontextmanager
async def stock(url: str, channels: int) -> AsyncIterator[Tell]:
    """A bare loop on discord.py as it comes."""
    async with _bare(lambda: _discord_py(url, seldom=False), channels) as tell:
        yield tell


@asynccontextmanager
async def sweeping_seldom(url: str, channels: int) -> AsyncIterator[Tell]:
    """The same loop on discord.py that looks for unused rate limits once a minute."""
    async with _bare(lambda: _discord_py(url, seldom=True), channels) as tell:
        yield tell


@asynccontextmanager
async def with_hikari(url: str, channels: int) -> AsyncIterator[Tell]:
    """A bare loop on hikari."""
    async with _bare(lambda: _hikari(url), channels) as tell:
        yield tell


@asynccontextmanager
async def _bare(
    sender: Callable[[], AbstractAsyncContextManager[Send]], channels: int
) -> AsyncIterator[Tell]:
    """Each time with a new client: the library knows none of the channels, as after a while."""

    async def tell(count: int) -> float:
        async with sender() as send:
            await _send_all(send, _WARM_UP, _WARM_UP)
            begun = cpu()
            await _send_all(send, channels, count, FIRST_CHANNEL)
            return cpu() - begun

    yield tell


@asynccontextmanager
async def _discord_py(url: str, *, seldom: bool) -> AsyncIterator[Send]:
    aim(url)
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
        if seldom:
            sweep_seldom(client.http)

        async def send(channel: int, key: str) -> object:
            to = client.get_partial_messageable(channel)
            return await to.send(alert["content"], embed=embed, view=view, nonce=key)

        yield send


@asynccontextmanager
async def _hikari(url: str) -> AsyncIterator[Send]:
    """Without a key, which hikari cannot send."""
    import hikari  # takes long, which no other contender should wait for

    alert = an_alert()
    told = alert["embeds"][0]
    embed = hikari.Embed(description=told["description"], color=told["color"])
    row = hikari.impl.MessageActionRowBuilder()
    for button in alert["components"][0]["components"]:
        row.add_interactive_button(
            hikari.ButtonStyle.SECONDARY, button["custom_id"], label=button["label"]
        )
    app = hikari.RESTApp(url=url)
    await app.start()
    try:
        async with app.acquire(TOKEN, hikari.TokenType.BOT) as rest:

            async def send(channel: int, _key: str) -> object:
                return await rest.create_message(
                    channel,
                    alert["content"],
                    embed=embed,
                    component=row,
                    mentions_everyone=False,
                    user_mentions=False,
                    role_mentions=False,
                )

            yield send
    finally:
        await app.close()


async def _send_all(send: Send, channels: int, count: int, first: int = 0) -> None:
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await send(first + 1 + number % channels, f"{number:024d}")

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))


@asynccontextmanager
async def whole_engine(
    url: str, folder: Path, guild_id: int, channels: int, *, renewed: bool
) -> AsyncIterator[Tell]:
    """Claim, compose, render, send and settle, on a database file.

    Each update goes to all channels; if they are not `renewed` then each time to the same ones.
    """
    path = folder / f"engine-{channels}-{renewed}.db"
    async with _engine(url, path, guild_id, channels) as (storage, engine):
        season = 0

        async def tell(count: int) -> float:
            nonlocal season
            taken = 0.0
            for _ in range(count // channels):
                season += 1
                if renewed:
                    await asyncio.to_thread(renew_channels, path, channels)
                await published(storage, season)
                await engine.poll()
                begun = cpu()
                await engine.outbox.settled()
                taken += cpu() - begun
            sent = (await storage.deliveries.counts())[DeliveryState.SENT]
            assert sent == season * channels, f"{sent} were sent"
            return taken

        yield tell


@asynccontextmanager
async def _engine(
    url: str, path: Path, guild_id: int, channels: int, titles: int = 0
) -> AsyncIterator[tuple[Storage, Engine]]:
    """The engine as the bot runs it, connected to the gateway."""
    begun = time.monotonic()

    def clock() -> dt.datetime:
        return NOW + dt.timedelta(seconds=time.monotonic() - begun)

    async with a_store(path) as storage:
        fill_channels(path, channels, guild_id)
        if titles:
            fill_titles(path, catalogue(titles))
        service = Discord(Access(TOKEN, url), EXTENSIONS, storage, clock, limits=UNLIMITED)
        engine = Engine(storage, {Platform.DISCORD: service.messenger}, clock)
        ready = asyncio.Event()
        async with service.connected(), engine.delivering():
            serving = asyncio.create_task(service.serve(engine.core, lambda _: ready.set()))
            try:
                async with asyncio.timeout(_SETTLED):
                    await ready.wait()
                yield storage, engine
            finally:
                serving.cancel()
                with suppress(asyncio.CancelledError):
                    await serving


# What their processes do.


async def _beside(url: str, folder: Path, guild_id: int, channels: int) -> None:
    """Deliver to the channels and answer people, until told to stop; answer with the loop's lag.

    The answer is the 99th percentile of how late a nap of 10 ms ended, and how many there were.
    """
    path = folder / f"beside-{channels}.db"
    async with _engine(url, path, guild_id, channels, TITLES) as (storage, engine):
        await engine.core.suggest("a")  # the index is built, as it is soon after a start
        say("ready")
        await heard()
        await published(storage, 1)
        await engine.poll()
        await tell_lag_until_heard()


def _main(name: str, url: str, folder: Path, guild_id: int, channels: int) -> None:
    bare = {"stock": stock, "sweeping_seldom": sweeping_seldom, "with_hikari": with_hikari}
    if name == "beside":
        asyncio.run(_beside(url, folder, guild_id, channels))
    elif name in ("whole_engine", "engine_again"):
        renewed = name == "whole_engine"
        asyncio.run(measured(whole_engine(url, folder, guild_id, channels, renewed=renewed)))
    else:
        asyncio.run(measured(bare[name](url, channels)))


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
