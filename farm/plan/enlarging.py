"""Stills that a job's own sizes enlarge: that was asked for, and it is said.

Invariant: only a size by number enlarges a still; a warning changes no take.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from farm.render.fit import by_number, scale_of
from farm.values import Gate, Model, Still, StillReport

Look = Callable[[Still], StillReport]


def warning_look(look: Look, models: Iterable[Model]) -> Look:
    """`look`, but a still that is smaller than what a model makes of it passes with a warning."""
    sized = [(model, size) for model in models if (size := by_number(model.size))]

    def warned(still: Still) -> StillReport:
        report = look(still)
        width, height = report.width_px, report.height_px
        if report.verdict is not Gate.OK or width is None or height is None:
            return report
        scales = [(scale_of(width, height, *frame, model.fit), model) for model, frame in sized]
        scale, model = max(scales, key=lambda one: one[0])
        if scale <= 1:
            return report
        reason = f"{width}x{height} px is enlarged {scale:.2f} times to {model.size} for {model.name}"
        return replace(report, verdict=Gate.WARN, reason=reason, kind="still_enlarged")

    return warned if sized else look
