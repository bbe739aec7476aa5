"""From figures to a score and a verdict: monotone, under a half for what is broken, reasons exactly when refused."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.score.calibration import CALIBRATION, Keep
from farm.score.composite import FLOOR, composed, goodness, inside, kept, pooled
from farm.score.dimensions import DIMENSIONS
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
    assert 0 <= review.score <= CALIBRATION.keep.ceiling
    assert review.score == kept(review.dimensions)


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


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0.01, 100), st.floats(0, 0.9))
def test_goodness_falls_with_the_figure_and_is_one_up_to_rest_and_half_at_the_limit(a, b, limit, share):
    rest = limit * share
    low, high = goodness(np.asarray([min(a, b), max(a, b)], np.float32), limit, rest)
    assert 1 >= low >= high >= 0
    assert goodness(np.asarray([limit]), limit, rest)[0] == pytest.approx(0.5)
    assert goodness(np.asarray([0, rest / 2, rest]), limit, rest).tolist() == [1, 1, 1]


keeps = st.builds(Keep, ceiling=st.floats(0.05, 1), half=st.floats(0.01, 10), slope=st.floats(0.2, 5))
all_of_it = st.fixed_dictionaries(dict.fromkeys(NAMES, share))


@given(all_of_it, st.sampled_from(NAMES), share, keeps)
def test_a_score_is_a_probability_that_no_worse_dimension_raises(dimensions, name, value, keep):
    worse = {**dimensions, name: min(dimensions[name], value)}
    before, after = kept(dimensions, keep), kept(worse, keep)
    assert 0 <= after <= before <= keep.ceiling
    assert 0 <= kept(worse) <= kept(dimensions) <= CALIBRATION.keep.ceiling <= 1


@given(all_of_it, st.sampled_from(NAMES), st.floats(0, 0.49))
def test_what_is_broken_in_one_dimension_scores_under_a_half_however_good_the_rest(dimensions, name, value):
    assert kept({**dimensions, name: value}) < 0.5
    assert composed({k: np.asarray([v]) for k, v in {**dimensions, name: value}.items()})[0] < 0.5


@given(st.permutations(NAMES), share, share)
def test_no_dimension_weighs_more_than_another(names, one, other):
    good = dict.fromkeys(NAMES, 1.0)
    first, then = ({**good, a: one, b: other} for a, b in (names[:2], names[-2:]))
    assert kept(first) == pytest.approx(kept(then))


def test_a_perfect_take_scores_the_ceiling():
    curves = {name: np.ones(COUNT, np.float32) for name in NAMES}
    ceiling = CALIBRATION.keep.ceiling
    review = SCORER.judge(Measures(curves, composed(curves)), Span(0, COUNT), FPS, ceiling)
    assert (review.score, review.accepted, review.reasons) == (ceiling, True, ())


def test_ranges_leave_room_between_faultless_and_broken():
    assert tuple(CALIBRATION.ranges) == tuple(dimension.name for dimension in DIMENSIONS)
    for name, bounds in CALIBRATION.ranges.items():
        assert 0 <= bounds.rest < bounds.limit, name


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
