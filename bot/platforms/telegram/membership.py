"""What a change of the bot's own membership means: send there no more for now, or again. Pure."""

from enum import StrEnum

import telegram
from telegram.constants import ChatMemberStatus, ChatType


class Loss(StrEnum):
    """Why nothing can be sent to a chat, and what brings it back."""

    BLOCKED = "the person has blocked the bot, and can start it again"
    REMOVED = "the bot was removed, and can be added again"
    MUTED = "the bot may not write here: give it the right to send messages"
    NO_POSTS = "the bot may not post here: make it an administrator who may post messages"


def loss(chat: telegram.Chat, member: telegram.ChatMember) -> Loss | None:
    """Why the bot cannot write to a chat as this member of it; `None` when it can."""
    if chat.type == ChatType.PRIVATE:
        return Loss.BLOCKED if member.status == ChatMemberStatus.BANNED else None
    if chat.type == ChatType.CHANNEL:
        posts = isinstance(member, telegram.ChatMemberAdministrator) and member.can_post_messages
        return None if posts else _gone(member) or Loss.NO_POSTS
    if isinstance(member, telegram.ChatMemberRestricted):
        if not member.is_member:
            return Loss.REMOVED
        return None if member.can_send_messages else Loss.MUTED
    return _gone(member)


def _gone(member: telegram.ChatMember) -> Loss | None:
    left = member.status in (ChatMemberStatus.LEFT, ChatMemberStatus.BANNED)
    return Loss.REMOVED if left else None
