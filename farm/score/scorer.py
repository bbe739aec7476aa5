"""What judges takes: the Scorer protocol.

Invariant: a scorer is deterministic, sees only frames, their rate and the still, and a number it gives means the
same for every take: 0..1, 1 is good.
"""

from fractions import Fraction
from typing import Protocol

from farm.values import Frames, Measures, Pixels, Review, Span


class Scorer(Protocol):
    dimensions: tuple[str, ...]  # names of all dimensions, in the manifest's order

    def measure(self, frames: Frames, fps: Fraction, still: Pixels | None) -> Measures:
        """Curves over all frames of a take. `still` has the frames' size; None: judge without it.

        Raises TakeError (kind `score_*`) for frames that no judgement can be made of.
        """
        ...

    def judge(self, measures: Measures, span: Span, fps: Fraction, accept: float) -> Review:
        """The verdict on one span; accepted when its score reaches `accept` and no dimension is broken."""
        ...
