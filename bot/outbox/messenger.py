"""What the outbox needs of a platform."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.message import Message
from bot.model import Destination, Seq


@dataclass(frozen=True, slots=True)
class Notice:
    """A message, and the place in the log of the update that it tells of."""

    seq: Seq
    message: Message


class Messenger(Protocol):
    """Sends for one platform. What differs between platforms stays behind this."""

    def fitting(self, messages: Sequence[Message]) -> int:
        """How many of the first messages can go out as one; at least one."""

    async def send(self, destination: Destination, notices: Sequence[Notice]) -> str | None:
        """Send notices as one message; returns the platform's id of it.

        Raises a `DeliveryError` by consequence; anything else counts as unknown.
        """
