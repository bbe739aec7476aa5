"""The faults that renderers have, laid over any take.

Invariant: everything here is a function of its arguments (seeded); a fault of severity 1 is one that a careful
viewer sees, 2 one that most see, 3 one that nobody overlooks.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from score_takes import FPS, Field, blob, grid, smooth

from farm.values import Frames

Spoil: TypeAlias = Callable[[Frames, float, np.random.Generator], Frames]


def _flicker(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    gains = 1 + amount * 0.12 * rng.uniform(-1, 1, len(frames))
    return np.stack([cv2.convertScaleAbs(f, alpha=gain) for f, gain in zip(frames, gains, strict=True)])


def _region_flicker(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    mask = blob(frames[0], rng, 0.2)[..., None]
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
    x, y = grid(frames[0])
    moved = [
        cv2.remap(f, x + a, y + b, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        for f, a, b in zip(frames, dx, dy, strict=True)
    ]
    return np.stack(moved)


def _morph(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    """Shapes melt: a fine deformation of one region grows steadily."""
    mask = blob(frames[0], rng, 0.35) * np.float32(0.022 * amount * frames.shape[2])
    ax, ay = (smooth(mask.shape, 18, rng) * mask for _ in range(2))
    grow = np.linspace(0, 1, len(frames), dtype=np.float32)
    return _displaced(frames, [ax * g for g in grow], [ay * g for g in grow])


def _wobble(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    """Jelly: the whole picture warps at 5 Hz."""
    ax, ay, phase = (smooth(frames.shape[1:3], 5, rng) for _ in range(3))
    size = np.float32(0.006 * amount * frames.shape[2])
    turns = 2 * math.pi * 5 * np.arange(len(frames), dtype=np.float32) / float(FPS)
    swing = [np.sin(turn + phase) * size for turn in turns]
    return _displaced(frames, [ax * s for s in swing], [ay * s for s in swing])


def _boil(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    """Surfaces crawl: fine texture is displaced anew in each frame, too finely for any flow to follow."""
    size = np.float32(0.006 * amount * frames.shape[2])
    fields = [[smooth(frames.shape[1:3], 60, rng) * size for _ in frames] for _ in range(2)]
    return _displaced(frames, fields[0], fields[1])


def _shake(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    """The whole picture jumps about from frame to frame."""
    jump = rng.uniform(-1, 1, (2, len(frames))).astype(np.float32) * 0.012 * amount * frames.shape[2]
    flat = np.ones(frames.shape[1:3], np.float32)
    return _displaced(frames, [flat * j for j in jump[0]], [flat * j for j in jump[1]])


def _huge(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    """A whip round the picture: up to two widths a second."""
    x, y = grid(frames[0])
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
