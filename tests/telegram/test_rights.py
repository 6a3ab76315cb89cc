"""Who may change what a chat gets, asked of a Telegram with memory."""

from collections.abc import AsyncIterator, Iterator

import pytest
from telegram.ext import ExtBot

from bot.errors import UserError
from bot.model import Caller, Destination, Platform
from bot.platforms.telegram.people import Asker
from bot.platforms.telegram.rights import KEPT, Rights
from bot.platforms.telegram.transport import AiohttpRequest
from tests.fakes.telegram import Chat, FakeTelegram, Person


class Seconds:
    """A steady clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def fake() -> Iterator[FakeTelegram]:
    with FakeTelegram() as fake:
        yield fake


@pytest.fixture
async def bot(fake: FakeTelegram) -> AsyncIterator[ExtBot[None]]:
    request = AiohttpRequest.for_sending()
    made: ExtBot[None] = ExtBot(
        fake.token, base_url=f"{fake.url}/bot", request=request, get_updates_request=request
    )
    async with made:
        yield made


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def rights(bot: ExtBot[None], clock: Seconds) -> Rights:
    return Rights(bot, clock)


def who(person: Person, chat: Chat, **more: bool) -> Asker:
    return Asker(chat.id, None, private=chat.type == "private", user_id=person.id, **more)


async def test_owners_and_administrators_manage_a_group(fake: FakeTelegram, rights: Rights) -> None:
    owner, admin, member, stranger = (fake.person(name) for name in "oams")
    groups = (fake.group("g", owner=owner, admins=[admin], members=[member]),
              fake.supergroup("s", owner=owner, admins=[admin], members=[member]))  # fmt: skip
    for group in groups:
        assert await rights.manages(who(owner, group))
        assert await rights.manages(who(admin, group))
        for other in (member, stranger):
            assert not await rights.manages(who(other, group))
        for status in ("restricted", "left", "kicked"):
            fake.set_member(group, member, status)
            assert not await rights.manages(who(member, group))


async def test_in_a_channel_only_who_may_post_manages(fake: FakeTelegram, rights: Rights) -> None:
    owner, poster, other = (fake.person(name) for name in "opn")
    channel = fake.channel("News", owner=owner, admins=[poster], members=[other])
    assert await rights.manages(who(owner, channel, in_channel=True))
    assert await rights.manages(who(poster, channel, in_channel=True))
    assert not await rights.manages(who(other, channel, in_channel=True))
    fake.set_member(channel, other, "administrator", can_post_messages=False)
    assert not await rights.manages(who(other, channel, in_channel=True))


async def test_nothing_is_asked_of_who_is_sure(fake: FakeTelegram, rights: Rights) -> None:
    ann = fake.person("Ann")
    group = fake.supergroup("Fans", owner=ann)
    assert await rights.manages(who(ann, fake.private(ann)))
    assert await rights.manages(who(ann, group, speaks_as_chat=True, is_person=False))
    assert not await rights.manages(who(ann, group, is_person=False)), "a channel in a group"
    assert fake.calls("getChatMember") == ()


async def test_a_right_is_believed_for_a_minute_and_lost_within_it(
    fake: FakeTelegram, rights: Rights, clock: Seconds
) -> None:
    ann, bob = fake.person("Ann"), fake.person("Bob")
    group, other = (fake.supergroup(name, owner=bob, admins=[ann]) for name in "ab")
    for _ in range(5):
        assert await rights.manages(who(ann, group))
    assert len(fake.calls("getChatMember")) == 1
    assert await rights.manages(who(ann, other))
    assert await rights.manages(who(bob, group))
    assert len(fake.calls("getChatMember")) == 3, "each person and chat apart"
    fake.set_member(group, ann, "member")
    clock.now = KEPT - 0.01
    assert await rights.manages(who(ann, group))
    clock.now = KEPT
    assert KEPT <= 60
    assert not await rights.manages(who(ann, group))


async def test_who_is_refused_is_asked_about_again_at_once(
    fake: FakeTelegram, rights: Rights
) -> None:
    ann = fake.person("Ann")
    group = fake.supergroup("Fans", members=[ann])
    for _ in range(3):
        assert not await rights.manages(who(ann, group))
    fake.set_member(group, ann, "administrator")
    assert await rights.manages(who(ann, group))


async def test_where_telegram_does_not_tell_nothing_is_allowed(
    fake: FakeTelegram, rights: Rights, clock: Seconds
) -> None:
    ann = fake.person("Ann")
    group = fake.supergroup("Fans", owner=ann)
    fake.fail("getChatMember", status=500, times=1)
    with pytest.raises(UserError, match="try again in a moment"):
        await rights.manages(who(ann, group))
    assert await rights.manages(who(ann, group))
    clock.now = KEPT
    fake.remove_bot(group)
    with pytest.raises(UserError, match="Add me to that chat again"):
        await rights.manages(who(ann, group))


async def test_a_command_for_another_chat_needs_rights_there(
    fake: FakeTelegram, rights: Rights
) -> None:
    ann, bob = fake.person("Ann"), fake.person("Bob")
    channel = fake.channel("News", owner=ann)
    about = Destination(Platform.TELEGRAM, channel.id)
    for matters in (True, False):
        asks = rights.as_caller(who(ann, fake.private(ann)), about)
        assert await asks(matters) == Caller(about, ann.id, manages=True)
        asks = rights.as_caller(who(bob, fake.private(bob)), about)
        with pytest.raises(UserError, match="/channel off"):
            await asks(matters)  # what a channel follows is not to be read by everybody either


@pytest.mark.parametrize(
    ("status", "may"),
    [("administrator", True), ("member", False), ("left", False), ("kicked", False)],
)
async def test_the_bot_knows_where_it_may_post(
    fake: FakeTelegram, rights: Rights, status: str, may: bool
) -> None:
    channel = fake.channel("News", bot="left")
    fake.set_bot(channel, status)  # type: ignore[arg-type]
    assert await rights.may_post(channel.id) is may
    fake.set_bot(channel, "administrator", can_post_messages=False)
    assert not await rights.may_post(channel.id)
    assert not await rights.may_post(-1)
