"""The gate of the fake Discord: what it lets through, and what it finds wrong."""

from typing import Any, Final

import discord
import discord.app_commands as app
import pytest
from discord.http import handle_message_parameters

from tests.build import shared_file
from tests.fakes.discord.gate import SPEC, answer_problems, problems

Json = dict[str, Any]
CHANNEL: Final = "/channels/11/messages"
EDIT: Final = "/channels/11/messages/12"
CALLBACK: Final = "/interactions/13/token/callback"
FOLLOW_UP: Final = "/webhooks/14/token"
ORIGINAL: Final = "/webhooks/14/token/messages/@original"
COMMANDS: Final = "/applications/14/commands"
NOBODY: Final[Json] = {"parse": []}


@pytest.fixture
def official() -> None:
    """The official description is there."""
    shared_file(SPEC)


def message(**parts: Any) -> Json:
    return {"content": "words", "allowed_mentions": NOBODY, **parts}


def button(custom_id: str = "a", **parts: Any) -> Json:
    return {"type": 2, "style": 2, "label": "Details", "custom_id": custom_id, **parts}


def rows(*rows_: list[Json]) -> Json:
    return message(components=[{"type": 1, "components": row} for row in rows_])


def command(**parts: Any) -> Json:
    return {"name": "status", "description": "What is known", "type": 1, **parts}


def option(name: str = "show", **parts: Any) -> Json:
    return {"name": name, "description": "Which", "type": 3, **parts}


def choices(count: int, **parts: Any) -> list[Json]:
    return [{"name": f"{place}", "value": "v", **parts} for place in range(count)]


def suggestions(found: list[Json]) -> Json:
    return {"type": 8, "data": {"choices": found}}


def embed(**parts: Any) -> Json:
    return message(embeds=[parts])


def fields(count: int, name: str = "n", value: str = "v") -> Json:
    return embed(fields=[{"name": name, "value": value}] * count)


SIX_THOUSAND: Final = [{"description": "x" * 3000}, {"description": "x" * 2990, "title": "t" * 10}]


# --- what the description does not say ---


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (message(content="x" * 2000), message(content="x" * 2001)),
        (message(content="", embeds=[{"title": "t"}]), message(content=" \n")),
        (message(), {"allowed_mentions": NOBODY}),
        (message(), {"content": "words"}),
        (message(), message(allowed_mentions={})),
        (message(), message(allowed_mentions={"parse": ["everyone"]})),
        (message(), message(allowed_mentions={"parse": [], "users": ["5"]})),
        (message(), message(allowed_mentions={"parse": [], "replied_user": True})),
        (
            message(content="<@&5>", allowed_mentions={"parse": [], "roles": [5]}),
            message(content="<@&5>"),
        ),
        (
            message(content="<@&5> <@&6>", allowed_mentions={"parse": [], "roles": ["5", 6]}),
            message(content="<@&5>", allowed_mentions={"parse": [], "roles": ["5", 6]}),
        ),
        (message(nonce="x" * 25), message(nonce="x" * 26)),
        (message(embeds=[{"title": "t"}] * 10), message(embeds=[{"title": "t"}] * 11)),
        (message(embeds=SIX_THOUSAND), message(embeds=[*SIX_THOUSAND, {"title": "t"}])),
        (embed(title="x" * 256), embed(title="x" * 257)),
        (embed(description="x" * 4096), embed(description="x" * 4097)),
        (fields(25), fields(26)),
        (fields(1, name="x" * 256), fields(1, name="x" * 257)),
        (fields(1, value="x" * 1024), fields(1, value="x" * 1025)),
        (fields(1), fields(1, name="")),
        (embed(footer={"text": "x" * 2048}), embed(footer={"text": "x" * 2049})),
        (embed(author={"name": "x" * 256}), embed(author={"name": "x" * 257})),
        (rows(*[[button(str(n))] for n in range(5)]), rows(*[[button(str(n))] for n in range(6)])),
        (rows([button(str(n)) for n in range(5)]), rows([button(str(n)) for n in range(6)])),
        (rows([button(label="x" * 80)]), rows([button(label="x" * 81)])),
        (rows([button(label="", emoji={"name": "✓"})]), rows([button(label="")])),
        (rows([button("x" * 100)]), rows([button("x" * 101)])),
        (rows([button("x")]), rows([button("")])),
        (rows([button("a")], [button("b")]), rows([button("a")], [button("a")])),
    ],
)
def test_a_message_is_within_its_limits(good: Json, bad: Json) -> None:
    assert problems("POST", CHANNEL, good) == []
    assert problems("POST", CHANNEL, bad)


@pytest.mark.parametrize(
    ("method", "path", "wrapped"),
    [
        ("POST", CHANNEL, lambda body: body),
        ("PATCH", EDIT, lambda body: body),
        ("POST", FOLLOW_UP, lambda body: body),
        ("PATCH", ORIGINAL, lambda body: body),
        ("PATCH", "/webhooks/14/token/messages/12", lambda body: body),
        ("POST", CALLBACK, lambda body: {"type": 4, "data": body}),
        ("POST", CALLBACK, lambda body: {"type": 7, "data": body}),
        ("POST", "/channels/11/threads", lambda body: {"name": "Show", "message": body}),
    ],
)
def test_every_way_to_send_a_message_is_watched(method: str, path: str, wrapped: Any) -> None:
    assert problems(method, path, wrapped(message())) == []
    assert problems(method, path, wrapped(message(content="x" * 2001)))
    assert problems(method, path, wrapped({"content": "words"}))


def test_an_edit_may_leave_things_out() -> None:
    assert problems("PATCH", EDIT, {"flags": 4}) == []
    assert problems("PATCH", EDIT, {"components": [], "allowed_mentions": NOBODY}) == []
    assert problems("PATCH", EDIT, message(content="<@&5> is not called again")) == []


@pytest.mark.parametrize("kind", [1, 5, 6])
def test_an_answer_may_have_no_words_yet(kind: int) -> None:
    assert problems("POST", CALLBACK, {"type": kind}) == []


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (command(name="status"), command(name="Status")),
        (command(name="что-нового_2"), command(name="what is")),
        (command(name="स्थिति"), command(name="a.b")),
        (command(name="x" * 32), command(name="x" * 33)),
        (command(name="x"), command(name="")),
        (command(description="x" * 100), command(description="x" * 101)),
        (command(description="x"), command(description="")),
        (
            command(options=[option(f"o{n}") for n in range(25)]),
            command(options=[option(f"o{n}") for n in range(26)]),
        ),
        (
            command(options=[option("a", required=True), option("b")]),
            command(options=[option("a"), option("b", required=True)]),
        ),
        (command(options=[option("a"), option("b")]), command(options=[option("a")] * 2)),
        (
            command(options=[option(choices=choices(25))]),
            command(options=[option(choices=choices(26))]),
        ),
        (
            command(options=[option(choices=choices(1, name="x" * 100))]),
            command(options=[option(choices=choices(1, name="x" * 101))]),
        ),
        (
            command(options=[option(choices=choices(1, value="x" * 100))]),
            command(options=[option(choices=choices(1, value="x" * 101))]),
        ),
        (
            command(options=[option(autocomplete=True)]),
            command(options=[option(autocomplete=True, choices=choices(1))]),
        ),
        (
            command(options=[option(f"o{n}", description="x" * 100) for n in range(25)]),
            command(
                options=[
                    option(f"o{n}", choices=choices(4, name="x" * 100, value="y" * 100))
                    for n in range(10)
                ]
            ),
        ),
        ({"name": "Any name", "type": 3}, {"name": "", "type": 3}),
    ],
)
def test_a_command_is_within_its_limits(good: Json, bad: Json) -> None:
    group = [command(options=[option(good["name"], type=1, options=good.get("options", []))])]
    assert problems("PUT", COMMANDS, [good]) == []
    assert problems("PUT", COMMANDS, group) == [] or good["type"] == 3
    assert problems("PUT", COMMANDS, [bad])
    assert problems("POST", "/applications/14/guilds/15/commands", good) == []
    assert problems("POST", "/applications/14/guilds/15/commands", bad)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (choices(25), choices(26)),
        ([], choices(1, name="")),
        (choices(1, name="x" * 100), choices(1, name="x" * 101)),
        (choices(1, value="x" * 100), choices(1, value="x" * 101)),
        (choices(1, value="v"), choices(1, value="")),
    ],
)
def test_suggestions_are_within_their_limits(good: list[Json], bad: list[Json]) -> None:
    assert problems("POST", CALLBACK, suggestions(good)) == []
    assert problems("POST", CALLBACK, suggestions(bad))


@pytest.mark.parametrize(
    "body",
    [message(content=5), message(embeds=[5]), message(components=["a"]), message(embeds={"a": 1})],
)
def test_values_of_wrong_types_are_told_and_do_not_break_the_gate(body: Json) -> None:
    assert problems("POST", CHANNEL, body)


# --- what the description says ---


@pytest.mark.usefixtures("official")
class TestOfficial:
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", "/users/@me", None),
            ("GET", "/gateway/bot", None),
            ("POST", "/users/@me/channels", {"recipient_id": 5}),
            ("POST", "/users/@me/channels", {"recipient_id": "5"}),
            ("POST", CHANNEL, message(nonce="17", enforce_nonce=True, tts=False)),
            ("POST", CHANNEL, message(nonce=17)),
            ("POST", CHANNEL, message(components=None)),
            ("PATCH", EDIT, message(tts=False)),
            ("POST", CALLBACK, {"type": 5, "data": {"flags": 64}}),
            ("PUT", COMMANDS, [command(name_localizations={"de": "stand"}, contexts=[0, 1])]),
        ],
    )
    def test_what_is_described_passes(self, method: str, path: str, body: Any) -> None:
        assert problems(method, path, body) == []

    @pytest.mark.parametrize(
        ("method", "path", "body", "wrong"),
        [
            ("GET", "/no/such/thing", None, "there is no GET /no/such/thing"),
            ("GET", "/channels/general", None, "there is no GET /channels/general"),
            ("GET", "/users/@me", {}, "GET /users/@me takes no body"),
            ("POST", CHANNEL, None, f"POST {CHANNEL} needs a body"),
            ("POST", CHANNEL, message(colour=5), "body has no property colour"),
            ("POST", CHANNEL, embed(colour=5), "body.embeds[0] has no property colour"),
            ("POST", CHANNEL, embed(color="red"), "body.embeds[0].color is not of type"),
            ("POST", CHANNEL, embed(color=1 << 24), "body.embeds[0].color breaks maximum"),
            ("POST", CHANNEL, embed(url="no address"), "body.embeds[0].url breaks format"),
            ("POST", CHANNEL, embed(timestamp="soon"), "body.embeds[0].timestamp breaks format"),
            ("POST", CHANNEL, message(sticker_ids=["a"]), "body.sticker_ids[0] breaks pattern"),
            ("POST", CHANNEL, message(sticker_ids=[True]), "body.sticker_ids[0] is not of type"),
            ("POST", CHANNEL, message(tts="no"), "body.tts is not of type"),
            (
                "POST",
                CHANNEL,
                rows([button(style=9)]),
                "body.components[0].components[0].style is none of",
            ),
            (
                "POST",
                CHANNEL,
                rows([button(text="x")]),
                "body.components[0].components[0] has no property text",
            ),
            ("POST", CALLBACK, {"data": {}}, "body needs type"),
            ("PUT", COMMANDS, [{"description": "d"}], "body[0] needs name"),
            (
                "PUT",
                COMMANDS,
                [command(name_localizations={"de": ""})],
                "body[0].name_localizations.de breaks minLength",
            ),
            (
                "POST",
                CHANNEL,
                message(allowed_mentions={"parse": [], "roles": [5, 5]}),
                "body.allowed_mentions.roles breaks uniqueItems",
            ),
        ],
    )
    def test_what_is_not_described_is_told(
        self, method: str, path: str, body: Any, wrong: str
    ) -> None:
        found = problems(method, path, body)
        assert [one for one in found if one.startswith(wrong)], found

    def test_messages_as_the_library_writes_them_pass(self) -> None:
        view = discord.ui.View()
        view.add_item(discord.ui.Button(label="Details", custom_id="1"))
        view.add_item(discord.ui.Button(label="Source", url="https://example.com/"))
        view.add_item(discord.ui.Select(options=[discord.SelectOption(label="a")]))
        told = discord.Embed(title="t", description="d", colour=5, url="https://example.com")
        told.set_footer(text="f").set_image(url="https://example.com/a.png")
        parts: Json = {
            "content": "<@&5>",
            "embeds": [told],
            "view": view,
            "allowed_mentions": discord.AllowedMentions(
                everyone=False, users=False, roles=[discord.Object(5)], replied_user=False
            ),
        }
        ways = [("PATCH", EDIT), ("PATCH", ORIGINAL), ("POST", FOLLOW_UP)]
        for method, path in ways:
            assert problems(method, path, handle_message_parameters(**parts).payload) == []
        body = handle_message_parameters(**parts, nonce="17", flags=discord.MessageFlags()).payload
        assert problems("POST", CHANNEL, body) == []
        post = {"name": "n", "auto_archive_duration": 60, "rate_limit_per_user": None, "type": 11}
        body = handle_message_parameters(**parts, channel_payload=post).payload
        assert problems("POST", "/channels/11/threads", body) == []

    def test_commands_as_the_library_writes_them_pass(self) -> None:
        @app.command(description="What is known")
        @app.default_permissions(manage_guild=True)
        @app.choices(kind=[app.Choice(name="All", value="all")])
        @app.autocomplete(show=_suggest)
        async def status(
            asked: discord.Interaction,
            show: str,
            kind: str = "",
            where: discord.TextChannel | None = None,
        ) -> None:
            """What is known of a show."""

        tree = app.CommandTree(discord.Client(intents=discord.Intents.none()))
        menu = app.ContextMenu(name="Tell me", callback=_about)
        written = [status.to_dict(tree), menu.to_dict(tree)]
        assert problems("PUT", COMMANDS, written) == []

    def test_answers_have_what_is_required_of_the_right_type(self) -> None:
        user = {
            "id": "1", "username": "u", "discriminator": "0", "global_name": None, "avatar": None,
            "public_flags": 0, "flags": 0, "primary_guild": None,
        }  # fmt: skip
        channel = {"id": "11", "type": 1, "recipients": [user], "flags": 0}
        path = "/users/@me/channels"
        assert answer_problems("POST", path, 200, channel | {"more": "than is described"}) == []
        assert answer_problems("POST", path, 200, channel | {"id": 11})
        assert answer_problems("POST", path, 200, {"id": "11", "type": 1})
        assert answer_problems("POST", path, 204, None)

    def test_refusals_are_as_described(self) -> None:
        refusal = {"code": 50001, "message": "Missing Access"}
        assert answer_problems("POST", CHANNEL, 403, refusal) == []
        assert answer_problems("POST", CHANNEL, 403, {"code": 50001})
        limited = {"code": 0, "message": "slow", "retry_after": 0.5, "global": False}
        assert answer_problems("POST", CHANNEL, 429, limited) == []
        assert answer_problems("POST", CHANNEL, 429, refusal)
        assert answer_problems("POST", CHANNEL, 502, None) == []
        assert answer_problems("GET", "/no/such/thing", 404, refusal) == []

    def test_an_answer_without_a_body_has_none(self) -> None:
        assert answer_problems("DELETE", EDIT, 204, None) == []
        assert answer_problems("DELETE", EDIT, 204, {})


async def _suggest(_asked: discord.Interaction, _typed: str) -> list[app.Choice[str]]:
    return []


async def _about(_asked: discord.Interaction, _about: discord.Message) -> None:
    """A command of a menu."""
