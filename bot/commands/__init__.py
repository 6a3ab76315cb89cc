"""What a person can ask: every command is declared once, here, for all platforms.

A platform reads `COMMANDS`, collects the arguments its own way (typed options, or `parse` for a
line of text) and calls `answer`; it shows the `Message` that comes back.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from bot.commands import about, following, shows
from bot.commands.core import Core
from bot.errors import UserError
from bot.message import Message, answers
from bot.model import FOLLOWABLE, Caller


class Takes(StrEnum):
    """What a parameter accepts."""

    SHOW = "show"
    KINDS = "kinds"
    CHOICE = "choice"


class Access(StrEnum):
    """Who may use a command: everybody, or whoever manages the chat."""

    EVERYBODY = "everybody"
    MANAGERS = "managers"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing a command is told."""

    name: str
    help: str
    takes: Takes
    required: bool = True
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """Something a person can ask; `run` answers with a message or raises `UserError`."""

    name: str
    help: str
    run: Callable[..., Awaitable[Message]]
    parameters: tuple[Parameter, ...] = ()
    access: Access = Access.EVERYBODY

    @property
    def usage(self) -> str:
        """How it is written: "/subscribe show [kinds]"."""
        names = [
            (one, "|".join(one.choices) if one.takes is Takes.CHOICE else one.name)
            for one in self.parameters
        ]
        words = [name if one.required else f"[{name}]" for one, name in names]
        return " ".join((f"/{self.name}", *words))


_SHOW: Final = Parameter("show", "title of the show, or part of it", Takes.SHOW)
_KINDS: Final = Parameter(
    "kinds",
    "what to be told: renewed, dated, trailer, cancelled; everything if left out",
    Takes.KINDS,
    required=False,
    choices=tuple(FOLLOWABLE),
)


async def _help(_core: Core, _caller: Caller) -> Message:
    """List the commands."""
    return answers.help_page([(command.usage, command.help) for command in COMMANDS.values()])


_DECLARED: Final = (
    Command(
        "subscribe",
        "follow a show: be told when it is renewed, dated or has a trailer",
        following.subscribe,
        (_SHOW, _KINDS),
        Access.MANAGERS,
    ),
    Command(
        "unsubscribe", "follow a show no more", following.unsubscribe, (_SHOW,), Access.MANAGERS
    ),
    Command("subscriptions", "what this chat follows", following.subscriptions),
    Command("status", "what is known of a show, and who said it", shows.status, (_SHOW,)),
    Command("upcoming", "the confirmed dates ahead", shows.upcoming),
    Command("latest", "the latest confirmed news", shows.latest),
    Command("help", "this list", _help),
    Command(
        "privacy",
        "what is stored about this chat; export or delete it",
        about.privacy,
        (
            Parameter(
                "action",
                "export or delete; leave it out to read what is stored",
                Takes.CHOICE,
                required=False,
                choices=("export", "delete"),
            ),
        ),
        Access.MANAGERS,
    ),
)

COMMANDS: Final[Mapping[str, Command]] = {command.name: command for command in _DECLARED}
"""Every command by its name."""


async def answer(core: Core, caller: Caller, name: str, arguments: Mapping[str, Any]) -> Message:
    """What the bot says to a command; what a person did wrong is an answer too."""
    try:
        return await COMMANDS[name].run(core, caller, **arguments)
    except UserError as error:
        return answers.mistake(str(error))
