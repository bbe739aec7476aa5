"""Each frame beside the next: the pass in which everything is measured that happens from frame to frame.

Invariant: a take is walked once, in order, with two neighbouring pairs in memory; what a dimension needs of a
pair it reduces to a few numbers at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from farm.score.flow import Blocks, Field, Mask, Tracker, View
from farm.score.planes import Luma, Planes

STEP = 2  # every second pixel of a coarse plane: 8000 points say as much as 32000
BLOCK_POINTS = 8  # 16 px of 240: 15 blocks across, about the size of a face in a wide shot
ENOUGH = 0.4  # share of a block's points, below which a block says nothing
_KERNEL = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two adjacent frames, on the grid of every STEP-th pixel of a coarse plane.

    `ahead` is the later frame seen from the earlier one's grid, `behind` the other way round. `relief` is how far
    the levels of the earlier frame range around a point: about twice its gradient per pixel.
    """

    before: Luma
    relief: Field
    ahead: View
    behind: View
    corners: Mask  # of the earlier frame: points whose movement is visible in every direction
    change: float  # mean absolute difference of the two, in levels, but for what all of the frame shares


def pairs(take: Planes) -> Iterator[Pair]:
    """The T - 1 pairs of a take."""
    tracker = Tracker(take.coarse[0].shape, STEP, refined=False)
    for before, after in zip(take.coarse, take.coarse[1:], strict=False):
        there, back = tracker.flow(before, after), tracker.flow(after, before)
        yield Pair(
            before=before[::STEP, ::STEP],
            relief=relief(before),
            ahead=tracker.view(before, after, there, back),
            behind=tracker.view(after, before, back, there),
            corners=_corners(before),
            change=_change(before, after),
        )


def relief(plane: Luma) -> Field:
    """Maximum less minimum of each 3 x 3 pixels, on the grid."""
    ranges = np.asarray(cv2.morphologyEx(plane, cv2.MORPH_GRADIENT, _KERNEL))
    return ranges[::STEP, ::STEP].astype(np.float32)


def blocks(mask: Mask) -> Blocks:
    """The blocks in which adjacent frames are compared."""
    return Blocks(mask, BLOCK_POINTS)


def _change(before: Luma, after: Luma) -> float:
    difference = np.asarray(cv2.subtract(after, before, dtype=cv2.CV_16S))
    shared = round(float(difference.mean()))
    return float(cv2.norm(difference, np.full_like(difference, shared), cv2.NORM_L1)) / difference.size


def _corners(plane: Luma) -> Mask:
    """Where the smaller eigenvalue of the structure tensor is not noise (Shi and Tomasi, 1994).

    On an edge the flow along it is a guess, and guesses jitter. 2e-4 is 7 times the most that grain of 3 levels has.
    """
    return np.asarray(cv2.cornerMinEigenVal(plane, 5, ksize=3))[::STEP, ::STEP] > 2e-4
