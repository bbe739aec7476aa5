"""The nouns of the farm as frozen values. They hold no logic beyond what follows from their own fields.

Invariant: nothing here knows a store, a clock, Ray or torch; a value can be pickled to any process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]  # (H, W, 3) RGB
Frames: TypeAlias = NDArray[np.uint8]  # (T, H, W, 3) RGB
Curve: TypeAlias = NDArray[np.float32]  # (T,) in 0..1, 1 is good
Scalar: TypeAlias = str | int | float | bool | None

# The fixed words in which a motion says what it is, for renderers that read no prompts.
Camera: TypeAlias = Literal[
    "static",
    "push-in",
    "pull-out",
    "pan-left",
    "pan-right",
    "tilt-up",
    "tilt-down",
    "orbit-left",
    "orbit-right",
]
Ambient: TypeAlias = Literal["sway", "ripple", "drift", "flicker", "breathe"]


class Blame(StrEnum):
    TASK = "task"
    WORKER = "worker"
    NODE = "node"
    STORE = "store"


class Status(StrEnum):
    KEPT = "kept"
    REJECTED = "rejected"
    FAILED = "failed"


class Gate(StrEnum):
    OK = "ok"
    WARN = "warn"
    REFUSE = "refuse"


class Verdict(StrEnum):
    SELECTED = "selected"
    NONE_USABLE = "none_usable"
    OVERRIDE = "override"


@dataclass(frozen=True, slots=True)
class Still:
    """One input image with its catalog row; `where` names that row in messages (`stills.csv:12`).

    `character` says who it shows; where that names a picture, `character_uri` is where it lies.
    """

    id: str
    uri: str
    where: str
    character: str | None = None
    shot: str | None = None
    prompt: str | None = None
    extra: Mapping[str, Scalar] = field(default_factory=dict)
    character_uri: str | None = None


@dataclass(frozen=True, slots=True)
class Motion:
    """One narrowly described movement.

    `camera` and `ambient` are the structured fields a renderer without language understanding uses;
    None (not an empty tuple) means: take it from the prompt. `strength` scales the movement, 1 is subtle.
    """

    id: str
    prompt: str
    camera: str | None = None
    ambient: tuple[str, ...] | None = None
    strength: float = 1.0
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """One resolved model of a job: what is loaded, and how it renders (everything that decides pixels).

    `size` is a policy ("native", "480p", "720p", "WxH"); with the still's own size it gives width and height.
    `fit` says what becomes of a still whose aspect is not the frame's: "crop" or "pad". `frames` are rendered, at
    `rendered_fps` where `fps` is reached by interpolation. `options` are the family's own, sorted by name. `path` is
    a folder, a URL or the name of a repository. `hosting` says where and how it is held, which decides no pixel: it
    may differ between sessions of a run.
    """

    name: str
    family: str
    revision: str
    frames: int
    fps: Fraction
    size: str
    steps: int | None = None
    guidance: float | None = None
    path: str | None = field(default=None, repr=False)  # a URL may hold credentials
    options: tuple[tuple[str, Scalar], ...] = ()
    fit: str = "crop"
    rendered_fps: Fraction | None = None
    hosting: tuple[tuple[str, Scalar], ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One take to be rendered. `take_id` is derived from all other fields that decide its pixels or its place."""

    take_id: str
    still: Still
    still_sha256: str
    motion: Motion
    prompt: str
    model: Model
    seed: int


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of frames."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def of(self, values: Frames) -> Frames:
        return values[self.start : self.stop]


@dataclass(frozen=True, slots=True)
class Scoring:
    """How takes are judged: the score from which one is accepted, whether faces are compared, and the folders of
    learned scorers that join."""

    accept: float
    faces: bool = False
    learned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measures:
    """What a scorer sees in a take: one curve per dimension, their composite, and where the take is cut.

    `cuts` are frame indices at which a new picture starts (never 0); no span may contain one inside.
    """

    curves: Mapping[str, Curve]
    composite: Curve
    cuts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """What a scorer says of one span of a take.

    `dimensions` has one number in 0..1 per dimension, 1 is good. `reasons` are for people ("flickers from
    2.1 s"), worst first; empty exactly when `accepted`.
    """

    score: float
    dimensions: Mapping[str, float]
    accepted: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StillReport:
    """What the gate saw of one still. Refused: `reason` and `kind` say why, sizes may be None.

    `version` is what the store says of the object (ETag, or size and time of change): where it is unchanged,
    the still need not be read again.
    """

    still: Still
    verdict: Gate
    sha256: str | None
    width_px: int | None
    height_px: int | None
    still_bytes: int | None
    reason: str | None = None
    kind: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended; one row of the takes manifest, in the manifest's own names.

    `frames` counts the take's frames, the clip holds those of its span; `rendered_fps` is the rate the model gave where
    `fps` was reached by interpolation. `still_scale` is frame pixels per still pixel along an edge: above 1 the still
    was enlarged. Keys are relative to the run's output.
    A failed task has blame and kind, and no score, span or clip.
    """

    take_id: str
    still_id: str
    still_uri: str
    still_sha256: str
    motion_id: str
    prompt: str
    model: str
    model_revision: str
    seed: int
    attempt: int
    status: Status
    reason: str | None = None
    blame: Blame | None = None
    kind: str | None = None
    score: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    accepted: bool = False
    span_start: int | None = None
    span_stop: int | None = None
    frames: int | None = None
    fps: float | None = None
    width_px: int | None = None
    height_px: int | None = None
    rendered_fps: float | None = None
    still_scale: float | None = None
    clip_uri: str | None = None
    poster_uri: str | None = None
    clip_sha256: str | None = None
    clip_bytes: int | None = None
    render_s: float | None = None
    finish_s: float | None = None
    wait_s: float | None = None
    accelerator: str | None = None
    worker: str | None = None
    node: str | None = None
    cost_usd: float | None = None
    started_at: str | None = None
    finished_at: str | None = None
    farm_version: str = ""
    fingerprint: str = "{}"
    extra: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Select:
    """The circled take of a (still, motion), or the honest absence of one."""

    still_id: str
    motion_id: str
    verdict: Verdict
    take_id: str | None
    model: str | None
    score: float | None
    clip_uri: str | None
    takes_tried: int
    cost_usd: float
