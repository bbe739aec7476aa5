"""Double exposure: a copy of the picture beside itself is found, the stronger the surer; repetition is none."""

import cv2
import numpy as np
import pytest
from devset_takes import FPS, Scene, camera, clean, photo, take

from farm.score.ghosting import Ghosts
from farm.score.planes import planes
from farm.score.reference import sights
from farm.values import Frames, Pixels

PHOTOS = ("chelsea", "coffee", "astronaut")
STRENGTHS = (0.0, 0.1, 0.2, 0.3)


def ghosts(frames: Frames, still: Pixels) -> list[float]:
    take_ = planes(frames, FPS, still)
    measured = Ghosts(take_.still)
    return [measured.of(sight) for sight in sights(take_)]


def doubled(frames: Frames, right: int, down: int, strength: float) -> Frames:
    """A copy comes in beside everything, as strong at last as `strength`."""
    shares = np.linspace(0, strength, len(frames))
    return np.stack(
        [
            cv2.addWeighted(f, 1 - s, np.roll(f, (down, right), axis=(0, 1)), s, 0)
            for f, s in zip(frames, shares, strict=True)
        ]
    )


def fence() -> Scene:
    """Pales before a garden, each like the next, of a quarter more than the frame."""
    shot = photo("coffee")
    x = np.arange(shot.picture.shape[1])[None, :, None]
    pales = (x % 40) < 14
    return Scene(np.where(pales, np.uint8(205), shot.picture), shot.left, shot.top)


def moves(shot: Scene) -> dict[str, Frames]:
    return {
        "pan": camera(shot, 25, pan=0.08),
        "tilt": camera(shot, 25, tilt=0.07),
        "push": camera(shot, 25, zoom=0.12),
        "orbit": take(shot, 25, orbit=0.05),
        "sway": clean("sway", shot, 25),
    }


def worst_clean(shot: Scene) -> float:
    return max(max(ghosts(frames, shot.still)) for frames in moves(shot).values())


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize(
    ("right", "down"), [(16, 0), (-24, 0), (0, 20), (0, -14), (30, 18), (-40, 12), (60, 0)]
)
def test_a_second_exposure_is_found_wherever_it_lies_and_the_stronger_the_surer(name, right, down):
    shot = photo(name)
    base = camera(shot, 9, zoom=0.02)
    found = [max(ghosts(doubled(base, right, down, strength), shot.still)) for strength in STRENGTHS]
    assert found == sorted(found)
    assert found[0] < 0.005
    assert found[1] > 0.01
    assert found[-1] > 0.08
    # Nearly as strong as the picture itself, it is past telling which is which; but it has come there.
    assert max(ghosts(doubled(base, right, down, 0.45), shot.still)) > 0.06


@pytest.mark.parametrize("name", PHOTOS)
def test_what_moves_is_no_ghost(name):
    shot = photo(name)
    ghost = ghosts(doubled(camera(shot, 9, zoom=0.02), 24, 0, 0.3), shot.still)[-1]
    assert worst_clean(shot) < min(0.02, ghost / 3)


@pytest.mark.parametrize("name", ["page", "text", "brick"])
def test_lines_of_text_and_courses_of_brick_are_no_ghosts(name):
    assert worst_clean(photo(name)) < 0.02


def test_a_fence_is_no_ghost_of_itself():
    assert worst_clean(fence()) < 0.02


def test_a_ghost_over_a_fence_is_still_one():
    shot = fence()
    assert ghosts(doubled(camera(shot, 9, zoom=0.02), 30, 24, 0.4), shot.still)[-1] > 0.04


@pytest.mark.parametrize("name", PHOTOS)
def test_blur_light_and_grain_are_no_ghosts(name):
    shot = photo(name)
    base = camera(shot, 13, zoom=0.03)
    grain = np.random.default_rng(0).normal(0, 6, base.shape)
    for frames in (
        np.stack([cv2.GaussianBlur(f, (0, 0), 0.1 + 0.15 * i) for i, f in enumerate(base)]),
        np.stack([cv2.convertScaleAbs(f, alpha=1 - 0.03 * i) for i, f in enumerate(base)]),
        np.clip(base + grain, 0, 255).astype(np.uint8),
    ):
        assert max(ghosts(frames, shot.still)) < 0.02


def test_another_picture_and_an_empty_one_have_no_ghosts():
    still = photo("chelsea").still
    assert ghosts(np.stack([photo("coffee").still] * 2), still)[-1] < 0.02
    blank = np.full_like(still, 128)
    assert ghosts(np.stack([blank] * 2), blank) == [0.0, 0.0]
