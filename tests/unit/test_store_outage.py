"""A worker whose finished take cannot be stored: kept on its node, stored when the store is back, rendered once."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from faulty_proxy import FaultyProxy
from outcomes import Clock
from PIL import Image

import farm.worker
from farm.bench import Bench
from farm.errors import StoreError
from farm.ids import sha256_hex
from farm.plan.grid import Grid
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.manifest import decode_outcome
from farm.store.spool import Spool
from farm.values import Model, Motion, Outcome, Scoring, Still, Task
from farm.worker import Worker

MODEL = Model("previz", "previz", "previz-1", 8, Fraction(8), "native")
STILL = next((Path(__file__).parents[2] / "jobs" / "stills").glob("*.[jp][pn]g"))


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FARM_SPOOL", str(tmp_path / "spool"))
    return tmp_path / "spool"


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The takes that were really rendered."""
    takes: list[str] = []
    shoot = farm.worker.shoot

    def counted(resident, still, task, beat):  # type: ignore[no-untyped-def]
        takes.append(task.take_id)
        return shoot(resident, still, task, beat)

    monkeypatch.setattr(farm.worker, "shoot", counted)
    return takes


@pytest.fixture
def tasks(tmp_path: Path) -> list[Task]:
    path = tmp_path / "still.png"
    with Image.open(STILL) as image:
        image.convert("RGB").resize((64, 64)).save(path)
    grid = Grid(1, (Motion("push", "a slow push-in", camera="push-in"),), (MODEL,), 3, 0)
    still = Still("s", str(path), "stills.csv:1")
    return [grid.task(0, take, still, sha256_hex(path.read_bytes())) for take in range(3)]


def worker(name: str, output: str) -> Worker:
    made = Worker(name, Bench(output, (MODEL,), 0.5, Scoring(0.1), 0.0, {}), Clock())
    made.load()
    return made


def lost(made: Worker, task: Task, attempt: int = 1) -> StoreError:
    with pytest.raises(StoreError) as caught:
        made.take(task, attempt)
    assert caught.value.kind == "unreachable" and "\n" not in str(caught.value)
    return caught.value


def what(outcome: Outcome) -> Outcome:
    """An outcome without time and place."""
    return replace(
        outcome, worker="", attempt=1, render_s=0, finish_s=0, wait_s=0, started_at="", finished_at=""
    )


def test_a_take_that_could_not_be_stored_is_not_paid_twice(
    proxy: FaultyProxy, bucket: str, spool: Path, rendered: list[str], tasks: list[Task], tmp_path: Path
) -> None:
    first = worker("w1", f"{bucket}/run")
    proxy.refuse()
    assert f"the take is kept in {spool}" in str(lost(first, tasks[0]))
    assert len(list(spool.rglob("*.take"))) == 1
    assert b"anything" not in next(spool.rglob("*.take")).read_bytes(), "the secret key"

    second = worker("w2", f"{bucket}/run")
    lost(second, tasks[1])
    lost(second, tasks[0], 2)
    assert rendered == [tasks[0].take_id], "while a take waits for the store nothing else is rendered"

    proxy.heal()
    taken = second.take(tasks[0], 3)
    assert (taken.outcome.worker, taken.outcome.attempt) == ("w1", 1)
    assert rendered == [tasks[0].take_id] and list(spool.rglob("*.take")) == []
    blobs = Blobs.open(f"{bucket}/run")
    key = layout.outcome_key(tasks[0].take_id)
    assert decode_outcome(blobs.get(key)) == taken.outcome
    assert sha256_hex(blobs.get(layout.clip_key(tasks[0]))) == taken.outcome.clip_sha256

    undisturbed = worker("w3", str(tmp_path / "undisturbed")).take(tasks[0], 1).outcome
    assert what(taken.outcome) == what(undisturbed)
    stored = {name for name, _ in Blobs.open(str(tmp_path / "undisturbed")).list()}
    assert {name for name, _ in blobs.list()} == stored


def test_what_is_kept_is_stored_before_anything_is_rendered(
    proxy: FaultyProxy, bucket: str, spool: Path, rendered: list[str], tasks: list[Task]
) -> None:
    """Then another node that is given the take again finds its outcome."""
    first = worker("w1", f"{bucket}/run")
    proxy.cut(100, method="PUT")
    lost(first, tasks[0])
    proxy.heal()
    first.take(tasks[1], 1)
    assert list(spool.rglob("*.take")) == []
    taken = worker("w2", f"{bucket}/run").take(tasks[0], 2)
    assert taken.outcome.worker == "w1"
    assert rendered == [tasks[0].take_id, tasks[1].take_id]


def test_an_outage_between_clip_and_outcome(
    proxy: FaultyProxy, bucket: str, spool: Path, rendered: list[str], tasks: list[Task]
) -> None:
    made = worker("w1", f"{bucket}/run")
    put = made._blobs.put

    def away_at_the_outcome(key: str, data: bytes) -> None:
        if key.startswith(layout.OUTCOMES):
            proxy.refuse()
        put(key, data)

    made._blobs.put = away_at_the_outcome  # type: ignore[method-assign, assignment]
    lost(made, tasks[0])
    proxy.heal()
    made._blobs.put = put  # type: ignore[method-assign]
    assert made.take(tasks[0], 2).outcome.attempt == 1
    assert rendered == [tasks[0].take_id]


def test_a_full_spool_is_said_and_keeps_nothing(
    proxy: FaultyProxy, bucket: str, spool: Path, rendered: list[str], tasks: list[Task]
) -> None:
    made = worker("w1", f"{bucket}/run")
    made._spool = Spool("run", spool, most_takes=0)
    proxy.refuse()
    assert "the take is lost: the spool is full" in str(lost(made, tasks[0]))
    proxy.heal()
    assert made.take(tasks[0], 2).outcome.attempt == 2
    assert rendered == [tasks[0].take_id] * 2


def test_other_settings_are_another_run(
    proxy: FaultyProxy, bucket: str, spool: Path, rendered: list[str], tasks: list[Task]
) -> None:
    """A take's id says nothing of how it was scored and cut."""
    proxy.refuse()
    lost(worker("w1", f"{bucket}/run"), tasks[0])
    proxy.heal()
    other = Worker("w2", Bench(f"{bucket}/run", (MODEL,), 1.0, Scoring(0.1), 0.0, {}), Clock())
    other.load()
    assert other.take(tasks[0], 1).outcome.worker == "w2"
    assert len(rendered) == 2
