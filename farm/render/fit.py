"""From a still to a frame's size, and back: which size, and the pixels of it.

Invariant: nothing is upscaled unless a size was asked for by number, or is the only one that a model has, and
nothing is stretched by more than rounding to whole pixels. What does not fit the frame's aspect is cut off evenly on
both sides, or kept: then the frame is filled with what the still mirrors, and what was filled is cut off again.
"""

import re
from dataclasses import dataclass
from math import isqrt

import numpy as np
import PIL
from PIL import Image

from farm.values import Frames, Pixels

MAX_EDGE_PX = 8192  # 48 square frames of it are already 9.7 GB

_SHORT_EDGE_PX = {"480p": 480, "720p": 720}
_BY_NUMBER = re.compile(r"([1-9][0-9]{0,6})x([1-9][0-9]{0,6})")


@dataclass(frozen=True, slots=True)
class Fitted:
    """A still at a frame's size. `box` is its own part of the frame, (left, top, right, bottom) in even pixels.

    `scale` is frame pixels per still pixel along an edge: above 1 the still was enlarged.
    """

    pixels: Pixels
    box: tuple[int, int, int, int]
    scale: float

    def cut(self, frames: Frames) -> Frames:
        """Frames (T, H, W, 3) of the frame's size, or one picture (H, W, 3), as the box of them."""
        left, top, right, bottom = self.box
        if (bottom - top, right - left) == frames.shape[-3:-1]:
            return frames
        return np.ascontiguousarray(frames[..., top:bottom, left:right, :])


def fitted(still: Pixels, width_px: int, height_px: int, policy: str) -> Fitted:
    """`still` (H, W, 3) for frames of an even width and height.

    `crop`: see `fit`. `pad`: the whole still is made to lie within the frame, and what remains is filled with its
    mirror image, which a model can go on with; bars it would animate too. Raises ValueError for any other policy.
    """
    height, width = still.shape[:2]
    scale = scale_of(width, height, width_px, height_px, policy)
    if policy == "crop":
        return Fitted(fit(still, width_px, height_px), (0, 0, width_px, height_px), scale)
    inner_width, inner_height = _even(width * scale, width_px), _even(height * scale, height_px)
    left, top = (width_px - inner_width) // 4 * 2, (height_px - inner_height) // 4 * 2
    inner = _resized(still, inner_width, inner_height)
    around = (
        (top, height_px - inner_height - top),
        (left, width_px - inner_width - left),
        (0, 0),
    )
    box = (left, top, left + inner_width, top + inner_height)
    return Fitted(np.pad(inner, around, mode="symmetric"), box, scale)


def scale_of(still_width: int, still_height: int, width_px: int, height_px: int, policy: str) -> float:
    """Frame pixels per still pixel along an edge. Raises ValueError for a policy that is not crop or pad."""
    across, down = width_px / still_width, height_px / still_height
    if policy not in ("crop", "pad"):
        raise ValueError(f"fit={policy!r}: allowed: crop, pad")
    return max(across, down) if policy == "crop" else min(across, down)


def fit_version(policy: str) -> str:
    """What made a still fit; another version may make other pixels."""
    return f"{policy}, Pillow {PIL.__version__}"


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
    return _resized(cut, width_px, height_px)


def native_size(width_px: int, height_px: int, *, max_pixels: int, multiple: int) -> tuple[int, int]:
    """The largest (width, height) of the still's own aspect within `max_pixels`, never upscaled.

    Both are rounded down to multiples, to one multiple at the least (only there a still grows).
    """
    width, height = width_px, height_px
    if width * height > max_pixels:
        width, height = isqrt(max_pixels * width // height), isqrt(max_pixels * height // width)
    return _whole(width, multiple), _whole(height, multiple)


def by_number(policy: str) -> tuple[int, int] | None:
    """(width, height) in pixels where a size policy names them, else None."""
    match = _BY_NUMBER.fullmatch(policy)
    return (int(match[1]), int(match[2])) if match else None


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
    size = by_number(policy)
    if size is None:
        raise ValueError(f"size={policy!r}: allowed: native, 480p, 720p, or WxH such as 1280x720")
    width, height = size
    if max(width, height) > MAX_EDGE_PX:
        raise ValueError(f"size={policy}: an edge may have at most {MAX_EDGE_PX} pixels")
    if width % multiple or height % multiple:
        near = f"{_nearest(width, multiple)}x{_nearest(height, multiple)}"
        raise ValueError(
            f"size={policy}: both edges must be multiples of {multiple}; nearest allowed: {near}"
        )
    return width, height


def _resized(pixels: Pixels, width_px: int, height_px: int) -> Pixels:
    if pixels.shape[:2] == (height_px, width_px):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width_px, height_px), Image.Resampling.LANCZOS))


def _even(edge_px: float, most_px: int) -> int:
    """To the nearest even number: yuv420p knows no other edges."""
    return min(most_px, max(2, round(edge_px / 2) * 2))


def _whole(edge_px: int, multiple: int) -> int:
    return max(multiple, edge_px // multiple * multiple)


def _nearest(edge_px: int, multiple: int) -> int:
    return max(multiple, (edge_px + multiple // 2) // multiple * multiple)
