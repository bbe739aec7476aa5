"""The cut: the best window of a take, earliest of what is as good, never across a cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from farm.trim.span import GUARD, TOLERANCE, best_span, worth
from farm.values import Curve, Span

curves = hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(0, 1, width=32))
cut_lists = st.lists(st.integers(-3, 45), max_size=4).map(tuple)


def slow_worth(composite: Curve, span: Span, stretch: Span) -> float:
    """Written as it is said."""
    values = [max(float(value), 0.01) for value in composite[stretch.start : stretch.stop]]
    values[0] = values[min(1, len(values) - 1)]
    judged = [
        min(values[max(0, i - GUARD) : i + GUARD + 1])
        for i in range(span.start - stretch.start, span.stop - stretch.start)
    ]
    return (min(judged) + len(judged) / sum(1 / value for value in judged)) / 2


def stretch_of(span: Span, count: int, cuts: tuple[int, ...]) -> Span:
    return Span(
        max([0, *(cut for cut in cuts if cut <= span.start)]),
        min([count, *(cut for cut in cuts if cut >= span.stop)]),
    )


def slow_windows(count: int, cuts: tuple[int, ...], length: int) -> list[Span]:
    spans = [Span(start, start + length) for start in range(count - length + 1)]
    return [span for span in spans if not any(span.start < cut < span.stop for cut in cuts)]


@given(curves, cut_lists, st.integers(1, 45))
def test_it_is_what_a_search_of_all_windows_finds(composite, cuts, length):
    span = best_span(composite, cuts, length)
    windows = slow_windows(len(composite), cuts, length)
    assert not any(span.start < cut < span.stop for cut in cuts)
    if not windows:
        longest = max(
            stop - start
            for start in range(len(composite))
            for stop in range(start + 1, len(composite) + 1)
            if not any(start < cut < stop for cut in cuts)
        )
        assert len(span) == longest
        return
    count = len(composite)
    worths = [slow_worth(composite, window, stretch_of(window, count, cuts)) for window in windows]
    best = max(worths)
    chosen = windows.index(span)
    assert worths[chosen] >= best - TOLERANCE - 1e-9
    assert all(earlier < best - TOLERANCE + 1e-9 for earlier in worths[:chosen])


@given(curves, st.integers(1, 40))
def test_the_fast_worth_is_the_plain_one(composite, length):
    windows = slow_windows(len(composite), (), length)
    if windows:
        whole = Span(0, len(composite))
        expected = [slow_worth(composite, window, whole) for window in windows]
        np.testing.assert_allclose(worth(composite, length), expected, rtol=1e-6)


def test_a_perfect_take_is_cut_from_its_first_frame():
    assert best_span(np.ones(96, np.float32), (), 48) == Span(0, 48)


def test_a_bad_start_is_skipped_with_a_guard_and_no_more():
    composite = np.ones(96, np.float32)
    composite[:20] = 0.4
    assert best_span(composite, (), 48).start == 20 + GUARD


def test_a_guard_costs_nothing_where_there_is_no_room_for_it():
    composite = np.ones(70, np.float32)
    composite[:20] = 0.4
    assert best_span(composite, (), 49).start == 21


def test_one_ruined_frame_is_left_out():
    composite = np.full(96, 0.9, np.float32)
    composite[30] = 0.2
    span = best_span(composite, (), 48)
    assert not span.start < 30 < span.stop


def test_a_shorter_take_is_kept_whole():
    assert best_span(np.ones(10, np.float32), (), 48) == Span(0, 10)


def test_between_cuts_the_longest_stretch_is_kept():
    assert best_span(np.ones(30, np.float32), (5, 20), 24) == Span(5, 20)


def test_a_span_may_start_at_a_cut():
    composite = np.ones(50, np.float32)
    composite[:20] = 0.3
    composite[20] = 0.0  # the jump into the new picture is not seen by who starts there
    assert best_span(composite, (20,), 30) == Span(20, 50)


@pytest.mark.parametrize(("count", "length"), [(0, 5), (5, 0), (5, -1)])
def test_no_span_of_nothing(count, length):
    with pytest.raises(ValueError, match="at least 1"):
        best_span(np.ones(count, np.float32), (), length)
