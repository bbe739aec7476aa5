"""The ledger: the pure state machine that decides. Events in, instructions out.

Invariants
- Every take that was issued settles exactly once; what was settled before this run is never issued.
- Memory grows with what is open (see queue.py and board.py). What models a worker holds is what it said last.
- A worker that faulted gets nothing more and is replaced; one that hangs is killed. A result of an old attempt changes
  nothing.
- Deterministic: the same events at the same times give the same instructions. It knows no clock, no network, no
  file and no log; time comes with each event.
- After Finish it answers nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from farm.dispatch.board import Board
from farm.dispatch.crew import Crew, Member
from farm.dispatch.events import (
    Beat,
    Cancel,
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
from farm.dispatch.foreman import Foreman
from farm.dispatch.placement import AHEAD
from farm.dispatch.purse import Purse
from farm.dispatch.queue import LOOKAHEAD, Cell, TakeQueue
from farm.dispatch.retry import Attempts, Caps, Fault, Streaks, exhausted, story
from farm.dispatch.takes import TakesRule
from farm.dispatch.watchdog import Watchdog
from farm.values import Blame, Status


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a run. `usd` and `hours` None: no budget. `spent_usd`: what earlier sessions of it cost."""

    workers: int
    usd: float | None = None
    hours: float | None = None
    spent_usd: float = 0.0
    gpus_per_worker: float = 0.0
    caps: Caps = field(default_factory=Caps)
    stills_ahead: int = 8
    lookahead: int = LOOKAHEAD


class Ledger:
    """Decides for one run over the shots of `board`, `shots_per_still` of them to a still.

    A still's shots lie model by model in the order of `models`, which are the models' names.
    """

    def __init__(
        self,
        board: Board,
        shots_per_still: int,
        rule: TakesRule,
        limits: Limits,
        *,
        models: Sequence[str],
        session: str = "w",
    ) -> None:
        self.finished = False
        self._board = board
        self._rule = rule
        self._limits = limits
        self._models = tuple(models)
        self._queue = TakeQueue(
            board,
            shots_per_still,
            rule,
            models=len(models),
            stills_ahead=limits.stills_ahead,
            window=limits.lookahead * limits.workers,
        )
        self._crew = Crew(session, models)
        self._attempts = Attempts()
        self._foreman = Foreman(self._queue, self._crew, self._attempts)
        self._watchdog = Watchdog()
        self._purse = Purse(limits.usd, limits.hours, limits.spent_usd, limits.gpus_per_worker)
        self._out: dict[Cell, Lease] = {}
        self._streaks = Streaks(limits.caps, limits.workers)
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
        self._watchdog.tick(at_s)
        if isinstance(event, Beat):
            # The most frequent event; nothing follows from it before time passes.
            self._watchdog.beat(event)
            return []
        return [*self._hear(event), *self._go_on()]

    def is_current(self, lease: Lease) -> bool:
        """Whether this attempt is the one that counts."""
        return self._out.get((lease.shot, lease.take)) == lease

    # --- what happened --------------------------------------------------------------------------------

    def _hear(self, event: Event) -> Iterator[Instruction]:
        match event:
            case Tick():
                yield from self._look_at_the_clock()
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
                yield from self._book(event)
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
            self._streaks.started()
            self._foreman.welcome(event)
            self._purse.hire(event.worker, event.price_usd_h, event.load_s)
            self._watchdog.hired(event.worker, event.accelerator)

    def _book(self, event: TakeSettled) -> Iterator[Instruction]:
        lease = event.lease
        self._streaks.settled()
        self._purse.learn(self._queue.model_of(lease.shot), (event.take_s or 0.0) + event.load_s)
        self._release(lease, well=event.status is not Status.FAILED, resident=event.resident)
        self._foreman.learn(event)
        yield from self._settle((lease.shot, lease.take), event.status)

    def _lose(self, event: WorkerLost) -> Iterator[Instruction]:
        worker = self._part_with(event.worker)
        if worker is None:
            return
        if not worker.ready and not event.preempted:
            self._streaks.start_failed(event.message)
        fault = None if event.preempted else Fault(event.worker, Blame.WORKER, event.kind, event.message)
        yield from self._abandon(worker, fault, culprit=None)

    def _abandon(
        self, worker: Member, fault: Fault | None, *, culprit: Lease | None
    ) -> Iterator[Instruction]:
        """What a worker that is gone held goes back; the culprit is charged, all of it where none is known."""
        # The culprit goes back last, and so is in front: a worker that has nothing else yet renders it alone.
        for lease in sorted(worker.leases, key=lambda lease: (lease == culprit, lease.shot, lease.take)):
            del self._out[lease.shot, lease.take]
            charged = fault if culprit in (None, lease) else None
            yield from self._requeue((lease.shot, lease.take), charged)

    def _look_at_the_clock(self) -> Iterator[Instruction]:
        for late in self._watchdog.overdue():
            if not self.is_current(late.lease):
                continue  # its worker was killed for what it did beside it
            if late.kind == "overdue":
                yield Cancel(late.lease, late.trouble)
            elif (worker := self._part_with(name := late.lease.worker)) is not None:
                yield StopWorker(name, gently=False, trouble=late.trouble)
                fault = Fault(name, Blame.WORKER, late.kind, late.trouble)
                yield from self._abandon(worker, fault, culprit=late.lease)

    def _fault(self, event: TakeFaulted) -> Iterator[Instruction]:
        lease = event.lease
        if event.blame is Blame.STORE:
            self._break(self._streaks.store_refused(event.message))
        elif (worker := self._crew.get(lease.worker)) is not None:
            worker.leaving = True
        self._release(lease, well=False)
        fault = Fault(lease.worker, event.blame, event.kind, event.message)
        yield from self._requeue((lease.shot, lease.take), fault)

    def _requeue(self, cell: Cell, fault: Fault | None) -> Iterator[Instruction]:
        """A lease that ended without an outcome goes back, or is given up; no fault: nobody is charged."""
        if fault is not None:
            self._break(self._streaks.faulted(fault.message))
            faults = self._attempts.charge(cell, fault)
            if exhausted(self._limits.caps, faults):
                yield GiveUp(*cell, len(faults), Blame.TASK, fault.kind, story(faults))
                yield from self._settle(cell, Status.FAILED)
                return
        self._queue.put_back(cell)

    def _settle(self, cell: Cell, status: Status) -> Iterator[Instruction]:
        self._attempts.settled(cell)
        if self._queue.settle(cell, status, more=self._ending is None):
            yield CloseStill(self._queue.still_of(cell))

    # --- what follows from it -------------------------------------------------------------------------

    def _go_on(self) -> Iterator[Instruction]:
        if self._ending is None:
            verdict = self._purse.verdict(self._crew.longest_queue, self._foreman.unfinished())
            self._ending = Finish("budget", verdict) if verdict else None
        leaving = self._crew.names(lambda worker: worker.leaving and not worker.leases)
        yield from self._dismiss(leaving, gently=False)
        if self._ending is None:
            for still in self._queue.fill(2 * AHEAD * self._limits.workers, self._crew.models):
                yield OpenStill(still)
            for lease in self._foreman.leases():
                self._out[lease.shot, lease.take] = lease
                self._watchdog.given(lease, self._models[self._queue.model_of(lease.shot)])
                yield Render(lease)
            yield from self._hire()
        if self._ending or self._queue.exhausted:
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

    def _hire(self) -> Iterator[Instruction]:
        wanted = self._foreman.workers_wanted(self._limits.workers)
        if wanted and (trouble := self._streaks.hopeless_start):
            # Where others render, the night goes on with them; a start is tried again when they have settled a take.
            self._break(None if self._crew.present else trouble)
            return
        for _ in range(wanted):
            model = self._foreman.first_model()
            yield StartWorker(self._crew.hire(model), self._models[model])

    def _dismiss(self, names: list[str], *, gently: bool) -> Iterator[Instruction]:
        for name in names:
            self._part_with(name)
            yield StopWorker(name, gently=gently)

    def _part_with(self, name: str) -> Member | None:
        self._purse.dismiss(name)
        self._watchdog.gone(name)
        return self._crew.pop(name)

    def _release(self, lease: Lease, *, well: bool, resident: tuple[str, ...] | None = None) -> None:
        del self._out[lease.shot, lease.take]
        self._crew.release(lease)
        self._watchdog.ended(lease, well=well, resident=resident)

    def _break(self, message: str | None) -> None:
        if message is not None and (self._ending is None or self._ending.reason != "broken"):
            self._ending = Finish("broken", message)

    def check(self) -> None:
        """Asserts what must hold between events; for tests and simulations, where a breach is a bug."""
        if not self.finished:
            self._crew.check(self._out.values())
            self._queue.check(set(self._out))
        assert self._crew.present <= self._limits.workers
