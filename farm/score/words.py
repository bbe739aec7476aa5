"""Why a take was not accepted, in words for people.

Invariant: one reason for each broken dimension, worst first, with the time in the take at which it starts.
"""

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from farm.score.composite import FLOOR, inside
from farm.values import Measures, Span

_SAYS = {
    "temporal_flickering": "flickers",
    "exposure_stability": "light or colour pumps",
    "warping_error": "surfaces crawl",
    "motion_smoothness": "shakes or wobbles",
    "sharpness": "blurred",
    "noise": "noisy",
    "appearance_consistency": "drifts away from the still",
    "dynamic_degree": "frozen",
    "motion_magnitude": "motion too large",
}
_THROUGHOUT = 0.8  # of a span's frames
_AT_ONCE_S = 0.1


def reasons(
    measures: Measures, span: Span, fps: Fraction, dimensions: Mapping[str, float]
) -> tuple[str, ...]:
    """One for each dimension under the floor, the worst first; times are seconds from the start of the take."""
    broken = sorted(
        (name for name in dimensions if dimensions[name] < FLOOR), key=lambda name: dimensions[name]
    )
    return tuple(_reason(name, measures, span, fps) for name in broken)


def shortfall(score: float, accept: float, dimensions: Mapping[str, float]) -> str:
    """Why a take is not accepted in which nothing is broken."""
    weakest = sorted(dimensions, key=lambda name: dimensions[name])[:2]
    named = ", ".join(f"{name.replace('_', ' ')} {dimensions[name]:.2f}" for name in weakest)
    return f"score {score:.3f} is under the limit of {accept:.3f}; weakest: {named}"


def _reason(name: str, measures: Measures, span: Span, fps: Fraction) -> str:
    if name == "first_frame_fidelity":
        return "first frame does not match the still"
    bad = inside(measures.curves[name], span) < FLOOR
    frame = span.start + min(1, len(span) - 1) + int(np.argmax(bad))
    if name == "shot_continuity":
        return f"{'cut' if frame in measures.cuts else 'something jumps'} at {_clock(frame, fps)}"
    if bad.mean() >= _THROUGHOUT:
        return f"{_SAYS[name]} throughout"
    if frame / fps < _AT_ONCE_S:
        return f"{_SAYS[name]} from the start"
    return f"{_SAYS[name]} from {_clock(frame, fps)}"


def _clock(frame: int, fps: Fraction) -> str:
    return f"{float(frame / fps):.1f} s"
