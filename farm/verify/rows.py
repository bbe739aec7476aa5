"""The rows of a run as a verification reads them: a few columns, part by part, and nothing that one of them may spoil.

Invariant: each take is handed on once, whatever stands twice; what cannot be read is told and passed over.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields
from io import BytesIO
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from farm.errors import InputError, StoreError
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.manifest import decode_outcome, takes_schema
from farm.verify.findings import Cure, Findings, Row

_READERS = 8
_COLUMNS = tuple(one.name for one in fields(Row) if one.name not in ("source", "number"))
_SCHEMA = pa.schema([takes_schema((), pa.schema([])).field(name) for name in _COLUMNS])
_TAKE_ID = re.compile(r"[0-9a-f]{32}")
NO_PARQUET = (pa.ArrowException, OSError, ValueError)

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def rows(blobs: Blobs, found: Findings) -> Iterator[Row]:
    """All rows of the parts, and after them the outcomes that are in no part. Raises StoreError."""
    outcomes = {layout.take_id_of(key): key for key, _ in blobs.list(layout.OUTCOMES)}
    parts = sorted(key for key, _ in blobs.list(layout.TAKES) if layout.part_number(key) is not None)
    seen: set[bytes] = set()
    for key, data in blobs.get_many(parts):
        for row in _part_rows(key, data, found):
            identity = bytes.fromhex(row.take_id)
            if identity in seen:
                found.say("doubled", key, row.take_id, "the take has a row already", Cure.UNDOUBLE, row)
                continue
            seen.add(identity)
            if outcome := outcomes.pop(row.take_id, None):
                found.say("stray", outcome, row.take_id, "the outcome is gathered already", Cure.REMOVE)
            yield row
    found.takes = len(seen)
    waiting = sorted(key for take_id, key in outcomes.items() if take_id is not None)
    for key, told in in_threads(lambda key: (key, get(blobs, key)), waiting):
        row_ = None if told is None else _outcome_row(key, told, found)  # None: gathered since it was listed
        if row_ is not None:
            found.pending += 1
            yield row_


def table(data: bytes, schema: pa.Schema, needed: Iterable[str]) -> pa.Table:
    """The columns of `schema` that a Parquet file has. Raises one of NO_PARQUET, also for a `needed` one it has not."""
    with pq.ParquetFile(BytesIO(data)) as file:
        there = file.schema_arrow.names
        missing = [name for name in needed if name not in there]
        if missing:
            raise ValueError(f"it has no column {', '.join(missing)}")
        some = pa.schema([field.remove_metadata() for field in schema if field.name in there])
        return file.read(columns=some.names).select(some.names).cast(some)


def in_threads(do: Callable[[_In], _Out], items: Iterable[_In]) -> Iterator[_Out]:
    """The answers in order, several at a time; few items are held in memory, and are drawn by this thread alone."""
    rest = iter(items)
    with ThreadPoolExecutor(_READERS, thread_name_prefix="verify") as threads:
        begun = [threads.submit(do, item) for item in islice(rest, 2 * _READERS)]
        while begun:
            yield begun.pop(0).result()
            begun.extend(threads.submit(do, more) for more in islice(rest, 1))


def get(blobs: Blobs, key: str) -> bytes | None:
    """An object, None where there is none. Raises StoreError for anything else."""
    try:
        return blobs.get(key)
    except StoreError as e:
        if e.kind != "missing":
            raise
        return None


def _part_rows(key: str, data: bytes, found: Findings) -> Iterator[Row]:
    found.parts += 1
    try:
        read = table(data, _SCHEMA, needed=("take_id", "status")).to_pylist()
    except NO_PARQUET as e:
        found.blind = True
        found.say("undecodable", key, None, f"no Parquet of takes: {e}", Cure.NONE)
        return
    for number, values in enumerate(read):
        if _TAKE_ID.fullmatch(values["take_id"] or ""):
            yield Row(source=key, number=number, **{name: values.get(name) for name in _COLUMNS})
        else:
            found.blind = True
            found.say(
                "undecodable", key, None, f"row {number} has no take id: {values['take_id']}", Cure.NONE
            )


def _outcome_row(key: str, data: bytes, found: Findings) -> Row | None:
    try:
        outcome = decode_outcome(data, where=key)
        if layout.outcome_key(outcome.take_id) != key:
            raise InputError(f"{key}: holds the outcome of take {outcome.take_id}")
    except (InputError, ValueError) as e:
        found.blind = True
        # What another version wrote is whole, and paid for; what is no JSON can only be rendered again.
        cure = Cure.NONE if _is_json(data) else Cure.REMOVE
        found.say("undecodable", key, layout.take_id_of(key), str(e), cure)
        return None
    values: dict[str, Any] = asdict(outcome)
    return Row(source=key, number=-1, **{name: values[name] for name in _COLUMNS})


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True
