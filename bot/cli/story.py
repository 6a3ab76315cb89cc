"""The demo: the story of the article that this project began with, on a throw-away database.

Only the clock is not real: it runs through the days of the story, so that old news is new. The
store, the poll, the outbox and the terminal's messenger are the ones that `run` uses.
"""

import asyncio
import datetime as dt
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console

from bot.app import Engine
from bot.commands.curate import Draft, draft_retraction, draft_update
from bot.commands.files import STARTER
from bot.message import Message
from bot.message.dates import day as in_words
from bot.model import Certainty, Platform, Push, Show, ShowId, Update, UpdateKind
from bot.platforms.terminal import TerminalMessenger, reply
from bot.platforms.terminal.render import as_rich
from bot.records import read_record
from storage.store import Storage, open_storage
from storage.trust import trust

_ARTICLE: Final = ShowId("all-of-us-are-dead")
_DATED: Final = ShowId("this-is-us")
_DAY: Final = dt.timedelta(days=1)


class _Calendar:
    """A clock that stands on a day of the story and ticks a second at a time."""

    def __init__(self) -> None:
        self.now = dt.datetime(2022, 6, 2, 9, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        self.now += dt.timedelta(seconds=1)
        return self.now

    def turn_to(self, day: dt.date) -> None:
        self.now = dt.datetime.combine(day, dt.time(9), dt.UTC)


class Teller:
    """Tells the story: what happens goes through the store, what is said comes from the bot."""

    def __init__(self, storage: Storage, console: Console, pause: float) -> None:
        self.calendar = _Calendar()
        self.storage = storage
        self._console = console
        self._pause = pause
        messengers = {Platform.TERMINAL: TerminalMessenger(self.show)}
        self.engine = Engine(storage, messengers, self.calendar)

    async def show(self, message: Message) -> None:
        self._console.print(as_rich(message), end="\n\n")

    async def day(self, day: dt.date, words: str) -> None:
        """Turn the calendar and say what happens."""
        self.calendar.turn_to(day)
        await asyncio.sleep(self._pause)
        self._console.print(f"[dim]{in_words(day)} · {words}[/dim]", highlight=False)

    async def enter(self, command: str) -> None:
        """The person types a command."""
        self._console.print(f"[bold cyan]> {command}[/bold cyan]", highlight=False)
        await self.show(await reply(self.engine.core, command))

    async def publish(self, update: Update) -> Update:
        """A curator publishes; the poll and the outbox do the rest."""
        before = await self.storage.deliveries.counts()
        stored = await self.storage.publishing.publish(update, self.calendar.now.date())
        await self.engine.finish()
        if await self.storage.deliveries.counts() == before:
            self._console.print(f"[dim]  recorded, not pushed: {stored.quiet}[/dim]\n")
        return stored.update

    def draft(self, show: Show, draft: Draft) -> Update:
        return draft_update(show, draft, trust(), self.calendar())


async def tell_story(
    console: Console, pause: float, chapters: "Sequence[Chapter] | None" = None
) -> None:
    """Tell the story, or some chapters of it, with `pause` seconds between its steps."""
    with tempfile.TemporaryDirectory(prefix="cliffhanger-demo-") as folder:
        url = f"sqlite:///{Path(folder) / 'demo.db'}"
        async with open_storage(url, trust()) as storage:
            teller = Teller(storage, console, pause)
            shows = [record for record in _starter("shows.jsonl") if isinstance(record, Show)]
            await storage.publishing.load(list(enumerate(shows)), teller.calendar.now.date())
            by_id = {show.id: show for show in shows}
            async with teller.engine.delivering():
                for chapter in chapters or CHAPTERS:
                    await chapter(teller, by_id)


async def the_article(teller: Teller, shows: Mapping[ShowId, Show]) -> None:
    """One confirmed fact, the guesses around it, and the same fact twice."""
    show = shows[_ARTICLE]
    facts = _starter(f"updates/2026/{show.id}.jsonl")
    renewal = next(one for one in facts if isinstance(one, Update) and one.confirmed)
    guess = next(
        one for one in facts
        if isinstance(one, Update) and not one.confirmed and one.kind is UpdateKind.DATED
    )  # fmt: skip
    await teller.day(dt.date(2022, 6, 2), "a fan subscribes, with a typing error")
    await teller.enter("/subscribe all of us are ded")
    await teller.day(dt.date(2022, 6, 4), "a website guesses a date")
    await teller.publish(_now(guess, teller))
    await teller.day(renewal.announced, "Netflix says it officially")
    await teller.publish(_now(renewal, teller))
    await teller.day(renewal.announced + _DAY, "an outlet has the same news")
    again = Draft(UpdateKind.RENEWED, renewal.season, outlet="Variety")
    await teller.publish(teller.draft(show, again))
    await teller.day(renewal.announced + 2 * _DAY, "the fan asks what is known")
    await teller.enter("/status all of us are dead")


async def the_winter_before(teller: Teller, shows: Mapping[ShowId, Show]) -> None:
    """A real date and a real trailer, and a slip that is taken back."""
    show = shows[_DATED]
    facts = [one for one in _starter(f"updates/2026/{show.id}.jsonl") if isinstance(one, Update)]
    dated = next(one for one in facts if one.kind is UpdateKind.DATED)
    trailer = next(one for one in facts if one.kind is UpdateKind.TRAILER)
    await teller.day(dated.announced - _DAY, "the winter before: the fan follows another show")
    await teller.enter(f"/subscribe {show.title.lower()} dated trailer")
    await teller.day(dated.announced, "its network announces the date")
    await teller.publish(_now(dated, teller))
    await teller.publish(_now(trailer, teller))
    await teller.day(dated.announced + _DAY, "a curator mistypes a date …")
    slip = Draft(
        UpdateKind.DATED,
        dated.season,
        date="2022-01-14",
        certainty=Certainty.OFFICIAL,
        speaker=dated.speaker,
        source=dated.source.url,
    )
    wrong = await teller.publish(teller.draft(show, slip))
    await teller.day(dated.announced + _DAY, "… and takes it back")
    await teller.publish(draft_retraction(wrong, "a curator mistyped the day", teller.calendar()))


Chapter = Callable[[Teller, Mapping[ShowId, Show]], Awaitable[None]]
CHAPTERS: Final[tuple[Chapter, ...]] = (the_article, the_winter_before)


def _now(update: Update, teller: Teller) -> Update:
    """A fact of the catalogue as it was on its day: recorded then, and news."""
    now = teller.calendar()
    source = replace(update.source, published=now.date())
    push = Push.AUTO if update.confirmed else Push.NEVER
    return replace(update, recorded_at=now, source=source, push=push)


def _starter(name: str) -> Sequence[Show | Update]:
    lines = (STARTER / name).read_text(encoding="utf-8").splitlines()
    return [read_record(line) for line in lines]
