"""Takes of known worth, made in code from real photographs: clean movements, and the faults renderers have.

Invariant: everything here is a function of its arguments (seeded); a fault of severity 1 is one that a careful
viewer sees, 2 one that most see, 3 one that nobody overlooks.
"""

import math
from collections.abc import Callable
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
Spoil: TypeAlias = Callable[[Frames, float, np.random.Generator], Frames]


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


def scene(picture: Pixels, size: tuple[int, int] = SIZE) -> Scene:
    """A scene from any picture (H, W, 3), cropped to the frame's aspect."""
    left, top = round(size[0] * MARGIN), round(size[1] * MARGIN)
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


def _grid(still: Pixels) -> tuple[Field, Field]:
    y, x = np.mgrid[: still.shape[0], : still.shape[1]].astype(np.float32)
    return x, y


def _smooth(shape: tuple[int, ...], cells: int, rng: np.random.Generator) -> Field:
    """A smooth random field of mean 0 and deviation 1 with about `cells` bumps across."""
    rows = max(2, cells * shape[0] // shape[1])
    coarse = rng.standard_normal((rows + 2, cells + 2)).astype(np.float32)
    field = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray((field - field.mean()) / (field.std() + 1e-6), np.float32)


def _blob(still: Pixels, rng: np.random.Generator, radius: float = 0.3) -> Field:
    """A soft round region somewhere near the middle, 0..1."""
    x, y = _grid(still)
    height, width = still.shape[:2]
    cx, cy = width * rng.uniform(0.35, 0.65), height * rng.uniform(0.4, 0.6)
    return np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / (radius * width) ** 2) * 2).astype(np.float32)


def camera(
    shot: Scene, count: int, *, zoom: float = 0.0, pan: float = 0.0, tilt: float = 0.0, roll: float = 0.0
) -> Frames:
    """An eased camera move; the amounts are shares of the frame over the whole take, roll is in radians."""
    x, y = _grid(shot.still)
    height, width = x.shape
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    frames = []
    for i in range(count):
        u = i / max(count - 1, 1)
        e = u * u * (3 - 2 * u)
        cos, sin = math.cos(roll * e) / (1 + zoom * e), math.sin(roll * e) / (1 + zoom * e)
        at_x = x * cos - y * sin + (width - 1) / 2 + pan * width * e
        at_y = x * sin + y * cos + (height - 1) / 2 + tilt * height * e
        frames.append(shot.seen(at_x.astype(np.float32), at_y.astype(np.float32)))
    return np.stack(frames)


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


def ambient(shot: Scene, count: int, kind: str, seed: int, zoom: float = 0.0) -> Frames:
    """Movement of one region, or of the sky for clouds; `zoom` adds a push-in over the take."""
    rng = np.random.default_rng(seed)
    x, y = _grid(shot.still)
    mask, phase = _blob(shot.still, rng), _smooth(x.shape, 4, rng)
    if kind == "clouds":
        mask = np.ones_like(mask)
    cx, cy = (x.shape[1] - 1) / 2, (x.shape[0] - 1) / 2
    frames = []
    for i in range(count):
        scale = 1 / (1 + zoom * i / max(count - 1, 1))
        at_x, at_y = cx + (x - cx) * scale, cy + (y - cy) * scale
        dx, dy = _AMBIENT[kind](x, y, phase, float(i / FPS))
        frames.append(shot.seen((at_x + mask * dx).astype(np.float32), (at_y + mask * dy).astype(np.float32)))
    return np.stack(frames)


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


def _flicker(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    gains = 1 + amount * 0.12 * rng.uniform(-1, 1, len(frames))
    return np.stack([cv2.convertScaleAbs(f, alpha=gain) for f, gain in zip(frames, gains, strict=True)])


def _region_flicker(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    mask = _blob(frames[0], rng, 0.2)[..., None]
    swing = amount * 0.2 * rng.uniform(-1, 1, len(frames))
    lit = [np.clip(f * (1 + s * mask), 0, 255).astype(np.uint8) for f, s in zip(frames, swing, strict=True)]
    return np.stack(lit)


def _frozen(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    """Stands still from some frame on: the more severe, the earlier."""
    stop = max(1, round(len(frames) * (1 - 0.85 * amount)))
    return frames[np.minimum(np.arange(len(frames)), stop)]


def _still_image(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    """Nothing moves at all, whatever the severity."""
    return np.repeat(frames[:1], len(frames), axis=0)


def _noise(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    grow = np.linspace(0, 1, len(frames), dtype=np.float32) * 32 * amount
    noisy = [
        np.clip(f + g * rng.standard_normal(f.shape, np.float32), 0, 255).astype(np.uint8)
        for f, g in zip(frames, grow, strict=True)
    ]
    return np.stack(noisy)


def _blur(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    grow = np.linspace(0.05, 1, len(frames)) * 4.0 * amount * frames.shape[2] / 640
    return np.stack([cv2.GaussianBlur(f, (0, 0), g) for f, g in zip(frames, grow, strict=True)])


def _pump(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    """Saturation and exposure that breathe at 1.3 Hz."""
    beat = np.sin(2 * math.pi * 1.3 * np.arange(len(frames)) / float(FPS)).astype(np.float32)
    spoilt = []
    for frame, b in zip(frames.astype(np.float32), beat, strict=True):
        grey = frame.mean(axis=2, keepdims=True)
        vivid = (grey + (frame - grey) * (1 + 0.7 * amount * b)) * (1 + 0.14 * amount * b)
        spoilt.append(np.clip(vivid, 0, 255).astype(np.uint8))
    return np.stack(spoilt)


def _cut(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    """Another picture from the middle on; when less severe, another part of the same picture."""
    middle = len(frames) // 2
    spoilt = frames.copy()
    shift = round(frames.shape[2] * 0.6 * amount)
    later = np.roll(frames[middle:, :, ::-1], shift, axis=2)
    spoilt[middle:] = later if amount < 1 else 255 - later[:, ::-1]
    return spoilt


def _displaced(frames: Frames, dx: list[Field], dy: list[Field]) -> Frames:
    x, y = _grid(frames[0])
    moved = [
        cv2.remap(f, x + a, y + b, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        for f, a, b in zip(frames, dx, dy, strict=True)
    ]
    return np.stack(moved)


def _morph(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    """Shapes melt: a fine deformation of one region grows steadily."""
    mask = _blob(frames[0], rng, 0.35) * np.float32(0.022 * amount * frames.shape[2])
    ax, ay = (_smooth(mask.shape, 18, rng) * mask for _ in range(2))
    grow = np.linspace(0, 1, len(frames), dtype=np.float32)
    return _displaced(frames, [ax * g for g in grow], [ay * g for g in grow])


def _wobble(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    """Jelly: the whole picture warps at 5 Hz."""
    ax, ay, phase = (_smooth(frames.shape[1:3], 5, rng) for _ in range(3))
    size = np.float32(0.006 * amount * frames.shape[2])
    turns = 2 * math.pi * 5 * np.arange(len(frames), dtype=np.float32) / float(FPS)
    swing = [np.sin(turn + phase) * size for turn in turns]
    return _displaced(frames, [ax * s for s in swing], [ay * s for s in swing])


def _boil(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    """Surfaces crawl: fine texture is displaced anew in each frame, too finely for any flow to follow."""
    size = np.float32(0.006 * amount * frames.shape[2])
    fields = [[_smooth(frames.shape[1:3], 60, rng) * size for _ in frames] for _ in range(2)]
    return _displaced(frames, fields[0], fields[1])


def _shake(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    """The whole picture jumps about from frame to frame."""
    jump = rng.uniform(-1, 1, (2, len(frames))).astype(np.float32) * 0.012 * amount * frames.shape[2]
    flat = np.ones(frames.shape[1:3], np.float32)
    return _displaced(frames, [flat * j for j in jump[0]], [flat * j for j in jump[1]])


def _huge(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    """A whip round the picture: up to two widths a second."""
    x, y = _grid(frames[0])
    width = frames.shape[2]
    speed = 2.0 * amount * width / float(FPS)
    whipped = [
        cv2.remap(f, np.mod(x + speed * i, width - 1).astype(np.float32), y, cv2.INTER_LINEAR)
        for i, f in enumerate(frames)
    ]
    return np.stack(whipped)


def _ghost(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    """A displaced copy fades in over the picture."""
    shift = round(0.04 * frames.shape[2])
    grow = np.linspace(0, 0.5 * amount, len(frames))
    laid = [
        cv2.addWeighted(f, 1 - g, np.roll(f, shift, axis=1), g, 0) for f, g in zip(frames, grow, strict=True)
    ]
    return np.stack(laid)


def _pop(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    """Something that was not there stands in the picture from one frame to the next."""
    spoilt = frames.copy()
    height, width = frames.shape[1:3]
    side = round(width * (0.08 + 0.17 * amount))
    top, left = (height - side) // 2, width // 3
    patch = frames[0][:side, -side:, ::-1]
    spoilt[len(frames) // 2 :, top : top + side, left : left + side] = patch
    return spoilt


SPOILS: dict[str, Spoil] = {
    "flicker": _flicker, "region_flicker": _region_flicker, "frozen": _frozen, "still_image": _still_image,
    "noise": _noise, "blur": _blur, "pump": _pump, "cut": _cut, "morph": _morph, "wobble": _wobble,
    "boil": _boil, "shake": _shake, "huge": _huge, "ghost": _ghost, "pop": _pop,
}  # fmt: skip
_AMOUNT = {1: 0.35, 2: 0.65, 3: 1.0}


def spoil(fault: str, frames: Frames, severity: int, seed: int = 0) -> Frames:
    """The take with one of SPOILS at severity 1, 2 or 3."""
    return SPOILS[fault](frames, _AMOUNT[severity], np.random.default_rng(seed))
