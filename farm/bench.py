"""What a worker is told once, and what it says: plain values that travel between the driver and its workers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from farm.values import Model, Outcome, Scoring

WAITING, LOADING, RENDERING, FINISHING = "waiting", "loading", "rendering", "finishing"


@dataclass(frozen=True, slots=True)
class Bench:
    """What every worker of a run is told; picklable. `output` may hold credentials and is never shown.

    `prompts` is the number of motions: after so many distinct prompts a model's text encoder may go.
    """

    output: str = field(repr=False)
    models: tuple[Model, ...]
    trim_s: float
    scoring: Scoring
    gpus: float
    prices: Mapping[str, float]
    prompts: int = 1


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker says when its first model is resident; `resident` names the models it holds."""

    node: str
    accelerator: str
    load_s: float
    price_usd_h: float | None
    resident: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """How a task ended, the models that are resident now, and the seconds it took to load this one's, if any."""

    outcome: Outcome
    resident: tuple[str, ...]
    load_s: float


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a worker does with one task: its stage, and steps `done` of `total` while it renders.

    `stage` is one of WAITING, LOADING, RENDERING, FINISHING; `shape` the frames' "WxHxT", empty until it is known.
    """

    take_id: str
    attempt: int
    stage: str
    done: int = 0
    total: int = 0
    shape: str = ""
