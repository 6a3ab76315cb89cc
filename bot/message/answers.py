"""What the bot replies to a command. Pure: everything said comes from the arguments."""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence

from bot.message import Action, Document, Line, Link, Message, joined, line
from bot.message.dates import date_line, day_piece, wording
from bot.message.facts import sayer, season_name, source_link
from bot.message.status import coming, headline
from bot.model import (
    ALL_KINDS,
    FOLLOWABLE,
    Destination,
    Kinds,
    Platform,
    Show,
    ShowId,
    Subscription,
    Update,
    UpdateKind,
)
from bot.seasons import SeasonState, key_of
from bot.text import plural


def subscribed(show: Show, follows: Subscription, now: Message, *, changed: bool) -> Message:
    """The reply to a subscription: what will come, and what is known now."""
    kinds = follows.kinds
    what = "every alert" if kinds == ALL_KINDS else f"alerts ({kinds_words(kinds)})"
    verb = "Changed" if changed else "Subscribed"
    return Message(
        title=f"{verb}: you get {what} for {show.title}.",
        lines=(*_extras(follows), line(now.title), *now.lines),
        actions=(Action("Unsubscribe", f"/unsubscribe {show.id}"),),
        choices=_toggles(show, kinds),
    )


def already_subscribed(show: Show, follows: Subscription, now: Message) -> Message:
    """The reply when nothing changed."""
    kinds = follows.kinds
    what = "" if kinds == ALL_KINDS else f" ({kinds_words(kinds)})"
    return Message(
        title=f"You follow {show.title} already{what}.",
        lines=(*_extras(follows), line(now.title), *now.lines),
        actions=(Action("Unsubscribe", f"/unsubscribe {show.id}"),),
        choices=_toggles(show, kinds),
    )


def _extras(follows: Subscription) -> tuple[Line, ...]:
    """What alerts do besides arriving."""
    pings = [line("Alerts ping the role you chose.")] if follows.role_id else []
    published = "Alerts are published to the channels that follow this one."
    return (*pings, line(published)) if follows.publish else tuple(pings)


def _toggles(show: Show, kinds: Kinds) -> tuple[Action, ...]:
    """A button for each kind that switches it on or off; the last one stays on."""
    return tuple(
        Action(
            f"✓ {kind}" if kind in kinds else str(kind),
            f"/subscribe {show.id} {kinds_list(kinds ^ {kind} or kinds)}",
        )
        for kind in FOLLOWABLE
    )


def unsubscribed(show: Show, was: Subscription | None = None) -> Message:
    """The reply to an unsubscription, with the way back to what it was."""
    words = ["/subscribe", show.id]
    if was is not None:
        words += [kinds_list(was.kinds)] * (was.kinds != ALL_KINDS)
        words += [f"role:{was.role_id}"] * (was.role_id is not None)
        words += ["publish:yes"] * bool(was.publish)
    again = Action("Subscribe again", " ".join(words))
    return Message(f"Unsubscribed: no more alerts for {show.title}.", actions=(again,))


def not_subscribed(show: Show) -> Message:
    """The reply when there was nothing to end."""
    return Message(f"You did not follow {show.title}; nothing changed.")


def kinds_words(kinds: Kinds) -> str:
    """Chosen kinds in words: "renewed, dated"."""
    return ", ".join(str(kind) for kind in FOLLOWABLE if kind in kinds)


def kinds_list(kinds: Kinds) -> str:
    """Chosen kinds as a person would write them after a title: "renewed,dated", or "all"."""
    if kinds == ALL_KINDS:
        return "all"
    return ",".join(str(kind) for kind in FOLLOWABLE if kind in kinds)


def subscriptions(
    followed: Sequence[tuple[Show, Subscription, Sequence[SeasonState]]],
    total: int,
    today: dt.date,
    *,
    page: int = 1,
    pages: int = 1,
) -> Message:
    """One page of what this chat follows, and where each show stands."""
    if not followed:
        return Message("You follow no show yet.", (line("Start with /subscribe and a title."),))
    lines = [_followed(*one, today) for one in followed]
    where = f" Page {page} of {pages}:" if pages > 1 else ""
    turns = [("Previous", page - 1)] * (page > 1) + [("Next", page + 1)] * (page < pages)
    return Message(
        title=f"You follow {plural(total, 'show')}.{where}",
        lines=tuple(lines),
        actions=tuple(Action(label, f"/subscriptions {number}") for label, number in turns),
        choices=tuple(
            Action(show.title, f"/subscribe {show.id} {kinds_list(subscription.kinds)}")
            for show, subscription, _ in followed
        ),
    )


def _followed(
    show: Show, subscription: Subscription, seasons: Sequence[SeasonState], today: dt.date
) -> Line:
    ahead = coming(seasons)
    stands = headline(show, ahead[0], today) if ahead else f"{show.title}: nothing confirmed yet"
    kinds = "" if subscription.kinds == ALL_KINDS else f" · only {kinds_words(subscription.kinds)}"
    pings = " · pings a role" if subscription.role_id else ""
    published = " · published" if subscription.publish else ""
    return line(f"• {stands}{kinds}{pings}{published}")


def upcoming(dated: Sequence[tuple[Show, SeasonState]], followed: Collection[ShowId]) -> Message:
    """The confirmed dates ahead, the nearest first."""
    if not dated:
        return Message("No confirmed date lies ahead.")
    lines = [
        (
            "• ",
            *date_line(state.known.date),
            f" · {season_name(show, state.key)}",
            " (followed)" if show.id in followed else "",
        )
        for show, state in dated
    ]
    return Message("Confirmed dates ahead:", tuple(lines))


def latest(news: Iterable[tuple[Show, Update]]) -> Message:
    """The newest confirmed updates of the store, by the day they were announced."""
    lines = [
        ("• ", day_piece(update.announced), f" · {_short(show, update)} · ", *_by(update))
        for show, update in news
    ]
    return Message("The latest confirmed news:" if lines else "No news yet.", tuple(lines))


def _short(show: Show, update: Update) -> str:
    date = (
        f": {wording(update.date.value)}" if update.date and update.kind is UpdateKind.DATED else ""
    )
    return f"{str(update.kind).upper()} · {season_name(show, key_of(update))}{date}"


def _by(update: Update) -> Line:
    return joined([(f"{update.certainty}, {sayer(update)}",), source_link(update)])


def unknown_show(asked: str, nearest: Sequence[str], *, noted: bool = True) -> str:
    """The reply when no show is meant beyond doubt; `noted` if the curators will see the wish."""
    if nearest:
        return f"No show called “{asked}” is in the catalogue. Did you mean: {'; '.join(nearest)}?"
    then = "Noted for the curators." if noted else "/subscribe and its title notes it for curators."
    return f"No show called “{asked}” is in the catalogue, and no title comes close. {then}"


def ambiguous_show(asked: str, nearest: Sequence[str]) -> str:
    """The reply when several shows may be meant."""
    if len(nearest) == 1:
        return f"“{asked}” is no title. Did you mean: {nearest[0]}?"
    return f"“{asked}” may be: {'; '.join(nearest)}. Write more of the title."


def not_exact(asked: str, nearest: Sequence[str]) -> str:
    """The refusal to guess which show a curator means."""
    close = f" Close to it: {'; '.join(nearest)}." if nearest else ""
    return f"No show has exactly the id, title or alias “{asked}”.{close}"


def help_page(commands: Sequence[tuple[str, str]]) -> Message:
    """The list of commands."""
    lines = [line(f"{usage} – {words}") for usage, words in commands]
    return Message(
        "Cliffhanger tells you when a season is renewed, dated or has a trailer.", tuple(lines)
    )


def mistake(text: str, instead: Sequence[tuple[str, str]] = ()) -> Message:
    """The reply to a request that cannot be done; `instead` are labels and commands to offer."""
    return Message(text, choices=tuple(Action(*one) for one in instead), private=True)


def managers_only(command: str) -> Message:
    """The refusal to change something for somebody who does not manage the chat."""
    return Message(
        "Only those who manage this chat can change what it gets.",
        (
            line(
                f"Ask one of its administrators to send {command} here, or send it to me directly."
            ),
        ),
        private=True,
    )


def trouble() -> Message:
    """The reply when the bot itself failed."""
    return Message("That went wrong, and is in the log. Nothing else is affected.", private=True)


def export(json_text: str) -> Message:
    """Everything stored about a chat."""
    return Message(
        "Everything stored about this chat, as JSON:",
        document=Document("cliffhanger.json", json_text),
    )


def privacy() -> Message:
    """What is stored, and how to see and delete it."""
    return Message(
        "What Cliffhanger stores about this chat:",
        (
            line("• its platform, chat id, thread id and server id"),
            line("• the shows it follows, for which kinds of news, and the role that alerts ping"),
            line("• which alerts were sent to it, and whether they arrived"),
            line("• titles it asked for with a command that are not in the catalogue"),
            line("• for 30 days, what the buttons below an answer do, and the id of who asked"),
            line("• in a direct chat, the channel that it speaks for"),
            line("No names and no messages are stored."),
        ),
        actions=(
            Action("Show everything", "/privacy export"),
            Action("Delete everything", "/privacy delete"),
        ),
    )


def removed(lost: Destination, told: Destination, reason: str, days: int) -> Message:
    """The notice that a destination was given up, for another one in the same chat or server."""
    here = lost.chat_id == told.chat_id
    what = "another topic of this chat" if here else "another channel of this server"
    that = _link(lost, "topic" if here else "channel")
    return Message(
        title=f"Alerts for {what} were removed.",
        lines=(
            line("Nothing could be delivered to ", that, f" for {days} days ({reason})."),
            line("If they are wanted again, send /subscribe there."),
        ),
    )


def _link(lost: Destination, kind: str) -> Link | str:
    """A way to a channel or topic, where its platform has one."""
    if lost.platform is Platform.DISCORD and lost.home_id:
        address = f"https://discord.com/channels/{lost.home_id}/{lost.thread_id or lost.chat_id}"
        return Link(f"that {kind}", address)
    chat = str(lost.chat_id).removeprefix("-100")
    if lost.platform is Platform.TELEGRAM and chat != str(lost.chat_id):
        return Link(f"that {kind}", f"https://t.me/c/{chat}/{lost.thread_id or 1}")
    return f"that {kind}"


def deleted(shows: int) -> Message:
    """The reply after everything of a chat was deleted."""
    return Message(f"Deleted: {plural(shows, 'subscription')} and everything else of this chat.")
