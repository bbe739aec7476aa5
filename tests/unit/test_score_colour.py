"""Colour beside the still: what light does costs little, what no light does is over the limit."""

import cv2
import numpy as np
import pytest
from devset_faults import clipped
from devset_faults_known import turned
from devset_hard import hard
from devset_takes import FPS, Scene, camera, photo
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.score.colour import drift
from farm.score.planes import planes
from farm.score.reference import sights
from farm.values import Frames, Pixels

COUNT = 13
PHOTOS = ("chelsea", "coffee", "astronaut")
WELL_UNDER = 0.65  # of the limit


def drifts(frames: Frames, still: Pixels) -> list[float]:
    return [drift(sight) for sight in sights(planes(frames, FPS, still))]


def moved(shot: Scene) -> Frames:
    return camera(shot, COUNT, zoom=0.02)


def lit(frames: Frames, gains: tuple[float, float, float]) -> Frames:
    """Light that has turned so by the last frame."""
    grown = (
        1 + (np.asarray(gains, np.float32) - 1) * np.linspace(0, 1, len(frames), dtype=np.float32)[:, None]
    )
    return np.stack([clipped(f * g) for f, g in zip(frames, grown, strict=True)])


def saturated(frames: Frames, factor: float) -> Frames:
    spoilt = []
    for frame in frames:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
        spoilt.append(clipped(grey + (frame - grey) * np.float32(factor)))
    return np.stack(spoilt)


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("weather", ["dusk", "sunset"])
def test_light_that_fades_or_warms_stays_well_under_the_limit(name, weather):
    frames, still = hard(weather, photo(name), 36, seed=1)
    assert max(drifts(frames, still)) < WELL_UNDER


@pytest.mark.parametrize("name", PHOTOS)
def test_the_shadow_of_a_cloud_costs_less_than_half_of_what_turned_hues_cost(name):
    frames, still = hard("cloud_shadow", photo(name), 36, seed=1)
    turning = np.stack([turned(f, 45 * i / 35) for i, f in enumerate(camera(photo(name), 36, zoom=0.05))])
    assert max(drifts(frames, still)) < 0.5 * max(drifts(turning, still))


@settings(max_examples=25, deadline=None)
@given(st.floats(0.45, 1.0), st.sampled_from(PHOTOS))
def test_a_common_gain_costs_next_to_nothing(gain, name):
    shot = photo(name)
    frames = np.stack([shot.still, clipped(shot.still * np.float32(gain))])
    assert drifts(frames, shot.still)[-1] < 0.25


@pytest.mark.parametrize("warmth", [-0.25, -0.1, 0.1, 0.25])
def test_warmer_or_colder_light_is_free_and_the_same_of_green_is_not(warmth):
    shot = photo("coffee")
    dim = 0.8  # so that nothing clips
    warm, green = (dim * (1 + warmth), dim, dim * (1 - warmth)), (dim, dim * (1 + warmth), dim)
    daylight, cast = (drifts(lit(moved(shot), gains), shot.still)[-1] for gains in (warm, green))
    assert daylight < WELL_UNDER
    assert cast > daylight + abs(warmth)


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("degrees", [-60, -30, 30, 60])
def test_hues_that_turn_are_over_the_limit(name, degrees):
    shot = photo(name)
    assert drifts(np.stack([turned(f, degrees) for f in moved(shot)]), shot.still)[-1] > 1.3


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("cast", [(0.85, 1.05, 0.85), (1.0, 0.78, 1.0)], ids=["green", "magenta"])
def test_casts_of_green_and_magenta_are_over_the_limit(name, cast):
    shot = photo(name)
    assert drifts(lit(moved(shot), cast), shot.still)[-1] > 1.3


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("factor", [0.3, 2.2], ids=["bleached", "burnt"])
def test_saturation_lost_or_burnt_is_over_the_limit(name, factor):
    shot = photo(name)
    assert drifts(saturated(moved(shot), factor), shot.still)[-1] > 1.2


@pytest.mark.parametrize("name", PHOTOS)
def test_a_patch_of_another_colour_is_over_the_limit(name):
    shot = photo(name)
    spoilt = moved(shot)
    spoilt[:, 90:190, 200:330] = [turned(f[90:190, 200:330], 180) for f in spoilt]
    tinted = spoilt.astype(np.float32)
    tinted[:, 90:190, 200:330] += np.array([-40, 0, 60], np.float32)
    assert drifts(clipped(tinted), shot.still)[-1] > 1.3


def test_the_further_colours_go_the_worse():
    shot = photo("coffee")
    for spoilt in (
        [np.stack([turned(f, angle) for f in moved(shot)]) for angle in (0, 10, 20, 40)],
        [lit(moved(shot), (0.85, 0.85 + green, 0.85)) for green in (0, 0.06, 0.12, 0.24)],
        [saturated(moved(shot), factor) for factor in (1, 0.8, 0.55, 0.3)],
    ):
        found = [drifts(frames, shot.still)[-1] for frames in spoilt]
        assert found == sorted(found)
        assert found[-1] > found[0] + 1


def test_a_grey_picture_has_no_hues_to_turn():
    shot = photo("camera")
    assert max(drifts(moved(shot), shot.still)) < 0.1
    assert drifts(lit(moved(shot), (0.6, 0.6, 0.6)), shot.still)[-1] < 0.1
    # But one that is dyed is.
    assert drifts(lit(moved(shot), (0.8, 1.0, 0.8)), shot.still)[-1] > 1


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("way", [{"pan": 0.1}, {"tilt": -0.1}, {"zoom": 0.2}, {"zoom": -0.15}], ids=str)
def test_a_camera_that_moves_keeps_the_colours(name, way):
    shot = photo(name)
    assert max(drifts(camera(shot, 48, **way), shot.still)) < WELL_UNDER
