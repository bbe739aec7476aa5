"""Double exposure: a second, fainter copy of the picture beside itself.

Invariant: what the still itself repeats (a fence, windows) is not a ghost, nor is anything that moved.
"""

import cv2
import numpy as np

from farm.score.flow import Field, Mask
from farm.score.planes import Luma
from farm.score.reference import STEP, Sight, soft

_REACH_PX = 50  # of the grid: a quarter of the frame's width
_BESIDE_PX = 3  # of the grid: nearer than this a copy is blur
_DAMPING = 0.05  # of the still's mean power: frequencies that it hardly has say nothing
_COARSE_SIGMA = 6.0  # of the grid: light and large shapes repeat themselves
_SEEN = 0.5


class Ghosts:
    """The still's own repetitions, measured once."""

    def __init__(self, still: Luma) -> None:
        self._still = _textured(soft(still)[::STEP, ::STEP])
        height, width = self._still.shape
        self._window = np.sqrt(np.outer(np.hanning(height), np.hanning(width))).astype(np.float32)
        spectrum = np.fft.rfft2(self._still * self._window)
        power = np.abs(spectrum) ** 2
        self._inverse = np.conj(spectrum) / (power + _DAMPING * max(power.mean(), 1e-3))
        self._own = self._response(self._still)

    def of(self, sight: Sight) -> float:
        """How much of the picture a displaced copy makes up, 0 to 1, times how well it explains what changed.

        The frame, brought back to the still by its motion, is the still convolved with some kernel; that kernel, by
        Wiener deconvolution (Wiener, 1949), is a single peak for anything that only moved, and has a second one
        where a copy lies: the highest beyond the kernel of the still with itself. The change since the still is then
        regressed on what such a copy would change; its slope, times its correlation, is the figure: lines of text
        that were followed to their neighbours have the one, not the other.
        """
        kept = sight.view.kept
        if kept.mean() < _SEEN:
            return 0.0  # nothing can be said beside another picture
        seen = np.where(kept, _textured(sight.view.seen), self._still)
        found = self._response(seen)
        middle = found.shape[0] // 2, found.shape[1] // 2
        peak = float(_around(found, middle, _BESIDE_PX - 1).max())
        if peak <= 0:
            return 0.0
        excess = found / peak - self._own
        _around(excess, middle, _BESIDE_PX)[:] = 0
        within = _around(excess, middle, _REACH_PX)
        row, column = np.unravel_index(int(within.argmax()), within.shape)
        down = int(row) - min(middle[0], _REACH_PX)
        right = int(column) - min(middle[1], _REACH_PX)
        return self._explained(seen, kept, down, right)

    def _explained(self, seen: Field, kept: Mask, down: int, right: int) -> float:
        copy = np.roll(self._still, (down, right), (0, 1))
        there = kept.copy()
        if down > 0:
            there[:down] = False
        if right > 0:
            there[:, :right] = False
        if down < 0:
            there[down:] = False
        if right < 0:
            there[:, right:] = False
        change, would = (seen - self._still)[there], (copy - self._still)[there]
        both, power = float((change * would).sum()), float((would * would).sum())
        if both <= 0:
            return 0.0
        return both / power * both / float(np.sqrt((change * change).sum() * power))

    def _response(self, picture: Field) -> Field:
        """The kernel, with no shift in its middle; its peak is about 1."""
        spectrum = np.fft.rfft2(picture * self._window)
        kernel = np.fft.fftshift(np.fft.irfft2(spectrum * self._inverse, s=picture.shape))
        return np.asarray(kernel, np.float32)


def _around(values: Field, middle: tuple[int, int], reach: int) -> Field:
    row, column = middle
    return values[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]


def _textured(levels: Luma) -> Field:
    plane = levels.astype(np.float32)
    return np.asarray(plane - cv2.GaussianBlur(plane, (0, 0), _COARSE_SIGMA), np.float32)
