"""From what a pipeline gives to frames, or to the reason why they are none.

Invariant: a take whose frames hold no numbers, are of another shape than was asked for, or are black is never frames.
"""

import torch
from torch import Tensor

from farm.errors import TakeError
from farm.values import Frames, Pixels

_BLACK = 4  # levels: a frame without a brighter pixel is black
_DARK = 32  # levels: of a still with no brighter pixel than this, black frames may be right


def frames_of(video: Tensor, still: Pixels, count: int, name: str) -> Frames:
    """(T, 3, H, W) in 0..1 as (T, H, W, 3) in 0..255, of the still's size. Raises TakeError, naming the model."""
    frames = _levels(video, name)
    expected = (count, *still.shape)
    if frames.shape != expected:
        raise TakeError(
            f"{name} gave frames of shape {frames.shape}, asked for {expected}", kind="render_shape"
        )
    if still.max() > _DARK and (dark := (frames.max(axis=(1, 2, 3)) < _BLACK).nonzero()[0]).size:
        raise TakeError(
            f"{name}: {dark.size} of {len(frames)} frames are black, frame {dark[0]} first",
            kind="render_black",
        )
    return frames


def _levels(video: Tensor, name: str) -> Frames:
    good = torch.isfinite(video).flatten(1).all(dim=1)
    if not bool(good.all()):
        first = int((~good).nonzero()[0])
        raise TakeError(
            f"{name}: {int((~good).sum())} of {len(video)} frames are not numbers, frame {first} first",
            kind="render_nan",
        )
    levels = (video.float().clamp(0, 1) * 255).round().to(torch.uint8)
    frames: Frames = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return frames
