"""What people meet on Discord: every command, button and place, and what they must not meet."""

import copy
import json
import re
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from bot.commands import COMMANDS
from tests.e2e.discord import check_files, on_discord, talking
from tests.e2e.process import Home, LiveBot, eventually
from tests.e2e.test_main_job import OFFICIAL
from tests.fakes.discord import (
    ANSWER,
    SYNC,
    SYNC_GUILD,
    Channel,
    FakeDiscord,
    Guild,
    Interaction,
    Person,
    Sent,
)

KINDS: Final = ("renewed", "dated", "trailer", "cancelled")
SWITCHES: Final = [*(f"✓ {kind}" for kind in KINDS), "Unsubscribe"]
EXCEPTIONS: Final = "GET /applications/{application}/guilds/{guild}/commands/{command}/permissions"
TITLES: Final = (
    "Amber Coast", "Velvet Orbit", "Quarry Lane", "Nine Lanterns", "Fjord Union", "Saltmarsh",
    "Kestrel House", "Mirror Dynasty", "Low Tide Radio",
)  # fmt: skip
"""Shows of which nothing is known, for scenarios that publish news of one."""

MANY: Final = tuple(f"Umbra Nights {number:02}" for number in range(30))
"""More shows with one beginning than can be offered at once."""

HOSTILE: Final = {
    "hostile-everyone": "Zed @everyone @here <@&{role}> <@{person}> <#{channel}> </subscribe:1>",
    "hostile-markup": "# Zed **b** _i_ ~~s~~ ||x|| `c` > q [free](https://evil.example/) <t:1:R>",
    "hostile-links": "Zed https://evil.example/x discord.gg/evil <https://evil.example> a@evil.com",
    "hostile-scripts": "Zed @\u200beveryone @every\u200bone שלום 👩‍👩‍👧 \u0300\u0301 ℌ",
}

UNANSWERED: Final[set[int]] = set()
"""The interactions that could not be answered, or were passed over."""


Options = dict[str, Any]
"""What a command is given, by the names of its options."""


@dataclass(frozen=True)
class Fans:
    """A server with a channel; Ann manages it, Bob is a member."""

    guild: Guild
    channel: Channel
    ann: Person
    bob: Person

    @property
    def owner(self) -> Person:
        """Who owns it."""
        return self.guild.owner


def fans(discord: FakeDiscord, *, has_bot: bool = True) -> Fans:
    """A server of its own for a scenario."""
    guild = discord.guild("Fans", has_bot=has_bot)
    ann, bob = (discord.person(name, has_installed=not has_bot) for name in ("Ann", "Bob"))
    guild.join(ann, [guild.role("mods", "manage_guild")])
    guild.join(bob)
    return Fans(guild, guild.text("general"), ann, bob)


@pytest.fixture(scope="module")
def discord() -> Iterator[FakeDiscord]:
    """One Discord for every scenario here: each has servers and people of its own."""
    with FakeDiscord() as running:
        # discord.py takes an answer to its heartbeat for a late one if it comes within the moment
        # of the sending; there is none while these scenarios run.
        running.settings.heartbeat_interval = 600.0
        running.guild("First")
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, discord: FakeDiscord) -> Home:
    """A folder for the one bot."""
    return stocked(tmp_path_factory.mktemp("dialog"), discord)


def stocked(folder: Path, discord: FakeDiscord, **settings: str) -> Home:
    """A folder with the starter catalogue, and with shows that were made for these scenarios."""
    home = on_discord(folder, discord, LOG_LEVEL="INFO", LOG_FORMAT="json", **settings)
    load(home, {title.lower().replace(" ", "-"): title for title in (*TITLES, *MANY)})
    return home


def load(home: Home, shows: dict[str, str]) -> None:
    """Load shows by their ids and titles."""
    records = [{"id": show, "title": title, "services": ["**Net**flix @here"]}
               for show, title in shows.items()]  # fmt: skip
    file = home.folder / "shows-more.jsonl"
    file.write_text("".join(f"{json.dumps(one)}\n" for one in records), encoding="utf-8")
    home.do("load", str(file))


@pytest.fixture(scope="module", autouse=True)
def bot(home: Home, discord: FakeDiscord) -> Iterator[LiveBot]:
    """One bot for every scenario here; at its end it has answered everything once, in peace."""
    with talking(home, discord) as bot:
        yield bot
        check_leaves_in_peace(bot, discord)
    check_files(home.folder, discord)


def check_leaves_in_peace(bot: LiveBot, discord: FakeDiscord) -> None:
    """Stopped it ends well, having logged no trouble, and answered everything in time and once."""
    bot.send(signal.SIGTERM)
    assert bot.ended() == 0
    assert "Traceback" not in bot.err
    assert not [one for one in discord.interactions if one.token in bot.err]
    logged = [json.loads(line) for line in bot.err.splitlines() if line.startswith("{")]
    assert [one for one in logged if one["level"] != "info"] == []
    for one in discord.interactions:
        if one.id not in UNANSWERED:
            assert one.acknowledged_after is not None, (one.name, one.json["data"])
            assert one.acknowledged_after < 3
            assert one.refusals == [], (one.name, one.refusals)
    tried = Counter(one.path for one in discord.calls(ANSWER))
    assert [path for path, times in tried.items() if times > 1] == []


def plain(said: Interaction | Sent) -> str:
    """What is read: bold letters are letters, and what a backslash escapes stands for itself."""
    return re.sub(r"\\(\W)", r"\1", said.text.replace("**", ""))


def answer(asked: Interaction) -> Sent:
    """The message that an interaction was answered with."""
    assert asked.answer
    return asked.answer


def buttons(asked: Interaction) -> list[str]:
    """The labels below an answer."""
    return list(answer(asked).buttons)


def pressed(
    discord: FakeDiscord,
    person: Person,
    message: Sent | Interaction,
    label: str | None = None,
    **more: Any,
) -> Interaction:
    """Press a button, and wait for what comes of it."""
    return discord.wait_for_answer(discord.press(person, message, label, **more))


def refused(
    discord: FakeDiscord, person: Person, message: Sent | Interaction, label: str | None = None
) -> str:
    """Press a button that must do nothing but tell this one person why."""
    stands = message if isinstance(message, Sent) else answer(message)
    before = len(stands.edits)
    said = pressed(discord, person, message, label)
    assert answer(said).is_ephemeral
    assert answer(said) is not stands
    assert len(stands.edits) == before
    return plain(said)


def follows(
    discord: FakeDiscord, person: Person, place: Channel, channel: Channel | None = None
) -> str:
    """What /subscriptions tells there."""
    options: Options = {"channel": channel} if channel else {}
    return plain(discord.ask(person, place, "subscriptions", **options))


NOTHING: Final = "You follow no show yet."


def announce(home: Home, show: str, season: int = 19) -> None:
    """Publish a renewal."""
    home.publish(show, "--season", str(season), "--kind", "renewed", *OFFICIAL)


# --- commands, everywhere ---

_PLACES: Final = ("text", "announcement", "voice", "thread", "private thread", "announcement "
                  "thread", "forum post", "direct message")  # fmt: skip


def place_of(discord: FakeDiscord, server: Fans, where: str) -> Channel:
    """A place of such a kind, in the server or beside it."""
    guild = server.guild
    match where:
        case "text" | "announcement" | "voice":
            return getattr(guild, where)("place")  # type: ignore[no-any-return]
        case "thread" | "private thread":
            return server.channel.thread("place", private=where.startswith("private"))
        case "announcement thread":
            return guild.announcement("news").thread("place")
        case "forum post":
            return guild.forum("shows").post("place")
    return discord.dm(server.ann)


@pytest.mark.parametrize("where", _PLACES)
def test_every_command_answers_who_manages_the_place(discord: FakeDiscord, where: str) -> None:
    server = fans(discord)
    check_every_command(discord, server.ann, place_of(discord, server, where))


@pytest.mark.parametrize("where", ["text", "thread"])
def test_every_command_answers_who_owns_the_server(discord: FakeDiscord, where: str) -> None:
    server = fans(discord)
    check_every_command(discord, server.owner, place_of(discord, server, where))


def check_every_command(discord: FakeDiscord, person: Person, place: Channel) -> None:
    """Each answers at once, to everybody or to who asked alone."""
    asked: list[tuple[str, Options, str, bool]] = [
        ("subscribe", {"show": "all of us are ded"}, "Subscribed: you get every alert", True),
        ("subscriptions", {}, "You follow 1 show.", True),
        ("status", {"show": "kin"}, "Kin, season 2: ", False),
        ("upcoming", {}, "", False),
        ("latest", {}, "The latest confirmed news:", False),
        ("help", {}, "Cliffhanger tells you when", True),
        ("privacy", {"action": "export"}, "Everything stored about this chat", True),
        ("unsubscribe", {"show": "AOUAD"}, "Unsubscribed: no more alerts for All of Us", True),
    ]  # fmt: skip
    for name, options, start, hidden in asked:
        said = discord.ask(person, place, name, **options)
        assert plain(said).startswith(start), name
        assert answer(said).is_ephemeral is hidden, name
        assert said.acknowledged == 4, "nothing is deferred that is quick"
    assert discord.sent_to(place) == (), "answers need no right to post"


def test_help_lists_every_command(discord: FakeDiscord) -> None:
    server = fans(discord)
    said = plain(discord.ask(server.bob, server.channel, "help"))
    assert len(COMMANDS) == 9
    for command in COMMANDS.values():
        assert f"{command.usage} – {command.help}" in said


@pytest.mark.parametrize(
    ("name", "options"),
    [("subscribe", {"show": "kin"}), ("unsubscribe", {"show": "arcane"}),
     ("privacy", {"action": "delete"}), ("privacy", {"action": "export"})],
)  # fmt: skip
def test_a_member_may_read_and_not_change(
    discord: FakeDiscord, name: str, options: Options
) -> None:
    server = fans(discord)
    discord.ask(server.ann, server.channel, "subscribe", show="arcane")
    said = discord.ask(server.bob, server.channel, name, **options)
    assert answer(said).is_ephemeral
    assert answer(said).files == ()
    assert "Manage Server" in plain(said), "who may"
    assert "Server Settings → Integrations" in plain(said), "and how they could"
    for reads in ("upcoming", "latest", "help", "privacy"):
        assert answer(discord.ask(server.bob, server.channel, reads)).is_ephemeral is (
            reads in ("help", "privacy")
        )
    told = discord.ask(server.bob, server.channel, "status", show="arcane")
    assert plain(told).startswith("Arcane")
    assert "Arcane" in follows(discord, server.bob, server.channel)
    assert follows(discord, server.bob, server.channel).startswith("You follow 1 show.")


@pytest.mark.parametrize("where", ["server", "group chat"])
def test_where_the_bot_is_no_member_it_tells_and_refuses_to_subscribe(
    discord: FakeDiscord, where: str
) -> None:
    away = fans(discord, has_bot=False)
    place = away.channel if where == "server" else discord.group(away.ann, away.bob)
    read: list[tuple[str, Options]] = [
        ("status", {"show": "kin"}), ("upcoming", {}), ("latest", {}), ("help", {}),
        ("subscriptions", {}), ("privacy", {}),
    ]  # fmt: skip
    for name, options in read:
        said = discord.ask(away.bob, place, name, **options)
        assert plain(said)
        assert answer(said).is_ephemeral is (name in ("help", "subscriptions", "privacy"))
    changed: list[tuple[str, Options]] = [
        ("subscribe", {"show": "kin"}), ("unsubscribe", {"show": "kin"}),
        ("privacy", {"action": "delete"}),
    ]  # fmt: skip
    for name, options in changed:
        said = discord.ask(away.ann, place, name, forged=True, **options)
        assert answer(said).is_ephemeral
        assert "I am no member here" in plain(said)
        assert "direct message" in plain(said), "what to do instead"
    assert follows(discord, away.ann, place).startswith(NOTHING)


def test_an_unknown_title_typed_where_the_bot_is_no_member_is_chosen_by_a_button(
    discord: FakeDiscord,
) -> None:
    away = fans(discord, has_bot=False)
    asked = discord.ask(away.bob, away.channel, "status", show="outlander please")
    said = pressed(discord, away.bob, asked, "Outlander")
    assert plain(said).startswith("Outlander")


def test_a_command_that_there_is_no_more_is_answered_with_words(discord: FakeDiscord) -> None:
    server = fans(discord)
    offered = discord.settings.commands[None]
    older = discord.commands()["status"] | {"name": "state", "id": "5"}
    offered.append(older)
    said = discord.ask(server.bob, server.channel, "state", show="kin")
    offered.remove(older)
    assert plain(said).startswith("That command has changed")
    assert answer(said).is_ephemeral


# --- exceptions that who owns the server makes ---


@pytest.mark.parametrize(
    ("who", "lets_in"),
    [(["bob"], True), (["role"], True), (["everyone"], True), (["channel"], False),
     (["other"], False), (["not bob", "role"], False), (["bob", "not everyone"], True)],
)  # fmt: skip
def test_an_exception_lets_in_whom_it_names(
    discord: FakeDiscord, who: list[str], lets_in: bool
) -> None:
    server = fans(discord)
    role, other = server.guild.role("readers"), server.guild.role("others")
    server.guild.set_roles(server.bob, [role])
    named: dict[str, tuple[int, int]] = {
        "bob": (server.bob.id, 2), "role": (role.id, 1), "other": (other.id, 1),
        "everyone": (server.guild.id, 1), "channel": (server.channel.id, 3),
    }  # fmt: skip
    made = []
    for one in who:
        number, kind = named[one.removeprefix("not ")]
        made.append({"id": number, "type": kind, "permission": not one.startswith("not ")})
    discord.override(server.guild, made, "subscribe")
    said = discord.ask(server.bob, server.channel, "subscribe", show="kin")
    if lets_in:
        assert plain(said).startswith("Subscribed: ")
    else:
        assert "Manage Server" in plain(said)
    # What is excepted is one command.
    also = discord.ask(server.bob, server.channel, "unsubscribe", show="kin")
    assert "Manage Server" in plain(also)
    assert ("Kin" in follows(discord, server.bob, server.channel)) is lets_in


def test_who_is_let_in_by_an_exception_may_press_the_buttons_too(discord: FakeDiscord) -> None:
    server = fans(discord)
    let_in = [{"id": server.bob.id, "type": 2, "permission": True}]
    discord.override(server.guild, let_in, "subscribe")
    said = discord.ask(server.bob, server.channel, "subscribe", show="kin")
    said = pressed(discord, server.bob, said, "✓ trailer")
    assert plain(said).startswith("Changed: you get alerts (renewed, dated, cancelled) for Kin.")
    assert "Manage Server" in refused(discord, server.bob, said, "Unsubscribe"), (
        "is another command"
    )
    assert "Kin" in follows(discord, server.bob, server.channel)


def test_while_nobody_knows_the_exceptions_nothing_is_changed(discord: FakeDiscord) -> None:
    server = fans(discord)
    fault = discord.fail(EXCEPTIONS, status=403, code=50001)
    said = discord.ask(server.bob, server.channel, "subscribe", show="kin")
    assert fault.struck == 1
    assert "Try again in a moment" in plain(said)
    assert answer(said).is_ephemeral
    assert follows(discord, server.bob, server.channel).startswith(NOTHING)


# --- titles ---


@pytest.mark.parametrize(
    ("typed", "first"),
    [("오징", "squid-game"), ("오징어 게임", "squid-game"), ("squid", "squid-game"),
     ("SQUID GA", "squid-game"), ("squd game", "squid-game"), ("aouad", "all-of-us-are-dead"),
     ("all of us are ded", "all-of-us-are-dead"), ("지금 우리", "all-of-us-are-dead")],
)  # fmt: skip
def test_titles_are_offered_while_one_is_typed(
    discord: FakeDiscord, typed: str, first: str
) -> None:
    server = fans(discord)
    for name in ("subscribe", "unsubscribe", "status"):
        found = discord.autocomplete(server.bob, server.channel, name, show=typed).choices
        assert found
        assert found[0]["value"] == first
        assert len(found) <= 25


def test_whatever_is_typed_is_answered_with_few_titles(discord: FakeDiscord) -> None:
    server = fans(discord)
    for typed in (
        "",
        " ",
        "a",
        "e",
        "the",
        "?",
        "\u202e",
        "@everyone",
        "\x00",
        "💥" * 50,
        "x" * 6000,
    ):
        asked = discord.autocomplete(server.bob, server.channel, "status", show=typed)
        assert asked.choices is not None
        assert len(asked.choices) <= 25
        assert asked.acknowledged_after
        assert asked.acknowledged_after < 3
    many = discord.autocomplete(server.bob, server.channel, "status", show="umbra").choices
    assert many
    assert len(many) == 25


def test_what_is_offered_and_what_is_written_are_both_taken(discord: FakeDiscord) -> None:
    server = fans(discord)
    offered = discord.autocomplete(server.ann, server.channel, "subscribe", show="오징").choices
    assert offered
    for number, show in enumerate((offered[0]["value"], "오징어 게임", " squid   GAME ")):
        said = plain(discord.ask(server.ann, server.channel, "subscribe", show=show))
        start = "You follow Squid Game already." if number else "Subscribed: you get every alert"
        assert said.startswith(start)


@pytest.mark.parametrize("name", ["subscribe", "status", "unsubscribe"])
def test_an_unknown_title_offers_the_nearest_as_buttons(discord: FakeDiscord, name: str) -> None:
    server = fans(discord)
    asked = discord.ask(server.ann, server.channel, name, show="outlander please")
    assert plain(asked) == "“outlander please” is no title. Did you mean: Outlander?"
    assert answer(asked).is_ephemeral, "a mistake concerns nobody else"
    said = pressed(discord, server.ann, asked, "Outlander")
    starts = {"subscribe": "Subscribed: you get every alert for Outlander.",
              "status": "Outlander", "unsubscribe": "You did not follow Outlander"}  # fmt: skip
    assert plain(said).startswith(starts[name])
    assert answer(said) is answer(asked), "it takes the place of the question"


def test_an_ambiguous_title_keeps_its_options_in_the_buttons(discord: FakeDiscord) -> None:
    server = fans(discord)
    asked = discord.ask(server.ann, server.channel, "subscribe", show="star trek", kinds="dated")
    assert buttons(asked) == ["Star Trek: Discovery", "Star Trek: Strange New Worlds"]
    said = pressed(discord, server.ann, asked, "Star Trek: Strange New Worlds")
    assert plain(said).startswith("Subscribed: you get alerts (dated) for Star Trek: Strange New")


def test_a_title_of_which_nothing_comes_close_is_told_with_no_buttons(
    discord: FakeDiscord,
) -> None:
    server = fans(discord)
    for show in ("zzqqxx", "x" * 6000, "@everyone <@&1> [a](https://evil.example)", "\u200b"):
        said = discord.ask(server.bob, server.channel, "status", show=show)
        assert answer(said).is_ephemeral
        assert answer(said).components == []
        assert answer(said).pings == ()
        assert len(said.text) <= 2000


def test_kinds_are_choices(discord: FakeDiscord) -> None:
    server = fans(discord)
    listed = discord.commands()["subscribe"]["options"]
    kinds = next(one for one in listed if one["name"] == "kinds")
    assert [one["value"] for one in kinds["choices"]] == ["all", *KINDS]
    for kind in KINDS:
        said = plain(discord.ask(server.ann, server.channel, "subscribe", show="kin", kinds=kind))
        assert f"you get alerts ({kind}) for Kin." in said
    said = plain(discord.ask(server.ann, server.channel, "subscribe", show="kin", kinds="all"))
    assert "you get every alert for Kin." in said


# --- another channel ---


def test_alerts_go_to_the_channel_that_was_chosen(discord: FakeDiscord, home: Home) -> None:
    server = fans(discord)
    news = server.guild.text("series-news")
    said = discord.ask(server.ann, server.channel, "subscribe", show="amber coast", channel=news)
    assert plain(said).startswith("Subscribed: you get every alert for Amber Coast.")
    assert plain(said).endswith("(This is about #series-news.)")
    assert follows(discord, server.ann, server.channel).startswith(NOTHING)
    assert "Amber Coast" in follows(discord, server.ann, server.channel, news)
    announce(home, "amber coast")
    discord.wait_for(news, "RENEWED · Amber Coast, season 19")
    assert discord.sent_to(server.channel) == ()
    fewer = pressed(discord, server.ann, said, "✓ trailer")
    assert plain(fewer).startswith("Changed: you get alerts (renewed, dated, cancelled) for Amber")
    assert plain(fewer).endswith("(This is about #series-news.)"), "it still is"
    assert "only renewed, dated, cancelled" in follows(discord, server.ann, server.channel, news)
    gone = discord.ask(server.ann, server.channel, "unsubscribe", show="amber coast", channel=news)
    assert plain(gone).startswith("Unsubscribed: ")
    assert follows(discord, server.ann, server.channel, news).startswith(NOTHING)


@pytest.mark.parametrize("where", ["thread", "private thread", "forum", "forum post", "voice"])
def test_every_place_with_messages_can_be_chosen(discord: FakeDiscord, where: str) -> None:
    server = fans(discord)
    place = server.guild.forum("f") if where == "forum" else place_of(discord, server, where)
    said = discord.ask(server.ann, server.channel, "subscribe", show="kin", channel=place)
    assert plain(said).startswith("Subscribed: ")
    assert "Kin" in follows(discord, server.ann, server.channel, place)
    assert follows(discord, server.ann, server.channel).startswith(NOTHING)


def test_categories_and_stages_are_not_offered(discord: FakeDiscord) -> None:
    for name in ("subscribe", "unsubscribe", "subscriptions", "privacy"):
        option = next(it for it in discord.commands()[name]["options"] if it["name"] == "channel")
        assert not {4, 13} & set(option["channel_types"])
        assert {0, 5, 10, 11, 12, 15} <= set(option["channel_types"])


@pytest.mark.parametrize("name", ["subscribe", "unsubscribe"])
def test_a_channel_of_another_server_is_refused(discord: FakeDiscord, name: str) -> None:
    server, other = fans(discord), fans(discord)
    other.guild.join(server.ann, [other.guild.role("mods", "manage_guild")])
    discord.ask(other.ann, other.channel, "subscribe", show="arcane")
    said = discord.ask(server.ann, server.channel, name, show="arcane", channel=other.channel)
    assert "#general is not a channel of this server" in plain(said)
    assert answer(said).is_ephemeral
    assert follows(discord, other.ann, other.channel).startswith("You follow 1 show.")


def test_in_a_direct_chat_no_channel_and_no_role_can_be_chosen(discord: FakeDiscord) -> None:
    server = fans(discord)
    place = discord.dm(server.ann)
    chosen: list[Options] = [
        {"channel": server.channel}, {"role": server.guild.role("fans")},
    ]  # fmt: skip
    for options in chosen:
        said = discord.ask(server.ann, place, "subscribe", show="kin", **options)
        assert plain(said).startswith("Channels and roles can be chosen in a server")
    assert follows(discord, server.ann, server.channel).startswith(NOTHING)
    assert follows(discord, server.ann, place).startswith(NOTHING)


def test_who_may_not_see_a_channel_is_told_nothing_of_it(discord: FakeDiscord) -> None:
    server = fans(discord)
    secret = server.guild.text("secret")
    discord.ask(server.owner, server.channel, "subscribe", show="arcane", channel=secret)
    for person in (server.ann, server.bob):
        server.guild.forbid(secret, "view_channel", to=person)
        said = follows(discord, person, server.channel, secret)
        assert "Arcane" not in said
        assert "You cannot see #secret" in said
    for name in ("subscribe", "unsubscribe"):
        said = plain(discord.ask(server.ann, server.channel, name, show="arcane", channel=secret))
        assert "You cannot see #secret" in said
    for action in ("export", "delete"):
        said = plain(
            discord.ask(server.ann, server.channel, "privacy", action=action, channel=secret)
        )
        assert "You cannot see #secret" in said
    assert "Arcane" in follows(discord, server.owner, server.channel, secret)


def test_who_may_not_post_in_a_channel_does_not_decide_what_it_gets(discord: FakeDiscord) -> None:
    server = fans(discord)
    news, forum = server.guild.text("news"), server.guild.forum("shows")
    server.guild.forbid(news, "send_messages", to=server.ann)
    server.guild.forbid(forum, "send_messages_in_threads", to=server.ann)
    for place, lacking in ((news, "Send Messages"), (forum, "Send Messages in Threads")):
        said = discord.ask(server.ann, server.channel, "subscribe", show="kin", channel=place)
        assert f"You lack {lacking} in #{place.name}" in plain(said)
        assert answer(said).is_ephemeral
        assert follows(discord, server.ann, server.channel, place).startswith(NOTHING)
    there = discord.ask(server.ann, news, "subscribe", show="kin")
    assert "You lack Send Messages" in plain(there)


@pytest.mark.parametrize("here", [True, False], ids=["here", "chosen"])
@pytest.mark.parametrize(
    ("kind", "right", "words"),
    [("text", "view_channel", "View Channel"), ("text", "send_messages", "Send Messages"),
     ("text", "embed_links", "Embed Links"), ("announcement", "embed_links", "Embed Links"),
     ("forum", "send_messages_in_threads", "Send Messages in Threads"),
     ("thread", "send_messages_in_threads", "Send Messages in Threads")],
)  # fmt: skip
def test_a_right_that_the_bot_lacks_is_named_until_it_is_granted(
    discord: FakeDiscord, kind: str, right: str, words: str, here: bool
) -> None:
    server = fans(discord)
    base = server.channel if kind == "thread" else getattr(server.guild, kind)("place")
    place = base.thread("place") if kind == "thread" else base
    from_ = server.guild.text("other") if kind == "forum" or not here else place
    options: Options = {} if from_ is place else {"channel": place}
    server.guild.forbid(base, right)
    said = discord.ask(server.ann, from_, "subscribe", show="kin", **options)
    assert re.match(r"I lack [^.]*" + words, plain(said))
    assert "in #place. Open Edit Channel → Permissions, add my role and allow it" in plain(said)
    assert answer(said).is_ephemeral
    assert follows(discord, server.ann, from_, *options.values()).startswith(NOTHING)
    server.guild.allow(base, right)
    said = discord.ask(server.ann, from_, "subscribe", show="kin", **options)
    assert plain(said).startswith("Subscribed: ")


# --- roles, and publishing ---


def test_a_role_is_pinged_by_alerts_if_it_can_be(discord: FakeDiscord, home: Home) -> None:
    server = fans(discord)
    role = server.guild.role("series")
    options: Options = {"show": "velvet orbit", "role": role}
    said = discord.ask(server.ann, server.channel, "subscribe", **options)
    assert "I may not mention @series" in plain(said)
    assert "Allow anyone to @mention this role" in plain(said), "how it could be"
    assert answer(said).pings == ()
    assert follows(discord, server.ann, server.channel).startswith(NOTHING)
    server.guild.change_role(role, mentionable=True)
    said = discord.ask(server.ann, server.channel, "subscribe", **options)
    assert "Alerts ping the role you chose." in plain(said)
    assert answer(said).pings == ()
    announce(home, "velvet orbit")
    alert = discord.wait_for(server.channel, "RENEWED")
    assert alert.pings == (role.id,)
    assert role.mention in alert.content


def test_who_may_mention_everyone_may_let_such_a_bot_ping_any_role(discord: FakeDiscord) -> None:
    server = fans(discord)
    role = server.guild.role("series")
    server.guild.allow(server.channel, "mention_everyone")
    said = discord.ask(server.ann, server.channel, "subscribe", show="kin", role=role)
    assert "I may not mention @series" in plain(said)
    server.guild.allow(server.channel, "mention_everyone", to=server.ann)
    said = discord.ask(server.ann, server.channel, "subscribe", show="kin", role=role)
    assert "Alerts ping the role you chose." in plain(said)


def test_everyone_is_no_role_to_ping(discord: FakeDiscord) -> None:
    server = fans(discord)
    server.guild.allow(server.channel, "mention_everyone")
    everyone = server.guild.everyone
    said = discord.ask(server.ann, server.channel, "subscribe", show="kin", role=everyone)
    assert plain(said).startswith("I do not ping everyone.")
    assert follows(discord, server.ann, server.channel).startswith(NOTHING)


def test_only_an_announcement_channel_publishes(discord: FakeDiscord) -> None:
    server = fans(discord)
    said = discord.ask(server.ann, server.channel, "subscribe", show="kin", publish=True)
    assert "Only an announcement channel can publish, and #general is none." in plain(said)
    assert follows(discord, server.ann, server.channel).startswith(NOTHING)
    assert plain(
        discord.ask(server.ann, server.channel, "subscribe", show="kin", publish=False)
    ).startswith("Subscribed: ")
    news = server.guild.announcement("news")
    said = discord.ask(server.ann, server.channel, "subscribe", show="kin", publish=True,
                       channel=news)  # fmt: skip
    assert "Alerts are published to the channels that follow this one." in plain(said)
    assert "published" in follows(discord, server.ann, server.channel, news)


# --- buttons below answers ---


def test_kinds_are_switched_by_buttons(discord: FakeDiscord) -> None:
    server = fans(discord)
    said = discord.ask(server.ann, server.channel, "subscribe", show="feria")
    first = answer(said)
    assert buttons(said) == SWITCHES
    said = pressed(discord, server.ann, said, "✓ trailer")
    assert plain(said).startswith("Changed: you get alerts (renewed, dated, cancelled) for Feria.")
    for kind in ("renewed", "dated"):
        said = pressed(discord, server.ann, said, f"✓ {kind}")
    assert buttons(said) == ["renewed", "dated", "trailer", "✓ cancelled", "Unsubscribe"]
    said = pressed(discord, server.ann, said, "✓ cancelled")
    assert plain(said).startswith("You follow Feria already (cancelled)."), "the last one stays"
    said = pressed(discord, server.ann, said, "dated")
    assert answer(said) is first, "each press changed the one answer"
    assert "only dated, cancelled" in follows(discord, server.ann, server.channel)


def test_an_unsubscription_can_be_taken_back_by_a_button(discord: FakeDiscord) -> None:
    server = fans(discord)
    said = discord.ask(server.ann, server.channel, "subscribe", show="kin")
    gone = pressed(discord, server.ann, said, "Unsubscribe")
    assert plain(gone) == "Unsubscribed: no more alerts for Kin."
    assert buttons(gone) == ["Subscribe again"]
    assert follows(discord, server.ann, server.channel).startswith(NOTHING)
    back = pressed(discord, server.ann, gone, "Subscribe again")
    assert plain(back).startswith("Subscribed: you get every alert for Kin.")
    assert buttons(back) == SWITCHES
    assert answer(back) is answer(said)
    assert "Kin" in follows(discord, server.ann, server.channel)


def test_a_long_list_is_turned_by_buttons(discord: FakeDiscord, home: Home) -> None:
    server = fans(discord)
    shows = sorted(home.do("shows", "--json").records, key=lambda it: str(it["title"]).casefold())
    titles = [str(one["title"]) for one in shows[:12]]
    for number, title in enumerate(titles):
        # One person may send so many at once: two of them share the work.
        who = (server.ann, server.owner)[number % 2]
        assert title in plain(discord.ask(who, server.channel, "subscribe", show=title))
    first = discord.ask(server.bob, server.channel, "subscriptions")
    assert plain(first).startswith("You follow 12 shows. Page 1 of 2:")
    assert buttons(first) == [*titles[:10], "Next"]
    second = pressed(discord, server.bob, first, "Next")
    assert buttons(second) == [*titles[10:], "Previous"]
    assert answer(second) is answer(first)
    assert buttons(pressed(discord, server.bob, second, "Previous")) == [*titles[:10], "Next"]
    last = discord.ask(server.bob, server.channel, "subscriptions", page=999_999)
    assert plain(last).startswith("You follow 12 shows. Page 2 of 2:")
    # A show opens for who may change it, and for nobody else.
    assert "Manage Server" in refused(discord, server.bob, last, titles[10])
    mine = discord.ask(server.ann, server.channel, "subscriptions", page=2)
    opened = pressed(discord, server.ann, mine, titles[11])
    assert plain(opened).startswith(f"You follow {titles[11]} already.")
    assert buttons(opened) == SWITCHES


def test_everything_stored_is_handed_over_as_a_file_and_deleted(discord: FakeDiscord) -> None:
    server = fans(discord)
    discord.ask(server.ann, server.channel, "subscribe", show="woke", kinds="dated")
    told = discord.ask(server.ann, server.channel, "privacy")
    assert buttons(told) == ["Show everything", "Delete everything"]
    for said in (
        discord.ask(server.ann, server.channel, "privacy", action="export"),
        pressed(discord, server.ann, told, "Show everything"),
    ):
        assert answer(said).is_ephemeral
        (file,) = answer(said).files
        assert file.name == "cliffhanger.json"
        stored = json.loads(file.content)
        assert stored["subscriptions"] == [
            {"show": "woke", "kinds": ["dated"], "role_id": None, "publish": False}
        ]
        assert stored["chat_id"] == server.channel.id
    # The question still stands there: what was shown can be deleted.
    gone = pressed(discord, server.ann, told, "Delete everything")
    assert plain(gone).startswith("Deleted: 1 subscription")
    assert follows(discord, server.ann, server.channel).startswith(NOTHING)
    again = discord.ask(server.ann, server.channel, "privacy", action="delete")
    assert plain(again).startswith("Deleted: 0 subscriptions")


# --- alerts and their buttons ---


def test_an_alert_offers_details_to_all_and_an_end_to_managers(
    discord: FakeDiscord, home: Home
) -> None:
    server = fans(discord)
    discord.ask(server.ann, server.channel, "subscribe", show="quarry lane")
    announce(home, "quarry lane")
    alert = discord.wait_for(server.channel, "RENEWED · Quarry Lane, season 19")
    assert list(alert.buttons) == ["Details", "Unsubscribe"]
    for person in (server.bob, server.ann, server.bob):
        told = pressed(discord, person, alert, "Details")
        assert plain(told).startswith("Quarry Lane, season 19: renewed")
        assert answer(told).is_ephemeral
    assert "Manage Server" in refused(discord, server.bob, alert, "Unsubscribe")
    assert follows(discord, server.bob, server.channel).startswith("You follow 1 show.")
    gone = pressed(discord, server.ann, alert, "Unsubscribe")
    assert plain(gone) == "Unsubscribed: no more alerts for Quarry Lane."
    assert answer(gone).is_ephemeral
    assert alert.edits == [], "the news stays"
    assert follows(discord, server.bob, server.channel).startswith(NOTHING)


@pytest.mark.parametrize("where", ["thread", "forum"])
def test_an_alert_in_a_thread_or_forum_is_ended_there(
    discord: FakeDiscord, home: Home, where: str
) -> None:
    server = fans(discord)
    show = "mirror dynasty" if where == "thread" else "low tide radio"
    place = server.guild.forum("f") if where == "forum" else server.channel.thread("t")
    discord.ask(server.ann, server.channel, "subscribe", show=show, channel=place)
    announce(home, show)
    discord.wait_until(lambda: [one for one in discord.history if show in one.text.casefold()])
    alert = next(one for one in discord.history if show in one.text.casefold())
    assert alert.parent_id == (place.id if where == "forum" else server.channel.id)
    told = pressed(discord, server.bob, alert, "Details")
    assert plain(told).casefold().startswith(f"{show}, season 19: renewed")
    assert "This is about" not in plain(told)
    assert "Manage Server" in refused(discord, server.bob, alert, "Unsubscribe")
    told = pressed(discord, server.ann, alert, "Details")
    gone = pressed(discord, server.ann, told, "Unsubscribe")
    assert plain(gone).startswith("Unsubscribed: ")
    assert follows(discord, server.ann, server.channel, place).startswith(NOTHING)


def test_an_alert_in_a_direct_chat_is_ended_there(discord: FakeDiscord, home: Home) -> None:
    ann = discord.person("Ann")
    place = discord.dm(ann)
    discord.ask(ann, place, "subscribe", show="nine lanterns")
    announce(home, "nine lanterns")
    alert = discord.wait_for(place, "RENEWED · Nine Lanterns, season 19")
    told = pressed(discord, ann, alert, "Details")
    assert plain(told).startswith("Nine Lanterns, season 19: renewed")
    assert plain(pressed(discord, ann, alert, "Unsubscribe")).startswith("Unsubscribed: ")
    assert follows(discord, ann, place).startswith(NOTHING)


def test_the_buttons_of_an_answer_are_for_who_asked(discord: FakeDiscord) -> None:
    server = fans(discord)
    discord.ask(server.ann, server.channel, "subscribe", show="kin")
    told = discord.ask(server.ann, server.channel, "status", show="kin")
    assert buttons(told) == ["Unsubscribe"]
    assert not answer(told).is_ephemeral
    assert "Kin" in follows(discord, server.ann, server.channel)  # what they do is written down
    for person in (server.bob, server.owner):
        said = refused(discord, person, answer(told), "Unsubscribe")
        assert said.startswith("These buttons are for whoever asked. Send it yourself: /unsub")
    assert "Kin" in follows(discord, server.bob, server.channel)
    assert plain(pressed(discord, server.ann, told, "Unsubscribe")).startswith("Unsubscribed: ")


def test_who_loses_the_right_loses_the_buttons(discord: FakeDiscord) -> None:
    server = fans(discord)
    said = discord.ask(server.ann, server.channel, "subscribe", show="kin")
    server.guild.set_roles(server.ann, [])
    assert "Manage Server" in refused(discord, server.ann, said, "✓ trailer")
    assert "only" not in follows(discord, server.bob, server.channel)
    server.guild.set_roles(server.ann, [server.guild.role("again", "manage_guild")])
    assert plain(pressed(discord, server.ann, said, "✓ trailer")).startswith("Changed: ")


def forged(message: Sent, place: int, custom_id: str) -> None:
    """Put other data on a button, as a message that was made up would have it."""
    message.components = copy.deepcopy(message.components)
    message.components[0]["components"][place]["custom_id"] = custom_id


@pytest.mark.parametrize(
    "data",
    ["a", "k", "x", "a" + "A" * 28, "k" + "A" * 16 + ":0", "kx:²", ":", "a🤷", "k:" + "9" * 60,
     "k\x00:0", "A" * 100, "/unsubscribe kin", "@everyone", "k\n"],
)  # fmt: skip
def test_forged_data_is_refused(discord: FakeDiscord, data: str) -> None:
    server = fans(discord)
    said = discord.ask(server.ann, server.channel, "subscribe", show="kin")
    forged(answer(said), 4, data)
    words = refused(discord, server.ann, said, "Unsubscribe")
    assert "/help" in words, "it says what to do instead"
    assert "Kin" in follows(discord, server.ann, server.channel)


def test_data_that_is_on_no_button_is_passed_over(discord: FakeDiscord) -> None:
    server = fans(discord)
    mine = discord.ask(server.ann, server.channel, "subscribe", show="kin")
    other = discord.ask(server.ann, server.channel, "subscribe", show="woke")
    data = answer(mine).buttons["Unsubscribe"]
    UNANSWERED.add(discord.press(server.ann, other, custom_id=data).id)
    assert follows(discord, server.ann, server.channel).startswith("You follow 2 shows.")


def test_a_keyboard_belongs_to_its_message_and_channel(discord: FakeDiscord) -> None:
    server = fans(discord)
    elsewhere = server.guild.text("elsewhere")
    mine = discord.ask(server.ann, server.channel, "subscribe", show="kin")
    others = (discord.ask(server.ann, server.channel, "subscribe", show="woke"),
              discord.ask(server.ann, elsewhere, "subscribe", show="kin"))  # fmt: skip
    data = answer(mine).buttons["Unsubscribe"]
    for other in others:
        forged(answer(other), 4, data)
        said = refused(discord, server.ann, other, "Unsubscribe")
        assert "does not belong to this message" in said
    assert follows(discord, server.ann, server.channel).startswith("You follow 2 shows.")
    assert follows(discord, server.ann, elsewhere).startswith("You follow 1 show.")
    assert plain(pressed(discord, server.ann, mine, "Unsubscribe")).startswith("Unsubscribed: ")


def test_an_alerts_seal_fits_one_channel_and_message(discord: FakeDiscord, home: Home) -> None:
    one, two = fans(discord), fans(discord)
    for server in (one, two):
        discord.ask(server.ann, server.channel, "subscribe", show="fjord union")
    announce(home, "fjord union")
    seal = discord.wait_for(one.channel, "RENEWED").buttons["Unsubscribe"]
    stolen = discord.wait_for(two.channel, "RENEWED")
    eventually(lambda: home.deliveries()["pending"] == 0, "that the sending is written down")
    forged(stolen, 1, seal)
    assert "does not belong" in refused(discord, two.ann, stolen, "Unsubscribe")
    answered = discord.ask(one.ann, one.channel, "status", show="fjord union")
    forged(answer(answered), 0, seal)
    assert "does not belong" in refused(discord, one.ann, answered, "Unsubscribe")
    for server in (one, two):
        assert follows(discord, server.ann, server.channel).startswith("You follow 1 show.")


def test_a_used_keyboard_is_used_up(discord: FakeDiscord) -> None:
    server = fans(discord)
    said = discord.ask(server.ann, server.channel, "subscribe", show="arcane")
    old = answer(said).buttons["✓ trailer"]
    said = pressed(discord, server.ann, said, "✓ trailer")
    forged(answer(said), 2, old)
    assert refused(discord, server.ann, said, "trailer").startswith("These buttons were used")
    assert "only renewed, dated, cancelled" in follows(discord, server.ann, server.channel)


def note(home: Home, name: str, value: str) -> None:
    """Let the bot have noted something else before it starts again."""
    with closing(sqlite3.connect(home.database)) as database, database:
        database.execute("UPDATE notes SET value = ? WHERE name = ?", (value, name))


def test_buttons_work_after_a_restart(tmp_path: Path) -> None:
    with FakeDiscord() as discord:
        server = fans(discord)
        home = stocked(tmp_path, discord)
        with talking(home, discord) as bot:
            asked = discord.ask(server.ann, server.channel, "subscribe", show="saltmarsh")
            list_ = discord.ask(server.ann, server.channel, "status", show="star trek")
            announce(home, "saltmarsh")
            alert = discord.wait_for(server.channel, "RENEWED")
            check_leaves_in_peace(bot, discord)
        note(home, "discord.starts", "[]")  # as if it had been a while ago
        with talking(home, discord) as bot:
            told = pressed(discord, server.bob, alert, "Details")
            assert plain(told).startswith("Saltmarsh, season 19: renewed")
            told = pressed(discord, server.ann, list_, "Star Trek: Discovery")
            assert plain(told).startswith("Star Trek: Discovery")
            fewer = pressed(discord, server.ann, asked, "✓ trailer")
            assert plain(fewer).startswith("Changed: ")
            gone = pressed(discord, server.ann, alert, "Unsubscribe")
            assert plain(gone).startswith("Unsubscribed: ")
            check_leaves_in_peace(bot, discord)
        assert len(discord.calls(SYNC)) == 1, "commands that have not changed are not sent again"
        note(home, "discord.starts", "[]")
        note(home, "discord.commands", "others")
        with talking(home, discord) as bot:
            discord.wait_for_request(SYNC, 2)
            check_leaves_in_peace(bot, discord)


def test_commands_of_a_server_for_trials_are_there_alone(tmp_path: Path) -> None:
    with FakeDiscord() as discord:
        server = fans(discord)
        home = stocked(tmp_path, discord, DISCORD_DEV_GUILD=str(server.guild.id))
        with talking(home, discord, server.channel) as bot:
            said = discord.ask(server.ann, server.channel, "subscribe", show="kin")
            assert plain(said).startswith("Subscribed: ")
            assert set(discord.commands(server.guild.id)) == set(COMMANDS)
            assert discord.commands() == {}
            assert discord.calls(SYNC) == ()
            assert len(discord.calls(SYNC_GUILD)) == 1
            check_leaves_in_peace(bot, discord)


# --- late, twice, and too much ---


def calls_for(discord: FakeDiscord, one: Interaction) -> int:
    """How often an answer to an interaction was tried."""
    return sum(one.token in call.path for call in discord.calls(ANSWER))


def test_what_is_told_twice_is_done_once(discord: FakeDiscord) -> None:
    server = fans(discord)
    said = discord.ask(server.ann, server.channel, "subscribe", show="kin", times=2)
    assert plain(said).startswith("Subscribed: ")
    gone = pressed(discord, server.ann, said, "✓ trailer", times=3)
    assert plain(gone).startswith("Changed: ")
    assert "only renewed, dated, cancelled" in follows(discord, server.ann, server.channel)
    assert [calls_for(discord, one) for one in (said, gone)] == [1, 1]


@pytest.mark.parametrize(("status", "code"), [(404, 10062), (400, 40060)], ids=["late", "taken"])
def test_what_cannot_be_answered_is_done_in_peace(
    discord: FakeDiscord, status: int, code: int
) -> None:
    server = fans(discord)
    said = discord.ask(server.ann, server.channel, "subscribe", show="arcane")
    fault = discord.fail(ANSWER, status=status, code=code, times=2)
    asked = discord.command(server.ann, server.channel, "subscribe", show="kin")
    discord.wait_until(lambda: fault.struck == 1)
    press = discord.press(server.ann, said, "✓ trailer")
    discord.wait_until(lambda: fault.struck == 2)
    UNANSWERED.update((asked.id, press.id))
    told = follows(discord, server.ann, server.channel)
    assert told.startswith("You follow 2 shows."), "what was asked is done"
    assert "only renewed, dated, cancelled" in told
    assert [calls_for(discord, one) for one in (asked, press)] == [1, 1]


def test_who_is_answered_late_is_told_that_an_answer_comes(discord: FakeDiscord) -> None:
    server = fans(discord)
    said = discord.ask(server.ann, server.channel, "subscribe", show="arcane")
    with discord.held(ANSWER) as hold:
        first = discord.command(server.ann, server.channel, "help")
        discord.wait_until_held(hold)
        later = [
            discord.command(server.ann, server.channel, "subscriptions"),
            discord.command(server.ann, server.channel, "status", show="kin"),
            discord.press(server.ann, said, "✓ trailer"),
        ]
        discord.wait_until(lambda: all(one.acknowledged for one in later))
    assert first.acknowledged == 4
    assert [one.acknowledged for one in later] == [5, 5, 6]
    for one in later:
        discord.wait_for_answer(one)
        assert one.acknowledged_after
        assert 1 < one.acknowledged_after < 3
    assert [plain(one)[:10] for one in later] == ["You follow", "Kin, seaso", "Changed: y"]
    assert [answer(one).is_ephemeral for one in later] == [True, False, True]
    assert answer(later[2]) is answer(said)
    again = pressed(discord, server.ann, later[2], "trailer")
    assert plain(again).startswith("Changed: you get every alert"), "its buttons work"


def test_an_answer_whose_time_is_over_does_no_harm(discord: FakeDiscord) -> None:
    server = fans(discord)
    with discord.held(ANSWER) as hold:
        discord.command(server.ann, server.channel, "help")
        discord.wait_until_held(hold)
        late = discord.command(server.ann, server.channel, "subscribe", show="kin")
        discord.wait_until(lambda: late.acknowledged)
        discord.expire(late)
    discord.wait_until(lambda: late.refusals)
    UNANSWERED.add(late.id)
    assert late.refusals == [50027]
    assert "Kin" in follows(discord, server.ann, server.channel)


def test_a_database_that_is_held_delays_what_is_changed_and_no_more(
    discord: FakeDiscord, home: Home
) -> None:
    server = fans(discord)
    with closing(sqlite3.connect(home.database)) as database:
        database.execute("BEGIN IMMEDIATE")
        asked = discord.command(server.ann, server.channel, "subscribe", show="kin")
        told = discord.ask(server.bob, server.channel, "status", show="kin")
        assert told.acknowledged == 4
        assert discord.autocomplete(server.bob, server.channel, "status", show="kin").choices
        discord.wait_until(lambda: asked.acknowledged)
        assert asked.acknowledged == 5
        assert asked.answer is None
        database.rollback()
    assert plain(discord.wait_for_answer(asked)).startswith("Subscribed: ")
    assert answer(asked).is_ephemeral


def test_who_types_fast_is_answered_all_the_same(discord: FakeDiscord) -> None:
    server = fans(discord)
    found = [discord.autocomplete(server.bob, server.channel, "status", show="squid").choices
             for _ in range(60)]  # fmt: skip
    assert all(choices is not None for choices in found)
    assert found[0]


def test_a_flood_is_told_once_and_holds_up_nobody_else(discord: FakeDiscord) -> None:
    server = fans(discord)
    noisy = [discord.command(server.bob, server.channel, "status", show=f"zzqqxx {number}")
             for number in range(60)]  # fmt: skip
    said = discord.ask(server.ann, server.channel, "status", show="kin")
    assert plain(said).startswith("Kin")
    assert said.acknowledged_after
    assert said.acknowledged_after < 3
    later: list[Interaction] = []

    def heard() -> bool:
        later.append(discord.command(server.bob, server.channel, "latest"))
        return any("The latest" in one.text for one in later)

    eventually(heard, "an answer after the flood, when all before it are answered")
    noisy += later
    UNANSWERED.update(one.id for one in noisy)
    told = [one for one in noisy if "too much at once" in one.text]
    assert len(told) == 1
    assert answer(told[0]).is_ephemeral
    assert sum(one.answer is not None for one in noisy) < 15


def test_the_members_of_a_server_do_not_use_up_each_others_commands(
    discord: FakeDiscord, home: Home
) -> None:
    server = fans(discord)
    discord.ask(server.ann, server.channel, "subscribe", show="kestrel house")
    announce(home, "kestrel house")
    alert = discord.wait_for(server.channel, "RENEWED")
    many = [discord.person("Reader") for _ in range(40)]
    for person in many:
        server.guild.join(person)
    asked = [discord.press(person, alert, "Details") for person in many]
    asked += [discord.command(person, server.channel, "help") for person in many]
    for one in asked:
        assert "too much at once" not in plain(discord.wait_for_answer(one))


# --- harm ---


@pytest.mark.parametrize("show", HOSTILE)
def test_a_hostile_title_stays_words_and_pings_nobody(
    discord: FakeDiscord, home: Home, show: str
) -> None:
    server = fans(discord)
    server.guild.allow(server.channel, "mention_everyone")
    role = server.guild.role("pinged", mentionable=True)
    title = HOSTILE[show].format(role=role.id, person=server.bob.id, channel=server.channel.id)
    load(home, {show: title})
    start = discord.mark
    said = [discord.ask(server.ann, server.channel, "subscribe", show=show)]
    texts = [said[0].text]
    said.append(pressed(discord, server.ann, said[0], "✓ trailer"))
    texts.append(said[1].text)
    more: list[tuple[str, Options]] = [
        ("status", {"show": show}), ("subscriptions", {}), ("subscribe", {"show": "zed"}),
    ]  # fmt: skip
    for name, options in more:
        said.append(discord.ask(server.ann, server.channel, name, **options))
    announce(home, show)
    alert = discord.wait_for(server.channel, "RENEWED", after=start)
    said += [pressed(discord, server.ann, alert, label) for label in ("Details", "Unsubscribe")]
    messages = [alert, *(answer(one) for one in said)]
    texts += [one.text for one in messages]
    words = re.sub(r"\W", "", title)
    assert sum(words in re.sub(r"\W", "", text) for text in texts) >= 7
    for one in messages:
        assert one.pings == ()
        assert one.allowed_mentions
        assert one.allowed_mentions.get("parse") == []
    for text in texts:
        check_harmless(text)
    choices = discord.autocomplete(server.ann, server.channel, "status", show="zed").choices
    assert choices
    assert all(len(one["name"]) <= 100 for one in choices)


def check_harmless(text: str) -> None:
    """Nothing of what a title holds is markup: what begins it stands behind a backslash."""
    unescaped = re.sub(r"\\.", "", text)
    for mark in (
        "@everyone",
        "@here",
        "<@",
        "<#",
        "</",
        "<t:1:R>",
        "||",
        "~~",
        "`",
    ):
        assert mark not in unescaped, text
    assert "\u202e" not in text
    assert not re.search(r"https?://(discord|evil)|\]\(<?[^<h]", unescaped), text


def test_hostile_words_and_names_stay_words(discord: FakeDiscord) -> None:
    server = fans(discord)
    bad = f"@everyone <@&{server.guild.id}> [x](https://evil.example) `c` \u202e"
    role = server.guild.role(bad)
    place = server.guild.text(bad)
    server.guild.forbid(place, "embed_links")
    wrong: list[Options] = [
        {"show": bad}, {"show": "kin", "role": role}, {"show": "kin", "channel": place},
        {"show": "kin", "channel": fans(discord).guild.text(bad)},
    ]  # fmt: skip
    for options in wrong:
        said = discord.ask(server.ann, server.channel, "subscribe", **options)
        assert "everyone" in said.text
        assert answer(said).pings == ()
        check_harmless(said.text)
