"""A Telegram that lives on the loopback: a Bot API server with memory, people and faults.

    with FakeTelegram() as telegram:
        alice = telegram.person("Alice")
        ...  # start the bot with TELEGRAM_API_URL=telegram.url, TELEGRAM_TOKEN=telegram.token
        telegram.say(alice, "/start")
        telegram.wait_for(alice, "Hello")

It runs in a thread of its own, and everything here may be called from any thread. At its end it
fails the test if a request broke the official table of methods, or if the fake itself broke.

The server takes and refuses what the real one does, in the real one's words; `people` says who is
in the world, `markup` how texts are read, `gate` what the official table allows.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.fakes.loopback import PATIENCE
from tests.fakes.telegram.faults import Fault, Hold, Limits, Reply, scripted
from tests.fakes.telegram.gate import Gate
from tests.fakes.telegram.people import (
    ANONYMOUS,
    CHANNEL_BOT,
    GENERAL,
    LINKED_CHANNEL,
    Chat,
    Json,
    Member,
    Person,
)
from tests.fakes.telegram.records import Answer, Press, Request, Said, Sent, Upload
from tests.fakes.telegram.server import Server
from tests.fakes.telegram.watch import Place, Watch
from tests.fakes.telegram.world import World

__all__ = [
    "ANONYMOUS",
    "CHANNEL_BOT",
    "GENERAL",
    "LINKED_CHANNEL",
    "PATIENCE",
    "SPEC",
    "TOKEN",
    "Answer",
    "Chat",
    "FakeTelegram",
    "Fault",
    "Hold",
    "Member",
    "Person",
    "Press",
    "Request",
    "Said",
    "Sent",
    "Upload",
]

TOKEN: Final = "123456789:AAEfakeFakeFakeFakeFakeFakeFakeFake"
SPEC: Final = Path(__file__).parents[3].parent / "shared" / "specs" / "telegram-api.json"
"""The official table of methods and types, which is not part of the repository."""


class FakeTelegram(Watch):
    """The server and its world. `gate` is None where the official table is not there."""

    def __init__(
        self,
        token: str = TOKEN,
        *,
        username: str = "CliffhangerBot",
        privacy: bool = True,
        limits: bool = False,
    ) -> None:
        self.token = token
        self.gate = Gate.load(SPEC)
        self.bot = Person(_number_of(token), "Cliffhanger", username, None, is_bot=True)
        self._world = World(self.bot, privacy, Limits() if limits else None)
        self._server = Server(self._world, token, self.gate)

    def __enter__(self) -> Self:
        """Listen."""
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        """Close everything, and fail for what nobody should have done."""
        self.release()
        self._server.stop()
        assert not self._world.crashes, "\n".join(self._world.crashes)
        if kind is None:
            assert not self.violations, "\n".join(self.violations)

    @property
    def url(self) -> str:
        """The address of the server, to be given to the bot as TELEGRAM_API_URL."""
        return self._server.url

    def down(self) -> None:
        """Let the server vanish: connections break, and new ones are refused."""
        self._server.down()

    def up(self) -> None:
        """Let the server be back at the same address."""
        self._server.up()

    def revoke(self) -> None:
        """Let the token be revoked: everything answers 401."""
        with self._world.change():
            self._world.revoked = True

    def restore(self) -> None:
        """Let the token be good again."""
        with self._world.change():
            self._world.revoked = False

    def fail(
        self,
        method: str | None = "sendMessage",
        *,
        status: int,
        description: str | None = None,
        parameters: Json | None = None,
        times: int | None = 1,
        chat: Place | None = None,
        accepted: bool = False,
    ) -> Fault:
        """Answer with an error; `accepted` carries the request out nevertheless.

        No method means every method, and no number of times means from now on.
        """
        reply = Reply.error(scripted(status, description, parameters))
        return self._fault(method, chat, times, accepted, reply=reply)

    def flood(
        self, retry_after: int | None, *, times: int | None = 1, chat: Place | None = None
    ) -> Fault:
        """Answer sendMessage with 429, and the seconds to wait if there are any."""
        parameters = None if retry_after is None else {"retry_after": retry_after}
        return self.fail(status=429, parameters=parameters, times=times, chat=chat)

    def raw(
        self,
        method: str | None = "sendMessage",
        *,
        status: int = 200,
        body: str | bytes | Json | list[Json] = "<html><body>nginx</body></html>",
        media_type: str = "text/html",
        times: int | None = 1,
        chat: Place | None = None,
        accepted: bool = False,
    ) -> Fault:
        """Answer with what is no answer of the Bot API, or with JSON made up by the test."""
        if not isinstance(body, str | bytes):
            body, media_type = json.dumps(body), "application/json"
        content = body.encode() if isinstance(body, str) else body
        reply = Reply(status, content, media_type)
        return self._fault(method, chat, times, accepted, reply=reply)

    def drop(
        self,
        method: str | None = "sendMessage",
        *,
        accepted: bool,
        seconds: float = 0.0,
        times: int | None = 1,
        chat: Place | None = None,
    ) -> Fault:
        """Close the connection without an answer, before or after the request is carried out."""
        return self._fault(method, chat, times, accepted, seconds=seconds, drops=True)

    def delay(
        self,
        method: str | None = "sendMessage",
        *,
        seconds: float,
        accepted: bool = True,
        times: int | None = 1,
        chat: Place | None = None,
    ) -> Fault:
        """Answer late; `accepted` says whether the request is carried out before the wait."""
        return self._fault(method, chat, times, accepted, seconds=seconds)

    def _fault(
        self,
        method: str | None,
        chat: Place | None,
        times: int | None,
        accepted: bool,
        *,
        seconds: float = 0.0,
        reply: Reply | None = None,
        drops: bool = False,
    ) -> Fault:
        fault = Fault(method, _number(chat), times, accepted, seconds, reply, drops)
        with self._world.change():
            self._world.script.faults.append(fault)
        return fault

    def hold(
        self, method: str = "sendMessage", *, chat: Place | None = None, accepted: bool = True
    ) -> Hold:
        """Hold answers back until `release`; `waiting` counts the requests in flight there."""
        hold = Hold(method, _number(chat), accepted)
        with self._world.change():
            self._world.script.holds.append(hold)
        return hold

    def wait_until_held(self, hold: Hold, count: int = 1, within: float = PATIENCE) -> None:
        """Wait until so many requests are held."""
        self._until(
            lambda: hold.waiting >= count or None, lambda: f"{count} requests in flight", within
        )

    def release(self, hold: Hold | None = None) -> None:
        """Let the answers go that one hold keeps, or all."""
        with self._world.change():
            for one in [hold] if hold else self._world.script.holds:
                one.released = True

    @contextmanager
    def held(
        self, method: str = "sendMessage", *, chat: Place | None = None, accepted: bool = True
    ) -> Iterator[Hold]:
        """Hold answers back for a while."""
        hold = self.hold(method, chat=chat, accepted=accepted)
        try:
            yield hold
        finally:
            self.release(hold)


def _number_of(token: str) -> int:
    """The id of the bot, which its token begins with."""
    return int(token.partition(":")[0])


def _number(place: Place | None) -> int | None:
    return place if place is None or isinstance(place, int) else place.id
