"""A command that somebody gave, as a line or with typed options, answered whatever happens."""

from collections.abc import Awaitable, Callable

import structlog

from bot.commands import COMMANDS, answer
from bot.commands.core import Core
from bot.commands.parse import Call, parse
from bot.errors import StorageError, UserError
from bot.message import Message, answers
from bot.model import Caller

log = structlog.get_logger()

AsCaller = Callable[[bool], Awaitable[Caller]]
"""Who asks; told whether it matters that this person manages the chat, which may cost time."""


async def reply(core: Core, line: str, as_caller: AsCaller) -> Message:
    """What the bot says to a line; trouble is told, not raised."""
    try:
        call = parse(line)
    except UserError as error:
        return answers.mistake(str(error))
    return await respond(core, call, as_caller)


async def respond(core: Core, call: Call, as_caller: AsCaller) -> Message:
    """What the bot says to a command that was read; trouble is told, not raised."""
    command = COMMANDS[call.name]
    try:
        caller = await as_caller(command.for_managers(call.arguments))
        return await answer(core, caller, call.name, call.arguments)
    except (UserError, StorageError) as error:
        return answers.mistake(str(error))
    except Exception:
        log.exception("command.failed", command=command.written(call.arguments))
        return answers.trouble()
