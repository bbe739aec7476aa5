"""One take of a run rendered again from what its row says, and compared with the clip that is stored.

Invariant: nothing in the run is written. A take is rendered only when the still, the motion and the model found now
give the id that its row has; else it is said plainly why not.
"""

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from farm import __version__
from farm.catalog.stills import decode as decode_still
from farm.catalog.stills import fetch
from farm.errors import BrokenFarm, InputError, StillError, TakeError
from farm.ids import canonical, sha256_hex, take_id
from farm.recorded import Recorded, read_job_record
from farm.render.families import FAMILIES, backend
from farm.render.family import GENERIC
from farm.staging import Footage, clip_of, retimed, shoot
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.manifest import decode_outcome, read_takes
from farm.trim.footage import decode
from farm.values import Blame, Frames, Pixels, Span, Status, Still, Task

CLOSE_DB = 35.0
_MIN_DIGITS = 4
_TAKE = re.compile(rf"[0-9a-f]{{{_MIN_DIGITS},32}}")
# What is read of every row. A failed one has no span and no clip.
_COLUMNS = ("take_id", "still_id", "still_uri", "still_sha256", "motion_id", "prompt", "model", "seed", "status",
            "reason", "span_start", "span_stop", "clip_uri", "clip_sha256", "farm_version", "fingerprint")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Replay:
    """How a take came out again. `verdict`: identical (frame by frame), close (at least 35 dB), or different.

    `psnr_db` is over all frames; None where there is nothing to tell apart, or where shapes differ. `same_bytes`: the
    clip's file is the very same. `intact`: the stored clip is the one that its row names. `changed`: what the
    fingerprints, and the farm's version, say then and now; None where it was not said.
    """

    take_id: str
    model: str
    verdict: str
    psnr_db: float | None
    frames: int
    same_bytes: bool
    intact: bool
    changed: Mapping[str, tuple[str | None, str | None]]

    def as_json(self) -> dict[str, object]:
        changed = {name: {"then": then, "now": now} for name, (then, now) in self.changed.items()}
        return asdict(self) | {"changed": changed}


def replay(url: str, take: str, clip: Path | None = None) -> Replay:
    """Renders the take again whose id begins with `take` and compares; the new clip is left at `clip`, if asked for.

    Raises InputError for a run, take, still or model that is not there or has changed, StoreError, and BrokenFarm
    for a disk that is full.
    """
    blobs = Blobs.open(url)
    recorded = read_job_record(blobs)
    row = _row(blobs, take)
    if row["status"] == Status.FAILED:
        raise InputError(f"take {row['take_id']}: has no clip, it failed: {row['reason']}")
    task, span = _task(row, recorded), Span(row["span_start"], row["span_stop"])
    still, stored = _still(task), blobs.get(row["clip_uri"])
    footage = _footage(task, still)
    try:
        made = clip_of(footage, task, span)
    except TakeError as e:
        raise BrokenFarm(f"take {task.take_id}: {e}") from e
    if clip is not None:
        _keep(made, clip)
    psnr_db = _psnr_db(stored, made, where=f"{blobs.url}/{row['clip_uri']}")
    same = psnr_db == np.inf
    return Replay(
        take_id=task.take_id,
        model=task.model.name,
        verdict="identical" if same else "close" if psnr_db is not None and psnr_db >= CLOSE_DB else "different",
        psnr_db=None if same else psnr_db,
        frames=len(span),
        same_bytes=stored == made,
        intact=sha256_hex(stored) == row["clip_sha256"],
        changed=_changed(row, footage),
    )  # fmt: skip


def _row(blobs: Blobs, take: str) -> dict[str, Any]:
    """The one row of a run whose take id begins so: of the manifest, or of an outcome that is not yet in it."""
    if not _TAKE.fullmatch(take.lower()):
        raise InputError(f"{take}: no take id; expected its first {_MIN_DIGITS} to 32 hexadecimal digits")
    found: dict[str, dict[str, Any]] = {}
    try:
        for batch in read_takes(blobs, _COLUMNS):
            alike = batch.filter(pc.starts_with(batch["take_id"], take.lower()))
            found |= {row["take_id"]: row for row in alike.to_pylist()}
    except ValueError as e:
        raise InputError(f"{e}; it was written by another version of farm") from None
    for key, _ in blobs.list(layout.OUTCOMES):
        known = layout.take_id_of(key)
        if known is not None and known.startswith(take.lower()) and known not in found:
            found[known] = asdict(decode_outcome(blobs.get(key), where=f"{blobs.url}/{key}"))
    if not found:
        raise InputError(f"{blobs.url}: no take whose id begins with {take}")
    if len(found) > 1:
        few = ", ".join(sorted(found)[:3])
        raise InputError(f"{blobs.url}: {len(found)} takes begin with {take} ({few}); give more digits")
    return next(iter(found.values()))


def _task(row: Mapping[str, Any], recorded: Recorded) -> Task:
    """The task of a row. Raises InputError where it cannot be put together again."""
    said = f"take {row['take_id']}: cannot be rendered again"
    motion, model = recorded.motions.get(row["motion_id"]), recorded.models.get(row["model"])
    if motion is None or model is None:
        missing = f"motion {row['motion_id']}" if motion is None else f"model {row['model']}"
        raise InputError(f"{said}: {layout.JOB} names no {missing}")
    if model.family not in FAMILIES and not model.family.startswith(GENERIC):
        raise InputError(f"{said}: this version of farm ({__version__}) knows no family {model.family}")
    still = Still(row["still_id"], row["still_uri"], f"still {row['still_id']}")
    prompt, seed, sha256 = row["prompt"], row["seed"], row["still_sha256"]
    identity = take_id(still=still, still_sha256=sha256, motion=motion, prompt=prompt, model=model, seed=seed)
    if identity != row["take_id"]:
        versions = f"it was made by farm {row['farm_version']}, this is {__version__}"
        raise InputError(
            f"{said}: its row with the motion and model of {layout.JOB} makes take {identity}, another one: {versions}"
        )
    return Task(identity, still, sha256, motion, prompt, model, seed)


def _still(task: Task) -> Pixels:
    """The still, if it is the one that was rendered. Raises InputError, and StoreError where nothing can be said."""
    try:
        data = fetch(task.still.uri)
        if sha256_hex(data) != task.still_sha256:
            raise InputError(f"{task.still.uri}: changed since the take was rendered; its SHA-256 is another")
        return decode_still(data)
    except StillError as e:
        raise InputError(f"{task.still.where}: {e}") from e


def _footage(task: Task, still: Pixels) -> Footage:
    resident = backend(task.model)
    resident.load()
    try:
        return retimed(shoot(resident, still, task, lambda done, total: None), task.model)
    except TakeError as e:
        kind = InputError if e.blame is Blame.TASK else BrokenFarm
        raise kind(f"take {task.take_id}: cannot be rendered here: {e}") from e
    finally:
        resident.close()


def _keep(made: bytes, clip: Path) -> None:
    try:
        clip.write_bytes(made)
    except OSError as e:
        raise InputError(f"--clip {clip}: cannot be written: {e.strerror}") from e


def _psnr_db(stored: bytes, made: bytes, *, where: str) -> float | None:
    """Peak signal to noise over all frames of two clips; infinite where they are equal, None for other shapes."""
    if stored == made:
        return float("inf")
    then, now = _frames(stored, where), _frames(made, "the new clip")
    if then.shape != now.shape:
        return None
    error = sum(float(np.square(a.astype(np.int32) - b).sum()) for a, b in zip(then, now, strict=True))
    return 10 * float(np.log10(255**2 * then.size / error)) if error else float("inf")


def _frames(clip: bytes, where: str) -> Frames:
    with tempfile.TemporaryDirectory(prefix="farm-") as folder:
        path = Path(folder) / "clip.mp4"
        path.write_bytes(clip)
        try:
            return decode(path)[0]
        except InputError as e:
            raise InputError(f"{where}: cannot be decoded: it is broken, or no clip") from e


def _changed(row: Mapping[str, Any], footage: Footage) -> dict[str, tuple[str | None, str | None]]:
    then = json.loads(row["fingerprint"]) | {"farm": row["farm_version"]}
    now = json.loads(canonical(dict(footage.fingerprint))) | {"farm": __version__}
    names = [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
    return {name: (_text(then.get(name)), _text(now.get(name))) for name in names}


def _text(value: object) -> str | None:
    return None if value is None else str(value)
