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
    Troubled,
)
from bot.model import Delivery, DeliveryState, Seq
from bot.text import clean, shorten, without_secrets
from storage.outbox import Settlement

_SECOND: Final = dt.timedelta(seconds=1)
WAITS: Final = tuple(
    seconds * _SECOND for seconds in (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800)
)
"""The waits between attempts that surely did not arrive; the last one repeats."""

MAYBE_WAITS: Final = (60 * _SECOND, 600 * _SECOND)
"""The waits after attempts that may have arrived: after the third it is `uncertain`."""

ASK_WAITS: Final = tuple(seconds * _SECOND for seconds in (2, 5, 15, 40))
"""The waits while the platform knows a repeat: never longer, for it forgets within minutes."""

TROUBLED_WAITS: Final = (*ASK_WAITS, *WAITS)
"""The waits after a platform that knows repeats said it is in trouble: its outage may last."""

_UNCOUNTED: Final = (MustWait, DestinationMoved, PlatformStopped)
"""What says nothing about the delivery itself: it comes back, however often."""

JITTER: Final = 0.2
MOST_TRIES: Final = 20
MOST_UNKNOWN: Final = 5


def settlement(
    delivery: Delivery,
    error: Exception | None,
    message_id: str | None,
    now: dt.datetime,
    chance: float,
    bundle: Seq | None = None,
) -> Settlement:
    """How to write down a send that ended with `error`, or well; `chance` (0 to 1) is jitter.

    `bundle` is the first update of the message, kept when the message may have arrived.
    """
    if error is None:
        name = clean(message_id) if message_id else None
        return Settlement(delivery, DeliveryState.SENT, now, message_id=name)
    reason = shorten(clean(without_secrets(str(error) or repr(error))), 300)
    state, wait = _consequence(delivery.attempts, error)
    maybe = isinstance(error, MaybeSent)
    kept = bundle if maybe else None
    if state is not DeliveryState.PENDING:
        due = now if state is DeliveryState.HELD else None
        return Settlement(delivery, state, now, due_at=due, reason=reason, bundle=kept)
    counted = not isinstance(error, _UNCOUNTED)
    due = now + (_jittered(wait, error, chance) if counted else _asked(error, chance))
    return Settlement(
        delivery,
        state,
        now,
        due_at=due,
        reason=reason,
        maybe_sent=maybe,
        counted=counted,
        bundle=kept,
    )


def put_off(delivery: Delivery, before: Settlement) -> Settlement:
    """How to write down a delivery that was not tried, because the one before it did not go out."""
    due_at = before.due_at if before.state is DeliveryState.PENDING else before.at
    if before.state is DeliveryState.HELD:
        return Settlement(delivery, before.state, before.at, due_at, reason=before.reason)
    return Settlement(delivery, DeliveryState.PENDING, before.at, due_at, counted=False)


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
    if isinstance(error, Troubled):
        return _next_try(attempts, TROUBLED_WAITS, MOST_TRIES, DeliveryState.UNCERTAIN)
    if isinstance(error, HardlySent):
        return _next_try(attempts, WAITS, MOST_TRIES, DeliveryState.UNCERTAIN)
    if isinstance(error, MaybeSent):
        # Once a repeat may not be known any more, it is as on a platform that knows none.
        waits = (*ASK_WAITS, *MAYBE_WAITS) if isinstance(error, AskAgain) else MAYBE_WAITS
        return _next_try(attempts, waits, len(waits) + 1, DeliveryState.UNCERTAIN)
    most = MOST_TRIES if isinstance(error, NotSent) else MOST_UNKNOWN
    return _next_try(attempts, WAITS, most, DeliveryState.FAILED)


def _next_try(
    attempts: int, waits: tuple[dt.timedelta, ...], most: int, end: DeliveryState
) -> tuple[DeliveryState, dt.timedelta]:
    if attempts >= most:
        return end, _SECOND
    return DeliveryState.PENDING, waits[min(attempts, len(waits)) - 1]
