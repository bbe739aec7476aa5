"""What is tried when a take does not fit into the GPU's memory, and which rung of that ladder a shape stands on.

Invariant: nothing here knows torch or a pipeline; a rung belongs to a shape alone, so that a small take is never
rendered differently because a large one did not fit.
"""

from enum import StrEnum
from typing import TypeAlias

Shape: TypeAlias = tuple[int, int, int]
"""(width, height, frames) of a take."""


class Rung(StrEnum):
    """What a take is rendered with. Each rung has everything that those below it have."""

    ASKED = "as asked"
    TILING = "vae_tiling=True"
    OFFLOAD = "offload=model"


class Ladder:
    """The rungs that a model has here, lowest first; the first is always ASKED."""

    def __init__(self, *, tiling: bool, offload: bool) -> None:
        has = {Rung.TILING: tiling, Rung.OFFLOAD: offload}
        self.rungs = tuple(rung for rung in Rung if has.get(rung, True))
        self._stands: dict[Shape, int] = {}

    def rung(self, shape: Shape) -> Rung:
        """Where a take of this shape begins: at the rung that was reached for the last one."""
        return self.rungs[self._stands.get(shape, 0)]

    def reached(self, shape: Shape, rung: Rung) -> bool:
        """Whether takes of this shape are rendered with what this rung brings."""
        return rung in self.rungs[: self._stands.get(shape, 0) + 1]

    def climb(self, shape: Shape) -> bool:
        """One rung up, after a take that did not fit; False where there is none left."""
        stands = self._stands.get(shape, 0)
        if stands + 1 == len(self.rungs):
            return False
        self._stands[shape] = stands + 1
        return True
