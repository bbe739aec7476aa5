"""`make simtest SEEDS=100000`: many schedules; those that break a promise, each with its story and how to replay it."""

import argparse
import contextlib
import sys
from collections import Counter

from checked import Checked, failure
from schedules import drawn

_AGAIN_EVERY = 16  # so many seeds, one is run twice, for determinism


def main() -> int:
    parser = argparse.ArgumentParser(prog="simtest", description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=2000)
    options = parser.parse_args()
    ends: Counter[str] = Counter()
    seeds = events = failed = 0
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C: what was found so far
        for seed in range(options.first, options.first + options.seeds):
            run = Checked(drawn(seed))
            told = failure(run, again=seed % _AGAIN_EVERY == 0)
            if told is not None:
                failed += 1
                print(told, flush=True)
            seeds += 1
            events += run.events
            ends.update(run.ends)
    sessions = ", ".join(f"{count:,} {end}" for end, count in sorted(ends.items()))
    print(f"{seeds:,} seeds, {events:,} events, sessions: {sessions}; {failed:,} seeds failed")
    return 1 if failed else 0


sys.exit(main())
