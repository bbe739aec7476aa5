"""The Ray actor around one Worker. Nothing but the wiring lives here."""

from typing import Any

import ray

from farm.bench import Bench, Hello, Pulse, Taken
from farm.clock import SystemClock
from farm.dispatch.placement import AHEAD
from farm.values import Task
from farm.worker import Worker

SIGNS = "signs"
"""The concurrency group of `pulse` and `cancel`: a thread beside those that take, so that it waits for no take."""


class RayWorker:
    """One worker process. `take` runs in two threads: one renders while the other finishes (see worker.py)."""

    def __init__(self, name: str, bench: Bench) -> None:
        node = ray.util.get_node_ip_address()
        self._worker = Worker(name, bench, SystemClock(), node=node)

    def load(self, model: str) -> Hello:
        return self._worker.load(model)

    def take(self, task: Task, attempt: int) -> Taken:
        return self._worker.take(task, attempt)

    def pulse(self) -> tuple[Pulse, ...]:
        return self._worker.pulse()

    def cancel(self, take_id: str) -> None:
        self._worker.cancel(take_id)


def actor_class(worker_class: type, *, cpus: float, gpus: float) -> Any:
    """The actor with its resources. No restarts and no retries by Ray: the ledger decides, or innocents burn."""
    grouped: Any = ray.remote(concurrency_groups={SIGNS: 1})  # type: ignore[call-overload]  # Ray's stubs forget it
    return grouped(worker_class).options(
        num_cpus=cpus, num_gpus=gpus, max_restarts=0, max_task_retries=0, max_concurrency=AHEAD
    )
