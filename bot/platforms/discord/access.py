"""How to reach Discord, and what the bot asks of a server that takes it in."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import discord

OFFICIAL: Final = "https://discord.com/api/v10"
_INVITE: Final = "https://discord.com/oauth2/authorize"


@dataclass(frozen=True, slots=True)
class Access:
    """The bot's token, which is secret, and where Discord is.

    With `shards` the bot takes part in so many connections; commands go to the server `dev_guild`
    alone, where they can be tried before everybody has them.
    """

    token: str
    api_url: str = OFFICIAL
    shards: int | None = None
    dev_guild: int | None = None

    def __repr__(self) -> str:
        return f"Access(api_url={self.api_url!r})"


NEEDED: Final = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    embed_links=True,
)
"""What the bot needs in a server, and nothing more."""


def invitation(application_id: int) -> str:
    """The link by which somebody who manages a server takes the bot in."""
    asked = {
        "client_id": application_id,
        "scope": "bot applications.commands",
        "permissions": NEEDED.value,
    }
    return f"{_INVITE}?{urlencode(asked)}"
