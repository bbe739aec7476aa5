"""Keys, selects and stills."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from outcomes import ANY_TEXT, EXTRA, keys, take_id

from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.manifest import read_takes
from farm.store.selects import selects_schema, write_selects
from farm.store.stills import read_stills, write_stills_part
from farm.values import Gate, Model, Motion, Select, Still, StillReport, Task, Verdict


def test_selects_are_replaced_whole(blobs: Blobs) -> None:
    circled = Select(
        "still-1", "push-in", Verdict.SELECTED, take_id(1), "previz", 0.75, "clips/a.mp4", 4, 0.5
    )
    nothing = Select("still-2", "push-in", Verdict.NONE_USABLE, None, None, None, None, 4, 0.25)
    write_selects(blobs, iter([circled, nothing]))
    with duckdb.connect() as db:
        rows = db.execute(f"select * from '{blobs.url}/selects.parquet'").fetchall()
    assert rows == [
        ("still-1", "push-in", "selected", take_id(1), "previz", 0.75, "clips/a.mp4", 4, 0.5),
        ("still-2", "push-in", "none_usable", None, None, None, None, 4, 0.25),
    ]
    assert pq.read_schema(Path(blobs.url, "selects.parquet")).equals(selects_schema, check_metadata=True)
    assert selects_schema.names == [field.name for field in fields(Select)]
    write_selects(blobs, [])
    assert pq.read_table(Path(blobs.url, "selects.parquet")).num_rows == 0


def test_many_selects_keep_their_order(blobs: Blobs) -> None:
    def one(number: int) -> Select:
        return Select(f"still-{number}", "pan", Verdict.NONE_USABLE, None, None, None, None, number, 0.0)

    write_selects(blobs, (one(number) for number in range(20_001)))
    table = pq.read_table(Path(blobs.url, "selects.parquet"))
    assert table["takes_tried"].to_pylist() == list(range(20_001))


def test_stills_come_back_without_credentials(blobs: Blobs) -> None:
    still = Still(
        "a", "https://me:hunter2@host/a.png?sig=abc", "stills.csv:2", character="Ann", extra={"season": "x"}
    )
    seen = StillReport(still, Gate.OK, "0" * 64, 1280, 720, 12345, version="etag")
    refused = StillReport(
        replace(still, id="b", extra={}),
        Gate.REFUSE,
        None,
        None,
        None,
        None,
        reason="cut short",
        kind="still_truncated",
    )
    assert write_stills_part(blobs, 1, [seen], EXTRA)
    assert write_stills_part(blobs, 2, [refused], EXTRA)
    assert write_stills_part(blobs, 2, [refused], EXTRA), "the same once more, its answer having been lost"
    assert not write_stills_part(blobs, 2, [seen], EXTRA), "a number is given once"
    shown = replace(still, uri="https://host/a.png")
    assert list(read_stills(blobs)) == [
        replace(seen, still=shown),
        replace(refused, still=replace(shown, id="b", extra={})),
    ]
    assert keys(blobs, "stills/") == ["stills/part-00000001.parquet", "stills/part-00000002.parquet"]
    assert b"hunter2" not in blobs.get("stills/part-00000001.parquet")


def test_no_stills_yet(blobs: Blobs) -> None:
    assert list(read_stills(blobs)) == []
    assert list(read_takes(blobs)) == []


def task(still: str, motion: str, model: str, seed: int, number: int) -> Task:
    from fractions import Fraction

    made = Model(model, "previz", "1", 48, Fraction(24), "native")
    return Task(take_id(number), Still(still, "a.png", "a"), "0" * 64, Motion(motion, "p"), "p", made, seed)


def test_keys_are_the_contract_s() -> None:
    one = task("still-1", "push-in", "previz", 7, 0xABCDEF01 << 96)
    stem = "clips/still-1/push-in/previz/7-abcdef01"
    assert layout.clip_key(one) == f"{stem}.mp4"
    assert layout.poster_key(one) == f"{stem}.webp"
    assert layout.filmstrip_key(one) == f"{stem}.strip.webp"
    assert layout.outcome_key(one.take_id) == f"outcomes/{one.take_id}.json"
    assert layout.take_id_of(layout.outcome_key(one.take_id)) == one.take_id
    assert layout.takes_part_key(3) == "takes/part-00000003.parquet"
    assert layout.part_number("takes/part-00000003.parquet") == 3
    assert layout.part_number("takes/part-00000003-2d711642.parquet") == 3
    for other in ("takes/part-3.parquet", "takes/.part-00000003-2d711642.parquet.tmp", "outcomes/x.json"):
        assert layout.part_number(other) is None
        assert layout.take_id_of(other) is None


NAMES = st.sampled_from(["..", ".", "/", "a/b", "A", "a", "", " ", "\0", "con", "é", "\ud800"]) | ANY_TEXT


@given(NAMES, NAMES, NAMES, st.integers(-(2**63), 2**63 - 1))
def test_any_names_make_keys_that_a_store_takes(still: str, motion: str, model: str, seed: int) -> None:
    blobs = Blobs.open("memory://keys")
    one = task(still, motion, model, seed, 5)
    made: Sequence[str] = [layout.clip_key(one), layout.poster_key(one), layout.filmstrip_key(one)]
    assert len(set(made)) == 3
    for key in made:
        assert key.count("/") == 4
        assert not blobs.exists(key)
