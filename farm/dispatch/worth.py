"""What one more take of a shot is worth: the chance that it is accepted. Closed forms over first takes, pure.

Three layers, each shrunk to the one before it, so that little evidence says little:

1. *Rates.* How often first takes are accepted, by model and by motion, both shrunk to the rate of all; the two
   together, on the logit scale, are what each model × motion is shrunk to.
2. *Still.* How the still's other shots did against their rates: its lift, on the logit scale.
3. *The shot itself.* A Beta posterior around that: each take that was not accepted counts against it, and its best
   one counts for it by as much as it came near (`near_miss`).

Invariant: only first takes are pooled, and of them none that failed, for machines fail by chance. They are the same
whatever is decided later and whatever order takes come in, so that with all of them settled the chances, and with them
what is rendered in the end, depend on content alone: a resumed run decides as if it had never stopped.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.int64]

FLOOR = 0.1
"""The least chance for which a take beyond `min` is rendered: ten takes for one more accepted shot."""

_POOL = 4.0
"""Takes that what is pooled counts for, against those of a motion, a model or a still itself."""

_OWN = 2.0
"""Takes that all of this counts for, against the shot's own."""

_NEAR = 4.0
"""A miss at 90% of what is accepted is worth 0.66 of an accepted take, at 70% a quarter, at half of it 0.06."""


def rates(kept: Counts, seen: Counts, models: int) -> Floats:
    """The chance of a first take for each of a still's shots, model by model; from counts of the same shape (P,)."""
    grid = (models, len(seen) // models)
    kept_in, seen_in = kept.reshape(grid), seen.reshape(grid)
    overall = np.float64((kept.sum() + 1) / (seen.sum() + 2))
    by_model = _shrunk(kept_in.sum(axis=1), seen_in.sum(axis=1), overall)
    by_motion = _shrunk(kept_in.sum(axis=0), seen_in.sum(axis=0), overall)
    both = _expit(_logit(by_model)[:, None] + _logit(by_motion)[None, :] - _logit(overall))
    return _shrunk(kept_in, seen_in, both).ravel()


def priors(chance: Floats, kept: NDArray[np.bool_], seen: NDArray[np.bool_]) -> Floats:
    """The chance of each shot before its own takes are counted, (S, P): `chance` (P,) lifted by the still's others.

    `kept` and `seen` (S, P): whether the shot's first take was accepted, and whether it counts at all.
    """
    others = seen.sum(axis=1, keepdims=True) - seen
    others_kept = kept.sum(axis=1, keepdims=True) - kept
    counted = seen * chance
    expected = (counted.sum(axis=1, keepdims=True) - counted) / np.maximum(others, 1)
    expected = np.where(others > 0, np.clip(expected, 1e-6, 1 - 1e-6), 0.5)
    lift = _logit(_shrunk(others_kept, others, expected)) - _logit(expected)
    return _expit(_logit(chance) + lift)


def near_miss(best: float, accept: float) -> float:
    """The part of an accepted take that a best score below `accept` is worth, 0..1."""
    return float(min(best / accept, 1.0) ** _NEAR) if accept > 0 else 0.0


def chance(prior: float, settled: int, near: float) -> float:
    """The chance that the next take of a shot is accepted, after `settled` takes of which none was."""
    return (_OWN * prior + near) / (_OWN + settled)


def chances(prior: Floats, settled: NDArray[np.uint8], near: Floats) -> Floats:
    """`chance` for many shots at once."""
    return (_OWN * prior + near) / (_OWN + settled)


def _shrunk(kept: NDArray[np.integer], seen: NDArray[np.integer], to: Floats | np.float64) -> Floats:
    found: Floats = (kept + _POOL * to) / (seen + _POOL)
    return found


def _logit(p: Floats | np.float64) -> Floats:
    found: Floats = np.log(p / (1 - p))
    return found


def _expit(x: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-x))
    return found
