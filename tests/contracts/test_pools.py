"""One suite for every pool: what is started, rendered, lost and stopped is told exactly once."""

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from farm.bench import Bench, Hello, Pulse, Taken
from farm.clock import SystemClock
from farm.dispatch.events import (
    Beat,
    Event,
    Lease,
    TakeFaulted,
    TakeSettled,
    WorkerLost,
    WorkerPlaced,
    WorkerReady,
)
from farm.dispatch.inline import InlinePool, faulted
from farm.dispatch.pool import Pool
from farm.errors import Cancelled, InputError, StoreError
from farm.ids import sha256_hex
from farm.outcomes import blank_outcome
from farm.plan.grid import Grid
from farm.values import Blame, Model, Motion, Outcome, Scoring, Status, Still, Task

MODEL = Model("previz", "previz", "previz-1", 16, Fraction(24), "native")


def task(motion: str, model: Model = MODEL) -> Task:
    """A task whose motion says what the scripted worker does with it."""
    grid = Grid(1, (Motion(motion, motion),), (model,), 1, 0)
    return grid.task(0, 0, Still("s", "s.png", "s.png"), sha256_hex(b"s"))


def scripted() -> type:
    """A worker that does what its tasks' motions say. Made here, so that Ray sends it by value."""

    from farm.dispatch.processes import Place
    from farm.dispatch.ray_worker import place

    class Odd(Exception):
        """Can be pickled, but not made again from what it is pickled as: many libraries have such."""

        def __init__(self, *, code: int) -> None:
            super().__init__(f"an odd error of code {code}")

    class Scripted:
        def __init__(self, name: str, bench: Bench) -> None:
            self._name = name
            self._doing: dict[str, Pulse] = {}
            self._cancelled: set[str] = set()
            self._resident: list[str] = []

        def where(self) -> Place:
            return place()

        def load(self, model: str) -> Hello:
            if "cannot" in self._name:
                raise InputError("no such weights")
            self._resident.append(model)
            return Hello(f"process {os.getpid()}", "CPU", 1.5, None, tuple(self._resident))

        def take(self, task: Task, attempt: int) -> Taken:
            load_s = 0.0 if task.model.name in self._resident else 3.0
            if load_s:
                self._resident.append(task.model.name)
            self._doing[task.take_id] = Pulse(task.take_id, attempt, "rendering", 0, 400, "64x64x16")
            try:
                self._render(task)
            finally:
                del self._doing[task.take_id]
            outcome = replace(blank_outcome(task, attempt, Status.KEPT), render_s=2.0, finish_s=0.5)
            return Taken(outcome, tuple(self._resident), load_s)

        def pulse(self) -> tuple[Pulse, ...]:
            return tuple(self._doing.copy().values())

        def cancel(self, take_id: str) -> None:
            self._cancelled.add(take_id)

        def close(self) -> None:
            pass

        def _render(self, task: Task) -> None:
            match task.motion.id:
                case "store":
                    raise StoreError("s3: no permission", kind="denied")
                case "bug":
                    raise ZeroDivisionError("a bug in a renderer")
                case "odd":
                    raise Odd(code=3)
                case "segfault":
                    ctypes.string_at(0)  # here and now; a signal may come after the call has returned
                case "slow" | "slow too":
                    for step in range(400):
                        threading.Event().wait(0.1)
                        if task.take_id in self._cancelled:
                            raise Cancelled(f"cancelled after step {step}")
                        self._doing[task.take_id] = replace(self._doing[task.take_id], done=step + 1)
                case "hangs":
                    ctypes.PyDLL(None).sleep(
                        600
                    )  # with Python's lock held: no thread of it does anything any more

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
    """The first `count` events besides signs of life and of where workers are, and what came with them."""

    def news(heard: list[tuple[Event, Outcome | None]]) -> list[tuple[Event, Outcome | None]]:
        return [(event, outcome) for event, outcome in heard if not isinstance(event, Beat | WorkerPlaced)]

    return news(hear_until(pool, lambda heard: len(news(heard)) >= count))


def hear_until(
    pool: Pool, enough: Callable[[list[tuple[Event, Outcome | None]]], bool]
) -> list[tuple[Event, Outcome | None]]:
    heard: list[tuple[Event, Outcome | None]] = []
    for _ in range(600):
        heard += pool.poll(0.1)
        if enough(heard):
            return heard
    raise AssertionError(f"heard only {heard}")


def beats_of(*leases: Lease) -> Callable[[list[tuple[Event, Outcome | None]]], bool]:
    """Whether there are two Beats of each of these leases."""
    return lambda heard: all(
        sum(isinstance(event, Beat) and event.lease == lease for event, _ in heard) >= 2 for lease in leases
    )


def ready(pool: Pool, worker: str) -> int:
    """A worker that is ready; the id of its process."""
    pool.start(worker, "previz")
    ((event, outcome),) = hear(pool, 1)
    assert isinstance(event, WorkerReady) and outcome is None
    assert event == WorkerReady(worker, event.node, "CPU", 1.5, None, ("previz",))
    return int(event.node.removeprefix("process "))


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
    pool.start("cannot-1", "previz")
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


def test_a_worker_says_what_it_loaded_for_a_take_and_what_it_holds(pool):
    ready(pool, "w1")
    pool.render(Lease(1, 0, 1, "w1"), task("fine", replace(MODEL, name="other")))
    ((event, _),) = hear(pool, 1)
    assert isinstance(event, TakeSettled)
    assert (event.resident, event.load_s, event.take_s) == (("previz", "other"), 3.0, 2.5)


def test_two_takes_at_once_are_heard_of_while_they_last_and_end_when_cancelled(pool):
    ready(pool, "w1")
    leases = [Lease(1, 0, 1, "w1"), Lease(2, 0, 4, "w1")]
    for lease, motion in zip(leases, ("slow", "slow too"), strict=True):
        pool.render(lease, task(motion))
    beats = [event for event, _ in hear_until(pool, beats_of(*leases)) if isinstance(event, Beat)]
    assert {(beat.stage, beat.total, beat.shape) for beat in beats} == {("rendering", 400, "64x64x16")}
    for lease in leases:
        steps = [beat.done for beat in beats if beat.lease == lease]
        assert steps == sorted(set(steps)), "only what is new is said"
    pool.cancel(leases[1])
    ((event, _),) = hear(pool, 1)
    assert isinstance(event, TakeFaulted) and event.lease == leases[1]
    assert (event.blame, event.kind) == (Blame.WORKER, "overdue") and "cancelled after step" in event.message
    pool.cancel(leases[1])  # too late: it is out no more
    pool.cancel(leases[0])
    ((event, _),) = hear(pool, 1)
    assert isinstance(event, TakeFaulted) and event.lease == leases[0]


def test_a_worker_that_hangs_is_gone_when_it_is_stopped(ray_slots):
    from farm.dispatch.ray_pool import RayPool

    bench = Bench("memory://x", (MODEL,), 1.0, Scoring(0.5), 0.0, {})
    pool = RayPool(bench, cpus=0.5, gpus=0, slots=ray_slots, clock=SystemClock(), worker_class=scripted())
    process = ready(pool, "w1")
    pool.render(Lease(1, 0, 1, "w1"), task("slow"))
    hear_until(pool, beats_of(Lease(1, 0, 1, "w1")))
    pool.render(Lease(2, 0, 1, "w1"), task("hangs"))
    last = [pool.poll(0.1) for _ in range(60)][-30:]
    assert not any(last), "it says nothing more"
    pool.cancel(Lease(2, 0, 1, "w1"))
    assert not any(pool.poll(0.1) for _ in range(10)), "nor does it listen"
    pool.stop("w1", gently=False)
    for _ in range(100):
        if not is_alive(process):
            break
        pool.poll(0.1)
    assert not is_alive(process)
    ready(pool, "w2")
    pool.close()


def test_a_worker_that_ray_does_not_kill_is_killed_all_the_same(ray_slots, monkeypatch):
    """A process that its system has stopped, while somebody holds its actor and Ray's own killing does nothing."""
    import ray

    from farm.dispatch.ray_pool import RayPool

    bench = Bench("memory://x", (MODEL,), 1.0, Scoring(0.5), 0.0, {})
    pool = RayPool(bench, cpus=0.5, gpus=0, slots=ray_slots, clock=SystemClock(), worker_class=scripted())
    process = ready(pool, "w1")
    os.kill(process, signal.SIGSTOP)
    held = pool._actors["w1"]
    monkeypatch.setattr(ray, "kill", lambda *_, **__: None)
    pool.stop("w1", gently=False)
    for _ in range(100):
        if not is_alive(process):
            break
        pool.poll(0.1)
    assert not is_alive(process)
    del held
    pool.close()


def test_a_worker_without_a_process_is_told_to_end(pool):
    """Where there is one it is killed; either way `close` waits for nothing that goes on."""
    ready(pool, "w1")
    pool.render(Lease(1, 0, 1, "w1"), task("slow"))
    hear_until(pool, beats_of(Lease(1, 0, 1, "w1")))
    pool.stop("w1", gently=False)
    ready(pool, "w2")
    pool.render(Lease(1, 0, 2, "w2"), task("fine"))
    ((event, _),) = hear(pool, 1)
    assert isinstance(event, TakeSettled)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_dying_process_loses_its_worker_once_and_no_other(ray_slots):
    from farm.dispatch.ray_pool import RayPool

    bench = Bench("memory://x", (MODEL,), 1.0, Scoring(0.5), 0.0, {})
    pool = RayPool(bench, cpus=0.5, gpus=0, slots=ray_slots, clock=SystemClock(), worker_class=scripted())
    ready(pool, "w1")
    ready(pool, "w2")
    pool.render(Lease(1, 0, 1, "w1"), task("segfault"))
    pool.render(Lease(2, 0, 1, "w1"), task("fine"))
    pool.render(Lease(3, 0, 1, "w2"), task("fine"))
    lost_one = lambda heard: any(isinstance(event, WorkerLost) for event, _ in heard)  # noqa: E731
    events = [event for event, _ in hear_until(pool, lost_one)]
    events += [event for event, _ in pool.poll(1.0)]
    lost = [event for event in events if isinstance(event, WorkerLost)]
    assert [event.worker for event in lost] == ["w1"] and not lost[0].preempted
    assert any(isinstance(event, TakeSettled) and event.lease.worker == "w2" for event in events)
    # As when one call told both that w1 settled a take, which earns it another one, and that it is lost.
    pool.render(Lease(4, 0, 1, "w1"), task("fine"))
    assert pool.poll(0.1) == []
    pool.close()
