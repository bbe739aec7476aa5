"""The inline pool: one worker in this process, no Ray. Same results, for debugging and fast tests."""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from farm.clock import Clock
from farm.dispatch.events import Event, Lease, TakeFaulted, TakeSettled, WorkerLost, WorkerReady
from farm.dispatch.placement import AHEAD
from farm.errors import StoreError
from farm.redact import redact_all
from farm.values import Blame, Outcome, Task
from farm.worker import Hello, Worker


class InlinePool:
    """`hire` makes a worker of the given name."""

    slots: int | None = 1

    def __init__(self, hire: Callable[[str], Worker], clock: Clock) -> None:
        self._hire = hire
        self._clock = clock
        self._threads = ThreadPoolExecutor(max_workers=AHEAD, thread_name_prefix="farm-worker")
        self._workers: dict[str, Worker] = {}
        self._starting: dict[Future[tuple[Worker, Hello]], str] = {}
        self._rendering: dict[Future[Outcome], Lease] = {}

    def start(self, worker: str) -> None:
        self._starting[self._threads.submit(self._start, worker)] = worker

    def render(self, lease: Lease, task: Task) -> None:
        future = self._threads.submit(self._workers[lease.worker].take, task, lease.attempt)
        self._rendering[future] = lease

    def stop(self, worker: str, *, gently: bool) -> None:
        # A thread cannot be killed: what it still renders is left to itself and not listened to.
        self._rendering = {
            future: lease for future, lease in self._rendering.items() if lease.worker != worker
        }
        self._starting = {future: name for future, name in self._starting.items() if name != worker}
        gone = self._workers.pop(worker, None)
        if gone is not None and gently:
            gone.close()

    def poll(self, timeout_s: float) -> list[tuple[Event, Outcome | None]]:
        open_calls: list[Future[Any]] = [*self._starting, *self._rendering]
        if not open_calls:
            self._clock.sleep(timeout_s)
        wait(open_calls, timeout=timeout_s, return_when=FIRST_COMPLETED)
        heard: list[tuple[Event, Outcome | None]] = []
        for start in [future for future in self._starting if future.done()]:
            heard.append((self._started(self._starting.pop(start), start), None))
        for take in [future for future in self._rendering if future.done()]:
            heard.append(_ended(self._rendering.pop(take), take))
        return heard

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in list(self._workers):
            self.stop(worker, gently=True)

    def _start(self, name: str) -> tuple[Worker, Hello]:
        worker = self._hire(name)
        return worker, worker.load()

    def _started(self, name: str, future: Future[tuple[Worker, Hello]]) -> Event:
        error = future.exception()
        if error is not None:
            return WorkerLost(name, type(error).__name__, told(error))
        worker, hello = future.result()
        self._workers[name] = worker
        return WorkerReady(name, hello.node, hello.accelerator, hello.load_s, hello.price_usd_h)


def _ended(lease: Lease, future: Future[Outcome]) -> tuple[Event, Outcome | None]:
    error = future.exception()
    if error is None:
        outcome = future.result()
        return settled(lease, outcome), outcome
    return faulted(lease, error), None


def settled(lease: Lease, outcome: Outcome) -> TakeSettled:
    return TakeSettled(lease, outcome.status, (outcome.render_s or 0.0) + (outcome.finish_s or 0.0))


def faulted(lease: Lease, error: BaseException) -> TakeFaulted:
    """What an exception that ended a take says of who is to blame."""
    if isinstance(error, StoreError):
        return TakeFaulted(lease, Blame.STORE, error.kind, str(error))
    return TakeFaulted(lease, Blame.WORKER, type(error).__name__, told(error))


def told(error: BaseException) -> str:
    """An error in one line without secrets, for it may come from any library and goes into the manifest."""
    return redact_all(" ".join(str(error).split()))[:300]
