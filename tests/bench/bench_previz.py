"""What a 2 s 720p24 take of previz costs: `python tests/bench/bench_previz.py [repeats]`.

CPU seconds of one core, the best of a few repeats, beside a plain cv2.warpAffine push-in of the same frames in the
same run: machines differ and are shared, ratios differ less.
"""

import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from cpu import cpu_s
from PIL import Image

from farm.render.fit import fit
from farm.render.previz import REVISION, PrevizBackend
from farm.values import Frames, Model, Motion, Pixels, Still, Task

WIDTH_PX, HEIGHT_PX, FRAMES = 1280, 720, 48
MODEL = Model("previz", "previz", REVISION, FRAMES, Fraction(24), f"{WIDTH_PX}x{HEIGHT_PX}")
STILL = Path(__file__).parents[2] / "jobs/stills/pagoda.jpg"
MOTIONS = (
    Motion("push-in", "push-in", "push-in", ()),
    Motion("push-in + sway", "leaves", "push-in", ("sway",)),
    Motion("push-in + ripple", "water", "push-in", ("ripple",)),
    Motion("push-in + drift", "clouds", "push-in", ("drift",)),
    Motion("push-in + smoke", "smoke", "push-in", ("drift",)),
    Motion("push-in + flicker", "fire", "push-in", ("flicker",)),
)


def plain_push_in(still: Pixels) -> Frames:
    frames = np.empty((FRAMES, HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    for i in range(FRAMES):
        scale = 1 + 0.07 * i / (FRAMES - 1)
        matrix = cv2.getRotationMatrix2D((WIDTH_PX / 2, HEIGHT_PX / 2), 0, scale)
        cv2.warpAffine(still, matrix, (WIDTH_PX, HEIGHT_PX), dst=frames[i], flags=cv2.INTER_LINEAR)
    return frames


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    cv2.setNumThreads(1)
    still = fit(np.asarray(Image.open(STILL).convert("RGB")), WIDTH_PX, HEIGHT_PX)
    backend = PrevizBackend(MODEL)
    backend.load()
    baseline_s = cpu_s(lambda: plain_push_in(still), repeats)
    print(f"{FRAMES} frames {WIDTH_PX}x{HEIGHT_PX} on {backend.accelerator}, best of {repeats}")
    print(f"{'cv2.warpAffine push-in':24s} {baseline_s:6.2f} CPU-s   1.0x")
    for motion in MOTIONS:
        task = Task("0" * 32, Still("s", "s", "s"), "0" * 64, motion, motion.prompt, MODEL, 1)

        def take(task: Task = task) -> None:
            backend.render(still, task, lambda done, total: None)

        seconds = cpu_s(take, repeats)
        print(f"{motion.id:24s} {seconds:6.2f} CPU-s  {seconds / baseline_s:4.1f}x")


if __name__ == "__main__":
    main()
