"""The frame's rim: bars that creep in, rows that are smeared outwards, pictures that are folded back.

Invariant: what the still's own rim shows (a letterbox, a wall, a sky) is no fault; each side is judged for itself.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from farm.score.flow import Field
from farm.score.planes import Luma

_DEEPEST = 0.12  # share of a side that is looked at
_STILL_LEVELS = 0.1  # mean change from row to row in a bar or a smear, after H.264 under 0.05
_SMEARED = 0.05  # change across the rim over change along it, where rows are repeated
_TEXTURED_LEVELS = 1.5  # mean change along a row from which it would show a smear
_BAR_STEP_LEVELS = 10.0  # by which a bar's inner edge stands out, in nearly all places
_BAR_STRAIGHT = 0.85
_FOLDED = 0.97  # correlation of a strip with its mirror image
_FOLD_TEXTURE = 60.0  # levels^2, under which anything mirrors anything
_THINNEST_FOLD = 6
_DEEP = 4  # the scale at which deep folds are looked for
_BESIDE = 4  # rows on both sides that say whether an axis is worth a look
_LIKELY = 0.7
_EVERY = 6  # columns, of which one shows a fold as well


class Borders:
    """The still's own rim, measured once."""

    def __init__(self, still: Luma) -> None:
        self._own = [depth(side) for side in _sides(still)]

    def of(self, frame: Luma) -> float:
        """How deep the worst side is spoilt beyond what the still has there, in % of the side it eats into."""
        found = [depth(side) for side in _sides(frame)]
        return 100.0 * max(0.0, *(now - own for now, own in zip(found, self._own, strict=True)))


def depth(picture: Luma) -> float:
    """How deep the top of a picture (h, w) is a bar, a smear or a fold, as a share of its height."""
    rows = picture[: max(_THINNEST_FOLD, round(picture.shape[0] * _DEEPEST)) * 2]
    levels = rows.astype(np.float32)
    across = np.abs(np.diff(levels, axis=0))
    along = np.abs(np.diff(levels, axis=1)).mean(axis=1)
    near = _folded(levels[:, ::_EVERY], _THINNEST_FOLD)
    spoilt: int = max(
        _repeated(across, along), near or _DEEP * _folded(_coarse(picture), len(rows) // (2 * _DEEP))
    )
    return spoilt / len(picture)


def _coarse(picture: Luma) -> Field:
    """For folds that are deep: all of the picture, at a quarter of its size."""
    size = (picture.shape[1] // _DEEP, picture.shape[0] // _DEEP)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def _repeated(across: Field, along: NDArray[np.float32]) -> int:
    """Rows from the rim on that are each like the next: the last of them ends a bar or a smear."""
    change = across.mean(axis=1)
    still = change < np.maximum(_STILL_LEVELS, _SMEARED * along[:-1])
    # The row at the very rim may be half a pixel of something else.
    count = 1 + int(np.argmin(np.append(still[1:], False)))
    if count <= 2 or count >= len(change):
        return 0
    if along[1:count].mean() > _TEXTURED_LEVELS:
        return count + 1
    straight = (across[count - 1 : count + 2].max(axis=0) > _BAR_STEP_LEVELS).mean()
    return count + 1 if straight > _BAR_STRAIGHT else 0


def _folded(levels: Field, thinnest: int) -> int:
    """Rows from the rim on that mirror those below them, of `levels` (2 n, w); looked for up to n rows."""
    for rows in _axes(levels, thinnest):
        # Less what does not change towards the rim: a wall beside a window mirrors itself in any strip of both.
        outer, inner = (
            strip - strip.mean(axis=0) for strip in (levels[:rows][::-1], levels[rows : 2 * rows])
        )
        power = float((outer * outer).mean()), float((inner * inner).mean())
        if min(power) > _FOLD_TEXTURE and float((outer * inner).mean()) > _FOLDED * np.sqrt(
            power[0] * power[1]
        ):
            return rows
    return 0


def _axes(levels: Field, thinnest: int) -> list[int]:
    """Where a fold may be, the deepest first: rows whose nearest on both sides are more alike than is usual."""
    count = len(levels)
    unlike = np.zeros(count)
    for beside in range(_BESIDE):
        apart = 2 * beside + 1
        change = np.abs(levels[apart:] - levels[:-apart]).mean(axis=1)
        unlike += np.concatenate([np.full(beside + 1, change[0]), change, np.full(beside, change[-1])])
    likely = unlike < _LIKELY * np.median(unlike)
    return [rows for rows in range(count // 2, thinnest - 1, -1) if likely[rows]]


def _sides(plane: Luma) -> list[Luma]:
    """The picture turned so that each of its sides is on top."""
    turned = np.ascontiguousarray(plane.T)
    return [plane, plane[::-1], turned, turned[::-1]]
