"""How the calibration is found: limits and the keep curve that best predict what is kept of the development set.

Invariant: a function of its samples alone; the fit starts from the limits as they are and leaves them only for a
reason, so that it does not wander where the samples say nothing.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from farm.score.calibration import Calibration, Keep, Range
from farm.score.composite import composed, goodness, inside, pooled, total
from farm.trim.span import best_span
from farm.values import Curve, Span

KEPT = (1.0, 0.8, 0.2, 0.0)
"""How often a reviewer is taken to keep a take, by severity: 0 is undamaged; 1 is what a careful viewer sees, 2 what
most see, 3 what nobody overlooks. An assumption: there were no reviewers."""

SHARES = (0.6, 0.4 / 3, 0.4 / 3, 0.4 / 3)
"""Of undamaged takes and the three severities, in the mix of takes for which the score is a probability."""

# Where the fit starts, and what it stays near to: between what twelve clean movements of four photographs and eight
# pieces of real footage measure at most, and what each fault measures at least at full size.
START = Calibration(
    {
        "temporal_flickering": Range(0.0, 3.0),  # at most 0.6 clean, 2.2 real; at least 4.2 damaged
        "exposure_stability": Range(0.0, 20.0),  # 2; 4; 68
        "warping_error": Range(0.0, 0.4),  # 0.13; 0.28; 0.35
        "motion_smoothness": Range(0.0, 1.0),  # 0.5; 0.9; 2.3
        "sharpness": Range(0.0, 0.7),  # 0.1; 0.1; 0.9
        "noise": Range(0.0, 4.0),  # 1.4; 0.8; 9.0
        "first_frame_fidelity": Range(0.0, 1.0),  # 0.1; -; 5.8
        "appearance_consistency": Range(0.0, 0.18),  # 0.04; 0.17; 0.17
        "color_consistency": Range(0.0, 1.0),  # 0.3; 0.6; 1.2
        "ghosting": Range(0.0, 0.05),  # 0.01; 0.02; 0.1
        "border_integrity": Range(0.0, 1.2),  # 0; 0; 2
        "dynamic_degree": Range(0.0, 1.0),  # 0.7; 0.4; 1.1
        "motion_magnitude": Range(0.0, 50.0),  # 6; 16; 202
        "shot_continuity": Range(0.0, 1.0),  # 0.1; 0.6; 1.2
    },
    Keep(ceiling=0.95, half=0.5, slope=1.0),
)

ROUNDS = 6
_STEPS = (0.4, 0.15, 0.05)  # in log space
_TETHER = 0.01  # cost of a limit e times as large or as small, in nats per take
# Shares of a span's frames that are damaged: up to which it counts as undamaged, from which on as damaged; what lies
# between says little.
CLEAN, SPOILT = 0.02, 0.5

Badness = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """A take whose worth is known: its figures, and which of its frames (T,) are damaged, how severely."""

    severity: int
    weight: float  # beside others of the same severity
    bad: NDArray[np.bool_]
    cuts: tuple[int, ...]
    length: int  # of the span to be cut
    figures: Mapping[str, Curve]


def fit(samples: Sequence[Sample], start: Calibration, worst: Mapping[str, float]) -> Calibration:
    """The calibration of these samples; `worst` says how each dimension is pooled over a span."""
    ranges = {name: replace(r, rest=_rest(samples, name, r)) for name, r in start.ranges.items()}
    found = Calibration(ranges, start.keep)
    for _ in range(ROUNDS):
        found = _Round(samples, found, start, worst).improved()
    return found


def _rest(samples: Sequence[Sample], name: str, known: Range) -> float:
    """The median of what undamaged takes measure, all over; at most a third of the limit."""
    usual = [float(np.median(s.figures[name])) for s in samples if s.severity == 0]
    return min(float(np.median(usual)), known.limit / 3)


class _Round:
    """One pass over all parameters, with the spans that the calibration so far cuts."""

    def __init__(
        self, samples: Sequence[Sample], found: Calibration, start: Calibration, worst: Mapping[str, float]
    ) -> None:
        self._start, self._worst = start, worst
        self._ranges, self._keep = dict(found.ranges), found.keep
        spans = [_span(sample, found) for sample in samples]
        judged = [(s, span, _target(s, span)) for s, span in zip(samples, spans, strict=True)]
        self._judged = [(s, span) for s, span, target in judged if target is not None]
        self._targets = np.array([target for _, _, target in judged if target is not None])
        severities = np.array([s.severity if t < 1 else 0 for s, _, t in judged if t is not None])
        weights = np.array([s.weight for s, _ in self._judged])
        sums = np.bincount(severities, weights, minlength=len(SHARES))
        self._weights = np.array(SHARES)[severities] * weights / sums[severities]
        self._weights /= self._weights.sum()
        self._badness = {name: self._measured(name, r) for name, r in self._ranges.items()}

    def improved(self) -> Calibration:
        """Coordinate descent: each limit, then the keep curve, in steps that get finer."""
        for step in _STEPS:
            for name in self._ranges:
                self._improve_limit(name, step)
            self._improve_keep(step)
        return Calibration(self._ranges, self._keep)

    def _improve_limit(self, name: str, step: float) -> None:
        known = self._ranges[name]

        def cost(limit: float) -> tuple[float, Badness, Range]:
            tried = replace(known, limit=limit)
            badness = self._measured(name, tried)
            all_of_them = [*(b for other, b in self._badness.items() if other != name), badness]
            tether = _TETHER * math.log(limit / self._start.ranges[name].limit) ** 2
            return self._loss(total(all_of_them), self._keep) + tether, badness, tried

        limits = [known.limit, known.limit * math.exp(step), known.limit / math.exp(step)]
        found = min((cost(limit) for limit in limits if limit > 2 * known.rest), key=lambda c: c[0])
        self._badness[name], self._ranges[name] = found[1], found[2]

    def _improve_keep(self, step: float) -> None:
        faults = total(self._badness.values())
        for _ in range(10):
            self._keep = min(_near(self._keep, step), key=lambda keep: self._loss(faults, keep))

    def _measured(self, name: str, bounds: Range) -> Badness:
        """1/goodness - 1 of each sample's span."""
        found = [
            pooled(inside(goodness(s.figures[name], bounds.limit, bounds.rest), span), self._worst[name])
            for s, span in self._judged
        ]
        return 1 / np.maximum(np.asarray(found, np.float64), 1e-9) - 1

    def _loss(self, faults: Badness, keep: Keep) -> float:
        """Weighted cross-entropy of what is kept."""
        p = np.clip(keep.share(faults), 1e-4, 1 - 1e-4)
        each = self._targets * np.log(p) + (1 - self._targets) * np.log(1 - p)
        return -float((self._weights * each).sum())


def _near(keep: Keep, step: float) -> Iterator[Keep]:
    """The curve and its neighbours; half never passes 1, so that what is broken is kept less than half the time."""
    yield keep
    for factor in (math.exp(step), math.exp(-step)):
        yield replace(keep, half=min(1.0, keep.half * factor))
        yield replace(keep, slope=min(3.0, max(0.3, keep.slope * factor)))
        yield replace(keep, ceiling=1 - min(0.3, max(0.005, (1 - keep.ceiling) * factor)))


def _span(sample: Sample, found: Calibration) -> Span:
    curves = {name: goodness(sample.figures[name], r.limit, r.rest) for name, r in found.ranges.items()}
    return best_span(composed(curves), sample.cuts, sample.length)


def _target(sample: Sample, span: Span) -> float | None:
    """How often the span is kept; None where it is neither damaged nor undamaged."""
    share = float(sample.bad[span.start : span.stop].mean())
    if share <= CLEAN:
        return KEPT[0]
    return KEPT[sample.severity] if share >= SPOILT else None
