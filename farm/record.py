"""What a run leaves behind while it goes on: outcomes, what the gate saw, and in the end selects and summary.

Invariants
- An outcome that no worker committed is committed here before it counts, or, while the store is away, stands in the
  next part; the rest can be made again from what is in the store.
- Whoever writes here has asked just before whether the run is still its own (`check`, see store/lease.py).
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TypeAlias

import pyarrow as pa

from farm.clock import Clock
from farm.errors import InputError, StoreError
from farm.ids import sha256_hex
from farm.report.summary import COLUMNS, Summary, plain, summarize
from farm.score.verdict import circle
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.manifest import FLUSH_EVERY_S, Manifest, alone, encode_outcome, read_takes, takes_schema
from farm.store.selects import write_selects
from farm.store.stills import read_stills, write_stills_part
from farm.values import Outcome, Select, Status, StillReport

_STILLS_A_PART = 1000
_PAUSES_S = (
    1.0,
    5.0,
    20.0,
)  # before the store is asked again; a try itself is patient, and the loop stands still

# What circling a take needs to know of it.
_SELECT_COLUMNS = ("still_id", "motion_id", "model", "seed", "take_id", "status", "score", "accepted", "attempt",
                   "clip_uri", "cost_usd")  # fmt: skip

_Won: TypeAlias = tuple[str, str | None]  # a select's verdict, and the model of its take


class RunRecord:
    """The Record of a driver (see dispatch/driver.py) over one run's store."""

    def __init__(
        self,
        blobs: Blobs,
        manifest: Manifest,
        extra: pa.Schema,
        clock: Clock,
        check: Callable[[], None] = alone,
    ) -> None:
        self._blobs = blobs
        self._manifest = manifest
        self._extra = extra
        self._clock = clock
        self._check = check
        self._reports: list[StillReport] = []
        self._oldest_s = 0.0  # when the first of the reports was made
        self._refusals = 0  # of the store, in a row
        self._quiet_until_s = 0.0
        self._told, self._parts = _stills_told(blobs)

    def add(self, outcome: Outcome) -> None:
        self._manifest.add(outcome)

    def commit(self, outcome: Outcome) -> None:
        if outcome.take_id in self._manifest:
            return  # a still that is refused as it was in an earlier session, though it was whole in between
        if self._clock.monotonic_s() >= self._quiet_until_s:
            try:
                self._check()
                self._blobs.put(layout.outcome_key(outcome.take_id), encode_outcome(outcome))
            except StoreError as e:
                self._bear(e)
        self._manifest.add(outcome)

    def saw(self, report: StillReport) -> None:
        told = _told_as(report)
        if told in self._told:
            return
        self._told.add(told)  # a still is looked at in each pass that needs it
        if not self._reports:
            self._oldest_s = self._clock.monotonic_s()
        self._reports.append(report)

    def flush_due(self) -> None:
        """Writes what has waited long enough, if the store is there: an outage is borne as long as the run is.

        Raises StoreError for what does not pass by itself.
        """
        now_s = self._clock.monotonic_s()
        if now_s < self._quiet_until_s:
            return
        try:
            # A driver that is killed loses what waits here, and what is settled is not looked at again.
            waited_s = now_s - self._oldest_s if self._reports else 0.0
            if len(self._reports) >= _STILLS_A_PART or waited_s >= FLUSH_EVERY_S:
                self._write_stills()
            self._manifest.flush_due()
        except StoreError as e:
            self._bear(e)
        else:
            self._refusals = 0

    def flush(self) -> None:
        """Everything that is known is in the store when this returns. Raises StoreError when it stays away."""
        for pause_s in _PAUSES_S:
            try:
                self._flush()
                return
            except StoreError as e:
                if not e.passing:
                    raise
            self._clock.sleep(pause_s)
        self._flush()

    def _flush(self) -> None:
        self._manifest.flush()
        self._write_stills()

    def _bear(self, e: StoreError) -> None:
        """Leaves the store alone for a while. Raises what does not pass by itself."""
        if not e.passing:
            raise e
        self._quiet_until_s = self._clock.monotonic_s() + _PAUSES_S[min(self._refusals, len(_PAUSES_S) - 1)]
        self._refusals += 1

    def _write_stills(self) -> None:
        while self._reports:
            self._check()
            if write_stills_part(self._blobs, self._parts, self._reports, self._extra):
                self._parts += 1
                self._reports = []
            else:
                # A driver that lost this run to us wrote its last part after we had counted.
                self._told, self._parts = _stills_told(self._blobs)
                self._reports = [report for report in self._reports if _told_as(report) not in self._told]


def begun_with(blobs: Blobs) -> dict[str, object] | None:
    """The job.json of a run, None where there is none. Raises InputError where it is somebody else's."""
    if not blobs.exists(layout.JOB):
        return None
    try:
        job = json.loads(blobs.get(layout.JOB))
    except ValueError:
        job = None
    if not isinstance(job, dict) or "name" not in job:
        raise InputError(f"{blobs.url}/{layout.JOB}: was not written by farm; give another output")
    return job


def spent_before(blobs: Blobs) -> float:
    """What the sessions of a run that came to an end cost, idle workers included; in $, 0 before the first."""
    if not blobs.exists(layout.SUMMARY):
        return 0.0
    return float(json.loads(blobs.get(layout.SUMMARY))["spent_usd"])


def close_run(
    blobs: Blobs,
    name: str,
    pairs: int | None,
    spent_usd: float,
    ended: str,
    check: Callable[[], None] = alone,
) -> Summary:
    """Circles the best takes of all that the manifest holds, and writes selects and summary."""
    counts: Counter[_Won] = Counter()  # noted as they pass: circling reads the whole manifest, once is enough

    def noted() -> Iterator[Select]:
        for select in selects(blobs):
            counts[_won(select)] += 1
            yield select

    check()
    write_selects(blobs, noted())
    summary = summarize(name, _takes(blobs, COLUMNS), counts, pairs)
    body = plain(summary) | {"ended": ended, "spent_usd": spent_usd}
    check()
    blobs.put(layout.SUMMARY, json.dumps(body, indent=2, ensure_ascii=False).encode())
    return summary


def read_summary(blobs: Blobs, name: str, pairs: int | None) -> Summary:
    """The summary of what the store holds now."""
    return summarize(name, _takes(blobs, COLUMNS), Counter(map(_won, selects(blobs))), pairs)


def selects(blobs: Blobs) -> Iterator[Select]:
    """The circled take of each (still, motion) in the manifest, in the order of their ids."""
    order = [("still_id", "ascending"), ("motion_id", "ascending")]
    table = _takes(blobs, _SELECT_COLUMNS).sort_by(order)
    rows = (row for batch in table.to_batches(max_chunksize=4096) for row in batch.to_pylist())
    for _, group in groupby(rows, key=lambda row: (row["still_id"], row["motion_id"])):
        yield circle([_outcome(row) for row in group])


def _won(select: Select) -> _Won:
    return select.verdict.value, select.model


def _takes(blobs: Blobs, columns: Sequence[str]) -> pa.Table:
    """Some of the contract's columns of the manifest, as one table; empty before the first part."""
    whole = takes_schema((), pa.schema([]))
    schema = pa.schema([whole.field(name).remove_metadata() for name in columns])
    return pa.Table.from_batches((batch.cast(schema) for batch in read_takes(blobs, columns)), schema=schema)


def _outcome(row: dict[str, object]) -> Outcome:
    """As much of an outcome as circling needs."""
    known = {**row, "status": Status(str(row["status"]))}
    blank = {"still_uri": "", "still_sha256": "", "prompt": "", "model_revision": ""}
    return Outcome(**blank, **known)  # type: ignore[arg-type]


def _stills_told(blobs: Blobs) -> tuple[set[str], int]:
    """What earlier sessions wrote of stills, and the number of the next part."""
    told = {_told_as(report) for report in read_stills(blobs)}
    parts = [layout.part_number(key) for key, _ in blobs.list(layout.STILLS)]
    return told, 1 + max((number for number in parts if number is not None), default=-1)


def _told_as(report: StillReport) -> str:
    return sha256_hex(f"{report.still.id}\n{report.sha256}\n{report.verdict}".encode())[:16]
