"""Each dimension alone: the same take without fault and with one, and only what the fault is of moves.

Invariant: no score and no limit is pinned; what is compared is a clean take with its spoilt twin.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import TypeAlias

import cv2
import numpy as np
import pytest
from devset_faults import SPOILS, clipped
from devset_faults_known import turned
from devset_takes import FPS, Field, Scene, camera, clean, grid, photo, scene, take

from farm.score.dimensions import DIMENSIONS
from farm.score.figures import drifting, temporal, walked
from farm.score.motion import hiccups
from farm.score.planes import planes
from farm.score.score import StillReferenceScorer
from farm.values import Curve, Frames, Pixels, Span

SCORER = StillReferenceScorer()
COUNT = 36
FALL = 0.3  # of goodness that a fault costs its own dimension, at least
PLAIN = 0.35  # share of a picture on which there is no detail that could be lost or gained
UNTOUCHED = 0.15  # of goodness that it may cost any other: under a sixth of the way to nothing

Twins: TypeAlias = tuple[Frames, Frames, Pixels]  # a take without fault, the same with one, and their still
Rng: TypeAlias = np.random.Generator

TIME = np.arange(COUNT)
GROWING = np.linspace(0, 1, COUNT, dtype=np.float32)
SOON = np.minimum(1, TIME / 12).astype(np.float32)  # there after half a second: the first frame is the still


@cache
def shot() -> Scene:
    return photo("chelsea")


@cache
def base() -> Frames:
    return camera(shot(), COUNT, zoom=0.06)


@cache
def roomy() -> Scene:
    """A scene in which a camera can go far."""
    from skimage import data

    return scene(np.asarray(data.chelsea()), margin=0.4)


def plainness(picture: Pixels, share: float) -> Field:
    """1 on the share of a picture that has the least texture, fading to 0 beside it."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    texture = cv2.blur(np.abs(cv2.Laplacian(grey, cv2.CV_32F)), (25, 25))
    return np.asarray(
        cv2.blur((texture < np.quantile(texture, share)).astype(np.float32), (5, 5)), np.float32
    )


def lit(gains: Curve) -> Frames:
    return np.stack([clipped(f * np.float32(g)) for f, g in zip(base(), gains, strict=True)])


def flickering() -> Frames:
    """Every other frame is brighter."""
    return lit(1 + 0.05 * np.where(TIME % 2, 1, -1) * np.minimum(1, TIME / 6))


def pumping() -> Frames:
    return lit(1 + 0.18 * np.sin(2 * math.pi * 0.8 * TIME / float(FPS)))


def crawling() -> Frames:
    """On what is flat, a lattice too fine for any flow turns inside out from frame to frame."""
    x, y = grid(shot().still)
    lattice = np.sin(2 * math.pi * x / 10) * np.sin(2 * math.pi * y / 10) * plainness(shot().still, PLAIN)
    swing = 45 * SOON * np.where(TIME % 2, 1, -1)
    return np.stack(
        [clipped(f + np.float32(g) * lattice[..., None]) for f, g in zip(base(), swing, strict=True)]
    )


def blurring() -> Frames:
    return np.stack(
        [cv2.GaussianBlur(f, (0, 0), max(0.05, 2.5 * float(g))) for f, g in zip(base(), GROWING, strict=True)]
    )


def graining() -> Frames:
    """Grain that sits on flat surfaces and moves with them: on texture it would be detail."""
    where, rng = plainness(shot().picture, PLAIN), np.random.default_rng(0)
    grain = 26 * rng.standard_normal(where.shape, np.float32) * where
    grainy = camera(
        Scene(clipped(shot().picture + grain[..., None]), shot().left, shot().top), COUNT, zoom=0.06
    )
    return mixed(base(), grainy, SOON)


def mixed(frames: Frames, others: Frames, shares: Curve) -> Frames:
    return np.stack(
        [
            cv2.addWeighted(a, 1 - s, b, s, 0)
            for a, b, s in zip(frames, others, shares.astype(np.float64), strict=True)
        ]
    )


def melting() -> Frames:
    return SPOILS["morph"].spoil(base(), 1.7 * GROWING, np.random.default_rng(0))


def recolouring() -> Frames:
    return np.stack([turned(f, 28 * float(g)) for f, g in zip(base(), GROWING, strict=True)])


def doubling() -> Frames:
    return mixed(base(), np.roll(base(), 24, axis=2), 0.3 * GROWING)


def smearing() -> Frames:
    """The left edge is drawn outwards, 26 px at last."""
    spoilt = base().copy()
    for i, wide in enumerate(np.rint(26 * GROWING).astype(int)):
        if wide:
            spoilt[i, :, :wide] = spoilt[i, :, wide : wide + 1]
    return spoilt


def slipping() -> Frames:
    """One frame, alone, shows the picture upside down."""
    spoilt = base().copy()
    spoilt[17] = spoilt[17, ::-1, ::-1]
    return spoilt


# Each dimension, its fault in words, and the take that has it: base() with the fault laid over it.
FAULTS: dict[str, Callable[[], Frames]] = {
    "temporal_flickering": flickering,
    "exposure_stability": pumping,
    "warping_error": crawling,
    "motion_smoothness": lambda: base()[TIME - TIME % 2],  # 12 fps, held
    "sharpness": blurring,
    "noise": graining,
    "first_frame_fidelity": lambda: clipped(
        base() * np.float32(0.72)
    ),  # darker than the still, all the while
    "appearance_consistency": melting,
    "color_consistency": recolouring,
    "ghosting": doubling,
    "border_integrity": smearing,
    "dynamic_degree": lambda: np.repeat(base()[:1], COUNT, axis=0),
    "motion_magnitude": lambda: take(
        roomy(), 8, tilt=0.42, eased=False
    ),  # over 70% of the long edge per second
    "shot_continuity": slipping,
}

# What suffers with it in the world, not in the measure alone.
COUPLED = {
    # A second exposure is other shapes, in other colours, where the still has its own.
    "ghosting": {"appearance_consistency", "color_consistency"},
    # Colour is looked at over a sixth of a second, in which a whip smears it as a shutter would.
    "motion_magnitude": {"color_consistency"},
}


def twins(name: str) -> Twins:
    if name == "motion_magnitude":
        return take(roomy(), 8, tilt=0.02, eased=False), FAULTS[name](), roomy().still
    return base(), FAULTS[name](), shot().still


def dimensions(frames: Frames, still: Pixels | None, fps: Fraction = FPS) -> dict[str, float]:
    measures = SCORER.measure(frames, fps, still)
    return dict(SCORER.judge(measures, Span(0, len(frames)), fps, 0.5).dimensions)


def figures(frames: Frames, still: Pixels | None, fps: Fraction = FPS) -> dict[str, Curve]:
    planned = planes(frames, fps, still)
    walk = walked(planned)
    return {**temporal(planned, walk), **drifting(planned, walk)}


def test_every_dimension_has_its_fault():
    assert tuple(FAULTS) == SCORER.dimensions


@pytest.mark.parametrize("name", SCORER.dimensions)
def test_a_fault_costs_its_own_dimension_and_no_other(name):
    frames, spoilt, still = twins(name)
    before, after = dimensions(frames, still), dimensions(spoilt, still)
    lost = {dimension: before[dimension] - after[dimension] for dimension in before}
    assert lost[name] > FALL, lost
    assert name == min(after, key=lambda dimension: after[dimension])
    others = set(lost) - {name} - COUPLED.get(name, set())
    assert all(lost[other] < UNTOUCHED for other in others), lost


def test_one_figure_for_each_dimension_and_frame():
    found = figures(base()[:12], shot().still)
    assert set(found) == {dimension.name for dimension in DIMENSIONS}
    for curve in found.values():
        assert curve.shape == (12,)
        assert np.isfinite(curve).all()
        assert (curve >= 0).all()


def smooth_figure(frames: Frames, fps: Fraction = FPS) -> float:
    return float(figures(frames, None, fps)["motion_smoothness"].max())


@pytest.mark.parametrize("repeats", [4, 6, 9])
def test_frames_shown_twice_are_hiccups_and_the_more_the_worse(repeats):
    order = TIME.copy()
    again = np.linspace(6, 30, repeats).astype(int)
    order[again] = order[again - 1]
    moving = camera(shot(), COUNT, pan=0.06)
    found = smooth_figure(moving[order])
    assert found > smooth_figure(moving) + 0.8
    assert found == pytest.approx(repeats / 3, rel=0.35)


def test_twelve_frames_a_second_held_to_24_are_found():
    moving = camera(shot(), COUNT, pan=0.06)
    assert smooth_figure(moving[TIME - TIME % 2]) > 3
    # The same twelve, played as twelve, are smooth.
    assert smooth_figure(moving[::2], Fraction(12)) < 0.5


@pytest.mark.parametrize("kind", ["breathing", "sway", "ripple"])
def test_movement_that_rests_and_turns_has_no_hiccups(kind):
    assert smooth_figure(clean(kind, shot(), 60)) < 0.6


@pytest.mark.parametrize("rate_hz", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("phase", [0.0, 0.3, 0.6])
def test_a_picture_that_swings_to_and_fro_has_no_hiccups(rate_hz, phase):
    speed = np.abs(np.cos(2 * math.pi * rate_hz * np.arange(72) / 24 + phase)) * 4
    assert max(hiccups(speed.tolist(), FPS)) == 0


def test_hiccups_of_a_steady_movement_with_repeats_are_counted_within_a_second():
    changes = [4.0] * 48
    assert max(hiccups(changes, FPS)) == 0
    for at in (20, 24, 28):
        changes[at] = 0.0
    assert max(hiccups(changes, FPS)) == pytest.approx(1.0)
    assert hiccups(changes, FPS)[0] == 0
    assert hiccups([], FPS) == []


def test_standing_still_is_no_hiccup():
    assert max(hiccups([0.0] * 48, FPS)) == 0
    assert max(hiccups([4.0] * 20 + [0.0] * 20 + [4.0] * 20, FPS)) < 1


def first_figure(frames: Frames, still: Pixels | None) -> Curve:
    return figures(frames, still)["first_frame_fidelity"]


def test_a_first_frame_that_heals_counts_until_it_has_healed():
    healed = lit(np.where(TIME < 12, 0.65, 1.0))
    found = first_figure(healed, shot().still)
    assert found[:9].min() > 1
    assert found[16:].max() < 0.5
    assert (np.diff(found) <= 1e-6).all()


def test_a_first_frame_that_stays_wrong_counts_throughout():
    found = first_figure(lit(np.full(COUNT, 0.65)), shot().still)
    assert found.min() > 1
    assert found[-1] > 0.7 * found[0]


def test_what_goes_wrong_later_is_not_about_the_first_frame():
    found = first_figure(lit(np.where(TIME < 12, 1.0, 0.65)), shot().still)
    assert found.max() < 0.3


def test_a_wrong_picture_that_is_right_from_some_frame_on_is_about_the_first_frames_only():
    other = photo("coffee").still
    spoilt = base().copy()
    spoilt[:8] = other
    found = first_figure(spoilt, shot().still)
    assert found[:6].min() > 1
    assert found[12:].max() < 0.5


def test_without_a_still_no_first_frame_is_wrong():
    assert first_figure(lit(np.full(COUNT, 0.65)), None).max() == 0
