"""Buttons below messages: made of actions, and heard however old the message is."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import discord

from bot.message import Action
from bot.text import clean, shorten

IN_A_ROW: Final = 5
MOST: Final = 25
_LABEL: Final = 80
"""Discord's limits. Source: developer documentation, Component Reference."""

Json = dict[str, Any]


class Button(discord.ui.DynamicItem[discord.ui.Button[Any]], template=re.compile(r".+", re.DOTALL)):
    """Any button of any message of ours: what it does is found out when it is pressed."""

    @classmethod
    async def from_custom_id(
        cls,
        interaction: discord.Interaction[Any],  # noqa: ARG003 - asked for by the library
        item: discord.ui.Item[Any],
        match: re.Match[str],  # noqa: ARG003
    ) -> "Button":
        """The button that was pressed."""
        assert isinstance(item, discord.ui.Button)  # noqa: S101 - nothing else is ever sent
        return cls(item)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Hand it to the desk."""
        await interaction.client.desk.pressed(interaction, self.custom_id)


def rows(actions: Sequence[Action]) -> list[Json]:
    """The buttons of a message that is sent without the library's views.

    A view would be kept in memory for each of a million alerts.
    """
    shown = [_button(one) for one in actions[:MOST]]
    return [
        {"type": 1, "components": shown[place : place + IN_A_ROW]}
        for place in range(0, len(shown), IN_A_ROW)
    ]


def _button(action: Action) -> Json:
    style = discord.ButtonStyle.secondary.value
    return {
        "type": 2,
        "style": style,
        "label": _label(action),
        "custom_id": action.command,
    }


def _label(action: Action) -> str:
    return shorten(clean(action.label).strip() or "…", _LABEL)


def view(actions: Iterable[Action]) -> discord.ui.View | None:
    """The buttons of an answer, their commands as data; `None` without any."""
    made = discord.ui.View(timeout=None)
    for action in list(actions)[:MOST]:
        made.add_item(discord.ui.Button(label=_label(action), custom_id=action.command))
    # Stopped, it is not kept in memory: `Button` hears the presses.
    made.stop()
    return made if made.children else None
