"""The inline pool lets go of a replaced worker as soon as it does nothing: its model is in the successor's way."""

from dataclasses import replace
from fractions import Fraction

from farm.bench import Hello, Taken
from farm.clock import SystemClock
from farm.dispatch.events import Lease, TakeFaulted, WorkerReady
from farm.dispatch.inline import InlinePool
from farm.plan.grid import Grid
from farm.values import Model, Motion, Still

MODEL = Model("previz", "previz", "previz-1", 16, Fraction(24), "native")
TASK = Grid(1, (Motion("m", "m"),), (MODEL,), 1, 0).task(0, 0, Still("s", "s.png", "s.png"), "0" * 64)


class Faulting:
    def __init__(self) -> None:
        self.closed = 0

    def load(self, model: str) -> Hello:
        return Hello("here", "CPU", 0.0, None, (model,))

    def take(self, task: object, attempt: int) -> Taken:
        raise ZeroDivisionError("a bug in a renderer")

    def pulse(self) -> tuple[()]:
        return ()

    def cancel(self, take_id: str) -> None:
        pass

    def close(self) -> None:
        self.closed += 1


def heard(pool: InlinePool, kind: type) -> None:
    for _ in range(200):
        if any(isinstance(event, kind) for event, _ in pool.poll(0.05)):
            return
    raise AssertionError(f"no {kind.__name__}")


def test_a_worker_that_faulted_is_closed_when_it_is_replaced():
    workers = [Faulting(), Faulting()]
    hired = iter(workers)
    pool = InlinePool(lambda name: next(hired), SystemClock())  # type: ignore[arg-type,return-value]
    pool.start("w1", "previz")
    heard(pool, WorkerReady)
    pool.render(Lease(0, 0, 1, "w1"), replace(TASK, seed=1))
    heard(pool, TakeFaulted)
    pool.stop("w1", gently=False)
    assert workers[0].closed == 1
    pool.start("w2", "previz")
    heard(pool, WorkerReady)
    pool.close()
    assert [worker.closed for worker in workers] == [1, 1]
