"""Is a score the probability it claims to be? Predicted against observed, in bins, and in two numbers.

Invariant: pure functions on the rows of the bench, weighted to the mix of takes that the calibration speaks of.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scorer_metrics import CLEAN_SPAN, Row

from farm.score.calibration.fit import KEPT, SHARES, SPOILT


@dataclass(frozen=True, slots=True)
class Bin:
    low: float
    high: float
    predicted: float
    observed: float
    count: int
    weight: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """`brier` and `expected_error` (ECE) are 0 at best; `kept` is the share to be kept, so what always saying it
    would cost is a Brier score of kept (1 - kept)."""

    bins: tuple[Bin, ...]
    brier: float
    expected_error: float
    kept: float


def keep(row: Row) -> float:
    """How often a reviewer is taken to keep the span that was cut (see KEPT)."""
    damaged = row.role == "fault" and row.bad_share > CLEAN_SPAN
    return KEPT[row.severity if damaged else 0]


def weights(rows: Sequence[Row]) -> NDArray[np.float64]:
    """Of each row, in the mix of takes that a score speaks of (see SHARES), by severity; their mean is 1."""
    severities = np.asarray([row.severity for row in rows])
    share = np.asarray(SHARES)[severities] / np.bincount(severities, minlength=len(SHARES))[severities]
    return np.asarray(share / share.mean())


def reliability(rows: Sequence[Row], column: str, bins: int = 10) -> Reliability:
    """Of a column that claims to be the probability that `keep` is. Raises ValueError for no rows, and for scores
    outside 0..1. Spans that are damaged in part, which the calibration leaves out, are left out.

    Brier (1950): the mean of (p - outcome)^2, where a half is one outcome of each kind, half a row each. ECE (Naeini
    et al., 2015): the mean of |predicted - observed| over equal bins, weighted by what is in them.
    """
    rows = [row for row in rows if row.role != "fault" or not CLEAN_SPAN < row.bad_share < SPOILT]
    said = np.asarray([row.scores[column] for row in rows])
    kept = np.asarray([keep(row) for row in rows])
    if not said.size or said.min() < 0 or said.max() > 1:
        raise ValueError(f"{column}: a reliability needs rows with scores in 0..1")
    share = weights(rows)
    filled = tuple(_bins(said, kept, share, bins))
    weight = sum(one.weight for one in filled)
    return Reliability(
        bins=filled,
        brier=float((share * (kept * (1 - said) ** 2 + (1 - kept) * said**2)).mean()),
        expected_error=sum(one.weight * abs(one.predicted - one.observed) for one in filled) / weight,
        kept=float((share * kept).mean()),
    )


def _bins(
    said: NDArray[np.float64], kept: NDArray[np.float64], share: NDArray[np.float64], bins: int
) -> Iterator[Bin]:
    places = np.minimum((said * bins).astype(int), bins - 1)
    for i in np.unique(places):
        inside = places == i
        yield Bin(
            low=int(i) / bins,
            high=(int(i) + 1) / bins,
            predicted=float(np.average(said[inside], weights=share[inside])),
            observed=float(np.average(kept[inside], weights=share[inside])),
            count=int(inside.sum()),
            weight=float(share[inside].sum()),
        )
