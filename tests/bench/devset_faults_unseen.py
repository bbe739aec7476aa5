"""Faults that no limit was calibrated on: whether the scorer sees what it was not shown.

Invariant: as in devset_faults.py; none works as one of KNOWN does.
"""

import math

import cv2
import numpy as np
from devset_faults import Fault, Level, active, clipped, displaced
from devset_takes import blob, grid, smooth

from farm.values import Frames


def _uneven(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Time runs unevenly: fast, slow and a little backwards, every frame blended from its two neighbours."""
    beat = np.repeat(rng.uniform(-1, 1, len(frames) // 3 + 1), 3)[: len(frames)]
    at = np.clip(np.arange(len(frames)) + 9.0 * beat * levels, 0, len(frames) - 1)
    low, share = np.floor(at).astype(int), at % 1
    high = np.minimum(low + 1, len(frames) - 1)
    return np.stack(
        [cv2.addWeighted(frames[a], 1 - s, frames[b], s, 0) for a, b, s in zip(low, high, share, strict=True)]
    )


def _patch_flicker(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Latent patches of 16 px change their tone from frame to frame, each for itself."""
    height, width = frames.shape[1:3]
    spoilt = []
    for frame, g in zip(frames, levels, strict=True):
        cells = rng.normal(0, 11, (height // 16 + 1, width // 16 + 1, 3)).astype(np.float32)
        tone = cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR)
        spoilt.append(clipped(frame + g * tone) if g else frame)
    return np.stack(spoilt)


def _vanish(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """The subject is gone within a third of a second: what was around it has closed over it."""
    start, stop, amount = active(levels)
    mask = np.clip(blob(frames[0], rng, 0.1 + 0.16 * amount) * 2.5 - 0.6, 0, 1)[..., None]
    spoilt = frames.copy()
    height, width = frames.shape[1:3]
    hole = (cv2.resize(mask, (width // 4, height // 4)) > 0.02).astype(np.uint8)
    for i in range(start, stop):
        small = cv2.resize(frames[i], (width // 4, height // 4), interpolation=cv2.INTER_AREA)
        filled = cv2.resize(cv2.inpaint(small, hole, 3, cv2.INPAINT_TELEA), (width, height))
        share = mask * np.float32(min(1.0, (i - start + 1) / 8))
        spoilt[i] = clipped(frames[i] * (1 - share) + filled * share)
    return spoilt


def _extra_limb(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """A part of the subject grows out of it a second time, turned."""
    height, width = frames.shape[1:3]
    x, y = grid(frames[0])
    cx, cy = width * rng.uniform(0.4, 0.6), height * rng.uniform(0.4, 0.6)
    side = float(rng.choice([-1.0, 1.0]))
    spoilt = frames.copy()
    for i in np.flatnonzero(levels > 0):
        g = float(levels[i])
        to_x, to_y = cx + side * width * 0.24 * g, cy - 0.10 * height * g
        turn = cv2.getRotationMatrix2D((cx, cy), side * 50 * g, 1.0)
        turn[:, 2] += (to_x - cx, to_y - cy)
        copy = cv2.warpAffine(frames[i], turn, (width, height), borderMode=cv2.BORDER_REFLECT_101)
        away = ((x - to_x) / (0.15 * width)) ** 2 + ((y - to_y) / (0.3 * height)) ** 2
        share = np.clip((1.1 - away) * 5, 0, 1)[..., None] * np.float32(min(1.0, 4 * g))
        spoilt[i] = clipped(frames[i] * (1 - share) + copy * share)
    return spoilt


def _tearing(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Below a line, which jumps about, the picture is shifted sideways."""
    spoilt = frames.copy()
    for i in np.flatnonzero(levels > 0):
        line = round(frames.shape[1] * rng.uniform(0.15, 0.8))
        shift = round(frames.shape[2] * 0.06 * float(levels[i]) * rng.choice([-1, 1]))
        if rng.random() < 0.3 + 0.6 * levels[i]:
            spoilt[i, line:] = np.roll(frames[i, line:], shift, axis=1)
    return spoilt


def _checkerboard(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """The lattice of a decoder's upsampling lies over everything."""
    x, y = grid(frames[0])
    lattice = (np.sin(x * math.pi / 2 + 0.4) * np.sin(y * math.pi / 2 + 0.4))[..., None] * np.float32(22)
    return np.stack([clipped(f + g * lattice) if g else f for f, g in zip(frames, levels, strict=True)])


def _combing(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Every other line is of an earlier moment."""
    spoilt = frames.copy()
    for i in np.flatnonzero(levels > 0):
        lag = 1 + round(5 * float(levels[i]))
        spoilt[i, 1::2] = frames[max(0, i - lag), 1::2]
        spoilt[i, 1::2] = np.roll(spoilt[i, 1::2], round(0.008 * float(levels[i]) * frames.shape[2]), axis=1)
    return spoilt


def _bleed(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Colour runs out of its shapes: chroma is smeared and shifted, luma stays."""
    spoilt = []
    for frame, g in zip(frames, levels, strict=True):
        if not g:
            spoilt.append(frame)
            continue
        ycc = cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb)
        run = cv2.blur(ycc[..., 1:], (1 + 2 * round(50 * float(g)), 1 + 2 * round(6 * float(g))))
        loud = (run.astype(np.float32) - 128) * (1 + 0.6 * g) + 128
        ycc[..., 1:] = np.roll(clipped(loud), round(30 * float(g)), axis=1)
        spoilt.append(cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB))
    return np.stack(spoilt)


def _watermark(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Lettering that stays where it is while the picture moves."""
    height, width = frames.shape[1:3]
    text = "".join(chr(int(c)) for c in rng.integers(65, 91, 7))
    plate = np.zeros((height, width), np.uint8)
    size = 3.0 * width / 640
    at = round(width * 0.12), round(height * rng.uniform(0.4, 0.8))
    cv2.putText(plate, text, at, cv2.FONT_HERSHEY_DUPLEX, size, 255, max(1, round(size * 2)), cv2.LINE_AA)
    ink = plate[..., None].astype(np.float32) / 255
    return np.stack(
        [
            clipped(f + (250 - f) * ink * min(0.9, 0.05 + 0.75 * g)) if g else f
            for f, g in zip(frames, levels, strict=True)
        ]
    )


def _region_jump(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """A part of the picture hops to and fro for a few frames at a time."""
    mask = np.clip(1.8 * blob(frames[0], rng, 0.25), 0, 1)
    hops = np.repeat(rng.uniform(-1, 1, (2, len(frames) // 4 + 1)), 4, axis=1)[:, : len(frames)]
    size = (hops * levels * 0.03 * frames.shape[2]).astype(np.float32)
    return displaced(frames, [mask * s for s in size[0]], [mask * s for s in size[1]])


def _mirror(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """What was never in the still is filled by a mirror image of what was."""
    left, spoilt = bool(rng.integers(2)), frames.copy()
    for i, g in enumerate(levels):
        wide = round(0.38 * float(g) * frames.shape[2])
        if wide and left:
            spoilt[i, :, :wide] = frames[i, :, wide : 2 * wide][:, ::-1]
        elif wide:
            spoilt[i, :, -wide:] = frames[i, :, -2 * wide : -wide][:, ::-1]
    return spoilt


def _balance_pump(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """The white balance hunts, warm to cold and back."""
    beat = np.sin(2 * math.pi * np.arange(len(frames)) / 21 + rng.uniform(0, 6)) * levels
    gain = 1 + beat[:, None].astype(np.float32) * np.array([0.2, 0.0, -0.24], np.float32)
    return np.stack([clipped(f * g) for f, g in zip(frames, gain, strict=True)])


def _stuck(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """A pane of the picture hangs while all else moves on, jumps on, and hangs again."""
    amount = float(levels.max())
    there = np.flatnonzero(levels > 0)
    start, stop = int(there[0]), int(there[-1]) + 1
    height, width = frames.shape[1:3]
    high, wide = round(height * (0.25 + 0.4 * amount)), round(width * (0.25 + 0.4 * amount))
    top, left = (height - high) // 2, int((width - wide) * rng.uniform(0.2, 0.8))
    spoilt = frames.copy()
    hold = round(8 + 30 * amount)
    for i in range(start, stop):
        held = i - (i - start) % hold
        spoilt[i, top : top + high, left : left + wide] = frames[held, top : top + high, left : left + wide]
    return spoilt


def _swirl(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """A part of the picture is wrung about its middle."""
    height, width = frames.shape[1:3]
    x, y = grid(frames[0])
    cx, cy = width * rng.uniform(0.35, 0.65), height * rng.uniform(0.4, 0.6)
    away = np.hypot(x - cx, y - cy)
    turn = np.clip(1 - away / (0.2 * width), 0, 1) ** 2
    dxs, dys = [], []
    for g in levels:
        cos, sin = np.cos(1.5 * g * turn), np.sin(1.5 * g * turn)
        dxs.append((x - cx) * (cos - 1) - (y - cy) * sin)
        dys.append((x - cx) * sin + (y - cy) * (cos - 1))
    return displaced(frames, dxs, dys)


def _trails(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """What moves drags its past along: every frame is mixed with what was shown before."""
    kept, spoilt = frames[0].astype(np.float32), []
    for frame, g in zip(frames, levels, strict=True):
        share = min(0.97, 0.80 + 0.165 * float(g)) if g else 0.0
        kept = kept * share + frame * np.float32(1 - share)
        spoilt.append(clipped(kept + 0.5) if g else frame)
    return np.stack(spoilt)


def _wrong_colour(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Not the still's colours: washed out and tinted, all the while."""
    tint = np.array([[30, -8, -34], [-28, 6, 34], [8, 26, -20]], np.float32)[rng.integers(3)]
    spoilt = []
    for frame, g in zip(frames, levels, strict=True):
        pale = (frame.astype(np.float32) - 128) * (1 - 0.45 * g) + 140
        spoilt.append(clipped(pale + tint * g) if g else frame)
    return np.stack(spoilt)


def _flash(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Single frames are lit up or blacked out."""
    spoilt = frames.copy()
    there = np.flatnonzero(levels > 0)
    amount = float(levels.max())
    struck = rng.choice(there, max(1, round(len(there) * 0.07 * (0.4 + amount))), replace=False)
    for i in struck:
        spoilt[i] = clipped(
            frames[i] * np.float32(1 - 0.7 * amount) + np.float32(rng.choice([0, 175]) * amount)
        )
    return spoilt


def _coarse(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Resolution drops in steps, every few frames another."""
    height, width = frames.shape[1:3]
    steps = np.repeat(rng.uniform(0.5, 1, len(frames) // 8 + 1), 8)[: len(frames)] * levels
    spoilt = []
    for frame, s in zip(frames, steps, strict=True):
        scale = 1 / (1 + 6.0 * float(s))
        small = cv2.resize(
            frame, (max(2, round(width * scale)), max(2, round(height * scale))), interpolation=3
        )
        spoilt.append(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST) if s else frame)
    return np.stack(spoilt)


def _sprouting(frames: Frames, levels: Level, rng: np.random.Generator) -> Frames:
    """Detail that was never there grows over smooth surfaces."""
    scaly = smooth(frames.shape[1:3], 90, rng)
    where = np.clip(smooth(frames.shape[1:3], 4, rng) + 0.3, 0, 1)
    growth = (scaly * where)[..., None] * np.array([26, 22, 14], np.float32)
    return np.stack([clipped(f + g * growth) if g else f for f, g in zip(frames, levels, strict=True)])


UNSEEN: dict[str, Fault] = {
    "uneven": Fault(_uneven), "patch_flicker": Fault(_patch_flicker), "vanish": Fault(_vanish, "event"),
    "extra_limb": Fault(_extra_limb, "grows"), "tearing": Fault(_tearing), "checkerboard": Fault(_checkerboard),
    "combing": Fault(_combing), "bleed": Fault(_bleed, "grows"), "watermark": Fault(_watermark),
    "region_jump": Fault(_region_jump), "mirror": Fault(_mirror, "grows"), "balance_pump": Fault(_balance_pump),
    "stuck": Fault(_stuck, "event"), "swirl": Fault(_swirl, "grows"), "trails": Fault(_trails),
    "wrong_colour": Fault(_wrong_colour, onsets=("early", "throughout")), "flash": Fault(_flash, "event"),
    "coarse": Fault(_coarse), "sprouting": Fault(_sprouting, "grows"),
}  # fmt: skip
