"""One suite for every pool: what is started, rendered, lost and stopped is told exactly once."""

import ctypes
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from farm.clock import SystemClock
from farm.dispatch.events import Event, Lease, TakeFaulted, TakeSettled, WorkerLost, WorkerReady
from farm.dispatch.inline import InlinePool, faulted
from farm.dispatch.pool import Pool
from farm.errors import InputError, StoreError
from farm.ids import sha256_hex
from farm.outcomes import blank_outcome
from farm.plan.grid import Grid
from farm.values import Blame, Model, Motion, Outcome, Scoring, Status, Still, Task
from farm.worker import Bench, Hello

MODEL = Model("previz", "previz", "previz-1", 16, Fraction(24), "native")


def task(motion: str) -> Task:
    """A task whose motion says what the scripted worker does with it."""
    grid = Grid(1, (Motion(motion, motion),), (MODEL,), 1, 0)
    return grid.task(0, 0, Still("s", "s.png", "s.png"), sha256_hex(b"s"))


def scripted() -> type:
    """A worker that does what its tasks' motions say. Made here, so that Ray sends it by value."""

    class Odd(Exception):
        """Can be pickled, but not made again from what it is pickled as: many libraries have such."""

        def __init__(self, *, code: int) -> None:
            super().__init__(f"an odd error of code {code}")

    class Scripted:
        def __init__(self, name: str, bench: Bench) -> None:
            self._name = name

        def load(self) -> Hello:
            if "cannot" in self._name:
                raise InputError("no such weights")
            return Hello("node", "CPU", 0.0, None)

        def take(self, task: Task, attempt: int) -> Outcome:
            match task.motion.id:
                case "store":
                    raise StoreError("s3: no permission", kind="denied")
                case "bug":
                    raise ZeroDivisionError("a bug in a renderer")
                case "odd":
                    raise Odd(code=3)
                case "segfault":
                    ctypes.string_at(0)  # here and now; a signal may come after the call has returned
            return replace(blank_outcome(task, attempt, Status.KEPT), render_s=2.0, finish_s=0.5)

        def close(self) -> None:
            pass

    return Scripted


@pytest.fixture(scope="module")
def ray_slots() -> Iterator[int | None]:
    from farm.dispatch.ray_pool import connected

    with connected(None, cpus=1, gpus=0) as slots:
        yield slots


@pytest.fixture(params=["inline", "ray"])
def pool(request) -> Iterator[Pool]:
    made: Any
    if request.param == "inline":
        made = InlinePool(lambda name: scripted()(name, None), SystemClock())
    else:
        from farm.dispatch.ray_pool import RayPool

        slots = request.getfixturevalue("ray_slots")
        bench = Bench("memory://x", (MODEL,), 1.0, Scoring(0.5), 0.0, {})
        made = RayPool(bench, cpus=0.5, gpus=0, slots=slots, clock=SystemClock(), worker_class=scripted())
    yield made
    made.close()


def hear(pool: Pool, count: int) -> list[tuple[Event, Outcome | None]]:
    heard: list[tuple[Event, Outcome | None]] = []
    for _ in range(600):
        heard += pool.poll(0.1)
        if len(heard) >= count:
            return heard
    raise AssertionError(f"heard only {heard}")


def hear_until(pool: Pool, kind: type[Event]) -> list[tuple[Event, Outcome | None]]:
    heard: list[tuple[Event, Outcome | None]] = []
    for _ in range(600):
        heard += pool.poll(0.1)
        if any(isinstance(event, kind) for event, _ in heard):
            return heard
    raise AssertionError(f"heard only {heard}")


def ready(pool: Pool, worker: str) -> None:
    pool.start(worker)
    ((event, outcome),) = hear(pool, 1)
    assert event == WorkerReady(worker, "node", "CPU", 0.0, None) and outcome is None


def test_a_worker_becomes_ready_and_settles_what_it_is_given(pool):
    ready(pool, "w1")
    leases = [Lease(number, 0, 1, "w1") for number in (1, 2)]
    for lease in leases:
        pool.render(lease, task("fine"))
    heard = hear(pool, 2)
    assert sorted(event.lease.shot for event, _ in heard if isinstance(event, TakeSettled)) == [1, 2]
    assert all(outcome is not None and outcome.status is Status.KEPT for _, outcome in heard)
    assert {event.take_s for event, _ in heard if isinstance(event, TakeSettled)} == {2.5}
    assert pool.poll(0.1) == [], "told once"


def test_a_worker_that_cannot_load_is_lost_with_the_reason(pool):
    pool.start("cannot-1")
    ((event, _),) = hear(pool, 1)
    assert isinstance(event, WorkerLost) and event.kind == "InputError" and "no such weights" in event.message
    assert not event.preempted


@pytest.mark.parametrize(
    ("motion", "blame", "kind"),
    [("store", Blame.STORE, "denied"), ("bug", Blame.WORKER, "ZeroDivisionError")],
)
def test_an_exception_is_a_fault_of_that_lease_alone(pool, motion, blame, kind):
    ready(pool, "w1")
    bad, good = Lease(1, 0, 1, "w1"), Lease(2, 0, 1, "w1")
    pool.render(bad, task(motion))
    pool.render(good, task("fine"))
    events = {
        event.lease: event for event, _ in hear(pool, 2) if isinstance(event, TakeFaulted | TakeSettled)
    }
    assert isinstance(events[bad], TakeFaulted)
    assert (events[bad].blame, events[bad].kind) == (blame, kind)
    assert isinstance(events[good], TakeSettled)


def test_an_exception_that_does_not_travel_is_a_fault_like_others(pool):
    ready(pool, "w1")
    pool.render(Lease(1, 0, 1, "w1"), task("odd"))
    ((event, _),) = hear(pool, 1)
    assert isinstance(event, TakeFaulted) and event.blame is Blame.WORKER
    assert event.message.endswith("an odd error of code 3")


def test_what_a_fault_says_holds_no_secret():
    event = faulted(Lease(1, 0, 1, "w1"), RuntimeError("GET https://me:hunter2@host/a.png?sig=s3cret:\n 500"))
    assert event.message == "GET https://host/a.png 500"


def test_nothing_is_heard_of_a_worker_that_was_stopped(pool):
    ready(pool, "w1")
    pool.render(Lease(1, 0, 1, "w1"), task("fine"))
    pool.stop("w1", gently=False)
    assert pool.poll(0.3) == []


def test_a_dying_process_loses_its_worker_once_and_no_other(ray_slots):
    from farm.dispatch.ray_pool import RayPool

    bench = Bench("memory://x", (MODEL,), 1.0, Scoring(0.5), 0.0, {})
    pool = RayPool(bench, cpus=0.5, gpus=0, slots=ray_slots, clock=SystemClock(), worker_class=scripted())
    ready(pool, "w1")
    ready(pool, "w2")
    pool.render(Lease(1, 0, 1, "w1"), task("segfault"))
    pool.render(Lease(2, 0, 1, "w1"), task("fine"))
    pool.render(Lease(3, 0, 1, "w2"), task("fine"))
    events = [event for event, _ in hear_until(pool, WorkerLost)]
    events += [event for event, _ in pool.poll(1.0)]
    lost = [event for event in events if isinstance(event, WorkerLost)]
    assert [event.worker for event in lost] == ["w1"] and not lost[0].preempted
    assert any(isinstance(event, TakeSettled) and event.lease.worker == "w2" for event in events)
    # As when one call told both that w1 settled a take, which earns it another one, and that it is lost.
    pool.render(Lease(4, 0, 1, "w1"), task("fine"))
    assert pool.poll(0.1) == []
    pool.close()
