"""A clock in the hands of the test."""

import datetime as dt


class FakeClock:
    """A clock that stands until it is moved."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        return self.now

    def pass_by(self, **duration: float) -> None:
        """Let time pass (or go back)."""
        self.now += dt.timedelta(**duration)
