"""From measured figures to goodness in 0..1, and from all dimensions to one score.

Invariant: monotone. No dimension getting worse ever makes a score better, and what is broken in one dimension scores
under a half, however good the rest.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from farm.score.calibration import CALIBRATION, Keep
from farm.values import Curve, Span

STEEPNESS = 3
"""How fast a dimension's goodness falls around its limit."""

NORM = 6
"""In which norm the dimensions' z add up: seldom more than one or two of them are at fault, while in real footage all
of them move a little. On the development set's split "calibrate", with 11% of the hard negatives rejected, 0.89 of
severity 3 was rejected with 6, 0.83 with 2, 0.87 with 3."""

FLOOR = 0.5
"""Goodness under which a dimension is broken: its figure is past the limit."""

_LEAST = 1e-9  # goodness of what is as bad as can be


def goodness(figures: Curve, limit: float, rest: float = 0.0) -> Curve:
    """1 / (1 + z^STEEPNESS), z = (figure - rest) / (limit - rest): 1 up to rest, 0.5 at the limit, towards 0 beyond."""
    z = np.clip((np.asarray(figures, np.float64) - rest) / (limit - rest), 0, 1e3)
    return np.asarray(1 / (1 + z**STEEPNESS), np.float32)


def total(badness: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Of z^STEEPNESS of each dimension: their norm to that power, so that one of them alone is itself."""
    power = NORM / STEEPNESS
    return np.asarray(sum((one**power for one in badness), np.float64(0)) ** (1 / power))


def composed(curves: Mapping[str, Curve]) -> Curve:
    """One curve of all: goodness of the norm of all z."""
    return np.asarray(1 / (1 + _total(curves)), np.float32)


def kept(dimensions: Mapping[str, float], keep: Keep = CALIBRATION.keep) -> float:
    """The score: how often a reviewer keeps a take whose dimensions are so good.

    A log-logistic curve (the odds fall with a power of the norm of z), fitted by calibration/fit.py.
    """
    faults = _total({name: np.asarray([value], np.float32) for name, value in dimensions.items()})
    return float(keep.share(faults)[0])


def pooled(curve: Curve, worst: float) -> float:
    """The mean of the worst share of a curve's values, of one at least."""
    count = max(1, round(len(curve) * worst))
    return float(np.sort(curve)[:count].mean(dtype=np.float64))


def inside(curve: Curve, span: Span) -> Curve:
    """The values that judge a span: all but its first frame's, which are about the way to it from before."""
    return curve[span.start + min(1, len(span) - 1) : span.stop]


def _total(curves: Mapping[str, Curve]) -> NDArray[np.float64]:
    """The norm of z over dimensions, to the power of STEEPNESS, from their goodness."""
    return total(1 / np.maximum(curve.astype(np.float64), _LEAST) - 1 for curve in curves.values())
