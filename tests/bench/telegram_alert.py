"""What the contenders send: the engine's alert of a renewal, word for word, with its buttons."""

from dataclasses import dataclass
from typing import Final

from ulid import ULID

from bot.message.alerts import News, alert
from bot.model import Certainty, Seq, Show, Source, Update, UpdateId, UpdateKind
from bot.outbox.messenger import Notice
from bot.platforms.orders import alert_buttons
from bot.platforms.seals import Seals
from bot.platforms.telegram import render
from tests.bench.stores import NOW, SHOW

TOKEN: Final = "123456789:AAEfakeFakeFakeFakeFakeFakeFakeFake"


@dataclass(frozen=True)
class Alert:
    """A text for parse mode HTML, and a row of buttons: what each says, and its data."""

    html: str
    buttons: tuple[tuple[str, str], ...]


def an_alert() -> Alert:
    """The alert of the update that `tests.bench.stores.published` publishes."""
    update = Update(
        id=UpdateId(str(ULID())),
        recorded_at=NOW,
        show=SHOW,
        season=1,
        kind=UpdateKind.RENEWED,
        certainty=Certainty.OFFICIAL,
        speaker="Netflix",
        source=Source(url="https://www.netflix.com/a", published=NOW.date()),
    )
    message = alert(News(Show(SHOW, "A Show"), update, (update,)))
    buttons = alert_buttons(Seals(TOKEN), 1, [Notice(Seq(1), message, SHOW)])
    return Alert(render.alert_html([message]), tuple((one.label, one.command) for one in buttons))
