"""What the messenger and the answers send: replies, edits, what is paid for, and when it leaves."""

import datetime as dt
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest
from telegram.ext import ExtBot

from bot.commands.core import Catalogue, Core
from bot.errors import MaybeSent, MustWait, PlatformStopped
from bot.message import Document, Message
from bot.message.alerts import News, alert, amended
from bot.model import Destination, Platform, Seq, Update
from bot.outbox.carrier import IN_FLIGHT
from bot.outbox.messenger import Notice
from bot.outbox.pace import MARGIN, TELEGRAM, TELEGRAM_PAID, UNLIMITED, WIDENED, Pace
from bot.platforms.seals import Seals
from bot.platforms.telegram.messenger import TelegramMessenger
from bot.platforms.telegram.people import Asker
from bot.platforms.telegram.replies import Replies
from bot.platforms.telegram.sender import Bot
from bot.platforms.telegram.service import PAID_IN_FLIGHT, Access, Telegram
from bot.platforms.telegram.transport import AiohttpRequest
from tests.build import VIDEO, a_retraction, a_show, an_update
from tests.fakes.telegram import FakeTelegram, Person
from tests.storage.builders import a_store

SHOW: Final = a_show()
EDIT: Final = "editMessageText"


class Noted(Pace):
    """Lets everything leave at once, and notes what asked to."""

    def __init__(self) -> None:
        super().__init__(UNLIMITED)
        self.turns: list[int] = []
        self.replies: list[int] = []

    async def turn(self, chat: int) -> None:
        self.turns.append(chat)

    async def reply(self, chat: int) -> None:
        self.replies.append(chat)


@pytest.fixture
def telegram() -> Iterator[FakeTelegram]:
    with FakeTelegram() as running:
        yield running


@pytest.fixture
def ann(telegram: FakeTelegram) -> Person:
    return telegram.person("Ann", started=True)


@pytest.fixture
async def bot(telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bot]:
    monkeypatch.setenv("PTB_TIMEDELTA", "1")  # as the application does
    request = AiohttpRequest.for_sending()
    yield ExtBot(telegram.token, base_url=f"{telegram.url}/bot", request=request)
    await request.shutdown()


@pytest.fixture
def pace() -> Noted:
    return Noted()


@pytest.fixture
def messenger(bot: Bot, pace: Noted) -> TelegramMessenger:
    return TelegramMessenger(bot, Seals("token"), pace)


def told_of(*log: Update, reply_to: str | None = None) -> Notice:
    return Notice(Seq(len(log)), alert(News(SHOW, log[-1], log)), SHOW.id, reply_to=reply_to)


def at(who: Person) -> Destination:
    return Destination(Platform.TELEGRAM, who.id)


# --- alerts ---


async def test_a_correction_replies_to_the_mistake_if_that_is_still_there(
    telegram: FakeTelegram, ann: Person, bot: Bot, messenger: TelegramMessenger
) -> None:
    wrong = an_update("renewed")
    number = await messenger.send(at(ann), [told_of(wrong)])
    correction = told_of(wrong, a_retraction(wrong), reply_to=number)
    await messenger.send(at(ann), [correction])
    (first, reply) = telegram.sent_to(ann)
    assert (str(first.message_id), first.reply_to) == (number, None)
    assert str(reply.reply_to) == number
    await bot.delete_message(ann.id, first.message_id)
    await messenger.send(at(ann), [correction])
    assert telegram.sent_to(ann)[-1].reply_to is None


def test_what_replies_to_one_message_goes_without_what_replies_to_another(
    messenger: TelegramMessenger,
) -> None:
    here = Destination(Platform.TELEGRAM, 1)
    news, one, two = (told_of(an_update("renewed"), reply_to=to) for to in (None, "1", "2"))
    assert messenger.fitting(here, [news, news, one]) == 2
    assert messenger.fitting(here, [one, one, two]) == 2
    assert messenger.fitting(here, [two, news]) == 1


async def test_an_alert_that_was_wrong_gets_other_words_and_keeps_its_buttons(
    telegram: FakeTelegram, ann: Person, messenger: TelegramMessenger
) -> None:
    wrong = an_update("trailer")
    number = await messenger.send(at(ann), [told_of(wrong)])
    (before,) = telegram.on_screen(ann)
    assert number
    by = News(SHOW, a_retraction(wrong), (wrong, a_retraction(wrong)))
    message = amended(News(SHOW, wrong, (wrong,)), by)
    await messenger.edit(at(ann), number, [Notice(Seq(1), message, SHOW.id)])
    (after,) = telegram.on_screen(ann)
    assert after.marked("bold") == ["WITHDRAWN · All of Us Are Dead, season 2: the trailer"]
    assert VIDEO not in after.text
    assert after.link_preview_options == {"is_disabled": True}
    assert after.buttons == before.buttons != {}
    assert len(telegram.sent_to(ann)) == 1


async def test_only_a_second_try_asks_for_a_turn(
    telegram: FakeTelegram, ann: Person, messenger: TelegramMessenger, pace: Noted
) -> None:
    number = await messenger.send(at(ann), [told_of(an_update("renewed"))])
    assert number
    assert pace.turns == []
    telegram.fail(status=400, description="Bad Request: can't parse entities")
    await messenger.send(at(ann), [told_of(an_update("renewed"))])
    telegram.fail(EDIT, status=400, description="Bad Request: can't parse entities")
    await messenger.edit(at(ann), number, [told_of(an_update("dated"))])
    assert pace.turns == [ann.id, ann.id]
    assert pace.margin == MARGIN


async def test_being_asked_to_wait_keeps_more_distance(
    telegram: FakeTelegram, ann: Person, messenger: TelegramMessenger, pace: Noted
) -> None:
    telegram.flood(3)
    with pytest.raises(MustWait):
        await messenger.send(at(ann), [told_of(an_update("renewed"))])
    assert pace.margin == MARGIN + WIDENED
    telegram.fail(EDIT, status=429, parameters={"retry_after": 3})
    with pytest.raises(MustWait):
        await messenger.edit(at(ann), "1", [told_of(an_update("renewed"))])
    assert pace.margin == MARGIN + WIDENED  # as both were on their way together


@pytest.mark.parametrize("paid", [True, False])
async def test_alerts_are_paid_for_where_that_is_switched_on(
    telegram: FakeTelegram, ann: Person, *, paid: bool
) -> None:
    service = Telegram(Access(telegram.token, telegram.url, paid=paid))
    async with service.connected():
        await service.messenger.send(at(ann), [told_of(an_update("renewed"))])
    (request,) = telegram.calls("sendMessage")
    assert request.parameters.get("allow_paid_broadcast", False) is paid
    assert service.messenger.pace.limits == (TELEGRAM_PAID if paid else TELEGRAM)
    assert service.messenger.in_flight == (PAID_IN_FLIGHT if paid else IN_FLIGHT)


def test_limits_can_be_given() -> None:
    access = Access("token", "https://api.telegram.org")
    assert Telegram(access, limits=UNLIMITED).messenger.pace.limits == UNLIMITED


async def test_a_probe_asks_only_who_the_bot_is(
    telegram: FakeTelegram, messenger: TelegramMessenger
) -> None:
    await messenger.probe()
    assert [one.method for one in telegram.requests] == ["getMe"]
    telegram.fail("getMe", status=500)
    with pytest.raises(MaybeSent):
        await messenger.probe()
    telegram.fail("getMe", status=401)
    with pytest.raises(PlatformStopped):
        await messenger.probe()


# --- answers ---


class Answering:
    """The answers to one person."""

    def __init__(self, bot: Bot, core: Core, pace: Pace, person: Person) -> None:
        self._replies = Replies(bot, core, pace)
        self._about = at(person)
        self._who = Asker(person.id, None, private=True, user_id=person.id)

    async def say(self, message: Message) -> None:
        await self._replies.say(self._who, message, self._about)

    async def change(self, message_id: int, message: Message) -> None:
        await self._replies.change(self._who, message_id, message, self._about)


@pytest.fixture
async def answering(bot: Bot, pace: Noted, ann: Person) -> AsyncIterator[Any]:
    async with a_store(SHOW) as storage:
        core = Core(storage, Catalogue(storage), lambda: dt.datetime.now(dt.UTC))
        yield Answering(bot, core, pace, ann)


async def test_every_part_of_an_answer_asks_to_be_next(
    telegram: FakeTelegram, ann: Person, answering: Answering, pace: Noted
) -> None:
    await answering.say(Message("Hello"))
    assert len(pace.replies) == 1
    long = Message("Long", tuple((f"{n} " + "x" * 900,) for n in range(9)))
    await answering.say(long)
    assert len(pace.replies) == len(telegram.sent_to(ann)) > 2
    (newest,) = telegram.sent_to(ann)[-1:]
    await answering.change(newest.message_id, Message("Changed"))
    assert len(telegram.calls(EDIT)) == 1
    before = len(pace.replies)
    await answering.say(Message("File", document=Document("a.txt", "text")))
    assert len(pace.replies) == before + 2
    telegram.fail("sendDocument", status=400, description="Bad Request: CHAT_SEND_DOCS_FORBIDDEN")
    await answering.say(Message("File", document=Document("a.txt", "text")))
    assert len(pace.replies) == before + 5
    assert set(pace.replies) == {ann.id}
    assert pace.turns == []


async def test_an_answer_that_is_one_too_many_keeps_more_distance(
    telegram: FakeTelegram, answering: Answering, pace: Noted
) -> None:
    telegram.flood(3)
    await answering.say(Message("Hello"))
    assert pace.margin == MARGIN + WIDENED
    telegram.fail(EDIT, status=429, parameters={"retry_after": 3})
    await answering.change(1, Message("Hello"))
    assert pace.margin == MARGIN + WIDENED  # as both were on their way together
