"""What follows from a send that went wrong, and whom an update concerns: two tables and a law."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from bot.model import ALL_KINDS, Delivery, DeliveryState, Seq, ShowId, UpdateKind
from bot.outbox.consequences import (
    MAYBE_WAITS,
    WAITS,
    Untried,
    believed,
    expired,
    jittered,
    put_off,
    settlement,
)
from bot.poll import decide
from bot.text import clean
from storage.fanouts import Job, Unread
from storage.outbox import TOO_LATE, Settlement
from tests.build import NOW

EVEN = 0.5
"""The chance that neither lengthens nor shortens a wait."""


def settled(error: Exception | None, attempts: int = 1, chance: float = EVEN) -> Settlement:
    return settlement(Delivery(Seq(7), 3, attempts), error, "m1", NOW, chance)


def wait(error: Exception, attempts: int, chance: float = EVEN) -> float:
    due = settled(error, attempts, chance).due_at
    assert due is not None
    return (due - NOW).total_seconds()


# --- the outbox ---


def test_what_was_sent_keeps_the_id_of_its_message() -> None:
    assert settled(None) == Settlement(
        Delivery(Seq(7), 3, 1), DeliveryState.SENT, NOW, message_id="m1"
    )


@pytest.mark.parametrize(
    ("error", "attempts", "state"),
    [
        (NotSent("offline"), 1, DeliveryState.PENDING),
        (NotSent("offline"), 19, DeliveryState.PENDING),
        (NotSent("offline"), 100, DeliveryState.PENDING),
        (HardlySent("502"), 2, DeliveryState.PENDING),
        (HardlySent("502"), 3, DeliveryState.UNCERTAIN),
        (MaybeSent("no answer"), 1, DeliveryState.PENDING),
        (MaybeSent("no answer"), 2, DeliveryState.PENDING),
        (MaybeSent("no answer"), 3, DeliveryState.UNCERTAIN),
        (MaybeSent("no answer"), 9, DeliveryState.UNCERTAIN),
        (AskAgain("no answer"), 4, DeliveryState.PENDING),
        (AskAgain("no answer"), 6, DeliveryState.PENDING),
        (AskAgain("no answer"), 7, DeliveryState.UNCERTAIN),
        (Troubled("503"), 5, DeliveryState.PENDING),
        (Troubled("503"), 6, DeliveryState.PENDING),
        (Troubled("503"), 7, DeliveryState.UNCERTAIN),
        (Refused("too long"), 1, DeliveryState.FAILED),
        (DestinationLost("blocked"), 1, DeliveryState.HELD),
        (DestinationLost("blocked"), 19, DeliveryState.HELD),
        (RuntimeError("a slip"), 1, DeliveryState.PENDING),
        (RuntimeError("a slip"), 4, DeliveryState.PENDING),
        (RuntimeError("a slip"), 5, DeliveryState.FAILED),
        (TimeoutError(), 5, DeliveryState.FAILED),
    ],
)
def test_every_error_has_its_consequence(
    error: Exception, attempts: int, state: DeliveryState
) -> None:
    done = settled(error, attempts)
    assert (done.state, done.at) == (state, NOW)
    assert (done.due_at is not None) == (state in (DeliveryState.PENDING, DeliveryState.HELD))
    assert done.reason == (str(error) or "TimeoutError()")
    assert done.message_id is None


@pytest.mark.parametrize(("error", "maybe"), [(MaybeSent("x"), True), (NotSent("x"), False)])
def test_what_may_have_arrived_is_marked_while_it_waits(error: Exception, maybe: bool) -> None:
    assert settled(error).maybe_sent is maybe


@pytest.mark.parametrize("error", [NotSent("x"), RuntimeError("x"), MaybeSent("x")])
def test_waits_grow_and_never_end_before_they_begin(error: Exception) -> None:
    tries = [attempt for attempt in range(1, 20) if settled(error, attempt).state == "pending"]
    waits = [wait(error, attempt) for attempt in tries]
    assert waits == sorted(waits)
    assert len(set(waits)) >= 2
    assert min(waits) >= 5


def test_the_first_wait_is_short_and_the_last_a_working_day() -> None:
    assert wait(NotSent("x"), 1) == 5
    assert wait(NotSent("x"), len(WAITS)) == wait(NotSent("x"), 19) == 8 * 3600
    assert [wait(MaybeSent("x"), attempt) for attempt in (1, 2)] == [60, 600]
    assert len(MAYBE_WAITS) == 2


@given(
    st.sampled_from([NotSent("x"), MaybeSent("x"), RuntimeError("x")]),
    st.integers(1, 19),
    st.floats(0, 1),
)
def test_jitter_stays_within_a_fifth(error: Exception, attempts: int, chance: float) -> None:
    if settled(error, attempts).state is DeliveryState.PENDING:
        even = wait(error, attempts)
        assert 0.8 * even - 0.001 <= wait(error, attempts, chance) <= 1.2 * even + 0.001


@given(st.floats(0, 1))
def test_a_repeat_comes_while_the_platform_still_knows_it_for_one(chance: float) -> None:
    waits = [wait(AskAgain("x"), attempt, chance) for attempt in (1, 2, 3, 4)]
    for waited, most in zip(waits, (2, 5, 15, 40), strict=True):
        assert 0.8 * most - 0.001 <= waited <= most
    assert settled(AskAgain("x"), 4).counted


def test_a_platform_in_trouble_that_knows_repeats_is_asked_again_as_one_that_does_not_answer() -> (
    None
):
    for attempts in range(1, 7):
        assert wait(Troubled("503"), attempts) == wait(AskAgain("x"), attempts)
    assert [wait(HardlySent("502"), attempts) for attempts in (1, 2)] == [5, 120]


@pytest.mark.parametrize("error", [HardlySent("502"), Troubled("503")])
def test_a_platform_in_trouble_may_have_taken_the_message_and_the_attempt_counts(
    error: Exception,
) -> None:
    outcome = settled(error)
    assert outcome.maybe_sent
    assert outcome.counted


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (NotSent("offline"), DeliveryState.EXPIRED),
        (MustWait("slow down", 9), DeliveryState.EXPIRED),
        (RuntimeError("a slip"), DeliveryState.EXPIRED),
        (MaybeSent("no answer"), DeliveryState.UNCERTAIN),
    ],
)
def test_what_would_be_no_news_at_its_next_attempt_ends_and_says_why(
    error: Exception, end: DeliveryState
) -> None:
    due = settled(error).due_at
    assert due is not None
    still = settlement(Delivery(Seq(7), 3, 1), error, None, NOW, EVEN, until=due)
    assert still.state is DeliveryState.PENDING
    late = due - dt.timedelta(milliseconds=1)
    outcome = settlement(Delivery(Seq(7), 3, 1), error, None, NOW, EVEN, until=late)
    assert (outcome.state, outcome.due_at, outcome.counted) == (end, None, True)
    assert outcome.reason == f"{TOO_LATE}: {error}"


def test_an_attempt_is_noted_with_its_time_its_answer_and_the_next_one() -> None:
    assert settled(None).told is None
    outcome = settled(NotSent("offline"))
    assert outcome.due_at is not None
    begun, again = NOW.isoformat(timespec="seconds"), outcome.due_at.isoformat(timespec="seconds")
    assert outcome.told == f"{begun} offline; tried again from {again}"
    assert settled(Refused("too long")).told == f"{begun} too long"
    assert settled(Untried(aboard=True)).told is None


def test_what_was_not_tried_takes_back_that_it_was_aboard_only_where_it_was() -> None:
    assert settled(Untried(aboard=True)).aboard
    assert not settled(Untried(aboard=False)).aboard
    assert not settled(Untried(aboard=False)).counted


@pytest.mark.parametrize("error", [MaybeSent("x"), HardlySent("x"), AskAgain("x"), Troubled("x")])
def test_what_may_have_arrived_is_remembered_by_the_first_of_its_message(error: Exception) -> None:
    for attempts in (1, 100):
        outcome = settlement(Delivery(Seq(7), 3, attempts), error, None, NOW, EVEN, Seq(5))
        assert outcome.bundle == 5
    for other in (None, NotSent("x"), MustWait("x", 1), DestinationLost("x"), Refused("x")):
        outcome = settlement(Delivery(Seq(7), 3, 1), other, None, NOW, EVEN, Seq(5))
        assert outcome.bundle is None


def test_jitter_uses_the_whole_range() -> None:
    ten = dt.timedelta(seconds=10)
    assert [jittered(ten, chance).total_seconds() for chance in (0, 0.5, 1)] == [8, 10, 12]


@pytest.mark.parametrize("asked", [0, 1, 40, 10_072])
def test_a_wait_the_platform_asks_for_is_kept_and_the_attempt_does_not_count(asked: float) -> None:
    for attempts in (1, 20, 1000):
        error = MustWait("slow down", asked)
        assert asked <= wait(error, attempts, chance=0) <= wait(error, attempts, chance=1)
        assert wait(error, attempts, chance=1) <= 1.1 * asked
        assert not settled(error, attempts).counted


@pytest.mark.parametrize("error", [DestinationMoved("upgraded", -100), PlatformStopped("token")])
def test_what_says_nothing_about_the_delivery_leaves_it_due_and_uncounted(error: Exception) -> None:
    for attempts in (1, 20, 1000):
        outcome = settled(error, attempts)
        assert (outcome.state, outcome.due_at) == (DeliveryState.PENDING, NOW)
        assert not outcome.counted


@pytest.mark.parametrize(
    ("times", "hours", "lost"),
    [(1, 0, False), (3, 0, False), (2, 48, False), (3, 23.9, False), (3, 24, True), (9, 99, True)],
)
def test_a_loss_in_doubt_is_believed_when_it_was_seen_often_and_long_enough(
    times: int, hours: float, lost: bool
) -> None:
    doubt = Doubt(times=3, over=dt.timedelta(hours=24), every=dt.timedelta(hours=12))
    assert believed(doubt, times, dt.timedelta(hours=hours)) is lost


@pytest.mark.parametrize(
    ("error", "state", "due"),
    [
        (NotSent("offline"), DeliveryState.PENDING, 5),
        (MustWait("slow down", 60), DeliveryState.PENDING, 63),
        (Refused("too long"), DeliveryState.PENDING, 0),
        (DestinationLost("blocked"), DeliveryState.HELD, 0),
    ],
)
def test_what_comes_later_in_the_log_waits_for_what_comes_earlier(
    error: Exception, state: DeliveryState, due: float
) -> None:
    later = Delivery(Seq(8), 3, 1)
    outcome = put_off(later, settled(error))
    assert (outcome.delivery, outcome.state) == (later, state)
    assert outcome.due_at == NOW + dt.timedelta(seconds=due)


def test_a_reason_is_kept_clean_and_short() -> None:
    reason = settled(Refused("\x1b[2Jno\u202e way\n" + "x" * 5000)).reason
    assert reason is not None
    assert reason.startswith("[2Jno way x")
    assert clean(reason) == reason
    assert len(reason) == 300


def test_an_error_without_words_is_kept_by_its_name() -> None:
    assert settled(Refused()).reason == "Refused()"


def test_news_that_is_news_no_more_expires_with_a_reason() -> None:
    delivery = Delivery(Seq(7), 3, 2)
    assert expired(delivery, "it is old", NOW) == Settlement(
        delivery, DeliveryState.EXPIRED, NOW, reason="it is old"
    )


# --- the poll ---

OZARK = ShowId("ozark")


def unread(kind: str, *, pushes: bool = True, retracts: int | None = None) -> Unread:
    target = None if retracts is None else Seq(retracts)
    return Unread(Seq(9), OZARK, UpdateKind(kind), pushes, target)


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("renewed", "renewed"),
        ("saved", "renewed"),
        ("dated", "dated"),
        ("postponed", "dated"),
        ("released", "dated"),
        ("trailer", "trailer"),
        ("cancelled", "cancelled"),
        ("ending", "cancelled"),
    ],
)
def test_an_update_is_for_the_followers_of_its_kind(kind: str, wanted: str) -> None:
    assert decide(unread(kind)) == Job(Seq(9), OZARK, frozenset({UpdateKind(wanted)}))


@pytest.mark.parametrize("kind", ["teaser", "production", "pending", "retracted"])
def test_some_kinds_concern_nobody(kind: str) -> None:
    assert decide(unread(kind)) is None


@pytest.mark.parametrize("kind", UpdateKind)
@pytest.mark.parametrize("retracts", [None, 0, 4])
def test_what_is_not_to_be_pushed_concerns_nobody(kind: str, retracts: int | None) -> None:
    assert decide(unread(kind, pushes=False, retracts=retracts)) is None


@pytest.mark.parametrize("target", [0, 4])
def test_a_retraction_is_for_those_who_got_the_mistake(target: int) -> None:
    assert decide(unread("retracted", retracts=target)) == Job(
        Seq(9), OZARK, ALL_KINDS, Seq(target)
    )
