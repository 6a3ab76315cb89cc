"""What the bot relies on in discord.py although nothing promises it: these fail when it changes."""

import asyncio
import inspect
from typing import Any

import discord
import pytest
from discord.gateway import DiscordWebSocket, KeepAliveHandler
from discord.http import HTTPClient, Ratelimit, Route

from bot.platforms.discord.client import SWEEP, sweep_seldom

ENOUGH = 256
"""Rate limits after which the library looks through all of them for each new channel."""


@pytest.fixture
async def http() -> HTTPClient:
    return HTTPClient(asyncio.get_running_loop())


class Watched(dict[str, Any]):
    """Counts how often all of it is looked through."""

    looks = 0

    def items(self) -> Any:
        self.looks += 1
        return super().items()


def used(http: HTTPClient, channels: range) -> int:
    """Use the rate limits of some channels; returns how often all were looked through."""
    watched = http._buckets = Watched(http._buckets)
    for channel in channels:
        http.get_ratelimit(f"hash:{channel}")
    return watched.looks


async def test_the_library_looks_through_all_rate_limits_for_each_new_channel(
    http: HTTPClient,
) -> None:
    assert used(http, range(300)) == 300 - ENOUGH + 1  # else `sweep_seldom` is needed no more


async def test_that_is_done_once_a_minute_instead(http: HTTPClient) -> None:
    now = 0.0
    sweep_seldom(http, lambda: now)
    assert used(http, range(1000)) == 0
    now = SWEEP
    assert used(http, range(1000, 2000)) == 1


async def test_rate_limits_that_are_not_used_are_forgotten_all_the_same(http: HTTPClient) -> None:
    now = 0.0
    sweep_seldom(http, lambda: now)
    used(http, range(1000))
    for limit in http._buckets.values():
        limit._last_request -= 300
    now = SWEEP
    http.get_ratelimit("another")
    assert list(http._buckets) == ["another"]


def test_the_addresses_can_be_set() -> None:
    assert Route.BASE.startswith("https://discord.com/api/v")
    assert DiscordWebSocket.DEFAULT_GATEWAY.scheme == "wss"
    assert Route("GET", "/x").url == f"{Route.BASE}/x"


def test_the_watchdog_finds_what_it_looks_at() -> None:
    assert "_last_recv" in inspect.getsource(KeepAliveHandler.tick)
    assert "_keep_alive" in inspect.getsource(DiscordWebSocket.poll_event)
    assert "_global_over" in inspect.getsource(HTTPClient.request)
    assert "_parent.ws" in inspect.getsource(discord.ShardInfo)


def test_requests_wait_behind_what_a_global_limit_clears() -> None:
    source = inspect.getsource(HTTPClient.request)
    assert "_global_over.clear()" in source
    assert "finally" not in source  # with one, nobody would have to set it for a cancelled request


def test_a_bucket_that_is_empty_is_waited_for_after_the_answer() -> None:
    assert "sleep" in inspect.getsource(Ratelimit.__aexit__) + inspect.getsource(Ratelimit._refresh)
