"""Columns of tables: their names, and the types in which a catalog's own columns are carried to the manifest.

Invariant: a carried value is a text, a whole number, a finite number, a boolean or null, and fits its column's type.
"""

import json
import math
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias

import pyarrow as pa

from farm.catalog.naming import printable
from farm.errors import InputError
from farm.values import Scalar

MAX_COLUMNS = 1000

Row: TypeAlias = tuple[int, Mapping[str, object]]


class Rows(Protocol):
    """The rows of a table as named values.

    A row's number is its line in the file (CSV, JSONL; its first line, where a value holds line breaks), or its row
    counted from 1 (Parquet).
    """

    def __iter__(self) -> Iterator[Row]:
        """Every row, from the start. Raises InputError at the first that cannot be read."""
        ...

    def schema(self) -> pa.Schema:
        """All columns with the types their values are carried in. Raises InputError."""
        ...

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Those of these columns that there are, of all rows and as text; nothing where there is no such way.

        Fast, and laxer than row by row. Raises InputError, and what pyarrow raises.
        """
        ...


def checked_names(names: Sequence[str], where: str) -> list[str]:
    """The column names, if each stands once and says something. Raises InputError."""
    if len(names) > MAX_COLUMNS:
        raise InputError(f"{where}: {len(names)} columns; allowed: {MAX_COLUMNS}")
    seen: set[str] = set()
    for number, name in enumerate(names, 1):
        if not name.strip():
            raise InputError(f"{where}: column {number} has no name; give it one or leave it out")
        if name in seen:
            raise InputError(f"{where}: column '{printable(name)}' stands twice")
        if printable(name) != name:
            raise InputError(f"{where}: the column name '{printable(name)}' holds control characters")
        seen.add(name)
    return list(names)


def listed(names: Iterable[str]) -> str:
    """Names for a message, the first ten."""
    told = [printable(name) for name in names]
    return ", ".join(told[:10]) + (f" and {len(told) - 10} more" if len(told) > 10 else "")


def json_kind(value: object) -> type:
    """The Python type that says how a JSON value can be carried; `object` for what only text can carry."""
    kind = type(value)
    if kind is int and not -(2**63) <= value < 2**63:  # type: ignore[operator]  # an int by its type
        return object
    return kind


def common_type(kinds: set[type]) -> pa.DataType:
    """The type in which all JSON values of a column can be carried: their own if they agree, else text."""
    if kinds == {int, float}:
        return pa.float64()
    own = {bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
    return own.get(next(iter(kinds)), pa.string()) if len(kinds) == 1 else pa.string()


def carried_type(column: pa.DataType) -> pa.DataType:
    """The type in which an Arrow column is carried: numbers and booleans keep theirs, all else becomes text."""
    if pa.types.is_dictionary(column):
        return carried_type(column.value_type)
    if pa.types.is_float16(column):
        return pa.float32()
    plain = pa.types.is_integer(column) or pa.types.is_floating(column) or pa.types.is_boolean(column)
    return column if plain else pa.string()


def carry(value: object, column: pa.DataType) -> Scalar:
    """A value as its column carries it; NaN and infinity become null, which every reader understands."""
    if value is None:
        return None
    if pa.types.is_floating(column):
        number = float(value)  # type: ignore[arg-type]  # a float or, in a column with both, an int
        return number if math.isfinite(number) else None
    if isinstance(value, str) or (isinstance(value, int | float) and not pa.types.is_string(column)):
        return value
    return _text(value)


def kind_of(value: object) -> str:
    """What a value is, for people who write JSON."""
    if value is None:
        return "null"
    names = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), type(value).__name__)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, bool | int | float | list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=_text)
    return str(value)
