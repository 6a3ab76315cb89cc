"""What the outbox needs of a platform."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.message import Message
from bot.model import Destination, Seq, ShowId


@dataclass(frozen=True, slots=True)
class Notice:
    """A message, and the update that it tells of: its place in the log, and its show.

    `role_id` and `publish` are as the destination's subscription to the show has them.
    """

    seq: Seq
    message: Message
    show: ShowId
    role_id: int | None = None
    publish: bool = False


class Messenger(Protocol):
    """Sends for one platform. What differs between platforms stays behind this."""

    in_flight: int
    """Messages that may be on their way at a time."""

    def fitting(self, destination: Destination, notices: Sequence[Notice]) -> int:
        """How many of the first notices can go out there as one message; at least one."""

    async def send(self, destination: Destination, notices: Sequence[Notice]) -> str | None:
        """Send notices as one message; returns the platform's id of it.

        Raises a `DeliveryError` by consequence; anything else counts as unknown.
        """
