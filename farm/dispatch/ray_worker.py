"""The Ray actor around one Worker. Nothing but the wiring lives here."""

from typing import Any

import ray

from farm.bench import Bench, Hello, Pulse, Taken
from farm.clock import SystemClock
from farm.dispatch.placement import AHEAD
from farm.dispatch.processes import Place, this_process
from farm.dispatch.vacancy import wait_for_gpus
from farm.values import Task
from farm.worker import Worker

SIGNS = "signs"
"""The concurrency group of `where`, `pulse` and `cancel`: a thread beside those that take, so that it waits for no
take and no load."""


class RayWorker:
    """One worker process. `take` runs in two threads: one renders while the other finishes (see worker.py)."""

    def __init__(self, name: str, bench: Bench) -> None:
        self._place = place()
        self._owns_gpus = bench.gpus >= 1
        self._worker = Worker(name, bench, SystemClock(), node=self._place.node)

    def where(self) -> Place:
        return self._place

    def load(self, model: str) -> Hello:
        """Raises GpuBusy while somebody else is on a GPU that this worker has for itself; else as Worker.load."""
        if self._owns_gpus:
            from farm.render.machine import gpus

            wait_for_gpus(gpus, SystemClock())
        return self._worker.load(model)

    def take(self, task: Task, attempt: int) -> Taken:
        return self._worker.take(task, attempt)

    def pulse(self) -> tuple[Pulse, ...]:
        return self._worker.pulse()

    def cancel(self, take_id: str) -> None:
        self._worker.cancel(take_id)


def place() -> Place:
    """Where this actor is. Nodes are told apart by Ray's id, too: a new one may have an old one's address."""
    node_id = ray.get_runtime_context().get_node_id()
    return Place(f"{ray.util.get_node_ip_address()}-{node_id[:8]}", node_id, this_process())


def actor_class(worker_class: type, *, cpus: float, gpus: float) -> Any:
    """The actor with its resources. No restarts and no retries by Ray: the ledger decides, or innocents burn."""
    grouped: Any = ray.remote(concurrency_groups={SIGNS: 1})  # type: ignore[call-overload]  # Ray's stubs forget it
    return grouped(worker_class).options(
        num_cpus=cpus, num_gpus=gpus, max_restarts=0, max_task_retries=0, max_concurrency=AHEAD
    )
