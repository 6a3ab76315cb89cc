"""One text on its way to a chat: how it looks, and what is changed about it when it is refused."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Final

import pytest
from telegram.ext import ExtBot

from bot.errors import (
    DeliveryError,
    DestinationLost,
    DestinationMoved,
    MaybeSent,
    MustWait,
    NotSent,
    Refused,
)
from bot.message import Action
from bot.platforms.telegram.errors import NO_RIGHT, Fix
from bot.platforms.telegram.sender import (
    TOPIC_GONE,
    Bot,
    Letter,
    edit,
    in_parts,
    keyboard,
    mended,
    send,
)
from bot.platforms.telegram.transport import AiohttpRequest
from tests.build import VIDEO
from tests.fakes.telegram import FakeTelegram, Person, Sent

BUTTONS: Final = keyboard([Action("Details", "data-1"), Action("Unsubscribe", "data-2")])


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


async def unpaced() -> None:
    """Every turn comes at once."""


async def post(bot: Bot, letter: Letter) -> int:
    return await send(bot, letter, unpaced)


def to(chat: int, **changes: object) -> Letter:
    """A letter with everything in it."""
    whole = Letter(chat, "<b>News</b>\nof a show", "News\nof a show", None, BUTTONS, VIDEO)
    return replace(whole, **changes)  # type: ignore[arg-type]


async def test_a_letter_is_sent_as_it_is(telegram: FakeTelegram, ann: Person, bot: Bot) -> None:
    number = await post(bot, to(ann.id))
    (sent,) = telegram.sent_to(ann)
    assert sent.message_id == number
    assert (sent.text, sent.marked("bold")) == ("News\nof a show", ["News"])
    assert sent.buttons == {"Details": "data-1", "Unsubscribe": "data-2"}
    assert sent.link_preview_options == {"url": VIDEO, "prefer_large_media": True}
    assert sent.reply_to is None


async def test_without_a_video_there_is_no_preview(
    telegram: FakeTelegram, ann: Person, bot: Bot
) -> None:
    await post(bot, to(ann.id, video=None, buttons=None))
    (sent,) = telegram.sent_to(ann)
    assert sent.link_preview_options == {"is_disabled": True}
    assert sent.buttons == {}


async def test_a_reply_quotes_what_it_answers_and_goes_out_when_that_is_gone(
    telegram: FakeTelegram, ann: Person, bot: Bot
) -> None:
    said = telegram.say(ann, "hello")
    await post(bot, to(ann.id, reply_to=said.message_id))
    await post(bot, to(ann.id, reply_to=said.message_id + 1000))
    assert [sent.reply_to for sent in telegram.sent_to(ann)] == [said.message_id, None]


def plain(sent: Sent) -> None:
    assert sent.text == "News\nof a show"
    assert sent.entities == ()
    assert sent.buttons


def short(sent: Sent) -> None:
    assert sent.text == "News …"
    assert sent.buttons


def bare(sent: Sent) -> None:
    assert sent.buttons == {}
    assert sent.marked("bold") == ["News"]


def unseen(sent: Sent) -> None:
    assert sent.link_preview_options == {"is_disabled": True}
    assert sent.buttons
    assert sent.marked("bold") == ["News"]


@pytest.mark.parametrize(
    ("refusal", "changed"),
    [
        ('can\'t parse entities: Unsupported start tag "x" at byte offset 3', plain),
        ("message is too long", short),
        ("BUTTON_DATA_INVALID", bare),
        ("WEBPAGE_MEDIA_EMPTY", unseen),
        ("not enough rights to send photos to the chat", unseen),
    ],
)
async def test_what_is_refused_is_left_out_once(
    telegram: FakeTelegram, ann: Person, bot: Bot, refusal: str, changed: object
) -> None:
    telegram.fail(status=400, description=f"Bad Request: {refusal}")
    await post(bot, to(ann.id))
    (sent,) = telegram.sent_to(ann)
    assert callable(changed)
    changed(sent)
    assert len(telegram.calls("sendMessage")) == 2


async def test_real_bad_markup_goes_out_plain(
    telegram: FakeTelegram, ann: Person, bot: Bot
) -> None:
    await post(bot, to(ann.id, html="<b>News"))
    assert [sent.text for sent in telegram.sent_to(ann)] == ["News\nof a show"]


@pytest.mark.parametrize(
    ("second", "follows"),
    [
        ("can't parse entities: again", Refused),
        ("chat not found", DestinationLost),
        ("something new", DeliveryError),
    ],
)
async def test_there_is_one_second_try_and_its_outcome_counts(
    telegram: FakeTelegram, ann: Person, bot: Bot, second: str, follows: type[DeliveryError]
) -> None:
    telegram.fail(status=400, description="Bad Request: can't parse entities: no")
    telegram.fail(status=400, description=f"Bad Request: {second}")
    with pytest.raises(DeliveryError) as failed:
        await post(bot, to(ann.id))
    assert isinstance(failed.value, follows)
    assert len(telegram.calls("sendMessage")) == 2
    assert telegram.sent_to(ann) == ()


async def test_a_second_try_waits_for_its_turn(
    telegram: FakeTelegram, ann: Person, bot: Bot
) -> None:
    tries: list[int] = []

    async def turn() -> None:
        tries.append(len(telegram.calls("sendMessage")))

    await send(bot, to(ann.id), turn)
    assert tries == []
    telegram.fail(status=400, description="Bad Request: message is too long")
    await send(bot, to(ann.id), turn)
    assert tries == [2]


async def test_a_second_try_that_is_in_doubt_is_in_doubt(
    telegram: FakeTelegram, ann: Person, bot: Bot
) -> None:
    telegram.fail(status=400, description="Bad Request: message is too long")
    telegram.fail(status=500)
    with pytest.raises(MaybeSent):
        await post(bot, to(ann.id))


async def test_what_was_for_a_deleted_topic_goes_to_general_and_says_so(
    telegram: FakeTelegram, bot: Bot
) -> None:
    forum = telegram.supergroup("Forum", forum=True)
    topic = forum.topic("Series")
    telegram.delete_topic(forum, topic)
    with pytest.raises(DestinationLost) as lost:
        await post(bot, to(forum.id, thread_id=topic))
    (sent,) = telegram.sent_to(forum)
    assert lost.value.message_id == str(sent.message_id)
    assert lost.value.doubt is None
    assert sent.thread_id is None
    assert sent.text == f"News\nof a show\n{TOPIC_GONE}"
    assert sent.buttons


async def test_where_general_is_closed_too_the_topic_is_in_doubt(
    telegram: FakeTelegram, bot: Bot
) -> None:
    forum = telegram.supergroup("Forum", forum=True)
    topic = forum.topic("Series")
    telegram.delete_topic(forum, topic)
    telegram.close_topic(forum)
    with pytest.raises(DestinationLost) as lost:
        await post(bot, to(forum.id, thread_id=topic))
    assert lost.value.doubt == NO_RIGHT


async def test_where_general_refuses_as_well_the_topic_is_lost(
    telegram: FakeTelegram, ann: Person, bot: Bot
) -> None:
    telegram.fail(status=400, description="Bad Request: message thread not found", times=2)
    with pytest.raises(DestinationLost, match="the topic was deleted") as lost:
        await post(bot, to(ann.id, thread_id=5))
    assert lost.value.doubt is None


async def test_errors_that_no_change_helps_are_not_tried_again(
    telegram: FakeTelegram, bot: Bot
) -> None:
    group = telegram.group("Group")
    new = telegram.upgrade(group, announced=False)
    with pytest.raises(DestinationMoved) as moved:
        await post(bot, to(group.id))
    assert moved.value.chat_id == new.id
    telegram.flood(7)
    with pytest.raises(MustWait) as wait:
        await post(bot, to(new.id))
    assert wait.value.seconds == 7
    telegram.drop(accepted=True)
    with pytest.raises(MaybeSent):
        await post(bot, to(new.id))
    telegram.down()
    with pytest.raises(NotSent):
        await post(bot, to(new.id))
    assert len(telegram.calls("sendMessage")) == 3


async def test_a_send_that_is_cancelled_is_no_failure(
    telegram: FakeTelegram, ann: Person, bot: Bot
) -> None:
    held = telegram.hold()
    sending = asyncio.create_task(post(bot, to(ann.id)))
    await asyncio.to_thread(telegram.wait_until_held, held)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending


def test_every_change_leaves_out_one_thing() -> None:
    letter = to(1, thread_id=2, reply_to=3)
    changed = {fix: mended(letter, fix) for fix in Fix}
    assert changed[Fix.MARKUP] == replace(letter, html=None)
    assert changed[Fix.BUTTONS] == replace(letter, buttons=None)
    assert changed[Fix.PREVIEW] == replace(letter, video=None)
    assert changed[Fix.REPLY] == replace(letter, reply_to=None)
    assert changed[Fix.LENGTH] == replace(letter, html=None, plain="News …")
    gone = replace(letter, html=None, thread_id=None, plain=f"{letter.plain}\n{TOPIC_GONE}")
    assert changed[Fix.TOPIC] == gone


def test_a_first_line_without_end_is_cut_as_well() -> None:
    assert mended(to(1, plain="x" * 5000), Fix.LENGTH).plain == "x" * 1000 + " …"


def test_of_several_texts_the_first_quotes_and_the_last_has_the_buttons() -> None:
    first, middle, last = in_parts(to(1, reply_to=9), ["a", "b", "c"], ["A", "B", "C"])
    assert [one.html for one in (first, middle, last)] == ["a", "b", "c"]
    assert [one.reply_to for one in (first, middle, last)] == [9, None, None]
    assert [one.buttons for one in (first, middle, last)] == [None, None, BUTTONS]


def test_texts_that_were_cut_at_other_places_go_out_plain() -> None:
    parts = in_parts(to(1), ["a"], ["A", "B"])
    assert [(one.html, one.plain) for one in parts] == [(None, "A"), (None, "B")]


def test_there_is_no_keyboard_without_buttons() -> None:
    assert keyboard([]) is None


# --- changing what was sent ---

EDIT: Final = "editMessageText"


async def change(bot: Bot, message_id: int, letter: Letter) -> None:
    await edit(bot, message_id, letter, unpaced)


async def test_a_letter_takes_the_place_of_another_with_all_that_belongs_to_it(
    telegram: FakeTelegram, ann: Person, bot: Bot
) -> None:
    number = await post(bot, to(ann.id))
    new = to(ann.id, html="<b>Withdrawn</b>", plain="Withdrawn", buttons=None, video=None)
    await change(bot, number, new)
    (seen,) = telegram.on_screen(ann)
    assert (seen.text, seen.marked("bold"), seen.buttons) == ("Withdrawn", ["Withdrawn"], {})
    assert seen.link_preview_options == {"is_disabled": True}
    await change(bot, number, to(ann.id))
    (seen,) = telegram.on_screen(ann)
    assert seen.buttons == {"Details": "data-1", "Unsubscribe": "data-2"}
    assert seen.link_preview_options == {"url": VIDEO, "prefer_large_media": True}
    assert len(telegram.sent_to(ann)) == 1


async def test_what_is_like_that_already_is_done(
    telegram: FakeTelegram, ann: Person, bot: Bot
) -> None:
    number = await post(bot, to(ann.id))
    await change(bot, number, to(ann.id))
    (edited,) = telegram.calls(EDIT)
    assert edited.status == 400


async def test_what_is_gone_or_not_ours_is_left_alone(
    telegram: FakeTelegram, ann: Person, bot: Bot
) -> None:
    said = telegram.say(ann, "hello")
    await change(bot, said.message_id, to(ann.id))
    await change(bot, said.message_id + 1000, to(ann.id))
    assert [one.status for one in telegram.calls(EDIT)] == [400, 400]


async def test_an_edit_with_bad_markup_is_made_plain_once_and_in_its_turn(
    telegram: FakeTelegram, ann: Person, bot: Bot
) -> None:
    number = await post(bot, to(ann.id))
    tries: list[int] = []

    async def turn() -> None:
        tries.append(len(telegram.calls(EDIT)))

    await edit(bot, number, to(ann.id, html="<b>Withdrawn", plain="Withdrawn"), turn)
    (seen,) = telegram.on_screen(ann)
    assert seen.text == "Withdrawn"
    assert tries == [1]


async def test_an_edit_that_fails_has_its_consequence(
    telegram: FakeTelegram, ann: Person, bot: Bot
) -> None:
    number = await post(bot, to(ann.id))
    new = to(ann.id, html=None, plain="Withdrawn")
    telegram.fail(EDIT, status=429, parameters={"retry_after": 7})
    with pytest.raises(MustWait) as wait:
        await change(bot, number, new)
    assert wait.value.seconds == 7
    telegram.fail(EDIT, status=500)
    with pytest.raises(MaybeSent):
        await change(bot, number, new)
    telegram.fail(EDIT, status=400, description="Bad Request: can't parse entities", times=2)
    with pytest.raises(Refused):
        await change(bot, number, new)
    telegram.fail(EDIT, status=400, description="Bad Request: message thread not found")
    with pytest.raises(Refused):
        await change(bot, number, new)
    telegram.block(ann)
    with pytest.raises(DestinationLost):
        await change(bot, number, new)
    assert [one.text for one in telegram.on_screen(ann)] == ["News\nof a show"]
