"""The Ray actor around one Worker. Nothing but the wiring lives here."""

from typing import Any

import ray

from farm.clock import SystemClock
from farm.dispatch.placement import AHEAD
from farm.values import Outcome, Task
from farm.worker import Bench, Hello, Worker


class RayWorker:
    """One worker process. `take` runs in two threads: one renders while the other finishes (see worker.py)."""

    def __init__(self, name: str, bench: Bench) -> None:
        node = ray.util.get_node_ip_address()
        self._worker = Worker(name, bench, SystemClock(), node=node)

    def load(self) -> Hello:
        return self._worker.load()

    def take(self, task: Task, attempt: int) -> Outcome:
        return self._worker.take(task, attempt)


def actor_class(worker_class: type, *, cpus: float, gpus: float) -> Any:
    """The actor with its resources. No restarts and no retries by Ray: the ledger decides, or innocents burn."""
    return ray.remote(worker_class).options(
        num_cpus=cpus, num_gpus=gpus, max_restarts=0, max_task_retries=0, max_concurrency=AHEAD
    )
