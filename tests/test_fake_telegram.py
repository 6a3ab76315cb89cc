"""The fake Telegram, as a bot sees it through the stock library and as a test sees it."""

import asyncio
import contextlib
import datetime as dt
import html
import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest
import telegram
from aiohttp import ClientSession, web
from hypothesis import given
from hypothesis import strategies as st
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)

from tests.build import shared_file
from tests.fakes.telegram import FakeTelegram, Member, Person
from tests.fakes.telegram.markup import Unreadable, parse_html, part, read, units

PATIENCE: Final = 10.0


@pytest.fixture(autouse=True)
def _library_speaks_of_time_as_it_will(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")


@pytest.fixture
def fake() -> Iterator[FakeTelegram]:
    with FakeTelegram() as fake:
        yield fake


@pytest.fixture
async def bot(fake: FakeTelegram) -> AsyncIterator[telegram.Bot]:
    async with bot_of(fake) as bot:
        yield bot


@pytest.fixture
def official() -> None:
    """The official table is there."""
    shared_file("specs/telegram-api.json")


def bot_of(fake: FakeTelegram, token: str | None = None) -> telegram.Bot:
    return telegram.Bot(token or fake.token, base_url=f"{fake.url}/bot")


def button(label: str, **kind: Any) -> telegram.InlineKeyboardMarkup:
    return telegram.InlineKeyboardMarkup([[telegram.InlineKeyboardButton(label, **kind)]])


async def held_back(waiting: "asyncio.Task[Any]") -> None:
    """Give a request time to reach the server; it is not answered meanwhile."""
    done, _ = await asyncio.wait({waiting}, timeout=0.1)
    assert not done


async def texts(bot: telegram.Bot, **asked: Any) -> list[str | None]:
    return [one.message.text for one in await bot.get_updates(**asked) if one.message]


class TestUpdates:
    async def test_an_update_waits_until_a_higher_offset_confirms_it(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice")
        fake.say(alice, "one")
        fake.say(alice, "two")
        first, second = await bot.get_updates()
        assert await texts(bot) == ["one", "two"]
        assert await texts(bot, offset=first.update_id) == ["one", "two"]
        assert await texts(bot, offset=second.update_id) == ["two"]
        assert await texts(bot) == ["two"]
        assert await texts(bot, offset=second.update_id + 1) == []
        assert fake.pending == ()

    async def test_a_negative_offset_keeps_the_newest(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice")
        for text in ("one", "two", "three"):
            fake.say(alice, text)
        assert await texts(bot, offset=-1) == ["three"]
        assert await texts(bot) == ["three"]

    async def test_no_more_are_given_than_asked_for(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice")
        for text in ("one", "two", "three"):
            fake.say(alice, text)
        assert await texts(bot, limit=2) == ["one", "two"]

    async def test_a_long_poll_wakes_up_when_something_happens(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        poll = asyncio.create_task(texts(bot, timeout=50))
        await asyncio.to_thread(fake.wait_until_polled)
        fake.say(fake.person("Alice"), "hello")
        assert await asyncio.wait_for(poll, PATIENCE) == ["hello"]

    async def test_a_long_poll_ends_with_nothing_when_nothing_happens(
        self, bot: telegram.Bot
    ) -> None:
        assert await texts(bot, timeout=1) == []

    async def test_a_second_poll_ends_the_first(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        first = asyncio.create_task(bot.get_updates(timeout=50))
        await asyncio.to_thread(fake.wait_until_polled)
        async with bot_of(fake) as other:
            second = asyncio.create_task(texts(other, timeout=50))
            with pytest.raises(Conflict, match="only one bot instance is running"):
                await asyncio.wait_for(first, PATIENCE)
            fake.say(fake.person("Alice"), "hello")
            assert await asyncio.wait_for(second, PATIENCE) == ["hello"]

    async def test_only_updates_that_are_wanted_are_kept_from_then_on(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice", started=True)
        await bot.get_updates(allowed_updates=["my_chat_member"])
        fake.say(alice, "hello")
        fake.block(alice)
        await bot.get_updates()
        fake.say(alice, "hello again")
        kinds = [one.to_dict().keys() - {"update_id"} for one in await bot.get_updates()]
        assert kinds == [{"my_chat_member"}, {"my_chat_member"}]

    async def test_updates_of_a_day_ago_are_lost(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        fake.say(fake.person("Alice"), "hello")
        fake.forget_updates()
        assert await bot.get_updates() == ()

    async def test_the_stock_application_polls_and_answers(self, fake: FakeTelegram) -> None:
        async def greet(update: telegram.Update, _context: Any) -> None:
            assert update.effective_message
            await update.effective_message.reply_text("Hello!")

        from telegram.ext import ApplicationBuilder, CommandHandler

        address = f"{fake.url}/bot"
        application = ApplicationBuilder().token(fake.token).base_url(address).build()
        application.add_handler(CommandHandler("start", greet))
        async with application:
            assert application.updater
            await application.updater.start_polling(timeout=1)
            await application.start()
            alice = fake.person("Alice")
            sent = await asyncio.to_thread(fake.ask, alice, "/start")
            await asyncio.to_thread(fake.wait_until_confirmed)
            await application.updater.stop()
            await application.stop()
        assert sent.text == "Hello!"


class TestWebhook:
    @pytest.fixture
    async def receiver(self) -> AsyncIterator[tuple[str, list[tuple[str | None, str]], list[int]]]:
        """An address, what it got with which secret, and the statuses it answers first."""
        got: list[tuple[str | None, str]] = []
        statuses: list[int] = []

        async def take(request: web.Request) -> web.Response:
            update = await request.json()
            secret = request.headers.get("X-Telegram-Bot-Api-Secret-Token")
            got.append((secret, update["message"]["text"]))
            return web.Response(status=statuses.pop(0) if statuses else 200)

        application = web.Application()
        application.router.add_post("/hook", take)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", got, statuses
        await runner.cleanup()

    async def test_updates_are_posted_with_the_secret_until_they_are_taken(
        self,
        fake: FakeTelegram,
        bot: telegram.Bot,
        receiver: tuple[str, list[tuple[str | None, str]], list[int]],
    ) -> None:
        url, got, statuses = receiver
        statuses += [500, 503]
        alice = fake.person("Alice")
        await bot.set_webhook(url, secret_token="S3cret-token_")
        fake.say(alice, "one")
        fake.say(alice, "two")
        await asyncio.to_thread(fake.wait_until_confirmed)
        assert [text for _, text in got] == ["one", "one", "one", "two"]
        assert {secret for secret, _ in got} == {"S3cret-token_"}
        info = await bot.get_webhook_info()
        assert info.url == url
        assert info.last_error_message == "Wrong response from the webhook: 503 Service Unavailable"

    async def test_what_nobody_takes_stays_for_later(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        await bot.set_webhook("http://127.0.0.1:9/nobody")
        fake.say(fake.person("Alice"), "hello")
        while not (info := await bot.get_webhook_info()).last_error_message:
            await asyncio.sleep(0.01)
        assert info.pending_update_count == 1
        assert info.last_error_message == "Connection refused"
        await bot.delete_webhook()
        assert await texts(bot) == ["hello"]

    async def test_it_and_polling_exclude_each_other(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        poll = asyncio.create_task(bot.get_updates(timeout=50))
        await asyncio.to_thread(fake.wait_until_polled)
        await bot.set_webhook("http://127.0.0.1:9/nobody")
        with pytest.raises(Conflict, match="terminated by setWebhook request"):
            await asyncio.wait_for(poll, PATIENCE)
        with pytest.raises(Conflict, match="while webhook is active"):
            await bot.get_updates()

    async def test_pending_updates_can_be_dropped(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        fake.say(fake.person("Alice"), "hello")
        await bot.delete_webhook(drop_pending_updates=True)
        assert await bot.get_updates() == ()

    async def test_a_secret_is_of_few_characters(self, bot: telegram.Bot) -> None:
        with pytest.raises(BadRequest, match="Secret token contains unallowed characters"):
            await bot.set_webhook("https://cliffhanger.example/hook", secret_token="a b")


READABLE: Final = {
    "plain": ("plain", []),
    "<b>bold</b> <strong>bold</strong>": ("bold bold", [("bold", "bold"), ("bold", "bold")]),
    "<i>a</i><em>b</em>": ("ab", [("italic", "a"), ("italic", "b")]),
    "<u>a</u><ins>b</ins>": ("ab", [("underline", "a"), ("underline", "b")]),
    "<s>a</s><strike>b</strike><del>c</del>": (
        "abc",
        [("strikethrough", "a"), ("strikethrough", "b"), ("strikethrough", "c")],
    ),
    "<tg-spoiler>a</tg-spoiler><span class='tg-spoiler'>b</span>": (
        "ab",
        [("spoiler", "a"), ("spoiler", "b")],
    ),
    '<a href="https://x.org/?a=1&amp;b=2">x</a>': ("x", [("text_link", "x")]),
    "<a href='nowhere'>x</a>": ("x", []),
    "<code>x.org</code> <pre>a</pre>": ("x.org a", [("code", "x.org"), ("pre", "a")]),
    '<pre><code class="language-python">a</code></pre>': ("a", [("pre", "a")]),
    "<blockquote>a</blockquote>": ("a", [("blockquote", "a")]),
    "<blockquote expandable>a</blockquote>": ("a", [("expandable_blockquote", "a")]),
    '<tg-emoji emoji-id="5368324170671202286">🎬</tg-emoji>': ("🎬", [("custom_emoji", "🎬")]),
    '<tg-time unix="1800000000" format="wDT">soon</tg-time>': ("soon", [("date_time", "soon")]),
    "<b>🎬 <i>new</i></b> x": ("🎬 new x", [("bold", "🎬 new"), ("italic", "new")]),
    "&lt;b&gt; &amp;amp; &quot; &#33; &#x21;": ('<b> &amp; " ! !', []),
    "&nbsp; &copy; & more": ("&nbsp; &copy; & more", []),
    "a > b": ("a > b", []),
    "<B>a</b>": ("a", [("bold", "a")]),
    "<b></b>a<i> </i>b": ("a b", []),
    " \n <b>a</b> \n": ("a", [("bold", "a")]),
    "see https://netflix.com/tudum.": (
        "see https://netflix.com/tudum.",
        [("url", "https://netflix.com/tudum")],
    ),
    "🎬 /list 🎬 x.org": ("🎬 /list 🎬 x.org", [("bot_command", "/list"), ("url", "x.org")]),
    "variety.com, not Node.js": ("variety.com, not Node.js", [("url", "variety.com")]),
    "use /follow@CliffhangerBot or /list": (
        "use /follow@CliffhangerBot or /list",
        [("bot_command", "/follow@CliffhangerBot"), ("bot_command", "/list")],
    ),
    "and/or 1/2": ("and/or 1/2", []),
    "@netflix #Severance me@x.org": (
        "@netflix #Severance me@x.org",
        [("mention", "@netflix"), ("hashtag", "#Severance"), ("email", "me@x.org")],
    ),
}

UNREADABLE: Final = {
    "<h1>a</h1>": 'Unsupported start tag "h1" at byte offset 0',
    "é<br>": 'Unsupported start tag "br" at byte offset 2',
    "2 < 3": 'Unsupported start tag "" at byte offset 2',
    "<b>a": 'Can\'t find end tag corresponding to start tag "b"',
    "a</b>": "Unexpected end tag at byte offset 1",
    "<b><i>a</b></i>": 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"',
    "<b": "Unclosed start tag at byte offset 0",
    "<b>a</b": "Unclosed end tag at byte offset 4",
    '<a href="x>x</a>': 'Unclosed start tag "a" at byte offset 0',
    "<a href=https://x.org>x</a>": "Unexpected end of name token at byte offset 8",
    '<a ="x">x</a>': 'Empty attribute name in the tag "a" at byte offset 0',
    "<span>a</span>": 'Tag "span" must have class "tg-spoiler" at byte offset 0',
    "<tg-emoji emoji-id='x'>a</tg-emoji>": "Invalid custom emoji identifier specified",
    "<tg-time unix='1' format='y'>a</tg-time>": "Invalid date format used",
    "&#xd800;": "Text contains invalid Unicode characters",
}


class TestHtml:
    @pytest.mark.parametrize(("source", "seen"), READABLE.items(), ids=READABLE)
    def test_it_is_read_as_telegram_reads_it(
        self, source: str, seen: tuple[str, list[tuple[str, str]]]
    ) -> None:
        text, entities = read(source, html=True)
        assert (text, [(one["type"], part(text, one)) for one in entities]) == seen

    @pytest.mark.parametrize(("source", "reason"), UNREADABLE.items(), ids=UNREADABLE)
    def test_what_cannot_be_read_is_refused_in_telegrams_words(
        self, source: str, reason: str
    ) -> None:
        with pytest.raises(Unreadable) as refused:
            read(source, html=True)
        assert str(refused.value).startswith(f"Can't parse entities: {reason}")

    async def test_the_refusal_reaches_the_bot_and_nothing_is_sent(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice", started=True)
        with pytest.raises(BadRequest, match="Can't parse entities: unsupported start tag"):
            await bot.send_message(alice.id, "2 < 3", parse_mode="HTML")
        assert fake.sent_to(alice) == ()
        assert fake.calls("sendMessage")[0].status == 400

    @given(st.text(st.sampled_from("<>&/= \"';#x1ab\n🎬é-")))
    def test_whatever_comes_is_read_or_refused(self, source: str) -> None:
        with contextlib.suppress(Unreadable):
            text, entities = parse_html(source)
            assert all(0 <= e["offset"] < e["offset"] + e["length"] for e in entities)
            assert all(e["offset"] + e["length"] <= units(text) for e in entities)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from((None, "bold", "italic", "underline")),
                st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1),
            )
        )
    )
    def test_offsets_count_utf16_units_as_the_library_reads_them(
        self, parts: list[tuple[str | None, str]]
    ) -> None:
        tags = {"bold": "b", "italic": "i", "underline": "u"}
        source = " ".join(
            f"<{tags[kind]}>{html.escape(text)}</{tags[kind]}>" if kind else html.escape(text)
            for kind, text in parts
        )
        text, entities = parse_html(source)
        message = telegram.Message(
            message_id=1,
            date=dt.datetime.now(dt.UTC),
            chat=telegram.Chat(1, "private"),
            text=text,
            entities=[telegram.MessageEntity(**one) for one in entities],
        )
        assert text == " ".join(text for _, text in parts)
        assert units(text) == len(text.encode("utf-16-le")) // 2
        marked = [(kind, text) for kind, text in parts if kind]
        assert [(one.type, message.parse_entity(one)) for one in message.entities] == marked
        assert [(one["type"], part(text, one)) for one in entities] == marked


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "Message text is empty"),
            (" \n ", "Text must be non-empty"),
            ("<b></b>", "Text must be non-empty"),
            ("x" * 4097, "Message is too long"),
            ("🎬" * 2049, "Message is too long"),
            ("<b>x</b>" * 4096, None),
            (f"<i>{'🎬' * 2048}</i>", None),
            ("&amp;" * 4096, None),
        ],
    )
    async def test_the_length_counts_what_is_read(
        self, fake: FakeTelegram, bot: telegram.Bot, text: str, reason: str | None
    ) -> None:
        alice = fake.person("Alice", started=True)
        if reason is None:
            sent = await bot.send_message(alice.id, text, parse_mode="HTML")
            assert len(str(sent.text).encode("utf-16-le")) == 2 * 4096
        else:
            with pytest.raises(BadRequest, match=reason):
                await bot.send_message(alice.id, text, parse_mode="HTML")

    async def test_the_history_holds_what_is_read_and_what_was_sent(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice", started=True)
        source = '<b>RENEWED</b> &amp; <a href="https://netflix.com">source</a>'
        returned = await bot.send_message(
            alice.id,
            source,
            parse_mode="HTML",
            disable_notification=True,
            link_preview_options=telegram.LinkPreviewOptions(is_disabled=True),
            reply_markup=button("Unfollow", callback_data="u1"),
        )
        (sent,) = fake.history
        assert (sent.method, sent.chat_id, sent.message_id) == (
            "sendMessage",
            alice.id,
            returned.message_id,
        )
        assert (sent.text, sent.html, sent.silent) == ("RENEWED & source", source, True)
        assert sent.marked("bold") == ["RENEWED"]
        assert sent.links == ["https://netflix.com/"]
        assert sent.buttons == {"Unfollow": "u1"}
        assert sent.link_preview_options == {"is_disabled": True}
        assert returned.text == sent.text

    async def test_a_reply_names_what_it_answers(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice")
        said = fake.say(alice, "/list")
        reply = telegram.ReplyParameters(said.message_id)
        returned = await bot.send_message(alice.id, "Nothing yet.", reply_parameters=reply)
        assert returned.reply_to_message
        assert returned.reply_to_message.text == "/list"
        assert fake.history[-1].reply_to == said.message_id
        with pytest.raises(BadRequest, match="Message to be replied not found"):
            await bot.send_message(
                alice.id, "Nothing.", reply_parameters=telegram.ReplyParameters(99)
            )

    @pytest.mark.parametrize(
        ("keyboard", "reason"),
        [
            (button("a", callback_data="x" * 64), None),
            (button("a", callback_data="é" * 33), "Button_data_invalid"),
            (button("a", callback_data=""), "Text buttons are unallowed in the inline keyboard"),
            (button("a"), "Text buttons are unallowed in the inline keyboard"),
            (button("", callback_data="x"), "button text must be non-empty"),
            (button("a", url="https://netflix.com/tudum"), None),
            (button("a", url="tg://user?id=1"), None),
            (button("a", url="netflix"), "URL 'netflix' is invalid: wrong http url"),
            (button("a", url="ftp://x.org"), "is invalid: unsupported url protocol"),
            (button("a", url="https://"), "is invalid: url host is empty"),
            (button("a", callback_data="x", style="gold"), "invalid button style specified"),
        ],
    )
    async def test_buttons_are_refused_in_telegrams_words(
        self,
        fake: FakeTelegram,
        bot: telegram.Bot,
        keyboard: telegram.InlineKeyboardMarkup,
        reason: str | None,
    ) -> None:
        alice = fake.person("Alice", started=True)
        if reason is None:
            await bot.send_message(alice.id, "x", reply_markup=keyboard)
        else:
            with pytest.raises(BadRequest, match=f"(?i){re.escape(reason)}"):
                await bot.send_message(alice.id, "x", reply_markup=keyboard)

    async def test_a_channel_shows_inline_keyboards_only(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        keyboard = telegram.ReplyKeyboardMarkup([["Share"]])
        with pytest.raises(BadRequest, match="Inline keyboard expected"):
            await bot.send_message(fake.channel("News").id, "x", reply_markup=keyboard)

    async def test_a_document_arrives_with_name_and_content(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice", started=True)
        await bot.send_document(alice.id, b"{}", caption="Your data.", filename="data.json")
        (sent,) = fake.sent_to(alice)
        assert sent.document
        assert (sent.document.name, sent.document.content, sent.text) == (
            "data.json",
            b"{}",
            "Your data.",
        )
        with pytest.raises(BadRequest, match="Message caption is too long"):
            await bot.send_document(alice.id, b"{}", caption="x" * 1025)


class TestEdits:
    async def test_an_edit_is_an_entry_of_its_own_and_changes_the_screen(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice", started=True)
        keyboard = button("Undo", callback_data="u")
        message = await bot.send_message(alice.id, "Followed.", reply_markup=keyboard)
        await message.edit_text("Unfollowed.")
        assert [(one.method, one.text) for one in fake.history] == [
            ("sendMessage", "Followed."),
            ("editMessageText", "Unfollowed."),
        ]
        assert [one.text for one in fake.sent_to(alice)] == ["Followed."]
        (shown,) = fake.on_screen(alice)
        assert (shown.text, shown.buttons) == ("Unfollowed.", {})

    async def test_an_edit_that_changes_nothing_is_refused(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice", started=True)
        keyboard = button("Undo", callback_data="u")
        message = await bot.send_message(alice.id, "Followed.", reply_markup=keyboard)
        for edit in (
            message.edit_text("Followed.", reply_markup=keyboard),
            message.edit_reply_markup(keyboard),
        ):
            with pytest.raises(BadRequest, match="Message is not modified: specified new message"):
                await edit
        await message.edit_reply_markup(None)
        with pytest.raises(BadRequest, match="Message is not modified"):
            await message.edit_reply_markup(None)

    async def test_only_messages_of_the_bot_that_are_there_can_be_edited(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice")
        said = fake.say(alice, "/start")
        with pytest.raises(BadRequest, match="Message can't be edited"):
            await bot.edit_message_text("x", alice.id, said.message_id)
        with pytest.raises(BadRequest, match="Message to edit not found"):
            await bot.edit_message_text("x", alice.id, 99)

    async def test_a_deleted_message_is_gone_from_the_screen(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        group = fake.supergroup("Fans", members=[fake.person("Bob")])
        message = await bot.send_message(group.id, "Hello.")
        assert await message.delete()
        assert fake.on_screen(group) == ()
        assert len(fake.sent_to(group)) == 1
        with pytest.raises(BadRequest, match="Message to delete not found"):
            await message.delete()
        said = fake.say(fake.person("Alice"), "/list", group)
        with pytest.raises(BadRequest, match="Message can't be deleted"):
            await bot.delete_message(group.id, said.message_id)


class TestPresses:
    async def test_a_press_is_answered_once(self, fake: FakeTelegram, bot: telegram.Bot) -> None:
        alice = fake.person("Alice", started=True)
        await bot.send_message(alice.id, "Hi", reply_markup=button("Follow", callback_data="f1"))
        press = fake.press(alice, fake.history[0], "Follow")
        (update,) = await bot.get_updates()
        query = update.callback_query
        assert query
        assert isinstance(query.message, telegram.Message)
        assert (query.data, query.from_user.id, query.message.text) == ("f1", alice.id, "Hi")
        await query.answer("Followed.", show_alert=True)
        answer = fake.wait_for_answer(press)
        assert (answer.text, answer.alert) == ("Followed.", True)
        with pytest.raises(BadRequest, match="Query is too old and response timeout expired"):
            await query.answer()

    async def test_a_press_can_be_too_old_to_answer(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice", started=True)
        await bot.send_message(alice.id, "Hi", reply_markup=button("Follow", callback_data="f1"))
        press = fake.press(alice, fake.history[0])
        fake.expire(press)
        with pytest.raises(BadRequest, match="or query ID is invalid".lower()):
            await bot.answer_callback_query(press.id)

    async def test_data_can_be_forged_and_a_message_too_old_to_see(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice, mallory = fake.person("Alice", started=True), fake.person("Mallory")
        await bot.send_message(alice.id, "Hi", reply_markup=button("Follow", callback_data="f1"))
        fake.press(mallory, fake.history[0], data="f2", inaccessible=True)
        (update,) = await bot.get_updates()
        assert update.callback_query
        assert update.callback_query.data == "f2"
        assert update.callback_query.message
        assert not update.callback_query.message.is_accessible

    async def test_nobody_can_press_a_button_that_is_not_there(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice", started=True)
        message = await bot.send_message(
            alice.id, "Hi", reply_markup=button("Follow", callback_data="f1")
        )
        with pytest.raises(AssertionError, match="no button 'Unfollow'"):
            fake.press(alice, fake.history[0], "Unfollow")
        await message.edit_text("Done.")
        with pytest.raises(AssertionError, match="no button 'Follow'"):
            fake.press(alice, fake.history[0], "Follow")


class TestPeople:
    async def test_a_group_shows_the_bot_what_is_meant_for_it(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice")
        group = fake.supergroup("Fans", admins=[alice])
        sent = await bot.send_message(group.id, "Hello.")
        fake.say(alice, "just talk", group)
        fake.say(alice, "/list", group)
        fake.say(alice, "/list@OtherBot", group)
        fake.say(alice, "/list@cliffhangerbot", group)
        fake.say(alice, "thanks", group, reply_to=sent.message_id)
        assert await texts(bot) == ["/list", "/list@cliffhangerbot", "thanks"]
        fake.forget_updates()
        fake.set_bot(group, "administrator")
        fake.say(alice, "just talk", group)
        assert await texts(bot) == ["just talk"]

    async def test_an_anonymous_administrator_is_named_as_the_group(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice")
        group = fake.supergroup("Fans", admins=[alice])
        fake.say(alice, "/follow Severance", group, as_anonymous_admin=True)
        (update,) = await bot.get_updates()
        message = update.message
        assert message
        assert message.from_user
        assert message.from_user.id == telegram.constants.ChatID.ANONYMOUS_ADMIN
        assert message.from_user.username == "GroupAnonymousBot"
        assert message.sender_chat == message.chat
        assert message.chat.id == group.id

    async def test_a_channel_in_a_group_is_named_as_the_channel(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        group = fake.supergroup("Fans", bot="administrator")
        channel = fake.channel("News")
        fake.say(fake.person("Bob"), "/follow", group, as_channel=channel)
        fake.post(channel, "A post", into=group)
        written, posted, copied = await bot.get_updates()
        assert written.message
        assert written.message.from_user
        assert written.message.sender_chat
        assert written.message.from_user.id == telegram.constants.ChatID.FAKE_CHANNEL
        assert written.message.sender_chat.id == channel.id
        assert posted.channel_post
        assert posted.channel_post.from_user is None
        assert copied.message
        assert copied.message.is_automatic_forward
        assert copied.message.from_user
        assert copied.message.from_user.id == telegram.constants.ChatID.SERVICE_CHAT

    async def test_blocking_is_told_and_refuses_messages_until_the_next_start(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice", started=True)
        fake.block(alice)
        with pytest.raises(Forbidden, match="bot was blocked by the user"):
            await bot.send_message(alice.id, "Hi")
        fake.say(alice, "/start")
        blocked, unblocked, start = await bot.get_updates()
        for update, statuses in ((blocked, "member kicked"), (unblocked, "kicked member")):
            change = update.my_chat_member
            assert change
            old, new = change.old_chat_member, change.new_chat_member
            assert f"{old.status} {new.status}" == statuses
            assert new.user.id == fake.bot.id
        assert start.message
        await bot.send_message(alice.id, "Hi")

    async def test_the_statuses_of_members_are_told(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        owner, admin, member, stranger = (fake.person(name) for name in "ABCD")
        group = fake.supergroup("Fans", owner=owner, admins=[admin], members=[member])
        fake.set_member(group, member, "restricted", can_send_messages=False)
        statuses = [
            (await bot.get_chat_member(group.id, one.id)).status
            for one in (owner, admin, member, stranger)
        ]
        assert statuses == ["creator", "administrator", "restricted", "left"]
        assert group.member(owner.id).may("can_promote_members")
        assert not group.member(admin.id).may("can_promote_members")
        administrators = await bot.get_chat_administrators(group.id)
        assert {one.user.id for one in administrators} == {owner.id, admin.id}
        assert (await bot.get_chat_member(group.id, fake.bot.id)).status == "member"
        with pytest.raises(BadRequest, match="Member not found"):
            await bot.get_chat_member(group.id, 1)

    async def test_members_of_a_channel_are_for_administrators(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice")
        channel = fake.channel("News", admins=[alice], bot="member")
        with pytest.raises(BadRequest, match="Member list is inaccessible"):
            await bot.get_chat_member(channel.id, alice.id)
        fake.set_bot(channel, "administrator")
        assert (await bot.get_chat_member(channel.id, alice.id)).status == "administrator"

    async def test_adding_and_removing_the_bot_is_told(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice")
        group = fake.group("Fans", admins=[alice], bot="left")
        fake.add_bot(group, by=alice)
        fake.remove_bot(group, by=alice)
        added, service, removed = await bot.get_updates()
        assert added.my_chat_member
        assert added.my_chat_member.from_user.id == alice.id
        assert added.my_chat_member.new_chat_member.status == "member"
        assert service.message
        assert service.message.new_chat_members[0].id == fake.bot.id
        assert removed.my_chat_member
        assert removed.my_chat_member.new_chat_member.status == "kicked"
        with pytest.raises(Forbidden, match="bot was kicked from the group chat"):
            await bot.send_message(group.id, "Hi")

    async def test_leaving_is_told_too(self, fake: FakeTelegram, bot: telegram.Bot) -> None:
        group = fake.supergroup("Fans")
        await bot.leave_chat(group.id)
        (update,) = await bot.get_updates()
        assert update.my_chat_member
        assert update.my_chat_member.new_chat_member.status == "left"
        with pytest.raises(Forbidden, match="bot is not a member of the supergroup chat"):
            await bot.get_chat(group.id)

    async def test_a_chosen_channel_is_shared_and_gets_the_bot(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice", started=True)
        channel = fake.channel("News", admins=[alice], bot="left")
        rights = telegram.ChatAdministratorRights.all_rights()
        request = telegram.KeyboardButtonRequestChat(
            7,
            chat_is_channel=True,
            bot_administrator_rights=rights,
            user_administrator_rights=rights,
            request_title=True,
        )
        keyboard = telegram.ReplyKeyboardMarkup(
            [[telegram.KeyboardButton("Choose", request_chat=request)]]
        )
        await bot.send_message(alice.id, "Which channel?", reply_markup=keyboard)
        fake.share_chat(alice, fake.history[0], channel)
        promoted, shared = await bot.get_updates()
        assert promoted.my_chat_member
        assert promoted.my_chat_member.chat.id == channel.id
        assert shared.message
        assert shared.message.chat_shared == telegram.ChatShared(7, channel.id, "News")
        await bot.send_message(channel.id, "Now here.")
        with pytest.raises(AssertionError, match="Bob is no administrator"):
            fake.share_chat(fake.person("Bob"), fake.history[0], channel)

    async def test_a_request_for_a_chat_belongs_into_a_private_chat(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        request = telegram.KeyboardButtonRequestChat(7, chat_is_channel=True)
        keyboard = telegram.ReplyKeyboardMarkup(
            [[telegram.KeyboardButton("Choose", request_chat=request)]]
        )
        with pytest.raises(BadRequest, match="Chats can be requested in private chats only"):
            await bot.send_message(fake.group("Fans").id, "Which?", reply_markup=keyboard)

    async def test_an_edited_message_is_told(self, fake: FakeTelegram, bot: telegram.Bot) -> None:
        said = fake.say(fake.person("Alice"), "/folow")
        fake.edit(said, "/follow")
        _, edited = await bot.get_updates()
        assert edited.edited_message
        assert edited.edited_message.text == "/follow"
        assert edited.edited_message.entities[0].length == len("/follow")


def _places(fake: FakeTelegram) -> dict[str, int]:
    """Chats where a message is refused, by the reason."""
    alice, blocking, gone = (fake.person(name, started=True) for name in "ABC")
    fake.block(blocking)
    fake.deactivate(gone)
    closed = fake.supergroup("Closed", admins=[alice], forum=True)
    fake.close_topic(closed)
    deleted, deleted_channel = fake.group("Deleted"), fake.channel("Deleted")
    fake.delete_chat(deleted)
    fake.delete_chat(deleted_channel)
    silent = Member("restricted", {"can_send_messages": False})
    powerless = Member("administrator", {"can_post_messages": False})
    return {
        "400 Chat not found": -1,
        "400 chat not found": deleted_channel.id,
        "403 Forbidden: bot can't initiate conversation with a user": fake.person("D").id,
        "403 Forbidden: bot was blocked by the user": blocking.id,
        "403 Forbidden: user is deactivated": gone.id,
        "403 Forbidden: the group chat was deleted": deleted.id,
        "403 Forbidden: bot was kicked from the group chat": fake.group("1", bot="kicked").id,
        "403 Forbidden: bot is not a member of the group chat": fake.group("2", bot="left").id,
        "403 Forbidden: bot was kicked from the supergroup chat": fake.supergroup(
            "3", bot="kicked"
        ).id,
        "403 Forbidden: bot is not a member of the supergroup chat": fake.supergroup(
            "4", bot="left"
        ).id,
        "403 Forbidden: bot was kicked from the channel chat": fake.channel("5", bot="kicked").id,
        "403 Forbidden: bot is not a member of the channel chat": fake.channel("6", bot="left").id,
        "400 need administrator rights in the channel chat": fake.channel("7", bot="member").id,
        "400 Need administrator rights in the channel chat": fake.channel("8", bot=powerless).id,
        "400 not enough rights to send text messages to the chat": fake.supergroup(
            "9", bot=silent
        ).id,
        "400 topic_closed": closed.id,
    }


class TestPlaces:
    async def test_a_message_is_refused_for_the_reason_that_is_there(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        for reason, chat in _places(fake).items():
            status, _, text = reason.partition(" ")
            with pytest.raises(TelegramError, match=f"(?i)^{text}$") as refused:
                await bot.send_message(chat, "Hi")
            assert isinstance(refused.value, Forbidden if status == "403" else BadRequest)
            assert fake.requests[-1].status == int(status)
        assert fake.history == ()

    async def test_an_upgraded_group_answers_with_its_new_id(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice")
        group = fake.group("Fans", admins=[alice])
        new = fake.upgrade(group, by=alice)
        to_new, from_old = await bot.get_updates()
        assert to_new.message
        assert (to_new.message.chat.id, to_new.message.migrate_to_chat_id) == (group.id, new.id)
        assert from_old.message
        assert from_old.message.chat.id == new.id
        assert from_old.message.migrate_from_chat_id == group.id
        with pytest.raises(ChatMigrated) as moved:
            await bot.send_message(group.id, "Hi")
        assert moved.value.new_chat_id == new.id
        await bot.send_message(new.id, "Hi")
        assert (await bot.get_chat_member(new.id, alice.id)).status == "administrator"

    async def test_topics_are_apart_and_can_be_closed_and_deleted(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice")
        forum = fake.supergroup("Fans", admins=[alice], forum=True)
        news, talk = forum.topic("News"), forum.topic("Talk")
        fake.say(alice, "/here", forum, topic=news)
        (update,) = await bot.get_updates()
        assert update.message
        assert update.message.is_topic_message
        assert update.message.message_thread_id == news
        sent = await bot.send_message(forum.id, "Hi", message_thread_id=news)
        assert sent.message_thread_id == news
        assert len(fake.sent_to(forum, news)) == len(fake.sent_to(forum)) == 1
        assert fake.sent_to(forum, talk) == ()
        fake.close_topic(forum, news)
        with pytest.raises(BadRequest, match="Topic_closed"):
            await bot.send_message(forum.id, "Hi", message_thread_id=news)
        fake.set_bot(forum, "administrator")
        await bot.send_message(forum.id, "Hi", message_thread_id=news)
        fake.delete_topic(forum, talk)
        for thread in (talk, 1, 99):
            with pytest.raises(BadRequest, match="Message thread not found"):
                await bot.send_message(forum.id, "Hi", message_thread_id=thread)

    async def test_a_thread_of_replies_is_no_topic(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice")
        group = fake.supergroup("Fans", admins=[alice])
        sent = await bot.send_message(group.id, "Hi")
        fake.say(alice, "/list", group, reply_to=sent.message_id)
        (update,) = await bot.get_updates()
        assert update.message
        assert update.message.message_thread_id == sent.message_id
        assert not update.message.is_topic_message
        await bot.send_message(group.id, "Hi", message_thread_id=sent.message_id)
        assert fake.history[-1].thread_id is None

    async def test_a_chat_is_told_by_id_and_by_name(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        channel = fake.channel("News", username="cliffnews")
        assert (await bot.get_chat("@cliffnews")).id == channel.id
        await bot.send_message("@cliffnews", "Hi")
        assert fake.wait_for(channel, "Hi").chat_id == channel.id

    async def test_sending_too_fast_is_refused_where_limits_are_on(self) -> None:
        with FakeTelegram(limits=True) as fake:
            async with bot_of(fake) as bot:
                alice, bob = (fake.person(name, started=True) for name in ("Alice", "Bob"))
                await bot.send_message(alice.id, "one")
                await bot.send_message(bob.id, "one")
                with pytest.raises(RetryAfter) as slower:
                    await bot.send_message(alice.id, "two")
                assert slower.value.retry_after == dt.timedelta(seconds=1)
            assert fake.calls("sendMessage")[-1].status == 429

    async def test_what_is_paid_for_may_be_sent_faster(self) -> None:
        with FakeTelegram(limits=True) as fake:
            assert fake._world.limits
            fake._world.limits.overall = 1
            async with bot_of(fake) as bot:
                people = [fake.person(f"Person {n}", started=True) for n in range(4)]
                for person in people[:3]:
                    await bot.send_message(person.id, "paid", allow_paid_broadcast=True)
                with pytest.raises(RetryAfter):
                    await bot.send_message(people[3].id, "not paid")


class TestSettings:
    async def test_commands_are_kept_by_scope_and_language(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        groups = telegram.BotCommandScopeAllGroupChats()
        await bot.set_my_commands([("follow", "Follow a show")])
        await bot.set_my_commands([("list", "Serien")], scope=groups, language_code="de")
        assert fake.commands() == {"follow": "Follow a show"}
        assert fake.commands("all_group_chats", "de") == {"list": "Serien"}
        assert fake.commands("all_group_chats") == {}
        (command,) = await bot.get_my_commands(scope=groups, language_code="de")
        assert command.command == "list"
        await bot.delete_my_commands(scope=groups, language_code="de")
        assert fake.commands("all_group_chats", "de") == {}

    @pytest.mark.parametrize(
        ("name", "about", "reason"),
        [
            ("Follow", "x", "Bot_command_invalid"),
            ("follow-up", "x", "Bot_command_invalid"),
            ("follow", "", "Bot_command_description_invalid"),
            ("follow", "x" * 257, "Bot_command_description_invalid"),
        ],
    )
    async def test_a_command_has_a_short_name_and_a_description(
        self, bot: telegram.Bot, name: str, about: str, reason: str
    ) -> None:
        with pytest.raises(BadRequest, match=reason):
            await bot.set_my_commands([(name, about)])

    async def test_the_profile_is_kept_by_language(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        await bot.set_my_description("Tells you.")
        await bot.set_my_short_description("Sagt es dir.", language_code="de")
        assert fake.profile("description") == "Tells you."
        assert fake.profile("short_description", "de") == "Sagt es dir."
        assert (await bot.get_my_description(language_code="fr")).description == "Tells you."


class TestFaults:
    @pytest.fixture
    def alice(self, fake: FakeTelegram) -> Person:
        return fake.person("Alice", started=True)

    async def test_a_refusal_by_script_befalls_as_many_as_it_says(
        self, fake: FakeTelegram, bot: telegram.Bot, alice: Person
    ) -> None:
        fault = fake.fail(status=403, description="Forbidden: bot was blocked by the user")
        with pytest.raises(Forbidden, match="blocked"):
            await bot.send_message(alice.id, "one")
        await bot.send_message(alice.id, "two")
        assert [one.text for one in fake.history] == ["two"]
        assert fault.struck == 1

    async def test_a_fault_can_be_meant_for_one_chat_and_be_stopped(
        self, fake: FakeTelegram, bot: telegram.Bot, alice: Person
    ) -> None:
        bob = fake.person("Bob", started=True)
        fault = fake.fail(status=500, times=None, chat=bob)
        await bot.send_message(alice.id, "one")
        for _ in range(2):
            with pytest.raises(NetworkError, match="Internal Server Error: restart"):
                await bot.send_message(bob.id, "one")
        fault.stop()
        await bot.send_message(bob.id, "one")

    @pytest.mark.parametrize(
        ("seconds", "raised"), [(7, RetryAfter), (0, NetworkError), (None, NetworkError)]
    )
    async def test_a_flood_says_how_long_to_wait_or_does_not(
        self,
        fake: FakeTelegram,
        bot: telegram.Bot,
        alice: Person,
        seconds: int | None,
        raised: type[TelegramError],
    ) -> None:
        fake.flood(seconds)
        with pytest.raises(raised) as flood:
            await bot.send_message(alice.id, "one")
        assert type(flood.value) is raised

    @pytest.mark.parametrize("accepted", [False, True])
    async def test_a_connection_drops_before_or_after_the_message_is_taken(
        self, fake: FakeTelegram, bot: telegram.Bot, alice: Person, accepted: bool
    ) -> None:
        fake.drop(accepted=accepted)
        with pytest.raises(NetworkError):
            await bot.send_message(alice.id, "one")
        assert len(fake.history) == accepted
        assert fake.requests[-1].status is None

    @pytest.mark.parametrize("accepted", [False, True])
    async def test_a_late_answer_is_too_late_for_an_impatient_bot(
        self, fake: FakeTelegram, bot: telegram.Bot, alice: Person, accepted: bool
    ) -> None:
        fake.delay(seconds=0.5, accepted=accepted)
        with pytest.raises(TimedOut):
            await bot.send_message(alice.id, "one", read_timeout=0.1)
        assert len(fake.history) == accepted
        await asyncio.to_thread(fake.wait_for, alice, "one")

    @pytest.mark.parametrize(
        ("status", "raised"),
        [(200, TelegramError), (413, NetworkError), (502, NetworkError), (504, NetworkError)],
    )
    async def test_an_answer_can_be_no_answer_of_the_bot_api(
        self,
        fake: FakeTelegram,
        bot: telegram.Bot,
        alice: Person,
        status: int,
        raised: type[TelegramError],
    ) -> None:
        fake.raw(status=status, accepted=True)
        with pytest.raises(TelegramError) as error:
            await bot.send_message(alice.id, "one")
        assert type(error.value) is raised
        assert len(fake.history) == 1

    async def test_polling_gets_what_a_script_makes_up(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        fake.raw("getUpdates", body={"ok": True, "result": [{"update_id": 5}] * 2})
        assert [one.update_id for one in await bot.get_updates()] == [5, 5]
        fake.fail("getUpdates", status=409)
        with pytest.raises(Conflict, match="only one bot instance is running"):
            await bot.get_updates()

    async def test_a_revoked_token_is_good_for_nothing_until_it_is_restored(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        fake.revoke()
        with pytest.raises(InvalidToken):
            await bot.get_me()
        assert fake.requests[-1].status == 401
        fake.restore()
        await bot.get_me()

    async def test_another_token_is_unknown_and_another_path_leads_nowhere(
        self, fake: FakeTelegram
    ) -> None:
        async with ClientSession() as session:
            for path, status, text in (
                ("/bot1:x/getMe", 401, "Unauthorized"),
                ("/bot/getMe", 404, "Not Found"),
                ("/", 404, "Not Found"),
            ):
                async with session.get(fake.url + path) as response:
                    assert await response.json() == {
                        "ok": False,
                        "error_code": status,
                        "description": text,
                    }

    @pytest.mark.parametrize("accepted", [False, True])
    async def test_answers_can_be_held_back_while_requests_are_in_flight(
        self, fake: FakeTelegram, bot: telegram.Bot, alice: Person, accepted: bool
    ) -> None:
        with fake.held(accepted=accepted) as hold:
            send = asyncio.create_task(bot.send_message(alice.id, "one"))
            await asyncio.to_thread(fake.wait_until_held, hold)
            assert hold.waiting == 1
            assert len(fake.history) == accepted
            await held_back(send)
            await bot.get_me()
        await asyncio.wait_for(send, PATIENCE)
        assert hold.waiting == 0

    async def test_the_server_can_vanish_and_come_back_with_its_memory(
        self, fake: FakeTelegram, bot: telegram.Bot, alice: Person
    ) -> None:
        poll = asyncio.create_task(bot.get_updates(timeout=50))
        await asyncio.to_thread(fake.wait_until_polled)
        fake.down()
        for failing in (poll, bot.send_message(alice.id, "one")):
            with pytest.raises(NetworkError):
                await failing
        fake.say(alice, "hello")
        fake.up()
        assert await texts(bot) == ["hello"]


class TestGate:
    @pytest.mark.parametrize(
        ("method", "parameters", "wrong"),
        [
            ("sendMessage", {"chat_id": 1}, "sendMessage needs text"),
            ("sendMessage", {"chat_id": 1, "text": 2}, "sendMessage.text is not of type String"),
            (
                "sendMessage",
                {"chat_id": 1, "text": "x", "disable_web_page_preview": True},
                "sendMessage has no parameter disable_web_page_preview",
            ),
            (
                "sendMessage",
                {"chat_id": 1, "text": "x", "disable_notification": 1},
                "sendMessage.disable_notification is not a Boolean",
            ),
            (
                "sendMessage",
                {"chat_id": 1, "text": "x", "link_preview_options": {"disabled": True}},
                "LinkPreviewOptions has no field disabled",
            ),
            (
                "sendMessage",
                {"chat_id": 1, "text": "x", "reply_markup": {"inline_keyboard": [[{}]]}},
                "InlineKeyboardButton needs text",
            ),
            (
                "sendMessage",
                {"chat_id": 1, "text": "x", "reply_markup": {"inline_keyboard": [{}]}},
                "sendMessage.reply_markup.inline_keyboard[0] is not a list",
            ),
            (
                "setMyCommands",
                {"commands": [], "scope": {"type": "everyone"}},
                "setMyCommands.scope.type is not",
            ),
            ("sendTelegram", {}, "there is no method sendTelegram"),
        ],
    )
    @pytest.mark.usefixtures("official")
    async def test_what_the_official_table_does_not_have_is_refused_and_remembered(
        self, fake: FakeTelegram, method: str, parameters: dict[str, Any], wrong: str
    ) -> None:
        async with ClientSession() as session:
            address = f"{fake.url}/bot{fake.token}/{method}"
            async with session.post(address, json=parameters) as response:
                assert response.status == 400
                assert wrong in (await response.json())["description"]
        (violation,) = fake.take_violations()
        assert violation.startswith(wrong) or wrong in violation

    @pytest.mark.usefixtures("official")
    async def test_a_form_is_held_against_it_like_json(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        alice = fake.person("Alice", started=True)
        with pytest.raises(BadRequest, match=r"(?i)has no parameter shout"):
            await bot.send_message(alice.id, "x", api_kwargs={"shout": True})
        assert fake.take_violations() == ("sendMessage has no parameter shout",)

    @pytest.mark.usefixtures("official")
    def test_a_violation_fails_the_test_that_did_not_expect_it(self) -> None:
        def violate() -> None:
            with FakeTelegram() as fake, contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(f"{fake.url}/bot{fake.token}/sendTelegram").close()

        with pytest.raises(AssertionError, match="there is no method sendTelegram"):
            violate()

    async def test_a_method_that_the_fake_lacks_is_a_violation_too(
        self, fake: FakeTelegram, bot: telegram.Bot
    ) -> None:
        with pytest.raises(BadRequest, match=r"(?i)the fake has no method sendDice"):
            await bot.send_dice(1)
        assert fake.take_violations() == ("the fake has no method sendDice",)


class TestServer:
    def test_a_test_without_a_loop_can_use_it_and_it_leaves_nothing_behind(self) -> None:
        threads = threading.active_count()
        with FakeTelegram() as fake:
            address = f"{fake.url}/bot{fake.token}/getMe"
            with urllib.request.urlopen(address, timeout=PATIENCE) as response:
                assert json.load(response)["result"]["username"] == "CliffhangerBot"
        assert threading.active_count() == threads
        with pytest.raises(urllib.error.URLError, match="refused"):
            urllib.request.urlopen(address, timeout=PATIENCE)

    def test_waiting_for_what_does_not_come_says_what_came(self, fake: FakeTelegram) -> None:
        with pytest.raises(AssertionError, match=r"not within 0\.05 s: a message with 'hello'"):
            fake.wait_for(fake.person("Alice"), "hello", within=0.05)

    def test_fifty_people_talk_at_once(self, fake: FakeTelegram) -> None:
        people = [fake.person(f"P{number}") for number in range(50)]
        threads = [threading.Thread(target=fake.say, args=(one, "/start")) for one in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        numbers = [one["update_id"] for one in fake.pending]
        assert numbers == sorted(set(numbers))
        assert len(numbers) == len(people)

    async def test_a_fault_of_the_fake_itself_fails_the_test(self) -> None:
        async def break_it() -> None:
            with FakeTelegram() as fake:
                fake._world.updates = None  # type: ignore[assignment]
                async with bot_of(fake) as bot:
                    with pytest.raises(NetworkError, match="the fake broke"):
                        await bot.get_updates()

        with pytest.raises(AssertionError, match="AttributeError"):
            await break_it()
