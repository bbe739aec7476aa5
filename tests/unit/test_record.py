"""What a driver records while it runs, and how long it bears with a store that refuses."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from outcomes import kept

from farm.errors import BrokenFarm, StoreError
from farm.record import RunRecord, close_run
from farm.store.blobs import Blobs
from farm.store.manifest import Manifest, takes_schema
from farm.store.stills import read_stills
from farm.values import Gate, Still, StillReport

NO_EXTRA = pa.schema([])


class VirtualClock:
    def __init__(self) -> None:
        self.at_s = 1000.0

    def monotonic_s(self) -> float:
        return self.at_s

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at_s, UTC)

    def sleep(self, seconds: float) -> None:
        self.at_s += seconds


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def record(blobs: Blobs, clock: VirtualClock) -> RunRecord:
    manifest = Manifest(blobs, takes_schema((), NO_EXTRA), clock)
    manifest.recover()
    return RunRecord(blobs, manifest, NO_EXTRA, clock)


def report(name: str) -> StillReport:
    return StillReport(Still(name, "u", "w"), Gate.OK, "ab", 16, 16, 100)


def seen(blobs: Blobs) -> list[str]:
    return [one.still.id for one in read_stills(blobs)]


def test_what_the_gate_saw_does_not_wait_for_the_end(record, blobs, clock):
    record.saw(report("a"))
    record.flush_due()
    assert seen(blobs) == []
    clock.sleep(6)
    record.flush_due()
    assert seen(blobs) == ["a"]
    record.saw(report("b"))
    record.flush()
    assert seen(blobs) == ["a", "b"]


def test_what_is_seen_again_in_a_later_pass_is_written_once(record, blobs, clock):
    for name in ("a", "b", "a"):
        record.saw(report(name))
    record.flush()
    assert [seen.still.id for seen in read_stills(blobs)] == ["a", "b"]


def test_what_an_earlier_session_saw_is_not_written_again(record, blobs, clock):
    record.saw(report("a"))
    record.flush()
    again = RunRecord(blobs, Manifest(blobs, takes_schema((), NO_EXTRA), clock), NO_EXTRA, clock)
    again.saw(report("a"))
    again.saw(report("b"))
    clock.sleep(6)
    again.flush_due()
    assert seen(blobs) == ["a", "b"]


def test_a_store_that_refuses_is_tried_again_before_the_run_ends(record, blobs, clock, tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "stills").write_text("in the way")
    record.saw(report("a"))
    clock.sleep(6)
    for _ in range(3):
        record.flush_due()
        record.flush_due()  # not yet again
        clock.sleep(30)
    with pytest.raises(StoreError, match="cannot create stills/"):
        record.flush_due()
    (tmp_path / "run" / "stills").unlink()
    record.flush_due()
    assert seen(blobs) == ["a"], "nothing was lost meanwhile"


def test_a_part_of_stills_is_written_by_one_driver(record, blobs, clock):
    new = RunRecord(blobs, Manifest(blobs, takes_schema((), NO_EXTRA), clock), NO_EXTRA, clock)
    for name in ("a", "b"):
        new.saw(report(name))
    record.saw(report("a"))
    record.flush()  # a driver that was succeeded, just now
    new.flush()
    assert seen(blobs) == ["a", "b"]


def test_a_record_that_lost_its_lease_writes_nothing(blobs, clock):
    def check() -> None:
        raise BrokenFarm("lost its lease")

    manifest = Manifest(blobs, takes_schema((), NO_EXTRA), clock)
    manifest.recover()
    record = RunRecord(blobs, manifest, NO_EXTRA, clock, check)
    record.saw(report("a"))
    clock.sleep(6)
    for write in (
        record.flush_due,
        record.flush,
        lambda: record.commit(kept(1)),
        lambda: close_run(blobs, "small", None, 0.0, "done", check),
    ):
        with pytest.raises(BrokenFarm, match="lost its lease"):
            write()
    assert list(blobs.list()) == []
