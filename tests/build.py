"""Values for tests, with sensible defaults: shows, updates, logs, and what they are checked with.

Ids and `recorded_at` rise in the order in which updates are built.
"""

import datetime as dt
import os
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from ulid import ULID

from bot.curation import Context, check, complete
from bot.dates import ReleaseDate
from bot.model import (
    AnnouncedDate,
    Certainty,
    Push,
    Show,
    ShowId,
    Source,
    SpeakerRole,
    Update,
    UpdateId,
    UpdateKind,
)
from bot.trust import Trust

ROOT: Final = Path(__file__).parents[1]
NOW: Final = dt.datetime(2026, 11, 22, 9, tzinfo=dt.UTC)
TODAY: Final = NOW.date()
VIDEO: Final = "https://www.youtube.com/watch?v=IN5TD4VRcSM"
_NUMBERS: Final = count(1)


def days_ago(days: int) -> dt.date:
    """A day before `TODAY`."""
    return TODAY - dt.timedelta(days=days)


def an_id(number: int | None = None) -> UpdateId:
    """A new id, above all built before; or the id of that number."""
    number = next(_NUMBERS) if number is None else number
    moment = int(NOW.timestamp() * 1000) + number
    return UpdateId(str(ULID.from_int((moment << 80) | number)))


def a_show(show: str = "all-of-us-are-dead", **changes: Any) -> Show:
    """A show on Netflix, called as its id says."""
    title = " ".join(
        word if word in ("of", "the") and place else word.capitalize()
        for place, word in enumerate(show.split("-"))
    )
    return replace(Show(id=ShowId(show), title=title, services=("Netflix",)), **changes)


def a_date(edtf: str, **changes: Any) -> AnnouncedDate:
    """A release date as announced."""
    return replace(AnnouncedDate(ReleaseDate.parse(edtf)), **changes)


def an_update(
    kind: UpdateKind | str = UpdateKind.RENEWED,
    *,
    date: str | AnnouncedDate | None = None,
    certainty: Certainty | str = Certainty.OFFICIAL,
    announced: dt.date = TODAY,
    show: str = "all-of-us-are-dead",
    **changes: Any,
) -> Update:
    """An update about season 2, official by Netflix today; every other field by its name.

    A dated one has a date and a trailer its address. A reported one comes from Variety, a guess
    from nobody in particular.
    """
    kind, certainty = UpdateKind(kind), Certainty(certainty)
    if date is None and kind is UpdateKind.DATED:
        date = "2027-03"
    number = next(_NUMBERS)
    built = Update(
        id=an_id(number),
        recorded_at=NOW + dt.timedelta(milliseconds=number),
        show=ShowId(show),
        season=2,
        kind=kind,
        certainty=certainty,
        date=a_date(date) if isinstance(date, str) else date,
        value=VIDEO if kind in (UpdateKind.TRAILER, UpdateKind.TEASER) else None,
    )
    said: dict[Certainty, dict[str, Any]] = {
        Certainty.OFFICIAL: {
            "speaker": "Netflix",
            "speaker_role": SpeakerRole.PLATFORM,
            "source": Source(url="https://www.netflix.com/tudum/news", published=announced),
        },
        Certainty.REPORTED: {
            "source": Source(
                url="https://variety.com/2026/tv/news/", outlet="Variety", published=announced
            ),
        },
        Certainty.SPECULATION: {
            "source": Source(outlet="a blog", published=announced),
            "push": Push.NEVER,
        },
    }
    return replace(built, **{**said[certainty], **changes})


def a_retraction(target: Update, reason: str = "It was a mistake.", **changes: Any) -> Update:
    """The update that takes `target` back."""
    same = {"season": target.season, "part": target.part, "show": target.show}
    given = {**same, "retracts": target.id, "reason": reason, **changes}
    return an_update(UpdateKind.RETRACTED, **given)


def a_correction(target: Update, reason: str = "It was a mistake.", **changes: Any) -> Update:
    """An update of the same kind and season in place of `target`."""
    same = {"season": target.season, "part": target.part, "show": target.show}
    given = {"kind": target.kind, **same, "supersedes": target.id, "reason": reason, **changes}
    return an_update(**given)


def a_log(*updates: Update | UpdateKind | str) -> tuple[Update, ...]:
    """Updates one after another; a kind stands for an update of that kind with the defaults."""
    return tuple(one if isinstance(one, Update) else an_update(one) for one in updates)


def a_context(
    *log: Update,
    show: Show | None = None,
    today: dt.date = TODAY,
    trust: Trust | None = None,
) -> Context:
    """What an update is checked against: the log before it, and the trust that is shipped."""
    from storage.trust import trust as shipped

    return Context(show or a_show(), log, trust or shipped(), today)


def published(update: Update, context: Context) -> Update:
    """The update as it would be stored; raises `BadRecord` when a rule forbids it."""
    ready = complete(update, context)
    check(ready, context)
    return ready


def shared_file(name: str) -> Path:
    """A file of ../shared/; without it the test is skipped, or fails where it is required."""
    path = ROOT.parent / "shared" / name
    if not path.exists():
        if os.environ.get("CLIFFHANGER_SHARED_REQUIRED") == "1":
            pytest.fail(f"{path} is missing, and CLIFFHANGER_SHARED_REQUIRED=1 asks for it")
        pytest.skip(f"{path} is not here; it is not part of the repository")
    return path
