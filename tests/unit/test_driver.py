"""The driver: what it does while the store is away, against a pool, a gate and a record that do as they are told."""

from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from farm.dispatch.board import Board
from farm.dispatch.driver import Driver
from farm.dispatch.events import Event, Lease, Notice, StoreProbed, TakeSettled, WorkerReady
from farm.dispatch.ledger import Ledger, Limits
from farm.dispatch.takes import TakesRule
from farm.errors import StoreError
from farm.ids import sha256_hex
from farm.outcomes import blank_outcome
from farm.plan.grid import Grid
from farm.values import Gate as GateVerdict
from farm.values import Model, Motion, Outcome, Status, Still, StillReport, Task

GRID = Grid(3, (Motion("m", "m"),), (Model("m", "previz", "1", 16, Fraction(24), "native"),), 1, 0)


class World:
    """Pool, gate, record, clock and observer in one; every look at the pool takes a second."""

    slots = 1
    busy = False

    def __init__(self) -> None:
        self.at_s = 0.0
        self.down: StoreError | None = None
        self.pool: list[tuple[Event, Outcome | None]] = []
        self.opened: list[int] = []
        self.refused = {1}
        self.recorded: list[Outcome] = []
        self.flushes = 0
        self.notices: list[str] = []
        self.probes: list[bool] = []
        self.on_poll: Callable[[], None] = lambda: None

    # the clock
    def monotonic_s(self) -> float:
        return self.at_s

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at_s, UTC)

    # the pool and the gate
    def start(self, worker: str, model: str) -> None:
        self.pool.append((WorkerReady(worker, "n", "CPU", 0.0, None, ("m",)), None))

    def render(self, lease: Lease, task: Task) -> None:
        self.pool.append((TakeSettled(lease, Status.KEPT), blank_outcome(task, lease.attempt, Status.KEPT)))

    def stop(self, worker: str, *, gently: bool) -> None:
        pass

    def open(self, still: int) -> None:
        self.opened.append(still)

    def close_still(self, still: int) -> None:
        pass

    def report(self, still: int) -> StillReport:
        named = Still(f"s{still}", "s.png", "s.png")
        verdict = GateVerdict.REFUSE if still in self.refused else GateVerdict.OK
        return StillReport(named, verdict, sha256_hex(named.id.encode()), 8, 8, 8, "torn", "still_truncated")

    # the record
    def add(self, outcome: Outcome) -> None:
        self.recorded.append(outcome)

    def commit(self, outcome: Outcome) -> None:
        self._written()
        self.recorded.append(outcome)

    def saw(self, report: StillReport) -> None:
        pass

    def flush_due(self) -> None:
        self.flushes += 1
        self._written()

    def answers(self) -> bool:
        return self.down is None

    def _written(self) -> None:
        if self.down is not None:
            raise self.down

    # an observer
    def on_event(self, event: Event, outcome: Outcome | None, at_s: float) -> None:
        if isinstance(event, StoreProbed):
            self.probes.append(event.answers)

    def on_instruction(self, instruction: object, at_s: float) -> None:
        if isinstance(instruction, Notice):
            self.notices.append(instruction.message)

    def on_outcome(self, outcome: Outcome) -> None:
        pass

    def on_turn(self, standing: object, at_s: float) -> None:
        pass


class Told:
    """A world's two things that are polled: its pool and its gate."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __getattr__(self, name: str) -> object:
        return getattr(self.world, name)


class PoolOf(Told):
    def poll(self, timeout_s: float) -> list[tuple[Event, Outcome | None]]:
        self.world.at_s += 1.0
        self.world.on_poll()
        heard, self.world.pool = self.world.pool, []
        return heard


class GateOf(Told):
    def poll(self) -> list[tuple[int, StillReport]]:
        opened, self.world.opened = self.world.opened, []
        return [(still, self.world.report(still)) for still in opened]


def driver(world: World) -> Driver:
    ledger = Ledger(Board(3), 1, TakesRule(1, 1), Limits(workers=1), models=("m",))
    return Driver(
        grid=GRID,
        ledger=ledger,
        pool=PoolOf(world),  # type: ignore[arg-type]
        gate=GateOf(world),  # type: ignore[arg-type]
        record=world,
        clock=world,  # type: ignore[arg-type]
        observers=(world,),  # type: ignore[arg-type]
        answers=world.answers,
    )


@pytest.mark.timeout(60)
def test_an_outage_is_waited_for_and_nothing_is_lost():
    world = World()
    world.down = StoreError("no route", kind="unreachable")

    def back() -> None:
        if len(world.probes) == 3:
            world.down = None

    world.on_poll = back
    assert driver(world).run().reason == "done"
    assert world.probes == [False, False, False, True]
    assert ["does not answer" in one for one in world.notices] == [True, False]
    assert sorted((one.still_id, one.status) for one in world.recorded) == [
        ("s0", Status.KEPT), ("s1", Status.FAILED), ("s2", Status.KEPT),
    ]  # fmt: skip
    assert len(world.recorded) == 3 and world.flushes < 12, "nothing is written while it is away"


def test_what_no_waiting_mends_ends_the_run():
    world = World()
    world.down = StoreError("no permission", kind="denied")
    finish = driver(world).run()
    assert (finish.reason, finish.message) == ("broken", "the store cannot be used (denied): no permission")


@pytest.mark.timeout(60)
def test_what_the_question_meets_is_heard_too():
    world = World()
    world.down = StoreError("no route", kind="unreachable")

    def revoked() -> bool:
        raise StoreError("no permission", kind="denied")

    world.answers = revoked  # type: ignore[method-assign]
    assert driver(world).run().message == "the store cannot be used (denied): no permission"
