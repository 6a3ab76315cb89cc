"""Taking times: percentiles of many, and the median of a few."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


async def seconds_each(work: Callable[[], Awaitable[object]], times: int) -> list[float]:
    """How long each of `times` calls took, in seconds."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        await work()
        taken.append(time.perf_counter() - begun)
        await asyncio.sleep(0)
    return taken
