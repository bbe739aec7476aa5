"""The scorer that needs no weights: the still as a motion-compensated full reference.

Invariant: deterministic; frames are read once (planes.py), walked once from frame to frame (adjacent.py) and once
beside the still (reference.py), and each dimension reduces what it sees there to a figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import cv2
import numpy as np

from farm.score import detail, fidelity, motion, stability, warping, words
from farm.score.adjacent import Pair, pairs
from farm.score.composite import DIMENSIONS, composed, goodness, inside, pooled
from farm.score.flow import Field
from farm.score.planes import Planes, planes
from farm.score.reference import sights
from farm.values import Curve, Frames, Measures, Pixels, Review, Span

_AROUND = np.ones((3, 3), np.uint8)


@dataclass(slots=True)
class _Temporal:
    """Figures of the T - 1 pairs and the T - 2 frames between two pairs."""

    flicker: list[float] = field(default_factory=list)
    rough: list[float] = field(default_factory=list)
    warp: list[float] = field(default_factory=list)
    torn: list[float] = field(default_factory=list)
    speed: list[float] = field(default_factory=list)
    travelled: list[Field] = field(default_factory=list)  # by blocks, from the first frame to each


class StillReferenceScorer:
    """Scores takes by OpenCV and numpy alone; see composite.py for what a score means."""

    dimensions: tuple[str, ...] = tuple(d.name for d in DIMENSIONS)

    def measure(self, frames: Frames, fps: Fraction, still: Pixels | None) -> Measures:
        """Curves (T,) of frames (T, H, W, 3); without a still (H, W, 3), the first frame stands in for it.

        Raises TakeError (score_shape, score_too_short, score_too_small, score_still_size).
        """
        take = planes(frames, fps, still)
        walked = _walk(take)
        figures = {**_temporal(take, walked), **_drifting(take, walked)}
        curves = {d.name: goodness(figures[d.name], d.limit) for d in DIMENSIONS}
        return Measures(curves=curves, composite=composed(curves), cuts=warping.cuts(walked.torn, fps))

    def judge(self, measures: Measures, span: Span, fps: Fraction, accept: float) -> Review:
        """The verdict on a span: each dimension pooled over its frames, and the score composed of them.

        Accepted: the score reaches `accept` and no dimension is under composite.FLOOR. Times in reasons count from
        the start of the take.
        """
        dimensions = {d.name: pooled(inside(measures.curves[d.name], span), d.worst) for d in DIMENSIONS}
        score = float(composed({name: np.asarray([value]) for name, value in dimensions.items()})[0])
        why = words.reasons(measures, span, fps, dimensions)
        if not why and score < accept:
            why = (words.shortfall(score, accept, dimensions),)
        return Review(score=score, dimensions=dimensions, accepted=not why, reasons=why)


def _walk(take: Planes) -> _Temporal:
    figures = _Temporal()
    before: Pair | None = None
    way = np.zeros((1, 1), np.float32)
    figures.travelled.append(way)
    for pair in pairs(take):
        figures.warp.append(warping.warping(pair))
        figures.torn.append(warping.torn(pair))
        figures.speed.append(motion.speed(pair, take.fps))
        way = way + motion.travel(pair)
        # What moved on from a block was seen in the next one before.
        figures.travelled.append(np.asarray(cv2.dilate(way, _AROUND), np.float32))
        if before is not None:
            figures.flicker.append(stability.flicker(before, pair))
            figures.rough.append(motion.roughness(before, pair))
        before = pair
    return figures


def _temporal(take: Planes, walked: _Temporal) -> dict[str, Curve]:
    count, fps = len(take), take.fps
    drifts = motion.drift(take)
    apart = count - len(drifts)
    return {
        "temporal_flickering": _spread(walked.flicker, 1, count),
        "warping_error": _spread(walked.warp, 1, count),
        "motion_smoothness": _spread(walked.rough, 1, count),
        "dynamic_degree": _spread(motion.stillness(drifts), apart / 2, count),
        "motion_magnitude": _spread(motion.sustained(walked.speed, fps), 1, count),
        "shot_continuity": _spread(warping.jumps(walked.torn, fps), 1, count),
    }


def _drifting(take: Planes, walked: _Temporal) -> dict[str, Curve]:
    count = len(take)
    textures, details = fidelity.Textures(take.still), detail.Details(take.still)
    unlike, blur, noise, shifts, first = [], [], [], [], 0.0
    for anchor, sight in zip(take.anchors, sights(take), strict=True):
        unlike.append(fidelity.unlikeness(sight, textures, walked.travelled[anchor]))
        found = details.of(sight)
        blur.append(found.blur)
        noise.append(found.noise)
        shifts.append(sight.shift)
        if len(unlike) == 1 and take.still_given:
            first = fidelity.mismatch(sight, unlike[0])
    window = max(1, round(float(take.fps) * stability.PUMP_WINDOW_S))
    at_anchors = {
        "exposure_stability": stability.pumping(shifts, take.anchors, window),
        "sharpness": blur,
        "noise": noise,
        "appearance_consistency": unlike,
    }
    frames = np.arange(count)
    curves = {n: np.interp(frames, take.anchors, v).astype(np.float32) for n, v in at_anchors.items()}
    return {**curves, "first_frame_fidelity": np.full(count, first, np.float32)}


def _spread(figures: Sequence[float], start: float, count: int) -> Curve:
    """Figures that belong to frames start, start + 1, ... as a curve of all frames; none: a curve of zeros."""
    if not figures:
        return np.zeros(count, np.float32)
    return np.interp(np.arange(count), start + np.arange(len(figures)), figures).astype(np.float32)
