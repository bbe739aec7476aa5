"""Small takes for tests of renderers: the smallest task that is one, and a photograph cut to the frame."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tiny_models import TINY

from farm.render.backend import Backend, Beat
from farm.render.families import backend, resolve
from farm.spec import ModelSpec, RenderSpec
from farm.values import Frames, Model, Motion, Pixels, Still, Task

STILLS = sorted((Path(__file__).parents[1] / "jobs" / "stills").glob("*.[jp][pn]g"))
FRAME = (64, 64)  # (height, width)
PROMPT = "a slow push in, wind"


def still(number: int = 0) -> Pixels:
    with Image.open(STILLS[number]) as image:
        return np.asarray(image.convert("RGB").resize(FRAME[::-1]))


def tiny_model(family: str, tiny: Callable[[str], Path], **options: Any) -> Model:
    """A resolved model of a tiny checkpoint, or previz at the same size."""
    if family == "previz":
        return resolve(ModelSpec(name="previz"), RenderSpec(frames=8, size="64x64"), where="job.yaml")
    one = TINY[family]
    spec = ModelSpec(name="tiny", family=family, path=str(tiny(family)), **(one.options | options))
    return resolve(spec, RenderSpec(frames=one.frames, size=one.size, steps=one.steps), where="job.yaml")


def resident(family: str, tiny: Callable[[str], Path], **options: Any) -> Backend:
    one = backend(tiny_model(family, tiny, **options))
    one.load()
    return one


def task(model: Model, seed: int, prompt: str = PROMPT) -> Task:
    return Task(
        take_id="0" * 32,
        still=Still("still", "still.png", "stills.csv:1"),
        still_sha256="0" * 64,
        motion=Motion("push", prompt, camera="push-in"),
        prompt=prompt,
        model=model,
        seed=seed,
    )


def render(one: Any, seed: int, number: int = 0, beat: Beat = lambda done, total: None) -> Frames:
    frames: Frames = one.render(still(number), task(one._model, seed), beat)
    return frames
