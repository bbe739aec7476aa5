"""The faults that renderers have, laid over any take: the first fifteen, and how all of them are laid.

Invariant: everything here is a function of its arguments (seeded); a fault of severity 1 is one that a careful
viewer sees, 2 one that most see, 3 one that nobody overlooks. Where the level is 0 the frames are untouched.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np
from devset_takes import FPS, Field, blob, grid, smooth
from numpy.typing import NDArray

from farm.values import Frames

Level: TypeAlias = NDArray[np.float32]  # (T,), how much of the fault each frame has; 1 is severity 3
Onset: TypeAlias = Literal["early", "late", "throughout"]
Spoil: TypeAlias = Callable[[Frames, Level, np.random.Generator], Frames]
AMOUNT = {1: 0.35, 2: 0.65, 3: 1.0}
EARLY_S, LATE_S = 1.5, 2.2
VISIBLE = 0.2
"""Level from which a frame counts as damaged: severity 1 is 0.35."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`shape`: steady (as bad in each frame), grows (from nothing), or event (at a moment, as bad from then on)."""

    spoil: Spoil
    shape: Literal["steady", "grows", "event"] = "steady"
    severities: tuple[int, ...] = (1, 2, 3)
    onsets: tuple[Onset, ...] = ("early", "late", "throughout")


def level(fault: Fault, count: int, amount: float, onset: Onset = "throughout", fps: float = 24.0) -> Level:
    """How the fault comes and goes over a take of `count` frames."""
    if onset == "throughout":
        grown = np.linspace(0, 1, count) if fault.shape == "grows" else np.ones(count)
    elif onset == "late":
        start = min(round(LATE_S * fps), round(0.55 * count))
        steps = count - start
        rise = {"steady": max(2, steps // 3), "grows": steps, "event": 1}[fault.shape]
        grown = np.concatenate([np.zeros(start), np.clip(np.arange(1, steps + 1) / rise, 0, 1)])
    else:
        stop = min(round(EARLY_S * fps), round(0.38 * count))
        shape = {
            "steady": np.clip(np.arange(stop, 0, -1) / max(2, stop // 5), 0, 1),
            "grows": np.sin(np.pi * np.arange(1, stop + 1) / (stop + 1)) ** 0.7,
            "event": np.ones(stop),
        }[fault.shape]
        grown = np.concatenate([shape, np.zeros(count - stop)])
    return np.asarray(amount * grown, np.float32)


def lay(
    fault: Fault, frames: Frames, severity: int, onset: Onset, fps: float, seed: int
) -> tuple[Frames, NDArray[np.bool_]]:
    """The spoilt take, and which of its frames are damaged."""
    levels = level(fault, len(frames), AMOUNT[severity], onset, fps)
    spoilt = fault.spoil(frames, levels, np.random.default_rng(seed))
    differs = np.array(
        [bool((a[::3, ::3] != b[::3, ::3]).any()) for a, b in zip(spoilt, frames, strict=True)]
    )
    near = np.convolve(differs, np.ones(5), mode="same") > 0  # a flicker passes through 0
    return spoilt, near & (levels >= VISIBLE)


def active(levels: Level) -> tuple[int, int, float]:
    """For events: the frames [start, stop) in which it is there, and its amount. In a whole take it comes midway."""
    there = np.flatnonzero(levels > 0)
    start, stop = int(there[0]), int(there[-1]) + 1
    return (len(levels) // 2 if stop - start == len(levels) else start), stop, float(levels.max())


def clipped(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(values, 0, 255).astype(np.uint8)


def _flicker(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    gains = 1 + levels * 0.12 * rng.uniform(-1, 1, len(frames))
    return np.stack([cv2.convertScaleAbs(f, alpha=gain) for f, gain in zip(frames, gains, strict=True)])


def _region_flicker(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    mask = blob(frames[0], rng, 0.2)[..., None]
    swing = (levels * 0.2 * rng.uniform(-1, 1, len(frames))).astype(np.float32)
    return np.stack([clipped(f * (1 + s * mask)) for f, s in zip(frames, swing, strict=True)])


def _frozen(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Stands still from some frame on: the more severe, the earlier."""
    there = np.flatnonzero(levels > 0)
    first, last = int(there[0]), int(there[-1]) + 1
    stop = first + max(1, round((last - first) * (1 - 0.85 * float(levels.max()))))
    order = np.arange(len(frames))
    order[stop:last] = stop
    return frames[order]


def _still_image(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Nothing moves at all, whatever the severity."""
    return np.repeat(frames[:1], len(frames), axis=0)


def _noise(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    noisy = [
        clipped(f + g * rng.standard_normal(f.shape, np.float32)) if g else f
        for f, g in zip(frames, levels * 32, strict=True)
    ]
    return np.stack(noisy)


def _blur(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    sigmas = levels * 4.0 * frames.shape[2] / 640
    return np.stack(
        [cv2.GaussianBlur(f, (0, 0), float(s)) if s > 0.1 else f for f, s in zip(frames, sigmas, strict=True)]
    )


def _pump(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Saturation and exposure that breathe at 1.3 Hz."""
    beat = np.sin(2 * math.pi * 1.3 * np.arange(len(frames)) / float(FPS)).astype(np.float32) * levels
    spoilt = []
    for frame, b in zip(frames, beat, strict=True):
        lit = frame.astype(np.float32)
        grey = lit.mean(axis=2, keepdims=True)
        spoilt.append(clipped((grey + (lit - grey) * (1 + 0.7 * b)) * (1 + 0.14 * b)) if b else frame)
    return np.stack(spoilt)


def _cut(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Another picture from the middle on; when less severe, another part of the same picture."""
    start, stop, amount = active(levels)
    spoilt = frames.copy()
    shift = round(frames.shape[2] * 0.6 * amount)
    other = np.roll(frames[start:stop, :, ::-1], shift, axis=2)
    spoilt[start:stop] = other if amount < 1 else 255 - other[:, ::-1]
    return spoilt


def displaced(frames: Frames, dx: list[Field], dy: list[Field]) -> Frames:
    x, y = grid(frames[0])
    moved = [
        cv2.remap(f, x + a, y + b, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        for f, a, b in zip(frames, dx, dy, strict=True)
    ]
    return np.stack(moved)


def _morph(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Shapes melt: a fine deformation of one region grows steadily."""
    mask = blob(frames[0], rng, 0.35) * np.float32(0.022 * frames.shape[2])
    ax, ay = (smooth(mask.shape, 18, rng) * mask for _ in range(2))
    return displaced(frames, [ax * g for g in levels], [ay * g for g in levels])


def _wobble(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Jelly: the whole picture warps at 5 Hz."""
    ax, ay, phase = (smooth(frames.shape[1:3], 5, rng) for _ in range(3))
    size = np.float32(0.006 * frames.shape[2])
    turns = 2 * math.pi * 5 * np.arange(len(frames), dtype=np.float32) / float(FPS)
    swing = [np.sin(turn + phase) * size * g for turn, g in zip(turns, levels, strict=True)]
    return displaced(frames, [ax * s for s in swing], [ay * s for s in swing])


def _boil(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Surfaces crawl: fine texture is displaced anew in each frame, too finely for any flow to follow."""
    size = np.float32(0.006 * frames.shape[2])
    fields = [[smooth(frames.shape[1:3], 60, rng) * size * g for g in levels] for _ in range(2)]
    return displaced(frames, fields[0], fields[1])


def _shake(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """The whole picture jumps about from frame to frame."""
    jump = rng.uniform(-1, 1, (2, len(frames))).astype(np.float32) * 0.012 * levels * frames.shape[2]
    flat = np.ones(frames.shape[1:3], np.float32)
    return displaced(frames, [flat * j for j in jump[0]], [flat * j for j in jump[1]])


def _huge(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """A whip round the picture: up to two widths a second."""
    x, y = grid(frames[0])
    width = frames.shape[2]
    way = (np.cumsum(levels) - levels[0]) * 2.0 * width / float(FPS)
    whipped = [
        cv2.remap(f, np.mod(x + at, width - 1).astype(np.float32), y, cv2.INTER_LINEAR) if at else f
        for f, at in zip(frames, way, strict=True)
    ]
    return np.stack(whipped)


def _ghost(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """A displaced copy fades in over the picture."""
    shift = round(0.04 * frames.shape[2])
    laid = [
        cv2.addWeighted(f, 1 - g, np.roll(f, shift, axis=1), g, 0)
        for f, g in zip(frames, 0.5 * levels.astype(np.float64), strict=True)
    ]
    return np.stack(laid)


def _pop(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Something that was not there stands in the picture from one frame to the next."""
    start, stop, amount = active(levels)
    spoilt = frames.copy()
    height, width = frames.shape[1:3]
    side = min(height, round(width * (0.08 + 0.17 * amount)))
    top, left = (height - side) // 2, width // 3
    patch = frames[0][:side, -side:, ::-1]
    spoilt[start:stop, top : top + side, left : left + side] = patch
    return spoilt


SPOILS: dict[str, Fault] = {
    "flicker": Fault(_flicker), "region_flicker": Fault(_region_flicker),
    "frozen": Fault(_frozen, "event", onsets=("late", "throughout")),
    "still_image": Fault(_still_image, "event", severities=(3,), onsets=("throughout",)),
    "noise": Fault(_noise, "grows"), "blur": Fault(_blur, "grows"), "pump": Fault(_pump),
    "cut": Fault(_cut, "event", severities=(2, 3)), "morph": Fault(_morph, "grows"), "wobble": Fault(_wobble),
    "boil": Fault(_boil), "shake": Fault(_shake), "huge": Fault(_huge, severities=(3,), onsets=("late", "throughout")),
    "ghost": Fault(_ghost, "grows"), "pop": Fault(_pop, "event"),
}  # fmt: skip


def spoil(fault: str, frames: Frames, severity: int, seed: int = 0) -> Frames:
    """The take with one of SPOILS at severity 1, 2 or 3, throughout."""
    levels = level(SPOILS[fault], len(frames), AMOUNT[severity])
    return SPOILS[fault].spoil(frames, levels, np.random.default_rng(seed))
