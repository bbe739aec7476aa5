"""The frame's rim: bars, smears and folds are found on each side, as deep as they are; walls and skies are none."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from devset_takes import FPS, SIZE, camera, photo

from farm.score.borders import Borders, depth
from farm.score.planes import Luma, planes
from farm.values import Pixels

SIDES = ("top", "bottom", "left", "right")
PHOTOS = ("chelsea", "coffee", "astronaut")


def turned(picture: Pixels, side: str) -> Pixels:
    """A view of a picture with that side on top."""
    across = picture.swapaxes(0, 1) if side in ("left", "right") else picture
    return across[::-1] if side in ("bottom", "right") else across


def bar(rim: Pixels, deep: int) -> None:
    rim[:deep] = 0


def smear(rim: Pixels, deep: int) -> None:
    rim[:deep] = rim[deep]


def fold(rim: Pixels, deep: int) -> None:
    rim[:deep] = rim[deep : 2 * deep][::-1]


def spoilt(picture: Pixels, spoil: Callable[[Pixels, int], None], side: str, deep_px: int) -> Pixels:
    copy = picture.copy()
    spoil(turned(copy, side), deep_px)
    return copy


def luma(picture: Pixels) -> Luma:
    return planes(np.stack([picture, picture]), FPS, None).fine[0]


def percent(deep_px: int, side: str) -> float:
    return 100 * deep_px / (SIZE[0] if side in ("left", "right") else SIZE[1])


@pytest.mark.parametrize("name", PHOTOS[:2])  # the astronaut's clothes are in part as dark as a bar
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("spoil", [bar, smear])
@pytest.mark.parametrize("deep_px", [8, 14, 24])
def test_a_bar_and_a_smear_are_found_on_each_side_as_deep_as_they_are(name, side, spoil, deep_px):
    still = photo(name).still
    found = Borders(luma(still)).of(luma(spoilt(still, spoil, side, deep_px)))
    assert found == pytest.approx(percent(deep_px, side), abs=0.9)


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("deep_px", [32])  # whole rows of a working plane: between them it comes and goes
def test_a_mirrored_fill_is_found_on_each_side_as_deep_as_it_is(name, side, deep_px):
    still = photo(name).still
    found = Borders(luma(still)).of(luma(spoilt(still, fold, side, deep_px)))
    assert found == pytest.approx(percent(deep_px, side), abs=1.2)


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("side", SIDES)
def test_a_mirrored_fill_that_grows_is_found_on_its_way(name, side):
    still = photo(name).still
    rim = Borders(luma(still))
    found = [rim.of(luma(spoilt(still, fold, side, deep))) for deep in range(10, 39, 2)]
    assert sum(deep > 2 for deep in found) >= len(found) / 5
    assert max(found) == pytest.approx(percent(38, side), abs=1.2)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("spoil", [bar, smear])
def test_the_deeper_the_worse(side, spoil):
    still = photo("chelsea").still
    rim = Borders(luma(still))
    found = [rim.of(luma(spoilt(still, spoil, side, deep))) for deep in (0, 6, 10, 16, 26)]
    assert found[0] == 0
    assert found == sorted(found)
    assert found[-1] > found[1] > 1


@pytest.mark.parametrize("side", SIDES)
def test_what_the_still_has_of_its_own_is_not_held_against_it(side):
    """A letterbox, or half of one, stays as it is while the picture in it moves."""
    shot = photo("chelsea")
    still = spoilt(shot.still, bar, side, 20)
    rim = Borders(luma(still))
    for frame in camera(shot, 4, zoom=0.05, pan=0.02):
        assert rim.of(luma(spoilt(frame, bar, side, 20))) < 0.5
    assert rim.of(luma(spoilt(shot.still, bar, side, 30))) > 1


@pytest.mark.parametrize("name", [*PHOTOS, "rocket", "camera"])
@pytest.mark.parametrize(
    "way",
    [{"pan": 0.1}, {"pan": -0.1}, {"tilt": 0.1}, {"tilt": -0.1}, {"zoom": 0.15}, {"roll": 0.04, "zoom": 0.1}],
    ids=str,
)
def test_cameras_over_skies_and_walls_are_not_blamed(name, way):
    """Of the photographs, rocket and camera have a plain sky, chelsea a plain wall."""
    shot = photo(name)
    rim = Borders(luma(shot.still))
    found = [rim.of(luma(frame)) for frame in camera(shot, 9, **way)]
    assert max(found) < 1.5  # less than the thinnest bar above
    assert np.median(found) == 0


def test_light_on_a_plain_wall_is_not_a_bar():
    height, width = SIZE[1], SIZE[0]
    wall = cv2.resize(np.array([[90, 140], [120, 170]], np.uint8), SIZE, interpolation=cv2.INTER_LINEAR)
    assert depth(wall) == 0
    assert depth(np.full((height, width), 128, np.uint8)) == 0
    assert depth(np.zeros((height, width), np.uint8)) == 0


@pytest.mark.parametrize("size", [(48, 48), (60, 48), (432, 60)])
def test_small_planes_have_rims_too(size):
    plane = np.random.default_rng(0).integers(0, 256, (size[1], size[0]), np.uint8)
    assert depth(plane) == 0
    barred = plane.copy()
    barred[:4] = 0
    assert depth(barred) == pytest.approx(4 / size[1], abs=0.03)
