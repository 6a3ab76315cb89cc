"""The fake Discord, as a bot sees it through the stock library and as a test sees it."""

import asyncio
import contextlib
import io
import time
from asyncio import to_thread
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import aiohttp
import discord
import pytest
import yarl

from tests.fakes.discord import (
    ANSWER,
    FOLLOW_UP,
    GATEWAY,
    LOGIN,
    SEND,
    SYNC,
    FakeDiscord,
    Guild,
    Person,
)
from tests.fakes.discord.permissions import BITS

PATIENCE: Final = 10.0


class Bot(discord.Client):
    """A bot with a few commands, which remembers what it was told."""

    def __init__(self, **given: Any) -> None:
        super().__init__(
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            guild_ready_timeout=0.05,
            **given,
        )
        self.tree = discord.app_commands.CommandTree(self)
        self.told: list[str] = []
        self.got: list[Any] = []
        self.tree.command(name="subscribe", description="Hear of a show")(self._subscribe)
        self.tree.command(name="wait", description="Answer later")(self._wait)
        self.tree.command(name="report", description="Tell of a mistake")(self._report)
        admin = discord.app_commands.Group(
            name="admin", description="For curators", guild_only=True
        )
        admin.command(name="add", description="Add a show")(self._add)
        self.tree.add_command(admin)
        command = self.tree.get_command("subscribe")
        assert isinstance(command, discord.app_commands.Command)
        command.autocomplete("show")(self._shows)

    def dispatch(self, event: str, /, *args: Any, **more: Any) -> None:
        self.told.append(event)
        super().dispatch(event, *args, **more)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Do not wait for five seconds."""

    async def _subscribe(
        self,
        interaction: discord.Interaction,
        show: str,
        channel: discord.TextChannel | discord.ForumChannel | discord.Thread | None = None,
        role: discord.Role | None = None,
        who: discord.User | None = None,
        daily: bool = False,
    ) -> None:
        self.got = [interaction, show, channel, role, who, daily]
        view = discord.ui.View(timeout=None)
        view.add_item(Stop(label="Unsubscribe", custom_id="stop"))
        await interaction.response.send_message(f"You follow {show}", view=view, ephemeral=True)

    async def _report(self, interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(Report())

    async def _add(self, interaction: discord.Interaction, show: str) -> None:
        await interaction.response.send_message(f"Added {show}")

    async def _wait(self, interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True)
        await interaction.edit_original_response(content="at last")
        await interaction.followup.send("and more", ephemeral=True)

    async def _shows(
        self, _: discord.Interaction, current: str
    ) -> list[discord.app_commands.Choice[str]]:
        return [discord.app_commands.Choice(name=f"{current}어 게임", value="1")]


class Sharded(discord.AutoShardedClient):
    """A bot of several shards."""

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Do not wait for five seconds."""


class Stop(discord.ui.Button[discord.ui.View]):
    """A button that takes itself away."""

    async def callback(self, interaction: discord.Interaction) -> None:
        await interaction.response.edit_message(content="Nothing is followed", view=None)


class Report(discord.ui.Modal, title="What is wrong?"):
    """A modal with one line."""

    text: discord.ui.TextInput["Report"] = discord.ui.TextInput(label="Text", custom_id="text")

    async def on_submit(self, interaction: discord.Interaction) -> None:
        await interaction.response.send_message(f"Thanks for {self.text.value}", ephemeral=True)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDiscord]:
    with FakeDiscord() as fake:
        monkeypatch.setattr(discord.http.Route, "BASE", fake.url)
        address = yarl.URL(fake.gateway_url)
        monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", address)
        yield fake


@pytest.fixture
def guild(fake: FakeDiscord) -> Guild:
    return fake.guild("Fans")


@pytest.fixture
def alice(fake: FakeDiscord, guild: Guild) -> Person:
    alice = fake.person("Alice", locale="ko")
    guild.join(alice)
    return alice


@contextlib.asynccontextmanager
async def running(fake: FakeDiscord, bot: Bot | None = None) -> AsyncIterator[Bot]:
    """A bot that is connected and ready."""
    bot = bot or Bot()
    task = asyncio.create_task(bot.start(fake.token))
    try:
        await until(lambda: "ready" in bot.told or task.done())
        yield bot
    finally:
        await bot.close()
        with contextlib.suppress(discord.DiscordException):
            await task


@contextlib.asynccontextmanager
async def logged_in(fake: FakeDiscord, **given: Any) -> AsyncIterator[Bot]:
    """A bot that uses REST alone."""
    bot = Bot(**given)
    try:
        await bot.login(fake.token)
        yield bot
    finally:
        await bot.close()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.005)


async def refused(coroutine: Any) -> tuple[int, int]:
    """The status and code with which something is refused."""
    with pytest.raises(discord.HTTPException) as caught:
        await coroutine
    return caught.value.status, caught.value.code


def to(bot: Bot, channel: Any) -> discord.PartialMessageable:
    return bot.get_partial_messageable(channel.id)


class TestLogin:
    async def test_a_bot_is_ready_with_its_guilds_and_channels(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        news, forum = guild.announcement("news"), guild.forum("shows")
        post = forum.post("Squid Game")
        async with running(fake) as bot:
            assert bot.user
            assert bot.user.id == fake.bot.id
            seen = bot.get_guild(guild.id)
            assert seen
            assert seen.name == "Fans"
            assert not seen.unavailable
            assert [one.id for one in seen.channels] == [news.id, forum.id]
            assert [one.id for one in seen.threads] == [post.id]
            assert seen.me.guild_permissions.send_messages
        (identify,) = fake.identifies
        assert identify.intents == 1
        assert identify.shard == (0, 1)

    async def test_a_wrong_token_is_refused_by_rest(self, fake: FakeDiscord) -> None:
        async with Bot() as bot:
            with pytest.raises(discord.LoginFailure):
                await bot.login("wrong")
        assert fake.calls(LOGIN)[0].status == 401
        assert fake.invalid_requests == 1

    async def test_a_token_that_is_revoked_ends_the_connection_with_4004(
        self, fake: FakeDiscord
    ) -> None:
        bot = Bot()
        await bot.login(fake.token)
        task = asyncio.create_task(bot.connect())
        await until(lambda: "ready" in bot.told)
        fake.revoke()
        with pytest.raises(discord.ConnectionClosed) as closed:
            await asyncio.wait_for(task, PATIENCE)
        assert closed.value.code == 4004

    async def test_a_token_that_is_revoked_is_refused_until_it_is_restored(
        self, fake: FakeDiscord
    ) -> None:
        async with logged_in(fake) as bot:
            fake.revoke()
            assert await refused(bot.application_info()) == (401, 0)
            fake.restore()
            await bot.application_info()

    async def test_an_intent_that_is_not_allowed_ends_with_4014(self, fake: FakeDiscord) -> None:
        fake.settings.disallowed = 1 << 1
        bot = Bot()
        bot._connection._intents = discord.Intents(guilds=True, members=True)
        with pytest.raises(discord.PrivilegedIntentsRequired):
            await asyncio.wait_for(bot.start(fake.token), PATIENCE)
        await bot.close()

    async def test_every_identify_counts_and_too_many_cost_the_token(
        self, fake: FakeDiscord
    ) -> None:
        fake.settings.starts_left = 2
        async with running(fake) as bot:
            told = await bot.http.request(discord.http.Route("GET", "/gateway/bot"))
            assert told["session_start_limit"]["remaining"] == 1
            assert told["url"] == fake.gateway_url
        bot = Bot()
        with pytest.raises(discord.ConnectionClosed):
            await asyncio.wait_for(bot.start(fake.token), PATIENCE)
        await bot.close()
        assert [one.accepted for one in fake.identifies] == [True, False]

    async def test_a_shard_gets_its_guilds_alone(self, fake: FakeDiscord) -> None:
        guilds = [fake.guild(f"G{n}", shard=(n, 2)) for n in (0, 1)]
        async with running(fake, Bot(shard_id=1, shard_count=2)) as bot:
            assert [one.id for one in bot.guilds] == [guilds[1].id]
        assert fake.identifies[0].shard == (1, 2)

    async def test_a_bot_starts_as_many_shards_as_it_is_told_to(self, fake: FakeDiscord) -> None:
        fake.settings.shards = 2
        guilds = [fake.guild(f"G{n}", shard=(n, 2)) for n in (0, 1)]
        bot = Sharded(intents=discord.Intents(guilds=True), guild_ready_timeout=0.05)
        task = asyncio.create_task(bot.start(fake.token))
        await to_thread(fake.wait_until_connected, 2)
        news = guilds[1].text("news")
        await until(lambda: bot.get_channel(news.id))
        assert {one.id: one.shard_id for one in bot.guilds} == {guilds[0].id: 0, guilds[1].id: 1}
        await bot.close()
        await task
        assert sorted(one.shard for one in fake.identifies) == [(0, 2), (1, 2)]


class TestCommands:
    async def test_commands_are_registered_and_keep_their_ids(self, fake: FakeDiscord) -> None:
        async with running(fake) as bot:
            first = await bot.tree.sync()
            second = await bot.tree.sync()
        assert [one.id for one in first] == [one.id for one in second]
        assert set(fake.commands()) == {"subscribe", "wait", "report", "admin"}
        assert len(fake.calls(SYNC)) == 2

    async def test_a_command_that_breaks_the_rules_is_refused(self, fake: FakeDiscord) -> None:
        async with logged_in(fake) as bot:
            for broken in (
                {"name": "Upper", "description": "x"},
                {"name": "long", "description": "x" * 101},
                {"name": "none", "description": ""},
                {"name": "order", "description": "x", "options": [_option(), _option("b", True)]},
                {
                    "name": "many",
                    "description": "x",
                    "options": [_option(f"o{n}") for n in range(26)],
                },
                {"name": "big", "description": "x", "options": [_big(n) for n in range(4)]},
            ):
                call = bot.http.bulk_upsert_global_commands(fake.bot.id, [broken])
                assert await refused(call) == (400, 50035), broken
        assert len(fake.take_violations()) >= 6
        assert not fake.commands()

    async def test_a_command_comes_with_what_its_options_name(
        self, fake: FakeDiscord, guild: Guild, alice: Person
    ) -> None:
        here, forum = guild.text("here"), guild.forum("shows")
        post = forum.post("Squid Game")
        role = guild.role("fans", mentionable=True)
        async with running(fake) as bot:
            await bot.tree.sync()
            asked = await to_thread(
                fake.ask, alice, here, "subscribe",
                show="Squid Game", channel=post, role=role, who=alice, daily=True,
            )  # fmt: skip
            interaction, show, channel, got_role, who, daily = bot.got
        assert (show, channel.id, got_role.id, who.id, daily) == (
            "Squid Game", post.id, role.id, alice.id, True
        )  # fmt: skip
        assert interaction.locale is discord.Locale.korean
        assert interaction.channel_id == here.id
        assert interaction.app_permissions.embed_links
        assert interaction.is_guild_integration()
        assert asked.answer
        assert asked.answer.is_ephemeral
        assert asked.text == "You follow Squid Game"
        assert asked.answer.buttons == {"Unsubscribe": "stop"}
        assert asked.acknowledged_after is not None
        assert asked.acknowledged_after < 1
        assert fake.history == ()

    async def test_the_permissions_of_a_member_come_with_a_command(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        here = guild.text("here")
        manager, owner = fake.person("Bob"), guild.owner
        guild.join(manager, [guild.role("staff", "manage_guild")])
        guild.forbid(here, "embed_links")
        async with running(fake) as bot:
            await bot.tree.sync()
            await to_thread(fake.ask, manager, here, "subscribe", show="x")
            assert bot.got[0].permissions.manage_guild
            assert not bot.got[0].permissions.manage_channels
            assert not bot.got[0].app_permissions.embed_links
            await to_thread(fake.ask, owner, here, "subscribe", show="x")
            assert bot.got[0].permissions.administrator

    async def test_a_command_works_in_a_dm_and_where_only_a_person_has_installed_the_bot(
        self, fake: FakeDiscord, alice: Person
    ) -> None:
        bob = fake.person("Bob", has_installed=True)
        elsewhere = fake.guild("Elsewhere", has_bot=False)
        elsewhere.join(bob)
        async with running(fake) as bot:
            await bot.tree.sync()
            await to_thread(fake.ask, alice, fake.dm(alice), "subscribe", show="x")
            assert bot.got[0].context.dm_channel
            assert bot.got[0].user.id == alice.id
            await to_thread(fake.ask, bob, elsewhere.text("x"), "subscribe", show="x")
            assert bot.got[0].is_user_integration()
            assert not bot.got[0].is_guild_integration()
            await to_thread(fake.ask, bob, fake.group(bob, alice), "subscribe", show="x")
            assert bot.got[0].context.private_channel

    async def test_a_subcommand_is_named_by_its_words_and_used_where_it_is_offered(
        self, fake: FakeDiscord, guild: Guild, alice: Person
    ) -> None:
        async with running(fake) as bot:
            await bot.tree.sync()
            asked = await to_thread(fake.ask, alice, guild.text("x"), "admin add", show="Dark")
            assert asked.text == "Added Dark"
            dm = fake.dm(alice)
            with pytest.raises(AssertionError, match="not offered"):
                fake.command(alice, dm, "admin add", show="Dark")
            forged = fake.command(alice, dm, "admin add", show="Dark", forged=True)
            await to_thread(fake.wait_for_answer, forged)

    async def test_what_a_command_needs_is_asked_for(
        self, fake: FakeDiscord, guild: Guild, alice: Person
    ) -> None:
        here = guild.text("x")
        async with running(fake) as bot:
            await bot.tree.sync()
            with pytest.raises(AssertionError, match="needs"):
                fake.command(alice, here, "subscribe")
            with pytest.raises(AssertionError, match="no option"):
                fake.command(alice, here, "subscribe", show="x", nonsense=1)
            with pytest.raises(AssertionError, match="takes no"):
                fake.command(alice, here, "subscribe", show="x", channel="general")
            with pytest.raises(AssertionError, match="channels of types"):
                fake.command(alice, here, "subscribe", show="x", channel=guild.category("c"))

    async def test_a_modal_is_shown_and_sent_in(
        self, fake: FakeDiscord, guild: Guild, alice: Person
    ) -> None:
        async with running(fake) as bot:
            await bot.tree.sync()
            shown = await to_thread(fake.ask, alice, guild.text("x"), "report")
            sent = fake.submit(shown, text="a wrong date")
            await to_thread(fake.wait_for_answer, sent)
        assert sent.text == "Thanks for a wrong date"

    async def test_autocomplete_gives_choices(
        self, fake: FakeDiscord, guild: Guild, alice: Person
    ) -> None:
        async with running(fake) as bot:
            await bot.tree.sync()
            asked = await to_thread(
                fake.autocomplete, alice, guild.text("x"), "subscribe", show="오징"
            )
        assert asked.choices == [{"name": "오징어 게임", "value": "1"}]
        assert asked.acknowledged_after is not None

    async def test_a_button_changes_its_message(
        self, fake: FakeDiscord, guild: Guild, alice: Person
    ) -> None:
        async with running(fake) as bot:
            await bot.tree.sync()
            asked = await to_thread(fake.ask, alice, guild.text("x"), "subscribe", show="x")
            pressed = fake.press(alice, asked, "Unsubscribe")
            await to_thread(fake.wait_for_answer, pressed)
        assert pressed.text == asked.text == "Nothing is followed"
        assert pressed.answer
        assert pressed.answer is asked.answer
        assert not pressed.answer.buttons
        assert [one.content for one in pressed.edits] == ["Nothing is followed"]
        with pytest.raises(AssertionError, match="no button"):
            fake.press(alice, asked, "Unsubscribe")

    async def test_an_answer_may_be_deferred_and_followed_up(
        self, fake: FakeDiscord, guild: Guild, alice: Person
    ) -> None:
        async with running(fake) as bot:
            await bot.tree.sync()
            asked = await to_thread(fake.ask, alice, guild.text("x"), "wait")
            await to_thread(fake.wait_until, lambda: asked.followups)
        assert asked.acknowledged == 5
        assert asked.text == "at last"
        assert asked.answer
        assert asked.answer.is_ephemeral
        assert [one.text for one in asked.followups] == ["and more"]

    async def test_an_interaction_that_arrives_twice_is_acknowledged_once(
        self, fake: FakeDiscord, guild: Guild, alice: Person
    ) -> None:
        async with running(fake) as bot:
            bot.tree.on_error = _ignore  # type: ignore[method-assign]
            await bot.tree.sync()
            asked = await to_thread(
                fake.command, alice, guild.text("x"), "subscribe", times=2, show="x"
            )
            await to_thread(fake.wait_until, lambda: asked.refusals)
        assert asked.refusals == [40060]
        assert [one.status for one in fake.calls(ANSWER)] == [200, 400]

    async def test_an_answer_that_is_late_is_refused(
        self, fake: FakeDiscord, guild: Guild, alice: Person
    ) -> None:
        fake.settings.answer_within = -1.0
        async with running(fake) as bot:
            bot.tree.on_error = _ignore  # type: ignore[method-assign]
            await bot.tree.sync()
            asked = await to_thread(fake.command, alice, guild.text("x"), "subscribe", show="x")
            await to_thread(fake.wait_until, lambda: asked.refusals)
        assert asked.refusals == [10062]
        assert asked.answer is None

    async def test_a_token_dies_after_its_time(
        self, fake: FakeDiscord, guild: Guild, alice: Person
    ) -> None:
        async with running(fake) as bot:
            await bot.tree.sync()
            await to_thread(fake.ask, alice, guild.text("x"), "subscribe", show="x")
            fake.expire(fake.interactions[0])
            assert await refused(bot.got[0].followup.send("late")) == (401, 50027)
        assert fake.calls(FOLLOW_UP)[0].code == 50027

    async def test_a_follow_up_may_hold_a_file(
        self, fake: FakeDiscord, guild: Guild, alice: Person
    ) -> None:
        async with running(fake) as bot:
            await bot.tree.sync()
            asked = await to_thread(fake.ask, alice, guild.text("x"), "subscribe", show="x")
            file = discord.File(_file(), "all.json")
            await bot.got[0].followup.send("Here", file=file, ephemeral=True)
        (upload,) = asked.followups[0].files
        assert (upload.name, upload.content) == ("all.json", b"{}")

    async def test_a_guild_may_set_who_uses_a_command(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        async with running(fake) as bot:
            command = (await bot.tree.sync())[0]
            place = discord.Object(guild.id)
            assert await refused(command.fetch_permissions(place)) == (404, 10066)
            fake.override(guild, [{"id": guild.id, "type": 1, "permission": False}], command.name)
            (rule,) = (await command.fetch_permissions(place)).permissions
            assert rule.id == guild.id
            assert not rule.permission


class TestMessages:
    async def test_a_message_is_accepted_and_remembered(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        news = guild.text("news")
        async with logged_in(fake) as bot:
            made = await to(bot, news).send(
                "Hello", embed=discord.Embed(title="Squid Game"), nonce="n1", silent=True
            )
        (sent,) = fake.history
        assert sent.id == made.id
        assert (sent.channel_id, sent.thread_id, sent.nonce) == (news.id, None, "n1")
        assert sent.text == "Hello\nSquid Game"
        assert sent.allowed_mentions == {"parse": []}
        assert sent.is_silent
        assert fake.sent_to(news) == (sent,)

    @pytest.mark.parametrize(
        ("forbidden", "code"),
        [("view_channel", 50001), ("send_messages", 50013), ("embed_links", 50013)],
    )
    async def test_what_is_forbidden_is_refused(
        self, fake: FakeDiscord, guild: Guild, forbidden: str, code: int
    ) -> None:
        news = guild.text("news")
        guild.forbid(news, forbidden)
        async with logged_in(fake) as bot:
            embed = discord.Embed(title="x")
            assert await refused(to(bot, news).send(embed=embed)) == (403, code)
            guild.allow(news, forbidden)
            await to(bot, news).send(embed=embed)

    async def test_where_nothing_can_be_sent_says_why(
        self, fake: FakeDiscord, guild: Guild, alice: Person
    ) -> None:
        gone, news = guild.text("gone"), guild.text("news")
        fake.delete(gone)
        locked, closed = news.thread("locked"), fake.dm(alice)
        locked.archive(locked=True)
        fake.close_dms(alice)
        left = fake.guild("Left")
        there = left.text("there")
        left.kick_bot()
        async with logged_in(fake) as bot:
            for channel, expected in (
                (gone, (404, 10003)),
                (discord.Object(1), (404, 10003)),
                (guild.forum("shows"), (400, 50008)),
                (guild.category("all"), (400, 50008)),
                (locked, (400, 160005)),
                (closed, (403, 50007)),
                (there, (403, 50001)),
            ):
                assert await refused(to(bot, channel).send("x")) == expected
        assert fake.history == ()

    async def test_an_archived_thread_opens_again(self, fake: FakeDiscord, guild: Guild) -> None:
        thread = guild.text("news").thread("Squid Game")
        thread.archive()
        async with logged_in(fake) as bot:
            await to(bot, thread).send("x")
        assert not thread.archived
        assert fake.history[0].thread_id == thread.id

    async def test_a_dm_is_opened_and_written_to(self, fake: FakeDiscord, alice: Person) -> None:
        async with logged_in(fake) as bot:
            user = await bot.fetch_user(alice.id)
            await user.send("Hello")
        assert [one.text for one in fake.sent_to(alice)] == ["Hello"]

    async def test_a_repeated_nonce_gives_the_earlier_message(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        news, other = guild.text("news"), guild.text("other")
        async with logged_in(fake) as bot:
            first = await to(bot, news).send("x", nonce="n")
            assert (await to(bot, news).send("x", nonce="n")).id == first.id
            assert (await to(bot, other).send("x", nonce="n")).id == first.id
            fake.delete(fake.history[0])
            assert await refused(to(bot, news).send("x", nonce="n")) == (404, 10008)
            assert [one.refused for one in fake.repeats] == [False, False, True]
            fake.settings.nonce_window = 0.0
            assert (await to(bot, news).send("x", nonce="n")).id != first.id
        assert len(fake.history) == 2

    async def test_a_post_is_opened_with_its_first_message(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        forum = guild.forum("shows")
        tag = forum.add_tag("renewed", required=True)
        async with running(fake) as bot:
            place = bot.get_channel(forum.id)
            assert isinstance(place, discord.ForumChannel)
            assert await refused(place.create_thread(name="x", content="x")) == (400, 40067)
            made = await place.create_thread(
                name="Squid Game",
                content="Season 3",
                applied_tags=[discord.Object(tag)],  # type: ignore[list-item]
            )
            await until(lambda: place.get_thread(made.thread.id))
        (sent,) = fake.history
        assert (sent.parent_id, sent.text, sent.id) == (forum.id, "Season 3", made.thread.id)

    async def test_a_thread_is_opened_at_a_message_or_without_one(self, fake: FakeDiscord) -> None:
        guild = fake.guild("Fans", "administrator")
        news = guild.text("news")
        async with running(fake) as bot:
            place = bot.get_channel(news.id)
            assert isinstance(place, discord.TextChannel)
            message = await place.send("one")
            thread = await message.create_thread(name="at")
            assert thread.id == message.id
            await thread.edit(archived=True)
            assert guild.channels[thread.id].archived
            await thread.send("two")
            kind = discord.ChannelType.public_thread
            plain = await place.create_thread(name="plain", type=kind)
            await until(lambda: {one.id for one in place.threads} == {thread.id, plain.id})
            assert await refused(message.create_thread(name="x")) == (400, 160004)
        assert [(one.parent_id, one.thread_id) for one in fake.history] == [
            (None, None),
            (news.id, thread.id),
        ]

    async def test_a_message_is_published_once_and_only_where_that_is_possible(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        async with logged_in(fake) as bot:
            message = await to(bot, guild.announcement("news")).send("x")
            await message.publish()
            assert await refused(message.publish()) == (400, 40033)
            plain = await to(bot, guild.text("talk")).send("x")
            assert await refused(plain.publish()) == (400, 50024)
        assert [one.crossposted for one in fake.history] == [True, False]

    async def test_a_message_is_edited_read_and_deleted(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        news = guild.text("news")
        async with logged_in(fake) as bot:
            message = await to(bot, news).send("one")
            await message.edit(content="two")
            assert [one.content async for one in to(bot, news).history()] == ["two"]
            await message.delete()
            assert await refused(to(bot, news).fetch_message(message.id)) == (404, 10008)
        assert [one.content for one in fake.history[0].edits] == ["two"]

    async def test_a_reply_needs_the_right_to_read(self, fake: FakeDiscord, guild: Guild) -> None:
        news = guild.text("news")
        async with logged_in(fake) as bot:
            message = await to(bot, news).send("one")
            await message.reply("two")
            guild.forbid(news, "read_message_history")
            assert await refused(message.reply("three")) == (400, 160002)
        assert fake.history[1].reply_to == message.id

    async def test_a_message_that_could_mention_everyone_fails_the_test(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        async with logged_in(fake) as bot:
            with contextlib.suppress(discord.HTTPException):
                everyone = discord.AllowedMentions.all()
                await to(bot, guild.text("x")).send("@everyone", allowed_mentions=everyone)
        assert any("parse" in one for one in fake.take_violations())

    async def test_a_message_beyond_the_limits_is_refused_and_fails_the_test(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        news = guild.text("news")
        async with logged_in(fake) as bot:
            assert await refused(to(bot, news).send("x" * 2001)) == (400, 50035)
            long = [discord.Embed(description="x" * 3001) for _ in range(2)]
            assert await refused(to(bot, news).send(embeds=long)) == (400, 50035)
            assert await refused(to(bot, news).send("")) == (400, 50006)
        assert len(fake.take_violations()) >= 3

    async def test_a_role_is_pinged_only_if_that_is_allowed(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        news, fans, staff = guild.text("x"), guild.role("fans", mentionable=True), guild.role("s")
        async with logged_in(fake) as bot:
            mentions = discord.AllowedMentions(
                everyone=False, users=False, replied_user=False,
                roles=[discord.Object(fans.id), discord.Object(staff.id)],
            )  # fmt: skip
            text = f"{fans.mention} {staff.mention}"
            await to(bot, news).send(text, allowed_mentions=mentions)
        assert [one.pings for one in fake.history] == [(fans.id,)]


class TestFaults:
    async def test_a_full_bucket_is_announced_and_then_refused(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        fake.limits.on, fake.limits.messages, fake.limits.window = True, 2, 0.3
        news = guild.text("news")
        async with aiohttp.ClientSession() as session:
            answers = [await _post(session, fake, news.id) for _ in range(3)]
        assert [one.status for one in answers] == [200, 200, 429]
        assert [one.headers["X-RateLimit-Remaining"] for one in answers] == ["1", "0", "0"]
        assert answers[2].headers["X-RateLimit-Scope"] == "user"
        assert answers[2].headers["Via"] == "1.1 google"
        assert answers[2].headers["Content-Type"] == "application/json"
        async with logged_in(fake) as bot:
            before = time.monotonic()
            for _ in range(4):
                await to(bot, news).send("x")
            assert time.monotonic() - before > 0.3
        assert len(fake.history) == 6

    async def test_the_global_limit_holds_for_all_but_answers(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        fake.limits.overall = 2
        news = guild.text("news")
        async with aiohttp.ClientSession() as session:
            answers = [await _post(session, fake, news.id) for _ in range(3)]
            url = f"{fake.url}/webhooks/1/x"
            body = {"content": "x", "allowed_mentions": {"parse": []}}
            async with session.post(url, json=body) as answer:
                assert answer.status == 404
        assert [one.status for one in answers] == [200, 200, 429]
        assert answers[2].headers["X-RateLimit-Global"] == "true"

    async def test_a_global_limit_by_script_is_waited_for(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        fake.flood(0.2, scope="global")
        async with logged_in(fake) as bot:
            await to(bot, guild.text("news")).send("x")
        assert [one.status for one in fake.calls(SEND)] == [429, 200]
        assert fake.invalid_requests == 1

    async def test_a_ban_by_cloudflare_is_no_json(self, fake: FakeDiscord, guild: Guild) -> None:
        async with logged_in(fake) as bot:
            ban = fake.ban(60)
            assert await refused(to(bot, guild.text("news")).send("x")) == (429, 0)
            ban.stop()
            await to(bot, guild.text("news")).send("x")

    async def test_a_request_fails_before_or_after_it_was_carried_out(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        news = guild.text("news")
        async with logged_in(fake) as bot:
            fake.fail(status=503)
            assert await refused(to(bot, news).send("x")) == (503, 0)
            fake.fail(status=503, accepted=True)
            assert await refused(to(bot, news).send("y")) == (503, 0)
            fake.drop(accepted=True)
            with pytest.raises(aiohttp.ClientError):
                await to(bot, news).send("z")
        assert [one.text for one in fake.history] == ["y", "z"]
        assert [one.status for one in fake.calls(SEND)] == [503, 503, None]

    async def test_an_answer_is_held_until_it_is_released(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        news = guild.text("news")
        async with logged_in(fake) as bot:
            with fake.held() as hold:
                task = asyncio.create_task(to(bot, news).send("x"))
                await to_thread(fake.wait_until_held, hold)
                assert len(fake.history) == 1
                assert not task.done()
            await asyncio.wait_for(task, PATIENCE)

    async def test_what_the_server_does_not_know_fails_the_test(self, fake: FakeDiscord) -> None:
        async with logged_in(fake) as bot:
            call = bot.http.request(discord.http.Route("GET", "/nowhere"))
            assert await refused(call) == (404, 0)
        assert fake.take_violations() == ("the fake has no GET /api/v10/nowhere",)

    async def test_a_server_that_is_down_comes_back(self, fake: FakeDiscord, guild: Guild) -> None:
        news = guild.text("news")
        async with logged_in(fake) as bot:
            fake.down()
            with pytest.raises(aiohttp.ClientError):
                await to(bot, news).send("x")
            fake.up()
            await to(bot, news).send("x")
        assert len(fake.history) == 1


class TestGateway:
    async def test_a_broken_connection_is_resumed_and_what_was_missed_is_told(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        async with running(fake) as bot:
            with fake.settings.change():
                fake.cut_gateway()
                made = guild.text("meanwhile")
            await until(lambda: "resumed" in bot.told)
            assert bot.get_channel(made.id)
        assert len(fake.identifies) == 1
        assert fake.resumes

    async def test_a_connection_that_is_cut_is_resumed(self, fake: FakeDiscord) -> None:
        async with running(fake) as bot:
            fake.cut_gateway()
            await until(lambda: "resumed" in bot.told)
        assert len(fake.identifies) == 1

    async def test_a_bot_reconnects_when_it_is_asked_to(self, fake: FakeDiscord) -> None:
        async with running(fake) as bot:
            fake.reconnect()
            await until(lambda: "resumed" in bot.told)
        assert len(fake.resumes) == 1

    async def test_a_session_that_ends_for_good_is_begun_anew(self, fake: FakeDiscord) -> None:
        async with running(fake):
            fake.invalidate()
            await to_thread(fake.wait_until_identified, 2)
        assert not fake.resumes

    async def test_a_session_that_cannot_be_resumed_is_begun_anew(self, fake: FakeDiscord) -> None:
        refusal = fake.disturb("resume", invalid=False)
        async with running(fake):
            fake.close_gateway(4000)
            await to_thread(fake.wait_until_identified, 2)
        assert refusal.struck == 1

    @pytest.mark.parametrize(("code", "left"), [(1000, 0), (4000, 1)])
    async def test_a_session_is_over_if_a_bot_closes_it_as_done(
        self, fake: FakeDiscord, code: int, left: int
    ) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(fake.gateway_url) as socket,
        ):
            assert (await socket.receive_json())["op"] == 10
            await socket.send_json({"op": 2, "d": {"token": fake.token, "intents": 1}})
            assert (await socket.receive_json())["t"] == "READY"
            await socket.close(code=code)
        await to_thread(fake.wait_until_disconnected)
        assert len(fake.settings.sessions) == left

    async def test_heartbeats_without_answers_end_a_connection(self, fake: FakeDiscord) -> None:
        fake.settings.heartbeat_interval = 0.1
        async with running(fake, Bot(heartbeat_timeout=0.4)) as bot:
            await until(lambda: fake.settings.heartbeats >= 3)
            fake.settings.acks = False
            await until(lambda: fake.resumes)
            fake.settings.acks = True
            await until(lambda: "resumed" in bot.told)

    async def test_a_gateway_that_refuses_connections_is_tried_again(
        self, fake: FakeDiscord
    ) -> None:
        async with running(fake) as bot:
            refusal = fake.disturb("connect", close=503)
            fake.close_gateway(4000)
            await until(lambda: "resumed" in bot.told)
        assert refusal.struck == 1
        assert not fake.calls(GATEWAY)

    async def test_an_outage_begins_and_ends(self, fake: FakeDiscord, guild: Guild) -> None:
        news = guild.text("news")
        async with running(fake) as bot:
            guild.unavailable(missing=True)
            await until(lambda: "guild_unavailable" in bot.told)
            assert await refused(to(bot, news).send("x")) == (404, 10003)
            guild.available()
            await until(lambda: "guild_available" in bot.told)
            await to(bot, news).send("x")
        assert "guild_remove" not in bot.told

    async def test_a_guild_that_is_unavailable_from_the_start_is_a_stub(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        guild.unavailable()
        async with running(fake) as bot:
            assert [one.unavailable for one in bot.guilds] == [True]

    async def test_a_kick_is_told_but_not_to_a_bot_that_is_offline(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        other = fake.guild("Other")
        async with running(fake) as bot:
            guild.kick_bot()
            await until(lambda: "guild_remove" in bot.told)
            guild.add_bot("administrator")
            await until(lambda: "guild_join" in bot.told)
        other.kick_bot()
        async with running(fake) as bot:
            assert [one.id for one in bot.guilds] == [guild.id]
            assert "guild_remove" not in bot.told

    async def test_what_happens_to_channels_threads_and_roles_is_told(
        self, fake: FakeDiscord, guild: Guild
    ) -> None:
        async with running(fake) as bot:
            news, role = guild.text("news"), guild.role("fans")
            thread, other = news.thread("one"), news.thread("two")
            guild.forbid(news, "send_messages")
            guild.change_role(role, name="friends")
            thread.archive()
            guild.rename_bot("Cliff")
            other.delete()
            guild.delete_role(role)
            fake.delete(news)
            await until(lambda: "guild_channel_delete" in bot.told)
        told = [one for one in bot.told if one.startswith(("guild_", "thread_", "member_"))]
        assert told[told.index("guild_channel_create") :] == [
            "guild_channel_create", "guild_role_create", "thread_create", "thread_create",
            "guild_channel_update", "guild_role_update", "thread_update", "member_update",
            "thread_delete", "guild_role_delete", "guild_channel_delete",
        ]  # fmt: skip


class TestPermissions:
    def test_roles_and_overwrites_add_up_as_discord_does_it(
        self, fake: FakeDiscord, guild: Guild, alice: Person
    ) -> None:
        news = guild.text("news")
        fans = guild.role("fans")
        assert "send_messages" in guild.allows(news, alice)
        guild.forbid(news, "send_messages", to=guild.everyone)
        assert "send_messages" not in guild.allows(news, alice)
        assert "embed_links" not in guild.allows(news, alice)
        guild.set_roles(alice, [fans])
        guild.allow(news, "send_messages", to=fans)
        assert "send_messages" in guild.allows(news, alice)
        guild.forbid(news, "view_channel", to=alice)
        assert guild.allows(news, alice) == set()
        assert guild.allows(news, guild.owner) == set(BITS)
        guild.set_roles(alice, [guild.role("boss", "administrator")])
        assert guild.allows(news, alice) == set(BITS)

    async def test_discord_py_counts_them_alike(self, fake: FakeDiscord, guild: Guild) -> None:
        news = guild.text("news")
        guild.forbid(news, "send_messages", to=guild.everyone)
        guild.allow(news, "embed_links", "manage_messages")
        thread = news.thread("one")
        async with running(fake) as bot:
            seen = bot.get_guild(guild.id)
            assert seen
            for channel in (news, thread):
                place = seen.get_channel_or_thread(channel.id)
                assert place
                theirs = place.permissions_for(seen.me)
                mine = sum(BITS[name] for name in guild.allows(channel))
                assert theirs.send_messages == bool(mine & BITS["send_messages"])
                assert theirs.embed_links == bool(mine & BITS["embed_links"])
                assert theirs.manage_messages == bool(mine & BITS["manage_messages"])

    async def test_a_place_can_be_looked_at(self, fake: FakeDiscord, guild: Guild) -> None:
        hidden, news = guild.text("hidden"), guild.text("news")
        guild.forbid(hidden, "view_channel")
        async with logged_in(fake) as bot:
            assert (await bot.fetch_guild(guild.id)).name == "Fans"
            assert await refused(bot.fetch_guild(1)) == (404, 10004)
            assert (await bot.fetch_channel(news.id)).id == news.id
            assert await refused(bot.fetch_channel(hidden.id)) == (403, 50001)

    async def test_what_is_in_a_guild_is_listed(
        self, fake: FakeDiscord, guild: Guild, alice: Person
    ) -> None:
        news = guild.text("news")
        thread = news.thread("one")
        async with running(fake) as bot:
            (seen,) = [one async for one in bot.fetch_guilds()]
            assert seen.id == guild.id
            place = bot.get_guild(guild.id)
            assert place
            assert [one.name for one in await place.fetch_roles()] == ["@everyone", "Cliffhanger"]
            assert [one.id for one in await place.fetch_channels()] == [news.id]
            assert [one.id for one in await place.active_threads()] == [thread.id]
            assert (await place.fetch_member(alice.id)).id == alice.id
            await place.leave()
            await until(lambda: "guild_remove" in bot.told)
        assert not guild.has_bot


def test_a_violation_fails_the_test_that_made_it(guild: Guild) -> None:
    with pytest.raises(AssertionError, match="something"), FakeDiscord() as fake:
        fake.settings.violations.append("something")


def test_what_does_not_come_fails_with_what_did(fake: FakeDiscord, guild: Guild) -> None:
    with pytest.raises(AssertionError, match="it got: "):
        fake.wait_for(guild.text("news"), "hello", within=0.01)


def _option(name: str = "a", required: bool = False) -> dict[str, Any]:
    return {"name": name, "description": "x", "type": 3, "required": required}


def _big(number: int) -> dict[str, Any]:
    choices = [{"name": f"{n}" + "x" * 90, "value": f"{n}" + "y" * 90} for n in range(12)]
    return _option(f"o{number}") | {"choices": choices}


def _file() -> io.BytesIO:
    return io.BytesIO(b"{}")


async def _ignore(_: discord.Interaction, __: Exception) -> None:
    """An error of a command that a test expects."""


async def _post(
    session: aiohttp.ClientSession, fake: FakeDiscord, channel: int
) -> aiohttp.ClientResponse:
    body = {"content": "x", "allowed_mentions": {"parse": []}}
    headers = {"Authorization": f"Bot {fake.token}"}
    url = f"{fake.url}/channels/{channel}/messages"
    async with session.post(url, json=body, headers=headers) as answer:
        await answer.read()
        return answer
