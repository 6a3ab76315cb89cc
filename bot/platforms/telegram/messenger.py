"""Delivers alerts to Telegram."""

from collections.abc import Sequence

from bot.message import Action, Message
from bot.model import Destination
from bot.outbox.messenger import Notice
from bot.platforms.telegram import render
from bot.platforms.telegram.seals import Pressed, Seals
from bot.platforms.telegram.sender import Bot, Letter, keyboard, send


class TelegramMessenger:
    """What the outbox sends through."""

    def __init__(self, bot: Bot, seals: Seals) -> None:
        self._bot = bot
        self._seals = seals

    def fitting(self, messages: Sequence[Message]) -> int:
        """How many of the messages fit into one text."""
        return render.fitting(messages)

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


def alert_buttons(seals: Seals, chat_id: int, notices: Sequence[Notice]) -> list[Action]:
    """The actions below alerts, each with its seal; several alerts of one show share theirs."""
    several = len({notice.message.actions for notice in notices}) > 1
    sealed: dict[str, Action] = {}
    for notice in notices:
        _, _, about = notice.message.title.partition(" · ")
        for place, action in enumerate(notice.message.actions):
            label = f"{action.label}: {about}" if several else action.label
            data = seals.seal(chat_id, Pressed(notice.seq, place))
            sealed[action.command] = Action(label, data)
    return list(sealed.values())
