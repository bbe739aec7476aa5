"""How benches measure: CPU time, the best of a few, so that whoever else is on the machine hardly shows."""

import time
from collections.abc import Callable


def cpu_s(work: Callable[[], object], repeats: int) -> float:
    """The least CPU seconds that `work` took."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best
