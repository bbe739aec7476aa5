"""What moves in a take, how far and when: a motion and a seed -> a camera path and ambient effects.

Pure: no pixels, no torch. Positions are those of grid_sample: the still spans -1..1 both ways, y downwards.
Invariant: for every pose of a path, sampling stays inside the still (`CameraPath.crop` is derived from the path's
own bounds), so that no border can show.

Convention: a camera move names what the camera does. In pan-left it turns left, so the picture moves right; in
tilt-up it turns up, so the picture moves down; in orbit-left it walks left around the subject, so what is near moves
right and what is far moves left.
"""

import random
from dataclasses import dataclass
from math import exp
from typing import Final

from farm.render.wording import ambients_in, camera_in, places_in
from farm.values import Motion

SPREAD = 0.25  # the seed scales every amplitude by 1 ± this
PARALLAX = 0.3  # of a shift: how much more the nearest moves than the farthest
DOLLY_PARALLAX = 0.6  # the same of a magnification
PIVOT = 0.6  # depth (1 is nearest) about which an orbit turns
_EASE = 0.25  # share of the take in which a move gathers speed, and again in which it comes to rest

_AIM = 0.7  # of the way from the middle to the focus that a dolly closes in on

# Rate per second and limit of each move at strength 1: magnification, or share of the frame's edge.
_DOLLY = (0.045, 0.22)
_DRIFT_IN = (0.014, 0.06)  # a motion that names no camera: just enough that the clip lives
_TURN = (0.036, 0.16)
_ORBIT = (0.03, 0.09)
_YAW_OF_ORBIT = 0.5

# Peak and limit of each effect at strength 1: share of the shorter edge; drift: of the width, per second; flicker:
# of the brightness.
_AMBIENT: Final = {
    "sway": (0.011, 0.03),
    "ripple": (0.007, 0.012),
    "drift": (0.013, 0.05),
    "flicker": (0.18, 0.35),
    "breathe": (0.011, 0.03),
}


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the camera is at one instant: magnification - 1, offset, orbital slide and yaw (see `lens.py`)."""

    dolly: float
    shift_x: float
    shift_y: float
    slide: float
    yaw: float


@dataclass(frozen=True, slots=True)
class CameraPath:
    """A move as its two ends; `pose` gives what lies between. `aim` is the point a dolly closes in on."""

    move: str
    start: Pose
    end: Pose
    aim: tuple[float, float] = (0.0, 0.0)

    def pose(self, progress: float) -> Pose:
        """The pose at `progress` 0..1 of the take's time."""
        e = ease(progress)
        a, b = self.start, self.end
        return Pose(
            dolly=a.dolly + e * (b.dolly - a.dolly),
            shift_x=a.shift_x + e * (b.shift_x - a.shift_x),
            shift_y=a.shift_y + e * (b.shift_y - a.shift_y),
            slide=a.slide + e * (b.slide - a.slide),
            yaw=a.yaw + e * (b.yaw - a.yaw),
        )

    @property
    def crop(self) -> float:
        """The share of the still that a frame spans, so that every pose samples inside -1..1.

        Sampling is at aim + (p - aim) / magnification, |.| <= 1 as magnification >= 1 (see `lens.py`); times
        crop, over 1 - yaw x; plus offsets of at most |shift| (1 + PARALLAX / 2) + |slide| max(PIVOT, 1 - PIVOT).
        """
        ends = (self.start, self.end)
        shift = max(max(abs(pose.shift_x), abs(pose.shift_y)) for pose in ends)
        offset = shift * (1 + PARALLAX / 2) + max(abs(pose.slide) for pose in ends) * max(PIVOT, 1 - PIVOT)
        return (1 - offset) * (1 - max(abs(pose.yaw) for pose in ends))


@dataclass(frozen=True, slots=True)
class Effect:
    """One ambient effect: where (empty: in its likeliest places), how much, and the seed's own choices.

    `amplitude` in the units of the table above, `phase` and `tempo` about 0..1 and 0.85..1.15, `side` -1 or 1,
    `field_seed` for its noise.
    """

    name: str
    places: tuple[str, ...]
    amplitude: float
    phase: float
    tempo: float
    side: float
    field_seed: int


@dataclass(frozen=True, slots=True)
class Choreography:
    camera: CameraPath
    effects: tuple[Effect, ...]


def choreograph(motion: Motion, seed: int, seconds: float, focus: tuple[float, float]) -> Choreography:
    """What moves in a take of `seconds`; `focus` (x, y) in -1..1 is what the picture is about.

    The motion's structured fields decide, the prompt where they are None. Raises ValueError for a camera or an
    effect that is not of the vocabulary.
    """
    # Seeded by text, as Random(int) takes the absolute value: seeds -1 and 1 would be one take.
    rng = random.Random(f"previz:{seed}")
    move = motion.camera if motion.camera is not None else camera_in(motion.prompt)
    camera = _camera(move, motion.strength, seconds, focus, rng)
    names = motion.ambient if motion.ambient is not None else ambients_in(motion.prompt)
    effects = tuple(_effect(name, motion, rng) for name in dict.fromkeys(names))
    return Choreography(camera, effects)


def ease(progress: float) -> float:
    """Position 0..1 at `progress` 0..1: speed rises by smoothstep over the first quarter, holds, falls over the last.

    The integral of that speed, over its total 1 - r for ramps of length r: twice differentiable, so no jerk shows.
    """
    r = _EASE
    u = min(1.0, max(0.0, progress))
    if u < r:
        return _ramp_integral(u / r) * r / (1 - r)
    if u > 1 - r:
        return 1 - _ramp_integral((1 - u) / r) * r / (1 - r)
    return (u - r / 2) / (1 - r)


def saturate(amount: float, limit: float) -> float:
    """`amount` while it is small, approaching `limit` without ever passing it."""
    return limit * (1 - exp(-amount / limit))


def _ramp_integral(t: float) -> float:
    return t**3 - t**4 / 2  # of 3t^2 - 2t^3; 1/2 at t = 1


def _camera(
    move: str | None, strength: float, seconds: float, focus: tuple[float, float], rng: random.Random
) -> CameraPath:
    rate, limit = _rates(move)
    amount = saturate(rate * seconds * strength, limit) * rng.uniform(1 - SPREAD, 1 + SPREAD)
    aim = (_AIM * focus[0] + rng.uniform(-0.15, 0.15), _AIM * focus[1] + rng.uniform(-0.15, 0.15))
    wander = amount * rng.uniform(-0.12, 0.12)  # across the move: takes differ in more than size
    still = Pose(0, 0, 0, 0, 0)
    match move:
        case "static":
            return CameraPath(move, still, still)
        case None | "push-in":
            return CameraPath("push-in", still, Pose(amount, 0, 0, 0, 0), aim)
        case "pull-out":
            return CameraPath(move, Pose(amount, 0, 0, 0, 0), still, aim)
        case "pan-left" | "pan-right":
            side = -amount if move == "pan-left" else amount
            return CameraPath(move, Pose(0, -side, -wander, 0, 0), Pose(0, side, wander, 0, 0))
        case "tilt-up" | "tilt-down":
            side = -amount if move == "tilt-up" else amount
            return CameraPath(move, Pose(0, -wander, -side, 0, 0), Pose(0, wander, side, 0, 0))
        case _:
            side = -amount if move == "orbit-left" else amount
            end = Pose(0, 0, wander, 2 * side, -_YAW_OF_ORBIT * side)
            return CameraPath(move, still, end)


def _rates(move: str | None) -> tuple[float, float]:
    match move:
        case None:
            return _DRIFT_IN
        case "static":
            return 0.0, 1.0
        case "push-in" | "pull-out":
            return _DOLLY
        case "pan-left" | "pan-right" | "tilt-up" | "tilt-down":
            return _TURN
        case "orbit-left" | "orbit-right":
            return _ORBIT
        case _:
            raise ValueError(f"camera={move!r}: no such move")


def _effect(name: str, motion: Motion, rng: random.Random) -> Effect:
    if name not in _AMBIENT:
        raise ValueError(f"ambient={name!r}: allowed: {', '.join(_AMBIENT)}")
    peak, limit = _AMBIENT[name]
    return Effect(
        name=name,
        places=places_in(motion.prompt, name),
        amplitude=saturate(peak * motion.strength * rng.uniform(1 - SPREAD, 1 + SPREAD), limit),
        phase=rng.random(),
        tempo=rng.uniform(0.85, 1.15),
        side=rng.choice((-1.0, 1.0)),
        field_seed=rng.getrandbits(32),
    )
