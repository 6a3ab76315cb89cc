"""Messages: sending, editing, publishing, reading and deleting them, and opening threads."""

from typing import Final

from tests.fakes.discord import channels as kinds
from tests.fakes.discord import checks
from tests.fakes.discord.channels import Channel
from tests.fakes.discord.faults import Refused, missing_permissions
from tests.fakes.discord.people import Json
from tests.fakes.discord.records import EPHEMERAL, Edit, Interaction, Repeat, Sent
from tests.fakes.discord.routes import (
    CROSSPOST,
    EDIT,
    SEND,
    START_THREAD,
    Call,
    Result,
    need,
    route,
    whole,
)

_MESSAGE: Final = "/channels/{channel}/messages/{message}"
_WRITABLE: Final = (
    kinds.TEXT, kinds.DM, kinds.GROUP_DM, kinds.VOICE, kinds.STAGE, kinds.ANNOUNCEMENT,
    kinds.ANNOUNCEMENT_THREAD, kinds.PUBLIC_THREAD, kinds.PRIVATE_THREAD,
)  # fmt: skip


def check(call: Call, body: Json, *, new: bool = True) -> None:
    """Hold a message against Discord's limits."""
    call.warnings.extend(checks.mentions(body))
    if problems := list(checks.message(body)):
        raise call.wrong(*problems)
    if new and checks.is_empty(body, len(call.files)):
        call.warnings.append("an empty message")
        raise Refused(400, 50006)


def make(
    call: Call,
    channel: Channel,
    body: Json,
    interaction: Interaction | None = None,
    *,
    number: int | None = None,
) -> Sent:
    """Let there be a message."""
    world = call.world
    content = body.get("content") or ""
    reference = body.get("message_reference")
    allowed = body.get("allowed_mentions")
    sent = Sent(
        id=number or world.snowflake(),
        channel_id=channel.id,
        parent_id=channel.parent.id if channel.is_thread and channel.parent else None,
        guild_id=channel.guild.id if channel.guild else None,
        content=content,
        embeds=body.get("embeds") or [],
        components=body.get("components") or [],
        allowed_mentions=allowed,
        nonce=None if body.get("nonce") is None else str(body["nonce"]),
        flags=body.get("flags") or 0,
        reply_to=whole(reference["message_id"]) if reference else None,
        files=call.files,
        at=world.now(),
        interaction=interaction,
        pings=world.pings(channel, content, allowed) if "<@" in content or "@" in content else (),
        body=body,
    )
    world.messages[sent.id] = sent
    channel.last_message_id = sent.id
    channel.message_count += 1
    return sent


def change(call: Call, sent: Sent, body: Json) -> Edit:
    """Change a message; what is not named stays."""
    if "content" in body:
        sent.content = body["content"] or ""
    if "embeds" in body:
        sent.embeds = body["embeds"] or []
    if "components" in body:
        sent.components = body["components"] or []
    if body.get("flags") is not None:
        sent.flags = (sent.flags & EPHEMERAL) | (body["flags"] & ~EPHEMERAL)
    if call.files:
        sent.files = call.files
    if checks.is_empty(
        {"content": sent.content, "embeds": sent.embeds, "components": sent.components},
        len(sent.files),
    ):
        call.warnings.append("an edit that leaves an empty message")
        raise Refused(400, 50006)
    edit = Edit(
        sent.content,
        sent.embeds,
        sent.components,
        body.get("allowed_mentions"),
        call.world.now(),
    )
    sent.edits.append(edit)
    return edit


@route(SEND)
def send(call: Call) -> Result:
    """Send a message to a channel."""
    channel = call.world.visible(call.number("channel"))
    body = call.json
    _check_place(call, channel, body)
    check(call, body)
    if earlier := _repeated(call, channel, body):
        return 200, call.world.message_json(earlier)
    return 200, call.world.message_json(_accept(call, channel, body))


def _accept(call: Call, channel: Channel, body: Json, *, number: int | None = None) -> Sent:
    world = call.world
    sent = make(call, channel, body, number=number)
    if channel.is_thread and channel.archived:
        channel.archived = False
        channel.told("UPDATE")
    if sent.nonce is not None:
        world.nonces[sent.nonce] = sent.at, sent
    world.history.append(sent)
    if any(session.intents & 0x1200 for session in world.sessions.values()):
        told = world.message_json(sent)
        if channel.guild:
            told["guild_id"] = str(channel.guild.id)
        world.dispatch("MESSAGE_CREATE", told, sent.guild_id)
    return sent


def _check_place(call: Call, channel: Channel, body: Json) -> None:
    if channel.kind not in _WRITABLE:
        raise Refused(400, 50008)
    if channel.is_private:
        for person in channel.recipients:
            if person.closed is not None:
                raise Refused(403, person.closed)
        return
    need(call, channel, "send_messages_in_threads" if channel.is_thread else "send_messages")
    if channel.locked and not call.world.may(channel, "manage_threads"):
        raise Refused(400, 160005)
    if body.get("embeds"):
        need(call, channel, "embed_links")
    if call.files:
        need(call, channel, "attach_files")
    if reference := body.get("message_reference"):
        _check_reference(call, channel, reference)


def _check_reference(call: Call, channel: Channel, reference: Json) -> None:
    if not call.world.may(channel, "read_message_history"):
        raise Refused(400, 160002)
    replied = call.world.messages.get(whole(reference.get("message_id")))
    missing = replied is None or replied.deleted or replied.channel_id != channel.id
    if missing and reference.get("fail_if_not_exists", True):
        raise call.wrong("message_reference: Unknown message")


def _repeated(call: Call, channel: Channel, body: Json) -> Sent | None:
    """The earlier message of the same nonce, which is made no second time."""
    world, nonce = call.world, body.get("nonce")
    if nonce is None or not body.get("enforce_nonce"):
        return None
    then, earlier = world.nonces.get(str(nonce), (0.0, None))
    if earlier is None or world.now() - then > world.nonce_window:
        return None
    repeat = Repeat(str(nonce), channel.id, earlier.id, earlier.deleted, world.now())
    world.repeats.append(repeat)
    if earlier.deleted:
        raise Refused(404, 10008)
    return earlier


@route(EDIT)
def edit(call: Call) -> Result:
    """Change a message of the bot."""
    channel = call.world.visible(call.number("channel"))
    sent = found(call)
    if channel.is_thread and channel.archived:
        raise Refused(400, 50083)
    check(call, call.json, new=False)
    change(call, sent, call.json)
    return 200, call.world.message_json(sent)


@route(CROSSPOST)
def crosspost(call: Call) -> Result:
    """Publish a message of an announcement channel."""
    channel = call.world.visible(call.number("channel"))
    if channel.kind != kinds.ANNOUNCEMENT:
        raise Refused(400, 50024)
    need(call, channel, "send_messages")
    sent = found(call)
    if sent.crossposted:
        raise Refused(400, 40033)
    sent.crossposted = True
    return 200, call.world.message_json(sent)


@route(f"GET {_MESSAGE}")
def read(call: Call) -> Result:
    """Read a message."""
    channel = call.world.visible(call.number("channel"))
    if not channel.is_private and not call.world.may(channel, "read_message_history"):
        raise Refused(403, 50001)
    return 200, call.world.message_json(found(call))


@route(f"DELETE {_MESSAGE}")
def delete(call: Call) -> Result:
    """Delete a message."""
    call.world.visible(call.number("channel"))
    found(call).deleted = True
    return 204, None


@route("GET /channels/{channel}/messages")
def read_many(call: Call) -> Result:
    """Read the newest messages, the newest first; without the permission there are none."""
    channel = call.world.visible(call.number("channel"))
    if not channel.is_private and not call.world.may(channel, "read_message_history"):
        return 200, []
    limit = int(call.query.get("limit", 50))
    before = int(call.query.get("before", 0)) or None
    after = int(call.query.get("after", 0))
    seen = [
        one
        for one in call.world.messages.values()
        if one.channel_id == channel.id and not one.deleted and not one.is_ephemeral
        and one.id > after and (before is None or one.id < before)
    ]  # fmt: skip
    chosen = seen[:limit] if after and before is None else seen[-limit:]
    return 200, [call.world.message_json(one) for one in reversed(chosen)]


def found(call: Call) -> Sent:
    """The message that the path names."""
    sent = call.world.messages.get(call.number("message"))
    if sent is None or sent.deleted or sent.channel_id != call.number("channel"):
        raise Refused(404, 10008)
    return sent


@route(START_THREAD)
def start_thread(call: Call) -> Result:
    """Open a post in a forum with its first message, or a thread without one."""
    channel, body = call.world.visible(call.number("channel")), call.json
    name = body.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= 100:
        raise call.wrong("a thread's name has 1 to 100 characters")
    if channel.kind not in (kinds.FORUM, kinds.MEDIA):
        if channel.kind not in (kinds.TEXT, kinds.ANNOUNCEMENT):
            raise Refused(400, 50024)
        private = body.get("type", kinds.PRIVATE_THREAD) == kinds.PRIVATE_THREAD
        need(call, channel, "create_private_threads" if private else "create_public_threads")
        return 201, channel.thread(name, owner=call.world.bot, private=private).json
    message = body.get("message")
    if not isinstance(message, dict):
        raise call.wrong("a post needs a message")
    need(call, channel, "send_messages")
    if message.get("embeds"):
        need(call, channel, "embed_links")
    tags = [whole(one) for one in body.get("applied_tags") or []]
    if channel.requires_tag and not tags:
        raise Refused(400, 40067)
    if len(tags) > 5 or set(tags) - set(channel.tags):
        raise call.wrong("applied_tags that the forum does not have")
    check(call, message)
    post = channel.thread(name, owner=call.world.bot)
    post.applied_tags = tags
    # The first message of a post has the id of the post.
    sent = _accept(call, post, message, number=post.id)
    return 201, post.json | {"message": call.world.message_json(sent)}


@route(f"POST {_MESSAGE}/threads")
def start_thread_at(call: Call) -> Result:
    """Open a thread at a message; its id is the message's."""
    channel, sent = call.world.visible(call.number("channel")), found(call)
    need(call, channel, "create_public_threads")
    if channel.guild is None:
        raise missing_permissions()
    if sent.id in channel.guild.channels:
        raise Refused(400, 160004)
    name = str(call.json.get("name"))
    return 201, channel.thread(name, owner=call.world.bot, number=sent.id).json
