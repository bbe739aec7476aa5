"""What was learnt on the development set: the limits of all dimensions, and how often a take as bad as this is kept.

Invariant: small data, made by `make calibrate` (fit.py) and never by hand; of the development set, only the split
"calibrate" was seen.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PATH = Path(__file__).parent / "calibration.json"


@dataclass(frozen=True, slots=True)
class Range:
    """Of a dimension's figures: up to `rest` is what faultless takes measure, from `limit` on a take is broken."""

    rest: float
    limit: float


@dataclass(frozen=True, slots=True)
class Keep:
    """How often a take is kept whose faults add up to `total` (composite.py; 1: one dimension at its limit):
    ceiling / (1 + (total / half)^slope)."""

    ceiling: float
    half: float
    slope: float

    def share(self, totals: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self.ceiling / (1 + (totals / self.half) ** self.slope))


@dataclass(frozen=True, slots=True)
class Calibration:
    ranges: Mapping[str, Range]
    keep: Keep

    def as_json(self) -> dict[str, object]:
        ranges = {name: _rounded(rest=r.rest, limit=r.limit) for name, r in self.ranges.items()}
        keep = self.keep
        return {"ranges": ranges, "keep": _rounded(ceiling=keep.ceiling, half=keep.half, slope=keep.slope)}


def _rounded(**values: float) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in values.items()}


def load(path: Path = PATH) -> Calibration:
    data = json.loads(path.read_text())
    ranges = {name: Range(**bounds) for name, bounds in data["ranges"].items()}
    return Calibration(ranges, Keep(**data["keep"]))


CALIBRATION = load()
