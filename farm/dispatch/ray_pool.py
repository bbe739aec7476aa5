"""The Ray pool: one actor per worker, a call per take, never more in flight than the ledger leased.

A pending actor is what a cluster's autoscaler sees as demand; a killed one and its dropped references are what lets
a node go. Exceptions that mean "this worker is gone" are named one by one in ray_gone.py; what came out of our own
code was raised in an actor that still lives. What was killed on this machine is seen to be gone (processes.py).
"""

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from typing import Any

import ray
from ray.exceptions import RayTaskError, UnserializableException

from farm.bench import Bench, Taken
from farm.clock import Clock
from farm.dispatch.beats import Beats
from farm.dispatch.events import Event, Lease, TakeFaulted, WorkerLost, WorkerPlaced
from farm.dispatch.inline import faulted, ready, settled, told
from farm.dispatch.processes import Place, Reaper
from farm.dispatch.ray_drains import Drains
from farm.dispatch.ray_gone import WORKER_GONE
from farm.dispatch.ray_worker import SIGNS, RayWorker, actor_class
from farm.errors import BrokenFarm, InputError
from farm.values import Blame, Outcome, Task

_ANSWER_WITHIN_S = 5.0


class RayPool:
    """Workers on the Ray that this process is connected to."""

    def __init__(
        self,
        bench: Bench,
        *,
        cpus: float,
        gpus: float,
        slots: int | None,
        clock: Clock,
        worker_class: type = RayWorker,
    ) -> None:
        self.slots = slots
        self._bench = bench
        self._clock = clock
        self._make = actor_class(worker_class, cpus=cpus, gpus=gpus)
        self._actors: dict[str, Any] = {}
        self._placing: dict[Any, str] = {}  # asked where they are
        self._places: dict[str, Place] = {}
        self._starting: dict[Any, str] = {}
        self._rendering: dict[Any, Lease] = {}
        self._beats = Beats(clock)
        self._reaper = Reaper(clock)
        self._drains = Drains(clock)
        self._pulses: dict[
            str, Any
        ] = {}  # worker -> its answer that is on the way; a second one is not asked for

    def start(self, worker: str, model: str) -> None:
        actor = self._make.remote(worker, self._bench)
        self._actors[worker] = actor
        self._placing[actor.where.options(concurrency_group=SIGNS).remote()] = worker
        self._starting[actor.load.remote(model)] = worker

    def render(self, lease: Lease, task: Task) -> None:
        actor = self._actors.get(lease.worker)
        if actor is not None:  # else its WorkerLost was told behind the event that this answers
            self._rendering[actor.take.remote(task, lease.attempt)] = lease
            self._beats.given(lease, task.take_id)

    def cancel(self, lease: Lease) -> None:
        actor, take_id = self._actors.get(lease.worker), self._beats.take_id(lease)
        if actor is not None and take_id is not None:
            actor.cancel.options(concurrency_group=SIGNS).remote(take_id)

    def stop(self, worker: str, *, gently: bool) -> None:
        self._forget(worker)
        self._kill(worker)

    def poll(self, timeout_s: float) -> list[tuple[Event, Outcome | None]]:
        self._reaper.look()
        done = self._wait([*self._placing, *self._starting, *self._rendering], timeout_s)
        heard: list[tuple[Event, Outcome | None]] = []
        for ref in done:
            if ref in self._placing:
                heard.extend(self._placed(ref))
            elif ref in self._starting:
                heard.extend(self._started(ref))
            elif ref in self._rendering:
                heard.extend(self._ended(ref))
        nodes = {place.node_id: place.node for place in self._places.values()}
        heard.extend((drain, None) for drain in self._drains.news(nodes))
        return [*heard, *self._signs()]

    def _wait(self, refs: list[Any], timeout_s: float) -> list[Any]:
        """Those that are done, waiting for one."""
        if not refs:
            self._clock.sleep(timeout_s)
            return []
        done, _ = ray.wait(refs, num_returns=1, timeout=timeout_s)
        # And whatever else is done by now.
        return list(ray.wait(refs, num_returns=len(refs), timeout=0)[0]) if done else []

    def close(self) -> None:
        for worker in list(self._actors):
            self.stop(worker, gently=True)
        self._reaper.close()

    def _signs(self) -> Iterator[tuple[Event, None]]:
        """What workers have answered by now; asks them again where it is time. Never waits."""
        asked = list(self._pulses.values())
        answered = set(ray.wait(asked, num_returns=len(asked), timeout=0)[0]) if asked else set()
        for worker in [name for name, ref in self._pulses.items() if ref in answered]:
            # Where it failed, the take says why: its own call fails, or it is silent for too long.
            with contextlib.suppress(*WORKER_GONE, RayTaskError, UnserializableException):
                yield from self._beats.told(worker, ray.get(self._pulses.pop(worker)))
        for worker in self._beats.to_ask():
            if worker not in self._pulses:
                pulse = self._actors[worker].pulse.options(concurrency_group=SIGNS)
                self._pulses[worker] = pulse.remote()

    def _placed(self, ref: Any) -> Iterator[tuple[Event, None]]:
        worker = self._placing.pop(ref)
        # Where it failed, the load says why.
        with contextlib.suppress(*WORKER_GONE, RayTaskError, UnserializableException):
            self._places[worker] = place = ray.get(ref)
            yield WorkerPlaced(worker, place.node), None

    def _started(self, ref: Any) -> Iterator[tuple[Event, None]]:
        worker = self._starting.pop(ref)
        try:
            hello = ray.get(ref)
        except WORKER_GONE as e:
            yield self._lost(worker, e), None
        except RayTaskError as e:
            yield self._lost(worker, e.cause or e), None
        except UnserializableException as e:
            yield self._lost(worker, e), None
        else:
            yield ready(worker, hello), None

    def _ended(self, ref: Any) -> Iterator[tuple[Event, Outcome | None]]:
        lease = self._rendering.pop(ref)
        self._beats.ended(lease)
        try:
            taken: Taken = ray.get(ref)
        except WORKER_GONE as e:
            yield self._lost(lease.worker, e), None
        except RayTaskError as e:
            yield self._faulted(lease, e), None
        except UnserializableException as e:
            # Of an exception that cannot be built again here (many libraries have some), the text ends with its words.
            last = str(e).strip().rpartition("\n")[2]
            yield TakeFaulted(lease, Blame.WORKER, type(e).__name__, told(RuntimeError(last))), None
        else:
            yield settled(lease, taken), taken.outcome

    @staticmethod
    def _faulted(lease: Lease, error: RayTaskError) -> TakeFaulted:
        return faulted(lease, error.cause if error.cause is not None else error)

    def _lost(self, worker: str, error: BaseException) -> WorkerLost:
        self._forget(worker)
        self._kill(worker)  # it may be unavailable rather than dead; either way it gets nothing more
        preempted = bool(getattr(error, "preempted", False))
        kind = getattr(error, "kind", type(error).__name__)
        return WorkerLost(worker, kind, told(error), preempted)

    def _kill(self, worker: str) -> None:
        actor, place = self._actors.pop(worker, None), self._places.pop(worker, None)
        if place is not None:
            self._reaper.expect(place.process)
        if actor is not None:
            with contextlib.suppress(*WORKER_GONE):
                ray.kill(actor, no_restart=True)

    def _forget(self, worker: str) -> None:
        self._beats.gone(worker)
        self._pulses.pop(worker, None)
        self._placing = {ref: name for ref, name in self._placing.items() if name != worker}
        self._starting = {ref: name for ref, name in self._starting.items() if name != worker}
        self._rendering = {ref: lease for ref, lease in self._rendering.items() if lease.worker != worker}


@contextlib.contextmanager
def connected(address: str | None, *, cpus: float, gpus: float) -> Iterator[int | None]:
    """Ray for the length of a run: the cluster at `address`, else one of our own on this machine.

    Yields how many workers fit at once: on this machine what its cores and GPUs bear, on a cluster None (it may
    grow). Raises InputError when a GPU is asked for on a machine without one, or nothing answers at the address.
    """
    if address is not None:
        _check_address(address)
    # Set before Ray starts its own processes: nothing of a run is reported to anybody.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            # Frames never cross a process, so Ray's object store holds next to nothing.
            object_store_memory=None if address else 128 * 2**20,
        )
    except (ConnectionError, TimeoutError, ValueError) as e:
        raise InputError(
            f"--address {address}: no Ray cluster answers: {' '.join(str(e).split())[:200]}"
        ) from e
    except RuntimeError as e:
        raise BrokenFarm(f"Ray could not be started: {' '.join(str(e).split())[:300]}") from e
    try:
        yield None if address else _slots(cpus, gpus)
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Ray itself tries for 80 s and then exits the process when nobody answers."""
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdecimal()) or "/" in host:
        raise InputError(f"--address {address}: expected HOST:PORT of a Ray head node, or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_WITHIN_S).close()
    except (OSError, OverflowError) as e:
        raise InputError(f"--address {address}: no Ray cluster answers there: {e}") from e


def _slots(cpus: float, gpus: float) -> int:
    has = ray.cluster_resources()
    if gpus and has.get("GPU", 0) < gpus:
        raise InputError(
            f"workers.gpus={gpus:g}: this machine has {has.get('GPU', 0):g}; set workers.gpus=0, or give a cluster "
            "by --address"
        )
    slots = int(has.get("CPU", 1) / cpus + 1e-9)  # 2 cores hold twenty of 0.1, whatever floats say
    if slots < 1:
        raise InputError(f"workers.cpus={cpus:g}: this machine has {has.get('CPU', 0):g} cores")
    return min(slots, int(has["GPU"] // gpus)) if gpus else slots
