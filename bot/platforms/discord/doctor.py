"""Checks the token, the application and its commands, and says what to do."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp

from bot.commands import COMMANDS
from bot.platforms.discord.access import Access, invitation
from bot.platforms.findings import Finding, Verdict
from bot.text import clean, without_secrets

PATIENCE: Final = 10.0
FEW_SESSIONS: Final = 50

Json = dict[str, Any]


class _Refused(Exception):
    """Discord did not answer as it should; the text is for the operator."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


async def examine(access: Access) -> list[Finding]:
    """What is found about Discord; without an answer to the first question there is no second."""
    headers = {"Authorization": f"Bot {access.token}"}
    patience = aiohttp.ClientTimeout(total=PATIENCE)
    try:
        async with aiohttp.ClientSession(headers=headers, timeout=patience) as session:
            asked = _Questions(session, access)
            return [one async for one in asked.findings()]
    except _Refused as refused:
        return [Finding(Verdict.MEND, str(refused))]
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError) as error:
        problem = without_secrets(clean(type(error).__name__))
        return [
            Finding(
                Verdict.MEND,
                f"Discord at {access.api_url} gives no good answer ({problem}): check the network, "
                "and DISCORD_API_URL if you have set it",
            )
        ]


class _Questions:
    """Asks Discord one thing after the other."""

    def __init__(self, session: aiohttp.ClientSession, access: Access) -> None:
        self._session = session
        self._access = access

    async def findings(self) -> AsyncIterator[Finding]:
        """What is found, most important first."""
        application: Json = await self._ask("/applications/@me")
        application_id = int(application["id"])
        yield Finding(Verdict.OK, f"Discord knows the application as {_name(application)}")
        if application.get("interactions_endpoint_url"):
            yield Finding(
                Verdict.MEND,
                "the application sends commands to an Interactions Endpoint URL, not to the bot: "
                "empty that field in the developer portal (General Information)",
            )
        yield await self._commands(application_id)
        async for one in self._sessions():
            yield one
        yield Finding(Verdict.OK, f"invite the bot with: {invitation(application_id)}")

    async def _commands(self, application_id: int) -> Finding:
        guild = self._access.dev_guild
        scope = f"/guilds/{guild}" if guild else ""
        try:
            known: list[Json] = await self._ask(f"/applications/{application_id}{scope}/commands")
        except _Refused as refused:
            if refused.status not in (403, 404) or not guild:
                raise
            return Finding(
                Verdict.MEND,
                f"the bot is not in the server DISCORD_DEV_GUILD={guild}: invite it with the link "
                "below, or leave that setting out",
            )
        offered = {one["name"]: _told(one) for one in known if one.get("type", 1) == 1}
        wanted = {
            one.name: [one.help, *((it.name, it.help) for it in one.parameters)]
            for one in COMMANDS.values()
        }
        if offered == wanted:
            return Finding(Verdict.OK, f"Discord offers the {len(wanted)} commands")
        return Finding(
            Verdict.NOTE,
            "Discord does not offer the commands of this version yet; the bot tells it at its "
            "start",
        )

    async def _sessions(self) -> AsyncIterator[Finding]:
        gateway: Json = await self._ask("/gateway/bot")
        limit, shards = gateway["session_start_limit"], int(gateway["shards"])
        if shards > (self._access.shards or 1):
            yield Finding(
                Verdict.MEND,
                f"Discord recommends {shards} connections: set DISCORD_SHARDS={shards}",
            )
        if limit["remaining"] < FEW_SESSIONS:
            hours = limit["reset_after"] / 3_600_000
            yield Finding(
                Verdict.NOTE,
                f"only {limit['remaining']} of {limit['total']} sessions are left for the next "
                f"{hours:.1f} hours: do not start the bot again and again",
            )

    async def _ask(self, path: str) -> Any:
        async with self._session.get(f"{self._access.api_url}{path}") as answer:
            if answer.status == 401:
                raise _Refused(
                    f"{self._access.api_url} does not accept DISCORD_TOKEN. Copy it again from the "
                    "developer portal (your application → Bot → Reset Token), and check "
                    "DISCORD_API_URL if you have set it",
                    answer.status,
                )
            if answer.status != 200:
                raise _Refused(self._advice(path, answer.status), answer.status)
            return json.loads(await answer.read())

    def _advice(self, path: str, status: int) -> str:
        where = f"Discord at {self._access.api_url} answers {status} to {path}"
        if status == 404:
            return f"{where}: DISCORD_API_URL has to end in /api/v10"
        return f"{where}: try again later"


def _told(command: Json) -> list[Any]:
    """What Discord tells people of a command."""
    options = command.get("options", ())
    return [command["description"], *((one["name"], one["description"]) for one in options)]


def _name(application: Json) -> str:
    return clean(str(application.get("name", "a bot without a name")))
