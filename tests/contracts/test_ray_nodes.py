"""What Ray says of its own failures and of its nodes, held against the installed Ray."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import ray
from ray import exceptions
from ray.cluster_utils import Cluster

from farm.bench import Bench, Hello
from farm.clock import SystemClock
from farm.dispatch.events import Event, NodeDraining, WorkerPlaced, WorkerReady
from farm.dispatch.ray_gone import NOT_CAUGHT, OUR_OWN, WORKER_GONE
from farm.dispatch.ray_pool import RayPool
from farm.values import Scoring

SPOT = 2  # DrainNodeReason: preemption


def test_every_exception_of_ray_is_decided_upon():
    found = {
        one
        for _, one in inspect.getmembers(exceptions, inspect.isclass)
        if issubclass(one, exceptions.RayError) and one.__module__ == exceptions.__name__
    }
    listed = [*WORKER_GONE, *OUR_OWN, *NOT_CAUGHT]
    assert len(listed) == len(set(listed)), "in one of the lists only"
    assert {one.__name__ for one in found ^ set(listed)} == set()
    assert not [one for one in NOT_CAUGHT if issubclass(one, WORKER_GONE)], (
        "else it would be caught all the same"
    )


def resting() -> type:
    """A worker that holds its model and does nothing. Made here, so that Ray sends it by value."""
    from farm.dispatch.processes import Place
    from farm.dispatch.ray_worker import place

    class Resting:
        def __init__(self, name: str, bench: Bench) -> None:
            pass

        def where(self) -> Place:
            return place()

        def load(self, model: str) -> Hello:
            return Hello(place().node, "CPU", 0.0, None, (model,))

    return Resting


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False},
    )
    made.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def test_a_draining_node_of_a_real_cluster_is_heard_of_and_the_other_is_not(cluster):
    bench = Bench("memory://x", (), 1.0, Scoring(0.5), 0.0, {})
    pool = RayPool(bench, cpus=1, gpus=0, slots=None, clock=SystemClock(), worker_class=resting())
    for worker in ("w1", "w2"):
        pool.start(worker, "m")
    events = heard(pool, lambda events: count(events, WorkerReady) == count(events, WorkerPlaced) == 2)
    places = {event.worker: event.node for event in events if isinstance(event, WorkerPlaced)}
    assert set(places) == {"w1", "w2"} and len(set(places.values())) == 2, "a node each, under one address"
    assert {e.worker: e.node for e in events if isinstance(e, WorkerReady)} == places
    node_id = pool._places["w2"].node_id
    drain(cluster, node_id, in_s=600)
    (notice,) = [
        event
        for event in heard(pool, lambda events: count(events, NodeDraining) > 0)
        if isinstance(event, NodeDraining)
    ]
    assert notice.node == places["w2"] and notice.left_s is not None and 500 < notice.left_s <= 600
    pool.close()


def drain(cluster: Cluster, node_id: str, *, in_s: float) -> None:
    from ray._raylet import GcsClient

    deadline_ms = int((SystemClock().now().timestamp() + in_s) * 1000)
    accepted, why = GcsClient(address=cluster.address).drain_node(node_id, SPOT, "spot", deadline_ms)
    assert accepted, why


def count(events: list[Event], kind: type[Event]) -> int:
    return sum(isinstance(event, kind) for event in events)


def heard(pool: Any, enough: Callable[[list[Event]], bool]) -> list[Event]:
    events: list[Event] = []
    for _ in range(600):
        events += [event for event, _ in pool.poll(0.1)]
        if enough(events):
            return events
    raise AssertionError(f"heard only {events}")
