"""What a pool hears from its workers between the takes' beginnings and their ends, as events.

Invariants: only what is new becomes a Beat, and only of leases that are out; idle workers are not asked. A worker
that does not answer says nothing: what that means is the watchdog's business.
"""

from collections.abc import Iterable, Iterator

from farm.bench import Pulse
from farm.clock import Clock
from farm.dispatch.events import Beat, Lease

_EVERY_S = 2.0
"""How often workers are asked. Steps of video models take about a second or more, so that a display moves with them;
a thousand workers are 500 small calls a second, of which Ray does ten times as many."""


class Beats:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked_s = clock.monotonic_s()
        self._takes: dict[
            str, dict[Lease, str]
        ] = {}  # worker -> what it was given, with the ids of the takes
        self._last: dict[Lease, Pulse] = {}

    def given(self, lease: Lease, take_id: str) -> None:
        self._takes.setdefault(lease.worker, {})[lease] = take_id

    def ended(self, lease: Lease) -> None:
        self._last.pop(lease, None)
        takes = self._takes.get(lease.worker, {})
        takes.pop(lease, None)
        if not takes:
            self._takes.pop(lease.worker, None)

    def gone(self, worker: str) -> None:
        """Whatever a worker was given has ended with it."""
        for lease in self._takes.pop(worker, {}):
            self._last.pop(lease, None)

    def take_id(self, lease: Lease) -> str | None:
        """The take of a lease that is out."""
        return self._takes.get(lease.worker, {}).get(lease)

    def take_ids(self, worker: str) -> list[str]:
        return list(self._takes.get(worker, {}).values())

    def to_ask(self) -> list[str]:
        """The workers to ask for their pulse now: those with takes, every two seconds."""
        now_s = self._clock.monotonic_s()
        if now_s - self._asked_s < _EVERY_S:
            return []
        self._asked_s = now_s
        return list(self._takes)

    def told(self, worker: str, pulses: Iterable[Pulse]) -> Iterator[tuple[Beat, None]]:
        """What is new in a worker's answer."""
        leases = {(take_id, lease.attempt): lease for lease, take_id in self._takes.get(worker, {}).items()}
        for pulse in pulses:
            lease = leases.get((pulse.take_id, pulse.attempt))
            if lease is not None and self._last.get(lease) != pulse:
                self._last[lease] = pulse
                yield Beat(lease, pulse.stage, pulse.done, pulse.total, pulse.shape), None
