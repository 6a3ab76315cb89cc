"""Why an update came to a chat or did not: each step that can keep it away is named."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from bot.commands import answer
from bot.commands.core import Catalogue, Core
from bot.commands.why import address, trace
from bot.errors import UserError
from bot.message import Message, plain
from bot.message.why import (
    Following,
    Sending,
    Stopped,
    Taken,
    Trace,
    explained,
    heading,
    recorded,
    why,
)
from bot.model import (
    ALL_KINDS,
    Caller,
    Certainty,
    DeliveryState,
    Destination,
    Kinds,
    Platform,
    Push,
    Seq,
    Update,
    UpdateKind,
)
from storage.outbox import Settlement
from storage.store import Storage
from tests.build import NOW, a_correction, a_retraction, a_show, an_update, days_ago
from tests.fakes.clock import FakeClock
from tests.storage.builders import (
    SECOND,
    SHOW,
    a_chat,
    a_trailer,
    claim_all,
    deliver,
    expand,
    fan_out,
    follow,
    id_of,
    poll,
    publish,
    put_shows,
    sent,
    tell,
)

ANN, BEN = a_chat(1), a_chat(2)
LATER = NOW + 10 * SECOND


def kinds(*names: str) -> Kinds:
    return frozenset(UpdateKind(name) for name in names)


def a_trace(update: Update | None = None, **changes: Any) -> Trace:
    """A renewal that was sent to a chat which follows everything."""
    whole = Trace(
        ANN,
        a_show(),
        update or an_update("renewed"),
        Seq(7),
        pushes=True,
        following=Following(ALL_KINDS, Seq(3)),
        taken=Taken(NOW, come=True),
        sending=Sending(DeliveryState.SENT, NOW, 1, message_id="m1", settled_at=LATER),
    )
    return replace(whole, **changes)


def steps(update: Update | None = None, **changes: Any) -> list[str]:
    return explained(a_trace(update, **changes), NOW)


def last(update: Update | None = None, **changes: Any) -> str:
    return steps(update, **changes)[-1]


def unsent(update: Update | None = None, **changes: Any) -> str:
    """Why nothing was sent."""
    return last(update, **{"sending": None, **changes}).removeprefix("Nothing was sent: ")


# --- the words ---


def test_what_was_sent_is_told_step_by_step() -> None:
    trail = ("2026-11-22T09:00:01+00:00 no answer; tried again from 2026-11-22T09:00:06+00:00",)
    sending = Sending(DeliveryState.SENT, NOW, 2, message_id="m1", settled_at=LATER, trail=trail)
    assert steps(sending=sending) == [
        "The show is followed here for every kind of news; that began before this was published.",
        "The kind renewed is wanted.",
        "Taken to be told on 22 November 2026, 09:00:00 UTC.",
        f"Attempt: {trail[0]}",
        "Sent on 22 November 2026, 09:00:10 UTC, as message m1.",
    ]


def test_an_update_is_headed_by_its_event() -> None:
    dated = an_update("dated", date="2027-05-02")
    assert heading(a_trace(dated)) == (
        "DATED · All of Us Are Dead, season 2: the date 2 May 2027 · 22 November 2026"
    )
    out = an_update("released", date="2026-11-20")
    assert heading(a_trace(out)) == ("RELEASED · All of Us Are Dead, season 2 · 22 November 2026")


@pytest.mark.parametrize(
    ("sending", "told"),
    [
        (Sending(DeliveryState.PENDING, NOW, 0), "Due now, and sent as soon as it is its turn."),
        (Sending(DeliveryState.PENDING, LATER, 1, on_its_way=True), "On its way now."),
        (
            Sending(DeliveryState.PENDING, LATER, 1, reason="no answer"),
            "Waiting until 22 November 2026, 09:00:10 UTC, because: no answer.",
        ),
        (
            Sending(DeliveryState.PENDING, LATER, 0, behind=True),
            "Waiting until 22 November 2026, 09:00:10 UTC, because: earlier news goes first.",
        ),
        (
            Sending(DeliveryState.PENDING, LATER, 0),
            "Waiting until 22 November 2026, 09:00:10 UTC.",
        ),
        (
            Sending(DeliveryState.EXPIRED, NOW, 0, reason="unsubscribed before it was sent"),
            "Not sent, and will not be: unsubscribed before it was sent.",
        ),
        (
            Sending(DeliveryState.FAILED, NOW, 5, reason="too long", settled_at=NOW),
            "Given up on 22 November 2026, 09:00:00 UTC: too long.",
        ),
        (
            Sending(DeliveryState.UNCERTAIN, NOW, 3, reason="no answer"),
            "It may have arrived, and is not sent again: no answer.",
        ),
        (Sending(DeliveryState.HELD, NOW, 1, reason="gone"), "Held: gone."),
    ],
)
def test_every_state_is_told_with_its_reason(sending: Sending, told: str) -> None:
    assert last(sending=sending) == told


def test_what_is_held_tells_since_when_and_why() -> None:
    held = Sending(DeliveryState.HELD, NOW, 1, reason="the bot was blocked")
    stopped = Stopped("the bot was blocked", NOW - dt.timedelta(days=2))
    assert last(sending=held, stopped=stopped) == (
        "Held: this chat could not be reached since 20 November 2026, 09:00:00 UTC (the bot was "
        "blocked)."
    )


@pytest.mark.parametrize(
    ("update", "reason"),
    [
        (an_update("renewed", certainty=Certainty.SPECULATION), "a guess is never pushed"),
        (an_update("renewed", push=Push.QUIET), "it was recorded quietly"),
        (an_update("production", value="filming"), "production is kept on record only"),
        (an_update("renewed", announced=days_ago(40)), "it was announced 40 days ago"),
        (an_update("renewed"), "it was no news any more when it came to this bot"),
    ],
)
def test_what_is_never_pushed_says_why(update: Update, reason: str) -> None:
    words = unsent(update, pushes=False, taken=None)
    assert words.startswith("it is not pushed, as was decided when it was recorded: ")
    assert reason in words


def test_a_second_source_names_the_first() -> None:
    first = an_update("renewed")
    words = unsent(an_update("renewed", also=first.id), pushes=False, taken=None)
    assert f"it confirms {first.id} from a second source" in words


def test_each_step_that_keeps_an_update_away_is_named() -> None:
    assert "has not looked since" in unsent(read=False, taken=None)
    assert "kept on record only" in unsent(taken=None)
    assert "nobody has followed anything there" in unsent(known=False, following=None)
    assert "is not followed here. /subscribe all-of-us-are-dead" in unsent(following=None)
    trailers = Following(kinds("trailer"), Seq(3))
    assert "renewed is not among the chosen kinds" in unsent(following=trailers)
    late = Following(ALL_KINDS, Seq(7))
    assert "published before the show was followed here" in unsent(following=late)
    assert "turn of this one has not come yet" in unsent(taken=Taken(NOW, come=False))
    undone = a_retraction(an_update())
    assert f"{undone.id} took it back before" in unsent(undone_by=undone)
    assert "this chat followed otherwise than now" in unsent()


def test_the_kind_filter_says_with_which_choice_a_kind_comes() -> None:
    saved = an_update("saved")
    assert "The kind saved, which comes with renewed, is wanted." in steps(saved)
    trailers = Following(kinds("trailer"), Seq(3))
    assert "The kind saved, which comes with renewed, is not wanted." in steps(
        saved, following=trailers
    )


def test_a_retraction_goes_to_whoever_got_the_mistake_whatever_they_follow() -> None:
    wrong = an_update("renewed")
    back = a_retraction(wrong)
    given: dict[str, Any] = {"mistake": wrong.id, "following": None}
    assert "this chat did not" in unsent(back, **given)
    assert "has not come yet" in unsent(
        back, **given, got_mistake=True, taken=Taken(NOW, come=False)
    )


def test_what_was_undone_since_says_by_what() -> None:
    wrong = an_update("dated", date="2027-04-02")
    back, right = a_retraction(wrong), a_correction(wrong, date="2027-04-20")
    assert last(wrong, undone_by=back) == f"It was taken back by {back.id}."
    assert last(wrong, undone_by=right) == f"It was corrected by {right.id}."


def test_a_show_without_updates_says_so() -> None:
    message = why(a_show(), [], NOW)
    assert message.title == "Nothing is on record about All of Us Are Dead yet."
    assert message.private


def test_who_does_not_follow_is_offered_to() -> None:
    asked = why(a_show(), [a_trace(following=None, sending=None)], NOW)
    assert [one.command for one in asked.actions] == [f"/subscribe {SHOW}"]
    assert why(a_show(), [a_trace()], NOW).actions == ()


def test_a_trace_is_written_as_json_with_all_its_parts() -> None:
    stopped = Stopped("blocked", NOW)
    found = recorded(a_trace(stopped=stopped), NOW)
    assert found["destination"] == "telegram:1"
    assert found["following"] == {"kinds": sorted(ALL_KINDS), "since_seq": 3}
    assert found["delivery"]["state"] == "sent"
    assert found["delivery"]["settled_at"] == LATER.isoformat()
    assert found["suspended"] == {"reason": "blocked", "since": NOW.isoformat()}
    assert found["why"] == steps(stopped=stopped)
    nothing = recorded(a_trace(following=None, taken=None, sending=None), NOW)
    assert [nothing[name] for name in ("following", "taken_at", "delivery", "suspended")] == [
        None
    ] * 4


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("telegram:-100123/45", Destination(Platform.TELEGRAM, -100123, 45)),
        (" Discord:123 ", Destination(Platform.DISCORD, 123)),
        ("terminal:0", Destination(Platform.TERMINAL, 0)),
    ],
)
def test_a_destination_is_read_as_it_is_printed(text: str, there: Destination) -> None:
    assert address(text) == there
    assert address(str(there)) == there


@pytest.mark.parametrize(
    "text",
    ["", "telegram", "telegram:", "irc:5", "telegram:x", "telegram:1/", "discord:1/2/3",
     "telegram:٣", "telegram:9999999999999999999", "discord:1\x1b[2J"],
)  # fmt: skip
def test_what_is_no_destination_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UserError, match=r"is no destination.*telegram:-100123/45") as refused:
        address(text)
    assert "\x1b" not in str(refused.value)


# --- what is read ---


@pytest.fixture
async def stocked(storage: Storage) -> Storage:
    """A store with one show that Ann follows."""
    await put_shows(storage)
    await follow(storage, ANN)
    return storage


async def told(storage: Storage, update_id: str, chat: Destination = ANN) -> list[str]:
    """The steps as they are read from the store."""
    found = await storage.traces.of(chat, update_id)
    assert found
    return explained(found, NOW)


async def test_the_way_of_an_update_is_read_at_every_step(stocked: Storage) -> None:
    update = a_trailer()
    await publish(stocked, update)
    assert "has not looked since" in (await told(stocked, update.id))[-1]
    await poll(stocked)
    assert "has not come yet" in (await told(stocked, update.id))[-1]
    await expand(stocked)
    assert (await told(stocked, update.id))[-1].startswith("Due now")
    (one,) = await claim_all(stocked)
    assert (await told(stocked, update.id))[-1] == "On its way now."
    tried = Settlement(
        one, DeliveryState.PENDING, NOW, LATER, reason="no answer", told="09:00 no answer"
    )
    await stocked.deliveries.settle([tried])
    assert (await told(stocked, update.id))[-2:] == [
        "Attempt: 09:00 no answer",
        "Waiting until 22 November 2026, 09:00:10 UTC, because: no answer.",
    ]
    await deliver(stocked, LATER)
    assert (await told(stocked, update.id))[-1] == (
        "Sent on 22 November 2026, 09:00:10 UTC, as message m1."
    )


async def test_who_was_not_told_learns_which_step_kept_it_away(stocked: Storage) -> None:
    await follow(stocked, BEN, kinds=kinds("renewed"))
    update = a_trailer()
    await tell(stocked, update)
    assert "trailer is not among the chosen kinds" in (await told(stocked, update.id, BEN))[-1]
    late, never = a_chat(3), a_chat(4)
    await follow(stocked, late)
    assert "published before the show was followed" in (await told(stocked, update.id, late))[-1]
    unknown = await stocked.traces.of(never, update.id)
    assert unknown
    assert not unknown.known
    await stocked.subscriptions.remove(ANN, SHOW)
    assert (await told(stocked, update.id))[-1] == (
        "Not sent, and will not be: unsubscribed before it was sent."
    )


async def test_only_the_delivery_of_that_destination_is_told(stocked: Storage) -> None:
    await follow(stocked, BEN)
    update = a_trailer()
    await tell(stocked, update)
    parcels = {one.destination_id: one for one in await claim_all(stocked)}
    refused = Settlement(
        parcels[await id_of(stocked, BEN)], DeliveryState.FAILED, NOW, reason="refused"
    )
    await stocked.deliveries.settle([refused])
    assert (await told(stocked, update.id, BEN))[-1].endswith(": refused.")
    assert (await told(stocked, update.id))[-1] == "On its way now."


async def test_what_is_held_is_read_with_its_reason(stocked: Storage) -> None:
    update = a_trailer()
    await tell(stocked, update)
    await stocked.destinations.suspend(await id_of(stocked, ANN), "blocked", NOW)
    assert (
        "could not be reached since 22 November 2026, 09:00:00 UTC (blocked)"
        in (await told(stocked, update.id))[-1]
    )


async def test_a_chat_that_moved_still_knows_what_it_got(stocked: Storage) -> None:
    update = a_trailer()
    await tell(stocked, update)
    await deliver(stocked)
    await stocked.destinations.move(Platform.TELEGRAM, 1, 11, NOW)
    assert (await told(stocked, update.id, a_chat(11)))[-1].startswith("Sent on ")


async def test_what_is_on_its_way_to_the_former_id_is_found(stocked: Storage) -> None:
    update = a_trailer()
    await tell(stocked, update)
    await claim_all(stocked)
    await follow(stocked, BEN)
    await stocked.destinations.move(Platform.TELEGRAM, 1, 2, NOW)
    assert (await told(stocked, update.id, BEN))[-1] == "On its way now."


async def test_a_retraction_tells_whether_the_mistake_was_got(stocked: Storage) -> None:
    wrong = a_trailer()
    await tell(stocked, wrong)
    await deliver(stocked)
    await follow(stocked, BEN)
    back = a_retraction(wrong)
    await publish(stocked, back)
    await fan_out(stocked)
    assert (await told(stocked, back.id))[-1].startswith("Due now")
    assert "this chat did not" in (await told(stocked, back.id, BEN))[-1]
    assert (await told(stocked, wrong.id))[-1] == f"It was taken back by {back.id}."


async def test_later_news_waits_behind_earlier_of_the_same_chat(stocked: Storage) -> None:
    await follow(stocked, BEN)
    first, second = a_trailer(), a_trailer()
    await tell(stocked, first)
    ben = await id_of(stocked, BEN)
    outcomes = [
        sent(one)
        if one.destination_id == ben
        else Settlement(one, DeliveryState.PENDING, NOW, LATER)
        for one in await claim_all(stocked)
    ]
    await stocked.deliveries.settle(outcomes)
    assert (await told(stocked, first.id))[-1] == "Waiting until 22 November 2026, 09:00:10 UTC."
    await tell(stocked, second)
    (later,) = await claim_all(stocked)
    assert "because: earlier news goes first" in (await told(stocked, second.id))[-1]
    await stocked.deliveries.settle([Settlement(later, DeliveryState.PENDING, NOW, LATER)])
    assert (await told(stocked, second.id, BEN))[-1] == (
        "Waiting until 22 November 2026, 09:00:10 UTC."
    )


async def test_who_matched_only_after_its_turn_is_told_so(stocked: Storage) -> None:
    await follow(stocked, ANN, kinds=kinds("renewed"))
    await follow(stocked, BEN, a_chat(3), a_chat(4))
    update = a_trailer()
    seq = await publish(stocked, update)
    await poll(stocked)
    await stocked.fanouts.expand(seq, 1)
    assert await stocked.fanouts.open_jobs() == [seq]
    await follow(stocked, ANN)
    assert "this chat followed otherwise than now" in (await told(stocked, update.id))[-1]
    assert "has not come yet" in (await told(stocked, update.id, a_chat(4)))[-1]


async def test_a_correction_goes_to_whoever_got_the_mistake(stocked: Storage) -> None:
    wrong = an_update("dated", date="2027-04-02")
    await tell(stocked, wrong)
    await deliver(stocked)
    await follow(stocked, ANN, BEN, kinds=kinds("trailer"))
    right = a_correction(wrong, date="2027-04-20")
    await tell(stocked, right)
    assert (await told(stocked, right.id))[1:] == [
        f"This chat got {wrong.id}, which this puts right: it is told anyway.",
        "Taken to be told on 22 November 2026, 09:00:00 UTC.",
        "Due now, and sent as soon as it is its turn.",
    ]
    steps = await told(stocked, right.id, BEN)
    assert "The kind dated is not wanted." in steps
    assert "dated is not among the chosen kinds" in steps[-1]
    assert (await told(stocked, wrong.id))[-1] == f"It was corrected by {right.id}."


async def test_the_newest_updates_of_a_show_come_first(stocked: Storage) -> None:
    seqs = [await tell(stocked) for _ in range(4)]
    other = a_show("elite")
    await put_shows(stocked, other)
    await publish(stocked, an_update("renewed", show="elite"))
    found = await stocked.traces.of_show(ANN, SHOW, 3)
    assert [one.seq for one in found] == seqs[:0:-1]


async def test_an_unknown_update_or_destination_is_refused_with_what_to_do(
    stocked: Storage,
) -> None:
    update = a_trailer()
    await tell(stocked, update)
    found = await trace(stocked.traces, "telegram:1", update.id.lower())
    assert found.update.id == update.id
    with pytest.raises(UserError, match=r"No update has the id “NONE”.*cliffhanger updates"):
        await trace(stocked.traces, "telegram:1", "NONE")
    with pytest.raises(UserError, match="Nothing is stored about telegram:9"):
        await trace(stocked.traces, "telegram:9", update.id)


# --- the command ---


async def asked(storage: Storage, caller: Caller, show: str) -> Message:
    core = Core(storage, Catalogue(storage), FakeClock(NOW))
    return await answer(core, caller, "why", {"show": show})


async def test_anybody_may_ask_and_alone_reads_the_answer(stocked: Storage) -> None:
    for _ in range(4):
        await tell(stocked)
    message = await asked(stocked, Caller(ANN, 7), "all of us are ded")
    assert message.private
    assert message.title == "What became of the latest updates about All of Us Are Dead here:"
    lines = [plain(one) for one in message.lines]
    assert len([one for one in lines if one.startswith("• TRAILER")]) == 3
    assert len([one for one in lines if one.startswith("– Due now")]) == 3
    elsewhere = await asked(stocked, Caller(BEN, 7), SHOW)
    assert [one.command for one in elsewhere.actions] == [f"/subscribe {SHOW}"]


async def test_a_show_that_nobody_knows_is_answered_as_everywhere(stocked: Storage) -> None:
    message = await asked(stocked, Caller(ANN, 7), "no such thing at all")
    assert "No show called" in message.title
