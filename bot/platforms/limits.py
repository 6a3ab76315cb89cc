"""What a person and a chat may ask before they are refused."""

import time
from collections.abc import Callable

from bot.platforms.throttle import Throttle, Verdict


class Limits:
    """How much one person, and one chat, may ask."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._people = Throttle(burst=8, rate=1, now=now)
        self._chats = Throttle(burst=20, rate=2, now=now)

    def ask(self, user_id: int, chat_id: int | None) -> Verdict:
        """Count one request; without a chat where its many readers do not share an allowance."""
        person = self._people.ask(user_id)
        if person is not Verdict.TAKE or chat_id is None:
            return person
        return self._chats.ask(chat_id)
