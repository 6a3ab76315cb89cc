"""What the outbox needs of a platform."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.message import Message
from bot.model import Destination, Seq, ShowId
from bot.outbox.pace import Pace


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
    reply_to: str | None = None
    """The message, by its id, that this one corrects."""


class Messenger(Protocol):
    """Sends for one platform. What differs between platforms stays behind this."""

    in_flight: int
    """Messages that may be on their way at a time."""

    pace: Pace
    """When messages may leave; shared by everything that is sent with the token."""

    def fitting(self, destination: Destination, notices: Sequence[Notice]) -> int:
        """How many of the first notices can go out there as one message; at least one."""

    async def send(self, destination: Destination, notices: Sequence[Notice]) -> str | None:
        """Send notices as one message; returns the platform's id of it.

        Raises a `DeliveryError` by consequence; anything else counts as unknown.
        """

    async def edit(
        self, destination: Destination, message_id: str, notices: Sequence[Notice]
    ) -> None:
        """Put other words into a message that was sent; one that is gone is left alone.

        Raises a `DeliveryError` by consequence.
        """

    async def probe(self) -> None:
        """Ask the platform something harmless; raises a `DeliveryError` if it does not answer."""
