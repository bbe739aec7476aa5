"""From figures to a score and a verdict: monotone, never better than the worst, and reasons exactly when refused."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.score.composite import DIMENSIONS, FLOOR, composed, goodness, inside, pooled
from farm.score.score import StillReferenceScorer
from farm.values import Measures, Span

SCORER = StillReferenceScorer()
NAMES = SCORER.dimensions
COUNT = 24
FPS = Fraction(24)
share = st.floats(0, 1, width=32)


@st.composite
def measures(draw: st.DrawFn) -> Measures:
    """Any curves, most of them good, some bad from some frame on."""
    curves = {}
    for name in NAMES:
        curve = np.full(COUNT, draw(st.sampled_from([1.0, 0.97, 0.9])), np.float32)
        if draw(st.integers(0, 3)) == 0:
            curve[draw(st.integers(0, COUNT - 1)) :] = draw(share)
        curves[name] = curve
    cuts = tuple(draw(st.lists(st.integers(1, COUNT - 1), max_size=2, unique=True).map(sorted)))
    return Measures(curves, composed(curves), cuts)


spans = st.tuples(st.integers(0, COUNT - 1), st.integers(1, COUNT)).map(
    lambda ends: Span(min(ends[0], COUNT - 1), max(ends[0] + 1, ends[1]))
)


@given(measures(), spans, st.floats(0, 1))
def test_a_take_is_accepted_exactly_when_there_is_no_reason_not_to(given_measures, span, accept):
    review = SCORER.judge(given_measures, span, FPS, accept)
    broken = [name for name, value in review.dimensions.items() if value < FLOOR]
    assert review.accepted == (review.score >= accept and not broken) == (review.reasons == ())
    assert tuple(review.dimensions) == NAMES
    assert len(review.reasons) == (len(broken) or (review.score < accept))
    assert 0 <= review.score <= min(review.dimensions.values()) + 1e-6


@given(measures(), spans, st.sampled_from(NAMES), st.integers(0, COUNT - 1), share)
def test_a_worse_frame_never_makes_a_better_score(given_measures, span, name, frame, value):
    curve = given_measures.curves[name].copy()
    curve[frame] = min(curve[frame], value)
    worse = replace(given_measures, curves={**given_measures.curves, name: curve})
    before, after = (SCORER.judge(m, span, FPS, 0.7) for m in (given_measures, worse))
    assert after.score <= before.score + 1e-6
    assert after.dimensions[name] <= before.dimensions[name] + 1e-6


@given(st.lists(st.lists(share, min_size=3, max_size=3), min_size=1, max_size=12))
def test_a_composite_is_at_most_its_worst_curve(rows):
    curves = {str(i): np.asarray(row, np.float32) for i, row in enumerate(rows)}
    whole = composed(curves)
    assert whole.dtype == np.float32
    assert (whole <= np.min(list(curves.values()), axis=0) + 1e-6).all()
    assert (whole >= 0).all()


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0.01, 100))
def test_goodness_falls_with_the_figure_and_is_half_at_the_limit(a, b, limit):
    low, high = goodness(np.asarray([min(a, b), max(a, b)], np.float32), limit)
    assert 1 >= low >= high >= 0
    assert goodness(np.asarray([limit], np.float32), limit)[0] == pytest.approx(0.5)


def test_a_perfect_take_scores_one():
    curves = {name: np.ones(COUNT, np.float32) for name in NAMES}
    review = SCORER.judge(Measures(curves, composed(curves)), Span(0, COUNT), FPS, 1.0)
    assert (review.score, review.accepted, review.reasons) == (1.0, True, ())


def test_reasons_come_worst_first():
    curves = {name: np.ones(COUNT, np.float32) for name in NAMES}
    curves["noise"] = np.full(COUNT, 0.4, np.float32)
    curves["sharpness"] = np.full(COUNT, 0.1, np.float32)
    review = SCORER.judge(Measures(curves, composed(curves)), Span(0, COUNT), FPS, 0.0)
    assert review.reasons == ("blurred throughout", "noisy throughout")


def test_a_floor_holds_whatever_is_accepted():
    curves = {name: np.ones(COUNT, np.float32) for name in NAMES}
    curves["motion_smoothness"] = np.full(COUNT, 0.3, np.float32)
    assert not SCORER.judge(Measures(curves, composed(curves)), Span(0, COUNT), FPS, 0.0).accepted


def test_the_first_frame_of_a_span_is_not_judged_but_a_single_one_is():
    curve = np.asarray([0.1, 0.9, 0.8], np.float32)
    assert inside(curve, Span(0, 3)).tolist() == curve[1:].tolist()
    assert inside(curve, Span(1, 2)).tolist() == curve[1:2].tolist()


def test_pooling_takes_the_worst_share():
    curve = np.asarray([1, 1, 1, 1, 1, 1, 0.2, 0.4], np.float32)
    assert pooled(curve, 0.25) == pytest.approx(0.3)
    assert pooled(curve, 0) == pytest.approx(0.2)
    assert pooled(curve, 1.0) == pytest.approx(curve.mean())


def test_names_of_dimensions_can_be_columns():
    assert len(set(NAMES)) == len(NAMES) == len(DIMENSIONS)
    assert all(name.isidentifier() and name.islower() for name in NAMES)
