"""What is known: of one show, of the dates ahead, and of the latest news."""

import datetime as dt

from bot.commands.core import Core
from bot.message import Message, answers
from bot.message.status import status as tell_status
from bot.model import Caller, Show
from bot.seasons import SeasonState, Stage, fold_show, in_force

LISTED = 10
"""The most lines a list has."""

_AHEAD = frozenset({Stage.WINDOW, Stage.DATED})


async def status(core: Core, caller: Caller, show: str) -> Message:
    """Renewed or not and who said so, the date, the trailer, and guesses marked as guesses."""
    found = await core.find_show(show, caller)
    log = await core.storage.updates.of_show(found.id)
    followed = await core.storage.subscriptions.of(caller.destination)
    following = any(one.show == found.id for one in followed)
    return tell_status(found, fold_show(log), core.today, followed=following)


async def upcoming(core: Core, caller: Caller) -> Message:
    """The confirmed dates ahead, nearest first; followed shows are marked."""
    followed = {one.show for one in await core.storage.subscriptions.of(caller.destination)}
    logs = await core.storage.updates.of_shows(await core.storage.updates.dated_after(core.today))
    shows = {show.id: show for show in await core.storage.shows.some(logs)}
    states = [
        (shows[show], state)
        for show, log in logs.items()
        for state in fold_show(log)
        if _is_ahead(state, core.today)
    ]
    states.sort(key=_nearest)
    return answers.upcoming(states[:LISTED], followed)


def _is_ahead(state: SeasonState, today: dt.date) -> bool:
    upper = state.known.date.upper
    return state.known.stage in _AHEAD and (upper is None or upper >= today)


def _nearest(dated: tuple[Show, SeasonState]) -> tuple[object, ...]:
    show, state = dated
    return (*state.known.date.order, show.title)


async def latest(core: Core, _caller: Caller) -> Message:
    """The newest confirmed facts of the store."""
    # More than are told: second sources and what was taken back drop out.
    news = await core.storage.updates.latest(5 * LISTED)
    logs = await core.storage.updates.of_shows({update.show for update in news})
    valid = {update.id for log in logs.values() for update in in_force(log)}
    shows = {show.id: show for show in await core.storage.shows.some(logs)}
    told = [
        (shows[update.show], update) for update in news if update.id in valid and not update.also
    ]
    return answers.latest(told[:LISTED])
