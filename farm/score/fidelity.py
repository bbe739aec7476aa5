"""Whether the take still shows what the still shows: its first frame, and what becomes of it later.

Invariant: only what is in view of both is compared, wherever it moved to; light, as far as it changes evenly,
is not judged here.
"""

import cv2
import numpy as np

from farm.score.flow import Blocks, Field, relief
from farm.score.planes import Luma
from farm.score.reference import BLOCK_POINTS, STEP, Sight, soft

_NOISE_VARIANCE = 20.0  # levels^2: keeps grain on flat blocks from looking like another picture
_TEXTURE_VARIANCE = 36.0  # levels^2: blocks below show nothing that could change
_TEXTURE_TOP = 25.0  # deviation beyond which a block weighs no more
_RELIEF_NOISE_VARIANCE = 8.0
# Allowed beyond the frame's median way: what goes astray by itself (a smear, a fold) is not excused by that.
_APART, _ASTRAY = 1.5, 1.0
_SEEN = 0.5  # share of a block in view, below which it says nothing
# % of the long edge. Real footage then owes 0.05-0.15, melted shapes 0.17 and more, clean camera moves under 0.04.
ALLOWANCE = 4.0
WORST_SHARE = 0.25


class Textures:
    """The still's blocks, measured once."""

    def __init__(self, still: Luma) -> None:
        self.levels = soft(still)[::STEP, ::STEP].astype(np.float32)
        self.relief = relief(self.levels)
        whole = Blocks(np.ones(self.levels.shape, np.bool_), BLOCK_POINTS)
        variance = whole.variance(self.levels, whole.mean(self.levels))
        self.textured = variance > _TEXTURE_VARIANCE
        self.weight = np.minimum(np.sqrt(variance), _TEXTURE_TOP)


def unlikeness(sight: Sight, still: Textures, travelled: Field) -> float:
    """0 where every textured block of the still is found as it was, towards 1 where none is.

    Per block, 1 - ZNCC of luma after motion compensation, the lost counted as unlike; then the mean over blocks,
    weighted by texture, and WORST_SHARE of the mean of the worst fifth, where a face may be. Motion-compensated, so
    neither VBench-I2V's subject consistency (which rewards stillness) nor a plain SSIM (which punishes the camera).

    What moved far shows sides that the still does not, and hides others: `travelled` is how far each block's points
    have gone since the first frame, in % of the long edge, on any block grid; ALLOWANCE halves what a block owes.
    A block is as like as its levels are, or their relief: what lies over things (shadow, smoke) does not change them.
    """
    blocks, view = sight.blocks, sight.view
    levels = view.seen.astype(np.float32)
    zncc = np.maximum(
        _zncc(blocks, still.levels, levels, _NOISE_VARIANCE),
        _zncc(blocks, still.relief, relief(levels), _RELIEF_NOISE_VARIANCE),
    )
    in_view = Blocks(view.kept | view.lost, BLOCK_POINTS).share
    found = np.minimum(zncc * blocks.share / np.maximum(in_view, 1e-3), 1)
    way = np.asarray(cv2.resize(travelled, zncc.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    way = np.minimum(way, _APART * float(np.median(way)) + _ASTRAY)
    owed = (1 - found) / (1 + way / ALLOWANCE)
    judged = still.textured & (in_view > _SEEN)
    if not judged.any():
        return 0.0
    weight = still.weight[judged]
    worst = np.sort(owed[judged])[-max(1, round(judged.sum() / 5)) :]
    return float((owed[judged] * weight).sum() / weight.sum() + WORST_SHARE * worst.mean())


def _zncc(blocks: Blocks, ours: Field, theirs: Field, noise: float) -> Field:
    """Of each block: zero-mean normalised cross-correlation, 1 where there is nothing but `noise` (levels^2)."""
    our_mean, their_mean = blocks.mean(ours), blocks.mean(theirs)
    covariance = blocks.mean(ours * theirs) - our_mean * their_mean
    spread = np.sqrt(blocks.variance(ours, our_mean) * blocks.variance(theirs, their_mean))
    return np.asarray(np.clip((covariance + noise) / (spread + noise), 0, 1), np.float32)


def mismatch(first: Sight, unlike: float) -> float:
    """How far the first frame is from the still, 1 at the limit: by likeness, by colour or light, and by place.

    The limits: unlikeness 0.2 (other photographs measure over 0.7); 16 levels; 0.4 of the long edge out of place
    (a pan with the still's own frame in its middle starts 0.14 aside, and shows the same things).
    """
    place = float(np.hypot(np.median(first.view.dx), np.median(first.view.dy))) / max(first.frame.shape)
    tone = float(np.linalg.norm(first.shift))
    return float(np.linalg.norm([unlike / 0.2, tone / 16.0, place / 0.4]))
