"""The one pass over a take's full-size frames: everything that is measured is measured on the planes made here.

Invariant: planes have the same size, relative to the picture, whatever the resolution, so that a limit in pixels
of a plane means the same for every take; no full-size frame is read twice, none is copied to floats.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from farm.errors import TakeError
from farm.values import Frames, Pixels

Luma: TypeAlias = NDArray[np.uint8]  # (h, w)
Tint: TypeAlias = NDArray[np.float32]  # (h, w, 3) Y, Cr, Cb, each 0..255

COARSE_PX = 240  # long edge, for adjacent frames: DIS sees 0.05 px there, and costs 1 ms
FINE_PX = 432  # long edge, against the still: blur and morphing hide below this
TINT_PX = 60  # long edge, for colour: what pumps or drifts is large
ANCHOR_HZ = 6  # how often a take is compared with its still: drift is slow
SMALLEST_PX = 16  # short edge of frames that can be judged
_SHORTEST_PLANE_PX = 48  # below this an optical flow has too few patches; smaller frames are enlarged


@dataclass(frozen=True, slots=True)
class Planes:
    """A take, and its still, at working size.

    `anchors` are the frames that are compared with the still, first and last included; `fine` holds one luma
    plane for each. Without a still, `still` and `still_tint` are the first frame's.
    """

    fps: Fraction
    coarse: tuple[Luma, ...]
    tints: tuple[Tint, ...]
    anchors: tuple[int, ...]
    stride: int  # frames from one anchor to the next
    fine: tuple[Luma, ...]
    still: Luma
    still_tint: Tint
    still_given: bool

    def __len__(self) -> int:
        return len(self.coarse)


def planes(frames: Frames, fps: Fraction, still: Pixels | None) -> Planes:
    """Planes of frames (T, H, W, 3) and of the still (H, W, 3), RGB.

    Raises TakeError (score_shape, score_too_short, score_too_small, score_still_size).
    """
    check(frames, still)
    stride = max(1, round(fps / ANCHOR_HZ))
    last = len(frames) - 1
    anchors = (*range(0, last, stride), last)
    coarse, tints, fine = [], [], []
    wanted = set(anchors)
    for i, frame in enumerate(frames):
        middle = _halved(frame, FINE_PX)
        small = _halved(middle, COARSE_PX)
        coarse.append(_luma(_sized(small, COARSE_PX)))
        tints.append(_tint(small))
        if i in wanted:
            fine.append(_sized(_luma(middle), FINE_PX))
    reference = _halved(frames[0] if still is None else still, FINE_PX)
    return Planes(
        fps=fps,
        coarse=tuple(coarse),
        tints=tuple(tints),
        anchors=anchors,
        stride=stride,
        fine=tuple(fine),
        still=_sized(_luma(reference), FINE_PX),
        still_tint=_tint(_halved(reference, COARSE_PX)),
        still_given=still is not None,
    )


def check(frames: Frames, still: Pixels | None) -> None:
    """Raises TakeError for frames, or a still, that no judgement can be made of."""
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise TakeError(
            f"frames are {frames.dtype} {frames.shape}: a take is uint8 (frames, height, width, 3)",
            kind="score_shape",
        )
    count, height, width = frames.shape[:3]
    if count < 2:
        raise TakeError(
            f"a take of {count} frames cannot be judged: at least 2 are needed", kind="score_too_short"
        )
    if min(height, width) < SMALLEST_PX:
        raise TakeError(
            f"frames of {width}x{height} px cannot be judged: each side needs at least {SMALLEST_PX} px",
            kind="score_too_small",
        )
    if still is not None and still.shape != frames.shape[1:]:
        raise TakeError(
            f"the still is {still.shape}, the frames are {frames.shape[1:]}: both need the same size",
            kind="score_still_size",
        )


def _halved(picture: Pixels, long_px: int) -> Pixels:
    """Halved while that leaves a long edge of `long_px`: an exact half is 5 times cheaper than any other area."""
    while max(picture.shape[:2]) >= 2 * long_px and min(picture.shape[:2]) >= 2 * _SHORTEST_PLANE_PX:
        height, width = picture.shape[0] // 2, picture.shape[1] // 2
        even = picture[: 2 * height, : 2 * width]
        picture = _bytes(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA))
    return picture


def _sized(picture: NDArray[np.uint8], long_px: int) -> NDArray[np.uint8]:
    """With a long edge of `long_px`, or as it is where it is smaller; less than halves it, so linear will do."""
    height, width = picture.shape[:2]
    scale = max(min(1.0, long_px / max(height, width)), _SHORTEST_PLANE_PX / min(height, width))
    size = (round(width * scale), round(height * scale))
    if size == (width, height):
        return picture
    return _bytes(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR))


def _luma(picture: Pixels) -> Luma:
    return _bytes(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))


def _tint(picture: Pixels) -> Tint:
    height, width = picture.shape[:2]
    scale = min(1.0, TINT_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb), np.float32)


def _bytes(picture: object) -> NDArray[np.uint8]:
    return np.asarray(picture, np.uint8)
