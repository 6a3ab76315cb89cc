"""The poll with nothing new: the same cost in a log of a thousand and of ten million updates."""

import time
from pathlib import Path

from bot.poll import Poll
from tests.bench.measure import percentile, seconds_each
from tests.bench.stores import NOW, a_store, fill_updates
from tests.bench.table import Row

_SMALL = 1_000
_ROUNDS = 5
_POLLS = 400


async def measure(folder: Path, large: int = 10_000_000) -> list[Row]:
    """t(large) / t(1,000), the median of polls taken in turn on both logs."""
    paths = {count: folder / f"{count}.db" for count in (_SMALL, large)}
    begun = time.perf_counter()
    for count, path in paths.items():
        async with a_store(path):
            fill_updates(path, count)
    filled = time.perf_counter() - begun
    taken: dict[int, list[float]] = {count: [] for count in paths}
    async with a_store(paths[_SMALL]) as small, a_store(paths[large]) as big:
        polls = {
            _SMALL: Poll(small, lambda: NOW, lambda: None),
            large: Poll(big, lambda: NOW, lambda: None),
        }
        for _ in range(_ROUNDS):
            for count, poll in polls.items():
                taken[count] += await seconds_each(poll, _POLLS)
    middle = {count: percentile(each, 0.5) for count, each in taken.items()}
    ratio = middle[large] / middle[_SMALL]
    return [
        Row(
            f"poll, nothing new: t({large:,}) / t({_SMALL:,})",
            f"{ratio:.2f} ({middle[large] * 1e6:.0f} / {middle[_SMALL] * 1e6:.0f} µs; filled in "
            f"{filled:.0f} s)",
            "≤ 1.5",
            ratio <= 1.5,
        )
    ]
