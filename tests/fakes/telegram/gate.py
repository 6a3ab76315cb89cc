"""Requests and answers held against the official table of methods and types."""

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, Self

from tests.fakes.telegram.people import Json

_ARRAY: Final = "Array of "
_PLAIN: Final[Mapping[str, tuple[type, ...]]] = {
    "Integer": (int,),
    "Float": (int, float),
    "String": (str,),
}


class Gate:
    """The table; every check returns what is wrong, one sentence each."""

    def __init__(self, table: Json) -> None:
        self._methods: Json = table["methods"]
        self._types: Json = table["types"]

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """The table of this file, or nothing where there is none."""
        return cls(json.loads(path.read_text("utf-8"))) if path.exists() else None

    def request(
        self, method: str, parameters: Mapping[str, Any], files: Collection[str] = ()
    ) -> list[str]:
        """What is wrong with a request; values that are texts may hold JSON, as in forms."""
        if method not in self._methods:
            return [f"there is no method {method}"]
        fields = {field["name"]: field for field in self._methods[method].get("fields", ())}
        wrong = [f"{method} has no parameter {name}" for name in parameters if name not in fields]
        used = set()
        for name, field in fields.items():
            if name in files:
                used.add(name)
                if "InputFile" not in field["types"]:
                    wrong.append(f"{method}.{name} is not a file")
            elif name in parameters:
                value = _decoded(parameters[name], field["types"])
                wrong += self._value(value, field["types"], f"{method}.{name}")
            elif field["required"]:
                wrong.append(f"{method} needs {name}")
        attached = json.dumps(dict(parameters), default=str)
        wrong += [
            f"{method} was given a file {name} that nothing names"
            for name in files
            if name not in used and f"attach://{name}" not in attached
        ]
        return wrong

    def result(self, method: str, value: object) -> list[str]:
        """What is wrong with an answer to a method."""
        return self._value(value, self._methods[method]["returns"], f"answer to {method}")

    def value(self, value: object, kind: str) -> list[str]:
        """What is wrong with a value of a type."""
        return self._value(value, [kind], kind)

    def _value(self, value: object, kinds: list[str], where: str) -> list[str]:
        """Nothing where it fits one of the types; otherwise what keeps it from the nearest."""
        return min((self._kind(value, kind, where) for kind in kinds), key=len)

    def _kind(self, value: object, kind: str, where: str) -> list[str]:
        if kind.startswith(_ARRAY):
            if not isinstance(value, list):
                return [f"{where} is not a list"]
            inner = kind.removeprefix(_ARRAY)
            return [
                wrong
                for place, one in enumerate(value)
                for wrong in self._kind(one, inner, f"{where}[{place}]")
            ]
        if kind == "Boolean":
            return [] if isinstance(value, bool) else [f"{where} is not a Boolean"]
        if plain := _PLAIN.get(kind):
            fits = isinstance(value, plain) and not isinstance(value, bool)
            return [] if fits else [f"{where} is not of type {kind}: {value!r}"]
        if kind == "InputFile":
            attached = isinstance(value, str) and value.startswith("attach://")
            return [] if attached else [f"{where} is not a file"]
        described = self._types[kind]
        if subtypes := described.get("subtypes"):
            return self._value(value, subtypes, where)
        return self._object(value, kind, described.get("fields", ()), where)

    def _object(self, value: object, kind: str, fields: list[Json], where: str) -> list[str]:
        if not isinstance(value, dict):
            return [f"{where} is not of type {kind}: {value!r}"]
        names = {field["name"] for field in fields}
        wrong = [f"{where}: {kind} has no field {name}" for name in value if name not in names]
        for field in fields:
            name = field["name"]
            if name in value:
                wrong += self._value(value[name], field["types"], f"{where}.{name}")
                wrong += _not_meant(field, value[name], f"{where}.{name}")
            elif field["required"]:
                wrong.append(f"{where}: {kind} needs {name}")
        return wrong


def _not_meant(field: Json, value: object, where: str) -> list[str]:
    """A field such as `type` has one value in each of the types it tells apart."""
    must = re.search(r'(?:must be|always) "?(\w+)"?$', field["description"])
    if field["name"] not in ("type", "status", "source") or not must or value == must[1]:
        return []
    return [f"{where} is not {must[1]}: {value!r}"]


def _decoded(value: object, kinds: list[str]) -> object:
    """A value of a form as what it stands for."""
    if not isinstance(value, str) or "String" in kinds:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
