"""The takes of a run in parts: gathered, recovered, under fire, and read meanwhile."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from outcomes import SCHEMA, Clock, commit, kept, keys, open_manifest, take_id, written

from farm.errors import InputError, StoreError
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.manifest import Manifest, encode_outcome, read_takes
from farm.values import Blame, Status


def test_parts_are_full_or_five_seconds_old(blobs: Blobs) -> None:
    clock = Clock()
    manifest = open_manifest(blobs, clock)
    manifest.add(kept(0))
    manifest.flush_due()
    assert written(blobs) == []
    clock.at_s = 4.9
    manifest.add(kept(1))
    manifest.flush_due()
    assert written(blobs) == []
    clock.at_s = 5.0
    manifest.flush_due()
    assert written(blobs) == [take_id(0), take_id(1)]
    clock.at_s = 60.0
    for number in range(2, 1003):
        manifest.add(kept(number))
        manifest.flush_due()
    assert len(written(blobs)) == 1002
    manifest.flush()
    assert written(blobs) == [take_id(number) for number in range(1003)]
    assert [pq.read_metadata(Path(blobs.url, key)).num_rows for key in keys(blobs, "takes/")] == [2, 1000, 1]
    manifest.flush()
    assert len(keys(blobs, "takes/")) == 3


def test_outcomes_go_once_their_part_is_there(blobs: Blobs) -> None:
    manifest = open_manifest(blobs)
    commit(blobs, kept(1), kept(2))
    manifest.add(kept(1))
    assert len(keys(blobs, "outcomes/")) == 2
    manifest.flush()
    assert keys(blobs, "outcomes/") == [layout.outcome_key(take_id(2))]


def test_a_take_settles_once(blobs: Blobs) -> None:
    manifest = open_manifest(blobs)
    manifest.add(kept(1))
    for _ in range(2):
        with pytest.raises(ValueError, match="has settled before"):
            manifest.add(kept(1))
        manifest.flush()
    assert take_id(1) in manifest
    assert take_id(2) not in manifest
    assert len(manifest) == 1


def test_recover_gathers_what_no_part_holds(blobs: Blobs) -> None:
    first = open_manifest(blobs)
    commit(blobs, *(kept(number) for number in range(5)))
    first.add(kept(0))
    first.flush()
    # The first driver dies here. One worker had said nothing yet; another wrote a take twice.
    commit(blobs, kept(0))
    second = Manifest(blobs, SCHEMA, Clock())
    assert second.recover() == 5
    assert sorted(written(blobs)) == [take_id(number) for number in range(5)]
    assert keys(blobs, "outcomes/") == []
    assert [layout.part_number(key) for key in keys(blobs, "takes/")] == [1, 2]
    assert open_manifest(blobs).recover() == 5
    assert len(keys(blobs, "takes/")) == 2


def test_it_is_the_same_on_every_store(output: str) -> None:
    blobs = Blobs.open(output)
    manifest = open_manifest(blobs)
    commit(blobs, *(kept(number) for number in range(30)))
    for number in range(10):
        manifest.add(kept(number))
    manifest.flush()
    assert open_manifest(Blobs.open(output)).recover() == 30
    assert sorted(written(blobs)) == [take_id(number) for number in range(30)]
    assert keys(blobs, "outcomes/") == []
    assert len(keys(blobs, "takes/")) == 2


def test_recover_makes_full_parts_of_many_outcomes(blobs: Blobs) -> None:
    commit(blobs, *(kept(number) for number in range(1001)))
    assert open_manifest(blobs).recover() == 1001
    assert [pq.read_metadata(Path(blobs.url, key)).num_rows for key in keys(blobs, "takes/")] == [1000, 1]


def test_recover_leaves_alone_what_it_does_not_know(blobs: Blobs) -> None:
    blobs.put("outcomes/notes.txt", b"mine")
    blobs.put("takes/readme.txt", b"mine")
    assert open_manifest(blobs).recover() == 0
    assert keys(blobs) == ["outcomes/notes.txt", "takes/readme.txt"]


def test_an_outcome_under_another_s_name_is_refused(blobs: Blobs) -> None:
    blobs.put(layout.outcome_key(take_id(1)), encode_outcome(kept(2)))
    with pytest.raises(InputError, match=f"holds the outcome of take {take_id(2)}"):
        open_manifest(blobs)
    blobs.put(layout.outcome_key(take_id(1)), b"{")
    with pytest.raises(InputError, match=rf"outcomes/{take_id(1)}\.json: no outcome"):
        open_manifest(blobs)


def test_a_part_that_is_no_parquet_is_named(blobs: Blobs) -> None:
    blobs.put("takes/part-00000001-00000000.parquet", b"PAR1 and nothing else")
    with pytest.raises(StoreError, match=r"takes/part-00000001-00000000\.parquet: is no Parquet"):
        open_manifest(blobs)
    with pytest.raises(StoreError, match="is no Parquet"):
        list(read_takes(blobs))


def test_flushing_without_recovering_is_a_mistake(blobs: Blobs) -> None:
    manifest = Manifest(blobs, SCHEMA, Clock())
    manifest.add(kept(1))
    with pytest.raises(ValueError, match="recover"):
        manifest.flush()
    assert manifest.recover() == 0


def test_columns_come_as_asked(blobs: Blobs) -> None:
    manifest = open_manifest(blobs)
    manifest.add(kept(1))
    manifest.flush()
    [batch] = read_takes(blobs, ["seed", "take_id"])
    assert batch.schema.names == ["seed", "take_id"]
    with pytest.raises(ValueError, match="has no column colour"):
        list(read_takes(blobs, ["take_id", "colour"]))


def test_ids_are_told_apart_to_the_last_bit(blobs: Blobs) -> None:
    """numpy strips trailing zero bytes of fixed-width strings."""
    ids = ["0" * 32, "0" * 31 + "1", "00" * 15 + "01", "01" + "00" * 15, "01" + "00" * 14 + "01", "f" * 32]
    first = open_manifest(blobs)
    for one in sorted(set(ids))[::2]:
        first.add(replace(kept(1), take_id=one))
    first.flush()
    again = open_manifest(blobs)
    assert [one in again for one in sorted(set(ids))] == [True, False, True, False, True][: len(set(ids))]


def test_many_ids_merge(monkeypatch: pytest.MonkeyPatch) -> None:
    from farm.store import manifest as module

    monkeypatch.setattr(module, "_MERGE_AT", 7)
    rng = np.random.default_rng(0)
    numbers = [int.from_bytes(rng.bytes(16)) for _ in range(100)]
    ids = module._TakeIds(number.to_bytes(16) for number in numbers[:20])
    for count, number in enumerate(numbers[20:], start=21):
        assert take_id(number) not in ids
        ids.add(take_id(number))
        assert len(ids) == count
    assert all(take_id(number) in ids for number in numbers)
    assert take_id(numbers[0] ^ 1) not in ids


def test_readers_see_whole_rows_while_a_run_writes(blobs: Blobs) -> None:
    manifest = open_manifest(blobs)
    manifest.add(kept(0))
    manifest.flush()
    glob = f"{blobs.url}/takes/*.parquet"
    total, done = 400, threading.Event()

    def write() -> None:
        for number in range(1, total):
            manifest.add(kept(number))
            if number % 5 == 0:
                manifest.flush()
        manifest.flush()
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = 0
    with duckdb.connect() as db:
        query = f"select count(*), count(distinct take_id), min(score), max(clip_uri) from '{glob}'"
        last_look = False
        while not last_look:
            last_look = done.is_set()
            rows, distinct, score, clip = db.execute(query).fetchall()[0]
            assert rows == distinct >= seen
            assert (score, clip) == (0.75, kept(0).clip_uri)
            seen = ds.dataset(f"{blobs.url}/takes").count_rows()
            assert seen >= rows
    writer.join()
    assert seen == total


def test_duckdb_reads_types_units_and_hard_texts(blobs: Blobs) -> None:
    prompt = "a\0b \U0001f600 漢字 ' \" ; -- \n\r\t ]]>"
    manifest = open_manifest(blobs)
    manifest.add(replace(kept(1), prompt=prompt))
    manifest.add(replace(kept(2), status=Status.FAILED, blame=Blame.NODE, score=None, scores={}, extra={}))
    manifest.flush()
    with duckdb.connect() as db:
        db.execute("set timezone = 'UTC'")
        rows = db.execute(
            "select prompt, status, blame, score_flicker, span_stop - span_start, epoch_us(finished_at), "
            f"season from '{blobs.url}/takes/*.parquet' order by take_id"
        ).fetchall()
    at_us = int(datetime(2026, 11, 22, 1, 2, 4, 500_000, tzinfo=UTC).timestamp() * 1e6)
    assert rows == [
        (prompt, "kept", None, 0.5, 48, at_us, "spring"),
        ("slow push-in", "failed", "node", None, 48, at_us, None),
    ]
