"""One hook for the denoising steps of every pipeline: at its scheduler, the only part that all of them call.

Invariant: the scheduler leaves the hook as it came, also when the hook raised; a render after that is bit-identical.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any


@contextmanager
def watched(scheduler: Any, on_step: Callable[[int, int], None], calls: int = 1) -> Iterator[None]:
    """Within it, `on_step(steps done, steps of one pass)` is called after each step; what it raises ends the render.
    A step is over after so many `calls` of the scheduler.

    The class is exchanged, not the method: pipelines look at the signature of `step`, copy schedulers (whose steps
    are not counted) and ask isinstance, all of which a patched instance breaks.
    """
    base = type(scheduler)
    done = 0

    @wraps(base.step)
    def step(self: Any, *args: Any, **named: Any) -> Any:
        nonlocal done
        result = base.step(self, *args, **named)
        if self is scheduler:
            done += 1
            if done % calls == 0:
                on_step(done // calls, len(self.timesteps))
        return result

    scheduler.__class__ = type(base.__name__, (base,), {"step": step})
    try:
        yield
    finally:
        scheduler.__class__ = base
