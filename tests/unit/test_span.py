"""The cut: the best window of a take, earliest of what is as good, never across a cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from farm.trim.span import TOLERANCE, best_span, worth
from farm.values import Curve, Span

curves = hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(0, 1, width=32))
cut_lists = st.lists(st.integers(-3, 45), max_size=4).map(tuple)


def slow_worth(composite: Curve, span: Span) -> float:
    """Harmonic mean of the frames but the first, written as it is said."""
    frames = composite[span.start : span.stop].astype(np.float64)
    judged = frames[1:] if len(frames) > 1 else frames
    return float(len(judged) / np.sum(1 / np.clip(judged, 0.01, 1)))


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
    worths = [slow_worth(composite, window) for window in windows]
    best = max(worths)
    chosen = windows.index(span)
    assert worths[chosen] >= best - TOLERANCE - 1e-9
    assert all(earlier < best - TOLERANCE + 1e-9 for earlier in worths[:chosen])


@given(curves, st.integers(1, 40))
def test_the_fast_worth_is_the_plain_one(composite, length):
    windows = slow_windows(len(composite), (), length)
    if windows:
        expected = [slow_worth(composite, window) for window in windows]
        np.testing.assert_allclose(worth(composite, length), expected, rtol=1e-6)


def test_a_perfect_take_is_cut_from_its_first_frame():
    assert best_span(np.ones(96, np.float32), (), 48) == Span(0, 48)


def test_a_bad_start_is_skipped_and_no_more():
    composite = np.ones(96, np.float32)
    composite[:20] = 0.4
    # A span's first frame is not judged, and one frame of 47 may be bad before that is worth skipping it.
    assert best_span(composite, (), 48).start in (18, 19)


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
