"""Kills, one after the other: at random moments, and at each named point in turn."""

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from itertools import cycle
from typing import Final

from storage.database import check_file
from tests.fakes.discord import FakeDiscord
from tests.fakes.telegram import FakeTelegram
from tests.kill.process import Running
from tests.kill.scene import Scene

_LONGEST_LIFE: Final = 0.7
_LONGEST_CALM: Final = 0.3
_NEXT_NEWS: Final = 0.6
_QUIET: Final = 1.0
"""Seconds that a bot lives at the end to show that it sends nothing more."""

_BY_ITSELF: Final = (
    "discord.claimed", "telegram.claimed", "fanout.middle", "discord.answered",
    "telegram.answered", "poll.taken", "settled",
)  # fmt: skip
_OFTEN: Final = {"settled": 8}
"""How far into a bot's life a point is at most; outcomes are stored in several units of work."""

_FROM_OUTSIDE: Final = (
    "telegram.written", "publish.committed", "discord.written", "backup.copying",
    "backup.checked",
)  # fmt: skip


class Campaign:
    """Kills a bot again and again while updates are published.

    Every second bot lives until all that may have arrived is settled: so no message is in flight
    at three deaths in a row, which is a case of its own.
    """

    def __init__(self, scene: Scene, chance: random.Random) -> None:
        self.kinds: Counter[str] = Counter()
        self._scene = scene
        self._chance = chance
        self._by_itself = cycle(_BY_ITSELF)
        self._from_outside = cycle(_FROM_OUTSIDE)

    def run(self, kills: int, done: Callable[[], object]) -> None:
        """Kill so many bots; `done` is called after each."""
        for number in range(kills):
            if number % 2:
                self._calm(named=number % 4 == 3)
            else:
                self._brief(named=number % 4 == 2)
            done()
        self._end()

    def _brief(self, *, named: bool) -> None:
        """A bot that dies soon after its start, perhaps before it is ready."""
        if named:
            point = next(self._by_itself)
            self._note(point)
            bot = self._scene.bot(point, self._chance.randint(1, _OFTEN.get(point, 2)))
            self._publish_until_it_dies(bot)
            return
        self._note("random")
        bot = self._scene.bot()
        ends = time.monotonic() + self._chance.uniform(0, _LONGEST_LIFE)
        if self._chance.random() < 0.5:
            self._nap(ends, self._chance.uniform(0, _LONGEST_LIFE))
            self._scene.publish()
        self._nap(ends, _LONGEST_LIFE)
        self._scene.kill(bot)

    def _publish_until_it_dies(self, bot: Running) -> None:
        """Publish; news may all go out together, and another point be reached with the next."""
        for _ in range(10):
            self._scene.publish()
            if bot.ended(_NEXT_NEWS) is not None:
                break
        self._scene.dies(bot)

    def _calm(self, *, named: bool) -> None:
        """A bot that recovers first."""
        scene = self._scene
        bot = scene.bot()
        scene.settled(bot)
        if named:
            self._from_outside_of(bot)
            return
        self._note("random")
        for _ in range(self._chance.randint(0, 2)):
            scene.publish()
            time.sleep(self._chance.uniform(0, _LONGEST_CALM))
        scene.kill(bot)

    def _from_outside_of(self, bot: Running) -> None:
        point = next(self._from_outside)
        self._note(point)
        scene = self._scene
        if point == "publish.committed":
            scene.publish_and_die()
            scene.kill(bot)
        elif point == "telegram.written":
            self._killed_unanswered(bot, scene.telegram)
        elif point == "discord.written":
            self._killed_unanswered(bot, scene.discord)
        else:
            scene.publish()
            nth = self._chance.randint(1, 40) if point == "backup.copying" else 1
            scene.died(scene.nursery.start("db", "backup", point=point, nth=nth))
            scene.kill(bot)

    def _killed_unanswered(self, bot: Running, server: FakeDiscord | FakeTelegram) -> None:
        """Requests are written and carried out, and their answers do not come."""
        with server.held() as hold:
            self._scene.publish()
            server.wait_until_held(hold, self._chance.randint(1, 4))
            self._scene.kill(bot)

    def _end(self) -> None:
        """All is delivered, a clean stop makes no copies, and backups are sound."""
        scene = self._scene
        bot = scene.bot()
        scene.delivered(bot)
        scene.stop(bot)
        before = len(scene.arrivals)
        bot = scene.bot()
        time.sleep(_QUIET)
        scene.stop(bot)
        assert len(scene.arrivals) == before, "something came again after a clean stop"
        assert scene.nursery.do("db", "check") == 0, scene.tail
        assert scene.nursery.do("db", "backup") == 0, scene.tail
        made = list(scene.folder.glob("*.backup"))
        assert made
        for copy in made:
            check_file(copy)
        with closing(sqlite3.connect(max(made))) as newest:
            assert newest.execute("SELECT count(*) FROM updates").fetchone() == (len(scene.log),)
        assert "Traceback" not in scene.nursery.said, scene.tail
        for token in (scene.telegram.token, scene.discord.token):
            assert token.rpartition(":")[2] not in scene.nursery.said, "a token is told"

    def _note(self, kind: str) -> None:
        self.kinds[kind] += 1

    def _nap(self, ends: float, longest: float) -> None:
        time.sleep(max(0.0, min(longest, ends - time.monotonic())))
