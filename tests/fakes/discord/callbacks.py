"""What the bot answers to interactions: callbacks, follow-ups, and edits of both."""

from typing import Final

from tests.fakes.discord import checks
from tests.fakes.discord.faults import Refused
from tests.fakes.discord.messages import change, check, make
from tests.fakes.discord.people import Json
from tests.fakes.discord.records import (
    AUTOCOMPLETE,
    COMPONENT,
    EPHEMERAL,
    LOADING,
    MODAL,
    Interaction,
    Sent,
)
from tests.fakes.discord.routes import ANSWER, EDIT_ANSWER, FOLLOW_UP, Call, Result, route

MESSAGE: Final = 4
DEFERRED_MESSAGE: Final = 5
DEFERRED_UPDATE: Final = 6
UPDATE: Final = 7
CHOICES: Final = 8
SHOW_MODAL: Final = 9
_ORIGINAL: Final = "@original"
_OF_TOKEN: Final = "/webhooks/{application}/{token}/messages/{message}"


@route(ANSWER)
def answer(call: Call) -> Result:
    """Answer an interaction for the first time."""
    world, body = call.world, call.json
    interaction = world.interactions.get(call.ids["token"])
    if interaction is None or interaction.id != call.number("interaction"):
        raise Refused(404, 10062)
    late = world.now() - interaction.sent_at > world.answer_within
    if interaction.acknowledged is None and late:
        raise _refused(interaction, Refused(404, 10062))
    if interaction.acknowledged is not None:
        raise _refused(interaction, Refused(400, 40060))
    kind, data = body.get("type"), body.get("data") or {}
    if kind not in _allowed(interaction):
        raise call.wrong(f"a callback of type {kind} to an interaction of type {interaction.type}")
    _carry_out(call, interaction, kind, data)
    interaction.acknowledged = kind
    interaction.acknowledged_after = world.now() - interaction.sent_at
    if not call.query.get("with_response"):
        return 204, None
    return 200, _told(call, interaction, kind)


def _allowed(interaction: Interaction) -> tuple[int, ...]:
    if interaction.type == AUTOCOMPLETE:
        return (CHOICES,)
    updates = interaction.message is not None
    usual = (MESSAGE, DEFERRED_MESSAGE, *((DEFERRED_UPDATE, UPDATE) if updates else ()))
    return usual if interaction.type == MODAL else (*usual, SHOW_MODAL)


def _carry_out(call: Call, interaction: Interaction, kind: int, data: Json) -> None:
    if kind == CHOICES:
        if problems := list(checks.choices(data.get("choices"))):
            raise call.wrong(*problems)
        interaction.choices = data["choices"]
    elif kind == SHOW_MODAL:
        interaction.modal = data
    elif kind == MESSAGE:
        check(call, data)
        interaction.answer = make(call, interaction.channel, data, interaction)
        interaction.ephemeral = interaction.answer.is_ephemeral
    elif kind == DEFERRED_MESSAGE:
        interaction.ephemeral = bool((data.get("flags") or 0) & EPHEMERAL)
    elif kind == UPDATE:
        check(call, data, new=False)
        _update(call, interaction, data)
    else:
        interaction.answer = interaction.message


def _update(call: Call, interaction: Interaction, data: Json) -> None:
    """Change the message that was pressed."""
    assert interaction.message
    interaction.edits.append(change(call, interaction.message, data))
    interaction.answer = interaction.message


def _told(call: Call, interaction: Interaction, kind: int) -> Json:
    told: Json = {"id": str(interaction.id), "type": interaction.type}
    told |= {"response_message_loading": kind == DEFERRED_MESSAGE}
    told |= {"response_message_ephemeral": interaction.ephemeral}
    if kind == DEFERRED_MESSAGE:
        message, kind = _loading(call, interaction), MESSAGE
    elif kind in (MESSAGE, UPDATE) and interaction.answer:
        message = call.world.message_json(interaction.answer)
    else:
        return {"interaction": told}
    told["response_message_id"] = message["id"]
    return {"interaction": told, "resource": {"type": kind, "message": message}}


def _loading(call: Call, interaction: Interaction) -> Json:
    flags = LOADING | (EPHEMERAL if interaction.ephemeral else 0)
    return {
        "id": str(interaction.id + 1),
        "channel_id": str(interaction.channel.id),
        "type": 20,
        "author": call.world.bot.json,
        "content": "",
        "embeds": [],
        "components": [],
        "attachments": [],
        "mentions": [],
        "mention_roles": [],
        "mention_everyone": False,
        "pinned": False,
        "tts": False,
        "flags": flags,
        "timestamp": "2026-01-01T00:00:00.000000+00:00",
        "edited_timestamp": None,
        "application_id": str(call.world.bot.id),
        "webhook_id": str(call.world.bot.id),
    }


def _refused(interaction: Interaction, refused: Refused) -> Refused:
    interaction.refusals.append(refused.code)
    return refused


def _live(call: Call) -> Interaction:
    """The interaction of a token that is still good."""
    world = call.world
    if call.number("application") != world.bot.id:
        raise Refused(404, 10015)
    interaction = world.interactions.get(call.ids["token"])
    if interaction is None:
        raise Refused(404, 10015)
    if world.now() - interaction.sent_at > world.token_lives:
        raise _refused(interaction, Refused(401, 50027))
    if interaction.acknowledged is None:
        raise _refused(interaction, Refused(404, 10015))
    return interaction


@route(FOLLOW_UP)
def follow_up(call: Call) -> Result:
    """Send a further message; the first one after deferring takes the place of the answer."""
    interaction, body = _live(call), call.json
    check(call, body)
    if interaction.acknowledged == DEFERRED_MESSAGE and interaction.answer is None:
        sent = _first(call, interaction, body)
    else:
        sent = make(call, interaction.channel, body, interaction)
    interaction.followups.append(sent)
    return 200, call.world.message_json(sent)


def _first(call: Call, interaction: Interaction, body: Json) -> Sent:
    """The answer that was deferred; whether all see it was said then."""
    flags = (body.get("flags") or 0) & ~EPHEMERAL
    flags |= EPHEMERAL if interaction.ephemeral else 0
    sent = make(call, interaction.channel, body | {"flags": flags}, interaction)
    interaction.answer = sent
    return sent


@route(EDIT_ANSWER)
def edit(call: Call) -> Result:
    """Change the answer, or a follow-up."""
    interaction, body = _live(call), call.json
    deferred = interaction.acknowledged == DEFERRED_MESSAGE and interaction.answer is None
    is_first = deferred and call.ids["message"] in (_ORIGINAL, str(interaction.id + 1))
    check(call, body, new=is_first)
    if is_first:
        return 200, call.world.message_json(_first(call, interaction, body))
    sent = _message(call, interaction)
    interaction.edits.append(change(call, sent, body))
    return 200, call.world.message_json(sent)


@route(f"GET {_OF_TOKEN}")
def read(call: Call) -> Result:
    """Read the answer, or a follow-up."""
    interaction = _live(call)
    if interaction.answer is None and interaction.acknowledged == DEFERRED_MESSAGE:
        return 200, _loading(call, interaction)
    return 200, call.world.message_json(_message(call, interaction))


@route(f"DELETE {_OF_TOKEN}")
def delete(call: Call) -> Result:
    """Delete the answer, or a follow-up."""
    interaction = _live(call)
    _message(call, interaction).deleted = True
    return 204, None


def _message(call: Call, interaction: Interaction) -> Sent:
    given = call.ids["message"]
    if given == _ORIGINAL:
        sent = interaction.answer
        if sent is None and interaction.type == COMPONENT:
            sent = interaction.message
    else:
        mine = (interaction.answer, *interaction.followups)
        sent = next((one for one in mine if one and str(one.id) == given), None)
    if sent is None or sent.deleted:
        raise _refused(interaction, Refused(404, 10008))
    return sent
