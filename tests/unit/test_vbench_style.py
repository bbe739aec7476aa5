"""VBench's dimensions as the scorer's bench re-implements them, on clips that leave no doubt."""

from collections.abc import Sequence
from fractions import Fraction

import cv2
import numpy as np
import pytest
import vbench_style
from skimage import data

from farm.values import Frames, Pixels

FPS = Fraction(24)


@pytest.fixture(scope="module")
def photo() -> Pixels:
    return data.coffee()


def camera(photo: Pixels, count: int = 24, *, pan: float = 0.0, zoom: float = 0.0) -> Frames:
    """A steady move over a photograph at 320x180, from its middle; the amounts are shares of the frame in all."""
    frames = []
    for i in range(count):
        scale = 1.2 * (1 - zoom * i / count)
        left = (600 - 320 * scale) / 2 + pan * 320 * i / count
        move = np.array([[scale, 0, left], [0, scale, (400 - 180 * scale) / 2]])
        frames.append(cv2.warpAffine(photo, move, (320, 180), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))
    return np.stack(frames)


def found(frames: Frames, photo: Pixels) -> dict[str, float]:
    return vbench_style.dimensions(frames, FPS, camera(photo, 1)[0])


def test_a_frozen_clip_is_perfect_but_does_not_move(photo: Pixels) -> None:
    frozen = found(np.concatenate([camera(photo, 1)] * 24), photo)
    assert set(frozen) == set(vbench_style.DIMENSIONS)
    for name in ("i2v_subject", "i2v_background", "subject_consistency", "background_consistency"):
        assert frozen[name] == pytest.approx(1, abs=1e-5)
    assert frozen["temporal_flickering"] == 1
    assert frozen["motion_smoothness"] == pytest.approx(
        1, abs=2e-3
    )  # what an interpolation between pixels costs
    assert frozen["dynamic_degree"] == 0


def test_what_is_frozen_beats_what_moves(photo: Pixels) -> None:
    moving = camera(photo, zoom=0.1)
    frozen = np.concatenate([moving[:1]] * len(moving))
    assert vbench_style.total(found(frozen, photo)) > vbench_style.total(found(moving, photo))


def test_a_quick_pan_moves_and_is_less_consistent(photo: Pixels) -> None:
    slow, quick = (found(camera(photo, pan=amount), photo) for amount in (0.01, 0.3))
    assert (slow["dynamic_degree"], quick["dynamic_degree"]) == (0, 1)
    for name in ("subject_consistency", "background_consistency", "temporal_flickering"):
        assert quick[name] < slow[name]


def test_flicker_is_seen_as_difference_and_not_by_consistency(photo: Pixels) -> None:
    frames = camera(photo, zoom=0.05)
    signs = np.where(np.arange(24) % 2, 10, -10)[:, None, None, None]
    flickering = np.clip(frames.astype(int) + signs, 0, 255).astype(np.uint8)
    clean, faulty = found(frames, photo), found(flickering, photo)
    assert faulty["temporal_flickering"] < clean["temporal_flickering"] - 0.05
    assert faulty["motion_smoothness"] < clean["motion_smoothness"] - 0.05
    assert faulty["subject_consistency"] > clean["subject_consistency"] - 0.02


def test_another_picture_is_not_like_the_still(photo: Pixels) -> None:
    other = data.astronaut()[:180, :320]
    clean, faulty = (
        found(np.concatenate([camera(photo, 1)] * 12), photo),
        found(np.stack([other] * 12), photo),
    )
    assert faulty["i2v_subject"] < clean["i2v_subject"] - 0.3
    assert faulty["i2v_background"] < clean["i2v_background"] - 0.2
    assert faulty["subject_consistency"] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("sigma", [1.5, 3.0])
def test_blur_and_noise_lower_imaging_quality(photo: Pixels, sigma: float) -> None:
    plane = cv2.cvtColor(camera(photo, 1)[0], cv2.COLOR_RGB2GRAY)
    blurred = cv2.GaussianBlur(plane, (0, 0), sigma)
    noise = np.random.default_rng(0).normal(0, 8 * sigma, plane.shape)
    noisy = np.clip(plane + noise, 0, 255).astype(np.uint8)
    assert vbench_style.imaging(blurred) < vbench_style.imaging(plane) - 0.05
    assert vbench_style.imaging(noisy) < vbench_style.imaging(plane) - 0.05


def test_the_total_weighs_two_groups_alike() -> None:
    lows: Sequence[dict[str, tuple[float, float, float]]] = (vbench_style.I2V, vbench_style.QUALITY)
    worst = {name: low for group in lows for name, (low, _, _) in group.items()}
    best = {name: high for group in lows for name, (_, high, _) in group.items()}
    assert vbench_style.total(worst) == pytest.approx(0)
    assert vbench_style.total(best) == pytest.approx(1)
    half = {**worst, **{name: high for name, (_, high, _) in vbench_style.I2V.items()}}
    assert vbench_style.total(half) == pytest.approx(0.5)
    still = {**best, "dynamic_degree": 0.0}
    assert vbench_style.total(still) == pytest.approx(1 - 0.5 / 5.5 / 2)
