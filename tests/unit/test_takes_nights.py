"""Takes worth rendering, through the ledger: whole nights with machines that fail, and nights that a budget ends."""

from dataclasses import replace

import bench_takes
import pytest
from bench_takes import MOTIONS, STILLS, TAKE_S, WORKERS, WORLDS, Drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from test_several_models import NAMES, Night, hold, opened

from farm.dispatch.board import Board
from farm.dispatch.events import Finish, Lease, Render, StopWorker, TakeSettled, Tick
from farm.dispatch.ledger import Ledger, Limits
from farm.dispatch.queue import LOOKAHEAD
from farm.dispatch.takes import TakesRule
from farm.values import Status

SHOTS = STILLS * MOTIONS


@settings(max_examples=100, deadline=None)
@given(
    stills=st.integers(1, 6),
    motions=st.integers(1, 3),
    models=st.integers(1, 3),
    rule=st.tuples(st.integers(1, 2), st.integers(0, 2)).map(
        lambda pair: TakesRule(pair[0], sum(pair), "worth")
    ),
    workers=st.integers(1, 4),
    room=st.integers(1, 3),
    lookahead=st.sampled_from([4, 16, LOOKAHEAD]),
    load_s=st.tuples(*[st.integers(0, 300)] * 3),
    take_s=st.tuples(*[st.integers(1, 100)] * 3),
    dice=st.randoms(use_true_random=False),
)
def test_every_take_settles_exactly_once_whatever_fails(
    stills, motions, models, rule, workers, room, lookahead, load_s, take_s, dice
):
    names, per_still = NAMES[:models], motions * models
    board = Board(stills * per_still, per_still, models)
    limits = Limits(workers=workers, lookahead=lookahead)
    night = Night(
        Ledger(board, per_still, rule, limits, models=names),
        names,
        motions,
        load_s=dict(zip(NAMES, map(float, load_s), strict=True)),
        take_s=dict(zip(NAMES, map(float, take_s), strict=True)),
        room=room,
        dice=dice,
        accepts=False,
    )
    night.play()
    assert set(night.settled.values()) <= {1}, "settled twice"
    assert sum(night.settled.values()) == board.takes_settled
    assert night.finish is not None and night.finish.reason in ("done", "broken")
    if night.finish.reason == "done":
        assert board.is_done(rule) and board.covered
        for shot in range(len(board)):
            tried = [take for number, take in night.settled if number == shot]
            assert rule.min <= len(tried) <= rule.max


def test_workers_wait_for_the_last_first_take_and_are_not_sent_home():
    ledger = Ledger(Board(2, 2), 2, TakesRule(1, 3, "worth"), Limits(workers=2), models=("a",))
    opened(ledger, Tick())
    opened(ledger, hold("w1", "a"))
    opened(ledger, hold("w2", "a"))
    leases = {lease.shot: lease for lease in ledger._crew.leases()}
    told = opened(ledger, TakeSettled(leases[0], Status.REJECTED, 1.0, ("a",), score=0.6), 1.0)
    assert not [one for one in told if isinstance(one, StopWorker | Render)]
    told = opened(ledger, TakeSettled(leases[1], Status.KEPT, 1.0, ("a",), score=0.9), 2.0)
    assert [(one.lease.shot, one.lease.take) for one in told if isinstance(one, Render)] == [(0, 1)]


def test_a_score_that_an_event_brings_decides():
    for score, more in ((0.65, True), (0.05, False)):
        ledger = Ledger(Board(1), 1, TakesRule(1, 3, "worth"), Limits(workers=1), models=("a",))
        opened(ledger, Tick())
        opened(ledger, hold("w1", "a"))
        told = opened(ledger, TakeSettled(Lease(0, 0, 1, "w1"), Status.REJECTED, 1.0, ("a",), score=score))
        told += opened(ledger, TakeSettled(Lease(0, 1, 1, "w1"), Status.REJECTED, 1.0, ("a",), score=score))
        assert (Lease(0, 2, 1, "w1") in [one.lease for one in told if isinstance(one, Render)]) is more
        assert (told[-1] == Finish("done")) is not more


@pytest.fixture(scope="module")
def mixed() -> Drawn:
    return Drawn(WORLDS["mixed"], "check", seed=1)


def test_a_short_budget_covers_the_catalog_before_it_goes_deep(mixed):
    hours = 1.2 * SHOTS * TAKE_S / WORKERS / 3600
    for policy, covers in (("worth", True), ("ladder", False)):
        curve, board = bench_takes.night(TakesRule(2, 4, policy), mixed, hours)
        assert all(board.settled(shot) & 1 for shot in range(SHOTS)) is covers
        assert curve[-1][0] <= hours * WORKERS + 1e-9


def test_what_a_budget_buys_is_the_beginning_of_a_night_without_one(mixed):
    """Why bench_takes.py plays each night once and reads budgets off."""
    rule = TakesRule(2, 4, "worth")
    whole, _ = bench_takes.night(rule, mixed)
    cut, _ = bench_takes.night(rule, mixed, 1.5 * SHOTS * TAKE_S / WORKERS / 3600)
    # In the last round nobody gets a next take while what is out is finished.
    assert cut[: -2 * WORKERS] == whole[: len(cut) - 2 * WORKERS] and len(cut) < len(whole)


def test_without_a_budget_the_order_of_workers_changes_nothing(monkeypatch):
    rule, drawn = TakesRule(2, 4, "worth"), Drawn(WORLDS["hopeless"], "check", seed=1)
    boards = []
    for workers in (1, 3, 8):
        monkeypatch.setattr(bench_takes, "WORKERS", workers)
        boards.append(bench_takes.night(rule, drawn)[1])
    taken = [[board.settled(shot) for shot in range(SHOTS)] for board in boards]
    assert taken[0] == taken[1] == taken[2]
    assert boards[0].stopped(rule) > 0
    assert boards[0].stopped(replace(rule, policy="ladder")) == 0
