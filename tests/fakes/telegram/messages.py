"""The methods about messages: send, edit, delete, and the answer to a press."""

import time
from typing import Final

from tests.fakes.telegram import keyboards, markup
from tests.fakes.telegram.faults import bad_request
from tests.fakes.telegram.parameters import Missing, Parameters
from tests.fakes.telegram.people import GROUPS, Chat, Json
from tests.fakes.telegram.records import Answer, Post, Sent, Upload
from tests.fakes.telegram.world import World

MOST_TEXT: Final = 4096
MOST_CAPTION: Final = 1024
MOST_SOURCE: Final = 1 << 15
MOST_NOTICE: Final = 200
_NOT_MODIFIED: Final = (
    "message is not modified: specified new message content and reply markup are exactly the same"
    " as a current content and reply markup of the message"
)
_TOO_OLD: Final = "query is too old and response timeout expired or query ID is invalid"


def send_message(world: World, given: Parameters) -> object:
    """Send a text."""
    if not given.text("text"):
        raise bad_request("message text is empty")
    text, entities = _readable(given, "text", "entities")
    if not text:
        raise bad_request("text must be non-empty")
    if markup.units(text) > MOST_TEXT:
        raise bad_request("message is too long")
    content: Json = {"text": text}
    if entities:
        content["entities"] = entities
    if preview := given.get("link_preview_options"):
        content["link_preview_options"] = preview
    return _send(world, given, "sendMessage", content, "text messages")


def send_document(world: World, given: Parameters) -> object:
    """Send a file with a caption."""
    document = given.text("document")
    upload = given.files.get(document.removeprefix("attach://") or "document")
    if upload is None:
        raise (
            bad_request("there is no document in the request")
            if not document
            else Missing("documents other than uploads")
        )
    text, entities = _readable(given, "caption", "caption_entities")
    if markup.units(text) > MOST_CAPTION:
        raise bad_request("message caption is too long")
    number = world.number()
    content: Json = {
        "document": {
            "file_id": f"document-{number}",
            "file_unique_id": f"unique-{number}",
            "file_name": upload.name,
            "mime_type": upload.media_type,
            "file_size": len(upload.content),
        }
    }
    if text:
        content["caption"] = text
    if entities:
        content["caption_entities"] = entities
    return _send(world, given, "sendDocument", content, "documents", upload)


def edit_message_text(world: World, given: Parameters) -> object:
    """Change a text of the bot; what is shown below it goes unless it is given again."""
    if not given.text("text"):
        raise bad_request("message text is empty")
    text, entities = _readable(given, "text", "entities")
    if not text:
        raise bad_request("text must be non-empty")
    if markup.units(text) > MOST_TEXT:
        raise bad_request("message is too long")
    chat, post = _own_message(world, given)
    if "text" not in post.json:
        raise bad_request("there is no text in the message to edit")
    content = {"text": text, "entities": entities}
    content["link_preview_options"] = given.get("link_preview_options")
    return _edit(world, given, "editMessageText", chat, post, content)


def edit_message_reply_markup(world: World, given: Parameters) -> object:
    """Change the buttons below a message of the bot."""
    chat, post = _own_message(world, given)
    return _edit(world, given, "editMessageReplyMarkup", chat, post, {})


def delete_message(world: World, given: Parameters) -> object:
    """Delete a message of the bot, or another where the bot may."""
    chat = world.reachable(given.get("chat_id"))
    key = (chat.id, given.whole("message_id") or 0)
    post = world.posts.get(key)
    if post is None:
        raise bad_request("message to delete not found")
    may = chat.type == "private" or (chat.bot.is_admin and chat.bot.may("can_delete_messages"))
    if not (post.by_bot or may):
        raise bad_request("message can't be deleted")
    del world.posts[key]
    return True


def send_chat_action(world: World, given: Parameters) -> object:
    """Show that the bot is at work."""
    world.writable(given.get("chat_id"), given.whole("message_thread_id"), "text messages")
    return True


def answer_callback_query(world: World, given: Parameters) -> object:
    """Answer a press of a button, once."""
    press = world.presses.get(given.text("callback_query_id"))
    if press is None:
        raise bad_request(_TOO_OLD)
    notice = given.get("text")
    if notice and markup.units(notice) > MOST_NOTICE:
        raise bad_request("MESSAGE_TOO_LONG")
    del world.presses[press.id]
    world.answers.append(Answer(press, notice, bool(given.get("show_alert")), given.get("url")))
    return True


def _readable(given: Parameters, name: str, entities: str) -> tuple[str, list[markup.Entity]]:
    source, mode = given.text(name), given.text("parse_mode").lower()
    if len(source.encode("utf-8", "surrogatepass")) > MOST_SOURCE:
        raise bad_request("text is too long")
    if mode in ("markdown", "markdownv2"):
        raise Missing(f"parse mode {mode}")
    if mode not in ("", "none", "html"):
        raise bad_request("unsupported parse_mode")
    try:
        return markup.read(source, html=mode == "html", entities=given.get(entities))
    except markup.Unreadable as error:
        raise bad_request(str(error)) from error


def _checked_keyboard(given: Parameters, chat: Chat) -> Json | None:
    keyboard: Json | None = given.get("reply_markup")
    if keyboard and (reason := keyboards.refusal(keyboard, chat)):
        raise bad_request(reason)
    return keyboard


def _replied(world: World, given: Parameters, chat: Chat) -> int | None:
    reply: Json = given.get("reply_parameters") or {}
    message: int | None = reply.get("message_id")
    if message and (chat.id, message) not in world.posts:
        if not reply.get("allow_sending_without_reply"):
            raise bad_request("message to be replied not found")
        return None
    return message


def _send(
    world: World,
    given: Parameters,
    method: str,
    content: Json,
    what: str,
    document: Upload | None = None,
) -> Json:
    chat = world.writable(given.get("chat_id"), given.whole("message_thread_id"), what)
    keyboard = _checked_keyboard(given, chat)
    reply_to = _replied(world, given, chat)
    if world.limits:
        paid = bool(given.get("allow_paid_broadcast"))
        world.limits.count(chat.id, group=chat.type in GROUPS, now=time.monotonic(), paid=paid)
    thread = world.thread(chat, given.whole("message_thread_id"))
    told = world.message(chat, world.bot_sender(chat), content, thread)
    if reply_to:
        replied = world.posts[chat.id, reply_to].json
        told["reply_to_message"] = _without(replied, "reply_to_message")
    if shown := keyboards.inline_only(keyboard):
        told["reply_markup"] = shown
    world.posts[chat.id, told["message_id"]] = Post(told, True, keyboard, document)
    _remember(world, given, method, told, keyboard, document, reply_to)
    return told


def _own_message(world: World, given: Parameters) -> tuple[Chat, Post]:
    if given.get("chat_id") is None:
        raise Missing("messages sent by inline mode")
    chat = world.reachable(given.get("chat_id"))
    post = world.posts.get((chat.id, given.whole("message_id") or 0))
    if post is None:
        raise bad_request("message to edit not found")
    other_keyboard = post.markup and "inline_keyboard" not in post.markup
    if not post.by_bot or other_keyboard:
        raise bad_request("message can't be edited")
    return chat, post


def _edit(
    world: World, given: Parameters, method: str, chat: Chat, post: Post, content: Json
) -> Json:
    keyboard = _checked_keyboard(given, chat)
    if keyboard and "inline_keyboard" not in keyboard:
        raise bad_request("inline keyboard expected")
    new = post.json | content | {"reply_markup": keyboards.inline_only(keyboard)}
    new = {name: value for name, value in new.items() if value not in (None, [])}
    if _without(new, "edit_date") == _without(post.json, "edit_date"):
        raise bad_request(_NOT_MODIFIED)
    new["edit_date"] = int(time.time())
    post.json, post.markup = new, keyboard
    _remember(world, given, method, new, keyboard, post.document)
    return new


def _remember(
    world: World,
    given: Parameters,
    method: str,
    told: Json,
    keyboard: Json | None,
    document: Upload | None,
    reply_to: int | None = None,
) -> None:
    name = "caption" if "document" in told else "text"
    entities = told.get("caption_entities" if "document" in told else "entities", ())
    world.history.append(
        Sent(
            method=method,
            chat_id=told["chat"]["id"],
            message_id=told["message_id"],
            thread_id=told.get("message_thread_id"),
            text=told.get(name, ""),
            entities=tuple(entities),
            html=given.text(name),
            reply_markup=keyboard,
            link_preview_options=given.get("link_preview_options"),
            reply_to=reply_to,
            silent=bool(given.get("disable_notification")),
            document=document,
            at=time.monotonic(),
        )
    )


def _without(told: Json, name: str) -> Json:
    return {key: value for key, value in told.items() if key != name}
