"""When messages may leave: what a platform counts is never too much, and who goes first."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.model import Destination, Platform
from bot.outbox.pace import (
    ASKED_WITHIN,
    DISCORD,
    EASED_AFTER,
    EVENLY,
    MARGIN,
    RESERVE,
    SAME_CAUSE,
    TELEGRAM,
    TELEGRAM_PAID,
    UNLIMITED,
    WIDENED,
    WIDEST,
    Limit,
    Limits,
    Pace,
)
from tests.fakes.virtual import Virtual, virtually

MOMENT: Final = 0.001
"""The least that a virtual clock is told apart by here; computing with fractions is less exact."""

FEW: Final = Limits(Limit(5, 1.0))
ANN: Final = 1
GROUP: Final = -1


def playing(limits: Limits, play: Callable[[Pace, Virtual], Coroutine[Any, Any, None]]) -> None:
    """Play with a pace whose clock is that of a loop in which waiting takes no time."""

    async def begin(loop: Virtual) -> None:
        await play(Pace(limits, loop.time), loop)

    virtually(begin)


def most_within(arrivals: list[float], seconds: float) -> int:
    """How many arrive in the fullest window that is a little shorter than `seconds`."""
    ordered = sorted(arrivals)
    return max(
        sum(1 for other in ordered if one <= other < one + seconds - MOMENT / 2) for one in ordered
    )


lateness = st.floats(0, 0.3) | st.floats(0, 3)
on_the_way = st.floats(0, MARGIN - MOMENT)


# --- the law ---


@given(
    limit=st.sampled_from([Limit(30, 1.0), Limit(5, 1.0), Limit(1, 1.0), Limit(3, 2.5)]),
    asked=st.lists(st.tuples(st.floats(0, 2), st.booleans(), on_the_way), min_size=1, max_size=80),
    late=st.lists(lateness, min_size=1),
    refusals=st.sets(st.integers(0, 80), max_size=3),
)
@example(  # what left a window apart comes closer together, by as much as the way there varies
    limit=Limit(3, 2.5),
    asked=[(0.0, False, MARGIN - MOMENT)] + [(0.0, False, 0.0)] * 9,
    late=[0.0],
    refusals=set(),
)
@example(  # and alerts of which one leaves late catch up with it
    limit=Limit(30, 1.0),
    asked=[(0.0, False, 0.02)] * 70,
    late=[0.0, 0.5, 0.0, 0.0, 0.0],
    refusals=set(),
)
def test_no_window_at_the_platform_ever_holds_more_than_the_limit(
    limit: Limit, asked: list[tuple[float, bool, float]], late: list[float], refusals: set[int]
) -> None:
    lates = iter(late * 500)
    arrivals: list[float] = []

    async def play(loop: Virtual) -> None:
        pace = Pace(Limits(limit), loop.time)

        async def send(place: int, after: float, answers: bool, way: float) -> None:
            await asyncio.sleep(after)
            await (pace.reply if answers else pace.turn)(place)
            arrivals.append(loop.time() + way)
            if place in refusals:
                pace.refused()

        sends = (send(place, *one) for place, one in enumerate(asked))
        await asyncio.wait_for(asyncio.gather(*sends), 10_000)

    virtually(play, lambda: next(lates, 0.0))
    assert len(arrivals) == len(asked)
    assert most_within(arrivals, limit.seconds) <= limit.most


@given(
    limits=st.sampled_from([Limits(Limit(30, 1.0), Limit(2, 3.0)), TELEGRAM]),
    chat=st.sampled_from([ANN, GROUP]),
    gaps=st.lists(st.tuples(lateness, on_the_way), min_size=1, max_size=50),
)
def test_no_chat_gets_more_in_any_window_than_it_may(
    limits: Limits, chat: int, gaps: list[tuple[float, float]]
) -> None:
    arrivals: list[float] = []

    async def play(pace: Pace, loop: Virtual) -> None:
        for late, way in gaps:
            await asyncio.sleep(pace.wait(chat) + late)
            await pace.turn(chat)
            arrivals.append(loop.time() + way)

    playing(limits, play)
    assert limits.chat
    assert most_within(arrivals, limits.chat.seconds) <= limits.chat.most
    if limits.group and chat < 0:
        assert most_within(arrivals, limits.group.seconds) <= limits.group.most


# --- in all ---


def test_what_is_sent_without_a_break_leaves_evenly_and_as_fast_as_it_may() -> None:
    left: list[float] = []

    async def play(pace: Pace, loop: Virtual) -> None:
        for chat in range(301):
            await pace.turn(chat)
            left.append(loop.time())

    playing(TELEGRAM, play)
    gaps = [after - before for before, after in pairwise(left)]
    assert min(gaps) >= EVENLY / 30 - MOMENT / 10
    assert 300 / (left[-1] - left[0]) == pytest.approx(30 / (1 + MARGIN), rel=0.02)


def test_what_one_timer_was_late_the_next_ones_make_up() -> None:
    left: list[float] = []

    async def play(pace: Pace, loop: Virtual) -> None:
        for chat in range(40):
            await pace.turn(chat)
            left.append(loop.time())
            if chat == 9:
                await asyncio.sleep(0.2)

    playing(FEW, play)
    assert left[-1] - left[0] == pytest.approx(39 / 5 * (1 + MARGIN), abs=0.3)


def test_alerts_leave_in_the_order_in_which_they_asked() -> None:
    left: list[int] = []

    async def play(pace: Pace, loop: Virtual) -> None:
        async def send(chat: int) -> None:
            await pace.turn(chat)
            left.append(chat)

        await asyncio.gather(*map(send, range(30)))

    playing(FEW, play)
    assert left == list(range(30))


def test_who_gives_up_waiting_takes_no_place() -> None:
    async def play(pace: Pace, loop: Virtual) -> None:
        await pace.turn(ANN)
        start = loop.time()
        waiting = [asyncio.create_task(pace.turn(ANN)) for _ in range(100)]
        answer = asyncio.create_task(pace.reply(ANN))
        await asyncio.sleep(0.01)
        for one in [*waiting, answer]:
            one.cancel()
        await asyncio.wait([*waiting, answer])
        await pace.turn(ANN)
        assert loop.time() - start == pytest.approx(EVENLY / 5, abs=2 * MOMENT)

    playing(FEW, play)


def test_without_a_limit_nobody_ever_waits_and_nothing_is_kept() -> None:
    async def play(pace: Pace, loop: Virtual) -> None:
        assert pace.rate is None
        start = loop.time()
        for chat in range(2000):
            await pace.turn(chat)
            await pace.reply(chat)
            assert pace.wait(chat) == 0
        assert loop.time() == start
        assert not pace._chats

    playing(UNLIMITED, play)


@pytest.mark.parametrize(("limits", "rate"), [(TELEGRAM, 30), (TELEGRAM_PAID, 1000), (DISCORD, 50)])
def test_the_rate_is_what_the_platform_documents(limits: Limits, rate: float) -> None:
    assert Pace(limits).rate == rate


# --- answers to people ---


def test_an_answer_goes_before_everything_that_waits() -> None:
    left: list[str] = []

    async def play(pace: Pace, loop: Virtual) -> None:
        async def alert(number: int) -> None:
            await pace.turn(number)
            left.append("alert")

        async def answer() -> None:
            await asyncio.sleep(0.05)
            await pace.reply(ANN)
            left.append("answer")

        await asyncio.gather(*map(alert, range(20)), answer())

    playing(FEW, play)
    assert left.index("answer") == 1


def test_while_somebody_asks_a_part_of_each_window_is_left_to_answers() -> None:
    waits: list[float] = []

    async def play(pace: Pace, loop: Virtual) -> None:
        async def alerts() -> None:
            for chat in range(1000):
                await pace.turn(chat)

        sending = asyncio.create_task(alerts())
        await pace.reply(ANN)
        for _ in range(20):
            await asyncio.sleep(1.1)
            for _ in range(RESERVE):
                asked_at = loop.time()
                await pace.reply(ANN)
                waits.append(loop.time() - asked_at)
        sending.cancel()
        await asyncio.wait([sending])

    playing(TELEGRAM, play)
    assert max(waits) <= 1 / 30, "nothing but the gap to what has just left"


def test_ten_seconds_after_the_last_question_alerts_have_the_whole_window_again() -> None:
    async def play(pace: Pace, loop: Virtual) -> None:
        async def sent_in(seconds: float) -> int:
            end, count = loop.time() + seconds, 0
            while loop.time() < end:
                await pace.turn(count)
                count += 1
            return count

        await pace.reply(ANN)
        await asyncio.sleep(2)
        asked = await sent_in(1 + MARGIN)
        await asyncio.sleep(ASKED_WITHIN)
        assert (asked, await sent_in(1 + MARGIN)) == (5 - RESERVE + 1, 5 + 1)

    playing(FEW, play)


# --- one chat ---


def test_a_private_chat_gets_one_a_second_and_keeps_up_no_other() -> None:
    async def play(pace: Pace, loop: Virtual) -> None:
        assert pace.wait(ANN) == 0
        await pace.turn(ANN)
        assert pace.wait(ANN) == pytest.approx(1 + MARGIN)
        assert pace.wait(2) == 0
        await asyncio.sleep(0.5)
        assert pace.wait(ANN) == pytest.approx(0.5 + MARGIN), "a wait is a moment, not a length"
        await asyncio.sleep(0.6)
        assert pace.wait(ANN) == 0

    playing(TELEGRAM, play)


def test_a_group_gets_twenty_a_minute_which_is_nothing_to_a_person() -> None:
    async def play(pace: Pace, loop: Virtual) -> None:
        start = loop.time()
        for _ in range(20):
            for chat in (GROUP, ANN):
                await asyncio.sleep(pace.wait(chat))
                await pace.turn(chat)
        assert pace.wait(ANN) <= 1 + MARGIN + MOMENT
        assert loop.time() + pace.wait(GROUP) == pytest.approx(start + 60 + MARGIN)

    playing(TELEGRAM, play)


def test_what_answers_a_person_counts_for_the_chat_too() -> None:
    async def play(pace: Pace, loop: Virtual) -> None:
        await pace.reply(ANN)
        assert pace.wait(ANN) > 1

    playing(TELEGRAM, play)


def test_threads_count_for_their_chat_or_on_a_platform_that_says_so_for_themselves() -> None:
    here = Destination(Platform.DISCORD, 7, 8)
    assert (Pace(TELEGRAM).chat(here), Pace(DISCORD).chat(here)) == (7, 8)
    assert Pace(DISCORD).chat(Destination(Platform.DISCORD, 7)) == 7


# --- what the platform tells ---


def test_a_limit_that_is_announced_holds_instead_of_the_documented_one() -> None:
    async def play(pace: Pace, loop: Virtual) -> None:
        pace.announced(ANN, 0, 7.5)
        await asyncio.sleep(2.5)
        assert pace.wait(ANN) == pytest.approx(5)
        await asyncio.sleep(5.1)
        assert pace.wait(ANN) == 0
        for remaining in range(30, 0, -1):
            await pace.turn(ANN)
            pace.announced(ANN, remaining, 60)
            assert pace.wait(ANN) == 0, "it may get more, far beyond five in five seconds"
        await pace.turn(ANN)
        pace.announced(ANN, 0, 60)
        assert pace.wait(ANN) == pytest.approx(60)
        assert pace.wait(2) == 0

    playing(DISCORD, play)


def test_until_anything_is_announced_the_documented_limit_holds() -> None:
    async def play(pace: Pace, loop: Virtual) -> None:
        for _ in range(5):
            assert pace.wait(ANN) == 0
            await pace.turn(ANN)
        assert pace.wait(ANN) > 4

    playing(DISCORD, play)


def test_after_a_refusal_windows_are_kept_longer_and_minutes_later_as_short_as_before() -> None:
    async def play(pace: Pace, loop: Virtual) -> None:
        for _ in range(10):  # what was on its way together counts as one
            pace.refused()
        assert pace.margin == pytest.approx(MARGIN + WIDENED)
        for _ in range(100):
            await asyncio.sleep(SAME_CAUSE + 0.1)
            pace.refused()
        assert pace.margin == WIDEST
        await pace.turn(ANN)
        assert pace.wait(ANN) == pytest.approx(1 + WIDEST)
        before = pace.margin
        for _ in range(100):
            await asyncio.sleep(EASED_AFTER + 1)
            await pace.turn(ANN)
            assert pace.margin == pytest.approx(max(MARGIN, before - WIDENED))
            before = pace.margin
        assert pace.margin == MARGIN

    playing(TELEGRAM, play)


def test_a_refusal_slows_down_what_leaves() -> None:
    async def play(pace: Pace, loop: Virtual) -> None:
        pace.refused()
        start = loop.time()
        for chat in range(101):
            await pace.turn(chat)
        assert loop.time() - start >= 100 / 5 * (1 + MARGIN + WIDENED) - MOMENT

    playing(FEW, play)


# --- memory ---


def test_chats_that_no_limit_reaches_back_to_are_forgotten() -> None:
    async def play(pace: Pace, loop: Virtual) -> None:
        for chat in range(3000):
            await pace.turn(chat)
            pace.announced(-chat, 0, 0.5)
        await asyncio.sleep(300)
        for chat in range(1, 600):
            await pace.turn(chat)
        assert len(pace._chats) < 700
        assert len(pace._told) < 700

    playing(Limits(Limit(1000, 1.0), Limit(1, 1.0)), play)
    playing(DISCORD, play)


def test_a_group_that_has_had_its_share_is_not_forgotten_too_soon() -> None:
    async def play(pace: Pace, loop: Virtual) -> None:
        for _ in range(20):
            await pace.turn(GROUP)
        until = pace.wait(GROUP)
        for chat in range(300):
            await pace.turn(chat + 5)
        assert until - 15 < pace.wait(GROUP) < until

    playing(TELEGRAM, play)
