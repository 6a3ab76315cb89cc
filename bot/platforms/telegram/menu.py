"""The commands that Telegram offers while a person types, for each kind of chat its own."""

from collections.abc import Mapping
from typing import Final

import structlog
import telegram
from telegram.error import TelegramError

from bot.commands import COMMANDS, Access, Command
from bot.platforms.telegram.sender import Bot

START: Final = "start"
CHANNEL: Final = "channel"
OWN_COMMANDS: Final[Mapping[str, str]] = {
    START: "begin here",
    CHANNEL: "choose a channel of yours that gets alerts",
}
"""What only Telegram has: the command that opens a chat, and the way to set up a channel."""

log = structlog.get_logger()


def menus() -> list[tuple[telegram.BotCommandScope, list[tuple[str, str]]]]:
    """The commands with their help for direct chats, groups, and administrators of groups."""
    everything = [(one.name, one.help) for one in COMMANDS.values()]
    reading = [(one.name, one.help) for one in COMMANDS.values() if _reads(one)]
    return [
        (telegram.BotCommandScopeDefault(), everything),
        (telegram.BotCommandScopeAllPrivateChats(), [*everything, *OWN_COMMANDS.items()]),
        (telegram.BotCommandScopeAllGroupChats(), reading),
        (telegram.BotCommandScopeAllChatAdministrators(), everything),
    ]


def _reads(command: Command) -> bool:
    return command.access is not Access.MANAGERS


async def offer_commands(bot: Bot) -> None:
    """Tell Telegram the commands where it has others; trouble is logged, the bot works without."""
    try:
        for scope, wanted in menus():
            known = await bot.get_my_commands(scope)
            if [(one.command, one.description) for one in known] != wanted:
                await bot.set_my_commands(wanted, scope)
    except TelegramError as error:
        log.warning("telegram.commands_not_offered", problem=str(error))
