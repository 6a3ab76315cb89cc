"""Group commit: what is to be written at about the same time is written together."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from bot.errors import StorageError
from bot.model import Delivery
from storage.outbox import Deliveries, Settlement

GATHER: Final = 0.001
"""Seconds in which outcomes gather before they are written: a commit costs more than many rows."""

PAUSE: Final = 5.0
"""Seconds between tries while the database refuses."""

log = structlog.get_logger()

_Entry = tuple[Sequence[Settlement], Sequence[Delivery], "asyncio.Future[None]"]


class Settler:
    """Writes down what is about to be sent, and its outcomes; whoever asks waits until it is so.

    While nothing can be stored (a full disk) all wait, and with them the sending: a message whose
    outcome cannot be kept would be sent again.
    """

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries
        self._waiting: list[_Entry] = []
        self._writing: asyncio.Task[None] | None = None

    async def settle(self, outcomes: Sequence[Settlement]) -> None:
        """Store these outcomes together with what is waiting."""
        await self._store(outcomes, ())

    async def board(self, aboard: Sequence[Delivery]) -> None:
        """Store that these are about to be sent, together with what is waiting."""
        await self._store((), aboard)

    async def _store(self, outcomes: Sequence[Settlement], aboard: Sequence[Delivery]) -> None:
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((outcomes, aboard, stored))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        await stored

    async def _write_all(self) -> None:
        while self._waiting:
            await asyncio.sleep(GATHER)
            batch, self._waiting = self._waiting, []
            trouble: Exception | None = None
            try:
                await self._write(
                    [one for outcomes, _, _ in batch for one in outcomes],
                    [one for _, aboard, _ in batch for one in aboard],
                )
            except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
                trouble = error
            for _, _, stored in batch:
                if stored.done():
                    continue
                if trouble:
                    stored.set_exception(trouble)
                else:
                    stored.set_result(None)

    async def _write(self, outcomes: Sequence[Settlement], aboard: Sequence[Delivery]) -> None:
        while outcomes or aboard:
            try:
                await self._deliveries.settle(outcomes, aboard)
            except StorageError as error:
                log.error("outbox.settle", problem=str(error), retry_in=PAUSE)
                await asyncio.sleep(PAUSE)
            else:
                return
