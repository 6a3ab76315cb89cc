"""Following shows: subscribe, unsubscribe, and what this chat follows."""

from collections.abc import Sequence
from typing import Final

from bot.commands.core import Core
from bot.commands.shows import status
from bot.message import Message, answers
from bot.model import ALL_KINDS, Caller, Kinds, ShowId, Subscription
from bot.seasons import SeasonState, fold_show
from storage.subscriptions import Outcome


async def subscribe(
    core: Core,
    caller: Caller,
    show: str,
    kinds: Kinds = ALL_KINDS,
    role: int | None = None,
    publish: bool | None = None,
) -> Message:
    """Follow a show from now on; the reply tells what is known already.

    Alerts ping the role with the id `role`, and with `publish` go on to other channels; `None`
    leaves either as it was.
    """
    found = await core.find_show(show, caller)
    if caller.destination.home_id is None:
        role = publish = None  # they belong to a server
    wanted = Subscription(caller.destination, found.id, kinds, role, publish)
    outcome = await core.storage.subscriptions.put(wanted)
    stored = await core.storage.subscriptions.get(caller.destination, found.id) or wanted
    if await core.storage.destinations.suspended(caller.destination):
        await core.storage.destinations.resume(caller.destination, core.clock())
        core.wake()
    now = await status(core, caller, found.id)
    if outcome is Outcome.UNCHANGED:
        return answers.already_subscribed(found, stored, now)
    return answers.subscribed(found, stored, now, changed=outcome is Outcome.CHANGED)


async def unsubscribe(core: Core, caller: Caller, show: str) -> Message:
    """Follow a show no more."""
    found = await core.find_show(show)
    was = await core.storage.subscriptions.get(caller.destination, found.id)
    if await core.storage.subscriptions.remove(caller.destination, found.id):
        return answers.unsubscribed(found, was)
    return answers.not_subscribed(found)


PAGE: Final = 10
"""How many shows a page of `/subscriptions` has."""


async def subscriptions(core: Core, caller: Caller, page: int = 1) -> Message:
    """What this chat follows, and where each show stands, page by page."""
    followed = await core.storage.subscriptions.of(caller.destination)
    shows = {one.id: one for one in await core.storage.shows.some([it.show for it in followed])}
    followed.sort(key=lambda one: shows[one.show].title.casefold())
    pages = max(1, -(-len(followed) // PAGE))
    page = min(max(page, 1), pages)
    shown = followed[(page - 1) * PAGE : page * PAGE]
    states = await _states(core, [one.show for one in shown])
    rows = [(shows[one.show], one, states[one.show]) for one in shown]
    return answers.subscriptions(rows, len(followed), core.today, page=page, pages=pages)


async def _states(core: Core, shows: Sequence[ShowId]) -> dict[ShowId, list[SeasonState]]:
    logs = await core.storage.updates.of_shows(shows)
    return {show: fold_show(log) for show, log in logs.items()}
