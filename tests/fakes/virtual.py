"""A loop in which time passes only by waiting for it, and as late as the test wants."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any


class Virtual(asyncio.SelectorEventLoop):
    """Waits for nothing: the moment that is waited for has come, or `late` seconds after it."""

    def __init__(self, late: Callable[[], float] = lambda: 0.0) -> None:
        self.moment = 1000.0
        super().__init__(_Jumping(self))
        self.late = late

    def time(self) -> float:
        """The moment it is in here."""
        return self.moment


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: Virtual) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("it waits for what never comes")
        if timeout > 0:
            self._loop.moment += timeout + self._loop.late()
        return super().select(0)


def virtually(
    play: Callable[[Virtual], Coroutine[Any, Any, None]], late: Callable[[], float] = lambda: 0.0
) -> None:
    """Run something in a loop of its own."""
    loop = Virtual(late)
    try:
        loop.run_until_complete(play(loop))
    finally:
        loop.close()
