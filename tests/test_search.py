"""Title search as people use it: half a word, a wrong letter, another keyboard."""

import random

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from bot.search import Match, TitleIndex, fold

CATALOGUE = [
    ("tt1", "Stranger Things"),
    ("tt2", "All of Us Are Dead"),
    ("tt2", "지금 우리 학교는"),
    ("tt3", "The Walking Dead"),
    ("tt4", "Fear the Walking Dead"),
    ("tt5", "Grey's Anatomy"),
    ("tt6", "Pokémon"),
    ("tt6", "ポケットモンスター"),
    ("tt7", "Мой капитан"),
    ("tt8", "Ёлки"),
    ("tt9", "S.W.A.T."),
    ("tt10", "葬送のフリーレン"),
    ("tt10", "Frieren: Beyond Journey's End"),
    ("tt11", "Strange"),
    ("tt12", "Law & Order"),
    ("tt13", "Rocky 3"),
    ("tt14", "최강 배달꾼"),
    ("tt15", "Łowcy i Ødegård"),
]


@pytest.fixture(scope="module")
def index() -> TitleIndex:
    return TitleIndex(CATALOGUE)


def shows(index: TitleIndex, text: str) -> list[str]:
    return [match.show for match in index.search(text)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GREY'S  Anatomy", "greys anatomy"),
        ("Grey’s", "grey's"),
        ("Pokémon", "pokemon"),
        ("ＡＢＣ１２", "abc12"),
        ("ﾎﾟｹｯﾄ", "ぽけっと"),
        ("Straße", "STRASSE"),
        ("Ёлки, мой", "елки мои"),
        ("Law & Order", "law and order"),
        ("S.W.A.T.", "swat"),
        ("Ødegård — Łódź", "odegard lodz"),
        ("Spider-Man: Home", "spider man home"),
    ],
)
def test_spellings_of_one_title_fold_alike(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("か", "が"), ("ハ", "パ"), ("3.5", "35"), ("가", "나"), ("Mr.Robot", "mrrobot")],
)
def test_letters_that_make_another_word_stay_apart(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("stranger things", "tt1"),
        ("strnger thigs", "tt1"),
        ("Stranegr Things", "tt1"),
        ("all of us are ded", "tt2"),
        ("walkng dead", "tt3"),
        ("wolking dead", "tt3"),
        ("pokemon", "tt6"),
        ("pokmon", "tt6"),
        ("greys", "tt5"),
        ("swat", "tt9"),
        ("law and ord", "tt12"),
        ("lowcy i odegard", "tt15"),
        ("ＳＴＲＡＮＧＥＲ Ｔ", "tt1"),
    ],
)
def test_a_title_is_found_first_however_it_is_typed(
    index: TitleIndex, typed: str, first: str
) -> None:
    assert shows(index, typed)[0] == first


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("지그", "tt2"),
        ("지금 우리 힉교는", "tt2"),
        ("학교", "tt2"),
        ("쵝", "tt14"),
        ("최강 배달군", "tt14"),
        ("최강 달배꾼", "tt14"),
    ],
)
def test_korean_is_found_by_unfinished_and_misspelt_syllables(
    index: TitleIndex, typed: str, first: str
) -> None:
    assert shows(index, typed)[0] == first


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("ぽけっと", "tt6"),
        ("ﾎﾟｹｯﾄﾓﾝ", "tt6"),
        ("ホケットモンスター", "tt6"),
        ("フリーレン", "tt10"),
        ("葬逆のフリーレン", "tt10"),
        ("葬フ", "tt10"),
    ],
)
def test_japanese_is_found_by_either_kana_any_width_and_from_inside(
    index: TitleIndex, typed: str, first: str
) -> None:
    assert shows(index, typed)[0] == first


@pytest.mark.parametrize(
    ("typed", "first"),
    [("мои кап", "tt7"), ("МОЙ КОПИТАН", "tt7"), ("капитан", "tt7"), ("елки", "tt8")],
)
def test_cyrillic_is_found_without_its_marks(index: TitleIndex, typed: str, first: str) -> None:
    assert shows(index, typed)[0] == first


def test_the_whole_title_comes_before_longer_ones_and_misspelt_ones_last() -> None:
    titles = ["Stranger", "My Strange Day", "Strangers", "Stronger", "Strange"]
    index = TitleIndex((title, title) for title in titles)
    assert shows(index, "strange")[:4] == ["Strange", "Stranger", "Strangers", "My Strange Day"]
    assert shows(index, "stranger")[:2] == ["Stranger", "Strangers"]
    assert set(shows(index, "stranger")[2:4]) == {"Stronger", "Strange"}


def test_a_misspelt_beginning_comes_before_a_misspelt_word_inside() -> None:
    index = TitleIndex([("inside", "My Garden"), ("beginning", "Garden Stories")])
    assert shows(index, "gardan") == ["beginning", "inside"]


def test_titles_that_differ_only_late_are_told_apart() -> None:
    index = TitleIndex(
        (end, f"Detective Conan the Movie: {end}")
        for end in ("Sun", "Crossroad", "Crossroad at Sea")
    )
    assert shows(index, "detective conan the movie crossroad at")[0] == "Crossroad at Sea"
    assert shows(index, "detective conan the movie crossroad")[0] == "Crossroad"
    assert shows(index, "detective conan the movie crosroad")[0] == "Crossroad"


def test_a_word_in_the_middle_is_found(index: TitleIndex) -> None:
    assert shows(index, "walk") == ["tt3", "tt4"]


def test_letters_inside_a_word_are_not_its_beginning(index: TitleIndex) -> None:
    assert "tt3" not in shows(index, "king")


def test_one_match_per_show_with_the_title_that_fits_best() -> None:
    index = TitleIndex([("a", "The Office UK"), ("a", "The Office"), ("b", "The Office US")])
    assert [(m.show, m.title) for m in index.search("the offi")] == [
        ("a", "The Office"),
        ("b", "The Office US"),
    ]


def test_a_show_of_many_titles_does_not_crowd_out_another() -> None:
    many = [("many", f"Night {number}") for number in range(60)]
    index = TitleIndex([*many, ("other", "Night Manager"), ("last", "A Night")])
    assert shows(index, "night") == ["many", "other", "last"]


@pytest.mark.parametrize(("limit", "listed"), [(0, 0), (1, 1), (25, 25), (1000, 25), (-1, 0)])
def test_never_more_than_the_limit_and_never_more_than_25(limit: int, listed: int) -> None:
    index = TitleIndex((str(number), f"Night {number}") for number in range(60))
    assert len(index.search("night", limit)) == listed


def test_the_score_is_one_only_for_the_whole_title(index: TitleIndex) -> None:
    assert index.search("STRANGE")[0] == Match("tt11", "Strange", 1.0)
    assert all(0 < match.score < 1 for match in index.search("stran"))


def test_every_title_counts_except_one_of_symbols_only() -> None:
    assert len(TitleIndex([("a", "Lost"), ("a", "Zagubieni"), ("b", "???")])) == 2


def test_an_empty_index_finds_nothing() -> None:
    assert TitleIndex([]).search("lost") == []
    assert TitleIndex([]).find("lost") is None


@pytest.mark.parametrize("typed", ["", " ", "\n\t", "!!!", "…—", "🎬", "\u0301", "'", "\x00", "*."])
def test_a_query_without_letters_finds_nothing(index: TitleIndex, typed: str) -> None:
    assert index.search(typed) == []
    assert index.find(typed) is None


@pytest.mark.parametrize(
    "typed", ["a" * 5000, "the " * 1250, "가" * 5000, "が" * 5000, "\u0301" * 5000, "\ufdfa" * 5000]
)
def test_a_very_long_query_finds_nothing_and_breaks_nothing(index: TitleIndex, typed: str) -> None:
    assert index.search(typed) == []


@pytest.mark.parametrize("title", ["\ufdfa" * 300, "가" * 5000, "word " * 1000, "a\u0301" * 999])
def test_a_very_long_title_is_still_found_by_its_beginning(title: str) -> None:
    assert shows(TitleIndex([("long", title)]), title[:20]) == ["long"]


@pytest.mark.parametrize(
    ("typed", "show"),
    [
        ("stranger things", "tt1"),
        ("strnger things", "tt1"),
        ("strange", "tt11"),
        ("the walking dead", "tt3"),
        ("지금 우리 학교는", "tt2"),
        ("swat", "tt9"),
        (" tt7 ", "tt7"),
    ],
)
def test_find_names_the_show_that_is_meant(index: TitleIndex, typed: str, show: str) -> None:
    match = index.find(typed)
    assert match is not None
    assert match.show == show


@pytest.mark.parametrize("typed", ["stran", "walking dead", "dead", "rocky 2", "lost", "all of"])
def test_find_names_none_when_in_doubt(index: TitleIndex, typed: str) -> None:
    assert index.find(typed) is None


def test_find_names_none_of_two_shows_that_are_equally_near() -> None:
    index = TitleIndex([("a", "Ghosts of London"), ("b", "Ghosts of Londen"), ("c", "Shameless")])
    assert index.find("ghosts of londxn") is None
    assert TitleIndex([("us", "Shameless"), ("uk", "Shameless")]).find("Shameless") is None
    assert TitleIndex([("a", "Shameless"), ("a", "SHAMELESS")]).find("shameless") is not None


def test_a_show_found_by_its_id_is_given_its_first_title(index: TitleIndex) -> None:
    assert index.find("tt2") == Match("tt2", "All of Us Are Dead", 1.0)


LETTERS = "abcdefgilmnorstuy אבгджёй가나닭값かがパー葬送é'&-3"
titles = st.text(st.sampled_from(LETTERS), min_size=1, max_size=30)


@given(st.lists(titles, min_size=1, max_size=30, unique_by=fold))
def test_every_title_is_found_first_by_its_own_text(catalogue: list[str]) -> None:
    index = TitleIndex((title, title) for title in catalogue)
    for title in filter(fold, catalogue):
        assert index.search(title)[0] == Match(title, title, 1.0)
        assert index.find(title) == Match(title, title, 1.0)


@given(titles, st.integers(1, 30))
def test_every_beginning_of_a_title_finds_it(title: str, size: int) -> None:
    start = fold(title)[:size]
    assume(start)
    assert shows(TitleIndex([("it", title), ("other", "Zwölf")]), start)[0] == "it"


def edited(text: str, kind: str, at: int, letter: str) -> str:
    """The text with one substitution, insertion, deletion or transposition at a position."""
    at %= len(text)
    return {
        "substitution": text[:at] + letter + text[at + 1 :],
        "insertion": text[:at] + letter + text[at:],
        "deletion": text[:at] + text[at + 1 :],
        "transposition": text[:at] + text[at : at + 2][::-1] + text[at + 2 :],
    }[kind]


@given(
    st.one_of(
        st.text(st.sampled_from("abcdegiklmnorstuvwyz"), min_size=6, max_size=40),
        st.text(st.sampled_from("абвгдезиклмнорстуя"), min_size=6, max_size=40),
        st.text(st.sampled_from("가나달경학교지금우리"), min_size=6, max_size=20),
        st.text(st.sampled_from("かきくけさしすなにのパガ葬送転生"), min_size=6, max_size=20),
    ),
    st.sampled_from(["substitution", "insertion", "deletion", "transposition"]),
    st.integers(0, 40),
    st.sampled_from("xq짱꽃ぬ夢"),
)
@example("abcdef", "transposition", 2, "x")
@example("지금우리학교", "substitution", 2, "짱")
@example("かかかガかか", "deletion", 3, "x")
def test_one_error_still_finds_a_title_of_six_letters(
    title: str, kind: str, at: int, letter: str
) -> None:
    index = TitleIndex([("it", title), *CATALOGUE])
    assert "it" in shows(index, edited(title, kind, at, letter))


@given(st.text(max_size=60), st.integers(-3, 40))
def test_any_text_whatever_is_answered(text: str, limit: int) -> None:
    index = TitleIndex([*CATALOGUE, ("text", text)])
    matches = index.search(text, limit)
    assert len(matches) <= max(0, min(limit, 25))
    assert len({match.show for match in matches}) == len(matches)
    assert all(0 <= match.score <= 1 for match in matches)


def test_a_typo_is_found_among_thousands_that_look_like_it() -> None:
    rng = random.Random(7)
    words = ["night", "day", "house", "river", "city", "garden", "secret", "last", "lost", "golden"]
    crowd = {" ".join(rng.choices(words, k=4)) for _ in range(5000)} - {"last golden river"}
    index = TitleIndex([("it", "Last Golden River"), *((title, title) for title in crowd)])
    assert shows(index, "lsat golden river")[0] == "it"
    assert shows(index, "last golden rivr")[0] == "it"
