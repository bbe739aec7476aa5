"""A whole night in virtual time: a ledger, played against simulated workers and stills until it is finished.

Invariants: the ledger is the one that runs real nights, asked in the same way; the same world, seed and ledger give the
same night. Time passes in ticks no longer than the watchdog counts, but for fleets whose events lie closer anyway.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from farm.clock import VirtualClock
from farm.dispatch.agenda import Agenda
from farm.dispatch.events import (
    Cancel,
    CloseStill,
    Event,
    Finish,
    GiveUp,
    Instruction,
    Notice,
    OpenStill,
    ProbeStore,
    RefuseShot,
    Render,
    StartWorker,
    StillOpened,
    StillRefused,
    StopWorker,
    StoreProbed,
    Tick,
    WorkerLost,
    WorkerReady,
)
from farm.dispatch.ledger import Ledger
from farm.dispatch.simulated import SimulatedPool
from farm.dispatch.world import Account, World, chance

_TICK_S = 5.0
_TICK_OF_MANY_S = 30.0
"""Every look at the clock is a look at every lease, and with many workers something happens every second."""
_MANY = 500  # workers
_ANSWER_S = 0.1  # until a store that is there has answered

_STILL = 2  # what a chance is for


class SimulatedGate:
    """Looks at stills, each for a while, some at a time as the ledger asks."""

    def __init__(self, world: World, agenda: Agenda, seed: int) -> None:
        self.heard: list[Event] = []
        self._world = world
        self._agenda = agenda
        self._dice = Random(f"gate {seed}")
        self._seed = seed

    def open(self, still: int) -> None:
        self._agenda.later(self._world.still.draw(self._dice), self._seen, still)

    def _seen(self, still: int) -> None:
        refused = chance(self._seed, _STILL, still) < self._world.refused
        self.heard.append(StillRefused(still) if refused else StillOpened(still))


@dataclass(slots=True)
class Tale:
    """What a night came to. `workers`: (seconds, how many are ready from then on)."""

    finish: Finish
    wall_s: float
    usd: float
    renders: int
    given_up: int
    refused: int
    accepted: int
    shots: int
    settled: int
    paid_s: float
    account: Account
    workers: list[tuple[float, int]] = field(default_factory=list)


class Night:
    """Carries events and instructions between a ledger and simulated machinery, as driver.py does with real ones.

    `workers` is how many there may be.
    """

    def __init__(
        self, ledger: Ledger, world: World, model_of: Callable[[int], str], *, workers: int, seed: int
    ) -> None:
        self.clock = VirtualClock()
        self.ledger = ledger
        self._agenda = agenda = Agenda(self.clock)
        self.pool = SimulatedPool(world, model_of, agenda, seed)
        self.gate = SimulatedGate(world, agenda, seed)
        self.finish: Finish | None = None
        self._tick_s = _TICK_S if workers < _MANY else _TICK_OF_MANY_S
        self._renders = self._given_up = self._refused = 0
        self._ready: set[str] = set()
        self._workers: list[tuple[float, int]] = [(0.0, 0)]

    def play(self) -> Tale:
        """Until the ledger is finished."""
        ticks_s = 0.0
        while self.finish is None:
            now_s = self.clock.monotonic_s()
            if now_s >= ticks_s:
                ticks_s = now_s + self._tick_s
                self.tell(Tick())
                continue
            for event in self.hear(ticks_s - now_s):
                self.tell(event)
        return self._tale(self.finish)

    def hear(self, timeout_s: float) -> list[Event]:
        """What happens next."""
        heard = [event for event, _ in self.pool.poll(timeout_s)]
        seen, self.gate.heard = self.gate.heard, []
        return heard + seen

    def tell(self, event: Event) -> list[Instruction]:
        """One event to the ledger, and its answer, which is done."""
        if isinstance(event, WorkerReady | WorkerLost):
            self._count(event.worker, ready=isinstance(event, WorkerReady))
        told = self.ledger.handle(event, self.clock.monotonic_s())
        for instruction in told:
            self._do(instruction)
        return told

    def _do(self, instruction: Instruction) -> None:
        match instruction:
            case Render(lease):
                self._renders += 1
                self.pool.render(lease)
            case OpenStill(still):
                self.gate.open(still)
            case StartWorker(worker, model):
                self.pool.start(worker, model)
            case StopWorker(worker, gently):
                self._count(worker, ready=False)
                self.pool.stop(worker, gently=gently)
            case Cancel(lease):
                self.pool.cancel(lease)
            case RefuseShot():
                self._refused += 1
            case GiveUp():
                self._given_up += 1
            case ProbeStore():
                self._agenda.later(_ANSWER_S, self._probed)
            case CloseStill() | Notice():
                pass
            case Finish():
                self.finish = instruction

    def _probed(self) -> None:
        self.gate.heard.append(StoreProbed(self.pool.store_answers))

    def _count(self, worker: str, *, ready: bool) -> None:
        if ready:
            self._ready.add(worker)
        else:
            self._ready.discard(worker)
        if len(self._ready) != self._workers[-1][1]:
            self._workers.append((self.clock.monotonic_s(), len(self._ready)))

    def _tale(self, finish: Finish) -> Tale:
        standing = self.ledger.standing()
        return Tale(
            finish=finish,
            wall_s=self.clock.monotonic_s(),
            usd=standing.spent_usd,
            renders=self._renders,
            given_up=self._given_up,
            refused=self._refused,
            accepted=standing.shots_accepted,
            shots=standing.shots,
            settled=standing.takes_settled,
            paid_s=self.pool.paid_s,
            account=self.pool.account,
            workers=self._workers,
        )
