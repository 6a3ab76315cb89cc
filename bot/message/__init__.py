"""What the bot says, before any platform gives it a form: plain text, dates, links and actions.

No markup and no escapes here: each platform renders a `Message` its own way. The sentences stand
in `alerts` (what is pushed), `answers` (what a command replies) and `dates` (how a date reads).
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """Words that lead to an address."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Day:
    """An exact day, so that a platform can show it as its readers write days; `text` elsewhere."""

    date: dt.date
    text: str


Piece = str | Link | Day
Line = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Action:
    """Something the reader may do next: a button, or the command in words."""

    label: str
    command: str


@dataclass(frozen=True, slots=True)
class Document:
    """A text that is handed over as a file; platforms without files print it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """One thing the bot says.

    `title` comes first and is enough for a push preview; `video` is an address that plays where
    the platform shows it bare; `actions` are offered below. `choices` are buttons for what the
    words tell how to write: platforms without buttons leave them out. What is `private` concerns
    nobody but who asked.
    """

    title: str
    lines: tuple[Line, ...] = ()
    video: str | None = None
    actions: tuple[Action, ...] = ()
    choices: tuple[Action, ...] = ()
    document: Document | None = None
    private: bool = False


def line(*pieces: Piece | None) -> Line:
    """A line of what is there of `pieces`."""
    return tuple(piece for piece in pieces if piece)


def joined(parts: Iterable[Line], by: str = " · ") -> Line:
    """Several pieces of a line in one, with a separator between those that are not empty."""
    whole: list[Piece] = []
    for part in parts:
        if part:
            whole.extend((by, *part) if whole else part)
    return tuple(whole)


def present(*lines: Line) -> tuple[Line, ...]:
    """The lines that say something."""
    return tuple(words for words in lines if any(words))


def plain(words: Line) -> str:
    """A line as bare text, links by their words."""
    return "".join(piece if isinstance(piece, str) else piece.text for piece in words)
