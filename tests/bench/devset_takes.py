"""Takes without fault, made in code from real photographs: camera moves and ambient movement.

Invariant: everything here is a function of its arguments (seeded); the first frame is the still. devset_faults.py
spoils what is made here.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from farm.values import Frames, Pixels

FPS = Fraction(24)
SIZE = (512, 288)
MARGIN = 0.12
"""Share of the frame's size that a scene has beyond it on each side, so that no camera move shows a border."""

Field: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """A photograph larger than the frame; the frame at rest is its still."""

    picture: Pixels
    left: int
    top: int

    @property
    def still(self) -> Pixels:
        height, width = self.picture.shape[:2]
        return np.ascontiguousarray(self.picture[self.top : height - self.top, self.left : width - self.left])

    def seen(self, x: Field, y: Field) -> Pixels:
        """The frame whose pixels show the scene at (x, y), given in pixels of the still."""
        return cv2.remap(
            self.picture, x + self.left, y + self.top, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )


def scene(picture: Pixels, size: tuple[int, int] = SIZE, margin: float = MARGIN) -> Scene:
    """A scene from any picture (H, W, 3), cropped to the frame's aspect."""
    left, top = round(size[0] * margin), round(size[1] * margin)
    width_px, height_px = size[0] + 2 * left, size[1] + 2 * top
    height, width = picture.shape[:2]
    scale = max(width_px / width, height_px / height)
    crop_w, crop_h = round(width_px / scale), round(height_px / scale)
    x0, y0 = (width - crop_w) // 2, (height - crop_h) // 6
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    crop = picture[y0 : y0 + crop_h, x0 : x0 + crop_w]
    return Scene(cv2.resize(crop, (width_px, height_px), interpolation=method), left, top)


def photo(name: str, size: tuple[int, int] = SIZE) -> Scene:
    """One of scikit-image's own photographs."""
    from skimage import data

    picture = np.asarray(getattr(data, name)())
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    return scene(np.ascontiguousarray(picture[..., :3]), size)


def grid(still: Pixels) -> tuple[Field, Field]:
    y, x = np.mgrid[: still.shape[0], : still.shape[1]].astype(np.float32)
    return x, y


def smooth(shape: tuple[int, ...], cells: int, rng: np.random.Generator) -> Field:
    """A smooth random field of mean 0 and deviation 1 with about `cells` bumps across."""
    rows = max(2, cells * shape[0] // shape[1])
    coarse = rng.standard_normal((rows + 2, cells + 2)).astype(np.float32)
    field = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray((field - field.mean()) / (field.std() + 1e-6), np.float32)


def blob(still: Pixels, rng: np.random.Generator, radius: float = 0.3) -> Field:
    """A soft round region somewhere near the middle, 0..1."""
    x, y = grid(still)
    height, width = still.shape[:2]
    cx, cy = width * rng.uniform(0.35, 0.65), height * rng.uniform(0.4, 0.6)
    return np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / (radius * width) ** 2) * 2).astype(np.float32)


def _sway(x: Field, y: Field, phase: Field, t: float) -> tuple[Field, Field]:
    dx = 0.007 * x.shape[1] * (np.sin(2 * math.pi * 0.5 * t + phase) - np.sin(phase))
    return dx, 0.3 * dx


def _ripple(x: Field, y: Field, phase: Field, t: float) -> tuple[Field, Field]:
    dx = 0.003 * x.shape[1] * np.sin(2 * math.pi * (y / y.shape[0] * 9 - 0.8 * t)) * min(1.0, 2 * t)
    return dx, 0.6 * dx


def _breathing(x: Field, y: Field, phase: Field, t: float) -> tuple[Field, Field]:
    lift = math.sin(2 * math.pi * 0.3 * t)
    return (x - x.shape[1] / 2) * 0.015 * lift, (y - y.shape[0] / 2) * 0.025 * lift


def _drift(x: Field, y: Field, phase: Field, t: float) -> tuple[Field, Field]:
    sky = np.clip(1 - y / (0.45 * y.shape[0]), 0, 1) ** 0.5
    return 0.012 * x.shape[1] * t * sky, np.zeros_like(y)


_AMBIENT = {"sway": _sway, "ripple": _ripple, "breathing": _breathing, "clouds": _drift}


def take(
    shot: Scene,
    count: int,
    *,
    zoom: float = 0.0,
    pan: float = 0.0,
    tilt: float = 0.0,
    roll: float = 0.0,
    orbit: float = 0.0,
    eased: bool = True,
    ambient: tuple[str, ...] = (),
    seed: int = 0,
) -> Frames:
    """A camera move with ambient movement: amounts are shares of the frame over the whole take, roll is in radians.

    `orbit` is how far the nearest of a smooth depth moves against the farthest.
    """
    rng = np.random.default_rng(seed)
    x, y = grid(shot.still)
    height, width = x.shape
    mask, phase = blob(shot.still, rng), smooth(x.shape, 4, rng)
    depth = _depth(x, y, mask, rng) if orbit else np.zeros_like(mask)
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    frames = []
    for i in range(count):
        u = i / max(count - 1, 1)
        e = u * u * (3 - 2 * u) if eased else u
        cos, sin = math.cos(roll * e) / (1 + zoom * e), math.sin(roll * e) / (1 + zoom * e)
        at_x = (x - centre_x) * cos - (y - centre_y) * sin + centre_x + (pan + orbit * depth) * width * e
        at_y = (x - centre_x) * sin + (y - centre_y) * cos + centre_y + tilt * height * e
        for kind in ambient:
            dx, dy = _AMBIENT[kind](x, y, phase, float(i / FPS))
            region = 1 if kind == "clouds" else mask
            at_x, at_y = at_x + region * dx, at_y + region * dy
        frames.append(shot.seen(at_x.astype(np.float32), at_y.astype(np.float32)))
    return np.stack(frames)


def _depth(x: Field, y: Field, subject: Field, rng: np.random.Generator) -> Field:
    """Nearer below and in the subject, with gentle relief; -0.5..0.5."""
    relief = y / y.shape[0] + 0.8 * subject + 0.12 * smooth(x.shape, 4, rng)
    return np.asarray((relief - relief.min()) / np.ptp(relief) - 0.5, np.float32)


def camera(
    shot: Scene, count: int, *, zoom: float = 0.0, pan: float = 0.0, tilt: float = 0.0, roll: float = 0.0
) -> Frames:
    """An eased camera move over a scene in which nothing moves."""
    return take(shot, count, zoom=zoom, pan=pan, tilt=tilt, roll=roll)


def ambient(shot: Scene, count: int, kind: str, seed: int, zoom: float = 0.0) -> Frames:
    """Movement of one region, or of the sky for clouds; `zoom` adds a push-in over the take."""
    return take(shot, count, zoom=zoom, eased=False, ambient=(kind,), seed=seed)


def _fade(frames: Frames) -> Frames:
    """Dusk falls: a steady loss of light, and a warmer one."""
    light = np.linspace(1.0, 0.75, len(frames), dtype=np.float32)[:, None, None, None]
    warm = np.linspace(1.0, 0.92, len(frames), dtype=np.float32)[:, None, None, None]
    return (frames * light * (1 - (1 - warm) * np.array([0.0, 0.5, 1.0], np.float32))).astype(np.uint8)


CLEAN = (
    "push_in", "pull_out", "pan", "tilt", "roll", "sway", "ripple", "breathing", "clouds", "push_sway", "fade", "grain",
)  # fmt: skip


def clean(kind: str, shot: Scene, count: int = 36, seed: int = 0) -> Frames:
    """A take without fault, of one of the kinds in CLEAN."""
    seconds = count / float(FPS)
    match kind:
        case "push_in" | "fade":
            moved = camera(shot, count, zoom=0.04 * seconds)
            return _fade(moved) if kind == "fade" else moved
        case "pull_out":
            return camera(shot, count, zoom=-0.03 * seconds)
        case "pan":
            return camera(shot, count, pan=0.04 * seconds)
        case "tilt":
            return camera(shot, count, tilt=-0.05 * seconds)
        case "roll":
            return camera(shot, count, zoom=0.02 * seconds, roll=0.02 * seconds)
        case "push_sway":
            return ambient(shot, count, "sway", seed, zoom=0.03 * seconds)
        case "grain":
            moved = camera(shot, count, zoom=0.04 * seconds)
            grain = np.random.default_rng(seed).normal(0, 2.5, (count, *moved.shape[1:3], 1))
            return np.clip(moved + grain, 0, 255).astype(np.uint8)
        case _:
            return ambient(shot, count, kind, seed)


MOTIONS: dict[str, dict[str, float | bool | tuple[str, ...]]] = {
    "push_in": {"zoom": 0.11}, "push_in_even": {"zoom": 0.08, "eased": False}, "pull_out": {"zoom": -0.09},
    "pan_right": {"pan": 0.09}, "pan_left": {"pan": -0.07, "eased": False}, "tilt_up": {"tilt": -0.10},
    "tilt_down": {"tilt": 0.08, "eased": False}, "roll": {"roll": 0.05, "zoom": 0.07},
    "orbit_left": {"orbit": -0.06}, "orbit_right": {"orbit": 0.05, "pan": -0.02, "eased": False},
    "sway": {"ambient": ("sway",)}, "ripple": {"ambient": ("ripple",)}, "breathing": {"ambient": ("breathing",)},
    "clouds": {"ambient": ("clouds", "sway")}, "push_sway": {"zoom": 0.07, "ambient": ("sway",)},
    "pull_breathing": {"zoom": -0.06, "ambient": ("breathing",)}, "pan_clouds": {"pan": 0.05, "ambient": ("clouds",)},
    "orbit_breathing": {"orbit": 0.045, "zoom": 0.03, "ambient": ("breathing",)},
    "diagonal": {"pan": -0.06, "tilt": 0.05, "zoom": 0.03}, "roll_ripple": {"roll": -0.03, "ambient": ("ripple",)},
    "orbit_push": {"orbit": 0.05, "zoom": 0.08}, "tilt_sway": {"tilt": 0.06, "ambient": ("sway",)},
}  # fmt: skip
"""What good takes of one still do, for MOTION_MARGIN at strengths up to 1.2: 4 s, subtle."""
MOTION_MARGIN = 0.16


def moving(motion: str, shot: Scene, count: int, strength: float, seed: int) -> Frames:
    """A clean take with one of MOTIONS; `strength` scales its camera."""
    amounts = {
        name: value * strength if isinstance(value, float) else value
        for name, value in MOTIONS[motion].items()
    }
    return take(shot, count, seed=seed, **amounts)  # type: ignore[arg-type]
