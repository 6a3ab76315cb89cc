"""Takes what Telegram sends: by long polling, which is watched and begun anew when it stalls."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import structlog
import telegram
from telegram.error import Conflict, InvalidToken, TelegramError
from telegram.ext import Updater
from telegram.request import BaseRequest

from bot.platforms.telegram.errors import classify
from bot.platforms.telegram.sender import Bot
from bot.platforms.telegram.transport import AiohttpRequest

ALLOWED: Final = ["message", "edited_message", "channel_post", "callback_query", "my_chat_member"]
"""The kinds of updates that are asked for: only what is used."""

POLL: Final = 30
"""Seconds that Telegram holds a poll open."""

STALLED: Final = 90.0
"""Seconds without an answer to a poll after which polling is begun anew."""

LOOK_EVERY: Final = 5.0
STOP_WITHIN: Final = 1.0
"""Seconds for the last word to Telegram; what is not confirmed comes again."""

REFUSED_WAITS: Final = (60.0, 120.0, 300.0, 600.0)
"""Seconds between tries while Telegram does not accept the token; the last one repeats."""

log = structlog.get_logger()


def readable(told: object) -> dict[str, Any]:
    """An update as Telegram tells it; raises `ValueError` where it is none.

    One that cannot be read becomes an empty one: refused, it would come again and again.
    """
    number = told.get("update_id") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(number, int):
        raise ValueError("this is no update")  # noqa: TRY004 - as for what is no JSON
    try:
        telegram.Update.de_json(told)
    except Exception as error:  # noqa: BLE001 - whatever it is, the next update is to be read
        log.warning("telegram.bad_update", update=number, problem=repr(error)[:300])
        return {"update_id": number}
    return told


class PollRequest(AiohttpRequest):
    """For getUpdates: python-telegram-bot would ask at once, for ever, for what it cannot read."""

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """An answer in which every update can be read; raises `TelegramError` where it is none."""
        try:
            answer = BaseRequest.parse_json_payload(payload)
            if "description" not in answer:
                answer["result"] = [readable(one) for one in answer["result"]]
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise TelegramError("Invalid server response") from error
        return answer


class Polling:
    """Long polling that does not end: what python-telegram-bot gives up is begun anew.

    One 401 ends its polling without a word, and a wedged connection pool makes it run on without
    ever asking: only the time of the last good answer tells.
    """

    def __init__(
        self,
        bot: Bot,
        request: AiohttpRequest,
        queue: "asyncio.Queue[Any]",
        *,
        stalled: float = STALLED,
        look_every: float = LOOK_EVERY,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bot = bot
        self._request = request
        self._queue = queue
        self._stalled = stalled
        self._look_every = look_every
        self._now = now
        self._refused = 0

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            # A fresh one each time: its stop leaves it unusable after a 401.
            updater = Updater(self._bot, self._queue)
            try:
                await self._poll(updater)
            except InvalidToken as error:
                wait = REFUSED_WAITS[min(self._refused, len(REFUSED_WAITS) - 1)]
                self._refused += 1
                log.error("telegram.refused", problem=str(classify(error)), retry_in=wait)
                await asyncio.sleep(wait)
            except TelegramError as error:
                log.error("telegram.polling_failed", problem=str(classify(error)))
                await asyncio.sleep(self._look_every)
            finally:
                await self._stop(updater)
            await self._request.renew()

    async def _poll(self, updater: "Updater") -> None:
        """Poll until nothing is heard any more."""
        await updater.initialize()
        await updater.start_polling(
            timeout=POLL,
            bootstrap_retries=-1,
            allowed_updates=ALLOWED,
            drop_pending_updates=False,
            error_callback=_report,
        )
        begun = self._now()
        while self._silence(begun) < self._stalled:
            await asyncio.sleep(self._look_every)
            self._refused = 0
        log.error("telegram.polling_stalled", seconds=round(self._silence(begun)))

    def _silence(self, begun: float) -> float:
        """Seconds since the last good answer to a poll."""
        return self._now() - max(begun, self._request.last_success or 0)

    async def _stop(self, updater: "Updater") -> None:
        """Stop, and confirm what was taken; a connection that hangs does not hold it up."""
        if not updater.running:
            return
        # Not cancelled when it is late: the updater would only go on to its next request.
        stopping = asyncio.create_task(updater.stop())
        _, late = await asyncio.wait([stopping], timeout=STOP_WITHIN)
        if late:
            await self._request.shutdown()  # what it waits for fails, and it ends
            await asyncio.wait([stopping], timeout=1.0)
            await self._request.initialize()
        if not stopping.cancel():
            stopping.exception()


def _report(error: TelegramError) -> None:
    if isinstance(error, Conflict):
        log.error(
            "telegram.second_bot",
            problem="Another program asks Telegram for the messages of this bot (409). Stop it: "
            "each of the two gets only some of them.",
        )
    else:
        log.warning("telegram.poll_failed", problem=str(classify(error)))
