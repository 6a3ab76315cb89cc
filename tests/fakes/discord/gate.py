"""Requests and answers held against the official description of Discord's API, and what it omits.

Every check returns what is wrong, one sentence each. A request may not have a property that is not
described; an answer may. Where the description is absent its part is silent.
"""

import datetime as dt
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Self

from tests.build import ROOT

SPEC: Final = "specs/discord-openapi.json"

Json = dict[str, Any]
_Check = Callable[[Any, str], list[str]]


def problems(method: str, path: str, body: object) -> list[str]:
    """What is wrong with a request; `path` without /api/v10 and without its query."""
    described = _spec()
    wrong = described.request(method, path, body) if described else []
    try:
        return wrong + _own(method, path, body)
    except (AttributeError, TypeError) as trouble:
        # Our own rules read what has the right types.
        return wrong or [f"a value of the body has the wrong type: {trouble}"]


def answer_problems(method: str, path: str, status: int, body: object) -> list[str]:
    """What is wrong with an answer."""
    described = _spec()
    return described.answer(method, path, status, body) if described else []


@lru_cache(1)
def _spec() -> "Spec | None":
    return Spec.load(ROOT.parent / "shared" / SPEC)


# --- the description ---

# What discord.py 2.7 sends and Discord takes, although it is not described.
_TTS: Final = {"tts": {"type": "boolean"}}
_NSFW: Final = {"nsfw": {"type": "boolean"}}
_ALSO: Final[Mapping[str, Json]] = {
    # `handle_message_parameters` puts "tts" into edits and forum posts as into all messages.
    "MessageEditRequestPartial": _TTS,
    "IncomingWebhookUpdateRequestPartial": _TTS,
    "BaseCreateMessageCreateRequest": _TTS,
    # `interaction_message_response_params` does so for an edit by a button.
    "IncomingWebhookUpdateForInteractionCallbackRequestPartial": _TTS,
    # `Embed.to_dict` copies its flags, 0 in every new one.
    "RichEmbed": {"flags": {"type": "integer"}},
    # `ForumChannel.create_thread` names the type of every thread: a public one.
    "CreateForumThreadRequest": {"type": {"const": 11}},
    # `Command.to_dict`; documented, and not in the description.
    "ApplicationCommandCreateRequest": _NSFW,
    "ApplicationCommandUpdateRequest": _NSFW,
    "ApplicationCommandPatchRequestPartial": _NSFW,
}


class Spec:
    """The official description; operations are found by their path and read when first used."""

    def __init__(self, described: Json) -> None:
        self._responses: Json = described["components"]["responses"]
        self._asked = _Reader(described["components"]["schemas"], strict=True)
        self._told = _Reader(described["components"]["schemas"], strict=False)
        self._operations: dict[tuple[str, int], list[tuple[list[str], Json]]] = {}
        self._checks: dict[tuple[int, str], _Check | None] = {}
        for path, operations in described["paths"].items():
            parts = path.split("/")
            for method, operation in operations.items():
                if method != "parameters":
                    key = (method.upper(), len(parts))
                    self._operations.setdefault(key, []).append((parts, operation))

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """The description in this file, or nothing where there is none."""
        return cls(json.loads(path.read_text("utf-8"))) if path.exists() else None

    def request(self, method: str, path: str, body: object) -> list[str]:
        """What is wrong with a request."""
        operation = self._operation(method, path)
        if operation is None:
            return [f"there is no {method} {path}"]
        check = self._check(operation, "request")
        if check is None:
            return [] if body is None else [f"{method} {path} takes no body"]
        if body is None:
            return [f"{method} {path} needs a body"]
        return check(body, "body")

    def answer(self, method: str, path: str, status: int, body: object) -> list[str]:
        """What is wrong with an answer."""
        operation = self._operation(method, path)
        if operation is None:
            return [] if status == 404 else [f"there is no {method} {path}"]
        answers = operation["responses"]
        key = str(status) if str(status) in answers else f"{status // 100}XX"
        if key not in answers:
            # Troubles of the server itself are not described for any operation.
            return [] if status >= 500 else [f"{method} {path} never answers {status}"]
        check = self._check(operation, key)
        if check is None:
            return [] if body in (None, "") else [f"{method} {path}: {status} has no body"]
        return check(body, "answer")

    def _operation(self, method: str, path: str) -> Json | None:
        parts = path.split("/")
        fits = [
            (sum(mine == given for mine, given in zip(template, parts, strict=True)), operation)
            for template, operation in self._operations.get((method.upper(), len(parts)), ())
            if all(map(_same_part, template, parts))
        ]
        return max(fits, key=lambda fit: fit[0])[1] if fits else None

    def _check(self, operation: Json, which: str) -> _Check | None:
        key = (id(operation), which)
        if key not in self._checks:
            self._checks[key] = self._read(operation, which)
        return self._checks[key]

    def _read(self, operation: Json, which: str) -> _Check | None:
        asked = which == "request"
        holder = operation.get("requestBody", {}) if asked else operation["responses"][which]
        if "$ref" in holder:
            holder = self._responses[holder["$ref"].rpartition("/")[2]]
        content = holder.get("content", {}).get("application/json")
        reader = self._asked if asked else self._told
        return reader.read(content["schema"]) if content else None


def _same_part(template: str, given: str) -> bool:
    if not template.startswith("{"):
        return template == given
    # Ids are called by what they are of; a code, a token or an emoji may be anything.
    return given.isdecimal() if template.endswith("_id}") else bool(given)


class _Reader:
    """Schemas as functions; `strict` is how a request is read."""

    def __init__(self, schemas: Json, *, strict: bool) -> None:
        self._schemas = schemas
        self._strict = strict
        self._named: dict[str, _Check] = {}

    def read(self, schema: Json, name: str = "") -> _Check:
        """The function that tells what is wrong with a value, and where."""
        if "$ref" in schema:
            return self._ref(schema["$ref"].rpartition("/")[2])
        schema = self._merged(schema)
        checks = [check for check in self._parts(schema, name) if check]
        return checks[0] if len(checks) == 1 else _first_of(checks)

    def _ref(self, name: str) -> _Check:
        def check(value: Any, where: str) -> list[str]:
            # Read when first met: schemas hold one another.
            if name not in self._named:
                self._named[name] = self._snowflake_or(name)
            return self._named[name](value, where)

        return check

    def _snowflake_or(self, name: str) -> _Check:
        check = self.read(self._schemas[name], name)
        if name != "SnowflakeType" or not self._strict:
            return check
        # Discord takes numbers where it gives texts.
        return lambda value, where: check(str(value) if _is_integer(value) else value, where)

    def _merged(self, schema: Json) -> Json:
        """An object in several parts as one."""
        if schema.get("type") != "object" or "allOf" not in schema:
            return schema
        whole: Json = {"type": "object", "properties": {}, "required": []}
        for part in schema["allOf"]:
            resolved = self._merged(self._resolved(part))
            whole["properties"] |= resolved.get("properties", {})
            whole["required"] += resolved.get("required", [])
        return whole

    def _resolved(self, schema: Json) -> Json:
        while "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        return schema

    def _parts(self, schema: Json, name: str) -> Iterator[_Check | None]:
        if "type" in schema:
            yield _typed(schema["type"])
        yield _bounded(schema)
        for key in ("oneOf", "anyOf"):
            if key in schema:
                yield self._one_of(schema[key])
        for part in schema.get("allOf", ()):
            yield self.read(part)
        if "items" in schema:
            yield self._items(schema)
        if {"properties", "additionalProperties"} & schema.keys() or schema.get("type") == "object":
            yield self._object(schema, name)

    def _one_of(self, alternatives: list[Json]) -> _Check:
        if all("const" in one for one in alternatives):
            values = [one["const"] for one in alternatives]
            return lambda value, where: (
                [] if value in values else [f"{where} is none of {values}: {value!r}"]
            )
        some = [one for one in alternatives if one != {"type": "null"}]
        nullable = len(some) < len(alternatives)
        checks = [self.read(one) for one in some]
        kinds = [self._kinds(one) for one in some]

        def check(value: Any, where: str) -> list[str]:
            if value is None and nullable:
                return []
            near = checks
            if isinstance(value, dict) and "type" in value:
                same = (
                    one for one, kind in zip(checks, kinds, strict=True) if value["type"] in kind
                )
                near = list(same) or checks
            return min((one(value, where) for one in near), key=len)

        return check

    def _kinds(self, schema: Json) -> list[Any]:
        """The values of `type` by which one object is told from others."""
        kind = self._resolved(schema).get("properties", {}).get("type", {})
        found: list[Any] = kind.get("enum", [])
        return found

    def _items(self, schema: Json) -> _Check:
        inner = self.read(schema["items"])

        def check(value: Any, where: str) -> list[str]:
            if not isinstance(value, list):
                return []
            return [
                wrong
                for place, one in enumerate(value)
                for wrong in inner(one, f"{where}[{place}]")
            ]

        return check

    def _object(self, schema: Json, name: str) -> _Check:
        described = schema.get("properties", {}) | (_ALSO.get(name, {}) if self._strict else {})
        checks = {key: self.read(inner) for key, inner in described.items()}
        required = schema.get("required", ())
        others = schema.get("additionalProperties")
        other = self.read(others) if isinstance(others, dict) else None
        strict = self._strict or others is False

        def check(value: Any, where: str) -> list[str]:
            if not isinstance(value, dict):
                return []
            wrong = [f"{where} needs {key}" for key in required if key not in value]
            for key, inner in value.items():
                found = checks.get(key, other)
                if found:
                    wrong += found(inner, f"{where}.{key}")
                elif strict:
                    wrong.append(f"{where} has no property {key}")
            return wrong

        return check


def _first_of(checks: list[_Check]) -> _Check:
    def check(value: Any, where: str) -> list[str]:
        # Of a value of the wrong type only that is worth saying.
        return next((wrong for one in checks if (wrong := one(value, where))), [])

    return check


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "integer": _is_integer,
    "number": lambda value: _is_integer(value) or isinstance(value, float),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


def _typed(kinds: str | list[str]) -> _Check:
    tests = [_TYPES[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds)]

    def check(value: Any, where: str) -> list[str]:
        if any(test(value) for test in tests):
            return []
        return [f"{where} is not of type {kinds}: {value!r}"]

    return check


def _is_uri(value: str) -> bool:
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:\S+$", value) is not None


def _is_moment(value: str) -> bool:
    try:
        dt.datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


_FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {"uri": _is_uri, "date-time": _is_moment}
_BOUNDS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "enum": lambda value, allowed: value in allowed,
    "const": lambda value, only: value == only,
    "minLength": lambda value, least: not isinstance(value, str) or len(value) >= least,
    "maxLength": lambda value, most: not isinstance(value, str) or len(value) <= most,
    "minItems": lambda value, least: not isinstance(value, list) or len(value) >= least,
    "maxItems": lambda value, most: not isinstance(value, list) or len(value) <= most,
    "minProperties": lambda value, least: not isinstance(value, dict) or len(value) >= least,
    "maxProperties": lambda value, most: not isinstance(value, dict) or len(value) <= most,
    "minimum": lambda value, least: not isinstance(value, int | float) or value >= least,
    "maximum": lambda value, most: not isinstance(value, int | float) or value <= most,
    "pattern": lambda value, found: not isinstance(value, str) or bool(re.search(found, value)),
    "format": lambda value, name: (
        not isinstance(value, str) or name not in _FORMATS or _FORMATS[name](value)
    ),
    "uniqueItems": lambda value, wanted: (
        not (wanted and isinstance(value, list))
        or len({json.dumps(one) for one in value}) == len(value)
    ),
}


def _bounded(schema: Json) -> _Check | None:
    bounds = [(key, schema[key], test) for key, test in _BOUNDS.items() if key in schema]

    def check(value: Any, where: str) -> list[str]:
        return [
            f"{where} breaks {key} {bound}: {str(value)[:60]!r}"
            for key, bound, test in bounds
            if not test(value, bound)
        ]

    return check if bounds else None


# --- what is not described ---

_EDITS: Final = re.compile(r"/(?:channels/\d+|webhooks/\d+/[^/]+)/messages/(?:\d+|@original)")
_MESSAGES: Final = re.compile(r"/channels/\d+/messages|/webhooks/\d+/[^/]+")
_POSTS: Final = re.compile(r"/channels/\d+/threads")
_CALLBACKS: Final = re.compile(r"/interactions/\d+/[^/]+/callback")
_COMMANDS: Final = re.compile(r"/applications/\d+/(?:guilds/\d+/)?commands(?:/\d+)?")
_NEW, _DEFERRED, _EDITED, _SUGGESTED = 4, 5, 7, 8


def _own(method: str, path: str, body: object) -> list[str]:
    if isinstance(body, list) and _COMMANDS.fullmatch(path):
        return [wrong for one in body for wrong in _command(one)]
    if not isinstance(body, dict):
        return []
    if method == "POST" and _CALLBACKS.fullmatch(path):
        return _callback(body)
    if method == "POST" and _MESSAGES.fullmatch(path):
        return _message(body, new=True)
    if method == "POST" and _POSTS.fullmatch(path) and isinstance(body.get("message"), dict):
        return _message(body["message"], new=True)
    if method == "PATCH" and _EDITS.fullmatch(path):
        return _message(body, new=False)
    if method in ("POST", "PATCH") and _COMMANDS.fullmatch(path):
        return _command(body)
    return []


def _callback(body: Json) -> list[str]:
    data = body.get("data") or {}
    if body.get("type") == _SUGGESTED:
        choices = data.get("choices") or []
        return _too_many(choices, 25, "choices") + _choices(choices, "the suggestions")
    if body.get("type") in (_NEW, _EDITED):
        return _message(data, new=body["type"] == _NEW)
    return []


def _message(body: Json, *, new: bool) -> list[str]:
    content = body.get("content") or ""
    wrong = _long(content, 2000, "content")
    wrong += _long(str(body.get("nonce") or ""), 25, "nonce")
    parts = ("embeds", "sticker_ids", "components", "attachments", "poll")
    if new and not content.strip() and not any(body.get(part) for part in parts):
        wrong.append("the message is empty")
    if new or {"content", "embeds", "components"} & body.keys():
        wrong += _mentions(body.get("allowed_mentions"), content, new=new)
    return wrong + _embeds(body.get("embeds") or []) + _rows(body)


def _mentions(allowed: Json | None, content: str, *, new: bool) -> list[str]:
    """Who may be called is said in every message, and it is the roles it names and nobody else."""
    if allowed is None:
        return ["allowed_mentions is missing: everybody named would be called"]
    wrong = []
    if allowed.get("parse") != []:
        wrong.append(f"allowed_mentions.parse is not []: {allowed.get('parse')!r}")
    if allowed.get("users") or allowed.get("replied_user"):
        wrong.append("allowed_mentions lets people be called")
    roles = {str(role) for role in allowed.get("roles") or ()}
    named = set(re.findall(r"<@&(\d+)>", content))
    # An edit calls nobody: it may keep a mention without allowing it.
    if roles - named or (new and named - roles):
        wrong.append(f"allowed_mentions.roles are {sorted(roles)}, named are {sorted(named)}")
    return wrong


def _embeds(embeds: list[Json]) -> list[str]:
    wrong = _too_many(embeds, 10, "embeds")
    texts: list[str] = []
    for embed in embeds:
        fields = embed.get("fields") or []
        footer = (embed.get("footer") or {}).get("text") or ""
        author = (embed.get("author") or {}).get("name") or ""
        title, description = embed.get("title") or "", embed.get("description") or ""
        wrong += _long(title, 256, "an embed's title")
        wrong += _long(description, 4096, "an embed's description")
        wrong += _long(footer, 2048, "an embed's footer") + _long(author, 256, "an embed's author")
        wrong += _too_many(fields, 25, "fields")
        texts += [title, description, footer, author]
        for field in fields:
            wrong += _text(field.get("name"), 256, "a field's name")
            wrong += _text(field.get("value"), 1024, "a field's value")
            texts += [str(field.get("name")), str(field.get("value"))]
    if sum(map(len, texts)) > 6000:
        wrong.append(f"the embeds have {sum(map(len, texts))} characters, more than 6000")
    return wrong


_BUTTON, _LINK_STYLE, _COMPONENTS_V2 = 2, 5, 1 << 15


def _rows(body: Json) -> list[str]:
    if (body.get("flags") or 0) & _COMPONENTS_V2:
        return []
    rows = body.get("components") or []
    inner = [one for row in rows for one in row.get("components") or []]
    wrong = _too_many(rows, 5, "rows")
    for row in rows:
        wrong += _too_many(row.get("components") or [], 5, "buttons in a row")
    for one in inner:
        wrong += _long(one.get("label") or "", 80, "a label")
        if one.get("type") != _BUTTON or one.get("style") != _LINK_STYLE:
            wrong += _text(one.get("custom_id"), 100, "a custom_id")
        if one.get("type") == _BUTTON and not one.get("label") and not one.get("emoji"):
            wrong.append("a button shows nothing")
    ids = [one["custom_id"] for one in inner if one.get("custom_id")]
    return wrong + _repeated(ids, "custom_id")


_IN_CHAT, _SUBCOMMAND, _GROUP = 1, 1, 2


def _command(command: Json) -> list[str]:
    if command.get("type", _IN_CHAT) != _IN_CHAT:
        # Commands of a menu have a free name, and no description.
        return _text(command.get("name"), 32, "a menu's name")
    wrong = _named(command)
    size = sum(map(len, _all_texts(command)))
    if size > 8000:
        wrong.append(f"/{command.get('name')} has {size} characters, more than 8000")
    return wrong


def _named(command: Json) -> list[str]:
    """What is wrong with a command, a subcommand or an option, and with all below."""
    name, options = command.get("name"), command.get("options") or []
    wrong = _bad_name(name) + _text(command.get("description"), 100, f"the description of {name}")
    wrong += _too_many(options, 25, f"options of {name}")
    wrong += _repeated([option.get("name") for option in options], f"option of {name}")
    wanted = [bool(option.get("required")) for option in options]
    if wanted != sorted(wanted, reverse=True):
        wrong.append(f"{name} has a required option behind an optional one")
    choices = command.get("choices") or []
    wrong += _too_many(choices, 25, f"choices of {name}") + _choices(choices, str(name))
    if choices and command.get("autocomplete"):
        wrong.append(f"{name} has choices and autocomplete")
    return wrong + [wrong for option in options for wrong in _named(option)]


def _bad_name(name: object) -> list[str]:
    r"""Names are as in ^[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]{1,32}$, in lower case."""
    fits = isinstance(name, str) and 1 <= len(name) <= 32 and all(map(_in_name, name))
    return [] if fits and name == str(name).lower() else [f"{name!r} is no name of a command"]


def _in_name(character: str) -> bool:
    return (
        character in "-_'"
        or unicodedata.category(character)[0] in "LN"
        or unicodedata.name(character, "").startswith(("DEVANAGARI ", "THAI "))
    )


def _all_texts(command: Json) -> Iterator[str]:
    yield str(command.get("name") or "")
    yield str(command.get("description") or "")
    for choice in command.get("choices") or []:
        yield from (str(choice.get("name")), str(choice.get("value")))
    for option in command.get("options") or []:
        yield from _all_texts(option)


def _choices(choices: list[Json], where: str) -> list[str]:
    return [
        wrong
        for choice in choices
        for key in ("name", "value")
        if isinstance(choice.get(key), str) or key == "name"
        for wrong in _text(choice.get(key), 100, f"the {key} of a choice of {where}")
    ]


def _long(text: str, most: int, what: str) -> list[str]:
    return [f"{what} has {len(text)} characters, more than {most}"] if len(text) > most else []


def _text(text: object, most: int, what: str) -> list[str]:
    """A text that may not be empty."""
    return _long(text, most, what) if isinstance(text, str) and text else [f"{what} is empty"]


def _too_many(found: list[Any], most: int, what: str) -> list[str]:
    return [f"there are {len(found)} {what}, more than {most}"] if len(found) > most else []


def _repeated(found: list[Any], what: str) -> list[str]:
    return [f"{what} {one!r} is there twice" for one in {*found} if found.count(one) > 1]
