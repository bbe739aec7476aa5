"""previz, the embedded renderer: an animatic of the shot, without weights, before GPUs are paid for.

2.5D: a camera path over a pseudo depth, and ambient motion in the regions where it lives; every frame is one
bilinear sampling of the still (torch grid_sample, CPU or GPU). Invariants: the same task gives the same bytes; all
sampling stays inside the still, so no border shows.
"""

from collections.abc import Callable, Mapping
from math import ceil, floor

import cv2
import numpy as np
import torch
from torch import Tensor

from farm.errors import InputError, TakeError
from farm.render.ambient import compose
from farm.render.backend import Beat
from farm.render.choreography import choreograph
from farm.render.enlarge import enlarged
from farm.render.fields import Layers
from farm.render.fit import resolve_size
from farm.render.lens import Lens, sample, unit_grid
from farm.render.regions import focus
from farm.render.survey import survey
from farm.values import Frames, Model, Pixels, Task

REVISION = "previz-1"  # to be bumped whenever a pixel changes

NATIVE_MAX_PIXELS = 1280 * 720
MULTIPLE = 2  # what yuv420p needs
MIN_EDGE_PX = 16

_BELOW_256 = 255.99
_INVISIBLE = 1e-3  # of gain or lift: a quarter of a level at the most


class PrevizBackend:
    """The Backend of previz. It has no weights, no steps and no guidance; it takes no options."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.accelerator = torch.cuda.get_device_name() if self._device.type == "cuda" else "CPU"
        self.relieve: Callable[[], bool] = lambda: False

    def check(self) -> None:
        """Raises InputError for a size that cannot be had and for any option."""
        if self._model.options:
            names = ", ".join(name for name, _ in self._model.options)
            raise InputError(f"{self._model.name}: previz takes no options, got {names}")
        try:
            self.frame_size(MIN_EDGE_PX, MIN_EDGE_PX)
        except ValueError as e:
            raise InputError(f"{self._model.name}: {e}") from e

    def load(self) -> None:
        self.check()

    def frame_size(self, width_px: int, height_px: int) -> tuple[int, int]:
        return resolve_size(
            self._model.size, width_px, height_px, multiple=MULTIPLE, native_max_pixels=NATIVE_MAX_PIXELS
        )

    def render(self, still: Pixels, task: Task, beat: Beat) -> Frames:
        height, width = still.shape[:2]
        if min(height, width) < MIN_EDGE_PX:
            raise TakeError(
                f"{task.still.where}: {width}x{height} px is too small; at least {MIN_EDGE_PX} px each way",
                kind="render_too_small",
            )
        if self._device.type == "cpu":
            # Sums split over threads round differently, and a farm's CPU slot is one core. Each thread has its own say.
            torch.set_num_threads(1)
        with torch.inference_mode():
            return self._render(still, task, beat)

    def fingerprint(self) -> Mapping[str, str]:
        return {
            "renderer": REVISION,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "device": self.accelerator,
            "threads": str(torch.get_num_threads()),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        }

    def expect(self, prompts: int) -> None:
        """Nothing is kept for new prompts."""

    def held_bytes(self) -> int:
        return 0

    def close(self) -> None:
        """Holds nothing between takes."""

    def _render(self, still: Pixels, task: Task, beat: Beat) -> Frames:
        height, width = still.shape[:2]
        count, fps = task.model.frames, float(task.model.fps)
        seen = survey(still)
        plan = choreograph(task.motion, task.seed, count / fps, focus(seen))
        lens = Lens(plan.camera, torch.from_numpy(seen.near).to(self._device)[None, None])
        ambient = compose(plan.effects, seen, count / fps, self._device)
        # Half added here rounds every later cut to whole values, as the weights of a sampling sum to one.
        source = enlarged(_planes(still, self._device)).clamp_(0, 255).add_(0.5)
        pixels = unit_grid(height, width, self._device)
        frames = np.empty((count, height, width, 3), np.uint8)
        for i in range(count):
            look = lens.look(i / max(1, count - 1))
            planes = _frame(source, pixels, look, ambient(i / fps))
            cv2.merge([plane.cpu().numpy() for plane in planes], dst=frames[i])
            beat(i + 1, count)
        return frames


def positions(look: Tensor, shift: Tensor | None) -> Tensor:
    """(1, 2, h, w): where a frame samples the still, all in -1..1; see `_frame` and `fields.Layers` for the arguments.

    The shift belongs to the still, so it is looked up at the position that the frame shows.
    """
    there = look.permute(0, 3, 1, 2)
    return there if shift is None else there + sample(shift[None], look)


def _frame(source: Tensor, pixels: Tensor, look: Tensor, layers: Layers) -> Tensor:
    """(3, H, W) uint8: one frame. `source` is the enlarged still, `pixels` (1, H, W, 2) the frame's own grid, `look`
    (1, h, w, 2) the positions of the still that the frame shows before anything in the still moves.

    Fields are made at analysis size and brought to the frame's by sampling, which here is thrice as fast as
    interpolate() (16 ms for two channels at 720p).
    """
    coarse = positions(look, layers.shift)
    frame = sample(source, sample(coarse, pixels).permute(0, 2, 3, 1))[0]
    _light(frame, layers, look, pixels)
    return frame.to(torch.uint8)


def _light(frame: Tensor, layers: Layers, look: Tensor, pixels: Tensor) -> None:
    """Puts gain and lift onto a frame (3, H, W), in place, in those rows only that they reach."""
    light = [part for part in (layers.gain, layers.lift) if part is not None]
    if not light:
        return
    seen = sample(torch.cat(light)[None], look)
    rows = _rows(seen, frame.shape[1])
    fine, band = sample(seen, pixels[:, rows])[0], frame[:, rows]
    if layers.gain is not None:
        band.addcmul_(band, fine[: len(layers.gain)])
    if layers.lift is not None:
        band.add_(fine[-len(layers.lift) :])
    band.clamp_(0, _BELOW_256)


def _rows(light: Tensor, height: int) -> slice:
    """The rows of a frame of this height in which light (1, k, h, w) could change a value at all."""
    lit = torch.nonzero(light.abs().amax(dim=(0, 1, 3)) > _INVISIBLE).flatten().tolist()
    if not lit:
        return slice(0, 0)
    step = (height - 1) / (light.shape[2] - 1)
    return slice(max(0, floor((lit[0] - 1) * step)), min(height, ceil((lit[-1] + 1) * step) + 1))


def _planes(pixels: Pixels, device: torch.device) -> Tensor:
    """(1, 3, H, W) float32 in 0..255."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).to(device).float()[None]
