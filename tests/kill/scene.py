"""The world of the kill test: both servers, the chats that follow shows, and what was published."""

import asyncio
import datetime as dt
import re
import signal
import sqlite3
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ulid import ULID

from bot.model import Destination, Platform, Subscription, Update, UpdateId
from storage.store import open_storage
from storage.trust import trust
from tests.build import a_show, an_update
from tests.e2e.process import STOPS_WITHIN
from tests.fakes.discord import Channel, FakeDiscord
from tests.fakes.telegram import FakeTelegram
from tests.kill.checker import Arrival, Chat, Published, Verdict, check
from tests.kill.process import PATIENCE, Nursery, Running

SHOWS: Final = 40
"""Enough that each show's log stays short, as real ones are."""

_CHATS: Final = 12
_PASSED_OVER: Final = 4
"""Every chat follows all shows but each so-many-th."""

_TITLE: Final = re.compile(r"RENEWED · (Serial \d+, season \d+)\b")
_LOOK: Final = 0.01
_READ: Final = 0.01
_SHOWS: Final = tuple(a_show(f"serial-{number:02}") for number in range(SHOWS))


class Scene:
    """The servers and the database; processes of the program run in its `nursery`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "cliffhanger.db"
        self.url = f"sqlite:///{self.database}"
        self.log: list[Published] = []
        self.deaths: list[float] = []
        self.telegram = FakeTelegram()
        self.discord = FakeDiscord()
        self.channels: dict[int, Channel] = {}
        self._destinations: dict[Chat, Destination] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Let the servers listen, and the chats follow."""
        with ExitStack() as stack:
            stack.enter_context(self.telegram)
            stack.enter_context(self.discord)
            self.discord.settings.starts_left = 1_000_000
            self._people()
            self.nursery = stack.enter_context(Nursery(self.folder, self._settings()))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all that runs."""
        self.telegram.release()
        self.discord.release()
        self._stack.__exit__(kind, error, trace)

    def _settings(self) -> dict[str, str]:
        return {
            "XDG_STATE_HOME": str(self.folder / "state"),
            "DATABASE_URL": self.url,
            "POLL_SECONDS": "0.1",
            "LOG_LEVEL": "WARNING",
            "TELEGRAM_TOKEN": self.telegram.token,
            "TELEGRAM_API_URL": self.telegram.url,
            "DISCORD_TOKEN": self.discord.token,
            "DISCORD_API_URL": self.discord.url,
        }

    def _people(self) -> None:
        guild = self.discord.guild("Fans")
        for number in range(_CHATS):
            person = self.telegram.person(f"Fan {number}", started=True)
            self._add(Destination(Platform.TELEGRAM, person.id))
            if number % 2:
                channel = self.discord.dm(self.discord.person(f"Fan {number}"))
                self._add(Destination(Platform.DISCORD, channel.id))
            else:
                channel = guild.text(f"news-{number}")
                self._add(Destination(Platform.DISCORD, channel.id, home_id=guild.id))
            self.channels[channel.id] = channel

    def _add(self, destination: Destination) -> None:
        self._destinations[Chat(destination.platform, destination.chat_id)] = destination

    def stock(self) -> None:
        """Make the database: a catalogue, and who follows what."""
        asyncio.run(self._stock())

    async def _stock(self) -> None:
        async with open_storage(self.url, trust()) as storage:
            await storage.publishing.load(list(enumerate(_SHOWS, 1)), _today())
            for number, show in enumerate(_SHOWS):
                for chat in sorted(self._audience(number)):
                    wanted = Subscription(self._destinations[chat], show.id)
                    await storage.subscriptions.put(wanted)

    def _audience(self, show: int) -> frozenset[Chat]:
        followers = (
            chat for place, chat in enumerate(self._destinations) if (place + show) % _PASSED_OVER
        )
        return frozenset(followers)

    # What is published

    def publish(self) -> Published:
        """Publish the next update beside the bot, through a store of its own."""
        show, season = self._next()
        asyncio.run(self._publish(_news(show, season)))
        return self._published()

    async def _publish(self, update: Update) -> None:
        async with open_storage(self.url, trust(), checkpoints=False) as storage:
            prepared = await storage.publishing.publish(update, _today())
        assert prepared.quiet is None, prepared.quiet

    def publish_and_die(self) -> None:
        """Publish the next update by the command line, which is killed when it is committed."""
        show, season = self._next()
        words = (
            "publish", _SHOWS[show].id, "--season", str(season), "--kind", "renewed",
            "--speaker", "Netflix", "--source", "https://www.netflix.com/tudum/news", "--yes",
        )  # fmt: skip
        self.died(self.nursery.start(*words, point="publish.committed"))
        self._published()

    def _next(self) -> tuple[int, int]:
        """The show of the next update, and its season."""
        return len(self.log) % SHOWS, len(self.log) // SHOWS + 1

    def _published(self) -> Published:
        show, season = self._next()
        title = f"{_SHOWS[show].title}, season {season}"
        self.log.append(Published(title, self._audience(show)))
        return self.log[-1]

    # Who dies

    def bot(self, point: str = "", nth: int = 1) -> Running:
        """Start the bot."""
        return self.nursery.start("run", point=point, nth=nth)

    def kill(self, bot: Running) -> None:
        """Kill the bot, wherever it is."""
        bot.kill()
        self._note_death()
        assert bot.code == -signal.SIGKILL, f"it had ended with {bot.code}:\n{self.tail}"

    def dies(self, bot: Running) -> None:
        """Wait until the bot has come to its point."""
        self.died(bot)
        self._note_death()

    def stop(self, bot: Running) -> None:
        """Stop the bot as its operator would."""
        code = bot.stop(STOPS_WITHIN)
        assert code == 0, f"a clean stop ended with {code}:\n{self.tail}"

    def _note_death(self) -> None:
        """A bot has died; what it had sent by then is read by the servers before the time is."""
        for server in (self.telegram._server, self.discord._server):
            server._run(asyncio.sleep(_READ))
        self.deaths.append(time.monotonic())

    def died(self, process: Running) -> None:
        """Wait until a process has come to its point, and died there."""
        code = process.ended()
        assert code == -signal.SIGKILL, f"it ended with {code} and not at its point:\n{self.tail}"

    # What arrived

    def settled(self, bot: Running) -> None:
        """Wait until nothing is left that an earlier attempt may have sent already."""
        self._until("flight >= 2", bot)

    def delivered(self, bot: Running, but: int = 0) -> None:
        """Wait until all has been delivered, but for so many."""
        self._until("TRUE", bot, but)

    def _until(self, left: str, bot: Running, most: int = 0, within: float = 60.0) -> None:
        """Wait until all is expanded, and at most so many pending deliveries are left."""
        end = time.monotonic() + within
        statement = (
            "SELECT (SELECT value FROM counters WHERE name = 'updates') > "
            "(SELECT value FROM counters WHERE name = 'fanout') "
            "OR EXISTS (SELECT 1 FROM fanouts WHERE done = 0) "
            f"OR (SELECT count(*) FROM deliveries WHERE state = 'pending' AND {left}) > {most}"
        )
        with closing(sqlite3.connect(self.database, timeout=PATIENCE)) as database:
            while database.execute(statement).fetchone()[0]:
                assert bot.ended(0) is None, f"the bot ended with {bot.code}:\n{self.tail}"
                assert time.monotonic() < end, f"not within {within} s: {self.states}\n{self.tail}"
                time.sleep(_LOOK)

    @property
    def states(self) -> dict[str, int]:
        """How many deliveries are in each state."""
        with closing(sqlite3.connect(self.database, timeout=PATIENCE)) as database:
            return dict(database.execute("SELECT state, count(*) FROM deliveries GROUP BY state"))

    @property
    def arrivals(self) -> list[Arrival]:
        """What the servers have accepted of the news."""
        return [*self._on_telegram(), *self._on_discord()]

    def verdicts(self) -> list[Verdict]:
        """What became of the promise on both platforms."""
        arrivals = self.arrivals
        return [
            check(platform, self.log, arrivals, self.deaths)
            for platform in (Platform.DISCORD, Platform.TELEGRAM)
        ]

    @property
    def tail(self) -> str:
        """The last lines that any process has said."""
        return "\n".join(self.nursery.said.splitlines()[-30:])

    def _on_telegram(self) -> Iterator[Arrival]:
        answers: dict[tuple[int, str], deque[float | None]] = defaultdict(deque)
        for one in self.telegram.calls("sendMessage"):
            if one.status in (None, 200):
                key = one.parameters["chat_id"], one.parameters["text"]
                answers[key].append(None if one.status is None else one.at)
        for sent in self.telegram.history:
            if titles := _titles(sent.text):
                waiting = answers[sent.chat_id, sent.html]
                answered = waiting.popleft() if waiting else None
                yield Arrival(Chat(Platform.TELEGRAM, sent.chat_id), titles, sent.at, answered)

    def _on_discord(self) -> Iterator[Arrival]:
        for sent in self.discord.history:
            if titles := _titles(sent.text):
                yield Arrival(Chat(Platform.DISCORD, sent.channel_id), titles, sent.at)


def _titles(text: str) -> tuple[str, ...]:
    """The updates that a message tells of, in its order."""
    return tuple(dict.fromkeys(_TITLE.findall(text)))


def _news(show: int, season: int) -> Update:
    now = dt.datetime.now(dt.UTC)
    return replace(
        an_update(show=_SHOWS[show].id, season=season, announced=now.date()),
        id=UpdateId(str(ULID.from_datetime(now))),
        recorded_at=now.replace(microsecond=now.microsecond // 1000 * 1000),
    )


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def problems(verdicts: Sequence[Verdict]) -> list[str]:
    """All that broke the promise."""
    return [f"{one.platform}: {problem}" for one in verdicts for problem in one.problems]
