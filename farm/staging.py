"""A take as it is staged for the scorer and the encoder: rendered, cut to its still's own part, at its rate.

Invariant: whoever stages the same task on the same machine and versions gets the same frames: the worker that makes a
take, and the one who makes it again to compare. Neither a store nor the clock is known here.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from farm import __version__
from farm.errors import TakeError
from farm.render.backend import Backend, Beat
from farm.render.fit import fit_version, fitted
from farm.trim.encode import encode_clip
from farm.trim.interpolate import filter_version, interpolate
from farm.trim.provenance import provenance
from farm.values import Frames, Model, Pixels, Span, Task


@dataclass(frozen=True, slots=True)
class Footage:
    """Frames (T, H, W, 3) and the still (H, W, 3) that they were made from, at the frames' size.

    `still_scale` is frame pixels per pixel of the still as it came. `fingerprint` names versions and settings that
    may change a pixel without changing the task.
    """

    frames: Frames
    still: Pixels
    still_scale: float
    fingerprint: Mapping[str, str]


def shoot(resident: Backend, still: Pixels, task: Task, beat: Beat) -> Footage:
    """The footage of a task, at the rate that its model renders. Raises TakeError, and whatever breaks a renderer."""
    model = task.model
    width_px, height_px = resident.frame_size(still.shape[1], still.shape[0])
    fit = fitted(still, width_px, height_px, model.fit)
    frames = resident.render(fit.pixels, task, beat)
    expected = (model.frames, height_px, width_px, 3)
    if frames.shape != expected or frames.dtype != "uint8":
        raise TakeError(
            f"{model.name} gave {frames.dtype} frames of shape {frames.shape}, asked for {expected}",
            kind="render_shape",
        )
    # Asked now: another model that is made resident may change what a process has in common, such as its threads.
    fingerprint = dict(resident.fingerprint()) | {"fit": fit_version(model.fit)}
    return Footage(fit.cut(frames), fit.cut(fit.pixels), fit.scale, fingerprint)


def retimed(footage: Footage, model: Model) -> Footage:
    """The footage at the rate that was asked for, where the model renders another. Raises TakeError."""
    if model.rendered_fps is None:
        return footage
    return replace(
        footage,
        frames=interpolate(footage.frames, model.rendered_fps, model.fps),
        fingerprint={**footage.fingerprint, "interpolation": filter_version()},
    )


def clip_of(footage: Footage, task: Task, span: Span) -> bytes:
    """The clip's file: the span's frames, and where they come from. Raises TakeError where it cannot be written."""
    with tempfile.TemporaryDirectory(prefix="farm-") as folder:
        clip = Path(folder) / "clip.mp4"
        tags = provenance(task, span, farm_version=__version__)
        encode_clip(span.of(footage.frames), task.model.fps, clip, tags)
        return clip.read_bytes()
