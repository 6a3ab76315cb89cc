"""What a test sees: messages, answers, requests and settings, and waiting for them."""

import json
from collections.abc import Callable, Mapping
from typing import TypeVar

from tests.fakes.loopback import PATIENCE, until
from tests.fakes.telegram.people import Chat, Json, Person
from tests.fakes.telegram.records import Answer, Press, Request, Said, Sent
from tests.fakes.telegram.stage import Stage
from tests.fakes.telegram.world import World

Place = Chat | Person | int
_T = TypeVar("_T")


class Watch(Stage):
    """The memory of the server. In async tests wait in a thread: `await to_thread(…)`."""

    _world: World

    @property
    def history(self) -> tuple[Sent, ...]:
        """All that was accepted from the bot, in order; an edit is an entry of its own."""
        with self._world.lock:
            return tuple(self._world.history)

    @property
    def mark(self) -> int:
        """How much was accepted so far, for `after=`."""
        with self._world.lock:
            return len(self._world.history)

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request with its answer, in the order of the answers."""
        with self._world.lock:
            return tuple(self._world.requests)

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Every answer to a press."""
        with self._world.lock:
            return tuple(self._world.answers)

    @property
    def pending(self) -> tuple[Json, ...]:
        """The updates that the bot has not confirmed."""
        with self._world.lock:
            return tuple(self._world.updates.pending)

    @property
    def violations(self) -> tuple[str, ...]:
        """What the gate or the fake had to refuse because it is not in the official table."""
        with self._world.lock:
            return tuple(self._world.violations)

    def take_violations(self) -> tuple[str, ...]:
        """The violations so far, which a test has expected; they no longer fail it."""
        with self._world.lock:
            taken = tuple(self._world.violations)
            self._world.violations.clear()
        return taken

    def calls(self, method: str) -> tuple[Request, ...]:
        """The requests of a method."""
        return tuple(one for one in self.requests if one.method == method)

    def sent_to(self, place: Place, topic: int | None = None) -> tuple[Sent, ...]:
        """The messages that were sent to a chat, or to a topic of it; no edits."""
        return tuple(
            one
            for one in self.history
            if one.method.startswith("send") and _is_there(one, place, topic)
        )

    def on_screen(self, place: Place, topic: int | None = None) -> tuple[Sent, ...]:
        """The bot's messages in a chat as they stand there: edited, and without those deleted."""
        with self._world.lock:
            newest = {
                one.message_id: one
                for one in self._world.history
                if _is_there(one, place, topic)
                and (one.chat_id, one.message_id) in self._world.posts
            }
        return tuple(newest.values())

    def wait_for(
        self,
        place: Place,
        text: str = "",
        *,
        topic: int | None = None,
        after: int = 0,
        within: float = PATIENCE,
    ) -> Sent:
        """Wait until a message or edit with this text was accepted, and return it.

        `after` is an earlier `mark`: what was accepted before it does not count.
        """

        def found() -> Sent | None:
            newer = self._world.history[after:]
            return next((e for e in newer if _is_there(e, place, topic) and text in e.text), None)

        return self._until(found, lambda: f"a message with {text!r}\n{self._told(place)}", within)

    def ask(
        self,
        person: Person,
        text: str,
        chat: Chat | None = None,
        *,
        topic: int | None = None,
        within: float = PATIENCE,
    ) -> Sent:
        """Say something, and wait for the next message there."""
        after = self.mark
        self.say(person, text, chat, topic=topic)
        return self.wait_for(chat or person, topic=topic, after=after, within=within)

    def wait_for_answer(self, press: Press, within: float = PATIENCE) -> Answer:
        """Wait until a press was answered."""

        def found() -> Answer | None:
            return next((one for one in self._world.answers if one.press == press), None)

        return self._until(found, lambda: f"an answer to the press of {press.data!r}", within)

    def wait_for_request(self, method: str, count: int = 1, within: float = PATIENCE) -> Request:
        """Wait until a method was answered so many times, and return the last of these."""

        def found() -> Request | None:
            calls = [one for one in self._world.requests if one.method == method]
            return calls[count - 1] if len(calls) >= count else None

        return self._until(found, lambda: f"{count} × {method}", within)

    def wait_until_polled(self, within: float = PATIENCE) -> None:
        """Wait until a long poll waits for news."""
        self._until(lambda: self._world.updates.polls or None, lambda: "a long poll", within)

    def wait_until_confirmed(self, within: float = PATIENCE) -> None:
        """Wait until the bot has confirmed every update."""
        self._until(
            lambda: not self._world.updates.pending or None,
            lambda: f"the confirmation of {len(self._world.updates.pending)} updates",
            within,
        )

    def commands(self, scope: str | Json = "default", language: str = "") -> dict[str, str]:
        """The menu of commands that the bot has set: names and descriptions."""
        told = {"type": scope} if isinstance(scope, str) else scope
        found = self._setting("commands", json.dumps(told, sort_keys=True), language)
        listed = found if isinstance(found, list) else []
        return {one["command"]: one["description"] for one in listed}

    def profile(self, kind: str, language: str = "") -> str | None:
        """A text of the bot's profile: its name, description or short_description."""
        found = self._setting(kind, "", language)
        return found if isinstance(found, str) else None

    def message(self, message: Sent | Said) -> Mapping[str, object] | None:
        """A message as it stands, in the form of the Bot API; nothing where it is deleted."""
        with self._world.lock:
            post = self._world.posts.get((message.chat_id, message.message_id))
            return dict(post.json) if post else None

    def _setting(self, kind: str, scope: str, language: str) -> object:
        with self._world.lock:
            return self._world.settings.get((kind, scope, language))

    def _until(self, found: Callable[[], _T | None], what: Callable[[], str], within: float) -> _T:
        return until(self._world.lock, found, what, within)

    def _told(self, place: Place) -> str:
        texts = [one.text for one in self._world.history if _is_there(one, place, None)]
        refused = [
            (one.method, one.status, dict(one.parameters))
            for one in self._world.requests
            if one.status != 200
        ]
        return f"it got: {texts}; refused: {refused[-5:]}"


def _is_there(sent: Sent, place: Place, topic: int | None) -> bool:
    number = place if isinstance(place, int) else place.id
    return sent.chat_id == number and topic in (None, sent.thread_id)
