"""What every command works with, and how it finds the show that is meant."""

import asyncio
import datetime as dt
import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from bot.errors import UnknownShow, UserError
from bot.message import answers
from bot.model import Caller, Clock, Show
from bot.records import TITLE_LIMIT
from bot.search import Match, TitleIndex, fold
from bot.text import clean
from storage.store import Storage

NEAREST = 5
"""How many titles are offered when none is meant beyond doubt."""


def _nothing() -> None:
    """Wake nobody."""


@dataclass(slots=True)
class Catalogue:
    """The titles in memory, read anew when the catalogue changed."""

    storage: Storage
    _version: int = -1
    _index: TitleIndex = field(default_factory=lambda: TitleIndex(()))
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def index(self) -> TitleIndex:
        """The index over today's titles."""
        version = await self.storage.shows.version()
        # Building takes two seconds for 100,000 titles: others are answered by the old one.
        building = self._reading.locked() and self._version >= 0
        if version != self._version and not building:
            await self._read(version)
        return self._index

    async def _read(self, version: int) -> None:
        async with self._reading:
            if version > self._version:
                titles = await self.storage.shows.titles()
                self._index = await asyncio.to_thread(TitleIndex, titles)
                if self._version < 0:
                    # It stays, and is large: looking for garbage in it would hold up everybody.
                    # Only the first: later there is more in memory that is not to stay.
                    gc.freeze()
                self._version = version


@dataclass(slots=True)
class Core:
    """What commands need: the store, the titles, the time, and a way to wake the outbox."""

    storage: Storage
    catalogue: Catalogue
    clock: Clock
    wake: Callable[[], None] = _nothing

    @property
    def today(self) -> dt.date:
        """The day, in UTC."""
        return self.clock().date()

    async def suggest(self, text: str, limit: int = 25) -> list[Match]:
        """Titles for autocomplete, best first."""
        return (await self.catalogue.index()).search(text, limit)

    async def knows(self, text: str) -> bool:
        """Whether the text is a whole title."""
        match = (await self.catalogue.index()).find(text)
        return match is not None and match.score == 1

    async def find_show(self, asked: str, caller: Caller | None = None) -> Show:
        """The show that is meant beyond reasonable doubt.

        Raises `UnknownShow` with the nearest shows; a title that the catalogue lacks is noted
        as a wish of the caller's chat.
        """
        asked = _checked(asked)
        index = await self.catalogue.index()
        match = index.find(asked)
        if match is None:
            near = index.search(asked)
            within = [one for one in near if _is_part(asked, one)] or _begun(index, asked)
            match = within[0] if len(within) == 1 and _is_part(asked, within[0]) else None
            if match is None:
                offered = within or near
                await self._refuse(asked, offered[:NEAREST], caller, missing=not within)
        return await self._get(match)

    async def _refuse(
        self, asked: str, near: Sequence[Match], caller: Caller | None, *, missing: bool
    ) -> NoReturn:
        shows = [await self._get(one) for one in near]
        titles, nearest = [show.title for show in shows], [(show.id, show.title) for show in shows]
        if not missing:
            raise UnknownShow(answers.ambiguous_show(asked, titles), nearest)
        noted = caller is None or caller.wishes
        if caller and noted:
            await self.storage.destinations.wish(caller.destination, asked, self.clock())
        raise UnknownShow(answers.unknown_show(asked, titles, noted=noted), nearest)

    async def _get(self, match: Match) -> Show:
        show = await self.storage.shows.get(match.show)
        assert show is not None  # noqa: S101 - shows are never deleted
        return show

    async def exact_show(self, asked: str) -> Show:
        """The show with exactly this id, title or alias; curators do not guess.

        Raises `UnknownShow` with the nearest shows.
        """
        asked = _checked(asked)
        index = await self.catalogue.index()
        match = index.find(asked)
        if match and match.score == 1:
            return await self._get(match)
        near = index.search(asked, NEAREST)
        titles = [f"{one.title} ({one.show})" for one in near]
        nearest = [(one.show, one.title) for one in near]
        raise UnknownShow(answers.not_exact(asked, titles), nearest)


def _is_part(asked: str, match: Match) -> bool:
    return fold(asked) in fold(match.title)


def _begun(index: TitleIndex, asked: str) -> list[Match]:
    """The show that the first words name, when more was written: "squid game season 3"."""
    words = asked.split()
    for count in range(len(words) - 1, 0, -1):
        match = index.find(" ".join(words[:count]))
        if match:
            return [match]
    return []


def _checked(asked: str) -> str:
    text = " ".join(clean(asked).split())
    if not text:
        raise UserError("Which show? Write its title after the command.")
    if len(text) > TITLE_LIMIT:
        raise UserError(
            f"That title has {len(text):,} characters; titles have at most {TITLE_LIMIT}. "
            "Write the first words of it."
        )
    return text
