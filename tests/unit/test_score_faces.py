"""Faces in takes: who stays the same person passes, however the camera moves; who becomes another one does not."""

import importlib.util
from fractions import Fraction

import cv2
import numpy as np
import pytest

from farm.errors import InputError
from farm.score import faces
from farm.score.faces import DIMENSION, FaceCritic
from farm.values import Curve, Frames, Pixels

FPS = Fraction(12)
COUNT = 36
LIMIT = DIMENSION.limit
SIZE = (480, 270)
FACE_PX = 100
FACE_AT = (240, 135)

needs_faces = pytest.mark.skipif(
    not faces.installed(), reason="the extra is not installed: pip install 'circletake[faces]'"
)


def portrait(picture: Pixels, x: float, y: float, width: float, *, wider: float = 1.0) -> Pixels:
    """A picture of SIZE with the face at (x, y), `width` px wide, moved to FACE_AT at FACE_PX."""
    scale = FACE_PX * wider / width
    matrix = np.array([[scale, 0, FACE_AT[0] - x * scale], [0, scale, FACE_AT[1] - y * scale]])
    return np.asarray(
        cv2.warpAffine(picture, matrix, SIZE, flags=cv2.INTER_CUBIC, borderValue=(70, 80, 90)), np.uint8
    )


@pytest.fixture(scope="module")
def astronaut() -> Pixels:
    from skimage import data

    return portrait(np.asarray(data.astronaut()), 224, 118, 96)


@pytest.fixture(scope="module")
def stranger(astronaut: Pixels) -> Pixels:
    """Another person in the astronaut's place."""
    from skimage import data

    small = data.lfw_subset()[77]
    grey = (small / small.max() * 235).astype(np.uint8)
    face = cv2.resize(grey, (125, 125), interpolation=cv2.INTER_CUBIC)
    picture = astronaut.copy()
    picture[75:200, 178:303] = np.stack([face, face * 0.8, face * 0.7], axis=2)
    return picture


@pytest.fixture(scope="module")
def critic() -> FaceCritic:
    return FaceCritic()


def moved(still: Pixels, *, zoom: float = 0.1, pan: float = 0.0, roll: float = 0.0) -> Frames:
    """A camera move over COUNT frames; the pan is a share of the width."""
    frames = []
    for u in np.linspace(0, 1, COUNT):
        matrix = cv2.getRotationMatrix2D((SIZE[0] / 2, SIZE[1] / 2), roll * u, 1 + zoom * u)
        matrix[0, 2] -= pan * SIZE[0] * u
        frames.append(
            cv2.warpAffine(still, matrix, SIZE, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        )
    return np.stack(frames)


def drifting(still: Pixels, other: Pixels, start: int, frames_taken: int = 12) -> Frames:
    """From `start` on the face becomes the other's."""
    share = np.clip((np.arange(COUNT) - start) / frames_taken, 0, 1)[:, None, None, None]
    return (moved(still) * (1 - share) + moved(other) * share).astype(np.uint8)


def worst(curve: Curve) -> float:
    assert curve.shape == (COUNT,) and curve.dtype == np.float32
    assert np.isfinite(curve).all() and (curve >= 0).all()
    return float(curve.max())


@needs_faces
@pytest.mark.parametrize(
    "move",
    [{"zoom": 0.2}, {"zoom": -0.15}, {"pan": 0.12}, {"roll": 7}, {"zoom": 0.05, "pan": -0.1, "roll": -5}],
)
def test_a_camera_that_moves_is_no_drift(critic, astronaut, move):
    assert worst(critic.figures(moved(astronaut, **move), FPS, astronaut, None)) < LIMIT / 3


@needs_faces
def test_dusk_and_rain_are_no_drift(critic, astronaut):
    frames = moved(astronaut) * np.linspace(1, 0.5, COUNT)[:, None, None, None]
    rng = np.random.default_rng(0)
    for frame in frames:
        for x, y in rng.uniform((0, 0), SIZE, (150, 2)):
            cv2.line(frame, (int(x), int(y)), (int(x) - 2, int(y) + 15), (110, 110, 115), 1)
    assert worst(critic.figures(frames.astype(np.uint8), FPS, astronaut, None)) < LIMIT


@needs_faces
def test_a_face_that_becomes_another_breaks_the_limit_from_when_it_does(critic, astronaut, stranger):
    start = 14
    curve = critic.figures(drifting(astronaut, stranger, start), FPS, astronaut, None)
    assert worst(curve) > LIMIT
    assert curve[:start].max() < LIMIT / 2
    broken_from = int(np.argmax(curve > LIMIT))
    assert start <= broken_from <= start + 12
    assert (curve[broken_from:] > LIMIT).all()


@needs_faces
def test_without_a_still_the_first_frame_is_the_reference(critic, astronaut, stranger):
    assert worst(critic.figures(moved(astronaut), FPS, None, None)) < LIMIT / 3
    assert worst(critic.figures(drifting(astronaut, stranger, 14), FPS, None, None)) > LIMIT


@needs_faces
def test_a_face_that_dissolves_is_a_fault_from_then_on(critic, astronaut):
    frames = moved(astronaut)
    frames[20:, 60:210, 165:315] = cv2.GaussianBlur(astronaut, (0, 0), 40)[60:210, 165:315]
    curve = critic.figures(frames, FPS, astronaut, None)
    assert curve[:15].max() < LIMIT / 3
    assert (curve[26:] > LIMIT).all()


@needs_faces
def test_what_passes_in_front_of_a_face_is_no_fault(critic, astronaut):
    frames = moved(astronaut)
    frames[15:24, :, 160:320] = 40
    assert worst(critic.figures(frames, FPS, astronaut, None)) < LIMIT / 3


@needs_faces
def test_one_sample_that_looks_like_another_person_is_no_fault(critic, astronaut, stranger):
    """Somebody else's head, or half of one's own, for less than half a second."""
    frames = moved(astronaut)
    frames[16:20] = stranger
    assert worst(critic.figures(frames, FPS, astronaut, None)) < LIMIT / 3


@needs_faces
def test_a_face_that_leaves_the_picture_is_no_fault(critic, astronaut):
    frames = moved(astronaut, zoom=0.0, pan=0.8)
    assert worst(critic.figures(frames, FPS, astronaut, None)) < LIMIT


@needs_faces
@pytest.mark.parametrize("picture", ["coffee", "chelsea"])
def test_where_there_is_no_face_there_is_nothing_to_judge(critic, picture):
    from skimage import data

    still = np.asarray(cv2.resize(getattr(data, picture)(), SIZE), np.uint8)
    curve = critic.figures(moved(still), FPS, still, None)
    assert (curve == 0).all() and curve.shape == (COUNT,)


@needs_faces
def test_another_picture_of_the_same_person_changes_no_verdict(critic, astronaut, stranger):
    character = np.clip(astronaut[:, ::-1] * 0.7 + 10, 0, 255).astype(np.uint8)[20:250, 100:400]
    assert worst(critic.figures(moved(astronaut), FPS, astronaut, character)) < LIMIT / 3
    assert worst(critic.figures(drifting(astronaut, stranger, 14), FPS, astronaut, character)) > LIMIT


@needs_faces
def test_a_still_that_is_no_likeness_is_not_held_against_a_clean_take(critic, astronaut, stranger):
    assert worst(critic.figures(moved(astronaut), FPS, astronaut, stranger)) < LIMIT / 3


@needs_faces
def test_becoming_the_character_before_the_viewers_eyes_is_drift_too(critic, astronaut, stranger):
    assert worst(critic.figures(drifting(astronaut, stranger, 14), FPS, astronaut, stranger)) > LIMIT


@needs_faces
def test_a_character_without_a_face_is_as_none(critic, astronaut, stranger):
    blank = np.full((200, 300, 3), 90, np.uint8)
    frames = drifting(astronaut, stranger, 14)
    with_blank, without = (critic.figures(frames, FPS, astronaut, c) for c in (blank, None))
    assert np.array_equal(with_blank, without)


@needs_faces
def test_the_nearest_face_is_followed_and_the_figures_repeat(critic, astronaut, stranger):
    """Two people side by side; a third, larger face comes in from outside."""
    small = cv2.resize(astronaut, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    still = np.full((SIZE[1], SIZE[0], 3), 80, np.uint8)
    still[50 : 50 + small.shape[0], :200] = small[:, 44:244]
    frames = moved(still, zoom=0.02)
    frames[18:, :, 250:] = stranger[:, 130:360]
    once, again = (critic.figures(frames, FPS, still, None) for _ in range(2))
    assert worst(once) < LIMIT / 2
    assert np.array_equal(once, again)


@needs_faces
@pytest.mark.parametrize("count", [2, 3, 7])
def test_short_takes_have_figures(critic, astronaut, count):
    curve = critic.figures(moved(astronaut)[:count], FPS, astronaut, None)
    assert curve.shape == (count,) and curve.max() < LIMIT / 3


def test_a_missing_extra_is_one_line_that_says_what_to_install(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, package=None: None if name == "dlib" else found(name, package),
    )
    assert not faces.installed()
    with pytest.raises(InputError, match=r"dlib .*pip install 'circletake\[faces\]'$") as caught:
        FaceCritic()
    assert "\n" not in str(caught.value)
