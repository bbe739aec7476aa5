"""Colour that drifts away from the still's, apart from what light does to it.

Invariant: light may fade, and turn warmer or colder, as far as it likes; what no light does (hues that turn, greens or
magentas that creep in, colours that burn out or bleed away) is judged, in all of the picture and in parts of it.
"""

import cv2
import numpy as np

from farm.score.flow import Field, Mask, ranked
from farm.score.planes import Tint
from farm.score.reference import Sight

_COLOURFUL_LEVELS = 4.0  # deviation of chroma below which a picture has no hues to turn
_SEEN_POINTS = 30
_DARK_LEVELS = 8.0
_GAINS = (0.3, 3.0)  # of light; beyond, it is another picture

# Each at the limit, 1. Seen at once beside the still: green by an eighth more than red and blue, hues turned by 12
# degrees, colours stronger by two thirds or weaker by two fifths, a patch of another colour.
CAST_NATS = 0.12
TURN_DEGREES = 12.0
STRENGTH_OCTAVES = 0.75
PATCH_LEVELS = 16.0


def drift(sight: Sight) -> float:
    """How far colours have gone from the still's, 1 at the limit: the norm of cast, turn, strength and patches.

    Light: one gain for each of R, G and B (von Kries, 1902), by least squares over the points kept in view. Of the
    gains, their mean is brightness, and red against blue the way of daylight: both are free; green against the two
    is the cast. What light leaves is the still's chroma (Cr, Cb) turned and strengthened (a similarity by least
    squares; Umeyama, 1991), and what that leaves, over 3 x 3 points, its 98th percentile, are patches.
    """
    points = sight.tinted
    if points.sum() < _SEEN_POINTS:
        return 0.0
    ours, theirs = _rgb(sight.still_tint), _rgb(sight.tint)
    a, b = ours[points] + _DARK_LEVELS, theirs[points] + _DARK_LEVELS
    gains = np.clip((a * b).sum(axis=0) / (a * a).sum(axis=0), *_GAINS)
    red, green, blue = np.log(gains)
    cast = green - (red + blue) / 2
    lit = (theirs + _DARK_LEVELS) / gains
    # Shadows pass over parts: chroma is compared at the still's brightness, point by point.
    shade = np.clip((ours + _DARK_LEVELS).mean(axis=2) / np.maximum(lit.mean(axis=2), 1), *_GAINS)
    was, now = _chroma(ours + _DARK_LEVELS), _chroma(lit * shade[..., None])
    turn, strength, left = _turned(was, now, points)
    patches = ranked(np.hypot(*cv2.split(cv2.blur(np.where(points[..., None], left, 0), (3, 3)))), 0.98)
    return float(
        np.linalg.norm(
            [cast / CAST_NATS, turn / TURN_DEGREES, strength / STRENGTH_OCTAVES, patches / PATCH_LEVELS]
        )
    )


def _turned(was: Field, now: Field, points: Mask) -> tuple[float, float, Field]:
    """Degrees by which chroma (h, w, 2) turned, octaves by which it grew, and what this does not explain."""
    middle, then = was[points].mean(axis=0), now[points].mean(axis=0)
    a, b = (was - middle)[points], (now - then)[points]
    power = float((a * a).sum())
    along, across = float((a * b).sum()), float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum())
    length = float(np.hypot(along, across))
    if np.sqrt(power / len(a)) < _COLOURFUL_LEVELS or length < 0.2 * power:
        return 0.0, 0.0, np.asarray(now - then - (was - middle), np.float32)
    real, imaginary = along / power, across / power
    turn = np.array([[real, imaginary], [-imaginary, real]], np.float32)
    left = np.asarray(now - then - (was - middle) @ turn, np.float32)
    return float(np.degrees(np.arctan2(across, along))), float(np.log2(length / power)), left


def _rgb(tint: Tint) -> Field:
    return np.asarray(cv2.cvtColor(tint, cv2.COLOR_YCrCb2RGB), np.float32)


def _chroma(rgb: Field) -> Field:
    return np.asarray(cv2.cvtColor(rgb.astype(np.float32), cv2.COLOR_RGB2YCrCb)[..., 1:], np.float32)
