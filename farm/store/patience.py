"""The one place that tries a store again: exponential pauses with full jitter, bounded in time.

Invariants
- What does not pass by itself is raised at once, however much patience is left.
- Nobody sleeps past the limit; the last try begins within it. Clients below are told not to try again on their own,
  or the pauses would multiply.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from farm.clock import Clock, SystemClock
from farm.errors import PASSING
from farm.store.trouble import kind_of

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0

T = TypeVar("T")


def _chance() -> float:
    return random.random()


@dataclass(frozen=True, slots=True)
class Patience:
    """Tries for `limit_s` at least once; `chance` draws from [0, 1).

    The default is a driver's: long enough for a hiccup, short enough for its loop to stand still. Full jitter (a
    pause between nothing and the bound) spreads a thousand workers that were refused at one instant.
    """

    limit_s: float = 10.0
    clock: Clock = field(default_factory=SystemClock)
    chance: Callable[[], float] = _chance

    def bear(self, call: Callable[[], T]) -> T:
        """What the call gives in the end. Raises its OSError, with a note of how often it was tried."""
        began_s, tries = self.clock.monotonic_s(), 0
        while True:
            try:
                return call()
            except OSError as e:
                tries += 1
                if kind_of(e) not in PASSING:
                    raise
                pause_s = self.chance() * min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(tries, 16))
                waited_s = self.clock.monotonic_s() - began_s
                if waited_s + pause_s > self.limit_s:
                    if tries > 1:
                        e.add_note(f"tried {tries} times in {waited_s:.0f} s")
                    raise
            self.clock.sleep(pause_s)
