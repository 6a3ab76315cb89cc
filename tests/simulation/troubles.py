"""When which faults strike: drawn from the seed, ended at the end of the scenario."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from bot.model import Platform
from tests.simulation.assembly import Bot
from tests.simulation.faults import CRASHES, EVERYWHERE, NETWORK, ROOMS, Fault
from tests.simulation.platforms import Room

if TYPE_CHECKING:
    from tests.simulation.world import Scenario

RATE: Final = 1.0
"""Faults that begin an hour."""

HOUR: Final = 3600.0
_PERMANENT: Final = frozenset(
    {
        Fault.TELEGRAM_DEACTIVATED, Fault.TELEGRAM_PAYMENT, Fault.TELEGRAM_TOPIC_DELETED,
        Fault.TELEGRAM_GROUP_DELETED,
    }
)  # fmt: skip
_TRIED_OFTEN: Final = frozenset({Fault.DISCORD_SLOWMODE, Fault.DISCORD_WRITE_LIMIT})
_RETURNS: Final = frozenset(
    {
        Fault.TELEGRAM_BLOCKED, Fault.TELEGRAM_NEVER_STARTED, Fault.TELEGRAM_KICKED,
        Fault.TELEGRAM_NOT_MEMBER, Fault.DISCORD_NO_DIRECT,
    }
)  # fmt: skip
_STORMS: Final = frozenset(
    {
        Fault.TELEGRAM_FLOOD, Fault.TELEGRAM_FLOOD_ALL, Fault.TELEGRAM_FLOOD_ZERO,
        Fault.DISCORD_429, Fault.DISCORD_429_GLOBAL, Fault.DISCORD_429_SHARED,
    }
)  # fmt: skip
_OF_PROCESS: Final = (
    *CRASHES, Fault.CRASH_ANYWHERE, Fault.CRASH_LOOP, Fault.STOP, Fault.STOP_BUSY,
)  # fmt: skip
_OF_MACHINE: Final = (
    Fault.CLOCK_HOUR, Fault.CLOCK_DAY, Fault.BUSY, Fault.FULL, Fault.FAILING, Fault.UNREADABLE,
    Fault.POLL_RAISES, Fault.POLL_HANGS,
)  # fmt: skip
_OF_PEOPLE: Final = (
    Fault.TOGETHER, Fault.BURST, Fault.RETRACTED_UNSENT, Fault.CORRECTED_UNSENT,
    Fault.CHANGED_MIND,
)  # fmt: skip
_OF_PLATFORMS: Final = (Fault.DOWN, Fault.ALL_DOWN, Fault.FLAPPING)
_OF_GUILDS: Final = (
    Fault.DISCORD_GUILD_AWAY, Fault.DISCORD_KICKED, Fault.DISCORD_KICKED_UNSEEN,
    Fault.DISCORD_NOT_READY,
)  # fmt: skip


class Troubles:
    """Lets faults begin and end."""

    def __init__(self, scenario: "Scenario") -> None:
        self._scenario = scenario
        self._chance = scenario.drawn("troubles")
        self._ends: list[tuple[Callable[[], Any], asyncio.Task[None]]] = []

    async def rage(self, seconds: float) -> None:
        """Begin a fault now and then."""
        scenario, end = self._scenario, self._scenario.now + seconds
        begin: tuple[Callable[[], Awaitable[None]], ...] = (
            self._network, self._network, self._network, self._everywhere, self._everywhere,
            self._room, self._room, self._room, self._process, self._process, self._machine,
            self._people, self._people, self._platform, self._guild, self._migration,
        )  # fmt: skip
        while True:
            await asyncio.sleep(self._chance.expovariate(RATE / HOUR))
            if scenario.now >= end:
                return
            await self._chance.choice(begin)()

    def end(self) -> None:
        """Whatever is wrong ends, but for what stays so."""
        scenario = self._scenario
        scenario.trace("-- the troubles end")
        for server in scenario.servers:
            server.weather.spells.clear()
        for room in scenario.notes.rooms:
            room.wrong = {one: until for one, until in room.wrong.items() if one in _PERMANENT}
        trouble = scenario.trouble
        trouble.busy_until = trouble.full_until = 0.0
        trouble.failing_until = trouble.unreadable_until = 0.0
        scenario.poll_raises_until = scenario.poll_hangs_until = 0.0
        scenario.doom = None
        scenario.discord.ready_at = 0.0
        for restore, task in self._ends:
            if not task.done():
                task.cancel()
                restore()

    def _say(self, fault: Fault, where: object = "", seconds: float | None = None) -> None:
        lasts = "" if seconds is None else f" for {seconds:.0f} s"
        self._scenario.trace(f"-- {fault.name} {where}{lasts}")

    def _after(self, seconds: float, restore: Callable[[], Any]) -> None:
        async def later() -> None:
            await asyncio.sleep(seconds)
            restore()

        self._ends.append((restore, asyncio.get_running_loop().create_task(later())))

    async def _network(self) -> None:
        server = self._chance.choice(self._scenario.servers)
        fault, share = self._chance.choice(NETWORK), self._chance.choice((0.2, 0.5, 1.0))
        seconds = self._chance.choice((60.0, 600.0, 2400.0))
        server.weather.spells.append((fault, share, self._scenario.now + seconds))
        self._say(fault, f"{server.platform} {share}", seconds)
        await self._news_soon()

    async def _everywhere(self) -> None:
        server = self._chance.choice(self._scenario.servers)
        fault = self._chance.choice(EVERYWHERE[server.platform])
        share = self._chance.choice((0.3, 1.0))
        # What lets everybody try again within seconds would fill hours with nothing else.
        storm = fault in _STORMS
        seconds = self._chance.choice((30.0, 120.0) if storm else (30.0, 600.0, 5000.0))
        server.weather.spells.append((fault, share, self._scenario.now + seconds))
        self._say(fault, f"{server.platform} {share}", seconds)
        await self._news_soon()

    async def _news_soon(self) -> None:
        """A fault that nobody meets teaches nothing."""
        if self._chance.random() < 0.5:
            await self._scenario.people.publish()

    async def _room(self) -> None:
        room = self._chance.choice(self._scenario.notes.rooms)
        kinds = ROOMS[room.platform]
        fault = self._chance.choice((*kinds[room.kind], *kinds["any"]))
        seconds = self._chance.choice((600.0, 3 * HOUR, 30 * HOUR))
        if fault in _PERMANENT:
            seconds = 1e9
        elif fault in _TRIED_OFTEN:
            seconds = min(seconds, HOUR)
        room.wrong[fault] = self._scenario.now + seconds
        self._say(fault, room.name, seconds)
        if fault in _RETURNS:
            self._after(seconds, lambda: self._return(room, fault))
        elif fault is Fault.DISCORD_RIGHT_TAKEN and room.home_id:
            self._after(seconds, lambda: self._given_back(room))

    def _return(self, room: Room, fault: Fault) -> None:
        """The person starts the bot again, or it is added to the group again."""
        room.wrong.pop(fault, None)
        platform, destination = room.platform, room.destination

        async def back(bot: Bot) -> None:
            kept = bot.storage.destinations
            now = self._scenario.clock()
            if platform is Platform.TELEGRAM:
                resumed = await kept.resume_chat(platform, destination.chat_id, now)
            else:
                resumed = await kept.resume(destination, now)
            if resumed:
                bot.engine.outbox.wake()

        self._scenario.trace(f"people {room.name} is back")
        self._scenario.tell(back)

    def _given_back(self, room: Room) -> None:
        room.wrong.pop(Fault.DISCORD_RIGHT_TAKEN, None)
        guild: Any = self._scenario.guild(room.home_id or 0)
        before: Any = SimpleNamespace(permissions=0, guild=guild)
        after: Any = SimpleNamespace(permissions=1, guild=guild)
        self._scenario.tell(lambda bot: bot.guilds.on_guild_role_update(before, after))

    async def _process(self) -> None:
        scenario, fault = self._scenario, self._chance.choice(_OF_PROCESS)
        self._say(fault)
        if fault in CRASHES:
            scenario.doom = (CRASHES[fault], self._chance.randint(1, 6))
            await scenario.people.publish()
        elif fault is Fault.CRASH_ANYWHERE:
            await scenario.people.publish()
            self._after(
                self._chance.uniform(0, 300), lambda: self._crash(fault)
            )  # any time until the next poll
        elif fault is Fault.CRASH_LOOP:
            await scenario.people.publish()
            for _ in range(self._chance.randint(4, 10)):
                await asyncio.sleep(self._chance.choice((0.02, 0.1, 0.4, 5.0, 40.0)))
                scenario.hit(fault)
                scenario.crash("(again)", back_in=self._chance.choice((0.0, 1.0)))
        elif fault is Fault.STOP:
            scenario.hit(fault)
            await scenario.stop(self._chance.choice((1.0, 600.0, 2 * HOUR)))
        else:
            await scenario.people.publish()
            scenario.doom = None
            asked = len(scenario.telegram.requests) + len(scenario.discord.requests)
            for _ in range(400):
                await asyncio.sleep(1.0)
                if len(scenario.telegram.requests) + len(scenario.discord.requests) > asked:
                    break
            scenario.hit(fault)
            await scenario.stop(self._chance.choice((1.0, 60.0)))

    def _crash(self, fault: Fault) -> None:
        self._scenario.hit(fault)
        self._scenario.crash("(at any time)")

    async def _machine(self) -> None:
        scenario, trouble, now = self._scenario, self._scenario.trouble, self._scenario.now
        fault = self._chance.choice(_OF_MACHINE)
        seconds = self._chance.choice((10.0, 100.0, 1200.0))
        self._say(fault, "", seconds)
        sign = self._chance.choice((1, -1))
        match fault:
            case Fault.CLOCK_HOUR:
                self._set(fault, dt.timedelta(hours=sign))
            case Fault.CLOCK_DAY:
                self._set(fault, dt.timedelta(days=sign))
            case Fault.BUSY:
                trouble.busy_until = now + seconds
            case Fault.FULL:
                trouble.full_until = now + seconds
            case Fault.FAILING:
                trouble.failing_until = now + seconds
            case Fault.UNREADABLE:
                trouble.unreadable_until = now + seconds
            case Fault.POLL_RAISES:
                scenario.poll_raises_until = now + seconds + 300.0
            case Fault.POLL_HANGS:
                scenario.poll_hangs_until = now + seconds + 300.0
        await scenario.people.publish()

    def _set(self, fault: Fault, by: dt.timedelta) -> None:
        self._scenario.hit(fault)
        self._scenario.set_clock(by)
        seconds = self._chance.choice((100.0, 3 * HOUR))
        self._after(seconds, lambda: self._scenario.set_clock(-by))

    async def _people(self) -> None:
        scenario, fault = self._scenario, self._chance.choice(_OF_PEOPLE)
        self._say(fault)
        scenario.hit(fault)
        people = scenario.people
        match fault:
            case Fault.TOGETHER:
                await people.publish()
                await people.publish()
            case Fault.BURST:
                for _ in range(self._chance.randint(4, 9)):
                    await people.publish()
            case Fault.RETRACTED_UNSENT | Fault.CORRECTED_UNSENT:
                published = await people.publish()
                await asyncio.sleep(self._chance.choice((0.0, 30.0, 301.0)))
                if published and published.withdrawn_at is None and published.pushes:
                    if fault is Fault.RETRACTED_UNSENT and published.update.retracts is None:
                        await people.take_back(published)
                    elif published.update.kind in ("dated", "trailer"):
                        await people.correct(published)
            case Fault.CHANGED_MIND:
                await people.publish()
                for _ in range(8):
                    await asyncio.sleep(self._chance.uniform(0, 40))
                    await people.change_mind()

    async def _platform(self) -> None:
        scenario, fault = self._scenario, self._chance.choice(_OF_PLATFORMS)
        seconds = self._chance.choice((HOUR, 6 * HOUR))
        servers = [self._chance.choice(scenario.servers)]
        if fault is Fault.ALL_DOWN:
            servers = list(scenario.servers)
        for server in servers:
            server.weather.spells.append((fault, 1.0, scenario.now + seconds))
        scenario.hit(fault)
        self._say(fault, ",".join(server.platform for server in servers), seconds)
        await scenario.people.publish()

    async def _guild(self) -> None:
        scenario, fault = self._scenario, self._chance.choice(_OF_GUILDS)
        discord, home = scenario.discord, self._chance.choice(scenario.homes)
        seconds = self._chance.choice((600.0, 2 * HOUR, 27 * HOUR))
        self._say(fault, home, seconds)
        guild: Any = scenario.guild(home)
        match fault:
            case Fault.DISCORD_NOT_READY:
                scenario.hit(fault)
                discord.ready_at = scenario.now + min(seconds, 3000.0)
            case Fault.DISCORD_GUILD_AWAY:
                discord.away.add(home)
                self._after(min(seconds, 2 * HOUR), lambda: self._there(home, guild))
            case _:
                discord.left.add(home)
                if fault is Fault.DISCORD_KICKED:
                    scenario.tell(lambda bot: bot.guilds.on_guild_remove(guild))
                else:
                    scenario.hit(fault)
                self._after(seconds, lambda: self._invited(home, guild))
        await self._news_soon()

    def _there(self, home: int, guild: Any) -> None:
        self._scenario.discord.away.discard(home)
        self._scenario.tell(lambda bot: bot.guilds.on_guild_available(guild))

    def _invited(self, home: int, guild: Any) -> None:
        self._scenario.discord.left.discard(home)
        self._scenario.tell(lambda bot: bot.guilds.on_guild_join(guild))

    async def _migration(self) -> None:
        scenario = self._scenario
        groups = [
            room
            for room in scenario.notes.rooms
            if room.kind == "group" and room.platform is Platform.TELEGRAM and not room.former
        ]
        if not groups:
            return
        group = self._chance.choice(groups)
        fault = self._chance.choice((Fault.TELEGRAM_MIGRATED, Fault.TELEGRAM_MIGRATED_KNOWN))
        old = group.chat_id
        group.former.append(old)
        group.chat_id = -1_000_000_000_000 + old
        self._say(fault, f"{group.name} {old} -> {group.chat_id}")
        if fault is Fault.TELEGRAM_MIGRATED_KNOWN:
            scenario.hit(fault)
            await scenario.people.follow_anew(group)
        await self._news_soon()
