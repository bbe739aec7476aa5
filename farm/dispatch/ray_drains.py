"""Which nodes of a Ray cluster are being taken away.

Ray says so in its private state alone. Invariant: where that is not to be had, or does not answer, nothing is
draining: a node that goes without notice is a worker lost, as ever.
"""

from collections.abc import Callable, Iterator, Mapping

from ray.exceptions import RaySystemError, RpcError

from farm.clock import Clock
from farm.dispatch.events import NodeDraining

EVERY_S = 5.0
"""How often Ray is asked: one small call. Clouds give between half a minute and two minutes of notice."""


def ask_ray() -> Mapping[str, int]:
    """The ids of draining nodes, and until when, in ms since the epoch; 0: nobody said."""
    try:
        from ray._private.state import state

        return dict(state.get_draining_nodes())
    except (ImportError, AttributeError, RpcError, RaySystemError, ConnectionError, TimeoutError):
        return {}


class Drains:
    def __init__(self, clock: Clock, ask: Callable[[], Mapping[str, int]] = ask_ray) -> None:
        self._clock = clock
        self._ask = ask
        self._asked_s = clock.monotonic_s()
        self._told: set[str] = set()

    def news(self, nodes: Mapping[str, str]) -> Iterator[NodeDraining]:
        """Of these nodes, by id with their names, those that are draining; each is said once."""
        now_s = self._clock.monotonic_s()
        if now_s - self._asked_s < EVERY_S:
            return
        self._asked_s = now_s
        for node_id, until_ms in self._ask().items():
            if node_id in nodes and node_id not in self._told:
                self._told.add(node_id)
                left_s = until_ms / 1000 - self._clock.now().timestamp() if until_ms else None
                yield NodeDraining(nodes[node_id], None if left_s is None else max(0.0, left_s))
