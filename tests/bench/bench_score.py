"""What judging a 4 s 720p24 take costs: `python tests/bench/bench_score.py [repeats]`.

CPU seconds of one thread for 96 frames, the best of a few repeats, split by stage, beside an x264 veryfast encode
of the same frames in the same run: machines differ and are shared, ratios differ less.
"""

import io
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from cpu import cpu_s

from farm.score.figures import drifting, temporal, walked
from farm.score.planes import planes
from farm.score.score import StillReferenceScorer
from farm.values import Frames, Pixels

WIDTH_PX, HEIGHT_PX, FRAMES, FPS = 1280, 720, 96, Fraction(24)
PHOTO = Path(__file__).parents[2] / "jobs/stills/pagoda.jpg"


def a_still() -> Pixels:
    picture = cv2.imread(str(PHOTO))
    if picture is None:
        raise SystemExit(f"{PHOTO}: cannot be read; the bench needs the demo's stills")
    height = picture.shape[1] * HEIGHT_PX // WIDTH_PX
    return np.asarray(cv2.resize(picture[:height, :, ::-1], (WIDTH_PX, HEIGHT_PX)), np.uint8)


def push_in_with_sway(still: Pixels) -> Frames:
    """What previz makes, near enough: a slow push-in, and the middle of the picture swaying."""
    y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX].astype(np.float32)
    x, y = x - WIDTH_PX / 2, y - HEIGHT_PX / 2
    sway = 9 * np.exp(-(x**2 + y**2) / (0.2 * WIDTH_PX) ** 2)
    frames = np.empty((FRAMES, HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    for i in range(FRAMES):
        scale, phase = 1 / (1 + 0.1 * i / FRAMES), np.sin(np.pi * i / float(FPS))
        at = x * scale + WIDTH_PX / 2 + sway * phase, y * scale + HEIGHT_PX / 2
        cv2.remap(still, at[0].astype(np.float32), at[1].astype(np.float32), cv2.INTER_LINEAR, dst=frames[i])
    return frames


def encode(frames: Frames) -> None:
    with av.open(io.BytesIO(), "w", format="mp4") as container:
        options = {"preset": "veryfast", "crf": "18", "threads": "1"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    cv2.setNumThreads(1)
    still = a_still()
    frames = push_in_with_sway(still)
    take = planes(frames, FPS, still)
    walk = walked(take)
    scorer = StillReferenceScorer()
    stages: dict[str, Callable[[], object]] = {
        "x264 veryfast, crf 18": lambda: encode(frames),
        "  decimation": lambda: planes(frames, FPS, still),
        "  frame to frame": lambda: walked(take),
        "  movement, cuts": lambda: temporal(take, walk),
        "  against the still": lambda: drifting(take, walk),
        "score, all of it": lambda: scorer.measure(frames, FPS, still),
    }
    seconds = {name: cpu_s(work, repeats) for name, work in stages.items()}
    baseline_s = seconds["x264 veryfast, crf 18"]
    print(f"{FRAMES} frames {WIDTH_PX}x{HEIGHT_PX}, one thread, best of {repeats}")
    for name, spent_s in seconds.items():
        print(f"{name:24s} {spent_s:6.2f} CPU-s  {spent_s / baseline_s:5.2f}x")


if __name__ == "__main__":
    main()
