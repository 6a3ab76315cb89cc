"""Text that came from outside: what may be stored, and what may be shown."""

import re
import unicodedata
from typing import Final

# Marks that turn the direction of what follows: they can make a title read as another.
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ALSO_UNSAFE: Final = frozenset("\u2028\u2029\ufeff")


MASK: Final = "[secret]"
_SECRETS: Final = re.compile(
    r"\d{6,}(?::|%3[Aa])[A-Za-z0-9_-]{30,}"  # a Telegram token, also as a part of an address
    r"|[A-Za-z0-9_-]{23,28}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}"  # a Discord token
    r"|(?<=://)[^/@\s:]*:\S+(?=@)"  # user and password of an address
)


def unsafe(character: str) -> bool:
    """Whether a character may steer a terminal or the direction of writing."""
    return (
        unicodedata.category(character) in {"Cc", "Cs", "Co", "Cn"}
        or character in _BIDI
        or character in _ALSO_UNSAFE
    )


def first_unsafe(text: str) -> str | None:
    """The code point ("U+001B") of the first character that may not be stored, if any."""
    found = next((character for character in text if unsafe(character)), None)
    return f"U+{ord(found):04X}" if found else None


def clean(text: str) -> str:
    """The text without anything that could steer a terminal; line breaks and tabs become blanks."""
    if text.isascii() and text.isprintable():
        return text  # most are: looking at each character costs a hundred times as much
    blanks = text.translate({ord(character): " " for character in "\t\n\r\v\f\u2028\u2029"})
    return "".join(character for character in blanks if not unsafe(character))


def shorten(text: str, limit: int) -> str:
    """The text, cut to at most `limit` characters with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def without_secrets(text: str) -> str:
    """The text with whatever looks like a token or a password in an address masked."""
    return _SECRETS.sub(MASK, text)


def plural(count: int, one: str, many: str | None = None) -> str:
    """A number with its noun: "1 show", "1,200 shows"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
