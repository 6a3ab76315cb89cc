"""Discord's commands and the table of commands say the same."""

from collections.abc import Iterator
from typing import Any

import discord
import pytest

from bot.commands import COMMANDS, Access, Command, Parameter, Takes
from bot.outbox.pace import UNLIMITED, Pace
from bot.platforms.discord.access import Access as DiscordAccess
from bot.platforms.discord.client import AnyClient, new_client
from bot.platforms.discord.refusals import Refusals
from cogs import EXTENSIONS

_TYPES = {
    Takes.SHOW: discord.AppCommandOptionType.string,
    Takes.KINDS: discord.AppCommandOptionType.string,
    Takes.CHOICE: discord.AppCommandOptionType.string,
    Takes.NUMBER: discord.AppCommandOptionType.integer,
    Takes.CHANNEL: discord.AppCommandOptionType.channel,
    Takes.ROLE: discord.AppCommandOptionType.role,
    Takes.SWITCH: discord.AppCommandOptionType.boolean,
}


async def _begin() -> None:
    raise AssertionError("nothing connects here")


class _Desk:
    """Nothing is asked here."""

    async def misread(self, interaction: object, error: object) -> None:
        raise AssertionError("nobody writes here")


@pytest.fixture
async def client() -> Any:
    desk: Any = _Desk()
    made = new_client(DiscordAccess("token"), desk, EXTENSIONS, Refusals(), Pace(UNLIMITED), _begin)
    async with made:
        await made.setup_hook()
        yield made


def declared(client: AnyClient) -> dict[str, discord.app_commands.Command[Any, ..., Any]]:
    found = client.tree.get_commands(type=discord.AppCommandType.chat_input)
    return {one.name: one for one in found if isinstance(one, discord.app_commands.Command)}


def pairs(client: AnyClient) -> Iterator[tuple[Command, Any]]:
    for name, command in declared(client).items():
        yield COMMANDS[name], command


async def test_every_command_of_the_table_is_there_and_no_other(client: AnyClient) -> None:
    assert declared(client).keys() == COMMANDS.keys()


async def test_names_parameters_and_every_word_of_help_are_the_same(client: AnyClient) -> None:
    for listed, command in pairs(client):
        assert command.description == listed.help
        assert [one.name for one in command.parameters] == [one.name for one in listed.parameters]
        for parameter, wanted in zip(command.parameters, listed.parameters, strict=True):
            assert str(parameter.description) == wanted.help
            assert parameter.required == wanted.required
            assert parameter.type == _TYPES[wanted.takes]
            assert [one.value for one in parameter.choices] == choices(wanted)
            assert parameter.autocomplete == (wanted.takes is Takes.SHOW)


def choices(parameter: Parameter) -> list[str]:
    return [*(["all"] if parameter.takes is Takes.KINDS else []), *parameter.choices]


async def test_only_what_changes_a_server_is_kept_to_those_who_manage_it(
    client: AnyClient,
) -> None:
    for listed, command in pairs(client):
        permissions = command.default_permissions
        if listed.access is Access.MANAGERS:
            assert permissions == discord.Permissions(manage_guild=True)
            assert command.allowed_installs.user is False
            assert not command.allowed_contexts.private_channel
        else:
            assert permissions is None
            assert command.allowed_installs.user
            assert command.allowed_contexts.private_channel
        assert command.allowed_contexts.guild
        assert command.allowed_contexts.dm_channel


async def test_the_client_keeps_nothing_and_mentions_nobody(client: AnyClient) -> None:
    assert [name for name, wanted in client.intents if wanted] == ["guilds"]
    assert client.allowed_mentions is not None
    mentions: Any = client.allowed_mentions.to_dict()
    assert mentions == {"parse": []}
    assert list(client.cached_messages) == []
    assert client.http.max_ratelimit_timeout == 30
