"""What it costs to bring a take from 16 to 24 frames a second: `python tests/bench/bench_interpolate.py [repeats]`.

CPU seconds of one core for each second of video, the best of a few repeats, beside encoding the very same frames in
the same run: machines differ and are shared, ratios differ less.
"""

import sys
import tempfile
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from bench_previz import STILL
from cpu import cpu_s
from PIL import Image

from farm.render.fit import fit
from farm.render.previz import REVISION, PrevizBackend
from farm.trim.encode import encode_clip
from farm.trim.interpolate import filter_version, frames_at, interpolate
from farm.values import Model, Motion, Still, Task

RENDERED, WANTED = Fraction(16), Fraction(24)
FRAMES = 17  # one second
SIZES = ((480, 832), (832, 480), (1280, 720))
MOTION = Motion("push-in + sway", "leaves", "push-in", ("sway",))


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    cv2.setNumThreads(1)
    picture = np.asarray(Image.open(STILL).convert("RGB"))
    print(f"{float(RENDERED):g} to {float(WANTED):g} frames/s, best of {repeats}; {filter_version()}")
    for width_px, height_px in SIZES:
        model = Model("previz", "previz", REVISION, FRAMES, RENDERED, f"{width_px}x{height_px}")
        task = Task("0" * 32, Still("s", "s", "s"), "0" * 64, MOTION, MOTION.prompt, model, 1)
        frames = PrevizBackend(model).render(
            fit(picture, width_px, height_px), task, lambda done, total: None
        )
        made = interpolate(frames, RENDERED, WANTED)
        assert len(made) == frames_at(FRAMES, RENDERED, WANTED)
        with tempfile.TemporaryDirectory() as folder:
            encode_s = cpu_s(partial(encode_clip, made, WANTED, Path(folder, "a.mp4"), {}), repeats)
        made_s = cpu_s(partial(interpolate, frames, RENDERED, WANTED), repeats)
        print(
            f"{width_px}x{height_px}: {made_s:5.2f} CPU-s, encoding {encode_s:5.2f}: {made_s / encode_s:.1f}x"
        )


if __name__ == "__main__":
    main()
