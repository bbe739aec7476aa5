"""Hard negatives of light and weather: what lies over a take without being its fault.

Invariant: as in devset_takes.py; it starts from nothing, for the still has none of it.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from devset_takes import FPS, Field, Scene, blob, grid, smooth, take

from farm.values import Frames, Pixels

Made: TypeAlias = tuple[Frames, Pixels]  # the take and its still
Hard: TypeAlias = Callable[[Scene, int, np.random.Generator], Made]


def some_seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 31))


def lit(values: Field) -> Pixels:
    return np.clip(values, 0, 255).astype(np.uint8)


def gently(shot: Scene, count: int, rng: np.random.Generator) -> Frames:
    """What goes on below: one of a few small moves."""
    move = ({"zoom": 0.05}, {"pan": 0.04}, {"zoom": -0.04}, {"orbit": 0.03})[rng.integers(4)]
    return take(shot, count, seed=some_seed(rng), ambient=("sway",) if rng.random() < 0.5 else (), **move)


def _toned(shot: Scene, count: int, rng: np.random.Generator, end: tuple[float, float, float]) -> Made:
    moved, u = gently(shot, count, rng), np.linspace(0, 1, count, dtype=np.float32)
    gains = 1 + (np.array(end, np.float32) - 1) * (u * u * (3 - 2 * u))[:, None]
    return np.stack([lit(f * g) for f, g in zip(moved, gains, strict=True)]), shot.still


def _dusk(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    return _toned(shot, count, rng, (0.55, 0.6, 0.72))


def _sunset(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    return _toned(shot, count, rng, (1.08, 0.92, 0.68))


def _cloud_shadow(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    moved, (x, y) = gently(shot, count, rng), grid(shot.still)
    width, frames = x.shape[1], []
    for i, frame in enumerate(moved):
        middle = width * (-0.6 + 2.0 * i / count)
        shade = 0.35 * np.exp(-(((x + 0.3 * y - middle) / (0.28 * width)) ** 2))
        frames.append(lit(frame * (1 - shade[..., None])))
    return np.stack(frames), shot.still


def _water(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    """The lower part ripples as water does, and glints."""
    x, y = grid(shot.still)
    height, width = x.shape
    deep = np.clip((y / height - 0.72) * 8, 0, 1)
    waves, frames = [smooth((height, width), cells, rng) for cells in (14, 60)], []
    for i in range(count):
        t = float(i / FPS)
        rise = min(1.0, 2 * t)
        wave = np.sin(2 * math.pi * (y / height * 14 - 0.9 * t) + 1.5 * waves[0])
        seen = shot.seen(x + deep * wave * (0.004 * width * rise), y + deep * wave * (0.003 * width * rise))
        glint = np.clip(np.sin(6 * t + 4 * waves[0]) * waves[1] - 1.3, 0, 1) * deep * (150 * rise)
        frames.append(lit(seen + glint[..., None]))
    return np.stack(frames), shot.still


def _plume(shot: Scene, count: int, rng: np.random.Generator, tone: float, thick: float, wide: float) -> Made:
    """Two rising layers of vapour, soft and see-through."""
    moved, (x, _) = gently(shot, count, rng), grid(shot.still)
    height, width = x.shape
    centre = width * rng.uniform(0.35, 0.65)
    layers = [smooth((height * 3, width), cells, rng) for cells in (5, 9)]
    frames = []
    for i, frame in enumerate(moved):
        t = float(i / FPS)
        density = sum(
            np.roll(layer, -round((30 + 25 * k) * t * height / 360), axis=0)[:height]
            for k, layer in enumerate(layers)
        )
        column = np.exp(-(((x - centre - 0.05 * width * math.sin(0.7 * t)) / (wide * width)) ** 2))
        veil = np.clip(0.35 + 0.4 * density, 0, 1) * column * (thick * min(1.0, t / 1.2))
        frames.append(lit(frame * (1 - veil[..., None]) + tone * veil[..., None]))
    return np.stack(frames), shot.still


def _smoke(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    return _plume(shot, count, rng, 120.0, 0.55, 0.3)


def _steam(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    return _plume(shot, count, rng, 240.0, 0.45, 0.12)


def _firelight(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    """A fire beside the subject: warm light that flickers where it falls."""
    moved, near = gently(shot, count, rng), blob(shot.still, rng, 0.28)[..., None]
    ticks = np.convolve(rng.normal(0, 1, count + 4), [0.15, 0.25, 0.25, 0.2, 0.15], mode="valid")[:count]
    warm = np.array([1.0, 0.62, 0.25], np.float32)
    rise = np.minimum(1, np.arange(count) / float(FPS))
    swing = (0.3 * ticks * rise).astype(np.float32)
    return np.stack([lit(f * (1 + s * near * warm)) for f, s in zip(moved, swing, strict=True)]), shot.still


def _rain(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    moved = gently(shot, count, rng)
    height, width = moved.shape[1:3]
    frames = []
    for i, frame in enumerate(moved):
        streaks = np.zeros((height, width), np.uint8)
        for _ in range(round(150 * min(1.0, i / float(FPS)))):
            cx, cy, long = int(rng.integers(width)), int(rng.integers(-20, height)), int(rng.integers(12, 34))
            cv2.line(
                streaks, (cx, cy), (cx - long // 5, cy + long), int(rng.integers(70, 170)), 1, cv2.LINE_AA
            )
        veil = streaks[..., None].astype(np.float32) / 255
        frames.append(lit(frame + (215 - frame) * veil))
    return np.stack(frames), shot.still


def _snow(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    moved = gently(shot, count, rng)
    height, width = moved.shape[1:3]
    flakes = rng.uniform(0, 1, (190, 4))
    frames = []
    for i, frame in enumerate(moved):
        t, layer = float(i / FPS), np.zeros((height, width), np.uint8)
        for fx, size, turn, first in flakes:
            fall = t * (0.25 + 0.3 * size) - 0.9 * first
            if fall <= 0:
                continue  # comes later: the still has no snow
            at = (
                int(width * ((fx + 0.02 * math.sin(2 * t + 6 * turn)) % 1) * 4),
                int(height * (fall % 1.05) * 4),
            )
            cv2.circle(layer, at, round(5 + 10 * size), 235, -1, cv2.LINE_AA, 2)
        veil = cv2.GaussianBlur(layer, (0, 0), 0.8)[..., None].astype(np.float32) / 255
        frames.append(lit(frame * (1 - veil) + 245 * veil))
    return np.stack(frames), shot.still


def _flare(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    moved, (x, y) = gently(shot, count, rng), grid(shot.still)
    height, width = x.shape
    frames = []
    for i, frame in enumerate(moved):
        u = i / count
        glow = np.zeros((height, width), np.float32)
        for k, (size, bright) in enumerate(((0.16, 95.0), (0.05, 60.0), (0.09, 40.0))):
            cx, cy = width * (0.85 - 0.3 * u - 0.22 * k * (1 - u)), height * (0.15 + 0.25 * k * (0.5 + u))
            glow += bright * np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / (size * width) ** 2))
        frames.append(
            lit(frame + (glow * min(1.0, 1.5 * u))[..., None] * np.array([1.0, 0.9, 0.7], np.float32))
        )
    return np.stack(frames), shot.still


WEATHER: dict[str, Hard] = {
    "dusk": _dusk, "sunset": _sunset, "cloud_shadow": _cloud_shadow, "water": _water, "smoke": _smoke,
    "steam": _steam, "firelight": _firelight, "rain": _rain, "snow": _snow, "flare": _flare,
}  # fmt: skip
