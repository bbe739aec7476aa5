"""What will happen in virtual time, and when.

Invariant: things happen in the order of time, and those that fall together in the order in which they were entered.
"""

import heapq
from collections.abc import Callable

from farm.clock import VirtualClock


class Agenda:
    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self._heap: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._entered = 0

    def later(self, delay_s: float, do: Callable[..., None], *about: object) -> None:
        self._entered += 1
        heapq.heappush(self._heap, (self.clock.monotonic_s() + delay_s, self._entered, do, about))

    def go_on(self, most_s: float) -> None:
        """Time goes on to what comes next, which happens; no further than `most_s`."""
        now_s = self.clock.monotonic_s()
        if not self._heap or self._heap[0][0] > now_s + most_s:
            self.clock.sleep(most_s)
            return
        at_s, _, do, about = heapq.heappop(self._heap)
        self.clock.sleep(max(0.0, at_s - now_s))
        do(*about)
