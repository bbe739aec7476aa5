"""The ledger under random faults: `make simtest` runs as many more of them as one likes."""

import pytest
from checked import Checked, failure
from schedules import drawn

from farm.dispatch.board import Board
from farm.dispatch.queue import TakeQueue
from farm.values import Status

_SEEDS, _PARTS = 1000, 10


@pytest.mark.parametrize("part", range(_PARTS))
def test_no_schedule_of_faults_breaks_a_promise(part):
    for seed in range(part, _SEEDS, _PARTS):
        told = failure(Checked(drawn(seed)), again=seed % 10 == 0)
        assert told is None, told


def test_the_schedules_meet_what_they_are_made_for():
    ends, attempts = set(), 0
    for seed in range(240):
        run = Checked(drawn(seed))
        assert failure(run) is None
        ends |= set(run.ends)
        attempts += run.renders - sum(run.settled.values())
    assert {"done", "killed", "interrupted", "broken"} <= ends
    assert attempts > 100, "takes are tried again"


def broken(monkeypatch, owner: type, name: str, instead: object, *, seeds: int = 150) -> str:
    """What the first seed that fails says, when a mechanism is taken out."""
    monkeypatch.setattr(owner, name, instead)
    return next((told for seed in range(seeds) if (told := failure(Checked(drawn(seed))))), "")


def test_a_take_that_settles_and_stays_due_is_found(monkeypatch):
    settle = Board.settle

    def forgetful(
        self: Board,
        shot: int,
        take: int,
        status: Status,
        score: float | None = None,
        *,
        hopeless: bool = False,
    ) -> None:
        if not (take == 1 and status is Status.REJECTED):
            settle(self, shot, take, status, score, hopeless=hopeless)

    told = broken(monkeypatch, Board, "settle", forgetful)
    assert "rendered again" in told and "make simtest FIRST=" in told


def test_a_take_that_is_never_put_back_is_found(monkeypatch):
    assert broken(monkeypatch, TakeQueue, "put_back", lambda self, cell: None)
