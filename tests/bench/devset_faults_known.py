"""More faults that a scorer may be calibrated on: KNOWN is all of them.

Invariant: as in devset_faults.py.
"""

import math

import cv2
import numpy as np
from devset_faults import SPOILS, Fault, Level, active, clipped, displaced
from devset_takes import blob, grid, smooth

from farm.values import Frames, Pixels


def _stutter(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Frames are shown again and their followers dropped, now and then, or nearly always."""
    order = np.arange(len(frames))
    at = 1
    while at < len(frames):
        held = round(1 + 5 * float(levels[at])) if levels[at] > 0 else 0
        if held and rng.random() < 0.35 + 0.5 * levels[at]:
            shown_again = np.arange(at, min(at + held, len(frames)))
            order[shown_again[levels[shown_again] > 0]] = order[at - 1]
            at += held
        at += 1
    return frames[order]


def _identity(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """The subject turns into something else: its shape warps and another texture blends in, seamlessly."""
    mask = blob(frames[0], rng, 0.26)
    wide = mask * np.float32(0.05 * frames.shape[2])
    ax, ay = (smooth(mask.shape, 7, rng) * wide for _ in range(2))
    warped = displaced(frames, [ax * g for g in levels], [ay * g for g in levels])
    mixed = []
    for frame, g in zip(warped, levels, strict=True):
        other = cv2.flip(np.roll(frame, frame.shape[1] // 4, axis=1), 1)
        share = (0.75 * g * mask)[..., None]
        mixed.append(clipped(frame * (1 - share) + other * share) if g else frame)
    return np.stack(mixed)


def _macroblocks(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """What a starved codec leaves: blocks of 8 and 16 px in their mean colour and a few coarse waves."""
    height, width = frames.shape[1:3]
    spoilt = frames.copy()
    for i in np.flatnonzero(levels > 0):
        quality = max(1, round(22 - 19 * float(levels[i])))
        small = cv2.resize(frames[i], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        done, file = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
        coarse = cv2.imdecode(file, cv2.IMREAD_COLOR) if done else small
        coarse = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
        share = min(1.0, 0.3 + 0.8 * float(levels[i]))
        spoilt[i] = cv2.addWeighted(frames[i], 1 - share, coarse, share, 0)
    return spoilt


def turned(frame: Pixels, degrees: float) -> Pixels:
    """The frame with its hues turned at constant luma."""
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    ycc = cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    cr, cb = ycc[..., 1] - 128, ycc[..., 2] - 128
    ycc[..., 1], ycc[..., 2] = cr * cos - cb * sin + 128, cr * sin + cb * cos + 128
    return np.asarray(cv2.cvtColor(clipped(ycc), cv2.COLOR_YCrCb2RGB), np.uint8)


def _hue(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Colours drift into one another, and a cast grows."""
    way = float(rng.choice([-1.0, 1.0]))
    cast = np.array([14.0, -10.0, 12.0], np.float32) * way
    return np.stack(
        [
            clipped(turned(f, 75 * way * float(g)) + cast * g) if g else f
            for f, g in zip(frames, levels, strict=True)
        ]
    )


def _burn(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Saturation and contrast burn in until highlights and shadows clip."""
    spoilt = []
    for frame, g in zip(frames, levels, strict=True):
        lit = frame.astype(np.float32)
        vivid = (lit - lit.mean(axis=2, keepdims=True)) * (1.4 * g)
        spoilt.append(clipped((lit - 118) * (1 + 0.75 * g) + 118 + vivid) if g else frame)
    return np.stack(spoilt)


def _sharpened(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Edges get halos."""
    return np.stack(
        [
            cv2.addWeighted(f, 1 + 3.2 * g, cv2.GaussianBlur(f, (0, 0), 1.6), -3.2 * g, 0) if g else f
            for f, g in zip(frames, levels.astype(np.float64), strict=True)
        ]
    )


def _posterised(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Tones fall into few steps: gradients become bands."""
    spoilt = []
    for frame, g in zip(frames, levels, strict=True):
        step = 1 + 30 * float(g)
        table = np.clip((np.arange(256) // step + 0.5) * step, 0, 255).astype(np.uint8)
        spoilt.append(cv2.LUT(frame, table) if g else frame)
    return np.stack(spoilt)


def _waxy(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Skin and fur lose their pores: texture inside a region is smoothed, edges stay."""
    mask = np.clip(1.6 * blob(frames[0], rng, 0.5), 0, 1)[..., None]
    spoilt = frames.copy()
    height, width = frames.shape[1:3]
    for i in np.flatnonzero(levels > 0):
        g = float(levels[i])
        half = cv2.resize(frames[i], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        for _ in range(2):
            half = cv2.bilateralFilter(half, 7, 20 + 70 * g, 2 + 3 * g)
        flat = cv2.resize(half, (width, height), interpolation=cv2.INTER_CUBIC)
        share = np.float32(min(1.0, 0.45 + 0.6 * g)) * mask
        spoilt[i] = clipped(frames[i] * (1 - share) + flat * share)
    return spoilt


def _crossfade(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Another picture of about the same colours shines through, in the end alone."""
    other = cv2.flip(frames[-1], -1)
    other = cv2.resize(other[: other.shape[0] // 2, : other.shape[1] // 2], frames.shape[2:0:-1])
    return np.stack(
        [
            cv2.addWeighted(f, 1 - g, other, g, 0)
            for f, g in zip(frames, levels.astype(np.float64), strict=True)
        ]
    )


def _shimmer(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Nothing moves but noise and a crawl of under a pixel: life that is none."""
    still = frames[:1].repeat(len(frames), axis=0)
    size = np.float32(0.25)
    crawl = [[smooth(frames.shape[1:3], 12, rng) * size for _ in frames] for _ in range(2)]
    noisy = [
        clipped(f + 1.5 * rng.standard_normal(f.shape[:2], np.float32)[..., None])
        for f in displaced(still, crawl[0], crawl[1])
    ]
    return np.stack(noisy)


def _wrong_crop(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Not framed as the still is: larger and off centre."""
    x, y = grid(frames[0])
    height, width = x.shape
    amount = np.float32(levels.max())
    zoom, dx, dy = 1 + 0.35 * amount, 0.10 * amount * width, -0.06 * amount * height
    at_x, at_y = (x - width / 2) / zoom + width / 2 + dx, (y - height / 2) / zoom + height / 2 + dy
    there = levels > 0
    return np.stack(
        [
            cv2.remap(f, at_x, at_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101) if wrong else f
            for f, wrong in zip(frames, there, strict=True)
        ]
    )


def _black_bar(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """A black bar creeps in from one side."""
    side, spoilt = int(rng.integers(4)), frames.copy()
    for i, g in enumerate(levels):
        extent = frames.shape[1 if side < 2 else 2]
        thick = round(0.16 * float(g) * extent)
        if thick:
            part = slice(0, thick) if side % 2 else slice(extent - thick, extent)
            spoilt[i, part] = 0 if side < 2 else spoilt[i, part]
            if side >= 2:
                spoilt[i, :, part] = 0
    return spoilt


def _edge_smear(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """What was never in the still is filled by smearing the frame's edge outwards."""
    right, spoilt = bool(rng.integers(2)), frames.copy()
    for i, g in enumerate(levels):
        wide = round(0.25 * float(g) * frames.shape[2])
        if wide and right:
            spoilt[i, :, -wide:] = frames[i, :, -wide - 1 : -wide]
        elif wide:
            spoilt[i, :, :wide] = frames[i, :, wide : wide + 1]
    return spoilt


def _jump_cut(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """The same scene, all at once framed otherwise."""
    start, stop, amount = active(levels)
    height, width = frames.shape[1:3]
    zoom = 1 + 0.12 + 0.35 * amount
    left, top = (
        int((width - width / zoom) * rng.uniform(0, 1)),
        int((height - height / zoom) * rng.uniform(0, 1)),
    )
    spoilt = frames.copy()
    for i in range(start, stop):
        part = frames[i, top : top + int(height / zoom), left : left + int(width / zoom)]
        spoilt[i] = cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC)
    return spoilt


KNOWN: dict[str, Fault] = SPOILS | {
    "stutter": Fault(_stutter), "identity": Fault(_identity, "grows"), "macroblocks": Fault(_macroblocks),
    "hue": Fault(_hue, "grows"), "burn": Fault(_burn, "grows"), "sharpened": Fault(_sharpened, "grows"),
    "posterised": Fault(_posterised), "waxy": Fault(_waxy),
    "crossfade": Fault(_crossfade, "grows", onsets=("late", "throughout")),
    "shimmer": Fault(_shimmer, "event", severities=(3,), onsets=("throughout",)),
    "wrong_crop": Fault(_wrong_crop, "event", onsets=("early", "throughout")),
    "black_bar": Fault(_black_bar, "grows"), "edge_smear": Fault(_edge_smear, "grows"),
    "jump_cut": Fault(_jump_cut, "event"),
}  # fmt: skip
