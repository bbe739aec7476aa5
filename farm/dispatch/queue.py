"""The takes that may be rendered next, opened lazily: pass by pass (passes.py), still by still, shot by shot.

Invariant: what is in memory is what is open: a few stills at the gate, the shots that wait for takes, and enough
ready takes to keep every worker busy. Nothing is listed that nobody has reached, and nothing that is closed. With
several models the takes of one lie between those of the others, so takes that nobody wants yet are read with those that
are wanted, but never more than a window of them.
"""

from collections import deque
from collections.abc import Collection, Iterator

from farm.dispatch.board import Board
from farm.dispatch.pace import Pace
from farm.dispatch.passes import Passes
from farm.dispatch.takes import TakesRule
from farm.values import Status

Cell = tuple[int, int]  # (shot, take)

LOOKAHEAD = 256
"""Takes for each worker that may be ready, wanted or not: with takes of thirty seconds two hours of work, against the
minutes that loading a model takes; for a hundred workers some 25 000 takes, a few MB."""


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
        self.pace = Pace(models)
        # For each model, what is missing of first rounds and neither ready nor out.
        self._takes_ahead = board.takes_left(rule, shots_per_still, models)
        self._passes = Passes(board, shots_per_still, rule, self.pace, models)
        self._ahead = self._passes.stills()
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
        """Nothing is ready, and nothing more can be made so but by what is out: by one shot's next take, that is."""
        return not (any(self.ready) or self._unread or self._opening or self._passes.waits)

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
        opened: list[int] = []
        while self._short(enough, models):
            if self._unread:
                self._read()
                continue
            still = self._next_still() if len(self._opening) < self._stills_ahead else None
            if still is None:
                break
            if still in self._open_stills:
                self._look_into(
                    still
                )  # the gate holds it: others of its shots are open since an earlier pass
                continue
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
            self._look_into(still)

    def refuse(self, still: int) -> list[Cell]:
        """The gate refused a still: one take of each of its shots is settled as failed; which."""
        if still not in self._opening:
            return []
        self._opening.discard(still)
        refused = []
        first = still * self._per_still
        for shot in range(first, first + self._per_still):
            due = self.board.due(self._rule, shot)
            if not due:
                continue
            self._takes_ahead[self.model_of(shot)] -= self._first_round(due)
            self.board.settle(shot, due[0], Status.FAILED, hopeless=True)
            refused.append((shot, due[0]))
        return refused

    def settle(self, cell: Cell, status: Status, score: float | None = None, *, more: bool = True) -> bool:
        """A take is settled; its shot may get another one if `more`. True: no shot of its still is open now."""
        shot, take = cell
        self.board.settle(shot, take, status, score)
        self._open_shots[shot] -= 1
        if self._open_shots[shot]:
            return False
        due = self._passes.due(shot) if more else []
        if due:
            self._issue(shot, due)
            ready, cells = self.ready[self.model_of(shot)], [(shot, take) for take in due]
            if self._rule.policy == "ladder":
                ready.extendleft(
                    reversed(cells)
                )  # in front, so that shots are closed before others are opened
            else:
                ready.extend(cells)  # behind first takes that may still wait here
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

    def _issue(self, shot: int, due: list[int]) -> None:
        self._takes_ahead[self.model_of(shot)] -= self._first_round(due)
        self._open_shots[shot] = len(due)

    def _read(self) -> None:
        """Makes the takes of the next shot of an open still ready."""
        shot = next(self._unread[0], None)
        if shot is None:
            self._unread.popleft()
            return
        due = self._passes.takes(shot)
        self._issue(shot, due)
        self.ready[self.model_of(shot)].extend((shot, take) for take in due)

    def _look_into(self, still: int) -> None:
        shots = self._shots_due(still)
        self._open_stills[still] = self._open_stills.get(still, 0) + len(shots)
        self._unread.append(iter(shots))

    def _next_still(self) -> int | None:
        """The next still with work; a pass ends when all that it found is read, so that its bar holds for all."""
        while True:
            for still in self._ahead:
                if self._shots_due(still):
                    return still
            if self._opening or self._unread or not self._passes.advance():
                return None
            self._ahead = self._passes.stills()

    def _shots_due(self, still: int) -> list[int]:
        first = still * self._per_still
        wanted = self._passes.wanted(first, first + self._per_still)
        return [first + at for at in wanted.nonzero()[0].tolist() if first + at not in self._open_shots]
