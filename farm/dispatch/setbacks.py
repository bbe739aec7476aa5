"""What goes wrong, and what follows for the takes it hits: they go back, or are given up. Pure.

Invariants: a lease that ended without an outcome is back in the queue or settled as failed when a method here returns.
Who is charged for it is blame.py's business; that dispatch stops while the store is away is the ledger's.
"""

from collections.abc import Iterator

from farm.dispatch.blame import Blamer
from farm.dispatch.books import Books, cell_of
from farm.dispatch.crew import Member
from farm.dispatch.events import (
    Cancel,
    Instruction,
    Lease,
    Notice,
    ProbeStore,
    StopWorker,
    TakeFaulted,
    WorkerLost,
)
from farm.dispatch.outage import Outage
from farm.dispatch.queue import Cell
from farm.dispatch.retry import LOAD_FAULTS, Fault
from farm.dispatch.watchdog import Late
from farm.values import Blame, Status


class Setbacks:
    def __init__(self, books: Books, blamer: Blamer, outage: Outage) -> None:
        self._books = books
        self._blamer = blamer
        self._outage = outage

    def placed(self, name: str, node: str) -> Iterator[Instruction]:
        """A worker stands on a node; where that bears nothing, it is sent away."""
        worker = self._books.crew.get(name)
        if worker is not None and not worker.leaving and not self._blamer.welcome(worker, node):
            yield from self._books.dismiss([name], gently=True)

    def lost(self, event: WorkerLost) -> Iterator[Instruction]:
        worker = self._books.part_with(event.worker)
        if worker is None:
            return
        if event.preempted:
            yield from self._abandon(worker, None)
            return
        cells = [cell_of(lease) for lease in worker.leases]
        ruling = self._blamer.failed(event.worker, worker, event.kind, event.message, cells)
        yield from ruling.notices
        yield from self._abandon(worker, ruling.fault)

    def faulted(self, event: TakeFaulted) -> Iterator[Instruction]:
        lease, cell, books = event.lease, cell_of(event.lease), self._books
        worker = books.crew.get(lease.worker)
        assert worker is not None, "a lease that counts has a worker"
        books.release(lease, well=False)
        if event.blame is Blame.STORE:
            fault = Fault(lease.worker, Blame.STORE, event.kind, event.message, worker.node)
            yield from self._requeue(cell, fault)
            yield from self.store_refused(event.kind, event.message)
            return
        worker.leaving = True
        if event.kind in LOAD_FAULTS:
            self._blamer.streaks.start_failed(books.queue.model_of(lease.shot), event.message)
        ruling = self._blamer.failed(lease.worker, worker, event.kind, event.message, [cell])
        yield from ruling.notices
        yield from self._requeue(cell, ruling.fault)

    def store_refused(self, kind: str, message: str) -> Iterator[Instruction]:
        was_on = self._outage.on
        trouble = self._outage.refused(kind, message, self._books.now_s)
        if trouble is not None:
            self._books.broken(trouble)
            yield from self._books.drop_all()  # what they render would be lost
        elif not was_on:
            yield Notice(f"the store does not answer ({kind}: {message}); nothing is given out until it does")

    def store_probed(self, answers: bool) -> Iterator[Instruction]:
        lasted_s = self._outage.probed(answers, self._books.now_s)
        if lasted_s is not None:
            yield Notice(f"the store answers again after {lasted_s:.0f} s")

    def look_at_the_clock(self) -> Iterator[Instruction]:
        if self._outage.ask_now(self._books.now_s):
            yield ProbeStore()
        if self._outage.on:
            self._books.watchdog.store_is_away()
        for node in self._blamer.nodes.expired():
            for name in self._books.crew.on(node):
                yield from self._stop(name, "")
        for late in self._books.watchdog.overdue():
            if not self._books.is_current(late.lease):
                continue  # its worker was killed for what it did beside it
            if late.kind == "overdue":
                yield Cancel(late.lease, late.trouble)
            else:
                yield from self._stop(late.lease.worker, late.trouble, late)

    def _stop(self, name: str, trouble: str, late: Late | None = None) -> Iterator[Instruction]:
        """Kills a worker: because it hangs, or, where nothing is `late`, because its node's time is up."""
        worker = self._books.part_with(name)
        if worker is None:
            return
        yield StopWorker(name, gently=False, trouble=trouble)
        if late is None:
            yield from self._abandon(worker, None)
            return
        ruling = self._blamer.failed(name, worker, late.kind, trouble, [cell_of(late.lease)])
        yield from ruling.notices
        yield from self._abandon(worker, ruling.fault, late.lease)

    def _abandon(
        self, worker: Member, fault: Fault | None, culprit: Lease | None = None
    ) -> Iterator[Instruction]:
        """What a worker that is gone held goes back; the culprit is charged, all of it where none is known."""
        # The culprit goes back last, and so is in front: a worker that has nothing else yet renders it alone.
        for lease in sorted(worker.leases, key=lambda lease: (lease == culprit, lease.shot, lease.take)):
            del self._books.out[cell_of(lease)]
            charged = fault if culprit in (None, lease) else None
            yield from self._requeue(cell_of(lease), charged)

    def _requeue(self, cell: Cell, fault: Fault | None) -> Iterator[Instruction]:
        """A lease that ended without an outcome goes back, or is given up; no fault: nobody is charged."""
        if fault is not None:
            self._books.broken(self._blamer.streaks.faulted(fault))
            if (end := self._blamer.charge(cell, fault)) is not None:
                yield end
                self._blamer.attempts.settled(cell)
                yield from self._books.settle(cell, Status.FAILED)
                return
        self._books.queue.put_back(cell)
