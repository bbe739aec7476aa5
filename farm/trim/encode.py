"""Frames to clip, poster and filmstrip.

Invariant: the same frames, rate and metadata make the same bytes (one encoder thread, no time of day, no
library's name in the file), and a clip decodes to exactly the frames it was given, at exactly their rate.
"""

from collections.abc import Mapping
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)
from av.video.stream import VideoStream
from PIL import Image

from farm.errors import TakeError
from farm.trim.provenance import clean, xmp_box
from farm.values import Blame, Frames, Pixels

# cpu-independent: left to itself x264 rounds differently from CPU to CPU and, with AVX-512 and a width that is no
# multiple of 128 px (480x832), even from run to run: x264 165 gave up to six streams in six runs. It costs nothing.
_X264 = {"preset": "veryfast", "crf": "18", "threads": "1", "x264-params": "cpu-independent=1"}
_MP4 = {"movflags": "+faststart+use_metadata_tags", "fflags": "+bitexact"}
_MAX_RATE_TERM = 1_000_000  # time scales are int32, and small ones are multiplied
_MIN_TIMESCALE = 10_000
# Measured on a 720p photograph, RGB to 4:2:0 and back: 45.7 dB, no bias, 5-7 ms a frame each way. swscale's fast
# paths take 0.7 ms on the way back, but give 41.9 dB and darken all by one level.
EXACT = int(
    Interpolation.AREA
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.BITEXACT
)

_WEBP_QUALITY = 82
_WEBP_EFFORT = 2  # of 0..6; 720p: 0.07 s and 66 kB, against 0.16 s and 63 kB at 4
_STRIP_HEIGHT_PX = 160
_MAX_WEBP_PX = 16383


def encode_clip(frames: Frames, fps: Fraction, path: Path, metadata: Mapping[str, str]) -> None:
    """Writes frames (T, H, W, 3) as H.264 in MP4: yuv420p, BT.709 limited range, index first, no audio.

    `metadata` stands in the file twice, as MP4 tags and as XMP (see provenance.py). Raises ValueError for frames
    that yuv420p cannot hold or a rate that MP4 cannot, TakeError when the file cannot be written.
    """
    _check_frames(frames)
    if fps <= 0 or max(fps.numerator, fps.denominator) > _MAX_RATE_TERM:
        raise ValueError(f"fps={fps}: expected a positive rate with terms up to {_MAX_RATE_TERM}")
    box = xmp_box(metadata)
    try:
        with av.open(str(path), "w", format="mp4", options=_MP4 | _timescale(fps)) as container:
            for name, value in metadata.items():
                container.metadata[name] = clean(value)
            _encode(container, frames, fps)
        with path.open("ab") as file:
            file.write(box)
    except (FFmpegError, OSError) as e:
        message = f"{path.name}: cannot be encoded: {reason(e)}"
        raise TakeError(message, kind="encode_failed", blame=Blame.NODE) from e


def poster(frames: Frames) -> bytes:
    """A WebP of the frame in the middle, at full size. Raises ValueError for frames that make no clip."""
    _check_frames(frames)
    return _webp(frames[len(frames) // 2])


def filmstrip(frames: Frames, count: int = 6) -> bytes:
    """A WebP with `count` frames side by side, evenly spaced from the first to the last, 160 px high.

    It always has `count` cells of one width, so that a page can cut it without asking; fewer frames repeat.
    """
    _check_frames(frames)
    if count < 1:
        raise ValueError(f"count={count}: expected at least 1")
    _, height, width, _ = frames.shape
    scale = min(_STRIP_HEIGHT_PX / height, _MAX_WEBP_PX / (width * count))
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    shown = np.linspace(0, len(frames) - 1, count).round().astype(int)
    cells = [Image.fromarray(frames[i]).resize(size, Image.Resampling.BOX, reducing_gap=2.0) for i in shown]
    return _webp(np.concatenate([np.asarray(cell) for cell in cells], axis=1))


def _encode(container: OutputContainer, frames: Frames, fps: Fraction) -> None:
    stream = container.add_stream("libx264", rate=fps, options=_X264)
    stream.height, stream.width = frames.shape[1:3]
    stream.pix_fmt = "yuv420p"
    _tag(stream)
    # One tick a frame: the muxer finds a scale that holds 1/fps exactly, 24000/1001 included.
    context = stream.codec_context
    context.time_base = 1 / fps
    reformatter = VideoReformatter()
    for index, pixels in enumerate(frames):
        picture = _yuv(reformatter, pixels)
        picture.pts = index
        picture.time_base = 1 / fps
        container.mux(stream.encode(picture))
    container.mux(stream.encode(None))


def _timescale(fps: Fraction) -> dict[str, str]:
    """The scale of the film, next to that of its track: a multiple of the rate, so that its length is exact.

    The muxer's own is milliseconds, and a film cut short by a part of one lost its last frame at 2000 frames/s.
    """
    return {"movie_timescale": str(fps.numerator * -(-_MIN_TIMESCALE // fps.numerator))}


def _tag(stream: VideoStream) -> None:
    context = stream.codec_context
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709
    context.colorspace = Colorspace.ITU709
    context.color_range = ColorRange.MPEG


def _yuv(reformatter: VideoReformatter, pixels: Pixels) -> VideoFrame:
    # The matrix must be named: swscale's own choice is BT.601, whatever the stream is tagged with.
    return reformatter.reformat(
        VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24"),
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        interpolation=EXACT,
        threads=1,
    )


def _webp(pixels: Pixels) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=_WEBP_QUALITY, method=_WEBP_EFFORT)
    return buffer.getvalue()


def _check_frames(frames: Frames) -> None:
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"frames {frames.shape} {frames.dtype}: expected (T, H, W, 3) uint8")
    count, height, width, _ = frames.shape
    if not count:
        raise ValueError("no frames: a clip needs at least one")
    if height < 2 or width < 2 or height % 2 or width % 2:
        raise ValueError(f"frames of {width}x{height} px: yuv420p needs even sides")


def reason(e: FFmpegError | OSError) -> str:
    """What went wrong, in the words of FFmpeg or the system."""
    return e.strerror or type(e).__name__
