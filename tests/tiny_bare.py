"""The bare pipeline: a family's diffusers pipeline as its own documentation calls it, which the farm must equal."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from PIL import Image
from tiny_models import TINY
from tiny_takes import FRAME, still
from tiny_worlds import Checker

from farm.render.families import FAMILIES
from farm.values import Frames, Pixels

Plain = Callable[[Pixels, str, int], Frames]
"""(still, prompt, seed) -> frames, each call from scratch."""


def bare(family: str, folder: Path, device: str = "cpu") -> Callable[[int, str, int], Frames]:
    """A tiny checkpoint's bare renders of (number of the still, prompt, seed)."""
    tiny = TINY[family]
    render = plain(
        loaded(family, folder, device),
        family,
        frames=tiny.frames,
        size=FRAME[::-1],
        steps=tiny.steps,
        options=tiny.options,
    )
    return lambda number, prompt, seed: render(still(number), prompt, seed)


def loaded(family: str, folder: Path, device: str = "cpu") -> Any:
    """The family's pipeline in the precision that the farm renders in on that device."""
    row = FAMILIES[family]
    dtype: dict[str, torch.dtype] = {"default": torch.float32}
    if device != "cpu":
        dtype = {"default": torch.bfloat16} | {name: getattr(torch, kept) for name, kept in row.dtypes}
    checked = {"safety_checker": Checker()} if row.package else {}
    pipe = getattr(diffusers, str(row.pipeline)).from_pretrained(folder, dtype=dtype, **checked).to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def plain(
    pipe: Any, family: str, *, frames: int, size: tuple[int, int], steps: int, options: Mapping[str, Any]
) -> Plain:
    """No cache, no hook, arguments written out; `size` is (width, height)."""
    width, height = size
    sized = {"height": height, "width": width, "num_frames": frames}
    own = {
        "svd": {**sized, "fps": 7, "max_guidance_scale": 3.0},
        "ltx-video": {**sized, "frame_rate": 25, "guidance_scale": 3.0},
        "ltx-2": {**sized, "frame_rate": 24, "guidance_scale": 3.0},
        "sana-video-i2v": {
            "height": height,
            "width": width,
            "frames": frames,
            "use_resolution_binning": False,
            "guidance_scale": 6.0,
        },
        "framepack-i2v": {**sized, "num_frames": (frames - 1) // 36 * 33, "guidance_scale": 6.0},
        "hunyuanvideo1.5-i2v": {"num_frames": frames},
        "cosmos1-v2w": {**sized, "fps": 30, "guidance_scale": 7.0},
        "cosmos2-v2w": {**sized, "fps": 16, "guidance_scale": 7.0},
    }.get(family, {**sized, "guidance_scale": FAMILIES[family].guidance})

    def render(pixels: Pixels, prompt: str, seed: int) -> Frames:
        words = {"prompt": prompt} if FAMILIES[family].takes_text else {}
        torch.manual_seed(seed)
        video = pipe(
            image=Image.fromarray(pixels), num_inference_steps=steps, output_type="np",
            generator=torch.Generator("cpu").manual_seed(seed), **words, **own, **options,
        ).frames[0]  # fmt: skip
        return (np.asarray(video) * 255).round().astype(np.uint8)

    return render
