"""From a still to a frame's size: which size, and the pixels of it.

Invariant: nothing is upscaled unless a size was asked for by number, and nothing is stretched: what does not fit
the frame's aspect is cut off evenly on both sides.
"""

import re
from math import isqrt

import numpy as np
from PIL import Image

from farm.values import Pixels

MAX_EDGE_PX = 8192  # 48 square frames of it are already 9.7 GB

_SHORT_EDGE_PX = {"480p": 480, "720p": 720}
_BY_NUMBER = re.compile(r"([1-9][0-9]{0,6})x([1-9][0-9]{0,6})")


def fit(pixels: Pixels, width_px: int, height_px: int) -> Pixels:
    """`pixels` (H, W, 3) as (height_px, width_px, 3): cut to the frame's aspect about the centre, then resized.

    The cut is in whole pixels, so that a still which only needs a cut keeps its own pixel values. Lanczos with its
    support widened by the shrinking (Pillow): beside cv2's INTER_AREA it held grass and fine hairs visibly better,
    without moire or halos that could be seen.
    """
    height, width = pixels.shape[:2]
    cut_width = min(width, max(1, round(height * width_px / height_px)))
    cut_height = min(height, max(1, round(width * height_px / width_px)))
    left, top = (width - cut_width) // 2, (height - cut_height) // 2
    cut = np.ascontiguousarray(pixels[top : top + cut_height, left : left + cut_width])
    if (cut_width, cut_height) == (width_px, height_px):
        return cut
    return np.asarray(Image.fromarray(cut).resize((width_px, height_px), Image.Resampling.LANCZOS))


def native_size(width_px: int, height_px: int, *, max_pixels: int, multiple: int) -> tuple[int, int]:
    """The largest (width, height) of the still's own aspect within `max_pixels`, never upscaled.

    Both are rounded down to multiples, to one multiple at the least (only there a still grows).
    """
    width, height = width_px, height_px
    if width * height > max_pixels:
        width, height = isqrt(max_pixels * width // height), isqrt(max_pixels * height // width)
    return _whole(width, multiple), _whole(height, multiple)


def resolve_size(
    policy: str, width_px: int, height_px: int, *, multiple: int, native_max_pixels: int
) -> tuple[int, int]:
    """(width, height) in pixels that a size policy gives for a still of this size.

    `native`: `native_size`; `480p`, `720p`: the still's aspect with a shorter edge of at most that many pixels,
    never upscaled; `WxH`: exactly that. Raises ValueError for any other policy and for a `WxH` that is not of
    whole multiples or above 8192 pixels an edge.
    """
    if policy == "native":
        return native_size(width_px, height_px, max_pixels=native_max_pixels, multiple=multiple)
    if policy in _SHORT_EDGE_PX:
        short = min(width_px, height_px)
        edge = min(short, _SHORT_EDGE_PX[policy])
        return _whole(width_px * edge // short, multiple), _whole(height_px * edge // short, multiple)
    match = _BY_NUMBER.fullmatch(policy)
    if match is None:
        raise ValueError(f"size={policy!r}: allowed: native, 480p, 720p, or WxH such as 1280x720")
    width, height = int(match[1]), int(match[2])
    if max(width, height) > MAX_EDGE_PX:
        raise ValueError(f"size={policy}: an edge may have at most {MAX_EDGE_PX} pixels")
    if width % multiple or height % multiple:
        near = f"{_nearest(width, multiple)}x{_nearest(height, multiple)}"
        raise ValueError(
            f"size={policy}: both edges must be multiples of {multiple}; nearest allowed: {near}"
        )
    return width, height


def _whole(edge_px: int, multiple: int) -> int:
    return max(multiple, edge_px // multiple * multiple)


def _nearest(edge_px: int, multiple: int) -> int:
    return max(multiple, (edge_px + multiple // 2) // multiple * multiple)
