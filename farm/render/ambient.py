"""The table of ambient effects, and all of a take's effects as one field."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import torch

from farm.render import lighting, moving
from farm.render.choreography import Effect
from farm.render.fields import Field, Layers, Stage, taper, total
from farm.render.regions import region
from farm.render.survey import Survey

_MAKERS: Final[Mapping[str, Callable[[Effect, Stage], Field]]] = {
    "sway": moving.sway,
    "ripple": moving.ripple,
    "breathe": moving.breathe,
    "drift": lighting.drift,
    "flicker": lighting.flicker,
}
_UNFOUND: Final = 0.6  # of the amplitude, where a fallback may well move what is rigid
_DISPLACES: Final = frozenset({"sway", "ripple", "breathe"})


def compose(effects: tuple[Effect, ...], seen: Survey, seconds: float, device: torch.device) -> Field:
    """The sum of all effects over one still, its shift tapered to nothing at the frame's border."""
    fields = [_field(effect, seen, seconds, device) for effect in effects]
    shares = sum(effect.amplitude for effect in effects if effect.name in _DISPLACES)
    rim = taper(*seen.size, shares, device)

    def field(t: float) -> Layers:
        layers = total([each(t) for each in fields])
        return layers if layers.shift is None else Layers(layers.shift * rim, layers.gain, layers.lift)

    return field


def _field(effect: Effect, seen: Survey, seconds: float, device: torch.device) -> Field:
    where = region(seen, effect.name, effect.places)
    if not where.places and effect.name in _DISPLACES:
        effect = replace(effect, amplitude=_UNFOUND * effect.amplitude)
    mask = torch.from_numpy(where.mask).to(device)
    stage = Stage(mask, where.centre, where.places, seen.picture, seconds)
    return _MAKERS[effect.name](effect, stage)
