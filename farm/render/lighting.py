"""Ambient effects that change light rather than place: drift, flicker. See `fields.py` for what they keep to."""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from farm.render.choreography import Effect
from farm.render.fields import Field, Layers, Stage, noise, wake
from farm.render.lens import sample, unit_grid
from farm.render.maps import box, worn
from farm.values import Pixels

_BRIGHT, _GREY = 232.0, 140.0  # of a veil over dark and over bright ground
_CLOUD_BRIGHT, _CLOUD_OVER, _CLOUD_UNDER = 246.0, 60.0, 36.0  # of clouds: at most; over and under the sky
_LONGEST_DRIFT = 0.5  # of the width in a whole take: what a mirrored sky can give
_WARM = (1.0, 0.78, 0.5)


@dataclass(frozen=True, slots=True)
class _Look:
    """A veil: its speed and its opacity per amplitude of the effect, the size and shape of its billows, how much of
    the region they cover (0 is half)."""

    rising: bool
    pace: float
    opacity: float
    cells: float
    stretch: float
    cover: float


_CLOUDS: Final = _Look(rising=False, pace=3.0, opacity=45.0, cells=3.0, stretch=2.0, cover=0.0)
_MIST: Final = _Look(rising=False, pace=4.0, opacity=26.0, cells=2.2, stretch=2.2, cover=0.45)
_SMOKE: Final = _Look(rising=True, pace=7.0, opacity=42.0, cells=4.0, stretch=0.55, cover=0.45)


def drift(effect: Effect, stage: Stage) -> Field:
    """A sky or fog that the still has drifts sideways, thin new clouds with it; elsewhere a veil is drawn over the
    picture: mist that crosses it, or smoke that rises."""
    if "sky" in stage.places:
        return _flow(effect, stage)
    return _veil(effect, stage, _SMOKE if "smoke" in stage.places else _MIST)


def flicker(effect: Effect, stage: Stage) -> Field:
    """Firelight: warm, not everywhere at once, under 3 Hz so that it reads as light and not as a fault."""
    bumps = 0.5 * noise(effect.field_seed, stage.size, 3, stage.mask.device)
    warm = torch.tensor(_WARM, device=stage.mask.device)[:, None, None]
    parts = ((0.55, 0.5), (1.13, 0.3), (2.07, 0.2))

    def field(t: float) -> Layers:
        glow = torch.zeros_like(stage.mask)
        for n, (hertz, weight) in enumerate(parts):
            glow = glow + weight * torch.sin(
                2 * pi * (hertz * effect.tempo * t + (n + 1) * effect.phase) + bumps
            )
        return Layers(gain=warm * (wake(t) * effect.amplitude * stage.mask * glow))

    return field


def _flow(effect: Effect, stage: Stage) -> Field:
    """The region's picture moves behind everything else: the difference of the moved to the standing `plate` is
    added inside the mask, so that nothing in front of it can be dragged along.

    The plate goes on as its mirror image beyond the frame, as new sky has to come from somewhere. Thin clouds and
    their shades go with it, or a clear sky would show nothing.
    """
    height, width = stage.size
    device = stage.mask.device
    plate = _plate(stage.picture, stage.mask)
    billows = _billows(effect, stage, _CLOUDS)
    brighter = (_CLOUD_BRIGHT - plate[0]).clamp(0, _CLOUD_OVER)
    opacity = stage.mask * (_CLOUDS.opacity * effect.amplitude)
    travel = min(_LONGEST_DRIFT, effect.amplitude * effect.tempo * stage.seconds)
    margin = min(width - 1, round(width * travel) + 2)
    wide = functional.pad(plate, (margin, margin, 0, 0), mode="reflect")
    whole = width - 1 + 2 * margin
    grid = unit_grid(height, width, device) * torch.tensor(((width - 1) / whole, 1.0), device=device)
    step = -2 * effect.side * travel * width / whole / max(stage.seconds, 1e-6)

    def field(t: float) -> Layers:
        there = grid + torch.tensor((step * t, 0.0), device=device)
        density = (billows(t) + _CLOUDS.cover).clamp(-1, 1)
        clouds = density.clamp(min=0) * brighter + density.clamp(max=0) * _CLOUD_UNDER
        return Layers(lift=(sample(wide, there) - plate)[0] * stage.mask + wake(t) * opacity * clouds)

    return field


def _veil(effect: Effect, stage: Stage, look: _Look) -> Field:
    """A veil of smoke or mist over the picture, grey against what is bright."""
    billows = _billows(effect, stage, look)
    bright = torch.from_numpy(box(stage.picture.mean(axis=2, dtype=np.float32), 7)).to(stage.mask.device)
    tone = _BRIGHT + (_GREY - _BRIGHT) * ((bright - 150) / 70).clamp(0, 1)
    opacity = stage.mask * (look.opacity * effect.amplitude)

    def field(t: float) -> Layers:
        thick = ((billows(t) + look.cover) / 1.2).clamp(0, 1)
        veil = (wake(t) * opacity * thick * thick * (3 - 2 * thick))[None]
        return Layers(gain=-veil, lift=veil * tone)

    return field


def _billows(effect: Effect, stage: Stage, look: _Look) -> Callable[[float], Tensor]:
    """Drifting noise (h, w), about -1..1, at a time in seconds: two layers at different speeds, so that it curls and
    parts."""
    height, width = stage.size
    device = stage.mask.device
    axis = 1 if look.rising else 0
    travel = look.pace * effect.amplitude * effect.tempo * stage.seconds
    canvases, scales = [], []
    for n, pace in enumerate((1.0, 0.6)):
        more = 1 + pace * travel  # each canvas is longer than the frame by what its layer drifts in the take
        size = (round(height * more), width) if look.rising else (height, round(width * more))
        cells = look.cells * (1 + n)
        canvas = noise(effect.field_seed + n, size, cells, device, octaves=4, stretch=look.stretch)
        canvases.append(canvas[None, None])
        scales.append(1 / more)
    grid = unit_grid(height, width, device)
    way = 1.0 if look.rising else -effect.side  # the canvas is read further down for what moves up

    def density(t: float) -> Tensor:
        passed = 2 * t / max(stage.seconds, 1e-6) - 1
        summed = torch.zeros_like(stage.mask)
        for canvas, scale in zip(canvases, scales, strict=True):
            there = grid.clone()
            there[..., axis] = grid[..., axis] * scale + way * passed * (1 - scale)
            summed = summed + 0.7 * sample(canvas, there)[0, 0]
        return summed

    return density


def _plate(picture: Pixels, mask: Tensor) -> Tensor:
    """(1, 3, h, w): the picture with everything outside the mask filled in from inside it, ever more smoothly."""
    # Worn: cells at the region's edge hold some of what stands before it, and would carry it away.
    weight = worn(mask.cpu().numpy(), 4)[..., None] ** 2
    filled, whole = picture * weight, weight
    for radius in (2, 6, 18, 54, 160):
        colour, support = box(picture * weight, radius), box(weight, radius)[..., None]
        need = np.clip(1 - whole, 0, 1) * np.clip(4 * support, 0, 1)
        filled, whole = filled + need * colour / np.maximum(support, 1e-4), whole + need
    plate = np.ascontiguousarray((filled / np.maximum(whole, 1e-4)).transpose(2, 0, 1), np.float32)
    return torch.from_numpy(plate).to(mask.device)[None]
