"""How many commands one may send: laws over every sequence of commands and pauses."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from bot.platforms.throttle import Throttle, Verdict

TAKE, TELL, IGNORE = Verdict.TAKE, Verdict.TELL, Verdict.IGNORE
BURST, RATE = 4, 2.0


class Seconds:
    """A steady clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


pauses = st.lists(st.sampled_from([0.0, 0.01, 0.1, 0.5, 0.9, 1.0, 3.0, 100.0]), max_size=80)


def verdicts(pauses: Sequence[float]) -> list[tuple[float, Verdict]]:
    """What becomes of commands with these pauses before them."""
    clock = Seconds()
    throttle = Throttle(BURST, RATE, clock)
    said = []
    for pause in pauses:
        clock.now += pause
        said.append((clock.now, throttle.ask("somebody")))
    return said


def test_a_burst_is_taken_and_what_is_more_is_told_once() -> None:
    said = [verdict for _, verdict in verdicts([0.0] * 50)]
    assert said == [TAKE] * BURST + [TELL] + [IGNORE] * (49 - BURST)


def test_who_was_refused_is_heard_again_when_a_command_is_left() -> None:
    said = [verdict for _, verdict in verdicts([0.0] * (BURST + 1) + [0.25, 0.25, 0.25, 0.25])]
    assert said[BURST:] == [TELL, IGNORE, TAKE, IGNORE, TAKE]


def test_a_flood_without_a_pause_is_told_once_however_long_it_lasts() -> None:
    said = [verdict for _, verdict in verdicts([1 / 64] * 64 * 60)]
    assert said.count(TELL) == 1
    assert 60 * RATE <= said.count(TAKE) <= BURST + 60 * RATE


def test_who_made_a_pause_is_told_again() -> None:
    flood = [0.0] * (BURST + 3)
    said = [verdict for _, verdict in verdicts([*flood, 1.0, *flood])]
    assert said.count(TELL) == 2


@given(pauses)
def test_no_stretch_of_time_holds_more_than_a_burst_and_the_rate(pauses: list[float]) -> None:
    taken = [at for at, verdict in verdicts(pauses) if verdict is TAKE]
    for first, begin in enumerate(taken):
        for last, end in enumerate(taken[first:], first):
            assert last - first + 1 <= BURST + (end - begin) * RATE + 1e-6


@given(pauses)
def test_whoever_waits_for_the_rate_is_always_taken(pauses: list[float]) -> None:
    slow = [max(pause, 1 / RATE) for pause in pauses]
    assert {verdict for _, verdict in verdicts(slow)} <= {TAKE}


@given(pauses)
def test_silence_begins_with_a_word(pauses: list[float]) -> None:
    told = False
    for _, verdict in verdicts(pauses):
        told = told or verdict is TELL
        assert told or verdict is not IGNORE


def test_each_has_an_allowance_of_their_own() -> None:
    throttle = Throttle(1, 1, Seconds())
    assert [throttle.ask(key) for key in (1, 2, 1, 2, (1, 2))] == [TAKE, TAKE, TELL, TELL, TAKE]


def test_a_crowd_does_not_fill_the_memory_and_who_speaks_on_is_remembered() -> None:
    throttle = Throttle(2, 1, Seconds())
    throttle.ask("a flooder")
    for stranger in range(30_000):
        throttle.ask(stranger)
        if stranger % 5000 == 0:
            throttle.ask("a flooder")
    assert len(throttle._buckets) == 10_000
    assert throttle.ask("a flooder") is IGNORE
