"""What a prompt says in the vocabulary of a renderer without language understanding.

A word list with simple morphology: no grammar, no negation. Invariant: pure, and every answer is of the library's
own vocabulary (`CAMERAS`, `AMBIENTS`).
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final, get_args

from farm.values import Ambient, Camera

CAMERAS: Final[tuple[str, ...]] = get_args(Camera)
AMBIENTS: Final[tuple[str, ...]] = get_args(Ambient)

# effect -> where it lives -> words; the first place of each effect is where it is sought when no word names one.
_PLACES: Final = {
    "sway": {
        "plant": "leaf leaves foliage tree branch grass flower petal plant reed wheat meadow palm fern blossom bush "
        "stem vine crop forest garden",
        "hair": "hair hairs strand fur mane whisker ponytail beard bangs braid feather",
        "cloth": "cloth clothes fabric dress curtain flag scarf sail skirt silk linen banner laundry sleeve coat "
        "ribbon robe cape fold",
        "": "wind windy breeze breezy gust sway flutter rustle",
    },
    "ripple": {
        "water": "water lake sea ocean river wave wavy waving pond surf tide fountain waterfall brook creek harbour "
        "harbor",
        "liquid": "liquid pour coffee tea drink wine milk soup juice beer honey syrup sauce espresso",
        "reflection": "reflection reflect mirror glint shimmer gleam sheen shiny glossy",
        "": "ripple splash",
    },
    "drift": {
        "sky": "cloud cloudy sky fog foggy mist misty haze hazy",
        "smoke": "smoke smoky steam steamy vapor vapour incense dust",
        "": "drift billow swirl",
    },
    "flicker": {
        "light": "fire flame firelight candle candlelight flicker ember torch fireplace lantern campfire bonfire glow",
    },
    "breathe": {
        "body": "breath breathe chest walk inhale exhale shoulder stride",
        "face": "smile expression blink wink grin brow gaze glance",
    },
}

_IN = "in into toward towards closer forward forwards nearer"
_OUT = "out back away backward backwards"
# camera verb -> (direction words -> move), the move without any direction.
_VERBS: Final = {
    "push": ({_IN: "push-in", _OUT: "pull-out"}, "push-in"),
    "zoom": ({_OUT: "pull-out", _IN: "push-in"}, "push-in"),
    "dolly": ({_OUT: "pull-out", _IN: "push-in", "left": "pan-left", "right": "pan-right"}, "push-in"),
    "pull": ({_OUT: "pull-out"}, "pull-out"),
    "pan": ({"left": "pan-left", "right": "pan-right", "up": "tilt-up", "down": "tilt-down"}, "pan-right"),
    "tilt": ({"up upward upwards": "tilt-up", "down downward downwards": "tilt-down"}, "tilt-up"),
    "orbit": ({"left": "orbit-left", "right": "orbit-right"}, "orbit-right"),
    "arc": ({"left": "orbit-left", "right": "orbit-right"}, "orbit-right"),
}
_LOOSE_VERBS: Final = frozenset("move glide drift creep float slide travel track truck come ease".split())
_LOOSE_MOVES: Final = {
    _IN: "push-in",
    _OUT: "pull-out",
    "left": "pan-left",
    "right": "pan-right",
    "up": "tilt-up",
    "down": "tilt-down",
}
_STILL_WORDS: Final = "static locked fixed stationary motionless still tripod unmoving"
_AHEAD = 6  # "pans very slowly and steadily to the left"
_BODY_PARTS: Final = frozenset("head face chin body".split())


def stem(word: str) -> str:
    """A lower-case word without its commonest endings: `ripples`, `rippling`, `rippled` are all `rippl`."""
    if word.endswith("ing") and len(word) > 5:
        word = word[:-3]
    elif word.endswith("ed") and len(word) > 4:
        word = word[:-2]
    elif word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        word = word[:-1]
    if word.endswith("e") and len(word) > 4:
        word = word[:-1]
    if len(word) > 3 and word[-1] == word[-2] and word[-1] in "bdgmnprt":
        word = word[:-1]
    return word


def camera_in(prompt: str) -> str | None:
    """The first camera move that the prompt names, `static` where it only says that the camera rests, else None."""
    words = _words(prompt)
    for at, word in enumerate(words):
        move = _move_at(words, at, word)
        if move is not None:
            return move
    resting = _stems(_STILL_WORDS)
    for at, word in enumerate(words):
        if word in ("camera", "shot") and resting.intersection(words[max(0, at - 2) : at + 4]):
            return "static"
    return None


def ambients_in(prompt: str) -> tuple[str, ...]:
    """The ambient effects that the prompt's words name, in the order of `AMBIENTS`."""
    words = _scene_words(prompt)
    return tuple(name for name in AMBIENTS if any(words & stems for stems in _STEMS[name].values()))


def places_in(prompt: str, effect: str) -> tuple[str, ...]:
    """Where the prompt's words put an effect (`hair`, `water`, ...); empty where none names a place."""
    words = _scene_words(prompt)
    return tuple(place for place, stems in _STEMS[effect].items() if place and words & stems)


def _move_at(words: Sequence[str], at: int, word: str) -> str | None:
    ahead = words[at + 1 : at + 1 + _AHEAD]
    if word in _VERBS and not _BODY_PARTS.intersection(ahead[:3]):
        directions, plain = _VERBS[word]
        return _first_direction(ahead, directions) or plain
    if word in _LOOSE_STEMS and "camera" in words[max(0, at - 3) : at]:
        return _first_direction(ahead, _LOOSE_MOVES)
    return None


def _first_direction(ahead: Iterable[str], directions: dict[str, str]) -> str | None:
    for word in ahead:
        for names, move in directions.items():
            if word in _stems(names):
                return move
    return None


def _scene_words(prompt: str) -> set[str]:
    """All words but those verbs whose subject is the camera ("the camera drifts left" is no drifting cloud)."""
    words = _words(prompt)
    return {
        word
        for at, word in enumerate(words)
        if not (word in _LOOSE_STEMS and "camera" in words[max(0, at - 3) : at])
    }


def _words(text: str) -> list[str]:
    return [stem(word) for word in re.findall(r"[a-z]+", text.lower())]


def _stems(words: str) -> frozenset[str]:
    return frozenset(_words(words))


_LOOSE_STEMS: Final = frozenset(stem(word) for word in _LOOSE_VERBS)
_STEMS: Final = {
    effect: {place: _stems(words) for place, words in places.items()} for effect, places in _PLACES.items()
}
