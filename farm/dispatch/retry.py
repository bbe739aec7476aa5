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

# What a take faults with whose worker could not load its model: that says nothing of the take.
LOAD_FAULTS = frozenset({"InputError", "MemoryFull"})


@dataclass(frozen=True, slots=True)
class Caps:
    """How often something may fail. The task's cap is below the worker's, so that poison is found first."""

    task_workers: int = 3
    failed_starts: int = (
        3  # loads of one model in a row, without one, or a take of it, that went well between them
    )
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


class Attempts:
    """What has been tried of the takes that are not settled yet, by (shot, take)."""

    def __init__(self) -> None:
        self._begun: dict[tuple[int, int], int] = {}
        self._faults: dict[tuple[int, int], list[Fault]] = {}

    def begin(self, cell: tuple[int, int]) -> int:
        """The number of the next attempt, the first is 1."""
        self._begun[cell] = self._begun.get(cell, 0) + 1
        return self._begun[cell]

    def charge(self, cell: tuple[int, int], fault: Fault) -> Sequence[Fault]:
        """One more fault; all of this take."""
        faults = self._faults.setdefault(cell, [])
        faults.append(fault)
        return faults

    def suspect(self, cell: tuple[int, int]) -> bool:
        return suspect(self._faults.get(cell, ()))

    def settled(self, cell: tuple[int, int]) -> None:
        self._begun.pop(cell, None)
        self._faults.pop(cell, None)


class Streaks:
    """What failed in a row, without anything that went well between; some of it ends a run as broken."""

    def __init__(self, caps: Caps, workers: int) -> None:
        self._caps = caps
        self._workers = workers
        self._store = self._faults = 0
        self._starts: dict[
            int, tuple[int, str]
        ] = {}  # model -> loads that failed in a row, why the last one did

    def settled(self, model: int, *, well: bool) -> None:
        """A take of a model has an outcome; `well`: one that its renderer made."""
        self._store = self._faults = 0
        if well:
            self.started(model)

    def started(self, model: int | None) -> None:
        """A model was loaded."""
        if model is not None:
            self._starts.pop(model, None)

    def start_failed(self, model: int | None, message: str) -> None:
        if model is not None:
            self._starts[model] = (self._starts.get(model, (0, ""))[0] + 1, message)

    def hopeless(self, model: int) -> str | None:
        """Why a model should not be loaded any more; None: nothing speaks against it."""
        failed, trouble = self._starts.get(model, (0, ""))
        if failed < self._caps.failed_starts:
            return None
        return f"{failed} workers in a row could not start: {trouble}"

    def store_refused(self, message: str) -> str | None:
        """Why the run is broken by one more fault of the store; None: it is not."""
        self._store += 1
        if self._store < self._caps.store_faults:
            return None
        return f"the store refused {self._store} times in a row: {message}"

    def faulted(self, message: str) -> str | None:
        """Why the run is broken by one more fault, whosever; None: it is not."""
        self._faults += 1
        if self._faults < self._caps.faults_of(self._workers):
            return None
        return f"{self._faults} faults in a row, the last: {message}"
