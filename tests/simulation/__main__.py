"""`python -m tests.simulation --seed 1 --hours 2000`: many scenarios, and what broke in them."""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from tests.simulation.faults import Fault
from tests.simulation.world import Outcome, play

HOURS_EACH = 40.0


def main() -> int:
    """Play scenarios until so many hours have passed in them; 1 when a promise was broken."""
    asked = _asked()
    begun, outcomes = time.process_time(), []
    index, left = asked.first, asked.hours
    while left > 0:
        hours = min(left, HOURS_EACH)
        seed = f"{asked.seed}/{index}"
        outcome = _played(seed, hours, asked.trace)
        outcomes.append(outcome)
        left, index = left - hours, index + 1
        _progress(outcome, asked.hours - left, asked.hours, time.process_time() - begun)
    _sum_up(outcomes, time.process_time() - begun)
    return 1 if any(one.violations for one in outcomes) else 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--hours", type=float, default=2000.0, help="simulated hours in all")
    parser.add_argument("--first", type=int, default=0, help="the scenario to begin with")
    parser.add_argument("--trace", type=Path, help="a file for the trace of the last scenario")
    return parser.parse_args()


def _played(seed: str, hours: float, trace: Path | None) -> Outcome:
    if trace is None:
        return play(seed, hours)[0]
    with trace.open("w", encoding="utf-8") as out:
        return play(seed, hours, out)[0]


def _progress(outcome: Outcome, done: float, hours: float, seconds: float) -> None:
    counts = outcome.counts
    print(
        f"{done:9,.0f} of {hours:,.0f} h  {seconds:6.1f} s  seed {outcome.seed}: "
        f"{counts['published']} updates, {counts['requests']} requests, "
        f"{counts['arrived']} arrived, {counts['killed']} deaths, "
        f"{len(outcome.violations)} violations, trace {outcome.digest[:12]}",
        flush=True,
    )
    for violation in outcome.violations:
        print(f"    {violation}", flush=True)


def _sum_up(outcomes: list[Outcome], seconds: float) -> None:
    hits: Counter[Fault] = sum((one.hits for one in outcomes), Counter())
    hours = sum(one.hours for one in outcomes)
    broken = sum(len(one.violations) for one in outcomes)
    print(f"\n{hours:,.0f} simulated hours in {seconds:.1f} s, {len(hits)} kinds of faults struck:")
    print(", ".join(f"{fault.name} {number}" for fault, number in hits.most_common()))
    never = [fault.name for fault in Fault if fault not in hits]
    if never:
        print(f"never: {', '.join(never)}")
    print(f"{broken} violations")


if __name__ == "__main__":
    sys.exit(main())
