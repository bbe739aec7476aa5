"""In which order takes are issued: once over the grid, or in passes over it. Pure.

`ladder`: one pass; a shot that was begun is finished before others are opened.

`worth`: coverage before depth. The first pass gives every shot of the whole catalog its first take; then come passes
for the shots without an accepted take, the most promising first: their index, the chance of one more take over what
takes of their model last, must reach a bar that falls from pass to pass. The last pass takes what is left, which is
the second takes (`min`) of shots that have an accepted one. So a budget that ends early has covered the catalog, and
one that ends later has bought the accepted shots that were cheapest. With several models this holds for each of them:
which of them a worker serves, and when it loads another, is placement's business.

Why the whole catalog and not blocks of it: a block would need its stills held open, and a night that ends in the middle
would have given second takes to some characters and none to others. The price is that a still is looked at by the
gate, and fetched by a worker, once more in each pass that needs it: a tenth of a second beside takes of many.

Invariant: the order decides nothing in the end. Which takes a shot gets follows from the board (board.py); no pass
leaves out what another would have given. While first takes are still out, other takes that are due in any case are
rendered; only takes beyond `min` wait for them.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from farm.dispatch.board import Board
from farm.dispatch.pace import Pace
from farm.dispatch.takes import TakesRule

BARS = (0.6, 0.4, 0.27, 0.18, 0.12, 0.0)
"""Where the bar lies in each pass, in accepted takes per take of the cheapest model: in steps of a third,
then whatever has no accepted take."""

_COVER, _REST = np.inf, -1.0


class Passes:
    def __init__(self, board: Board, shots_per_still: int, rule: TakesRule, pace: Pace, models: int) -> None:
        self._board = board
        self._per_still = shots_per_still
        self._rule = rule
        self._pace = pace
        self._models = models
        self._by_worth = rule.policy == "worth"
        self._bars = iter((_COVER, *BARS, _REST) if self._by_worth else (_REST,))
        self._bar = next(self._bars)
        self._complete = not self._by_worth  # the passes that go on have known all first takes
        self._weights = np.ones(shots_per_still)

    @property
    def waits(self) -> bool:
        """Whether takes may become due that none is now, when the last first takes are settled."""
        return self._by_worth and self._rule.max > self._rule.min and not self._board.covered

    def advance(self) -> bool:
        """Begins the next pass; False: there is none, for now."""
        bar = next(self._bars, None)
        if bar is None:
            if self._complete or not self._board.covered:
                return False
            self._bars = iter((*BARS, _REST))
            bar = next(self._bars)
        if bar == BARS[0]:
            self._complete = self._board.covered
            self._board.look_again()
        self._bar = bar
        seconds = np.array([self._pace.take_s(model) for model in range(self._models)])
        self._weights = np.repeat(seconds.min() / seconds, self._per_still // self._models)
        return True

    def stills(self) -> Iterator[int]:
        """The stills with takes for this pass, in the grid's order."""
        # A resumed run may pass over millions of shots that are done: 10 s for 2.5 million one by one, 0.1 s so.
        for start, stop in self._board.parts(self._per_still):
            wanted = self.wanted(start, stop).reshape(-1, self._per_still)
            yield from (start // self._per_still + np.flatnonzero(wanted.any(axis=1))).tolist()

    def wanted(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Which of the shots get a take in this pass, if none of theirs is out; the bounds lie between stills."""
        unfinished = self._board.unfinished(self._rule, start, stop)
        if self._bar == _REST:
            return unfinished
        if self._bar == _COVER:
            return unfinished & ~self._board.begun(start, stop)
        worths = self._board.chances(self._rule, start, stop).reshape(-1, self._per_still) * self._weights
        return unfinished & self._board.missed(start, stop) & (worths.ravel() >= self._bar)

    def due(self, shot: int) -> list[int]:
        """The takes that a shot of which nothing is out gets in this pass."""
        due = self.takes(shot)
        if not due or self._bar in (_COVER, _REST):
            return due
        if self._board.accepted(shot):
            return []
        worths = self._board.chance(self._rule, shot) * self._weights[shot % self._per_still]
        return due if worths >= self._bar else []

    def takes(self, shot: int) -> list[int]:
        """The takes of a shot that `wanted` found: never none, though its chance may have moved since."""
        due = self._board.due(self._rule, shot)
        return [take for take in due[:1] if take == 0] if self._bar == _COVER else due
