"""Delivers alerts to Telegram."""

from collections.abc import Sequence

from bot.model import Destination
from bot.outbox.carrier import IN_FLIGHT
from bot.outbox.messenger import Notice
from bot.platforms.orders import alert_buttons
from bot.platforms.seals import Seals
from bot.platforms.telegram import render
from bot.platforms.telegram.sender import Bot, Letter, keyboard, send


class TelegramMessenger:
    """What the outbox sends through."""

    in_flight = IN_FLIGHT

    def __init__(self, bot: Bot, seals: Seals) -> None:
        self._bot = bot
        self._seals = seals

    def fitting(self, destination: Destination, notices: Sequence[Notice]) -> int:
        """How many of the notices fit into one text."""
        return render.fitting([one.message for one in notices])

    async def send(self, destination: Destination, notices: Sequence[Notice]) -> str | None:
        """Send notices as one text with their buttons; returns its message id.

        Raises a `DeliveryError` by consequence.
        """
        messages = [notice.message for notice in notices]
        letter = Letter(
            destination.chat_id,
            render.alert_html(messages),
            render.alert_plain(messages),
            destination.thread_id,
            keyboard(alert_buttons(self._seals, destination.chat_id, notices)),
            render.preview(messages),
        )
        return str(await send(self._bot, letter))
