"""What judges takes: the Scorer protocol, and the Critic that adds a dimension to one.

Invariant: both are deterministic, see only frames, their rate and the pictures they are held against, and a number they
give means the same for every take.
"""

from fractions import Fraction
from typing import Protocol

from farm.score.dimensions import Dimension
from farm.values import Curve, Frames, Measures, Pixels, Review, Span


class Scorer(Protocol):
    dimensions: tuple[str, ...]  # names of all dimensions, in the manifest's order

    def measure(
        self, frames: Frames, fps: Fraction, still: Pixels | None, character: Pixels | None = None
    ) -> Measures:
        """Curves over all frames of a take. `still` has the frames' size; None: judge without it. `character` is a
        picture, of any size, of whom the take shows.

        Raises TakeError (kind `score_*`) for frames that no judgement can be made of.
        """
        ...

    def judge(self, measures: Measures, span: Span, fps: Fraction, accept: float) -> Review:
        """The verdict on one span; accepted when its score reaches `accept` and no dimension is broken."""
        ...


class Critic(Protocol):
    """Judges one dimension more, by something that is not on every machine: a face model, learned weights.

    It joins the composite like any other dimension: what it finds broken is rejected with its words.
    """

    dimension: Dimension

    def figures(self, frames: Frames, fps: Fraction, still: Pixels | None, character: Pixels | None) -> Curve:
        """(T,) figures of frames (T, H, W, 3), in the dimension's unit: 0 is faultless, `dimension.limit` broken,
        finite, none below 0. The arguments are those of Scorer.measure, checked by then.

        Raises TakeError (kind `score_*`) for frames that no judgement can be made of.
        """
        ...
