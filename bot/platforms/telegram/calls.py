"""Calls methods of the Bot API and takes the answer as it is.

For what is sent to many: python-telegram-bot would make objects of everything that goes out and of
the whole message that comes back, of which only the id is wanted. That is half of its work.
"""

import json
from dataclasses import dataclass
from typing import Any, Final, cast

from telegram.ext import ExtBot
from telegram.request import RequestData

Json = dict[str, Any]

_written: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class _Ready:
    """What a transport reads of a `RequestData`, from parameters that are JSON already."""

    parameters: Json
    contains_files: bool = False

    @property
    def json_payload(self) -> bytes:
        """The parameters as one JSON object."""
        return _written(self.parameters).encode()

    @property
    def json_parameters(self) -> dict[str, str]:
        """Each parameter as JSON, for a transport that sends forms."""
        return {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in self.parameters.items()
        }


async def call(bot: ExtBot[None], method: str, **parameters: Any) -> Any:
    """Call a method; what is `None` is left out.

    Raises a `TelegramError`, as the methods of the bot do.
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    request = cast(RequestData, _Ready(given))
    return await bot.request.post(f"{bot.base_url}/{method}", request)
