"""What a fault costs, and whom. Pure.

A take is given up after faults on `task_workers` distinct workers. A worker that faulted is replaced, never
reused; workers none of which can start, or faults of which there is no end, end the run before they burn money: a
broken farm can be resumed, a bill cannot. Whoever takes its worker with it charges the take beside it, too: so a take
that faulted renders alone from then on, and is given up alone; what it had charged others with is then excused, as is
what happened on a node that turned out to be broken. Who was excused goes on rendering alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from farm.dispatch.placement import AHEAD
from farm.dispatch.queue import Cell
from farm.values import Blame

# What a take faults with whose worker could not load its model: that says nothing of the take.
LOAD_FAULTS = frozenset({"InputError", "MemoryFull"})


@dataclass(frozen=True, slots=True)
class Caps:
    """How often something may fail. The task's cap is below the worker's, so that poison is found first."""

    task_workers: int = 3
    # Excused ones included: a take that fails wherever it is tried is not to be tried on node after node.
    task_faults: int = 9
    # The workers of a node that may fail, each with takes of its own. Not fewer than a take's: a take that is charged
    # once by each of two nodes is still below its own cap when the second one is found.
    node_losses: int = 3
    node_starts: int = 2  # below `failed_starts`, so that one bad node does not end the hiring
    failed_starts: int = (
        3  # loads of one model in a row, without one, or a take of it, that went well between
    )
    # Outages in a row, without a take that settled between them. With pauses of up to half a minute and a take between,
    # a store that answers and takes nothing is found out within some minutes.
    store_outages: int = 10
    faults: int = 50  # in a row, of any kind, without a take that settled between them; see `faults_of`

    def faults_of(self, workers: int) -> int:
        """`faults` for so many workers: machines come and go, and a whole fleet may be lost more than once."""
        return max(self.faults, self.task_workers * AHEAD * workers)


@dataclass(frozen=True, slots=True)
class Fault:
    """`excused`: it is known by now that not this take was what failed."""

    worker: str
    blame: Blame
    kind: str
    message: str
    node: str = ""
    excused: bool = False


def suspect(faults: Sequence[Fault]) -> bool:
    """Whether a take with these faults may be what causes them. Faults of the store are not the take's."""
    return any(fault.blame is not Blame.STORE for fault in faults)


def given_up(caps: Caps, faults: Sequence[Fault]) -> Blame | None:
    """Who is to blame when a take with these faults is given up; None: it is tried again.

    Faults of the store are not the take's. Where so much was excused that it has to end, it was the nodes.
    """
    own = [fault for fault in faults if fault.blame is not Blame.STORE]
    if len({fault.worker for fault in own if not fault.excused}) >= caps.task_workers:
        return Blame.TASK
    return Blame.NODE if len(own) >= caps.task_faults else None


def story(faults: Sequence[Fault]) -> str:
    """One line for the manifest: what happened on which worker, in order, repetitions counted."""
    told: dict[str, list[str]] = {}
    for fault in faults:
        told.setdefault(f"{fault.kind}: {fault.message}", []).append(fault.worker)
    return "; ".join(f"{what} (on {', '.join(workers)})" for what, workers in told.items())


class Attempts:
    """What has been tried of the takes that are not settled yet, by (shot, take)."""

    def __init__(self) -> None:
        self._begun: dict[Cell, int] = {}
        self._faults: dict[Cell, list[Fault]] = {}

    def begin(self, cell: Cell) -> int:
        """The number of the next attempt, the first is 1."""
        self._begun[cell] = self._begun.get(cell, 0) + 1
        return self._begun[cell]

    def charge(self, cell: Cell, fault: Fault) -> Sequence[Fault]:
        """One more fault; all of this take."""
        faults = self._faults.setdefault(cell, [])
        faults.append(fault)
        return faults

    def excuse(self, which: Callable[[Fault], bool]) -> None:
        """Somebody else was to blame for these faults, whatever take was charged with them."""
        for cell, faults in self._faults.items():
            self._faults[cell] = [replace(fault, excused=True) if which(fault) else fault for fault in faults]

    @property
    def troubled(self) -> bool:
        """Whether any take that is not settled has faulted."""
        return bool(self._faults)

    def suspect(self, cell: Cell) -> bool:
        return suspect(self._faults.get(cell, ()))

    def tried(self, cell: Cell) -> set[str]:
        """The nodes on which this take faulted."""
        faults = self._faults.get(cell, ())
        return {fault.node for fault in faults if fault.node and fault.blame is not Blame.STORE}

    def unsaved(self, cell: Cell) -> tuple[str, str] | None:
        """The worker and the node that could not bring this take into the store, if that is how it ended last."""
        last = self._faults[cell][-1] if cell in self._faults else None
        return (last.worker, last.node) if last is not None and last.blame is Blame.STORE else None

    def settled(self, cell: Cell) -> None:
        self._begun.pop(cell, None)
        self._faults.pop(cell, None)

    def check(self, caps: Caps) -> None:
        """Asserts that no take is open that is to be given up."""
        assert all(given_up(caps, faults) is None for faults in self._faults.values())


class Streaks:
    """What failed in a row, without anything that went well between; some of it ends a run as broken."""

    def __init__(self, caps: Caps, workers: int) -> None:
        self._caps = caps
        self._workers = workers
        self._faults = 0
        self._starts: dict[
            int, tuple[int, str]
        ] = {}  # model -> loads that failed in a row, why the last one did

    def settled(self, model: int, *, well: bool) -> None:
        """A take of a model has an outcome; `well`: one that its renderer made."""
        self._faults = 0
        if well:
            self.started(model)

    def started(self, model: int | None) -> None:
        """A model was loaded."""
        if model is not None:
            self._starts.pop(model, None)

    def excuse_starts(self) -> None:
        """A node was to blame for the loads that failed."""
        self._starts.clear()

    def start_failed(self, model: int | None, message: str) -> None:
        if model is not None:
            self._starts[model] = (self._starts.get(model, (0, ""))[0] + 1, message)

    def hopeless(self, model: int) -> str | None:
        """Why a model should not be loaded any more; None: nothing speaks against it."""
        failed, trouble = self._starts.get(model, (0, ""))
        if failed < self._caps.failed_starts:
            return None
        return f"{failed} workers in a row could not start: {trouble}"

    def faulted(self, fault: Fault) -> str | None:
        """Why the run is broken by one more fault, whosever but the store's; None: it is not."""
        self._faults += fault.blame is not Blame.STORE
        if self._faults < self._caps.faults_of(self._workers):
            return None
        return f"{self._faults} faults in a row, the last: {fault.message}"
