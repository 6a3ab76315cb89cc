"""What follows from how a send went: sent, tried again later, or given up. Pure."""

import datetime as dt
from typing import Final

from bot.errors import (
    AskAgain,
    DestinationLost,
    DestinationMoved,
    Doubt,
    HardlySent,
    MaybeSent,
    MustWait,
    NotSent,
    PlatformStopped,
    Refused,
)
from bot.model import Delivery, DeliveryState, Seq
from bot.text import clean, shorten, without_secrets
from storage.outbox import TOO_LATE, Settlement

_SECOND: Final = dt.timedelta(seconds=1)
WAITS: Final = tuple(
    seconds * _SECOND for seconds in (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800)
)
"""The waits between attempts that surely did not arrive; the last one repeats."""

MAYBE_WAITS: Final = (60 * _SECOND, 600 * _SECOND)
"""The waits after attempts that may have arrived: after the third it is `uncertain`."""

ASK_WAITS: Final = tuple(seconds * _SECOND for seconds in (2, 5, 15, 40))
"""The waits while the platform knows a repeat: never longer, for it forgets within minutes."""

HARDLY_WAITS: Final = (5 * _SECOND, 120 * _SECOND)
"""The waits after a platform said it is in trouble: it may have delivered all the same."""

_UNCOUNTED: Final = (MustWait, DestinationMoved, PlatformStopped)
"""What says nothing about the delivery itself: it comes back, however often."""

JITTER: Final = 0.2
MOST_UNKNOWN: Final = 5


def settlement(
    delivery: Delivery,
    error: Exception | None,
    message_id: str | None,
    now: dt.datetime,
    chance: float,
    bundle: Seq | None = None,
    until: dt.datetime | None = None,
) -> Settlement:
    """How to write down a send that ended with `error`, or well; `chance` (0 to 1) is jitter.

    `bundle` is the first update of the message, kept when the message may have arrived. What would
    be tried again after `until` is no news then, and ends now.
    """
    if error is None:
        name = clean(message_id) if message_id else None
        return Settlement(delivery, DeliveryState.SENT, now, message_id=name)
    reason = shorten(clean(without_secrets(str(error) or repr(error))), 300)
    state, wait = _consequence(delivery.attempts, error)
    maybe = isinstance(error, MaybeSent)
    counted = not isinstance(error, _UNCOUNTED)
    due: dt.datetime | None = None
    if state is DeliveryState.PENDING:
        due = now + (_jittered(wait, error, chance) if counted else _asked(error, chance))
        if until and due > until:
            state = DeliveryState.UNCERTAIN if maybe else DeliveryState.EXPIRED
            due, reason = None, f"{TOO_LATE}: {reason}"
    elif state is DeliveryState.HELD:
        due = now
    return Settlement(
        delivery,
        state,
        now,
        due_at=due,
        reason=reason,
        maybe_sent=maybe and state is DeliveryState.PENDING,
        counted=counted or state is not DeliveryState.PENDING,
        bundle=bundle if maybe else None,
        told=None if isinstance(error, Untried) else _told(now, reason, due),
        aboard=not isinstance(error, Untried) or error.aboard,
    )


NOT_NOW: Final = "nothing is sent just now"
"""Why something is put back that was not tried at all."""


class Untried(MustWait):
    """Nothing was sent, for a reason that has nothing to do with the chat.

    `aboard` says whether it was written down already that it was about to be.
    """

    def __init__(self, seconds: float = 0.0, *, aboard: bool) -> None:
        super().__init__(NOT_NOW, seconds)
        self.aboard = aboard


def _told(now: dt.datetime, reason: str, due: dt.datetime | None) -> str:
    again = f"; tried again from {_stamp(due)}" if due and due > now else ""
    return f"{_stamp(now)} {reason}{again}"


def _stamp(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="seconds")


def put_off(delivery: Delivery, before: Settlement) -> Settlement:
    """How to write down a delivery that was not tried, because the one before it did not go out."""
    due_at = before.due_at if before.state is DeliveryState.PENDING else before.at
    if before.state is DeliveryState.HELD:
        return Settlement(
            delivery, before.state, before.at, due_at, reason=before.reason, aboard=False
        )
    return Settlement(
        delivery, DeliveryState.PENDING, before.at, due_at, counted=False, aboard=False
    )


def believed(doubt: Doubt, times: int, seen_for: dt.timedelta) -> bool:
    """Whether a destination that seemed lost so often, for so long, is taken for lost."""
    return times >= doubt.times and seen_for >= doubt.over


def expired(delivery: Delivery, reason: str, now: dt.datetime) -> Settlement:
    """How to write down a delivery that is news no more."""
    return Settlement(delivery, DeliveryState.EXPIRED, now, reason=reason)


def jittered(wait: dt.timedelta, chance: float) -> dt.timedelta:
    """A wait made up to 20 % shorter or longer, so that retries do not come all at once."""
    return wait * (1 + JITTER * (2 * chance - 1))


def _jittered(wait: dt.timedelta, error: Exception, chance: float) -> dt.timedelta:
    """A jittered wait; only ever shorter where the platform will not know a repeat for long."""
    return jittered(wait, chance / 2 if isinstance(error, AskAgain) else chance)


def _asked(error: Exception, chance: float) -> dt.timedelta:
    """The wait that was asked for, and up to a tenth more, so that not all come back at once."""
    asked = error.seconds * _SECOND if isinstance(error, MustWait) else 0 * _SECOND
    return asked * (1 + chance / 10)


def _consequence(attempts: int, error: Exception) -> tuple[DeliveryState, dt.timedelta]:
    """The state after this many attempts, and how long to wait where it is pending."""
    if isinstance(error, Refused):
        return DeliveryState.FAILED, _SECOND
    if isinstance(error, DestinationLost):
        return DeliveryState.HELD, _SECOND
    if isinstance(error, _UNCOUNTED):
        return DeliveryState.PENDING, 0 * _SECOND
    if isinstance(error, MaybeSent):
        waits = _maybe_waits(error)
        return _next_try(attempts, waits, len(waits) + 1, DeliveryState.UNCERTAIN)
    if isinstance(error, NotSent):  # until it is news no more
        return DeliveryState.PENDING, WAITS[min(attempts, len(WAITS)) - 1]
    return _next_try(attempts, WAITS, MOST_UNKNOWN, DeliveryState.FAILED)


def _maybe_waits(error: MaybeSent) -> tuple[dt.timedelta, ...]:
    """Between them there are as many copies as may be sent, less one."""
    if isinstance(error, AskAgain):
        # Once a repeat may not be known any more, it is as on a platform that knows none.
        return (*ASK_WAITS, *MAYBE_WAITS)
    return HARDLY_WAITS if isinstance(error, HardlySent) else MAYBE_WAITS


def _next_try(
    attempts: int, waits: tuple[dt.timedelta, ...], most: int, end: DeliveryState
) -> tuple[DeliveryState, dt.timedelta]:
    if attempts >= most:
        return end, _SECOND
    return DeliveryState.PENDING, waits[min(attempts, len(waits)) - 1]
