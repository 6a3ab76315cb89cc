"""Trouble on the way to Discord: named, outlived, stopped in time, and no token in sight of it."""

import json
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from bot.errors import MustWait, PlatformStopped, Refused
from bot.outbox.holds import FLOODED_CHATS
from bot.platforms.discord.errors import CODES, Fix, Mend
from bot.platforms.discord.guilds import CHANNEL_GONE, KICKED, NOT_LISTED, THREAD_GONE
from tests.e2e.discord import on_discord, talking
from tests.e2e.process import STOPS_WITHIN, Home, LiveBot
from tests.e2e.test_discord_delivery import (
    IN_FLIGHT,
    alerts,
    date,
    follow,
    query,
    renew,
    rows,
    states,
    texts,
    until_settled,
    wait_for_all,
)
from tests.e2e.test_main_job import NEWS
from tests.fakes.discord import (
    ANSWER,
    LOGIN,
    SEND,
    Channel,
    FakeDiscord,
    Request,
)
from tests.fakes.discord.permissions import names
from tests.fakes.telegram import FakeTelegram

USUAL: Final = ("view_channel", "send_messages", "embed_links", "send_messages_in_threads")
DAY: Final = 24 * 3600 * 1000
WAITING: Final = "SELECT chat_id, reason FROM doubts JOIN destinations ON id = destination_id"
SUSPENDED: Final = "SELECT chat_id, reason FROM suspensions JOIN destinations ON id=destination_id"


def a_day_passes(home: Home) -> None:
    """Let what is doubted be old, and what waits be due at the next look."""
    with closing(sqlite3.connect(home.database, timeout=10)) as database, database:
        database.execute(f"UPDATE doubts SET since = since - {DAY + 1000}, times = times + 2")
        database.execute("UPDATE deliveries SET due_at = 1000 WHERE state = 'pending'")


def requests_to(discord: FakeDiscord, channel: Channel) -> list[Request]:
    """What was sent to a channel, or tried."""
    return [one for one in discord.calls(SEND) if f"/{channel.id}/" in one.path]


def stopped(bot: LiveBot) -> float:
    """Stop a bot, impatiently; returns how many seconds that took."""
    begun = time.monotonic()
    bot.send(signal.SIGTERM)
    bot.send(signal.SIGTERM)
    assert bot.ended(2 * STOPS_WITHIN) == 0
    return time.monotonic() - begun


# --- channels and permissions ---


def test_who_can_be_reached_no_more_is_suspended_and_comes_back(
    discord_home: Home, discord: FakeDiscord
) -> None:
    home, guild = discord_home, discord.guild("Fans")
    plain, silent, unseen, gone, called, fine = texts(guild, 6)
    thread, role = fine.thread("thread"), guild.role("series", mentionable=True)
    members = guild.role("members")
    alice = discord.person("Alice")
    private = discord.dm(alice)
    with talking(home, discord) as bot:
        follow(discord, plain, silent, unseen, gone, thread, fine, private)
        follow(discord, called, role=role)
        guild.forbid(plain, "embed_links")
        guild.forbid(silent, "send_messages")
        guild.forbid(unseen, "view_channel", to=guild.everyone)
        gone.delete()
        thread.delete()
        guild.delete_role(role)
        discord.close_dms(alice)
        bot.until(lambda: len(query(home, SUSPENDED)) == 2, "what was deleted is suspended")
        assert set(query(home, SUSPENDED)) == {(gone.id, CHANNEL_GONE), (fine.id, THREAD_GONE)}
        renew(home)
        until_settled(bot, home, sent=3, pending=2, held=3)
        bot.until(lambda: sum(bool(why) for _, _, _, why in rows(home)) == 5, "the reasons")
        bare = discord.wait_for(plain, "RENEWED")
        assert bare.embeds == []
        assert "Netflix has ordered a 9th season." in bare.content
        assert f"<{NEWS}>" in bare.content
        assert [one.code for one in requests_to(discord, plain)] == [None]
        (unpinged,) = discord.sent_to(called)
        assert (unpinged.pings, unpinged.allowed_mentions) == ((), {"parse": []})
        assert query(home, "SELECT 1 FROM subscriptions WHERE role_id IS NOT NULL") == []
        told = {channel: (state, reason) for channel, state, _, reason in rows(home)}
        assert "give it Send Messages" in (told[silent.id][1] or "")
        assert "give it View Channel" in (told[unseen.id][1] or "")
        assert (told[private.id][0], told[silent.id][0]) == ("held", "pending")

        # Whoever writes to the bot again gets what was kept, and so do channels that it may use.
        discord.open_dms(alice)
        discord.ask(alice, private, "help")
        discord.wait_for(private, "RENEWED")
        a_day_passes(home)
        date(home)
        bot.until(lambda: len(query(home, SUSPENDED)) == 4, "that it is believed after a day")
        guild.allow(silent, "send_messages")
        guild.allow(unseen, "view_channel", to=members)
        guild.set_roles(discord.bot, [members])
        wait_for_all(discord, (silent, unseen), "RENEWED")
        wait_for_all(discord, (plain, called, private, fine), "DATED")
        until_settled(bot, home, sent=12, held=4)  # that is for what was deleted
    assert max(alerts(discord).values()) == 1
    assert {one.code for one in requests_to(discord, gone)} == set()


def test_what_waits_arrives_as_soon_as_it_can(discord_home: Home, discord: FakeDiscord) -> None:
    home, guild, away = discord_home, discord.guild("Fans"), discord.guild("Away")
    silent, far = guild.text("silent"), away.text("far")
    with talking(home, discord) as bot:
        follow(discord, silent, far)
        guild.forbid(silent, "send_messages")
        away.unavailable()
        renew(home)
        bot.until(lambda: sum(bool(why) for _, _, _, why in rows(home)) == 2, "that both wait")
        guild.allow(silent, "send_messages")
        away.available()
        discord.wait_for(silent, "RENEWED", within=3)
        discord.wait_for(far, "RENEWED", within=3)


def test_an_outage_of_some_servers_keeps_no_other_one_waiting(
    discord_home: Home, discord: FakeDiscord
) -> None:
    home, away, here = discord_home, discord.guild("Away"), discord.guild("Here")
    near, *far = here.text("near"), *texts(away, FLOODED_CHATS)
    with talking(home, discord) as bot:
        follow(discord, *far, near)
        away.unavailable()
        renew(home)
        bot.until(lambda: len([one for one in rows(home) if one[3]]) >= len(far), "that all wait")
        discord.wait_for(near, "RENEWED", within=3)
        date(home)
        discord.wait_for(near, "DATED", within=3)


# --- servers ---


def test_servers_that_go_and_come_back_lose_nothing(
    discord_home: Home, discord: FakeDiscord
) -> None:
    home = discord_home
    away, kicked, left, here = (discord.guild(one) for one in ("Away", "Kicked", "Left", "Here"))
    far, out, lost, near = (one.text("news") for one in (away, kicked, left, here))
    with talking(home, discord) as bot:
        follow(discord, far, out, lost, near)
        away.unavailable(missing=True)
        kicked.kick_bot()
        bot.until(lambda: query(home, SUSPENDED), "that it was kicked")
        assert query(home, SUSPENDED) == [(out.id, KICKED)]
        renew(home)
        wait_for_all(discord, (lost, near), "RENEWED")
        until_settled(bot, home, sent=2, pending=1, held=1)
        kicked.add_bot(*USUAL)
        bot.until(lambda: not query(home, SUSPENDED), "that it is back")
    left.kick_bot(told=False)
    with talking(home, discord) as bot:
        bot.until(lambda: query(home, WAITING), "a doubt")
        renew(home, 10)
        wait_for_all(discord, (out, near), "season 10")
        until_settled(bot, home, sent=5, pending=3)
        assert query(home, WAITING) == [(lost.id, NOT_LISTED)]
        assert query(home, SUSPENDED) == []
        assert [one.status for one in requests_to(discord, lost)] == [200]
        assert requests_to(discord, far) == []
    a_day_passes(home)
    away.available()
    with talking(home, discord) as bot:
        discord.wait_for(far, "season 10")
        bot.until(lambda: query(home, SUSPENDED), "that a day is long enough")
        assert query(home, SUSPENDED) == [(lost.id, NOT_LISTED)]
        until_settled(bot, home, sent=7, held=1)
        left.add_bot(*USUAL)
        discord.wait_for(lost, "season 10")
    assert [one.content.count("RENEWED") for one in discord.sent_to(far)] == [2]
    assert discord.invalid_requests == 0


# --- the gateway ---


def test_the_connection_breaks_in_every_way_and_nothing_is_lost_or_done_twice(
    discord_home: Home, discord: FakeDiscord
) -> None:
    home, guild = discord_home, discord.guild("Fans")
    discord.settings.answer_within = 10.0
    channels = texts(guild, 24)
    with talking(home, discord) as bot:
        follow(discord, *channels)
        slow = discord.delay(seconds=0.2, times=None)
        renew(home)
        discord.wait_until_sent(2)
        discord.cut_gateway()
        sent = discord.mark
        until_settled(bot, home, sent=len(channels))
        discord.wait_until_resumed()
        assert sent < len(channels)
        slow.stop()

        # What was told while the bot was away is answered when it is back, once.
        discord.wait_until_connected()
        discord.disturb("connect", close=503)
        discord.cut_gateway()
        ben = discord.person("Ben")
        guild.join(ben)
        asked = [discord.use(ben, channels[0], name, {}, times=2) for name in ("help", "latest")]
        for one in asked:
            discord.wait_for_answer(one)
        discord.reconnect()
        discord.wait_until_resumed(3)
        discord.wait_until_connected()
        assert discord.ask(ben, channels[0], "upcoming").answer
        assert [one.followups or one.refusals for one in asked] == [[], []]
        assert len(discord.calls(ANSWER)) == len(discord.interactions)
        assert len(discord.identifies) == 1

        discord.invalidate()
        discord.wait_until_identified(2)
        discord.wait_until_connected()
        assert discord.ask(ben, channels[0], "latest").answer
        date(home)
        wait_for_all(discord, channels, "DATED")

        discord.close_gateway(4004)
        bot.until(lambda: "discord.disconnected" in bot.err, "the refused token")
        (line,) = [one for one in bot.err.splitlines() if "discord.disconnected" in one]
        assert "does not accept the bot's token: set DISCORD_TOKEN" in line
        assert "retry_in=600.0" in line
    assert set(alerts(discord).values()) == {1}
    assert discord.repeats == ()


# --- the start ---


def test_a_wrong_token_is_named_and_telegram_goes_on(
    tmp_path: Path, discord: FakeDiscord, telegram: FakeTelegram
) -> None:
    both = {"TELEGRAM_TOKEN": telegram.token, "TELEGRAM_API_URL": telegram.url}
    home = on_discord(tmp_path, discord, **both)
    ann = telegram.person("Ann")
    discord.revoke()
    with home.bot() as bot:
        bot.until(lambda: "discord.disconnected" in bot.err, "the problem")
        assert "Subscribed" in telegram.ask(ann, "/subscribe ozark").text
        renew(home)
        telegram.wait_for(ann, "RENEWED")
        (line,) = [one for one in bot.err.splitlines() if "discord." in one]
        assert "set DISCORD_TOKEN to the one in the developer portal" in line
        assert "retry_in=600.0" in line
        assert stopped(bot) < STOPS_WITHIN
    assert discord.identifies == ()
    assert discord.invalid_requests == 1


def refuse_intents(discord: FakeDiscord) -> None:
    """Let the gateway close with 4014."""
    discord.disturb("identify", close=4014, times=None)


def leave_no_starts(discord: FakeDiscord) -> None:
    """Let no session be left for today."""
    discord.settings.starts_left = 0


def hang(discord: FakeDiscord) -> None:
    """Answer nothing."""
    discord.hold(LOGIN)


@pytest.mark.parametrize(
    ("trouble", "told", "identifies"),
    [
        (refuse_intents, ("needs no privileged intents", "retry_in=600.0"), 1),
        (leave_no_starts, ("discord.no_sessions_left", "retry_in=14400.0"), 0),
        (hang, (), 0),
    ],
    ids=["4014", "no starts", "silence"],
)
def test_a_start_that_is_refused_is_named_and_tried_again_later(
    discord_home: Home,
    discord: FakeDiscord,
    trouble: Callable[[FakeDiscord], None],
    told: tuple[str, ...],
    identifies: int,
) -> None:
    trouble(discord)
    holds = discord.settings.script.holds
    with discord_home.bot() as bot:
        bot.until(lambda: discord.requests or any(one.waiting for one in holds), "a request")
        bot.until(lambda: all(one in bot.err for one in told), "the problem")
        assert bot.is_running
        assert len(bot.err.splitlines()) == (1 if told else 0)
        assert stopped(bot) < STOPS_WITHIN
    assert len(discord.identifies) == identifies


def test_a_discord_that_is_away_at_the_start_and_hangs_at_the_end(
    discord_home: Home, discord: FakeDiscord
) -> None:
    home, guild = discord_home, discord.guild("Fans")
    channels = texts(guild, IN_FLIGHT)
    discord.down()
    with home.bot() as bot:
        bot.until(lambda: "retry_in=1.0" in bot.err, "a first failure")
        assert "check the network" in bot.err
        discord.up()
        bot.until(lambda: "speaks on Discord" in bot.err, "that it begins")
        follow(discord, *channels)
        ben = discord.person("Ben")
        guild.join(ben)
        held, answers = discord.hold(), discord.hold(ANSWER)
        discord.command(ben, channels[0], "help")
        discord.wait_until_held(answers)
        renew(home)
        discord.wait_until_held(held, IN_FLIGHT)
        assert stopped(bot) < STOPS_WITHIN
    assert states(home) == {"pending": IN_FLIGHT}


# --- limits ---


def test_limits_are_waited_for_and_a_ban_stops_the_sending(
    discord_home: Home, discord: FakeDiscord
) -> None:
    home, guild = discord_home, discord.guild("Fans")
    home.environment |= {"LOG_LEVEL": "DEBUG"}
    slow, shared, *others = texts(guild, 20)
    everywhere = [slow, shared, *others]
    with talking(home, discord) as bot:
        follow(discord, *everywhere)
        discord.flood(1.5, channel=slow)
        discord.flood(1.0, channel=shared, scope="shared")
        renew(home)
        got = {one.channel_id: one.at for one in wait_for_all(discord, everywhere, "RENEWED")}
        for limited, seconds in ((slow, 1.5), (shared, 1.0)):
            refused, accepted = requests_to(discord, limited)
            assert (refused.status, accepted.status) == (429, 200)
            assert got[limited.id] - refused.at >= seconds
            assert all(got[one.id] < got[limited.id] for one in others)

        flood = discord.flood(1.0, scope="global", channel=others[0])
        date(home)
        got = {one.channel_id: one.at for one in wait_for_all(discord, everywhere, "DATED")}
        refused = next(one for one in discord.calls(SEND) if one.scope == "global")
        assert flood.struck == 1
        meanwhile = [at for at in got.values() if refused.at + 0.2 < at < refused.at + 0.95]
        assert meanwhile == [], "a global limit is for all"
        until_settled(bot, home, sent=40)

        page = f"<html><body>{discord.token} error code: 1015</body></html>"
        discord.raw(status=429, body=page, times=None)
        before = len(discord.calls(SEND))
        renew(home, 10)
        bot.until(lambda: "outbox.stopped" in bot.err, "that nothing is sent any more")
        until_settled(bot, home, sent=40, pending=20)
        time.sleep(0.5)
        assert before < len(discord.calls(SEND)) <= before + IN_FLIGHT
        assert "takes no requests from this address for now" in bot.err
    assert set(alerts(discord).values()) == {1}
    assert discord.repeats == ()


# --- every answer ---

_STATUS: Final = {50001: 403, 50013: 403, 50007: 403, 50278: 403, 20026: 403, 40001: 403}


def _judged(code: int) -> object:
    return CODES[code][1]("x")


def _in_one_process() -> list[int]:
    """The codes after which sending goes on: few of those that ask to wait may come at a time."""
    waits = [code for code in CODES if isinstance(_judged(code), MustWait)]
    stops = [code for code in CODES if isinstance(_judged(code), PlatformStopped)]
    return [one for one in CODES if one not in stops and one not in waits[FLOODED_CHATS - 1 :]]


def _expected(code: int) -> str:
    """How a delivery stands after one such answer."""
    match _judged(code):
        case Mend(fix=Fix.PLAIN | Fix.LINKS):
            return "sent"
        case Mend(otherwise=judged):
            pass
        case judged:
            pass
    if isinstance(judged, Refused):
        return "failed"
    if isinstance(judged, MustWait) or getattr(judged, "doubt", None):
        return "pending"
    return "held" if hasattr(judged, "doubt") else "sent"


def outcomes(home: Home, *channels: Channel) -> set[str]:
    """How the deliveries to these channels stand."""
    found = {one.id for one in channels}
    return {state for channel, state, _, _ in rows(home) if channel in found}


def test_no_answer_that_there_is_keeps_others_from_their_news(
    discord_home: Home, discord: FakeDiscord
) -> None:
    home, guild = discord_home, discord.guild("Fans")
    home.environment |= {"LOG_LEVEL": "DEBUG", "LOG_FORMAT": "json"}
    codes = _in_one_process()
    assert len(codes) >= 30
    struck = dict(zip(codes, texts(guild, len(codes), "struck"), strict=True))
    fine = texts(guild, 10, "fine")
    page = f"<html><body>Authorization: Bot {discord.token}</body></html>"
    junk, odd, unknown, refused, off = texts(guild, 5, "junk")
    with talking(home, discord) as bot:
        follow(discord, *fine[:5], *struck.values(), junk, odd, unknown, refused, off, *fine[5:])
        for code, channel in struck.items():
            status = _STATUS.get(code, 404 if 10000 <= code < 20000 else 400)
            discord.fail(status=status, code=code, text=page, channel=channel)
        discord.raw(channel=junk, status=502, body=page)
        discord.raw(channel=odd, status=200, body=page)
        discord.raw(channel=unknown, status=418, body={"code": 999999, "message": page}, times=2)
        discord.raw(channel=refused, status=403, body=page, times=2)
        discord.drop(channel=off, accepted=False)
        renew(home)
        wait_for_all(discord, fine, "RENEWED")
        wait_for_all(discord, (junk, odd, off), "RENEWED")
        bot.until(
            lambda: (
                len([1 for _, state, _, why in rows(home) if why or state == "sent"])
                == len(rows(home))
                == len(codes) + 15
            ),
            "an outcome of each",
        )
        bot.until(lambda: "pending" not in outcomes(home, *fine, junk, odd, off), "the rest")
        for code, channel in struck.items():
            assert outcomes(home, channel) == {_expected(code)}, code
        assert outcomes(home, *fine, junk, odd, off) == {"sent"}
        assert outcomes(home, unknown, refused) == {"pending"}
        date(home)
        wait_for_all(discord, fine, "DATED")
        assert bot.is_running
    assert {count for one, count in alerts(discord).items()} == {1}
    assert "[secret]" in bot.err
    assert all(json.loads(line) for line in bot.err.splitlines() if line.startswith("{"))
    home.check_secrets(home.do("deliveries").out)


def test_a_token_that_is_refused_stops_the_sending(
    discord_home: Home, discord: FakeDiscord
) -> None:
    home, guild = discord_home, discord.guild("Fans")
    channels = texts(guild, 30)
    with talking(home, discord) as bot:
        follow(discord, *channels)
        discord.fail(status=403, code=40001, times=None)
        renew(home)
        bot.until(lambda: "outbox.stopped" in bot.err, "that it stops")
        bot.until(
            lambda: {(state, attempts) for _, state, attempts, _ in rows(home)} == {("pending", 0)},
            "that no attempt counts",
        )
        assert len(discord.calls(SEND)) <= IN_FLIGHT
        assert "set DISCORD_TOKEN" in bot.err


# --- the doctor ---


def test_the_doctor_tells_what_is_wrong_and_how_the_bot_is_invited(
    discord_home: Home, discord: FakeDiscord
) -> None:
    home = discord_home
    discord.guild("Fans")
    healthy = home.command("doctor").out
    assert "Discord knows the application as Cliffhanger" in healthy
    assert "does not offer the commands of this version yet" in healthy
    (link,) = [word for word in healthy.split() if word.startswith("https://discord.com/oauth2")]
    assert f"client_id={discord.bot.id}" in link
    assert "scope=bot+applications.commands" in link
    assert names(int(link.rpartition("permissions=")[2])) == set(USUAL)
    with talking(home, discord):
        pass
    discord.settings.starts_left = 20
    in_step = home.command("doctor").out
    assert "Discord offers the 9 commands" in in_step
    assert "only 20 of 1000 sessions are left" in in_step
    discord.revoke()
    wrong = home.command("doctor")
    assert wrong.code == 1
    assert "does not accept DISCORD_TOKEN" in wrong.out
    discord.down()
    gone = home.command("doctor")
    assert gone.code == 1
    assert f"Discord at {discord.url} gives no good answer" in gone.out
