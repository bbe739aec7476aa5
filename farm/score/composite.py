"""From measured figures to goodness in 0..1, and from all dimensions to one score.

Invariant: monotone. No dimension getting worse ever makes a score better, and a score is never above the
goodness of its worst dimension.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from farm.values import Curve, Span

STEEPNESS = 3
"""How fast goodness falls around the limit. With 2, ten dimensions at a harmless third of their limits already
cost 0.5; with 3 they cost 0.27, and what is at the limit still costs 0.5."""

WORST = 0.25
"""Share of a span's frames, the worst, whose mean stands for it: a fault of half a second spoils a clip of two.
Pauses are part of movement, so stillness counts as a whole; a cut counts by its one frame."""

FLOOR = 0.5
"""Goodness under which a dimension is broken: its figure is past the limit."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One thing that is judged. `limit` is the figure, in its own unit, past which it is broken;
    `worst` the share of a span's frames, the worst, whose mean stands for it (0: the one worst frame)."""

    name: str
    limit: float
    worst: float = WORST


# Limits lie between what is measured on clean takes and what obvious faults measure. In brackets: the highest of 12
# clean movements of 4 photographs, the highest of 8 pieces of real footage without cuts, the lowest of the fault
# meant, at full size, on the same photographs (made by tests/unit/score_takes.py and score_faults.py).
DIMENSIONS = (
    Dimension("temporal_flickering", limit=3.0),  # levels of block luma [0.6; 2.2; 4.2]
    Dimension("exposure_stability", limit=20.0),  # levels travelled in vain within 1 s [under 2; 4; 68]
    Dimension("warping_error", limit=0.4),  # of relief; boiling is rough motion too [0.13; 0.28; 0.35]
    Dimension("motion_smoothness", limit=1.0),  # of motion.py's own limits [0.5; 0.9; 2.3]
    Dimension("sharpness", limit=0.7),  # octaves of detail [0.1; 0.1; 0.9]
    Dimension("noise", limit=4.0),  # levels; fine film grain is the highest clean [1.4; 0.8; 9.0]
    Dimension("first_frame_fidelity", limit=1.0),  # of fidelity.py's own limits [0.1; -; 5.8]
    Dimension("appearance_consistency", limit=0.18),  # 1 - ZNCC [0.04; 0.17; 0.17]
    Dimension("dynamic_degree", limit=1.0, worst=1.0),  # motion.SLOW_LIMIT over movement [0.7; 0.4; 1.1]
    Dimension("motion_magnitude", limit=50.0),  # % of the long edge per second [6; 16; 202]
    Dimension("shot_continuity", limit=0.12, worst=0),  # share of the frame torn at once [0.0; 0.07; 0.10]
)


def goodness(figures: Curve, limit: float) -> Curve:
    """1 / (1 + (figure / limit)^STEEPNESS): 1 without fault, 0.5 at the limit, towards 0 beyond."""
    z = np.minimum(np.asarray(figures, np.float64) / limit, 1e3)
    return np.asarray(1 / (1 + z**STEEPNESS), np.float32)


def composed(curves: Mapping[str, Curve]) -> Curve:
    """One curve of all: 1 / (1 + the sum of each one's 1/goodness - 1), which is goodness of the figures' L3 norm."""
    total = sum(
        (1 / np.maximum(curve.astype(np.float64), 1e-9) - 1 for curve in curves.values()), np.float64(0)
    )
    return np.asarray(1 / (1 + total), np.float32)


def pooled(curve: Curve, worst: float) -> float:
    """The mean of the worst share of a curve's values, of one at least."""
    count = max(1, round(len(curve) * worst))
    return float(np.sort(curve)[:count].mean(dtype=np.float64))


def inside(curve: Curve, span: Span) -> Curve:
    """The values that judge a span: all but its first frame's, which are about the way to it from before."""
    return curve[span.start + min(1, len(span) - 1) : span.stop]
