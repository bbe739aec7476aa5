"""What a verification found, put back: rows without their clip are taken out, so that the next run renders them again.

Invariants
- A row stands in one place that counts, at every instant. Parts are written once, so one that loses rows is replaced:
  first its other rows become outcomes again (they do not count beside the part), then the part goes (they count now),
  then the new part comes (they do not), then the outcomes go. Whoever is killed in between leaves what every driver
  gathers, and no reader ever sees a take twice.
- No clip is deleted, but orphans, and those only when told to.
"""

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from farm.clock import Clock
from farm.errors import InputError
from farm.record import selects
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.manifest import Manifest
from farm.store.rows import encode_outcome, outcome_of_row
from farm.store.selects import write_selects
from farm.trim.encode import filmstrip, poster
from farm.trim.footage import decode
from farm.verify.findings import Cure, Findings, Problem, Row
from farm.verify.rows import in_threads


def repair(
    blobs: Blobs, found: Findings, clock: Clock, check: Callable[[], None], *, delete_orphans: bool
) -> Findings:
    """Mends what can be mended; the same findings, each problem with what was done.

    Nobody else may write to the run: `check` is asked before each write, and raises where somebody else has it now.
    Outcomes that wait are gathered. Raises StoreError, and InputError for a row or an outcome that is not this farm's;
    what was done stays done, and the same command goes on.
    """
    spoilt = {one.key for one in found.problems if one.word == "undecodable" and one.cure is Cure.NONE}
    rows = [row for one in found.problems if (row := _to_take_out(one)) and row.source not in spoilt]
    # Before any part goes: what is gathered already would be gathered again.
    gone = [one.key for one in found.problems if one.cure is Cure.REMOVE]
    check()
    blobs.delete([*gone, *{row.source for row in rows if row.number < 0}])
    _take_out(blobs, (row for row in rows if row.number >= 0), check)
    remade = {one.key for one in found.problems if one.cure is Cure.REMAKE and _remake(blobs, one, check)}
    gathered = bool(found.pending) and not spoilt and _gather(blobs, clock, check)
    broken = any(one.cure is Cure.SELECTS for one in found.problems)
    circled = not spoilt and (broken or (bool(rows or gone or gathered) and blobs.exists(layout.SELECTS)))
    check()
    if circled:
        write_selects(blobs, selects(blobs))
    if delete_orphans:
        blobs.delete([one.key for one in found.problems if one.cure is Cure.DELETE])

    def is_done(problem: Problem) -> bool:
        match problem.cure:
            case Cure.RENDER | Cure.UNDOUBLE:
                return problem.row is None or problem.row.source not in spoilt
            case Cure.REMAKE:
                return problem.key in remade
            case Cure.SELECTS:
                return circled
            case Cure.DELETE:
                return delete_orphans
            case _:
                return True

    mended = [replace(one, done=one.cure.value) if is_done(one) else one for one in found.problems]
    return replace(found, problems=mended)


def _to_take_out(problem: Problem) -> Row | None:
    return problem.row if problem.cure in (Cure.RENDER, Cure.UNDOUBLE) else None


def _take_out(blobs: Blobs, rows: Iterable[Row], check: Callable[[], None]) -> None:
    """Takes rows out of their parts, a part at a time."""
    by_part: dict[str, set[int]] = {}
    for row in rows:
        by_part.setdefault(row.source, set()).add(row.number)
    for key, numbers in sorted(by_part.items()):
        whole = pq.read_table(BytesIO(blobs.get(key)))
        rest = whole.filter(pa.array([number not in numbers for number in range(len(whole))], pa.bool_()))
        _replace_part(blobs, key, rest, check)


def _replace_part(blobs: Blobs, key: str, rest: pa.Table, check: Callable[[], None]) -> None:
    """Puts a part with the rows of `rest` in the place of another that has more. See the invariants above."""
    where = f"{blobs.url}/{key}"
    outcomes = {
        layout.outcome_key(row["take_id"]): encode_outcome(outcome_of_row(row, where))
        for row in rest.to_pylist()
    }
    check()
    for _ in in_threads(lambda one: blobs.put(*one), outcomes.items()):
        pass
    check()
    blobs.delete([key])
    if len(rest):
        buffer = pa.BufferOutputStream()
        pq.write_table(rest, buffer, compression="zstd")
        data: bytes = buffer.getvalue().to_pybytes()
        check()
        blobs.create(layout.takes_part_key(layout.part_number(key) or 0), data)
        blobs.delete(outcomes)


def _remake(blobs: Blobs, problem: Problem, check: Callable[[], None]) -> bool:
    """Makes a poster or filmstrip from its clip; False where the clip shows nothing."""
    clip_uri = problem.row.clip_uri if problem.row else None
    with tempfile.TemporaryDirectory(prefix="farm-") as folder:
        path = Path(folder) / "clip.mp4"
        path.write_bytes(blobs.get(clip_uri or ""))
        try:
            frames, _ = decode(path)
        except InputError:
            return False
    check()
    blobs.put(problem.key, filmstrip(frames) if problem.key.endswith(".strip.webp") else poster(frames))
    return True


def _gather(blobs: Blobs, clock: Clock, check: Callable[[], None]) -> bool:
    """Gathers the outcomes that wait, with the columns of the parts that are there; False where there is none."""
    parts = sorted(key for key, _ in blobs.list(layout.TAKES) if layout.part_number(key) is not None)
    if not parts:
        return False
    schema = pq.read_schema(BytesIO(blobs.get(parts[-1])))
    try:
        Manifest(blobs, schema, clock, check).recover()
    except ValueError as e:
        raise InputError(f"{blobs.url}/{e}: its columns are not those of the takes that are gathered") from e
    return True
