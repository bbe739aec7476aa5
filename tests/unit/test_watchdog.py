"""The watchdog through the ledger: what is too long, and what becomes of it. Time comes in ticks."""

from collections.abc import Callable

import pytest

from farm.bench import FINISHING, LOADING, RENDERING, WAITING
from farm.dispatch.board import Board
from farm.dispatch.events import (
    Beat,
    Cancel,
    Event,
    GiveUp,
    Instruction,
    Lease,
    Render,
    StartWorker,
    StillOpened,
    StopAsked,
    StopWorker,
    TakeFaulted,
    TakeSettled,
    Tick,
    WorkerReady,
)
from farm.dispatch.ledger import Ledger, Limits
from farm.dispatch.takes import TakesRule
from farm.dispatch.watchdog import FACTOR, FLOOR_S, UNKNOWN_S
from farm.values import Blame, Status

SHAPE = "64x64x17"
GPU = "an accelerator"


class Evening:
    """A ledger of one model and a clock; a still with plenty of shots is open."""

    def __init__(self, workers: int = 1) -> None:
        self.ledger = Ledger(Board(40), 40, TakesRule(1, 1), Limits(workers=workers), models=("m",))
        self.at_s = 0.0
        self.out: list[Instruction] = []
        self.tell(Tick(), StillOpened(0))

    def tell(self, *events: Event) -> list[Instruction]:
        """What the ledger answers to these events, all at one time."""
        told = [one for event in events for one in self.ledger.handle(event, self.at_s)]
        self.ledger.check()
        self.out += told
        return told

    def wait(self, seconds: float) -> list[Instruction]:
        """What it answers while so much time passes, a tick a second."""
        told = []
        for _ in range(round(seconds)):
            self.at_s += 1.0
            told += self.tell(Tick())
        return told

    def ready(self, worker: str) -> list[Lease]:
        told = self.tell(WorkerReady(worker, "node", GPU, 0.0, None, ("m",)))
        return [one.lease for one in told if isinstance(one, Render)]

    def renders(self, lease: Lease, step_s: float, steps: int = 4, total: int = 4) -> None:
        self.tell(Beat(lease, RENDERING, 0, total, SHAPE))
        for step in range(steps):
            assert not self.wait(step_s)
            self.tell(Beat(lease, RENDERING, step + 1, total, SHAPE))

    def settles(self, lease: Lease, status: Status = Status.KEPT) -> list[Lease]:
        self.tell(Beat(lease, FINISHING, shape=SHAPE))
        told = self.tell(TakeSettled(lease, status, 1.0, ("m",)))
        return [one.lease for one in told if isinstance(one, Render)]


@pytest.fixture
def warm() -> tuple[Evening, Lease, Lease]:
    """A worker that has settled a take of four steps of ten seconds; the two that it holds now."""
    evening = Evening()
    first, second = evening.ready("w1")
    evening.renders(first, 10)
    (third,) = evening.settles(first)
    return evening, second, third


def kinds(told: list[Instruction]) -> list[type[Instruction]]:
    return [type(one) for one in told]


def test_a_worker_that_has_done_nothing_yet_has_half_an_hour():
    evening = Evening()
    first, _ = evening.ready("w1")
    evening.tell(Beat(first, RENDERING, 0, 4, SHAPE))
    assert evening.wait(UNKNOWN_S) == []
    assert kinds(evening.wait(1))[0] is StopWorker


def test_a_silent_worker_is_killed_and_replaced_and_the_silent_take_charged(warm):
    evening, second, third = warm
    evening.tell(Beat(second, RENDERING, 1, 4, SHAPE), Beat(third, WAITING))
    assert evening.wait(max(FLOOR_S, FACTOR * 10)) == []
    killed, start = evening.wait(1)
    assert killed == StopWorker("w1", gently=False, trouble=killed.trouble)
    assert "no sign of life for 61 s (rendering, step 1 of 4); allowed: 60 s" in killed.trouble
    assert start == StartWorker("w2", "m")
    assert [(lease.shot, lease.attempt) for lease in evening.ready("w2")] == [(second.shot, 2)], "alone"
    assert evening.tell(TakeSettled(second, Status.KEPT)) == [], "an old attempt"


def test_what_waited_beside_a_silent_take_is_not_charged(warm):
    evening, second, third = warm
    evening.tell(Beat(second, RENDERING, 1, 4, SHAPE), Beat(third, WAITING))
    evening.wait(61)
    (again,) = evening.ready("w2")
    evening.tell(Beat(again, RENDERING, 0, 4, SHAPE))
    given = evening.settles(again)
    assert [(lease.shot, lease.attempt) for lease in given] == [(third.shot, 2), (third.shot + 1, 1)], (
        "not alone"
    )


def test_waiting_for_a_renderer_that_works_is_never_too_long(warm):
    evening, second, third = warm
    evening.tell(Beat(third, WAITING))
    evening.renders(second, 50, steps=3)


def test_who_waits_alone_is_not_forgotten(warm):
    """Its worker froze between two answers: the take that it waited for has ended, and nothing more is heard."""
    evening, second, third = warm
    evening.tell(Beat(third, WAITING))
    evening.renders(second, 10)
    evening.settles(second)
    assert evening.wait(FACTOR * 40) == [], "as long as one waited for the first take"
    assert kinds(evening.wait(1))[0] is StopWorker


def test_silence_is_measured_by_the_longest_that_went_well(warm):
    evening, second, third = warm
    evening.renders(second, 30)
    (fourth,) = evening.settles(second)
    evening.tell(Beat(third, RENDERING, 0, 4, SHAPE), Beat(fourth, WAITING))
    assert evening.wait(FACTOR * 30) == []
    assert kinds(evening.wait(1))[0] is StopWorker


@pytest.mark.parametrize(
    "unlike",
    [
        lambda lease: Beat(lease, RENDERING, 0, 4, "128x64x17"),
        lambda lease: Beat(lease, LOADING),
        lambda lease: Beat(lease, "compiling", shape=SHAPE),
    ],
    ids=["another shape", "loading", "a stage nobody has seen"],
)
def test_what_nobody_has_done_yet_has_half_an_hour(warm, unlike: Callable[[Lease], Beat]):
    evening, second, _ = warm
    evening.tell(unlike(second))
    assert evening.wait(UNKNOWN_S) == []
    assert kinds(evening.wait(1))[0] is StopWorker


def test_a_fresh_worker_builds_its_kernels_in_peace_even_if_others_have_theirs():
    evening = Evening(workers=2)
    first, _ = evening.ready("w1")
    evening.renders(first, 10)
    evening.settles(first)
    fresh, _ = evening.ready("w2")
    evening.tell(Beat(fresh, RENDERING, 0, 4, SHAPE))
    told = evening.wait(UNKNOWN_S)
    assert "w2" not in [one.worker for one in told if isinstance(one, StopWorker)]


def test_a_model_that_went_and_came_back_is_new_again():
    evening = Evening()
    first, second = evening.ready("w1")
    evening.renders(first, 10)
    evening.tell(Beat(first, FINISHING, shape=SHAPE))
    evening.tell(TakeSettled(first, Status.KEPT, 1.0, ("another",)))
    evening.tell(Beat(second, RENDERING, 0, 4, SHAPE))
    assert evening.wait(UNKNOWN_S) == []


def test_a_failed_take_teaches_nothing():
    evening = Evening()
    first, second = evening.ready("w1")
    evening.renders(first, 10)
    evening.settles(first, Status.FAILED)
    evening.tell(Beat(second, RENDERING, 0, 4, SHAPE))
    assert evening.wait(UNKNOWN_S) == []


def test_a_render_without_end_is_cancelled_once_and_its_take_charged(warm):
    evening, second, third = warm
    evening.tell(Beat(third, WAITING), Beat(second, RENDERING, 0, 999, SHAPE))
    told: list[Instruction] = []
    for step in range(1, 26):
        told += evening.wait(10)
        evening.tell(Beat(second, RENDERING, step, 999, SHAPE))
    (cancel,) = told
    assert isinstance(cancel, Cancel) and cancel.lease == second
    assert cancel.trouble == "renders for 201 s, step 20 of 999; allowed: 200 s"
    told = evening.tell(TakeFaulted(second, Blame.WORKER, "overdue", "cancelled"))
    assert StartWorker("w2", "m") in told and StopWorker not in kinds(told), "its other take may still finish"


def test_finishing_is_no_part_of_a_render():
    evening = Evening()
    first, second = evening.ready("w1")
    evening.renders(first, 10)
    evening.tell(Beat(first, FINISHING, shape=SHAPE), Beat(second, RENDERING, 0, 999, SHAPE))
    evening.wait(300)
    evening.tell(TakeSettled(first, Status.KEPT, 1.0, ("m",)))
    for step in range(1, 30):
        evening.wait(10)
        evening.tell(Beat(second, RENDERING, step, 999, SHAPE))
    assert [type(one) for one in evening.out].count(Cancel) == 1


def test_a_render_that_does_not_end_when_told_to_is_killed(warm):
    evening, second, third = warm
    evening.tell(Beat(third, WAITING), Beat(second, RENDERING, 0, 999, SHAPE))
    told: list[Instruction] = []
    for step in range(1, 40):
        told += evening.wait(10)
        evening.tell(Beat(second, RENDERING, step, 999, SHAPE))
    cancel, killed, _ = told[:3]
    assert isinstance(cancel, Cancel) and isinstance(killed, StopWorker)
    assert "goes on 61 s after it was told to end" in killed.trouble


def test_a_take_that_hangs_wherever_it_goes_is_given_up_with_its_story():
    evening = Evening()
    for number in (1, 2, 3):
        lease = next(lease for lease in evening.ready(f"w{number}") if lease.shot == 0)
        evening.tell(Beat(lease, RENDERING, 0, 4, SHAPE))
        evening.wait(UNKNOWN_S + 1)
    (gave_up,) = [one for one in evening.out if isinstance(one, GiveUp)]
    assert (gave_up.shot, gave_up.kind) == (0, "hung") and "on w1, w2, w3" in gave_up.story


def test_a_driver_that_heard_nobody_for_an_hour_blames_nobody(warm):
    evening, second, _ = warm
    evening.tell(Beat(second, RENDERING, 0, 4, SHAPE))
    evening.at_s += 3600
    assert evening.tell(Tick()) == []
    evening.tell(Beat(second, RENDERING, 1, 4, SHAPE))
    assert evening.wait(FLOOR_S) == []


def test_who_hangs_while_a_person_waits_for_the_end_is_killed_too(warm):
    evening, second, _ = warm
    evening.tell(Beat(second, RENDERING, 0, 4, SHAPE), StopAsked())
    told = evening.wait(61)
    assert kinds(told)[0] is StopWorker and evening.ledger.finished
