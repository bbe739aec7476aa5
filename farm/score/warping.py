"""What motion does not explain: warping error from frame to frame, jumps, and cuts.

Invariant: brightness is not judged here (stability.py does), and a cut is never averaged away.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from farm.score.adjacent import ENOUGH, Pair, blocks
from farm.score.flow import Blocks, Field

_FLOOR_LEVELS = 10.0  # relief that even a flat wall is granted, or grain on it would count as warping
_TORN = 0.5  # of a block lost, or a residual of half its relief: what moved there is not what was there
CUT_SHARE = 0.35  # of the frame torn at once; pop-ins of a quarter of the frame's width reach 0.12, cuts 0.54
_ALONE = 3.0  # a cut stands out of its half second by this; a whip pan tears every pair alike


def warping(pair: Pair) -> float:
    """Residual of the later frame warped to the earlier one, in units of the earlier one's relief.

    The warping error of Lai et al. (ECCV 2018), with their occlusion mask, on luma, made comparable between
    pictures: per block, deviation of the residual over mean relief; 90th percentile over blocks.
    """
    sized = blocks(pair.ahead.kept)
    ratios = _residual(pair, sized)[sized.share > ENOUGH]
    return float(np.percentile(ratios, 90)) if ratios.size else 1.0


def torn(pair: Pair) -> float:
    """Share of the frame's blocks that are in the next frame's field of view, but not found in it."""
    inside = blocks(pair.ahead.kept | pair.ahead.lost)
    lost = inside.mean(pair.ahead.lost.astype(np.float32))
    sized = blocks(pair.ahead.kept)
    unlike = (_residual(pair, sized) > _TORN) & (sized.share > ENOUGH)
    return float(((lost > _TORN) | unlike).mean())


def jumps(shares: Sequence[float], fps: Fraction) -> list[float]:
    """Of each pair, the share torn beyond what the half second around it has torn on the middle."""
    reach = max(1, round(fps / 4))
    found = []
    for i, share in enumerate(shares):
        near = [*shares[max(0, i - reach) : i], *shares[i + 1 : i + 1 + reach]]
        usual = float(np.median(near)) if near else 0.0
        found.append(max(0.0, share - usual))
    return found


def cuts(shares: Sequence[float], fps: Fraction) -> tuple[int, ...]:
    """Frames at which a new picture starts, from the shares torn of the pairs (0, 1), (1, 2), ..."""
    over = jumps(shares, fps)
    return tuple(
        i + 1
        for i, (share, jump) in enumerate(zip(shares, over, strict=True))
        if share >= CUT_SHARE and jump >= share * (1 - 1 / _ALONE)
    )


def _residual(pair: Pair, sized: Blocks) -> Field:
    error = pair.ahead.seen.astype(np.float32) - pair.before
    deviation = np.sqrt(sized.variance(error, sized.mean(error)))
    return np.asarray(deviation / (sized.mean(pair.relief) + _FLOOR_LEVELS), np.float32)
