"""Where in a still an ambient effect lives: a soft mask, from what the words named and what the still shows.

Invariant: a mask is never empty. Where a still has no such place (no sky, no water), a soft one about the subject or
in the likeliest part of the frame stands in, so that the clip shows what the motion says rather than nothing;
`places` tells which it was.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from farm.render import places as find
from farm.render.maps import Map, blur, distance, ramp
from farm.render.survey import Survey


@dataclass(frozen=True, slots=True)
class Region:
    """`mask` (h, w) in 0..1, where the effect lives; `centre` (x, y) in -1..1 of it; `places`: what was seen in the
    still there, empty for a fallback."""

    mask: Map
    centre: tuple[float, float]
    places: tuple[str, ...]


def region(seen: Survey, effect: str, places: Sequence[str]) -> Region:
    """The region of an effect of `wording.AMBIENTS`: all the named places that the still has, else the first other
    that it has, else a fallback."""
    finders = _FINDERS[effect]
    masks = {place: finder(seen) for place, finder in finders.items() if place in places}
    masks = {place: mask for place, mask in masks.items() if mask.mean() >= find.ENOUGH}
    if not masks:
        others = [place for place in finders if place not in places and place not in _DRAWN]
        masks = _first(seen, {place: finders[place] for place in others})
    mask = np.maximum.reduce(list(masks.values())) if masks else _FALLBACKS[effect](seen)
    if effect in _REACH:
        mask = _settled(mask, seen, _REACH[effect])
    return Region(mask, seen.centre(mask), tuple(masks))


def focus(seen: Survey) -> tuple[float, float]:
    """(x, y) in -1..1 of what the picture is about: a face, else the middle of the subject."""
    face = find.face(seen)
    return (face.x, face.y) if face is not None else seen.centre(seen.subject)


_Finder = Callable[[Survey], Map]


def _first(seen: Survey, finders: Mapping[str, _Finder]) -> dict[str, Map]:
    for place, finder in finders.items():
        mask = finder(seen)
        if mask.mean() >= find.ENOUGH:
            return {place: mask}
    return {}


def _settled(mask: Map, seen: Survey, reach: float) -> Map:
    """A mask that displaces pixels comes to rest before rigid texture outside it, so that no edge is dragged
    along; over smooth ground it may run out softly, which nobody sees."""
    rigid = (mask < 0.25) & (seen.texture > 0.18)
    free = ramp(distance(np.asarray(~rigid)), 0.0, max(2.0, reach * max(mask.shape)))
    settled: Map = np.clip(blur(mask, 0.4 * reach) * free, 0, 1)
    return settled if settled.any() else mask


def _about_subject(seen: Survey) -> Map:
    soft = blur(seen.subject, 0.04)
    mask: Map = np.clip(0.6 * soft + 0.5 * soft * seen.middle + 0.25 * seen.middle, 0, 1)
    return mask


def _lower(seen: Survey) -> Map:
    return np.clip(ramp(seen.y, -0.1, 0.6) * ramp(seen.texture, 0.8, 0.2) + 0.2 * _about_subject(seen), 0, 1)


def _air(seen: Survey) -> Map:
    """The upper half, thinning downwards and towards the frame's sides."""
    return ramp(seen.y, 0.7, -0.5) * (0.4 + 0.6 * ramp(np.abs(seen.x), 1.1, 0.2))


def _everywhere(seen: Survey) -> Map:
    return 0.35 + 0.65 * seen.middle * ramp(seen.lightness, 0.1, 0.6)


# In order of likelihood: where no word names a place, the first that the still has.
_FINDERS: Final[Mapping[str, Mapping[str, _Finder]]] = {
    "sway": {"plant": find.plant, "hair": find.hair, "cloth": find.cloth},
    "ripple": {"water": find.water, "liquid": find.liquid, "reflection": find.reflection},
    "drift": {"sky": find.sky, "smoke": find.smoke},
    "flicker": {"light": find.light},
    "breathe": {"body": find.body, "face": find.face_oval},
}
_FALLBACKS: Final[Mapping[str, _Finder]] = {
    "sway": _about_subject,
    "ripple": _lower,
    "drift": _air,
    "flicker": _everywhere,
    "breathe": _about_subject,
}
_DRAWN: Final = frozenset({"smoke"})  # needs nothing in the still: only where a word asks for it
# Of the longer edge: from rigid texture outside a region to full movement inside it. Waves are small enough to come
# close to a rim; what sways as a whole is not.
_REACH: Final = {"sway": 0.03, "ripple": 0.012}
