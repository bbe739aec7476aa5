"""A family for a pipeline that is in no table: built from the installed class's signature and a checkpoint's configs.

Invariant: what neither of them says is a guess, and is said to be one; a class that takes no image, gives no video,
or needs what a farm cannot give it is refused. The same class and configs make the same family in every process.
"""

import inspect
from collections.abc import Mapping
from fractions import Fraction
from math import lcm
from typing import Any

import diffusers
import torch

from farm.errors import InputError
from farm.render.checkpoint import Checkpoint
from farm.render.family import GENERIC, TEXT, Family

_GIVEN = frozenset(
    {"self", "image", "prompt", "height", "width", "num_frames", "frames", "num_inference_steps"}
)
_NOT_OPTIONS = frozenset(
    {"guidance_scale", "fps", "frame_rate", "output_type", "return_dict", "num_videos_per_prompt", "eta"}
)
_RATES = ("fps", "frame_rate")
_EVEN_PX = 16  # as fine as any row of the table goes, whatever a VAE alone would take
_FRAMES, _RATE, _SIZE = 81, Fraction(24), (832, 480)  # where nothing is said: a few seconds, in a common size


def family_of(checkpoint: Checkpoint) -> Family:
    """Raises InputError for a pipeline that cannot be driven."""
    name = checkpoint.pipeline
    takes = _signature(checkpoint)
    shape = _Shape(checkpoint)
    asked = _number(takes, "num_frames") or _number(takes, "frames") or shape.frames or _FRAMES
    frames = (asked - 1) // shape.frame_step * shape.frame_step + 1 if shape.frame_step > 1 else asked
    rate_argument = next((rate for rate in _RATES if rate in takes), None)
    told_rate = _number(takes, rate_argument) if rate_argument else None
    rate = _RATE if told_rate is None else Fraction(told_rate).limit_denominator(1001)
    width, height = shape.rounded(_sides(takes) or shape.size or _SIZE)
    sizes = ((width, height),) if width == height else ((width, height), (height, width))
    return Family(
        name=GENERIC + name,
        about=f"{name} of diffusers {diffusers.__version__}, guessed from its signature and configs",
        pipeline=name,
        licence="see the checkpoint",
        fps=rate,
        frames=frames,
        frame_step=shape.frame_step,
        sizes=sizes,
        size_multiple=shape.multiple,
        takes_text="prompt" in takes,
        steps=_number(takes, "num_inference_steps"),
        guidance=_number(takes, "guidance_scale"),
        rate_argument=rate_argument,
        options=_options(takes),
        rate_guessed=told_rate is None,
        guessed=(
            f"{frames} frames, {'any number' if shape.frame_step == 1 else f'{shape.frame_step}n+1'} allowed",
            f"{float(rate):g} frames per second" + (", which nothing says" if told_rate is None else ""),
            f"sizes around {width}x{height} in multiples of {shape.multiple}",
            "all components in bfloat16 on a GPU",
        ),
    )


def _signature(checkpoint: Checkpoint) -> Mapping[str, inspect.Parameter]:
    """What the pipeline's call takes. Raises InputError for one that cannot be driven."""
    name, said = checkpoint.pipeline, checkpoint.said
    pipeline = getattr(diffusers, name, None)
    if not (isinstance(pipeline, type) and issubclass(pipeline, diffusers.DiffusionPipeline)):
        raise InputError(
            f"{said}: {name} is no pipeline of diffusers {diffusers.__version__}; code of a checkpoint is never run"
        )
    takes: Mapping[str, inspect.Parameter] = inspect.signature(pipeline.__call__).parameters
    if "image" not in takes:
        raise InputError(f"{said}: {name} takes no image; expected an image-to-video pipeline")
    if "num_frames" not in takes and "frames" not in takes:
        raise InputError(
            f"{said}: {name} is not told a number of frames; expected an image-to-video pipeline"
        )
    if not {"height", "width"} <= takes.keys():
        raise InputError(
            f"{said}: {name} cannot be told a size; expected a pipeline that takes height and width"
        )
    needs = [
        one.name
        for one in takes.values()
        if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD and one.name not in _GIVEN
    ]
    if needs:
        raise InputError(f"{said}: {name} needs {', '.join(needs)}, which a farm has not to give")
    return takes


class _Shape:
    """How a checkpoint's VAE and denoiser divide time and space."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        vae = _on_no_device(checkpoint, "vae")
        self._denoiser = dict(checkpoint.configs.get("transformer") or checkpoint.configs.get("unet") or {})
        self._space, time = _compression(vae, "spatial"), _compression(vae, "temporal")
        patch_time, patch_space = self._patches()
        self.frame_step = 1 if time == 1 else time * patch_time
        self.multiple = lcm(self._space * patch_space, _EVEN_PX)

    @property
    def frames(self) -> int | None:
        found = self._denoiser.get("num_frames")
        return found if isinstance(found, int) else None

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) that the denoiser was made for."""
        sides = (self._denoiser.get("sample_width"), self._denoiser.get("sample_height"))
        width, height = sides if all(sides) else (self._denoiser.get("sample_size"),) * 2
        if isinstance(width, int) and isinstance(height, int):
            return width * self._space, height * self._space
        return None

    def rounded(self, size: tuple[int, int]) -> tuple[int, int]:
        width, height = (max(self.multiple, side // self.multiple * self.multiple) for side in size)
        return width, height

    def _patches(self) -> tuple[int, int]:
        """(frames, pixels) of latents that the denoiser takes together."""
        patch = self._denoiser.get("patch_size", 1)
        if isinstance(patch, list):
            return int(patch[0]), max(map(int, patch[1:]))
        # A U-Net halves its latents between its blocks.
        halvings = (
            len(self._denoiser["block_out_channels"]) - 1 if "block_out_channels" in self._denoiser else 0
        )
        return int(self._denoiser.get("patch_size_t") or 1), int(patch or 1) * 2**halvings


def _on_no_device(checkpoint: Checkpoint, part: str) -> Any:
    """A component made from its config without memory for its weights. Raises InputError."""
    library, name = (checkpoint.index.get(part) or [None, None])[:2]
    made = getattr(diffusers, str(name), None) if library == "diffusers" else None
    if made is None or part not in checkpoint.configs:
        raise InputError(f"{checkpoint.said}: its {part} is no model of diffusers; expected one")
    try:
        with torch.device("meta"):
            return made.from_config(dict(checkpoint.configs[part]))
    except (TypeError, ValueError, KeyError, NotImplementedError, RuntimeError) as e:
        told = " ".join(str(e).split())[:200]
        raise InputError(f"{checkpoint.said}: {part}/config.json makes no {name}: {told}") from e


def _compression(vae: Any, kind: str) -> int:
    """Pixels or frames to a latent one, by whichever name a VAE has for it."""
    ratio = f"{kind}_compression_ratio"
    for held, name in ((vae, ratio), (vae.config, ratio), (vae.config, f"scale_factor_{kind}")):
        found = getattr(held, name, None)
        if isinstance(found, int) and found > 0:
            return found
    return 2 ** (len(vae.config.get("block_out_channels", (0,))) - 1) if kind == "spatial" else 1


def _sides(takes: Mapping[str, inspect.Parameter]) -> tuple[int, int] | None:
    width, height = (takes[side].default if side in takes else None for side in ("width", "height"))
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None


def _number(takes: Mapping[str, inspect.Parameter], name: str) -> Any:
    found = takes[name].default if name in takes else None
    return found if isinstance(found, int | float) else None


def _options(takes: Mapping[str, inspect.Parameter]) -> frozenset[str]:
    """Arguments that a job may give: those with a plain default, and what is said to every family that reads text."""
    plain = {name for name, one in takes.items() if isinstance(one.default, bool | int | float | str)}
    return frozenset((plain - _GIVEN - _NOT_OPTIONS) | (TEXT & takes.keys()))
