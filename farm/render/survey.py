"""What a still shows, as far as colour, texture, focus and position tell: the ground on which regions are found.

All maps are at analysis size (longer edge 320 cells at most). Invariant: deterministic, and defined for every
still: a flat grey one has a subject by guess and no sky, not an error.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from farm.render.choreography import PIVOT
from farm.render.maps import Colours, Map, blur, cut_out, grown, lab, parts, ramp, resize, shrink
from farm.values import Pixels

LONG_EDGE_CELLS = 320
_SUBJECT_CELLS = 128  # grabCut's own size: 30 ms there, a quarter of a second at 320
_SEED = 1


@dataclass(frozen=True, slots=True)
class Survey:
    """All that was seen of one still.

    `picture` (h, w, 3) is the still at this size, `lab` its CIE Lab over 100; `texture` is about 0..1, 0.1 and below
    is smooth; `subject` and `sky` are soft masks; `near` is the pseudo depth, 1 is nearest; `x` and `y` run from -1
    to 1, left to right and top to bottom.
    """

    picture: Pixels
    lab: Colours
    texture: Map
    subject: Map
    sky: Map
    near: Map
    x: Map
    y: Map

    @property
    def lightness(self) -> Map:
        return self.lab[..., 0]

    @property
    def red_green(self) -> Map:
        """Green is below 0, red above."""
        return self.lab[..., 1]

    @property
    def yellow_blue(self) -> Map:
        """Blue is below 0, yellow above."""
        return self.lab[..., 2]

    @property
    def chroma(self) -> Map:
        return np.hypot(self.red_green, self.yellow_blue)

    @property
    def middle(self) -> Map:
        """1 in the middle of the frame, falling softly."""
        return np.asarray(np.exp(-2 * (self.x**2 + self.y**2)), np.float32)

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) in cells."""
        return self.x.shape[0], self.x.shape[1]

    def centre(self, mask: Map) -> tuple[float, float]:
        """(x, y) in -1..1 of a mask's mass; the frame's middle for an empty one."""
        mass = max(float(mask.sum()), 1e-6)
        return float((mask * self.x).sum()) / mass, float((mask * self.y).sum()) / mass


def grid_size(width_px: int, height_px: int) -> tuple[int, int]:
    """(w, h) in cells of all maps of a still of this size; one cell per pixel for the smallest."""
    scale = min(1.0, LONG_EDGE_CELLS / max(width_px, height_px))
    return max(2, round(width_px * scale)), max(2, round(height_px * scale))


def survey(still: Pixels) -> Survey:
    """Looks at one still (H, W, 3)."""
    width, height = grid_size(still.shape[1], still.shape[0])
    picture = shrink(still, width, height)
    colours = lab(picture)
    line_y, line_x = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    y, x = np.meshgrid(line_y, line_x, indexing="ij")
    texture = _texture(colours)
    subject = _subject(picture, texture, x, y)
    sky = _sky(colours, texture, y)
    return Survey(picture, colours, texture, subject, sky, _near(subject, sky, x, y), x, y)


def _texture(colours: Colours) -> Map:
    lightness = np.ascontiguousarray(colours[..., 0])
    down = cv2.Sobel(lightness, cv2.CV_32F, 0, 1, scale=0.25)
    across = cv2.Sobel(lightness, cv2.CV_32F, 1, 0, scale=0.25)
    return 8 * blur(np.hypot(across, down), 0.006)


def _subject(picture: Pixels, texture: Map, x: Map, y: Map) -> Map:
    """What stands out in the middle: grabCut from a guess that joins position, texture and distance from the
    border's colours. The guess's position alone where the cut finds nothing, or everything."""
    height, width = x.shape
    scale = min(1.0, _SUBJECT_CELLS / max(height, width))
    tiny = shrink(picture, max(2, round(width * scale)), max(2, round(height * scale)))
    guess = np.exp(-1.6 * (x**2 + (y - 0.1) ** 2)) * (0.5 + ramp(blur(texture, 0.03), 0.02, 0.35))
    coarse = resize(guess, tiny.shape[1], tiny.shape[0]) * (0.6 + 0.8 * _unlike_border(tiny))
    likely = np.asarray(coarse > np.quantile(coarse, 0.62))
    if likely.any() and tiny.std() > 2:
        top = np.zeros(likely.shape, np.bool_)
        top[0] = True
        found = cut_out(tiny, likely, top, _SEED)
        if 0.03 < found.mean() < 0.85:
            return blur(resize(found.astype(np.float32), width, height), 0.006)
    return ramp(np.hypot(x, y), 0.9, 0.3)


def _unlike_border(tiny: Pixels) -> Map:
    """0..1: how far each cell's colour is from the commonest colours of the top and side borders."""
    colours = lab(tiny)
    rim = np.concatenate(
        [colours[:3].reshape(-1, 3), colours[:, :3].reshape(-1, 3), colours[:, -3:].reshape(-1, 3)]
    )
    picks = rim[:: max(1, len(rim) // 48)]
    distances = np.linalg.norm(colours[:, :, None] - picks[None, None], axis=-1)
    return ramp(np.quantile(distances, 0.15, axis=-1).astype(np.float32), 0.05, 0.4)


def _sky(colours: Colours, texture: Map, y: Map) -> Map:
    """Smooth, not warm, not dark, and joined to the top border; then up to the very edge of what stands before it, as
    far as the sky's own colour goes (texture alone keeps a distance, which would show as a halo)."""
    lightness, red_green, yellow_blue = (colours[..., k] for k in range(3))
    coloured = (red_green > -0.13) & (red_green < 0.12) & (yellow_blue < 0.14) & (lightness > 0.15)
    kept = np.zeros(y.shape, np.float32)
    for part in parts(np.asarray((texture < 0.16) & coloured & (y < 0.6)), 0.02):
        if part.inside[:2].mean() > 0.12:
            kept[part.inside] = 1
    if not kept.any():
        return kept
    support = blur(kept, 0.02)
    local = (
        np.dstack([blur(colours[..., k] * kept, 0.02) for k in range(3)])
        / np.maximum(support, 1e-3)[..., None]
    )
    alike = ramp(np.linalg.norm(colours - local, axis=-1), 0.14, 0.06) * ramp(support, 0.02, 0.1)
    # One cell further: a rim that stays behind shows more than one cell of what stands before.
    return blur(grown(np.maximum(kept, alike), 1) * ramp(y, 0.6, 0.1), 0.002)


def _near(subject: Map, sky: Map, x: Map, y: Map) -> Map:
    """Pseudo depth: the ground comes nearer downwards, the subject stands before it, the sky is far.

    The subject's mean is at PIVOT, as an orbit turns about it. Very smooth, so that no straight edge bends visibly
    and no sampling folds.
    """
    ground = 0.35 * ((y + 1) / 2) ** 1.5
    middle = np.exp(-2.5 * (x**2 + y**2))
    depth = blur(ground + 0.3 * blur(subject, 0.05) + 0.15 * middle - 0.2 * sky, 0.06)
    there = float((depth * subject).sum()) / max(float(subject.sum()), 1e-6)
    return np.asarray(np.clip(depth + (PIVOT - there), 0, 1), np.float32)
