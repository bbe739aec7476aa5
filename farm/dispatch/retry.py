"""What a fault costs, and whom. Pure.

A take is given up after faults on `task_workers` distinct workers. A worker that faulted is replaced, never
reused; workers none of which can start, or a store that refuses one write after another, end the run before they
burn money: a broken farm can be resumed, a bill cannot. Whoever takes its worker with it charges the take beside
it, too: so a take that faulted renders alone from then on, and is given up alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from farm.dispatch.placement import AHEAD
from farm.values import Blame


@dataclass(frozen=True, slots=True)
class Caps:
    """How often something may fail. The task's cap is below the worker's, so that poison is found first."""

    task_workers: int = 3
    failed_starts: int = 3  # in a row, without a worker that became ready or a take that settled between them
    store_faults: int = 10  # in a row, without a take that settled between them
    faults: int = 50  # in a row, of any kind, without a take that settled between them; see `faults_of`

    def faults_of(self, workers: int) -> int:
        """`faults` for so many workers: machines come and go, and a whole fleet may be lost more than once."""
        return max(self.faults, self.task_workers * AHEAD * workers)


@dataclass(frozen=True, slots=True)
class Fault:
    worker: str
    blame: Blame
    kind: str
    message: str


def suspect(faults: Sequence[Fault]) -> bool:
    """Whether a take with these faults may be what causes them. Faults of the store are not the take's."""
    return any(fault.blame is not Blame.STORE for fault in faults)


def exhausted(caps: Caps, faults: Sequence[Fault]) -> bool:
    """Whether a take with these faults is given up. Faults of the store are not the take's."""
    return len({fault.worker for fault in faults if fault.blame is not Blame.STORE}) >= caps.task_workers


def story(faults: Sequence[Fault]) -> str:
    """One line for the manifest: what happened on which worker, in order, repetitions counted."""
    told: dict[str, list[str]] = {}
    for fault in faults:
        told.setdefault(f"{fault.kind}: {fault.message}", []).append(fault.worker)
    return "; ".join(f"{what} (on {', '.join(workers)})" for what, workers in told.items())
