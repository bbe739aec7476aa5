"""The table of model families: what can be known of a model without loading it.

Invariant: this module imports no torch. A family's backend is imported when it is first made, so that planning,
linting and help start at once. What a model's rules forbid is refused here, before anything is loaded.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from farm.documents import unknown
from farm.errors import InputError
from farm.render.backend import Backend
from farm.spec import ModelSpec, RenderSpec
from farm.values import Model, Scalar


@dataclass(frozen=True, slots=True)
class Family:
    """One row of facts. Legal frame counts are `frame_step` * n + 1, or any where `frame_step` is 1."""

    name: str
    make: Callable[[Model], Backend]
    revision: str
    fps: Fraction
    seconds: float
    frame_step: int
    size_multiple: int
    gpus: float
    takes_text: bool
    licence: str
    about: str
    options: frozenset[str] = field(default_factory=frozenset)
    steps: int | None = None
    guidance: float | None = None

    def facts(self) -> dict[str, Scalar]:
        """The row as plain values, for people and programs."""
        return {
            "name": self.name,
            "about": self.about,
            "revision": self.revision,
            "licence": self.licence,
            "fps": float(self.fps),
            "seconds": self.seconds,
            "frame_step": self.frame_step,
            "size_multiple": self.size_multiple,
            "gpus": self.gpus,
            "takes_text": self.takes_text,
            "steps": self.steps,
            "guidance": self.guidance,
        }


def _previz(model: Model) -> Backend:
    from farm.render.previz import PrevizBackend

    return PrevizBackend(model)


# A family's name is also the name of its default model.
FAMILIES: Mapping[str, Family] = {
    "previz": Family(
        name="previz",
        make=_previz,
        revision="previz-1",
        fps=Fraction(24),
        seconds=4.0,
        frame_step=1,
        size_multiple=2,
        gpus=0,
        takes_text=True,
        licence="Apache-2.0 (part of this package, no weights)",
        about="2.5D animatic of the shot: camera moves and regional ambient motion, on any CPU or GPU",
    ),
}


def resolve(spec: ModelSpec, render: RenderSpec, *, where: str) -> Model:
    """The model that a job asks for, with every default of its family put in.

    Raises InputError for an unknown model or family, and for what the family does not take.
    """
    family = _family(spec, where)
    refused = {"path": spec.path, "repo": spec.repo, "revision": spec.revision} | spec.options()
    allowed = family.options
    for key, value in refused.items():
        if value is not None and key not in allowed:
            known = f"it takes {', '.join(sorted(allowed))}" if allowed else "it takes no options"
            raise InputError(
                f"{where}: models: {spec.name}: {key}={value!r}: not an option of {family.name}; {known}"
            )
    for key, asked, own in (
        ("steps", render.steps, family.steps),
        ("guidance", render.guidance, family.guidance),
    ):
        if asked is not None and own is None:
            raise InputError(f"{where}: render.{key}={asked}: {family.name} has no {key}; leave it out")
    fps = render.fps or family.fps
    return Model(
        name=spec.name,
        family=family.name,
        revision=spec.revision or family.revision,
        frames=_frames(family, render, fps, where),
        fps=fps,
        size=_size(family, render.size, where),
        steps=render.steps or family.steps,
        guidance=render.guidance if render.guidance is not None else family.guidance,
        path=spec.path or spec.repo,
        options=_sorted(spec.options()),
    )


def backend(model: Model) -> Backend:
    """A backend for a resolved model, not loaded yet."""
    return FAMILIES[model.family].make(model)


def _family(spec: ModelSpec, where: str) -> Family:
    name = spec.family or spec.name
    if name not in FAMILIES:
        what = "family" if spec.family else "model"
        raise InputError(f"{where}: models: unknown {what} {name!r}; {unknown(name, sorted(FAMILIES))}")
    return FAMILIES[name]


def _frames(family: Family, render: RenderSpec, fps: Fraction, where: str) -> int:
    step = family.frame_step
    if render.frames is None:
        wanted = float((render.seconds or family.seconds) * fps)
        return max(2, round((wanted - 1) / step) * step + 1) if step > 1 else max(2, round(wanted))
    if step > 1 and (render.frames - 1) % step:
        below = (render.frames - 1) // step * step + 1
        raise InputError(
            f"{where}: render.frames={render.frames}: {family.name} needs {step}n+1 frames; "
            f"try {below} or {below + step}"
        )
    return render.frames


def _size(family: Family, size: str, where: str) -> str:
    if "x" not in size:
        return size
    width, height = (int(side) for side in size.split("x"))
    step = family.size_multiple
    if width % step or height % step or min(width, height) < 16:
        near = "x".join(str(max(16, round(side / step) * step)) for side in (width, height))
        raise InputError(
            f"{where}: render.size={size}: {family.name} needs sides of at least 16 that {step} divides; try {near}"
        )
    return size


def _sorted(options: Mapping[str, Scalar]) -> tuple[tuple[str, Scalar], ...]:
    return tuple(sorted(options.items()))
