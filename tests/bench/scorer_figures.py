"""Measures every entry of the development set once: by our scorer, as a run of the farm would, and VBench-style.

Invariant: a measurement is kept in a folder that is named by the content of all sources that decide it, one file per
entry, so that a bench that was stopped goes on, a change to our scorer does not measure VBench's dimensions again,
and no figure is ever of another version than it says.
"""

import hashlib
import json
import math
import multiprocessing
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import devset
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import vbench_style
from numpy.typing import NDArray
from scorer_metrics import Row, damage

from farm.ids import segment
from farm.score.calibration.fit import Sample
from farm.score.score import StillReferenceScorer, figured
from farm.trim.span import best_span
from farm.values import Curve

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build/bench-scorer"
SPAN_S = 2.0  # what the farm's default job keeps of a take
ACCEPT = 0.7  # its default limit
MEASURING = (
    "adjacent", "borders", "colour", "detail", "fidelity", "figures", "flow", "ghosting", "motion", "planes",
    "reference", "stability", "warping",
)  # fmt: skip
HARD_WEIGHT = 2.0  # in a calibration: what legitimate takes look like has more kinds than we thought of
OURS, THEIRS = "score", "vbench_total"  # the columns that are compared


@dataclass(frozen=True, slots=True)
class Work:
    """One entry, and the files that are still to be made of it."""

    entry: devset.Entry
    ours: Path | None
    theirs: Path | None


def measured(entries: Sequence[devset.Entry], jobs: int) -> list[dict[str, Any]]:
    """One flat record for each entry, in their order; also written to BUILD/entries.parquet.

    VBench-style figures are of whole takes, so a damaged take that has a clean window has none.
    """
    ours, theirs = _folders()
    _make(entries, jobs, with_vbench=True)
    records = [_record(entry, ours, theirs) for entry in entries]
    pq.write_table(pa.Table.from_pylist(records), BUILD / "entries.parquet")
    return records


def samples(entries: Sequence[devset.Entry], jobs: int) -> list[Sample]:
    """What a calibration is fitted to."""
    ours, _ = _folders()
    _make(entries, jobs, with_vbench=False)
    found = []
    for entry in entries:
        kept = _kept(ours / f"{_name(entry)}.npz")
        weight = HARD_WEIGHT if entry.role == "hard" else 1.0
        found.append(Sample(entry.severity, weight, kept.bad, kept.cuts, _length(kept.fps), kept.figures))
    return found


def judged(entries: Sequence[devset.Entry], jobs: int) -> list[dict[str, Any]]:
    """What our scorer says of each entry, without VBench's dimensions."""
    ours, _ = _folders()
    _make(entries, jobs, with_vbench=False)
    return [{**asdict(entry), **_judged(_kept(ours / f"{_name(entry)}.npz"))} for entry in entries]


def known(entries: Sequence[devset.Entry]) -> list[devset.Entry]:
    """Those that are measured already, by the sources as they are now."""
    ours, theirs = _folders()
    return [
        entry
        for entry in entries
        if (ours / f"{_name(entry)}.npz").exists() and (theirs / f"{_name(entry)}.json").exists()
    ]


def rows(records: Iterable[dict[str, Any]]) -> list[Row]:
    """What the metrics need of records."""
    plain = [name for name in Row.__dataclass_fields__ if name != "scores"]
    return [
        Row(
            **{name: record[name] for name in plain},
            scores={OURS: record[OURS], THEIRS: record[THEIRS]},
        )
        for record in records
    ]


# one entry


def _make(entries: Sequence[devset.Entry], jobs: int, *, with_vbench: bool) -> None:
    ours, theirs = _folders()
    for folder in (ours, theirs):
        folder.mkdir(parents=True, exist_ok=True)
    work = [
        Work(
            entry,
            _missing(ours / f"{_name(entry)}.npz"),
            _missing(theirs / f"{_name(entry)}.json") if with_vbench else None,
        )
        for entry in entries
    ]
    _do([one for one in work if one.ours or one.theirs], jobs)


def _do(todo: Sequence[Work], jobs: int) -> None:
    if not todo:
        return
    start_s = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        for done, name in enumerate(pool.imap_unordered(_measure, todo, chunksize=2), start=1):
            spent_s = time.monotonic() - start_s
            left_s = spent_s / done * (len(todo) - done)
            if done % 20 == 0 or done == len(todo):
                print(f"{done}/{len(todo)}, {left_s / 60:.1f} min left: {name}", file=sys.stderr, flush=True)


def _measure(work: Work) -> str:
    clip = devset.clip(work.entry)
    if work.ours:
        _ours(clip, work.ours)
    if work.theirs:
        found = {}
        if work.entry.role != "fault" or damage(clip.bad, 0, 1, _length(clip.fps))["least_bad"] > 0:
            found = vbench_style.dimensions(clip.frames, clip.fps, clip.still)
            found["total"] = vbench_style.total(found)
        partial = work.theirs.with_suffix(".partial")
        partial.write_text(json.dumps(found))
        partial.replace(work.theirs)
    return work.entry.id


def _ours(clip: devset.Clip, path: Path) -> None:
    start_s = time.process_time()
    figures, cuts = figured(clip.frames, clip.fps, clip.still)
    said = {
        "fps": [clip.fps.numerator, clip.fps.denominator],
        "cuts": list(cuts),
        "cpu_s": time.process_time() - start_s,
    }
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez_compressed(
            file, allow_pickle=False, said=np.asarray(json.dumps(said)), bad=clip.bad, **figures
        )
    partial.replace(path)


@dataclass(frozen=True, slots=True)
class Kept:
    """What was measured of an entry, as it lies on disk."""

    figures: dict[str, Curve]
    bad: NDArray[np.bool_]
    fps: Fraction
    cuts: tuple[int, ...]
    cpu_s: float


def _kept(path: Path) -> Kept:
    with np.load(path) as file:
        said = json.loads(str(file["said"]))
        figures = {name: file[name] for name in file.files if name not in ("said", "bad")}
        return Kept(figures, file["bad"], Fraction(*said["fps"]), tuple(said["cuts"]), said["cpu_s"])


def _judged(kept: Kept) -> dict[str, Any]:
    """What a run of the farm would make of it."""
    scorer = StillReferenceScorer()
    measures = scorer.weighed(kept.figures, kept.cuts)
    span = best_span(measures.composite, measures.cuts, _length(kept.fps))
    review = scorer.judge(measures, span, kept.fps, ACCEPT)
    return {
        "score": review.score,
        "accepted": review.accepted,
        "reasons": list(review.reasons),
        "span_start": span.start,
        "span_stop": span.stop,
        "frames": len(kept.bad),
        "fps": float(kept.fps),
        "cpu_s": kept.cpu_s,
        "cuts": list(kept.cuts),
        **damage(kept.bad, span.start, span.stop, _length(kept.fps)),
        **{f"dim_{name}": value for name, value in review.dimensions.items()},
    }


def _length(fps: Fraction) -> int:
    return max(1, round(SPAN_S * fps))


def _record(entry: devset.Entry, ours: Path, theirs: Path) -> dict[str, Any]:
    judged = _judged(_kept(ours / f"{_name(entry)}.npz"))
    vbench = json.loads((theirs / f"{_name(entry)}.json").read_text())
    return {
        **asdict(entry),
        **judged,
        THEIRS: math.nan,
        **{f"vbench_{name}": value for name, value in vbench.items()},
    }


# what is kept


def _folders() -> tuple[Path, Path]:
    return BUILD / f"ours-{_key(_our_sources())}", BUILD / f"vbench-{_key(_their_sources())}"


def _our_sources() -> list[Path]:
    """What decides figures; how they are weighed does not."""
    return [*((ROOT / "farm/score" / f"{name}.py") for name in MEASURING), *_devset_sources()]


def _their_sources() -> list[Path]:
    return [HERE / "vbench_style.py", *_devset_sources()]


def _devset_sources() -> list[Path]:
    return list(HERE.glob("devset*.py"))


def _key(sources: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _name(entry: devset.Entry) -> str:
    return segment(entry.id)


def _missing(path: Path) -> Path | None:
    return None if path.exists() else path
