"""Sends one text to a chat, or changes it; what Telegram refuses is mended once."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from telegram.constants import ParseMode
from telegram.ext import ExtBot

from bot.errors import DeliveryError, DestinationLost
from bot.message import Action
from bot.platforms.telegram import render
from bot.platforms.telegram.calls import Json, call
from bot.platforms.telegram.errors import Fix, Mend, classify, leaves_nothing_to_edit
from bot.text import shorten

Bot = ExtBot[None]

Turn = Callable[[], Awaitable[None]]
"""Waits until one more request may leave that sends something."""

_NO_PREVIEW: Final[Json] = {"is_disabled": True}
TOPIC_GONE: Final = (
    "(The topic that got this news was deleted. An administrator can subscribe in another one.)"
)


@dataclass(frozen=True, slots=True)
class Letter:
    """One text for one chat, as HTML and, should that be refused, as plain text.

    `video` is an address to show a large preview of; nothing else has one. What is `paid` may go
    out faster than Telegram lets bots send for nothing.
    """

    chat_id: int
    html: str | None
    plain: str
    thread_id: int | None = None
    buttons: Json | None = None
    video: str | None = None
    reply_to: int | None = None
    paid: bool = False


async def send(bot: Bot, letter: Letter, turn: Turn) -> int:
    """Send it; returns the id of the message. The turn is waited for before a second try alone.

    Raises a `DeliveryError` by consequence; one of them is that the topic is gone and the message
    stands in the chat's General topic instead.
    """
    try:
        return await _send(bot, letter)
    except Exception as error:
        judged = classify(error)
        if not isinstance(judged, Mend):
            raise judged from error
    await turn()
    try:
        sent = await _send(bot, mended(letter, judged.fix))
    except Exception as error:
        again = classify(error)
        lost = judged.fix is Fix.TOPIC and isinstance(again, Mend)
        raise (DestinationLost(str(judged)) if lost else again) from error
    if judged.fix is Fix.TOPIC:
        raise DestinationLost(str(judged), message_id=str(sent))
    return sent


async def edit(bot: Bot, message_id: int, letter: Letter, turn: Turn) -> None:
    """Put a letter into the place of an earlier one; one that is gone is left alone.

    The turn is waited for before a second try alone. Raises a `DeliveryError` by consequence.
    """
    refused = await _refusal(bot, message_id, letter)
    if isinstance(refused, Mend) and refused.fix is not Fix.TOPIC:
        await turn()
        refused = await _refusal(bot, message_id, mended(letter, refused.fix))
    if refused:
        raise refused


def mended(letter: Letter, fix: Fix) -> Letter:
    """The text with what was refused left out. Pure."""
    match fix:
        case Fix.MARKUP:
            return replace(letter, html=None)
        case Fix.LENGTH:
            return replace(letter, html=None, plain=letter.plain.partition("\n")[0][:1000] + " …")
        case Fix.BUTTONS:
            return replace(letter, buttons=None)
        case Fix.PREVIEW:
            return replace(letter, video=None)
        case Fix.TOPIC:
            room = render.LIMIT - len(TOPIC_GONE) - 1
            plain = f"{shorten(letter.plain, room // 2)}\n{TOPIC_GONE}"
            return replace(letter, thread_id=None, html=None, plain=plain)
        case Fix.REPLY:
            return replace(letter, reply_to=None)


async def _send(bot: Bot, letter: Letter) -> int:
    sent = await call(
        bot,
        "sendMessage",
        chat_id=letter.chat_id,
        text=letter.html or letter.plain,
        parse_mode=ParseMode.HTML if letter.html else None,
        message_thread_id=letter.thread_id,
        link_preview_options=preview(letter.video),
        reply_markup=letter.buttons,
        reply_parameters=_quoted(letter.reply_to),
        allow_paid_broadcast=True if letter.paid else None,
    )
    return int(sent["message_id"])


async def _refusal(bot: Bot, message_id: int, letter: Letter) -> DeliveryError | None:
    """Change a message; what follows where that failed."""
    try:
        await call(
            bot,
            "editMessageText",
            chat_id=letter.chat_id,
            message_id=message_id,
            text=letter.html or letter.plain,
            parse_mode=ParseMode.HTML if letter.html else None,
            link_preview_options=preview(letter.video),
            reply_markup=letter.buttons,
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, it has a consequence
        return None if leaves_nothing_to_edit(error) else classify(error)
    return None


def _quoted(message_id: int | None) -> Json | None:
    if message_id is None:
        return None
    return {"message_id": message_id, "allow_sending_without_reply": True}


def preview(video: str | None) -> Json:
    """A large preview of a video, and none of anything else."""
    return {"url": video, "prefer_large_media": True} if video else _NO_PREVIEW


def keyboard(actions: Iterable[Action]) -> Json | None:
    """Buttons below a message; the commands of the actions are their data."""
    laid = [
        [{"text": one.label, "callback_data": one.command} for one in row]
        for row in render.rows(actions)
    ]
    return {"inline_keyboard": laid} if laid else None


def in_parts(letter: Letter, htmls: Sequence[str], plains: Sequence[str]) -> list[Letter]:
    """A long answer as several texts: the question is quoted by the first, the last has buttons."""
    if len(htmls) != len(plains):  # split at other places: only the plain form is sure to match
        htmls = [""] * len(plains)
    last = len(plains) - 1
    return [
        replace(
            letter,
            html=html or None,
            plain=plain,
            buttons=letter.buttons if place == last else None,
            reply_to=None if place else letter.reply_to,
        )
        for place, (html, plain) in enumerate(zip(htmls, plains, strict=True))
    ]
