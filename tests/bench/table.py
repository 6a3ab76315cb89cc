"""One line of a measurement, as every bench here reports it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A measured value beside its goal; `ok` is None where there is no goal."""

    name: str
    value: str
    goal: str
    ok: bool | None
