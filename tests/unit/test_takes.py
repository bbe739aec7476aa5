"""Takes worth rendering: coverage before depth, who gets another take and who does not; order decides nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.dispatch import worth
from farm.dispatch.board import Board
from farm.dispatch.queue import Cell, TakeQueue
from farm.dispatch.takes import TakesRule
from farm.values import Status

KEPT, REJECTED, FAILED = Status.KEPT, Status.REJECTED, Status.FAILED
RULE = TakesRule(2, 4, "worth")


@dataclass
class Show:
    """A grid whose takes come out as `result` says, played by a queue; `order` picks which of those out ends next."""

    rule: TakesRule
    stills: int
    motions: int
    refused: frozenset[int]
    seed: int
    models: int = 1
    board: Board = field(init=False)
    issued: list[Cell] = field(default_factory=list)
    rows: list[tuple[int, int, Status, float | None, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.board = self.blank()

    @property
    def per_still(self) -> int:
        return self.motions * self.models

    def blank(self) -> Board:
        return Board(self.stills * self.per_still, self.per_still, self.models)

    def result(self, shot: int, take: int) -> tuple[Status, float | None]:
        """By content: hopeless motions, mixed ones, and takes that fail."""
        rng = np.random.default_rng((self.seed, shot, take))
        ease = np.random.default_rng((self.seed, shot % self.motions)).random()
        score = float(rng.beta(1 + 6 * ease, 2))
        if rng.random() < 0.05:
            return FAILED, None
        return (KEPT if score >= self.rule.accept else REJECTED), score

    def play(self, order: Iterator[int], *, takes: int = 10**6, wide: int = 6) -> bool:
        """Plays up to so many takes; True when nothing is left."""
        queue = TakeQueue(
            self.board, self.per_still, self.rule, models=self.models, stills_ahead=3, window=64
        )
        out: list[Cell] = []
        held: set[int] = set()  # what the gate holds
        for _ in range(takes):
            while opened := queue.fill(wide, ()):
                for still in opened:
                    assert still not in held, "a still that is held is not opened again"
                    if still in self.refused:
                        for shot, take in queue.refuse(still):
                            self.rows.append((shot, take, FAILED, None, True))
                    else:
                        held.add(still)
                        queue.open(still)
            for cells in queue.ready:
                while cells and len(out) < wide:
                    out.append(cells.popleft())
                    self.issued.append(out[-1])
                    assert queue.still_of(out[-1]) in held
            queue.check(set(out))
            if queue.empty:
                return True
            assert out, "nothing is out, and it is not the end"
            shot, take = out.pop(next(order) % len(out))
            status, score = self.result(shot, take)
            self.rows.append((shot, take, status, score, False))
            if queue.settle((shot, take), status, score):
                held.remove(shot // self.per_still)
        return False

    def tried(self) -> list[list[int]]:
        masks = [self.board.settled(shot) for shot in range(len(self.board))]
        return [[take for take in range(self.rule.max) if mask >> take & 1] for mask in masks]


def orders(seed: int) -> Iterator[int]:
    rng = np.random.default_rng(seed)
    while True:
        yield int(rng.integers(1 << 30))


shows = st.builds(
    Show,
    rule=st.tuples(st.integers(1, 3), st.integers(0, 4)).map(
        lambda pair: TakesRule(pair[0], sum(pair), "worth")
    ),
    stills=st.integers(1, 8),
    motions=st.integers(1, 5),
    refused=st.frozensets(st.integers(0, 7), max_size=2),
    seed=st.integers(0, 10_000),
    models=st.integers(1, 2),
)


# --- one shot -----------------------------------------------------------------------------------------------


def covered(best: float, *, tries: int = 2, others: Status = REJECTED, near: float = 0.0) -> Board:
    """Thirty stills with one motion whose first takes came out as `others`; shot 0 was rejected with `best`."""
    board = Board(30)
    for shot in range(1, 30):
        board.settle(shot, 0, others, near)
    for take in range(tries):
        board.settle(0, take, REJECTED, best)
    return board


def test_a_hopeless_shot_gets_no_further_take_and_a_near_miss_does():
    assert covered(0.1).due(RULE, 0) == []
    assert covered(0.69).due(RULE, 0) == [2]
    assert covered(0.1, others=KEPT).due(RULE, 0) == [2], "others of this motion came out well"


def test_what_min_asks_for_is_rendered_whatever_it_is_worth():
    assert covered(0.0, tries=1).due(RULE, 0) == [1]


def test_an_accepted_shot_and_one_at_max_are_closed():
    board = covered(0.69, tries=4)
    assert board.due(RULE, 0) == []
    board = covered(0.69)
    board.settle(0, 1, KEPT, 0.9)
    assert board.due(RULE, 0) == []


def test_nothing_beyond_min_is_decided_before_all_first_takes_are_known():
    board = Board(2)
    for take in (0, 1):
        board.settle(0, take, REJECTED, 0.69)
    assert board.due(RULE, 0) == [] and not board.is_done(RULE)
    board.settle(1, 0, FAILED, hopeless=True)
    assert board.covered and board.due(RULE, 0) == [2]


def test_shots_that_were_stopped_are_counted():
    board = covered(0.1)
    assert board.stopped(RULE) == 1, "the others have not had their second takes"
    assert board.stopped(TakesRule(2, 4)) == 0, "the ladder stops nobody"


@pytest.mark.parametrize("refused", [True, False])
def test_a_first_take_that_failed_says_nothing_of_its_motion(refused):
    board = covered(0.3, others=KEPT)
    known = board.chance(RULE, 0)
    more = Board(31)
    for shot in range(1, 30):
        more.settle(shot, 0, KEPT)
    for take in (0, 1):
        more.settle(0, take, REJECTED, 0.3)
    more.settle(30, 0, FAILED, hopeless=refused)
    assert more.chance(RULE, 0) == known


# --- what is pooled ----------------------------------------------------------------------------------------


def test_evidence_of_a_motion_a_model_and_a_still_moves_the_chance_its_way():
    board = Board(8 * 4, 4, 2)  # shots of a still: model a with two motions, model b with the same two
    for still in range(8):
        for column in range(4):
            if still < 6 or column in (1, 3):  # of stills 6 and 7 half is known
                good = column in (0, 1) and still != 6  # model a is good, still 6 is not
                board.settle(4 * still + column, 0, KEPT if good else REJECTED, 0.3)
    board.look_again()
    chances = board.chances(RULE, 0, len(board)).reshape(8, 4)
    assert chances[7, 0] > 2 * chances[7, 2], "the model tells"
    assert 1 - chances[6, 0] > 1.5 * (1 - chances[7, 0]), "and the still"


def test_little_evidence_says_little():
    one = worth.rates(np.array([0, 0]), np.array([1, 1]), 1)
    many = worth.rates(np.array([0, 0]), np.array([50, 50]), 1)
    assert many.max() < 0.02 and 0.1 < one.min() < 0.5


@given(show=shows, order=st.integers(0, 99), takes=st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_chances_are_the_same_one_by_one_and_all_at_once(show, order, takes):
    show.play(orders(order), takes=takes)
    show.board.look_again()
    several = show.board.chances(show.rule, 0, len(show.board))
    singly = [show.board.chance(show.rule, shot) for shot in range(len(show.board))]
    assert several == pytest.approx(singly)
    assert (several > 0).all() and (several < 1).all()
    wanted = show.board.unfinished(show.rule, 0, len(show.board))
    assert wanted.tolist() == [bool(show.board.due(show.rule, shot)) for shot in range(len(show.board))]


# --- the order ----------------------------------------------------------------------------------------------


@given(show=shows, order=st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_a_whole_run_keeps_to_its_bounds_and_covers_first(show, order):
    assert show.play(orders(order))
    assert len(set(show.issued)) == len(show.issued)
    for model in range(show.models):
        mine = [cell for cell in show.issued if cell[0] % show.per_still // show.motions == model]
        firsts = len({shot for shot, _ in mine})
        assert [take for _, take in mine[:firsts]] == [0] * firsts, (
            "a second take before all have their first"
        )
    for shot, tried in enumerate(show.tried()):
        if shot // show.per_still in show.refused:
            assert tried == [0]
            continue
        results = [show.result(shot, take) for take in tried]
        assert show.rule.min <= len(tried) <= show.rule.max and tried == list(range(len(tried)))
        for count in range(show.rule.min, len(tried)):
            assert KEPT not in [status for status, _ in results[:count]], "an accepted shot stops"
        if KEPT not in [status for status, _ in results] and len(tried) < show.rule.max:
            assert show.board.chance(show.rule, shot) < worth.FLOOR
    assert show.board.is_done(show.rule)


@given(show=shows, orders_=st.tuples(st.integers(0, 99), st.integers(100, 199)), cut=st.integers(0, 80))
@settings(max_examples=100, deadline=None)
def test_order_and_interruptions_decide_nothing_in_the_end(show, orders_, cut):
    assert show.play(orders(orders_[0]))
    other = Show(show.rule, show.stills, show.motions, show.refused, show.seed, show.models)
    if not other.play(orders(orders_[1]), takes=cut, wide=2):
        rows, other.board = other.rows, other.blank()
        for shot, take, status, score, hopeless in sorted(rows, key=lambda row: hash(row[:2])):
            other.board.settle(shot, take, status, score, hopeless=hopeless)
        assert other.play(orders(orders_[1] + 1), wide=9)
    assert other.tried() == show.tried()


def test_a_board_that_is_filled_from_rows_goes_on_with_the_same_takes():
    show = Show(RULE, 12, 5, frozenset({3}), seed=5)
    whole = Show(RULE, 12, 5, frozenset({3}), seed=5)
    one_by_one = iter(lambda: 0, 1)
    whole.play(one_by_one, wide=1)
    for cut in (20, 59, 75, 100):
        show = Show(RULE, 12, 5, frozenset({3}), seed=5)
        show.play(one_by_one, takes=cut, wide=1)
        assert show.issued == whole.issued[: len(show.issued)]
        out = show.issued[-1]
        settled = {row[:2] for row in show.rows}
        resumed = Show(RULE, 12, 5, frozenset({3}), seed=5)
        for shot, take, status, score, hopeless in reversed(show.rows):
            resumed.board.settle(shot, take, status, score, hopeless=hopeless)
        resumed.play(one_by_one, wide=1)
        again = len(show.issued) - (out not in settled)
        assert resumed.issued == whole.issued[again:]


def test_the_most_promising_come_first_and_second_takes_of_accepted_shots_last():
    board = Board(40 * 2, 2)
    for still in range(40):
        board.settle(2 * still, 0, KEPT if still % 5 else REJECTED, 0.6)  # a motion that mostly works
        board.settle(2 * still + 1, 0, REJECTED, 0.2)  # and one that never does
    rule = TakesRule(2, 2, "worth")
    queue = TakeQueue(board, 2, rule, models=1, stills_ahead=4, window=1000)
    given: list[Cell] = []
    while (opened := queue.fill(4, ())) or queue.ready[0]:
        for still in opened:
            queue.open(still)
        if not opened:
            given.append(queue.ready[0].popleft())
            queue.settle(given[-1], REJECTED, 0.2, more=False)
    kinds = ["easy" if board.accepted(shot) else "hard" if shot % 2 else "near" for shot, _ in given]
    assert kinds == ["near"] * 8 + ["hard"] * 40 + ["easy"] * 32
    assert set(given) == {(shot, 1) for shot in range(80)}


def test_a_dear_model_waits_behind_a_cheap_one_that_is_as_likely():
    board = Board(20 * 2, 2, 2)
    for shot in range(40):
        board.settle(shot, 0, REJECTED, 0.65)
    queue = TakeQueue(board, 2, RULE, models=2, stills_ahead=50, window=1000)
    queue.pace.took(0, 600.0)
    queue.pace.took(1, 60.0)
    for still in queue.fill(10, ()):
        queue.open(still)
    queue.fill(10, ())
    assert len(queue.ready[1]) >= 10 and not queue.ready[0]


def test_the_ladder_finishes_what_it_began():
    show = Show(TakesRule(2, 4), 3, 2, frozenset(), seed=1)
    assert show.play(iter(lambda: 0, 1), wide=2)
    assert show.issued[:2] == [(0, 0), (0, 1)]
