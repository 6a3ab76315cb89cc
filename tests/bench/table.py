"""One line of a measurement, and the table of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """A measured value beside its goal; `ok` is None where there is no goal."""

    name: str
    value: str
    goal: str
    ok: bool | None


_VERDICTS = {True: "[green]reached[/green]", False: "[red]MISSED[/red]", None: ""}


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the figures beside their goals."""
    table = Table("figure", "measured", "goal", "")
    for row in rows:
        table.add_row(row.name, row.value, row.goal, _VERDICTS[row.ok])
    console.print(table)
