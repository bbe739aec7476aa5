"""`farm models`: the families with what this machine makes of them, and one model tried in earnest.

Invariant: the list asks no network and loads no model. A check renders one small take and stores nothing but what a
run would have fetched too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from farm.clock import Clock
from farm.ids import canonical, sha256_hex
from farm.redact import redact
from farm.render import hub, mirror
from farm.render.checkpoint import Checkpoint, weights_bytes
from farm.render.families import FAMILIES, backend, chosen, warnings
from farm.render.family import Family
from farm.render.fit import fit
from farm.render.here import peak_bytes, this_machine, verdict
from farm.render.introspect import recognised
from farm.render.listing import Folder
from farm.spec import ModelSpec, RenderSpec
from farm.values import Model, Motion, Pixels, Still, Task

_STEPS = 2
_FRAMES = 8  # where a family allows any number
_EDGE_PX = 128
_STILL_PX = (
    1920,
    1080,
)  # (width, height); no family has a native size that is larger, so nothing is enlarged
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Checked:
    """What one small take of a model took. `held_bytes`: of weights and what is remembered between takes;
    `peak_bytes`: of the GPU, on a CPU of the process."""

    name: str
    family: str
    revision: str
    path: str | None
    accelerator: str
    dtype: str | None
    frames: int
    size: str
    steps: int | None
    load_s: float
    render_s: float
    held_bytes: int
    peak_bytes: int
    warnings: tuple[str, ...]


def listed() -> list[dict[str, object]]:
    """The families by name: their facts, whether their weights are here, and what this machine makes of them."""
    machine, mirrors = this_machine(), _mirrors()
    return [
        family.facts()
        | {
            "cached": _is_cached(family),
            "mirrors": mirrors.get(family.name, []),
            "here": verdict(family, machine),
        }
        for family in sorted(FAMILIES.values(), key=lambda family: family.name)
    ]


def show_list(console: Console, families: Sequence[dict[str, object]]) -> None:
    table = Table("name", "pipeline", "frames", "size", "weights", "cached", "here", "licence")
    table.columns[0].no_wrap = True
    for one in families:
        row = FAMILIES[str(one["name"])]
        size = "x".join(map(str, row.sizes[0])) if row.sizes else "any"
        weights = (
            "none" if row.pipeline is None else f"{row.weights_gib:.0f} GiB" if row.weights_gib else "unknown"
        )
        cached = "yes" if one["cached"] else "mirror" if one["mirrors"] else "" if row.pipeline else "-"
        table.add_row(
            row.name,
            (row.pipeline or "").removesuffix("Pipeline"),
            f"{row.frames} at {float(row.fps):g} fps, {row.frame_rule}",
            f"{size} only" if row.fixed_size else size,
            weights,
            cached,
            str(one["here"]),
            row.licence,
        )
    console.print(table)
    basis = "weights: of the denoiser and known encoders in bfloat16; here: by those weights; neither was measured"
    console.print(Text(basis), soft_wrap=True)


def check(spec: ModelSpec, clock: Clock) -> Checked:
    """Resolves, loads and renders one take of the fewest frames, small, in two steps.

    Raises InputError for a model that cannot be used here, and TakeError for a take that cannot be made.
    """
    where = "models check"
    _, family = chosen(spec, RenderSpec(), where=where)
    model, family = chosen(spec, _small(family), where=where)
    one = backend(model)
    began_s = clock.monotonic_s()
    one.load()
    loaded_s = clock.monotonic_s()
    width, height = one.frame_size(*_STILL_PX)
    still = fit(_still(), width, height)
    started_s = clock.monotonic_s()
    frames = one.render(still, _task(model), lambda done, steps: None)
    ended_s = clock.monotonic_s()
    checked = Checked(
        name=model.name,
        family=model.family,
        revision=model.revision,
        path=redact(model.path) if model.path else None,
        accelerator=one.accelerator,
        dtype=one.fingerprint().get("dtype"),
        frames=len(frames),
        size=f"{width}x{height}",
        steps=model.steps,
        load_s=loaded_s - began_s,
        render_s=ended_s - started_s,
        held_bytes=one.held_bytes(),
        peak_bytes=peak_bytes(one.accelerator),
        warnings=warnings(model, family),
    )
    one.close()
    return checked


def show_check(console: Console, checked: Checked) -> None:
    steps = f", {checked.steps} steps" if checked.steps else ""
    whose = " of this process" if checked.accelerator == "CPU" else ""
    lines = (
        f"{checked.name}: {checked.family} {checked.revision}"
        + (f" from {checked.path}" if checked.path else ""),
        f"on: {checked.accelerator}" + (f" in {checked.dtype}" if checked.dtype else ""),
        f"loaded in {checked.load_s:.1f} s",
        f"rendered {checked.frames} frames of {checked.size}{steps} in {checked.render_s:.1f} s",
        f"memory: {checked.held_bytes / _GIB:.2f} GiB held, {checked.peak_bytes / _GIB:.2f} GiB at the peak{whose}",
    )
    for line in lines:
        console.print(Text(line), soft_wrap=True, highlight=False)


def _small(family: Family) -> RenderSpec:
    """The fewest frames of a family in a small size."""
    edge = -(-_EDGE_PX // family.size_multiple) * family.size_multiple
    return RenderSpec(
        frames=max(family.least_frames, family.frame_step + 1 if family.frame_step > 1 else _FRAMES),
        size="native" if family.fixed_size else f"{edge}x{edge}",
        steps=_STEPS if family.steps else None,
    )


def _still() -> Pixels:
    """A picture with a sky, a ground and edges, made in code."""
    width, height = _STILL_PX
    down, across = np.mgrid[0:height, 0:width]
    sky = np.stack((90 + down // 12, 140 + down // 12, 230 - down // 12), axis=-1)
    ground = np.stack((60 + across // 30, 120 - across // 40, 60 + 0 * across), axis=-1)
    picture = np.where((down < height * 0.6)[..., None], sky, ground)
    picture[(across // 160 % 4 == 1) & (down > height * 0.35) & (down < height * 0.8)] = (150, 110, 90)
    return picture.astype(np.uint8)


def _task(model: Model) -> Task:
    still = Still("check", "made in code", "models check")
    motion = Motion("check", "a slow push in", camera="push-in")
    name = sha256_hex(canonical(model).encode())
    return Task(name[:32], still, name, motion, motion.prompt, model, seed=0)


def _is_cached(family: Family) -> bool:
    """Whether a family's own checkpoint is whole in the hub's cache on this machine."""
    folder = hub.cached(family.repo, family.revision) if family.repo else None
    return folder is not None and weights_bytes(folder) is not None


def _mirrors() -> dict[str, list[str]]:
    """Revisions in this machine's mirrors, by the family that each is of."""
    found: dict[str, list[str]] = {}
    home = mirror.cache_root() / "models"
    for notes in sorted(home.glob(f"*/{mirror.NOTES}")):
        folder = notes.parent
        if folder.suffix == ".partial" or weights_bytes(folder) is None:
            continue
        family = recognised(Checkpoint.glance(Folder(folder, str(folder))), FAMILIES.values())
        if family is not None:
            found.setdefault(family.name, []).append(folder.name)
    return found
