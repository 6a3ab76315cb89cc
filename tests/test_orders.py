"""What buttons ask for: below which message, for whom, and how often."""

from dataclasses import replace
from typing import Any, Final

import pytest

from bot.commands.core import Catalogue, Core
from bot.errors import UserError
from bot.message import Action, Message
from bot.message.alerts import actions
from bot.model import Caller, Destination, Platform, Seq, Show
from bot.outbox.messenger import Notice
from bot.platforms import wording
from bot.platforms.orders import (
    PREFIX,
    Buttons,
    Order,
    Orders,
    Press,
    alert_buttons,
    check,
    matters,
)
from bot.platforms.seals import Pressed, Seals
from storage.conversations import KEPT, Keyboard
from storage.store import Storage
from tests.build import NOW, a_show
from tests.fakes.clock import FakeClock
from tests.storage.builders import claim_all, follow, put_shows, sent, sql, tell

SHOW: Final = a_show()
SEALS: Final = Seals("a token")
ANN, BEN = 11, 12
ROOM: Final = Destination(Platform.DISCORD, 5)
ABOUT: Final = Destination(Platform.DISCORD, 6)
ANSWER: Final = Message(
    "Which one?",
    actions=(Action("Stop", "/unsubscribe dark"),),
    choices=(Action("Dark", "/status dark"),),
)
DETAILS: Final = 0


def press(data: str, **changes: Any) -> Press:
    """Ann presses a button below the message m1 in the room."""
    return replace(Press(ROOM.platform, ROOM.chat_id, "m1", ANN, False, data), **changes)


class Desk:
    """Orders on a store, with a clock that stands."""

    def __init__(self, storage: Storage) -> None:
        self.clock = FakeClock(NOW)
        self.storage = storage
        self.core = Core(storage, Catalogue(storage), self.clock)
        self.orders = Orders(self.core, SEALS)

    async def answered(self, user_id: int = ANN) -> list[str]:
        """The data of the buttons below an answer for Ann in the room."""
        buttons = Buttons(ANSWER)
        await buttons.keep(self.core, ABOUT, ROOM.chat_id, "m1", user_id)
        return [button.command for button in buttons.sealed]

    async def alerted(self) -> Seq:
        """An alert in the room, sent as the message m1."""
        await put_shows(self.storage, SHOW)
        await follow(self.storage, ROOM)
        seq = await tell(self.storage)
        await self.storage.deliveries.settle([sent(one) for one in await claim_all(self.storage)])
        return seq

    async def refusal(self, pressed: Press) -> str:
        with pytest.raises(UserError) as refused:
            await self.orders.order(pressed)
        return str(refused.value)


@pytest.fixture
def desk(storage: Storage) -> Desk:
    return Desk(storage)


# --- below answers ---


async def test_a_button_of_an_answer_stands_for_its_command(desk: Desk) -> None:
    details, stop = await desk.answered()
    order = await desk.orders.order(press(details))
    assert (order.line, order.about) == ("/status dark", ABOUT)
    assert (await desk.orders.order(press(stop))).line == "/unsubscribe dark"


async def test_what_is_on_a_button_tells_nothing_and_is_never_the_same(desk: Desk) -> None:
    first, second = Buttons(ANSWER), Buttons(ANSWER)
    assert [one.label for one in first.sealed] == ["Dark", "Stop"]
    data = [one.command for made in (first, second) for one in made.sealed]
    assert len(set(data)) == 4
    assert all(one.startswith(PREFIX) and len(one) <= 64 for one in data)
    assert not any("dark" in one for one in data)


async def test_an_answer_without_buttons_leaves_nothing_behind(desk: Desk) -> None:
    await Buttons(Message("Done.")).keep(desk.core, ABOUT, ROOM.chat_id, "m1", ANN)
    assert Buttons(Message("Done.")).sealed == []
    assert await sql(desk.storage, "SELECT id FROM keyboards") == []


@pytest.mark.parametrize(
    "changes", [{"message_id": "m2"}, {"chat_id": 7}, {"platform": Platform.TELEGRAM}]
)
async def test_a_button_of_an_answer_works_below_its_message_alone(
    desk: Desk, changes: dict[str, Any]
) -> None:
    details, _ = await desk.answered()
    assert await desk.refusal(press(details, **changes)) == wording.FOREIGN


async def test_buttons_of_an_answer_are_for_whoever_asked(desk: Desk) -> None:
    details, _ = await desk.answered()
    refused = await desk.refusal(press(details, user_id=BEN))
    assert refused == wording.NOT_YOURS.format(command="/status dark")
    assert (await desk.orders.order(press(details))).line == "/status dark"


async def test_what_was_asked_in_the_name_of_the_chat_anybody_may_press(desk: Desk) -> None:
    details, _ = await desk.answered(user_id=ROOM.chat_id)
    assert (await desk.orders.order(press(details, user_id=BEN))).line == "/status dark"


async def test_a_place_that_no_button_has_is_foreign(desk: Desk) -> None:
    details, _ = await desk.answered()
    assert await desk.refusal(press(details[:-1] + "2")) == wording.FOREIGN


async def test_one_press_uses_all_buttons_of_an_answer_up(desk: Desk) -> None:
    details, stop = await desk.answered()
    order, other = [await desk.orders.order(press(one)) for one in (details, stop)]
    await desk.orders.use(order)
    with pytest.raises(UserError, match=r"used"):
        await desk.orders.use(other)
    assert await desk.refusal(press(stop)) == wording.USED


async def test_used_buttons_can_be_put_back(desk: Desk) -> None:
    details, _ = await desk.answered()
    order = await desk.orders.order(press(details))
    await desk.orders.use(order)
    await desk.orders.keep(order)
    assert await desk.orders.order(press(details)) == order


async def test_buttons_of_an_answer_get_too_old(desk: Desk) -> None:
    details, _ = await desk.answered()
    desk.clock.now += KEPT * 2
    assert await desk.refusal(press(details)) == wording.USED


# --- below alerts ---


async def test_a_button_of_an_alert_stands_for_its_command_however_often(desk: Desk) -> None:
    seq = await desk.alerted()
    for place, action in enumerate(actions(SHOW)):
        data = SEALS.seal(ROOM.chat_id, Pressed(seq, place))
        for user in (ANN, BEN, ANN):
            order = await desk.orders.order(press(data, user_id=user))
            assert order == Order(action.command, ROOM)
            await desk.orders.use(order)
            await desk.orders.keep(order)


@pytest.mark.parametrize(
    "changes", [{"message_id": "m2"}, {"chat_id": 7}, {"platform": Platform.TELEGRAM}]
)
async def test_a_button_of_an_alert_works_below_its_message_alone(
    desk: Desk, changes: dict[str, Any]
) -> None:
    data = SEALS.seal(ROOM.chat_id, Pressed(await desk.alerted(), DETAILS))
    assert await desk.refusal(press(data, **changes)) == wording.FOREIGN


async def test_an_action_that_no_alert_has_is_foreign(desk: Desk) -> None:
    data = SEALS.seal(ROOM.chat_id, Pressed(await desk.alerted(), 2))
    assert await desk.refusal(press(data)) == wording.FOREIGN


@pytest.mark.parametrize("data", ["", "k", "k:0", "a" * 29, "k" + "é" * 16 + ":0", "/privacy"])
async def test_what_was_made_up_is_foreign(desk: Desk, data: str) -> None:
    assert await desk.refusal(press(data)) == wording.FOREIGN


def test_alerts_of_one_show_share_their_buttons_and_others_name_theirs() -> None:
    other = a_show("squid-game")

    def notice(seq: int, title: str, about: Show = SHOW) -> Notice:
        return Notice(Seq(seq), Message(title, actions=actions(about)), about.id)

    news = [notice(1, "RENEWED · Dark, season 2"), notice(2, "DATED · Dark, season 2")]
    assert [one.label for one in alert_buttons(SEALS, 5, news)] == ["Details", "Unsubscribe"]
    mixed = alert_buttons(SEALS, 5, [news[0], notice(3, "RENEWED · Squid Game", other)])
    assert [one.label for one in mixed] == [
        "Details: Dark, season 2",
        "Unsubscribe: Dark, season 2",
        "Details: Squid Game",
        "Unsubscribe: Squid Game",
    ]
    assert SEALS.open(5, mixed[2].command) == Pressed(Seq(3), DETAILS)


# --- who may ---


def kept(user_id: int) -> Keyboard:
    return Keyboard("k1", ROOM.chat_id, ABOUT, user_id, ("/status dark",), "m1")


@pytest.mark.parametrize(
    ("order", "private", "expected"),
    [
        (Order("/status dark", ABOUT), False, False),
        (Order("/unsubscribe dark", ABOUT), False, True),
        (Order("/status dark", ABOUT, kept(ANN)), False, False),
        (Order("/status dark", ABOUT, kept(ROOM.chat_id)), False, True),
        (Order("/status dark", ABOUT, kept(ROOM.chat_id)), True, False),
    ],
    ids=["anybody's", "a manager's", "of Ann", "of the chat itself", "of a direct chat"],
)
def test_who_presses_is_looked_up_where_it_matters(
    order: Order, private: bool, expected: bool
) -> None:
    assert matters(order, press("", private=private)) is expected


@pytest.mark.parametrize("manages", [True, False])
@pytest.mark.parametrize("line", ["/status dark", "/unsubscribe dark"])
async def test_only_who_manages_the_chat_has_its_subscriptions_changed(
    line: str, manages: bool
) -> None:
    asked = []

    async def caller(matters: bool) -> Caller:
        asked.append(matters)
        return Caller(ABOUT, ANN, manages)

    order = Order(line, ABOUT)
    if manages or line.startswith("/status"):
        await check(order, press(""), caller)
    else:
        with pytest.raises(UserError, match=f"administrators .*: {line}"):
            await check(order, press(""), caller)
    assert asked == ([] if line.startswith("/status") else [True])
