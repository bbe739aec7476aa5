"""fit: which size a frame gets, and a still's pixels at that size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.render.fit import fit, fit_version, fitted, native_size, resolve_size

EDGES = st.integers(1, 5000)


@given(EDGES, EDGES, st.sampled_from((1, 2, 8, 16, 32)), st.integers(10_000, 2_000_000))
def test_native_never_grows_keeps_the_aspect_and_its_bounds(width, height, multiple, max_pixels):
    w, h = native_size(width, height, max_pixels=max_pixels, multiple=multiple)
    assert w % multiple == h % multiple == 0
    assert w <= max(width, multiple) and h <= max(height, multiple)
    if w > multiple and h > multiple:
        assert w * h <= max_pixels
    # The largest such size: one multiple more, both ways, would be larger than the still or than allowed.
    more_w, more_h = w + multiple, h + multiple
    assert more_w > width or more_h > height or more_w * more_h > max_pixels
    # Off the still's aspect by no more than what rounding down took away.
    scale = min(1, (max_pixels / (width * height)) ** 0.5)
    assert abs(w - width * scale) <= multiple + 1 or w == multiple
    assert abs(h - height * scale) <= multiple + 1 or h == multiple


@pytest.mark.parametrize(
    ("policy", "still", "size"),
    [
        ("native", (640, 427), (640, 426)),
        ("native", (6000, 4000), (1174, 782)),
        ("native", (1280, 720), (1280, 720)),
        ("native", (720, 1280), (720, 1280)),
        ("native", (1, 1), (2, 2)),
        ("480p", (1920, 1080), (852, 480)),
        ("480p", (1080, 1920), (480, 852)),
        ("480p", (451, 300), (450, 300)),  # smaller than asked: its own size, never upscaled
        ("720p", (6000, 4000), (1080, 720)),
        ("720p", (1280, 720), (1280, 720)),
        ("640x360", (10, 3000), (640, 360)),  # asked for by number: honoured
    ],
)
def test_policies(policy, still, size):
    assert resolve_size(policy, *still, multiple=2, native_max_pixels=1280 * 720) == size


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("1281x720", "nearest allowed: 1280x720"),
        ("600x338", "nearest allowed: 608x336"),
        ("3x3", "nearest allowed: 16x16"),
        ("9000x16", "at most 8192"),
        ("0x720", "allowed: native, 480p, 720p, or WxH"),
        ("1080p", "allowed: native, 480p, 720p, or WxH"),
        ("1280X720", "allowed: native, 480p, 720p, or WxH"),
    ],
)
def test_a_size_that_cannot_be_had_says_what_can(policy, told):
    with pytest.raises(ValueError, match=told):
        resolve_size(policy, 640, 480, multiple=16, native_max_pixels=10**6)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 90), st.integers(1, 90))
def test_fit_gives_the_size_asked_for_and_keeps_a_flat_colour(width, height, to_width, to_height):
    flat = np.full((height, width, 3), (10, 120, 250), np.uint8)
    assert np.array_equal(fit(flat, to_width, to_height), np.full((to_height, to_width, 3), (10, 120, 250)))


def test_fit_cuts_about_the_centre_and_leaves_the_rest_as_it_is():
    pixels = np.random.default_rng(0).integers(0, 256, (427, 640, 3), np.uint8)
    assert np.array_equal(fit(pixels, 640, 426), pixels[:426])
    assert np.array_equal(fit(pixels, 640, 427), pixels)
    square = fit(pixels, 427, 427)
    assert np.array_equal(square, pixels[:, 106:533])


def test_fit_does_not_alias():
    board = np.indices((512, 512)).sum(0) % 2 * 255
    small = fit(np.repeat(board[..., None], 3, 2).astype(np.uint8), 120, 120)
    assert small.min() > 120 and small.max() < 135


EVEN = st.integers(1, 100).map(lambda half: 2 * half)


@given(st.integers(1, 200), st.integers(1, 200), EVEN, EVEN)
def test_padding_keeps_the_whole_still_in_an_even_box(width, height, to_width, to_height):
    still = np.zeros((height, width, 3), np.uint8)
    made = fitted(still, to_width, to_height, "pad")
    left, top, right, bottom = made.box
    assert made.pixels.shape == (to_height, to_width, 3)
    assert all(edge % 2 == 0 for edge in made.box)
    assert 0 <= left < right <= to_width and 0 <= top < bottom <= to_height
    assert right - left == to_width or bottom - top == to_height  # it fills the frame one way
    # Off the still's aspect by rounding to an even pixel only, and in the middle.
    assert abs((right - left) - width * made.scale) <= 2 and abs((bottom - top) - height * made.scale) <= 2
    assert abs(left - (to_width - right)) <= 2 and abs(top - (to_height - bottom)) <= 2


def test_padding_mirrors_the_still_and_is_cut_off_again():
    still = np.random.default_rng(0).integers(0, 256, (40, 64, 3), np.uint8)
    made = fitted(still, 64, 64, "pad")
    assert made.box == (0, 12, 64, 52) and made.scale == 1.0
    assert np.array_equal(made.pixels[12:52], still)
    assert np.array_equal(made.pixels[:12], still[:12][::-1])
    assert np.array_equal(made.pixels[52:], still[-12:][::-1])
    assert np.array_equal(made.cut(made.pixels), still)
    frames = np.stack([made.pixels, 255 - made.pixels])
    assert np.array_equal(made.cut(frames), np.stack([still, 255 - still]))


def test_a_still_far_off_the_frames_aspect_is_mirrored_more_than_once():
    still = np.random.default_rng(0).integers(0, 256, (100, 10, 3), np.uint8)
    made = fitted(still, 100, 100, "pad")
    assert made.box == (44, 0, 54, 100) and np.array_equal(made.cut(made.pixels), still)
    assert np.array_equal(made.pixels[:, 24:34], still)  # mirrored, and mirrored back


@pytest.mark.parametrize(
    ("policy", "size", "scale", "box"),
    [
        ("crop", (320, 240), 2.0, (0, 0, 320, 240)),
        ("crop", (80, 80), 2 / 3, (0, 0, 80, 80)),
        ("crop", (320, 120), 2.0, (0, 0, 320, 120)),
        ("pad", (320, 240), 2.0, (0, 0, 320, 240)),
        ("pad", (80, 80), 0.5, (0, 10, 80, 70)),
        ("pad", (320, 120), 1.0, (80, 0, 240, 120)),
    ],
)
def test_the_scale_says_how_far_a_still_was_enlarged(policy, size, scale, box):
    made = fitted(np.zeros((120, 160, 3), np.uint8), *size, policy)
    assert (made.scale, made.box) == (pytest.approx(scale), box if policy == "crop" else made.box)
    assert policy == "crop" or np.abs(np.subtract(made.box, box)).max() <= 2


def test_cropping_cuts_nothing_off_the_frames():
    still = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    made = fitted(still, 64, 64, "crop")
    assert np.array_equal(made.pixels, fit(still, 64, 64))
    frames = np.zeros((2, 64, 64, 3), np.uint8)
    assert made.cut(frames) is frames


def test_another_policy_is_refused():
    with pytest.raises(ValueError, match="allowed: crop, pad"):
        fitted(np.zeros((16, 16, 3), np.uint8), 16, 16, "stretch")


def test_what_fits_a_still_has_a_version():
    assert fit_version("pad").startswith("pad, Pillow ")
