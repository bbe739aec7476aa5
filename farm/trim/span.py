"""Where to cut: from a take's composite curve to the span that is kept.

Invariant: pure; a span never has a cut inside, and has exactly the length asked for wherever the take allows it.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from farm.values import Curve, Span

TOLERANCE = 0.02
"""Of score: what no viewer tells apart. Among windows this close to the best, the earliest is cut: renders decay
with time, and a window half a second later is not worth the frames it skips."""

_WORST = 0.01  # goodness that a frame counts for at least, so that one ruined frame does not hide all others


def best_span(composite: Curve, cuts: tuple[int, ...], length: int) -> Span:
    """The best window of `length` frames of a take with this composite curve (T,), in O(T).

    A window's worth is the harmonic mean of its frames but the first, whose value is about the way to it from
    before: a glitch of one frame then weighs more than a slightly worse take. `cuts` are the frames at which new
    pictures start. Where no stretch between cuts is `length` long, the longest stretch, the earliest of equals: a
    whole take that is shorter than that. Raises ValueError for an empty curve and for a length under 1.
    """
    count = len(composite)
    if count < 1 or length < 1:
        raise ValueError(f"no span of {length} frames in a take of {count}: both need at least 1")
    bounds = sorted({0, count, *(cut for cut in cuts if 0 < cut < count)})
    stretches = [Span(start, stop) for start, stop in pairwise(bounds)]
    roomy = [stretch for stretch in stretches if len(stretch) >= length]
    if not roomy:
        return max(stretches, key=len)
    starts = np.concatenate([np.arange(s.start, s.stop - length + 1) for s in roomy])
    worths = worth(composite, length)[starts]
    start = int(starts[np.argmax(worths >= worths.max() - TOLERANCE)])
    return Span(start, start + length)


def worth(composite: Curve, length: int) -> NDArray[np.float64]:
    """Of all windows of `length` frames, by their first frame: (T - length + 1,)."""
    badness = 1 / np.clip(composite.astype(np.float64), _WORST, 1)
    judged = max(1, length - 1)
    sums = np.concatenate([[0.0], np.cumsum(badness)])
    means = (sums[judged:] - sums[:-judged]) / judged
    return np.asarray(1 / means[length - judged :])
