"""Finds shows by title, original title or alias, in any script and with typing errors.

Titles are kept folded (`fold`) and numbered from the shortest to the longest. A place in a title
is one integer, the number and the offset packed together, so that smaller places are shorter
titles; arrays of places sorted by the text behind them answer "what begins like this" by
bisection. A misspelt query is cut into pieces, of which at least one is likely to be right: the
titles holding a piece where the query does are the candidates whose edit distance is measured.
"""

import re
import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import pairwise

from rapidfuzz import process
from rapidfuzz.distance import OSA

MOST = 25
_LONGEST = 256  # characters of a title or query that count; no real title is longer
_OFFSET_BITS = 10
_OFFSET = (1 << _OFFSET_BITS) - 1
_SORTED = 16  # characters the arrays are sorted by: more would only slow the building down
_CANDIDATES = 2000  # measured at most for one query: this bounds the time of a search
_CLEAR, _AHEAD = 0.85, 0.1  # what `find` asks of the best score, and of its lead

_APOSTROPHES = "'’‘ʼ`´′"
_VOICING = "\u3099\u309a"  # the marks that make か into が: another letter, not an accent
_ACRONYM = re.compile(r"(?<=\b[^\W\d_])[.*](?=[^\W\d_]\b)")  # the dots of S.W.A.T., M*A*S*H
_KANA = "\u3041"  # where the scripts begin that need no spaces, or write syllables
_FINALS = (
    "ㄱ ㄲ ㄱㅅ ㄴ ㄴㅈ ㄴㅎ ㄷ ㄹ ㄹㄱ ㄹㅁ ㄹㅂ ㄹㅅ ㄹㅌ ㄹㅍ ㄹㅎ "
    "ㅁ ㅂ ㅂㅅ ㅅ ㅆ ㅇ ㅈ ㅊ ㅋ ㅌ ㅍ ㅎ"
)


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFKD", text).casefold()


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


class _Letters(dict[int, str]):
    """What a decomposed character becomes in a folded text, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        mark, letter = unicodedata.combining(char), unicodedata.category(char)[0] in "LMN"
        kept = "" if mark else char if letter else " "
        if len(self) < 20_000:  # a stranger typing all of Unicode must not fill the memory
            self[code] = kept
        return kept


_LETTERS = _Letters(
    {katakana: chr(katakana - 0x60) for katakana in range(0x30A1, 0x30F7)}
    | {ord(mark): mark for mark in _VOICING}
    | {ord(mark): "" for mark in _APOSTROPHES}
    | dict(zip(map(ord, "øłđðı"), "olddi", strict=True))
    | {ord("æ"): "ae", ord("œ"): "oe", ord("þ"): "th", ord("&"): " and "}
)
# A Korean keyboard puts a consonant under the syllable before it until the next vowel comes.
_MOVED = {chr(0x11A8 + at): _decomposed(typed) for at, typed in enumerate(_FINALS.split())}


def fold(text: str) -> str:
    """The form in which titles are compared: no case, accents, punctuation or width.

    Hangul is taken apart into jamo and katakana become hiragana; words are one space apart. A
    text of symbols only folds to "".
    """
    plain = _ACRONYM.sub("", _decomposed(text))
    return " ".join(plain.translate(_LETTERS).split())


def _numbers(title: str) -> list[str]:
    return re.findall(r"\d+", _key(title))


def _key(text: str) -> str:
    return fold(text[:_LONGEST])[:_OFFSET]


@dataclass(frozen=True, slots=True)
class Match:
    """A show found, the title it was found by, and how alike title and query are (1 = equal)."""

    show: str
    title: str
    score: float


def _begins_word(text: str, at: int) -> bool:
    """Kana and ideographs are written without spaces: any of them may begin a word."""
    return at > 0 and (text[at - 1] == " " or text[at] >= _KANA) and text[at] not in _VOICING


class _Places:
    """Places in titles, sorted by the text behind them: one array for each first character."""

    def __init__(self, texts: Sequence[str], places: Iterable[int]) -> None:
        self._texts = texts
        first: dict[str, array[int]] = {}
        for place in places:
            char = texts[place >> _OFFSET_BITS][place & _OFFSET]
            first.setdefault(char, array("I")).append(place)
        self._sorted = {
            char: array("I", sorted(same, key=self.behind)) for char, same in first.items()
        }

    def behind(self, place: int, size: int = _SORTED) -> str:
        """The text from the place on, at most `size` characters."""
        at = place & _OFFSET
        return self._texts[place >> _OFFSET_BITS][at : at + size]

    def before(self, piece: str) -> "array[int]":
        """The places behind which the text begins with the piece."""
        same = self._sorted.get(piece[0], array("I"))
        sure = piece[:_SORTED]
        low = bisect_left(same, sure, key=self.behind)
        near = same[low : bisect_left(same, sure + "\U0010ffff", low, key=self.behind)]
        if sure == piece:
            return near
        return array("I", (place for place in near if self.behind(place, len(piece)) == piece))


def _pieces(query: str) -> Iterator[tuple[int, str]]:
    """The query in two, three and (if long) four parts, each with its offset.

    One error leaves a half or a third whole, also when it is a transposition across the middle.
    The cuts are between characters as typed, not inside a Korean syllable.
    """
    typed = _composed(query)
    for parts in (2, 3, 4) if len(typed) >= 12 else (2, 3):
        edges = [len(typed) * part // parts for part in range(parts + 1)]
        for low, high in pairwise(edges):
            piece = unicodedata.normalize("NFD", typed[low:high])
            yield len(unicodedata.normalize("NFD", typed[:low])), piece


class TitleIndex:
    """All titles of all shows; built once, then only read."""

    def __init__(self, titles: Iterable[tuple[str, str]]) -> None:
        """Takes (show id, title) pairs, several per show; the first is the show's main title."""
        given = list(titles)
        rows = [(len(key), key, show, title) for show, title in given if (key := _key(title))]
        rows.sort()
        self._main = dict(reversed(given))
        self._shows = [(show, title) for _, _, show, title in rows]
        self._texts = texts = [key for _, key, _, _ in rows]
        self._starts = _Places(texts, (number << _OFFSET_BITS for number in range(len(texts))))
        self._words = _Places(texts, self._everywhere(words_only=True))
        self._anywhere = _Places(texts, self._everywhere(words_only=False))

    def __len__(self) -> int:
        return len(self._shows)

    def _everywhere(self, words_only: bool) -> Iterator[int]:
        for number, text in enumerate(self._texts):
            for at in range(len(text)):
                if not words_only or _begins_word(text, at):
                    yield number << _OFFSET_BITS | at

    def search(self, text: str, limit: int = MOST) -> list[Match]:
        """At most `limit` shows (and 25), best first: titles that begin with the text, titles
        with a word that does, then misspelt ones; shorter titles first among equals.
        """
        query = _key(text)
        found: dict[str, Match] = {}
        for number in self._ranked(query) if query else ():
            if len(found) >= min(limit, MOST):
                break
            show, title = self._shows[number]
            if show not in found:
                score = OSA.normalized_similarity(query, self._texts[number])
                found[show] = Match(show, title, score)
        return list(found.values())

    def find(self, text: str) -> Match | None:
        """The show that is meant beyond reasonable doubt, by title or id; None if there is doubt.

        Two shows of the same title are doubt, and so is another number: "Rocky 2" is not a
        misspelt "Rocky 3".
        """
        if (show := text.strip()) in self._main:
            return Match(show, self._main[show], 1.0)
        found = sorted(self.search(text), key=lambda match: match.score, reverse=True)
        if not found:
            return None
        best, rival = found[0], found[1].score if len(found) > 1 else 0.0
        clear = rival < 1 if best.score == 1 else best.score >= max(_CLEAR, rival + _AHEAD)
        return best if clear and _numbers(best.title) == _numbers(text) else None

    def _ranked(self, query: str) -> Iterator[int]:
        """Numbers of titles, best first; a number may come twice."""
        moved = query[:-1] + _MOVED.get(query[-1], query[-1])
        for places in (self._starts, self._words):
            for start in dict.fromkeys((query, moved)):
                # A show can have several titles here: more than are shown.
                for place in nsmallest(4 * MOST, places.before(start)):
                    yield place >> _OFFSET_BITS
        yield from self._misspelt(query)

    def _misspelt(self, query: str) -> Iterator[int]:
        """Titles near to the query, whole or up to any point, from their start or a word's."""
        typed = _composed(query)
        size = len(typed)
        # An ideograph or a syllable says as much as several letters: two of them are enough.
        enough = 2 if max(typed) >= _KANA else 3
        errors = min(5, max(size // 4, int(size >= enough)))
        places = self._candidates(query) if errors else []
        texts = [_composed(self._starts.behind(place, len(query) + 3)) for place in places]
        best = near = _distances(typed, range(len(texts)), texts, size, errors + 1)
        for cut in (size - 1, size + 1):
            there = _distances(typed, near, texts, cut, errors)
            best = {at: min(best[at], there.get(at, best[at])) for at in near}
        right = ((best[at], places[at]) for at in best if best[at] <= errors)
        order = sorted((wrong, place & _OFFSET > 0, place) for wrong, place in right)
        return (place >> _OFFSET_BITS for _, _, place in order)

    def _candidates(self, query: str) -> list[int]:
        """Where the query may begin, judged by its rarest pieces."""
        # One Korean syllable or voiced kana more or less moves the rest by up to three.
        shift = 1 if max(query) < "\u1100" else 3
        groups = [self._begun(at, piece, shift) for at, piece in _pieces(query) if piece]
        places: set[int] = set()
        for group in sorted(groups, key=len):
            places.update(group[: _CANDIDATES - len(places)])
        return list(places)

    def _begun(self, offset: int, piece: str, shift: int) -> list[int]:
        """The starts of titles and words from which the piece is about `offset` away."""
        if offset == 0:
            return [*self._starts.before(piece), *self._words.before(piece)]
        if len(piece) == 1 and piece < _KANA:
            return []  # a single letter stands in every other title
        hits = self._anywhere.before(piece)
        low, high = offset - shift, offset + shift
        starts = [hit & ~_OFFSET for hit in hits if low <= hit & _OFFSET <= high]
        if len(hits) <= _CANDIDATES // 4:
            starts += [hit - place for hit in hits if (place := self._to_word(hit, low, high))]
        return starts

    def _to_word(self, hit: int, low: int, high: int) -> int:
        """How far before the hit a word begins, if that is between low and high; else 0."""
        at = hit & _OFFSET
        text = self._texts[hit >> _OFFSET_BITS]
        space = text.rfind(" ", 0, max(at - low, 0))
        return at - space - 1 if space >= 0 and at - space - 1 <= high else 0


def _distances(
    query: str, which: Iterable[int], texts: Sequence[str], cut: int, most: int
) -> dict[int, int]:
    """Edit distances of the query to the first `cut` characters of texts, where at most `most`."""
    near = process.extract(
        query,
        {at: texts[at][:cut] for at in which},
        scorer=OSA.distance,
        score_cutoff=most,
        limit=None,
    )
    return {at: int(distance) for _, distance, at in near}
