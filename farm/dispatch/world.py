"""What a simulated fleet is like: how long things take, how often they fail, what they cost.

Invariants: a World is plain data, so that a night is given by it and a seed; what becomes of a take (kept, rejected,
poison) depends on the take alone, not on when or where it is rendered.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from farm.values import Status

_MASK = 2**64 - 1
_STATUS, _SCORE = 0, 3  # what a chance is for; simulated.py and night.py have others


@dataclass(frozen=True, slots=True)
class Lasting:
    """A duration: lognormal with this mean, in seconds; `spread` is the standard deviation over the mean."""

    mean_s: float
    spread: float = 0.0

    def draw(self, dice: Random) -> float:
        if not self.spread or not self.mean_s:
            return self.mean_s
        variance = math.log1p(self.spread**2)
        return dice.lognormvariate(math.log(self.mean_s) - variance / 2, math.sqrt(variance))


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of accelerator. `start`: from asking for a worker until it begins to load its model.

    `slower`: a take lasts so many times as long on it. `price_usd_h` None: nobody knows.
    """

    accelerator: str
    start: Lasting
    price_usd_h: float | None = None
    share: float = 1.0  # of the workers, among all kinds
    slower: float = 1.0


@dataclass(frozen=True, slots=True)
class World:
    """Shares are of 1, rates are for an hour; 0: it never happens. `takes`, `loads` and `accept` are by model.

    A take is rendered, then finished beside the next one. `accept` is the share of takes that are kept.
    """

    kinds: tuple[Kind, ...]
    takes: Mapping[str, Lasting]
    loads: Mapping[str, Lasting]
    accept: Mapping[str, float] = field(default_factory=dict)
    limit: float = 0.7  # the score from which a take is kept
    finish: Lasting = Lasting(2.0)
    still: Lasting = Lasting(0.05)  # to look at one
    refused: float = 0.0  # share of stills
    failed: float = 0.0  # share of takes that a renderer says no to
    poison: float = 0.0  # share of takes that kill whoever renders them
    straggling: float = 0.0  # share of attempts that are `straggler` times as long
    straggler: float = 3.0
    bad_starts: float = 0.0  # share of workers that die while they load
    faults: float = 0.0  # share of attempts that end in a fault of a worker that lives
    crashes_h: float = 0.0  # of each worker
    hangs_h: float = 0.0  # of each worker
    waves_h: float = 0.0  # preemptions: so often
    wave: float = 0.3  # share of the nodes that one takes
    workers_per_node: int = 1
    arriving_h: float = 0.0  # workers that capacity gives in an hour; 0: all at once
    outages_h: float = 0.0  # of the store
    outage: Lasting = Lasting(300.0, 1.0)
    patience_s: float = 60.0  # of a worker whose store does not answer
    holds: int = 1  # models that fit a worker at once
    steps: int = 0  # signs of life while a take renders, besides those of its stages


@dataclass(slots=True)
class Account:
    """What a fleet did: seconds of its workers, and counts.

    `lost` counts attempts that had begun to render, and ended without an outcome.
    """

    paid_s: float = 0.0  # from loading to leaving, of workers that have left
    load_s: float = 0.0
    render_s: float = 0.0
    lost_s: float = 0.0  # of rendering, in attempts that were lost
    lost: int = 0
    crashed: int = 0
    preempted: int = 0
    hung: int = 0


def chance(seed: int, what: int, *numbers: int) -> float:
    """A number in [0, 1) that belongs to `what` and these numbers, whenever it is asked for (SplitMix64)."""
    state = 0
    for number in (seed, what, *numbers):
        state = ((state ^ number) + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ state >> 27) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state / 2**64


def ending(world: World, seed: int, shot: int, take: int, model: str) -> tuple[Status, float | None]:
    """What becomes of a take, and its score: on the side of the limit that the status says, evenly spread."""
    at = chance(seed, _STATUS, shot, take)
    if at < world.failed:
        return Status.FAILED, None
    kept = at < world.failed + (1 - world.failed) * world.accept.get(model, 1.0)
    score = chance(seed, _SCORE, shot, take)
    if kept:
        return Status.KEPT, world.limit + score * (1 - world.limit)
    return Status.REJECTED, score * world.limit
