"""What is measured on: planes of one size for every take, and flows that know what they cannot follow."""

from fractions import Fraction

import numpy as np
import pytest
from devset_takes import FPS, camera, photo
from hypothesis import given
from hypothesis import strategies as st

from farm.score.adjacent import pairs
from farm.score.flow import Blocks, Tracker
from farm.score.motion import rolling
from farm.score.planes import COARSE_PX, FINE_PX, planes
from farm.score.reference import sights
from farm.score.stability import pumping
from farm.score.warping import cuts, jumps


@pytest.mark.parametrize("size", [(1280, 720), (1281, 721), (960, 540), (480, 832), (1000, 250)])
def test_planes_have_one_size_whatever_the_resolution(size):
    frames = np.zeros((3, size[1], size[0], 3), np.uint8)
    take = planes(frames, FPS, None)
    assert max(take.coarse[0].shape) == COARSE_PX
    assert max(take.fine[0].shape) == max(take.still.shape) == FINE_PX
    aspect = size[0] / size[1]
    for plane in (take.coarse[0], take.fine[0]):
        assert plane.shape[1] / plane.shape[0] == pytest.approx(aspect, rel=0.02)


def test_small_frames_are_not_enlarged_unless_they_are_tiny():
    assert planes(np.zeros((2, 90, 160, 3), np.uint8), FPS, None).fine[0].shape == (90, 160)
    assert planes(np.zeros((2, 16, 20, 3), np.uint8), FPS, None).coarse[0].shape == (48, 60)


@given(st.integers(2, 40), st.fractions(Fraction(1), Fraction(120)))
def test_anchors_are_in_order_and_hold_both_ends(count, fps):
    take = planes(np.zeros((count, 16, 16, 3), np.uint8), fps, None)
    assert take.anchors[0] == 0
    assert take.anchors[-1] == count - 1
    assert list(take.anchors) == sorted(set(take.anchors))
    assert len(take.fine) == len(take.anchors)


def test_a_shift_is_followed_and_what_leaves_the_frame_is_not_lost():
    shot = photo("chelsea")
    still, count = shot.still, 2
    moved = camera(shot, count, pan=0.06)  # the picture moves left by 6% of its width
    (pair,) = pairs(planes(moved, FPS, still))
    inner = (slice(8, -8), slice(16, -8))
    assert np.median(pair.ahead.dx[inner]) == pytest.approx(-0.06 * COARSE_PX, abs=0.3)
    assert np.abs(np.median(pair.ahead.dy[inner])) < 0.2
    gone = ~(pair.ahead.kept | pair.ahead.lost)
    assert gone[:, :6].mean() > 0.9
    assert pair.ahead.lost.mean() < 0.02


def test_what_is_not_there_any_more_is_lost():
    still = photo("chelsea").still
    after = still.copy()
    after[100:180, 200:300] = np.random.default_rng(0).integers(0, 256, (80, 100, 3), np.uint8)
    (pair,) = pairs(planes(np.stack([still, after]), FPS, still))
    scale = COARSE_PX / still.shape[1] / 2
    hole = pair.ahead.lost[round(110 * scale) : round(170 * scale), round(210 * scale) : round(290 * scale)]
    assert hole.mean() > 0.5
    assert pair.ahead.lost.mean() < 0.12


def test_a_guess_is_left_as_it_is():
    take = planes(camera(photo("coffee"), 2, pan=0.03), FPS, None)
    tracker = Tracker(take.fine[0].shape, 2, refined=True)
    guess = np.full((*take.fine[0].shape, 2), -3.0, np.float32)
    tracker.flow(take.fine[0], take.fine[1], guess)
    assert (guess == -3.0).all()


def test_a_fade_is_a_tone_and_not_a_change():
    shot = photo("coffee")
    light = np.linspace(1.0, 0.6, 13)[:, None, None, None]
    frames = (np.repeat(shot.still[None], 13, axis=0) * light).astype(np.uint8)
    *_, last = sights(planes(frames, FPS, shot.still))
    assert last.tone[0] == pytest.approx(0.6, abs=0.03)
    assert last.view.lost.mean() < 0.01


def test_blocks_are_means_of_what_is_in_the_mask():
    values = np.arange(64, dtype=np.float32).reshape(8, 8)
    mask = np.zeros((8, 8), np.bool_)
    mask[:4, :4] = True
    mask[0, 0] = False
    blocks = Blocks(mask, 4)
    means = blocks.mean(values)
    assert means.shape == (2, 2)
    assert blocks.share[0, 0] == pytest.approx(15 / 16)
    assert means[0, 0] == pytest.approx(values[:4, :4][mask[:4, :4]].mean())
    assert means[1, 1] == 0


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40), st.integers(1, 12))
def test_rolling_means_are_centred_and_keep_the_length(values, width):
    series = np.asarray(values)
    padded = np.pad(series, (width // 2, width - 1 - width // 2), mode="edge")
    expected = [padded[i : i + width].mean() for i in range(len(values))]
    np.testing.assert_allclose(rolling(series, Fraction(width), 1.0), expected, atol=1e-9)


@given(st.lists(st.floats(0, 40), min_size=3, max_size=20))
def test_a_steady_change_of_light_is_no_pumping(steps):
    shifts = [np.asarray([level, -level, 0], np.float32) for level in np.cumsum(steps)]
    anchors = list(range(0, 4 * len(shifts), 4))
    assert pumping(shifts, anchors, 24) == pytest.approx([0.0] * len(shifts), abs=1e-2)


def test_light_that_comes_and_goes_is_pumping():
    shifts = [np.asarray([level, 0, 0], np.float32) for level in (0, 10, 0, 10, 0, 10, 0)]
    assert min(pumping(shifts, list(range(0, 28, 4)), 24)) >= 20


def test_a_whip_pan_has_no_cut_and_a_cut_in_a_calm_take_is_one():
    assert cuts([0.0] * 10 + [0.9] + [0.0] * 10, FPS) == (11,)
    assert cuts([0.6, 0.7, 0.8, 0.7, 0.9, 0.8, 0.7, 0.6, 0.8, 0.7], FPS) == ()
    assert jumps([0.0, 0.0, 0.2, 0.0], FPS) == pytest.approx([0, 0, 0.2, 0])


def test_two_cuts_close_to_each_other_are_two():
    assert cuts([0.0] * 8 + [0.9] + [0.0] * 3 + [0.8] + [0.0] * 8, FPS) == (9, 13)
