"""What members may do: the bits by their names, and how roles and overwrites add up to them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.fakes.discord.channels import Channel
    from tests.fakes.discord.guilds import Guild

BITS: Final = {
    name: 1 << bit
    for bit, name in enumerate((
        "create_instant_invite", "kick_members", "ban_members", "administrator", "manage_channels",
        "manage_guild", "add_reactions", "view_audit_log", "priority_speaker", "stream",
        "view_channel", "send_messages", "send_tts_messages", "manage_messages", "embed_links",
        "attach_files", "read_message_history", "mention_everyone", "use_external_emojis",
        "view_guild_insights", "connect", "speak", "mute_members", "deafen_members",
        "move_members", "use_vad", "change_nickname", "manage_nicknames", "manage_roles",
        "manage_webhooks", "manage_guild_expressions", "use_application_commands",
        "request_to_speak", "manage_events", "manage_threads", "create_public_threads",
        "create_private_threads", "use_external_stickers", "send_messages_in_threads",
        "use_embedded_activities", "moderate_members", "view_creator_monetization_analytics",
        "use_soundboard", "create_guild_expressions", "create_events", "use_external_sounds",
        "send_voice_messages", "", "set_voice_channel_status", "send_polls", "use_external_apps",
        "pin_messages", "bypass_slowmode",
    ))
    if name
}  # fmt: skip
ALL: Final = sum(BITS.values())


def bits(*names: str) -> int:
    """The bits of permissions by Discord's names for them, in small letters."""
    unknown = set(names) - set(BITS)
    assert not unknown, f"no such permission in Discord: {', '.join(sorted(unknown))}"
    return sum(BITS[name] for name in set(names))


def names(permissions: int) -> set[str]:
    """The names of the bits that are set."""
    return {name for name, bit in BITS.items() if permissions & bit}


EVERYONE: Final = bits(
    "view_channel", "send_messages", "embed_links", "attach_files", "read_message_history",
    "add_reactions", "use_external_emojis", "connect", "speak", "stream", "use_vad",
    "change_nickname", "create_instant_invite", "use_application_commands",
    "create_public_threads", "send_messages_in_threads", "send_polls", "use_external_apps",
)  # fmt: skip
"""What @everyone may do in a new guild, mostly."""

_ADMINISTRATOR: Final = BITS["administrator"]
_VIEW: Final = BITS["view_channel"]
_ONLY_WITH_SENDING: Final = bits(
    "mention_everyone", "send_tts_messages", "attach_files", "embed_links"
)


def granted(guild: "Guild", who: int, channel: "Channel | None" = None) -> int:
    """What somebody may do in a channel, or in the guild as such."""
    if guild.owner.id == who:
        return ALL
    member = guild.members.get(who)
    if member is None:
        return 0
    roles = [role for role in member.roles if role in guild.roles]
    base = guild.everyone.permissions
    for role in roles:
        base |= guild.roles[role].permissions
    if base & _ADMINISTRATOR:
        return ALL
    if channel is None:
        return base
    place = channel.parent if channel.is_thread and channel.parent else channel
    base = _overwritten(base, place, [guild.id])
    base = _overwritten(base, place, roles)
    base = _overwritten(base, place, [who])
    if not base & _VIEW:
        return 0
    sending = "send_messages_in_threads" if channel.is_thread else "send_messages"
    return base if base & BITS[sending] else base & ~_ONLY_WITH_SENDING


def _overwritten(base: int, channel: "Channel", whose: Iterable[int]) -> int:
    allow = deny = 0
    for one in whose:
        if overwrite := channel.overwrites.get(one):
            allow |= overwrite.allow
            deny |= overwrite.deny
    return base & ~deny | allow
