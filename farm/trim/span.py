"""Where to cut: from a take's composite curve to the span that is kept.

Invariant: pure; a span never has a cut inside, and has exactly the length asked for wherever the take allows it.
"""

from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from farm.values import Curve, Span

TOLERANCE = 0.01
"""Of worth: what no viewer tells apart. Among windows this close to the best, the earliest is cut: renders decay
with time, and a window half a second later is not worth the frames it skips."""

GUARD = 6
"""Frames: how near to a bad frame a window does not like to come, at its ends. Faults come and go gradually, and are
there before they are measured: on part of the development set 0.95 of the cuts had no damaged frame with it, 0.90
without."""

_WORST = 0.01  # goodness that a frame counts for at least, so that one ruined frame does not hide all others


def best_span(composite: Curve, cuts: tuple[int, ...], length: int) -> Span:
    """The best window of `length` frames of a take with this composite curve (T,).

    `cuts` are the frames at which new pictures start. Where no stretch between cuts is `length` long, the longest
    stretch, the earliest of equals: a whole take that is shorter than that. Raises ValueError for an empty curve and
    for a length under 1.
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
    worths = np.concatenate([worth(composite[s.start : s.stop], length) for s in roomy])
    start = int(starts[np.argmax(worths >= worths.max() - TOLERANCE)])
    return Span(start, start + length)


def worth(composite: Curve, length: int) -> NDArray[np.float64]:
    """Of all windows of `length` frames of one stretch (T,), by their first frame: (T - length + 1,).

    The mean of a window's worst frame and of the harmonic mean of its frames: a glitch of one frame then weighs more
    than a slightly worse take. Each frame counts as the worst within GUARD frames, the stretch's first as its second:
    its own value is about the way to it from before.
    """
    values = np.clip(composite.astype(np.float64), _WORST, 1)
    values[0] = values[min(1, len(values) - 1)]
    padded = np.pad(values, GUARD, mode="edge")
    guarded = sliding_window_view(padded, 2 * GUARD + 1).min(axis=1)
    windows = sliding_window_view(guarded, length)
    return np.asarray((windows.min(axis=1) + 1 / (1 / windows).mean(axis=1)) / 2)
