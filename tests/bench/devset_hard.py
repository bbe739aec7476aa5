"""Hard negatives: takes that are as they should be, though they look like faults to a simple measure.

Invariant: as in devset_takes.py; what is laid over a take starts from nothing unless the still has it too.
"""

import math

import cv2
import numpy as np
from devset_hard_weather import WEATHER, Hard, Made, gently, lit, some_seed
from devset_takes import FPS, Field, Scene, blob, grid, smooth, take

from farm.values import Pixels


def _pan_then_hold(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    """15% of the width within 1.5 s, eased: 15%/s at its fastest; then it rests on what moves."""
    panning = round(1.5 * float(FPS))
    side = float(rng.choice([-1.0, 1.0]))
    first = take(shot, panning, pan=0.15 * side)
    shift = round(0.15 * side * shot.still.shape[1])
    rest = Scene(np.roll(shot.picture, -shift, axis=1), shot.left, shot.top)
    return np.concatenate([first, take(rest, count - panning, ambient=("breathing",))]), shot.still


def _sweep(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    """To one side and back again, 15%/s at its fastest."""
    x, y = grid(shot.still)
    side, width = float(rng.choice([-1.0, 1.0])), x.shape[1]
    ways = [side * 0.1 * width * math.sin(1.5 * i / float(FPS)) ** 2 * 1.3 for i in range(count)]
    return np.stack([shot.seen(x + np.float32(way), y) for way in ways]), shot.still


def _fast_push(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    return take(shot, count, zoom=0.32, eased=bool(rng.integers(2))), shot.still


def _disocclusion(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    """The camera passes something dark and out of focus in the foreground: what was behind it comes out."""
    x, y = grid(shot.still)
    height, width = x.shape
    side = float(rng.choice([-1.0, 1.0]))
    edge = width * (0.5 - side * 0.2) + 0.04 * width * smooth((height, width), 5, rng)[:, :1]
    shade = cv2.GaussianBlur(shot.picture, (0, 0), 12)
    dark = Scene(lit(shade * 0.35), shot.left, shot.top)
    frames = []
    for i in range(count):
        u = i / (count - 1)
        way = side * np.float32(width * u * u * (3 - 2 * u))
        share = np.clip(0.5 + side * (edge - 0.17 * way - x) / (0.02 * width), 0, 1)[..., None]
        front, back = dark.seen(x + 0.1 * way, y), shot.seen(x + 0.05 * way, y)
        frames.append(lit(front * share + back * (1 - share)))
    return np.stack(frames), frames[0]


def _grain(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    """Film: the still has it too."""
    moved = gently(shot, count, rng)
    size = moved.shape[1:3]
    grained = [lit(f + 4.5 * rng.standard_normal(size, np.float32)[..., None]) for f in moved]
    still = lit(shot.still + 4.5 * rng.standard_normal(size, np.float32)[..., None])
    return np.stack(grained), still


def _focused(shot: Scene, rng: np.random.Generator) -> tuple[Field, Pixels]:
    """Where the subject is in the whole picture, and that picture out of focus."""
    subject = np.clip(1.7 * blob(shot.picture, rng, 0.26), 0, 1)[..., None]
    return subject, cv2.GaussianBlur(shot.picture, (0, 0), 4.5)


def _shallow_focus(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    subject, soft = _focused(shot, rng)
    picture = lit(shot.picture * subject + soft * (1 - subject))
    shallow = Scene(picture, shot.left, shot.top)
    return gently(shallow, count, rng), shallow.still


def _rack_focus(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    """From the subject to the background within 1.4 s."""
    subject, soft = _focused(shot, rng)
    near = Scene(lit(shot.picture * subject + soft * (1 - subject)), shot.left, shot.top)
    frames = []
    x, y = grid(shot.still)
    for i in range(count):
        u = min(1.0, max(0.0, (float(i / FPS) - 1.2) / 1.4))
        sharp = 1 - u * u * (3 - 2 * u)
        inner = Scene(shot.picture, shot.left, shot.top).seen(x, y).astype(np.float32)
        cut = subject[shot.top : -shot.top, shot.left : -shot.left]
        # A real defocus grows its blur; a mix of two pictures would be a double exposure.
        front = cv2.GaussianBlur(inner, (0, 0), 0.1 + 4.4 * (1 - sharp))
        back = cv2.GaussianBlur(inner, (0, 0), 0.1 + 4.4 * sharp)
        frames.append(lit(front * cut + back * (1 - cut)))
    zoomed = [
        cv2.warpAffine(f, _zoom(f, 0.02 * i / count), f.shape[1::-1], flags=2) for i, f in enumerate(frames)
    ]
    return np.stack(zoomed), near.still


def _zoom(frame: Pixels, amount: float) -> Field:
    height, width = frame.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 0, 1 + amount)
    return np.asarray(turn, np.float32)


def _handheld(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    """1-3 Hz, a third of a percent of the width, as a steady hand has."""
    x, y = grid(shot.still)
    rates, phases = rng.uniform(0.8, 2.6, (2, 3)), rng.uniform(0, 6.28, (2, 3))
    frames = []
    for i in range(count):
        t = float(i / FPS)
        dx, dy = (
            sum(math.sin(2 * math.pi * r * t + p) - math.sin(p) for r, p in zip(rates[k], phases[k], strict=True))
            * 0.0022 * x.shape[1] for k in range(2)
        )  # fmt: skip
        scale = 1 / (1 + 0.05 * i / count)
        at_x = (x - x.shape[1] / 2) * scale + x.shape[1] / 2 + dx
        at_y = (y - y.shape[0] / 2) * scale + y.shape[0] / 2 + dy
        frames.append(shot.seen(at_x.astype(np.float32), at_y.astype(np.float32)))
    return np.stack(frames), shot.still


def _leaves(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    """Foliage in a breeze: many small parts, each with its own beat."""
    x, y = grid(shot.still)
    width = x.shape[1]
    phase, rate = smooth(x.shape, 22, rng) * 2, 1 + 0.3 * smooth(x.shape, 8, rng)
    mask = np.clip(1.5 * blob(shot.still, rng, 0.45), 0, 1) * np.float32(0.0035 * width)
    frames = []
    for i in range(count):
        t = float(i / FPS)
        gust = 0.6 + 0.4 * math.sin(1.3 * t)
        sway = (np.sin(2 * math.pi * 0.9 * rate * t + phase) - np.sin(phase)) * mask * gust
        frames.append(shot.seen((x + sway).astype(np.float32), (y + 0.6 * sway).astype(np.float32)))
    return np.stack(frames), shot.still


def _slow_motion(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    return take(shot, count, zoom=0.022, eased=False, ambient=("sway",), seed=some_seed(rng)), shot.still


def _passer_by(shot: Scene, count: int, rng: np.random.Generator) -> Made:
    """Somebody out of focus walks through the foreground, in at one side and out at the other."""
    moved, (x, y) = gently(shot, count, rng), grid(shot.still)
    height, width = x.shape
    tone = cv2.GaussianBlur(shot.still, (0, 0), 20).mean(axis=(0, 1)) * 0.4
    frames = []
    for i, frame in enumerate(moved):
        cx, cy = width * (-0.2 + 1.4 * (i + 1) / count), height * (0.75 + 0.01 * math.sin(0.6 * i))
        across, up = (x - np.float32(cx)) / (0.07 * width), (y - np.float32(cy)) / (0.42 * height)
        body = across * across * across * across + up * up * up * up
        veil = np.clip((1.2 - body) * 1.6, 0, 1)[..., None]
        frames.append(lit(frame * (1 - veil) + tone.astype(np.float32) * veil))
    return np.stack(frames), shot.still


HARD: dict[str, Hard] = WEATHER | {
    "pan_then_hold": _pan_then_hold, "sweep": _sweep, "fast_push": _fast_push, "disocclusion": _disocclusion,
    "grain": _grain, "shallow_focus": _shallow_focus, "rack_focus": _rack_focus, "handheld": _handheld,
    "leaves": _leaves, "slow_motion": _slow_motion, "passer_by": _passer_by,
}  # fmt: skip

SUITED = {
    "leaves": ("aloe", "still_life", "generator", "squirrel", "pagoda", "no_parking", "butterfly", "hotel"),
    "water": ("pagoda", "rocket", "arch", "street", "barrier"),
}
"""Where the movement of some is no distortion: rigid things do not sway as leaves do. All else goes anywhere."""


def suits(kind: str, content: str) -> bool:
    return content in SUITED.get(kind, (content,))


def hard(kind: str, shot: Scene, count: int, seed: int) -> Made:
    return HARD[kind](shot, count, np.random.default_rng(seed))
