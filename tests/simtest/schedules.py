"""What befalls a simulated run, drawn from a seed: its shape, its world, its people and the noise on its wires.

Invariant: a seed gives the same schedule for ever; whatever is drawn is allowed by the pool's contract.
"""

from dataclasses import dataclass, replace
from random import Random

from farm.dispatch.takes import TakesRule
from farm.dispatch.world import Kind, Lasting, World

NAMES = ("a", "b", "c")


@dataclass(frozen=True, slots=True)
class Schedule:
    """Shares are of events. `sessions` is how often, at most, something may end the driver before all grows calm."""

    seed: int
    stills: int
    motions: int
    models: tuple[str, ...]
    rule: TakesRule
    workers: int
    lookahead: int
    stills_ahead: int
    usd: float | None
    hours: float | None
    world: World
    sessions: int
    dies: float  # the driver, without a word
    stops: float  # a person asks for the end
    late: float  # held back, behind events of other workers
    stale: float  # an event that was heard before is heard again
    lost: float  # signs of life that never arrive

    def model_of(self, shot: int) -> str:
        return self.models[shot // self.motions % len(self.models)]


def drawn(seed: int) -> Schedule:
    dice = Random(f"schedule {seed}")
    models = NAMES[: dice.choice((1, 1, 2, 3))]
    least = dice.choice((1, 1, 2, 3))
    price = dice.choice((None, 2.0))
    return Schedule(
        seed=seed,
        stills=dice.randint(1, 7),
        motions=dice.randint(1, 3),
        models=models,
        rule=TakesRule(least, least + dice.choice((0, 1, 3))),
        workers=dice.choice((1, 2, 3, 5, 8)),
        lookahead=dice.choice((4, 16, 256)),
        stills_ahead=dice.choice((1, 2, 8)),
        usd=dice.uniform(0.05, 2.0) if price and dice.random() < 0.3 else None,
        hours=dice.uniform(0.05, 2.0) if dice.random() < 0.1 else None,
        world=_world(dice, models, price),
        sessions=dice.choice((1, 2, 4, 8)),
        dies=_rarely(dice, 0.02),
        stops=_rarely(dice, 0.01),
        late=_rarely(dice, 0.3),
        stale=_rarely(dice, 0.3),
        lost=_rarely(dice, 0.5),
    )


def calm(world: World) -> World:
    """The same fleet on a good night."""
    return replace(
        world, poison=0, bad_starts=0, faults=0, crashes_h=0, hangs_h=0, waves_h=0, outages_h=0, straggling=0
    )


def _world(dice: Random, models: tuple[str, ...], price: float | None) -> World:
    start = Lasting(dice.choice((0.0, 30.0, 200.0)), dice.choice((0.0, 1.0)))
    kinds = [Kind("H100", start, price)]
    if dice.random() < 0.3:
        kinds.append(Kind("L4", Lasting(60.0, 0.5), price, slower=4.0))
    outage_s = dice.choice((30.0, 600.0, 20_000.0))
    return World(
        kinds=tuple(kinds),
        takes={model: Lasting(dice.uniform(1, 100), dice.choice((0.0, 0.3))) for model in models},
        loads={model: Lasting(dice.uniform(0, 300), dice.choice((0.0, 0.5))) for model in models},
        accept={model: dice.choice((0.0, 0.3, 0.6, 1.0)) for model in models},
        finish=Lasting(dice.choice((0.0, 2.0, 30.0)), dice.choice((0.0, 1.0))),
        still=Lasting(dice.choice((0.0, 0.2, 60.0)), 1.0),
        refused=_rarely(dice, 0.5),
        failed=_rarely(dice, 0.5),
        poison=_rarely(dice, 0.2),
        straggling=_rarely(dice, 0.2),
        straggler=dice.choice((2.0, 50.0)),
        bad_starts=_rarely(dice, 0.4),
        faults=_rarely(dice, 0.2),
        crashes_h=_rarely(dice, 20.0),
        hangs_h=_rarely(dice, 10.0),
        waves_h=_rarely(dice, 4.0),  # more, and nobody is left for long enough to load and render anything
        wave=dice.uniform(0, 1),
        workers_per_node=dice.choice((1, 2, 8)),
        arriving_h=dice.choice((0.0, 0.0, 60.0)),
        # Not more than half the time in all: a run waits for its store as long as that is away.
        outages_h=_rarely(dice, 1800.0 / outage_s),
        outage=Lasting(outage_s, 1.0),
        patience_s=dice.choice((0.0, 60.0)),
        holds=dice.randint(1, 3),
        steps=dice.choice((0, 2, 6)),
    )


def _rarely(dice: Random, most: float) -> float:
    """Mostly nothing, so that faults are met alone as well as together."""
    return dice.uniform(0, most) if dice.random() < 0.35 else 0.0
