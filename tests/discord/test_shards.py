"""A bot with several connections, on the fake Discord, in this process."""

import asyncio
import datetime as dt
import time
from asyncio import to_thread
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.app import Engine
from bot.model import Destination, Platform
from bot.outbox.pace import UNLIMITED
from bot.platforms.discord import starts
from bot.platforms.discord.access import Access
from bot.platforms.discord.client import ShardedClient
from bot.platforms.discord.service import Discord
from bot.platforms.discord.watchdog import LOST, SILENT, Watchdog, heard_at
from cogs import EXTENSIONS
from storage.store import open_storage
from storage.trust import trust
from tests.build import NOW, TODAY, a_show
from tests.discord.test_service import RIGHTS, notice
from tests.fakes.clock import FakeClock
from tests.fakes.discord import FakeDiscord, Guild

SHARDS = 2
PATIENCE = 10.0


@pytest.fixture
def discord(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDiscord]:
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)
    monkeypatch.setattr(starts, "_GAPS", ((starts.MOST_A_DAY, dt.timedelta(0)),))
    with FakeDiscord() as fake:
        fake.settings.shards = SHARDS
        yield fake


@pytest.fixture
def guilds(discord: FakeDiscord) -> list[Guild]:
    """One server for each connection."""
    return [discord.guild(f"Fans {n}", *RIGHTS, shard=(n, SHARDS)) for n in range(SHARDS)]


@pytest.fixture
async def bot(
    discord: FakeDiscord, guilds: list[Guild], tmp_path: Path
) -> AsyncIterator[tuple[Discord, ShardedClient]]:
    async with open_storage(f"sqlite:///{tmp_path}/cliffhanger.db", trust()) as storage:
        await storage.publishing.load([(1, a_show("dark"))], TODAY)
        access = Access(discord.token, discord.url, shards=SHARDS)
        service = Discord(access, EXTENSIONS, storage, FakeClock(NOW), limits=UNLIMITED)
        engine = Engine(storage, {Platform.DISCORD: service.messenger}, FakeClock(NOW))
        async with service.connected():
            serving = asyncio.create_task(service.serve(engine.core, lambda _: None))
            await to_thread(discord.wait_until_registered, "subscribe")
            client = service._wire.connected()
            await asyncio.wait_for(client.wait_until_ready(), PATIENCE)
            assert isinstance(client, ShardedClient)
            yield service, client
            serving.cancel()
            await asyncio.wait([serving])


async def test_every_connection_serves_its_servers(
    bot: tuple[Discord, ShardedClient], discord: FakeDiscord, guilds: list[Guild]
) -> None:
    service, client = bot
    assert sorted(one.shard for one in discord.identifies) == [(0, 2), (1, 2)]
    for guild in guilds:
        channel, ann = guild.text("news"), discord.person("Ann")
        guild.join(ann)
        asked = await to_thread(discord.ask, ann, channel, "status", show="dark")
        assert "Dark" in asked.text or "All of Us Are Dead" in asked.text
        here = Destination(Platform.DISCORD, channel.id, None, guild.id)
        assert await service.messenger.send(here, [notice()])
    assert {client.get_guild(guild.id) is not None for guild in guilds} == {True}


async def test_one_that_says_nothing_is_made_anew_and_the_other_goes_on(
    bot: tuple[Discord, ShardedClient], discord: FakeDiscord
) -> None:
    _, client = bot
    other: Any = client.shards[1]._parent.ws
    now = time.perf_counter() + SILENT + 1
    other._keep_alive._last_recv = now
    assert await Watchdog(client, lambda: now).look()
    await to_thread(discord.wait_until_resumed)
    assert len(discord.resumes) == 1
    assert client.shards[1]._parent.ws is other
    assert heard_at(other) == now


async def test_a_gateway_that_is_away_is_found_again(
    bot: tuple[Discord, ShardedClient], discord: FakeDiscord
) -> None:
    _, client = bot
    now = time.perf_counter()
    watchdog = Watchdog(client, lambda: now)
    for shard in client.shards.values():
        socket: Any = shard._parent.ws
        socket._keep_alive.stop()
        socket._keep_alive = None
    now += LOST + 1
    assert not await watchdog.look()


async def test_a_session_that_may_begin_only_later_ends_no_other_one(
    bot: tuple[Discord, ShardedClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, client = bot
    monkeypatch.setattr(starts, "_GAPS", ((starts.MOST_A_DAY, dt.timedelta(hours=1)),))
    waiting = asyncio.create_task(client.before_identify_hook(0))
    _, late = await asyncio.wait({waiting}, timeout=0.2)
    assert late == {waiting}  # it waits, and raises nothing
    waiting.cancel()
    assert not client.is_closed()
