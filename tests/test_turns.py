"""Whose turn it is among chats that may get something, and chats that have to wait."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from bot.model import Delivery, Destination, Platform, Seq
from bot.outbox.pace import DISCORD, TELEGRAM, Limits, Pace
from bot.outbox.turns import ENOUGH, MOST_WAITING, Turns
from storage.outbox import Parcel

HOT: Final = 1
SECOND: Final = 1.05
"""The seconds after which a chat on Telegram may get another message."""


class Line:
    """Turns with a pace, and a clock in the hands of the test."""

    def __init__(self, limits: Limits = TELEGRAM) -> None:
        self.now = 1000.0
        self.pace = Pace(limits, lambda: self.now)
        self.turns = Turns(self.pace)
        self._numbers = count(1)

    def parcel(self, chat: int, thread: int | None = None, size: int = 1) -> Parcel:
        to = Destination(Platform.TELEGRAM, chat, thread)
        seqs = [Seq(next(self._numbers)) for _ in range(size)]
        row = (chat + 10) * 100 + (thread or 0)
        return Parcel(row, to, tuple(a_delivery(row, seq) for seq in seqs))

    def add(self, *chats: int) -> list[Parcel]:
        parcels = [self.parcel(chat) for chat in chats]
        self.turns.add(parcels)
        return parcels

    def next(self) -> Parcel | None:
        return self.turns.next(self.now)

    def send(self, parcel: Parcel) -> None:
        """One message leaves; what is left of the parcel comes back."""
        self.pace._count(self.pace.chat(parcel.destination))
        left = parcel.deliveries[1:]
        rest = Parcel(parcel.destination_id, parcel.destination, left) if left else None
        self.turns.done(parcel, rest, self.now)

    def sent_now(self) -> list[int]:
        """Send all that may go out now, one after the other; to which chats."""
        return list(self._sending())

    def _sending(self) -> Iterator[int]:
        while parcel := self.next():
            self.send(parcel)
            yield parcel.destination.chat_id


def a_delivery(row: int, seq: Seq) -> Delivery:
    return Delivery(seq, row, 1)


def seqs(parcels: Iterable[Parcel]) -> list[int]:
    return [one.seq for parcel in parcels for one in parcel.deliveries]


def test_parcels_go_out_in_the_order_in_which_they_came() -> None:
    line = Line()
    line.add(3, 1, 2)
    assert line.sent_now() == [3, 1, 2]


def test_a_chat_with_a_backlog_holds_up_no_other_and_gets_its_own_as_soon_as_it_may() -> None:
    line = Line()
    line.turns.add([line.parcel(HOT, size=4)])
    line.add(*range(2, 12))
    assert line.sent_now() == [HOT, *range(2, 12)]
    line.add(*range(20, 25))
    assert line.sent_now() == list(range(20, 25))
    line.now += SECOND
    line.add(*range(30, 35))
    assert line.sent_now() == [HOT, *range(30, 35)], "at the front once it may go on"
    assert line.turns.wait(line.now)
    line.now += SECOND
    assert line.sent_now() == [HOT]


def test_a_group_over_its_minute_holds_up_nobody() -> None:
    line = Line()
    line.turns.add([line.parcel(-1, size=25)])
    for _ in range(25):
        line.sent_now()
        line.now += SECOND
    assert len(line.turns.clear()[0].deliveries) == 5
    line.add(-1, 1, -2, 2)
    assert line.sent_now() == [1, -2, 2]


def test_one_chat_has_one_message_on_its_way_whichever_thread_it_is_for() -> None:
    line = Line()
    one, other = line.parcel(HOT, thread=5), line.parcel(HOT, thread=6)
    line.turns.add([one, other, line.parcel(2)])
    assert line.next() is one
    second = line.next()
    assert second
    assert second.destination.chat_id == 2
    line.now += 10 * SECOND
    assert line.next() is None, "the first one has not been answered"
    line.turns.done(one, None, line.now)
    assert line.next() is other


def test_on_a_platform_that_counts_threads_apart_they_go_out_side_by_side() -> None:
    line = Line(DISCORD)
    parcels = [line.parcel(HOT, thread=5), line.parcel(HOT, thread=6)]
    line.turns.add(parcels)
    assert [line.next(), line.next()] == parcels


def test_the_rest_of_a_parcel_goes_before_what_came_later() -> None:
    line = Line()
    first = line.parcel(HOT, size=2)
    line.turns.add([first, line.parcel(HOT, thread=5)])
    assert line.next() is first
    assert line.next() is None
    line.send(first)
    line.now += SECOND
    rest = line.next()
    assert rest
    assert rest.deliveries == first.deliveries[1:]


def test_it_says_how_long_until_a_chat_may_go_on() -> None:
    line = Line()
    assert line.turns.wait(line.now) is None
    line.turns.add([line.parcel(HOT, size=2), line.parcel(2)])
    line.sent_now()
    wait = line.turns.wait(line.now)
    assert wait
    assert 1 < wait < SECOND
    line.now += 0.5
    assert line.turns.wait(line.now) == wait - 0.5
    line.now += 5
    assert line.turns.wait(line.now) == 0
    assert line.sent_now() == [HOT]


def test_a_chat_that_was_asked_to_wait_meanwhile_does_wait() -> None:
    line = Line(DISCORD)
    for _ in range(5):
        line.pace._count(HOT)
    line.add(HOT)
    assert line.sent_now() == []
    line.now += 4
    line.pace.announced(HOT, 0, 60)
    line.now += 4
    assert line.sent_now() == [], "it was due, but the platform has told something else"
    line.now += 60
    assert line.sent_now() == [HOT]


def test_what_has_to_wait_long_is_given_back_with_how_long() -> None:
    line = Line()
    line.turns.add([line.parcel(-1, size=21), line.parcel(HOT, size=2)])
    for _ in range(20):
        line.sent_now()
        line.now += SECOND
    line.turns.add([line.parcel(HOT, size=2)])
    line.sent_now()
    ((parcel, wait),) = line.turns.late(10, line.now)
    assert (parcel.destination.chat_id, len(parcel.deliveries)) == (-1, 1)
    assert 60 - 20 * SECOND <= wait <= 60
    assert line.turns.late(10, line.now) == []
    line.now += 100
    assert line.sent_now() == [HOT], "it is not there any more, and nobody else is gone"


def test_there_is_enough_with_parcels_that_may_go_out_or_with_many_that_wait() -> None:
    line = Line()
    assert not line.turns.full
    line.add(*[HOT] * ENOUGH)
    assert line.turns.full
    line.sent_now()
    assert not line.turns.full
    line.add(*[HOT] * (MOST_WAITING - ENOUGH))
    line.sent_now()
    assert not line.turns.full
    line.add(HOT)
    line.sent_now()
    assert line.turns.full


ACTS: Final = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(st.tuples(st.sampled_from([1, 2, 3, -1, -2]),
                                                     st.sampled_from([None, 5]),
                                                     st.integers(1, 3)), max_size=6)),
        st.tuples(st.just("next"), st.just(None)),
        st.tuples(st.just("done"), st.integers(0, 5)),
        st.tuples(st.just("pass"), st.sampled_from([0.1, 1.0, 2.0, 61.0])),
        st.tuples(st.just("late"), st.sampled_from([0.0, 0.5, 10.0])),
        st.tuples(st.just("clear"), st.just(None)),
    ),
    max_size=60,
)  # fmt: skip


@given(ACTS)
def test_whatever_comes_nothing_is_lost_doubled_or_out_of_order(
    acts: list[tuple[str, object]],
) -> None:
    line = Line()
    added: set[int] = set()
    back: list[int] = []
    serving: list[Parcel] = []
    sent: dict[int, list[int]] = defaultdict(list)

    def finish(parcel: Parcel) -> None:
        serving.remove(parcel)
        sent[parcel.destination_id].append(parcel.deliveries[0].seq)
        line.send(parcel)

    def begin() -> None:
        if parcel := line.next():
            chats = [one.destination.chat_id for one in serving]
            assert parcel.destination.chat_id not in chats
            assert line.pace.wait(parcel.destination.chat_id) == 0
            serving.append(parcel)

    for act, value in acts:
        if act == "add":
            assert isinstance(value, list)
            parcels = [line.parcel(chat, thread, size) for chat, thread, size in value]
            added.update(seqs(parcels))
            line.turns.add(parcels)
        elif act == "next":
            begin()
        elif act == "done" and serving:
            assert isinstance(value, int)
            finish(serving[value % len(serving)])
        elif act == "pass":
            assert isinstance(value, float)
            line.now += value
        elif act == "late":
            assert isinstance(value, float)
            for parcel, wait in line.turns.late(value, line.now):
                assert wait > value
                back += seqs([parcel])
        elif act == "clear":
            back += seqs(line.turns.clear())

    for _ in range(2000):  # until nothing is left
        before = len(serving)
        begin()
        if len(serving) == before:
            if serving:
                finish(serving[0])
            else:
                until = line.turns.wait(line.now)
                if until is None:
                    break
                line.now += until + 0.001
    gone = [seq for chat in sent.values() for seq in chat]
    assert sorted([*gone, *back]) == sorted(added)
    assert all(chat == sorted(chat) for chat in sent.values())
