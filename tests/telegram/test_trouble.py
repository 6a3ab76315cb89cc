"""What people are told when the database cannot be used: an answer, and no spinning button."""

import datetime as dt
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import telegram
from telegram.ext import ExtBot

from bot.commands.core import Catalogue, Core
from bot.errors import StorageError
from bot.model import Seq
from bot.outbox.pace import UNLIMITED, Pace
from bot.platforms.limits import Limits
from bot.platforms.seals import Pressed, Seals
from bot.platforms.telegram.channels import Channels
from bot.platforms.telegram.dialog import Dialog
from bot.platforms.telegram.presses import Presses
from bot.platforms.telegram.replies import Replies
from bot.platforms.telegram.rights import Rights
from bot.platforms.telegram.transport import AiohttpRequest
from storage.store import Storage, open_storage
from storage.trust import trust
from tests.fakes.telegram import FakeTelegram

TROUBLE = "is closed already"


@pytest.fixture
def fake() -> Iterator[FakeTelegram]:
    with FakeTelegram() as fake:
        yield fake


@pytest.fixture
async def bot(fake: FakeTelegram) -> AsyncIterator[ExtBot[None]]:
    request = AiohttpRequest.for_sending()
    made: ExtBot[None] = ExtBot(
        fake.token, base_url=f"{fake.url}/bot", request=request, get_updates_request=request
    )
    async with made:
        yield made


@pytest.fixture
async def closed(tmp_path: Path) -> Storage:
    """A store that refuses everything from now on."""
    async with open_storage(f"sqlite:///{tmp_path / 'cliffhanger.db'}", trust()) as storage:
        return storage


class Bench:
    """The parts that answer people, on a store that refuses everything."""

    def __init__(self, bot: ExtBot[None], storage: Storage) -> None:
        core = Core(storage, Catalogue(storage), lambda: dt.datetime.now(dt.UTC))
        rights, replies = Rights(bot), Replies(bot, core, Pace(UNLIMITED))
        channels = Channels(bot, storage.conversations, rights)
        self.seals = Seals(bot.token)
        self.dialog = Dialog(bot, core, rights, channels, replies)
        self.presses = Presses(core, self.seals, rights, channels, replies)
        self._bot = bot

    async def next_update(self) -> telegram.Update:
        """What the bot is told next."""
        (update,) = await self._bot.get_updates()
        await self._bot.get_updates(offset=update.update_id + 1)
        return update


@pytest.fixture
def bench(bot: ExtBot[None], closed: Storage) -> Bench:
    return Bench(bot, closed)


@pytest.mark.parametrize("kind", ["answer", "alert"])
async def test_a_press_is_answered_although_nothing_can_be_looked_up(
    fake: FakeTelegram, bot: ExtBot[None], bench: Bench, kind: str
) -> None:
    ann = fake.person("Ann", started=True)
    data = (
        "k" + "A" * 16 + ":0" if kind == "answer" else bench.seals.seal(ann.id, Pressed(Seq(7), 0))
    )
    button = telegram.InlineKeyboardButton("Details", callback_data=data)
    await bot.send_message(ann.id, "News", reply_markup=telegram.InlineKeyboardMarkup([[button]]))
    fake.press(ann, fake.history[-1], "Details")
    pressed = (await bench.next_update()).callback_query
    assert pressed
    await bench.presses.pressed(pressed, Limits())
    (answer,) = fake.answers
    assert answer.alert
    assert TROUBLE in (answer.text or "")


@pytest.mark.parametrize("text", ["/channel off", "/status kin", "kin", "/help"])
async def test_a_message_is_answered_although_nothing_can_be_looked_up(
    fake: FakeTelegram, bench: Bench, text: str
) -> None:
    ann = fake.person("Ann")
    fake.say(ann, text)
    message = (await bench.next_update()).message
    assert message
    with suppress(StorageError):  # of what comes after the answer; the service logs it
        await bench.dialog.heard(message, Limits())
    (answer,) = fake.sent_to(ann)
    assert TROUBLE in answer.text
