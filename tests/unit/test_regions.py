"""Regions: where in a still an ambient motion lives, on real photographs and on stills that show nothing."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from farm.render.maps import parts, ramp, worn
from farm.render.places import face
from farm.render.regions import focus, region
from farm.render.survey import LONG_EDGE_CELLS, Survey, survey
from farm.render.wording import AMBIENTS

STILLS = Path(__file__).parents[2] / "jobs/stills"


def look(name: str) -> Survey:
    return survey(np.asarray(Image.open(STILLS / name).convert("RGB")))


@pytest.fixture(scope="module")
def pagoda() -> Survey:
    return look("pagoda.jpg")


def test_the_stills_are_credited_and_small():
    credits_text = (STILLS / "LICENSES.md").read_text()
    pictures = [path for path in STILLS.iterdir() if path.suffix != ".md"]
    assert len(pictures) >= 4
    assert all(f"`{path.name}`" in credits_text for path in pictures)
    assert sum(path.stat().st_size for path in pictures) < 3 * 2**20


def at(mask: np.ndarray, x: float, y: float) -> float:
    """A mask's value at a place given in shares of width and height."""
    return float(mask[round(y * (mask.shape[0] - 1)), round(x * (mask.shape[1] - 1))])


def test_a_sky_reaches_to_the_roof_and_not_onto_it(pagoda):
    sky = region(pagoda, "drift", ("sky",))
    assert sky.places == ("sky",)
    assert min(at(sky.mask, x, y) for x, y in ((0.05, 0.1), (0.6, 0.1), (0.6, 0.4), (0.25, 0.06))) > 0.9
    assert max(at(sky.mask, x, y) for x, y in ((0.32, 0.2), (0.3, 0.5), (0.6, 0.6), (0.5, 0.95))) < 0.05


def test_a_lake_and_trees_are_told_apart(pagoda):
    water, plants = region(pagoda, "ripple", ("water",)), region(pagoda, "sway", ("plant",))
    assert (water.places, plants.places) == (("water",), ("plant",))
    lake, trees, tower = (0.7, 0.62), (0.25, 0.93), (0.3, 0.55)
    assert at(water.mask, *lake) > 0.8 and at(plants.mask, *lake) == 0
    assert at(plants.mask, *trees) > 0.8 and at(water.mask, *trees) == 0
    assert at(plants.mask, *tower) == at(water.mask, *tower) == 0


def test_a_face_and_the_hair_about_it_are_found():
    seen = look("astronaut.png")
    found = face(seen)
    assert found is not None
    assert focus(seen) == (found.x, found.y) == pytest.approx((-0.12, -0.52), abs=0.06)
    hair = region(seen, "sway", ("hair",))
    assert hair.places == ("hair",)
    assert at(hair.mask, 0.44, 0.09) > 0.7  # the crown
    assert max(at(hair.mask, 0.43, 0.23), at(hair.mask, 0.5, 0.75), at(hair.mask, 0.8, 0.3)) < 0.05
    expression, chest = region(seen, "breathe", ("face",)), region(seen, "breathe", ("body",))
    assert expression.centre[1] < -0.4 < 0.2 < chest.centre[1]


@pytest.mark.parametrize("name", ["cat.png", "coffee.png", "dahlia.jpg", "pagoda.jpg"])
def test_no_face_is_seen_where_there_is_none(name):
    assert face(look(name)) is None


def test_coffee_stands_in_its_cup():
    liquid = region(look("coffee.png"), "ripple", ("liquid",))
    assert liquid.places == ("liquid",)
    assert at(liquid.mask, 0.47, 0.4) > 0.9
    rim_saucer_wood = ((0.64, 0.3), (0.2, 0.6), (0.85, 0.2))
    assert max(at(liquid.mask, x, y) for x, y in rim_saucer_wood) < 0.02


def test_a_flower_moves_before_its_leaves():
    flower = region(look("dahlia.jpg"), "sway", ())
    assert flower.places == ("plant",)
    assert at(flower.mask, 0.48, 0.5) > 0.8 and at(flower.mask, 0.9, 0.5) < 0.05


def test_what_is_not_there_is_replaced_by_its_like_or_by_a_guess(pagoda):
    assert region(look("coffee.png"), "ripple", ("water",)).places == ("liquid",)
    assert region(look("cat.png"), "drift", ("sky",)).places == ()
    assert region(pagoda, "drift", ("smoke",)).places == ("smoke",)  # drawn where a word asks for it


@settings(max_examples=25, deadline=None)
@given(
    st.integers(16, 80),
    st.integers(16, 80),
    st.integers(0, 255),
    st.sampled_from((0, 3, 255)),
    st.integers(0, 9),
)
def test_every_effect_has_somewhere_to_live_in_any_still(width, height, level, spread, seed):
    noise = np.random.default_rng(seed).integers(0, spread + 1, (height, width, 3))
    seen = survey(np.clip(noise + level, 0, 255).astype(np.uint8))
    assert seen.near.min() >= 0 and seen.near.max() <= 1
    assert max(abs(value) for value in focus(seen)) <= 1
    for effect in AMBIENTS:
        found = region(seen, effect, ())
        assert found.mask.shape == (height, width) and found.mask.dtype == np.float32
        assert found.mask.min() >= 0 and 0 < found.mask.max() <= 1 + 1e-5
        assert max(abs(value) for value in found.centre) <= 1


def test_looking_twice_sees_the_same():
    first, second = look("cat.png"), look("cat.png")
    for effect in AMBIENTS:
        assert np.array_equal(region(first, effect, ()).mask, region(second, effect, ()).mask)


def test_depth_is_smooth_and_large_stills_are_looked_at_small():
    still = np.asarray(Image.open(STILLS / "pagoda.jpg").convert("RGB").resize((1280, 854)))
    seen = survey(still)
    assert max(seen.size) == LONG_EDGE_CELLS
    slopes = np.gradient(seen.near)
    # Per cell; an orbit slides by up to 9% of the width over a depth of 1, so sampling never turns back.
    assert max(float(np.abs(slope).max()) for slope in slopes) < 0.02


def test_maps_do_what_they_say():
    values = np.linspace(0, 1, 11, dtype=np.float32)[None]
    assert ramp(values, 0.2, 0.8)[0, [0, 2, 5, 8, 10]] == pytest.approx([0, 0, 0.5, 1, 1])
    assert ramp(values, 0.8, 0.2) == pytest.approx(1 - ramp(values, 0.2, 0.8), abs=1e-6)
    mask = np.zeros((10, 20), np.bool_)
    mask[2:5, 3:9] = True
    mask[8, 15] = True
    assert [part.area for part in parts(mask, 0)] == [18, 1]
    [part] = parts(mask, 0.01)
    assert (part.left, part.top, part.width, part.height) == (3, 2, 6, 3)
    assert (part.x, part.y) == pytest.approx((2 * 5.5 / 19 - 1, 2 * 3 / 9 - 1))
    assert worn(mask.astype(np.float32), 1).sum() == 4
