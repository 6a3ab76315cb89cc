"""What the server refuses of buttons and keyboards, in its words."""

from collections.abc import Iterator
from typing import Final

from tests.fakes.telegram.markup import Unreadable, checked_link, units
from tests.fakes.telegram.people import Chat, Json

MOST_DATA: Final = 64
MOST_BUTTONS: Final = 100
MOST_COPIED: Final = 256
_STYLES: Final = ("primary", "danger", "success")
_PARSE: Final = "can't parse inline keyboard button: "
_OTHERS: Final = (
    "callback_game", "pay", "switch_inline_query", "switch_inline_query_chosen_chat",
    "switch_inline_query_current_chat", "login_url", "web_app",
)  # fmt: skip


def refusal(markup: Json, chat: Chat) -> str | None:
    """Why the server refuses this markup in a chat, or nothing."""
    if chat.type == "channel" and "inline_keyboard" not in markup:
        return "inline keyboard expected"
    buttons = [one for rows in markup.values() if isinstance(rows, list) for one in _flat(rows)]
    if len(buttons) > MOST_BUTTONS:
        return "reply markup is too long"
    inline = "inline_keyboard" in markup
    checked = (_inline(one) if inline else _reply(one, chat) for one in buttons)
    return next(filter(None, checked), None)


def inline_only(markup: Json | None) -> Json | None:
    """What a message shows of its markup: an inline keyboard that has buttons."""
    return markup if markup and any(markup.get("inline_keyboard", ())) else None


def _flat(rows: list[list[Json]]) -> Iterator[Json]:
    return (button for row in rows for button in row)


def _inline(button: Json) -> str | None:
    if not button["text"]:
        return "inline keyboard button text must be non-empty"
    if button.get("style", _STYLES[0]) not in _STYLES:
        return _PARSE + "invalid button style specified"
    if address := button.get("url"):
        try:
            checked_link(address)
        except Unreadable as error:
            return f"inline keyboard button URL '{address}' is invalid: {error}"
    elif data := button.get("callback_data"):
        return None if len(data.encode()) <= MOST_DATA else "BUTTON_DATA_INVALID"
    elif "copy_text" in button:
        fits = 0 < units(button["copy_text"]["text"]) <= MOST_COPIED
        return None if fits else "BUTTON_COPY_TEXT_INVALID"
    elif not any(kind in button for kind in _OTHERS):
        return _PARSE + "Text buttons are unallowed in the inline keyboard"
    return None


def _reply(button: Json | str, chat: Chat) -> str | None:
    asks = isinstance(button, dict) and any(name.startswith("request_") for name in button)
    if asks and chat.type != "private":
        return "chats can be requested in private chats only"
    return None
