"""What a job would render: counts from the grid, time and money from takes of this run that were really rendered.

Invariant: a figure that nothing was measured for is unknown (None), and says so; counting costs the same for any
grid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from farm.plan.planning import Plan
from farm.prices import cost_usd


@dataclass(frozen=True, slots=True)
class Timing:
    """What takes of one model took: how many were measured, seconds of render (mean), and on what.

    `spread` is the standard deviation of those over their mean, `finish_s` the mean of what came after the render,
    `accepted` the share that the scorer accepted.
    """

    takes: int
    render_s: float
    accelerator: str
    spread: float
    finish_s: float
    accepted: float


Interval: TypeAlias = tuple[
    float, float, float
]  # the tenth, the middle and the ninetieth percentile of nights


@dataclass(frozen=True, slots=True)
class Forecast:
    """What simulated nights of a whole job came to. `scale`: stills, and workers, of the job for one simulated.

    `done_twice` are attempts that were lost after they had begun. `workers`: ready in equal steps of a typical night.
    `ended` counts nights by how they ended. `rests_on` says what was measured, given and assumed.
    """

    name: str
    nights: int
    seed: int
    scale: float
    workers_max: int
    shots: int
    wall_s: Interval
    cost_usd: Interval | None
    takes: Interval
    done_twice: Interval
    given_up: Interval
    accepted: Interval
    load_share: float
    lost_share: float
    ended: Mapping[str, int]
    workers: tuple[float, ...]
    rests_on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelEstimate:
    """One model's part. Pairs are (with `takes.min` for every shot, with `takes.max`).

    `frames` are rendered, at `rendered_fps` where `fps` is reached by interpolation.
    """

    name: str
    shots: int
    takes: tuple[int, int]
    frames: int
    fps: float
    rendered_fps: float | None
    size: str
    render_s: tuple[float, float] | None
    cost_usd: tuple[float, float] | None
    rests_on: str


@dataclass(frozen=True, slots=True)
class Estimate:
    name: str
    output: str
    stills: int
    motions: int
    shots: int
    takes: tuple[int, int]
    workers_max: int
    models: tuple[ModelEstimate, ...]
    wall_s: tuple[float, float] | None  # if all workers the job allows were there at once
    cost_usd: tuple[float, float] | None
    budget_usd: float | None
    budget_hours: float | None
    forecast: Forecast | None  # None where nothing was measured that it could rest on


def estimate(
    plan: Plan, timings: Mapping[str, Timing], *, output: str, forecast: Forecast | None = None
) -> Estimate:
    """The estimate of a plan; `timings` are by model name, empty where nothing was rendered yet."""
    grid, job = plan.grid, plan.job
    per_model = grid.stills * len(grid.motions)
    low, high = per_model * job.takes.min, per_model * job.takes.max
    models = []
    for model in grid.models:
        timing = timings.get(model.name)
        usd = (
            cost_usd(job.prices, timing.accelerator, plan.gpus_per_worker, timing.render_s)
            if timing
            else None
        )
        models.append(
            ModelEstimate(
                name=model.name,
                shots=per_model,
                takes=(low, high),
                frames=model.frames,
                fps=float(model.fps),
                rendered_fps=float(model.rendered_fps) if model.rendered_fps else None,
                size=model.size,
                render_s=(low * timing.render_s, high * timing.render_s) if timing else None,
                cost_usd=(low * usd, high * usd) if usd is not None else None,
                rests_on=f"{timing.takes} takes of this run on {timing.accelerator}"
                if timing
                else "nothing rendered yet: time and cost are unknown",
            )
        )
    render_s = _total([model.render_s for model in models])
    return Estimate(
        name=job.name,
        output=output,
        stills=grid.stills,
        motions=len(grid.motions),
        shots=grid.shots,
        takes=(grid.shots * job.takes.min, grid.shots * job.takes.max),
        workers_max=job.workers.max,
        models=tuple(models),
        wall_s=(render_s[0] / job.workers.max, render_s[1] / job.workers.max) if render_s else None,
        cost_usd=_total([model.cost_usd for model in models]),
        budget_usd=job.budget.usd,
        budget_hours=job.budget.hours,
        forecast=forecast,
    )


def _total(pairs: list[tuple[float, float] | None]) -> tuple[float, float] | None:
    """The sums of both ends; unknown as soon as one of them is."""
    known = [pair for pair in pairs if pair is not None]
    if len(known) < len(pairs):
        return None
    return sum(low for low, _ in known), sum(high for _, high in known)
