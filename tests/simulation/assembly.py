"""Puts a bot together on the virtual clock: the one place that knows how the core is built."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from inspect import signature
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import LRUCache

import bot.app
import bot.outbox
import bot.outbox.lane
import storage.database
from bot.app import Engine
from bot.model import Clock, Platform
from bot.outbox import Outbox
from bot.outbox.holds import Holds
from bot.platforms.discord.messenger import DiscordMessenger
from bot.platforms.discord.refusals import Refusals
from bot.platforms.discord.wire import Wire
from bot.platforms.telegram.messenger import TelegramMessenger
from storage.store import Storage
from tests.simulation.discord import Client, DiscordServer
from tests.simulation.platforms import Watched
from tests.simulation.telegram import SEALS, TelegramServer
from tests.simulation.telegram import bot as telegram_bot

NAP: Final = 1800.0
"""Seconds of the longest nap here: to look twice a minute whether all is quiet costs hours."""

PACED: Final = "pace" in signature(TelegramMessenger).parameters
"""Whether the core paces itself: then the platforms never have to refuse what comes too fast."""

Steady = Callable[[], float]
_COMPILED: Final[Any] = LRUCache(2000)
"""Statements as they were compiled for any of the databases: each scenario has some of its own."""


def _shares_what_is_compiled(*given: Any, **options: Any) -> Any:
    return create_async_engine(*given, **options, execution_options={"compiled_cache": _COMPILED})


def _fitting(made: Callable[..., object], **given: Any) -> dict[str, Any]:
    """Those of the values that a function takes by these names."""
    return {name: one for name, one in given.items() if name in signature(made).parameters}


def _one(_self: object) -> int:
    return 1


def _same(self: object, other: object) -> bool:
    return type(self) is type(other)


@contextmanager
def patched(steady: Steady, chance: random.Random) -> Iterator[None]:
    """Replace what would look at the real clock, and at chance."""
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, PTB_TIMEDELTA="1"))  # as at a real start
        stack.enter_context(
            patch.object(storage.database, "time", SimpleNamespace(monotonic=steady))
        )
        stack.enter_context(patch.object(SQLiteDialect_aiosqlite, "__hash__", _one))
        stack.enter_context(patch.object(SQLiteDialect_aiosqlite, "__eq__", _same))
        shares = patch.object(storage.database, "create_async_engine", _shares_what_is_compiled)
        stack.enter_context(shares)
        for name, seconds in (("LONGEST_NAP", NAP), ("STALLED", 3 * NAP)):
            if hasattr(bot.outbox.lane, name):
                stack.enter_context(patch.object(bot.outbox.lane, name, seconds))
        outbox = _fitting(Outbox, chance=chance.random, steady=steady)
        if "steady" not in signature(Engine).parameters:
            stack.enter_context(patch.object(bot.app, "Outbox", partial(Outbox, **outbox)))
        if "steady" not in outbox:
            stack.enter_context(patch.object(bot.outbox, "Holds", lambda: Holds(steady)))
        yield


class Bot:
    """One start of the bot: its engine, its way to Discord."""

    def __init__(
        self,
        storage: Storage,
        telegram: TelegramServer,
        discord: DiscordServer,
        clock: Clock,
        steady: Steady,
        chance: random.Random,
    ) -> None:
        self.storage = storage
        refusals = Refusals(steady)
        self.wire = Wire(steady)
        self.client: Any = Client(discord, refusals)
        setattr(self.wire, "client", self.client)  # noqa: B010 - it has what is asked of it
        self.guilds: Any = None
        """What acts on the events of Discord's servers."""
        self.engine = Engine(
            storage, self._messengers(telegram, refusals, steady), clock,
            **_fitting(Engine, chance=chance.random, steady=steady),
        )  # fmt: skip

    def _messengers(
        self, telegram: TelegramServer, refusals: Refusals, steady: Steady
    ) -> dict[Platform, Any]:
        paces: list[dict[str, Any]] = [{}, {}]
        if PACED:
            from bot.outbox.pace import DISCORD, TELEGRAM, Pace

            paces = [{"pace": Pace(limits, now=steady)} for limits in (TELEGRAM, DISCORD)]
        telegrams, discords = paces
        told: Any = TelegramMessenger(telegram_bot(telegram), SEALS, **telegrams)
        said: Any = DiscordMessenger(
            self.wire, SEALS, self.storage, refusals, now=steady, **discords
        )
        return {Platform.TELEGRAM: Watched(told), Platform.DISCORD: Watched(said)}
