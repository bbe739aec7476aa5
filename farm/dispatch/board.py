"""What is settled of a run, for all shots of the grid at once.

Invariant: nine bytes a shot, whatever happened to it. Pages that nobody has touched are not even paid for, so that
a grid of ten million takes starts as small as one of ten.
"""

import numpy as np
from numpy.typing import NDArray

from farm.dispatch import takes
from farm.values import Status


class Board:
    """What is settled, for all shots of the grid: a mask of takes and two flags each."""

    _ACCEPTED, _HOPELESS = 1, 2

    def __init__(self, shots: int) -> None:
        # Pages of zeros that are never touched are never paid for.
        self._masks = np.zeros(shots, dtype=np.uint64)
        self._flags = np.zeros(shots, dtype=np.uint8)
        self.takes_settled = 0
        self.shots_accepted = 0

    def __len__(self) -> int:
        return len(self._masks)

    def settle(self, shot: int, take: int, status: Status, *, hopeless: bool = False) -> None:
        """`hopeless`: no further take can mend it, its still is refused."""
        self.takes_settled += not self.settled(shot) >> take & 1
        self.shots_accepted += status is Status.KEPT and not self.accepted(shot)
        self._masks[shot] |= np.uint64(1 << take)
        self._flags[shot] |= self._ACCEPTED * (status is Status.KEPT) | self._HOPELESS * hopeless

    def settled(self, shot: int) -> int:
        return int(self._masks[shot])

    def accepted(self, shot: int) -> bool:
        return bool(self._flags[shot] & self._ACCEPTED)

    def due(self, rule: takes.TakesRule, shot: int) -> list[int]:
        if self._flags[shot] & self._HOPELESS:
            return []
        return takes.due(rule, self.settled(shot), self.accepted(shot))

    def takes_left(self, rule: takes.TakesRule, shots_per_still: int, models: int) -> list[int]:
        """For each model, a lower bound of the takes that are still due: what is missing of its shots' first rounds."""
        first = np.uint64((1 << rule.min) - 1)
        missing = rule.min - np.bitwise_count(self._masks & first).astype(np.int64)
        missing[self._flags & self._HOPELESS > 0] = 0
        by_model = missing.reshape(-1, models, shots_per_still // models).sum(axis=(0, 2))
        return [int(count) for count in by_model]

    def is_done(self, rule: takes.TakesRule) -> bool:
        """Whether no shot deserves another take."""
        return not self.unfinished(rule, 0, len(self)).any()

    def unfinished(self, rule: takes.TakesRule, start: int, stop: int) -> NDArray[np.bool_]:
        """Which of the shots from `start` to `stop` deserve another take: what `due` says, for many at once."""
        masks, flags = self._masks[start:stop], self._flags[start:stop]
        first = np.uint64((1 << rule.min) - 1)
        tried_out = (flags & self._ACCEPTED > 0) | (np.bitwise_count(masks) >= rule.max)
        closed = ((masks & first) == first) & tried_out
        unfinished: NDArray[np.bool_] = ~(closed | (flags & self._HOPELESS > 0))
        return unfinished
