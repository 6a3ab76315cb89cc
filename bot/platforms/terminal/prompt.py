"""The prompt: completion of commands and titles, history, alerts drawn above what is typed."""

import os
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Final

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout
from rich.console import Console

from bot.commands import COMMANDS, Takes
from bot.commands.core import Core
from bot.message import Message
from bot.model import FOLLOWABLE
from bot.platforms.terminal.render import as_rich
from bot.text import clean

_WELCOME: Final = (
    "[bold]Cliffhanger[/bold] tells you when a season is renewed, dated or has a trailer.\n"
    "Try [bold]/subscribe all of us are dead[/bold] · [bold]/help[/bold] lists the commands · "
    "Ctrl-D ends."
)


class PromptFront:
    """For a person at a terminal."""

    def __init__(self, history: Path | None = None) -> None:
        self._history = history or _history_file()

    async def show(self, message: Message) -> None:
        """Draw a message above the prompt."""
        # Made anew each time: while a prompt is shown, standard output is a stand-in.
        console = Console(force_terminal=True, highlight=False)
        console.print(as_rich(message), end="\n\n")

    async def lines(self, core: Core) -> AsyncIterator[str]:
        """What a person enters; Ctrl-C empties the line, on an empty one it ends like Ctrl-D."""
        with patch_stdout(raw=True):
            Console(force_terminal=True, highlight=False).print(_WELCOME, end="\n\n")
            session: PromptSession[str] = PromptSession(
                history=_history(self._history),
                completer=ShowCompleter(core),
                complete_while_typing=True,
            )
            while True:
                try:
                    yield await session.prompt_async(ANSI("\x1b[1mcliffhanger>\x1b[0m "))
                except KeyboardInterrupt:
                    if not session.default_buffer.text:
                        return
                except EOFError:
                    return


class ShowCompleter(Completer):
    """Completes commands, then titles, then kinds."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def get_completions(self, document: Document, complete_event: CompleteEvent):  # type: ignore[no-untyped-def]
        """Nothing: completion needs the catalogue, which is read asynchronously."""
        return iter(())

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        """Completions for what stands before the cursor, best first."""
        typed = document.text_before_cursor.lstrip()
        name, blank, rest = typed.partition(" ")
        if not blank:
            for completion in _commands(name):
                yield completion
            return
        command = COMMANDS.get(name.removeprefix("/"))
        takes = [one.takes for one in command.parameters] if command else []
        if Takes.SHOW in takes and rest.strip():
            for match in await self._core.suggest(rest, 10):
                if match.title == rest.strip():
                    continue
                yield Completion(clean(match.title), start_position=-len(rest))
        if Takes.KINDS in takes and rest.endswith(" ") and await self._core.knows(rest):
            for kind in FOLLOWABLE:
                yield Completion(str(kind), display_meta="only this kind")
        for parameter in command.parameters if command and Takes.CHOICE in takes else ():
            for choice in parameter.choices:
                if choice.startswith(rest):
                    yield Completion(choice, start_position=-len(rest))


def _commands(typed: str) -> list[Completion]:
    return [
        Completion(f"/{command.name} ", start_position=-len(typed), display_meta=command.help)
        for command in COMMANDS.values()
        if f"/{command.name}".startswith(typed) or command.name.startswith(typed)
    ]


def _history_file() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "cliffhanger" / "history"


def _history(path: Path) -> History:
    """The lines entered before, readable by their owner alone; in memory where that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))
