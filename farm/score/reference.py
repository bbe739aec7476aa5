"""The take beside its still: the pass in which everything is measured that drifts.

The still is a full reference, seen through the motion: each anchor frame is followed back to it, so that camera
moves and movement of things cost nothing, and what is left is what changed.

Invariant: blocks are the still's own, at every anchor; out of frame is unknown, lost is bad.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from farm.score.flow import Blocks, Field, Flow, Mask, Tracker, View
from farm.score.planes import Luma, Planes, Tint

STEP = 2
_SOFT_PX = 5
BLOCK_POINTS = 8  # 16 px of 432: 27 blocks across
_SEEN = 0.2  # share kept in view, below which another picture is seen
_GAIN_LIMITS = (0.4, 2.5)  # darker or brighter than this is no fade but another picture

Shift: TypeAlias = NDArray[np.float32]  # (3,): change of Y, Cr, Cb in levels of 255


@dataclass(frozen=True, slots=True)
class Sight:
    """The still's view of one anchor frame; `tone` is (slope, offset) of the frame's levels over the still's."""

    still_tint: Tint
    frame: Luma
    view: View
    blocks: Blocks
    tone: tuple[float, float]
    tint: Tint  # the frame's colours where the still's are seen
    tinted: Mask  # which of them are

    @property
    def shift(self) -> Shift:
        """Mean change of luma and chroma of what is kept in view, since the still."""
        return np.asarray((self.tint - self.still_tint)[self.tinted].mean(axis=0), np.float32)


def sights(take: Planes, cuts: Sequence[int] = ()) -> Iterator[Sight]:
    """One for each anchor, in order. Each flow starts from the one before: 1/6 s is a small step."""
    tracker = Tracker(take.still.shape, STEP, refined=True)
    blurred = soft(take.still)
    still = blurred[::STEP, ::STEP].astype(np.float32)
    there: Flow | None = None
    back: Flow | None = None
    tone = (1.0, 0.0)
    for frame, anchor in zip(take.fine, take.anchors, strict=True):
        # A fade must not look like change: the frame is followed in the still's tones, as far as known by now.
        level = _toned(frame, tone)
        there, back = tracker.flow(take.still, level, there), tracker.flow(level, take.still, back)
        tone = _combined(tone, _tone(still, tracker.view(blurred, soft(level), there, back)))
        view = tracker.view(blurred, soft(_toned(frame, tone)), there, back)
        tint, tinted = _tints(take, anchor, cuts, there, view)
        yield Sight(
            still_tint=take.still_tint,
            frame=frame,
            view=view,
            blocks=Blocks(view.kept, BLOCK_POINTS),
            tone=tone,
            tint=tint,
            tinted=tinted,
        )


def at(picture: Field, view: View) -> Field:
    """A field of the frame, at the points where the still's points are seen."""
    return np.asarray(cv2.remap(picture, view.x, view.y, cv2.INTER_LINEAR), np.float32)


def soft(plane: Luma) -> Luma:
    """Blurred as far as a flow errs, so that fine texture a pixel aside is not another picture."""
    return np.asarray(cv2.blur(plane, (_SOFT_PX, _SOFT_PX)), np.uint8)


def _toned(frame: Luma, tone: tuple[float, float]) -> Luma:
    slope, offset = tone
    return np.asarray(cv2.convertScaleAbs(frame, alpha=1 / slope, beta=-offset / slope), np.uint8)


def _tone(still: Field, view: View) -> tuple[float, float]:
    """Slope and offset of the levels seen over the still's, by regression over the points kept."""
    if view.kept.mean() < _SEEN:
        return 1.0, 0.0
    ours, theirs = still[view.kept], view.seen[view.kept].astype(np.float32)
    spread = float(ours.var())
    slope = float(((ours - ours.mean()) * (theirs - theirs.mean())).mean()) / spread if spread > 1 else 1.0
    slope = min(max(slope, _GAIN_LIMITS[0]), _GAIN_LIMITS[1])
    return slope, float(theirs.mean() - slope * ours.mean())


def _combined(first: tuple[float, float], then: tuple[float, float]) -> tuple[float, float]:
    slope = min(max(first[0] * then[0], _GAIN_LIMITS[0]), _GAIN_LIMITS[1])
    return slope, first[1] + first[0] * then[1]


def _tints(take: Planes, anchor: int, cuts: Sequence[int], there: Flow, view: View) -> tuple[Tint, Mask]:
    """The colours around an anchor, seen from the still's points, and which of these are kept in view.

    The frames around the anchor are averaged: what changes faster than anchors come is flicker, not drift.
    """
    start = max((cut for cut in cuts if cut <= anchor), default=0)
    stop = min((cut for cut in cuts if cut > anchor), default=len(take))
    # Even on both sides, or movement would count.
    reach = min(take.stride // 2, anchor - start, stop - 1 - anchor)
    now = np.asarray(np.mean(take.tints[anchor - reach : anchor + reach + 1], axis=0), np.float32)
    height, width = take.still_tint.shape[:2]
    if view.kept.mean() < _SEEN:
        return now, np.ones((height, width), np.bool_)
    scale = np.array([width / take.still.shape[1], height / take.still.shape[0]], np.float32)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    went = cv2.resize(there, (width, height), interpolation=cv2.INTER_AREA) * scale
    seen = cv2.remap(
        now, x + went[..., 0], y + went[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    kept = cv2.resize(view.kept.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return np.asarray(seen, np.float32), np.asarray(kept, np.bool_)
