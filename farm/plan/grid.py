"""The grid: still × motion × model × take as an index space. Nothing in it is materialised.

Invariants: a shot's number says where it stands, never what it is: what is stored is named by content. Only this
module derives seeds. Ten million tasks cost the same few hundred bytes as ten.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from farm.ids import sha256_hex, take_id
from farm.values import Model, Motion, Still, Task


@dataclass(frozen=True, slots=True)
class Grid:
    """Shots are numbered still by still, within a still model by model, within a model motion by motion.

    Neighbours share what is dear to change: first the resident model, then the decoded still.
    """

    stills: int
    motions: tuple[Motion, ...]
    models: tuple[Model, ...]
    takes_max: int
    first_seed: int

    @property
    def shots_per_still(self) -> int:
        return len(self.motions) * len(self.models)

    @property
    def shots(self) -> int:
        return self.stills * self.shots_per_still

    @property
    def pairs(self) -> int:
        """Stills × motions: what a select is circled for, whichever model made it."""
        return self.stills * len(self.motions)

    def still_of(self, shot: int) -> int:
        return shot // self.shots_per_still

    def motion_of(self, shot: int) -> Motion:
        return self.motions[shot % len(self.motions)]

    def model_of(self, shot: int) -> Model:
        return self.models[shot // len(self.motions) % len(self.models)]

    def seed(self, take: int) -> int:
        """The seed of a shot's `take`-th take; the same for all shots, so that a person can name it."""
        return self.first_seed + take

    def task(self, shot: int, take: int, still: Still, still_sha256: str) -> Task:
        motion, model, seed = self.motion_of(shot), self.model_of(shot), self.seed(take)
        prompt = join_prompts(still.prompt, motion.prompt)
        identity = take_id(
            still=still, still_sha256=still_sha256, motion=motion, prompt=prompt, model=model, seed=seed
        )
        return Task(identity, still, still_sha256, motion, prompt, model, seed)


def join_prompts(still: str | None, motion: str) -> str:
    """What a text-conditioned model is told: first what is in the picture, then how it moves."""
    return f"{still.strip().rstrip('.')}. {motion}" if still and still.strip() else motion


class ShotFinder:
    """From the names in a manifest row back to numbers in the grid: 16 bytes a still, whatever its id's length.

    64 bits of SHA-256 name a still; among a million, two meet with probability 3e-8.
    """

    def __init__(self, grid: Grid, still_ids: Iterable[str]) -> None:
        self._grid = grid
        keys = np.fromiter((_key(still_id) for still_id in still_ids), dtype=np.uint64)
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]
        self._motions = {motion.id: number for number, motion in enumerate(grid.motions)}
        self._models = {model.name: number for number, model in enumerate(grid.models)}

    def still(self, still_id: str) -> int | None:
        """The number of a still in the grid."""
        key = np.uint64(_key(still_id))
        at = int(np.searchsorted(self._keys, key))
        return int(self._order[at]) if at < len(self._keys) and self._keys[at] == key else None

    def find(self, still_id: str, motion_id: str, model: str, seed: int) -> tuple[int, int] | None:
        """(shot, take), or None for a row that is not of this grid."""
        still = self.still(still_id)
        motion_at, model_at = self._motions.get(motion_id), self._models.get(model)
        take = seed - self._grid.first_seed
        if still is None or motion_at is None or model_at is None or not 0 <= take < self._grid.takes_max:
            return None
        return still * self._grid.shots_per_still + model_at * len(self._motions) + motion_at, take


def _key(still_id: str) -> int:
    return int(sha256_hex(still_id.encode())[:16], 16)
