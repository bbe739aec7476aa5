"""An Outcome as a row of the takes manifest, and as the JSON object its worker commits.

Invariant: both hold all of it and nothing else. What has no column, or no place in JSON (NaN), is refused when it
is handed in, never dropped and never found out later.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from farm.errors import InputError
from farm.ids import canonical
from farm.values import Outcome

_TIME = pa.timestamp("us", tz="UTC")
_SCORE = "score_"
_DIMENSION = re.compile(r"[a-z][a-z0-9_]*")

# name, type, unit, description; in the order of the contract.
_BEFORE_SCORES: tuple[tuple[str, pa.DataType, str, str], ...] = (
    ("take_id", pa.string(), "", "content identity of the take"),
    ("still_id", pa.string(), "", "id of the still in the catalog"),
    ("still_uri", pa.string(), "", "where the still was read, without credentials"),
    ("still_sha256", pa.string(), "", "SHA-256 of the still's file"),
    ("motion_id", pa.string(), "", "id of the motion in its library"),
    ("prompt", pa.string(), "", "what the model was told"),
    ("model", pa.string(), "", "name of the model"),
    ("model_revision", pa.string(), "", "revision of its weights or code"),
    ("seed", pa.int64(), "", "seed of the take"),
    ("attempt", pa.int32(), "", "which attempt settled it, from 1; 0: none was made"),
    ("status", pa.string(), "", "kept, rejected or failed"),
    ("reason", pa.string(), "", "why it was rejected or failed, for people"),
    ("blame", pa.string(), "", "what a failure is put down to: task, worker, node or store"),
    ("kind", pa.string(), "", "a failure in one stable word"),
    ("score", pa.float64(), "0..1", "score of the span, 1 is good"),
)
_AFTER_SCORES: tuple[tuple[str, pa.DataType, str, str], ...] = (
    ("accepted", pa.bool_(), "", "passed the scorer"),
    ("span_start", pa.int32(), "frames", "first rendered frame that the clip shows"),
    ("span_stop", pa.int32(), "frames", "first rendered frame after the clip"),
    ("frames", pa.int32(), "frames", "frames of the take; the clip holds those of its span"),
    ("fps", pa.float64(), "frames/s", "frame rate"),
    ("width_px", pa.int32(), "px", "width of a frame"),
    ("height_px", pa.int32(), "px", "height of a frame"),
    ("rendered_fps", pa.float64(), "frames/s", "rate the model gave, where fps was reached by interpolation"),
    (
        "still_scale",
        pa.float64(),
        "",
        "frame pixels per still pixel along an edge; above 1 the still was enlarged",
    ),
    ("clip_uri", pa.string(), "", "key of the clip, relative to the run's output"),
    ("poster_uri", pa.string(), "", "key of the poster, relative to the run's output"),
    ("clip_sha256", pa.string(), "", "SHA-256 of the clip's file"),
    ("clip_bytes", pa.int64(), "bytes", "size of the clip's file"),
    ("render_s", pa.float64(), "s", "time the renderer took"),
    ("finish_s", pa.float64(), "s", "time scoring, trimming, encoding and storing took"),
    ("wait_s", pa.float64(), "s", "time the renderer stood idle before"),
    ("accelerator", pa.string(), "", "what it was rendered on"),
    ("worker", pa.string(), "", "name of the worker"),
    ("node", pa.string(), "", "name of the machine"),
    ("cost_usd", pa.float64(), "USD", "price of the accelerator's time"),
    ("started_at", _TIME, "UTC", "when rendering began"),
    ("finished_at", _TIME, "UTC", "when it settled"),
    ("farm_version", pa.string(), "", "version of the farm"),
    ("fingerprint", pa.string(), "JSON", "versions and settings that may change a pixel"),
)
_OWN_COLUMNS = tuple(name for name, *_ in (*_BEFORE_SCORES, *_AFTER_SCORES))
_OUTCOME_FIELDS = frozenset(field.name for field in fields(Outcome))
_ADAPTER = TypeAdapter(Outcome)


def column(name: str, type_: pa.DataType, unit: str, description: str) -> pa.Field:
    """A column with its unit, where it has one, and its description in the field's metadata."""
    metadata = {"description": description} | ({"unit": unit} if unit else {})
    return pa.field(name, type_, metadata=metadata)


def takes_schema(dimensions: Sequence[str], extra: pa.Schema) -> pa.Schema:
    """The columns of the takes manifest: the contract's, a `score_<dimension>` each, and the catalog's own last.

    Raises InputError when a column of the catalog has a name of the manifest's, ValueError for a dimension that
    cannot name a column.
    """
    if len(set(dimensions)) != len(dimensions) or not all(map(_DIMENSION.fullmatch, dimensions)):
        raise ValueError(f"dimensions {list(dimensions)}: expected different snake_case names")
    scores = [column(_SCORE + name, pa.float64(), "0..1", f"{name}, 1 is good") for name in dimensions]
    columns = [*(column(*one) for one in _BEFORE_SCORES), *scores, *(column(*one) for one in _AFTER_SCORES)]
    return with_extra(columns, extra, reserved_prefix=_SCORE)


def with_extra(columns: Sequence[pa.Field], extra: pa.Schema, *, reserved_prefix: str = "\0") -> pa.Schema:
    """A schema of `columns` and then the catalog's own. Raises InputError where two names would meet.

    Names are compared without case, as SQL engines do.
    """
    taken = {field.name.casefold() for field in columns}
    for name in extra.names:
        folded = name.casefold()
        if folded in taken or folded.startswith(reserved_prefix):
            raise InputError(
                f"catalog column {name!r}: the manifest has a column of that name, or another column of the "
                "catalog differs from it in case only; rename it"
            )
        taken.add(folded)
    return pa.schema([*columns, *extra])


class Columns:
    """Makes rows of one schema, and checks each value against its column."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self._converters = {field.name: _converter(field.type) for field in schema}

    def row(self, values: Mapping[str, object]) -> dict[str, object]:
        """The values in the order of the columns, None where there is none.

        Raises ValueError for a value that has no column or does not fit it.
        """
        lost = values.keys() - self._converters.keys()
        if lost:
            raise ValueError(f"no column for {', '.join(sorted(lost))}")
        name = ""
        try:
            made = {}
            for name, convert in self._converters.items():
                value = values.get(name)
                made[name] = None if value is None else convert(value)
            return made
        except ValueError as e:
            raise ValueError(f"{name}={values[name]!r} does not fit a column of {e}") from None

    def parquet(self, rows: Sequence[Mapping[str, object]]) -> bytes:
        """A whole Parquet file; the same rows give the same bytes."""
        buffer = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows, schema=self.schema), buffer, compression="zstd")
        data: bytes = buffer.getvalue().to_pybytes()
        return data


def outcome_values(outcome: Outcome) -> dict[str, object]:
    """The outcome by the names of the manifest's columns. Raises ValueError for an extra value under one of them."""
    values: dict[str, object] = {name: getattr(outcome, name) for name in _OWN_COLUMNS}
    for name, score in outcome.scores.items():
        values[_SCORE + name] = score
    for name, value in outcome.extra.items():
        if name in values:
            raise ValueError(f"extra {name}={value!r}: the manifest has a column of that name")
        values[name] = value
    return values


def outcome_of_row(row: Mapping[str, Any], where: str) -> Outcome:
    """The outcome that a row holds: `outcome_values` of it make that row again.

    Raises InputError, naming `where`, for a row that was not made of one.
    """
    known = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if value is not None
    }
    values = {name: known.pop(name) for name in _OWN_COLUMNS if name in known}
    scores = {name.removeprefix(_SCORE): known.pop(name) for name in list(known) if name.startswith(_SCORE)}
    try:
        return _ADAPTER.validate_python(values | {"scores": scores, "extra": known})
    except ValidationError as e:
        raise InputError(f"{where}: take {row.get('take_id')}: its row was not written by farm") from e


def storable(text: str) -> str:
    """The text as UTF-8 can hold it: halves of a surrogate pair are joined, or become U+FFFD alone."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def encode_outcome(outcome: Outcome) -> bytes:
    """The JSON object that a worker commits. Raises ValueError for NaN and infinity."""
    return storable(canonical(outcome)).encode()


def decode_outcome(data: bytes, *, where: str = "outcome") -> Outcome:
    """What `encode_outcome` made. Raises InputError, naming `where`, for anything else."""
    try:
        value = json.loads(data)
        unknown = value.keys() - _OUTCOME_FIELDS if isinstance(value, Mapping) else ()
        if unknown:
            raise InputError(
                f"{where}: unknown keys {', '.join(sorted(unknown))}: written by another version of the farm; "
                "go on with that one"
            )
        return _ADAPTER.validate_json(data, strict=True)
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{where}: no outcome: {place} {first['msg']}") from None
    except ValueError as e:
        raise InputError(f"{where}: no outcome: not JSON: {e}") from None


def _converter(type_: pa.DataType) -> Callable[[object], object]:
    """Turns what is not None into what Arrow takes; the ValueErrors it raises say the type."""
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return _text
    if pa.types.is_boolean(type_):
        return _bool
    if pa.types.is_signed_integer(type_):
        limit: int = 2 ** (type_.bit_width - 1)
        return lambda value: _int(value, limit)
    if pa.types.is_floating(type_):
        return _float
    if pa.types.is_timestamp(type_):
        return _time
    raise ValueError(
        f"no column can be made of {type_}; allowed: string, bool, int8 to int64, floats, timestamps"
    )


def _text(value: object) -> str:
    # A catalog's column may hold texts and numbers; it is one of texts then.
    return storable(str(value) if isinstance(value, str) else canonical(value))


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("truth values")
    return value


def _int(value: object, limit: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -limit <= value < limit:
        raise ValueError(f"whole numbers from {-limit} to {limit - 1}")
    return value


def _float(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError("finite numbers")
    return float(value)


def _time(value: object) -> datetime:
    time = datetime.fromisoformat(value) if isinstance(value, str) else None
    if time is None or time.tzinfo is None:
        raise ValueError("ISO times with their zone")
    return time
