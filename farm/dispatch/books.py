"""What is out, with whom and since when: queue, crew, watchdog and purse, kept in step. Pure.

Invariant: a lease is in all of them or in none; whoever leaves the crew is paid and watched no more.
"""

from collections.abc import Iterator

from farm.dispatch.crew import Crew, Member
from farm.dispatch.events import CloseStill, Finish, Instruction, Lease, StopWorker
from farm.dispatch.purse import Purse
from farm.dispatch.queue import Cell, TakeQueue
from farm.dispatch.watchdog import Watchdog
from farm.values import Status


class Books:
    def __init__(self, queue: TakeQueue, crew: Crew, purse: Purse) -> None:
        self.queue = queue
        self.crew = crew
        self.purse = purse
        self.watchdog = Watchdog()
        self.out: dict[Cell, Lease] = {}
        self.ending: Finish | None = None
        self.now_s = 0.0

    def tick(self, at_s: float) -> None:
        self.purse.tick(at_s)
        self.watchdog.tick(at_s)
        self.now_s = at_s

    def is_current(self, lease: Lease) -> bool:
        """Whether this attempt is the one that counts."""
        return self.out.get(cell_of(lease)) == lease

    def give(self, lease: Lease, model: str) -> None:
        """A lease that the crew knows of goes out."""
        self.out[cell_of(lease)] = lease
        self.watchdog.given(lease, model)

    def release(self, lease: Lease, *, well: bool, resident: tuple[str, ...] | None = None) -> None:
        """A lease is out no more, its worker stays."""
        del self.out[cell_of(lease)]
        self.crew.release(lease)
        self.watchdog.ended(lease, well=well, resident=resident)

    def settle(self, cell: Cell, status: Status, score: float | None = None) -> Iterator[Instruction]:
        if self.queue.settle(cell, status, score, more=self.ending is None):
            yield CloseStill(self.queue.still_of(cell))

    def part_with(self, name: str) -> Member | None:
        """Takes a worker out; its leases are the caller's business."""
        self.purse.dismiss(name)
        self.watchdog.gone(name)
        return self.crew.pop(name)

    def dismiss(self, names: list[str], *, gently: bool) -> Iterator[Instruction]:
        """Stops workers; gently: nothing is leased to them."""
        for name in names:
            self.part_with(name)
            yield StopWorker(name, gently=gently)

    def drop_all(self) -> Iterator[Instruction]:
        """Stops everybody, whatever they do."""
        self.out.clear()
        yield from self.dismiss(self.crew.names(), gently=False)

    def broken(self, message: str | None) -> None:
        """The run ends as broken where there is a message; the first one stands."""
        if message is not None and (self.ending is None or self.ending.reason != "broken"):
            self.ending = Finish("broken", message)


def cell_of(lease: Lease) -> Cell:
    return lease.shot, lease.take
