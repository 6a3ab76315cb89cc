"""Messages as Telegram shows them: exact, whole, and with no link that we did not make."""

import datetime as dt
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.message import Action, Day, Line, Link, Message, line
from bot.message.alerts import News, alert
from bot.model import Update
from bot.platforms.telegram.render import (
    LIMIT,
    alert_html,
    alert_plain,
    fitting,
    html,
    plain,
    preview,
    rows,
)
from bot.text import clean
from tests.build import VIDEO, a_correction, a_show, an_update

JOINER: Final = "\u2060"
NEWS_URL: Final = "https://www.netflix.com/tudum/news"
SOURCE_BYTES: Final = 32_768


class Shown(HTMLParser):
    """What a reader sees of a text in HTML: the words, the bold ones, and the links."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.words = ""
        self.bold: list[str] = []
        self.links: list[tuple[str, str]] = []
        self._open: list[tuple[str, str, int]] = []
        self.feed(source)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert (tag, [name for name, _ in attrs]) in [("b", []), ("a", ["href"])]
        assert not self._open, "a tag within a tag"
        self._open.append((tag, str(attrs[0][1]) if attrs else "", len(self.words)))

    def handle_endtag(self, tag: str) -> None:
        opened, address, start = self._open.pop()
        assert opened == tag
        if tag == "b":
            self.bold.append(self.words[start:])
        else:
            self.links.append((self.words[start:], address))

    def handle_data(self, data: str) -> None:
        self.words += data

    def handle_comment(self, data: str) -> None:
        pytest.fail(f"no markup of ours: {data!r}")

    def handle_decl(self, decl: str) -> None:
        self.handle_comment(decl)

    def handle_pi(self, data: str) -> None:
        self.handle_comment(data)


def units(text: str) -> int:
    return sum(2 if ord(character) > 0xFFFF else 1 for character in text)


def alert_of(*log: Update, title: str | None = None) -> Message:
    show = a_show(title=title) if title else a_show()
    return alert(News(show, log[-1], log))


def only(texts: list[str]) -> str:
    assert len(texts) == 1
    return texts[0]


# --- alerts, as they look ---


def renewal(**changes: Any) -> Message:
    june = dt.date(2022, 6, 6)
    return alert_of(an_update("renewed", speaker="Netflix Korea", announced=june), **changes)


def test_an_alert_begins_with_the_event_and_links_its_source() -> None:
    assert only(html(renewal())) == (
        "<b>RENEWED · All of Us Are Dead, season 2</b>\n"
        "Netflix Korea has ordered a second season.\n"
        "Release date: not announced · Trailer: none yet · On Netflix\n"
        f'Official · Netflix Korea, 6 June 2022 · <a href="{NEWS_URL}">source</a>'
    )


def test_a_trailer_stands_bare_on_a_line_of_its_own_so_that_it_plays() -> None:
    assert only(html(alert_of(an_update("trailer")))) == (
        "<b>TRAILER · All of Us Are Dead, season 2</b>\n"
        "Release date: not announced · On Netflix\n"
        f'Official · Netflix, 22 November 2026 · <a href="{NEWS_URL}">source</a>\n'
        f"{VIDEO}"
    )


def test_without_markup_a_link_shows_its_address() -> None:
    wrong = an_update("dated", date="2027-03-03")
    right = a_correction(wrong, "A slip.", date="2027-03-13")
    assert only(plain(alert_of(wrong, right))) == (
        "CORRECTION · All of Us Are Dead, season 2: it is 13 March 2027, not 3 March 2027\n"
        "Why: A slip.\n"
        "Trailer: none yet · On Netflix\n"
        f"Official · Netflix, 22 November 2026 · source <{NEWS_URL}>"
    )


def test_the_signs_of_html_are_shown_as_they_are() -> None:
    assert only(html(renewal(title='<b>Tom & "Jerry"</b>'))).startswith(
        "<b>RENEWED · &lt;b&gt;Tom &amp; &quot;Jerry&quot;&lt;/b&gt;, season 2</b>\n"
    )
    assert only(plain(renewal(title="<b>Tom & Jerry</b>"))).startswith(
        "RENEWED · <b>Tom & Jerry</b>, season 2\n"
    )
    address = "https://example.org/?a=1&b=2"
    linked = Message("t", ((Link("it's", address),),))
    assert only(html(linked)) == f'<b>t</b>\n<a href="{address.replace("&", "&amp;")}">it\'s</a>'


def test_our_own_commands_can_be_pressed() -> None:
    message = Message("You follow no show yet.", (line("Start with /subscribe and a title."),))
    assert only(html(message)) == (
        "<b>You follow no show yet.</b>\nStart with /subscribe and a title."
    )


def test_a_message_is_never_empty() -> None:
    for nothing in (Message(""), Message(" \u200e\n", ((), ("\x07 ",)))):
        assert html(nothing) == plain(nothing) == ["…"]
    assert html(Message("", (("a",), (), ("b",)))) == ["\na\n\nb"]


# --- nothing leads away ---


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("@durov", "@_durov"),
        ("mail me@example.com", "mail me@_example._com"),
        ("evil.com", "evil._com"),
        ("EVIL.COM/x", "EVIL._COM/x"),
        ("t.me/joinchat", "t._me/joinchat"),
        ("a.b.co.uk", "a.b._co._uk"),
        ("пример.рф", "пример._рф"),
        ("कॉम.कॉम", "कॉम._कॉम"),
        ("x.xn--p1ai", "x._xn--p1ai"),
        ("1.2.3.4", "1._2.3.4"),
        ("tg://user?id=1", "tg:_//user?id=1"),
        ("https://evil.x1", "https:_//evil.x1"),
        # What leads nowhere stays as it is.
        ("Mr. Robot", "Mr. Robot"),
        ("S.W.A.T.", "S.W.A.T."),
        ("Marvel's Agents of S.H.I.E.L.D.", "Marvel's Agents of S.H.I.E.L.D."),
        ("3.5 million", "3.5 million"),
        ("22.11.2026", "22.11.2026"),
        ("M@", "M@"),
        ("9:30", "9:30"),
        ("/help and #tags for $CASH", "/help and #tags for $CASH"),
    ],
)
def test_names_and_addresses_in_words_are_inert(text: str, shown: str) -> None:
    expected = shown.replace("_", JOINER)
    for render, bold in ((html, "<b>{}</b>"), (plain, "{}")):
        told = only(render(Message(text, (("by ", text), (Link(text, NEWS_URL),)))))
        assert told.startswith(bold.format(expected) + "\nby " + expected + "\n")
        assert told.count(expected) == 3


def test_pieces_do_not_add_up_to_an_address() -> None:
    message = Message("t", (("evil.", "com"), ("@", Day(dt.date(2026, 1, 1), "durov"))))
    assert only(html(message)) == f"<b>t</b>\nevil.{JOINER}com\n@{JOINER}durov"


def test_nothing_is_read_across_the_edge_of_a_link() -> None:
    source = Link("", "https://example.com/a")
    link = f'<a href="https://example.com/a">https:{JOINER}//example.{JOINER}com/a{JOINER}</a>'
    touching = Message("t", (("x", source, "@durov ", source, source, " b"),))
    assert only(html(touching)) == (
        f"<b>t</b>\nx{JOINER}{link}@{JOINER}durov {link}{link.replace(f'{JOINER}</a>', '</a>')} b"
    )
    bare_link = f"https://example.com/a{JOINER}"
    assert only(plain(touching)) == (
        f"t\nx{JOINER}{bare_link}@{JOINER}durov {bare_link}https://example.com/a b"
    )


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "tg://user?id=1",
        "ftp://example.com/x",
        "//example.com",
        "https:example.com",
        "https://",
        "https://localhost/",
        "https://1.2.3.4/",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://good.com\\@evil.com/",
        "https://evil.com\n.example.com/",
        "https://example.com/a b",
        "https://example.com/\u202egnp.exe",
        'https://example.com/">x',
        "https://example.com/" + "x" * 2029,
        "",
    ],
)
def test_an_address_that_may_mislead_is_no_link(address: str) -> None:
    for message in (Message("t", (("see ", Link("words", address)),)), Message("t", video=address)):
        shown = Shown(only(html(message)))
        assert shown.links == []
        assert only(plain(message)) == shown.words
        assert shown.words.startswith("t\nsee words <") or message.video is not None
        assert "://" not in shown.words
        assert found(shown.words) == []
        assert preview([message]) is None


@pytest.mark.parametrize(
    "address",
    [
        NEWS_URL,
        VIDEO,
        "HTTP://EXAMPLE.COM",
        "https://example.com:8443/a?b=c&d=e#f",
        "https://example.com?q",
        "https://www.youtube.com/@netflix/videos",
        "https://ja.wikipedia.org/wiki/イカゲーム",
        "https://xn--e1afmkfd.xn--p1ai/",
        "https://пример.рф/",
        "https://en.wikipedia.org/wiki/Lost_(TV_series)",
    ],
)
def test_a_plain_address_is_a_link(address: str) -> None:
    message = Message("t", ((Link("words", address), " and ", Link("", address)),), video=address)
    shown = Shown(only(html(message)))
    assert [target for _, target in shown.links] == [address, address]
    assert shown.links[0][0] == "words"
    assert shown.links[1][0].replace(JOINER, "") == address
    assert shown.words.endswith(f"\n{address}")
    assert only(plain(message)) == f"t\nwords <{address}> and {address}\n{address}"
    assert preview([Message("t"), message]) == address


def test_no_video_has_no_preview() -> None:
    assert preview([renewal()]) is None
    assert preview([]) is None
    other = Message("t", video="https://example.com/2")
    assert preview([renewal(), alert_of(an_update("trailer")), other]) == VIDEO


def found(text: str) -> list[str]:
    """What Telegram makes a link of in a text; rather too much than too little.

    By the rules of its server (td/telegram/MessageEntity.cpp), for a domain of any last part.
    """
    domain = r"[^\s\x00-\x2c/:-@\[-^`{-}\u2000-\u200b\u200e-\u200f\u2016-\u206f]+"
    return re.findall(
        r"(?<!\w)@[A-Za-z0-9_]{2,}"
        rf"|\w+://{domain}"
        rf"|{domain}\.(?:[a-zA-Z]{{2}}|[^\W\d_a-zA-Z]).*"
        r"|\d+\.\d+\.\d+\.\d+",
        text,
    )


def test_the_finder_of_links_finds_them() -> None:
    for text in ("(@durov)", "see evil.com.", "💩.la", "x.рф", "tg://x", "http://a1", "1.2.3.4"):
        assert found(text), text
    for text in ("Mr. Robot", "a@b c", "and/or", "evil.\u2060com", "@\u2060durov", "S.W.A.T."):
        assert found(text) == [], text


# --- laws ---

TYPICAL: Final = st.sampled_from(
    [
        "<b>", "</b>", '<a href="https://evil.com">', "</a>", "&lt;", "&amp;lt;", "&#60;", "&", "<",
        '"', "'", "<!--", "]]>", "@durov", "@", "evil", ".", "com", "t.me/", "://", "tg:", "/help",
        "\n", "\r", "\x00", "\x1b[2J", "\u202e", "\u2028", "\u200d", "\ud83d", "🙂", "👨‍👩‍👧", "🇰🇷",
        "é", "e\u0301", "कॉम", " ", "1.2.3.4",
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
    lambda words, times, rest: words * times + rest, hostile, st.integers(0, 600), hostile
)
long_lines = st.lists(long_words | st.builds(Link, long_words, addresses), max_size=3).map(tuple)
long_messages = st.builds(
    Message,
    hostile | long_words,
    st.lists(lines | long_lines, max_size=6).map(tuple),
    video=st.none() | addresses,
)


def expected_words(words: Line, *, addresses_shown: bool, linked: Callable[[str], bool]) -> str:
    """The words of a line before anything is made inert."""
    shown = ""
    for piece in words:
        if isinstance(piece, Link):
            named = bool(clean(piece.text).strip())
            shown += piece.text
            if not linked(piece.url) or (named and addresses_shown):
                shown += f"<{piece.url}>"
            elif not named:
                shown += piece.url
        else:
            shown += piece if isinstance(piece, str) else piece.text
    return clean(shown)


def is_link(url: str) -> bool:
    return preview([Message("", video=url)]) is not None


def assert_leads_to_a_host(address: str) -> None:
    parts = urlsplit(address)
    assert parts.scheme.lower() in ("http", "https")
    assert "." in (parts.hostname or "")
    assert parts.username is None
    assert not set(address) & set(' <>"\\\t\n\r')


def bare(text: str) -> str:
    """A text without blanks, breaks and joiners."""
    return "".join(text.replace(JOINER, "").split())


def expected(message: Message, *, addresses_shown: bool) -> str:
    """All words of a message, without blanks, breaks and joiners."""
    body = "".join(
        expected_words(words, addresses_shown=addresses_shown, linked=is_link)
        for words in message.lines
    )
    return bare(clean(message.title) + body + clean(message.video or "")) or "…"


@given(messages)
def test_html_shows_the_words_and_nothing_is_alive_but_our_links(message: Message) -> None:
    shown = Shown(only(html(message)))
    assert bare(shown.words) == expected(message, addresses_shown=False)
    links = [piece for words in message.lines for piece in words if isinstance(piece, Link)]
    assert [address for _, address in shown.links] == [
        link.url for link in links if is_link(link.url)
    ]
    for words, address in shown.links:
        assert words.strip()
        assert_leads_to_a_host(address)
    assert [bare(words) for words in shown.bold] in ([], [bare(clean(message.title))])
    assert clean(shown.words.replace("\n", "")) == shown.words.replace("\n", "")
    told = shown.words.split("\n")
    if message.video and is_link(message.video):
        assert told.pop() == message.video
    assert found("\n".join(told)) == []


@given(messages)
def test_plain_text_shows_the_words_and_nothing_is_alive_but_our_links(message: Message) -> None:
    shown = only(plain(message))
    assert bare(shown) == expected(message, addresses_shown=True)
    links = [piece.url for words in message.lines for piece in words if isinstance(piece, Link)]
    for address in sorted(filter(is_link, [*links, message.video or ""]), key=len, reverse=True):
        shown = shown.replace(address, "")
    assert found(shown) == []


@settings(max_examples=50)
@example(Message("x" * LIMIT))
@example(Message("x" * (LIMIT + 1)))
@example(Message("🙂" * LIMIT))
@example(Message("x", (("y" * (LIMIT - 2),),)))
@example(Message("&" * LIMIT, tuple((Link("x", NEWS_URL),) for _ in range(400))))
@given(long_messages)
def test_long_messages_are_split_and_nothing_is_lost(message: Message) -> None:
    shown = [Shown(text) for text in html(message)]
    assert "".join(bare(text.words) for text in shown) == expected(message, addresses_shown=False)
    for text in html(message):
        assert 0 < units(Shown(text).words) <= LIMIT
        assert Shown(text).words.strip()
        assert len(text.encode()) <= SOURCE_BYTES
    texts = plain(message)
    assert "".join(map(bare, texts)) == expected(message, addresses_shown=True)
    assert all(0 < units(text) <= LIMIT and text.strip() for text in texts)


@given(st.lists(st.integers(0, LIMIT + 50), min_size=1, max_size=30), st.sampled_from("x🙂"))
def test_a_line_is_cut_only_where_no_text_can_hold_it(lengths: list[int], letter: str) -> None:
    told = [letter * length for length in lengths]
    texts = plain(Message("title", tuple(map(line, told))))
    whole = [words for text in texts for words in text.split("\n")]
    assert {words for words in told if units(words) <= LIMIT} <= set(whole)
    assert len(texts) == 1 or all(
        units(one) + 1 + units(after.split("\n")[0]) > LIMIT for one, after in pairwise(texts)
    )


def test_a_message_of_just_the_limit_is_one_text() -> None:
    assert plain(Message("x" * LIMIT)) == ["x" * LIMIT]
    assert plain(Message("🙂" * (LIMIT // 2))) == ["🙂" * (LIMIT // 2)]
    assert list(map(len, plain(Message("x" * LIMIT + "y")))) == [LIMIT, 1]
    assert [units(text) for text in plain(Message("x" + "🙂" * (LIMIT // 2)))] == [LIMIT - 1, 2]
    full = Message("x" * LIMIT, (("y" * (LIMIT + 1),),))
    assert plain(full) == ["x" * LIMIT, "y" * LIMIT, "y"]


@pytest.mark.parametrize("letter", ["👨‍👩‍👧", "e\u0301", "👍🏽", "🇰🇷", "🇺🇸", "❤️"])
def test_what_is_seen_as_one_letter_is_not_torn(letter: str) -> None:
    for before in range(units(letter) + 1):
        first, second = plain(Message("x" * (LIMIT - before) + letter + "yy"))
        assert (first.endswith(letter), second.startswith(letter)) in [(True, False), (False, True)]


def test_the_markup_counts_for_the_size_of_the_source() -> None:
    address = "https://example.com/" + "x" * 1000
    texts = html(Message("title", tuple((Link(str(place), address),) for place in range(100))))
    assert all(len(text.encode()) <= SOURCE_BYTES for text in texts)
    assert sum(len(Shown(text).links) for text in texts) == 100
    assert len(texts) == 4


# --- several alerts as one text ---


def test_alerts_that_go_out_together_stand_apart() -> None:
    alerts = [renewal(), alert_of(an_update("trailer"))]
    assert alert_html(alerts) == "\n\n".join(only(html(one)) for one in alerts)
    assert alert_plain(alerts) == "\n\n".join(only(plain(one)) for one in alerts)
    assert alert_html(alerts[:1]) == only(html(alerts[0]))
    assert fitting(alerts) == 2


@given(st.lists(st.integers(1, LIMIT + 100), min_size=1, max_size=40))
def test_as_many_go_into_one_text_as_fit(lengths: list[int]) -> None:
    alerts = [Message(f"{place}", (("x" * length,),)) for place, length in enumerate(lengths)]
    count = fitting(alerts)
    assert 1 <= count <= len(alerts)
    together = "\n\n".join(only_words(one) for one in alerts[:count])
    if units(together) <= LIMIT - 2 * count:  # tags cost a little
        assert Shown(alert_html(alerts[:count])).words == together
    assert units(Shown(alert_html(alerts[:count])).words) <= LIMIT
    assert units(alert_plain(alerts[:count])) <= LIMIT
    if count < len(alerts):
        more = "\n\n".join(only_words(one) for one in alerts[: count + 1])
        assert units(more) > LIMIT - 2 * (count + 1)


def only_words(message: Message) -> str:
    return f"{message.title}\n{message.lines[0][0]}"


@settings(max_examples=50)
@given(st.lists(long_messages, max_size=3))
def test_one_text_of_alerts_is_never_too_long(alerts: list[Message]) -> None:
    for text in (Shown(alert_html(alerts)).words, alert_plain(alerts)):
        assert units(text) <= LIMIT
    assert len(alert_html(alerts).encode()) <= SOURCE_BYTES


def test_an_alert_that_is_too_long_ends_in_an_ellipsis() -> None:
    long = Message("x" * 100, (("y" * 5000,), ("z",)))
    assert fitting([long, long]) == 1
    assert alert_html([long]) == "<b>" + "x" * 100 + "</b>\n" + "y" * 3993 + "…"
    assert alert_plain([long]) == "x" * 100 + "\n" + "y" * 3994 + "…"
    between = Message("x", (("y" * 4000,), ("z" * 100,)))
    assert alert_plain([between]) == "x\n" + "y" * 4000 + "…"


# --- buttons ---


def labels(*wanted: str) -> list[list[str]]:
    laid = rows([Action(label, f"/do {place}") for place, label in enumerate(wanted)])
    return [[action.label for action in row] for row in laid]


def test_short_buttons_stand_side_by_side_and_long_ones_alone() -> None:
    assert labels() == []
    assert labels("Details", "Unsubscribe") == [["Details", "Unsubscribe"]]
    assert labels(*"abcdef") == [["a", "b", "c", "d"], ["e", "f"]]
    title = "Marvel's Agents of S.H.I.E.L.D., season 2"
    assert labels("All", title, "None") == [["All"], [title], ["None"]]
    assert labels("x" * 18, "y" * 18, "z") == [["x" * 18, "y" * 18], ["z"]]


def test_a_label_is_short_clean_and_never_empty() -> None:
    assert labels("x" * 61) == [["x" * 59 + "…"]]
    assert labels("\u202eab\ncd", " \x07") == [["ab cd", "/do 1"]]


@given(st.lists(hostile | st.text(min_size=30, max_size=80), max_size=12))
def test_every_button_keeps_its_place_and_its_command(wanted: list[str]) -> None:
    laid = rows([Action(label, f"/do {place}") for place, label in enumerate(wanted)])
    assert [action.command for row in laid for action in row] == [
        f"/do {place}" for place in range(len(wanted))
    ]
    for row in laid:
        assert 1 <= len(row) <= 4
        assert all(0 < len(action.label) <= 60 for action in row)
        assert len(row) == 1 or sum(len(action.label) for action in row) <= 36
