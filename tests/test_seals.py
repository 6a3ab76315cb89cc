"""The data of alert buttons: only this bot makes it, and it opens in one chat."""

import string
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model import Seq
from bot.platforms.seals import Pressed, Seals

SEALS: Final = Seals("123456789:AAEfakeFakeFakeFakeFakeFakeFakeFake")
OTHERS: Final = Seals("123456789:AAEfakeFakeFakeFakeFakeFakeFakeFakf")
MOST_DATA: Final = 64
"""Bytes that Telegram lets a button hold."""

chats = st.integers(-(2**53), 2**53)
buttons = st.builds(Pressed, st.builds(Seq, st.integers(0, 2**64 - 1)), st.integers(0, 255))


@given(chats, buttons)
def test_what_was_sealed_for_a_chat_opens_there(chat: int, button: Pressed) -> None:
    data = SEALS.seal(chat, button)
    assert SEALS.open(chat, data) == button
    assert len(data.encode()) == 29 <= MOST_DATA
    assert set(data) <= set(string.ascii_letters + string.digits + "-_")


@given(chats, chats, buttons)
def test_it_opens_in_no_other_chat(chat: int, other: int, button: Pressed) -> None:
    opened = SEALS.open(other, SEALS.seal(chat, button))
    assert opened == (button if other == chat else None)


@given(chats, buttons)
def test_no_other_bot_opens_or_makes_it(chat: int, button: Pressed) -> None:
    assert OTHERS.open(chat, SEALS.seal(chat, button)) is None
    assert SEALS.open(chat, OTHERS.seal(chat, button)) is None


@given(chats, buttons, st.integers(0, 28), st.sampled_from(string.ascii_letters + "-_=+/ é\x00"))
def test_a_changed_character_breaks_the_seal(
    chat: int, button: Pressed, place: int, character: str
) -> None:
    data = SEALS.seal(chat, button)
    changed = data[:place] + character + data[place + 1 :]
    # What base64 also writes as "-" and "_" is the same seal.
    assert changed.replace("+", "-").replace("/", "_") == data or SEALS.open(chat, changed) is None


@given(chats, buttons, st.integers(0, 28))
def test_a_part_of_a_seal_is_none(chat: int, button: Pressed, length: int) -> None:
    data = SEALS.seal(chat, button)
    assert SEALS.open(chat, data[:length]) is None
    assert SEALS.open(chat, data + data[:length][1:]) is None or length <= 1


@given(chats, st.text(max_size=MOST_DATA))
def test_no_text_breaks_the_opening(chat: int, data: str) -> None:
    assert SEALS.open(chat, data) is None
    assert SEALS.open(chat, "a" + data) is None


@pytest.mark.parametrize("data", ["", "a", "aa", "a" * 29, "\ud800", "a\ud800", "a" + "A" * 28])
def test_what_is_no_seal_is_refused(data: str) -> None:
    assert SEALS.open(1, data) is None


def test_seals_hold_after_a_restart_with_the_same_token() -> None:
    button = Pressed(Seq(7), 1)
    again = Seals("123456789:AAEfakeFakeFakeFakeFakeFakeFakeFake")
    assert again.open(-100, SEALS.seal(-100, button)) == button
