"""What a resumed run makes of what earlier sessions left, where the catalog is not what it was."""

from dataclasses import replace
from pathlib import Path

import pytest

from farm.clock import SystemClock
from farm.dispatch.board import Board
from farm.dispatch.takes import TakesRule
from farm.errors import BrokenFarm, InputError
from farm.outcomes import blank_outcome
from farm.plan.planning import Plan, make_plan
from farm.recovery import recover
from farm.spec import Job
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.manifest import Manifest, encode_outcome, takes_schema
from farm.values import Status


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "c.csv").write_text("image,id,sku\na.png,a,A-1\nb.png,b,B-2\n")
    return tmp_path


def plan(folder: Path) -> Plan:
    motions = [{"id": "push", "prompt": "a slow push-in"}]
    job = Job.model_validate(
        {"stills": str(folder / "c.csv"), "motions": motions, "models": ["previz"], "output": str(folder)}
    )
    return make_plan(job, folder / "job.yaml")


def committed(made: Plan, blobs: Blobs, shot: int, status: Status = Status.KEPT, score: float = 0.9) -> None:
    """An outcome as a worker leaves it, that no driver has gathered."""
    still = list(made.catalog.stills())[shot]
    outcome = blank_outcome(made.grid.task(shot, 0, still, "ab" * 32), 1, Status.KEPT)
    outcome = replace(outcome, status=status, score=score)
    blobs.put(layout.outcome_key(outcome.take_id), encode_outcome(outcome))


def manifest(made: Plan, blobs: Blobs) -> Manifest:
    return Manifest(blobs, takes_schema((), made.extra), SystemClock())


def test_rows_are_found_by_name_in_a_catalog_that_was_turned_round(folder, blobs):
    committed(plan(folder), blobs, 0)
    (folder / "c.csv").write_text("image,id,sku\nc.png,c,C-3\nb.png,b,B-2\na.png,a,A-1\n")
    known = recover(plan(folder), manifest(plan(folder), blobs), blobs)
    assert [known.board.settled(shot) for shot in range(3)] == [0, 0, 1]
    changed = replace(list(plan(folder).catalog.stills())[2], id="elsewhere")
    with pytest.raises(BrokenFarm, match=r"c\.csv:4: the catalog changed while the run began"):
        list(known.in_order([*list(plan(folder).catalog.stills())[:2], changed]))


def test_scores_come_back_so_that_a_resumed_run_decides_as_before(folder, blobs):
    made = plan(folder)
    committed(made, blobs, 0, Status.REJECTED, 0.65)
    committed(made, blobs, 1, Status.REJECTED, 0.1)
    known, before = recover(made, manifest(made, blobs), blobs), Board(2)
    before.settle(1, 0, Status.REJECTED, 0.1)
    before.settle(0, 0, Status.REJECTED, 0.65)
    rule = TakesRule(1, 3, "worth")
    assert known.board.chances(rule, 0, 2).tolist() == before.chances(rule, 0, 2).tolist()
    assert known.board.due(rule, 0) == [1] and known.board.due(rule, 1) == []


def test_stills_that_are_not_the_counted_ones_are_not_taken_for_them(folder, blobs):
    committed(plan(folder), blobs, 1)
    made = plan(folder)
    known = recover(made, manifest(made, blobs), blobs)
    (folder / "c.csv").write_text("image,id,sku\nnew.png,new,N-1\na.png,a,A-1\nb.png,b,B-2\n")
    with pytest.raises(BrokenFarm, match="the catalog changed while the run began"):
        list(known.in_order(plan(folder).catalog.stills()))


def test_a_column_that_was_taken_out_of_the_catalog_is_said(folder, blobs):
    committed(plan(folder), blobs, 0)
    (folder / "c.csv").write_text("image,id\na.png,a\nb.png,b\n")
    with pytest.raises(InputError, match=r"no column for sku.*set them back"):
        recover(plan(folder), manifest(plan(folder), blobs), blobs)
    assert list(blobs.list(layout.OUTCOMES)), "and nothing is lost"
