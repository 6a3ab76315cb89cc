"""When nothing may be sent on a platform, and for how long."""

import pytest

from bot.outbox.holds import (
    FLOODED_CHATS,
    FLOODED_WITHIN,
    LONGEST_FLOOD,
    LOST_LEAST,
    LOST_WINDOW,
    SILENCE,
    SILENT_CHATS,
    STOPPED,
    Holds,
)


class Steady:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Steady:
    return Steady()


@pytest.fixture
def holds(clock: Steady) -> Holds:
    return Holds(clock)


def test_at_first_everything_may_be_sent(holds: Holds) -> None:
    assert holds.remaining() == 0


def test_a_platform_that_refuses_everything_is_left_alone_for_ten_minutes(
    holds: Holds, clock: Steady
) -> None:
    holds.stop()
    assert holds.remaining() == STOPPED == 600
    clock.now += 599
    assert holds.remaining() == 1
    clock.now += 2
    assert holds.remaining() == 0


def test_the_later_deadline_wins(holds: Holds, clock: Steady) -> None:
    holds.stop()
    for chat in range(3):
        holds.flooded(chat, 30)
    assert holds.remaining() == STOPPED
    clock.now += STOPPED - 10
    for chat in range(3):
        holds.flooded(chat, 30)
    assert holds.remaining() == 30


def test_however_long_one_chat_has_to_wait_the_others_are_tried_again(holds: Holds) -> None:
    for chat in range(3):
        holds.flooded(chat, 14 * 24 * 3600)
    assert holds.remaining() == LONGEST_FLOOD == 60


def test_several_chats_without_an_answer_in_a_row_hold_everybody(holds: Holds) -> None:
    assert [holds.unanswered(chat) for chat in range(SILENT_CHATS)] == [False] * 4 + [True]
    assert holds.remaining() == SILENCE


def test_some_chats_without_an_answer_hold_nobody_and_an_answer_ends_the_row(holds: Holds) -> None:
    assert not any(holds.unanswered(chat) for chat in range(1, 5))
    holds.served(9)
    assert not any(holds.unanswered(chat) for chat in range(4))
    assert holds.remaining() == 0
    assert not holds.on_trial


def test_a_chat_that_is_not_answered_again_holds_all(holds: Holds) -> None:
    assert not holds.unanswered(1)
    assert holds.unanswered(1)
    assert holds.remaining() == SILENCE


def test_a_platform_that_says_it_is_in_trouble_is_asked_at_once_and_believed_the_second_time(
    holds: Holds,
) -> None:
    assert not holds.unanswered(1, troubled=True)
    assert holds.on_trial
    holds.answered()
    assert not holds.on_trial
    assert holds.unanswered(2, troubled=True)
    assert holds.remaining() == SILENCE


def test_one_chat_that_makes_trouble_costs_the_others_a_question_and_no_wait(holds: Holds) -> None:
    for _ in range(20):
        assert not holds.unanswered(1, troubled=True)
        holds.answered()
        holds.served(2)
    assert holds.remaining() == 0


def test_after_silence_the_platform_is_asked_before_anything_is_sent(
    holds: Holds, clock: Steady
) -> None:
    assert not holds.unanswered(1)
    assert holds.unanswered(1)
    assert not holds.on_trial
    clock.now += SILENCE
    assert holds.on_trial
    holds.still_silent()
    assert not holds.on_trial
    assert holds.remaining() == SILENCE
    clock.now += SILENCE
    holds.answered()
    assert not holds.on_trial
    assert holds.remaining() == 0


def test_one_chat_that_is_to_wait_holds_nobody_however_often(holds: Holds) -> None:
    assert not any(holds.flooded(1, 60) for _ in range(20))
    assert holds.remaining() == 0


def test_three_chats_within_ten_seconds_hold_everybody(holds: Holds, clock: Steady) -> None:
    assert [holds.flooded(chat, 60) for chat in range(FLOODED_CHATS)] == [False, False, True]
    assert holds.remaining() == 60
    clock.now += 60
    assert holds.remaining() == 0


def test_three_chats_over_a_longer_time_are_their_own_affair(holds: Holds, clock: Steady) -> None:
    for chat in range(10):
        assert not holds.flooded(chat, 60)
        clock.now += FLOODED_WITHIN / 2 + 0.1
    assert holds.remaining() == 0


def test_a_few_lost_chats_are_believed(holds: Holds) -> None:
    assert not any(holds.lost(chat) for chat in range(LOST_LEAST - 1))


def test_ten_lost_chats_and_nobody_reached_are_not_believed(holds: Holds) -> None:
    assert [holds.lost(chat) for chat in range(LOST_LEAST)][-1]


def test_the_same_chat_counts_once(holds: Holds) -> None:
    assert not any(holds.lost(1) for _ in range(50))


def test_lost_chats_are_believed_where_four_times_as_many_are_reached(holds: Holds) -> None:
    for chat in range(100, 140):
        holds.served(chat)
    assert not any(holds.lost(chat) for chat in range(10))
    assert holds.lost(10)


def test_a_chat_that_was_reached_and_is_lost_counts_as_one(holds: Holds) -> None:
    for chat in range(40):
        holds.served(chat)
    assert [holds.lost(chat) for chat in range(9)] == [False] * 9
    assert holds.lost(9), "ten of forty"


def test_what_was_lost_long_ago_is_forgotten(holds: Holds, clock: Steady) -> None:
    for chat in range(LOST_LEAST - 1):
        holds.lost(chat)
    clock.now += LOST_WINDOW
    assert not any(holds.lost(chat) for chat in range(100, 100 + LOST_LEAST - 1))
    assert holds.lost(200)
