"""The bot on the fake Discord, in this process, where minutes and hours are a matter of a clock."""

import asyncio
import time
from asyncio import to_thread
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.app import Engine
from bot.errors import AskAgain, DestinationLost, MustWait, PlatformStopped, Refused, WaitsAlone
from bot.message import Message
from bot.model import Destination, Platform, Seq, ShowId, Subscription
from bot.outbox.messenger import Notice
from bot.outbox.pace import DISCORD, MARGIN, UNLIMITED, WIDENED
from bot.platforms.discord import wire as wire_module
from bot.platforms.discord.access import Access
from bot.platforms.discord.errors import CODES, Banned, DirectStopped
from bot.platforms.discord.refusals import MOST
from bot.platforms.discord.service import Discord
from bot.platforms.discord.watchdog import LOST, SILENT, Watchdog
from cogs import EXTENSIONS
from storage.store import Storage, open_storage
from storage.trust import trust
from tests.build import NOW, TODAY, a_show
from tests.fakes.clock import FakeClock
from tests.fakes.discord import CROSSPOST, EDIT, LOGIN, SEND, Channel, FakeDiscord

SHOW = a_show("dark")
RIGHTS = ("view_channel", "send_messages", "send_messages_in_threads", "embed_links")
PATIENCE = 10.0


class Steady:
    """A steady clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Bot:
    """The service, served in the background."""

    def __init__(self, discord: FakeDiscord, storage: Storage) -> None:
        self.discord = discord
        self.storage = storage
        self.steady = Steady()
        self.guild = discord.guild("Fans", *RIGHTS)
        access = Access(discord.token, discord.url)
        self.service = Discord(access, EXTENSIONS, storage, FakeClock(NOW), limits=UNLIMITED)
        self.service.messenger._now = self.steady
        self.messenger = self.service.messenger

    async def serve(self) -> None:
        engine = Engine(self.storage, {Platform.DISCORD: self.messenger}, FakeClock(NOW))
        async with self.service.connected():
            await self.service.serve(engine.core, lambda _: None)

    @property
    def client(self) -> Any:
        return self.service._wire.connected()

    async def send(
        self, where: Channel, *numbers: int, home: bool = True, **more: Any
    ) -> str | None:
        here = Destination(Platform.DISCORD, where.id, None, self.guild.id if home else None)
        return await self.messenger.send(here, [notice(one, **more) for one in numbers or (1,)])


def notice(number: int = 1, **more: Any) -> Notice:
    message = Message(f"RENEWED · Dark, season {number}", (("Netflix has ordered it.",),))
    return Notice(Seq(number), message, ShowId("dark"), **more)


@pytest.fixture
def discord(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDiscord]:
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)
    with FakeDiscord() as fake:
        yield fake


@pytest.fixture
async def bot(discord: FakeDiscord, tmp_path: Path) -> AsyncIterator[Bot]:
    async with open_storage(f"sqlite:///{tmp_path}/cliffhanger.db", trust()) as storage:
        await storage.publishing.load([(1, SHOW)], TODAY)
        bot = Bot(discord, storage)
        serving = asyncio.create_task(bot.serve())
        try:
            await to_thread(discord.wait_until_registered, "subscribe")
            await asyncio.wait_for(bot.client.wait_until_ready(), PATIENCE)
            yield bot
        finally:
            serving.cancel()
            await asyncio.wait([serving])


@pytest.fixture
def news(bot: Bot) -> Channel:
    return bot.guild.text("news")


@pytest.fixture
def turns(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What has asked for a turn, by its channel."""
    asked: list[int] = []

    async def turn(chat: int) -> None:
        asked.append(chat)

    monkeypatch.setattr(bot.messenger.pace, "turn", turn)
    return asked


async def seen(bot: Bot, channel: Channel) -> None:
    """The client has been told of a channel."""
    async with asyncio.timeout(PATIENCE):
        while bot.client.get_channel(channel.id) is None:
            await asyncio.sleep(0.01)


async def test_a_request_without_an_answer_is_waited_for_no_more_and_not_made_twice(
    bot: Bot, discord: FakeDiscord, news: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire_module, "PATIENCE", 0.1)
    with discord.held(SEND, accepted=True) as hold:
        for _ in range(3):
            with pytest.raises(AskAgain, match="did not answer"):
                await bot.send(news)
        assert hold.waiting == 1
    monkeypatch.setattr(wire_module, "PATIENCE", PATIENCE)
    assert await bot.send(news)
    assert len(discord.sent_to(news)) == 1


async def test_the_same_update_has_another_key_in_every_channel(
    bot: Bot, discord: FakeDiscord, news: Channel
) -> None:
    other = bot.guild.text("other")
    for channel in (news, other, news):
        await bot.send(channel)
    assert [len(discord.sent_to(one)) for one in (news, other)] == [1, 1]
    assert len(discord.repeats) == 1


async def test_a_repeat_of_what_was_deleted_since_is_no_loss(
    bot: Bot, discord: FakeDiscord, news: Channel
) -> None:
    await bot.send(news)
    discord.delete(discord.sent_to(news)[0])
    assert await bot.send(news) is None


async def test_who_is_flagged_for_spam_writes_to_no_person_for_an_hour(
    bot: Bot, discord: FakeDiscord, news: Channel
) -> None:
    alice, bob = (discord.dm(discord.person(name)) for name in ("Alice", "Bob"))
    discord.fail(SEND, status=403, code=20026, channel=alice)
    with pytest.raises(DirectStopped):
        await bot.send(alice, home=False)
    with pytest.raises(MustWait, match="no person"):
        await bot.send(bob, home=False)
    assert await bot.send(news)
    bot.steady.now = 3601
    assert await bot.send(bob, home=False)


async def test_a_ban_is_waited_for_as_long_as_it_lasts(
    bot: Bot, discord: FakeDiscord, news: Channel
) -> None:
    discord.ban(1200)
    with pytest.raises(Banned):
        await bot.send(news)
    asked = len(discord.requests)
    bot.steady.now = 1199
    with pytest.raises(PlatformStopped):
        await bot.send(news)
    assert len(discord.requests) == asked


async def test_after_500_refusals_nothing_is_sent(
    bot: Bot, discord: FakeDiscord, news: Channel
) -> None:
    discord.fail(SEND, status=403, code=50013, channel=news)
    discord.fail(SEND, status=403, code=50013, channel=news)
    with pytest.raises(DestinationLost):
        await bot.send(news)
    for _ in range(MOST - 2):
        bot.service._refusals.answered(403, None)
    asked = len(discord.requests)
    with pytest.raises(PlatformStopped, match="refused too many"):
        await bot.send(news)
    assert len(discord.requests) == asked


async def test_what_discord_says_of_a_server_it_cannot_reach_is_no_loss(
    bot: Bot, discord: FakeDiscord, news: Channel
) -> None:
    await seen(bot, news)
    with discord.held(SEND, accepted=False) as hold:
        sending = asyncio.create_task(bot.send(news))
        await to_thread(discord.wait_until_held, hold)
        bot.guild.unavailable(missing=True)
        async with asyncio.timeout(PATIENCE):
            while not bot.client.get_guild(bot.guild.id).unavailable:
                await asyncio.sleep(0.01)
    with pytest.raises(MustWait, match="trouble with the server"):
        await sending
    with pytest.raises(MustWait, match="trouble with the server"):
        await bot.send(news)


async def test_a_server_that_is_not_the_bots_is_not_asked(bot: Bot, discord: FakeDiscord) -> None:
    strange = Destination(Platform.DISCORD, 1, None, 2)
    with pytest.raises(DestinationLost) as lost:
        await bot.messenger.send(strange, [notice()])
    assert lost.value.doubt is not None
    assert not discord.calls(SEND)


async def test_a_client_that_is_given_up_is_replaced(
    bot: Bot, discord: FakeDiscord, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bot.client
    await bot.storage.notes.put("discord.starts", "[]")  # else it waits some seconds
    await before.close()
    await to_thread(discord.wait_until_identified, 2)
    async with asyncio.timeout(PATIENCE):
        while bot.service._wire.client in (None, before):
            await asyncio.sleep(0.01)


async def test_a_channel_that_is_known_to_be_closed_is_not_asked(
    bot: Bot, discord: FakeDiscord
) -> None:
    closed, bare = bot.guild.text("closed"), bot.guild.text("bare")
    bot.guild.forbid(closed, "send_messages")
    bot.guild.forbid(bare, "embed_links")
    for channel in (closed, bare):
        await seen(bot, channel)
    async with asyncio.timeout(PATIENCE):
        while not (known := bot.client.get_channel(bare.id)).overwrites:
            await asyncio.sleep(0.01)
    assert known.overwrites
    with pytest.raises(DestinationLost, match="Send Messages"):
        await bot.send(closed)
    assert await bot.send(bare)
    assert discord.invalid_requests == 0
    assert discord.sent_to(bare)[0].embeds == []


async def test_a_role_that_is_gone_is_not_pinged(
    bot: Bot, discord: FakeDiscord, news: Channel
) -> None:
    fans, gone = bot.guild.role("fans", mentionable=True), bot.guild.role("gone", mentionable=True)
    bot.guild.delete_role(gone)
    async with asyncio.timeout(PATIENCE):
        while bot.client.get_guild(bot.guild.id).get_role(fans.id) is None or (
            bot.client.get_guild(bot.guild.id).get_role(gone.id)
        ):
            await asyncio.sleep(0.01)
    await bot.send(news, 1, role_id=gone.id)
    await bot.send(news, 2, role_id=fans.id)
    assert [one.pings for one in discord.sent_to(news)] == [(), (fans.id,)]


async def test_what_is_to_be_published_goes_without_what_is_not(bot: Bot, news: Channel) -> None:
    here = Destination(Platform.DISCORD, news.id, None, bot.guild.id)
    both = [notice(1), notice(2), notice(3, publish=True)]
    assert bot.messenger.fitting(here, both) == 2
    assert bot.messenger.fitting(here, both[2:]) == 1


async def test_a_long_global_limit_holds_all_channels(
    bot: Bot, discord: FakeDiscord, news: Channel
) -> None:
    bot.service._refusals._now = bot.steady
    discord.flood(40, scope="global")
    with pytest.raises(MustWait):
        await bot.send(news)
    asked = len(discord.requests)
    with pytest.raises(MustWait, match="everything") as told:
        await bot.send(bot.guild.text("other"))
    assert told.value.seconds > 30
    assert len(discord.requests) == asked
    bot.steady.now = 60
    assert await bot.send(news)


async def test_what_is_doubted_for_another_reason_than_a_right_is_not_resumed(
    bot: Bot, news: Channel
) -> None:
    here = Destination(Platform.DISCORD, news.id, None, bot.guild.id)
    await bot.storage.subscriptions.put(Subscription(here, ShowId("dark")))
    await seen(bot, news)
    stored = bot.storage.destinations
    for why in (
        "There is no such channel: subscribe in another (404/10003).",
        "The thread is closed",
    ):
        await stored.suspend_chat(Platform.DISCORD, news.id, why, NOW)
        bot.client.dispatch("ready")
        await asyncio.sleep(0.2)
        assert await stored.suspended(here)
        await stored.resume(here, NOW)
    await stored.suspend_chat(Platform.DISCORD, news.id, f"{CODES[50013][0]} (403)", NOW)
    bot.client.dispatch("ready")
    async with asyncio.timeout(PATIENCE):
        while await stored.suspended(here):
            await asyncio.sleep(0.01)


class TestForums:
    @pytest.fixture
    async def forum(self, bot: Bot) -> Channel:
        forum = bot.guild.forum("shows")
        here = Destination(Platform.DISCORD, forum.id, None, bot.guild.id)
        await bot.storage.subscriptions.put(Subscription(here, ShowId("dark")))
        await seen(bot, forum)
        return forum

    async def test_a_post_that_was_begun_and_not_noted_is_found_again(
        self, bot: Bot, discord: FakeDiscord, forum: Channel
    ) -> None:
        await bot.send(forum, 1)
        here = Destination(Platform.DISCORD, forum.id, None, bot.guild.id)
        (first,) = discord.history
        await bot.storage.posts.drop(here, first.thread_id or first.channel_id)
        await bot.send(forum, 2)
        assert len({one.channel_id for one in discord.history}) == 1

    async def test_each_show_has_its_own_message(
        self, bot: Bot, discord: FakeDiscord, forum: Channel, news: Channel
    ) -> None:
        await seen(bot, news)
        dark, elite = notice(1), Notice(Seq(2), notice().message, ShowId("elite"))
        there = Destination(Platform.DISCORD, forum.id, None, bot.guild.id)
        here = Destination(Platform.DISCORD, news.id, None, bot.guild.id)
        assert bot.messenger.fitting(there, [dark, elite]) == 1
        assert bot.messenger.fitting(there, [dark, notice(3), elite]) == 2
        assert bot.messenger.fitting(here, [dark, elite]) == 2

    async def test_a_post_has_the_tag_of_its_event(
        self, bot: Bot, discord: FakeDiscord, forum: Channel
    ) -> None:
        forum.add_tag("dated")
        forum.add_tag("Renewed")
        async with asyncio.timeout(PATIENCE):
            while len(bot.client.get_channel(forum.id).available_tags) < 2:
                await asyncio.sleep(0.01)
        await bot.send(forum)
        (request,) = discord.calls("POST /channels/{channel}/threads")
        assert len(request.body["applied_tags"]) == 1


async def test_what_cannot_be_published_was_sent_all_the_same(
    bot: Bot, discord: FakeDiscord
) -> None:
    news = bot.guild.announcement("news")
    discord.fail(CROSSPOST, status=403, code=50013)
    assert await bot.send(news, 1, publish=True)
    await to_thread(discord.wait_for_request, CROSSPOST)
    assert await bot.send(news, 2, publish=True)
    await to_thread(discord.wait_until, lambda: discord.sent_to(news)[1].crossposted)
    assert not discord.sent_to(news)[0].crossposted


def here_in(bot: Bot, channel: Channel) -> Destination:
    return Destination(Platform.DISCORD, channel.id, None, bot.guild.id)


class TestCorrections:
    WORDS = Message("WITHDRAWN · Dark, season 1: the renewal", (("Why: a mistake.",),))

    def amended(self, **more: Any) -> Notice:
        return Notice(Seq(1), self.WORDS, ShowId("dark"), **more)

    async def test_an_alert_gets_other_words_and_pings_nobody(
        self, bot: Bot, discord: FakeDiscord, news: Channel
    ) -> None:
        fans = bot.guild.role("fans", mentionable=True)
        number = await bot.send(news, role_id=fans.id)
        assert number
        there = here_in(bot, news)
        await bot.messenger.edit(there, number, [self.amended(role_id=fans.id)])
        (sent,) = discord.sent_to(news)
        assert sent.text.startswith(f"{self.WORDS.title} <@&{fans.id}>")
        assert "Why" in sent.text
        assert "ordered" not in sent.text
        assert sent.edits[-1].allowed_mentions == {"parse": []}

    async def test_what_is_gone_is_left_alone(
        self, bot: Bot, discord: FakeDiscord, news: Channel
    ) -> None:
        number = await bot.send(news)
        assert number
        (sent,) = discord.sent_to(news)
        discord.delete(sent)
        await bot.messenger.edit(here_in(bot, news), number, [self.amended()])
        assert sent.edits == []
        discord.fail(EDIT, status=404, code=10003)
        await bot.messenger.edit(here_in(bot, news), number, [self.amended()])
        assert [one.status for one in discord.calls(EDIT)] == [404, 404]

    async def test_what_discord_says_of_an_edit_has_its_consequence(
        self, bot: Bot, discord: FakeDiscord, news: Channel
    ) -> None:
        number = await bot.send(news)
        assert number
        discord.fail(EDIT, status=400, code=30046)
        with pytest.raises(WaitsAlone) as wait:
            await bot.messenger.edit(here_in(bot, news), number, [self.amended()])
        assert wait.value.seconds == 600
        discord.fail(EDIT, status=403, code=50001)
        with pytest.raises(DestinationLost):
            await bot.messenger.edit(here_in(bot, news), number, [self.amended()])

    async def test_an_edit_is_mended_once_and_in_its_turn(
        self, bot: Bot, discord: FakeDiscord, news: Channel, turns: list[int]
    ) -> None:
        number = await bot.send(news)
        assert number
        discord.fail(EDIT, status=400, code=50035)
        await bot.messenger.edit(here_in(bot, news), number, [self.amended()])
        (sent,) = discord.sent_to(news)
        assert sent.embeds == []
        assert sent.text.startswith("WITHDRAWN")
        assert turns == [news.id]
        discord.fail(EDIT, status=400, code=50035, times=2)
        with pytest.raises(Refused):
            await bot.messenger.edit(here_in(bot, news), number, [notice()])

    async def test_an_edit_opens_a_thread_that_is_folded_away(
        self, bot: Bot, discord: FakeDiscord, news: Channel
    ) -> None:
        thread = news.thread("series")
        there = Destination(Platform.DISCORD, news.id, thread.id, bot.guild.id)
        number = await bot.messenger.send(there, [notice()])
        assert number
        thread.archive()
        await bot.messenger.edit(there, number, [self.amended()])
        (sent,) = discord.sent_to(thread)
        assert sent.text.startswith("WITHDRAWN")
        thread.archive(locked=True)
        await bot.messenger.edit(there, number, [notice()])
        assert sent.text.startswith("WITHDRAWN")

    async def test_a_correction_replies_to_the_mistake_if_that_is_still_there(
        self, bot: Bot, discord: FakeDiscord, news: Channel
    ) -> None:
        number = await bot.send(news)
        assert number
        await bot.send(news, 2, reply_to=number)
        discord.delete(discord.sent_to(news)[0])
        await bot.send(news, 3, reply_to=number)
        replies = [one.body.get("message_reference") for one in discord.sent_to(news)]
        reference = {"message_id": number, "fail_if_not_exists": False}
        assert replies == [None, reference, reference]

    async def test_where_the_bot_may_not_reply_the_correction_stands_alone(
        self, bot: Bot, discord: FakeDiscord, news: Channel, turns: list[int]
    ) -> None:
        number = await bot.send(news)
        bot.guild.forbid(news, "read_message_history")
        await bot.send(news, 2, reply_to=number)
        assert [one.reply_to for one in discord.sent_to(news)] == [None, None]
        assert turns == [news.id]

    async def test_in_a_forum_corrections_are_made_in_the_post(
        self, bot: Bot, discord: FakeDiscord
    ) -> None:
        forum = bot.guild.forum("shows")
        await bot.storage.subscriptions.put(Subscription(here_in(bot, forum), ShowId("dark")))
        await seen(bot, forum)
        begun = await bot.send(forum)
        later = await bot.send(forum, 2)
        assert begun and later  # noqa: PT018 - both are there
        await bot.send(forum, 3, reply_to=later)
        first, second, third = discord.history
        assert third.reply_to == second.id
        for number in (begun, later):
            await bot.messenger.edit(here_in(bot, forum), number, [self.amended()])
        assert [one.text.split(" ")[0] for one in (first, second)] == ["WITHDRAWN"] * 2

    async def test_in_a_forum_without_the_post_there_is_nothing_to_edit(
        self, bot: Bot, discord: FakeDiscord
    ) -> None:
        forum = bot.guild.forum("shows")
        await seen(bot, forum)
        await bot.messenger.edit(here_in(bot, forum), "5", [self.amended()])
        assert discord.calls(EDIT) == ()

    async def test_what_replies_to_one_message_goes_without_what_replies_to_another(
        self, bot: Bot, news: Channel
    ) -> None:
        told = [notice(1), notice(2), notice(3, reply_to="1"), notice(4, reply_to="2")]
        assert bot.messenger.fitting(here_in(bot, news), told) == 2
        assert bot.messenger.fitting(here_in(bot, news), told[2:]) == 1


class TestPacing:
    async def test_a_channel_waits_as_long_as_discord_announces(
        self, bot: Bot, discord: FakeDiscord, news: Channel
    ) -> None:
        pace = bot.messenger.pace
        number = await bot.send(news)
        assert number
        discord.limits.on, discord.limits.messages, discord.limits.window = True, 1, 2.0
        sending = asyncio.create_task(bot.send(news, 2))  # the library keeps its answer so long
        async with asyncio.timeout(PATIENCE):
            while not pace.wait(news.id):
                await asyncio.sleep(0.01)
        assert 1 < pace.wait(news.id) <= 2
        await bot.messenger.edit(here_in(bot, news), number, [notice(3)])
        assert pace.wait(news.id) > 0
        assert pace.wait(bot.guild.text("other").id) == 0
        assert await sending
        assert pace.wait(news.id) == 0

    async def test_a_channel_that_takes_more_does_not_wait(self, bot: Bot, news: Channel) -> None:
        await bot.send(news)
        assert bot.messenger.pace.wait(news.id) == 0

    @pytest.mark.parametrize(("scope", "margin"), [("user", MARGIN + WIDENED), ("shared", MARGIN)])
    async def test_being_refused_keeps_more_distance_unless_others_share_the_limit(
        self, bot: Bot, discord: FakeDiscord, news: Channel, scope: str, margin: float
    ) -> None:
        discord.flood(0.1, scope=scope)
        assert await bot.send(news)
        assert bot.messenger.pace.margin == margin

    async def test_publishing_waits_for_its_turn(
        self, bot: Bot, discord: FakeDiscord, turns: list[int]
    ) -> None:
        news = bot.guild.announcement("news")
        assert await bot.send(news, publish=True)
        await to_thread(discord.wait_for_request, CROSSPOST)
        assert turns == [news.id]

    async def test_a_post_that_is_made_anew_waits_for_its_turn(
        self, bot: Bot, discord: FakeDiscord, turns: list[int]
    ) -> None:
        forum = bot.guild.forum("shows")
        await bot.storage.subscriptions.put(Subscription(here_in(bot, forum), ShowId("dark")))
        await seen(bot, forum)
        await bot.send(forum)
        assert turns == []
        discord.fail(SEND, status=404, code=10003)
        discord.fail("POST /channels/{channel}/threads", status=400, code=50035)
        await bot.send(forum, 2)
        assert turns == [forum.id] * 2

    def test_the_limits_are_discords_unless_others_are_given(self, bot: Bot) -> None:
        service = Discord(Access("token", "http://x"), (), bot.storage, FakeClock(NOW))
        assert service.messenger.pace.limits == DISCORD
        assert bot.messenger.pace.limits == UNLIMITED


async def test_a_probe_asks_only_who_the_bot_is(bot: Bot, discord: FakeDiscord) -> None:
    before = len(discord.calls(LOGIN))
    await bot.messenger.probe()
    assert len(discord.calls(LOGIN)) == before + 1
    discord.fail(LOGIN, status=401)
    with pytest.raises(PlatformStopped):
        await bot.messenger.probe()
    bot.messenger._banned_until = 1.0
    asked = len(discord.requests)
    with pytest.raises(PlatformStopped, match="refused too many"):
        await bot.messenger.probe()
    assert len(discord.requests) == asked


class TestWatchdog:
    async def test_a_connection_that_says_nothing_is_made_anew(
        self, bot: Bot, discord: FakeDiscord
    ) -> None:
        late = time.perf_counter() + SILENT + 1
        await Watchdog(bot.client, lambda: late).look()
        await to_thread(discord.wait_until_resumed)

    async def test_without_any_connection_the_client_is_given_up(self, bot: Bot) -> None:
        now = time.perf_counter()
        watchdog = Watchdog(bot.client, lambda: now)
        before = bot.client
        before.ws._keep_alive.stop()
        before.ws._keep_alive = None
        now += LOST - 1
        assert await watchdog.look()
        now += 2
        assert not await watchdog.look()

    async def test_requests_that_wait_for_nothing_any_more_go_on(
        self, bot: Bot, news: Channel
    ) -> None:
        now = time.perf_counter()
        watchdog = Watchdog(bot.client, lambda: now)
        bot.client.http._global_over.clear()
        sending = asyncio.create_task(bot.send(news))
        await watchdog.look()
        now += SILENT + 1
        bot.client.ws._keep_alive._last_recv = now
        await watchdog.look()
        assert await asyncio.wait_for(sending, PATIENCE)
