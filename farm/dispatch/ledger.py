"""The ledger: the pure state machine that decides. Events in, instructions out.

Invariants
- Every take that was issued settles exactly once; what was settled before this run is never issued.
- Memory grows with what is open (see queue.py and board.py).
- A worker that faulted gets nothing more and is replaced; a result of an old attempt changes nothing.
- Deterministic: the same events at the same times give the same instructions. It knows no clock, no network, no
  file and no log; time comes with each event.
- After Finish it answers nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from farm.dispatch import placement, retry, scaling
from farm.dispatch.board import Board
from farm.dispatch.crew import Crew
from farm.dispatch.events import (
    CloseStill,
    Event,
    Finish,
    GiveUp,
    Instruction,
    Lease,
    OpenStill,
    RefuseShot,
    Render,
    Standing,
    StartWorker,
    StillOpened,
    StillRefused,
    StopAsked,
    StopWorker,
    TakeFaulted,
    TakeSettled,
    Tick,
    WorkerLost,
    WorkerReady,
)
from farm.dispatch.purse import Purse
from farm.dispatch.queue import Cell, TakeQueue
from farm.dispatch.takes import TakesRule
from farm.values import Blame, Status


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a run. `usd` and `hours` None: no budget. `spent_usd`: what earlier sessions of it cost."""

    workers: int
    usd: float | None = None
    hours: float | None = None
    spent_usd: float = 0.0
    gpus_per_worker: float = 0.0
    caps: retry.Caps = field(default_factory=retry.Caps)
    stills_ahead: int = 8


class Ledger:
    """Decides for one run over the shots of `board`, `shots_per_still` of them to a still."""

    def __init__(
        self, board: Board, shots_per_still: int, rule: TakesRule, limits: Limits, *, session: str = "w"
    ) -> None:
        self.finished = False
        self._board = board
        self._limits = limits
        self._queue = TakeQueue(board, shots_per_still, rule, stills_ahead=limits.stills_ahead)
        self._purse = Purse(limits.usd, limits.hours, limits.spent_usd, limits.gpus_per_worker)
        self._out: dict[Cell, Lease] = {}
        self._tries: dict[Cell, int] = {}
        self._faults: dict[Cell, list[retry.Fault]] = {}
        self._crew = Crew(session)
        self._rule = rule
        self._failed_starts = self._store_faults = self._faults_in_a_row = 0
        self._start_trouble = ""
        self._ending: Finish | None = None

    def standing(self) -> Standing:
        return Standing(
            shots=len(self._board),
            shots_accepted=self._board.shots_accepted,
            takes_settled=self._board.takes_settled,
            takes_waiting=self._queue.waiting,
            in_flight=len(self._out),
            workers_ready=self._crew.ready,
            workers_starting=len(self._crew) - self._crew.ready,
            spent_usd=self._purse.spent_usd,
        )

    def handle(self, event: Event, at_s: float) -> list[Instruction]:
        """The answer to one event at a time in seconds, which never goes back."""
        if self.finished:
            return []
        self._purse.tick(at_s)
        return [*self._hear(event), *self._go_on()]

    def is_current(self, lease: Lease) -> bool:
        """Whether this attempt is the one that counts."""
        return self._out.get((lease.shot, lease.take)) == lease

    # --- what happened --------------------------------------------------------------------------------

    def _hear(self, event: Event) -> Iterator[Instruction]:
        match event:
            case Tick():
                pass
            case StillOpened(still):
                self._queue.open(still)
            case StillRefused(still):
                for shot, take in self._queue.refuse(still):
                    yield RefuseShot(shot, take)
                yield CloseStill(still)
            case WorkerReady():
                self._welcome(event)
            case WorkerLost():
                yield from self._lose(event)
            case TakeSettled(lease) if self.is_current(lease):
                self._failed_starts = self._store_faults = self._faults_in_a_row = 0
                self._purse.learn(event.take_s)
                self._release(lease)
                yield from self._settle((lease.shot, lease.take), event.status)
            case TakeFaulted(lease) if self.is_current(lease):
                yield from self._fault(event)
            case TakeSettled() | TakeFaulted():
                pass  # an old attempt
            case StopAsked(at_once):
                self._ending = self._ending or Finish("interrupted")
                if at_once:
                    self._out.clear()
                    yield from self._dismiss(self._crew.names(), gently=False)

    def _welcome(self, event: WorkerReady) -> None:
        worker = self._crew.get(event.worker)
        if worker is not None:
            worker.ready = True
            self._failed_starts = 0
            self._purse.hire(event.worker, event.price_usd_h, event.load_s)

    def _lose(self, event: WorkerLost) -> Iterator[Instruction]:
        worker = self._crew.pop(event.worker)
        if worker is None:
            return
        self._purse.dismiss(event.worker)
        if not worker.ready and not event.preempted:
            self._failed_starts += 1
            self._start_trouble = event.message
        fault = None
        if not event.preempted:
            fault = retry.Fault(event.worker, Blame.WORKER, event.kind, event.message)
        for lease in sorted(worker.leases, key=lambda lease: (lease.shot, lease.take)):
            del self._out[lease.shot, lease.take]
            yield from self._requeue((lease.shot, lease.take), fault)

    def _fault(self, event: TakeFaulted) -> Iterator[Instruction]:
        lease = event.lease
        if event.blame is Blame.STORE:
            self._store_faults += 1
            if self._store_faults >= self._limits.caps.store_faults:
                self._break(f"the store refused {self._store_faults} times in a row: {event.message}")
        elif (worker := self._crew.get(lease.worker)) is not None:
            worker.leaving = True
        self._release(lease)
        fault = retry.Fault(lease.worker, event.blame, event.kind, event.message)
        yield from self._requeue((lease.shot, lease.take), fault)

    def _requeue(self, cell: Cell, fault: retry.Fault | None) -> Iterator[Instruction]:
        """A lease that ended without an outcome goes back, or is given up; no fault: nobody is charged."""
        if fault is not None:
            self._faults_in_a_row += 1
            if self._faults_in_a_row >= self._limits.caps.faults_of(self._limits.workers):
                self._break(f"{self._faults_in_a_row} faults in a row, the last: {fault.message}")
            faults = self._faults.setdefault(cell, [])
            faults.append(fault)
            if retry.exhausted(self._limits.caps, faults):
                yield GiveUp(*cell, len(faults), Blame.TASK, fault.kind, retry.story(faults))
                yield from self._settle(cell, Status.FAILED)
                return
        self._queue.ready.appendleft(cell)

    def _settle(self, cell: Cell, status: Status) -> Iterator[Instruction]:
        self._faults.pop(cell, None)
        self._tries.pop(cell, None)
        if self._queue.settle(cell, status, more=self._ending is None):
            yield CloseStill(self._queue.still_of(cell))

    # --- what follows from it -------------------------------------------------------------------------

    def _go_on(self) -> Iterator[Instruction]:
        if self._ending is None and (verdict := self._purse.verdict(self._crew.longest_queue)):
            self._ending = Finish("budget", verdict)
        leaving = self._crew.names(lambda worker: worker.leaving and not worker.leases)
        yield from self._dismiss(leaving, gently=False)
        if self._ending is None:
            for still in self._queue.fill(2 * placement.AHEAD * self._limits.workers):
                yield OpenStill(still)
            yield from self._dispatch()
            yield from self._hire()
            if self._queue.exhausted:
                # Whoever is still busy takes what may yet come; the others cost money and are not needed.
                idle = self._crew.names(lambda worker: not worker.leases)
                yield from self._dismiss(idle, gently=True)
        if not self._out and (self._ending or self._queue.empty):
            yield from self._dismiss(self._crew.names(), gently=True)
            self.finished = True
            broken = self._ending is not None and self._ending.reason == "broken"
            # Asked to end, or out of budget, with the last takes that were due: nothing is missing.
            done = not broken and self._board.is_done(self._rule)
            yield self._ending if self._ending and not done else Finish("done")

    def _dispatch(self) -> Iterator[Instruction]:
        seats = self._crew.seats(self._alone)
        held: list[Cell] = []  # takes that wait for a worker of their own
        loading = len(self._crew) - self._crew.ready
        for _ in range(len(self._queue.ready)):
            # The last takes are not queued behind others while a worker is about to be free for them.
            ahead = placement.AHEAD if self._queue.waiting > loading else 1
            if all(seat.leases >= ahead for seat in seats.values()):
                break
            cell = self._queue.ready.popleft()
            still = self._queue.still_of(cell)
            name = placement.choose(seats.values(), still, ahead=1 if self._suspect(cell) else ahead)
            if name is None:
                held.append(cell)
                continue
            self._tries[cell] = self._tries.get(cell, 0) + 1
            lease = Lease(*cell, attempt=self._tries[cell], worker=name)
            self._out[cell] = lease
            self._crew.give(lease, still)
            seats[name] = self._crew.seat(name, self._alone)
            yield Render(lease)
        self._queue.ready.extendleft(reversed(held))

    def _alone(self, lease: Lease) -> bool:
        return self._suspect((lease.shot, lease.take))

    def _suspect(self, cell: Cell) -> bool:
        return retry.suspect(self._faults.get(cell, ()))

    def _hire(self) -> Iterator[Instruction]:
        present, loading = self._crew.present, len(self._crew) - self._crew.ready
        wanted = scaling.workers_to_start(self._limits.workers, present, loading, self._queue.waiting)
        if wanted and self._failed_starts >= self._limits.caps.failed_starts:
            # Where others render, the night goes on with them; a start is tried again when they have settled a take.
            if not present:
                self._break(f"{self._failed_starts} workers in a row could not start: {self._start_trouble}")
            return
        for _ in range(wanted):
            yield StartWorker(self._crew.hire())

    def _dismiss(self, names: list[str], *, gently: bool) -> Iterator[Instruction]:
        for name in names:
            self._crew.pop(name)
            self._purse.dismiss(name)
            yield StopWorker(name, gently=gently)

    def _release(self, lease: Lease) -> None:
        del self._out[lease.shot, lease.take]
        self._crew.release(lease)

    def _break(self, message: str) -> None:
        if self._ending is None or self._ending.reason != "broken":
            self._ending = Finish("broken", message)

    def check(self) -> None:
        """Asserts what must hold between events; for tests and simulations, where a breach is a bug."""
        if not self.finished:
            self._crew.check(self._out.values())
            self._queue.check(set(self._out))
        assert self._crew.present <= self._limits.workers
