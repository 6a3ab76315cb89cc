"""A line of text as a command with its arguments, for platforms without typed options. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from bot.commands import COMMANDS, Command, Takes
from bot.errors import UserError
from bot.model import ALL_KINDS, Kinds, UpdateKind
from bot.text import clean, shorten

_WORD: Final = re.compile(r'"([^"]*)"|(\S+)')


@dataclass(frozen=True, slots=True)
class Call:
    """A command with its arguments."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    quoted: bool


def parse(text: str) -> Call:
    """Read "/subscribe all of us are dead renewed,dated".

    A title needs no quotes; a quoted one is taken as it stands. Raises `UserError`, whose text
    says what to write instead.
    """
    words = _words(text)
    if not words or not words[0].text.startswith("/"):
        raise UserError(_without_slash(words))
    command = _command(words[0].text[1:].casefold())
    arguments = _arguments(command, words[1:])
    missing = [one.name for one in command.parameters if one.required and one.name not in arguments]
    if missing:
        raise UserError(f"Which {missing[0]}? Write: {command.usage}")
    return Call(command.name, arguments)


def _words(text: str) -> list[_Word]:
    # Only the double quote quotes: an apostrophe belongs to a title (Grey's Anatomy).
    if text.count('"') % 2:
        raise UserError('A quote (") is open: close it, or leave the quotes out.')
    return [_Word(m[1] if m[2] is None else m[2], m[2] is None) for m in _WORD.finditer(text)]


def _without_slash(words: Sequence[_Word]) -> str:
    named = words and words[0].text.casefold() in COMMANDS
    hint = f"Did you mean /{words[0].text.casefold()}?" if named else "/help lists them."
    return f"Commands begin with a slash. {hint}"


def _command(name: str) -> Command:
    if name in COMMANDS:
        return COMMANDS[name]
    close = get_close_matches(name, COMMANDS, n=1)
    hint = f"Did you mean /{close[0]}?" if close else "/help lists the commands."
    raise UserError(f"There is no command /{shorten(clean(name), 40)}. {hint}")


def _arguments(command: Command, words: Sequence[_Word]) -> dict[str, Any]:
    taken: dict[str, Any] = {}
    rest = [one for one in words if not _take_typed(command, one, taken)]
    for parameter in reversed(command.parameters):
        if parameter.takes is Takes.KINDS:
            kinds, rest = _trailing_kinds(rest)
            if kinds is not None:
                taken[parameter.name] = kinds
        elif parameter.takes is Takes.CHOICE and rest:
            taken[parameter.name] = _choice(rest.pop(0).text, parameter.choices, command)
        elif parameter.takes is Takes.NUMBER and rest:
            taken[parameter.name] = _number(rest.pop(0).text, command)
        elif parameter.takes is Takes.SHOW and rest:
            taken[parameter.name] = " ".join(word.text for word in rest)
            rest = []
    if rest:
        raise UserError(f"“{shorten(clean(rest[0].text), 40)}” is too much. Write: {command.usage}")
    return taken


def _take_typed(command: Command, word: _Word, taken: dict[str, Any]) -> bool:
    """Take an option behind its name, such as buttons have: "role:123", "publish:yes"."""
    name, _, value = word.text.partition(":")
    parameter = next((one for one in command.parameters if one.typed and one.name == name), None)
    if parameter is None or word.quoted:
        return False
    if parameter.takes is Takes.ROLE and value.isdecimal():
        taken[name] = int(value)
    elif parameter.takes is Takes.SWITCH and value in ("yes", "no"):
        taken[name] = value == "yes"
    return name in taken


def _choice(word: str, choices: Sequence[str], command: Command) -> str:
    if word.casefold() not in choices:
        shown = shorten(clean(word), 40)
        raise UserError(f"“{shown}” is not one of {', '.join(choices)}. Write: {command.usage}")
    return word.casefold()


def _number(word: str, command: Command) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= 6):
        raise UserError(f"“{shorten(clean(word), 40)}” is no number. Write: {command.usage}")
    return int(word)


def _trailing_kinds(words: list[_Word]) -> tuple[Kinds | None, list[_Word]]:
    """Split off kinds at the end: "renewed dated" or "renewed,dated"; a title stays before them."""
    found: set[UpdateKind] = set()
    rest = list(words)
    while len(rest) > 1 and not rest[-1].quoted:
        kinds = read_kinds(rest[-1].text)
        if kinds is None:
            break
        found |= kinds
        rest.pop()
    return (frozenset(found) or None), rest


_OTHER_SPELLINGS: Final = {"trailers": UpdateKind.TRAILER, "canceled": UpdateKind.CANCELLED}


def read_kinds(word: str) -> Kinds | None:
    """Kinds such as "all" or "renewed,dated"; `None` where it is anything else."""
    names = [name for name in word.casefold().split(",") if name]
    if names == ["all"]:
        return ALL_KINDS
    known = {str(kind): kind for kind in ALL_KINDS} | _OTHER_SPELLINGS
    if any(name not in known for name in names):
        return None
    return frozenset(known[name] for name in names)
