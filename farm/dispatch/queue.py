"""The takes that may be rendered next, opened lazily: still by still, shot by shot.

Invariant: what is in memory is what is open: a few stills at the gate, the shots that wait for takes, and enough
ready takes to keep every worker busy. Nothing is listed that nobody has reached, and nothing that is closed. With
several models the takes of one lie between those of the others, so takes that nobody wants yet are read with those that
are wanted, but never more than a window of them.
"""

from collections import deque
from collections.abc import Collection, Iterator

import numpy as np

from farm.dispatch.board import Board
from farm.dispatch.takes import TakesRule
from farm.values import Status

Cell = tuple[int, int]  # (shot, take)

LOOKAHEAD = 256
"""Takes for each worker that may be ready, wanted or not: with takes of thirty seconds two hours of work, against the
minutes that loading a model takes; for a hundred workers some 25 000 takes, a few MB."""

_STILLS_AT_ONCE = 4096


class TakeQueue:
    """Models are numbers; a still's shots lie model by model, as many for each."""

    def __init__(
        self,
        board: Board,
        shots_per_still: int,
        rule: TakesRule,
        *,
        models: int,
        stills_ahead: int,
        window: int,
    ) -> None:
        self.board = board
        self.ready: tuple[deque[Cell], ...] = tuple(deque() for _ in range(models))
        self.window = window
        self._per_still = shots_per_still
        self._per_model = shots_per_still // models
        self._rule = rule
        self._stills_ahead = stills_ahead
        # For each model, what is due in shots that nobody has looked at yet.
        self._takes_ahead = board.takes_left(rule, shots_per_still, models)
        self._ahead = self._stills_with_work()
        self._opening: set[int] = set()
        self._unread: deque[Iterator[int]] = deque()  # shots of open stills that nobody has looked at yet
        self._open_shots: dict[int, int] = {}  # shot -> its takes that are ready or out
        self._open_stills: dict[int, int] = {}  # still -> its shots that are open or unread

    @property
    def waiting(self) -> int:
        """Takes that wait for a worker, a lower bound: a shot may yet deserve more."""
        return self._count + sum(self._takes_ahead)

    def waiting_for(self, model: int) -> int:
        """Takes that wait for a worker with this model, a lower bound."""
        return len(self.ready[model]) + self._takes_ahead[model]

    def coming(self, model: int) -> bool:
        """Whether takes of this model will be ready soon, as far as the gate lets their stills pass."""
        return self._takes_ahead[model] > 0 and self._count < self.window

    @property
    def exhausted(self) -> bool:
        """Nothing is ready, and nothing more can be made so but by what is out."""
        return not (any(self.ready) or self._unread or self._opening)

    @property
    def empty(self) -> bool:
        """Nothing is ready or out, and no still is left to open (right after `fill`)."""
        return self.exhausted and not self._open_shots

    def model_of(self, shot: int) -> int:
        return shot % self._per_still // self._per_model

    def still_of(self, cell: Cell) -> int:
        return cell[0] // self._per_still

    def fill(self, enough: int, models: Collection[int]) -> list[int]:
        """Makes `enough` takes of each of the models ready, as far as there are as many and the window allows, of
        any where none is named; the stills that the gate must open for more."""
        while self._short(enough, models) and self._unread:
            shot = next(self._unread[0], None)
            if shot is None:
                self._unread.popleft()
                continue
            due = self.board.due(self._rule, shot)
            model = self.model_of(shot)
            self._takes_ahead[model] -= self._first_round(due)
            self._open_shots[shot] = len(due)
            self.ready[model].extend((shot, take) for take in due)
        opened = []
        while self._short(enough, models) and len(self._opening) < self._stills_ahead:
            still = next(self._ahead, None)
            if still is None:
                break
            self._opening.add(still)
            opened.append(still)
        return opened

    def put_back(self, cell: Cell) -> None:
        """A take that was ready or out is the next one again."""
        self.ready[self.model_of(cell[0])].appendleft(cell)

    def open(self, still: int) -> None:
        """The gate let a still pass."""
        if still in self._opening:
            self._opening.discard(still)
            shots = self._shots_due(still)
            self._open_stills[still] = len(shots)
            self._unread.append(iter(shots))

    def refuse(self, still: int) -> list[Cell]:
        """The gate refused a still: one take of each of its shots is settled as failed; which."""
        if still not in self._opening:
            return []
        self._opening.discard(still)
        refused = []
        for shot in self._shots_due(still):
            due = self.board.due(self._rule, shot)
            self._takes_ahead[self.model_of(shot)] -= self._first_round(due)
            self.board.settle(shot, due[0], Status.FAILED, hopeless=True)
            refused.append((shot, due[0]))
        return refused

    def settle(self, cell: Cell, status: Status, *, more: bool = True) -> bool:
        """A take is settled; its shot may get another one if `more`. True: no shot of its still is open now."""
        shot, take = cell
        self.board.settle(shot, take, status)
        self._open_shots[shot] -= 1
        if self._open_shots[shot]:
            return False
        due = self.board.due(self._rule, shot) if more else []
        if due:
            self._open_shots[shot] = len(due)
            # In front, so that shots are closed before others are opened.
            self.ready[self.model_of(shot)].extendleft((shot, take) for take in reversed(due))
            return False
        del self._open_shots[shot]
        still = shot // self._per_still
        self._open_stills[still] -= 1
        if self._open_stills[still]:
            return False
        del self._open_stills[still]
        return True

    def check(self, out: set[Cell]) -> None:
        """Asserts the invariants; `out` are the takes at workers."""
        ready = [cell for cells in self.ready for cell in cells]
        assert not set(ready) & out, "a take is ready or out, not both"
        assert len(set(ready)) == len(ready), "a take is ready once"
        for model, cells in enumerate(self.ready):
            assert all(self.model_of(shot) == model for shot, _ in cells), "a take waits where its model does"
        waiting: dict[int, int] = {}
        for shot, take in (*ready, *out):
            assert not self.board.settled(shot) >> take & 1, "a settled take never comes again"
            waiting[shot] = waiting.get(shot, 0) + 1
        assert waiting == self._open_shots, "an open shot waits for exactly its takes"
        assert {shot // self._per_still for shot in waiting} <= set(self._open_stills)
        assert min(self._takes_ahead) >= 0, "no shot is read twice"

    @property
    def _count(self) -> int:
        return sum(len(cells) for cells in self.ready)

    def _short(self, enough: int, models: Collection[int]) -> bool:
        if not models:
            return self._count < enough
        return self._count < self.window and any(len(self.ready[model]) < enough for model in models)

    def _first_round(self, due: list[int]) -> int:
        return len(due) if due and due[0] < self._rule.min else 0

    def _shots_due(self, still: int) -> list[int]:
        first = still * self._per_still
        return [shot for shot in range(first, first + self._per_still) if self.board.due(self._rule, shot)]

    def _stills_with_work(self) -> Iterator[int]:
        # A resumed run may pass over millions of shots that are done: 10 s for 2.5 million one by one, 0.1 s so.
        stills = len(self.board) // self._per_still
        for first in range(0, stills, _STILLS_AT_ONCE):
            shots = (first * self._per_still, min(first + _STILLS_AT_ONCE, stills) * self._per_still)
            unfinished = self.board.unfinished(self._rule, *shots).reshape(-1, self._per_still)
            yield from (first + np.flatnonzero(unfinished.any(axis=1))).tolist()
