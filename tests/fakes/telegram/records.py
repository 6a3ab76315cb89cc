"""What the fake remembers: messages accepted and said, requests, presses and their answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.telegram.markup import part
from tests.fakes.telegram.people import Json


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a request."""

    name: str
    content: bytes = field(repr=False)
    media_type: str


@dataclass(frozen=True)
class Sent:
    """A message that the server accepted from the bot, or what an edit made of it."""

    method: str
    chat_id: int
    message_id: int
    thread_id: int | None
    text: str
    """What is read: the text or caption after the markup was understood."""
    entities: tuple[Json, ...]
    html: str
    """The text or caption as it was sent."""
    reply_markup: Json | None
    link_preview_options: Json | None
    reply_to: int | None
    silent: bool
    document: Upload | None
    at: float
    """When, by the clock of `time.monotonic`."""

    @property
    def buttons(self) -> dict[str, str]:
        """The inline buttons: label and what it holds, the data or the address."""
        return {
            button["text"]: button.get("callback_data") or button.get("url", "")
            for row in (self.reply_markup or {}).get("inline_keyboard", ())
            for button in row
        }

    @property
    def links(self) -> list[str]:
        """Where the links in the text lead, in order, those that Telegram made included."""
        return [
            one.get("url") or part(self.text, one)
            for one in self.entities
            if one["type"] in ("text_link", "url")
        ]

    def marked(self, kind: str) -> list[str]:
        """The parts of the text that are marked so, such as bold or bot_command."""
        return [part(self.text, one) for one in self.entities if one["type"] == kind]


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a person."""

    chat_id: int
    message_id: int


@dataclass(frozen=True, slots=True)
class Press:
    """A button that was pressed; `id` names the callback query."""

    id: str
    person: int
    data: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the bot answered to a press."""

    press: Press
    text: str | None
    alert: bool
    url: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """A request with the status that was answered, which is None where nothing was."""

    method: str
    parameters: Mapping[str, Any]
    status: int | None
    at: float


@dataclass(slots=True)
class Post:
    """A message in a chat as it stands now."""

    json: Json
    by_bot: bool
    markup: Json | None = None
    """The markup it was sent with; Telegram itself shows only inline keyboards in a message."""
    document: Upload | None = None
