"""What can be known of a model family without loading it: one row of facts.

Invariant: a row holds values only. Whether they agree with the installed diffusers is what the tests ask it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from farm.render.backend import Backend
from farm.values import Model, Scalar

_GIB = 2**30
_BF16_BYTES = 2

# GiB in bfloat16 of the text encoders that several families share.
UMT5_XXL_GIB = 10.6
T5_XXL_GIB = 8.9

# How the name of a family begins that is in no table.
GENERIC = "generic:"

# What a job may say to every family that reads a prompt.
TEXT = frozenset({"negative_prompt", "max_sequence_length"})

Make: TypeAlias = "Callable[[Model, Family], Backend]"


def through_diffusers(model: Model, family: "Family") -> Backend:
    from farm.render.diffusers_backend import DiffusersBackend

    return DiffusersBackend(model, family)


@dataclass(frozen=True, slots=True)
class Family:
    """One row. Legal frame counts are `frame_step` * n + 1, or any where `frame_step` is 1.

    `frames` and `sizes` (width, height) are what the checkpoint was trained for; `fixed_size`: it can do no other
    size. `revision` "main" follows the publisher. `rate_argument` names the argument by which the model is told a
    frame rate; where there is none, it gives `fps` and nothing else. `options` are what a job may say besides path,
    repo, revision, dtype and device: all of them are arguments of the pipeline's call. `arguments` are always passed
    unless an option says otherwise. `section_frames`: the pipeline renders section by section; asked for that many
    frames, it gives `frame_step`. `least_frames`: fewer are no numbers. `scheduler_calls` of each step. `package`: what
    the pipeline needs beside the farm's own libraries. `dtypes`: components that keep more precision than bfloat16 on
    a GPU.

    A checkpoint is of this family when its index names `pipeline` or one of `classes` (the same weights are published
    under text-to-video names), and says yes and no as in `marks`: entries of model_index.json (`transformer_2`) and of
    a component's config (`transformer.patch_size_t`). `image_channels` is the one mark that is computed: the denoiser
    takes more channels than it gives, for the still. `guessed`: of a family that is in no table, what is not known of
    it, in words; `rate_guessed`: its `fps` is among that.
    """

    name: str
    about: str
    licence: str
    fps: Fraction
    frames: int
    frame_step: int
    size_multiple: int
    make: Make = through_diffusers
    gpus: float = 1
    takes_text: bool = True
    pipeline: str | None = None
    repo: str | None = None
    revision: str = "main"
    sizes: tuple[tuple[int, int], ...] = ()
    fixed_size: bool = False
    steps: int | None = None
    guidance: float | None = None
    guidance_argument: str = "guidance_scale"
    rate_argument: str | None = None
    section_frames: int | None = None
    least_frames: int = 2
    scheduler_calls: int = 1
    package: str | None = None
    arguments: tuple[tuple[str, Scalar], ...] = ()
    options: frozenset[str] = frozenset()
    dtypes: tuple[tuple[str, str], ...] = ()
    denoiser_billions: float | None = None
    encoder_gib: float | None = None
    classes: tuple[str, ...] = ()
    marks: tuple[tuple[str, bool], ...] = ()
    guessed: tuple[str, ...] = ()
    rate_guessed: bool = False

    @property
    def weights_gib(self) -> float | None:
        """GiB of weights in bfloat16: the denoiser's parameters, and the text encoder where its size is known."""
        if self.denoiser_billions is None:
            return None
        return self.denoiser_billions * 1e9 * _BF16_BYTES / _GIB + (self.encoder_gib or 0.0)

    @property
    def frame_rule(self) -> str:
        return "any" if self.frame_step == 1 else f"{self.frame_step}n+1"

    @property
    def weights_basis(self) -> str | None:
        """What `weights_gib` rests on, in words."""
        if self.denoiser_billions is None:
            return None
        encoder = "with the text encoder" if self.encoder_gib else "without encoders"
        denoiser = f"{self.denoiser_billions:g}B parameters of the denoiser in bfloat16"
        return f"{denoiser}, {encoder}; without VAE and activations; not measured"

    def facts(self) -> dict[str, object]:
        """The row as plain values, for people and programs."""
        return {
            "name": self.name,
            "about": self.about,
            "pipeline": self.pipeline,
            "checkpoint": self.repo,
            "revision": self.revision,
            "licence": self.licence,
            "fps": float(self.fps),
            "seconds": round(self.frames / float(self.fps), 3),
            "frames": self.frames,
            "frame_step": self.frame_step,
            "least_frames": self.least_frames,
            "sizes": ["x".join(map(str, size)) for size in self.sizes],
            "fixed_size": self.fixed_size,
            "size_multiple": self.size_multiple,
            "gpus": self.gpus,
            "takes_text": self.takes_text,
            "steps": self.steps,
            "guidance": self.guidance,
            "weights_gib": None if self.weights_gib is None else round(self.weights_gib, 1),
            "weights_basis": self.weights_basis,
            "package": self.package,
            "options": sorted(self.options),
            # What the components are held in on a GPU; a CPU holds all of them in float32.
            "dtypes": {"default": "bfloat16"} | dict(self.dtypes) if self.pipeline else {},
            "checkpoints_of": [self.pipeline, *self.classes] if self.pipeline else [],
        }
