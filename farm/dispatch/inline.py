"""The inline pool: one worker in this process, no Ray. Same results, for debugging and fast tests.

A thread cannot be killed: a worker that is stopped while it renders is told to end at its next step. One that never
comes to a next step keeps this process from ending; on Ray it would be gone.
"""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from farm.bench import Hello, Taken
from farm.clock import Clock
from farm.dispatch.beats import Beats
from farm.dispatch.events import Event, Lease, TakeFaulted, TakeSettled, WorkerLost, WorkerReady
from farm.dispatch.placement import AHEAD
from farm.errors import Cancelled, StoreError
from farm.redact import redact_all
from farm.values import Blame, Outcome, Task
from farm.worker import Worker


class InlinePool:
    """`hire` makes a worker of the given name."""

    slots: int | None = 1

    def __init__(self, hire: Callable[[str], Worker], clock: Clock) -> None:
        self._hire = hire
        self._clock = clock
        self._beats = Beats(clock)
        self._threads: dict[str, ThreadPoolExecutor] = {}
        self._workers: dict[str, Worker] = {}
        self._starting: dict[Future[tuple[Worker, Hello]], str] = {}
        self._rendering: dict[Future[Taken], Lease] = {}
        self._left: list[
            tuple[Worker | None, ThreadPoolExecutor]
        ] = []  # stopped while they had something to do

    def start(self, worker: str, model: str) -> None:
        # Threads of its own, so that one that hangs takes none from its successor.
        threads = ThreadPoolExecutor(max_workers=AHEAD, thread_name_prefix=f"farm-{worker}")
        self._threads[worker] = threads
        self._starting[threads.submit(self._start, worker, model)] = worker

    def render(self, lease: Lease, task: Task) -> None:
        take = self._workers[lease.worker].take
        self._rendering[self._threads[lease.worker].submit(take, task, lease.attempt)] = lease
        self._beats.given(lease, task.take_id)

    def cancel(self, lease: Lease) -> None:
        take_id = self._beats.take_id(lease)
        if take_id is not None:
            self._workers[lease.worker].cancel(take_id)

    def stop(self, worker: str, *, gently: bool) -> None:
        gone, threads = self._workers.pop(worker, None), self._threads.pop(worker, None)
        if threads is None:
            return  # it could not start
        threads.shutdown(wait=False, cancel_futures=True)
        if gone is not None and (gently or not self._beats.take_ids(worker)):
            gone.close()  # now, and not at the end: what it holds is wanted by its successor
        else:
            self._left.append((gone, threads))
        if gone is not None:
            for take_id in self._beats.take_ids(worker):
                gone.cancel(take_id)
        self._beats.gone(worker)
        self._rendering = {
            future: lease for future, lease in self._rendering.items() if lease.worker != worker
        }
        self._starting = {future: name for future, name in self._starting.items() if name != worker}

    def poll(self, timeout_s: float) -> list[tuple[Event, Outcome | None]]:
        open_calls: list[Future[Any]] = [*self._starting, *self._rendering]
        if not open_calls:
            self._clock.sleep(timeout_s)
        wait(open_calls, timeout=timeout_s, return_when=FIRST_COMPLETED)
        heard: list[tuple[Event, Outcome | None]] = []
        for start in [future for future in self._starting if future.done()]:
            heard.append((self._started(self._starting.pop(start), start), None))
        for take in [future for future in self._rendering if future.done()]:
            lease = self._rendering.pop(take)
            self._beats.ended(lease)
            heard.append(_ended(lease, take))
        for worker in self._beats.to_ask():
            heard.extend(self._beats.told(worker, self._workers[worker].pulse()))
        return heard

    def close(self) -> None:
        """Waits for what was left, too: at its next step it ends."""
        for worker in list(self._threads):
            self.stop(worker, gently=worker in self._workers and not self._beats.take_ids(worker))
        for gone, threads in self._left:
            threads.shutdown(wait=True)
            if gone is not None:
                gone.close()
        self._left.clear()

    def _start(self, name: str, model: str) -> tuple[Worker, Hello]:
        worker = self._hire(name)
        return worker, worker.load(model)

    def _started(self, name: str, future: Future[tuple[Worker, Hello]]) -> Event:
        error = future.exception()
        if error is not None:
            self._threads.pop(name).shutdown(wait=False)
            return WorkerLost(name, type(error).__name__, told(error))
        worker, hello = future.result()
        self._workers[name] = worker
        return ready(name, hello)


def _ended(lease: Lease, future: Future[Taken]) -> tuple[Event, Outcome | None]:
    error = future.exception()
    if error is None:
        taken = future.result()
        return settled(lease, taken), taken.outcome
    return faulted(lease, error), None


def ready(worker: str, hello: Hello) -> WorkerReady:
    return WorkerReady(worker, hello.node, hello.accelerator, hello.load_s, hello.price_usd_h, hello.resident)


def settled(lease: Lease, taken: Taken) -> TakeSettled:
    outcome = taken.outcome
    take_s = (outcome.render_s or 0.0) + (outcome.finish_s or 0.0)
    return TakeSettled(lease, outcome.status, take_s, taken.resident, taken.load_s, outcome.score)


def faulted(lease: Lease, error: BaseException) -> TakeFaulted:
    """What an exception that ended a take says of who is to blame."""
    if isinstance(error, StoreError):
        return TakeFaulted(lease, Blame.STORE, error.kind, str(error))
    # Only the watchdog has takes cancelled whose end is listened to.
    kind = "overdue" if isinstance(error, Cancelled) else type(error).__name__
    return TakeFaulted(lease, Blame.WORKER, kind, told(error))


def told(error: BaseException) -> str:
    """An error in one line without secrets, for it may come from any library and goes into the manifest."""
    return redact_all(" ".join(str(error).split()))[:300]
