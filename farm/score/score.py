"""The scorer that needs no weights: the still as a motion-compensated full reference.

Invariant: deterministic; frames are read once (planes.py), walked once from frame to frame (adjacent.py) and once
beside the still (reference.py), and each dimension reduces what it sees there to a figure.
"""

from fractions import Fraction

import numpy as np

from farm.score import words
from farm.score.composite import DIMENSIONS, composed, goodness, inside, pooled
from farm.score.figures import drifting, temporal, walked
from farm.score.planes import planes
from farm.values import Frames, Measures, Pixels, Review, Span


class StillReferenceScorer:
    """Scores takes by OpenCV and numpy alone; see composite.py for what a score means."""

    dimensions: tuple[str, ...] = tuple(d.name for d in DIMENSIONS)

    def measure(self, frames: Frames, fps: Fraction, still: Pixels | None) -> Measures:
        """Curves (T,) of frames (T, H, W, 3); without a still (H, W, 3), the first frame stands in for it.

        Raises TakeError (score_shape, score_too_short, score_too_small, score_still_size).
        """
        take = planes(frames, fps, still)
        walk = walked(take)
        figures = {**temporal(take, walk), **drifting(take, walk)}
        curves = {d.name: goodness(figures[d.name], d.limit) for d in DIMENSIONS}
        return Measures(curves=curves, composite=composed(curves), cuts=walk.cuts)

    def judge(self, measures: Measures, span: Span, fps: Fraction, accept: float) -> Review:
        """The verdict on a span: each dimension pooled over its frames, and the score composed of them.

        Accepted: the score reaches `accept` and no dimension is under composite.FLOOR. Times in reasons count from
        the start of the take.
        """
        dimensions = {d.name: pooled(inside(measures.curves[d.name], span), d.worst) for d in DIMENSIONS}
        score = float(composed({name: np.asarray([value]) for name, value in dimensions.items()})[0])
        why = words.reasons(measures, span, fps, dimensions)
        if not why and score < accept:
            why = (words.shortfall(score, accept, dimensions),)
        return Review(score=score, dimensions=dimensions, accepted=not why, reasons=why)
