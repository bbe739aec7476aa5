"""Clips from anywhere, judged, ranked and cut as the farm's own takes are.

Invariant: the same scorer, cut and words as in a run; only the reading differs. All clips are read before anything is
written.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from farm import __version__
from farm.catalog.stills import decode as decode_still
from farm.errors import InputError, TakeError
from farm.ids import segment
from farm.render.fit import fit
from farm.score.scorer import Scorer
from farm.trim.encode import encode_clip
from farm.trim.footage import Bounds, decode, frame_size
from farm.trim.span import best_span
from farm.values import Frames, Pixels, Review, Span

# The scorer looks at 432 px, what is cut is cut from the clip at its own size: a 720p clip decoded to half that costs
# 0.32 CPU-s, to all of it 0.69.
BOUNDS = Bounds(edge_px=640, seconds=20, frames=600)
ASPECT_TOLERANCE = 0.05
_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class Judged:
    """One clip, `clip` as it was given; the span in half-open frames of it."""

    clip: str
    fps: Fraction
    span: Span
    review: Review

    def as_json(self) -> dict[str, object]:
        start, stop = self.span.start, self.span.stop
        return {
            "clip": self.clip,
            "score": self.review.score,
            "accepted": self.review.accepted,
            "reasons": list(self.review.reasons),
            "span": {
                "start": start,
                "stop": stop,
                "start_s": float(start / self.fps),
                "stop_s": float(stop / self.fps),
            },
            "dimensions": dict(self.review.dimensions),
        }


def judge(
    clips: Sequence[str],
    scorer: Scorer,
    *,
    still: str | None,
    character: str | None = None,
    seconds: float,
    accept: float,
    frame_rate: Fraction,
) -> list[Judged]:
    """The clips in rank order: accepted ones first, then by score, then as given.

    A clip is a video file or a folder of frames, which have `frame_rate`. Raises InputError for the first that
    cannot be read or judged, and for a still of another aspect.
    """
    reference = None if still is None else _still(still)
    who = None if character is None else _still(character)
    judged = [_judge(clip, scorer, reference, who, seconds, accept, frame_rate) for clip in clips]
    return sorted(judged, key=lambda one: (not one.review.accepted, -one.review.score))


def cut(judged: Sequence[Judged], folder: Path) -> list[Path]:
    """Writes each clip's span as `<rank>-<name>.mp4`, at its own size. Raises InputError where it cannot."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise InputError(f"--cut {folder}: cannot be made: {e.strerror}") from e
    paths = []
    for rank, one in enumerate(judged, start=1):
        frames, _ = _frames(one.clip, one.fps, reduced=False)
        path = folder / f"{rank:02d}-{segment(Path(one.clip).stem)}.mp4"
        even = one.span.of(frames)[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2]
        try:
            encode_clip(even, one.fps, path, {"source": Path(one.clip).name, "farm_version": __version__})
        except TakeError as e:
            raise InputError(f"--cut {folder}: {e}") from e
        paths.append(path)
    return paths


def _judge(
    clip: str,
    scorer: Scorer,
    still: Pixels | None,
    character: Pixels | None,
    seconds: float,
    accept: float,
    frame_rate: Fraction,
) -> Judged:
    frames, fps = _frames(clip, frame_rate, reduced=True)
    height, width = frames.shape[1:3]
    if still is not None:
        aspect = still.shape[1] / still.shape[0]
        if abs(aspect / (width / height) - 1) > ASPECT_TOLERANCE:
            raise InputError(
                f"{clip}: is {width / height:.2f} to 1, the still {aspect:.2f} to 1: another aspect; "
                "crop the still as the clip is cropped"
            )
        still = _alike(fit(still, *_own_size(clip, frames)), width, height)
    try:
        measures = scorer.measure(frames, fps, still, character)
    except TakeError as e:
        raise InputError(f"{clip}: {e}") from e
    span = best_span(measures.composite, measures.cuts, max(1, round(seconds * fps)))
    return Judged(clip, fps, span, scorer.judge(measures, span, fps, accept))


def _own_size(clip: str, frames: Frames) -> tuple[int, int]:
    path = Path(clip)
    return (frames.shape[2], frames.shape[1]) if path.is_dir() else frame_size(path)


def _alike(still: Pixels, width: int, height: int) -> Pixels:
    """The still as a clip's frames are read: made as large as they are, then smaller as they were made. Another way of
    scaling would pass for blur."""
    if still.shape[:2] == (height, width):
        return still
    return np.asarray(cv2.resize(still, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _frames(clip: str, frame_rate: Fraction, *, reduced: bool) -> tuple[Frames, Fraction]:
    path = Path(clip)
    if path.is_dir():
        return _folder(path), frame_rate
    return decode(path, bounds=BOUNDS if reduced else None)


def _folder(folder: Path) -> Frames:
    """The images of a folder in the order of the numbers in their names."""
    paths = sorted((path for path in folder.iterdir() if path.suffix.lower() in _IMAGES), key=_natural)
    if not paths:
        raise InputError(f"{folder}: has no frames; allowed: images that end in {', '.join(sorted(_IMAGES))}")
    if len(paths) > BOUNDS.frames:
        raise InputError(f"{folder}: has {len(paths)} frames; up to {BOUNDS.frames} are read")
    frames = [_still(str(path)) for path in paths]
    odd = next(
        (path for path, frame in zip(paths, frames, strict=True) if frame.shape != frames[0].shape), None
    )
    if odd is not None:
        raise InputError(f"{odd}: is not of the size of {paths[0].name}")
    return np.stack(frames)


def _still(place: str) -> Pixels:
    try:
        return decode_still(Path(place).read_bytes())
    except TakeError as e:
        raise InputError(f"{place}: {e}") from e
    except OSError as e:
        raise InputError(f"{place}: cannot be read: {e.strerror}") from e


def _natural(path: Path) -> list[tuple[int, int, str]]:
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", path.name)
    ]
