"""The methods of the Bot API, each a function of the world and the parameters.

A method returns what the server answers, or raises `Refused`. Those about messages are in
`messages`; getUpdates is the server's own, since it waits.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Final

from tests.fakes.telegram import markup, messages
from tests.fakes.telegram.faults import bad_request
from tests.fakes.telegram.parameters import Parameters
from tests.fakes.telegram.people import LEFT, Json
from tests.fakes.telegram.updates import Webhook
from tests.fakes.telegram.world import World

MOST_COMMANDS: Final = 100
MOST_COMMAND_ABOUT: Final = 256
MOST_SECRET: Final = 256

Method = Callable[[World, Parameters], object]


def get_me(world: World, _given: Parameters) -> object:
    """Who the bot is."""
    return world.bot.json | {
        "can_join_groups": True,
        "can_read_all_group_messages": not world.privacy,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


def get_chat(world: World, given: Parameters) -> object:
    """What a chat is."""
    chat = world.reachable(given.get("chat_id"), read_only=True)
    gifts = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription")
    told = chat.json | {
        "accent_color_id": 0,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys((*gifts, "gifts_from_channels"), False),
    }
    if chat.username:
        told["active_usernames"] = [chat.username]
    return told


def get_chat_member(world: World, given: Parameters) -> object:
    """What somebody is in a chat."""
    about_itself = given.get("user_id") == world.bot.id
    chat = world.reachable(given.get("chat_id"), read_only=about_itself)
    if chat.type == "channel" and not (about_itself or chat.bot.is_admin):
        raise bad_request("member list is inaccessible")
    person = world.people.get(given.whole("user_id") or 0)
    if person is None:
        raise bad_request("member not found")
    return world.status(chat, person).json(person, chat.type)


def get_chat_administrators(world: World, given: Parameters) -> object:
    """The administrators of a chat, without other bots."""
    chat = world.reachable(given.get("chat_id"))
    if chat.type == "private":
        raise bad_request("there are no administrators in the private chat")
    if chat.type == "channel" and not chat.bot.is_admin:
        raise bad_request("member list is inaccessible")
    told = [
        member.json(world.people[user], chat.type)
        for user, member in chat.members.items()
        if member.is_admin and not world.people[user].is_bot
    ]
    return told + ([chat.bot.json(world.bot, chat.type)] if chat.bot.is_admin else [])


def leave_chat(world: World, given: Parameters) -> object:
    """Leave a chat."""
    chat = world.reachable(given.get("chat_id"))
    if chat.type == "private":
        raise bad_request("chat not found")
    world.become(chat, LEFT, world.bot)
    return True


def set_my_commands(world: World, given: Parameters) -> object:
    """Set the menu of commands of a scope and language."""
    commands = given.get("commands") or []
    if len(commands) > MOST_COMMANDS:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    for one in commands:
        if not re.fullmatch(r"[a-z0-9_]{1,32}", one["command"]):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= markup.units(one["description"]) <= MOST_COMMAND_ABOUT:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    world.settings[_scoped(world, given)] = commands
    return True


def get_my_commands(world: World, given: Parameters) -> object:
    """The menu of commands of a scope and language."""
    return world.settings.get(_scoped(world, given), [])


def delete_my_commands(world: World, given: Parameters) -> object:
    """Remove the menu of commands of a scope and language."""
    world.settings.pop(_scoped(world, given), None)
    return True


def set_webhook(world: World, given: Parameters) -> object:
    """Have updates posted to an address; the empty address is none."""
    url, secret = given.text("url"), given.text("secret_token")
    if url:
        try:
            # The real server wants HTTPS and a public name; tests are at home on the loopback.
            markup.checked_link(url)
        except markup.Unreadable as error:
            raise bad_request("invalid webhook URL specified") from error
        if len(secret) > MOST_SECRET:
            raise bad_request("secret token is too long")
        if not re.fullmatch(r"[\w-]*", secret, re.ASCII):
            raise bad_request("secret token contains unallowed characters")
    _drop_pending(world, given)
    allow(world, given)
    connections = given.whole("max_connections") or 40
    world.updates.webhook = Webhook(url, secret, connections) if url else None
    return True


def delete_webhook(world: World, given: Parameters) -> object:
    """Keep updates for getUpdates again."""
    _drop_pending(world, given)
    world.updates.webhook = None
    return True


def get_webhook_info(world: World, _given: Parameters) -> object:
    """What is set, and what went wrong last."""
    updates, hook = world.updates, world.updates.webhook
    told: Json = {
        "url": hook.url if hook else "",
        "has_custom_certificate": False,
        "pending_update_count": len(updates.pending),
    }
    if updates.allowed:
        told["allowed_updates"] = updates.allowed
    if hook:
        told |= {"max_connections": hook.connections, "ip_address": "127.0.0.1"}
    if hook and hook.error:
        told |= {"last_error_date": hook.error_at, "last_error_message": hook.error}
    return told


def allow(world: World, given: Parameters) -> None:
    """Take over which updates the bot wants; left out, what it wanted before stays."""
    allowed = given.get("allowed_updates")
    if allowed is not None:
        world.updates.allowed = allowed


def _about(kind: str, most: int) -> tuple[Method, Method]:
    """A text of the bot's profile, per language: how it is set and how it is asked for."""

    def put(world: World, given: Parameters) -> object:
        text = given.text(kind)
        if markup.units(text) > most:
            raise bad_request(f"BOT_{kind.upper()}_TOO_LONG")
        world.settings[kind, "", given.text("language_code")] = text
        return True

    def get(world: World, given: Parameters) -> object:
        language = given.text("language_code")
        usual = world.bot.first_name if kind == "name" else ""
        general = world.settings.get((kind, "", ""), usual)
        return {kind: world.settings.get((kind, "", language), general)}

    return put, get


_set_name, _get_name = _about("name", 64)
_set_description, _get_description = _about("description", 512)
_set_short, _get_short = _about("short_description", 120)

METHODS: Final[Mapping[str, Method]] = {
    "getMe": get_me,
    "sendMessage": messages.send_message,
    "sendDocument": messages.send_document,
    "editMessageText": messages.edit_message_text,
    "editMessageReplyMarkup": messages.edit_message_reply_markup,
    "deleteMessage": messages.delete_message,
    "sendChatAction": messages.send_chat_action,
    "answerCallbackQuery": messages.answer_callback_query,
    "getChat": get_chat,
    "getChatMember": get_chat_member,
    "getChatAdministrators": get_chat_administrators,
    "leaveChat": leave_chat,
    "setMyCommands": set_my_commands,
    "getMyCommands": get_my_commands,
    "deleteMyCommands": delete_my_commands,
    "setMyName": _set_name,
    "getMyName": _get_name,
    "setMyDescription": _set_description,
    "getMyDescription": _get_description,
    "setMyShortDescription": _set_short,
    "getMyShortDescription": _get_short,
    "setWebhook": set_webhook,
    "deleteWebhook": delete_webhook,
    "getWebhookInfo": get_webhook_info,
}


def _scoped(world: World, given: Parameters) -> tuple[str, str, str]:
    scope: Json = given.get("scope") or {"type": "default"}
    if "chat_id" in scope:
        scope = scope | {"chat_id": world.reachable(scope["chat_id"]).id}
    return "commands", json.dumps(scope, sort_keys=True), given.text("language_code")


def _drop_pending(world: World, given: Parameters) -> None:
    if given.get("drop_pending_updates"):
        world.updates.pending.clear()
