"""What a change of the bot's own membership means, as a table."""

from typing import Any, Final

import pytest
import telegram

from bot.platforms.telegram.membership import Loss, loss

BOT: Final = {"id": 123456789, "is_bot": True, "first_name": "Cliffhanger"}
PLACES: Final = {
    "private": {"id": 5, "type": "private", "first_name": "Ann"},
    "group": {"id": -5, "type": "group", "title": "Fans"},
    "supergroup": {"id": -100, "type": "supergroup", "title": "Fans"},
    "channel": {"id": -200, "type": "channel", "title": "News"},
}
_ADMIN_RIGHTS: Final = (
    "can_be_edited", "is_anonymous", "can_manage_chat", "can_delete_messages",
    "can_manage_video_chats", "can_restrict_members", "can_promote_members", "can_change_info",
    "can_invite_users", "can_post_stories", "can_edit_stories", "can_delete_stories",
)  # fmt: skip
_MEMBER_RIGHTS: Final = (
    "can_change_info", "can_invite_users", "can_pin_messages", "can_send_messages",
    "can_send_polls", "can_send_other_messages", "can_add_web_page_previews", "can_manage_topics",
    "can_send_audios", "can_send_documents", "can_send_photos", "can_send_videos",
    "can_send_video_notes", "can_send_voice_notes", "can_edit_tag", "can_react_to_messages",
)  # fmt: skip


def member(status: str, **rights: bool) -> telegram.ChatMember:
    """The bot as a member of a chat; rights that are not named are not given."""
    told: dict[str, Any] = {"user": BOT, "status": status, "until_date": 0}
    if status == "administrator":
        told |= dict.fromkeys(_ADMIN_RIGHTS, False)
    if status == "restricted":
        told |= dict.fromkeys(_MEMBER_RIGHTS, False) | {"is_member": True}
    return telegram.ChatMember.de_json({**told, **rights}, None)


@pytest.mark.parametrize(
    ("places", "now", "lost"),
    [
        (["private"], member("member"), None),
        (["private"], member("kicked"), Loss.BLOCKED),
        (["group", "supergroup"], member("member"), None),
        (["group", "supergroup"], member("administrator"), None),
        (["group", "supergroup", "channel"], member("left"), Loss.REMOVED),
        (["group", "supergroup", "channel"], member("kicked"), Loss.REMOVED),
        (["supergroup"], member("restricted"), Loss.MUTED),
        (["supergroup"], member("restricted", can_send_messages=True), None),
        (["supergroup"], member("restricted", is_member=False), Loss.REMOVED),
        (["supergroup"], member("restricted", is_member=False, can_send_messages=True),
         Loss.REMOVED),
        (["channel"], member("administrator", can_post_messages=True), None),
        (["channel"], member("administrator", can_post_messages=False), Loss.NO_POSTS),
        (["channel"], member("administrator"), Loss.NO_POSTS),
        (["channel"], member("member"), Loss.NO_POSTS),
    ],
)  # fmt: skip
def test_what_a_membership_means(
    places: list[str], now: telegram.ChatMember, lost: Loss | None
) -> None:
    for place in places:
        assert loss(telegram.Chat.de_json(PLACES[place], None), now) is lost, place


@pytest.mark.parametrize("lost", list(Loss))
def test_every_loss_says_what_brings_the_chat_back(lost: Loss) -> None:
    assert any(word in lost for word in ("again", "give", "make it"))
