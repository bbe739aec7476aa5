"""Several models in one job: who loads what, and when. One event in; and whole nights in virtual time."""

import heapq
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.dispatch.board import Board
from farm.dispatch.crew import Crew
from farm.dispatch.events import (
    Event,
    Finish,
    GiveUp,
    Instruction,
    Lease,
    OpenStill,
    ProbeStore,
    RefuseShot,
    Render,
    StartWorker,
    StillOpened,
    StopWorker,
    StoreProbed,
    TakeFaulted,
    TakeSettled,
    Tick,
    WorkerLost,
    WorkerReady,
)
from farm.dispatch.ledger import Ledger, Limits
from farm.dispatch.pace import ASSUMED_LOAD_S, ASSUMED_TAKE_S, Pace
from farm.dispatch.placement import WORTH, Backlog, switch_to
from farm.dispatch.purse import Purse
from farm.dispatch.queue import LOOKAHEAD, TakeQueue
from farm.dispatch.retry import Caps
from farm.dispatch.takes import TakesRule
from farm.values import Blame, Status

NAMES = ("a", "b", "c")
ONE = TakesRule(1, 1)


def make(
    stills: int,
    motions: int,
    models: int,
    rule: TakesRule = ONE,
    workers: int = 1,
    lookahead: int = LOOKAHEAD,
) -> Ledger:
    per_still = motions * models
    limits = Limits(workers=workers, lookahead=lookahead)
    return Ledger(Board(stills * per_still), per_still, rule, limits, models=NAMES[:models])


def hold(worker: str, *models: str, load_s: float = 30.0) -> WorkerReady:
    return WorkerReady(worker, "node", "CPU", load_s, None, models)


def opened(ledger: Ledger, event: Event, at_s: float = 0.0) -> list[Instruction]:
    """What the ledger answers, all stills that it wants opened at once."""
    told: list[Instruction] = []
    events = [event]
    while events:
        answer = ledger.handle(events.pop(0), at_s)
        events += [StillOpened(one.still) for one in answer if isinstance(one, OpenStill)]
        told += [one for one in answer if not isinstance(one, OpenStill)]
        ledger.check()
    return told


def shots(told: list[Instruction]) -> list[int]:
    return [one.lease.shot for one in told if isinstance(one, Render)]


# --- who loads what ---------------------------------------------------------------------------------------


def test_new_workers_spread_over_the_models():
    told = opened(make(stills=50, motions=2, models=3, workers=5), Tick())
    assert told == [StartWorker(f"w{n}", model) for n, model in enumerate(("a", "b", "c", "a", "b"), 1)]


def test_no_worker_is_started_for_a_model_that_is_done():
    ledger = make(stills=2, motions=1, models=2, workers=1)
    for still in (0, 1):
        ledger._board.settle(2 * still, 0, Status.KEPT)
    again = Ledger(ledger._board, 2, TakesRule(1, 1), Limits(workers=1), models=NAMES[:2])
    assert opened(again, Tick()) == [StartWorker("w1", "b")]


def test_a_worker_gets_takes_of_the_model_that_it_holds_past_those_of_others():
    ledger = make(stills=50, motions=2, models=3, workers=2)
    opened(ledger, Tick())
    assert shots(opened(ledger, hold("w2", "b"))) == [2, 3]
    assert shots(opened(ledger, hold("w1", "a"))) == [0, 1]


def test_a_worker_that_holds_two_models_goes_still_by_still():
    ledger = make(stills=50, motions=1, models=2)
    opened(ledger, Tick())
    given = shots(opened(ledger, hold("w1", "a", "b")))
    for at_s in range(3):
        lease = Lease(given[at_s], 0, 1, "w1")
        given += shots(opened(ledger, TakeSettled(lease, Status.KEPT, 1.0), at_s))
    assert given == [0, 1, 2, 3, 4]


def test_a_worker_changes_only_when_it_has_nothing_else_and_holds_no_lease():
    ledger = make(stills=2, motions=1, models=2)
    opened(ledger, Tick())
    assert shots(opened(ledger, hold("w1", "a"))) == [0, 2]
    assert shots(opened(ledger, TakeSettled(Lease(0, 0, 1, "w1"), Status.KEPT, 9.0, ("a",)))) == []
    told = opened(ledger, TakeSettled(Lease(2, 0, 1, "w1"), Status.KEPT, 9.0, ("a",)))
    assert shots(told) == [1], "its load begins with one take"
    assert shots(opened(ledger, Tick())) == [3], "the next waits behind it"
    told = opened(ledger, TakeSettled(Lease(1, 0, 1, "w1"), Status.KEPT, 9.0, ("b",), load_s=40.0))
    told = opened(ledger, TakeSettled(Lease(3, 0, 1, "w1"), Status.KEPT, 9.0, ("b",)))
    assert told[-1] == Finish("done")


def test_workers_that_never_come_are_not_waited_for_for_ever():
    """A cluster may have fewer GPUs than a job allows: the others stay pending all night."""
    ledger = make(stills=3, motions=1, models=2, workers=3)
    opened(ledger, Tick())
    opened(ledger, hold("w1", "a"))
    told: list[Instruction] = []
    for shot in (0, 2, 4):
        told += opened(ledger, TakeSettled(Lease(shot, 0, 1, "w1"), Status.KEPT, 5.0, ("a",)), 15.0)
    assert not [shot for shot in shots(told) if shot % 2], "w2 was asked to load b, and may come"
    at_s = 15.0
    while not (given := shots(opened(ledger, Tick(), at_s))):
        at_s += 1
        assert at_s < 15 + 2 * ASSUMED_LOAD_S, "it waits for ever"
    assert given == [1] and at_s >= 15 + ASSUMED_LOAD_S


def test_a_model_that_had_to_go_is_loaded_by_the_take_that_needs_it_and_no_other_comes_between():
    ledger = make(stills=60, motions=1, models=2)
    opened(ledger, Tick())
    given = shots(opened(ledger, hold("w1", "a", "b")))
    assert given == [0, 1]
    # While take 0 was rendered the memory was full, and b had to go.
    assert shots(opened(ledger, TakeSettled(Lease(0, 0, 1, "w1"), Status.KEPT, 5.0, ("a",)))) == [3]
    told = opened(ledger, TakeSettled(Lease(1, 0, 1, "w1"), Status.KEPT, 5.0, ("b",), load_s=30.0))
    assert shots(told) == [5], "it goes on with b"


def test_a_model_that_cannot_be_loaded_is_left_alone_and_ends_the_run_when_nothing_else_waits():
    ledger = make(stills=40, motions=1, models=2, workers=3)
    started = [one for one in opened(ledger, Tick()) if isinstance(one, StartWorker)]
    opened(ledger, hold("w1", "a"))
    told: list[Instruction] = list(started)
    for _ in range(8):
        broken = [one.worker for one in told if isinstance(one, StartWorker) and one.model == "b"]
        told = []
        for worker in broken:
            told += opened(ledger, WorkerLost(worker, "InputError", "no such weights"))
            lease = next(iter(ledger._crew.get("w1").leases))
            told += opened(ledger, TakeSettled(lease, Status.KEPT, 5.0, ("a",)))
        started += [one for one in told if isinstance(one, StartWorker)]
    assert [one.model for one in started].count("b") == Caps().failed_starts
    for worker in [name for name in ledger._crew.names() if name != "w1"]:
        told += opened(ledger, hold(worker, "a"))
    while not any(isinstance(one, Finish) for one in told):
        leases = ledger._crew.leases()
        assert leases, "nothing goes on and nobody says so"
        told = opened(ledger, TakeSettled(leases[0], Status.KEPT, 5.0, ("a",)))
    finish = next(one for one in told if isinstance(one, Finish))
    assert (
        finish.reason == "broken" and "3 workers in a row could not start: no such weights" in finish.message
    )
    assert ledger.standing().takes_settled == 40


def test_a_slow_gate_makes_nobody_change():
    ledger = make(stills=50, motions=1, models=2)
    ledger.handle(Tick(), 0.0)
    ledger.handle(StillOpened(0), 0.0)
    assert shots(ledger.handle(hold("w1", "a"), 0.0)) == [0]
    told = ledger.handle(TakeSettled(Lease(0, 0, 1, "w1"), Status.KEPT, 9.0, ("a",)), 9.0)
    assert shots(told) == [], "take 1 is ready, but of the other model, and more of its own is coming"
    assert shots(ledger.handle(StillOpened(1), 10.0)) == [2]


def test_while_a_worker_loads_it_is_given_nothing_of_what_may_have_to_go():
    crew = Crew("w", NAMES)
    name = crew.hire(0)
    assert crew.models == {0} and crew.starting(0) == 1
    crew.told(name, ("a", "of another job"))
    crew.switch(name, 1)
    crew.give(Lease(1, 0, 1, name), 0)
    crew.give(Lease(3, 0, 1, name), 1)
    assert crew.models == {1}
    crew.release(Lease(1, 0, 1, name))
    crew.told(name, ("a",), [1])
    assert crew.models == {1}, "that take failed before its model was needed; the next one loads it"
    crew.told(name, ("b",))
    assert crew.models == {1} and crew.with_model(0) == 0
    crew.told(name, ("a", "b"))
    assert crew.models == {0, 1}


def test_a_few_takes_are_left_to_the_worker_that_holds_their_model():
    """Two workers, a model each; the first is done with its own when little is left of the other's."""
    ledger = make(stills=4, motions=1, models=2, workers=2)
    opened(ledger, Tick())
    opened(ledger, hold("w1", "a"))
    opened(ledger, hold("w2", "b"))
    told: list[Instruction] = []
    for shot in (0, 2, 4, 6):
        told += opened(ledger, TakeSettled(Lease(shot, 0, 1, "w1"), Status.KEPT, 5.0, ("a",)))
    assert not [
        one for one in told if isinstance(one, Render) and one.lease.shot % 2 and one.lease.worker == "w1"
    ]


def test_what_is_worth_a_load():
    assert switch_to([]) is None
    worth = Backlog(0, work_s=4 * WORTH * 10 + 1, workers=3, ready=3, load_s=10)
    assert switch_to([worth]) == 0
    assert switch_to([Backlog(0, work_s=4 * WORTH * 10, workers=3, ready=3, load_s=10)]) is None
    lonely = Backlog(1, work_s=1, workers=0, ready=0, load_s=10)
    assert switch_to([lonely]) == 1, "nobody else would ever render it"
    assert switch_to([lonely, worth]) == 0
    promised = Backlog(1, work_s=1, workers=2, ready=0, load_s=10)
    assert switch_to([promised], idle_s=9) is None, "those who were asked for may come"
    assert switch_to([promised], idle_s=10) == 1, "or never"


def test_the_pace_is_assumed_until_it_was_measured():
    pace = Pace(2)
    assert (pace.load_s(1), pace.take_s(1)) == (ASSUMED_LOAD_S, ASSUMED_TAKE_S)
    for seconds in (10.0, 20.0):
        pace.loaded(1, seconds)
        pace.took(1, seconds / 10)
    assert (pace.load_s(1), pace.take_s(1)) == (15.0, 1.5)
    assert pace.load_s(0) == ASSUMED_LOAD_S


def test_no_more_takes_are_read_past_than_the_window_holds():
    rule = TakesRule(2, 2)
    queue = TakeQueue(Board(3000), 30, rule, models=3, stills_ahead=8, window=100)
    for _ in range(50):
        for still in queue.fill(8, {2}):
            queue.open(still)
    assert len(queue.ready[2]) >= 8
    queue.ready[2].clear()  # as if they were out
    queue._open_shots = {shot: 2 for model in (0, 1) for shot, take in queue.ready[model] if not take}
    for _ in range(200):
        for still in queue.fill(8, {2}):
            queue.open(still)
        queue.ready[2].clear()
    assert sum(map(len, queue.ready)) <= 100 + rule.min
    assert not queue.coming(2), "until somebody takes of the others"


def test_the_reserve_is_that_of_the_models_that_are_left():
    purse = Purse(None, 1.0, 0.0, 0)
    purse.tick(0.0)
    purse.learn(0, 1000.0)
    purse.learn(1, 10.0)
    purse.tick(3000.0)
    assert purse.verdict(0, [0, 1]) is not None
    assert purse.verdict(0, [1]) is None


# --- whole nights -----------------------------------------------------------------------------------------


@dataclass
class Machine:
    """A worker as the ledger knows it (`told`) and as it is: it does one take after the other."""

    held: list[str] = field(default_factory=list)
    told: tuple[str, ...] = ()
    loads: str | None = None
    queue: list[Lease] = field(default_factory=list)
    leases: set[Lease] = field(default_factory=set)
    leaving: bool = False
    ready: bool = False
    idle_since_s: float = 0.0

    def __contains__(self, model: str) -> bool:
        return self.loads == model if self.loads else model in self.told


class Night:
    """Plays a ledger against machines in virtual time, which load, render, fail and die as `dice` says."""

    def __init__(
        self, ledger, models, motions, *, load_s, take_s, room, dice=None, accepts=True, pending=False
    ) -> None:
        self.pending = pending
        self.ledger, self.models, self.motions = ledger, models, motions
        self.load_s, self.take_s, self.room, self.dice, self.accepts = load_s, take_s, room, dice, accepts
        self.at_s = 0.0
        self.heap: list[tuple[float, int, Event]] = []
        self.machines: dict[str, Machine] = {}
        self.settled: Counter[tuple[int, int]] = Counter()
        self.loads: Counter[str] = Counter()  # while running, not when they start
        self.finish: Finish | None = None
        self.count = self.idle_ticks = 0
        self.no_room: dict[str, tuple[float, Event]] = {}

    def later(self, delay_s: float, event: Event) -> None:
        self.count += 1
        heapq.heappush(self.heap, (self.at_s + delay_s, self.count, event))

    def play(self) -> None:
        self.hear(Tick())
        for _ in range(60_000):
            if self.finish is not None:
                return
            if self.heap:
                self.at_s, _, event = heapq.heappop(self.heap)
                self.idle_ticks = 0
            else:
                # Nothing is under way, and some who were asked for never come: time itself must bring it on.
                event = Tick()
                self.at_s += 10.0
                self.idle_ticks += 1
                assert self.idle_ticks < 10_000, "idle for ever"
            self.hear(event)
        raise AssertionError("the night never ends")

    def hear(self, event: Event) -> None:
        lease = event.lease if isinstance(event, TakeSettled | TakeFaulted) else None
        if lease is not None and not self.ledger.is_current(lease):
            return
        match event:
            case WorkerReady(worker) if worker not in self.machines:
                return
            case WorkerReady(worker):
                machine = self.machines[worker]
                machine.told, machine.loads, machine.ready = event.resident, None, True
                machine.idle_since_s = self.at_s
            case WorkerLost(worker):
                if self.machines.pop(worker, None) is None:
                    return
                self.make_room()
            case TakeSettled(lease):
                self.settled[lease.shot, lease.take] += 1
                machine = self.machines[lease.worker]
                machine.leases.discard(lease)
                machine.told = event.resident or ()
                needs = [self.model_of(one.shot) for one in machine.leases]
                machine.loads = next((model for model in needs if model not in machine.told), None)
                machine.idle_since_s = self.at_s
            case TakeFaulted(lease):
                self.machines[lease.worker].leases.discard(lease)
                self.machines[lease.worker].leaving |= event.blame is not Blame.STORE
        told = self.ledger.handle(event, self.at_s)
        self.ledger.check()
        for instruction in told:
            self.obey(instruction)
        if lease is not None and lease.worker in self.machines:
            self.begin(lease.worker)

    def obey(self, instruction: Instruction) -> None:
        match instruction:
            case OpenStill(still):
                self.later(0.2, StillOpened(still))
            case StartWorker(worker, model):
                self.machines[worker] = Machine(loads=model, held=[model])
                ready = WorkerReady(worker, "n", "CPU", self.load_s[model], None, (model,))
                start = (self.load_s[model], WorkerLost(worker, "died", "x") if self.roll(40) else ready)
                if self.pending and any(one.ready for one in self.machines.values()) and self.roll(2):
                    self.no_room[worker] = start  # before another one leaves the cluster
                else:
                    self.later(*start)
            case StopWorker(worker, _):
                self.machines.pop(worker)
                self.no_room.pop(worker, None)
                self.make_room()
            case Render(lease):
                self.given(lease)
            case RefuseShot(shot, take) | GiveUp(shot, take):
                self.settled[shot, take] += 1
            case ProbeStore():
                self.later(0.5, StoreProbed(not self.roll(3)))
            case Finish():
                self.finish = instruction

    def make_room(self) -> None:
        if self.no_room:
            self.later(*self.no_room.pop(next(iter(self.no_room))))

    def given(self, lease: Lease) -> None:
        machine, model = self.machines[lease.worker], self.model_of(lease.shot)
        if model not in machine:
            assert not machine.leases, "only who has nothing to do changes its model"
            self.loads[model] += 1
            holders = [other for other in self.machines.values() if model in other and not other.leaving]
            others, least_s = len(holders), min(self.load_s[model], ASSUMED_LOAD_S)
            waited = self.at_s - machine.idle_since_s >= least_s
            if others and not (waited and not any(other.ready for other in holders)):
                # No more can be waiting than what is missing of first rounds, and one take more for each shot.
                board, per_still = self.ledger._board, self.motions * len(self.models)
                number = self.models.index(model)
                waiting = board.takes_left(self.ledger._rule, per_still, len(self.models))[number]
                waiting += len(board) // len(self.models)
                take_s = max(self.take_s[model], ASSUMED_TAKE_S)
                assert waiting * take_s / (others + 1) > WORTH * least_s, "not worth its load"
            machine.loads = model
        machine.leases.add(lease)
        machine.queue.append(lease)
        if len(machine.leases) == 1:
            self.begin(lease.worker)

    def begin(self, worker: str) -> None:
        """The next take of a machine's queue; with two leases the second begins when the first has ended."""
        machine = self.machines[worker]
        if not machine.queue or len(machine.leases) > len(machine.queue):
            return
        lease = machine.queue.pop(0)
        model = self.model_of(lease.shot)
        load_s = 0.0 if model in machine.held else self.load_s[model]
        machine.held = ([one for one in machine.held if one != model] + [model])[-self.room :]
        end: Event = TakeSettled(
            lease, self.status(), self.take_s[model], resident=tuple(machine.held), load_s=load_s
        )
        if self.roll(30):
            end = WorkerLost(worker, "died", "x", preempted=bool(self.roll(2)))
        elif self.roll(25):
            end = TakeFaulted(lease, Blame.STORE if self.roll(2) else Blame.WORKER, "kind", "message")
        self.later(load_s + self.take_s[model], end)

    def model_of(self, shot: int) -> str:
        return self.models[shot // self.motions % len(self.models)]

    def roll(self, sides: int) -> bool:
        return self.dice is not None and self.dice.randrange(sides) == 0

    def status(self) -> Status:
        if self.accepts or self.dice is None:
            return Status.KEPT
        return self.dice.choice([Status.KEPT, Status.REJECTED, Status.REJECTED, Status.FAILED])


@settings(max_examples=120, deadline=None)
@given(
    stills=st.integers(1, 6),
    motions=st.integers(1, 3),
    models=st.integers(1, 3),
    rule=st.tuples(st.integers(1, 2), st.integers(0, 2)).map(lambda pair: TakesRule(pair[0], sum(pair))),
    workers=st.integers(1, 4),
    room=st.integers(1, 3),
    lookahead=st.sampled_from([4, 16, LOOKAHEAD]),
    load_s=st.tuples(*[st.integers(0, 300)] * 3),
    take_s=st.tuples(*[st.integers(1, 100)] * 3),
    pending=st.booleans(),
    dice=st.randoms(use_true_random=False),
)
def test_every_take_settles_exactly_once_whoever_loads_what(
    stills, motions, models, rule, workers, room, lookahead, load_s, take_s, pending, dice
):
    names = NAMES[:models]
    ledger = make(stills, motions, models, rule, workers, lookahead)
    night = Night(
        ledger,
        names,
        motions,
        load_s=dict(zip(NAMES, map(float, load_s), strict=True)),
        take_s=dict(zip(NAMES, map(float, take_s), strict=True)),
        room=room,
        dice=dice,
        accepts=False,
        pending=pending,
    )
    night.play()
    assert set(night.settled.values()) <= {1}, "settled twice"
    board = ledger._board
    assert sum(night.settled.values()) == board.takes_settled
    assert night.finish is not None and night.finish.reason in ("done", "broken")
    if night.finish.reason == "done":
        for shot in range(len(board)):
            tried = [take for (number, take) in night.settled if number == shot]
            assert rule.min <= len(tried) <= rule.max
            assert board.accepted(shot) or len(tried) == rule.max


def calm(
    stills: int, motions: int, models: int, workers: int, *, load_s: float, take_s: float, room: int = 1
) -> Night:
    names = NAMES[:models]
    ledger = make(stills, motions, models, workers=workers)
    night = Night(
        ledger,
        names,
        motions,
        load_s=dict.fromkeys(names, load_s),
        take_s=dict.fromkeys(names, take_s),
        room=room,
    )
    night.play()
    assert night.finish == Finish("done") and len(night.settled) == stills * motions * models
    return night


@pytest.mark.parametrize("models", [1, 2, 3])
def test_one_worker_loads_each_model_once_where_all_fits_the_window(models):
    night = calm(stills=20, motions=4, models=models, workers=1, load_s=60.0, take_s=5.0)
    assert sum(night.loads.values()) == models - 1, "besides its first"


def test_one_worker_with_more_than_the_window_changes_once_a_window():
    night = calm(stills=300, motions=4, models=2, workers=1, load_s=60.0, take_s=5.0)
    assert sum(night.loads.values()) <= 2 * 300 * 4 / LOOKAHEAD + 1


def test_a_worker_for_each_model_changes_none():
    night = calm(stills=40, motions=2, models=3, workers=3, load_s=100.0, take_s=5.0)
    assert not night.loads


def test_a_worker_that_holds_all_loads_each_once():
    night = calm(stills=300, motions=2, models=3, workers=1, load_s=60.0, take_s=1.0, room=3)
    assert sum(night.loads.values()) == 2


def test_more_workers_are_not_slower_for_their_loads():
    """Six workers on two models of which one is done first: who is free helps where it is worth it."""
    one, six = (calm(stills=100, motions=3, models=2, workers=n, load_s=60.0, take_s=20.0) for n in (1, 6))
    assert six.at_s < one.at_s / 4
