"""A run of the ledger under a schedule of faults, through all its sessions, with every promise held at every event.

What is recorded is what a store would hold: an outcome as soon as its worker has committed it, whether the driver
heard of it or not. A driver that dies is followed by one that knows just that.
"""

import zlib
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from random import Random

from schedules import Schedule, calm

from farm.dispatch.board import Board
from farm.dispatch.events import (
    Beat,
    Event,
    Finish,
    GiveUp,
    Instruction,
    Lease,
    RefuseShot,
    Render,
    StartWorker,
    StillOpened,
    StillRefused,
    StopAsked,
    StopWorker,
    TakeFaulted,
    TakeSettled,
    WorkerLost,
    WorkerReady,
)
from farm.dispatch.ledger import Ledger, Limits
from farm.dispatch.night import Night
from farm.dispatch.pace import ASSUMED_LOAD_S, ASSUMED_TAKE_S
from farm.dispatch.placement import AHEAD, WORTH
from farm.dispatch.queue import Cell
from farm.dispatch.simulated import whose
from farm.values import Blame, Status

_MOST_EVENTS = 60_000  # far beyond any run of a few dozen takes: it never ends
_TOLD = 40  # events of a failing run that are shown


@dataclass
class Known:
    """A worker as the ledger may know it. `loads`: what it begins to hold, until it said so."""

    loads: str | None
    told: tuple[str, ...] = ()
    ready: bool = False
    distrusted: bool = False
    leases: set[Lease] = field(default_factory=set)
    idle_since_s: float = 0.0

    def holds(self, model: str) -> bool:
        return self.loads == model if self.loads else model in self.told


class Checked(Night):
    """One session after another, over one store."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.dice = Random(f"noise {schedule.seed}")
        self.store: dict[Cell, tuple[Status, bool]] = {}  # (status, hopeless)
        self.settled: Counter[Cell] = Counter()
        self.renders = self.events = 0
        self.trace = 0
        self.story: deque[str] = deque(maxlen=_TOLD)
        self.old: list[Event] = []
        self.ends: list[str] = []
        self.longest_s, self.shortest_load_s = ASSUMED_TAKE_S, ASSUMED_LOAD_S
        super().__init__(
            self.new_ledger(), schedule.world, schedule.model_of, workers=schedule.workers, seed=schedule.seed
        )

    def new_ledger(self) -> Ledger:
        """As a session begins: from what the store holds."""
        one = self.schedule
        per_still = one.motions * len(one.models)
        board = Board(one.stills * per_still)
        for (shot, take), (status, hopeless) in self.store.items():
            board.settle(shot, take, status, hopeless=hopeless)
        self.heard = set(self.store)  # what the ledger knows to be settled
        self.known: dict[str, Known] = {}
        self.out: dict[Cell, Lease] = {}
        self.held: dict[str, list[Event]] = {}
        self.calm = len(self.ends) >= one.sessions
        limits = Limits(
            workers=one.workers,
            usd=None if self.ends else one.usd,
            hours=None if self.ends else one.hours,
            stills_ahead=one.stills_ahead,
            lookahead=one.lookahead,
        )
        return Ledger(board, per_still, one.rule, limits, models=one.models, session=f"s{len(self.ends)}-")

    def run(self) -> None:
        """Until the run is done, whatever ends its sessions. Raises AssertionError where a promise is broken."""
        one = self.schedule
        while True:
            end = self.session()
            self.ends.append(end)
            if end == "done":
                break
            assert not self.calm, f"{end}, though nothing happens any more"
            assert end != "budget" or ((one.usd or one.hours) and len(self.ends) == 1), "nobody gave a budget"
            self.pool.close()
            for event, _ in self.pool.poll(0.0):
                self.record(event)
            self.old = [old for old in self.old if not isinstance(old, StillOpened | StillRefused)]
            self.finish = None
            self.ledger = self.new_ledger()
            world = calm(one.world) if self.calm else one.world
            fresh = Night(self.ledger, world, one.model_of, workers=one.workers, seed=one.seed)
            self.clock, self.pool, self.gate = fresh.clock, fresh.pool, fresh.gate
            self._agenda = fresh._agenda
        for shot in range(one.stills * one.motions * len(one.models)):
            self.is_complete(shot)

    def session(self) -> str:
        """How one driver ended: what it said, or "killed"."""
        try:
            return self.play().finish.reason
        except Killed:
            return "killed"

    def is_complete(self, shot: int) -> None:
        rule = self.schedule.rule
        takes = {take: status for (number, take), (status, _) in self.store.items() if number == shot}
        if any(hopeless for (number, _), (_, hopeless) in self.store.items() if number == shot):
            return
        assert set(range(rule.min)) <= set(takes), f"shot {shot}: takes {sorted(takes)} of {rule}"
        assert Status.KEPT in takes.values() or len(takes) == rule.max, f"shot {shot} deserves more"

    # --- what is heard ----------------------------------------------------------------------------

    def hear(self, timeout_s: float) -> list[Event]:
        """What happens next, with its noise: late, again, or never. Of one worker all stays in order."""
        fresh = super().hear(timeout_s)
        one, dice = self.schedule, self.dice
        for event in fresh:
            self.record(event)
        heard: list[Event] = []
        for worker in list(self.held):
            if dice.random() < 0.5:
                heard += self.held.pop(worker)
        for event in fresh:
            worker = whose(event)
            if isinstance(event, Beat) and dice.random() < one.lost:
                continue
            if worker is not None and (worker in self.held or dice.random() < one.late):
                self.held.setdefault(worker, []).append(event)
            else:
                heard.append(event)
        if self.calm:
            return heard
        if self.old and dice.random() < one.stale and self.is_stale(again := dice.choice(self.old)):
            heard.append(again)
        if dice.random() < one.stops:
            heard.append(StopAsked(at_once=dice.random() < 0.3))
        return heard

    def record(self, event: Event) -> None:
        """What a worker has committed is in the store, whoever hears of it."""
        if isinstance(event, TakeSettled):
            cell = (event.lease.shot, event.lease.take)
            if cell in self.store and cell not in self.heard and event.lease.attempt > 1:
                return  # a later attempt finds what an earlier one has committed before it could say so
            self.settled[cell] += 1
            self.store[cell] = (event.status, False)

    def is_stale(self, event: Event) -> bool:
        match event:
            case TakeSettled(lease) | TakeFaulted(lease) | Beat(lease):
                return not self.ledger.is_current(lease)
            case WorkerLost(worker):
                return worker not in self.known
        return True

    def tell(self, event: Event) -> list[Instruction]:
        if isinstance(event, WorkerReady | WorkerLost | TakeSettled | TakeFaulted) and not self.is_heard(
            event
        ):
            # Time passes, and shots are read after leases were given; neither is its doing.
            before = replace(self.ledger.standing(), spent_usd=0.0, takes_waiting=0)
            told = super().tell(event)
            after = replace(self.ledger.standing(), spent_usd=0.0, takes_waiting=0)
            assert after == before or told, "an old event changes nothing"
        else:
            self.note(event)
            told = super().tell(event)
        self.events += 1
        assert self.events < _MOST_EVENTS, "the run never ends"
        line = f"{self.clock.monotonic_s():.3f} {event} -> {told}"
        self.trace = zlib.crc32(line.encode(), self.trace)
        self.story.append(line)
        self.ledger.check()
        self.bounded()
        self.old.append(event)
        if self.finish is None and not self.calm and self.dice.random() < self.schedule.dies:
            raise Killed
        return told

    def is_heard(self, event: Event) -> bool:
        """Whether an event counts: its worker is there, and its lease is the one that is out."""
        if isinstance(event, WorkerReady | WorkerLost):
            return event.worker in self.known
        assert isinstance(event, TakeSettled | TakeFaulted)
        return self.out.get((event.lease.shot, event.lease.take)) == event.lease

    def note(self, event: Event) -> None:
        match event:
            case WorkerReady(worker):
                if not self.known[worker].ready:  # it may be told twice
                    self.known[worker].idle_since_s = self.clock.monotonic_s()
                self.known[worker].ready = True
                self.holds(worker, event.resident, event.load_s)
            case WorkerLost(worker):
                self.part_with(worker)
            case TakeSettled(lease):
                self.heard.add((lease.shot, lease.take))
                self.ended(lease)
                self.longest_s = max(self.longest_s, event.take_s or 0.0)
                self.holds(lease.worker, event.resident or (), event.load_s)
            case TakeFaulted(lease):
                self.ended(lease)
                self.known[lease.worker].distrusted |= event.blame is not Blame.STORE

    def holds(self, worker: str, resident: tuple[str, ...], load_s: float) -> None:
        known = self.known[worker]
        known.told = resident
        needed = [self.schedule.model_of(lease.shot) for lease in known.leases]
        known.loads = next((model for model in needed if model not in resident), None)
        if load_s:
            self.shortest_load_s = min(self.shortest_load_s, load_s)

    def ended(self, lease: Lease) -> None:
        del self.out[lease.shot, lease.take]
        self.known[lease.worker].leases.discard(lease)
        self.known[lease.worker].idle_since_s = self.clock.monotonic_s()

    def part_with(self, worker: str) -> None:
        for lease in self.known.pop(worker).leases:
            del self.out[lease.shot, lease.take]

    # --- what is answered ---------------------------------------------------------------------------

    def _do(self, instruction: Instruction) -> None:
        match instruction:
            case StartWorker(worker, model):
                assert worker not in self.known, "a name is used once"
                self.known[worker] = Known(loads=model)
            case StopWorker(worker):
                assert worker in self.known, "who is gone is not stopped"
                self.part_with(worker)
                self.held.pop(worker, None)
            case Render(lease):
                self.may_render(lease)
            case RefuseShot(shot, take):
                self.settle_here((shot, take), hopeless=True)
            case GiveUp(shot, take):
                assert any((self.schedule.world.poison, self.schedule.world.faults, self.schedule.world.crashes_h,
                            self.schedule.world.hangs_h, self.schedule.world.straggling,
                            self.schedule.lost)), "given up without a fault"  # fmt: skip
                self.settle_here((shot, take), hopeless=False)
            case Finish():
                assert not self.out, "finished with takes out"
                assert not self.known, "finished with workers on the payroll"
        super()._do(instruction)

    def settle_here(self, cell: Cell, *, hopeless: bool) -> None:
        assert cell not in self.store, f"{cell} settles twice"
        assert cell not in self.out
        self.store[cell] = (Status.FAILED, hopeless)
        self.settled[cell] += 1

    def may_render(self, lease: Lease) -> None:
        cell, model = (lease.shot, lease.take), self.schedule.model_of(lease.shot)
        unheard = lease.attempt > 1 and cell not in self.heard
        assert cell not in self.store or unheard, f"{cell} is settled, and rendered again"
        assert cell not in self.out, f"{cell} is out already"
        assert 0 <= lease.take < self.schedule.rule.max
        known = self.known.get(lease.worker)
        assert known is not None and known.ready, f"{lease.worker} is not there"
        assert not known.distrusted, f"{lease.worker} has faulted and gets more"
        assert len(known.leases) < AHEAD
        if not known.holds(model):
            assert not known.leases, "only who has nothing to do changes its model"
            self.is_worth_a_load(model, self.clock.monotonic_s() - known.idle_since_s)
            known.loads = model
        known.leases.add(lease)
        self.out[cell] = lease
        self.renders += 1

    def is_worth_a_load(self, model: str, idle_s: float) -> None:
        one = self.schedule
        holders = [known for known in self.known.values() if known.holds(model) and not known.distrusted]
        others = len(holders)
        # Who is only asked for may never come, and is waited for as long as a load takes.
        waited = idle_s >= self.shortest_load_s and not any(known.ready for known in holders)
        if others and not waited:
            # No more can be waiting than what the shots of this model may still get.
            waiting = one.stills * one.motions * one.rule.max
            share_s = waiting * self.longest_s / (others + 1)
            assert share_s > WORTH * self.shortest_load_s, f"{model} is not worth its load"

    def bounded(self) -> None:
        """Memory grows with what is open."""
        one = self.schedule
        queue = self.ledger._queue
        most = max(one.lookahead * one.workers, 2 * AHEAD * one.workers) + one.rule.min + AHEAD * one.workers
        assert sum(map(len, queue.ready)) <= most
        assert len(queue._opening) <= one.stills_ahead
        assert len(self.out) <= AHEAD * len(self.known)


class Killed(Exception):
    """The driver is no more."""


def failure(run: Checked, *, again: bool = False) -> str | None:
    """Runs it; its story, where a promise is broken. `again`: a second run must answer the same to the last word."""
    try:
        run.run()
        if again:
            second = Checked(run.schedule)
            second.run()
            assert (second.trace, second.events) == (run.trace, run.events), (
                "another night from the same seed"
            )
    except (AssertionError, LookupError, TypeError, ValueError, RuntimeError) as e:
        seed = run.schedule.seed
        head = (
            f"seed {seed}: {type(e).__name__}: {e}\nreplay: make simtest FIRST={seed} SEEDS=1\n{run.schedule}"
        )
        return "\n".join([head, *run.story])
    return None
