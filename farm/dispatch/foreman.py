"""Which worker gets which take, and which model a worker loads next. Pure.

Invariants: a take goes to a worker that holds its model, or that has nothing else to do and loads it because that is
worth it (placement.py). A suspect renders alone: where everybody is busy, one of them gets nothing more until it is
done, or a suspect would wait for the end of the night. Nothing waits for ever: a model that nobody holds is loaded by
the first worker whose own models have nothing left to give it.
"""

from collections.abc import Iterator

from farm.dispatch import placement, scaling
from farm.dispatch.crew import Crew
from farm.dispatch.events import Lease, TakeSettled, WorkerReady
from farm.dispatch.queue import Cell, TakeQueue
from farm.dispatch.retry import Attempts, Streaks
from farm.values import Status


class Foreman:
    def __init__(self, queue: TakeQueue, crew: Crew, attempts: Attempts, streaks: Streaks) -> None:
        self._streaks = streaks
        self._queue = queue
        self._crew = crew
        self._attempts = attempts
        self._models = range(len(queue.ready))
        self._pace = queue.pace

    def welcome(self, event: WorkerReady) -> None:
        """A worker that was hired holds its first model."""
        member = self._crew.get(event.worker)
        if member is not None and member.loads is not None:
            self._pace.loaded(member.loads, event.load_s)
        self._told(event.worker, event.resident)

    def learn(self, event: TakeSettled) -> None:
        """How long a take and its load were, and what its worker holds now."""
        model = self._queue.model_of(event.lease.shot)
        if event.load_s:
            self._pace.loaded(model, event.load_s)
        if event.take_s is not None and event.status is not Status.FAILED:
            self._pace.took(model, event.take_s)
        if event.resident is not None:
            self._told(event.lease.worker, event.resident)

    def _told(self, worker: str, resident: tuple[str, ...]) -> None:
        member = self._crew.get(worker)
        leases = sorted(member.leases, key=repr) if member else []
        self._crew.told(worker, resident, [self._queue.model_of(lease.shot) for lease in leases])

    def leases(self, at_s: float) -> Iterator[Lease]:
        """Gives out what can be given out now; each lease is its worker's already."""
        seats = self._crew.seats(self._alone, every=self._attempts.troubled)
        starting = [self._crew.starting(model) for model in self._models]
        held: list[Cell] = []  # takes that wait for a worker of their own
        while (model := self._next_model(seats, starting)) is not None:
            ahead = self._ahead(model, starting)
            cell = self._queue.ready[model].popleft()
            still = self._queue.still_of(cell)
            alone = self._attempts.suspect(cell)
            name = placement.choose(
                seats.values(),
                model,
                still,
                ahead=placement.AHEAD + 1 if alone else ahead,
                tried=self._attempts.tried(cell),
                keeper=self._attempts.unsaved(cell),
            )
            if name is None or (alone and seats[name].leases):
                held.append(cell)
                if name is not None:
                    del seats[name]
                continue
            yield self._give(cell, name, seats)
        for cell in reversed(held):
            self._queue.put_back(cell)
        yield from self._switches(seats, at_s)

    def unfinished(self) -> set[int]:
        """The models of which takes wait or are out."""
        waiting = {model for model in self._models if self._queue.waiting_for(model)}
        if len(waiting) == len(self._models):
            return waiting
        return waiting | {self._queue.model_of(lease.shot) for lease in self._crew.leases()}

    def workers_wanted(self, limit: int) -> int:
        """How many to hire now, of `limit` that there may be."""
        loading = len(self._crew) - self._crew.ready
        return scaling.workers_to_start(limit, self._crew.present, loading, self._queue.waiting)

    def first_model(self) -> int | None:
        """What a worker that is hired now loads first; None where no model that waits can be loaded."""
        waiting = (one for one in self._backlogs() if self._queue.waiting_for(one.model))
        return scaling.model_to_load(one for one in waiting if not self._streaks.hopeless(one.model))

    def stuck(self) -> str | None:
        """Why nothing goes on that waits, while nothing is out; None: somebody holds or loads its model, or may.

        Takes of a model that nobody can load may stand in the way of others: where no more is coming, what is ready
        is all there is.
        """
        waiting = [model for model in self._models if self._queue.waiting_for(model)]
        if not any(self._queue.coming(model) for model in waiting):
            waiting = [model for model in waiting if self._queue.ready[model]]
        troubles = [self._streaks.hopeless(model) for model in waiting]
        if any(self._crew.with_model(model) for model in waiting) or not all(troubles):
            return None
        return next(iter(troubles), None)

    def _next_model(self, seats: dict[str, placement.Seat], starting: list[int]) -> int | None:
        """The model whose next take stands first in the grid, of those for whose takes there is room."""
        roomy = [
            model
            for model in self._models
            if self._queue.ready[model]
            and any(
                model in seat.holds and seat.leases < self._ahead(model, starting) for seat in seats.values()
            )
        ]
        return min(roomy, key=lambda model: self._queue.ready[model][0], default=None)

    def _ahead(self, model: int, starting: list[int]) -> int:
        # The last takes are not queued behind others while a worker is about to be free for them.
        return placement.AHEAD if self._queue.waiting_for(model) > starting[model] else 1

    def _switches(self, seats: dict[str, placement.Seat], at_s: float) -> Iterator[Lease]:
        """The first take for each worker that loads another model: one without a lease, whose own have no work."""
        backlogs = None
        for name, seat in list(seats.items()):
            if seat.leases or any(self._queue.ready[one] or self._queue.coming(one) for one in seat.holds):
                self._crew.idles(name, None)
                continue
            idle_s = self._crew.idles(name, at_s)
            backlogs = backlogs or [
                backlog
                for backlog in self._backlogs()
                if self._queue.ready[backlog.model] and not self._streaks.hopeless(backlog.model)
            ]
            model = placement.switch_to((one for one in backlogs if one.model not in seat.holds), idle_s)
            if model is None:
                continue
            backlogs = None
            self._crew.switch(name, model)
            yield self._give(self._queue.ready[model].popleft(), name, seats)

    def _backlogs(self) -> list[placement.Backlog]:
        """What waits of each model, as far as the window lets anybody see it."""
        return [
            placement.Backlog(
                model,
                work_s=min(self._queue.waiting_for(model), self._queue.window) * self._pace.take_s(model),
                workers=self._crew.with_model(model),
                ready=self._crew.ready_with(model),
                load_s=self._pace.load_s(model),
            )
            for model in self._models
        ]

    def _give(self, cell: Cell, name: str, seats: dict[str, placement.Seat]) -> Lease:
        lease = Lease(*cell, attempt=self._attempts.begin(cell), worker=name)
        self._crew.give(lease, self._queue.still_of(cell))
        seats[name] = self._crew.seat(name, self._alone)
        return lease

    def _alone(self, lease: Lease) -> bool:
        return self._attempts.suspect((lease.shot, lease.take))
