"""What is settled of a run, for all shots of the grid at once, and what a shot still deserves.

Invariants
- Ten bytes a shot, whatever happened to it. Pages that nobody has touched are not even paid for, so that a grid of
  ten million takes starts as small as one of ten.
- What a shot deserves follows from what is on the board and nothing else: filled again from the manifest's rows, in
  whatever order, it says the same.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from farm.dispatch import takes, worth
from farm.values import Status

_SHOTS_AT_ONCE = 1 << 17
_ROWS_KEPT = 4096  # stills whose odds are remembered: those that are open, and some that were


class Board:
    """What is settled, for all shots of the grid: a mask of takes, a few flags and the best score of each.

    `shots_per_still` and `models` say how shots lie: still by still, within a still model by model.
    """

    _ACCEPTED, _HOPELESS, _FIRST_KEPT, _FIRST_FAILED = 1, 2, 4, 8
    _SCALE = 255  # scores are kept in steps of 0.004

    def __init__(self, shots: int, shots_per_still: int = 1, models: int = 1) -> None:
        # Pages of zeros that are never touched are never paid for.
        self._masks = np.zeros(shots, dtype=np.uint64)
        self._flags = np.zeros(shots, dtype=np.uint8)
        self._best = np.zeros(shots, dtype=np.uint8)
        self._per_still = shots_per_still
        self._models = models
        self._uncovered = shots
        self._rates: worth.Floats | None = None  # for good once all first takes are settled
        self._final = False
        self._rows: dict[int, list[float]] = {}  # still -> priors of its shots, as far as they were asked for
        self.takes_settled = 0
        self.shots_accepted = 0

    def __len__(self) -> int:
        return len(self._masks)

    def settle(
        self, shot: int, take: int, status: Status, score: float | None = None, *, hopeless: bool = False
    ) -> None:
        """`hopeless`: no further take can mend it, its still is refused."""
        self.takes_settled += not self.settled(shot) >> take & 1
        self.shots_accepted += status is Status.KEPT and not self.accepted(shot)
        covered = self._is_covered(shot)
        self._masks[shot] |= np.uint64(1 << take)
        self._flags[shot] |= self._ACCEPTED * (status is Status.KEPT) | self._HOPELESS * hopeless
        if take == 0:
            self._flags[shot] |= self._FIRST_KEPT * (status is Status.KEPT)
            self._flags[shot] |= self._FIRST_FAILED * (status is Status.FAILED)
        self._best[shot] = max(self._best[shot], round(self._SCALE * min(max(score or 0.0, 0.0), 1.0)))
        self._uncovered -= self._is_covered(shot) and not covered

    def settled(self, shot: int) -> int:
        return int(self._masks[shot])

    def accepted(self, shot: int) -> bool:
        return bool(self._flags[shot] & self._ACCEPTED)

    @property
    def covered(self) -> bool:
        """Whether every shot's first take is settled, or its still refused."""
        return not self._uncovered

    # --- what is deserved -----------------------------------------------------------------------------

    def due(self, rule: takes.TakesRule, shot: int) -> list[int]:
        """The takes that a shot of which nothing is out deserves next, whenever its turn comes."""
        if self._flags[shot] & self._HOPELESS:
            return []
        due = takes.due(rule, self.settled(shot), self.accepted(shot))
        if rule.policy == "worth" and due and due[0] >= rule.min:
            # Before all first takes are known nobody is stopped for good, and nobody gets more.
            return due if self.covered and self.chance(rule, shot) >= worth.FLOOR else []
        return due

    def takes_left(self, rule: takes.TakesRule, shots_per_still: int, models: int) -> list[int]:
        """For each model, a lower bound of the takes that are still due: what is missing of its shots' first rounds."""
        first = np.uint64((1 << rule.min) - 1)
        missing = rule.min - np.bitwise_count(self._masks & first).astype(np.int64)
        missing[self._flags & self._HOPELESS > 0] = 0
        by_model = missing.reshape(-1, models, shots_per_still // models).sum(axis=(0, 2))
        return [int(count) for count in by_model]

    def is_done(self, rule: takes.TakesRule) -> bool:
        """Whether no shot deserves another take."""
        return not any(self.unfinished(rule, *part).any() for part in self.parts(self._per_still))

    def unfinished(self, rule: takes.TakesRule, start: int, stop: int) -> NDArray[np.bool_]:
        """Which of the shots from `start` to `stop` deserve another take: what `due` says, for many at once.

        Under `worth` the bounds lie between stills.
        """
        masks, flags = self._masks[start:stop], self._flags[start:stop]
        first = np.uint64((1 << rule.min) - 1)
        tried_out = (flags & self._ACCEPTED > 0) | (np.bitwise_count(masks) >= rule.max)
        if rule.policy == "worth" and rule.max > rule.min:
            tried_out |= self.chances(rule, start, stop) < worth.FLOOR if self.covered else True
        closed = ((masks & first) == first) & tried_out
        unfinished: NDArray[np.bool_] = ~(closed | (flags & self._HOPELESS > 0))
        return unfinished

    def stopped(self, rule: takes.TakesRule) -> int:
        """Shots without an accepted take that got less than `max`, because another was not worth it."""
        if rule.policy != "worth" or not self.covered:
            return 0
        return sum(self._stopped(rule, *part) for part in self.parts(self._per_still))

    def parts(self, per_still: int) -> Iterator[tuple[int, int]]:
        """All shots in parts that are looked at at once, (start, stop), whole stills each."""
        step = max(1, _SHOTS_AT_ONCE // per_still) * per_still
        return ((start, min(start + step, len(self))) for start in range(0, len(self), step))

    def begun(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Whether the first takes of shots are settled."""
        begun: NDArray[np.bool_] = self._masks[start:stop] & np.uint64(1) > 0
        return begun

    def missed(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Whether shots have no accepted take."""
        missed: NDArray[np.bool_] = self._flags[start:stop] & self._ACCEPTED == 0
        return missed

    # --- what is to be expected -----------------------------------------------------------------------

    def look_again(self) -> None:
        """Counts what first takes came to, as far as they are settled; once all are, the count is final."""
        if self._final:
            return
        kept, seen = self._first_takes(0, len(self))
        self._rates = worth.rates(kept.sum(axis=0), seen.sum(axis=0), self._models)
        self._final = self.covered
        self._rows.clear()

    def chance(self, rule: takes.TakesRule, shot: int) -> float:
        """The chance that the next take of a shot without an accepted one is accepted (worth.py)."""
        still, column = divmod(shot, self._per_still)
        chances = self._known_rates()
        row = self._rows.get(still)
        if row is None:
            if len(self._rows) >= _ROWS_KEPT:
                self._rows.clear()
            first = still * self._per_still
            row = worth.priors(chances, *self._first_takes(first, first + self._per_still))[0].tolist()
            self._rows[still] = row
        near = worth.near_miss(int(self._best[shot]) / self._SCALE, rule.accept)
        return worth.chance(row[column], self.settled(shot).bit_count(), near)

    def chances(self, rule: takes.TakesRule, start: int, stop: int) -> worth.Floats:
        """`chance` for many shots at once; the bounds lie between stills."""
        priors = worth.priors(self._known_rates(), *self._first_takes(start, stop)).ravel()
        near = np.array([worth.near_miss(step / self._SCALE, rule.accept) for step in range(self._SCALE + 1)])
        settled = np.bitwise_count(self._masks[start:stop])
        return worth.chances(priors, settled, near[self._best[start:stop]])

    def _stopped(self, rule: takes.TakesRule, start: int, stop: int) -> int:
        masks, first = self._masks[start:stop], np.uint64((1 << rule.min) - 1)
        could = self.missed(start, stop) & (self._flags[start:stop] & self._HOPELESS == 0)
        could &= ((masks & first) == first) & (np.bitwise_count(masks) < rule.max)
        return int((could & ~self.unfinished(rule, start, stop)).sum())

    def _known_rates(self) -> worth.Floats:
        if self._rates is None or (self.covered and not self._final):
            self.look_again()
        assert self._rates is not None
        return self._rates

    def _first_takes(self, start: int, stop: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(accepted, counted) of the first takes of shots, (stills, shots of each). One that failed, or whose still
        was refused, says nothing of motion or model."""
        masks, flags = self._masks[start:stop], self._flags[start:stop]
        seen = (masks & np.uint64(1) > 0) & (flags & self._FIRST_FAILED == 0)
        kept = flags & self._FIRST_KEPT > 0
        return kept.reshape(-1, self._per_still), seen.reshape(-1, self._per_still)

    def _is_covered(self, shot: int) -> bool:
        return bool(self._masks[shot] & np.uint64(1)) or bool(self._flags[shot] & self._HOPELESS)
