"""Measures title search: how often the wanted title is listed, how fast, at what cost.

Titles come from a JSON-lines file (`{"title": ...}`, gzipped or not) and are filled up to the
count with made-up ones. Queries over "all" are drawn from the file's titles where there is a
file; Korean, Japanese and Cyrillic are drawn apart, and the row says how many of those titles are
real. Only titles of at least four characters are asked for: one edit in "24" is another
title. A query counts as found when a title with the same folded text is in the list, however
many others share its prefix; how often more than 25 do is a row of its own.
"""

import gc
import gzip
import json
import math
import random
import sys
import time
import timeit
import tracemalloc
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from bot.search import TitleIndex, fold
from tests.bench.table import Row

SCRIPTS = {
    "Korean": ("\uac00", "\ud7a3"),
    "Japanese": ("\u3041", "\u30fe"),
    "Cyrillic": ("\u0400", "\u04ff"),
}
# Words, and the syllables that names are made of.
VOCABULARY = {
    "Latin": (
        "the of in and my our last first dark red blue black white night day house home city "
        "river sea winter summer king queen girl boy man woman doctor detective police hospital "
        "school love war blood heart stone fire star moon sun road street island garden secret "
        "lost broken golden silent hidden wild strange young old little great family brothers "
        "sisters friends neighbours murder crime justice law order court kitchen baker dragon "
        "wolf lion raven crown castle tower bridge train ship captain soldier ghost witch angel "
        "devil monster games stories diary letters legends chronicles",
        "ka lo mi ren tor vel shan dri bo el an is quor be ny sta fro gal hu jes",
    ),
    "Korean": (
        "지금 우리 학교는 사랑 의사 생활 나의 너의 그녀 남자 여자 친구 가족 형사 검사 변호사 "
        "병원 마을 도시 바다 하늘 달빛 별 밤 아침 겨울 여름 봄날 비밀 거짓말 기억 시간 "
        "여행 왕 공주 황후 신사 "
        "선생님 딸 아들 엄마 아버지 슬기로운 이상한 낭만 눈물의 킹덤 태양의 후예 무사 도깨비 호텔 "
        "부부의 세계 청춘 기록 스물다섯 마지막 완벽한 나쁜 좋은 새로운",
        "강 민 서 준 하 윤 도 현 지 은 수 영 태 혁 진 미 경 선 화 란 백 동 주 연",
    ),
    "Japanese": (
        "魔法 少女 少年 世界 物語 戦士 勇者 異世界 転生 学園 恋 青春 夏 冬 春の 夜 星 月 海 空 "
        "東京 京都 機動 探偵 名探偵 刑事 医者 の王 の剣 の国 の家 のうた ガール ボーイ ドラゴン "
        "ロボット アイドル カフェ レストラン ファンタジー クラブ ゲーム ストーリー 猫 犬 狼 鬼 "
        "魔王 姫 君 僕の 私の はじめての さよなら おかえり 最後の 永遠の 劇場版 新",
        "カ ナ ミ ル ト レ サ シ ア イ リ ン ド ガ ユ メ ひ ま わ り さ く ら き ず",
    ),
    "Cyrillic": (
        "мой твой наш последний первый тайна дом город река море зима лето ночь день "
        "любовь война кровь сердце огонь звезда луна дорога остров сад мастер доктор "
        "следователь капитан солдат учитель сёстры братья семья друзья соседи закон улица "
        "мороз чужой тихий дикий старый новый белый чёрный красный золотой потерянный ведьма "
        "призрак дракон волк король королева кухня школа больница возвращение игра судьба",
        "ка ло ми рен тор вел шан дри бо ель ан ис ни ста фро гал ху жес ёл ий",
    ),
}
Edit = Callable[[random.Random, str, str], str]


def _word(rng: random.Random, script: str) -> str:
    words, syllables = (part.split() for part in VOCABULARY[script])
    if rng.random() < 0.6:
        return rng.choice(words)
    name = "".join(rng.choices(syllables, k=rng.randint(2, 4)))
    return name.capitalize()


def made_up(rng: random.Random, script: str) -> str:
    """A title of one to four words, a third of them names that exist nowhere else."""
    words = [_word(rng, script) for _ in range(rng.choice((1, 2, 2, 3, 3, 4)))]
    return ("" if script == "Japanese" else " ").join(words)


def _filled(rng: random.Random, titles: list[str], count: int) -> list[str]:
    """The titles with made-up ones behind them: half Latin, the rest in the three scripts."""
    scripts = ["Latin", *SCRIPTS, "Latin", "Latin"]
    known = set(titles)
    while len(titles) < count:
        title = made_up(rng, scripts[len(titles) % len(scripts)])
        if title not in known:
            known.add(title)
            titles.append(title)
    return titles


def read_titles(path: Path | None, count: int) -> list[str]:
    """The different titles in the file, at most `count`; none without a file."""
    if path is None or not path.exists():
        return []
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        return list(dict.fromkeys(json.loads(line)["title"] for line in lines))[:count]


def one_edit(rng: random.Random, text: str, alphabet: str) -> str:
    """The text with one substitution, insertion, deletion or transposition that changes it."""
    while True:
        at = rng.randrange(len(text))
        edited = rng.choice(
            (
                text[:at] + rng.choice(alphabet) + text[at + 1 :],
                text[:at] + rng.choice(alphabet) + text[at:],
                text[:at] + text[at + 1 :],
                text[:at] + text[at : at + 2][::-1] + text[at + 2 :],
            )
        )
        if fold(edited) not in ("", fold(text)):
            return edited


def beginning(text: str) -> str:
    """The first 60 % of the characters, rounded up."""
    return text[: math.ceil(len(text) * 0.6)]


def _whole(rng: random.Random, title: str, alphabet: str) -> str:
    return one_edit(rng, title, alphabet)


def _start(rng: random.Random, title: str, alphabet: str) -> str:
    return beginning(title)


def _start_edited(rng: random.Random, title: str, alphabet: str) -> str:
    return one_edit(rng, beginning(title), alphabet)


KINDS: list[tuple[str, Edit, int, float]] = [
    ("whole title, one edit", _whole, 10, 0.99),
    ("first 60 %", _start, 25, 0.97),
    ("first 60 %, one edit", _start_edited, 25, 0.92),
]


@dataclass(frozen=True)
class Took:
    """Milliseconds of one search: of its thread's own work, which is what it costs the event
    loop, and by the wall clock, which on a shared machine counts other programs too."""

    worked: float
    wall: float


def _listed(index: TitleIndex, query: str, wanted: str, depth: int) -> tuple[bool, Took]:
    """Whether the wanted title is among the first `depth`, and the milliseconds it took."""
    began, worked = time.perf_counter(), time.thread_time()
    matches = index.search(query)
    took = Took(1000 * (time.thread_time() - worked), 1000 * (time.perf_counter() - began))
    return fold(wanted) in {fold(match.title) for match in matches[:depth]}, took


def _recall_rows(
    index: TitleIndex, group: str, pool: Sequence[str], queries: int, rng: random.Random
) -> tuple[list[Row], list[Took]]:
    alphabet = "".join(rng.sample(pool, min(len(pool), 2000)))
    rows, times = [], []
    for kind, edit, depth, goal in KINDS:
        wanted = rng.choices(pool, k=queries)
        answers = [_listed(index, edit(rng, title, alphabet), title, depth) for title in wanted]
        recall = sum(found for found, _ in answers) / queries
        times += [took for _, took in answers]
        name = f"{group}: {kind}, recall@{depth}"
        judged = group.startswith("all")  # the scripts are reported apart, mostly made-up titles
        aim, reached = (f">= {goal}", recall >= goal) if judged else ("-", None)
        rows.append(Row(name, f"{recall:.3f}", aim, reached))
    return rows, times


def _crowded(titles: Sequence[str], pool: Sequence[str], queries: int, rng: random.Random) -> Row:
    """The share of prefix queries no list of 25 can answer: more titles begin that way."""
    order = sorted(map(fold, titles))
    many = 0
    for title in rng.choices(pool, k=queries):
        start = fold(beginning(title))
        first = bisect_left(order, start)
        many += order[first + 25 : first + 26] > [start] and order[first + 25].startswith(start)
    return Row("all: more than 25 titles begin with the query", f"{many / queries:.3f}", "-", None)


def _pools(titles: Sequence[str], real: int) -> dict[str, list[str]]:
    """The titles to ask for by group, with the number of real ones in the group's name."""
    asked = [title for title in titles if len(title) >= 4 and fold(title)]
    known = set(titles[:real])
    pools = {f"all ({real} real)": [title for title in asked if not real or title in known]}
    for script, (low, high) in SCRIPTS.items():
        pool = [title for title in asked if any(low <= char <= high for char in title)]
        pools[f"{script} ({sum(title in known for title in pool)} real of {len(pool)})"] = pool
    return pools


def _built(titles: Sequence[str]) -> tuple[TitleIndex, list[Row]]:
    """The index over all titles, its build time and the memory it keeps."""
    shows = [(str(number), title) for number, title in enumerate(titles)]
    began = time.perf_counter()
    index = TitleIndex(shows)
    seconds = time.perf_counter() - began
    gc.collect()
    tracemalloc.start()
    again = TitleIndex(shows)
    kept, peak = (size / 2**20 for size in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    gc.collect()
    small = 1000 * timeit.timeit(lambda: TitleIndex(shows[:40]), number=5) / 5
    return index, [
        Row("titles indexed", f"{len(again)}", "-", None),
        Row("build", f"{seconds:.2f} s", "-", None),
        Row("build of 40 titles", f"{small:.2f} ms", "< 20 ms", small < 20),
        Row("memory kept (while building)", f"{kept:.0f} MB ({peak:.0f} MB)", "-", None),
    ]


def _speed_rows(times: Sequence[Took]) -> list[Row]:
    cuts = quantiles([took.worked for took in times], n=100)
    wall = quantiles([took.wall for took in times], n=100)
    return [
        Row(
            "one search, p50", f"{cuts[49]:.2f} ms (wall {wall[49]:.2f})", "<= 1 ms", cuts[49] <= 1
        ),
        Row(
            "one search, p99", f"{cuts[98]:.2f} ms (wall {wall[98]:.2f})", "<= 5 ms", cuts[98] <= 5
        ),
        Row("one search, worst", f"{max(took.worked for took in times):.2f} ms", "-", None),
    ]


def measure(
    path: Path | None, count: int = 100_000, queries: int = 2000, seed: int = 20261122
) -> list[Row]:
    """Asks an index of `count` titles `queries` times per kind and group; same seed, same queries.

    Without a file (None, or a path that is not there) every title is made up.
    """
    rng = random.Random(seed)
    real = read_titles(path, count)
    known = len(real)
    titles = _filled(rng, real, count)
    index, rows = _built(titles)
    times: list[Took] = []
    pools = _pools(titles, known)
    for group, pool in pools.items():
        found, took = _recall_rows(index, group, pool, queries, rng)
        rows += found
        times += took
    everything = next(iter(pools.values()))
    return [*rows, _crowded(titles, everything, queries, rng), *_speed_rows(times)]


if __name__ == "__main__":
    for row in measure(Path(sys.argv[1]) if len(sys.argv) > 1 else None):
        mark = {True: "ok", False: "MISSED", None: ""}[row.ok]
        print(f"{row.name:62} {row.value:>16}  {row.goal:10} {mark}")
