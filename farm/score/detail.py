"""Fine detail against the still: what is lost to blur, what is gained as noise.

Invariant: compared where the still's detail went to, at the still's scale and contrast; one plane that stays
sharp is enough (a rack of focus is no fault).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from farm.score.flow import Blocks, Field, Mask, ranked
from farm.score.planes import Luma
from farm.score.reference import BLOCK_POINTS, STEP, Sight, at

_RICH = (
    0.6  # share of blocks with less detail, from which a block of the still says something about sharpness
)
_SHARPEST = 0.9  # share of blocks with less detail than those that say whether anything is in focus
_PLAIN = (0.3, 0.7)  # shares between which it has some: contours of posterised tones show there
_FLAT = 0.35  # share of blocks with less detail, up to which it says something about noise
_SEEN = 0.5
SHARPENED = 0.3  # octaves that motion, light and codecs may add
_ZOOM_LAW = 1.5  # |Laplacian| falls with scale by 1 for edges and by 2 for texture
_NOISE_LAW = 3.6  # mean |Laplacian| of white noise of deviation 1: sqrt(20) sqrt(2 / pi)
_IMMERKAER = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) * np.float32(np.sqrt(np.pi / 2) / 6)


@dataclass(frozen=True, slots=True)
class Detail:
    """Of one anchor against the still: `blur` in octaves of detail lost (or gained, beyond SHARPENED, as over-sharpened
    edges or contours between tones), `noise` in levels gained."""

    blur: float
    noise: float


class Details:
    """The still's own detail, measured once."""

    def __init__(self, still: Luma) -> None:
        grid = still[::STEP, ::STEP].astype(np.float32)
        whole = Blocks(np.ones(grid.shape, np.bool_), BLOCK_POINTS)
        self._fine = whole.mean(np.ascontiguousarray(_fine(still)[::STEP, ::STEP]))
        self._grain = whole.mean(np.ascontiguousarray(_grain(still)[::STEP, ::STEP]))
        self._rich = self._fine >= ranked(self._fine, _RICH)
        self._plain = (self._fine >= ranked(self._fine, _PLAIN[0])) & (
            self._fine <= ranked(self._fine, _PLAIN[1])
        )
        self._flat = self._fine <= ranked(self._fine, _FLAT)

    def of(self, sight: Sight) -> Detail:
        """Blur: log2 of |Laplacian| of the still over the frame's, by contrast and zoom; the best quarter of the
        blocks that are rich in detail. Noise: deviation by Immerkaer (1996), on flat blocks, less the still's.
        """
        blocks, seen = sight.blocks, sight.blocks.share > _SEEN
        if seen.mean() < _SEEN:
            return Detail(blur=0.0, noise=0.0)  # another picture has its own detail: fidelity.py says so
        fine = blocks.mean(at(_fine(sight.frame), sight.view))
        grain = blocks.mean(at(_grain(sight.frame), sight.view))
        noise = self._noise(grain, self._flat & seen)
        return Detail(self._blur(fine, noise, seen, sight), noise)

    def _blur(self, fine: Field, noise: float, seen: Mask, sight: Sight) -> float:
        rich, plain = self._rich & seen, self._plain & seen
        if not (rich.any() and plain.any()):
            return 0.0
        contrast, zoom = (
            sight.tone[0],
            _ZOOM_LAW * np.log2(_zoom(sight)),
        )  # a fade takes detail, but no sharpness
        kept = np.log2((fine / contrast + 1) / (self._fine + 1)) + zoom
        # A rack of focus moves the sharp plane: what is sharp now counts, wherever it is.
        ours, theirs = ranked(self._fine[seen], _SHARPEST), ranked(fine[seen], _SHARPEST) / contrast
        lost = min(-ranked(kept[rich], 0.75), -float(np.log2((theirs + 1) / (ours + 1))) - zoom)
        # Contours come up where there was little, nothing is lost for them, and they are more than noise.
        clear = np.sqrt(np.maximum(fine**2 - (_NOISE_LAW * noise) ** 2, 0))
        gain = np.log2((clear / contrast + 1) / (self._fine + 1)) + zoom
        contours = ranked(gain[plain], 0.75) + 2 * min(0.0, ranked(kept[rich], 0.25))
        gained = max(ranked(gain[rich], 0.5), contours) - SHARPENED
        return max(0.0, float(lost), gained)

    def _noise(self, grain: Field, flat: Mask) -> float:
        if not flat.any():
            return 0.0
        return float(np.sqrt(np.maximum(grain[flat] ** 2 - self._grain[flat] ** 2, 0)).mean())


def _zoom(sight: Sight) -> float:
    """How much larger the frame shows things than the still does, from the affine part of the movement."""
    view = sight.view
    mask = view.kept[::4, ::4]
    if mask.sum() < 15:
        return 1.0
    rows, columns = np.nonzero(mask)
    design = np.stack([np.ones(rows.size), columns * 4.0 * STEP, rows * 4.0 * STEP], axis=1)
    went = np.stack([view.x[::4, ::4][mask], view.y[::4, ::4][mask]], axis=1).astype(np.float64)
    jacobian = np.linalg.lstsq(design, went, rcond=None)[0][1:]
    return float(np.clip(np.sqrt(abs(np.linalg.det(jacobian))), 0.5, 2.0))


def _fine(plane: Luma) -> Field:
    return np.abs(np.asarray(cv2.Laplacian(plane, cv2.CV_32F), np.float32))


def _grain(plane: Luma) -> Field:
    return np.abs(np.asarray(cv2.filter2D(plane, cv2.CV_32F, _IMMERKAER), np.float32))
