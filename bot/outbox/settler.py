"""Group commit: outcomes that arrive at about the same time are written together."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from bot.errors import StorageError
from storage.outbox import Deliveries, Settlement

GATHER: Final = 0.001
"""Seconds in which outcomes gather before they are written: a commit costs more than many rows."""

PAUSE: Final = 5.0
"""Seconds between tries while the database refuses."""

log = structlog.get_logger()


class Settler:
    """Writes outcomes down; whoever settles waits until it is stored.

    While nothing can be stored (a full disk), settling waits, and with it the sending: a message
    whose outcome cannot be kept would be sent again.
    """

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries
        self._waiting: list[tuple[Sequence[Settlement], asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def settle(self, outcomes: Sequence[Settlement]) -> None:
        """Store these outcomes together with those that are waiting."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((outcomes, stored))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        await stored

    async def _write_all(self) -> None:
        while self._waiting:
            await asyncio.sleep(GATHER)
            batch, self._waiting = self._waiting, []
            trouble: Exception | None = None
            try:
                await self._write([outcome for outcomes, _ in batch for outcome in outcomes])
            except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
                trouble = error
            for _, stored in batch:
                if stored.done():
                    continue
                if trouble:
                    stored.set_exception(trouble)
                else:
                    stored.set_result(None)

    async def _write(self, outcomes: Sequence[Settlement]) -> None:
        while outcomes:
            try:
                await self._deliveries.settle(outcomes)
            except StorageError as error:
                log.error("outbox.settle", problem=str(error), retry_in=PAUSE)
                await asyncio.sleep(PAUSE)
            else:
                return
