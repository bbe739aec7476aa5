"""What ambient effects are made of: layers over the still at an instant, and the ground they are computed on.

All maps are torch tensors at analysis size (h, w). Invariants: at time 0 every layer is zero, so that a first frame
is the still; a shift is at most its effect's amplitude, and `taper` brings it to nothing at the frame's border fast
enough that sampling never leaves the still.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from farm.render.lens import unit_grid
from farm.values import Pixels

_WAKE_S = 0.6  # in which an effect gathers strength out of the still
_TAPER = 0.1  # of half an edge, at the least: the rim in which displacement dies down
_SMOOTHSTEP_OVER_LINE = 1.125  # the largest ratio of smoothstep(t) to t, at t = 3/4


@dataclass(frozen=True, slots=True)
class Layers:
    """What an effect does at one instant; None is nothing.

    shift (2, h, w): x and y of the sampling, in the still's -1..1; then a pixel value becomes
    value * (1 + gain) + lift, both (k, h, w) with k of 1 or 3 channels, lift in 0..255.
    """

    shift: Tensor | None = None
    gain: Tensor | None = None
    lift: Tensor | None = None


Field: TypeAlias = Callable[[float], Layers]  # of the time in seconds


@dataclass(frozen=True, slots=True)
class Stage:
    """Where an effect plays: its region's `mask` (h, w), `centre` (x, y) and the `places` seen there (none: a
    fallback); the still's `picture` (h, w, 3); how long the take is."""

    mask: Tensor
    centre: tuple[float, float]
    places: tuple[str, ...]
    picture: Pixels
    seconds: float

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) in cells."""
        return self.mask.shape[0], self.mask.shape[1]

    @property
    def across(self) -> tuple[float, float]:
        """Half an edge, x and y, in units of half the shorter edge: (1.78, 1) for 16:9."""
        height, width = self.size
        short = min(height, width)
        return width / short, height / short

    def square(self) -> tuple[Tensor, Tensor]:
        """x and y (h, w), both in half the shorter edge."""
        grid = unit_grid(*self.size, self.mask.device)[0]
        across_x, across_y = self.across
        return grid[..., 0] * across_x, grid[..., 1] * across_y

    def shift(self, x: Tensor, y: Tensor, share: float) -> Tensor:
        """The shift (2, h, w) that moves the content by (x, y) times `share` of the shorter edge."""
        across_x, across_y = self.across
        return torch.stack((x * (-2 * share / across_x), y * (-2 * share / across_y)))


def total(layers: Sequence[Layers]) -> Layers:
    """All layers at once."""
    return Layers(
        shift=_sum([layer.shift for layer in layers]),
        gain=_sum([layer.gain for layer in layers]),
        lift=_sum([layer.lift for layer in layers]),
    )


def taper(height: int, width: int, shares: float, device: torch.device) -> Tensor:
    """(2, h, w) in 0..1: the factor of the x and y shifts of effects whose amplitudes sum to `shares`.

    `shares` is of the shorter edge. With r the largest shift, d the distance to the border and w = 1.125 r the rim:
    r smoothstep(d / w) <= d, and as a distance to the border is concave, interpolating between cells keeps it so.
    """
    grid = unit_grid(height, width, device)[0]
    factors = []
    for axis, edge in ((0, width), (1, height)):
        largest = 2 * shares * min(height, width) / edge
        rim = max(_TAPER, _SMOOTHSTEP_OVER_LINE * largest)
        t = ((1 - grid[..., axis].abs()) / rim).clamp(0, 1)
        factors.append(t * t * (3 - 2 * t))
    return torch.stack(factors)


def noise(
    seed: int,
    size: tuple[int, int],
    cells: float,
    device: torch.device,
    *,
    octaves: int = 1,
    stretch: float = 1.0,
) -> Tensor:
    """(h, w), smooth, about -1..1: bumps of 1 / `cells` of the shorter edge, `stretch` times as wide as high.

    Drawn on the CPU: the same field for the same seed on every device.
    """
    draw = torch.Generator().manual_seed(seed)
    height, width = size
    short = min(height, width)
    summed, power = torch.zeros(1, 1, height, width), 0.0
    for octave in range(octaves):
        n = cells * 2**octave / short
        coarse = max(2, round(n * height)), max(2, round(n * width / stretch))
        layer = torch.rand(1, 1, *coarse, generator=draw) * 2 - 1
        weight = 0.55**octave
        summed += weight * functional.interpolate(layer, size, mode="bicubic", align_corners=True)
        power += weight**2
    field: Tensor = summed[0, 0] / power**0.5
    return field.to(device)


def wake(t: float) -> float:
    """0 at the first frame, 1 from 0.6 s on."""
    u = min(1.0, t / _WAKE_S)
    return u * u * (3 - 2 * u)


def _sum(parts: Sequence[Tensor | None]) -> Tensor | None:
    summed: Tensor | None = None
    for part in parts:
        if part is not None:
            summed = part if summed is None else summed + part
    return summed
