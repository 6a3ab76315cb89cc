"""What the bot replies to a command. Pure: everything said comes from the arguments."""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from bot.message import Action, Line, Link, Message, joined, line
from bot.message.alerts import actions
from bot.message.dates import ago, date_line, day_piece, wording
from bot.message.facts import claim, provenance, sayer, season_name, source_link, where
from bot.model import ALL_KINDS, FOLLOWABLE, Kinds, Show, ShowId, Subscription, Update, UpdateKind
from bot.seasons import Known, SeasonState, Stage, key_of
from bot.text import plural

_STAGES: Final = {
    Stage.UNKNOWN: "nothing confirmed yet",
    Stage.PENDING: "no decision yet",
    Stage.RENEWED: "renewed, not dated",
    Stage.WINDOW: "dated roughly",
    Stage.DATED: "dated",
    Stage.POSTPONED: "postponed, no new date",
    Stage.RELEASED: "out",
    Stage.CANCELLED: "cancelled",
}


def status(show: Show, seasons: Sequence[SeasonState], today: dt.date) -> Message:
    """What is known of a show's coming season: facts with their sources, guesses marked as such."""
    shown = _coming(seasons)
    if not shown:
        return Message(
            title=f"{show.title}: nothing confirmed yet",
            lines=_present(("No fact about a coming season is on record.",), line(where(show))),
        )
    lines = [words for state in shown for words in _season_lines(show, state, today, len(shown))]
    return Message(
        title=_headline(show, shown[0]), lines=_present(*lines), actions=actions(show)[1:]
    )


def _coming(seasons: Sequence[SeasonState]) -> list[SeasonState]:
    """The seasons people ask about: those that are not out yet, or else the last one."""
    open_ones = [state for state in seasons if state.known.stage is not Stage.RELEASED]
    return open_ones or list(seasons[-1:])


def _headline(show: Show, state: SeasonState) -> str:
    return f"{season_name(show, state.key)}: {stage_words(state.known)}"


def stage_words(known: Known) -> str:
    """Where a season stands, in a few words."""
    ending = ", the last season" if known.ending else ""
    return _STAGES[known.stage] + ending


def _season_lines(show: Show, state: SeasonState, today: dt.date, of: int) -> list[Line]:
    known = state.known
    first = [] if of == 1 else [line(_headline(show, state))]
    return [
        *first,
        _decision(known),
        _date(known),
        _guesses(known),
        joined([_trailer(known), line(where(show)), _age(known, today)]),
    ]


def _decision(known: Known) -> Line:
    update = known.order or known.pending
    if update is None:
        return line("Renewed: not confirmed by anybody")
    return (f"{str(update.kind).capitalize()}: ", *provenance(update), *_also(known, update))


def _also(known: Known, update: Update) -> Line:
    others = [f"{sayer(other)}" for other in known.also if other.also == update.id]
    return line(f" · also {', '.join(others)}") if others else ()


def _date(known: Known) -> Line:
    update = known.dated
    if known.stage is Stage.CANCELLED:
        return ()
    if update is None:
        return line("Release date: not announced")
    old = f" (was: {wording(known.previous_date)})" if known.previous_date else ""
    if known.date.lower is None:
        return ("Release date: not announced", f"{old} · Postponed: ", *provenance(update))
    return ("Release date: ", *date_line(known.date), f"{old} · ", *provenance(update))


def _guesses(known: Known) -> Line:
    """Guesses, each by whom: they stand on a line of their own, and say what they are."""
    told = [
        joined([(f"{_guess(update)}, {sayer(update)}",), source_link(update)])
        for update in known.rumours
    ]
    return ("Guessed by others, not confirmed: ", *joined(told, by="; ")) if told else ()


def _guess(update: Update) -> str:
    if update.date:
        return update.date.raw or wording(update.date.value)
    return update.value or claim(update)


def _trailer(known: Known) -> Line:
    if known.stage is Stage.CANCELLED:
        return ()
    if known.trailer and known.trailer.value:
        return ("Trailer: ", Link("watch", known.trailer.value))
    teaser = (
        (" (teaser: ", Link("watch", known.teaser.value), ")")
        if known.teaser and known.teaser.value
        else ()
    )
    return ("Trailer: none yet", *teaser)


def _age(known: Known, today: dt.date) -> Line:
    last = known.last_confirmed
    return line(f"Last confirmed fact: {ago(last, today)}") if last else ()


def subscribed(show: Show, kinds: Kinds, now: Message, *, changed: bool) -> Message:
    """The reply to a subscription: what will come, and what is known now."""
    what = "every alert" if kinds == ALL_KINDS else f"alerts of the kinds {kinds_words(kinds)}"
    verb = "Changed" if changed else "Subscribed"
    return Message(
        title=f"{verb}: you get {what} for {show.title}.",
        lines=(line(now.title), *now.lines),
        actions=(Action("Unsubscribe", f"/unsubscribe {show.id}"),),
    )


def already_subscribed(show: Show, kinds: Kinds, now: Message) -> Message:
    """The reply when nothing changed."""
    what = "" if kinds == ALL_KINDS else f" ({kinds_words(kinds)})"
    return Message(f"You follow {show.title} already{what}.", (line(now.title), *now.lines))


def unsubscribed(show: Show) -> Message:
    """The reply to an unsubscription, with the way back."""
    again = Action("Subscribe again", f"/subscribe {show.id}")
    return Message(f"Unsubscribed: no more alerts for {show.title}.", actions=(again,))


def not_subscribed(show: Show) -> Message:
    """The reply when there was nothing to end."""
    return Message(f"You did not follow {show.title}; nothing changed.")


def kinds_words(kinds: Kinds) -> str:
    """Chosen kinds in words: "renewed, dated"."""
    return ", ".join(str(kind) for kind in FOLLOWABLE if kind in kinds)


def subscriptions(followed: Sequence[tuple[Show, Subscription, Sequence[SeasonState]]]) -> Message:
    """What this chat follows, and where each show stands."""
    if not followed:
        return Message("You follow no show yet.", (line("Start with /subscribe and a title."),))
    lines = [_followed(*one) for one in followed]
    return Message(f"You follow {plural(len(followed), 'show')}.", tuple(lines))


def _followed(show: Show, subscription: Subscription, seasons: Sequence[SeasonState]) -> Line:
    coming = _coming(seasons)
    stands = _headline(show, coming[0]) if coming else f"{show.title}: nothing confirmed yet"
    kinds = "" if subscription.kinds == ALL_KINDS else f" · only {kinds_words(subscription.kinds)}"
    return line(f"• {stands}{kinds}")


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


def unknown_show(asked: str, nearest: Sequence[str]) -> str:
    """The reply when no show is meant beyond doubt; the wish is kept for the curators."""
    if nearest:
        return f"No show called “{asked}” is in the catalogue. Did you mean: {'; '.join(nearest)}?"
    return (
        f"No show called “{asked}” is in the catalogue, and no title comes close. "
        "The curators see it as a wish."
    )


def ambiguous_show(asked: str, nearest: Sequence[str]) -> str:
    """The reply when several shows may be meant."""
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


def mistake(text: str) -> Message:
    """The reply to a request that cannot be done."""
    return Message(text)


def export(json_text: str) -> Message:
    """Everything stored about a chat."""
    lines = tuple(line(text) for text in json_text.splitlines())
    return Message("Everything stored about this chat, as JSON:", lines)


def privacy() -> Message:
    """What is stored, and how to see and delete it."""
    return Message(
        "What Cliffhanger stores about this chat:",
        (
            line("• its platform, chat id and thread id"),
            line("• the shows it follows, and for which kinds of news"),
            line("• which alerts were sent to it, and whether they arrived"),
            line("• titles it asked for that are not in the catalogue"),
            line("No names and no messages are stored."),
        ),
        actions=(
            Action("Show everything", "/privacy export"),
            Action("Delete everything", "/privacy delete"),
        ),
    )


def deleted(shows: int) -> Message:
    """The reply after everything of a chat was deleted."""
    return Message(f"Deleted: {plural(shows, 'subscription')} and everything else of this chat.")


def _present(*lines: Line) -> tuple[Line, ...]:
    return tuple(words for words in lines if any(words))
