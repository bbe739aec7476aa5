"""Any image-to-video pipeline of diffusers, resident: loaded once, fed take after take.

One class drives every family: what a call may say is offered, what the pipeline's own signature does not name is
left out; what cannot be seen there stands in the family's row. Invariants: random numbers come from the task's seed
alone; a take that was cancelled, or did not fit into memory, leaves nothing behind that changes a bit of the next.
"""

import gc
import inspect
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import diffusers
import torch
import transformers
from PIL import Image
from torch import nn

from farm.errors import InputError, StillError, TakeError
from farm.render import fingerprint, loading
from farm.render.away import Away, send_away
from farm.render.backend import Beat
from farm.render.conditioning import CACHE_BYTES, Conditioning
from farm.render.family import Family
from farm.render.fit import resolve_size
from farm.render.hosting import Hosting, can_tile, held_bytes
from farm.render.memory import Ladder, Rung, Shape
from farm.render.pictures import frames_of
from farm.render.settings import PIXELS
from farm.render.stepping import watched
from farm.values import Frames, Model, Pixels, Task

_DROPPED_FRAMES = 4  # by HunyuanVideo's latent_concat checkpoints, which cut their first latent frame off


class DiffusersBackend:
    """The Backend of a diffusers family. `conditioning` is what it reuses between takes."""

    def __init__(self, model: Model, family: Family) -> None:
        self._model = model
        self._family = family
        self._options = {name: value for name, value in model.options if name not in PIXELS}
        asked = str(dict(model.hosting).get("device", "auto"))
        self._device = asked if asked != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        self._hosting = Hosting.of(model, self._device)
        self._offload = self._hosting.offload  # as it is now
        self.accelerator = "CPU" if self._device == "cpu" else self._gpu_name()
        self.conditioning = Conditioning()
        self.relieve: Callable[[], bool] = lambda: False
        self._pipe: Any = None
        self._signature: Mapping[str, inspect.Parameter] = {}  # of the pipeline's call, from check()
        self._away: Mapping[str, Away] = {}
        self._prompts: set[str] = set()
        self._expected: int | None = 1  # None: nobody knows
        self._rendered: Shape | None = None

    def check(self) -> None:
        """Raises InputError for a device or a package that is not there, and for settings that cannot be had here."""
        _quieten()
        name, package = self._model.name, self._family.package
        if self._device == "cuda" and not torch.cuda.is_available():
            raise InputError(f"{name}: device=cuda: torch sees no CUDA device here; expected cpu or auto")
        if package and find_spec(package) is None:
            raise InputError(
                f"{name}: {self._family.name} needs the package {package}, for which its licence asks: "
                f"pip install {package}"
            )
        pipeline = getattr(diffusers, str(self._family.pipeline), None)
        if pipeline is None:
            raise InputError(
                f"{name}: diffusers {diffusers.__version__} has no {self._family.pipeline}; update it"
            )
        self._signature = inspect.signature(pipeline.__call__).parameters
        self._check_options()
        self._hosting.check_machine(loading.dtypes(self._model, self._family, self._device)["default"])

    def load(self) -> None:
        """Raises InputError as `check` does and for weights that cannot be loaded as the family, MemoryFull where there
        is not enough memory for them."""
        self.check()
        self._pipe = self._loaded()
        self._pipe.set_progress_bar_config(disable=True)
        homes = [away.encoder for away in self._away.values() if away.encoder is not None]
        # Texts may take the room that absent encoders leave: their weights are dear to fetch again.
        self.conditioning = Conditioning(text_bytes=max(CACHE_BYTES, held_bytes(homes, "cpu")))
        self.conditioning.attach(self._pipe.components)
        self._ladder = Ladder(
            tiling=not self._hosting.vae_tiling and can_tile(self._pipe.vae),
            offload=self._device == "cuda" and self._offload == "none",
        )

    def expect(self, prompts: int) -> None:
        """Where encoders are dropped, they are after the take of so many different prompts; without this, after each
        new one."""
        self._expected = prompts

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
        """Raises TakeError, also for a take that fits into the GPU's memory on no rung of the ladder. Whatever else
        befalls a GPU goes through: nothing in this process can be trusted after it."""
        shape = (still.shape[1], still.shape[0], task.model.frames)
        if task.still.prompt:
            # Every still of such a catalog has prompts of its own: encoders that were dropped would be read for each.
            self._expected = None
            for away in self._away.values():
                away.stay()
        while (frames := self._tried(shape, still, task, beat)) is None:
            # What the failed attempt held is free only here, after its exception is gone.
            gc.collect()
            if self._device == "cuda":
                torch.cuda.empty_cache()
            if not (self.relieve() or self._ladder.climb(shape)):
                raise TakeError(self._no_room(shape), kind="render_oom")
        self._prompts.add(task.prompt)
        drops = self._hosting.encoders == "drop" and self._expected is not None
        if drops and len(self._prompts) >= (self._expected or 0):
            for away in self._away.values():
                away.drop()
        return frames

    def fingerprint(self) -> Mapping[str, str]:
        """Of the take rendered last; before the first, as the model was loaded."""
        source = {"checkpoint": self._source.commit} if self._source.commit else {}
        shape = {"shape": "{}x{}x{}".format(*self._rendered)} if self._rendered else {}
        tiling = bool(getattr(self._pipe.vae, "use_tiling", False))
        return {
            "renderer": f"diffusers/{self._family.pipeline}",
            **fingerprint.software(),
            **fingerprint.hardware(self._device, self.accelerator),
            "dtype": fingerprint.dtypes(self._pipe.components),
            "vae_tiling": str(tiling).lower(),
            "offload": self._offload,
            "quantization": self._hosting.quantization,
            "compile": self._hosting.compile,
            "attention": self._hosting.attention_used(self._pipe),
            **source,
            **shape,
        }

    def held_bytes(self) -> int:
        if self._pipe is None:
            return 0
        modules = [one for one in self._pipe.components.values() if isinstance(one, nn.Module)]
        homes = [away.encoder for away in self._away.values() if away.encoder is not None]
        return held_bytes([*modules, *homes], self._device) + self.conditioning.held_bytes

    def close(self) -> None:
        self.conditioning.detach()
        self._pipe, self._away = None, {}
        gc.collect()  # hooks of offloading, and what they hold, go in circles
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

    def _loaded(self) -> Any:
        """The pipeline as the settings want it, cheap refusals first."""
        kinds = loading.dtypes(self._model, self._family, self._device)
        with loading.honest(self._model, f"{self._model.path} cannot be loaded as {self._family.pipeline}"):
            self._source = loading.source(self._model, self._family, kinds)
            parts = self._source.classes()
        self._hosting.check_parts(str(self._family.pipeline), parts)
        with loading.honest(self._model, f"quantization={self._hosting.quantization}"):
            quantization = self._hosting.quantization_config(parts, kinds["default"])
        with loading.honest(self._model, f"{self._model.path} cannot be loaded as {self._family.pipeline}"):
            pipe = self._source.pipe(quantization)
        if self._hosting.encoders != "keep":
            self._away = send_away(pipe, self._source.component, self._device)
        self._hosting.apply(pipe, self._away)
        return pipe

    def _tried(self, shape: Shape, still: Pixels, task: Task, beat: Beat) -> Frames | None:
        """One attempt on the rung where the shape stands; None where it did not fit."""
        passes = (task.model.frames - 1) // self._family.frame_step if self._family.section_frames else 1
        if self._device == "cpu":
            # Sums split over threads round differently, and a farm's CPU slot is one core. Each thread has its own say.
            torch.set_num_threads(1)
        torch.manual_seed(task.seed)  # some pipelines draw from the global generator too
        try:
            self._stand(shape)
            with (
                torch.inference_mode(),
                self._hosting.attending(),
                watched(
                    self._pipe.scheduler,
                    lambda done, steps: beat(done, steps * passes),
                    self._family.scheduler_calls,
                ),
            ):
                video = self._pipe(**self._arguments(still, task)).frames[0]
            return frames_of(video, still, task.model.frames, self._model.name)
        except torch.OutOfMemoryError:
            return None
        except ValueError as e:
            if "Guardrail" not in str(e):
                raise
            told = f"{self._model.name}: its safety checker refuses the prompt {task.prompt[:80]!r}"
            raise TakeError(told, kind="prompt_refused") from e
        finally:
            self._pipe.maybe_free_model_hooks()

    def _stand(self, shape: Shape) -> None:
        """Tiles only where the shape needs them. Offloading stays once it is there: it changes no bit, and to bring all
        weights back for a smaller shape would cost more than it saves."""
        if Rung.TILING in self._ladder.rungs:
            tiled = self._ladder.reached(shape, Rung.TILING)
            (self._pipe.vae.enable_tiling if tiled else self._pipe.vae.disable_tiling)()
        if self._offload == "none" and self._ladder.reached(shape, Rung.OFFLOAD):
            self._pipe.enable_model_cpu_offload(device=self._device)
            self._offload = "model"
        self._rendered = shape

    def _no_room(self, shape: Shape) -> str:
        width, height, frames = shape
        tried = ", ".join(self._ladder.rungs)
        return (
            f"{self._model.name}: {frames} frames of {width}x{height} px do not fit into the memory of "
            f"{self.accelerator}; tried {tried}; ask for fewer frames or a smaller size"
        )

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
        fps = model.rendered_fps or model.fps
        rate = fps.numerator if fps.denominator == 1 else float(fps)
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


def _quieten() -> None:
    """What the libraries tell whoever writes programs with them is nothing to who submits jobs; errors are raised."""
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
        library.utils.logging.set_verbosity_error()
