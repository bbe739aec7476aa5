"""Ambient effects that displace: sway, ripple, breathe. See `fields.py` for what they keep to."""

from dataclasses import dataclass
from math import cos, pi, sin

import torch
from torch import Tensor

from farm.render.choreography import Effect
from farm.render.fields import Field, Layers, Stage, noise, wake

_SHADE = (
    12.0  # brightness of a wave's slope per share of displacement: what shows on water without any texture
)


def sway(effect: Effect, stage: Stage) -> Field:
    """Wind: a gust that travels through the region, a faster tremble riding on it. Plants are anchored below and
    move as a whole; hair and cloth move in folds."""
    x, y = stage.square()
    bumps = 1.2 * noise(effect.field_seed, stage.size, 4, stage.mask.device)
    loose = bool({"hair", "cloth"} & set(stage.places))
    k, hertz = (5.5, 0.7) if loose else (1.3, 0.5)
    hertz *= effect.tempo
    along = effect.side * 0.9 * x + (0.6 if loose else 0.15) * y
    slow_at, fast_at = k * along + bumps, 2.7 * k * along + 2.1 * bumps
    free = stage.mask if loose else stage.mask * (0.35 + 0.65 * (0.5 - 0.5 * y / stage.across[1]))

    def field(t: float) -> Layers:
        slow = 2 * pi * (hertz * t + effect.phase) - slow_at
        fast = torch.sin(2 * pi * (2.3 * hertz * t + 2 * effect.phase) - fast_at)
        dx = 0.75 * torch.sin(slow) + 0.25 * fast
        dy = 0.3 * torch.cos(slow)
        return Layers(shift=stage.shift(dx * free, dy * free, wake(t) * effect.amplitude))

    return field


@dataclass(frozen=True, slots=True)
class _Wave:
    phase: Tensor  # (h, w)
    speed: float  # radians a second
    direction: tuple[float, float]


def ripple(effect: Effect, stage: Stage) -> Field:
    """A few crossing waves, shorter towards the horizon on open water; their slopes catch the light."""
    open_water = "liquid" not in stage.places and "reflection" not in stage.places
    waves, reach = _water(effect, stage) if open_water else _surface(effect, stage)
    reach = reach * stage.mask
    share = 1 / len(waves)

    def field(t: float) -> Layers:
        dx, dy, slope = (torch.zeros_like(reach) for _ in range(3))
        for wave in waves:
            angle = wave.phase - wave.speed * t
            height = share * torch.sin(angle)
            dx, dy = dx + wave.direction[0] * height, dy + wave.direction[1] * height
            slope = slope + share * torch.cos(angle)
        strength = wake(t) * effect.amplitude
        return Layers(
            shift=stage.shift(dx * reach, dy * reach, strength),
            gain=(_SHADE * strength * stage.mask * slope)[None],
        )

    return field


def breathe(effect: Effect, stage: Stage) -> Field:
    """A slow swell about the region's centre and a lift of it, a breath in three seconds."""
    x, y = stage.square()
    x, y = x - stage.centre[0] * stage.across[0], y - stage.centre[1] * stage.across[1]
    weight = stage.mask / stage.mask.sum().clamp(min=1e-6)
    radius = 1.2 * float((weight * (x**2 + y**2)).sum()) ** 0.5 + 1e-3
    length = (radius**2 + x**2 + y**2).sqrt()
    dx, dy = 0.6 * x / length * stage.mask, (0.6 * y / length - 0.4) * stage.mask
    hertz = 0.33 * effect.tempo

    def field(t: float) -> Layers:
        turn = 2 * pi * hertz * t
        breath = (1 - cos(turn + 0.25 * sin(turn))) / 2  # out a little slower than in
        return Layers(shift=stage.shift(dx, dy, breath * effect.amplitude))

    return field


def _water(effect: Effect, stage: Stage) -> tuple[list[_Wave], Tensor]:
    """Waves on water seen at a slant. Their length shrinks with the distance below the horizon, which is taken to
    lie just above the region; so does their height."""
    x, y = stage.square()
    bumps = 1.3 * noise(effect.field_seed, stage.size, 6, stage.mask.device)
    rows = torch.nonzero(stage.mask.amax(dim=1) > 0.3)
    horizon = float(y[int(rows[0]) if len(rows) else 0, 0]) - 0.12
    below = ((y - horizon) / (stage.across[1] - horizon + 0.12)).clamp(0.1, 1)
    waves = []
    for n, turn in enumerate(_turns(effect)):
        k = 15.0 * (1 + 0.5 * n)
        phase = k * torch.log(below) + 5 * (turn - 0.5) * x / below.sqrt() + bumps + 2 * pi * turn
        waves.append(_Wave(phase, 1.1 * effect.tempo * k**0.5, (0.35, 0.9)))
    return waves, (2.5 * below).clamp(max=1)


def _surface(effect: Effect, stage: Stage) -> tuple[list[_Wave], Tensor]:
    """Waves on a surface seen from above: one ring about its middle, the others plane, from all sides."""
    x, y = stage.square()
    bumps = 0.9 * noise(effect.field_seed, stage.size, 6, stage.mask.device)
    middle = torch.hypot(x - stage.centre[0] * stage.across[0], 1.5 * (y - stage.centre[1] * stage.across[1]))
    k0 = 26.0 if "liquid" in stage.places else 13.0
    waves = []
    for n, turn in enumerate(_turns(effect)):
        k, angle = k0 * (0.7 + 0.25 * n), 2 * pi * turn
        direction = cos(angle), sin(angle)
        way = middle if n == 0 else direction[0] * x + direction[1] * y
        waves.append(_Wave(k * way + bumps + 6 * turn, 1.1 * effect.tempo * k**0.5, direction))
    return waves, torch.ones_like(x)


def _turns(effect: Effect) -> list[float]:
    """Four numbers in 0..1, of the effect's own seed."""
    draw = torch.Generator().manual_seed(effect.field_seed)
    turns: list[float] = torch.rand(4, generator=draw).tolist()
    return turns
