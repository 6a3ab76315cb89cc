"""Commands as lines of text: what people write is understood, or answered with what to write."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.commands import COMMANDS, Access
from bot.commands.parse import Call, parse
from bot.errors import UserError
from bot.model import ALL_KINDS, UpdateKind
from bot.text import clean

DATED, RENEWED = UpdateKind.DATED, UpdateKind.RENEWED
TRAILER, CANCELLED = UpdateKind.TRAILER, UpdateKind.CANCELLED


def refusal(text: str) -> str:
    with pytest.raises(UserError) as refused:
        parse(text)
    return str(refused.value)


def test_a_title_needs_no_quotes() -> None:
    assert parse("/subscribe all of us are dead") == Call(
        "subscribe", {"show": "all of us are dead"}
    )


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ("renewed", {RENEWED}),
        ("renewed,dated", {RENEWED, DATED}),
        ("renewed, dated", {RENEWED, DATED}),
        ("renewed ,dated", {RENEWED, DATED}),
        ("renewed , dated", {RENEWED, DATED}),
        ("renewed dated", {RENEWED, DATED}),
        ("dated RENEWED", {RENEWED, DATED}),
        ("Renewed,Renewed,", {RENEWED}),
        ("trailer", {TRAILER}),
        ("trailers", {TRAILER}),
        ("cancelled", {CANCELLED}),
        ("canceled", {CANCELLED}),
        ("renewed dated trailer cancelled", ALL_KINDS),
        ("all", ALL_KINDS),
        ("ALL", ALL_KINDS),
    ],
)
def test_kinds_stand_at_the_end(words: str, kinds: set[UpdateKind]) -> None:
    assert parse(f"/subscribe Ozark {words}").arguments == {"show": "Ozark", "kinds": kinds}
    assert parse(f'/subscribe "Ozark" {words}').arguments == {"show": "Ozark", "kinds": kinds}


@pytest.mark.parametrize(
    ("text", "show"),
    [
        ("/subscribe dated", "dated"),
        ("/subscribe renewed cancelled?", "renewed cancelled?"),
        ("/subscribe dated and confused", "dated and confused"),
        ('/subscribe "how it got cancelled"', "how it got cancelled"),
        ('/subscribe "how it got" "cancelled"', "how it got cancelled"),
        ("/subscribe Ozark ended", "Ozark ended"),
        ("/subscribe Ozark renewed,soon", "Ozark renewed,soon"),
        ("/subscribe Ozark saved", "Ozark saved"),
    ],
)
def test_what_belongs_to_the_title_stays_with_it(text: str, show: str) -> None:
    assert parse(text).arguments == {"show": show}


def test_a_kind_alone_is_a_title_and_the_kinds_follow_it() -> None:
    assert parse("/subscribe cancelled dated").arguments == {"show": "cancelled", "kinds": {DATED}}


@pytest.mark.parametrize(
    ("text", "show"),
    [
        ("/status Grey's Anatomy", "Grey's Anatomy"),
        ("/status 'Allo 'Allo!", "'Allo 'Allo!"),
        ("/status What If...? & more; rm -rf $HOME", "What If...? & more; rm -rf $HOME"),
        ("/status M*A*S*H \\ x", "M*A*S*H \\ x"),
        ('/status "  two  blanks  "', "  two  blanks  "),
        ("/status   all\tof   us  ", "all of us"),
        ("/status\u3000지금 우리 학교는", "지금 우리 학교는"),
        ("/status /subscribe", "/subscribe"),
        ("/status renewed dated", "renewed dated"),
    ],
)
def test_a_title_is_taken_as_it_is_written(text: str, show: str) -> None:
    assert parse(text).arguments == {"show": show}


@pytest.mark.parametrize("name", ["/STATUS", "/Status", "/sTATUS"])
def test_capitals_do_not_matter_in_a_command(name: str) -> None:
    assert parse(f"{name} Ozark") == Call("status", {"show": "Ozark"})


@pytest.mark.parametrize("text", ['/status "Ozark', '/status Oz"ark', '"', '/status """'])
def test_an_open_quote_is_refused(text: str) -> None:
    assert "close it" in refusal(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("/subscrbe Ozark", "Did you mean /subscribe?"),
        ("/STATSU Ozark", "Did you mean /status?"),
        ("/frobnicate", "/help lists the commands."),
        ("/", "/help lists the commands."),
        ("/publish Ozark", "There is no command /publish."),
    ],
)
def test_an_unknown_command_gets_a_hint(text: str, hint: str) -> None:
    assert hint in refusal(text)


@pytest.mark.parametrize("text", ["", "   ", "hello", "subscribe Ozark", "\x1b[A"])
def test_what_is_no_command_says_how_commands_begin(text: str) -> None:
    assert "begin with a slash" in refusal(text)


@pytest.mark.parametrize(
    ("text", "usage"),
    [
        ("/subscribe", "/subscribe show ["),
        ("/subscribe  ", "/subscribe show ["),
        ("/unsubscribe", "/unsubscribe show"),
        ("/status", "/status show"),
    ],
)
def test_a_missing_title_is_answered_with_the_usage(text: str, usage: str) -> None:
    assert refusal(text).startswith(f"Which show? Write: {usage}")


@pytest.mark.parametrize("name", ["help", "latest", "upcoming"])
def test_some_commands_take_nothing(name: str) -> None:
    assert parse(f"/{name}") == Call(name, {})
    assert refusal(f"/{name} please") == f"“please” is too much. Write: /{name}"


def test_a_list_takes_the_number_of_a_page() -> None:
    assert parse("/subscriptions 2") == Call("subscriptions", {"page": 2})
    for word in ("two", "-1", "٣", "1" * 7):
        problem = f"“{word}” is no number. Write: /subscriptions [page]"
        assert refusal(f"/subscriptions {word}") == problem


@pytest.mark.parametrize("word", ["export", "EXPORT", '"export"'])
def test_privacy_takes_an_action(word: str) -> None:
    assert parse(f"/privacy {word}") == Call("privacy", {"action": "export"})
    assert parse("/privacy delete") == Call("privacy", {"action": "delete"})
    assert parse("/privacy") == Call("privacy", {})


def test_privacy_takes_no_other_action() -> None:
    assert refusal("/privacy erase") == (
        "“erase” is not one of export, delete. Write: /privacy [export|delete]"
    )
    assert "“now” is too much" in refusal("/privacy delete now")


@pytest.mark.parametrize("text", ["/x{}", "/help {}", "/privacy {}"])
def test_a_refusal_repeats_little_and_nothing_that_steers(text: str) -> None:
    answer = refusal(text.format("\x1b[2J\u202e" + "y" * 5000))
    assert len(answer) < 200
    assert clean(answer) == answer


_LINES = st.lists(
    st.sampled_from([f"/{name}" for name in COMMANDS])
    | st.sampled_from(["/", '"', "'", ",", "dated", "all", "export", "\x1b[2J", "Ozark", "  "])
    | st.text(max_size=6),
    max_size=8,
)


@example("/subscribe ,")
@example('/subscribe "" dated')
@given(_LINES.map(" ".join) | _LINES.map("".join) | st.text())
def test_any_text_is_understood_or_refused_with_an_answer(text: str) -> None:
    try:
        call = parse(text)
    except UserError as error:
        answer = str(error)
    else:
        command = COMMANDS[call.name]
        answer = command.usage
        assert call.arguments.keys() <= {one.name for one in command.parameters}
        assert {one.name for one in command.parameters if one.required} <= call.arguments.keys()
        assert call.arguments.get("kinds", ALL_KINDS) <= ALL_KINDS
    assert clean(answer) == answer
    assert answer


def test_every_command_has_a_flat_name_and_a_line_of_help() -> None:
    for name, command in COMMANDS.items():
        assert name == command.name
        assert name.isalpha()
        assert name.islower()
        assert 0 < len(command.help) <= 100
        assert all(0 < len(one.help) <= 100 for one in command.parameters)


def test_what_changes_a_chat_is_for_those_who_manage_it() -> None:
    managed = {name for name, one in COMMANDS.items() if one.access is Access.MANAGERS}
    assert managed == {"subscribe", "unsubscribe"}
    privacy = COMMANDS["privacy"]
    assert privacy.for_managers({"action": "delete"})
    assert not privacy.for_managers({})


def test_what_only_buttons_can_say_stands_behind_its_name() -> None:
    asked = parse("/subscribe elite dated role:7 publish:yes")
    assert asked.arguments == {
        "show": "elite",
        "kinds": frozenset({UpdateKind.DATED}),
        "role": 7,
        "publish": True,
    }
    assert (
        COMMANDS["subscribe"].written(asked.arguments)
        == "/subscribe elite dated role:7 publish:yes"
    )
    for title in ("role:x", "publish:maybe", '"role:7"', "channel:7"):
        assert parse(f"/subscribe {title}").arguments == {"show": title.strip('"')}
