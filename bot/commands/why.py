"""Why an update came to a chat, or did not: for the people there, and for the operator."""

import re
from typing import Final

from bot.commands.core import Core
from bot.errors import UserError
from bot.message import Message
from bot.message.why import TOLD, Trace
from bot.message.why import why as tell_why
from bot.model import Caller, Destination, Platform
from bot.text import clean, shorten
from storage.traces import Traces

_ADDRESS: Final = re.compile(
    rf"({'|'.join(Platform)}):(-?\d{{1,19}})(?:/(\d{{1,19}}))?", re.IGNORECASE | re.ASCII
)
_LARGEST: Final = 2**63 - 1


async def why(core: Core, caller: Caller, show: str) -> Message:
    """What became of the latest updates of a show in this chat, step by step."""
    found = await core.find_show(show, caller)
    traces = await core.storage.traces.of_show(caller.destination, found.id, TOLD)
    return tell_why(found, traces, core.clock())


async def trace(traces: Traces, destination: str, update_id: str) -> Trace:
    """What became of one update for one destination, both as they are printed.

    Raises `UserError` where there is no such destination or update.
    """
    there = address(destination)
    found = await traces.of(there, update_id.strip().upper())
    if found is None:
        raise UserError(
            f"No update has the id “{_shown(update_id)}”. `cliffhanger updates SHOW` lists the "
            "updates of a show with their ids."
        )
    if not found.known:
        raise UserError(
            f"Nothing is stored about {there}: nobody has followed a show there, or it was "
            "deleted. `cliffhanger deliveries` prints destinations as they are stored."
        )
    return found


def address(text: str) -> Destination:
    """The destination that is written so: "telegram:-100123/45". Raises `UserError`."""
    found = _ADDRESS.fullmatch(text.strip())
    numbers = [int(one or 0) for one in found.groups()[1:]] if found else [_LARGEST + 1]
    if found is None or any(abs(one) > _LARGEST for one in numbers):
        raise UserError(
            f"“{_shown(text)}” is no destination. Write it as it is printed elsewhere: "
            "discord:123, telegram:-100123/45 (chat and topic) or terminal:0."
        )
    return Destination(Platform(found[1].lower()), numbers[0], numbers[1] or None)


def _shown(text: str) -> str:
    return shorten(clean(text), 100)
