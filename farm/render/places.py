"""Finders: where in a still there is hair, cloth, foliage, water ... as far as colour, texture and shape tell.

Each takes a Survey and gives a soft Map in 0..1, all zero where there is no such place. Heuristics: they are right
on the plain cases and must be harmless on the others, which `regions.py` sees to.
"""

from typing import NamedTuple

import numpy as np

from farm.render.maps import Map, Mask, blur, cleaned, grown, hull, parts, ramp, tones, worn
from farm.render.survey import Survey

ENOUGH = 0.012  # a smaller share of the frame is speckle, not a place

_ALIKE = 0.2  # distance in Lab over 100 within which a colour is of the same surface
_SEED = 1


class Face(NamedTuple):
    """An upright oval of skin: its middle and half its size, in -1..1."""

    x: float
    y: float
    half_width: float
    half_height: float


def plant(seen: Survey) -> Map:
    """Green and textured, or else a flower: a vivid, textured subject before calmer ground."""
    return np.maximum(_green(seen), _flower(seen))


def hair(seen: Survey) -> Map:
    """What frames a face above and beside it; without a face an animal's fur."""
    found = face(seen)
    if found is None:
        fur = cleaned(np.maximum(seen.subject, seen.middle) * ramp(seen.texture, 0.1, 0.3))
        return fur if _green(seen).mean() < 0.05 else np.zeros_like(fur)
    across = (seen.x - found.x) / (2.1 * found.half_width)
    down = (seen.y - found.y + 0.35 * found.half_height) / (1.7 * found.half_height)
    above = ramp(seen.y, found.y + 0.75 * found.half_height, found.y + 0.2 * found.half_height)
    crown = ramp(np.hypot(across, down), 1.0, 0.75) * above
    return cleaned(crown * ramp(skin(seen), 0.6, 0.2) * ramp(seen.texture, 0.06, 0.2))


def cloth(seen: Survey) -> Map:
    """Vivid and neither skin nor finely broken up."""
    vivid = ramp(seen.chroma, 0.18, 0.35) * ramp(skin(seen), 0.5, 0.2)
    return cleaned(vivid * ramp(seen.texture, 0.9, 0.5) * (1 - seen.sky))


def water(seen: Survey) -> Map:
    """Cool and calm, in the lower part, and not the sky."""
    cool = (seen.red_green < 0.06) & (seen.yellow_blue < 0.1) & (seen.lightness > 0.2)
    calm = np.asarray(cool & (seen.texture < 0.4) & (seen.y > -0.15) & (seen.sky < 0.1))
    found = sorted(parts(calm, 0.06 * ENOUGH), key=lambda part: -part.area)
    if not found or found[0].area < ENOUGH * calm.size:
        return np.zeros_like(seen.sky)
    kept = np.logical_or.reduce([part.inside for part in found if part.area >= 0.06 * found[0].area])
    return blur(kept.astype(np.float32), 0.004)


def liquid(seen: Survey) -> Map:
    """The smooth, round, closed surface nearest the middle: what stands in a cup, glass or bowl."""
    height, width = seen.size
    smooth = worn((seen.texture < 0.3).astype(np.float32), 1) > 0
    best: Mask | None = None
    best_score = 0.3
    for tone in tones(seen.lab, 6, _SEED):
        for part in parts(np.asarray(tone & smooth), 0.005):
            rim = min(part.left, part.top, width - part.left - part.width, height - part.top - part.height)
            if rim < 2 or part.area > 0.25 * tone.size:
                continue
            filled = hull(part.inside)
            cells = float(filled.sum())
            solid = part.area / cells
            oval = min(1.0, cells / (np.pi / 4 * part.width * part.height))
            wide = min(part.width, part.height) / max(part.width, part.height)
            score = solid * oval * wide * float(np.exp(-1.2 * (part.x**2 + part.y**2)))
            if score > best_score:
                best, best_score = filled, score
    return np.zeros_like(seen.sky) if best is None else blur(_completed(best, seen).astype(np.float32), 0.006)


def reflection(seen: Survey) -> Map:
    """Glints on what shines, small and bright against their surroundings, with the surface about them."""
    glint = ramp(seen.lightness - blur(seen.lightness, 0.04), 0.08, 0.25) * (seen.sky < 0.1)
    shine = cleaned(np.clip(3 * blur(glint.astype(np.float32), 0.02), 0, 1))
    return np.maximum(np.maximum(water(seen), liquid(seen)), shine * (1 - 0.5 * seen.sky))


def sky(seen: Survey) -> Map:
    return seen.sky


def smoke(seen: Survey) -> Map:
    """A widening plume up from the subject's middle: smoke is drawn, so that it needs none in the still."""
    x, y = seen.centre(seen.subject)
    above = np.clip(y - seen.y, 0, None)
    column = ramp(np.abs(seen.x - x) / (0.3 + 0.4 * above), 1.0, 0.1)
    return column * ramp(seen.y, y + 0.1, y - 0.25) * ramp(seen.y, -1.3, -0.7)


def light(seen: Survey) -> Map:
    """Warm and bright, with its glow around it and a little of it everywhere."""
    warm = ramp(seen.yellow_blue, 0.12, 0.4) * ramp(seen.lightness, 0.45, 0.8)
    if warm.mean() < ENOUGH:
        return np.zeros_like(warm)
    return np.clip(1.6 * blur(warm, 0.05) + 0.6 * blur(warm, 0.2) + 0.15, 0, 1)


def body(seen: Survey) -> Map:
    """The subject; of a person, what is below the face."""
    found = face(seen)
    if found is None:
        return blur(seen.subject, 0.03)
    below = ramp(seen.y, found.y + 0.6 * found.half_height, found.y + 2.2 * found.half_height)
    return blur(seen.subject * below * ramp(np.abs(seen.x - found.x), 0.9, 0.5), 0.03)


def face_oval(seen: Survey) -> Map:
    found = face(seen)
    if found is None:
        return np.zeros_like(seen.subject)
    across, down = (seen.x - found.x) / found.half_width, (seen.y - found.y) / found.half_height
    return ramp(np.hypot(across, down), 1.3, 0.4)


def skin(seen: Survey) -> Map:
    """Skin of all tones lies near one hue, 53 degrees in Lab, at middling chroma."""
    hue = np.arctan2(seen.yellow_blue, seen.red_green)
    toned = ramp(np.abs(hue - np.float32(0.93)), 0.5, 0.25)
    return (
        toned * ramp(seen.chroma, 0.1, 0.16) * ramp(seen.chroma, 0.5, 0.38) * ramp(seen.lightness, 0.2, 0.35)
    )


def face(seen: Survey) -> Face | None:
    """The likeliest face: upright, oval, of skin, high in the frame and not cut by it, as wood and walls are."""
    height, width = seen.size
    best, best_score = None, 0.35
    for part in parts(np.asarray(blur(skin(seen), 0.006) > 0.5), 0.006):
        if min(part.left, part.top, width - part.left - part.width) < 1 or part.y > 0.35:
            continue
        if part.area > 0.25 * width * height or not 0.6 < part.height / part.width < 2.2:
            continue
        oval = min(1.0, part.area / (np.pi / 4 * part.width * part.height))
        score = oval * float(np.exp(-(part.x**2))) * min(1.0, part.area / (0.02 * width * height))
        if score > best_score:
            best, best_score = Face(part.x, part.y, part.width / width, part.height / height), score
    return best


def _green(seen: Survey) -> Map:
    green = ramp(seen.yellow_blue - 1.2 * seen.red_green, 0.06, 0.2) * ramp(seen.red_green, 0.05, 0.0)
    return cleaned(green * ramp(seen.texture, 0.08, 0.3))


def _flower(seen: Survey) -> Map:
    inside, outside = seen.subject > 0.5, seen.subject < 0.2
    if not inside.any() or not outside.any() or face(seen) is not None:
        return np.zeros_like(seen.subject)
    vivid = float(np.median(seen.chroma[inside]) - np.median(seen.chroma[outside])) > 0.12
    petals = float(np.median(seen.texture[inside])) > 0.2 > 0.15 > float(np.median(seen.texture[outside]))
    return seen.subject if vivid and petals else np.zeros_like(seen.subject)


def _completed(part: Mask, seen: Survey) -> Mask:
    """A surface with the surroundings of its own colour: glints and foam cut it smaller than it is."""
    alike = np.linalg.norm(seen.lab - np.median(seen.lab[part], axis=0), axis=-1) < _ALIKE
    around = grown(part.astype(np.float32), max(1, round(0.25 * float(part.sum()) ** 0.5))) > 0
    joined = np.asarray((alike & around) | part)
    whole = [whole.inside for whole in parts(joined, 0) if (whole.inside & part).any()]
    return hull(whole[0]) if whole else part
