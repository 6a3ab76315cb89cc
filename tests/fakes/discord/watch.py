"""What a test sees: messages, answers, requests and commands, and waiting for them."""

from collections.abc import Callable
from typing import Any, TypeVar

from tests.fakes.discord.channels import Channel
from tests.fakes.discord.people import Json, Person
from tests.fakes.discord.records import Identify, Interaction, Repeat, Request, Sent
from tests.fakes.discord.routes import SEND
from tests.fakes.discord.stage import Stage
from tests.fakes.loopback import PATIENCE, until

Place = Channel | Person | int
_T = TypeVar("_T")


class Watch(Stage):
    """The memory of the server. In async tests wait in a thread: `await to_thread(…)`."""

    @property
    def history(self) -> tuple[Sent, ...]:
        """All messages that were accepted into channels, in order; no answers to interactions."""
        with self._world.lock:
            return tuple(self._world.history)

    @property
    def mark(self) -> int:
        """How many messages were accepted so far, for `after=`."""
        with self._world.lock:
            return len(self._world.history)

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request with its answer, in the order of the answers."""
        with self._world.lock:
            return tuple(self._world.requests)

    @property
    def repeats(self) -> tuple[Repeat, ...]:
        """Messages that were not made because their nonce was used before."""
        with self._world.lock:
            return tuple(self._world.repeats)

    @property
    def identifies(self) -> tuple[Identify, ...]:
        """Every IDENTIFY at the gateway."""
        with self._world.lock:
            return tuple(self._world.identifies)

    @property
    def resumes(self) -> tuple[float, ...]:
        """When the bot has tried to resume a session."""
        with self._world.lock:
            return tuple(self._world.resumes)

    @property
    def interactions(self) -> tuple[Interaction, ...]:
        """Every interaction, in order."""
        with self._world.lock:
            return tuple(self._world.interactions.values())

    @property
    def violations(self) -> tuple[str, ...]:
        """What the bot has sent that it must not send."""
        with self._world.lock:
            return tuple(self._world.violations)

    def take_violations(self) -> tuple[str, ...]:
        """The violations so far, which a test has expected; they no longer fail it."""
        with self._world.lock:
            taken = tuple(self._world.violations)
            self._world.violations.clear()
        return taken

    @property
    def invalid_requests(self) -> int:
        """Requests that count to a ban: 401, 403, and 429 unless the limit is shared."""
        return sum(one.status in (401, 403, 429) and one.scope != "shared" for one in self.requests)

    def calls(self, route: str) -> tuple[Request, ...]:
        """The requests of a route."""
        return tuple(one for one in self.requests if one.route == route)

    def sent_to(self, place: Place) -> tuple[Sent, ...]:
        """The messages that were sent to a channel, a thread, or a person."""
        number = self._number(place)
        return tuple(one for one in self.history if one.channel_id == number)

    def commands(self, guild_id: int | None = None) -> dict[str, Json]:
        """The commands that the bot has registered, by name."""
        with self._world.lock:
            return {one["name"]: one for one in self._world.commands.get(guild_id, [])}

    def command(
        self,
        person: Person,
        channel: Channel,
        words: str,
        /,
        times: int = 1,
        forged: bool = False,
        **options: Any,
    ) -> Interaction:
        """Use a command, such as "subscribe" or "admin add", with options by their names.

        Waits until the bot has registered it and listens. Options are texts, numbers, people,
        roles and channels; `times` tells the bot of one interaction more than once. `forged` uses
        it where Discord would not offer it. Permissions are told and not asked for.
        """
        self.wait_until_registered(words, channel)
        self._wait_until_told_of(channel)
        return self.use(person, channel, words, options, times=times, forged=forged)

    def ask(
        self,
        person: Person,
        channel: Channel,
        words: str,
        /,
        within: float = PATIENCE,
        **options: Any,
    ) -> Interaction:
        """Use a command, and wait for the answer."""
        return self.wait_for_answer(self.command(person, channel, words, **options), within)

    def autocomplete(
        self,
        person: Person,
        channel: Channel,
        words: str,
        /,
        within: float = PATIENCE,
        **options: Any,
    ) -> Interaction:
        """Type into the last of these options, and wait for the choices."""
        self.wait_until_registered(words, channel)
        self._wait_until_told_of(channel)
        asked = self.use(person, channel, words, options, focused=list(options)[-1])
        self._until(lambda: asked.choices, lambda: f"choices for {options}", within)
        return asked

    def wait_for_answer(self, asked: Interaction, within: float = PATIENCE) -> Interaction:
        """Wait until an interaction has a message, an edit or a modal for an answer."""

        def found() -> Interaction | None:
            is_loading = asked.acknowledged == 6 and not asked.edits and not asked.followups
            done = asked.modal or (asked.answer and not is_loading)
            return asked if done else None

        def what() -> str:
            so_far = f"acknowledged with {asked.acknowledged}, refused with {asked.refusals}"
            return f"an answer to {asked.name!r} of {asked.person.name}, {so_far}"

        return self._until(found, what, within)

    def wait_for(
        self, place: Place, text: str = "", *, after: int = 0, within: float = PATIENCE
    ) -> Sent:
        """Wait until a message with this text was accepted there, and return it.

        `after` is an earlier `mark`: what was accepted before it does not count.
        """

        def found() -> Sent | None:
            number = self._number(place)
            newer = self._world.history[after:]
            return next((e for e in newer if e.channel_id == number and text in e.text), None)

        return self._until(found, lambda: f"a message with {text!r}; {self._told(place)}", within)

    def wait_for_request(
        self, route: str = SEND, count: int = 1, within: float = PATIENCE
    ) -> Request:
        """Wait until a route was answered so many times, and return the last of these."""

        def found() -> Request | None:
            made = [one for one in self._world.requests if one.route == route]
            return made[count - 1] if len(made) >= count else None

        return self._until(found, lambda: f"{count} × {route}", within)

    def wait_until_sent(self, count: int, within: float = PATIENCE) -> tuple[Sent, ...]:
        """Wait until so many messages were accepted in all."""
        self._until(
            lambda: len(self._world.history) >= count or None,
            lambda: f"{count} messages; there are {len(self._world.history)}",
            within,
        )
        return self.history

    def wait_until_connected(self, shards: int = 1, within: float = PATIENCE) -> None:
        """Wait until so many shards have a session and listen."""

        def listening() -> int:
            return sum(one.line is not None for one in self._world.sessions.values())

        self._until(
            lambda: listening() >= shards or None, lambda: f"{shards} shards connected", within
        )

    def _wait_until_told_of(self, channel: Channel) -> None:
        """Wait until the shard listens that hears of a channel."""
        guild = channel.guild.id if channel.guild and channel.guild.has_bot else None
        self._until(
            lambda: any(one.covers(guild) for one in self._connected()) or None,
            lambda: "the shard of the channel",
            PATIENCE,
        )

    def wait_until_disconnected(self, within: float = PATIENCE) -> None:
        """Wait until no shard is connected."""
        self._until(
            lambda: not self._connected() or None, lambda: "the end of the connection", within
        )

    def wait_until_identified(self, count: int = 1, within: float = PATIENCE) -> None:
        """Wait until the bot has identified so many times."""
        self._until(
            lambda: len(self._world.identifies) >= count or None,
            lambda: f"{count} × IDENTIFY",
            within,
        )

    def wait_until_resumed(self, count: int = 1, within: float = PATIENCE) -> None:
        """Wait until the bot has tried so many times to resume."""
        self._until(
            lambda: len(self._world.resumes) >= count or None, lambda: f"{count} × RESUME", within
        )

    def wait_until_registered(
        self, words: str, channel: Channel | None = None, within: float = PATIENCE
    ) -> None:
        """Wait until the bot has registered a command."""
        name = words.removeprefix("/").split()[0]
        guild = channel.guild.id if channel and channel.guild else None

        def found() -> bool | None:
            listed = [one for it in {None, guild} for one in self._world.commands.get(it, [])]
            return any(one["name"] == name for one in listed) or None

        self._until(found, lambda: f"a command /{name}; there are {list(self.commands())}", within)

    def wait_until(
        self, holds: Callable[[], object], what: str = "it", within: float = PATIENCE
    ) -> None:
        """Wait until something holds of what the fake knows; asked after each of its changes."""
        self._until(lambda: holds() or None, lambda: what, within)

    def _until(self, found: Callable[[], _T | None], what: Callable[[], str], within: float) -> _T:
        return until(self._world.lock, found, lambda: f"{what()}{self._wrong()}", within)

    def _number(self, place: Place) -> int:
        if isinstance(place, Person):
            with self._world.lock:
                return self._world.dm(place).id
        return place if isinstance(place, int) else place.id

    def _wrong(self) -> str:
        """What may be why something does not come."""
        wrong = [*self._world.violations, *self._world.crashes]
        return "\nmeanwhile: " + "; ".join(wrong[-5:]) if wrong else ""

    def _told(self, place: Place) -> str:
        texts = [one.text for one in self.sent_to(place)]
        refused = [
            (one.route, one.status, one.code)
            for one in self._world.requests
            if one.status not in (200, 201, 204)
        ]
        return f"it got: {texts}; refused: {refused[-5:]}"
