"""What the bot answers, command by command, on both databases."""

import inspect
import json

import pytest

from bot.commands import COMMANDS, Takes, answer
from bot.commands.core import Catalogue, Core
from bot.commands.parse import parse
from bot.errors import UnknownShow
from bot.message import Message, plain
from bot.model import ALL_KINDS, Caller, Destination, Platform, Show, ShowId, Update, UpdateKind
from storage.store import Storage
from tests.build import NOW, TODAY, a_retraction, a_show, an_update, days_ago
from tests.fakes.clock import FakeClock

ME = Caller(Destination(Platform.TERMINAL, 0), 0, manages=True)
SERVED = Caller(Destination(Platform.DISCORD, 5, None, 9), 7, manages=True)
ELSEWHERE = Caller(Destination(Platform.TELEGRAM, 5, 6), 7, manages=True)

SHOWS = (
    a_show("all-of-us-are-dead", original_title="지금 우리 학교는", aliases=("AOUAD",)),
    Show(ShowId("star-trek-discovery"), "Star Trek: Discovery", services=("Paramount+",)),
    Show(ShowId("star-trek-picard"), "Star Trek: Picard"),
    Show(ShowId("elite"), "Élite", services=("Netflix",)),
)


@pytest.fixture
async def core(storage: Storage) -> Core:
    await storage.publishing.load(list(enumerate(SHOWS, 1)), TODAY)
    return Core(storage, Catalogue(storage), FakeClock(NOW))


async def ask(core: Core, name: str, caller: Caller = ME, **arguments: object) -> Message:
    """What is answered."""
    return await answer(core, caller, name, arguments)


async def told(core: Core, name: str, caller: Caller = ME, **arguments: object) -> str:
    """The answer as plain text."""
    message = await ask(core, name, caller, **arguments)
    return "\n".join([message.title, *(plain(line) for line in message.lines)])


async def publish(core: Core, *updates: Update) -> None:
    for update in updates:
        await core.storage.publishing.publish(update, TODAY)


async def test_subscribing_tells_what_is_known_already(core: Core) -> None:
    await publish(core, an_update("renewed", announced=days_ago(3)))
    text = await told(core, "subscribe", show="all of us are ded")
    assert text.startswith("Subscribed: you get every alert for All of Us Are Dead.")
    assert "All of Us Are Dead, season 2: renewed, not dated" in text
    assert "Last confirmed fact: 3 days ago" in text


async def test_subscribing_twice_changes_nothing_and_says_so(core: Core) -> None:
    await ask(core, "subscribe", show="elite")
    assert (await ask(core, "subscribe", show="elite")).title == "You follow Élite already."
    assert len(await core.storage.subscriptions.of(ME.destination)) == 1


async def test_the_kinds_can_be_changed(core: Core) -> None:
    await ask(core, "subscribe", show="elite")
    only = frozenset({UpdateKind.TRAILER})
    changed = await ask(core, "subscribe", show="elite", kinds=only)
    assert changed.title.startswith("Changed: ")
    (stored,) = await core.storage.subscriptions.of(ME.destination)
    assert stored.kinds == only


async def test_unsubscribing_offers_the_way_back(core: Core) -> None:
    await ask(core, "subscribe", show="elite")
    gone = await ask(core, "unsubscribe", show="elite")
    assert gone.actions[0].command == "/subscribe elite"
    assert await core.storage.subscriptions.of(ME.destination) == []
    assert "did not follow" in (await ask(core, "unsubscribe", show="elite")).title


async def test_each_chat_and_thread_has_its_own_list(core: Core) -> None:
    await ask(core, "subscribe", show="elite")
    assert "You follow no show yet." in await told(core, "subscriptions", ELSEWHERE)
    assert "Élite: nothing confirmed yet" in await told(core, "subscriptions")


@pytest.mark.parametrize(
    "asked", ["AOUAD", "지금 우리", "all of us", "ALL OF US ARE DEAD", "aouad"]
)
async def test_a_show_is_found_by_any_of_its_titles(core: Core, asked: str) -> None:
    assert (await core.find_show(asked)).id == "all-of-us-are-dead"


async def test_a_title_that_may_be_several_shows_is_asked_back_and_is_no_wish(core: Core) -> None:
    text = await told(core, "subscribe", show="star trek")
    assert "Star Trek: Discovery" in text
    assert "Star Trek: Picard" in text
    assert await core.storage.destinations.wishes() == []
    assert await core.storage.subscriptions.of(ME.destination) == []


async def test_a_show_that_is_not_there_gives_the_nearest_titles_and_becomes_a_wish(
    core: Core,
) -> None:
    text = await told(core, "subscribe", show="star track piano")
    assert "No show called “star track piano” is in the catalogue" in text
    await ask(core, "status", ELSEWHERE, show="star track piano")
    assert await core.storage.destinations.wishes() == [("star track piano", 2)]


async def test_curators_are_not_guessed_at(core: Core) -> None:
    assert (await core.exact_show("aouad")).id == "all-of-us-are-dead"
    with pytest.raises(UnknownShow, match="all-of-us-are-dead"):
        await core.exact_show("all of us are ded")


async def test_a_title_of_five_thousand_characters_is_refused_in_short(core: Core) -> None:
    text = await told(core, "subscribe", show="x" * 5000)
    assert "5,000 characters" in text
    assert len(text) < 300
    assert await core.storage.destinations.wishes() == []


async def test_what_steers_a_terminal_does_not_come_back(core: Core) -> None:
    text = await told(core, "status", show="\x1b[31mnothing\x07 \u202elike it")
    assert not set(text) & {"\x1b", "\x07", "\u202e"}


async def test_the_catalogue_may_grow_while_the_bot_runs(core: Core) -> None:
    with pytest.raises(UnknownShow):
        await core.find_show("severance")
    new = Show(ShowId("severance"), "Severance")
    await core.storage.publishing.load([(1, new)], TODAY)
    assert (await core.find_show("severance")).id == "severance"


async def test_upcoming_lists_confirmed_dates_ahead_nearest_first(core: Core) -> None:
    await publish(
        core,
        an_update("dated", date="2027-05-05", show="elite"),
        an_update("dated", date="2027-03"),
        an_update("dated", date="2027-01", show="star-trek-picard", certainty="speculation"),
        an_update("dated", date="2026-11-01", show="star-trek-discovery", announced=days_ago(40)),
    )
    await ask(core, "subscribe", show="elite")
    message = await ask(core, "upcoming")
    assert [plain(line) for line in message.lines] == [
        "• March 2027 · All of Us Are Dead, season 2",
        "• 5 May 2027 · Élite, season 2 (followed)",
    ]


async def test_upcoming_forgets_a_date_that_was_taken_back(core: Core) -> None:
    dated = an_update("dated", date="2027-03")
    await publish(core, dated, a_retraction(dated))
    assert (await ask(core, "upcoming")).lines == ()


async def test_latest_lists_confirmed_news_by_the_day_it_was_announced(core: Core) -> None:
    await publish(
        core,
        an_update("renewed", announced=days_ago(1)),
        an_update("renewed", show="elite", announced=days_ago(2), certainty="reported"),
        an_update("dated", show="elite", certainty="speculation"),
    )
    lines = [plain(line) for line in (await ask(core, "latest")).lines]
    assert [line.split(" · ")[2] for line in lines] == [
        "All of Us Are Dead, season 2",
        "Élite, season 2",
    ]
    assert "reported, Variety · source" in lines[1]


async def test_the_role_to_ping_stays_and_is_told_until_another_is_named(core: Core) -> None:
    kinds = frozenset({UpdateKind.DATED})
    first = await told(core, "subscribe", SERVED, show="elite", role=7, publish=True)
    second = await told(core, "subscribe", SERVED, show="elite", kinds=kinds)
    for reply in (first, second):
        assert "Alerts ping the role you chose." in reply
        assert "Alerts are published to the channels that follow this one." in reply
    assert "only dated · pings a role · published" in await told(core, "subscriptions", SERVED)
    (stored,) = await core.storage.subscriptions.of(SERVED.destination)
    assert (stored.role_id, stored.publish) == (7, True)


async def test_where_there_are_no_servers_there_are_no_roles(core: Core) -> None:
    assert "role" not in await told(core, "subscribe", ELSEWHERE, show="elite", role=7)


async def test_export_holds_everything_and_delete_leaves_nothing(core: Core) -> None:
    await ask(core, "subscribe", ELSEWHERE, show="elite", kinds=ALL_KINDS)
    await ask(core, "subscribe", ELSEWHERE, show="no such title")
    exported = await ask(core, "privacy", ELSEWHERE, action="export")
    assert exported.document
    stored = json.loads(exported.document.text)
    assert (stored["chat_id"], stored["thread_id"]) == (5, 6)
    assert [one["show"] for one in stored["subscriptions"]] == ["elite"]
    assert [one["title"] for one in stored["wishes"]] == ["no such title"]
    deleted = await ask(core, "privacy", ELSEWHERE, action="delete")
    assert deleted.title.startswith("Deleted: 1 subscription")
    again = await core.storage.destinations.export(ELSEWHERE.destination)
    assert again["subscriptions"] == again["wishes"] == again["deliveries"] == []


async def test_help_lists_every_command(core: Core) -> None:
    text = await told(core, "help")
    for command in COMMANDS.values():
        assert command.usage in text
        assert command.help in text


def test_every_command_takes_exactly_the_parameters_it_declares() -> None:
    for command in COMMANDS.values():
        _, _, *taken = inspect.signature(command.run).parameters.values()
        # Which channel is meant is told by the caller's destination.
        given = [one for one in command.parameters if one.takes is not Takes.CHANNEL]
        assert [one.name for one in taken] == [one.name for one in given]
        for parameter, declared in zip(taken, given, strict=True):
            assert (parameter.default is inspect.Parameter.empty) == declared.required


def test_commands_suit_every_platform() -> None:
    for name, command in COMMANDS.items():
        assert name == command.name
        assert name.isascii()
        assert name.isalpha()
        assert name == name.lower()
        assert 1 <= len(command.help) <= 100
        for parameter in command.parameters:
            assert 1 <= len(parameter.help) <= 100
            assert len(parameter.choices) <= 25
            assert (parameter.takes is Takes.CHOICE) <= bool(parameter.choices)


# --- who may ask, and what is offered ---

MEMBER = Caller(ME.destination, 8)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("subscribe", {"show": "elite"}),
        ("unsubscribe", {"show": "elite"}),
        ("privacy", {"action": "delete"}),
        ("privacy", {"action": "export"}),
    ],
)
async def test_only_managers_change_what_a_chat_gets(
    core: Core, name: str, arguments: dict[str, str]
) -> None:
    await ask(core, "subscribe", show="elite", kinds=frozenset({UpdateKind.DATED}))
    before = await core.storage.destinations.export(ME.destination)
    refused = await told(core, name, MEMBER, **arguments)
    assert refused.startswith("Only those who manage this chat can change what it gets.")
    assert f"/{name} {next(iter(arguments.values()))}" in refused
    assert await core.storage.destinations.export(ME.destination) == before


@pytest.mark.parametrize("name", ["subscriptions", "upcoming", "latest", "help", "privacy"])
async def test_everybody_may_read(core: Core, name: str) -> None:
    assert "Only those" not in await told(core, name, MEMBER)


async def test_a_title_in_doubt_offers_the_nearest_shows_with_the_rest_of_the_command(
    core: Core,
) -> None:
    kinds = frozenset({UpdateKind.TRAILER, UpdateKind.RENEWED})
    answered = await ask(core, "subscribe", show="star trek", kinds=kinds)
    offered = {(one.label, one.command) for one in answered.choices}
    assert offered == {
        ("Star Trek: Discovery", "/subscribe star-trek-discovery renewed,trailer"),
        ("Star Trek: Picard", "/subscribe star-trek-picard renewed,trailer"),
    }


async def pressed(core: Core, message: Message, label: str) -> Message:
    """What a button of a message answers."""
    (command,) = {one.command for one in (*message.actions, *message.choices) if one.label == label}
    call = parse(command)
    return await answer(core, ME, call.name, call.arguments)


async def test_kinds_are_switched_by_buttons_and_the_last_one_stays(core: Core) -> None:
    answered = await ask(core, "subscribe", show="elite")
    for kind in ("renewed", "dated", "trailer"):
        answered = await pressed(core, answered, f"✓ {kind}")
    assert [one.label for one in answered.choices] == ["renewed", "dated", "trailer", "✓ cancelled"]
    same = await pressed(core, answered, "✓ cancelled")
    assert same.title == "You follow Élite already (cancelled)."
    back = await pressed(core, same, "dated")
    (stored,) = await core.storage.subscriptions.of(ME.destination)
    assert stored.kinds == {UpdateKind.DATED, UpdateKind.CANCELLED}
    assert [one.label for one in back.choices if "✓" in one.label] == ["✓ dated", "✓ cancelled"]


async def test_a_long_list_of_subscriptions_has_pages(core: Core) -> None:
    shows = [Show(ShowId(f"show-{n:02}"), f"Show {n:02}") for n in range(23)]
    await core.storage.publishing.load(list(enumerate(shows, 1)), TODAY)
    for show in shows:
        await ask(core, "subscribe", show=show.id)
    first = await ask(core, "subscriptions")
    assert first.title == "You follow 23 shows. Page 1 of 3:"
    last = await pressed(core, await pressed(core, first, "Next"), "Next")
    listed = [plain(line).removeprefix("• ").partition(":")[0] for line in last.lines]
    assert listed == ["Show 20", "Show 21", "Show 22"]
    assert [one.label for one in last.actions] == ["Previous"]
    assert await ask(core, "subscriptions", page=99) == last
    assert await ask(core, "subscriptions", page=0) == first
    opened = await pressed(core, last, "Show 21")
    assert opened.title == "You follow Show 21 already."
