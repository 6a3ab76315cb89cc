"""Texts as Telegram reads them: its HTML, entities counted in UTF-16 units, links that it finds."""

import re
from dataclasses import dataclass
from typing import Any, Final

Entity = dict[str, Any]

MOST_ENTITIES: Final = 100
_NAMES: Final = {
    "a": "text_link", "b": "bold", "strong": "bold", "i": "italic", "em": "italic",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "u": "underline",
    "ins": "underline", "tg-spoiler": "spoiler", "span": "spoiler", "tg-emoji": "custom_emoji",
    "tg-time": "date_time", "pre": "pre", "code": "code", "blockquote": "blockquote",
}  # fmt: skip
_CHARACTERS: Final = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_CHARACTER: Final = re.compile(
    r"&(?:#x(?P<hex>[0-9a-fA-F]*)|#(?P<dec>[0-9]*)|(?P<name>[a-zA-Z]+));?"
)
_PLAIN: Final = re.compile(r"[^<&]+")
_TOKEN: Final = re.compile(r"[A-Za-z0-9.-]*")
_LONGEST_NUMBER: Final = 10
_UNITS: Final = "utf-16-le"
_SPACE: Final = " \t\r\n\v\0"
_END: Final = "\0"

# Links in these stay what they are; bold or a quotation around an address does not hide it.
_WHOLE: Final = frozenset(
    ("code", "pre", "text_link", "text_mention", "custom_emoji", "date_time", "url", "email")
)
_FOUND: Final = (
    ("url", re.compile(
        r"(?<![\w@.])(?:(?:https?|tg|ftp|ton)://[^\s<>\"]*[^\s<>\".,:;!?'»)\]]"
        r"|(?:[a-z0-9-]+\.)+(?:com|org|net|info|io|tv|me|co|de|uk|fr|es|it|jp|kr|ru|eu|us|app|dev)"
        r"(?![\w.-]*\w)(?:/[^\s<>\"]*[^\s<>\".,:;!?'»)\]])?)", re.IGNORECASE)),
    ("email", re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    ("bot_command", re.compile(
        r"(?<![\w/<>])/[a-zA-Z0-9_]{1,64}(?:@[a-zA-Z0-9_]{3,32})?(?![\w/<>])")),
    ("mention", re.compile(r"(?<![\w@])@[a-zA-Z0-9_]{3,32}(?!\w)")),
    ("hashtag", re.compile(r"(?<!\w)#(?=\w*[^\W\d])\w{1,256}")),
    ("cashtag", re.compile(r"(?<!\w)\$[A-Z]{1,8}(?!\w)")),
)  # fmt: skip


class Unreadable(Exception):
    """The markup or a link cannot be read; says why in the server's words."""


def units(text: str) -> int:
    """The length of a text as Telegram counts it."""
    return len(text.encode(_UNITS, "surrogatepass")) // 2


def part(text: str, entity: Entity) -> str:
    """The part of a text that an entity marks."""
    return _part(text.encode(_UNITS, "surrogatepass"), entity)


def read(
    text: str, *, html: bool, entities: list[Entity] | None = None
) -> tuple[str, list[Entity]]:
    """What a person sees: markup understood, blank ends cut off, links and commands found.

    Raises `Unreadable` with the server's reason.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Unreadable("Strings must be encoded in UTF-8") from error
    marked = list(entities or ())
    if html:
        try:
            text, marked = parse_html(text)
        except Unreadable as error:
            raise Unreadable(f"Can't parse entities: {error}") from error
    length = units(text)
    for one in marked:
        if (end := one["offset"] + one["length"]) > length:
            raise Unreadable(
                f"Entity beginning at UTF-16 offset {one['offset']} ends after the end of the text"
                f" at UTF-16 offset {end}"
            )
    text = "".join(" " if one < " " and one != "\n" else one for one in text)
    text, marked = _trimmed(text, marked)
    return text, _in_order(marked + found(text, marked))[:MOST_ENTITIES]


def said(text: str) -> tuple[str, list[Entity]]:
    """What a person typed, with the links and commands that are found in it."""
    text, _ = _trimmed(text, [])
    return text, found(text, [])


def found(text: str, marked: list[Entity]) -> list[Entity]:
    """The links, commands and the like that Telegram sees by itself, outside of those marked."""
    result: list[Entity] = []
    for kind, pattern in _FOUND:
        for match in pattern.finditer(text):
            one: Entity = {
                "type": kind,
                "offset": units(text[: match.start()]),
                "length": units(match[0]),
            }
            if not any(_meet(one, other) for other in (*marked, *result) if _hides(other)):
                result.append(one)
    return _in_order(result)


def checked_link(link: str) -> str:
    """An address as Telegram keeps it; raises `Unreadable` with the server's reason."""
    if re.match(r"tg:|ton:|tonsite:", link, re.IGNORECASE):
        return link
    scheme, mark, rest = link.partition("://") if "://" in link else ("http", "://", link)
    if scheme.lower() not in ("http", "https"):
        raise Unreadable("Unsupported URL protocol")
    host, *_ = re.split(r"[/?#]", rest, maxsplit=1)
    name = re.sub(r":\d*$", "", host.rpartition("@")[2])
    if not name:
        raise Unreadable("URL host is empty")
    if re.search(r"[\s<>\"\\^`{|}]", name):
        raise Unreadable("Disallowed character in URL host")
    if "." not in name.strip("."):
        raise Unreadable("Wrong HTTP URL")
    path = rest[len(host) :]
    return f"{scheme.lower()}{mark}{host}{path if path.startswith('/') else '/' + path}"


def parse_html(text: str) -> tuple[str, list[Entity]]:
    """The text and entities of Telegram's HTML; raises `Unreadable` with the server's reason."""
    return _Html(text).read()


@dataclass(slots=True)
class _Open:
    """A tag that waits for its end."""

    tag: str
    arguments: dict[str, str]
    offset: int
    start: int


class _Html:
    """Reads one text, character by character, in the way the server does."""

    def __init__(self, source: str) -> None:
        self._source = source + _END
        self._at = 0
        self._text = ""
        self._length = 0
        self._open: list[_Open] = []
        self._entities: list[Entity] = []

    def read(self) -> tuple[str, list[Entity]]:
        """Read to the end."""
        while self._at < len(self._source) - 1:
            here = self._source[self._at]
            if here == "<":
                self._tag()
            else:
                self._write(self._character() if here == "&" else self._plain())
        if self._open:
            tag = self._open[-1].tag
            raise Unreadable(f'Can\'t find end tag corresponding to start tag "{tag}"')
        for one in self._entities:
            if one["type"] == "code":
                one.pop("language", None)
        return self._text, _in_order(self._entities)

    def _write(self, characters: str) -> None:
        self._text += characters
        self._length += units(characters)

    def _plain(self) -> str:
        """All that is neither markup nor a named character."""
        match = _PLAIN.match(self._source, self._at, len(self._source) - 1)
        assert match
        self._at = match.end()
        return match[0]

    def _next(self) -> str:
        self._at += 1
        return self._source[self._at - 1]

    def _character(self) -> str:
        """A character that is named or numbered; an unknown name stands for itself."""
        match = _CHARACTER.match(self._source, self._at)
        if not match:
            return self._next()
        if match["name"]:
            meant = _CHARACTERS.get(match["name"], "")
        else:
            code = int(match["hex"] or match["dec"] or "0", 16 if match["hex"] else 10)
            bare = match[0].removesuffix(";")
            meant = chr(code) if 0 < code < 0x10FFFF and len(bare) < _LONGEST_NUMBER else ""
        if not meant:
            return self._next()
        if "\ud800" <= meant <= "\udfff":
            raise Unreadable(
                "Text contains invalid Unicode characters after decoding HTML entities, check for"
                " unmatched surrogate code units"
            )
        self._at = match.end()
        return meant

    def _until(self, stop: str) -> str:
        start = self._at
        while self._source[self._at] not in stop:
            self._at += 1
        return self._source[start : self._at]

    def _skip_space(self) -> None:
        while self._source[self._at] in _SPACE and not self._ended:
            self._at += 1

    def _bytes(self, at: int) -> int:
        return len(self._source[:at].encode())

    @property
    def _ended(self) -> bool:
        return self._at >= len(self._source) - 1

    def _tag(self) -> None:
        begin = self._at
        self._at += 1
        if self._source[self._at] == "/":
            self._at += 1
            self._end_tag(begin)
        else:
            self._start_tag(begin)

    def _start_tag(self, begin: int) -> None:
        tag = self._until(_SPACE + ">").lower()
        if self._ended:
            raise Unreadable(f"Unclosed start tag at byte offset {self._bytes(begin)}")
        if tag not in _NAMES:
            raise Unreadable(f'Unsupported start tag "{tag}" at byte offset {self._bytes(begin)}')
        arguments: dict[str, str] = {}
        self._skip_space()
        while self._source[self._at] != ">":
            self._attribute(tag, begin, arguments)
            self._skip_space()
        self._at += 1
        if tag == "span" and arguments.get("class") != "tg-spoiler":
            raise Unreadable(
                f'Tag "span" must have class "tg-spoiler" at byte offset {self._bytes(begin)}'
            )
        self._open.append(_Open(tag, arguments, self._length, len(self._text)))

    def _attribute(self, tag: str, begin: int, arguments: dict[str, str]) -> None:
        name = self._until(_SPACE + "=>/\"'")
        if not name:
            raise Unreadable(
                f'Empty attribute name in the tag "{tag}" at byte offset {self._bytes(begin)}'
            )
        self._skip_space()
        value = "1"
        if self._source[self._at] == "=":
            self._at += 1
            self._skip_space()
            value = self._value()
        if self._ended:
            raise Unreadable(f'Unclosed start tag "{tag}" at byte offset {self._bytes(begin)}')
        arguments[name] = value

    def _value(self) -> str:
        quote = self._source[self._at]
        if quote not in "'\"":
            begin = self._at
            match = _TOKEN.match(self._source, self._at)
            assert match
            self._at = match.end()
            if self._source[self._at] not in _SPACE + ">":
                raise Unreadable(
                    f"Unexpected end of name token at byte offset {self._bytes(begin)}"
                )
            return match[0].lower()
        self._at += 1
        value = ""
        while not self._ended and self._source[self._at] != quote:
            value += self._character() if self._source[self._at] == "&" else self._next()
        self._at += not self._ended
        return value

    def _end_tag(self, begin: int) -> None:
        if not self._open:
            raise Unreadable(f"Unexpected end tag at byte offset {self._bytes(begin)}")
        tag = self._until(_SPACE + ">").lower()
        self._skip_space()
        if self._source[self._at] != ">":
            raise Unreadable(f"Unclosed end tag at byte offset {self._bytes(begin)}")
        self._at += 1
        opened = self._open.pop()
        if tag not in ("", opened.tag):
            raise Unreadable(
                f"Unmatched end tag at byte offset {self._bytes(begin)},"
                f' expected "</{opened.tag}>",'
                f' found "</{tag}>"'
            )
        if self._length > opened.offset:
            self._close(opened)

    def _close(self, opened: _Open) -> None:
        one: Entity = {
            "type": _NAMES[opened.tag],
            "offset": opened.offset,
            "length": self._length - opened.offset,
        }
        inner = self._entities[-1] if self._entities else None
        covered = inner is not None and _place(inner) == _place(one)
        if opened.tag == "a":
            self._link(one, opened)
            return
        if opened.tag == "blockquote" and "expandable" in opened.arguments:
            one["type"] = "expandable_blockquote"
        if opened.tag == "tg-emoji":
            one["custom_emoji_id"] = opened.arguments.get("emoji-id", "")
            if not re.fullmatch(r"-?[1-9]\d*", one["custom_emoji_id"]):
                raise Unreadable("Invalid custom emoji identifier specified")
        if opened.tag == "tg-time" and not self._dated(one, opened):
            return
        if opened.tag == "code":
            language = opened.arguments.get("class", "").partition("language-")[2]
            if language:
                one["language"] = language
        pair = covered and inner and {inner["type"], one["type"]} == {"pre", "code"}
        if inner and pair and "language" in inner | one:
            inner |= one | {"type": "pre"}
            return
        self._entities.append(one)

    def _link(self, one: Entity, opened: _Open) -> None:
        """A link, where its address is one; otherwise its words stay without a link."""
        address = opened.arguments.get("href") or self._text[opened.start :]
        user = re.fullmatch(r"tg:(?://)?user\?id=(\d+)", address)
        if user:
            named = {"id": int(user[1]), "is_bot": False, "first_name": ""}
            self._entities.append(one | {"type": "text_mention", "user": named})
            return
        try:
            self._entities.append(one | {"url": checked_link(address)})
        except Unreadable:
            return

    def _dated(self, one: Entity, opened: _Open) -> bool:
        form = opened.arguments.get("format", "")
        if not re.fullmatch(r"r|R|[tTdDwW]*", form):
            raise Unreadable("Invalid date format used")
        one["unix_time"] = int(re.sub(r"\D", "", opened.arguments.get("unix", "")) or 0)
        if form:
            one["date_time_format"] = form
        return bool(one["unix_time"])


def _trimmed(text: str, marked: list[Entity]) -> tuple[str, list[Entity]]:
    """Without blanks at the ends; marks of nothing but blanks go, the others are cut to fit."""
    coded = text.encode(_UNITS, "surrogatepass")
    marked = [one for one in marked if _part(coded, one).strip()]
    text = text.rstrip()
    end = units(text)
    first = min((one["offset"] for one in marked), default=end)
    blank = min(len(text) - len(text.lstrip(" \n")), first)
    cut = [
        one | {"offset": one["offset"] - blank, "length": min(one["length"], end - one["offset"])}
        for one in marked
    ]
    return text[blank:], cut


def _part(coded: bytes, entity: Entity) -> str:
    start, end = entity["offset"], entity["offset"] + entity["length"]
    return coded[2 * start : 2 * end].decode(_UNITS, "surrogatepass")


def _in_order(entities: list[Entity]) -> list[Entity]:
    return sorted(entities, key=lambda one: (one["offset"], -one["length"]))


def _place(one: Entity) -> tuple[int, int]:
    return one["offset"], one["length"]


def _meet(one: Entity, other: Entity) -> bool:
    (_, first_end), (second, _) = sorted(
        (each["offset"], each["offset"] + each["length"]) for each in (one, other)
    )
    return bool(second < first_end)


def _hides(one: Entity) -> bool:
    return one["type"] in _WHOLE
