"""About the bot: help, and what is stored about a chat."""

import json

from bot.commands.core import Core
from bot.message import Message, answers
from bot.model import Caller


async def privacy(core: Core, caller: Caller, action: str = "") -> Message:
    """Say what is stored; show or delete it."""
    if action == "export":
        stored = await core.storage.destinations.export(caller.destination)
        return answers.export(json.dumps(stored, indent=2, ensure_ascii=False))
    if action == "delete":
        return answers.deleted(await core.storage.destinations.forget(caller.destination))
    return answers.privacy()
