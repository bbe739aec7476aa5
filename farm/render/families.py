"""The table of model families, and what their rules make of a job: resolved models.

Invariant: this module imports no torch. A family's backend is imported when it is first made, so that planning,
linting and help start at once. What a model's rules forbid is refused here, before anything is loaded.
"""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from farm.documents import unknown
from farm.errors import InputError
from farm.render import family_table, family_table_wan
from farm.render.backend import Backend
from farm.render.checkpoint import Checkpoint
from farm.render.family import Family
from farm.render.settings import HOSTING, PIXELS
from farm.spec import ModelSpec, RenderSpec
from farm.values import Model, Scalar

_PLACES = frozenset({"path", "repo", "revision"})
_SETTINGS: Mapping[str, tuple[Scalar, ...]] = {**PIXELS, **HOSTING}
_MIN_EDGE_PX = 16


def _previz(model: Model, family: Family) -> Backend:
    from farm.render.previz import PrevizBackend

    return PrevizBackend(model)


_PREVIZ = Family(
    name="previz",
    make=_previz,
    revision="previz-1",
    fps=Fraction(24),
    frames=96,
    frame_step=1,
    size_multiple=2,
    gpus=0,
    licence="Apache-2.0 (part of this package, no weights)",
    about="2.5D animatic of the shot: camera moves and regional ambient motion, on any CPU or GPU",
)

# A family's name is also the name of its default model.
FAMILIES: Mapping[str, Family] = {
    family.name: family for family in (_PREVIZ, *family_table.ROWS, *family_table_wan.ROWS)
}


def resolve(spec: ModelSpec, render: RenderSpec, *, where: str, base: Path = Path()) -> Model:
    """The model that a job asks for, with every default of its family put in.

    A relative `path` is looked for in the working directory, then in `base`. Raises InputError for an unknown model
    or family, for what the family does not take, and for a folder that holds no such model.
    """
    family = _family(spec, where)
    _check_options(family, spec, where)
    for key, asked, own in (
        ("steps", render.steps, family.steps),
        ("guidance", render.guidance, family.guidance),
    ):
        if asked is not None and own is None:
            raise InputError(f"{where}: render.{key}={asked}: {family.name} has no {key}; leave it out")
    checkpoint = _checkpoint(family, spec, where, base)
    options = spec.options()
    fps = _fps(family, render, where)
    return Model(
        name=spec.name,
        family=family.name,
        revision=spec.revision or (checkpoint.revision if checkpoint else family.revision),
        frames=_frames(family, render, fps, where),
        fps=fps,
        size=_size(family, checkpoint, render.size, where),
        steps=render.steps or family.steps,
        guidance=render.guidance if render.guidance is not None else family.guidance,
        path=str(checkpoint.folder) if checkpoint else spec.repo or family.repo,
        options=_sorted({key: value for key, value in options.items() if key not in HOSTING}),
        fit=render.fit,
        hosting=_sorted({key: value for key, value in options.items() if key in HOSTING}),
    )


def backend(model: Model) -> Backend:
    """A backend for a resolved model, not loaded yet."""
    family = FAMILIES[model.family]
    return family.make(model, family)


def _family(spec: ModelSpec, where: str) -> Family:
    name = spec.family or spec.name
    if name not in FAMILIES:
        what = "family" if spec.family else "model"
        raise InputError(f"{where}: models: unknown {what} {name!r}; {unknown(name, sorted(FAMILIES))}")
    return FAMILIES[name]


def _check_options(family: Family, spec: ModelSpec, where: str) -> None:
    """Raises InputError for the first option that the family, or the place its weights come from, does not take."""
    asked = {"path": spec.path, "repo": spec.repo, "revision": spec.revision} | spec.options()
    allowed = family.options | _PLACES | _SETTINGS.keys() if family.pipeline else family.options
    for key, value in asked.items():
        if value is None:
            continue
        said = f"{where}: models: {spec.name}: {key}={value!r}"
        if key not in allowed:
            known = f"it takes {', '.join(sorted(allowed))}" if allowed else "it takes no options"
            raise InputError(f"{said}: not an option of {family.name}; {known}")
        if key in _SETTINGS and value not in _SETTINGS[key]:
            raise InputError(f"{said}: expected {', '.join(map(str, _SETTINGS[key]))}")
    if spec.path is not None and spec.revision is not None:
        raise InputError(
            f"{where}: models: {spec.name}: revision={spec.revision!r}: a folder has none but its content; leave it out"
        )


def _checkpoint(family: Family, spec: ModelSpec, where: str, base: Path) -> Checkpoint | None:
    if spec.path is None:
        if family.pipeline and not spec.repo and not family.repo:
            raise InputError(
                f"{where}: models: {spec.name}: {family.name} has no checkpoint of its own; give a path"
            )
        return None
    here = Path(spec.path).expanduser()
    folder = here if here.is_absolute() or here.is_dir() else base / here
    return Checkpoint.read(folder.resolve(), family, said=f"{where}: models: {spec.name}: path={spec.path}")


def _fps(family: Family, render: RenderSpec, where: str) -> Fraction:
    if render.fps is None or family.pipeline is None or family.rate_argument or render.fps == family.fps:
        return render.fps or family.fps
    raise InputError(
        f"{where}: render.fps={float(render.fps):g}: {family.name} gives {float(family.fps):g} frames per second "
        "and cannot be told another rate; leave it out"
    )


def _frames(family: Family, render: RenderSpec, fps: Fraction, where: str) -> int:
    step = family.frame_step
    if render.frames is None:
        wanted = float(render.seconds * fps) if render.seconds else float(family.frames / family.fps * fps)
        whole = round((wanted - 1) / step) * step + 1 if step > 1 else round(wanted)
        return max(step + 1, family.least_frames, whole)
    if step > 1 and (render.frames - 1) % step:
        below = (render.frames - 1) // step * step + 1
        near = f"{below} or {below + step}" if below > 1 else f"{below + step}"
        raise InputError(
            f"{where}: render.frames={render.frames}: {family.name} needs {step}n+1 frames; try {near}"
        )
    if render.frames < family.least_frames:
        raise InputError(
            f"{where}: render.frames={render.frames}: {family.name} needs at least {family.least_frames} frames"
        )
    return render.frames


def _size(family: Family, checkpoint: Checkpoint | None, size: str, where: str) -> str:
    if family.fixed_size:
        return _fixed_size(family, checkpoint, size, where)
    if "x" not in size:
        return size
    width, height = (int(side) for side in size.split("x"))
    step = family.size_multiple
    if width % step or height % step or min(width, height) < _MIN_EDGE_PX:
        near = "x".join(str(max(step, _MIN_EDGE_PX, round(side / step) * step)) for side in (width, height))
        raise InputError(
            f"{where}: render.size={size}: {family.name} needs sides of at least {_MIN_EDGE_PX} that {step} divides; "
            f"try {near}"
        )
    return size


def _fixed_size(family: Family, checkpoint: Checkpoint | None, size: str, where: str) -> str:
    """A family that renders one size may be told that size, which then also enlarges smaller stills."""
    own = (checkpoint.sizes if checkpoint else None) or family.sizes
    known = ["x".join(map(str, one)) for one in own]
    if size == "native" or size in known:
        return size
    raise InputError(
        f"{where}: render.size={size}: {family.name} renders {' or '.join(known)} only; try {known[0]}"
    )


def _sorted(options: Mapping[str, Scalar]) -> tuple[tuple[str, Scalar], ...]:
    return tuple(sorted(options.items()))
