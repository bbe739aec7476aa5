"""How things move: whether smoothly, and whether enough and not too much.

Invariant: a clip in which nothing moves is never good here, whatever shimmers over it.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby

import cv2
import numpy as np
from numpy.typing import NDArray

from farm.score.adjacent import STEP as GRID
from farm.score.adjacent import Pair, blocks, relief
from farm.score.flow import Field, ranked
from farm.score.planes import Planes

# In % of the long edge per second, 95th percentile over blocks: see stillness().
SLOW_LIMIT = 0.027
SLOW_WINDOW_S = 1 / 3
_SEEN_SWING = 0.8  # in the same unit; 0.5 is what a shimmer of half a pixel of 640 with grain on it has
PAUSE_S = 0.5  # a movement may pause as long as a breath does

# Acceleration beyond what speed allows, in pixels of 240. Shake: 0.3 in a hand in a car, 1.5 for jumps of 0.4% of
# the width. Wobble: 0.5 for a tree in the wind at 15 fps, 1.9 for a jelly at 0.6% of the width and 5 Hz.
SHAKE_LIMIT_PX = 1.0
WOBBLE_LIMIT_PX = 0.75
HICCUP_LIMIT = 3.0  # repeated frames within a second; one alone is seen by few
_REACH = 4  # pairs
_HICCUP_FLOOR = 0.15  # levels; under these a codec repeats frames by itself
_STUCK = 0.2  # of the usual change
_MOVING = 0.7
_ALLOWED_SHAKE = 1.0  # per speed: a shaken camera turns back within a frame, a held one within three
_ALLOWED_WOBBLE = 0.5  # per speed: what sways at 2 Hz has 0.5 at 24 fps

_SLOPE_FLOOR = 8.0  # levels per pixel that a flat block is granted
_SPARSE = 4  # every fourth point of the grid is enough for a movement
_FEW = 15  # points, below which a fit says nothing


def speed(pair: Pair, fps: Fraction) -> float:
    """The median speed of the corners of a pair, in % of the long edge per second."""
    mask = pair.corners & pair.ahead.kept
    if mask.sum() < _FEW:
        mask = np.ones_like(mask)
    lengths = np.hypot(pair.ahead.dx[mask], pair.ahead.dy[mask])
    scale: float = 100 * float(fps) / (GRID * max(pair.before.shape))
    return ranked(lengths, 0.5) * scale


def sustained(speeds: Sequence[float], fps: Fraction) -> list[float]:
    """Speeds averaged over PAUSE_S: a quick turn is not a whip."""
    if not speeds:
        return []
    return [float(v) for v in rolling(np.asarray(speeds), fps, PAUSE_S)]


def travel(pair: Pair) -> Field:
    """How far the points of each block move, in % of the long edge."""
    everywhere = np.ones_like(pair.ahead.kept)
    lengths = np.hypot(pair.ahead.dx, pair.ahead.dy)
    return blocks(everywhere).mean(lengths) * np.float32(100 / (GRID * max(pair.before.shape)))


def roughness(before: Pair, after: Pair) -> float:
    """Acceleration at the frame between two pairs, against what its speed allows; 1 is the limit.

    Acceleration is F(t, t+1) + F(t, t-1) at the corners of frame t; VBench's motion smoothness interpolates
    frames instead, and fails at occlusions. Its affine part is the camera's (shake), the rest is wobble.
    """
    mask = (before.behind.kept & after.ahead.kept & after.corners)[::_SPARSE, ::_SPARSE]
    if mask.sum() < _FEW:
        return 0.0
    ahead, behind = _vectors(after, mask), _vectors(before, mask, back=True)
    turn = ahead + behind
    pace = (np.hypot(*ahead.T) + np.hypot(*behind.T)) / 2
    rows, columns = np.nonzero(mask)
    design = np.stack([np.ones(rows.size), rows / mask.shape[0], columns / mask.shape[1]], axis=1)
    affine = design @ np.linalg.lstsq(design, turn, rcond=None)[0]
    shake = float(np.sqrt((affine**2).sum(axis=1).mean())) - _ALLOWED_SHAKE * float(pace.mean())
    rest = np.hypot(*(turn - affine).T)
    wobble = ranked(rest, 0.9) - _ALLOWED_WOBBLE * ranked(pace, 0.9)
    return max(shake / SHAKE_LIMIT_PX, wobble / WOBBLE_LIMIT_PX, 0.0)


def hiccups(changes: Sequence[float], fps: Fraction) -> list[float]:
    """Of each pair, how many pairs within the second around it stand still amid movement, over HICCUP_LIMIT.

    Where frames are repeated hardly anything changes, and right before and after as much as is usual there; what comes
    to rest and turns back slows down before.
    """
    if not changes:
        return []
    levels = np.asarray(changes, np.float64)
    usual = [ranked(levels[max(0, i - _REACH) : i + _REACH + 1], 0.75) for i in range(len(levels))]
    still = [level < _STUCK * there for level, there in zip(levels, usual, strict=True)]
    stuck = np.zeros(len(levels))
    start = 0
    for hangs, run in groupby(still):
        stop = start + len(list(run))
        if hangs and start > 0 and stop < len(levels) and stop - start <= _REACH:
            there = max(usual[start - 1], usual[stop])
            # A step that was missed is made up for on one side; what swings back is slow on both.
            less, more = sorted((levels[start - 1], levels[stop]))
            moving = more > _MOVING * there and less > _MOVING / 2 * there
            stuck[start:stop] = there > _HICCUP_FLOOR and moving
        start = stop
    width = max(1, round(float(fps)))
    return [float(v) for v in rolling(stuck, fps, 1.0) * width / HICCUP_LIMIT]


def _vectors(pair: Pair, mask: NDArray[np.bool_], back: bool = False) -> NDArray[np.float64]:
    view = pair.behind if back else pair.ahead
    dx, dy = view.dx[::_SPARSE, ::_SPARSE][mask], view.dy[::_SPARSE, ::_SPARSE][mask]
    return np.stack([dx, dy], axis=1).astype(np.float64)


def drift(take: Planes) -> list[float]:
    """How far blocks moved between frames SLOW_WINDOW_S apart, in % of the long edge per second, at each start.

    Normal flow (Horn and Schunck, 1981): change of level over gradient, which sees slow and small movement
    (ripples, breathing, glow) that the patches of a dense flow do not, and saturates for large ones. The change is
    squared by multiplying two that start 2 frames apart: they share the movement, but no grain, and flicker only
    for one frame. Less what even the quietest tenth of blocks show (grain that a codec holds for a while) and less
    what all points share (a fade); averaged over PAUSE_S; 95th percentile over blocks.
    """
    apart = max(1, min(round(float(take.fps) * SLOW_WINDOW_S), len(take) - 1))
    lag = min(2, len(take) - 1 - apart)
    scale = 100 * float(take.fps) / (apart * max(take.coarse[0].shape))
    sized = blocks(np.ones(take.coarse[0][::GRID, ::GRID].shape, np.bool_))
    changes = [_change(take, start, apart) for start in range(lag)]
    shared, slopes, swings = [], [], []
    for start in range(len(take) - apart - lag):
        if start % apart == 0:
            reliefs = relief(take.coarse[start])
            slope = np.sqrt(sized.mean(reliefs * reliefs)) / 2 + _SLOPE_FLOOR
        changes.append(_change(take, start + lag, apart))
        shared.append(sized.mean(changes[0] * changes[-1]))
        slopes.append(slope)
        swings.append(np.percentile(sized.mean(changes[0] * changes[0]) / np.square(slope), 95))
        changes.pop(0)
    steady = rolling(np.stack(shared), take.fps, PAUSE_S)
    quiet = np.percentile(np.maximum(steady, 0), 10, axis=(1, 2), keepdims=True)
    moved = scale**2 * (steady - quiet) / np.square(np.stack(slopes))
    # Where nothing moves, noise has products of both signs alike. So has what goes to and fro, which is seen to move.
    most, noise = np.percentile(moved, [95, 5], axis=(1, 2))
    swing = np.sqrt(rolling(np.stack(swings), take.fps, PAUSE_S)) * scale
    found = np.where(swing > _SEEN_SWING, swing, np.sqrt(np.maximum(most + np.minimum(noise, 0), 0)))
    return [float(v) for v in found]


def _change(take: Planes, start: int, apart: int) -> Field:
    """Of level on the grid, between two frames, softened against grain; less its median."""
    now, then = (cv2.blur(take.coarse[i], (3, 3))[::GRID, ::GRID] for i in (start, start + apart))
    change = np.asarray(cv2.subtract(then, now, dtype=cv2.CV_32F), np.float32)
    return np.asarray(change - np.median(change), np.float32)


def rolling(values: NDArray[np.floating], fps: Fraction, seconds: float) -> NDArray[np.float64]:
    """Centred means over time, along the first axis; the ends stand for what lies beyond them."""
    width = max(1, round(float(fps) * seconds))
    ends = [(width // 2, width - 1 - width // 2)] + [(0, 0)] * (values.ndim - 1)
    sums = np.cumsum(np.pad(values.astype(np.float64), ends, mode="edge"), axis=0)
    before = np.concatenate([np.zeros_like(sums[:width]), sums[:-width]])
    return np.asarray((sums - before)[width - 1 :] / width)


def stillness(drifts: Sequence[float]) -> list[float]:
    """Distance to standing still, 1 at the limit: the low end of VBench's dynamic degree, as a figure.

    SLOW_LIMIT: breathing by 0.25% of the width at 0.3 Hz, about the least that a viewer notices, measures 0.05 to
    0.08; a frozen take after H.264 under 0.01, and with grain on it 0.02.
    """
    return [SLOW_LIMIT / max(d, 1e-4) for d in drifts]
