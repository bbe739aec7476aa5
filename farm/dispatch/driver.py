"""The loop: what the pool, the gate and people do becomes events; what the ledger answers is done.

Invariant: a take is in the manifest's buffer before the ledger hears that it settled, so that nothing counts as done
that is not on its way to the store. The driver itself holds nothing that the store could not give back.

While the store is away, nothing is written, and it is asked in a thread of its own whether it is back: the loop waits
for nobody.
"""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from farm.clock import Clock
from farm.dispatch.events import (
    Cancel,
    CloseStill,
    Event,
    Finish,
    GiveUp,
    Instruction,
    OpenStill,
    ProbeStore,
    RefuseShot,
    Render,
    Standing,
    StartWorker,
    StillOpened,
    StillRefused,
    StopAsked,
    StopWorker,
    StoreProbed,
    StoreTrouble,
    TakeSettled,
    Tick,
)
from farm.dispatch.gate import Gate
from farm.dispatch.ledger import Ledger
from farm.dispatch.pool import Pool
from farm.errors import StoreError
from farm.outcomes import failed_outcome
from farm.plan.grid import Grid
from farm.values import Blame, Outcome, StillReport, Task
from farm.values import Gate as GateVerdict

_PATIENCE_S = 0.25  # longest wait for the pool: a person's Ctrl-C and the progress display wait no longer
_GATE_PATIENCE_S = 0.02  # while stills are being read, workers may be waiting for them


class Record(Protocol):
    """Where outcomes and what the gate saw are kept."""

    def add(self, outcome: Outcome) -> None: ...

    def commit(self, outcome: Outcome) -> None:
        """Adds an outcome that no worker has committed to the store."""
        ...

    def saw(self, report: StillReport) -> None: ...

    def flush_due(self) -> None: ...


class Observer(Protocol):
    """Sees everything, changes nothing: progress, metrics, notifications."""

    def on_event(self, event: Event, outcome: Outcome | None, at_s: float) -> None: ...

    def on_instruction(self, instruction: Instruction, at_s: float) -> None: ...

    def on_outcome(self, outcome: Outcome) -> None:
        """An outcome was recorded, whoever made it."""
        ...

    def on_turn(self, standing: Standing, at_s: float) -> None:
        """Called a few times a second, so that displays move."""
        ...


class Driver:
    """`answers` says whether the store is there, by a cheap read; it may wait for it, and may raise StoreError."""

    def __init__(
        self,
        *,
        grid: Grid,
        ledger: Ledger,
        pool: Pool,
        gate: Gate,
        record: Record,
        clock: Clock,
        observers: Iterable[Observer] = (),
        still_ours: Callable[[], None] = lambda: None,
        answers: Callable[[], bool] = lambda: True,
    ) -> None:
        self._grid = grid
        self._ledger = ledger
        self._pool = pool
        self._gate = gate
        self._record = record
        self._clock = clock
        self._observers = tuple(observers)
        self._still_ours = still_ours  # raises BrokenFarm when another driver has the run
        self._answers = answers
        self._asking = ThreadPoolExecutor(max_workers=1, thread_name_prefix="farm-store")
        self._asked: Future[bool] | None = None
        self._owed: deque[Outcome] = deque()  # made here, not yet committed
        self._stops_asked = self._stops_told = 0
        self._finish: Finish | None = None

    def stop(self) -> None:
        """Asks for the end; once: what is being rendered is finished; twice: at once. Safe in a signal handler."""
        self._stops_asked += 1

    def run(self) -> Finish:
        """Runs until the ledger is finished; how it ended. Raises StoreError when outcomes cannot be recorded."""
        try:
            return self._run()
        finally:
            self._asking.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> Finish:
        self._tell(Tick())
        while self._finish is None:
            self._still_ours()
            for event, outcome in self._pool.poll(_GATE_PATIENCE_S if self._gate.busy else _PATIENCE_S):
                self._tell(event, outcome)
            for still, report in self._gate.poll():
                self._record.saw(report)
                refused = report.verdict is GateVerdict.REFUSE
                self._tell(StillRefused(still) if refused else StillOpened(still))
            while self._stops_told < self._stops_asked and self._finish is None:
                self._stops_told += 1
                self._tell(StopAsked(at_once=self._stops_told > 1))
            self._tell(Tick())
            self._mind_the_store()
            for observer in self._observers:
                observer.on_turn(self._ledger.standing(), self._clock.monotonic_s())
        if self._finish.reason != "broken":
            self._commit_owed()
        return self._finish

    def _mind_the_store(self) -> None:
        if self._asked is not None and self._asked.done():
            asked, self._asked = self._asked, None
            try:
                answers = asked.result()
            except StoreError as e:
                answers = False
                self._tell(StoreTrouble(e.kind, str(e)))
            self._tell(StoreProbed(answers))
        if self._ledger.store_is_away:
            return
        try:
            self._commit_owed()
            self._record.flush_due()
        except StoreError as e:
            self._tell(StoreTrouble(e.kind, str(e)))

    def _tell(self, event: Event, outcome: Outcome | None = None) -> None:
        at_s = self._clock.monotonic_s()
        if outcome is not None and isinstance(event, TakeSettled) and self._ledger.is_current(event.lease):
            self._add(outcome)
        for observer in self._observers:
            observer.on_event(event, outcome, at_s)
        for instruction in self._ledger.handle(event, at_s):
            for observer in self._observers:
                observer.on_instruction(instruction, at_s)
            self._do(instruction)

    def _do(self, instruction: Instruction) -> None:
        match instruction:
            case OpenStill(still):
                self._gate.open(still)
            case CloseStill(still):
                self._gate.close_still(still)
            case StartWorker(worker, model):
                self._pool.start(worker, model)
            case StopWorker(worker, gently):
                self._pool.stop(worker, gently=gently)
            case Render(lease):
                self._still_ours()
                self._pool.render(lease, self._task(lease.shot, lease.take))
            case Cancel(lease):
                self._pool.cancel(lease)
            case RefuseShot(shot, take):
                report = self._gate.report(self._grid.still_of(shot))
                reason, kind = report.reason or "refused by the gate", report.kind or "still_refused"
                self._fail(shot, take, attempts=0, blame=Blame.TASK, kind=kind, reason=reason)
            case GiveUp(shot, take, attempts, blame, kind, story):
                self._fail(shot, take, attempts=attempts, blame=blame, kind=kind, reason=story)
            case ProbeStore():
                self._asked = self._asking.submit(self._answers)
            case Finish():
                self._finish = instruction

    def _task(self, shot: int, take: int) -> Task:
        report = self._gate.report(self._grid.still_of(shot))
        return self._grid.task(shot, take, report.still, report.sha256 or "")

    def _fail(self, shot: int, take: int, *, attempts: int, blame: Blame, kind: str, reason: str) -> None:
        at = self._clock.now().isoformat()
        task = self._task(shot, take)
        self._owed.append(failed_outcome(task, attempts, reason=reason, blame=blame, kind=kind, at=at))

    def _commit_owed(self) -> None:
        while self._owed:
            self._record.commit(self._owed[0])
            outcome = self._owed.popleft()
            for observer in self._observers:
                observer.on_outcome(outcome)

    def _add(self, outcome: Outcome) -> None:
        self._record.add(outcome)
        for observer in self._observers:
            observer.on_outcome(outcome)
