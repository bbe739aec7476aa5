"""The ledger: one event in, the instructions looked at; and whole nights against a perfect bookkeeper."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.dispatch.board import Board
from farm.dispatch.events import (
    CloseStill,
    Event,
    Finish,
    GiveUp,
    Instruction,
    Lease,
    NodeDraining,
    OpenStill,
    ProbeStore,
    RefuseShot,
    Render,
    StartWorker,
    StillOpened,
    StillRefused,
    StopAsked,
    StopWorker,
    StoreProbed,
    TakeFaulted,
    TakeSettled,
    Tick,
    WorkerLost,
    WorkerPlaced,
    WorkerReady,
)
from farm.dispatch.ledger import Ledger, Limits
from farm.dispatch.placement import AHEAD
from farm.dispatch.takes import TakesRule, due
from farm.values import Blame, Status


def ready(worker: str, price: float | None = None, node: str = "node") -> WorkerReady:
    return WorkerReady(worker, node, "CPU", 0.0, price, ("m",))


RULE = TakesRule(2, 4)


def make(shots: int = 4, per_still: int = 2, rule: TakesRule = RULE, **limits: object) -> Ledger:
    return Ledger(Board(shots), per_still, rule, Limits(**{"workers": 1, **limits}), models=("m",))  # type: ignore[arg-type]


def of(kind: type[Instruction], instructions: list[Instruction]) -> list[Instruction]:
    return [instruction for instruction in instructions if isinstance(instruction, kind)]


def leases(instructions: list[Instruction]) -> list[Lease]:
    return [instruction.lease for instruction in instructions if isinstance(instruction, Render)]


@pytest.fixture
def started() -> tuple[Ledger, list[Lease]]:
    """One worker that holds the two first takes of shot 0."""
    ledger = make()
    ledger.handle(Tick(), 0.0)
    ledger.handle(StillOpened(0), 0.0)
    given = leases(ledger.handle(ready("w1"), 1.0))
    ledger.check()
    return ledger, given


# --- the ladder of takes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settled", "accepted", "expected"),
    [
        (0b0, False, [0, 1]),
        (0b1, False, [1]),
        (0b1, True, [1]),  # min comes first, whatever the first take was worth
        (0b11, True, []),
        (0b11, False, [2]),
        (0b111, False, [3]),
        (0b1011, False, [2]),
        (0b1111, False, []),
    ],
)
def test_takes_are_min_first_then_one_by_one_while_none_is_accepted(settled, accepted, expected):
    assert due(TakesRule(2, 4), settled, accepted) == expected


# --- one event in ---------------------------------------------------------------------------------------


def test_the_first_tick_opens_stills_and_starts_no_more_workers_than_takes():
    out = make(shots=1, per_still=1, rule=TakesRule(1, 1), workers=8).handle(Tick(), 0.0)
    assert out == [OpenStill(0), StartWorker("w1", "m")]


def test_a_ready_worker_gets_as_much_as_it_may_hold(started):
    _, given = started
    assert [(lease.shot, lease.take, lease.attempt) for lease in given] == [(0, 0, 1), (0, 1, 1)]
    assert len(given) == AHEAD


def test_a_shot_without_an_accepted_take_gets_one_more(started):
    ledger, (first, second) = started
    ledger.handle(TakeSettled(first, Status.REJECTED), 2.0)
    out = ledger.handle(TakeSettled(second, Status.REJECTED), 3.0)
    assert (0, 2) in [(lease.shot, lease.take) for lease in leases(out)]


def test_a_shot_with_an_accepted_take_gets_no_more(started):
    ledger, (first, second) = started
    ledger.handle(TakeSettled(first, Status.REJECTED), 2.0)
    out = ledger.handle(TakeSettled(second, Status.KEPT), 3.0)
    assert all(lease.shot != 0 for lease in leases(out))


def test_a_fault_replaces_the_worker_once_it_holds_nothing_and_tries_elsewhere(started):
    ledger, (first, second) = started
    out = ledger.handle(TakeFaulted(first, Blame.WORKER, "CudaError", "context lost"), 2.0)
    assert not of(StopWorker, out) and not leases(out), "its other take may still finish"
    assert StartWorker("w2", "m") in out
    out = ledger.handle(TakeSettled(second, Status.KEPT), 3.0)
    assert StopWorker("w1", gently=False) in out
    again = leases(ledger.handle(ready("w2"), 4.0))[0]
    assert (again.shot, again.take, again.attempt, again.worker) == (0, 0, 2, "w2")


def test_a_take_that_faults_on_three_workers_is_given_up_with_its_story():
    ledger = make(shots=1, per_still=1, rule=TakesRule(1, 1))
    ledger.handle(Tick(), 0.0)
    ledger.handle(StillOpened(0), 0.0)
    out: list[Instruction] = []
    for number in (1, 2, 3):
        (lease,) = leases(ledger.handle(ready(f"w{number}"), number))
        out = ledger.handle(TakeFaulted(lease, Blame.WORKER, "ValueError", "boom"), number)
        ledger.check()
    (gave_up,) = of(GiveUp, out)
    assert gave_up == GiveUp(0, 0, 3, Blame.TASK, "ValueError", "ValueError: boom (on w1, w2, w3)")
    assert out[-1] == Finish("done")


def test_a_lost_worker_costs_its_takes_a_try_a_preempted_one_does_not():
    for preempted, gives_up in ((False, True), (True, False)):
        ledger = make(shots=1, per_still=1, rule=TakesRule(1, 1))
        ledger.handle(Tick(), 0.0)
        ledger.handle(StillOpened(0), 0.0)
        out: list[Instruction] = []
        for number in (1, 2, 3):
            ledger.handle(ready(f"w{number}"), number)
            out = ledger.handle(WorkerLost(f"w{number}", "ActorDiedError", "gone", preempted), number)
        assert bool(of(GiveUp, out)) is gives_up


def test_workers_that_never_start_end_the_run_as_broken():
    ledger = make()
    ledger.handle(Tick(), 0.0)
    for number in (1, 2):
        assert not of(Finish, ledger.handle(WorkerLost(f"w{number}", "InputError", "no such model"), number))
    (finish,) = of(Finish, ledger.handle(WorkerLost("w3", "InputError", "no such model"), 3.0))
    assert finish.reason == "broken" and "no such model" in finish.message


def test_workers_that_cannot_start_do_not_end_a_night_that_others_render():
    ledger = make(shots=100, per_still=50, workers=5)
    ledger.handle(Tick(), 0.0)
    ledger.handle(StillOpened(0), 0.0)
    held = leases(ledger.handle(ready("w1"), 1.0))
    for number in (2, 3, 4, 5):
        out = ledger.handle(WorkerLost(f"w{number}", "RuntimeEnvSetupError", "a bad node"), 2.0)
        assert not of(Finish, out)
    assert not of(StartWorker, out), "nor are starts tried in a loop"
    out = ledger.handle(TakeSettled(held[0], Status.KEPT), 3.0)
    assert leases(out) and len(of(StartWorker, out)) == 2, "those lost before the third are at it already"


def test_no_worker_left_and_none_that_starts_ends_the_run_as_broken():
    ledger = make(workers=2)
    ledger.handle(Tick(), 0.0)
    ledger.handle(StillOpened(0), 0.0)
    ledger.handle(ready("w1"), 1.0)
    for number in (2, 3, 4):
        ledger.handle(WorkerLost(f"w{number}", "RuntimeEnvSetupError", "a bad node"), 2.0)
    (finish,) = of(Finish, ledger.handle(WorkerLost("w1", "ActorDiedError", "gone", preempted=True), 3.0))
    assert finish.reason == "broken" and "a bad node" in finish.message


def test_a_fleet_that_is_lost_at_once_does_not_end_the_night():
    ledger = make(shots=1000, per_still=1000, workers=64)
    ledger.handle(Tick(), 0.0)
    out = ledger.handle(StillOpened(0), 0.0)
    for start in of(StartWorker, ledger.handle(Tick(), 0.0) + out) or [StartWorker("w1", "m")]:
        ledger.handle(ready(start.worker), 1.0)
    for number in range(1, 65):
        ledger.handle(ready(f"w{number}"), 1.0)
    assert ledger.standing().in_flight == 64 * AHEAD
    for number in range(1, 65):
        assert not of(Finish, ledger.handle(WorkerLost(f"w{number}", "ActorUnavailableError", "gone"), 2.0))


def test_a_take_that_kills_its_workers_is_given_up_alone():
    """What renders beside it is charged with its worker's death once, and not again."""
    ledger = make(shots=12, per_still=12, rule=TakesRule(1, 1), workers=2)
    events: deque[Event] = deque([Tick(), StillOpened(0)])
    held: list[Lease] = []
    gave_up: list[int] = []
    for at_s in range(200):
        poisoned = next((lease.worker for lease in held if lease.shot == 5), None)
        if events:
            event = events.popleft()
        elif poisoned:
            event = WorkerLost(poisoned, "ActorDiedError", "segmentation fault")
            held = [lease for lease in held if lease.worker != poisoned]
        else:
            event = TakeSettled(held.pop(0), Status.KEPT)
        out = ledger.handle(event, at_s)
        ledger.check()
        held += leases(out)
        events += [ready(start.worker) for start in of(StartWorker, out)]
        gave_up += [take.shot for take in of(GiveUp, out)]
        if ledger.finished:
            break
    assert gave_up == [5]
    assert ledger.standing().shots_accepted == 11


def test_a_result_of_an_old_attempt_is_dropped(started):
    ledger, (first, second) = started
    ledger.handle(WorkerLost("w1", "ActorDiedError", "gone", preempted=True), 2.0)
    ledger.handle(ready("w2"), 3.0)
    before = ledger.standing()
    assert ledger.handle(TakeSettled(first, Status.KEPT), 4.0) == []
    assert ledger.handle(TakeFaulted(second, Blame.WORKER, "x", "y"), 4.0) == []
    assert ledger.standing() == before


def test_a_refused_still_settles_one_take_of_each_of_its_shots_and_no_more():
    ledger = make(shots=4, per_still=2)
    ledger.handle(Tick(), 0.0)
    out = ledger.handle(StillRefused(0), 0.0)
    assert out[:3] == [RefuseShot(0, 0), RefuseShot(1, 0), CloseStill(0)]
    out = ledger.handle(StillRefused(1), 0.0)
    assert out[-1] == Finish("done"), "nothing is left to render"


def test_idle_workers_go_home_at_the_tail():
    ledger = make(shots=2, per_still=1, rule=TakesRule(1, 1), workers=2)
    ledger.handle(Tick(), 0.0)
    ledger.handle(StillOpened(0), 0.0)
    ledger.handle(StillOpened(1), 0.0)
    (one,) = leases(ledger.handle(ready("w1"), 1.0))[:1]
    ledger.handle(ready("w2"), 1.0)
    out = ledger.handle(TakeSettled(one, Status.KEPT), 2.0)
    assert of(StopWorker, out), "whoever has nothing left costs money"


def test_an_interrupt_finishes_what_is_out_and_a_second_one_does_not_wait(started):
    ledger, (first, second) = started
    assert ledger.handle(StopAsked(), 2.0) == []
    assert ledger.handle(TakeSettled(first, Status.KEPT), 3.0) == []
    out = ledger.handle(StopAsked(at_once=True), 3.5)
    assert out == [StopWorker("w1", gently=False), Finish("interrupted")]
    assert ledger.handle(TakeSettled(second, Status.KEPT), 4.0) == [], "after Finish it answers nothing"


def test_a_budget_stops_before_it_is_passed():
    ledger = make(shots=100, per_still=1, rule=TakesRule(1, 1), usd=1.0)
    ledger.handle(Tick(), 0.0)
    for still in range(8):
        ledger.handle(StillOpened(still), 0.0)
    held = deque(leases(ledger.handle(ready("w1", price=36.0), 0.0)))  # 1 cent a second
    at_s, finish = 0.0, []
    while not finish:
        at_s += 10.0  # a take costs 10 cents
        out = ledger.handle(TakeSettled(held.popleft(), Status.KEPT, take_s=10.0), at_s)
        for instruction in of(OpenStill, out):
            out += ledger.handle(StillOpened(instruction.still), at_s)
        held.extend(leases(out))
        finish = of(Finish, out)
    assert finish[0].reason == "budget"
    assert 0.6 <= ledger.standing().spent_usd <= 1.0


@pytest.mark.parametrize("asked", [False, True], ids=["budget", "interrupted"])
def test_an_end_that_leaves_nothing_undone_is_done(asked):
    ledger = make(shots=1, per_still=1, rule=TakesRule(1, 1), usd=1.0)
    ledger.handle(Tick(), 0.0)
    ledger.handle(StillOpened(0), 0.0)
    (lease,) = leases(ledger.handle(ready("w1", price=36.0), 0.0))
    if asked:
        ledger.handle(StopAsked(), 1.0)
    assert ledger.handle(TakeSettled(lease, Status.KEPT, take_s=60.0), 60.0)[-1] == Finish("done")


def test_what_earlier_sessions_spent_counts():
    ledger = make(usd=1.0, spent_usd=1.5)
    out = ledger.handle(Tick(), 0.0)
    assert out[-1].reason == "budget" and not of(StartWorker, out)


def test_settled_takes_are_never_issued_again():
    board = Board(4)
    for take in (0, 1):
        board.settle(0, take, Status.KEPT)
        board.settle(1, take, Status.REJECTED)
    board.settle(2, 0, Status.FAILED, hopeless=True)
    board.settle(3, 1, Status.KEPT)
    ledger = Ledger(board, 1, TakesRule(2, 3), Limits(workers=4), models=("m",))
    assert [i.still for i in of(OpenStill, ledger.handle(Tick(), 0.0))] == [1, 3]
    ledger.handle(StillOpened(1), 0.0)
    ledger.handle(StillOpened(3), 0.0)
    out = ledger.handle(ready("w1"), 1.0) + ledger.handle(ready("w2"), 1.0)
    assert sorted((lease.shot, lease.take) for lease in leases(out)) == [(1, 2), (3, 0)]


def test_a_finished_board_finishes_without_a_worker():
    board = Board(1)
    board.settle(0, 0, Status.KEPT)
    assert Ledger(board, 1, TakesRule(1, 1), Limits(workers=4), models=("m",)).handle(Tick(), 0.0) == [
        Finish("done")
    ]


@given(
    rule=st.tuples(st.integers(1, 64), st.integers(0, 63)).map(
        lambda pair: TakesRule(pair[0], min(64, sum(pair)))
    ),
    shots=st.lists(st.tuples(st.integers(0, 2**64 - 1), st.booleans(), st.booleans()), min_size=1),
)
def test_what_is_due_is_the_same_one_by_one_and_all_at_once(rule, shots):
    board = Board(len(shots))
    for shot, (mask, accepted, hopeless) in enumerate(shots):
        for take in (take for take in range(rule.max) if mask >> take & 1):
            board.settle(shot, take, Status.KEPT if accepted else Status.REJECTED, hopeless=hopeless)
    expected = [bool(board.due(rule, shot)) for shot in range(len(shots))]
    assert board.unfinished(rule, 0, len(shots)).tolist() == expected
    assert board.is_done(rule) is not any(expected)


def test_a_resumed_run_opens_the_stills_with_work_in_order():
    board = Board(10_000 * 2)
    for shot in range(len(board)):
        if shot not in (9, 15_000, 19_999):
            board.settle(shot, 0, Status.KEPT)
    out = Ledger(board, 2, TakesRule(1, 1), Limits(workers=4), models=("m",)).handle(Tick(), 0.0)
    assert [i.still for i in of(OpenStill, out)] == [4, 7500, 9999]


def test_memory_does_not_grow_with_the_plan():
    ledger = make(shots=2_500_000, per_still=25, workers=4)
    out = ledger.handle(Tick(), 0.0)
    assert len(of(OpenStill, out)) <= 8
    ledger.handle(StillOpened(0), 0.0)
    ready, opened = sum(map(len, ledger._queue.ready)), len(ledger._queue._open_shots)
    assert ready <= 2 * AHEAD * 4 + 4 and opened <= ready


# --- whole nights -----------------------------------------------------------------------------------------


class Night:
    """Plays a ledger against a world that does whatever the draws say, and keeps its own books."""

    def __init__(self, ledger: Ledger, draw: Iterator[int], refused: set[int]) -> None:
        self.ledger, self.draw, self.refused = ledger, draw, refused
        self.at_s = 0.0
        self.pending: deque[Event] = deque([Tick()])
        self.starting: list[str] = []
        self.held: list[Lease] = []
        self.settled: Counter[tuple[int, int]] = Counter()
        self.finish: Finish | None = None
        self.log: list[object] = []

    def play(self) -> None:
        for _ in range(5000):
            if self.finish:
                return
            event = self.pending.popleft() if self.pending else self.happen()
            # A night that stands still has all the time in the world: what was closed for a while opens again.
            self.at_s += 0.5 if self.held or self.starting else 20.0
            if isinstance(event, TakeSettled) and self.ledger.is_current(event.lease):
                self.settled[event.lease.shot, event.lease.take] += 1
            out = self.ledger.handle(event, self.at_s)
            self.log += [event, *out]
            self.ledger.check()
            for instruction in out:
                self.obey(instruction)
        raise AssertionError("the night never ends")

    def happen(self) -> Event:
        dice = next(self.draw)
        if dice % 11 == 0:
            return Tick()
        if dice % 101 == 0:
            return NodeDraining(f"node {dice // 101 % 9}", None if dice % 2 else 3.0)
        if self.starting and (dice % 3 == 0 or not self.held):
            worker = self.starting.pop(dice // 3 % len(self.starting))
            if dice % 37 == 0:
                return WorkerLost(worker, "died", "while starting", preempted=dice % 2 == 0)
            node = f"node {dice // 7 % 3}"
            if dice % 5 == 0:
                self.starting.append(worker)
                return WorkerPlaced(worker, node)
            return ready(worker, node=node)
        if not self.held:
            return Tick()
        lease = self.held.pop(dice // 5 % len(self.held))
        if dice % 29 == 0:
            self.held = [other for other in self.held if other.worker != lease.worker]
            return WorkerLost(lease.worker, "died", "while rendering", preempted=dice % 2 == 0)
        if dice % 23 == 0:
            store = dice % 2 == 0
            return TakeFaulted(
                lease,
                Blame.STORE if store else Blame.WORKER,
                "unreachable" if store else "kind",
                "message",
            )
        if dice % 19 == 0:
            self.pending.append(
                TakeSettled(replace(lease, attempt=lease.attempt + 7), Status.KEPT)
            )  # a stray
        return TakeSettled(
            lease, [Status.KEPT, Status.REJECTED, Status.REJECTED, Status.FAILED][dice % 4], 1.0
        )

    def obey(self, instruction: Instruction) -> None:
        match instruction:
            case OpenStill(still):
                self.pending.append(StillRefused(still) if still in self.refused else StillOpened(still))
            case StartWorker(worker, _):
                self.starting.append(worker)
            case StopWorker(worker, _):
                self.starting = [name for name in self.starting if name != worker]
                self.held = [lease for lease in self.held if lease.worker != worker]
            case Render(lease):
                assert lease.worker not in self.starting
                self.held.append(lease)
            case RefuseShot(shot, take) | GiveUp(shot, take):
                self.settled[shot, take] += 1
            case ProbeStore():
                self.pending.append(StoreProbed(next(self.draw) % 3 > 0))
            case Finish():
                self.finish = instruction


@settings(max_examples=150, deadline=None)
@given(
    stills=st.integers(1, 6),
    per_still=st.integers(1, 5),
    rule=st.tuples(st.integers(1, 3), st.integers(0, 3)).map(lambda pair: TakesRule(pair[0], sum(pair))),
    workers=st.integers(1, 4),
    refused=st.sets(st.integers(0, 5)),
    seed=st.randoms(use_true_random=False),
)
def test_every_take_settles_exactly_once_whatever_happens(stills, per_still, rule, workers, refused, seed):
    def dice() -> Iterator[int]:
        while True:
            yield seed.randrange(1, 10**6)

    board = Board(stills * per_still)
    night = Night(Ledger(board, per_still, rule, Limits(workers=workers), models=("m",)), dice(), refused)
    night.play()
    assert set(night.settled.values()) <= {1}, "settled twice"
    assert sum(night.settled.values()) == board.takes_settled
    assert night.finish is not None
    if night.finish.reason != "done":
        return
    for shot in range(len(board)):
        tried = [take for (number, take) in night.settled if number == shot]
        if shot // per_still in refused:
            assert len(tried) == 1
        else:
            assert rule.min <= len(tried) <= rule.max
            assert board.accepted(shot) or len(tried) == rule.max


def test_the_same_events_give_the_same_instructions():
    def dice() -> Iterator[int]:
        value = 1
        while True:
            value = value * 48271 % 2147483647
            yield value

    nights = [Night(make(shots=30, per_still=5, workers=3), dice(), {2}) for _ in range(2)]
    for night in nights:
        night.play()
    assert nights[0].log == nights[1].log
