"""From single observations to figures for every frame: what the dimensions see, in order, as curves.

Invariant: nothing reaches across a cut. Each stretch between cuts has the figures that it would have if it stood
alone, but for the still, which is the whole take's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import cv2
import numpy as np

from farm.score import borders, colour, detail, fidelity, ghosting, motion, stability, warping
from farm.score.adjacent import Pair, pairs
from farm.score.flow import Field
from farm.score.planes import Planes
from farm.score.reference import Shift, sights
from farm.values import Curve, Span

_AROUND = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Walk:
    """What was seen from frame to frame: of the T - 1 pairs, and of the T - 2 frames between two pairs."""

    warp: Sequence[float]
    torn: Sequence[float]
    speed: Sequence[float]
    travel: Sequence[Field]
    change: Sequence[float]
    flicker: Sequence[float]
    rough: Sequence[float]
    cuts: tuple[int, ...]

    @property
    def stretches(self) -> list[Span]:
        """Between cuts."""
        return [Span(start, stop) for start, stop in pairwise((0, *self.cuts, len(self.warp) + 1))]


def walked(take: Planes) -> Walk:
    """One walk through the take."""
    warp, torn, speed, travel, change = [], [], [], [], []
    flicker, rough = [], []
    before: Pair | None = None
    for pair in pairs(take):
        left = warping.residue(pair)
        warp.append(left.error)
        torn.append(left.torn)
        speed.append(motion.speed(pair, take.fps))
        travel.append(motion.travel(pair))
        change.append(pair.change)
        if before is not None:
            flicker.append(stability.flicker(before, pair))
            rough.append(motion.roughness(before, pair))
        before = pair
    return Walk(warp, torn, speed, travel, change, flicker, rough, warping.cuts(torn, take.fps))


def temporal(take: Planes, walk: Walk) -> dict[str, Curve]:
    """Figures of all dimensions that need no still, one for each frame: its way from the frame before."""
    stretches = [_stretch(take, walk, span) for span in walk.stretches]
    joined = {name: np.concatenate([figures[name] for figures in stretches]) for name in stretches[0]}
    jumps = _spread(warping.jumps(walk.torn, take.fps), 1, len(take)) / warping.JUMP_LIMIT
    surges = _spread(warping.surges(walk.change, take.fps), 1, len(take)) / warping.SURGE_LIMIT
    return {**joined, "shot_continuity": np.maximum(jumps, surges)}


def drifting(take: Planes, walk: Walk) -> dict[str, Curve]:
    """Figures of all dimensions that compare with the still, one for each frame: between anchors, interpolated."""
    textures, details = fidelity.Textures(take.still), detail.Details(take.still)
    ghosts, rim = ghosting.Ghosts(take.still), borders.Borders(take.still)
    way = _travelled(walk)
    unlike, blur, noise, shifts, ghost, border, colours, first = [], [], [], [], [], [], [], []
    for anchor, sight in zip(take.anchors, sights(take, walk.cuts), strict=True):
        unlike.append(fidelity.unlikeness(sight, textures, way[anchor]))
        found = details.of(sight)
        blur.append(found.blur)
        noise.append(found.noise)
        shifts.append(sight.shift)
        ghost.append(ghosts.of(sight))
        border.append(rim.of(sight.frame))
        colours.append(colour.drift(sight))
        first.append(fidelity.mismatch(sight, unlike[-1]) if take.still_given else 0.0)
    at_anchors = {
        "exposure_stability": _pumping(take, walk, shifts),
        "sharpness": blur,
        "noise": noise,
        "appearance_consistency": unlike,
        "color_consistency": colours,
        "ghosting": ghost,
        "border_integrity": border,
        # Only as long as it lasts: what moves later, or fades, was there at the start.
        "first_frame_fidelity": list(accumulate(first, min)),
    }
    return {name: _between(take.anchors, values, walk) for name, values in at_anchors.items()}


def _stretch(take: Planes, walk: Walk, span: Span) -> dict[str, Curve]:
    count = len(span)
    of_pairs, of_middles = slice(span.start, span.stop - 1), slice(span.start, max(span.start, span.stop - 2))
    drifts = motion.drift(replace(take, coarse=take.coarse[span.start : span.stop])) if count > 1 else [0.0]
    return {
        "temporal_flickering": _spread(walk.flicker[of_middles], 1, count),
        "warping_error": _spread(walk.warp[of_pairs], 1, count),
        "motion_smoothness": np.maximum(
            _spread(walk.rough[of_middles], 1, count),
            _spread(motion.hiccups(walk.change[of_pairs], take.fps), 1, count),
        ),
        "dynamic_degree": _spread(motion.stillness(drifts), (count - len(drifts)) / 2, count),
        "motion_magnitude": _spread(motion.sustained(walk.speed[of_pairs], take.fps), 1, count),
    }


def _travelled(walk: Walk) -> list[Field]:
    """How far the points of each block have gone from the first frame to each; what a cut tears away goes nowhere."""
    way = np.zeros_like(walk.travel[0])
    travelled = [way]
    for i, step in enumerate(walk.travel):
        way = way if i + 1 in walk.cuts else way + step
        # What moved on from a block was seen in the next one before.
        travelled.append(np.asarray(cv2.dilate(way, _AROUND), np.float32))
    return travelled


def _pumping(take: Planes, walk: Walk, shifts: Sequence[Shift]) -> list[float]:
    window = max(1, round(float(take.fps) * stability.PUMP_WINDOW_S))
    figures: list[float] = []
    for span in walk.stretches:
        inside = [i for i, anchor in enumerate(take.anchors) if span.start <= anchor < span.stop]
        figures += stability.pumping([shifts[i] for i in inside], [take.anchors[i] for i in inside], window)
    return figures


def _spread(figures: Sequence[float], start: float, count: int) -> Curve:
    """Figures that belong to frames start, start + 1, ... as a curve of all frames; none: a curve of zeros."""
    if not figures:
        return np.zeros(count, np.float32)
    return np.interp(np.arange(count), start + np.arange(len(figures)), figures).astype(np.float32)


def _between(anchors: Sequence[int], figures: Sequence[float], walk: Walk) -> Curve:
    """Figures at the anchors as a curve of all frames; a stretch without an anchor has the nearest one's."""
    at, values = np.asarray(anchors), np.asarray(figures)
    pieces = []
    for span in walk.stretches:
        inside = (at >= span.start) & (at < span.stop)
        if not inside.any():
            inside = np.arange(len(at)) == np.abs(at - span.start).argmin()
        pieces.append(np.interp(np.arange(span.start, span.stop), at[inside], values[inside]))
    return np.concatenate(pieces).astype(np.float32)
