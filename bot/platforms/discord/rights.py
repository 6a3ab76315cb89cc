"""Who may change what a channel gets, and what is missing there."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final

import aiohttp
import discord
import structlog

from bot.errors import UserError
from bot.platforms.discord import wording
from bot.platforms.discord.access import NEEDED
from bot.platforms.discord.places import FORUMS, THREADS, Interaction, Place

KEPT: Final = 60.0
"""Seconds for which the exceptions that a server makes are believed."""

_REMEMBERED: Final = 1_000
_READABLE: Final = (
    THREADS
    | FORUMS
    | {
        discord.ChannelType.text,
        discord.ChannelType.news,
        discord.ChannelType.voice,
        discord.ChannelType.stage_voice,
    }
)
_ROLE, _USER = 1, 2
"""Of whom an exception speaks. Source: developer documentation, Application Command Permissions."""

log = structlog.get_logger()


def check_subscription(place: Place, role: discord.Role | None, publish: bool | None) -> None:
    """Raise `UserError` for a subscription that could not work, and say how it could."""
    if place.private:
        if role:
            raise UserError(wording.ONLY_IN_A_SERVER)
        return
    if place.kind not in _READABLE:
        raise UserError(wording.NOT_TEXT.format(channel=place.name))
    theirs = missing(place.theirs, to_post(place.kind, discord.Permissions(view_channel=True)))
    if theirs:
        raise UserError(wording.YOU_LACK.format(rights=_listed(theirs), channel=place.name))
    mine = missing(place.mine, to_post(place.kind, NEEDED)) if place.mine is not None else []
    if mine:
        raise UserError(wording.I_LACK.format(rights=_listed(mine), channel=place.name))
    if publish and place.kind is not discord.ChannelType.news:
        raise UserError(wording.NOT_ANNOUNCING.format(channel=place.name))
    if role:
        _check_role(place, role)


def _check_role(place: Place, role: discord.Role) -> None:
    if role.is_default():
        raise UserError(wording.EVERYONE)
    mine = place.mine is not None and place.mine.mention_everyone
    # Who may not mention it themselves is not to do so through the bot.
    if not role.mentionable and not (mine and place.theirs.mention_everyone):
        raise UserError(wording.SILENT_ROLE.format(role=role.name))


def to_post(kind: discord.ChannelType, others: discord.Permissions) -> discord.Permissions:
    """What is needed to write in a channel of this kind: `others`, and what that kind asks."""
    wanted = discord.Permissions(others.value)
    wanted.send_messages = kind not in THREADS
    wanted.send_messages_in_threads = kind in THREADS or kind in FORUMS
    return wanted


def missing(have: discord.Permissions, needed: discord.Permissions) -> list[str]:
    """The permissions that are lacking, as Discord's settings call them. Pure."""
    if have.administrator:
        return []
    return [
        _NAMES.get(name, name.replace("_", " ").title())
        for name, wanted in needed
        if wanted and not getattr(have, name)
    ]


_NAMES: Final = {
    "view_channel": "View Channel",
    "read_messages": "View Channel",
    "send_messages_in_threads": "Send Messages in Threads",
}


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


class Rights:
    """Who may use a command that is for managers.

    Discord lets nobody else use it, unless who owns the server has made an exception. A button is
    guarded by nobody but this.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._ids: dict[str, int] = {}
        self._known: OrderedDict[tuple[int, int], tuple[float, list[dict[str, Any]]]] = (
            OrderedDict()
        )

    async def manages(self, interaction: Interaction, command: str) -> bool:
        """Whether who asks may use a command that changes what the server's channels get.

        Raises `UserError` if nobody knows. A button does not tell the id that exceptions are made
        for: until the command was used once, only managers may press.
        """
        if interaction.type is discord.InteractionType.application_command:
            data: Any = interaction.data
            self._ids[command] = int(data["id"])
        if interaction.permissions.manage_guild or interaction.permissions.administrator:
            return True
        if command not in self._ids:
            return False
        return excepted(await self._exceptions(interaction, self._ids[command]), interaction)

    async def _exceptions(self, interaction: Interaction, command_id: int) -> list[dict[str, Any]]:
        """The exceptions that this server makes for the command."""
        guild_id = interaction.guild_id or 0
        at, known = self._known.get((guild_id, command_id), (float("-inf"), []))
        if self._now() < at + KEPT:
            return known
        found = await self._ask(interaction, guild_id, command_id)
        self._known[guild_id, command_id] = (self._now(), found)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return found

    async def _ask(
        self, interaction: Interaction, guild_id: int, command_id: int
    ) -> list[dict[str, Any]]:
        try:
            made: Any = await interaction.client.http.get_application_command_permissions(
                interaction.application_id, guild_id, command_id
            )
        except discord.NotFound:  # none were made
            return []
        except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
            log.info("discord.rights_unknown", guild=guild_id, problem=type(error).__name__)
            raise UserError(wording.RIGHTS_UNKNOWN) from error
        return list(made["permissions"])


def excepted(exceptions: Sequence[dict[str, Any]], interaction: Interaction) -> bool:
    """Whether an exception lets this person use a command: their own counts before their roles'."""
    said = {(int(one["type"]), int(one["id"])): bool(one["permission"]) for one in exceptions}
    own = said.get((_USER, interaction.user.id))
    if own is not None:
        return own
    roles = [role.id for role in getattr(interaction.user, "roles", ())]
    return any(said.get((_ROLE, role)) for role in [*roles, interaction.guild_id or 0])
