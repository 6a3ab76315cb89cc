"""What to say for the deliveries due to one destination; composed once per update, not per chat."""

import asyncio
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import structlog

from bot.message import Message
from bot.message.alerts import News, alert, amended
from bot.model import Delivery, Seq, ShowId, Update, UpdateId, life
from bot.outbox.messenger import Notice
from bot.seasons import withdrawn
from storage.outbox import TOO_LATE, Extras, Parcel
from storage.store import Storage
from storage.updates import Told

log = structlog.get_logger()

_KEPT: Final = 256
_NONE: Final = Extras()


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Other words for a message that told of a mistake."""

    message_id: str
    notices: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """A delivery with what to say; it is news `until` then.

    What corrects a mistake that arrived comes with a `rewrite` of the message that told of it.
    """

    delivery: Delivery
    notice: Notice
    until: dt.datetime | None = None
    rewrite: Rewrite | None = None


@dataclass(frozen=True, slots=True)
class Composed:
    """What to say to one destination.

    `stale` is news no more, and `broken` cannot be said, each with the reason.
    """

    current: tuple[Item, ...]
    stale: tuple[tuple[Delivery, str], ...]
    broken: tuple[tuple[Delivery, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Told:
    """What there is to say of an update: a message, or why there is none any more.

    A correction (`mistake` is what it corrects) has other words for those it never reached.
    `amended` is what a message says that has told of it, once it turned out wrong.
    """

    show: ShowId
    words: Message | str
    until: dt.datetime | None
    amended: Message
    mistake: UpdateId | None = None
    otherwise: Message | str = ""
    broken: str = ""


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

    async def compose(self, parcel: Parcel, now: dt.datetime) -> Composed:
        """What to say for the deliveries of one destination, in their order."""
        known = await self._learned({one.seq for one in parcel.deliveries})
        current: list[Item] = []
        stale: list[tuple[Delivery, str]] = []
        broken: list[tuple[Delivery, str]] = []
        for one in parcel.deliveries:
            told = known[one.seq]
            if told.broken:
                broken.append((one, told.broken))
                continue
            words, arrived = await self._words(one, told)
            if isinstance(words, str):
                stale.append((one, words))
            elif told.until and now > told.until:
                stale.append((one, TOO_LATE))
            else:
                rewrite = await self._rewrite(parcel, told) if arrived else None
                notice = _notice(parcel, one.seq, told, words)
                if rewrite:
                    notice = replace(notice, reply_to=rewrite.message_id)
                current.append(Item(one, notice, told.until, rewrite))
        return Composed(tuple(current), tuple(stale), tuple(broken))

    async def _words(self, delivery: Delivery, told: _Told) -> tuple[Message | str, bool]:
        """What to say, and whether a mistake arrived there that it corrects.

        A correction is said only where the mistake was: its own send may have failed since.
        """
        if told.mistake is None or isinstance(told.words, str):
            return told.words, False
        arrived = await self._deliveries.arrived(delivery.destination_id, told.mistake)
        return (told.words if arrived else told.otherwise), arrived

    async def _rewrite(self, parcel: Parcel, correction: _Told) -> Rewrite | None:
        """The message that told of the mistake, in its new words; `None` where it has no id."""
        mistake = correction.mistake
        found = mistake and await self._deliveries.message_of(parcel.destination_id, mistake)
        if not found:
            return None
        message_id, seqs = found
        known = await self._learned(set(seqs))
        notices = (_notice(parcel, seq, known[seq], known[seq].amended) for seq in seqs)
        return Rewrite(message_id, tuple(notices))

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
        learned = {seq: _tell_or_fail(told) for seq, told in found.items()}
        if len(self._known) > _KEPT:
            self._known.clear()
        if forgotten == self._forgotten:
            self._known.update(learned)
        return learned


def _notice(parcel: Parcel, seq: Seq, told: _Told, words: Message) -> Notice:
    extras = parcel.extras.get(told.show, _NONE)
    return Notice(seq, words, told.show, extras.role_id, extras.publish)


def _tell_or_fail(told: Told) -> _Told:
    """What there is to say; an update that cannot be said takes no other one with it."""
    try:
        return _tell(told)
    except Exception as error:
        log.exception("outbox.not_worded", update=told.update.id)
        broken = Message(told.show.title)
        return _Told(told.show.id, "", None, broken, broken=f"it cannot be said: {error!r}")


def _tell(told: Told) -> _Told:
    show, update, log = told.show, told.update, told.log
    until = told.taken_at + life(update.kind) if told.taken_at else None
    news = News(show, update, log[: log.index(update) + 1])
    words = alert(news)
    if by := _correction_of(update, log):
        why = "retracted" if by.retracts else "corrected"
        changed = amended(news, News(show, by, log[: log.index(by) + 1]))
        return _Told(show.id, f"it was {why} before it was sent", until, changed)
    if update.retracts:
        never = "the mistake never arrived here"
        return _Told(show.id, words, until, words, update.retracts, never)
    otherwise = alert(news.without_the_mistake)
    return _Told(show.id, words, until, words, update.supersedes, otherwise)


def _correction_of(update: Update, log: tuple[Update, ...]) -> Update | None:
    """What takes an update back, or replaces it and was not taken back itself."""
    gone = withdrawn(log)
    for other in log:
        if update.id == other.retracts or (update.id == other.supersedes and other.id not in gone):
            return other
    return None
