"""What the ledger hears and what it answers: plain values, so that a night can be recorded and played again.

Stills and shots are numbers in the grid, takes numbers within a shot, workers names that are never used twice.
"""

from dataclasses import dataclass
from typing import TypeAlias

from farm.values import Blame, Status


@dataclass(frozen=True, slots=True)
class Lease:
    """One attempt at one take by one worker; a result of an older attempt is dropped.

    `attempt` counts leases, whoever was to blame for the end of the earlier ones.
    """

    shot: int
    take: int
    attempt: int
    worker: str


# --- events -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing happened but time."""


@dataclass(frozen=True, slots=True)
class StillOpened:
    still: int


@dataclass(frozen=True, slots=True)
class StillRefused:
    still: int


@dataclass(frozen=True, slots=True)
class WorkerPlaced:
    """A worker that starts has a process, on this node; said before it has loaded anything, where a pool can."""

    worker: str
    node: str


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A worker has its model resident. `load_s` is what that took, `price_usd_h` None where nobody said.

    `resident` names all the models that it holds; what fits is the worker's business, and it says what it did.
    """

    worker: str
    node: str
    accelerator: str
    load_s: float
    price_usd_h: float | None
    resident: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """A worker is gone, with all that was leased to it. `preempted`: its node was taken away, nobody's fault."""

    worker: str
    kind: str
    message: str
    preempted: bool = False


@dataclass(frozen=True, slots=True)
class NodeDraining:
    """A node is about to be taken away, in `left_s` seconds; None: nobody said when."""

    node: str
    left_s: float | None = None


@dataclass(frozen=True, slots=True)
class StoreTrouble:
    """The driver itself was refused by the store; `kind` as in farm.errors.StoreError."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class StoreProbed:
    """Whether the store answered when it was asked (see ProbeStore)."""

    answers: bool


@dataclass(frozen=True, slots=True)
class TakeSettled:
    """The outcome of a lease is safe in the store. `take_s`: what it took its worker, rendering and finishing.

    `resident` names the models that its worker holds now, None where it did not say; `load_s` is what it took to
    load this take's, 0 where it was resident. `score` is the take's, None where it has none.
    """

    lease: Lease
    status: Status
    take_s: float | None = None
    resident: tuple[str, ...] | None = None
    load_s: float = 0.0
    score: float | None = None


@dataclass(frozen=True, slots=True)
class TakeFaulted:
    """A lease ended without an outcome; its worker lives, but is not to be trusted unless the store is blamed."""

    lease: Lease
    blame: Blame
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life: a lease is somewhere else than when it was heard of last. Fields as in farm.bench.Pulse."""

    lease: Lease
    stage: str
    done: int = 0
    total: int = 0
    shape: str = ""


@dataclass(frozen=True, slots=True)
class StopAsked:
    """A person wants it to end: what is being rendered is finished, or, at once, left."""

    at_once: bool = False


Event: TypeAlias = (
    Tick
    | StillOpened
    | StillRefused
    | WorkerPlaced
    | WorkerReady
    | WorkerLost
    | NodeDraining
    | StoreTrouble
    | StoreProbed
    | TakeSettled
    | TakeFaulted
    | Beat
    | StopAsked
)


# --- instructions -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenStill:
    """Have the gate look at a still; answered by StillOpened or StillRefused."""

    still: int


@dataclass(frozen=True, slots=True)
class CloseStill:
    """No shot of this still is open any more; forget it."""

    still: int


@dataclass(frozen=True, slots=True)
class StartWorker:
    """`model` is the name of the one that it loads first."""

    worker: str
    model: str


@dataclass(frozen=True, slots=True)
class StopWorker:
    """End a worker for good. `gently`: nothing is leased to it; otherwise what it does is of no more use.

    `trouble` says what is wrong with it, where something is.
    """

    worker: str
    gently: bool
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Render:
    lease: Lease


@dataclass(frozen=True, slots=True)
class Cancel:
    """Have a worker end a lease at its next step; answered by TakeFaulted, unless it settles before."""

    lease: Lease
    trouble: str


@dataclass(frozen=True, slots=True)
class RefuseShot:
    """The still of this shot cannot be used: settle its `take` as failed, without an attempt."""

    shot: int
    take: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """This take failed too often: settle it as failed, with its story."""

    shot: int
    take: int
    attempts: int
    blame: Blame
    kind: str
    story: str


@dataclass(frozen=True, slots=True)
class ProbeStore:
    """Ask the store whether it is there; answered by StoreProbed."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Nothing is to be done, but whoever looks on should know."""

    message: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The last instruction. `reason` is one of "done", "interrupted", "budget", "broken"."""

    reason: str
    message: str = ""


Instruction: TypeAlias = (
    OpenStill
    | CloseStill
    | StartWorker
    | StopWorker
    | Render
    | Cancel
    | RefuseShot
    | GiveUp
    | ProbeStore
    | Notice
    | Finish
)


# --- what can be asked ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """How a run stands, for those who look on. Counts of shots and takes include earlier sessions."""

    shots: int
    shots_accepted: int
    takes_settled: int
    takes_waiting: int  # a lower bound: a shot may yet deserve more
    in_flight: int
    workers_ready: int
    workers_starting: int
    spent_usd: float
