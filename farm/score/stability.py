"""Light that does not hold still: flicker from frame to frame, and exposure or colour that pumps.

Invariant: a steady change of light, however large, costs nothing in either.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from farm.score.adjacent import ENOUGH, Pair, blocks
from farm.score.flow import ranked
from farm.score.reference import Shift

PUMP_WINDOW_S = 1.0


def flicker(before: Pair, after: Pair) -> float:
    """Levels of 255 by which blocks jump out of line with their neighbours in time.

    The second difference of block luma after motion compensation, 90th percentile over blocks. VBench's temporal
    flickering (Huang et al., CVPR 2024) is the first difference without compensation, which rewards standing
    still; a second one is 0 for any steady change.
    """
    mask = before.behind.kept & after.ahead.kept
    between = cv2.addWeighted(before.behind.seen, 0.5, after.ahead.seen, 0.5, 0.0, dtype=cv2.CV_32F)
    sized = blocks(mask)
    jumps = np.abs(sized.mean(np.asarray(between, np.float32) - after.before))[sized.share > ENOUGH]
    return ranked(jumps, 0.9)


def pumping(shifts: Sequence[Shift], anchors: Sequence[int], window: int) -> list[float]:
    """Levels of 255 that light and colour travel to no purpose within `window` frames, at each anchor.

    Of luma and the two chromas, sum |d| - |sum d| over the window: the way travelled less the way made, so that a
    fade or a dusk, in one direction, is free. `shifts` are changes since the still, at the anchors.
    """
    if len(anchors) < 3:
        return [0.0] * len(anchors)
    steps = np.diff(np.asarray(shifts, np.float32), axis=0)
    starts = np.asarray(anchors[:-1])
    wasted = []
    for anchor in anchors:
        inside = steps[np.abs(starts - anchor) <= window / 2]
        idle = np.abs(inside).sum(axis=0) - np.abs(inside.sum(axis=0))
        wasted.append(float(np.linalg.norm(idle)))
    return wasted
