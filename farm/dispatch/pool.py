"""What can start, feed and lose workers: Ray, inline, or simulated in virtual time.

Invariant: for every `start` there is, in the end, exactly one WorkerLost or a `stop` by the caller; for every
`render` exactly one TakeSettled or TakeFaulted, unless its worker is lost or stopped, which ends all its leases.
"""

from typing import Protocol

from farm.dispatch.events import Event, Lease
from farm.values import Outcome, Task


class Pool(Protocol):
    slots: int | None  # workers that fit at once; None: as many as asked for (a cluster that grows)

    def start(self, worker: str, model: str) -> None:
        """Begins to start a worker that loads `model` first; answered by WorkerReady or WorkerLost.

        Before that by WorkerPlaced, where it has a place of its own.
        """
        ...

    def render(self, lease: Lease, task: Task) -> None:
        """Gives a worker one task; answered by TakeSettled or TakeFaulted."""
        ...

    def cancel(self, lease: Lease) -> None:
        """Asks a worker to end a lease at its next step; returns at once, and is answered as `render` is."""
        ...

    def stop(self, worker: str, *, gently: bool) -> None:
        """Ends a worker and all its leases; nothing more is heard of them.

        Not gently: kills it, whatever it does; where there is no process of its own to kill, its leases are cancelled.
        """
        ...

    def poll(self, timeout_s: float) -> list[tuple[Event, Outcome | None]]:
        """What happened, waiting at most `timeout_s` for something; a TakeSettled comes with its outcome.

        While takes are out, it is said by Beats, too, what has changed at their workers in the last seconds.
        """
        ...

    def close(self) -> None:
        """Stops all workers and gives back what the pool holds."""
        ...
