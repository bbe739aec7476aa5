"""Clips back into frames, whoever made them.

Invariant: frames come as they are shown, at a constant rate that is the file's own; a file of which that cannot be
said is refused in one line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter
from av.video.stream import VideoStream

from farm.errors import InputError
from farm.trim.encode import EXACT, reason
from farm.values import Frames, Pixels

_UNSPECIFIED_MATRIX = 2  # ITU-T H.273, MatrixCoefficients
_LAST_SD_LINE = 576  # untagged video above this height is BT.709 by convention, BT.601 below
_JITTER = 0.25  # of a frame's time: what containers with coarse clocks round off


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is read of a clip that nobody vouches for. Larger frames are made smaller on the way, to even sides."""

    edge_px: int
    seconds: float
    frames: int


def decode(path: Path, *, bounds: Bounds | None = None) -> tuple[Frames, Fraction]:
    """All frames (T, H, W, 3) of the first video stream, and its average rate.

    Raises InputError for a file that is missing, broken, cut short, no video, longer than `bounds` allow, or of a
    variable rate. Damage inside a
    frame is concealed by the decoder: whether a clip is the one that was stored is for its SHA-256 to say.
    """
    try:
        with av.open(str(path)) as container:
            stream = _stream(container, path, bounds)
            times: list[Fraction] = []
            frames = list(_pictures(container.decode(stream), path, bounds, times))
            fps = stream.average_rate
    except FFmpegError as e:
        raise InputError(f"{path}: cannot be decoded: {reason(e)}") from e
    if not frames or not fps:
        raise InputError(f"{path}: has no frame that can be decoded")
    _check_constant(times, fps, path)
    return np.stack(frames), fps


def frame_size(path: Path) -> tuple[int, int]:
    """Width and height of the first video stream, px. Raises InputError where there is none."""
    try:
        with av.open(str(path)) as container:
            stream = _stream(container, path, None)
            return stream.width, stream.height
    except FFmpegError as e:
        raise InputError(f"{path}: cannot be decoded: {reason(e)}") from e


def _stream(container: InputContainer, path: Path, bounds: Bounds | None) -> VideoStream:
    if not container.streams.video:
        raise InputError(f"{path}: has no video stream")
    stream = container.streams.video[0]
    seconds = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
    if bounds is not None and seconds > bounds.seconds:
        raise InputError(
            f"{path}: is {seconds:.0f} s long; clips of up to {bounds.seconds:g} s are read: cut it first"
        )
    return stream


def _pictures(
    decoded: Iterator[VideoFrame], path: Path, bounds: Bounds | None, times: list[Fraction]
) -> Iterator[Pixels]:
    reformatter = VideoReformatter()
    size = None
    for frame in decoded:
        size = size or (frame.width, frame.height)
        if size != (frame.width, frame.height):
            raise InputError(f"{path}: changes size from {size} to {(frame.width, frame.height)} on its way")
        if frame.pts is not None and frame.time_base is not None:
            times.append(frame.pts * frame.time_base)
        if bounds is not None and len(times) > bounds.frames:
            raise InputError(f"{path}: has more than {bounds.frames} frames: cut it first")
        untagged = frame.colorspace == _UNSPECIFIED_MATRIX
        guess = Colorspace.ITU709 if frame.height > _LAST_SD_LINE else Colorspace.ITU601
        width, height = _reduced(size, bounds)
        picture = reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            src_colorspace=guess if untagged else None,
            interpolation=EXACT,
            threads=1,
        )
        yield picture.to_ndarray().astype(np.uint8, copy=False)


def _reduced(size: tuple[int, int], bounds: Bounds | None) -> tuple[int, int]:
    if bounds is None or max(size) <= bounds.edge_px:
        return size
    scale = bounds.edge_px / max(size)
    return max(2, round(size[0] * scale / 2) * 2), max(2, round(size[1] * scale / 2) * 2)


def _check_constant(times: Sequence[Fraction], fps: Fraction, path: Path) -> None:
    steps = [float(b - a) for a, b in pairwise(times)]
    if steps and max(abs(step * float(fps) - 1) for step in steps) > _JITTER:
        raise InputError(
            f"{path}: frames are {min(steps) * 1000:.0f} to {max(steps) * 1000:.0f} ms apart; a constant frame rate "
            "is needed (ffmpeg -i IN -vf fps=24 OUT makes one)"
        )
