"""Staging: from a resident model and a still to frames at the rate that was asked for."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from farm.errors import TakeError
from farm.render.fit import fit
from farm.render.previz import REVISION, PrevizBackend
from farm.staging import clip_of, retimed, shoot
from farm.trim.footage import decode
from farm.values import Model, Motion, Span, Still, Task

MODEL = Model("previz", "previz", REVISION, 6, Fraction(12), "64x64")
STILL = np.random.default_rng(5).integers(0, 256, (60, 90, 3), np.uint8)


def task(model: Model) -> Task:
    motion = Motion("push", "a slow push-in", "push-in", ())
    return Task("ab" * 16, Still("s", "s.png", "stills.csv:2"), "0" * 64, motion, motion.prompt, model, 3)


class Echo:
    """A renderer that gives its still again and again; `frames` (T, H, W, 3) instead, where they are given."""

    accelerator = "CPU"

    def __init__(self, count: int, frames=None) -> None:
        self.count, self.frames, self.seen = count, frames, None

    def frame_size(self, width_px, height_px):
        return 64, 64

    def render(self, still, task, beat):
        self.seen = still
        beat(1, 1)
        return np.repeat(still[None], self.count, 0) if self.frames is None else self.frames

    def fingerprint(self):
        return {"renderer": "echo"}


def test_cropped_footage_is_what_the_renderer_gave():
    resident = PrevizBackend(MODEL)
    footage = shoot(resident, STILL, task(MODEL), lambda done, total: None)
    still = fit(STILL, 64, 64)
    assert np.array_equal(footage.still, still)
    assert np.array_equal(footage.frames, resident.render(still, task(MODEL), lambda done, total: None))
    assert footage.still_scale == pytest.approx(64 / 60)
    assert footage.fingerprint["renderer"] == REVISION and footage.fingerprint["fit"].startswith("crop, ")


def test_padded_footage_shows_the_whole_still_and_no_filler():
    model, resident = replace(MODEL, fit="pad"), Echo(6)
    beats = []
    footage = shoot(resident, STILL, task(model), lambda done, total: beats.append((done, total)))
    assert resident.seen.shape == (64, 64, 3)
    assert footage.still.shape == (42, 64, 3) and footage.frames.shape == (6, 42, 64, 3)
    assert np.array_equal(footage.frames[3], footage.still)
    assert footage.still_scale == pytest.approx(64 / 90) and beats == [(1, 1)]


@pytest.mark.parametrize(
    "frames",
    [np.zeros((5, 64, 64, 3), np.uint8), np.zeros((6, 64, 62, 3), np.uint8), np.zeros((6, 64, 64, 3))],
)
def test_a_renderer_that_gives_something_else_is_a_failed_take(frames):
    with pytest.raises(TakeError, match="asked for") as caught:
        shoot(Echo(6, frames), STILL, task(MODEL), lambda done, total: None)
    assert caught.value.kind == "render_shape"


def test_footage_is_brought_to_the_rate_that_was_asked_for():
    model = replace(MODEL, rendered_fps=Fraction(12), fps=Fraction(24))
    footage = shoot(PrevizBackend(MODEL), STILL, task(model), lambda done, total: None)
    made = retimed(footage, model)
    assert len(footage.frames) == 6 and len(made.frames) == 11
    assert np.array_equal(made.frames[::2], footage.frames)
    assert made.fingerprint.keys() - footage.fingerprint.keys() == {"interpolation"}
    assert retimed(footage, MODEL) is footage


def test_a_clip_shows_the_span_at_the_rate_of_the_model(tmp_path):
    footage = shoot(Echo(6), STILL, task(MODEL), lambda done, total: None)
    path = tmp_path / "a.mp4"
    path.write_bytes(clip_of(footage, task(MODEL), Span(1, 4)))
    frames, fps = decode(path)
    assert (frames.shape, fps) == ((3, 64, 64, 3), 12)
    assert path.read_bytes() == clip_of(footage, task(MODEL), Span(1, 4))
