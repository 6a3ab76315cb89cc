"""What goes wrong with requests by script: refusals, junk, silence, delays, answers held back.

A request is known by what it asks for (a method, a route) and by the chat it is about.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

R = TypeVar("R")
"""What goes over the wire as a reply."""


@dataclass(eq=False, slots=True)
class Fault(Generic[R]):
    """What befalls requests; `struck` counts them."""

    asks: str | None
    chat: int | None
    times: int | None
    accepted: bool
    """Whether the request is carried out before the fault."""
    seconds: float = 0.0
    reply: R | None = None
    drops: bool = False
    after: int = 0
    """How many requests it lets pass first."""
    struck: int = 0

    def stop(self) -> None:
        """Let it befall no further request."""
        self.times = self.struck

    def meets(self, asks: str, chat: int | None) -> bool:
        """Whether it befalls this request; requests that it lets pass are counted."""
        if self.times is not None and self.struck >= self.times:
            return False
        if self.asks not in (None, asks) or self.chat not in (None, chat):
            return False
        if self.after:
            self.after -= 1
            return False
        return True


@dataclass(eq=False, slots=True)
class Hold:
    """Answers held back; `waiting` says how many requests are in flight there."""

    asks: str
    chat: int | None
    accepted: bool
    waiting: int = 0
    released: bool = False

    def meets(self, asks: str, chat: int | None) -> bool:
        """Whether it holds this request."""
        return not self.released and self.asks == asks and self.chat in (None, chat)


@dataclass(slots=True)
class Script(Generic[R]):
    """The faults and holds that are set."""

    faults: list[Fault[R]] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)

    def fault(self, asks: str, chat: int | None) -> Fault[R] | None:
        """The fault that befalls this request; it is counted."""
        fault = next((one for one in self.faults if one.meets(asks, chat)), None)
        if fault:
            fault.struck += 1
        return fault

    def held(self, asks: str, chat: int | None) -> Iterable[Hold]:
        """The holds that this request meets."""
        return [one for one in self.holds if one.meets(asks, chat)]
