"""The key of a message, and its other forms."""

from hypothesis import given
from hypothesis import strategies as st

from bot.message import Message
from bot.model import Destination, Platform, Seq, ShowId
from bot.outbox.messenger import Notice
from bot.platforms.discord.errors import Fix
from bot.platforms.discord.letters import key, letter, mended

HERE = Destination(Platform.DISCORD, 1, None, 9)
THREAD = Destination(Platform.DISCORD, 1, 2, 9)


def notice(seq: int = 1, role: int | None = None, reply_to: str | None = None) -> Notice:
    words = Message("RENEWED · Dark, season 2", (("Netflix has ordered it.",),))
    return Notice(Seq(seq), words, ShowId("dark"), role, reply_to=reply_to)


_places = st.builds(
    Destination, st.just(Platform.DISCORD), st.integers(1, 9), st.none() | st.integers(1, 9)
)
_updates = st.lists(st.integers(1, 30), min_size=1, max_size=4, unique=True)


@given(_places, _updates, _places, _updates)
def test_a_key_stands_for_the_same_updates_in_the_same_place(
    here: Destination, these: list[int], there: Destination, those: list[int]
) -> None:
    mine, other = (
        key(here, [notice(one) for one in these]),
        key(there, [notice(one) for one in those]),
    )
    assert (mine == other) == ((here, these) == (there, those))
    assert len(mine) <= 25


def test_a_key_stays_the_same_in_all_versions() -> None:
    # Else a message that may have arrived before an upgrade would come twice.
    assert key(HERE, [notice(1)]) == KEPT


KEPT = key(HERE, [notice(1)])


def test_nobody_is_pinged_but_the_roles_that_were_asked_for() -> None:
    assert letter(HERE, [notice()], []).body["allowed_mentions"] == {"parse": []}
    asked = letter(HERE, [notice(1, 5), notice(2), notice(3, 5), notice(4, 6)], [])
    assert asked.body["allowed_mentions"] == {"parse": [], "roles": ["5", "6"]}
    assert "<@&5>" in asked.content
    assert "<@&6>" in asked.content


def test_the_same_key_goes_with_every_form_of_a_message() -> None:
    whole = letter(THREAD, [notice()], [])
    plain = mended(whole, Fix.PLAIN, THREAD, [notice()])
    assert plain is not None
    assert plain.keyed["nonce"] == whole.keyed["nonce"]
    assert plain.keyed["enforce_nonce"] is True
    assert "embeds" not in plain.body
    assert plain.content.startswith("RENEWED · Dark, season 2")


def test_what_a_closed_thread_does_not_take_goes_to_its_channel_with_a_word() -> None:
    moved = mended(letter(THREAD, [notice()], []), Fix.ROOM, THREAD, [notice()])
    assert moved is not None
    assert moved.channel_id == HERE.chat_id
    assert "/subscribe" in moved.content
    assert mended(letter(HERE, [notice()], []), Fix.ROOM, HERE, [notice()]) is None


def test_a_correction_replies_to_the_mistake_and_goes_out_where_that_is_gone() -> None:
    reply = letter(HERE, [notice(reply_to="77")], [])
    reference = {"message_id": "77", "fail_if_not_exists": False}
    assert reply.keyed["message_reference"] == reference
    assert "message_reference" not in letter(HERE, [notice()], []).keyed
    assert "message_reference" not in reply.as_post("Dark", [])["message"]


def test_a_reply_that_is_refused_is_the_same_message_without_it() -> None:
    reply = letter(HERE, [notice(reply_to="77")], [])
    alone = mended(reply, Fix.REPLY, HERE, [notice(reply_to="77")])
    assert alone == letter(HERE, [notice()], [])


def test_in_another_channel_there_is_nothing_to_reply_to() -> None:
    told = [notice(reply_to="77")]
    moved = mended(letter(THREAD, told, []), Fix.ROOM, THREAD, told)
    assert moved is not None
    assert moved.reply_to is None


def test_an_edit_replaces_everything_and_pings_nobody() -> None:
    edited = letter(HERE, [notice(1, 5)], []).edited
    assert edited["allowed_mentions"] == {"parse": []}
    assert edited["embeds"]
    assert edited["components"] == []
    assert "nonce" not in edited
    assert letter(HERE, [notice(1, 5)], [], plain=True).edited["embeds"] == []


def test_there_is_no_reply_to_leave_out() -> None:
    assert mended(letter(HERE, [notice()], []), Fix.REPLY, HERE, [notice()]) is None
