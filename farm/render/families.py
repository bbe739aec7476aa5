"""The table of model families, and what their rules make of a job: resolved models.

Invariant: this module imports no torch. A family's backend is imported when it is first made, so that planning,
linting and help start at once. What a model's rules forbid is refused here, before anything is loaded.
"""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from farm.catalog.naming import is_url
from farm.documents import unknown
from farm.errors import InputError
from farm.redact import redact
from farm.render import family_table, family_table_wan, sources
from farm.render.backend import Backend
from farm.render.checkpoint import Checkpoint
from farm.render.checkpoint import weights_bytes as checkpoint_bytes
from farm.render.family import Family
from farm.render.fit import MAX_EDGE_PX
from farm.render.hub import cached, follows_publisher, look
from farm.render.introspect import recognised, strangeness
from farm.render.listing import Folder, Remote
from farm.render.options import check_options
from farm.render.settings import HOSTING, SETTINGS
from farm.spec import ModelSpec, RenderSpec
from farm.values import Model, Scalar

_MIN_EDGE_PX = 16
# How far from a family's own rate interpolation is allowed to go, and the fastest clip there is (farm/spec.py).
_SLOWEST, _FASTEST, _MAX_FPS = Fraction(1, 4), 8, 120


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
    """The model that a job asks for; see `chosen`."""
    return chosen(spec, render, where=where, base=base)[0]


def chosen(spec: ModelSpec, render: RenderSpec, *, where: str, base: Path = Path()) -> tuple[Model, Family]:
    """The model that a job asks for, with every default of its family put in, and that family.

    A relative `path` is looked for in the working directory, then in `base`. Where no family is named, it is read off
    the checkpoint. Raises InputError for an unknown model or family, for what the family does not take, and for a
    place that holds no such model.
    """
    named = _named(spec, where)
    if named:
        _check_options(named, spec, where)
    checkpoint, path = _checkpoint(named, spec, where, base)
    family = named or _recognised(checkpoint, spec, where)
    if named is None:
        _check_options(family, spec, where)
    elif checkpoint and (why := strangeness(checkpoint, named)):
        fits = recognised(checkpoint, FAMILIES.values())
        hint = f"leave the family out, or give family: {fits.name}" if fits else "leave the family out"
        raise InputError(f"{checkpoint.said}: {why}, which is not {named.name}; {hint}")
    for key, asked, own in (
        ("steps", render.steps, family.steps),
        ("guidance", render.guidance, family.guidance),
    ):
        if asked is not None and own is None:
            raise InputError(f"{where}: render.{key}={asked}: {family.name} has no {key}; leave it out")
    options = spec.options()
    fps, rendered_fps = _rates(family, render, where)
    content = checkpoint.revision if checkpoint else None
    model = Model(
        name=spec.name,
        family=family.name,
        revision=content or spec.revision or family.revision,
        frames=_frames(family, render, rendered_fps or fps, where),
        fps=fps,
        size=_size(family, checkpoint, render.size, where),
        steps=render.steps or family.steps,
        guidance=render.guidance if render.guidance is not None else family.guidance,
        path=path,
        options=_sorted({key: value for key, value in options.items() if key not in HOSTING}),
        fit=render.fit,
        rendered_fps=rendered_fps,
        hosting=_sorted({key: value for key, value in options.items() if key in HOSTING}),
    )
    return model, family


def backend(model: Model) -> Backend:
    """A backend for a resolved model, not loaded yet. Raises InputError for a generic one that is not to be seen."""
    family = family_of(model)
    return family.make(model, family)


def family_of(model: Model) -> Family:
    """The family of a resolved model; a generic one is built anew from its class and its small configs."""
    return FAMILIES[model.family] if model.family in FAMILIES else _generic(sources.glance(model))


def check_here(model: Model) -> None:
    """Raises InputError for what a model's settings ask of this machine in vain; nothing is fetched or loaded.

    Where they ask for nothing, no torch is imported either.
    """
    said = dict(model.options) | dict(model.hosting)
    if said.keys() & SETTINGS.keys() or family_of(model).package:
        backend(model).check()


def weights_bytes(model: Model) -> int | None:
    """Bytes of the weights: of the files where they are on this machine, else by the family's row; None: unknown.

    As they are stored: on a CPU, where bfloat16 becomes float32, they weigh twice that.
    """
    if model.family in FAMILIES and FAMILIES[model.family].pipeline is None:
        return 0
    folder = sources.held(model)
    if folder is not None:
        return checkpoint_bytes(folder)
    gib = FAMILIES[model.family].weights_gib if model.family in FAMILIES else None
    return None if gib is None else round(gib * 2**30)


def warnings(model: Model, family: Family) -> tuple[str, ...]:
    """What a person should know of a resolved model before a run, one line each."""
    told = []
    if family.guessed:
        told.append(
            f"{model.name}: {family.pipeline} is in no table of this farm; guessed: {'; '.join(family.guessed)}"
        )
    from_hub = model.path is not None and not is_url(model.path) and not sources.is_folder(model.path)
    if from_hub and follows_publisher(model.revision):
        told.append(
            f"{model.name}: revision {model.revision} follows the publisher; name a commit as its revision for a run "
            "that must stay the same"
        )
    return tuple(told)


def _generic(checkpoint: Checkpoint) -> Family:
    from farm.render import generic  # torch and diffusers: seconds

    return generic.family_of(checkpoint)


def _named(spec: ModelSpec, where: str) -> Family | None:
    """The family that a model names; None where it names none, and one is to be read off its checkpoint."""
    name = spec.family or spec.name
    if name in FAMILIES:
        return FAMILIES[name]
    if spec.family is None and (spec.path or spec.repo):
        return None
    what = "family" if spec.family else "model"
    raise InputError(f"{where}: models: unknown {what} {redact(name)!r}; {unknown(name, sorted(FAMILIES))}")


def _recognised(checkpoint: Checkpoint | None, spec: ModelSpec, where: str) -> Family:
    if checkpoint is None:
        raise InputError(f"{where}: models: {spec.name}: no family; {unknown('', sorted(FAMILIES))}")
    return recognised(checkpoint, FAMILIES.values()) or _generic(checkpoint)


def _check_options(family: Family, spec: ModelSpec, where: str) -> None:
    """Raises InputError for the first option that the family, or the place its weights come from, does not take."""
    said = f"{where}: models: {spec.name}"
    asked = {"path": spec.path, "repo": spec.repo, "revision": spec.revision} | spec.options()
    check_options(family, asked, said=said)
    if spec.path is not None and spec.revision is not None:
        raise InputError(
            f"{said}: revision={spec.revision!r}: files have none but their content; leave it out"
        )


def _checkpoint(
    named: Family | None, spec: ModelSpec, where: str, base: Path
) -> tuple[Checkpoint | None, str | None]:
    """What is known of the weights, and the path that a resolved model has. Nothing is known of weights on the hub
    that are not here yet, but for those whose family must be read off them. Raises InputError."""
    said = f"{where}: models: {spec.name}"
    if spec.path is not None:
        said = f"{said}: path={redact(spec.path)}"
        if is_url(spec.path):
            return Checkpoint.read(Remote(spec.path, said)), spec.path
        here = Path(spec.path).expanduser()
        folder = (here if here.is_absolute() or here.is_dir() else base / here).resolve()
        return Checkpoint.read(Folder(folder, said)), str(folder)
    if spec.repo is not None and is_url(spec.repo):
        raise InputError(
            f"{said}: repo={redact(spec.repo)}: is a URL; expected OWNER/NAME, or give it as path"
        )
    repo = spec.repo or (named.repo if named else None)
    if repo is None:
        if named and named.pipeline:
            raise InputError(f"{said}: {named.name} has no checkpoint of its own; give a path")
        return None, None
    revision = spec.revision or (named.revision if named else "main")
    if named is None:
        return Checkpoint.glance(Folder(look(repo, revision, said=said), f"{said}: repo={repo}")), repo
    there = cached(repo, revision)
    return (Checkpoint.glance(Folder(there, f"{said}: repo={repo}")) if there else None), repo


def _rates(family: Family, render: RenderSpec, where: str) -> tuple[Fraction, Fraction | None]:
    """(the clip's rate, the rate that is rendered where the clip's is reached by interpolation)."""
    asked = render.fps
    if asked is None or asked == family.fps:
        return family.fps, None
    if family.pipeline is None or family.rate_argument or family.rate_guessed:
        return asked, None
    slowest, fastest = family.fps * _SLOWEST, min(family.fps * _FASTEST, Fraction(_MAX_FPS))
    if not slowest <= asked <= fastest:
        raise InputError(
            f"{where}: render.fps={float(asked):g}: {family.name} gives {float(family.fps):g} frames per second, from "
            f"which {float(slowest):g} to {float(fastest):g} can be interpolated"
        )
    return asked, family.fps


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
    if max(width, height) > MAX_EDGE_PX:
        raise InputError(f"{where}: render.size={size}: a side may have at most {MAX_EDGE_PX} pixels")
    if width % step or height % step or min(width, height) < _MIN_EDGE_PX:
        near = "x".join(str(max(step, _MIN_EDGE_PX, round(side / step) * step)) for side in (width, height))
        raise InputError(
            f"{where}: render.size={size}: {family.name} needs sides of at least {_MIN_EDGE_PX} that {step} divides; "
            f"try {near}"
        )
    return size


def _fixed_size(family: Family, checkpoint: Checkpoint | None, size: str, where: str) -> str:
    """A family that renders one size may be told that size, which then also enlarges smaller stills."""
    bound = checkpoint.bound_size if checkpoint else None
    own = (bound,) if bound else family.sizes
    known = ["x".join(map(str, one)) for one in own]
    if size == "native" or size in known:
        return size
    raise InputError(
        f"{where}: render.size={size}: {family.name} renders {' or '.join(known)} only; try {known[0]}"
    )


def _sorted(options: Mapping[str, Scalar]) -> tuple[tuple[str, Scalar], ...]:
    return tuple(sorted(options.items()))
