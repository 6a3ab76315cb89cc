"""The commands and buttons as members of a server use them, on a Discord that is not ours.

simcord runs the real client in this process against its own model of Discord. It knows permissions
and who sees which command; it does not know keys of messages, and believes every declaration.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import discord
import pytest
import simcord

from bot.app import Engine
from bot.commands.files import load_starter
from bot.model import Destination, Platform, Subscription
from bot.outbox.pace import UNLIMITED, Pace
from bot.platforms.discord.access import NEEDED, Access
from bot.platforms.discord.client import AnyClient, new_client
from bot.platforms.discord.desk import Desk
from bot.platforms.discord.guilds import Guilds
from bot.platforms.discord.messenger import DiscordMessenger
from bot.platforms.discord.refusals import Refusals
from bot.platforms.discord.wire import Wire
from bot.platforms.seals import Seals
from cogs import EXTENSIONS
from storage.store import Storage, open_storage
from storage.trust import trust
from tests.build import NOW, TODAY, an_update
from tests.fakes.clock import FakeClock
from tests.storage.builders import sql

SHOW = "all-of-us-are-dead"


async def _begin() -> None:
    """Every session may begin."""


class World:
    """One bot, its store, and a server with a manager and a member."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.clock = FakeClock(NOW)
        self.wire = Wire()
        self.seals = Seals("token")
        self.pace = Pace(UNLIMITED)
        messenger = DiscordMessenger(self.wire, self.seals, storage, Refusals(), self.pace)
        self.engine = Engine(storage, {Platform.DISCORD: messenger}, self.clock)

    def new_client(self) -> AnyClient:
        """The bot, as it is when its process has just begun."""
        desk = Desk(self.engine.core, self.seals)
        client = new_client(Access("token"), desk, EXTENSIONS, Refusals(), self.pace, _begin)
        Guilds(client, self.storage, self.clock, self.engine.core.wake, self.wire.away)
        self.wire.client = client
        return client

    async def tell(self, update: Any) -> None:
        """Publish an update, and deliver it."""
        await self.storage.publishing.publish(update, TODAY)
        async with self.engine.delivering():
            await self.engine.finish()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_storage(f"sqlite:///{tmp_path}/cliffhanger.db", trust()) as storage:
        await load_starter(storage, TODAY)
        yield World(storage)


@dataclass
class Town:
    """A server with a manager and a member, and the bot in it."""

    env: simcord.Env
    world: World
    guild: simcord.GuildHandle
    channel: simcord.ChannelHandle
    manager: simcord.MemberActor
    member: simcord.MemberActor


@pytest.fixture
async def simcord_bot(world: World) -> AnyClient:
    return world.new_client()


@pytest.fixture
async def town(simcord_env: simcord.Env, world: World) -> Town:
    guild = simcord_env.create_guild()
    channel = guild.create_text_channel("general")
    managing = guild.create_role("Mods", permissions=discord.Permissions(manage_guild=True))
    manager = guild.add_member(simcord_env.create_user("manager"), roles=[managing])
    member = guild.add_member(simcord_env.create_user("member"))
    assert world.wire.client is not None
    await world.wire.client.tree.sync()
    return Town(simcord_env, world, guild, channel, manager, member)


def newest(channel: simcord.ChannelHandle) -> discord.Message:
    assert channel.last_message is not None
    return channel.last_message


def said(result: simcord.InteractionResult) -> str:
    assert result.response is not None
    return result.response.content


async def followed(town: Town) -> list[Subscription]:
    here = Destination(Platform.DISCORD, town.channel.id, None, town.guild.id)
    found = await town.world.storage.subscriptions.of(here)
    (row,) = await sql(town.world.storage, "SELECT home_id FROM destinations")
    there = replace(here, home_id=row[0])
    return [replace(one, destination=there) for one in found]


class TestCommands:
    async def test_a_manager_subscribes_and_alone_sees_the_answer(self, town: Town) -> None:
        result = await town.manager.slash(town.channel, "subscribe", show="all of us are ded")
        assert "Subscribed: you get every alert for All of Us Are Dead" in said(result)
        assert result.ephemeral

    async def test_a_member_sees_only_what_a_member_may_do(self, town: Town) -> None:
        offered = set(town.member.available_commands(town.channel))
        reads = {"subscriptions", "status", "upcoming", "latest", "why", "help", "privacy"}
        assert offered == reads
        assert offered < set(town.manager.available_commands(town.channel))

    async def test_where_a_show_stands_is_answered_for_everybody(self, town: Town) -> None:
        result = await town.member.slash(town.channel, "status", show="all of us are dead")
        assert "All of Us Are Dead, season 2: renewed, not dated" in said(result)
        assert not result.ephemeral
        assert newest(town.channel).content == said(result)

    async def test_a_mistake_is_seen_by_nobody_else(self, town: Town) -> None:
        result = await town.member.slash(town.channel, "status", show="qqqqqqqqq")
        assert "No show called" in said(result)
        assert result.ephemeral

    async def test_titles_are_offered_while_one_is_typed(self, town: Town) -> None:
        offered = await town.manager.autocomplete(town.channel, "subscribe", "show", "오징")
        assert offered[0] == {"name": "오징어 게임", "value": "squid-game"}
        everything = await town.manager.autocomplete(town.channel, "subscribe", "show", "")
        assert len(everything) <= 25

    async def test_another_channel_can_be_chosen(self, town: Town) -> None:
        news = town.guild.create_text_channel("news")
        await town.manager.slash(town.channel, "subscribe", show=SHOW, channel=news)
        await town.world.tell(an_update("renewed", show=SHOW, season=3))
        assert "RENEWED" in newest(news).content
        assert town.channel.history() == []

    async def test_a_role_is_pinged(self, town: Town) -> None:
        fans = town.guild.create_role("fans", mentionable=True)
        await town.manager.slash(town.channel, "subscribe", show=SHOW, role=fans)
        await town.world.tell(an_update("renewed", show=SHOW, season=3))
        alert = newest(town.channel)
        assert [role.id for role in alert.role_mentions] == [fans.id]

    async def test_everyone_is_not(self, town: Town) -> None:
        everyone = town.guild.default_role
        refused = await town.manager.slash(town.channel, "subscribe", show=SHOW, role=everyone)
        assert "I do not ping everyone" in said(refused)


class TestButtonsThatSubscribe:
    async def test_they_keep_the_role_and_the_server(self, town: Town) -> None:
        fans = town.guild.create_role("fans", mentionable=True)
        asked = await town.manager.slash(
            town.channel, "subscribe", show="outlander please", role=fans
        )
        assert asked.response is not None
        await town.manager.click(asked.response, label="Outlander")
        assert "Alerts ping the role you chose" in asked.response.content
        (one,) = await followed(town)
        assert (one.role_id, one.destination.home_id) == (fans.id, town.guild.id)

    async def test_subscribe_again_restores_what_was(self, town: Town) -> None:
        fans = town.guild.create_role("fans", mentionable=True)
        await town.manager.slash(town.channel, "subscribe", show=SHOW, role=fans, kinds="dated")
        before = await followed(town)
        gone = await town.manager.slash(town.channel, "unsubscribe", show=SHOW)
        assert await followed(town) == []
        assert gone.response is not None
        await town.manager.click(gone.response, label="Subscribe again")
        assert await followed(town) == before


class TestPermissions:
    async def test_who_may_not_post_in_a_channel_does_not_decide_what_it_gets(
        self, town: Town
    ) -> None:
        silent = discord.PermissionOverwrite(send_messages=False)
        rules = town.guild.create_text_channel(
            "rules", overwrites={town.guild.default_role: silent}
        )
        result = await town.manager.slash(town.channel, "subscribe", show=SHOW, channel=rules)
        assert "You lack Send Messages in #rules" in said(result)

    async def test_who_owns_the_server_lets_others_in(self, town: Town) -> None:
        client = town.world.wire.client
        assert client is not None
        (subscribe,) = [
            one for one in await client.tree.fetch_commands() if one.name == "subscribe"
        ]
        town.guild.set_command_permissions(subscribe, {town.member: True})
        result = await town.member.slash(town.channel, "subscribe", show=SHOW)
        assert "Subscribed" in said(result)


class TestButtons:
    async def test_details_and_unsubscribe_stand_below_an_alert(self, town: Town) -> None:
        await town.manager.slash(town.channel, "subscribe", show=SHOW)
        await town.world.tell(an_update("renewed", show=SHOW, season=3))
        alert = newest(town.channel)
        details = await town.member.click(alert, label="Details")
        assert "season 3: renewed" in said(details)
        assert details.ephemeral
        refused = await town.member.click(alert, label="Unsubscribe")
        assert "Manage Server" in said(refused)
        done = await town.manager.click(alert, label="Unsubscribe")
        assert "no more alerts for All of Us Are Dead" in said(done)

    async def test_they_work_after_a_restart(self, town: Town) -> None:
        answer = await town.manager.slash(town.channel, "subscribe", show=SHOW)
        await town.world.tell(an_update("renewed", show=SHOW, season=3))
        alert = newest(town.channel)
        await town.env.restart_bot(town.world.new_client())
        assert answer.response is not None
        fewer = await town.manager.click(answer.response, label="✓ trailer")
        assert fewer.acknowledged
        assert "renewed, dated, cancelled" in answer.response.content
        done = await town.manager.click(alert, label="Unsubscribe")
        assert "no more alerts" in said(done)


def test_the_four_permissions_that_the_bot_asks_for() -> None:
    assert {name for name, wanted in NEEDED if wanted} == {
        "read_messages", "send_messages", "send_messages_in_threads", "embed_links",
    }  # fmt: skip
