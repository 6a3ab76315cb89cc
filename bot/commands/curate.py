"""What curators do: draft, preview and retract updates."""

import datetime as dt
from dataclasses import dataclass

from ulid import ULID

from bot.curation import NEWS_AGE
from bot.dates import ReleaseDate
from bot.errors import BadRecord
from bot.message import Message
from bot.message.alerts import News, alert
from bot.model import (
    AnnouncedDate,
    Certainty,
    Push,
    Show,
    Source,
    Update,
    UpdateId,
    UpdateKind,
    followed_as,
)
from bot.trust import Trust
from storage.publishing import Prepared
from storage.store import Storage


@dataclass(frozen=True, slots=True)
class Draft:
    """An update as a curator words it; what is left out is worked out from the rest."""

    kind: UpdateKind
    season: int | None = None
    part: int | None = None
    date: str | None = None
    trailer: str | None = None
    certainty: Certainty | None = None
    speaker: str | None = None
    source: str | None = None
    outlet: str | None = None
    announced: dt.date | None = None
    evidence: str | None = None
    supersedes: str | None = None
    reverses: str | None = None
    reason: str | None = None
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    """What publishing would store and say, and to how many destinations."""

    prepared: Prepared
    message: Message
    audience: int


def draft_update(show: Show, draft: Draft, trust: Trust, now: dt.datetime) -> Update:
    """The update that a draft describes; raises `BadRecord` when it does not say who said it."""
    url = draft.source or draft.trailer
    certainty = draft.certainty or _certainty(draft, url, trust)
    announced = draft.announced or now.date()
    outlet = trust.outlet(draft.outlet, url) if certainty is Certainty.REPORTED else None
    decider = trust.decider_at(url) if certainty is Certainty.OFFICIAL else None
    return Update(
        id=UpdateId(str(ULID.from_datetime(now))),
        recorded_at=now.replace(microsecond=now.microsecond // 1000 * 1000),
        show=show.id,
        season=draft.season,
        part=draft.part,
        kind=draft.kind,
        value=draft.trailer,
        date=AnnouncedDate(ReleaseDate.parse(draft.date), raw=draft.date) if draft.date else None,
        certainty=certainty,
        speaker=draft.speaker or (decider.name if decider else None),
        source=Source(
            url=url,
            outlet=outlet.name if outlet else draft.outlet,
            kind=outlet.kind if outlet else ("first_party" if decider else None),
            published=announced,
        ),
        evidence=draft.evidence,
        method="cli",
        supersedes=_reference(draft.supersedes),
        reverses=_reference(draft.reverses),
        reason=draft.reason,
        push=_push(draft, certainty, announced, now.date()),
    )


def _certainty(draft: Draft, url: str | None, trust: Trust) -> Certainty:
    if draft.speaker or (not draft.outlet and trust.decider_at(url)):
        return Certainty.OFFICIAL
    if draft.outlet or trust.outlet(None, url):
        return Certainty.REPORTED
    raise BadRecord(
        "certainty",
        "who stands behind this? Give --speaker (who decided it) and --source, or --outlet (who "
        "reported it), or say --certainty speculation.",
    )


def _push(draft: Draft, certainty: Certainty, announced: dt.date, today: dt.date) -> Push:
    if certainty is Certainty.SPECULATION:
        return Push.NEVER
    return Push.QUIET if draft.quiet or today - announced > NEWS_AGE else Push.AUTO


def _reference(text: str | None) -> UpdateId | None:
    return UpdateId(text.strip().upper()) if text else None


def draft_retraction(target: Update, reason: str, now: dt.datetime) -> Update:
    """The update that takes another one back."""
    return Update(
        id=UpdateId(str(ULID.from_datetime(now))),
        recorded_at=now.replace(microsecond=now.microsecond // 1000 * 1000),
        show=target.show,
        season=target.season,
        part=target.part,
        kind=UpdateKind.RETRACTED,
        certainty=target.certainty,
        source=Source(published=now.date()),
        method="cli",
        retracts=target.id,
        reason=reason,
        push=Push.AUTO if target.confirmed else Push.NEVER,
    )


async def preview(storage: Storage, update: Update, today: dt.date) -> Preview:
    """What publishing the update would do; raises `BadRecord` when a rule forbids it."""
    prepared = await storage.publishing.prepare(update, today)
    ready = prepared.update
    message = alert(News(prepared.show, ready, (*prepared.log, ready)))
    return Preview(prepared, message, await _audience(storage, prepared))


async def _audience(storage: Storage, prepared: Prepared) -> int:
    update = prepared.update
    if prepared.quiet:
        return 0
    if update.retracts:
        return await storage.deliveries.reached(update.retracts)
    kind = followed_as(update.kind)
    return await storage.subscriptions.audience(update.show, frozenset({kind})) if kind else 0
