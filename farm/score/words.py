"""Why a take was not accepted, in words for people.

Invariant: one reason for each broken dimension, worst first, with the time in the take at which it starts.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from farm.score.composite import FLOOR, inside
from farm.score.dimensions import Dimension
from farm.values import Measures, Span

_THROUGHOUT = 0.8  # of a span's frames
_AT_ONCE_S = 0.1


def reasons(
    judged: Sequence[Dimension],
    measures: Measures,
    span: Span,
    fps: Fraction,
    dimensions: Mapping[str, float],
) -> tuple[str, ...]:
    """One for each dimension under the floor, the worst first; times are seconds from the start of the take."""
    broken = sorted((d for d in judged if dimensions[d.name] < FLOOR), key=lambda d: dimensions[d.name])
    return tuple(_reason(dimension, measures, span, fps) for dimension in broken)


def shortfall(score: float, accept: float, dimensions: Mapping[str, float]) -> str:
    """Why a take is not accepted in which nothing is broken."""
    weakest = sorted(dimensions, key=lambda name: dimensions[name])[:2]
    named = ", ".join(f"{name.replace('_', ' ')} {dimensions[name]:.2f}" for name in weakest)
    return f"score {score:.3f} is under the limit of {accept:.3f}; weakest: {named}"


def _reason(dimension: Dimension, measures: Measures, span: Span, fps: Fraction) -> str:
    if not dimension.timed:
        return dimension.says
    bad = inside(measures.curves[dimension.name], span) < FLOOR
    frame = span.start + min(1, len(span) - 1) + int(np.argmax(bad))
    if dimension.worst == 0:
        return f"{'cut' if frame in measures.cuts else dimension.says} at {_clock(frame, fps)}"
    if bad.mean() >= _THROUGHOUT:
        return f"{dimension.says} throughout"
    if frame / fps < _AT_ONCE_S:
        return f"{dimension.says} from the start"
    return f"{dimension.says} from {_clock(frame, fps)}"


def _clock(frame: int, fps: Fraction) -> str:
    return f"{float(frame / fps):.1f} s"
