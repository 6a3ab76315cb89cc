"""What to say for the deliveries due to one destination; composed once per update, not per chat."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bot.message import Message
from bot.message.alerts import News, alert
from bot.model import Delivery, Seq, Show, Update
from bot.seasons import in_force, withdrawn
from storage.store import Storage

_KEPT: Final = 256


@dataclass(frozen=True, slots=True)
class Composed:
    """The messages for one send, and which of the deliveries they are for.

    `stale` are deliveries that are news no more, each with the reason.
    """

    current: tuple[Delivery, ...]
    messages: tuple[Message, ...]
    stale: tuple[tuple[Delivery, str], ...]


class Composer:
    """Words updates, and remembers the last ones."""

    def __init__(self, storage: Storage) -> None:
        self._updates = storage.updates
        self._known: dict[Seq, Message | str] = {}

    def forget(self) -> None:
        """The log has grown: what was composed may be out of date."""
        self._known.clear()

    async def compose(self, due: Iterable[Delivery]) -> Composed:
        """What to say for these deliveries, in the order of publication."""
        deliveries = tuple(due)
        await self._learn({one.seq for one in deliveries} - self._known.keys())
        told = [(one, self._known[one.seq]) for one in deliveries]
        return Composed(
            current=tuple(one for one, words in told if isinstance(words, Message)),
            messages=tuple(words for _, words in told if isinstance(words, Message)),
            stale=tuple((one, words) for one, words in told if isinstance(words, str)),
        )

    async def _learn(self, seqs: set[Seq]) -> None:
        if not seqs:
            return
        if len(self._known) > _KEPT:
            self._known.clear()
        found = await self._updates.told(seqs)
        self._known.update({seq: _words(*told) for seq, told in found.items()})


def _words(show: Show, update: Update, log: tuple[Update, ...]) -> Message | str:
    """The message, or why there is none any more."""
    if update.id in withdrawn(log):
        return "it was retracted before it was sent"
    if not update.retracts and update not in in_force(log):
        return "it was corrected before it was sent"
    return alert(News(show, update, log[: log.index(update) + 1]))
