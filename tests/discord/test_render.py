"""Messages as Discord shows them: exact, whole, and with no markup that is not ours."""

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.message import Action, Day, Line, Link, Message
from bot.message import plain as bare
from bot.message.alerts import News
from bot.message.alerts import alert as told
from bot.model import Update
from bot.platforms.discord.render import (
    COLOURS,
    Alert,
    alert,
    answer,
    escape,
    fitting,
    line,
    plain,
    post_name,
)
from bot.text import clean
from tests.build import VIDEO, a_correction, a_show, an_update
from tests.fakes.discord.gate import problems

NEWS_URL: Final = "https://www.netflix.com/tudum/news"
DAY: Final = Day(dt.date(2027, 4, 20), "20 April 2027")
DAY_SHOWN: Final = "<t:1808215200:D>"


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


# --- an independent reader of Discord's Markdown ---

AT_THE_START: Final = re.compile(r"\s*(?:#{1,3}|-#|>|>>>|[-*+]|\d+\.)(?=\s|$)")
ACTIVE: Final = re.compile(
    r"[*_~`|<]"
    r"|\[[^\n]*\]\([^\n]*\)"
    r"|@(?:everyone|here)"
    r"|[A-Za-z][A-Za-z0-9+.-]*://\S"
    r"|:[\w+-]+:"
)
AS_DISCORD_READS_LINKS: Final = re.compile(
    r"\[((?:\[[^\]]*\]|[^\[\]]|\](?=[^\[]*\]))*)\]"
    r"\(\s*<?((?:[^\s\\]|\\.)*?)>?(?:\s+['\"]([\s\S]*?)['\"])?\s*\)"
)
"""The rule of simple-markdown, on which its clients are built; it takes no escape within words."""
OURS: Final = re.compile(
    r"<t:-?\d+:D>"
    r"|<@&\d+>"
    r"|\[((?:\\.|[^\[\]\\])+)\]\(<?(https?://[^\s()<>\[\]\\]+)>?\)"
    r"|<(https?://[^\s()<>\[\]\\]+)>"
)


class Read:
    """One line as Discord's client reads it: the words, and what is more than words."""

    def __init__(self, source: str, *, ours: bool = False) -> None:
        self.words = ""
        self.active: list[str] = []
        self.links: list[tuple[str, str]] = []
        if start := AT_THE_START.match(source):
            self.active.append(start[0])
        place = 0
        while place < len(source):
            place += self._step(source, place, ours=ours)

    def _step(self, source: str, place: int, *, ours: bool) -> int:
        rest = source[place:]
        if re.match(r"\\[^0-9A-Za-z\s]", rest):
            self.words += rest[1]
            return 2
        if ours and (mine := OURS.match(rest)):
            words, address, quiet = mine.groups()
            if address or quiet:
                shown = Read(words or "")
                self.active += shown.active
                self.words += shown.words
                self.links.append((shown.words, address or quiet))
            return len(mine[0])
        if active := ACTIVE.match(rest):
            self.active.append(active[0])
        self.words += rest[0]
        return 1


def read(*texts: str) -> list[Read]:
    """The lines of texts, but for bare addresses, and what our own bold adds to a title."""
    found = "\n".join(texts)
    if found.startswith("**"):
        title, *rest = found.split("\n")
        found = "\n".join([title.removeprefix("**").removesuffix("**"), *rest])
    told = (one for one in found.split("\n") if not re.match("https?://", one))
    return [Read(one, ours=True) for one in told]


def alive(*texts: str) -> list[str]:
    """All markup in texts that is not ours."""
    return [mark for one in read(*texts) for mark in one.active]


@pytest.mark.parametrize(
    "text",
    [
        "*a*", "_a_", "~~a~~", "||a||", "`a`", "[a](https://b.com)", "<@1>", "<@&1>", "<#1>",
        "<:a:1>", "<t:1:D>", "</help:1>", "@everyone", "@here", "https://a.com", "steam://run",
        ":smile:", "# a", "-# a", "> a", ">>> a", "- a", "  - a", "+ a", "1. a", "x <https://a.b>",
    ],
)  # fmt: skip
def test_the_reader_finds_markup_and_its_escape_has_none(text: str) -> None:
    assert Read(text).active
    assert Read(escape(text)).active == []
    assert Read(escape(text)).words == text


# --- words ---


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("All of Us Are Dead, season 2", "All of Us Are Dead, season 2"),
        ("Spider-Man: No Way Home (2021)", "Spider-Man: No Way Home (2021)"),
        ("S.W.A.T. / Mr. Robot & #1 > 2", "S.W.A.T. / Mr. Robot & #1 > 2"),
        ("9:30", r"9\:30"),
        ("M*A*S*H", r"M\*A\*S\*H"),
        (r"¯\_(ツ)_/¯", r"¯\\\_(ツ)\_/¯"),
        ("@everyone", r"\@everyone"),
        ("<@1>", r"\<\@1>"),
        ("<t:1:D>", r"\<t\:1\:D>"),
        ("[a](b)", r"\[a\]\(b)"),
        ("https://evil.com", r"https\://evil.com"),
        ("-# small", r"\-# small"),
        (" 24. Hour", r" 24\. Hour"),
        ("24", "24"),
        ("a\u202eb\x00c\nd", "abc d"),
    ],
)
def test_words_are_escaped_where_it_matters(text: str, escaped: str) -> None:
    assert escape(text) == escaped


TYPICAL: Final = st.sampled_from(
    [
        "*", "**", "_", "__", "~~", "|", "||", "`", "```", "[", "]", "(", ")", "](", "\\", "<", ">",
        "<@1>", "<@&1>", "<#1>", "<t:1:R>", "@everyone", "@here", "http", ":", "//", "https://a.com",
        "#", "-# ", "- ", "> ", ">>> ", "1", ".", "1. ", " ", "\n", "\r", "\x00", "\u202e",
        "\u2028", "\u200b", "\ufeff", "\ud83d", "🙂", "👨‍👩‍👧", "🇰🇷", "e\u0301", "कॉम", ":smile:",
        "a", "B",
    ]
)  # fmt: skip
hostile = st.lists(TYPICAL | st.text(max_size=8), max_size=8).map("".join)
addresses = (
    hostile | hostile.map("https://example.com/{}".format) | st.sampled_from([NEWS_URL, VIDEO])
)
pieces: st.SearchStrategy[Any] = (
    hostile | st.builds(Link, hostile, addresses) | st.builds(Day, st.dates(), hostile)
)
lines = st.lists(pieces, max_size=4).map(tuple)
messages = st.builds(
    Message, hostile, st.lists(lines, max_size=4).map(tuple), video=st.none() | addresses
)
long_words = st.builds(
    lambda words, times, rest: words * times + rest, hostile, st.integers(0, 400), hostile
)
long_lines = st.lists(long_words | st.builds(Link, long_words, addresses), max_size=3).map(tuple)
long_messages = st.builds(
    Message,
    hostile | long_words,
    st.lists(lines | long_lines, max_size=6).map(tuple),
    video=st.none() | addresses,
)


@given(hostile)
def test_escaped_words_are_read_as_they_were(text: str) -> None:
    shown = Read(escape(text))
    assert shown.active == []
    assert shown.words == clean(text)


@given(lines, st.booleans())
def test_a_line_has_no_markup_but_its_links_and_days(words: Line, quiet: bool) -> None:
    shown = Read(line(words, quiet=quiet), ours=True)
    assert shown.active == []
    for _, address in shown.links:
        assert address.startswith(("http://", "https://"))


@example((Link("a", NEWS_URL), " x](https://evil.com) "), True)
@example((Link("a[b", NEWS_URL), "c] ", Link("d]", NEWS_URL), "](//x)"), False)
@given(st.lists(pieces | st.builds(Link, hostile, st.just(NEWS_URL)), max_size=5), st.booleans())
def test_words_beside_a_link_do_not_change_where_it_leads(words: list[Any], quiet: bool) -> None:
    shown = line(tuple(words), quiet=quiet)
    for place in (found.start() for found in re.finditer(r"(?<!\\)(?:\\\\)*\[", shown)):
        mine = OURS.match(shown, shown.index("[", place))
        discords = AS_DISCORD_READS_LINKS.match(shown, shown.index("[", place))
        assert mine
        assert discords
        assert discords.groups()[:2] == mine.groups()[:2]


@given(lines)
def test_no_word_of_a_line_is_lost(words: Line) -> None:
    shown = letters(Read(line(words), ours=True).words)
    for piece in words:
        if isinstance(piece, str):
            assert letters(clean(piece)) in shown


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("by ", Link("source", NEWS_URL)), f"by [source](<{NEWS_URL}>)"),
        (("out ", DAY, "."), f"out {DAY_SHOWN}."),
        ((Link("a*b", "https://a.com/x (1)"),), r"[a\*b](<https://a.com/x%20%281%29>)"),
        ((Link("a[b]c", NEWS_URL),), f"[a(b)c](<{NEWS_URL}>)"),
        ((Link(" ", NEWS_URL),), f"<{NEWS_URL}>"),
        ((Link("a", "https://пример.рф/я"),), "[a](<https://xn--e1afmkfd.xn--p1ai/%D1%8F>)"),
        ((Link("a", "https://a.com/b."),), "[a](<https://a.com/b%2E>)"),
        ((Link("a*" * 300, NEWS_URL),), "[" + r"a\*" * 99 + f"a…](<{NEWS_URL}>)"),
        (("evil", ":", "//x"), r"evil\://x"),
        ((Link("x", "https://u@evil.com"),), r"x \<https\://u\@evil.com>"),
    ],
)
def test_links_and_days(words: Line, shown: str) -> None:
    assert line(words) == shown


def test_a_link_in_an_embed_needs_no_quiet() -> None:
    assert line((Link("source", NEWS_URL),), quiet=False) == f"[source]({NEWS_URL})"


@pytest.mark.parametrize(
    "address",
    [
        "", "javascript:alert(1)", "discord://x", "ftp://example.com/x", "//example.com", "https://",
        "https://localhost/", "https://1.2.3.4/", "https://[::1]/", "https://user@example.com/",
        "https://u:p@example.com/", "https://good.com\\@evil.com/", "https://evil.com\n.example.com/",
        "https://example.com/\u202egnp.exe", "https://example.com:99999999/", "https://a..com/",
        "https://example.com/" + "x" * 1000,
    ],
)  # fmt: skip
def test_an_address_that_may_mislead_is_no_link(address: str) -> None:
    message = Message("t", (("see ", Link("words", address)),), video=address)
    for text in (*answer(message), alert([message]).content, plain([message])):
        assert [link for one in read(text) for link in one.links] == []
        assert alive(text) == []
        assert not re.search("^https?://", text, re.MULTILINE)


# --- alerts ---


def alert_of(update: Update, *before: Update) -> Message:
    return told(News(a_show(), update, (*before, update)))


def renewal() -> Message:
    return alert_of(an_update("renewed"))


def trailer() -> Message:
    return alert_of(an_update("trailer"))


SOURCE: Final = f"Official · Netflix, <t:1795341600:D> · [source]({NEWS_URL})"
RENEWED: Final = "RENEWED · All of Us Are Dead, season 2"
RENEWED_LINES: Final = (
    "Netflix has ordered a second season.\n"
    "Release date: not announced · Trailer: none yet · On Netflix\n" + SOURCE
)


def test_an_alert_is_its_title_with_the_rest_in_an_embed() -> None:
    assert alert([renewal()]) == Alert(
        RENEWED, ({"description": RENEWED_LINES, "color": COLOURS["RENEWED"]},)
    )


def test_roles_stand_once_at_the_end_of_the_first_line() -> None:
    assert alert([renewal()], [5, 6, 5]).content == f"{RENEWED} <@&5> <@&6>"
    both = alert([renewal(), alert_of(an_update("cancelled"))], [5])
    assert both.content == f"{RENEWED} <@&5>\nCANCELLED · All of Us Are Dead, season 2"


def test_a_trailer_plays_below_its_words() -> None:
    shown = alert([trailer()], [5])
    assert shown.embeds == ()
    assert shown.content == (
        "TRAILER · All of Us Are Dead, season 2 <@&5>\n"
        "Release date: not announced · On Netflix\n"
        f"{SOURCE.replace(NEWS_URL, f'<{NEWS_URL}>')}\n{VIDEO}"
    )


def test_alerts_that_go_out_together_have_their_titles() -> None:
    dated = an_update("dated", date="2027-04-02")
    corrected = alert_of(a_correction(dated, date="2027-04-20"), dated)
    shown = alert([renewal(), alert_of(dated), corrected])
    title = "CORRECTION · All of Us Are Dead, season 2: it is 20 April 2027, not 2 April 2027"
    assert shown.content.split("\n")[::2] == [RENEWED, title]
    assert [embed["title"] for embed in shown.embeds] == shown.content.split("\n")
    colours = [embed["color"] for embed in shown.embeds]
    assert colours == [COLOURS[word] for word in ("RENEWED", "DATED", "CORRECTION")]


def test_a_title_alone_needs_no_embed() -> None:
    assert alert([Message("title")]) == Alert("title")
    assert alert([Message("title", (("",), (" ",)))]) == Alert("title")
    assert alert([Message(" \n", video=VIDEO)]) == Alert(f"…\n{VIDEO}")


def body(shown: Alert, roles: Sequence[int] = ()) -> dict[str, Any]:
    mentions = {"parse": [], "roles": list(roles)}
    return {"content": shown.content, "embeds": list(shown.embeds), "allowed_mentions": mentions}


def assert_sound(shown: Alert, roles: Sequence[int] = ()) -> None:
    assert problems("POST", "/channels/1/messages", body(shown, roles)) == []
    assert units(shown.content) <= 2000
    texts = [shown.content, *(embed.get("description", "") for embed in shown.embeds)]
    assert alive(*texts) == []
    for embed in shown.embeds:
        assert Read(embed.get("title", "")).active == []
    inside = "".join(
        embed.get("title", "") + embed.get("description", "") for embed in shown.embeds
    )
    assert units(inside) <= 6000


@settings(max_examples=60)
@example([Message("x" * 2000)], [])
@example([Message("x" * 1993, ((("y" * 5),),), video=VIDEO)], [1])
@example([Message("*" * 5000, (("*" * 5000,),))] * 3, [1, 2])
@example([Message("🙂" * 2000, ((Link("w", NEWS_URL),) * 300,))], [])
@example([Message("t", (("x" * 2000,),), video=VIDEO)], list(range(1, 41)))
@given(
    st.lists(messages | long_messages, min_size=1, max_size=12),
    st.lists(st.integers(1, 2**63), max_size=20, unique=True),
)
def test_what_fits_is_an_alert_that_discord_takes(waiting: list[Message], roles: list[int]) -> None:
    count = fitting(waiting)
    assert 1 <= count <= len(waiting)
    shown = alert(waiting[:count], roles)
    assert_sound(shown, roles)
    first = shown.content.split("\n")[0]
    assert first.removesuffix("…").endswith("".join(f" <@&{role}>" for role in roles))


@settings(max_examples=60)
@given(st.lists(messages | long_messages, min_size=1, max_size=3), st.booleans())
def test_the_plain_form_is_within_its_limit_and_has_only_what_was_asked(
    waiting: list[Message], links: bool
) -> None:
    waiting = waiting[: fitting(waiting)]
    text = plain(waiting, links=links)
    assert problems("POST", "/channels/1/messages", body(Alert(text, ()))) == []
    assert units(text) <= 2000
    assert alive(text) == []
    if not links:
        assert not re.search(r"(?<!\\)<http|^https?://", text, re.MULTILINE)


def test_what_is_too_long_ends_in_an_ellipsis_and_whole_links() -> None:
    linked = Message("t", (tuple(Link("a", NEWS_URL) for _ in range(200)),))
    description = alert([linked]).embeds[0]["description"]
    assert re.fullmatch(rf"(?:\[a\]\({NEWS_URL}\))+…", description)
    stars = alert([Message("*" * 1500)]).content
    assert re.fullmatch(r"(?:\\\*)+…", stars)
    assert 1990 < len(stars) <= 2000
    long = alert([Message("t", (("y" * 3000,),), video=VIDEO)]).content
    assert long.endswith(f"y…\n{VIDEO}")
    assert len(long) == 2000
    title = alert([Message("t" * 3000, video=VIDEO)], [5]).content
    assert re.fullmatch(rf"t+… <@&5>\n{re.escape(VIDEO)}", title)


@pytest.mark.parametrize("letter", ["👨‍👩‍👧", "e\u0301", "👍🏽", "🇰🇷", "🇺🇸", "❤️"])
def test_what_is_seen_as_one_letter_is_not_torn(letter: str) -> None:
    for before in range(12):
        content = alert([Message("x" * (2000 - before) + letter + "yy" * 10)]).content
        assert re.fullmatch(f"x+(?:{letter}y*)?…", content)


def test_a_letter_with_a_thousand_accents_is_cut() -> None:
    content = alert([Message("e" + "\u0301" * 5000)]).content
    assert 1980 < len(content) <= 2000


def test_no_more_roles_are_called_than_a_message_can_hold() -> None:
    shown = alert([Message("t", (("a",),), video=VIDEO)], range(10**18, 10**18 + 50)).content
    assert shown.count("<@&") == 40
    assert shown.endswith(f"\na\n{VIDEO}")


# --- how many go out together ---


def test_a_video_goes_alone() -> None:
    assert fitting([trailer(), renewal()]) == 1
    assert fitting([renewal(), renewal(), trailer(), renewal()]) == 2
    assert fitting([]) == 0


def test_no_more_than_ten_embeds_go_out_together() -> None:
    assert fitting([renewal()] * 12) == 10


def test_no_more_go_out_together_than_there_are_rows_for_the_buttons_of_their_shows() -> None:
    def of(number: int) -> Message:
        actions = (Action("Details", f"/status {number}"), Action("Unsubscribe", f"/un {number}"))
        return Message(f"{number}", (("a",),), actions=actions)

    assert fitting([of(number) for number in range(8)]) == 5
    assert fitting([of(number // 2) for number in range(12)]) == 10
    assert fitting([Message("a")] * 8 + [of(1)]) == 9


def test_no_more_go_out_together_than_have_room() -> None:
    long = Message("t", (("x" * 1999,),))
    assert fitting([long] * 4) == 3
    assert fitting([Message("t" * 700)] * 4) == 2
    assert fitting([Message("t" * 249)] * 7) == 6  # beside them is room for roles
    assert fitting([Message("t", (("x" * 9000,),))] * 2) == 1


# --- replies ---


def test_a_reply_has_its_title_in_bold() -> None:
    reply = Message("You follow *it*", (("• ", DAY), ("by ", Link("source", NEWS_URL))))
    assert answer(reply) == [
        rf"**You follow \*it\***{chr(10)}• {DAY_SHOWN}{chr(10)}by [source](<{NEWS_URL}>)"
    ]
    assert answer(Message("t", (("a",),), video=VIDEO)) == [f"**t**\na\n{VIDEO}"]
    assert answer(Message("")) == ["**…**"]


@settings(max_examples=60)
@example(Message("x" * 1996))
@example(
    Message("*" * 3000, (("1" * 1999 + ". a",), ("x" * 1999 + "- a",), ("x" * 1998 + " - a",)))
)
@given(messages | long_messages)
def test_no_word_of_a_reply_is_lost_and_every_text_is_short_enough(message: Message) -> None:
    texts = answer(message)
    assert texts
    for text in texts:
        assert 0 < units(text) <= 2000
        assert problems("POST", "/channels/1/messages", body(Alert(text, ()))) == []
    assert alive(*texts) == []
    words = letters("".join(one.words for one in read(*texts)))
    assert letters(clean(message.title)) in words
    for piece in (piece for pieces in message.lines for piece in pieces):
        if isinstance(piece, str):
            assert letters(clean(piece)) in words


def test_a_reply_is_split_at_its_lines() -> None:
    texts = answer(Message("t", tuple((f"{place} " + "x" * 300,) for place in range(20))))
    assert len(texts) == 4
    told_lines = "\n".join(texts).split("\n")
    assert told_lines == ["**t**", *(f"{place} " + "x" * 300 for place in range(20))]


# --- the plain form ---


def test_the_plain_form_shows_addresses_behind_their_words() -> None:
    source = "Official · Netflix, 22 November 2026 · source"
    assert plain([trailer(), renewal()]) == (
        "TRAILER · All of Us Are Dead, season 2\n"
        "Release date: not announced · On Netflix\n"
        f"{source} <{NEWS_URL}>\n\n"
        f"{RENEWED}\nNetflix has ordered a second season.\n"
        "Release date: not announced · Trailer: none yet · On Netflix\n"
        f"{source} <{NEWS_URL}>\n{VIDEO}"
    )
    assert plain([trailer()], [5], links=False) == (
        "TRAILER · All of Us Are Dead, season 2 <@&5>\n"
        f"Release date: not announced · On Netflix\n{source}"
    )


# --- forum posts ---


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("All of Us Are Dead", "All of Us Are Dead"),
        ("M*A*S*H", "M*A*S*H"),
        ("a\u202eb\nc ", "ab c"),
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 99 + "…"),
        ("🙂" * 51, "🙂" * 49 + "…"),
        ("", "…"),
        ("\u200b \u202e", "…"),
    ],
)
def test_the_name_of_a_post(title: str, name: str) -> None:
    assert post_name(title) == name


@given(hostile | long_words)
def test_the_name_of_a_post_is_short_and_never_empty(title: str) -> None:
    name = post_name(title)
    assert name.strip() == name
    assert 0 < units(name) <= 100


def test_links_leave_their_words_in_the_shortest_form() -> None:
    words: Line = ("a ", Link("b", NEWS_URL), " c")
    assert plain([Message("t", (words,))], links=False) == f"t\n{bare(words)}"
