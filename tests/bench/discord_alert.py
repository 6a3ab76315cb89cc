"""What the contenders send: the engine's alert of a renewal, word for word, with its buttons."""

from typing import Any, Final

from ulid import ULID

from bot.message.alerts import News, alert
from bot.model import (
    Certainty,
    Destination,
    Platform,
    Seq,
    Show,
    Source,
    Update,
    UpdateId,
    UpdateKind,
)
from bot.outbox.messenger import Notice
from bot.platforms.discord.buttons import rows
from bot.platforms.discord.letters import letter
from bot.platforms.orders import alert_buttons
from bot.platforms.seals import Seals
from tests.bench.stores import NOW, SHOW
from tests.fakes.discord import TOKEN

__all__ = ["TOKEN", "an_alert"]

_HERE: Final = Destination(Platform.DISCORD, 1)


def an_alert() -> dict[str, Any]:
    """The body of the alert of the update that `tests.bench.stores.published` publishes."""
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
    notices = [Notice(Seq(1), alert(News(Show(SHOW, "A Show"), update, (update,))), SHOW)]
    buttons = rows(alert_buttons(Seals(TOKEN), _HERE.chat_id, notices))
    return letter(_HERE, notices, buttons).keyed
