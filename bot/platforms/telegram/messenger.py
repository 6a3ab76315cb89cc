"""Delivers alerts to Telegram."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import takewhile

from telegram.error import TelegramError

from bot.errors import MustWait
from bot.model import Destination
from bot.outbox.carrier import IN_FLIGHT
from bot.outbox.messenger import Notice
from bot.outbox.pace import Pace
from bot.platforms.orders import alert_buttons
from bot.platforms.seals import Seals
from bot.platforms.telegram import render
from bot.platforms.telegram.calls import call
from bot.platforms.telegram.errors import classify
from bot.platforms.telegram.sender import Bot, Letter, Turn, edit, keyboard, send


class TelegramMessenger:
    """What the outbox sends through."""

    def __init__(
        self,
        bot: Bot,
        seals: Seals,
        pace: Pace,
        *,
        in_flight: int = IN_FLIGHT,
        paid: bool = False,
    ) -> None:
        self.pace = pace
        self.in_flight = in_flight
        self._bot = bot
        self._seals = seals
        self._paid = paid

    def fitting(self, destination: Destination, notices: Sequence[Notice]) -> int:
        """How many of the notices fit into one text; all of it replies to the same message."""
        first = notices[0].reply_to
        alike = list(takewhile(lambda one: one.reply_to == first, notices))
        return render.fitting([one.message for one in alike])

    async def send(self, destination: Destination, notices: Sequence[Notice]) -> str | None:
        """Send notices as one text with their buttons; returns its message id.

        Raises a `DeliveryError` by consequence.
        """
        letter = self._letter(destination, notices)
        with self._slowing():
            return str(await send(self._bot, letter, self._turn(destination)))

    async def edit(
        self, destination: Destination, message_id: str, notices: Sequence[Notice]
    ) -> None:
        """Put notices into a text that was sent; one that is gone is left alone.

        Raises a `DeliveryError` by consequence.
        """
        letter = self._letter(destination, notices)
        with self._slowing():
            await edit(self._bot, int(message_id), letter, self._turn(destination))

    async def probe(self) -> None:
        """Ask who the bot is; raises a `DeliveryError` where no good answer comes."""
        with self._slowing():
            try:
                await call(self._bot, "getMe")
            except TelegramError as error:
                raise classify(error) from error

    def _letter(self, destination: Destination, notices: Sequence[Notice]) -> Letter:
        messages = [notice.message for notice in notices]
        reply_to = notices[0].reply_to
        return Letter(
            chat_id=destination.chat_id,
            html=render.alert_html(messages),
            plain=render.alert_plain(messages),
            thread_id=destination.thread_id,
            buttons=keyboard(alert_buttons(self._seals, destination.chat_id, notices)),
            video=render.preview(messages),
            reply_to=int(reply_to) if reply_to else None,
            paid=self._paid,
        )

    def _turn(self, destination: Destination) -> Turn:
        return partial(self.pace.turn, self.pace.chat(destination))

    @contextmanager
    def _slowing(self) -> Iterator[None]:
        """Keep more distance when Telegram asks to wait."""
        try:
            yield
        except MustWait:
            self.pace.refused()
            raise
