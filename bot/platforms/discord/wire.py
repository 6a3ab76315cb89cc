"""Requests that send: never cancelled, never made twice at a time, mended once where refused."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from discord.http import Route

from bot.errors import AskAgain, DestinationLost, MustWait
from bot.model import Destination
from bot.outbox.messenger import Notice
from bot.platforms.discord.buttons import Json
from bot.platforms.discord.errors import Delivered, Fix, Mend, classify
from bot.platforms.discord.guilds import Bot
from bot.platforms.discord.letters import Letter, mended

PATIENCE: Final = 60.0
"""Seconds until an answer is waited for no more. The request goes on: one that is cancelled while
all have to wait for Discord's global limit would let the library send nothing ever again."""

_NOT_CONNECTED: Final = 2.0

Turn = Callable[[], Awaitable[None]]
"""Waits until one more request may leave that sends something."""


class Wire:
    """The way to Discord. `client` is there when the token was accepted, and may change.

    Messages go out as bare requests: the library would build views and messages for each.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.away: set[int] = set()
        """Servers that Discord itself cannot reach, and where something waits for that."""
        self._client: Bot | None = None
        self._since = float("-inf")
        self._now = now
        self._under_way: dict[object, asyncio.Task[Any]] = {}

    @property
    def client(self) -> Bot | None:
        """The client, if its token was accepted."""
        return self._client

    @client.setter
    def client(self, client: Bot | None) -> None:
        self._client, self._since = client, self._now()
        self._under_way = {}  # what a client that is closed had under way never ends

    @property
    def connected_for(self) -> float:
        """Seconds since there is this client."""
        return self._now() - self._since

    def connected(self) -> Bot:
        """The client; raises `MustWait` while there is none."""
        if self.client is None:
            raise MustWait("Discord is not reached yet.", _NOT_CONNECTED)
        return self.client

    async def deliver(
        self, message: Letter, destination: Destination, notices: Sequence[Notice], turn: Turn
    ) -> str | None:
        """Send a message, mended once where it is refused; `None` when it had arrived before.

        The turn is waited for before a second try alone. Raises a `DeliveryError` by consequence;
        one of them is that a thread is closed, and the message stands in its channel instead.
        """
        judged = await self._post(message)
        if not isinstance(judged, Mend):
            return judged
        again = mended(message, judged.fix, destination, notices)
        if again is None:
            raise judged.otherwise
        await turn()
        second = await self._post(again)
        if isinstance(second, Mend):
            raise second.otherwise
        if again.channel_id != message.channel_id:
            raise DestinationLost(str(judged.otherwise), message_id=second)
        return second

    async def edit(
        self,
        message_id: int,
        message: Letter,
        destination: Destination,
        notices: Sequence[Notice],
        turn: Turn,
    ) -> None:
        """Put a letter into the place of an earlier message, mended once where it is refused.

        One that is gone is left alone, or in a thread that is locked. The turn is waited for before
        further requests. Raises a `DeliveryError` by consequence.
        """
        judged = await self._patch(message_id, message)
        if not isinstance(judged, Mend):
            return
        again: Letter | None = message
        if judged.fix is Fix.ROOM:
            await turn()
            if not await self._unfolded(message.channel_id):
                return
        else:
            again = mended(message, judged.fix, destination, notices)
        if again is None:
            raise judged.otherwise
        await turn()
        second = await self._patch(message_id, again)
        if isinstance(second, Mend):
            raise second.otherwise

    async def _patch(self, message_id: int, message: Letter) -> Json | Mend | None:
        path = "/channels/{channel_id}/messages/{message_id}"
        route = Route("PATCH", path, channel_id=message.channel_id, message_id=message_id)
        return await self.ask(("edit", message_id, message.content), route, message.edited)

    async def _unfolded(self, thread_id: int) -> bool:
        """Open a thread that is folded away, as a new message would and an edit does not."""
        route = Route("PATCH", "/channels/{channel_id}", channel_id=thread_id)
        opened = await self.ask(("open", thread_id), route, {"archived": False})
        return not isinstance(opened, Mend)

    async def _post(self, message: Letter) -> str | Mend | None:
        path = "/channels/{channel_id}/messages"
        route = Route("POST", path, channel_id=message.channel_id)
        judged = await self.ask(
            (message.channel_id, message.key, message.content), route, message.keyed
        )
        return judged if judged is None or isinstance(judged, Mend) else str(judged["id"])

    async def ask(self, what: object, route: Route, body: Json | None = None) -> Json | Mend | None:
        """The answer to a request, or what to mend; `None` when it was carried out before.

        While one for the same `what` is under way it is waited for, and none is made. Raises a
        `DeliveryError` by consequence.
        """
        task = self._under_way.get(what)
        if task is None:
            request = self.connected().http.request
            task = asyncio.create_task(request(route, json=body) if body else request(route))
            self._under_way[what] = task
            task.add_done_callback(lambda ended: self._ended(what, ended))
        await asyncio.wait({task}, timeout=PATIENCE)
        if not task.done():
            raise AskAgain(f"Discord did not answer within {PATIENCE:.0f} seconds.")
        try:
            answer: Json = task.result()
        except Exception as error:
            judged = classify(error)
            if isinstance(judged, Delivered):
                return None
            if isinstance(judged, Mend):
                return judged
            raise judged from error
        return answer

    def _ended(self, what: object, task: "asyncio.Task[Any]") -> None:
        if self._under_way.get(what) is task:  # and not one of the next client
            del self._under_way[what]
        if not task.cancelled():
            task.exception()  # looked at, so that nobody complains when nobody waits any more
