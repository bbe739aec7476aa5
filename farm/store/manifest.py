"""The record of all takes: Parquet parts, gathered from the outcomes that workers commit.

Invariants
- A take stands in exactly one row. The order is: part first, then its outcomes are deleted; whatever a crash leaves
  between the two, `recover` tells by the take ids in the parts.
- A part's name is its number, and the store lets one driver write it. A driver writes the number after those that it
  has read, so two drivers that both believe a run to be theirs cannot both add a take: the second finds the number
  taken. What it wrote itself, its answer lost, it knows by the content.
- Before parts are written and before outcomes are deleted, `check` says whether the run is still ours.
- Readers need nothing but a glob: what stands in `takes/*.parquet` is settled, at any time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from farm.clock import Clock
from farm.errors import BrokenFarm, InputError, StoreError
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.rows import Columns, decode_outcome, encode_outcome, outcome_values, takes_schema
from farm.values import Outcome

__all__ = ["Manifest", "decode_outcome", "encode_outcome", "read_takes", "takes_schema"]

ROWS_PER_PART = 1000
FLUSH_EVERY_S = 5.0
_MERGE_AT = 50_000  # fresh ids; a merge copies all 16 bytes a take, 10 ms for a million
_ID_BYTES = 16


def alone() -> None:
    """The `check` of who shares a run with nobody."""


class _PartTaken(BrokenFarm):
    """The number of the next part is another driver's."""


@dataclass(frozen=True, slots=True)
class _Part:
    key: str
    data: bytes
    outcome_keys: tuple[str, ...]


class Manifest:
    """Adds outcomes to the takes of a run. One at a time writes to a run; `recover` comes first.

    All methods raise StoreError when the store fails; nothing is lost then and the next call goes on. Those that
    write raise BrokenFarm when the run is another's.
    """

    def __init__(
        self, blobs: Blobs, schema: pa.Schema, clock: Clock, check: Callable[[], None] = alone
    ) -> None:
        self._blobs = blobs
        self._columns = Columns(schema)
        self._clock = clock
        self._check = check
        self._settled = _TakeIds()
        self._rows: list[dict[str, object]] = []
        self._oldest_s = 0.0  # when the first of the rows was added
        self._sealed: _Part | None = None  # made, but not known to be in the store
        self._gathered: list[str] = []  # outcomes that a part holds and that are still to be deleted
        self._next_number: int | None = None

    def __len__(self) -> int:
        """How many takes have settled."""
        return len(self._settled)

    def __contains__(self, take_id: str) -> bool:
        return take_id in self._settled

    def recover(self) -> int:
        """Gathers what earlier drivers left, and says how many takes have settled; all stand in parts then.

        Raises InputError for an object under `outcomes/` that is no outcome of this version.
        """
        try:
            return self._recover()
        except _PartTaken:
            # A driver that lost this run to us wrote its last part after we had looked. It stands, with its rows.
            self._rows, self._sealed, self._gathered = [], None, []
            return self._recover()

    def _recover(self) -> int:
        parts = _part_keys(self._blobs)
        self._settled = _TakeIds(_take_ids(self._blobs, parts))
        self._next_number = 1 + max((layout.part_number(key) or 0 for key in parts), default=0)
        stray = []
        for key, _ in self._blobs.list(layout.OUTCOMES):
            take_id = layout.take_id_of(key)
            if take_id is not None and take_id in self._settled:
                self._gathered.append(key)
            elif take_id is not None:
                stray.append(key)
        for key, data in self._blobs.get_many(sorted(stray)):
            outcome = decode_outcome(data, where=f"{self._blobs.url}/{key}")
            if layout.outcome_key(outcome.take_id) != key:
                raise InputError(f"{self._blobs.url}/{key}: holds the outcome of take {outcome.take_id}")
            self.add(outcome)
            if len(self._rows) >= ROWS_PER_PART:
                self.flush()
        self.flush()
        return len(self._settled)

    def add(self, outcome: Outcome) -> None:
        """Holds a row until the next flush.

        Raises ValueError for a take that has settled before and for what the schema cannot hold.
        """
        if outcome.take_id in self._settled:
            raise ValueError(f"take {outcome.take_id}: has settled before")
        key = layout.outcome_key(outcome.take_id)
        try:
            row = self._columns.row(outcome_values(outcome))
        except ValueError as e:
            raise ValueError(f"{key}: {e}") from e
        if not self._rows:
            self._oldest_s = self._clock.monotonic_s()
        self._rows.append(row)
        self._settled.add(outcome.take_id)

    def flush_due(self) -> None:
        """Flushes when a part is full or its first row has waited for 5 s. Cheap enough for every turn of a loop."""
        waited_s = self._clock.monotonic_s() - self._oldest_s if self._rows else 0.0
        if self._sealed or len(self._rows) >= ROWS_PER_PART or waited_s >= FLUSH_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Writes all rows as parts of at most 1000, then deletes the outcomes they were gathered from."""
        while self._sealed or self._rows:
            # Sealed once: a second try must write the very same rows, since the first may have arrived.
            self._sealed = self._sealed or self._seal()
            self._check()
            if not self._made(self._sealed):
                raise _PartTaken(
                    f"{self._blobs.url}/{self._sealed.key}: another driver has written that part"
                )
            self._gathered.extend(self._sealed.outcome_keys)
            self._sealed = None
        if self._gathered:
            self._check()
            self._blobs.delete(self._gathered)
            self._gathered = []

    def _made(self, part: _Part) -> bool:
        return self._blobs.create(part.key, part.data) or self._blobs.get(part.key) == part.data

    def _seal(self) -> _Part:
        if self._next_number is None:
            raise ValueError("recover() comes before the first flush: it knows which numbers are taken")
        rows, self._rows = self._rows[:ROWS_PER_PART], self._rows[ROWS_PER_PART:]
        data = self._columns.parquet(rows)
        key = layout.takes_part_key(self._next_number)
        self._next_number += 1
        return _Part(key, data, tuple(layout.outcome_key(str(row["take_id"])) for row in rows))


def read_takes(blobs: Blobs, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of all parts in the order they were written, a part at a time; also while a run adds to them.

    Raises ValueError for a column that is not there, StoreError for a part that is no Parquet.
    """
    for key, data in blobs.get_many(_part_keys(blobs)):
        yield from _read_part(f"{blobs.url}/{key}", data, columns)


class _TakeIds:
    """A set of take ids in 16 bytes each: sorted ones, and a few fresh ones beside them."""

    def __init__(self, take_ids: Iterable[bytes] = ()) -> None:
        self._sorted = np.unique(np.frombuffer(b"".join(take_ids), dtype=f"S{_ID_BYTES}"))
        self._fresh: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._sorted) + len(self._fresh)

    def __contains__(self, take_id: str) -> bool:
        wanted = _id_bytes(take_id)
        if wanted in self._fresh:
            return True
        at = int(np.searchsorted(self._sorted, np.bytes_(wanted)))
        # numpy drops trailing zero bytes; all ids being of one length, nothing is lost by it.
        return at < len(self._sorted) and bytes(self._sorted[at]).ljust(_ID_BYTES, b"\0") == wanted

    def add(self, take_id: str) -> None:
        """Adds an id that is not in it."""
        self._fresh.add(_id_bytes(take_id))
        if len(self._fresh) >= _MERGE_AT:
            fresh: NDArray[np.bytes_] = np.array(sorted(self._fresh), dtype=self._sorted.dtype)
            self._sorted = np.insert(self._sorted, np.searchsorted(self._sorted, fresh), fresh)
            self._fresh = set()


def _id_bytes(take_id: str) -> bytes:
    return bytes.fromhex(take_id)


def _take_ids(blobs: Blobs, parts: Sequence[str]) -> Iterator[bytes]:
    for key, data in blobs.get_many(parts):
        for batch in _read_part(f"{blobs.url}/{key}", data, ["take_id"]):
            yield _id_bytes("".join(batch.column(0).to_pylist()))


def _part_keys(blobs: Blobs) -> list[str]:
    return sorted(key for key, _ in blobs.list(layout.TAKES) if layout.part_number(key) is not None)


def _read_part(where: str, data: bytes, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(pa.BufferReader(data)) as file:
            names = file.schema_arrow.names if columns is None else list(columns)
            missing = set(names) - set(file.schema_arrow.names)
            if missing:
                raise ValueError(f"{where}: has no column {', '.join(sorted(missing))}")
            for batch in file.iter_batches(columns=names):
                yield batch.select(names)
    except pa.ArrowInvalid as e:
        raise StoreError(f"{where}: is no Parquet file: {e}", kind="other") from e
