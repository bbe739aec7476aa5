"""The circled takes of a run, as one Parquet object that is replaced whole.

Invariant: a reader sees the selects of one moment, never half of two.
"""

from collections.abc import Iterable
from dataclasses import fields
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.rows import Columns, column
from farm.values import Select

_ROWS_AT_ONCE = 10_000

selects_schema = pa.schema(
    [
        column("still_id", pa.string(), "", "id of the still in the catalog"),
        column("motion_id", pa.string(), "", "id of the motion in its library"),
        column("verdict", pa.string(), "", "selected, none_usable, or a human's override"),
        column("take_id", pa.string(), "", "the circled take; null where none is usable"),
        column("model", pa.string(), "", "name of the model that made it"),
        column("score", pa.float64(), "0..1", "its score, 1 is good"),
        column("clip_uri", pa.string(), "", "key of its clip, relative to the run's output"),
        column("takes_tried", pa.int32(), "takes", "how many takes of all models competed"),
        column("cost_usd", pa.float64(), "USD", "price of all of them"),
    ]
)


def write_selects(blobs: Blobs, selects: Iterable[Select]) -> None:
    """Writes `selects.parquet`, in the order given. Raises ValueError for NaN, StoreError."""
    columns = Columns(selects_schema)
    names = [field.name for field in fields(Select)]
    buffer = pa.BufferOutputStream()
    rest = iter(selects)
    with pq.ParquetWriter(buffer, selects_schema, compression="zstd") as writer:
        while chunk := list(islice(rest, _ROWS_AT_ONCE)):
            rows = [columns.row({name: getattr(select, name) for name in names}) for select in chunk]
            writer.write_table(pa.Table.from_pylist(rows, schema=selects_schema))
    blobs.put(layout.SELECTS, buffer.getvalue().to_pybytes())
