"""Frames at another rate, made by motion-compensated interpolation (FFmpeg's minterpolate).

Invariants: the first and the last frame are the rendered ones, and so is every other that falls on a rendered one,
bit for bit; the same frames give the same bytes (one thread, no memory that was not written).
"""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.error import BlockingIOError as NothingYet
from av.error import EOFError as NothingMore
from av.error import FFmpegError
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from farm.errors import TakeError
from farm.trim.encode import reason
from farm.values import Blame, Frames, Pixels

# Bidirectional search: on photographs that were moved by known ways it was 8 dB nearer to the truth than the filter's
# own default. A cut is not morphed over: where the mean difference of two frames jumps by about 26 levels or more,
# the nearer one is repeated. Photographs that were moved by 20 px a frame differ by up to 18, different ones by 54.
_SETTINGS = (
    "mi_mode=mci:mc_mode=obmc:me_mode=bidir:me=epzs:mb_size=16:search_param=32:scd=fdiff:scd_threshold=10"
)
# The filter leaves a part of a block at the right and the bottom without motion, looks at memory beyond the picture
# where that is no multiple of 16, and outside of it for motion when it is less than two blocks wide.
_BLOCK_PX = 16
# The filter knows planes of luma and chroma only, but treats all three alike where they are of one size. So green
# stands in for luma, and no colour is converted: nothing is rounded and no range is cut.
_FORMAT = "yuv444p"
_CHANNELS = (1, 2, 0)  # green, blue, red: the order of the planes


def interpolate(frames: Frames, fps: Fraction, wanted: Fraction) -> Frames:
    """Frames (T, H, W, 3) rendered at `fps` as `frames_at` many at `wanted`, evenly spaced from the first to the last.

    The take lasts as long as before to half a frame's time; it is played that little faster or slower rather than
    given an uneven step. Measured from 16 to 24 frames a second on one thread: 2.1 CPU-s for a second of 480x832,
    4.8 for one of 1280x720, twelve times what encoding it takes; 350 bytes of memory for each pixel of one frame.
    Raises ValueError for what are no frames or no rates, TakeError when the filter fails.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise ValueError(f"frames {frames.shape} {frames.dtype}: expected (T, H, W, 3) uint8, at least one")
    if fps <= 0 or wanted <= 0:
        raise ValueError(f"from {fps} to {wanted} frames per second: expected positive rates")
    count = frames_at(len(frames), fps, wanted)
    if count == len(frames):
        return frames
    if count == 1 or len(frames) == 1:
        return frames[:1]
    made = np.empty((count, *frames.shape[1:]), np.uint8)
    try:
        for number, picture in _filtered(frames, Fraction(count - 1, len(frames) - 1)):
            made[number] = picture
    except FFmpegError as e:
        raise TakeError(
            f"frames cannot be interpolated from {fps} to {wanted} per second: {reason(e)}",
            kind="interpolate_failed",
            blame=Blame.NODE,
        ) from e
    return made


def frames_at(count: int, fps: Fraction, wanted: Fraction) -> int:
    """How many frames at `wanted` last as long as `count` at `fps`, from the first to the last."""
    return round((count - 1) * wanted / fps) + 1


def filter_version() -> str:
    """What made the frames between the rendered ones; another version may make others."""
    version = ".".join(map(str, av.library_versions["libavfilter"]))
    return f"libavfilter {version} minterpolate {_SETTINGS}"


def _filtered(frames: Frames, rate: Fraction) -> Iterator[tuple[int, Pixels]]:
    """Number and pixels of each frame that the filter gives; `rate` is in frames for each rendered one."""
    count, height, width, _ = frames.shape
    rows, columns = _padding(height), _padding(width)
    shape = (height + sum(rows), width + sum(columns))
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=shape[1], height=shape[0], format=VideoFormat(_FORMAT), time_base=Fraction(1)
    )
    graph.link_nodes(
        source, graph.add("minterpolate", f"fps={rate}:{_SETTINGS}"), graph.add("buffersink")
    ).configure()
    # One frame is held back for as long as none comes after it: the last is told twice.
    for at, number in enumerate((*range(count), count - 1)):
        told = VideoFrame(shape[1], shape[0], _FORMAT)
        told.pts, told.time_base = at, Fraction(1)
        for plane, channel in zip(told.planes, _CHANNELS, strict=True):
            plane.update(np.pad(frames[number, ..., channel], (rows, columns), mode="edge").tobytes())
        graph.vpush(told)
        yield from _ready(graph, rows[0], columns[0], height, width)
    graph.vpush(None)
    yield from _ready(graph, rows[0], columns[0], height, width)


def _ready(graph: Graph, top: int, left: int, height: int, width: int) -> Iterator[tuple[int, Pixels]]:
    """What the filter has made by now, without the padding."""
    while True:
        try:
            frame = graph.vpull()
        except (NothingYet, NothingMore):
            return
        pixels = np.empty((height, width, 3), np.uint8)
        for plane, channel in zip(frame.planes, _CHANNELS, strict=True):
            lines: NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8).reshape(
                frame.height, plane.line_size
            )
            pixels[..., channel] = lines[top : top + height, left : left + width]
        yield int(frame.pts or 0), pixels


def _padding(side_px: int) -> tuple[int, int]:
    """Pixels before and after: a block at each end, and up to the next whole block."""
    return _BLOCK_PX, _BLOCK_PX + -side_px % _BLOCK_PX
