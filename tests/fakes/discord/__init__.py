"""A Discord that lives on the loopback: REST and gateway with memory, guilds and faults.

    with FakeDiscord() as discord:
        guild = discord.guild("Fans")
        channel, alice = guild.text("news"), discord.person("Alice")
        guild.join(alice)
        ...  # start the bot with its REST at discord.url and the token discord.token
        asked = discord.ask(alice, channel, "subscribe", show="Squid Game")
        assert "subscribed" in asked.answer.text

It runs in a thread of its own, and everything here may be called from any thread. At its end it
fails the test if the bot sent what it must not, or if the fake itself broke.

The server takes and refuses what the real one does, in the real one's words and codes; `guilds`
and `channels` say what there is, `permissions` who may do what, `checks` what a message may hold,
`gate` what the official description of the API allows.
"""

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, TracebackType
from typing import Final, Self

from tests.fakes.discord.channels import Channel
from tests.fakes.discord.faults import Fault, GatewayFault, Hold, Limits, Refused, Reply
from tests.fakes.discord.guilds import Guild
from tests.fakes.discord.people import Json, Member, Person, Role
from tests.fakes.discord.records import (
    Edit,
    Identify,
    Interaction,
    Repeat,
    Request,
    Sent,
    Upload,
)
from tests.fakes.discord.routes import (
    ANSWER,
    CROSSPOST,
    EDIT,
    EDIT_ANSWER,
    FOLLOW_UP,
    GATEWAY,
    LOGIN,
    OPEN_DM,
    SEND,
    START_THREAD,
    SYNC,
    SYNC_GUILD,
)
from tests.fakes.discord.server import Server
from tests.fakes.discord.watch import Watch
from tests.fakes.discord.world import World
from tests.fakes.loopback import PATIENCE

__all__ = [
    "ANSWER",
    "CROSSPOST",
    "EDIT",
    "EDIT_ANSWER",
    "FOLLOW_UP",
    "GATEWAY",
    "LOGIN",
    "OPEN_DM",
    "PATIENCE",
    "SEND",
    "START_THREAD",
    "SYNC",
    "SYNC_GUILD",
    "TOKEN",
    "Channel",
    "Edit",
    "FakeDiscord",
    "Fault",
    "GatewayFault",
    "Guild",
    "Hold",
    "Identify",
    "Interaction",
    "Limits",
    "Member",
    "Person",
    "Repeat",
    "Request",
    "Role",
    "Sent",
    "Upload",
]

BOT: Final = 123456789012345678
TOKEN: Final = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GfAkEx.fakefakefakefakefakefakefakefakefakefa"
"""As real ones do, it begins with the id of the bot."""


class FakeDiscord(Watch):
    """The server and its world; `limits` says whether messages are limited as in the real one."""

    def __init__(
        self, token: str = TOKEN, *, name: str = "Cliffhanger", limits: bool = False
    ) -> None:
        self.token = token
        self.bot = Person(BOT, name, is_bot=True)
        self._world = World(self.bot, token, _gate(), limits=Limits(on=limits))
        self._server = Server(self._world)

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
        """Where REST is, with the version."""
        return self._server.url

    @property
    def gateway_url(self) -> str:
        """Where the gateway is."""
        return self._world.gateway_url

    @property
    def limits(self) -> Limits:
        """The rate limits, which may be set at any time."""
        return self._world.limits

    @property
    def settings(self) -> World:
        """What may be set: nonce_window, answer_within, token_lives, heartbeat_interval, acks,
        shards, starts_left, disallowed."""
        return self._world

    def down(self) -> None:
        """Let the server vanish: connections break, and new ones are refused."""
        self._server.down()

    def up(self) -> None:
        """Let the server be back at the same address."""
        self._server.up()

    def revoke(self) -> None:
        """Let the token be revoked: everything answers 401, and the gateway closes with 4004."""
        with self._world.change():
            self._world.revoked = True
        self.close_gateway(4004)

    def restore(self) -> None:
        """Let the token be good again."""
        with self._world.change():
            self._world.revoked = False

    def fail(
        self,
        route: str | None = SEND,
        *,
        status: int,
        code: int = 0,
        text: str | None = None,
        times: int | None = 1,
        channel: Channel | None = None,
        accepted: bool = False,
        after: int = 0,
    ) -> Fault:
        """Answer with an error; `accepted` carries the request out nevertheless.

        No route means every route, no number of times means from now on, and `after` lets so many
        requests pass first.
        """
        reply = Reply.error(Refused(status, code, text))
        return self._fault(route, channel, times, accepted, reply=reply, after=after)

    def flood(
        self,
        seconds: float,
        route: str | None = SEND,
        *,
        scope: str = "user",
        times: int | None = 1,
        channel: Channel | None = None,
    ) -> Fault:
        """Answer with 429 and the seconds to wait; the scope is user, shared or global."""
        return self._fault(route, channel, times, False, reply=Reply.flood(seconds, scope))

    def ban(self, seconds: int | None = None, *, times: int | None = None) -> Fault:
        """Let Cloudflare ban this address, until `stop` of what is returned."""
        return self._fault(None, None, times, False, reply=Reply.ban(seconds))

    def raw(
        self,
        route: str | None = SEND,
        *,
        status: int = 200,
        body: str | bytes | Json | list[Json] = "<html><body>nginx</body></html>",
        media_type: str = "text/html",
        headers: dict[str, str] | None = None,
        times: int | None = 1,
        channel: Channel | None = None,
        accepted: bool = False,
    ) -> Fault:
        """Answer with what is no answer of Discord, or with JSON made up by the test."""
        if not isinstance(body, str | bytes):
            body, media_type = json.dumps(body), "application/json"
        content = body.encode() if isinstance(body, str) else body
        reply = Reply(status, content, media_type, headers or {})
        return self._fault(route, channel, times, accepted, reply=reply)

    def drop(
        self,
        route: str | None = SEND,
        *,
        accepted: bool,
        seconds: float = 0.0,
        times: int | None = 1,
        channel: Channel | None = None,
    ) -> Fault:
        """Close the connection without an answer, before or after the request is carried out."""
        return self._fault(route, channel, times, accepted, seconds=seconds, drops=True)

    def delay(
        self,
        route: str | None = SEND,
        *,
        seconds: float,
        accepted: bool = True,
        times: int | None = 1,
        channel: Channel | None = None,
    ) -> Fault:
        """Answer late; `accepted` says whether the request is carried out before the wait."""
        return self._fault(route, channel, times, accepted, seconds=seconds)

    def _fault(
        self,
        route: str | None,
        channel: Channel | None,
        times: int | None,
        accepted: bool,
        *,
        seconds: float = 0.0,
        reply: Reply | None = None,
        drops: bool = False,
        after: int = 0,
    ) -> Fault:
        number = channel.id if channel else None
        fault = Fault(route, number, times, accepted, seconds, reply, drops, after)
        with self._world.change():
            self._world.script.faults.append(fault)
        return fault

    def disturb(
        self,
        at: str,
        *,
        close: int | None = None,
        invalid: bool | None = None,
        times: int | None = 1,
    ) -> GatewayFault:
        """Disturb the gateway: at connect (an HTTP status), hello, identify or resume.

        It closes with a code, or says that the session is invalid (true: may be resumed), or says
        nothing at all.
        """
        fault = GatewayFault(at, times, close, invalid, close is None and invalid is None)
        with self._world.change():
            self._world.script.gateway.append(fault)
        return fault

    def hold(
        self, route: str = SEND, *, channel: Channel | None = None, accepted: bool = True
    ) -> Hold:
        """Hold answers back until `release`; `waiting` counts the requests in flight there."""
        hold = Hold(route, channel.id if channel else None, accepted)
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
            if self._world.wake:
                self._world.wake()

    @contextmanager
    def held(
        self, route: str = SEND, *, channel: Channel | None = None, accepted: bool = True
    ) -> Iterator[Hold]:
        """Hold answers back for a while."""
        hold = self.hold(route, channel=channel, accepted=accepted)
        try:
            yield hold
        finally:
            self.release(hold)


def _gate() -> ModuleType | None:
    """The official description of the API, where there is one."""
    try:
        return importlib.import_module("tests.fakes.discord.gate")
    except ImportError:
        return None
