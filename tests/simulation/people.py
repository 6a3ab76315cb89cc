"""Those who follow shows, and the curators who publish."""

import asyncio
import datetime as dt
import random
from typing import TYPE_CHECKING, Any, Final

from bot.errors import BadRecord
from bot.model import (
    ALL_KINDS,
    FOLLOWABLE,
    Certainty,
    Platform,
    Push,
    Seq,
    Show,
    Subscription,
    Update,
    followed_as,
)
from tests.build import a_correction, a_retraction, a_show, an_id, an_update
from tests.simulation.notes import Published
from tests.simulation.platforms import Room

if TYPE_CHECKING:
    from tests.simulation.world import Scenario

SHOWS: Final = ("dark", "squid-game", "the-bear", "severance", "andor", "slow-horses", "shogun")
PUBLISHES: Final = 0.5
"""Updates an hour."""
CHANGES: Final = 0.3
"""Subscriptions that are made, changed or ended an hour."""


def population(chance: random.Random) -> tuple[list[Room], list[int]]:
    """The rooms of both platforms, and the servers of Discord."""
    rooms = [
        Room(Platform.TELEGRAM, "private", f"t-person-{number}", 1000 + number)
        for number in range(1, chance.randint(6, 9))
    ]
    rooms += [
        Room(Platform.TELEGRAM, "group", f"t-group-{number}", -5000 - number)
        for number in range(1, chance.randint(3, 5))
    ]
    for number in range(1, 3):
        chat = -1_000_000_009_000 - number
        rooms += [
            Room(Platform.TELEGRAM, "topic", f"t-forum-{number}/{topic}", chat, topic)
            for topic in (11, 12)
        ]
    homes = [70_000 + number for number in range(1, 4)]
    for home in homes:
        for number in range(1, chance.randint(2, 4)):
            channel = home * 100 + number
            name = f"d-{home}-{number}"
            rooms.append(Room(Platform.DISCORD, "channel", name, channel, None, home))
        thread = home * 100 + 51
        name = f"d-{home}-thread"
        rooms.append(Room(Platform.DISCORD, "thread", name, home * 100 + 1, thread, home))
    rooms += [
        Room(Platform.DISCORD, "private", f"d-person-{number}", 90_000 + number)
        for number in range(1, chance.randint(2, 4))
    ]
    return rooms, homes


class People:
    """Follow, leave, publish, correct and take back."""

    def __init__(self, scenario: "Scenario") -> None:
        self._scenario = scenario
        self._chance = scenario.drawn("people")
        self._shows: list[Show] = []
        self._numbers = 0
        self._seasons: dict[str, int] = {}
        scenario.people = self

    async def begin(self) -> None:
        """The catalogue, and who follows what from the start."""
        self._shows = [a_show(name) for name in SHOWS[: self._chance.randint(5, len(SHOWS))]]
        records = list(enumerate(self._shows, 1))
        storage = self._scenario.outside
        await storage.publishing.load(records, self._scenario.clock.truly().date())
        for room in self._scenario.notes.rooms:
            for show in self._chance.sample(self._shows, self._chance.randint(1, 2)):
                await self.follow(room, show)

    async def follow(self, room: Room, show: Show) -> None:
        """A room follows a show, for all or some news."""
        kinds = ALL_KINDS
        if self._chance.random() < 0.3:
            kinds = frozenset(self._chance.sample(FOLLOWABLE, self._chance.randint(1, 3)))
        if self._tangled(room) and (room, show.id) in self._scenario.notes.follows:
            return
        await self._scenario.outside.subscriptions.put(
            Subscription(room.destination, show.id, kinds, publish=False)
        )
        self._scenario.notes.follow(room, show.id, kinds, self._scenario.now)
        self._scenario.trace(f"people {room.name} follows {show.id} {','.join(sorted(kinds))}")

    async def leave(self, room: Room, show: Show) -> None:
        """A room follows a show no more."""
        if self._tangled(room):
            return
        await self._scenario.outside.subscriptions.remove(room.destination, show.id)
        self._scenario.notes.leave(room, show.id, self._scenario.now)
        self._scenario.trace(f"people {room.name} leaves {show.id}")

    async def follow_anew(self, room: Room) -> None:
        """A group follows, under its new id, what it follows already, and more."""
        notes = self._scenario.notes
        for show in self._shows:
            if (room, show.id) in notes.follows or self._chance.random() < 0.3:
                await self._scenario.outside.subscriptions.put(
                    Subscription(room.destination, show.id, ALL_KINDS, publish=False)
                )
                notes.follow(room, show.id, ALL_KINDS, self._scenario.now)

    def _tangled(self, room: Room) -> bool:
        """Whether the bot may know a room by two ids now."""
        return bool(room.former)

    async def change_mind(self) -> None:
        """Somebody follows or leaves."""
        notes = self._scenario.notes
        room = self._chance.choice(notes.rooms)
        show = self._chance.choice(self._shows)
        if (room, show.id) in notes.follows and self._chance.random() < 0.6:
            await self.leave(room, show)
        else:
            await self.follow(room, show)

    async def live(self, seconds: float) -> None:
        """Publish and follow at random times."""
        scenario, end = self._scenario, self._scenario.now + seconds
        while True:
            rate = (PUBLISHES + CHANGES) / 3600.0
            await asyncio.sleep(self._chance.expovariate(rate))
            if scenario.now >= end:
                return
            if self._chance.random() < PUBLISHES / (PUBLISHES + CHANGES):
                await self.publish()
            else:
                await self.change_mind()

    async def publish(self) -> Published | None:
        """Publish something: news mostly."""
        show = self._chance.choice(self._shows)
        what = self._chance.random()
        if what < 0.10:
            return await self._store(self._again(show, retract=True))
        if what < 0.20:
            return await self._store(self._again(show, retract=False))
        return await self._store(self._news(show))

    async def take_back(self, target: Published) -> Published | None:
        """Retract this update."""
        return await self._store(self._retraction(target.update))

    async def correct(self, target: Published) -> Published | None:
        """Correct this update."""
        return await self._store(self._correction(target.update))

    def _given(self) -> dict[str, Any]:
        self._numbers += 1
        now = self._scenario.clock.truly()
        return {"id": an_id(self._numbers), "recorded_at": now, "announced": now.date()}

    def _news(self, show: Show) -> Update:
        given: dict[str, Any] = {**self._given(), "show": show.id}
        kind = self._chance.choice(
            ("trailer", "trailer", "trailer", "dated", "dated", "renewed", "renewed", "guess",
             "quiet", "production")
        )  # fmt: skip
        match kind:
            case "dated":
                return an_update("dated", **given, date=self._day())
            case "renewed":
                season = self._seasons[show.id] = self._seasons.get(show.id, 2) + 1
                return an_update("renewed", **given, season=season)
            case "guess":
                return an_update("dated", certainty="speculation", date="2028", **given)
            case "quiet":
                video = self._video()
                return an_update("trailer", **given, value=video, push=Push.QUIET)
            case "production":
                return an_update("production", **given, value="filming")
        return an_update("trailer", **given, value=self._video())

    def _day(self) -> str:
        day = dt.date(2027, 3, 1) + dt.timedelta(days=self._chance.randrange(300))
        return day.isoformat()

    def _video(self) -> str:
        return f"https://www.youtube.com/watch?v={self._numbers:011}"

    def _again(self, show: Show, *, retract: bool) -> Update | None:
        known = [
            one
            for one in self._scenario.notes.published.values()
            if one.update.show == show.id
            and one.withdrawn_at is None
            and one.update.retracts is None
            and one.update.certainty is Certainty.OFFICIAL
            and (retract or one.update.kind in ("dated", "trailer"))
        ]
        if not known:
            return None
        target = self._chance.choice(known[-4:]).update
        return self._retraction(target) if retract else self._correction(target)

    def _retraction(self, target: Update) -> Update:
        return a_retraction(target, **self._given())

    def _correction(self, target: Update) -> Update:
        given = self._given()
        if target.kind == "trailer":
            return a_correction(target, **given, value=self._video())
        return a_correction(target, **given, date=self._day())

    async def _store(self, update: Update | None) -> Published | None:
        """Append it to the log, as the command line beside the bot does."""
        scenario, notes = self._scenario, self._scenario.notes
        if update is None:
            return None
        storage = scenario.outside
        try:
            prepared = await storage.publishing.publish(update, scenario.clock.truly().date())
        except BadRecord as error:
            scenario.trace(f"people cannot publish: {str(error)[:80]}")
            return None
        logged = await storage.updates.get(update.id)
        assert logged is not None
        kind = followed_as(prepared.update.kind)
        known = Published(
            Seq(logged.seq), prepared.update, scenario.now, prepared.quiet is None, kind,
            notes.audience(update.show, kind),
        )  # fmt: skip
        notes.published[known.seq] = known
        gone = update.retracts or update.supersedes
        for other in notes.published.values():
            if other.update.id == gone:
                other.withdrawn_at, other.withdrawn_by = scenario.now, known.seq
        about = f" instead of {gone}" if gone else ""
        scenario.trace(
            f"people publish {known.seq} {update.kind} of {update.show}"
            f"{'' if known.pushes else ' (quiet)'}{about} to {len(known.audience)}"
        )
        return known
