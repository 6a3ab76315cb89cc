"""Any sequence of what people, curators, platforms and power cuts do, to a whole engine.

A model knows who is owed what. Whatever happens in between: nobody is told what they did not
follow, nothing comes twice but where nobody could know, everything comes in order, and in the end
everybody has what they are owed, or its row says why not.
"""

import asyncio
import datetime as dt
import sys
from collections import Counter, defaultdict
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.app import Engine
from bot.errors import DestinationLost, DestinationMoved, MaybeSent, MustWait, NotSent
from bot.model import (
    ALL_KINDS,
    Destination,
    Kinds,
    Platform,
    Seq,
    Subscription,
    Update,
    UpdateKind,
    followed_as,
)
from bot.outbox.messenger import Notice
from storage.store import Storage, open_storage
from storage.trust import trust
from tests.build import NOW, a_correction, a_retraction, an_update
from tests.fakes.clock import FakeClock
from tests.fakes.messenger import FakeMessenger
from tests.storage.builders import SHOW, a_chat, a_folder, blank, publish, put_shows, sql

T = TypeVar("T")
Key = tuple[int, Seq]
HOUR: Final = dt.timedelta(hours=1)
DATED_ONLY: Final = frozenset({UpdateKind.DATED})

chats = st.integers(1, 3)
kinds = st.sampled_from([ALL_KINDS, DATED_ONLY])
FAULTS: Final = ("not sent", "lost answer", "no answer", "wait", "hang", "hang after")
faults = st.lists(st.sampled_from([None, None, *FAULTS]), max_size=4)


class Chats(FakeMessenger):
    """A platform that keeps who was told of what, and hangs as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.script: list[str | None] = []
        self.told: list[tuple[int, tuple[Seq, ...]]] = []
        self.sure: Counter[Key] = Counter()
        """Copies whose sender was told that they arrived."""
        self.unsure: Counter[Key] = Counter()
        """Copies that arrived, and nobody was told so."""
        self.flying: dict[Key, bool] = {}
        """What hangs, and whether it has arrived."""
        self.blocked: set[int] = set()
        self.became: dict[int, int] = {}
        self.hung = asyncio.Event()

    async def send(self, destination: Destination, notices: Sequence[Notice]) -> str | None:
        """Take a message, or fail as the chat or the script says."""
        await asyncio.sleep(0)
        self.attempts += 1
        chat, seqs = destination.chat_id, tuple(one.seq for one in notices)
        if chat in self.became:
            raise DestinationMoved("upgraded", self.became[chat])
        if chat in self.blocked:
            raise DestinationLost("the bot was blocked")
        fault = self.script.pop(0) if self.script else None
        if fault == "not sent":
            raise NotSent("the network is down")
        if fault == "wait":
            raise MustWait("slow down", 600)
        if fault == "no answer":
            raise MaybeSent("no answer")
        if fault == "lost answer":
            self.take(chat, seqs, self.unsure)
            raise MaybeSent("no answer")
        if fault in ("hang", "hang after"):
            if fault == "hang after":
                self.take(chat, seqs, self.unsure)
            self.hung.set()
            await asyncio.Event().wait()
        self.take(chat, seqs, self.sure)
        return f"message-{self.attempts}"

    def take(self, chat: int, seqs: tuple[Seq, ...], how: Counter[Key]) -> None:
        """A message is there."""
        self.told.append((chat, seqs))
        how.update((chat, seq) for seq in seqs)


def a_month(season: int) -> str:
    """When a season comes: one after the other, and not too far ahead."""
    return f"{2027 + season // 12}-{season % 12 + 1:02}"


def _where(task: "asyncio.Task[Any]") -> str:
    """The file of what a task runs: the units of the store run to their end, as on a disk."""
    code = getattr(task.get_coro(), "cr_code", None)
    return code.co_filename if code else ""


class Machine(RuleBasedStateMachine):
    """An engine on a real file, and a model of who is owed what."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = a_folder()
        path = Path(self.folder.name) / "store.db"
        path.write_bytes(blank())
        self.url = f"sqlite:///{path}"
        self.clock = FakeClock(NOW)
        self.chat = Chats()
        self.follows: dict[int, Kinds] = {}
        self.suspended: set[int] = set()
        self.log: dict[Seq, Update] = {}
        self.may_get: dict[Seq, set[int]] = {}
        """Who followed when it was published: nobody else may get it, but as a correction."""
        self.owed: dict[Seq, set[int]] = {}
        self.doubtful: set[Key] = set()
        """What may have arrived: a correction of it is no lie there."""
        self.joined: set[int] = set()
        """Chats that others have become: theirs comes in between, in its own order."""
        self.seasons = 1
        self.stack = AsyncExitStack()
        self.do(self.open())
        self.do(put_shows(self.storage))

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def open(self) -> None:
        self.storage: Storage = await self.stack.enter_async_context(
            open_storage(self.url, trust())
        )
        self.engine = Engine(
            self.storage,
            {Platform.TELEGRAM: self.chat},
            self.clock,
            lambda: 0.5,
            lambda: self.clock().timestamp(),
        )
        await self.engine.outbox.recover()
        self.running = asyncio.create_task(self.engine.outbox.run())

    async def kill(self) -> None:
        """The power goes: nothing is settled or given back."""
        ours = [task for task in asyncio.all_tasks() if "/bot/" in _where(task)]
        for task in ours:
            task.cancel()
        await asyncio.wait([self.running, *ours])
        await self.stack.aclose()

    @initialize(script=faults)
    def begin(self, script: list[str | None]) -> None:
        for chat in (1, 2, 3):
            self.subscribe(chat, ALL_KINDS)
        self.publish(UpdateKind.DATED, script)

    # --- people ---

    def now_of(self, chat: int) -> int:
        while chat in self.chat.became:
            chat = self.chat.became[chat]
        return chat

    @rule(chat=chats, wanted=kinds)
    def subscribe(self, chat: int, wanted: Kinds) -> None:
        chat = self.now_of(chat)
        if self.follows.get(chat, wanted) - wanted:
            self.owes_nothing_more(chat)
        self.do(self.storage.subscriptions.put(Subscription(a_chat(chat), SHOW, wanted)))
        self.follows[chat] = wanted

    @rule(chat=chats)
    def unsubscribe(self, chat: int) -> None:
        chat = self.now_of(chat)
        removed = self.do(self.storage.subscriptions.remove(a_chat(chat), SHOW))
        assert removed == (chat in self.follows)
        self.follows.pop(chat, None)
        self.owes_nothing_more(chat)

    def owes_nothing_more(self, chat: int) -> None:
        for audience in self.owed.values():
            audience.discard(chat)

    # --- curators ---

    @rule(kind=st.sampled_from([UpdateKind.DATED, UpdateKind.RENEWED]), script=st.none() | faults)
    def publish(self, kind: UpdateKind, script: list[str | None] | None) -> None:
        self.seasons += 1
        date = a_month(self.seasons) if kind is UpdateKind.DATED else None
        self._publish(an_update(kind, season=self.seasons, date=date))
        if script is not None:
            self.deliver(script, 0)

    @precondition(lambda self: self.mistakes())
    @rule(data=st.data())
    def correct(self, data: st.DataObject) -> None:
        target = data.draw(st.sampled_from(self.mistakes()))
        if self.log[target].kind is not UpdateKind.DATED:
            return
        wrong = self.log[target]
        assert wrong.season is not None
        date = f"{a_month(wrong.season)}-{len(self.log) % 28 + 1:02}"
        self._publish(a_correction(wrong, date=date), target)

    @precondition(lambda self: self.mistakes())
    @rule(data=st.data())
    def retract(self, data: st.DataObject) -> None:
        target = data.draw(st.sampled_from(self.mistakes()))
        self._publish(a_retraction(self.log[target]), target)

    def mistakes(self) -> list[Seq]:
        """What may be corrected or taken back: that it was not yet."""
        gone = {one.retracts or one.supersedes for one in self.log.values()}
        return [seq for seq, one in self.log.items() if not one.retracts and one.id not in gone]

    def _publish(self, update: Update, mistake: Seq | None = None) -> None:
        seq = self.do(publish(self.storage, update))
        stored = self.do(self.storage.updates.get(update.id))
        assert stored is not None
        self.log[seq] = stored.update
        kind = followed_as(update.kind)
        followers = {chat for chat, wanted in self.follows.items() if kind in wanted}
        if update.retracts:
            followers = set()
        self.may_get[seq] = set(followers)
        self.owed[seq] = set(followers)
        if mistake is not None:
            self.owed[mistake] = set()
            got = {chat for chat, told in self.got() if told == mistake}
            self.owed[seq] |= got

    def got(self) -> set[Key]:
        """Who has what, wherever they are by now."""
        return {(self.now_of(chat), seq) for chat, seqs in self.chat.told for seq in seqs}

    # --- platforms ---

    @rule(chat=chats)
    def suspend(self, chat: int) -> None:
        """Somebody blocks the bot, which hears of it only when it sends."""
        self.chat.blocked.add(self.now_of(chat))

    @rule(chat=chats)
    def resume(self, chat: int) -> None:
        chat = self.now_of(chat)
        self.chat.blocked.discard(chat)
        self.do(self.storage.destinations.resume(a_chat(chat), self.clock()))

    @rule(chat=chats, to=st.integers(1, 5), told=st.booleans())
    def migrate(self, chat: int, to: int, told: bool) -> None:
        """A chat goes on under another id; the platform tells it, or the next send finds out."""
        old = self.now_of(chat)
        if to in self.chat.became or to == old:
            return
        self.chat.became[old] = to
        self.joined.add(to)
        self.chat.blocked.discard(old)
        # Until the bot knows, it keeps the old one's subscription under the old id.
        move = self.storage.destinations.move(Platform.TELEGRAM, old, to, self.clock())
        self.do(move)
        if not told:
            self.do(self.storage.destinations.move(Platform.TELEGRAM, old, to, self.clock()))
        if old in self.follows:
            self.follows[to] = self.follows.pop(old) | self.follows.get(to, frozenset())
        for audience in (*self.owed.values(), *self.may_get.values()):
            if old in audience:
                audience.remove(old)
                audience.add(to)

    # --- the bot ---

    @rule(script=faults, minutes=st.sampled_from([0, 1, 15, 120]))
    def deliver(self, script: list[str | None], minutes: int) -> None:
        """Time passes, and the bot does what is due; what hangs it dies of."""
        self.clock.pass_by(minutes=minutes)
        self.chat.script = list(script)
        self.chat.hung.clear()
        if self.do(self._deliver()):
            self.crash()
        self.chat.script = []

    async def _deliver(self) -> bool:
        working = asyncio.create_task(self.engine.finish())
        hanging = asyncio.create_task(self.chat.hung.wait())
        async with asyncio.timeout(20):
            await asyncio.wait({working, hanging}, return_when=asyncio.FIRST_COMPLETED)
        hung = not working.done()
        for task in (working, hanging):
            task.cancel()
        await asyncio.wait({working, hanging})
        return hung

    @rule()
    def crash(self) -> None:
        self.do(self.kill())
        self.stack = AsyncExitStack()
        self.do(self.open())
        rows = self.rows()
        for chat, seq in list(self.chat.sure):
            states = [state for state, _, _ in rows.get((self.now_of(chat), seq), [])]
            if "sent" not in states:  # it died between the answer and its being written down
                self.chat.unsure[chat, seq] += self.chat.sure.pop((chat, seq))

    # --- the laws ---

    @invariant()
    def it_adds_up(self) -> None:
        assert self.do(self.storage.deliveries.unaccounted()) == 0

    @invariant()
    def nothing_comes_twice_but_where_nobody_could_know(self) -> None:
        sure: Counter[Key] = Counter()
        for (chat, seq), copies in self.chat.sure.items():
            sure[self.now_of(chat), seq] += copies
        for (chat, seq), copies in sure.items():
            if chat not in self.joined:  # two chats that have become one had it each
                assert copies == 1, f"{chat} was told of {seq} {copies} times"

    @invariant()
    def nobody_is_told_what_does_not_concern_them(self) -> None:
        got = self.got()
        numbers = {one.id: seq for seq, one in self.log.items()}
        for chat, seq in got:
            if chat in self.may_get[seq]:
                continue
            target = self.log[seq].retracts or self.log[seq].supersedes
            assert target, f"{chat} did not follow when {seq} was published"
            mistake = numbers[target]
            assert (chat, mistake) in got or self.maybe(chat, mistake), "it never got the mistake"

    def maybe(self, chat: int, seq: Seq) -> bool:
        """Whether the bot had to take it for possible that it arrived."""
        rows = self.rows().get((chat, seq), [])
        return any(state == "uncertain" or flight for state, _, flight in rows)

    @invariant()
    def everything_comes_in_the_order_of_its_publication(self) -> None:
        seen: defaultdict[int, list[Seq]] = defaultdict(list)
        for chat, seqs in self.chat.told:
            seen[chat] += [seq for seq in seqs if seq not in seen[chat]]
        again = self.news_again()
        for chat, seqs_there in seen.items():
            if chat not in self.joined:
                in_turn = [seq for seq in seqs_there if seq not in again]
                assert in_turn == sorted(in_turn), f"{chat}: {seqs_there}"

    def news_again(self) -> set[Seq]:
        """What was corrected, by something that was taken back: it holds again, and is news."""
        gone = {one.retracts for one in self.log.values()}
        wrong = {one.supersedes for one in self.log.values() if one.id in gone}
        return {seq for seq, one in self.log.items() if one.id in wrong}

    def rows(self) -> dict[Key, list[tuple[str, str | None, int]]]:
        """The deliveries, by where their chats are now."""
        found = self.do(
            sql(
                self.storage,
                "SELECT chat_id, update_seq, state, reason, flight FROM deliveries "
                "JOIN destinations ON id = destination_id",
            )
        )
        rows: defaultdict[Key, list[tuple[str, str | None, int]]] = defaultdict(list)
        for chat, seq, *rest in found:
            rows[self.now_of(chat), Seq(seq)].append(tuple(rest))
        return rows

    def teardown(self) -> None:
        try:
            if not sys.exception():  # what has failed already is told as it was
                self.end()
        finally:
            self.do(self.kill())
            self.runner.close()
            self.folder.cleanup()

    def end(self) -> None:
        """Everybody comes back, and hours pass until nothing is left to do."""
        self.chat.script = []
        states: list[str] = []
        for chat in list(self.chat.blocked):
            self.chat.blocked.discard(chat)
        for chat in range(1, 6):
            if chat not in self.chat.became:
                self.do(self.storage.destinations.resume(a_chat(chat), self.clock()))
        for _ in range(30):
            self.do(self.engine.finish())
            states = [state for found in self.rows().values() for state, _, _ in found]
            if {"pending", "held"}.isdisjoint(states):
                break
            self.clock.pass_by(hours=8)
        else:
            raise AssertionError(f"not settled after days: {Counter(states)}")
        self.check_the_end()

    def check_the_end(self) -> None:
        got, rows = self.got(), self.rows()
        for seq, audience in self.owed.items():
            for chat in audience:
                why = [
                    (state, reason)
                    for state, reason, _ in rows.get((chat, seq), [])
                    if state in ("expired", "failed", "uncertain")
                ]
                told = (chat, seq) in got or (why and all(reason for _, reason in why))
                assert told, f"{chat} lacks {seq}: {rows.get((chat, seq))}"
        for (chat, seq), found in rows.items():
            if "sent" in [state for state, _, _ in found]:
                assert (chat, seq) in got, "it says that it was sent"
        self.nothing_comes_twice_but_where_nobody_could_know()
        self.nobody_is_told_what_does_not_concern_them()
        self.everything_comes_in_the_order_of_its_publication()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=20, stateful_step_count=25)
