"""Stills in Parquet files.

Invariant: a file is read in batches of rows; no column is ever held whole.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from farm.catalog.columns import Row, carried_type, checked_names
from farm.catalog.naming import printable
from farm.catalog.remote import opened
from farm.errors import InputError
from farm.redact import redact_all

_BATCH_ROWS = 8192


class ParquetRows:
    def __init__(self, place: str, shown_as: str) -> None:
        self._place = place
        self._shown = shown_as

    def __iter__(self) -> Iterator[Row]:
        number = 0
        with self._reading() as parquet:
            for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
                names = batch.schema.names
                for values in zip(*[_values(column) for column in batch.columns], strict=True):
                    number += 1
                    yield number, dict(zip(names, values, strict=True))

    def schema(self) -> pa.Schema:
        with self._reading() as parquet:
            schema = parquet.schema_arrow
        checked_names(schema.names, self._shown)
        return pa.schema([(column.name, carried_type(column.type)) for column in schema])

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with self._reading() as parquet:
            names = [name for name in columns if name in parquet.schema_arrow.names]
            for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=names, use_threads=False):
                plain = [_decoded(batch.column(name)) for name in names]
                # A float is no id and a number no image: the row by row way says so.
                if not all(
                    pa.types.is_string(column.type)
                    or pa.types.is_large_string(column.type)
                    or (name == "id" and pa.types.is_integer(column.type))
                    for name, column in zip(names, plain, strict=True)
                ):
                    return
                texts = [column.cast(pa.string()) for column in plain]
                yield pa.RecordBatch.from_arrays(texts, names=names)

    @contextmanager
    def _reading(self) -> Iterator[pq.ParquetFile]:
        with opened(self._place) as file:
            try:
                yield pq.ParquetFile(file)
            except (pa.ArrowException, ValueError) as e:
                raise InputError(f"{self._shown}: cannot be read as Parquet: {_first_line(e)}") from None
            except OSError as e:
                # Arrow raises OSError without a number for broken files; with one, it is the store's.
                if e.errno is not None or type(e) is not OSError:
                    raise
                raise InputError(f"{self._shown}: cannot be read as Parquet: {_first_line(e)}") from None


def _decoded(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _values(column: pa.Array) -> list[object]:
    column = _decoded(column)
    # Python's own dates and times end at microseconds: nanoseconds would be an error without pandas.
    if pa.types.is_temporal(column.type) and not pa.types.is_duration(column.type):
        column = column.cast(pa.string())
    values: list[object] = column.to_pylist()
    return values


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return printable(redact_all(lines[0])) if lines else type(error).__name__
