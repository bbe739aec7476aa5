"""Any image-to-video pipeline of diffusers, resident: loaded once, fed take after take.

One class drives every family: what a call may say is offered, what the pipeline's own signature does not name is
left out; what cannot be seen there stands in the family's row. Invariants: weights are safetensors and no code from a
checkpoint runs; random numbers come from the task's seed alone; a cancelled take leaves nothing behind for the next.
"""

import importlib.util
import inspect
from collections.abc import Mapping
from typing import Any

import diffusers
import torch
import transformers
from PIL import Image
from torch import Tensor

from farm.errors import InputError, StillError, TakeError
from farm.render.backend import Beat
from farm.render.conditioning import Conditioning
from farm.render.family import Family
from farm.render.fit import resolve_size
from farm.render.settings import PIXELS
from farm.render.stepping import watched
from farm.values import Frames, Model, Pixels, Task

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_SOURCES = (
    OSError,
    ValueError,
    ImportError,
    NotImplementedError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
)
_BLACK = 4  # levels: a frame without a brighter pixel is black
_DARK = 32  # levels: of a still with no brighter pixel than this, black frames may be right
_DROPPED_FRAMES = 4  # by HunyuanVideo's latent_concat checkpoints, which cut their first latent frame off


class DiffusersBackend:
    """The Backend of a diffusers family. `conditioning` is what it reuses between takes."""

    def __init__(self, model: Model, family: Family) -> None:
        self._model = model
        self._family = family
        self._options = {name: value for name, value in model.options if name not in PIXELS}
        asked = str(dict(model.hosting).get("device", "auto"))
        self._device = asked if asked != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        self.accelerator = "CPU" if self._device == "cpu" else self._gpu_name()
        self.conditioning = Conditioning()
        self._pipe: Any = None
        self._signature: Mapping[str, inspect.Parameter] = {}

    def load(self) -> None:
        """Raises InputError for a device that is not there, and for weights that cannot be loaded as the family."""
        if self._device == "cuda" and not torch.cuda.is_available():
            raise InputError(
                f"{self._model.name}: device=cuda: torch sees no CUDA device here; expected cpu or auto"
            )
        package = self._family.package
        if package and importlib.util.find_spec(package) is None:
            raise InputError(
                f"{self._model.name}: {self._family.name} cannot be used without the package {package}, which its "
                f"licence asks for; install it where workers run: pip install {package}"
            )
        diffusers.utils.logging.disable_progress_bar()
        diffusers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        transformers.utils.logging.set_verbosity_error()
        pipeline = getattr(diffusers, str(self._family.pipeline))
        self._signature = inspect.signature(pipeline.__call__).parameters
        self._check_options()
        self._pipe = self._loaded(pipeline).to(self._device)
        self._pipe.set_progress_bar_config(disable=True)
        self.conditioning.attach(self._pipe.components)
        if self._device == "cpu":
            # Sums split over threads round differently; and a farm's CPU slot is one core.
            torch.set_num_threads(1)

    def frame_size(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Raises StillError for a still that is smaller than the only size a family has, unless that was asked for."""
        if not self._family.fixed_size:
            native = max(width * height for width, height in self._family.sizes)
            multiple = self._family.size_multiple
            return resolve_size(
                self._model.size, width_px, height_px, multiple=multiple, native_max_pixels=native
            )
        if self._model.size != "native":
            width, height = self._model.size.split("x")
            return int(width), int(height)
        width_own, height_own = self._only_size(width_px, height_px)
        if width_px < width_own or height_px < height_own:
            size = f"{width_own}x{height_own}"
            raise StillError(
                f"{width_px}x{height_px} px is less than the {size} that {self._model.name} renders; "
                "give a larger still",
                kind="still_too_small",
            )
        return width_own, height_own

    def render(self, still: Pixels, task: Task, beat: Beat) -> Frames:
        height, width = still.shape[:2]
        passes = (task.model.frames - 1) // self._family.frame_step if self._family.section_frames else 1
        torch.manual_seed(task.seed)  # some pipelines draw from the global generator too
        try:
            with (
                torch.inference_mode(),
                watched(
                    self._pipe.scheduler,
                    lambda done, steps: beat(done, steps * passes),
                    self._family.scheduler_calls,
                ),
            ):
                video = self._pipe(**self._arguments(still, task)).frames[0]
        except ValueError as e:
            if "Guardrail" not in str(e):
                raise
            told = f"{self._model.name}: its safety checker refuses the prompt {task.prompt[:80]!r}"
            raise TakeError(told, kind="prompt_refused") from e
        finally:
            self._pipe.maybe_free_model_hooks()
        frames = self._pixels(video)
        expected = (task.model.frames, height, width, 3)
        if frames.shape != expected:
            raise TakeError(
                f"{self._model.name} gave frames of shape {frames.shape}, asked for {expected}",
                kind="render_shape",
            )
        if still.max() > _DARK and (dark := (frames.max(axis=(1, 2, 3)) < _BLACK).nonzero()[0]).size:
            raise TakeError(
                f"{self._model.name}: {dark.size} of {len(frames)} frames are black, frame {dark[0]} first",
                kind="render_black",
            )
        return frames

    def fingerprint(self) -> Mapping[str, str]:
        return {
            "renderer": f"diffusers/{self._family.pipeline}",
            "diffusers": diffusers.__version__,
            "transformers": transformers.__version__,
            "torch": torch.__version__,
            "cuda": str(torch.version.cuda),
            "dtype": str(self._dtype()["default"]).removeprefix("torch."),
            "device": self.accelerator,
            "threads": str(torch.get_num_threads()),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        }

    def close(self) -> None:
        self.conditioning.detach()
        self._pipe = None
        if self._device == "cuda":
            torch.cuda.empty_cache()

    def _gpu_name(self) -> str:
        return torch.cuda.get_device_name() if torch.cuda.is_available() else "CUDA"

    def _check_options(self) -> None:
        for name in self._options:
            if name not in self._signature:
                raise InputError(
                    f"{self._model.name}: {name}: not an argument of {self._family.pipeline} in diffusers "
                    f"{diffusers.__version__}"
                )

    def _loaded(self, pipeline: Any) -> Any:
        place = str(self._model.path)
        local = place.startswith("/")  # a folder was resolved to its absolute path
        try:
            return pipeline.from_pretrained(
                place,
                revision=None if local else self._model.revision,
                local_files_only=local,
                use_safetensors=True,
                dtype=self._dtype(),
            )
        except _SOURCES as e:
            told = " ".join(str(e).split())[:300]
            raise InputError(
                f"{self._model.name}: {place} cannot be loaded as {self._family.pipeline}: {told}"
            ) from e

    def _dtype(self) -> dict[str, torch.dtype]:
        """float32 on a CPU, whose bfloat16 is slow; else bfloat16, with the components that need more precision."""
        asked = str(dict(self._model.options).get("dtype", "auto"))
        if asked != "auto":
            return {"default": _DTYPES[asked]}
        if self._device == "cpu":
            return {"default": torch.float32}
        return {"default": torch.bfloat16} | {name: _DTYPES[dtype] for name, dtype in self._family.dtypes}

    def _only_size(self, width_px: int, height_px: int) -> tuple[int, int]:
        """(width, height) that a family of fixed size makes of a still."""
        if "height" not in self._signature:
            # HunyuanVideo 1.5 looks for the nearest of its own sizes itself.
            height, width = self._pipe.video_processor.calculate_default_height_width(
                height=height_px, width=width_px, target_size=self._pipe.target_size
            )
            return int(width), int(height)
        config, factor = self._pipe.transformer.config, self._pipe.vae_scale_factor_spatial
        return config.sample_width * factor, config.sample_height * factor

    def _arguments(self, still: Pixels, task: Task) -> dict[str, Any]:
        height, width = still.shape[:2]
        family, model, frames = self._family, task.model, self._asked_frames(task.model.frames)
        rate = model.fps.numerator if model.fps.denominator == 1 else float(model.fps)
        offered = {
            "image": Image.fromarray(still),
            "prompt": task.prompt,
            "height": height,
            "width": width,
            "num_frames": frames,
            "frames": frames,  # SANA's word for it
            "num_inference_steps": model.steps,
            family.guidance_argument: model.guidance,
            "generator": torch.Generator("cpu").manual_seed(task.seed),
            "output_type": "pt",  # the default differs from class to class
            **({family.rate_argument: rate} if family.rate_argument else {}),
            **dict(family.arguments),
            **self._options,
        }
        return {name: value for name, value in offered.items() if name in self._signature}

    def _asked_frames(self, frames: int) -> int:
        """How many frames the pipeline is asked for, to give so many."""
        if self._family.section_frames:
            return (frames - 1) // self._family.frame_step * self._family.section_frames
        transformer = getattr(self._pipe, "transformer", None)
        if getattr(transformer, "config", {}).get("image_condition_type") == "latent_concat":
            return frames + _DROPPED_FRAMES
        return frames

    def _pixels(self, video: Tensor) -> Frames:
        """(T, 3, H, W) in 0..1 as (T, H, W, 3) in 0..255. Raises TakeError where it holds no numbers."""
        good = torch.isfinite(video).flatten(1).all(dim=1)
        if not bool(good.all()):
            first = int((~good).nonzero()[0])
            raise TakeError(
                f"{self._model.name}: {int((~good).sum())} of {len(video)} frames are not numbers, frame {first} first",
                kind="render_nan",
            )
        levels = (video.float().clamp(0, 1) * 255).round().to(torch.uint8)
        pixels: Frames = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return pixels
