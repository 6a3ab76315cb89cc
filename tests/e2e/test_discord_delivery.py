"""News on its way to Discord, by the bot as its own process: to every kind of channel, once."""

import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from typing import Any, Final

from bot.outbox.holds import SILENCE
from bot.platforms.discord.messenger import DiscordMessenger
from tests.e2e.discord import talking
from tests.e2e.process import PATIENCE, STOPS_WITHIN, Home, LiveBot
from tests.e2e.test_main_job import NEWS, NEXT_YEAR, OFFICIAL, TRAILER
from tests.fakes.discord import (
    CROSSPOST,
    SEND,
    START_THREAD,
    Channel,
    FakeDiscord,
    Guild,
    Interaction,
    Person,
    Sent,
)

MANY: Final = 40
IN_FLIGHT: Final = DiscordMessenger.in_flight


def renew(home: Home, season: int = 9, show: str = "ozark") -> dict[str, Any]:
    """Publish that a show goes on."""
    return home.publish(show, "--season", str(season), "--kind", "renewed", *OFFICIAL)


def date(home: Home, day: str = f"{NEXT_YEAR}") -> dict[str, Any]:
    """Publish when Ozark goes on."""
    return home.publish("ozark", "--season", "9", "--kind", "dated", "--date", day, *OFFICIAL)


def manager(discord: FakeDiscord, guild: Guild) -> Person:
    """Somebody who manages a guild; each for a few commands, for nobody may ask too much."""
    role = next((one for one in guild.roles.values() if one.name == "managers"), None)
    person = discord.person("A manager")
    guild.join(person, [role or guild.role("managers", "manage_guild")])
    return person


def follow(discord: FakeDiscord, *channels: Channel, show: str = "ozark", **how: Any) -> None:
    """Let channels follow a show, each by a manager of its own; in a DM its person does it."""
    asked: list[Interaction] = []
    for one in channels:
        who = manager(discord, one.guild) if one.guild else one.recipients[0]
        asked.append(discord.command(who, one, "subscribe", show=show, **how))
    for each in asked:
        assert "Subscribed" in discord.wait_for_answer(each).text


def texts(guild: Guild, count: int, name: str = "news") -> list[Channel]:
    """Text channels."""
    return [guild.text(f"{name}-{number}") for number in range(count)]


def alerts(discord: FakeDiscord, word: str = "RENEWED") -> Counter[int]:
    """How many alerts each channel got."""
    return Counter(one.channel_id for one in discord.history if one.text.startswith(word))


def states(home: Home) -> dict[str, int]:
    """The states of deliveries that occur, as they are stored."""
    return dict(Counter(state for _, state, _, _ in rows(home)))


def rows(home: Home) -> list[tuple[int, str, int, str | None]]:
    """Channel, state, counted attempts and reason of each delivery, as they are stored."""
    return query(
        home,
        "SELECT CASE thread_id WHEN 0 THEN chat_id ELSE thread_id END, state, attempts, reason "
        "FROM deliveries JOIN destinations ON id = destination_id ORDER BY update_seq",
    )


def query(home: Home, statement: str) -> list[Any]:
    """What stands in the database."""
    with closing(sqlite3.connect(home.database)) as database:
        return database.execute(statement).fetchall()


def until_settled(bot: LiveBot, home: Home, **expected: int) -> None:
    """Wait until the deliveries are in these states."""
    bot.until(lambda: states(home) == expected, f"deliveries: {expected}")


def wait_for_all(
    discord: FakeDiscord, places: Iterable[Channel], text: str, after: int = 0
) -> list[Sent]:
    """Wait until each channel has got a message."""
    return [discord.wait_for(one, text, after=after) for one in places]


def post_in(discord: FakeDiscord, forum: Channel, after: int = 0) -> Sent:
    """Wait for the first message of a new post in a forum."""

    def found() -> Sent | None:
        newer = discord.history[after:]
        return next((one for one in newer if one.parent_id == forum.id), None)

    discord.wait_until(found, "a post")
    post = found()
    assert post
    return post


def name_of(forum: Channel, post: Sent) -> str:
    """How the post of a message is called."""
    assert forum.guild
    return forum.guild.channels[post.channel_id].name


def test_news_arrives_in_every_kind_of_channel_once(
    discord_home: Home, discord: FakeDiscord
) -> None:
    home, guild = discord_home, discord.guild("Fans")
    role = guild.role("series", mentionable=True)
    text, called, late = guild.text("text"), guild.text("called"), guild.text("late")
    thread, forum = text.thread("thread"), guild.forum("forum")
    other = guild.forum("other").post("A post")
    loud, quiet = guild.announcement("loud"), guild.announcement("quiet")
    private = discord.dm(discord.person("Alice"))
    plain = [text, thread, other, quiet, private]
    with talking(home, discord):
        follow(discord, *plain, forum)
        follow(discord, called, role=role)
        follow(discord, loud, publish=True)

        renew(home)
        got = wait_for_all(discord, [*plain, called, loud], "RENEWED")
        got.append(post_in(discord, forum))
        post = got[-1]
        assert name_of(forum, post) == "Ozark"
        for one in got:
            mention = f" <@&{role.id}>" if one.channel_id == called.id else ""
            assert one.content == f"RENEWED · Ozark, season 9{mention}"
            (embed,) = one.embeds
            said = embed["description"].splitlines()
            assert said[0] == "Netflix has ordered a 9th season."
            assert "Release date: not announced" in said[1]
            assert said[2].startswith("Official · Netflix, <t:")
            assert said[2].endswith(f":D> · [source]({NEWS})")
            assert list(one.buttons) == ["Details", "Unsubscribe"]
            pinged = [role.id] if mention else []
            assert list(one.pings) == pinged
            roles = {"roles": [str(role.id)]} if mention else {}
            assert one.allowed_mentions == {"parse": [], **roles}
        discord.wait_until(lambda: discord.calls(CROSSPOST), "that it is published")

        # Other news, and the wrong one; who comes later has missed it.
        trailer = ("ozark", "--season", "9", "--kind", "trailer", "--trailer", TRAILER)
        home.publish(*trailer, "--speaker", "Netflix")
        places = [*plain, called, loud]
        for one in (*wait_for_all(discord, places, "TRAILER"),
                    discord.wait_for(post.channel_id, "TRAILER")):  # fmt: skip
            assert one.embeds == [], "an embed would keep the player away"
            assert TRAILER in one.content.split("\n"), "the bare link stands on a line of its own"
            assert one.allowed_mentions is not None
            assert one.allowed_mentions["parse"] == []
        wrong = date(home, f"{NEXT_YEAR}-09-02")
        wait_for_all(discord, places, f"DATED · Ozark, season 9: 2 September {NEXT_YEAR}")
        follow(discord, late)
        home.do("retract", wrong["id"], "--reason", "it was a hoax", "--yes")
        wait_for_all(discord, places, "it was a hoax")
        assert discord.wait_for(post.channel_id, "CORRECTION").content.startswith("CORRECTION")
        date(home, f"{NEXT_YEAR}-10-03")
        wait_for_all(discord, [*places, late], f"3 October {NEXT_YEAR}")
        discord.wait_for(post.channel_id, "3 October")
        discord.wait_until(lambda: len(discord.calls(CROSSPOST)) == 5, "that all is published")
    told = Counter(one.content.split(" ")[0] for one in discord.history)
    expected = {"RENEWED": 8, "TRAILER": 8, "WITHDRAWN": 8, "CORRECTION": 8, "DATED": 9}
    assert told == expected, "the mistake says itself that it was one"
    assert [one.content[:5] for one in discord.sent_to(late)] == ["DATED"]
    published = {one.channel_id for one in discord.history if one.crossposted}
    assert published == {loud.id}
    assert all(one.crossposted for one in discord.sent_to(loud))
    assert len(discord.calls(START_THREAD)) == 1
    assert states(home) == {"sent": 41}
    assert discord.repeats == ()


def test_each_show_has_one_post_in_a_forum_and_a_new_one_where_that_is_gone(
    discord_home: Home, discord: FakeDiscord
) -> None:
    home, guild = discord_home, discord.guild("Fans")
    forum, closing_one, muted = (guild.forum(one) for one in ("forum", "closing", "muted"))
    renewed, other = forum.add_tag("Renewed"), forum.add_tag("Trailer")
    with talking(home, discord) as bot:
        follow(discord, forum, closing_one, muted)
        follow(discord, forum, show="squid game")
        renew(home)
        first, closed, _ = (post_in(discord, one) for one in (forum, closing_one, muted))
        assert guild.channels[first.channel_id].applied_tags == [renewed] != [other]

        # Folded away is not gone, and where the bot may not write is none; deleted and locked are.
        guild.forbid(muted, "send_messages_in_threads")
        guild.channels[first.channel_id].archive()
        guild.channels[closed.channel_id].archive(locked=True)
        date(home)
        assert discord.wait_for(first.channel_id, "DATED").channel_id == first.channel_id
        discord.wait_until(lambda: len(discord.calls(START_THREAD)) == 4, "a new post")
        reopened = next(
            one for one in discord.history
            if one.parent_id == closing_one.id and one.text.startswith("DATED")
        )  # fmt: skip
        assert reopened.channel_id != closed.channel_id
        until_settled(bot, home, sent=5, pending=1)

        mark = discord.mark
        guild.channels[first.channel_id].delete()
        bot.until(lambda: not posts(home, first.channel_id), "that it is noted")
        bot.send(signal.SIGTERM)
        assert bot.ended(STOPS_WITHIN) == 0
    renew(home, 10)
    renew(home, 9, "squid game")
    with talking(home, discord) as bot:
        until_settled(bot, home, sent=8, pending=2)
        new = [one for one in discord.history[mark:] if one.parent_id == forum.id]
        assert {name_of(forum, one): one.content for one in new} == {
            "Ozark": "RENEWED · Ozark, season 10",
            "Squid Game": "RENEWED · Squid Game, season 9",
        }
        discord.wait_for(reopened.channel_id, "season 10")
    assert len(discord.calls(START_THREAD)) == 6


def posts(home: Home, thread: int) -> list[Any]:
    """Whether a post is known."""
    return query(home, f"SELECT 1 FROM posts WHERE thread_id = {int(thread)}")


def test_an_answer_that_is_lost_is_asked_for_again_and_nothing_arrives_twice(
    discord_home: Home, discord: FakeDiscord
) -> None:
    home, guild = discord_home, discord.guild("Fans")
    lost, gone, broken, bad, fine = texts(guild, 5)  # few, or else Discord seems to be away
    forum = guild.forum("forum")
    with talking(home, discord) as bot:
        follow(discord, lost, gone, broken, bad, fine, forum)
        discord.drop(START_THREAD, accepted=True)
        discord.drop(channel=lost, accepted=True)
        discord.drop(channel=gone, accepted=True)
        discord.fail(channel=broken, status=500, accepted=True)
        discord.fail(channel=bad, status=503, accepted=True)
        renew(home)
        discord.delete(discord.wait_for(gone, "RENEWED"))
        for place in (lost, broken, bad, fine):  # Discord is in trouble: it is left alone a while
            discord.wait_for(place, "RENEWED", within=SILENCE + PATIENCE)
        bot.until(lambda: states(home) == {"sent": 6}, "that all is sent", SILENCE + PATIENCE)
    assert set(alerts(discord).values()) == {1}
    assert len(discord.calls(START_THREAD)) == 1, "its post was seen"
    repeats = {one.channel_id: one for one in discord.repeats}
    assert set(repeats) == {one.id for one in (lost, gone, broken, bad)}
    assert repeats[gone.id].refused, "10008: it had arrived, and was deleted since"
    messages = [one for one in discord.history if one.parent_id != forum.id]
    for one in messages:
        again = [made.body["nonce"] for made in discord.calls(SEND)
                 if f"/{one.channel_id}/" in made.path]  # fmt: skip
        assert set(again) == {one.nonce}
        assert len(again) == (1 if one.channel_id == fine.id else 2)
    assert len({one.nonce for one in messages}) == 5
    assert len(discord.history) == 6


def test_a_crash_in_the_middle_of_a_fan_out_loses_and_repeats_nothing(
    discord_home: Home, discord: FakeDiscord
) -> None:
    home, guild = discord_home, discord.guild("Fans")
    channels = texts(guild, MANY)
    with talking(home, discord) as bot:
        follow(discord, *channels)
        with discord.held() as held:
            renew(home)
            discord.wait_until_held(held, IN_FLIGHT)
            bot.close()
    assert alerts(discord).total() == IN_FLIGHT
    with talking(home, discord) as bot:
        until_settled(bot, home, sent=MANY)
    assert alerts(discord) == {one.id: 1 for one in channels}
    assert len(discord.repeats) == IN_FLIGHT, "what was on its way was asked for again"


def test_a_stop_in_the_middle_repeats_nothing_and_what_is_due_later_comes_together(
    discord_home: Home, discord: FakeDiscord
) -> None:
    home, guild = discord_home, discord.guild("Fans")
    channels = texts(guild, MANY)
    with talking(home, discord) as bot:
        follow(discord, *channels)
        slow = discord.delay(seconds=0.2, times=None)
        renew(home)
        bot.until(lambda: alerts(discord).total() >= 10, "some alerts")
        begun = time.monotonic()
        bot.send(signal.SIGTERM)
        assert bot.ended(STOPS_WITHIN) == 0
        assert time.monotonic() - begun < STOPS_WITHIN
    told = alerts(discord)
    assert 10 <= told.total() < MANY
    assert states(home) == {"sent": told.total(), "pending": MANY - told.total()}
    slow.stop()
    date(home)
    renew(home, 10)
    mark = discord.mark
    with talking(home, discord) as bot:
        until_settled(bot, home, sent=3 * MANY)
    titles = [f"DATED · Ozark, season 9: {NEXT_YEAR}", "RENEWED · Ozark, season 10"]
    for one in channels:
        *before, last = [late for late in discord.history[mark:] if late.channel_id == one.id]
        said = [title for it in (*before, last) for title in it.content.splitlines()]
        if one.id in told:
            assert (before, said) == ([], titles)
            assert [embed["title"] for embed in last.embeds] == titles
        else:  # what waited for the connection to begin comes before or after
            assert sorted(said) == sorted(["RENEWED · Ozark, season 9", *titles])
    assert discord.repeats == ()
