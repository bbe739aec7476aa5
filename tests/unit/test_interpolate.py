"""Interpolation: the exact number of frames, the rendered ones as they were, and motion in between."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from clips import moving_picture
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.trim.interpolate import filter_version, frames_at, interpolate
from farm.values import Frames

SIZE_PX = 96


def panning(times: list[float], step_px: float = 4) -> Frames:
    """A coloured pattern that moves to the left by `step_px` in a frame's time, as it stands at `times`."""
    noise = np.random.default_rng(3).integers(0, 256, (SIZE_PX, 3 * SIZE_PX, 3)).astype(np.uint8)
    soft = cv2.GaussianBlur(noise, (0, 0), 3).astype(np.float32)
    picture = (soft - soft.min()) / (soft.max() - soft.min()) * 255
    frames = []
    for time in times:
        matrix = np.float32([[1, 0, -step_px * time], [0, 1, 0]])
        frames.append(cv2.warpAffine(picture, matrix, (SIZE_PX, SIZE_PX), flags=cv2.INTER_LINEAR))
    return np.stack(frames).round().astype(np.uint8)


def psnr_db(a: Frames, b: Frames) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2)))


@pytest.mark.parametrize("count", [2, 5, 9])
@pytest.mark.parametrize(("fps", "wanted"), [(16, 24), (16, 30), (24, 60), (7, 24), (24, 16), (25, 24)])
def test_a_take_keeps_its_length_and_its_ends(count, fps, wanted):
    frames = moving_picture(count, 64, 64)
    made = interpolate(frames, Fraction(fps), Fraction(wanted))
    assert (
        made.shape == (round((count - 1) * Fraction(wanted, fps)) + 1, 64, 64, 3) and made.dtype == np.uint8
    )
    assert np.array_equal(made[0], frames[0]) and np.array_equal(made[-1], frames[-1])
    assert np.array_equal(made, interpolate(frames, Fraction(fps), Fraction(wanted)))


def test_broadcast_rates_are_rates():
    assert frames_at(81, Fraction(16), Fraction(24000, 1001)) == 121
    made = interpolate(moving_picture(4, 64, 64), Fraction(12), Fraction(24000, 1001))
    assert len(made) == 7


@given(st.integers(2, 50), st.integers(2, 50), st.integers(2, 4), st.sampled_from((16, 25, 48, 60)))
@settings(max_examples=25, deadline=None)
def test_any_size_keeps_its_rendered_frames(height, width, count, wanted):
    frames = np.random.default_rng(height).integers(0, 256, (count, height, width, 3), np.uint8)
    made = interpolate(frames, Fraction(12), Fraction(wanted))
    last = len(made) - 1
    for number in range(last + 1):
        if number * (count - 1) % last == 0:
            assert np.array_equal(made[number], frames[number * (count - 1) // last])


def test_what_lies_between_is_nearer_to_the_truth_than_a_repeated_or_mixed_frame():
    frames, truth = panning([0, 1, 2, 3, 4]), panning([t * 2 / 3 for t in range(7)])
    made = interpolate(frames, Fraction(16), Fraction(24))
    between = [1, 2, 4, 5]
    nearest = np.stack([frames[round(t * 2 / 3)] for t in between])
    mixed = np.stack([cv2.addWeighted(frames[t * 2 // 3], 1 - t * 2 / 3 % 1, frames[t * 2 // 3 + 1], t * 2 / 3 % 1, 0)
                      for t in between])  # fmt: skip
    inside = np.s_[:, 8:-8, 8:-8]  # what comes in at the rim stands in one of the two frames only
    ours = psnr_db(made[between][inside], truth[between][inside])
    assert ours > psnr_db(nearest[inside], truth[between][inside]) + 10
    assert ours > psnr_db(mixed[inside], truth[between][inside]) + 3


def test_colours_stay_as_they_are():
    corners = np.array([[r, g, b] for r in (0, 255) for g in (0, 255) for b in (0, 255)], np.uint8)
    flat = np.repeat(np.repeat(corners, 8, 0)[None, :, None], 64, 2)
    frames = np.repeat(flat.reshape(1, 64, 64, 3), 3, 0)
    assert np.array_equal(interpolate(frames, Fraction(10), Fraction(30)), np.repeat(frames[:1], 7, 0))


def test_a_cut_is_not_morphed():
    before, after = panning([0, 1, 2]) // 2, 255 - panning([5, 6, 7]) // 2
    made = interpolate(np.concatenate([before, after]), Fraction(12), Fraction(36))
    shots = made[6:10]  # from the last frame before the cut to the first one after it
    assert all(np.array_equal(frame, before[2]) or np.array_equal(frame, after[0]) for frame in shots)


def test_nothing_is_done_where_nothing_is_to_be_done():
    frames = moving_picture(5)
    assert interpolate(frames, Fraction(24), Fraction(24)) is frames
    assert np.array_equal(interpolate(frames[:1], Fraction(8), Fraction(24)), frames[:1])


@pytest.mark.parametrize(
    ("frames", "fps", "wanted"),
    [
        (np.zeros((0, 8, 8, 3), np.uint8), 8, 24),
        (np.zeros((2, 8, 8), np.uint8), 8, 24),
        (np.zeros((2, 8, 8, 3), np.float32), 8, 24),
        (np.zeros((2, 8, 8, 3), np.uint8), 0, 24),
    ],
)
def test_what_cannot_be_interpolated_is_refused(frames, fps, wanted):
    with pytest.raises(ValueError, match="expected"):
        interpolate(frames, Fraction(fps), Fraction(wanted))


def test_the_version_names_the_filter():
    assert filter_version().startswith("libavfilter ") and "minterpolate" in filter_version()
