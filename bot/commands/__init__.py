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
from bot.commands.why import why
from bot.errors import UnknownShow, UserError
from bot.message import Message, answers
from bot.model import FOLLOWABLE, Caller


class Takes(StrEnum):
    """What a parameter accepts."""

    SHOW = "show"
    KINDS = "kinds"
    CHOICE = "choice"
    NUMBER = "number"
    CHANNEL = "channel"
    ROLE = "role"
    SWITCH = "switch"


_TYPED: Final = frozenset({Takes.CHANNEL, Takes.ROLE, Takes.SWITCH})


class Access(StrEnum):
    """Who may use a command: everybody, or whoever manages the chat.

    What is for `READERS` only tells something when it stands alone; with arguments it changes
    something, and is for managers.
    """

    EVERYBODY = "everybody"
    READERS = "readers"
    MANAGERS = "managers"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing a command is told."""

    name: str
    help: str
    takes: Takes
    required: bool = True
    choices: tuple[str, ...] = ()

    @property
    def typed(self) -> bool:
        """Whether it can only be given where a platform has typed options."""
        return self.takes in _TYPED


@dataclass(frozen=True, slots=True)
class Command:
    """Something a person can ask; `run` answers with a message or raises `UserError`.

    The answers of a `private` command concern nobody but who asked.
    """

    name: str
    help: str
    run: Callable[..., Awaitable[Message]]
    parameters: tuple[Parameter, ...] = ()
    access: Access = Access.EVERYBODY
    private: bool = False

    @property
    def usage(self) -> str:
        """How it is written: "/subscribe show [kinds]"."""
        names = [
            (one, "|".join(one.choices) if one.takes is Takes.CHOICE else one.name)
            for one in self.parameters
            if not one.typed
        ]
        words = [name if one.required else f"[{name}]" for one, name in names]
        return " ".join((f"/{self.name}", *words))

    def for_managers(self, arguments: Mapping[str, Any]) -> bool:
        """Whether only somebody who manages the chat may ask this."""
        if self.access is Access.READERS:
            return bool(arguments)
        return self.access is Access.MANAGERS

    def written(self, arguments: Mapping[str, Any]) -> str:
        """The command with these arguments as one line, such as a person would write it.

        What can only be given where options are typed stands behind its name: "role:123".
        """
        given = [one for one in self.parameters if one.name in arguments]
        words = [
            f"{one.name}:{_written(arguments[one.name])}"
            if one.typed
            else _written(arguments[one.name])
            for one in given
        ]
        return " ".join((f"/{self.name}", *words))


def _written(argument: Any) -> str:
    if isinstance(argument, bool):
        return "yes" if argument else "no"
    return answers.kinds_list(argument) if isinstance(argument, frozenset) else str(argument)


_SHOW: Final = Parameter("show", "title of the show, or part of it", Takes.SHOW)
_KINDS: Final = Parameter(
    "kinds",
    "what to be told: renewed, dated, trailer, cancelled; everything if left out",
    Takes.KINDS,
    required=False,
    choices=tuple(FOLLOWABLE),
)


_CHANNEL: Final = Parameter(
    "channel", "which channel; this one if left out", Takes.CHANNEL, required=False
)


async def _help(_core: Core, _caller: Caller) -> Message:
    """List the commands."""
    return answers.help_page([(command.usage, command.help) for command in COMMANDS.values()])


_DECLARED: Final = (
    Command(
        "subscribe",
        "follow a show: be told when it is renewed, dated or has a trailer",
        following.subscribe,
        (
            _SHOW,
            _KINDS,
            _CHANNEL,
            Parameter("role", "a role that alerts ping", Takes.ROLE, required=False),
            Parameter(
                "publish",
                "in an announcement channel: publish alerts to the channels that follow it",
                Takes.SWITCH,
                required=False,
            ),
        ),
        Access.MANAGERS,
        private=True,
    ),
    Command(
        "unsubscribe",
        "follow a show no more",
        following.unsubscribe,
        (_SHOW, _CHANNEL),
        Access.MANAGERS,
        private=True,
    ),
    Command(
        "subscriptions",
        "what this chat follows",
        following.subscriptions,
        (Parameter("page", "which part of a long list", Takes.NUMBER, required=False), _CHANNEL),
        private=True,
    ),
    Command("status", "what is known of a show, and who said it", shows.status, (_SHOW,)),
    Command("upcoming", "the confirmed dates ahead", shows.upcoming),
    Command("latest", "the latest confirmed news", shows.latest),
    Command(
        "why",
        "why the latest news of a show came here, or did not",
        why,
        (_SHOW,),
        private=True,
    ),
    Command("help", "this list", _help, private=True),
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
            _CHANNEL,
        ),
        Access.READERS,
        private=True,
    ),
)

COMMANDS: Final[Mapping[str, Command]] = {command.name: command for command in _DECLARED}
"""Every command by its name."""


async def answer(core: Core, caller: Caller, name: str, arguments: Mapping[str, Any]) -> Message:
    """What the bot says to a command; what a person did wrong is an answer too."""
    command = COMMANDS[name]
    if command.for_managers(arguments) and not caller.manages:
        return answers.managers_only(command.written(arguments))
    try:
        return await command.run(core, caller, **arguments)
    except UnknownShow as error:
        near = [
            (title, command.written({**arguments, "show": show})) for show, title in error.nearest
        ]
        return answers.mistake(str(error), near)
    except UserError as error:
        return answers.mistake(str(error))
