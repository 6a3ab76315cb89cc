"""Who the bot is, the gateway's address, guilds, channels and DMs."""

from typing import Final

from tests.fakes.discord.channels import thread_member
from tests.fakes.discord.faults import Refused, missing_access
from tests.fakes.discord.guilds import Guild
from tests.fakes.discord.permissions import granted
from tests.fakes.discord.routes import GATEWAY, LOGIN, OPEN_DM, Call, Result, need, route, whole

_CHANNEL: Final = "/channels/{channel}"


@route("GET /gateway")
def gateway(call: Call) -> Result:
    """Where the gateway is."""
    return 200, {"url": call.world.gateway_url}


@route(GATEWAY)
def gateway_bot(call: Call) -> Result:
    """Where the gateway is, and how often the bot may still start."""
    world = call.world
    start_limit = {
        "total": world.starts_total,
        "remaining": world.starts_left,
        "reset_after": 14_400_000,
        "max_concurrency": 1,
    }
    told = {"url": world.gateway_url, "shards": world.shards, "session_start_limit": start_limit}
    return 200, told


@route(LOGIN, "GET /users/{user}")
def user(call: Call) -> Result:
    """A user."""
    world = call.world
    if "user" not in call.ids:
        more = {"verified": True, "email": None, "mfa_enabled": False, "bio": "", "locale": "en-US"}
        return 200, world.bot.json | more
    person = world.people.get(call.number("user"))
    if person is None:
        raise Refused(404, 10013)
    return 200, person.json


@route("GET /oauth2/applications/@me", "GET /applications/@me")
def application(call: Call) -> Result:
    """The application of the bot."""
    return 200, call.world.application()


@route(OPEN_DM)
def open_dm(call: Call) -> Result:
    """Open a DM, which is possible even where nothing can be sent to it."""
    person = call.world.people.get(whole(call.json.get("recipient_id")))
    if person is None or person.is_bot:
        raise Refused(400, 50033)
    return 200, call.world.dm(person).json


@route("GET /users/@me/guilds")
def guilds(call: Call) -> Result:
    """The guilds of the bot."""
    mine = [one for one in call.world.guilds.values() if one.has_bot]
    bot = call.world.bot.id
    return 200, [
        {"id": str(one.id), "name": one.name, "icon": None, "banner": None, "features": [],
         "owner": False, "permissions": str(granted(one, bot))}
        for one in mine
    ]  # fmt: skip


@route("GET /guilds/{guild}")
def guild_of(call: Call) -> Result:
    """A guild."""
    return 200, _guild(call).json


@route("GET /guilds/{guild}/channels")
def channels(call: Call) -> Result:
    """The channels of a guild, without threads."""
    return 200, [one.json for one in _guild(call).channels.values() if not one.is_thread]


@route("GET /guilds/{guild}/threads/active")
def threads(call: Call) -> Result:
    """The active threads of a guild."""
    guild = _guild(call)
    open_ones = [one for one in guild.channels.values() if one.is_thread and not one.archived]
    bot = call.world.bot.id
    members = [thread_member(one, bot) for one in open_ones if one.owner_id == bot]
    return 200, {"threads": [one.json for one in open_ones], "members": members, "has_more": False}


@route("GET /guilds/{guild}/roles")
def roles(call: Call) -> Result:
    """The roles of a guild."""
    return 200, [role.json for role in _guild(call).roles.values()]


@route("GET /guilds/{guild}/members/{member}")
def member(call: Call) -> Result:
    """A member of a guild."""
    given = call.ids["member"]
    who = call.world.bot.id if given == "@me" else whole(given)
    found = _guild(call).members.get(who)
    if found is None:
        raise Refused(404, 10007)
    return 200, found.json()


@route("DELETE /users/@me/guilds/{guild}")
def leave(call: Call) -> Result:
    """Leave a guild."""
    _guild(call).kick_bot()
    return 204, None


@route(f"GET {_CHANNEL}")
def channel(call: Call) -> Result:
    """A channel."""
    return 200, call.world.visible(call.number("channel")).json


@route(f"PATCH {_CHANNEL}")
def change(call: Call) -> Result:
    """Change a channel, or archive, open and lock a thread."""
    place, body = call.world.visible(call.number("channel")), call.json
    own = place.owner_id == call.world.bot.id and not set(body) & {"locked"}
    if place.is_thread and not place.locked and body == {"archived": False}:
        need(call, place, "send_messages_in_threads")
    elif not (place.is_thread and own and not place.locked):
        need(call, place, "manage_threads" if place.is_thread else "manage_channels")
    if place.is_thread and place.archived and body.get("archived", True):
        raise Refused(400, 50083)
    for name in ("name", "topic", "archived", "locked"):
        if name in body:
            setattr(place, name, body[name])
    if "applied_tags" in body:
        place.applied_tags = [whole(one) for one in body["applied_tags"]]
    place.told("UPDATE")
    return 200, place.json


@route(f"DELETE {_CHANNEL}")
def delete(call: Call) -> Result:
    """Delete a channel, or close a DM."""
    place = call.world.visible(call.number("channel"))
    told = place.json
    if not place.is_private:
        need(call, place, "manage_threads" if place.is_thread else "manage_channels")
        place.delete()
    return 200, told


@route(f"POST {_CHANNEL}/typing")
def typing(call: Call) -> Result:
    """Show that the bot types."""
    call.world.visible(call.number("channel"))
    return 204, None


@route(f"PUT {_CHANNEL}/thread-members/@me", f"DELETE {_CHANNEL}/thread-members/@me")
def join_thread(call: Call) -> Result:
    """Join or leave a thread."""
    call.world.visible(call.number("channel"))
    return 204, None


def _guild(call: Call) -> Guild:
    guild = call.world.guilds.get(call.number("guild"))
    if guild is None or guild.is_deleted:
        raise Refused(404, 10004)
    if not guild.has_bot:
        raise missing_access()
    return guild
