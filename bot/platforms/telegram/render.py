"""Messages as texts for Telegram: as HTML, or plain where the markup was refused. Pure.

Telegram makes links by itself of what it finds in a text. Titles, names and reasons come from
outside, so what would lead a reader elsewhere or call somebody is made inert with an invisible WORD
JOINER (U+2060): Telegram keeps it, and no name or address goes on behind it. It is put

- after the @ of "@name" and of an e-mail address: nobody is mentioned or notified;
- after the dots of "evil.com", "t.me/x" and "1.2.3.4", and into "://": they stay words.

"/commands" stay alive: our own sentences have them, and pressing one only sends it in one's own
name. So do #tags, $CASH and telephone numbers: they search, or ask before they call.

What leads away is a `Link` or the `video`, if its address is http or https to a named host without
user or password, and nothing else; another address is shown as inert words.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from bot.message import Action, Line, Link, Message
from bot.text import clean, shorten

LIMIT: Final = 4096
"""UTF-16 units of one text, counted without the markup."""

_BYTES_A_UNIT: Final = 8
"""The source may have 32,768 bytes, so a byte of a tag costs an eighth of a unit.

Words keep to that limit by themselves: no character takes more than six bytes a unit (`&quot;`).
"""

_KEPT: Final = 256
_ELLIPSIS: Final = "…"


def html(message: Message) -> list[str]:
    """The message as texts for parse mode HTML: one, or several where one would be too long."""
    return _texts(_lines(message, _HTML), _HTML)


def plain(message: Message) -> list[str]:
    """The message as texts without a parse mode; links show their address."""
    return _texts(_lines(message, _PLAIN), _PLAIN)


def alert_html(messages: Sequence[Message]) -> str:
    """Several messages as one text for parse mode HTML; what is too long ends in an ellipsis."""
    told = [_alert(message) for message in messages]
    if sum(cost for _, cost in told) + len(_GAP) * (len(told) - 1) <= LIMIT:
        return _GAP.join(text for text, _ in told)
    return _one_text(messages, _HTML)


def alert_plain(messages: Sequence[Message]) -> str:
    """Several messages as one text without a parse mode; what is too long ends in an ellipsis."""
    return _plain_text(tuple(messages))


@lru_cache(_KEPT)
def _plain_text(messages: tuple[Message, ...]) -> str:
    return _one_text(messages, _PLAIN)


def fitting(messages: Sequence[Message]) -> int:
    """How many of the first messages `alert_html` takes whole into one text; at least one."""
    if len(messages) == 1:
        return 1
    used = -len(_GAP)
    for place, message in enumerate(messages):
        used += len(_GAP) + _alert(message)[1]
        if used > LIMIT:
            return max(place, 1)
    return len(messages)


def preview(messages: Iterable[Message]) -> str | None:
    """The address to show a preview of: the first video. Without one there is to be no preview."""
    addresses = (_address(message.video) for message in messages if message.video)
    return next((address for address in addresses if address), None)


# --- buttons ---

_BUTTONS_A_ROW: Final = 4
_ROW_WIDTH: Final = 36
_LONGEST_LABEL: Final = 60


def rows(actions: Iterable[Action]) -> list[list[Action]]:
    """Buttons in rows: short labels side by side, long ones alone."""
    given = list(actions)
    laid = _layout(tuple(clean(one.label).strip() or one.command for one in given))
    return [[Action(label, given[place].command) for label, place in row] for row in laid]


@lru_cache(_KEPT)
def _layout(labels: tuple[str, ...]) -> list[list[tuple[str, int]]]:
    """The rows of buttons with these labels: what is shown on each, and its place among them."""
    laid: list[list[tuple[str, int]]] = []
    width = 0
    for place, given in enumerate(labels):
        label = shorten(given, _LONGEST_LABEL)
        width += len(label)
        if not laid or len(laid[-1]) == _BUTTONS_A_ROW or width > _ROW_WIDTH:
            laid.append([])
            width = len(label)
        laid[-1].append((label, place))
    return laid


# --- what may stand in a text ---

_WORD_JOINER: Final = "\u2060"
_ALIVE: Final = re.compile(
    r"@(?=[A-Za-z0-9_])"
    r"|:(?=//)"
    r"|\.(?=[A-Za-z]{2}|[^\W\d_A-Za-z]|\d{1,3}\.\d{1,3}\.\d)"
)
_INERT: Final = rf"\g<0>{_WORD_JOINER}"
_LONGEST_ADDRESS: Final = 2048
_ADDRESS: Final = re.compile(
    r"https?://"
    r"(?:[^\W_]+(?:-+[^\W_]+)*\.)+(?:xn--[a-z0-9]+|[^\W\d_]{2,})"  # a host by its name
    r"(?::\d{1,5})?"
    r'(?:[/?#][^\s<>"«»\\]*)?',
    re.IGNORECASE,
)


def _inert(text: str) -> str:
    """Words from anywhere in one line, with nobody to mention and no address to be found."""
    # What is printable has nothing to be cleaned of, and is far quicker to ask.
    cleaned = text if text.isprintable() else clean(text)
    return _ALIVE.sub(_INERT, cleaned) if _ALIVE.search(cleaned) else cleaned


def _address(url: str) -> str | None:
    """The address, if it may be a link."""
    usable = len(url) <= _LONGEST_ADDRESS and url.isprintable() and _ADDRESS.fullmatch(url)
    return url if usable else None


def _escaped(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return text.replace(">", "&gt;").replace('"', "&quot;")


# --- lines ---

_Run = tuple[str, str, str]
"""Words as they are seen, the tag before them and the tag behind."""

_Runs = list[_Run]
"""One line."""


@dataclass(frozen=True, slots=True)
class _Form:
    """How a message is written: its title, a link, and the words."""

    bold: tuple[str, str]
    linked: Callable[[str, str], _Run]
    written: Callable[[str], str]


def _anchor(words: str, address: str) -> _Run:
    return words or _inert(address), f'<a href="{_escaped(address)}">', "</a>"


def _with_address(words: str, address: str) -> _Run:
    return f"{words} <{address}>" if words else address, "", ""


_HTML: Final = _Form(("<b>", "</b>"), _anchor, _escaped)
_PLAIN: Final = _Form(("", ""), _with_address, str)


def _lines(message: Message, form: _Form) -> list[_Runs]:
    lines = [[(_inert(message.title), *form.bold)]]
    lines += [_runs(words, form) for words in message.lines]
    if message.video:
        lines.append([(_address(message.video) or _inert(message.video), "", "")])
    return lines if _seen(lines) else [[(_ELLIPSIS, "", "")]]


def _runs(words: Line, form: _Form) -> _Runs:
    runs: _Runs = []
    # What is no link is made inert as a whole: "evil." and "com" may be two pieces.
    text = ""
    for piece in words:
        if isinstance(piece, str):
            text += piece
        elif not isinstance(piece, Link):
            text += piece.text
        elif address := _address(piece.url):
            runs += [(_inert(text), "", ""), form.linked(_inert(piece.text).strip(), address)]
            text = ""
        else:
            text += f"{piece.text} <{piece.url}>"
    runs.append((_inert(text), "", ""))
    return _apart(runs) if len(runs) > 1 else runs


def _apart(runs: _Runs) -> _Runs:
    """The runs with a joiner wherever a link touches words: nothing is read across its edge."""
    seen = [run for run in runs if run[0]]
    for place, ((words, opening, closing), (after, _, _)) in enumerate(pairwise(seen)):
        if not words[-1].isspace() and not after[0].isspace():
            seen[place] = (words + _WORD_JOINER, opening, closing)
    return seen


def _seen(lines: Iterable[_Runs]) -> bool:
    """Whether there is anything to see; Telegram refuses a text of blanks."""
    return any(words.strip() for runs in lines for words, _, _ in runs)


def _source(lines: Iterable[_Runs], form: _Form) -> str:
    """The text as it is sent."""
    written = form.written
    return "\n".join(
        "".join([opening + written(words) + closing for words, opening, closing in runs if words])
        for runs in lines
    )


# --- one text or several ---

_GAP: Final = "\n\n"


@lru_cache(_KEPT)
def _alert(message: Message) -> tuple[str, int]:
    """A message for many chats: its source and its cost."""
    lines = _lines(message, _HTML)
    return _source(lines, _HTML), _cost(lines)


def _one_text(messages: Sequence[Message], form: _Form) -> str:
    lines: list[_Runs] = []
    for message in messages:
        lines += [[], *_lines(message, form)] if lines else _lines(message, form)
    if _cost(lines) <= LIMIT:
        return _source(lines, form)
    return _source(next(_split(lines, LIMIT - len(_ELLIPSIS))), form) + _ELLIPSIS


def _texts(lines: list[_Runs], form: _Form) -> list[str]:
    whole = _source(lines, form)
    if len(whole) <= LIMIT // 2:  # a character has two units at most
        return [whole]
    return [_source(part, form) for part in _split(lines, LIMIT) if _seen(part)]


def _split(lines: Iterable[_Runs], limit: int) -> Iterator[list[_Runs]]:
    """The lines of each text; only a line that no text can hold is cut, and fills what is left."""
    part: list[_Runs] = []
    room = limit
    for whole in lines:
        line, cost = whole, _cost([whole])
        if room < cost <= limit:
            yield part
            part, room = [], limit
        while _cost([line]) > room:
            head, line = _cut(line, room)
            yield [*part, head] if head else part
            part, room = [], limit
        part.append(line)
        room -= _cost([line]) + 1
    yield part


def _cut(runs: _Runs, room: int) -> tuple[_Runs, _Runs]:
    """A line in two, the first for `room` units."""
    for place, (words, opening, closing) in enumerate(runs):
        cost = _cost([[runs[place]]])
        if cost > room:
            end = _end(words, room - (cost - _units(words)))
            head = [(words[:end], opening, closing)] if end else []
            return [*runs[:place], *head], [(words[end:], opening, closing), *runs[place + 1 :]]
        room -= cost
    return runs, []


_LONGEST_CHARACTER: Final = 16


def _end(words: str, room: int) -> int:
    """Where to cut, so that what is before takes at most `room` units; not within a letter."""
    near = words[: max(room, 0)].encode("utf-16-le")[: 2 * max(room, 0)]
    most = len(near.decode("utf-16-le", "ignore"))
    for end in range(most, max(most - _LONGEST_CHARACTER, 0), -1):
        if not _one_letter(words[end - 1], words[end]):
            return end
    return most


def _one_letter(before: str, after: str) -> bool:
    """Whether two code points are shown as one: accents, joined emoji, skins and flags."""
    return (
        unicodedata.category(after).startswith("M")
        or "\u200d" in (before, after)
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or all("\U0001f1e6" <= half <= "\U0001f1ff" for half in (before, after))
    )


def _cost(lines: Sequence[_Runs]) -> int:
    """The units of lines with the breaks between them; see `_BYTES_A_UNIT` for the tags."""
    cost = max(len(lines) - 1, 0)
    for runs in lines:
        for words, opening, closing in runs:
            cost += _units(words)
            if opening:
                cost += len((opening + closing).encode()) // _BYTES_A_UNIT + 1
    return cost


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
