"""Counts of one session as it runs: an observer that displays read.

Invariant: it only counts, and its size does not depend on how many takes there are.
"""

from collections import Counter, deque
from dataclasses import dataclass, field

from farm.dispatch.events import Event, Instruction, Standing, TakeSettled, WorkerReady
from farm.values import Outcome, Status

_RATE_WINDOW = 200  # takes over which the rate is taken: recent enough to follow a fleet that grows


@dataclass(slots=True)
class Tally:
    takes: Counter[Status] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)  # failed takes by blame
    priced: bool = False  # whether any worker has a known price
    load_s: dict[str, float] = field(
        default_factory=dict
    )  # model -> what its last load took, of whichever worker
    standing: Standing | None = None
    began_s: float | None = None
    at_s: float = 0.0
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=_RATE_WINDOW))

    @property
    def takes_now(self) -> int:
        return sum(self.takes.values())

    @property
    def elapsed_s(self) -> float:
        return self.at_s - (self.at_s if self.began_s is None else self.began_s)

    @property
    def takes_per_s(self) -> float | None:
        """Over the last takes; None until two are done."""
        if len(self._recent) < 2 or self._recent[-1] <= self._recent[0]:
            return None
        return (len(self._recent) - 1) / (self._recent[-1] - self._recent[0])

    @property
    def eta_s(self) -> float | None:
        """For the takes that are known to be due; shots without an accepted take may get more."""
        rate = self.takes_per_s
        if rate is None or self.standing is None:
            return None
        return (self.standing.takes_waiting + self.standing.in_flight) / rate

    def on_event(self, event: Event, outcome: Outcome | None, at_s: float) -> None:
        self.at_s = at_s
        self.began_s = at_s if self.began_s is None else self.began_s
        if isinstance(event, WorkerReady):
            self.priced |= event.price_usd_h is not None
            if len(event.resident) == 1:
                self.load_s[event.resident[0]] = event.load_s
        if isinstance(event, TakeSettled) and event.load_s and outcome is not None:
            self.load_s[outcome.model] = event.load_s

    def on_instruction(self, instruction: Instruction, at_s: float) -> None:
        self.at_s = at_s

    def on_outcome(self, outcome: Outcome) -> None:
        self.takes[outcome.status] += 1
        self._recent.append(self.at_s)
        if outcome.status is Status.FAILED and outcome.blame is not None:
            self.failures[outcome.blame] += 1

    def on_turn(self, standing: Standing, at_s: float) -> None:
        self.at_s = at_s
        self.standing = standing
