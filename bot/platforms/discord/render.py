"""Messages as Discord shows them: content with Markdown, and embeds. Pure.

Titles, names and reasons come from outside. Discord takes a backslash before a character that is
no letter, digit or blank for that character itself, so whatever could begin markup, a mention, an
emoji or an address gets one: what is written so is read as it was.

What leads away is a `Link` or the `video`, if its address is http or https to a named host without
user or password; another address is shown as words.

Discord does not say how it counts characters; UTF-16 units are never too few.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final
from urllib.parse import quote, urlsplit

from bot.message import Day, Line, Link, Message, Piece
from bot.message import plain as bare
from bot.text import clean

CONTENT: Final = 2000
EMBEDS: Final = 10
EMBED_TITLE: Final = 256
DESCRIPTION: Final = 4096
EMBEDS_IN_ALL: Final = 6000
POST_NAME: Final = 100
ROWS: Final = 5
"""Discord's limits. Source: developer documentation, Message and Channel Resources."""

MOST_ROLES: Final = 40
"""As many fit beside a title; one alert calls one role as a rule."""

_ROOM_FOR_ROLES: Final = 500
_LONGEST_ADDRESS: Final = 1000
_LONGEST_WORDS: Final = 300
_SAME_DAY: Final = dt.time(10)
"""An hour in UTC that is the same day from UTC-10 to UTC+13, where nearly everybody lives."""

_KEPT: Final = 256
_ELLIPSIS: Final = "…"

_GREEN, _BLUE, _RED, _GREY, _AMBER = 0x2E7D32, 0x1565C0, 0xC62828, 0x757575, 0xFFB300
COLOURS: Final = {
    "RENEWED": _GREEN, "SAVED": _GREEN,
    "DATED": _BLUE, "DELAYED": _BLUE, "MOVED UP": _BLUE, "POSTPONED": _BLUE, "RELEASED": _BLUE,
    "TRAILER": _RED, "TEASER": _RED,
    "CANCELLED": _GREY, "ENDING": _GREY,
    "CORRECTION": _AMBER, "CORRECTED": _AMBER, "WITHDRAWN": _GREY,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Alert:
    """What is sent to a channel as one message."""

    content: str
    embeds: tuple[dict[str, Any], ...] = ()


def alert(messages: Sequence[Message], roles: Sequence[int] = ()) -> Alert:
    """One or several messages as one, with the roles it calls: as many as `fitting` says.

    The titles are the content: they are what a push shows. The rest stands in embeds, but beside a
    video: an embed would keep the player away. At most `MOST_ROLES` are called.
    """
    return _alert(tuple(messages), tuple(roles))


@lru_cache(_KEPT)  # the same goes to many channels
def _alert(messages: tuple[Message, ...], roles: tuple[int, ...]) -> Alert:
    videos = [video for message in messages if (video := _video(message))]
    told = [_head(message) for message in messages]
    if videos:
        told += [_atoms(words) for message in messages for words in _lines(message)]
        return Alert(_content(told, roles, videos))
    titled = len(messages) > 1
    embeds = (_embed(message, titled=titled) for message in messages)
    return Alert(_content(told, roles), tuple(embed for embed in embeds if embed))


def fitting(messages: Sequence[Message]) -> int:
    """How many of the first messages `alert` puts into one whole; at least one."""
    return _fitting(tuple(messages))


@lru_cache(_KEPT)
def _fitting(messages: tuple[Message, ...]) -> int:
    if not messages or _video(messages[0]):
        return min(len(messages), 1)
    content, embedded = -1, 0
    rows = set()
    for place, message in enumerate(messages[:EMBEDS]):
        content += 1 + _size(_head(message))
        embedded += sum(map(_units, _embed_texts(message)))
        rows |= {message.actions} - {()}
        over = content > CONTENT - _ROOM_FOR_ROLES or embedded > EMBEDS_IN_ALL or len(rows) > ROWS
        if over or _video(message):
            return max(place, 1)
    return min(len(messages), EMBEDS)


def answer(message: Message) -> list[str]:
    """The texts of a reply: one, or several where one would be too long."""
    lines = [_bold(_head(message)), *map(_atoms, _lines(message))]
    if video := _video(message):
        lines.append([video])
    return [text for text in _texts(lines) if _seen(text)]


def plain(messages: Sequence[Message], roles: Sequence[int] = (), *, links: bool = True) -> str:
    """Messages as one text without embeds and words that lead away, at most `CONTENT` long.

    Addresses stand behind the words of their links, or nowhere.
    """
    told: list[list[str]] = []
    for message in messages:
        told += [[], _head(message)] if told else [_head(message)]
        told += [_plain_atoms(words, links=links) for words in _lines(message, links=links)]
    videos = [video for message in messages if (video := _video(message))]
    return _content(told, roles, videos if links else ())


def post_name(title: str) -> str:
    """The name of a forum post; there is no markup in names."""
    name = clean(title).strip()
    return _cut([_letters(name)], POST_NAME).strip() if _seen(name) else _ELLIPSIS


# --- words ---

# After blanks, at the start of a line: headings, small print, quotes and lists.
_AT_THE_START: Final = re.compile(r"(\s*)(?=[-+#>]|[0-9]+\.)([0-9]*)")
_ALIVE: Final = re.compile(
    r"[\\*_~`|\[\]<@]"
    r"|(?<=\])\("  # or else the bracket of an own link before could be taken for the end of words
    r"|:(?=\S)"  # emoji, and addresses of any scheme
)


def escape(text: str) -> str:
    """Words from anywhere in one line, with nothing that Discord would read as more than words."""
    return _escaped_start(_ALIVE.sub(r"\\\g<0>", clean(text)))


def _escaped_start(escaped: str) -> str:
    """The same with no list, quote or heading at the start."""
    return (
        _AT_THE_START.sub(r"\1\2\\", escaped, count=1) if _AT_THE_START.match(escaped) else escaped
    )


def line(words: Line, *, quiet: bool = True) -> str:
    """A line with its links; `quiet` keeps their previews away, as an embed does by itself."""
    return "".join(_atoms(words, quiet=quiet))


def _atoms(words: Line, *, quiet: bool = True) -> list[str]:
    """A line in parts that may not be cut: letters as they are escaped, links, days."""
    atoms: list[str] = []
    for piece in _joined(words):
        if isinstance(piece, str):
            atoms += _letters(escape(piece))
        elif isinstance(piece, Day):
            noon = dt.datetime.combine(piece.date, _SAME_DAY, dt.UTC)
            atoms.append(f"<t:{int(noon.timestamp())}:D>")
        else:
            atoms.append(_linked(piece, quiet=quiet))
    return atoms


def _plain_atoms(words: Line, *, links: bool) -> list[str]:
    if not links:
        return _letters(escape(bare(words)))
    atoms: list[str] = []
    for piece in _joined(_with_addresses(words)):
        if isinstance(piece, Link):
            atoms.append(_linked(piece, quiet=True))
        else:
            atoms += _letters(escape(piece if isinstance(piece, str) else piece.text))
    return atoms


def _with_addresses(words: Line) -> Iterator[Piece]:
    """The pieces with the words of links before their addresses, and days in words."""
    for piece in words:
        if isinstance(piece, Link) and _address(piece.url):
            yield f"{piece.text} " if _seen(clean(piece.text)) else ""
            yield Link("", piece.url)
        else:
            yield piece.text if isinstance(piece, Day) else piece


def _joined(words: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces with words side by side in one: what is safe in two may not be safe in one."""
    text = ""
    for piece in words:
        if isinstance(piece, str):
            text += piece
        elif isinstance(piece, Link) and not _address(piece.url):
            text += f"{piece.text} <{piece.url}>"
        else:
            yield text
            yield piece
            text = ""
    yield text


_ROUND: Final = str.maketrans("[]", "()")


def _linked(link: Link, *, quiet: bool) -> str:
    address = _address(link.url)
    # A bracket among the words, escaped or not, can end them.
    words = clean(link.text).translate(_ROUND).strip()
    if not _seen(words):
        return f"<{address}>"
    shown = _cut([_letters(escape(words))], _LONGEST_WORDS)
    return f"[{shown}](<{address}>)" if quiet else f"[{shown}]({address})"


_HOST: Final = re.compile(
    r"(?:[^\W_]+(?:-+[^\W_]+)*\.)+(?:xn--[a-z0-9]+|[^\W\d_]{2,})", re.IGNORECASE
)
_START: Final = re.compile(r"https?://[^\s\\/]", re.IGNORECASE)
_SAFE: Final = "%/?#!$&+,;=~@:"
_NOT_AT_THE_END: Final = {mark: f"%{ord(mark):02X}" for mark in ".,:;"}


@lru_cache(_KEPT)
def _address(url: str) -> str | None:
    """The address as it is written where it may be a link; what could end it is encoded."""
    if not (url.isprintable() and _START.match(url)) or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError:  # a port out of range, a host that cannot be
        return None
    if not _HOST.fullmatch(host) or "@" in parts.netloc or " " in parts.netloc:
        return None
    rest = quote(url[len(parts.scheme) + 3 + len(parts.netloc) :], safe=_SAFE)
    whole = f"{parts.scheme}://{host}{port}{rest}"
    whole = whole[:-1] + _NOT_AT_THE_END.get(whole[-1], whole[-1]) if rest else whole
    return whole if len(whole) <= _LONGEST_ADDRESS else None


# --- messages ---


def _head(message: Message) -> list[str]:
    title = clean(message.title).strip()
    return _letters(escape(title)) if _seen(title) else [_ELLIPSIS]


def _video(message: Message) -> str | None:
    return _address(message.video) if message.video else None


def _lines(message: Message, *, links: bool = True) -> Iterator[Line]:
    """The lines, and as words a video that may not be a link."""
    yield from message.lines
    if links and message.video and not _video(message):
        yield (message.video,)


def _embed(message: Message, *, titled: bool) -> dict[str, Any] | None:
    """A message as an embed, if there is more to it than the title that stands above."""
    title, description = _embed_texts(message)
    if not description and not titled:
        return None
    colour = COLOURS.get(message.title.partition(" · ")[0])
    return {
        **({"title": title} if titled else {}),
        **({"description": description} if description else {}),
        **({"color": colour} if colour is not None else {}),
    }


@lru_cache(_KEPT)
def _embed_texts(message: Message) -> tuple[str, str]:
    lines = [_atoms(words, quiet=False) for words in _lines(message)]
    description = _cut(lines, DESCRIPTION)
    return _cut([_head(message)], EMBED_TITLE), description if _seen(description) else ""


def _bold(head: list[str]) -> list[str]:
    bold = ["**" + "".join(head) + "**"]
    return bold if _size(bold) < CONTENT else head


def _content(lines: list[list[str]], roles: Sequence[int] = (), videos: Sequence[str] = ()) -> str:
    """Lines as one text: the roles behind the first, the videos below and never cut off."""
    below = "".join(f"\n{video}" for video in dict.fromkeys(videos))
    called = "".join(f" <@&{role}>" for role in list(dict.fromkeys(roles))[:MOST_ROLES])
    room = CONTENT - _units(below)
    # Beside a break and an ellipsis, or the first line would be what is cut.
    first = _cut(lines[:1], room - _units(called) - 2) + called
    return _cut([[first], *lines[1:]], room) + below


# --- lengths ---

# A letter with its accents, a joined emoji, a flag; not the thousand accents of a hostile one.
_LETTER: Final = re.compile(
    r"(?:[\U0001f1e6-\U0001f1ff]{2}|\\?.)"
    r"(?:\u200d(?:\\?.)|[\u0300-\u036f\u20e3\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]){0,8}",
    re.DOTALL,
)


def _letters(escaped: str) -> list[str]:
    return _LETTER.findall(escaped)


def _cut(lines: Sequence[Sequence[str]], room: int) -> str:
    """Lines as one text, shortened with an ellipsis where they are too long."""
    whole = "\n".join(map("".join, lines))
    if _units(whole) <= room:
        return whole
    atoms = [atom for atoms in lines for atom in ("\n", *atoms)][1:]
    ends = accumulate(map(_units, atoms))
    count = sum(end < room for end in ends)
    return "".join(atoms[:count]).rstrip() + _ELLIPSIS


def _texts(lines: Iterable[list[str]]) -> Iterator[str]:
    """Lines as texts; only a line that no text can hold is cut."""
    text = ""
    for part in (part for atoms in lines for part in _parts(atoms)):
        if text and _units(text) + 1 + _units(part) > CONTENT:
            yield text
            text = part
        else:
            text = f"{text}\n{part}" if text else part
    yield text


def _parts(atoms: list[str]) -> Iterator[str]:
    if _size(atoms) <= CONTENT:
        yield "".join(atoms)
        return
    part = ""
    for atom in atoms:
        # What was within a line comes to stand at its start; that may cost a backslash.
        if _units(part) + _units(atom) > CONTENT - 1:
            yield _escaped_start(part)
            part = ""
        part += atom
    yield _escaped_start(part)


def _size(atoms: Iterable[str]) -> int:
    return sum(map(_units, atoms))


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def _seen(text: str) -> bool:
    """Whether there is anything to see; Discord refuses a text of blanks."""
    return any(
        not character.isspace() and unicodedata.category(character) not in ("Cf", "Mn", "Zs")
        for character in text
    )
