"""The outbox: claims what is due, says it through a platform's messenger, settles how it went.

Each platform has a lane of its own. Few messages are in flight at a time: workers take one
destination after the other from a small claimed buffer, so a million deliveries need no more memory
than a hundred. Fan-out jobs are expanded only as the lanes drain. Nothing is sent that is not
recorded, and a worker goes on only when the outcome is written down.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping

import structlog

from bot.message import Message
from bot.model import Clock, Destination, Platform, Seq, ShowId
from bot.outbox.carrier import Carrier
from bot.outbox.composer import Composer
from bot.outbox.expander import Expander
from bot.outbox.holds import Holds
from bot.outbox.lane import Lane, LaneState
from bot.outbox.messenger import Messenger, Notice
from bot.outbox.settler import Settler
from storage.store import Storage

log = structlog.get_logger()


class Outbox:
    """Delivers what is due, now and as it becomes due.

    What is due on a platform without a messenger waits until it has one.
    """

    def __init__(
        self,
        storage: Storage,
        messengers: Mapping[Platform, Messenger],
        clock: Clock,
        chance: Callable[[], float] = random.random,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage = storage
        self._messengers = messengers
        self._told = -int(clock().timestamp() * 1000)
        self._clock = clock
        self._composer = Composer(storage)
        rates = {platform: one.pace.rate for platform, one in messengers.items()}
        self._expander = Expander(storage, clock, self._stir, rates)
        settler = Settler(storage.deliveries)
        self._lanes: dict[Platform, Lane] = {}
        for platform, messenger in messengers.items():
            holds = Holds(steady)
            carrier = Carrier(
                messenger, storage, self._composer, settler, holds, clock, chance, steady
            )
            self._lanes[platform] = Lane(
                platform, carrier, holds, storage, self._expander, clock, steady
            )

    def wake(self) -> None:
        """There is news: look at once."""
        self._composer.forget()
        self._expander.look_again()
        self._stir()

    def clock_was_set(self) -> None:
        """Due times have moved: look at once."""
        self._expander.forget_turns()
        self.wake()

    async def recover(self) -> None:
        """Take back what an earlier process had claimed; at the start of the only bot."""
        freed = await self._storage.deliveries.release(self._clock())
        if freed:
            log.warning("outbox.recovered", deliveries=freed)

    async def run(self) -> None:
        """Deliver until `stop` is called; what was claimed and not tried is given back."""
        async with asyncio.TaskGroup() as lanes:
            for lane in self._lanes.values():
                lanes.create_task(lane.keep_running())

    async def settled(self) -> None:
        """Wait until nothing is due and nothing is in flight; `run` must be under way."""
        self.wake()
        while not all(lane.idle.is_set() for lane in self._lanes.values()):
            for lane in self._lanes.values():
                await lane.idle.wait()

    def lanes(self) -> Mapping[Platform, LaneState]:
        """How the lane of each platform is."""
        return {platform: lane.state for platform, lane in self._lanes.items()}

    async def tell(self, destination: Destination, message: Message) -> None:
        """Send something that is no news, once, when it may leave; raises a `DeliveryError`."""
        messenger = self._messengers[destination.platform]
        await messenger.pace.turn(messenger.pace.chat(destination))
        # No place in the log is negative; each has its own, so that none is taken for a repeat.
        self._told -= 1
        await messenger.send(destination, [Notice(Seq(self._told), message, ShowId(""))])

    def stop(self) -> None:
        """Take nothing more; `run` returns when what is in flight has been settled."""
        for lane in self._lanes.values():
            lane.stop()

    def _stir(self) -> None:
        for lane in self._lanes.values():
            lane.stir()
