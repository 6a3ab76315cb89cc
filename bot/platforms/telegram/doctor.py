"""Checks the token, the address, the webhook and the clock, and says what to do."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Final

import telegram
from telegram.error import InvalidToken, TelegramError
from telegram.ext import ExtBot

from bot.platforms.findings import Finding, Verdict
from bot.platforms.telegram.errors import classify
from bot.platforms.telegram.service import Access
from bot.platforms.telegram.transport import AiohttpRequest
from bot.text import clean, without_secrets

WRONG_CLOCK: Final = dt.timedelta(seconds=30)
"""Telegram tells its time to the second; an answer takes a while."""

BACKLOG: Final = 100
PATIENCE: Final = 10.0


async def examine(access: Access) -> list[Finding]:
    """What is found about Telegram; without an answer to the first question there is no second."""
    request = AiohttpRequest(connections=1, read_timeout=PATIENCE)
    bot: ExtBot[None] = ExtBot(
        access.token,
        base_url=f"{access.api_url}/bot",
        request=request,
        get_updates_request=request,  # else one is made that reads the proxies its own way
    )
    try:
        await request.initialize()
        me = await bot.get_me()
        found = [_who(me)]
        found += [one async for one in _webhook(bot, access)]
        return [*found, _clock(request.server_date, dt.datetime.now(dt.UTC))]
    except TelegramError as error:
        return [Finding(Verdict.MEND, _unreached(error, access))]
    finally:
        await request.shutdown()


def _unreached(error: TelegramError, access: Access) -> str:
    if isinstance(error, InvalidToken):
        return (
            f"{access.api_url} does not accept TELEGRAM_TOKEN. Copy it again from @BotFather "
            "(/mybots, API Token), and check TELEGRAM_API_URL if you have set it"
        )
    return f"Telegram at {access.api_url} gives no good answer: {classify(error)}"


def _who(me: telegram.User) -> Finding:
    if me.can_join_groups is False:
        return Finding(
            Verdict.NOTE,
            f"Telegram knows the bot as @{me.username}, which cannot be added to groups; "
            "@BotFather changes that with /setjoingroups",
        )
    return Finding(Verdict.OK, f"Telegram knows the bot as @{me.username}")


async def _webhook(bot: ExtBot[None], access: Access) -> AsyncIterator[Finding]:
    info = await bot.get_webhook_info()
    if info.url and not access.webhook_url:
        yield Finding(
            Verdict.NOTE,
            "Telegram still sends to a webhook; the bot removes it at its start, as "
            "TELEGRAM_WEBHOOK_URL is not set",
        )
    elif access.webhook_url and info.url != access.webhook_url:
        yield Finding(
            Verdict.NOTE, "the webhook is not set at Telegram yet; the bot does so at its start"
        )
    else:
        mode = "a webhook" if access.webhook_url else "long polling"
        yield Finding(Verdict.OK, f"messages come by {mode}")
    if info.last_error_message and access.webhook_url:
        reason = without_secrets(clean(info.last_error_message))
        yield Finding(
            Verdict.MEND,
            f"Telegram could not reach TELEGRAM_WEBHOOK_URL: {reason}. Check the address, its "
            "certificate and that the proxy passes requests on to TELEGRAM_WEBHOOK_LISTEN",
        )
    if info.pending_update_count > BACKLOG:
        yield Finding(
            Verdict.NOTE,
            f"{info.pending_update_count:,} messages wait at Telegram for the bot; it takes them "
            "when it runs",
        )


def _clock(server: dt.datetime | None, now: dt.datetime) -> Finding:
    off = now - server if server else dt.timedelta(0)
    if abs(off) > WRONG_CLOCK:
        ahead = "ahead of" if off > dt.timedelta(0) else "behind"
        return Finding(
            Verdict.MEND,
            f"the clock here is {abs(off).total_seconds():,.0f} s {ahead} Telegram's. Set it: "
            "deliveries are timed by it",
        )
    return Finding(Verdict.OK, "the clock agrees with Telegram's")
