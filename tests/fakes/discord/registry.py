"""The commands that the bot registers, held against Discord's rules for them."""

import unicodedata
from collections.abc import Iterator
from typing import Any, Final

from tests.fakes.discord.faults import Refused, missing_access
from tests.fakes.discord.people import Json
from tests.fakes.discord.routes import SYNC, SYNC_GUILD, Call, Result, route, whole
from tests.fakes.discord.world import World

SUBCOMMAND: Final = 1
GROUP: Final = 2
STRING: Final = 3
INTEGER: Final = 4
BOOLEAN: Final = 5
USER: Final = 6
CHANNEL: Final = 7
ROLE: Final = 8
MENTIONABLE: Final = 9
NUMBER: Final = 10
_CHAT_INPUT: Final = 1
_MOST_CHARACTERS: Final = 8000
_ALL: Final = "/applications/{application}/commands"
_OF_GUILD: Final = "/applications/{application}/guilds/{guild}/commands"


@route(SYNC, SYNC_GUILD)
def sync(call: Call) -> Result:
    """Replace all commands, of a guild or of everywhere; those of the same name keep their id."""
    world, scope = call.world, _scope(call)
    if not isinstance(call.body, list):
        raise call.wrong("the body is no list of commands")
    if problems := list(_problems(call.body)):
        raise call.wrong(*problems)
    old = {(one["name"], one["type"]): one["id"] for one in world.commands.get(scope, [])}
    world.commands[scope] = [_stored(world, one, scope, old) for one in call.body]
    return 200, world.commands[scope]


@route(f"GET {_ALL}", f"GET {_OF_GUILD}")
def listed(call: Call) -> Result:
    """The commands, of a guild or of everywhere."""
    return 200, call.world.commands.get(_scope(call), [])


@route(f"POST {_ALL}", f"POST {_OF_GUILD}")
def create(call: Call) -> Result:
    """Add one command, or replace the one of its name."""
    world, scope = call.world, _scope(call)
    others = world.commands.setdefault(scope, [])
    if problems := list(_problems([call.json])):
        raise call.wrong(*problems)
    old = {(one["name"], one["type"]): one["id"] for one in others}
    made = _stored(world, call.json, scope, old)
    others[:] = [one for one in others if one["id"] != made["id"]] + [made]
    return 201, made


@route(f"GET {_ALL}/{{command}}", f"GET {_OF_GUILD}/{{command}}")
def read(call: Call) -> Result:
    """One command."""
    return 200, _command(call)


@route(f"DELETE {_ALL}/{{command}}", f"DELETE {_OF_GUILD}/{{command}}")
def delete(call: Call) -> Result:
    """Remove one command."""
    call.world.commands[_scope(call)].remove(_command(call))
    return 204, None


@route(f"GET {_OF_GUILD}/permissions")
def all_overrides(call: Call) -> Result:
    """What the guild has set for commands."""
    scope = _scope(call)
    found = [one for one in call.world.overrides if one[0] == scope]
    return 200, [_override_json(call, command) for _, command in found]


@route(f"GET {_OF_GUILD}/{{command}}/permissions")
def override(call: Call) -> Result:
    """What the guild has set for a command; an error where it has set nothing."""
    key = call.number("guild"), call.number("command")
    _scope(call)
    if key not in call.world.overrides:
        raise Refused(404, 10066)
    return 200, _override_json(call, key[1])


def _override_json(call: Call, command: int) -> Json:
    guild = call.number("guild")
    return {
        "id": str(command),
        "application_id": call.ids["application"],
        "guild_id": str(guild),
        "permissions": call.world.overrides[guild, command],
    }


def _scope(call: Call) -> int | None:
    if call.number("application") != call.world.bot.id:
        raise Refused(403, 20012, "You are not authorized to perform this action")
    if "guild" not in call.ids:
        return None
    guild = call.world.guilds.get(call.number("guild"))
    if guild is None or not guild.has_bot:
        raise missing_access()
    return guild.id


def _command(call: Call) -> Json:
    listed = call.world.commands.get(_scope(call), [])
    found = [one for one in listed if whole(one["id"]) == call.number("command")]
    if not found:
        raise Refused(404, 10063)
    return found[0]


def _stored(world: World, given: Json, scope: int | None, old: dict[Any, str]) -> Json:
    kind = given.get("type", _CHAT_INPUT)
    permissions = given.get("default_member_permissions")
    told: Json = {
        "id": old.get((given["name"], kind)) or str(world.snowflake()),
        "application_id": str(world.bot.id),
        "version": str(world.snowflake()),
        "type": kind,
        "name": given["name"],
        "name_localizations": given.get("name_localizations"),
        "description": given.get("description", ""),
        "description_localizations": given.get("description_localizations"),
        "default_member_permissions": None if permissions is None else str(permissions),
        "dm_permission": given.get("dm_permission", True),
        "contexts": given.get("contexts"),
        "integration_types": given.get("integration_types") or [0, 1],
        "nsfw": given.get("nsfw", False),
    }
    if given.get("options"):
        told["options"] = given["options"]
    if scope is not None:
        told["guild_id"] = str(scope)
    return told


def _problems(commands: list[Json]) -> Iterator[str]:
    names = [(one.get("name"), one.get("type", _CHAT_INPUT)) for one in commands]
    if len(set(names)) < len(names):
        yield "two commands of the same name"
    if sum(kind == _CHAT_INPUT for _, kind in names) > 100:
        yield "more than 100 commands"
    for command in commands:
        where = f"/{command.get('name')}"
        if command.get("type", _CHAT_INPUT) != _CHAT_INPUT:
            if not 1 <= len(command.get("name", "")) <= 32 or command.get("description"):
                yield f"{where}: a menu command has a name and no description"
            continue
        yield from _named(where, command)
        yield from _options(where, command.get("options") or [])
        if (total := _characters(command)) > _MOST_CHARACTERS:
            yield f"{where}: {total} characters in all"


def _named(where: str, one: Json) -> Iterator[str]:
    names = {"": one.get("name"), **(one.get("name_localizations") or {})}
    for language, name in names.items():
        if not isinstance(name, str) or not is_name(name):
            yield f"{where}: no name for a command or option: {name!r} {language}"
    texts = {"": one.get("description"), **(one.get("description_localizations") or {})}
    for language, text in texts.items():
        if not isinstance(text, str) or not 1 <= len(text) <= 100:
            yield f"{where}: a description {language} has 1 to 100 characters: {text!r}"


def is_name(name: str) -> bool:
    """Whether Discord takes it as the name of a command or an option."""
    fits = all(one in "-_'" or unicodedata.category(one)[0] in "LNM" for one in name)
    return 1 <= len(name) <= 32 and fits and name == name.lower()


def _options(where: str, options: list[Json]) -> Iterator[str]:
    if len(options) > 25:
        yield f"{where}: {len(options)} options"
    names = [one.get("name") for one in options]
    if len(set(names)) < len(names):
        yield f"{where}: two options of the same name"
    required = [bool(one.get("required")) for one in options]
    if required != sorted(required, reverse=True):
        yield f"{where}: required options come first"
    nested = [one.get("type") in (SUBCOMMAND, GROUP) for one in options]
    if any(nested) and not all(nested):
        yield f"{where}: subcommands beside other options"
    for option in options:
        place = f"{where} {option.get('name')}"
        yield from _named(place, option)
        if option.get("type") in (SUBCOMMAND, GROUP):
            yield from _options(place, option.get("options") or [])
        else:
            yield from _choices(place, option)


def _choices(where: str, option: Json) -> Iterator[str]:
    choices = option.get("choices") or []
    if len(choices) > 25:
        yield f"{where}: {len(choices)} choices"
    if choices and option.get("autocomplete"):
        yield f"{where}: choices beside autocomplete"
    if option.get("autocomplete") and option["type"] not in (STRING, INTEGER, NUMBER):
        yield f"{where}: autocomplete for what nobody types"
    for choice in choices:
        if not 1 <= len(str(choice.get("name", ""))) <= 100:
            yield f"{where}: a choice's name has 1 to 100 characters: {choice.get('name')!r}"
        if option["type"] == STRING and not 1 <= len(str(choice.get("value", ""))) <= 100:
            yield f"{where}: a choice's value has 1 to 100 characters: {choice.get('value')!r}"


def _characters(one: Json) -> int:
    """The characters that count, of each text in its longest language."""
    total = _longest(one, "name") + _longest(one, "description")
    total += sum(_longest(it, "name") + len(str(it["value"])) for it in one.get("choices") or [])
    return total + sum(_characters(option) for option in one.get("options") or [])


def _longest(one: Json, part: str) -> int:
    texts = [one.get(part), *(one.get(f"{part}_localizations") or {}).values()]
    return max(len(text or "") for text in texts)
