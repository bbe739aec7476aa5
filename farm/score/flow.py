"""Where each point of a picture goes in another, and which points cannot be followed.

Invariant: a point that leaves the frame is never held against a take; a point that stays in frame but cannot be
followed there and back is lost. Deterministic: DIS splits its work by thread, so OpenCV is kept to one.
"""

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from farm.score.planes import Luma

Flow: TypeAlias = NDArray[np.float32]  # (h, w, 2): how far each point went, dx and dy in pixels of the plane
Field: TypeAlias = NDArray[np.float32]  # (h, w)
Mask: TypeAlias = NDArray[np.bool_]  # (h, w)

_RELIEF_POINTS = 7  # of a grid, a little less than a block
ALIKE_LEVELS = 8  # of 255: what codecs and grain do to a point that did not change
ALIKE_RELIEF = 4  # of 255: the same, on softened planes less what light does


@dataclass(frozen=True, slots=True)
class View:
    """One picture as seen from the points of another, on a grid of that other picture.

    `kept` points were followed there and back, or look the same where they went (flat walls, where any flow will
    do; beside a still, also under another light); `lost` ones are in frame and neither; the rest left the frame.
    """

    x: Field  # where the grid's points went, in pixels of the plane
    y: Field
    dx: Field  # how far, in pixels of the plane
    dy: Field
    seen: Luma  # the other picture there
    kept: Mask
    lost: Mask


class Tracker:
    """Dense optical flow between planes of one size (h, w), looked at on every `step`-th pixel.

    Flow: DIS (Kroeger et al., ECCV 2016). There and back: |f + b|^2 > 0.01 (|f|^2 + |b|^2) + 0.5 means lost
    (Sundaram et al., ECCV 2010; the occlusion test of Lai et al., ECCV 2018). `refined` is for the long way from a
    still to a late frame, on fine planes: it adds a variational step, where the patches of the other, on coarse
    planes, are half as large.
    """

    def __init__(self, shape: tuple[int, ...], step: int, *, refined: bool) -> None:
        # Never restored: another thread that restored it meanwhile would change this take's numbers.
        cv2.setNumThreads(1)
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        if refined:
            self._dis.setVariationalRefinementIterations(1)
        else:
            self._dis.setFinestScale(
                1
            )  # 2, the preset's, sees no movement of things under a fifth of the frame
            self._dis.setGradientDescentIterations(
                6
            )  # as exact as 12 here, and a third faster with the stride
            self._dis.setPatchStride(5)
        self._step, self._refined = step, refined
        self._bottom, self._right = shape[0] - 1, shape[1] - 1
        self._y, self._x = np.mgrid[: shape[0] : step, : shape[1] : step].astype(np.float32)

    def flow(self, source: Luma, target: Luma, guess: Flow | None = None) -> Flow:
        """Where each point of `source` is in `target`; starts from `guess`, which is left as it is."""
        if guess is None:
            guess = np.zeros((*source.shape, 2), np.float32)
        return np.asarray(self._dis.calc(source, target, guess.copy()), np.float32)

    def view(self, source: Luma, target: Luma, there: Flow, back: Flow) -> View:
        """`target` as seen from `source`, given the flow to it and the flow back."""
        dx, dy = (np.ascontiguousarray(there[:: self._step, :: self._step, axis]) for axis in (0, 1))
        x, y = self._x + dx, self._y + dy
        seen = np.asarray(cv2.remap(target, x, y, cv2.INTER_LINEAR), np.uint8)
        back_dx, back_dy = (np.asarray(b) for b in cv2.split(cv2.remap(back, x, y, cv2.INTER_LINEAR)))
        inside = (x >= 0) & (x <= self._right) & (y >= 0) & (y <= self._bottom)
        gap = (dx + back_dx) ** 2 + (dy + back_dy) ** 2
        length = dx * dx + dy * dy + back_dx * back_dx + back_dy * back_dy
        here = source[:: self._step, :: self._step]
        alike = np.asarray(cv2.absdiff(seen, here)) <= ALIKE_LEVELS
        if self._refined:
            alike |= np.abs(relief(seen) - relief(here)) <= ALIKE_RELIEF
        followed = (gap <= 0.01 * length + 0.5) | alike
        return View(x, y, dx, dy, seen, inside & followed, inside & ~followed)


def relief(levels: NDArray[np.generic]) -> Field:
    """Less what changes slowly over the picture: shadows, smoke and light lie over things, and leave this."""
    plane = levels.astype(np.float32)
    return np.asarray(plane - cv2.blur(plane, (_RELIEF_POINTS, _RELIEF_POINTS)), np.float32)


class Blocks:
    """Means over the square blocks of a grid, of the points in a mask only."""

    def __init__(self, mask: Mask, points: int) -> None:
        """Blocks of about `points` x `points` points of the grid; at least one block."""
        height, width = mask.shape
        self._size = (max(1, round(width / points)), max(1, round(height / points)))
        self._weight = mask.astype(np.float32)
        self.share = self._reduced(self._weight)  # of each block's points that are in the mask, 0..1

    def mean(self, values: Field) -> Field:
        """Of each block; 0 where no point of a block is in the mask."""
        return np.asarray(self._reduced(values * self._weight) / np.maximum(self.share, 1e-3), np.float32)

    def variance(self, values: Field, mean: Field) -> Field:
        """Of each block, given its mean."""
        return np.asarray(np.maximum(self.mean(values * values) - mean * mean, 0), np.float32)

    def _reduced(self, values: Field) -> Field:
        return np.asarray(cv2.resize(values, self._size, interpolation=cv2.INTER_AREA), np.float32)


def ranked(values: NDArray[np.floating], share: float, *, empty: float = 0.0) -> float:
    """The value below which a share of all values lies: np.quantile(method="nearest"), at a fifth of its cost."""
    if values.size == 0:
        return empty
    index = round((values.size - 1) * share)
    return float(np.partition(values, index, axis=None)[index])
