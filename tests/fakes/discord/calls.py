"""How Discord writes what people do to the bot: commands, presses, and what they name."""

from collections.abc import Mapping
from typing import Any, Final

from tests.fakes.discord import registry
from tests.fakes.discord.channels import DM, Channel
from tests.fakes.discord.people import Json, Person, Role
from tests.fakes.discord.permissions import bits, granted
from tests.fakes.discord.world import World

GUILD_CONTEXT: Final = 0
BOT_DM: Final = 1
PRIVATE: Final = 2
_IN_DM: Final = bits(
    "view_channel", "send_messages", "embed_links", "attach_files", "read_message_history",
    "add_reactions", "use_external_emojis", "use_application_commands",
)  # fmt: skip
_TYPES: Final[dict[int, tuple[type, ...]]] = {
    registry.STRING: (str,),
    registry.INTEGER: (int,),
    registry.BOOLEAN: (bool,),
    registry.USER: (Person,),
    registry.CHANNEL: (Channel,),
    registry.ROLE: (Role,),
    registry.MENTIONABLE: (Role, Person),
    registry.NUMBER: (int, float),
}


def context_of(channel: Channel) -> int:
    """Where a command is used: in a guild, in the bot's DM, or in a DM of others."""
    if channel.guild:
        return GUILD_CONTEXT
    return BOT_DM if channel.kind == DM and len(channel.recipients) == 1 else PRIVATE


def frame(world: World, person: Person, channel: Channel, kind: int, data: Json) -> Json:
    """An interaction without its id and token."""
    told: Json = {
        "application_id": str(world.bot.id),
        "type": kind,
        "version": 1,
        "data": data,
        "channel_id": str(channel.id),
        "channel": channel.json,
        "locale": person.locale,
        "context": context_of(channel),
        "entitlements": [],
        "entitlement_sku_ids": [],
        "attachment_size_limit": 10_485_760,
        "authorizing_integration_owners": _owners(person, channel),
    }
    guild = channel.guild
    if guild is None:
        return told | {"user": person.json, "app_permissions": str(_IN_DM)}
    member = guild.members.get(person.id)
    assert member, f"{person.name} is not in {guild.name}"
    theirs = granted(guild, person.id, channel)
    told["channel"] = channel.json | {"permissions": str(theirs)}
    installed = granted(guild, world.bot.id, channel) if guild.has_bot else _IN_DM & theirs
    return told | {
        "guild_id": str(guild.id),
        "guild": {"id": str(guild.id), "locale": guild.locale, "features": []},
        "guild_locale": guild.locale,
        "member": member.json(theirs),
        "app_permissions": str(installed),
    }


def _owners(person: Person, channel: Channel) -> dict[str, str]:
    """Who has installed the bot: the guild, "0" in the bot's own DM, or the person."""
    owners: dict[str, str] = {}
    if channel.guild and channel.guild.has_bot:
        owners["0"] = str(channel.guild.id)
    elif channel.guild is None and context_of(channel) == BOT_DM:
        owners["0"] = "0"
    if person.has_installed:
        owners["1"] = str(person.id)
    assert owners, f"{person.name} has not installed the bot, and it is not there"
    return owners


def is_offered(command: Json, person: Person, channel: Channel) -> bool:
    """Whether a command may be used in such a place at all; permissions are not asked for."""
    if command.get("guild_id"):
        return True
    context = context_of(channel)
    contexts = command["contexts"]
    if contexts is None and not command["dm_permission"]:
        contexts = [GUILD_CONTEXT]
    if contexts is not None and context not in contexts:
        return False
    has_bot = channel.guild.has_bot if channel.guild else context == BOT_DM
    types = command["integration_types"]
    return (has_bot and 0 in types) or (person.has_installed and 1 in types)


def find(
    world: World, person: Person | None, channel: Channel, words: str
) -> tuple[Json, list[Json]] | None:
    """A registered command and the subcommands in its words, as it is offered to somebody."""
    name, *rest = words.removeprefix("/").split()
    scopes = [channel.guild.id if channel.guild else None, None]
    listed = [one for scope in scopes for one in world.commands.get(scope, [])]
    named = (one for one in listed if one["name"] == name)
    command = next((it for it in named if not person or is_offered(it, person, channel)), None)
    if command is None:
        return None
    path: list[Json] = []
    for word in rest:
        options = (path[-1] if path else command).get("options") or []
        found = next((one for one in options if one["name"] == word), None)
        assert found, f"/{words}: no subcommand {word!r} in {[one['name'] for one in options]}"
        path.append(found)
    return command, path


def command_data(
    world: World,
    channel: Channel,
    person: Person,
    found: tuple[Json, list[Json]],
    given: Mapping[str, Any],
    *,
    focused: str | None = None,
) -> Json:
    """The data of a command with its options, or of its autocomplete."""
    command, path = found
    known = {one["name"]: one for one in (path[-1] if path else command).get("options") or []}
    resolved: dict[str, Json] = {}
    options: list[Json] = []
    for key, value in given.items():
        name = key if key in known else key.removesuffix("_option").replace("_", "-")
        assert name in known, f"/{command['name']} has no option {key!r}, but {list(known)}"
        told = _option(known[name], value, focused=key == focused)
        options.append(told)
        if focused is None:
            _resolve(world, channel, person, value, resolved)
    if focused is None:
        named = {one["name"] for one in options}
        missing = [one for one in known.values() if one.get("required")]
        lacking = [one["name"] for one in missing if one["name"] not in named]
        assert not lacking, f"/{command['name']} needs {lacking}"
    for part in reversed(path):
        options = [{"type": part["type"], "name": part["name"], "options": options}]
    data: Json = {"id": command["id"], "name": command["name"], "type": command["type"]}
    data["options"] = options
    if command.get("guild_id"):
        data["guild_id"] = command["guild_id"]
    return data | ({"resolved": resolved} if resolved else {})


def _option(known: Json, value: object, *, focused: bool) -> Json:
    kind, name = known["type"], known["name"]
    told: Json = {"name": name, "type": kind}
    if focused:
        return told | {"value": value, "focused": True}
    fits = isinstance(value, _TYPES[kind]) and (kind == registry.BOOLEAN or value is not True)
    assert fits, f"{name} takes no {value!r}"
    choices = {one["name"]: one["value"] for one in known.get("choices") or []}
    if choices:
        value = choices.get(str(value), value)
        assert value in choices.values(), f"{name} is one of {choices}"
    if isinstance(value, str):
        length, least = len(value), known.get("min_length") or 0
        most = known.get("max_length") or 6000
        assert least <= length <= most, f"{name} has {least} to {most} characters"
    if isinstance(value, int | float):
        assert known.get("min_value", value) <= value <= known.get("max_value", value), name
    if isinstance(value, Channel) and (types := known.get("channel_types")):
        assert value.kind in types, f"{name} takes channels of types {types}"
    is_thing = isinstance(value, Person | Role | Channel)
    return told | {"value": str(value.id) if is_thing else value}  # type: ignore[attr-defined]


def _resolve(
    world: World, channel: Channel, person: Person, value: object, resolved: dict[str, Json]
) -> None:
    guild = channel.guild
    if isinstance(value, Channel):
        told = value.json
        if value.guild:
            told["permissions"] = str(granted(value.guild, person.id, value))
            told["app_permissions"] = str(granted(value.guild, world.bot.id, value))
        resolved.setdefault("channels", {})[str(value.id)] = told
    elif isinstance(value, Role):
        resolved.setdefault("roles", {})[str(value.id)] = value.json
    elif isinstance(value, Person):
        resolved.setdefault("users", {})[str(value.id)] = value.json
        if guild and value.id in guild.members:
            member = guild.members[value.id].json(granted(guild, value.id, channel), user=False)
            resolved.setdefault("members", {})[str(value.id)] = member
