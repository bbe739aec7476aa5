"""The columns of the manifest, and an Outcome as one of its rows and as JSON."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outcomes import (
    ANY_TEXT,
    CONTRACT,
    DIMENSIONS,
    EXTRA,
    SCHEMA,
    kept,
    keys,
    open_manifest,
    take_id,
    written,
)

from farm.errors import InputError
from farm.store.blobs import Blobs
from farm.store.manifest import decode_outcome, encode_outcome, read_takes, takes_schema
from farm.store.rows import Columns, outcome_of_row, outcome_values, storable
from farm.values import Blame, Outcome, Status


def test_the_columns_are_the_contract_s() -> None:
    assert SCHEMA.names == CONTRACT
    named = {field.name for field in fields(Outcome)} - {"scores", "extra"}
    assert named == set(CONTRACT) - {"score_flicker", "score_warp", *EXTRA.names}


def test_every_own_column_says_what_it_is_and_every_measured_one_its_unit() -> None:
    for name in CONTRACT[: -len(EXTRA.names)]:
        metadata = SCHEMA.field(name).metadata
        assert metadata[b"description"]
        unit = {"_s": b"s", "_px": b"px", "_usd": b"USD", "_bytes": b"bytes"}.get(
            "_" + name.rpartition("_")[2]
        )
        if unit:
            assert metadata[b"unit"] == unit
    assert SCHEMA.field("fps").metadata[b"unit"] == b"frames/s"
    assert SCHEMA.field("span_stop").metadata[b"unit"] == b"frames"
    assert SCHEMA.field("score_flicker").metadata[b"unit"] == b"0..1"
    assert SCHEMA.field("started_at").type == pa.timestamp("us", tz="UTC")


def test_units_are_in_the_file(blobs: Blobs) -> None:
    manifest = open_manifest(blobs)
    manifest.add(kept(1))
    manifest.flush()
    [part] = keys(blobs, "takes/")
    read = pq.read_schema(pa.BufferReader(blobs.get(part)))
    assert read.equals(SCHEMA, check_metadata=True)


@pytest.mark.parametrize("name", ["score", "Status", "score_flicker", "SCORE_anything"])
def test_a_catalog_column_must_not_hide_one_of_ours(name: str) -> None:
    with pytest.raises(InputError, match=f"catalog column '{name}'"):
        takes_schema(DIMENSIONS, pa.schema([(name, pa.string())]))
    with pytest.raises(InputError, match="'SKU'"):
        takes_schema(DIMENSIONS, pa.schema([("sku", pa.string()), ("SKU", pa.string())]))


@pytest.mark.parametrize("dimensions", [["a", "a"], ["Flicker"], ["a b"], [""]])
def test_a_dimension_must_name_a_column(dimensions: list[str]) -> None:
    with pytest.raises(ValueError, match="dimensions"):
        takes_schema(dimensions, pa.schema([]))


NUMBER = st.floats(allow_nan=False, allow_infinity=False)
INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
TIME = st.datetimes(
    min_value=datetime(1970, 1, 2), timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9))])
).map(datetime.isoformat)
OUTCOMES = st.builds(
    Outcome,
    take_id=st.integers(0, 2**128 - 1).map(take_id),
    still_id=ANY_TEXT,
    still_uri=ANY_TEXT,
    still_sha256=ANY_TEXT,
    motion_id=ANY_TEXT,
    prompt=ANY_TEXT,
    model=ANY_TEXT,
    model_revision=ANY_TEXT,
    seed=INT64,
    attempt=INT32,
    status=st.sampled_from(Status),
    reason=st.none() | ANY_TEXT,
    blame=st.none() | st.sampled_from(Blame),
    score=st.none() | NUMBER,
    scores=st.dictionaries(st.sampled_from(DIMENSIONS), NUMBER),
    accepted=st.booleans(),
    span_start=st.none() | INT32,
    fps=st.none() | NUMBER,
    clip_bytes=st.none() | INT64,
    render_s=st.none() | NUMBER,
    started_at=st.none() | TIME,
    extra=st.fixed_dictionaries(
        {},
        optional={"price": st.none() | NUMBER, "season": ANY_TEXT, "live": st.booleans(), "sku": INT64},
    ),
)


def as_stored(outcome: Outcome) -> dict[str, object]:
    """What a reader should find for an outcome: texts as UTF-8 holds them, times as instants."""
    values = dict.fromkeys(SCHEMA.names) | outcome_values(outcome)
    stored = {
        name: storable(str(value)) if isinstance(value, str) else value for name, value in values.items()
    }
    for name in ("started_at", "finished_at"):
        if stored[name] is not None:
            stored[name] = datetime.fromisoformat(str(stored[name])).astimezone(UTC)
    return stored


@given(OUTCOMES)
def test_an_outcome_survives_json(outcome: Outcome) -> None:
    decoded = decode_outcome(encode_outcome(outcome))
    assert as_stored(decoded) == as_stored(outcome)
    assert encode_outcome(decoded) == encode_outcome(outcome)


@given(st.lists(OUTCOMES, unique_by=lambda outcome: outcome.take_id, min_size=1, max_size=4))
@settings(max_examples=50)
def test_an_outcome_survives_parquet(outcomes: list[Outcome]) -> None:
    blobs = Blobs.open(f"memory://{uuid4().hex}")
    manifest = open_manifest(blobs)
    for outcome in outcomes:
        manifest.add(outcome)
    manifest.flush()
    rows = [row for batch in read_takes(blobs) for row in batch.to_pylist()]
    assert rows == [as_stored(outcome) for outcome in outcomes]
    again = [decode_outcome(encode_outcome(outcome_of_row(row, "part"))) for row in rows]
    assert [as_stored(outcome) for outcome in again] == rows


@pytest.mark.parametrize(
    "spoilt", [{"status": "lost"}, {"prompt": None}, {"seed": "seven"}, {"blame": "nobody"}]
)
def test_a_row_that_was_no_outcome_is_told_with_its_place(spoilt: dict[str, object]) -> None:
    row = Columns(SCHEMA).row(outcome_values(kept(7)))
    with pytest.raises(InputError, match=f"^takes/part: take {take_id(7)}: its row was not written by farm$"):
        outcome_of_row(row | spoilt, "takes/part")


def test_storable_joins_pairs_and_replaces_the_lonely() -> None:
    assert storable("a\ud83d\ude00b\ud800c") == "a\U0001f600b\ufffdc"
    assert storable("漢字 \U0001f600") == "漢字 \U0001f600"


def test_numbers_may_stand_in_a_catalog_column_of_texts() -> None:
    row = Columns(SCHEMA).row(outcome_values(replace(kept(1), extra={"season": 2026, "sku": 5})))
    assert (row["season"], row["sku"], row["price"]) == ("2026", 5, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"score": float("nan")}, "score=nan does not fit a column of finite numbers"),
        ({"seed": 2**63}, "seed=9223372036854775808 does not fit"),
        ({"span_stop": 2**31}, "span_stop=2147483648 does not fit"),
        ({"started_at": "2026-11-22T01:02:03"}, "ISO times with their zone"),
        ({"started_at": "yesterday"}, "Invalid isoformat"),
        ({"scores": {"sharpness": 1.0}}, "no column for score_sharpness"),
        ({"extra": {"colour": "red"}}, "no column for colour"),
        ({"extra": {"status": "kept"}}, "extra status='kept'"),
        ({"extra": {"sku": "A-1"}}, "sku='A-1' does not fit a column of whole numbers"),
        ({"extra": {"price": True}}, "price=True does not fit"),
        ({"take_id": "../../etc"}, "non-hexadecimal"),
        ({"take_id": "AB" * 16}, "no take id"),
    ],
)
def test_what_no_row_can_hold_is_refused_at_the_door(
    blobs: Blobs, change: dict[str, object], said: str
) -> None:
    manifest = open_manifest(blobs)
    with pytest.raises(ValueError, match=said):
        manifest.add(replace(kept(1), **change))  # type: ignore[arg-type]
    manifest.add(kept(2))
    manifest.flush()
    assert written(blobs) == [take_id(2)]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "no outcome"),
        (encode_outcome(kept(1))[:-9], "not JSON"),
        (
            json.dumps({**json.loads(encode_outcome(kept(1))), "mood": 1}).encode(),
            "unknown keys mood: .*version",
        ),
        (json.dumps({**json.loads(encode_outcome(kept(1))), "status": "lost"}).encode(), "status"),
        (json.dumps({**json.loads(encode_outcome(kept(1))), "seed": "1"}).encode(), "seed"),
        (b'{"take_id": "00"}', "still_id Field required"),
    ],
)
def test_what_is_no_outcome_is_told_with_its_place(data: bytes, said: str) -> None:
    with pytest.raises(InputError, match=f"^outcomes/x.json: .*{said}"):
        decode_outcome(data, where="outcomes/x.json")


def test_nan_never_gets_into_json() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_outcome(replace(kept(1), score=float("nan")))
