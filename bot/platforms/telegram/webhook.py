"""Takes what Telegram sends to an address of ours, instead of polling."""

import asyncio
import hmac
import json
import secrets
from typing import Any, Final

import structlog
import telegram
from aiohttp import web
from telegram.error import InvalidToken, TelegramError
from yarl import URL

from bot.errors import SettingsError
from bot.platforms.telegram.errors import classify
from bot.platforms.telegram.receiving import ALLOWED, REFUSED_WAITS, readable
from bot.platforms.telegram.sender import Bot

BODY_LIMIT: Final = 2**20
"""Bytes of one update; a longer request is refused."""

_HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"
_RETRY: Final = 10.0

log = structlog.get_logger()


class Webhook:
    """A small web server for Telegram alone; a proxy with TLS stands before it.

    Only who knows the secret, which is made anew at each start, is listened to.
    """

    def __init__(self, bot: Bot, url: str, listen: str, queue: "asyncio.Queue[Any]") -> None:
        self._bot = bot
        self._url = url
        self._listen = listen
        self._queue = queue
        self._secret = secrets.token_urlsafe(32)

    async def run(self) -> None:
        """Listen until cancelled; raises `SettingsError` where the address is taken."""
        application = web.Application(client_max_size=BODY_LIMIT)
        application.router.add_post(URL(self._url).path or "/", self._take)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        host, _, port = self._listen.rpartition(":")
        try:
            await web.TCPSite(runner, host.strip("[]"), int(port)).start()
            await self._announce()
            await asyncio.Event().wait()
        except OSError as error:
            raise SettingsError(
                f"TELEGRAM_WEBHOOK_LISTEN = {self._listen}: cannot listen there "
                f"({error.strerror or error}). Choose another address or port."
            ) from error
        finally:
            await runner.cleanup()

    async def _announce(self) -> None:
        """Tell Telegram where to send; tried until it takes it."""
        tries = 0
        while True:
            try:
                await self._bot.set_webhook(
                    self._url,
                    allowed_updates=ALLOWED,
                    drop_pending_updates=False,
                    secret_token=self._secret,
                )
            except TelegramError as error:
                refused = isinstance(error, InvalidToken)
                wait = REFUSED_WAITS[min(tries, len(REFUSED_WAITS) - 1)] if refused else _RETRY
                tries += 1
                log.error("telegram.no_webhook", problem=str(classify(error)), retry_in=wait)
                await asyncio.sleep(wait)
            else:
                return

    async def _take(self, request: web.Request) -> web.Response:
        # Bytes that are no text are kept in a header as surrogates.
        given = request.headers.get(_HEADER, "").encode(errors="surrogateescape")
        if not hmac.compare_digest(given, self._secret.encode()):
            return web.Response(status=403)
        try:
            told = readable(json.loads(await request.read()))
        except (ValueError, RecursionError):
            log.warning("telegram.bad_request")
            return web.Response(status=400)
        await self._queue.put(telegram.Update.de_json(told, self._bot))
        return web.Response()
