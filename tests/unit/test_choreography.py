"""Choreography: what a motion and a seed say moves, and that no border can show."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from farm.render.choreography import (
    DOLLY_PARALLAX,
    PARALLAX,
    PIVOT,
    SPREAD,
    choreograph,
    ease,
    saturate,
)
from farm.render.wording import AMBIENTS, CAMERAS, ambients_in, camera_in, places_in, stem
from farm.values import Motion

LIBRARY = yaml.safe_load((Path(__file__).parents[2] / "jobs/motions/subtle.yaml").read_text())["motions"]
KINDS = {"hair", "camera", "cloth", "elements", "expression", "body", "liquid", "reflection"}
MIDDLE = (0.0, 0.0)


def motion(camera: str | None, strength: float = 1.0, prompt: str = "x", ambient=()) -> Motion:
    return Motion("m", prompt, camera, ambient, strength)


@given(
    st.sampled_from((None, *CAMERAS)),
    st.integers(0, 2**63),
    st.floats(0, 20),
    st.floats(0.05, 60),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    st.floats(0, 1),
    st.sampled_from((0.0, 0.5, 1.0)),
)
def test_every_pose_samples_inside_the_still(camera, seed, strength, seconds, focus, progress, depth):
    path = choreograph(motion(camera, strength), seed, seconds, focus).camera
    pose = path.pose(progress)
    assert 0.5 < path.crop <= 1
    magnification = 1 + pose.dolly * (1 + DOLLY_PARALLAX * (depth - 0.5))
    for x, y in ((-1, -1), (-1, 1), (1, -1), (1, 1), (0, 1), (1, 0)):
        at_x = path.aim[0] + (x - path.aim[0]) / magnification
        at_y = path.aim[1] + (y - path.aim[1]) / magnification
        turned = path.crop / (1 - pose.yaw * at_x)
        nearer = 1 + PARALLAX * (depth - 0.5)
        assert abs(at_x * turned + pose.shift_x * nearer + pose.slide * (depth - PIVOT)) <= 1 + 1e-9
        assert abs(at_y * turned + pose.shift_y * nearer) <= 1 + 1e-9


@given(st.floats(-0.5, 1.5), st.floats(-0.5, 1.5))
def test_moves_are_eased_and_never_go_back(a, b):
    low, high = sorted((a, b))
    assert 0 <= ease(low) <= ease(high) <= 1


def test_easing_starts_and_ends_at_rest_without_a_jerk():
    at = [ease(k / 1000) for k in range(1001)]
    speeds = [1000 * (b - a) for a, b in pairwise(at)]
    assert at[0] == 0 and at[-1] == 1
    assert speeds[0] < 0.01 and speeds[-1] < 0.01
    assert max(speeds) == pytest.approx(4 / 3, rel=1e-3)  # the steady part, over three quarters of the time
    jerks = [abs(c - 2 * b + a) for a, b, c in zip(speeds, speeds[1:], speeds[2:], strict=False)]
    assert max(jerks) < 2e-4


@pytest.mark.parametrize(
    ("camera", "towards"),
    [
        ("push-in", lambda a, b: a.dolly == 0 < b.dolly),
        ("pull-out", lambda a, b: b.dolly == 0 < a.dolly),
        ("pan-left", lambda a, b: b.shift_x < a.shift_x),
        ("pan-right", lambda a, b: b.shift_x > a.shift_x),
        ("tilt-up", lambda a, b: b.shift_y < a.shift_y),
        ("tilt-down", lambda a, b: b.shift_y > a.shift_y),
        ("orbit-left", lambda a, b: b.slide < a.slide),
        ("orbit-right", lambda a, b: b.slide > a.slide),
        ("static", lambda a, b: a == b),
    ],
)
def test_a_camera_goes_where_its_name_says(camera, towards):
    path = choreograph(motion(camera), 7, 2.0, MIDDLE).camera
    assert path.move == camera and towards(path.start, path.end)


def test_a_motion_that_says_nothing_lives_a_little():
    slight = choreograph(motion(None), 3, 2.0, MIDDLE).camera
    full = choreograph(motion("push-in"), 3, 2.0, MIDDLE).camera
    assert slight.move == "push-in" and 0 < slight.end.dolly < full.end.dolly / 2


def test_structured_fields_win_over_the_prompt_and_none_means_the_prompt():
    prompt = "The camera pans to the left over a rippling lake"
    told = choreograph(motion(None, prompt=prompt, ambient=None), 0, 2.0, MIDDLE)
    assert told.camera.move == "pan-left" and [effect.name for effect in told.effects] == ["ripple"]
    fixed = choreograph(motion("static", prompt=prompt, ambient=()), 0, 2.0, MIDDLE)
    assert fixed.camera.move == "static" and fixed.effects == ()


def test_what_is_not_in_the_vocabulary_is_refused():
    with pytest.raises(ValueError, match="camera='dolly-zoom'"):
        choreograph(motion("dolly-zoom"), 0, 2.0, MIDDLE)
    with pytest.raises(ValueError, match="ambient='sparkle'"):
        choreograph(motion(None, ambient=("sparkle",)), 0, 2.0, MIDDLE)


@given(st.integers(), st.integers())
def test_the_seed_decides_within_its_spread(a, b):
    wanted = motion("push-in", ambient=AMBIENTS)
    first, second = choreograph(wanted, a, 2.0, MIDDLE), choreograph(wanted, b, 2.0, MIDDLE)
    assert (first == second) == (a == b)
    ratio = (1 + SPREAD) / (1 - SPREAD)
    assert 1 / ratio <= first.camera.end.dolly / second.camera.end.dolly <= ratio
    for one, other in zip(first.effects, second.effects, strict=True):
        assert 1 / ratio <= one.amplitude / other.amplitude <= ratio


@given(st.floats(0, 50), st.floats(0, 50), st.floats(0.01, 1))
def test_strength_only_ever_adds_and_has_a_limit(a, b, limit):
    low, high = sorted((a, b))
    assert 0 <= saturate(low, limit) <= saturate(high, limit) <= limit
    assert saturate(low, limit) <= low + 1e-12


@pytest.mark.parametrize(
    ("prompt", "camera", "ambients"),
    [
        ("Slow push-in on her face", "push-in", ()),
        ("dollying slowly out of the room", "pull-out", ()),
        ("zoomed in", "push-in", ()),
        ("The camera is panning very slowly to the left", "pan-left", ()),
        ("pan up the tower", "tilt-up", ()),
        ("a slow tilt down", "tilt-down", ()),
        ("The camera arcs to the left", "orbit-left", ()),
        ("the camera moves a little closer", "push-in", ()),
        ("the camera drifts gently right", "pan-right", ()),
        ("she tilts her head", None, ()),
        ("Static shot of grasses in the wind", "static", ("sway",)),
        ("Leaves rustle; the camera stays still", "static", ("sway",)),
        ("A foggy lake", None, ("ripple", "drift")),
        ("Candles flickering", None, ("flicker",)),
        ("It breathes", None, ("breathe",)),
        ("", None, ()),
        ("日本語のプロンプト", None, ()),
    ],
)
def test_words(prompt, camera, ambients):
    assert (camera_in(prompt), ambients_in(prompt)) == (camera, ambients)


@given(st.text())
def test_any_text_is_understood_as_something_of_the_vocabulary(prompt):
    assert camera_in(prompt) in (None, *CAMERAS)
    assert set(ambients_in(prompt)) <= set(AMBIENTS)


def test_endings_do_not_matter():
    for words in ("ripple ripples rippling rippled", "pan pans panning panned", "breathe breathes breathing"):
        assert len({stem(word) for word in words.split()}) == 1


def test_the_library_covers_all_kinds_in_the_vocabulary():
    counts = Counter(entry["id"] for entry in LIBRARY)
    assert max(counts.values()) == 1
    assert {entry["kind"] for entry in LIBRARY} == KINDS
    assert {entry["camera"] for entry in LIBRARY if entry["kind"] == "camera"} == set(CAMERAS) - {"static"}
    for entry in LIBRARY:
        assert set(entry) <= {"id", "prompt", "kind", "camera", "ambient", "strength"}
        assert entry["camera"] in CAMERAS and set(entry["ambient"]) <= set(AMBIENTS)
        assert entry["camera"] == (entry["id"] if entry["kind"] == "camera" else entry["camera"])


@pytest.mark.parametrize("entry", LIBRARY, ids=lambda entry: entry["id"])
def test_a_librarys_words_and_fields_say_the_same(entry):
    assert camera_in(entry["prompt"]) in (None, entry["camera"])
    for effect in entry["ambient"]:
        assert places_in(entry["prompt"], effect) or (entry["id"], effect) == (
            "reflections-shifting",
            "flicker",
        )
