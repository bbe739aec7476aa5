"""What a driver records while it runs, and how long it bears with a store that refuses."""

import errno
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from outcomes import SCHEMA, kept, take_id

from farm.errors import BrokenFarm, StoreError
from farm.record import RunRecord, close_run
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.disk import Disk
from farm.store.manifest import Manifest, read_takes, takes_schema
from farm.store.patience import Patience
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


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Puts nothing on any disk while an errno stands in it."""
    trouble: list[int] = []
    put, create = Disk.put, Disk.create

    def refused(how: Callable[..., Any]) -> Callable[..., Any]:
        def write(disk: Disk, key: str, data: bytes) -> Any:
            if trouble:
                raise OSError(trouble[0], os.strerror(trouble[0]))
            return how(disk, key, data)

        return write

    monkeypatch.setattr(Disk, "put", refused(put))
    monkeypatch.setattr(Disk, "create", refused(create))
    yield trouble


@pytest.fixture
def impatient(tmp_path: Path, clock: VirtualClock) -> RunRecord:
    blobs = Blobs.open(str(tmp_path / "run"), Patience(0, clock))
    manifest = Manifest(blobs, SCHEMA, clock)
    manifest.recover()
    return RunRecord(blobs, manifest, NO_EXTRA, clock)


def test_an_outage_is_borne_and_nothing_is_lost(impatient, blobs, clock, away):
    record = impatient
    record.saw(report("a"))
    clock.sleep(6)
    away.append(errno.ENETUNREACH)
    for _ in range(50):
        record.flush_due()
        clock.sleep(30)
    record.commit(kept(1))
    assert list(blobs.list()) == []
    away.clear()
    record.flush_due()
    assert seen(blobs) == [], "not asked again so soon"
    clock.sleep(30)
    record.flush_due()
    assert seen(blobs) == ["a"]
    assert [batch["take_id"].to_pylist() for batch in read_takes(blobs, ["take_id"])] == [[take_id(1)]]
    record.commit(kept(2))
    assert blobs.exists(layout.outcome_key(take_id(2))), "committed at once again"


def test_what_does_not_pass_is_said_at_once(impatient, clock, away):
    impatient.saw(report("a"))
    clock.sleep(6)
    away.append(errno.ENOSPC)
    for use in (impatient.flush_due, impatient.flush, lambda: impatient.commit(kept(1))):
        with pytest.raises(StoreError, match="No space left on device; make room") as caught:
            use()
        assert caught.value.kind == "disk_full"


def test_the_last_flush_waits_a_while_for_the_store(impatient, blobs, clock, away):
    impatient.saw(report("a"))
    away.append(errno.ENETUNREACH)
    began_s = clock.monotonic_s()
    with pytest.raises(StoreError, match="Network is unreachable"):
        impatient.flush()
    assert clock.monotonic_s() - began_s == 26
    clock.sleep = lambda seconds: away.clear()
    impatient.flush()
    assert seen(blobs) == ["a"]


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
