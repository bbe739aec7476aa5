"""What motion does not explain: warping error from frame to frame, jumps, and cuts.

Invariant: brightness is not judged here (stability.py does), and a cut is never averaged away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from farm.score.adjacent import ENOUGH, Pair, blocks
from farm.score.flow import ranked

_FLOOR_LEVELS = 10.0  # relief that even a flat wall is granted, or grain on it would count as warping
TORN = 0.5  # of a block lost, or a residual of half its relief: what moved there is not what was there
CUT_SHARE = 0.35  # of the frame torn at once; pop-ins of a quarter of the frame's width reach 0.12, cuts 0.54
# At the limit, 1: share of the frame torn at once (0.07 in real footage, 0.10 when a quarter of the width changes), and
# change beyond the usual (0.6 in real footage, 1.3 by the light of a fire; 2.5 and more for things that pop up).
JUMP_LIMIT = 0.12
SURGE_LIMIT = 2.0
_SURGE_FLOOR = 0.5  # levels that pass for usual where hardly anything moves
_ALONE = 3.0  # a cut stands out of its half second by this; a whip pan tears every pair alike


@dataclass(frozen=True, slots=True)
class Residue:
    """What the motion of one pair leaves unexplained."""

    error: float  # in units of relief: see residue()
    torn: float  # share of the blocks in view of the later frame that are not found in it


def residue(pair: Pair) -> Residue:
    """Residual of the later frame warped to the earlier one, in units of the earlier one's relief.

    The warping error of Lai et al. (ECCV 2018), with their occlusion mask, on luma, made comparable between
    pictures: per block, deviation of the residual over mean relief; 90th percentile over blocks. A block is torn
    when it is lost, or its error past TORN.
    """
    kept, inside = blocks(pair.ahead.kept), blocks(pair.ahead.kept | pair.ahead.lost)
    residual = cv2.subtract(pair.ahead.seen, pair.before, dtype=cv2.CV_32F)
    levels = np.asarray(residual, np.float32)
    deviation = np.sqrt(kept.variance(levels, kept.mean(levels)))
    errors = deviation / (kept.mean(pair.relief) + _FLOOR_LEVELS)
    known = kept.share > ENOUGH
    torn = (inside.mean(pair.ahead.lost.astype(np.float32)) > TORN) | ((errors > TORN) & known)
    return Residue(ranked(errors[known], 0.9, empty=1.0), float(torn.mean()))


def jumps(shares: Sequence[float], fps: Fraction) -> list[float]:
    """Of each pair, the share torn beyond what the half second around it has torn on the middle."""
    reach = max(1, round(fps / 4))
    found = []
    for i, share in enumerate(shares):
        near = [*shares[max(0, i - reach) : i], *shares[i + 1 : i + 1 + reach]]
        usual = float(np.median(near)) if near else 0.0
        found.append(max(0.0, share - usual))
    return found


def surges(changes: Sequence[float], fps: Fraction) -> list[float]:
    """Of each pair, how far its change (levels) stands out of the half seconds on both sides, in times their usual.

    Usual is the upper quartile: what a pane that hung and jumps on, a frame that flashes or an object from nowhere
    have in common, whether or not a flow can be found that explains it.
    """
    reach = max(2, round(fps / 2))
    levels = np.asarray(changes, np.float64)
    found = []
    for i, level in enumerate(levels):
        usual = ranked(np.concatenate([levels[max(0, i - reach) : i], levels[i + 1 : i + 1 + reach]]), 0.75)
        found.append(max(0.0, float(level) - usual) / (usual + _SURGE_FLOOR))
    return found


def cuts(shares: Sequence[float], fps: Fraction) -> tuple[int, ...]:
    """Frames at which a new picture starts, from the shares torn of the pairs (0, 1), (1, 2), ..."""
    over = jumps(shares, fps)
    return tuple(
        i + 1
        for i, (share, jump) in enumerate(zip(shares, over, strict=True))
        if share >= CUT_SHARE and jump >= share * (1 - 1 / _ALONE)
    )
