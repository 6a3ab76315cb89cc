"""Who wrote or pressed, and where."""

from typing import Any, Final

import pytest
import telegram

from bot.model import Destination, Platform
from bot.platforms.telegram.people import Asker, asker, presser

ANN: Final = {"id": 5, "is_bot": False, "first_name": "Ann"}
ROBOT: Final = {"id": 6, "is_bot": True, "first_name": "Robot", "username": "RobotBot"}
ANONYMOUS: Final = {"id": 1087968824, "is_bot": True, "first_name": "Group"}
CHANNEL_BOT: Final = {"id": 136817688, "is_bot": True, "first_name": "Channel"}
TELEGRAM: Final = {"id": 777000, "is_bot": False, "first_name": "Telegram"}

DIRECT: Final = {"id": 5, "type": "private", "first_name": "Ann"}
GROUP: Final = {"id": -100, "type": "supergroup", "title": "Fans"}
CHANNEL: Final = {"id": -200, "type": "channel", "title": "News"}
FORWARDED: Final = {"forward_origin": {"type": "user", "date": 0, "sender_user": ANN}}


def message(chat: dict[str, Any], **told: Any) -> telegram.Message:
    """A message as Telegram tells it; `sender` stands for "from"."""
    sender = {"from": told.pop("sender")} if "sender" in told else {}
    body = {"message_id": 7, "date": 0, "chat": chat, "text": "x", **sender, **told}
    return telegram.Message.de_json(body, None)


@pytest.mark.parametrize(
    ("told", "who"),
    [
        (message(DIRECT, sender=ANN), Asker(5, None, private=True, user_id=5)),
        (message(GROUP, sender=ANN), Asker(-100, None, private=False, user_id=5)),
        # An anonymous administrator speaks as the group, and nobody else does.
        (message(GROUP, sender=ANONYMOUS, sender_chat=GROUP),
         Asker(-100, None, private=False, user_id=-100, speaks_as_chat=True, is_person=False)),
        (message(GROUP, sender=CHANNEL_BOT, sender_chat=CHANNEL),
         Asker(-100, None, private=False, user_id=-200, is_person=False)),
        (message(GROUP, sender=ANONYMOUS, sender_chat=CHANNEL),
         Asker(-100, None, private=False, user_id=-200, is_person=False)),
        (message(GROUP, sender=CHANNEL_BOT, sender_chat=GROUP),
         Asker(-100, None, private=False, user_id=-100, is_person=False)),
        # A post, with and without its author's name.
        (message(CHANNEL, sender_chat=CHANNEL),
         Asker(-200, None, private=False, user_id=-200, in_channel=True, speaks_as_chat=True,
               is_person=False)),
        (message(CHANNEL, sender=ANN, sender_chat=CHANNEL, author_signature="Ann"),
         Asker(-200, None, private=False, user_id=-200, in_channel=True, speaks_as_chat=True,
               is_person=False)),
    ],
)  # fmt: skip
def test_who_speaks_to_the_bot(told: telegram.Message, who: Asker) -> None:
    assert asker(told) == who


@pytest.mark.parametrize(
    "told",
    [
        message(DIRECT, sender=ROBOT),
        message(GROUP, sender=ROBOT),
        message(GROUP, sender=ANONYMOUS),
        message(GROUP),
        message(DIRECT, sender=ANN, **FORWARDED),
        message(GROUP, sender=ANN, **FORWARDED),
        message(GROUP, sender=ANN, via_bot=ROBOT),
        message(GROUP, sender=TELEGRAM, sender_chat=CHANNEL, is_automatic_forward=True),
    ],
)
def test_who_does_not(told: telegram.Message) -> None:
    assert asker(told) is None


@pytest.mark.parametrize(
    ("told", "thread"),
    [
        ({"message_thread_id": 9, "is_topic_message": True}, 9),
        ({"message_thread_id": 9}, None),  # a thread of replies
        ({}, None),
    ],
)
def test_a_topic_is_a_place_of_its_own(told: dict[str, Any], thread: int | None) -> None:
    who = asker(message(GROUP, sender=ANN, **told))
    assert who
    assert who.here == Destination(Platform.TELEGRAM, -100, thread)


def query(**told: Any) -> telegram.CallbackQuery:
    """A pressed button as Telegram tells it."""
    body = {"id": "1", "from": ANN, "chat_instance": "2", "data": "x", **told}
    return telegram.CallbackQuery.de_json(body, None)


def below(chat: dict[str, Any], **told: Any) -> dict[str, Any]:
    """The message that a button stands below."""
    return {"message": {"message_id": 7, "date": 1, "chat": chat, "text": "x", **told}}


@pytest.mark.parametrize(
    ("pressed", "who"),
    [
        (query(**below(DIRECT)), Asker(5, None, private=True, user_id=5)),
        (query(**below(GROUP, message_thread_id=9, is_topic_message=True)),
         Asker(-100, 9, private=False, user_id=5)),
        (query(**below(CHANNEL)), Asker(-200, None, private=False, user_id=5, in_channel=True)),
        # So old that only its place is told.
        (query(message={"message_id": 7, "date": 0, "chat": GROUP}),
         Asker(-100, None, private=False, user_id=5)),
        (query(inline_message_id="3"), None),
    ],
)  # fmt: skip
def test_who_presses_is_a_person_and_never_the_chat(
    pressed: telegram.CallbackQuery, who: Asker | None
) -> None:
    assert presser(pressed) == who
