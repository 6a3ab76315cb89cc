"""What to say for the deliveries due to one destination; composed once per update, not per chat."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bot.message import Message
from bot.message.alerts import News, alert
from bot.model import Delivery, Seq, Show, ShowId, Update, UpdateId
from bot.outbox.messenger import Notice
from bot.seasons import in_force, withdrawn
from storage.outbox import Extras, Parcel
from storage.store import Storage

_KEPT: Final = 256
_NONE: Final = Extras()


@dataclass(frozen=True, slots=True)
class Composed:
    """The notices for one destination, and which of the deliveries they are for.

    `stale` are deliveries that are news no more, each with the reason.
    """

    current: tuple[Delivery, ...]
    notices: tuple[Notice, ...]
    stale: tuple[tuple[Delivery, str], ...]


@dataclass(frozen=True, slots=True)
class _Told:
    """What there is to say of an update: a message, or why there is none any more.

    A correction (`mistake` is what it corrects) has other words for those it never reached.
    """

    show: ShowId
    words: Message | str
    mistake: UpdateId | None = None
    otherwise: Message | str = ""


class Composer:
    """Words updates, and remembers the last ones."""

    def __init__(self, storage: Storage) -> None:
        self._updates = storage.updates
        self._deliveries = storage.deliveries
        self._known: dict[Seq, _Told] = {}
        self._forgotten = 0
        self._reading = asyncio.Lock()

    def forget(self) -> None:
        """The log has grown: what was composed may be out of date."""
        self._known.clear()
        self._forgotten += 1

    async def compose(self, parcel: Parcel) -> Composed:
        """What to say for the deliveries of one destination, in their order."""
        known = await self._learned({one.seq for one in parcel.deliveries})
        current: list[Delivery] = []
        notices: list[Notice] = []
        stale: list[tuple[Delivery, str]] = []
        for one in parcel.deliveries:
            told = known[one.seq]
            words = await self._words(one, told)
            if isinstance(words, str):
                stale.append((one, words))
            else:
                extras = parcel.extras.get(told.show, _NONE)
                current.append(one)
                notices.append(Notice(one.seq, words, told.show, extras.role_id, extras.publish))
        return Composed(tuple(current), tuple(notices), tuple(stale))

    async def _words(self, delivery: Delivery, told: _Told) -> Message | str:
        """A correction is said only where the mistake was: its own send may have failed since."""
        if told.mistake is None or isinstance(told.words, str):
            return told.words
        arrived = await self._deliveries.arrived(delivery.destination_id, told.mistake)
        return told.words if arrived else told.otherwise

    async def _learned(self, seqs: set[Seq]) -> Mapping[Seq, _Told]:
        """What there is to say of these updates; read where it is not remembered."""
        # Taken before the first await: another worker may empty the memory meanwhile.
        remembered = self._remembered(seqs)
        if len(remembered) == len(seqs):
            return remembered
        async with self._reading:  # news are new to all workers at once: one of them reads
            remembered = self._remembered(seqs)
            return {**remembered, **await self._read(seqs - remembered.keys())}

    def _remembered(self, seqs: set[Seq]) -> dict[Seq, _Told]:
        return {seq: self._known[seq] for seq in seqs if seq in self._known}

    async def _read(self, missing: set[Seq]) -> dict[Seq, _Told]:
        if not missing:
            return {}
        forgotten = self._forgotten
        found = await self._updates.told(missing)
        learned = {seq: _tell(*told) for seq, told in found.items()}
        if len(self._known) > _KEPT:
            self._known.clear()
        if forgotten == self._forgotten:
            self._known.update(learned)
        return learned


def _tell(show: Show, update: Update, log: tuple[Update, ...]) -> _Told:
    if update.id in withdrawn(log):
        return _Told(show.id, "it was retracted before it was sent")
    news = News(show, update, log[: log.index(update) + 1])
    if update.retracts:
        return _Told(show.id, alert(news), update.retracts, "the mistake never arrived here")
    if update not in in_force(log):
        return _Told(show.id, "it was corrected before it was sent")
    return _Told(show.id, alert(news), update.supersedes, alert(news.without_the_mistake))
