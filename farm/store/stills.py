"""What the gate saw of each still, as Parquet parts that a resumed run reads instead of the stills.

Invariant: a part's name is its number, and it is written once: who finds a number taken reads what stands there.
"""

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from farm.errors import StoreError
from farm.redact import redact
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.rows import Columns, column, with_extra
from farm.values import Gate, Still, StillReport

# Column to attribute, where the two differ: the ids join with those of the takes.
_STILL = {"still_id": "id", "still_uri": "uri", "catalog_row": "where"} | {
    name: name for name in ("character", "shot", "prompt")
}
_REPORT = {"still_sha256": "sha256"} | {
    name: name for name in ("width_px", "height_px", "still_bytes", "reason", "kind", "version")
}
_COLUMNS = (
    column("still_id", pa.string(), "", "id of the still in the catalog"),
    column("still_uri", pa.string(), "", "where it is read, without credentials"),
    column("catalog_row", pa.string(), "", "the row of the catalog that it comes from"),
    column("character", pa.string(), "", "who it shows"),
    column("shot", pa.string(), "", "group of candidate stills"),
    column("prompt", pa.string(), "", "what the catalog says of it to the model"),
    column("verdict", pa.string(), "", "ok, warn or refuse"),
    column("still_sha256", pa.string(), "", "SHA-256 of its file"),
    column("width_px", pa.int32(), "px", "its width, as it is to be looked at"),
    column("height_px", pa.int32(), "px", "its height, as it is to be looked at"),
    column("still_bytes", pa.int64(), "bytes", "size of its file"),
    column("reason", pa.string(), "", "why it was refused or warned of, for people"),
    column("kind", pa.string(), "", "the reason in one stable word"),
    column("version", pa.string(), "", "what the store says of it, to see whether it changed"),
)


def stills_schema(extra: pa.Schema) -> pa.Schema:
    """The columns of the stills' parts, the catalog's own last. Raises InputError where two names would meet."""
    return with_extra(_COLUMNS, extra)


def write_stills_part(blobs: Blobs, number: int, reports: Sequence[StillReport], extra: pa.Schema) -> bool:
    """Writes part `number` of what the gate saw; False where another driver's part stands there.

    Raises ValueError for an extra value without a column, StoreError.
    """
    columns = Columns(stills_schema(extra))
    data = columns.parquet([columns.row(_values(report)) for report in reports])
    key = layout.stills_part_key(number)
    return blobs.create(key, data) or blobs.get(key) == data  # the same: our own, whose answer was lost


def read_stills(blobs: Blobs) -> Iterator[StillReport]:
    """All reports, part by part. Their uris are without credentials: good for names, not for reading.

    Raises StoreError, also for a part that is no Parquet.
    """
    keys = sorted(key for key, _ in blobs.list(layout.STILLS) if layout.part_number(key) is not None)
    for key, data in blobs.get_many(keys):
        try:
            rows = pq.read_table(BytesIO(data)).to_pylist()
        except pa.ArrowInvalid as e:
            raise StoreError(f"{blobs.url}/{key}: is no Parquet file: {e}", kind="other") from e
        yield from map(_report, rows)


def _values(report: StillReport) -> dict[str, object]:
    values: dict[str, object] = dict(report.still.extra)
    values |= {name: getattr(report.still, attribute) for name, attribute in _STILL.items()}
    values |= {name: getattr(report, attribute) for name, attribute in _REPORT.items()}
    return values | {"still_uri": redact(report.still.uri), "verdict": report.verdict}


def _report(row: dict[str, Any]) -> StillReport:
    still = {attribute: row[name] for name, attribute in _STILL.items()}
    seen = {attribute: row[name] for name, attribute in _REPORT.items()}
    own = {*_STILL, *_REPORT, "verdict"}
    extra = {name: value for name, value in row.items() if name not in own and value is not None}
    return StillReport(still=Still(**still, extra=extra), verdict=Gate(row["verdict"]), **seen)
