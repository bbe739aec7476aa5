"""Whether the GPUs that a starting worker was given are really free.

Ray gives a GPU on as soon as it believes that the process before is gone; two actors on one GPU have been seen
(ray#52915), and a killed process keeps its memory until the driver has taken it apart. Invariant: nothing is loaded
beside a predecessor; whoever does not go in time is the node's fault, not this worker's.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from farm.clock import Clock
from farm.errors import BrokenFarm

FREE_SHARE = 0.5
"""Of a GPU's memory. A display and this process's own context stay far below half of any card that holds a video
model; a predecessor with its model does not."""

PATIENCE_S = 60.0
"""Taking the memory of a killed process apart lasts seconds, a core dump on the way longer."""

_LOOK_EVERY_S = 1.0


class Gpu(Protocol):
    """As in render/machine.py, which is imported where there is a GPU to look at."""

    @property
    def name(self) -> str: ...
    @property
    def total_bytes(self) -> int: ...
    @property
    def free_bytes(self) -> int: ...


class GpuBusy(BrokenFarm):
    """Somebody else holds the memory of a GPU that was given to this worker alone."""

    kind = "gpu_busy"


def wait_for_gpus(look: Callable[[], Sequence[Gpu]], clock: Clock) -> None:
    """Returns when all GPUs that this process may use are free. Raises GpuBusy when they are not in a minute."""
    began_s = clock.monotonic_s()
    while taken := [gpu for gpu in look() if gpu.free_bytes < FREE_SHARE * gpu.total_bytes]:
        if clock.monotonic_s() - began_s >= PATIENCE_S:
            gpu = taken[0]
            raise GpuBusy(
                f"{gpu.name}: only {gpu.free_bytes / 2**30:.1f} of {gpu.total_bytes / 2**30:.1f} GiB are free after "
                f"{PATIENCE_S:.0f} s; another process holds the rest (a GPU that is to be shared: workers.gpus below 1)"
            )
        clock.sleep(_LOOK_EVERY_S)
