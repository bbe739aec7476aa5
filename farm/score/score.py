"""The scorer that needs no weights: the still as a motion-compensated full reference.

Invariant: deterministic; frames are read once (planes.py), walked once from frame to frame (adjacent.py) and once
beside the still (reference.py), and each dimension reduces what it sees there to a figure.
"""

import threading
from collections.abc import Mapping, Sequence
from fractions import Fraction

from farm.score import words
from farm.score.composite import composed, goodness, inside, kept, pooled
from farm.score.dimensions import DIMENSIONS
from farm.score.figures import drifting, temporal, walked
from farm.score.planes import planes
from farm.score.scorer import Critic
from farm.values import Curve, Frames, Measures, Pixels, Review, Span


class StillReferenceScorer:
    """Scores takes by OpenCV and numpy alone; see composite.py for what a score means."""

    def __init__(self, critics: Sequence[Critic] = ()) -> None:
        """`critics` add their dimensions to the scorer's own; no two have the same name."""
        self._critics = tuple(critics)
        self._judged = (*DIMENSIONS, *(critic.dimension for critic in critics))
        self.dimensions = tuple(d.name for d in self._judged)
        self._one_at_a_time = threading.Lock()  # models need not be safe to call from two threads

    def measure(
        self, frames: Frames, fps: Fraction, still: Pixels | None, character: Pixels | None = None
    ) -> Measures:
        """Curves (T,) of frames (T, H, W, 3); without a still (H, W, 3), the first frame stands in for it.

        Raises TakeError (score_shape, score_too_short, score_too_small, score_still_size, and what critics raise).
        """
        figures, cuts = figured(frames, fps, still)
        with self._one_at_a_time:
            for critic in self._critics:
                figures[critic.dimension.name] = critic.figures(frames, fps, still, character)
        return self.weighed(figures, cuts)

    def weighed(self, figures: Mapping[str, Curve], cuts: tuple[int, ...]) -> Measures:
        """What figures (T,) of all dimensions, in their own units, are worth."""
        curves = {d.name: goodness(figures[d.name], d.limit, d.rest) for d in self._judged}
        return Measures(curves=curves, composite=composed(curves), cuts=cuts)

    def judge(self, measures: Measures, span: Span, fps: Fraction, accept: float) -> Review:
        """The verdict on a span: each dimension pooled over its frames, and the probability that it is kept.

        Accepted: the score reaches `accept` and no dimension is under composite.FLOOR. Times in reasons count from
        the start of the take.
        """
        dimensions = {d.name: pooled(inside(measures.curves[d.name], span), d.worst) for d in self._judged}
        score = kept(dimensions)
        why = words.reasons(self._judged, measures, span, fps, dimensions)
        if not why and score < accept:
            why = (words.shortfall(score, accept, dimensions),)
        return Review(score=score, dimensions=dimensions, accepted=not why, reasons=why)


def figured(frames: Frames, fps: Fraction, still: Pixels | None) -> tuple[dict[str, Curve], tuple[int, ...]]:
    """What is measured of a take before it is weighed: figures (T,) of DIMENSIONS, and its cuts."""
    take = planes(frames, fps, still)
    walk = walked(take)
    return {**temporal(take, walk), **drifting(take, walk)}, walk.cuts
