"""The only reader of time, so that a simulation can put virtual time in its place.

Durations come from `monotonic_s`, which never jumps; `now` is for the records that people read.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

# CLOCK_MONOTONIC stands while a Linux machine sleeps; where the other name is unknown (macOS), it goes on.
_NEVER_STOPS = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    def monotonic_s(self) -> float:
        """Seconds since an arbitrary start; never goes back."""
        ...

    def now(self) -> datetime:
        """The time of day, in UTC."""
        ...

    def sleep(self, seconds: float) -> None: ...


class WakefulClock(Clock, Protocol):
    def awake_or_not_s(self) -> float:
        """Seconds since an arbitrary start, those included that the machine slept; never goes back."""
        ...


class SystemClock:
    def monotonic_s(self) -> float:
        return time.monotonic()

    def awake_or_not_s(self) -> float:
        return time.clock_gettime(_NEVER_STOPS)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class VirtualClock:
    """Time that goes on only when somebody sleeps: a night takes as long as it takes to compute it."""

    def __init__(self) -> None:
        self._at_s = 0.0

    def monotonic_s(self) -> float:
        return self._at_s

    def now(self) -> datetime:
        return datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=self._at_s)

    def sleep(self, seconds: float) -> None:
        self._at_s += seconds
