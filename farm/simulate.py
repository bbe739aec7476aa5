"""`farm simulate`, and the forecast of `farm plan`: a job's grid, played by the ledger that would run it.

Invariants: nothing is rendered, written or waited for. What was measured in takes of this run is used; whatever else a
night depends on is assumed, and said. Without a price there are no dollars.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from farm.dispatch.board import Board
from farm.dispatch.ledger import Ledger, Limits
from farm.dispatch.night import Night, Tale
from farm.dispatch.pace import ASSUMED_LOAD_S, ASSUMED_TAKE_S
from farm.dispatch.takes import TakesRule
from farm.dispatch.world import Kind, Lasting, World
from farm.errors import InputError
from farm.plan.estimate import Forecast, Timing
from farm.plan.planning import Plan
from farm.prices import price_per_hour
from farm.render.families import FAMILIES
from farm.values import Model

NIGHTS = 10
WORK, QUICK_WORK = 1_000_000, 10_000
"""Takes times workers of one simulated night, at most; beyond that one worker stands for several. What the ledger does
for an event grows with its workers, so this is time: some four seconds, and some tenth of one."""

_COLUMNS = 60  # of the timeline
_ASSUMED = {"crashes_h": 0.01, "hangs_h": 0.002, "straggling": 0.02, "bad_starts": 0.01}
_ASSUMED_START_S, _ASSUMED_CPU_START_S = 180.0, 5.0
_ASSUMED_ACCEPT = 0.6
_ASSUMED_SPREAD = 0.3
_READS_GIB_S = 0.3  # weights from a network disk
_OWN = ("take_s", "load_s", "start_s", "accept", "price_usd_h")  # settings that are not fields of World
_RATES = tuple(one.name for one in fields(World) if isinstance(one.default, int | float))
_WHOLE = ("holds", "steps", "workers_per_node")
_SHARES = ("accept", "bad_starts", "failed", "faults", "poison", "refused", "straggling", "wave")


def forecast(
    plan: Plan,
    timings: Mapping[str, Timing],
    *,
    nights: int = NIGHTS,
    seed: int = 0,
    settings: Sequence[str] = (),
    work: int = WORK,
) -> Forecast:
    """What the whole job, from its beginning, would come to. `settings` are KEY=VALUE of the world.

    Raises InputError for a setting that there is not.
    """
    told = dict(_setting(text) for text in settings)
    world, rests_on = _world(plan, timings, told)
    stills, workers = _scale(plan, work)
    shrunk = plan.grid.stills / stills if stills else 1.0
    # One worker stands for `shrunk`; where there is less than one, the night is as much longer.
    stretched = shrunk * workers / plan.job.workers.max
    tales = [_night(plan, world, stills, workers, shrunk, seed + night) for night in range(nights)]
    tales.sort(key=lambda tale: tale.wall_s)
    typical = tales[len(tales) // 2]
    paid_s = sum(tale.paid_s for tale in tales)
    priced = all(kind.price_usd_h is not None for kind in world.kinds)
    return Forecast(
        name=plan.job.name,
        nights=nights,
        seed=seed,
        scale=shrunk,
        workers_max=plan.job.workers.max,
        shots=plan.grid.shots,
        wall_s=_spread([tale.wall_s * stretched for tale in tales]),
        cost_usd=_spread([tale.usd * shrunk for tale in tales]) if priced else None,
        takes=_spread([tale.settled * shrunk for tale in tales]),
        done_twice=_spread([tale.account.lost * shrunk for tale in tales]),
        given_up=_spread([tale.given_up * shrunk for tale in tales]),
        accepted=_spread([tale.accepted * shrunk for tale in tales]),
        load_share=sum(tale.account.load_s for tale in tales) / paid_s if paid_s else 0.0,
        lost_share=sum(tale.account.lost_s for tale in tales) / paid_s if paid_s else 0.0,
        ended=dict(Counter(tale.finish.reason for tale in tales)),
        workers=tuple(ready * plan.job.workers.max / workers for ready in _timeline(typical)),
        rests_on=rests_on,
    )


def _night(plan: Plan, world: World, stills: int, workers: int, shrunk: float, seed: int) -> Tale:
    job, grid = plan.job, plan.grid
    limits = Limits(
        workers=workers,
        usd=None if job.budget.usd is None else job.budget.usd / shrunk,
        hours=None if job.budget.hours is None else job.budget.hours * job.workers.max / (shrunk * workers),
        gpus_per_worker=plan.gpus_per_worker,
    )
    ledger = Ledger(
        Board(stills * grid.shots_per_still, grid.shots_per_still, len(grid.models)),
        grid.shots_per_still,
        TakesRule(job.takes.min, job.takes.max, job.takes.policy, plan.scoring.accept),
        limits,
        models=[model.name for model in grid.models],
    )
    night = Night(ledger, world, lambda shot: grid.model_of(shot).name, workers=workers, seed=seed)
    return night.play()


def _scale(plan: Plan, work: int) -> tuple[int, int]:
    """The stills and workers to simulate: all of them, or fewer in the same proportion."""
    stills, workers = plan.grid.stills, plan.job.workers.max
    takes = plan.grid.shots * plan.job.takes.max
    shrink = 1.0
    while takes / shrink * max(1.0, workers / shrink) > work and stills / shrink > 1:
        shrink *= 1.25
    return max(1, round(stills / shrink)) if stills else 0, max(1, round(workers / shrink))


def _setting(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if name not in (*_RATES, *_OWN):
        raise InputError(
            f"--world {text}: there is no {name!r}; there are {', '.join(sorted((*_RATES, *_OWN)))}"
        )
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    whole, most = name in _WHOLE, 1.0 if name in _SHARES else 1e9
    if not equals or not 0 <= number <= most or (whole and (number % 1 or not number)):
        kind = "a whole number from 1" if whole else "a share from 0 to 1" if most == 1 else "a number from 0"
        raise InputError(f"--world {text}: expected {name}=N, {kind}")
    return name, number


def _world(
    plan: Plan, timings: Mapping[str, Timing], told: Mapping[str, float]
) -> tuple[World, tuple[str, ...]]:
    """The world of a job, and what it rests on, a line for each thing."""
    job, models = plan.job, plan.grid.models
    accelerator = _accelerator(plan, timings)
    price = price_per_hour(job.prices, accelerator) if accelerator else None
    price = told.get("price_usd_h", price)
    start_s = told.get("start_s", _ASSUMED_START_S if plan.gpus_per_worker else _ASSUMED_CPU_START_S)
    rates = {**_ASSUMED, **{name: value for name, value in told.items() if name in _RATES}}
    world = World(
        kinds=(Kind(accelerator, Lasting(start_s, 0.5), price),),
        takes={model.name: _take(timings.get(model.name), told) for model in models},
        loads={model.name: Lasting(told.get("load_s", _load_s(model)), _ASSUMED_SPREAD) for model in models},
        accept={model.name: told.get("accept", _accept(timings.get(model.name))) for model in models},
        finish=_finish(list(timings.values())),
        limit=plan.scoring.accept,
    )
    exact: dict[str, Any] = {name: int(rate) if name in _WHOLE else rate for name, rate in rates.items()}
    world = replace(world, **exact)
    return world, tuple(_basis(plan, timings, told, accelerator, price, start_s, rates))


def _basis(
    plan: Plan,
    timings: Mapping[str, Timing],
    told: Mapping[str, float],
    accelerator: str,
    price: float | None,
    start_s: float,
    rates: Mapping[str, float],
) -> list[str]:
    lines = []
    for model in plan.grid.models:
        timing = timings.get(model.name)
        load = "given" if "load_s" in told else "assumed"
        take = (
            f"{told['take_s']:g} s, given"
            if "take_s" in told
            else f"{timing.render_s:.1f} s, from {timing.takes} takes of this run on {timing.accelerator}"
            if timing
            else f"{ASSUMED_TAKE_S:g} s, assumed: nothing was rendered yet"
        )
        lines.append(
            f"{model.name}: a take {take}; loading {told.get('load_s', _load_s(model)):.0f} s, {load}"
        )
    shares = {told.get("accept", _accept(timings.get(model.name))) for model in plan.grid.models}
    known = (
        "given" if "accept" in told else "measured" if len(timings) == len(plan.grid.models) else "assumed"
    )
    lines.append(f"accepted takes: {' to '.join(f'{share:.0%}' for share in sorted(shares))}, {known}")
    lines.append(
        f"price: ${price:,.2f} an hour of {accelerator or 'a worker'}"
        if price is not None
        else "price: unknown, so no dollars; give prices in the job"
    )
    began = "given" if "start_s" in told else "assumed"
    given = ", ".join(
        f"{name}={value:g}" + ("" if name in told else " (assumed)") for name, value in rates.items()
    )
    lines.append(f"a worker starts in {start_s:g} s, {began}; {given}")
    return lines


def _accelerator(plan: Plan, timings: Mapping[str, Timing]) -> str:
    """Where takes of this run were rendered, else the only one that the job has a price for."""
    if timings:
        return max(timings.values(), key=lambda timing: timing.takes).accelerator
    return next(iter(plan.job.prices)) if len(plan.job.prices) == 1 else ""


def _take(timing: Timing | None, told: Mapping[str, float]) -> Lasting:
    if "take_s" in told or timing is None:
        return Lasting(told.get("take_s", ASSUMED_TAKE_S), _ASSUMED_SPREAD)
    return Lasting(timing.render_s, timing.spread)


def _load_s(model: Model) -> float:
    family = FAMILIES.get(model.family)
    if family is None:
        return ASSUMED_LOAD_S
    if family.pipeline is None:
        return 1.0  # it has no weights
    return ASSUMED_LOAD_S if family.weights_gib is None else family.weights_gib / _READS_GIB_S


def _accept(timing: Timing | None) -> float:
    return _ASSUMED_ACCEPT if timing is None else timing.accepted


def _finish(timings: Sequence[Timing]) -> Lasting:
    takes = sum(timing.takes for timing in timings)
    return (
        Lasting(sum(timing.finish_s * timing.takes for timing in timings) / takes) if takes else Lasting(2.0)
    )


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    """The tenth, the middle and the ninetieth percentile."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return ordered[round(last * 0.1)], ordered[round(last * 0.5)], ordered[round(last * 0.9)]


def _timeline(tale: Tale) -> list[int]:
    """How many workers were ready, in equal steps of the night."""
    found, at, ready = [], 0, 0
    for column in range(_COLUMNS):
        until_s = tale.wall_s * (column + 0.5) / _COLUMNS
        while at < len(tale.workers) and tale.workers[at][0] <= until_s:
            ready, at = tale.workers[at][1], at + 1
        found.append(ready)
    return found
