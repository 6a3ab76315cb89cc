"""Why an update came to a chat, or did not: what is recorded of it, told step by step. Pure."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bot.curation import quiet_reason
from bot.message import Action, Line, Message, line
from bot.message.answers import kinds_words
from bot.message.dates import day
from bot.message.facts import claim, season_name
from bot.model import (
    ALL_KINDS,
    DeliveryState,
    Destination,
    Kinds,
    Seq,
    Show,
    Update,
    UpdateId,
    UpdateKind,
    followed_as,
)
from bot.seasons import key_of


@dataclass(frozen=True, slots=True)
class Following:
    """How a destination follows a show: only updates after `since` are news to it."""

    kinds: Kinds
    since: Seq


@dataclass(frozen=True, slots=True)
class Taken:
    """When the poll took an update to be told, and whether this destination's turn has `come`."""

    at: dt.datetime
    come: bool


@dataclass(frozen=True, slots=True)
class Stopped:
    """Sending to a destination has stopped for now."""

    reason: str
    since: dt.datetime


@dataclass(frozen=True, slots=True)
class Sending:
    """A delivery: where it stands, and a line for each attempt that did not simply arrive.

    `behind` says that earlier news for the same destination waits as well.
    """

    state: DeliveryState
    due_at: dt.datetime
    attempts: int
    on_its_way: bool = False
    message_id: str | None = None
    reason: str | None = None
    settled_at: dt.datetime | None = None
    trail: tuple[str, ...] = ()
    behind: bool = False


@dataclass(frozen=True, slots=True)
class Trace:
    """What is recorded of one update for one destination.

    `known` says that the destination is known at all, `read` that the poll has come to the update,
    `mistake` what the update takes back or replaces, and `undone_by` what does so with it.
    """

    destination: Destination
    show: Show
    update: Update
    seq: Seq
    pushes: bool
    known: bool = True
    read: bool = True
    following: Following | None = None
    taken: Taken | None = None
    stopped: Stopped | None = None
    sending: Sending | None = None
    mistake: UpdateId | None = None
    got_mistake: bool = False
    undone_by: Update | None = None


TOLD: Final = 3
"""How many updates `/why` explains."""


def why(show: Show, traces: Sequence[Trace], now: dt.datetime) -> Message:
    """What became of the newest updates of a show in a chat, the newest first."""
    if not traces:
        nothing = line("As soon as there is, whoever follows it is told.")
        return Message(f"Nothing is on record about {show.title} yet.", (nothing,), private=True)
    follow = Action("Subscribe", f"/subscribe {show.id}")
    return Message(
        title=f"What became of the latest updates about {show.title} here:",
        lines=tuple(words for trace in traces for words in _told(trace, now)),
        actions=() if traces[0].following else (follow,),
        private=True,
    )


def _told(trace: Trace, now: dt.datetime) -> Iterator[Line]:
    yield line(f"• {heading(trace)}")
    for words in explained(trace, now):
        yield line(f"– {words}")


def heading(trace: Trace) -> str:
    """The update in one line: "DATED · Ozark, season 4: the date 2 May 2027 · 3 June 2026"."""
    update = trace.update
    season = season_name(trace.show, key_of(update))
    what = f": {claim(update)}" if update.kind is UpdateKind.DATED else ""
    return f"{str(update.kind).upper()} · {season}{what} · {day(update.announced)}"


def explained(trace: Trace, now: dt.datetime) -> list[str]:
    """The steps from the update to the chat, each a sentence, down to how it ended."""
    steps = [_subscription(trace)]
    if trace.got_mistake:
        steps.append(f"This chat got {trace.mistake}, which this puts right: it is told anyway.")
    elif trace.following and trace.pushes:
        steps += _kind_filter(trace)
    if trace.taken:
        steps.append(f"Taken to be told on {moment(trace.taken.at)}.")
    if trace.sending is None:
        return [*steps, f"Nothing was sent: {_why_not(trace)}"]
    steps += [f"Attempt: {attempt}" for attempt in trace.sending.trail]
    steps.append(_standing(trace, trace.sending, now))
    if trace.undone_by and trace.undone_by.retracts:
        steps.append(f"It was taken back by {trace.undone_by.id}.")
    elif trace.undone_by:
        steps.append(f"It was corrected by {trace.undone_by.id}.")
    return steps


def moment(at: dt.datetime) -> str:
    """A time in words: "3 June 2026, 09:04:05 UTC"."""
    utc = at.astimezone(dt.UTC)
    return f"{day(utc.date())}, {utc:%H:%M:%S} UTC"


def _subscription(trace: Trace) -> str:
    if trace.following is None:
        return "The show is not followed here."
    wanted = trace.following.kinds
    kinds = "every kind of news" if wanted == ALL_KINDS else f"only {kinds_words(wanted)}"
    began = "before" if trace.following.since < trace.seq else "after"
    return f"The show is followed here for {kinds}; that began {began} this was published."


def _kind_filter(trace: Trace) -> list[str]:
    """Whether the kind is wanted; nothing for kinds that nobody can choose."""
    kind = followed_as(trace.update.kind)
    if kind is None or trace.following is None:
        return []
    comes = f", which comes with {kind}," if kind is not trace.update.kind else ""
    verdict = "wanted" if kind in trace.following.kinds else "not wanted"
    return [f"The kind {trace.update.kind}{comes} is {verdict}."]


def _why_not(trace: Trace) -> str:
    """Why there is no delivery: the first step that did not lead on."""
    if not trace.pushes:
        return f"it is not pushed, as was decided when it was recorded: {_quiet(trace.update)}."
    if not trace.read:
        return "the bot has not looked since it was published. It looks every few moments."
    if trace.taken is None:
        return f"{trace.update.kind} is kept on record only."
    if trace.got_mistake:
        return _not_come(trace, trace.taken)
    if trace.update.retracts:
        return "a retraction goes to those who got what it takes back, and this chat did not."
    return _not_matched(trace) or _not_come(trace, trace.taken)


def _quiet(update: Update) -> str:
    then = quiet_reason(update, update.recorded_at.date())
    return then or "it was no news any more when it came to this bot"


def _not_matched(trace: Trace) -> str | None:
    """What of the subscription kept the update away, as it is now."""
    if not trace.known:
        return "nobody has followed anything there."
    if trace.following is None:
        return f"the show is not followed here. /subscribe {trace.show.id} changes that."
    kind = followed_as(trace.update.kind)
    if kind is not None and kind not in trace.following.kinds:
        return f"{kind} is not among the chosen kinds. /subscribe {trace.show.id} all changes that."
    if trace.following.since >= trace.seq:
        return "it was published before the show was followed here, and is no news since."
    return None


def _not_come(trace: Trace, taken: Taken) -> str:
    """Why somebody who matches has no delivery: not yet, stopped before, or matched only since."""
    if not taken.come:
        return "many chats are told, and the turn of this one has not come yet."
    if trace.undone_by and trace.undone_by.retracts:
        return f"{trace.undone_by.id} took it back before the turn of this chat came."
    return "when it was told, this chat followed otherwise than now, or could not be reached."


def _standing(trace: Trace, sending: Sending, now: dt.datetime) -> str:
    """How a delivery stands, in one sentence."""
    at = f" on {moment(sending.settled_at)}" if sending.settled_at else ""
    because = f": {sending.reason}" if sending.reason else ""
    match sending.state:
        case DeliveryState.SENT:
            name = f", as message {sending.message_id}" if sending.message_id else ""
            return f"Sent{at}{name}."
        case DeliveryState.HELD:
            return _held(trace, because)
        case DeliveryState.EXPIRED:
            return f"Not sent, and will not be{because or ': it was news no more'}."
        case DeliveryState.FAILED:
            return f"Given up{at}{because}."
        case DeliveryState.UNCERTAIN:
            return f"It may have arrived, and is not sent again{because}."
        case DeliveryState.PENDING:
            return _waiting(sending, now)


def _held(trace: Trace, because: str) -> str:
    if trace.stopped is None:
        return f"Held{because}."
    since = moment(trace.stopped.since)
    return f"Held: this chat could not be reached since {since} ({trace.stopped.reason})."


def _waiting(sending: Sending, now: dt.datetime) -> str:
    if sending.on_its_way:
        return "On its way now."
    if sending.due_at <= now:
        return "Due now, and sent as soon as it is its turn."
    because = sending.reason or ("earlier news goes first" if sending.behind else None)
    words = f", because: {because}" if because else ""
    return f"Waiting until {moment(sending.due_at)}{words}."


def recorded(trace: Trace, now: dt.datetime) -> dict[str, Any]:
    """A trace ready to be written as JSON."""
    following, taken, sending = trace.following, trace.taken, trace.sending
    return {
        "destination": str(trace.destination),
        "update": trace.update.id,
        "show": trace.show.id,
        "kind": trace.update.kind,
        "seq": trace.seq,
        "pushes": trace.pushes,
        "following": following and {"kinds": sorted(following.kinds), "since_seq": following.since},
        "taken_at": _iso(taken.at) if taken else None,
        "suspended": trace.stopped
        and {"reason": trace.stopped.reason, "since": _iso(trace.stopped.since)},
        "delivery": sending
        and {
            "state": sending.state,
            "due_at": _iso(sending.due_at),
            "attempts": sending.attempts,
            "message_id": sending.message_id,
            "reason": sending.reason,
            "settled_at": _iso(sending.settled_at),
            "trail": list(sending.trail),
        },
        "why": explained(trace, now),
    }


def _iso(at: dt.datetime | None) -> str | None:
    return at.isoformat() if at else None
