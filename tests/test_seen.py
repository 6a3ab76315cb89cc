"""What platforms tell a second time."""

from bot.platforms.seen import Seen


def test_what_comes_a_second_time_is_known() -> None:
    seen = Seen()
    assert [seen.again(number) for number in (1, 2, 1, 2, 3)] == [False, False, True, True, False]


def test_only_the_last_ones_are_remembered() -> None:
    seen = Seen()
    assert not any(seen.again(number) for number in range(10_001))
    assert not seen.again(0)
    assert seen.again(10_000)
