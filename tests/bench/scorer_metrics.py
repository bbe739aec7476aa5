"""What a column of scores is worth at spotting bad takes: pure functions on the rows of the bench.

Invariant: a figure is a share of trials, kept per content, because takes of one content are alike: the bootstrap draws
contents. A damaged take is "spoilt" when no window of a clip's length in it is nearly clean; one that has a clean one
is worth cutting, so it counts for the cut and never as a take that should lose.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

CLEAN_SPAN = 0.02  # share of damaged frames up to which a span counts as undamaged
SPOILT_SPAN = 0.10  # share from which on a take whose best window has it should lose to an undamaged one
CLEAN_REJECTS = 0.05  # share of clean takes that may be rejected where a threshold is set
TAKES = 4  # of a shot, of which the best is picked
LEVEL = 0.9  # of bootstrap intervals


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of the development set with what was measured of it; `scores` by column, NaN where there is none.

    `bad_share`, `first_bad` and `last_bad` are the shares of damaged frames in the span that was cut and in the
    first and last window of its length, `least_bad` the least share in any window of it.
    """

    id: str
    content: str
    source: str
    split: str
    role: str
    motion: str
    fault: str | None
    group: str | None
    severity: int
    onset: str | None
    accepted: bool
    bad_share: float
    first_bad: float
    last_bad: float
    least_bad: float
    scores: Mapping[str, float]

    @property
    def window(self) -> bool:
        """There is one without damage."""
        return self.least_bad == 0

    @property
    def spoilt(self) -> bool:
        return self.role == "fault" and self.least_bad > SPOILT_SPAN


@dataclass(frozen=True, slots=True)
class Share:
    """Hits of trials, by content."""

    hits: Mapping[str, float]
    trials: Mapping[str, float]

    @property
    def count(self) -> int:
        return round(sum(self.trials.values()))

    @property
    def value(self) -> float:
        """NaN where nothing was tried."""
        return sum(self.hits.values()) / self.count if self.count else math.nan

    def interval(self, draws: int = 1000, seed: int = 0) -> tuple[float, float]:
        """The middle 90% of the value over seeded bootstrap draws of contents."""
        return _middle(self._drawn(sorted(self.trials), draws, seed))

    def _drawn(self, contents: Sequence[str], draws: int, seed: int) -> NDArray[np.float64]:
        if not self.count:
            return np.full(draws, np.nan)
        picks = np.random.default_rng(seed).integers(len(contents), size=(draws, len(contents)))
        hits = np.asarray([self.hits.get(name, 0.0) for name in contents])[picks].sum(axis=1)
        trials = np.asarray([self.trials.get(name, 0.0) for name in contents])[picks].sum(axis=1)
        return np.asarray(np.divide(hits, trials, out=np.full(draws, np.nan), where=trials > 0))


def share(trials: Iterable[tuple[str, float]]) -> Share:
    """Of (content, hit) with a hit of 0..1 for each trial."""
    hits: defaultdict[str, float] = defaultdict(float)
    counts: defaultdict[str, float] = defaultdict(float)
    for content, hit in trials:
        hits[content] += hit
        counts[content] += 1
    return Share(dict(hits), dict(counts))


def margin(ours: Share, theirs: Share, draws: int = 1000, seed: int = 0) -> tuple[float, float, float]:
    """Ours less theirs in points, with the ends of its 90% interval; both are drawn on the same contents."""
    contents = sorted({*ours.trials, *theirs.trials})
    drawn = ours._drawn(contents, draws, seed) - theirs._drawn(contents, draws, seed)
    low, high = _middle(drawn)
    return 100 * (ours.value - theirs.value), 100 * low, 100 * high


def _middle(drawn: NDArray[np.float64]) -> tuple[float, float]:
    known = drawn[~np.isnan(drawn)]
    if not known.size:
        return math.nan, math.nan
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two takes of one content, one undamaged and one spoilt."""

    clean: Row
    fault: Row


def pairs(rows: Sequence[Row], *, alike: bool = False) -> list[Pair]:
    """All pairs of a content whose takes move differently; `alike`: all whose takes move the same way, footage as
    it was shot among them."""
    clean = _by_content(rows, *(("clean", "hard") if alike else ("clean",)))
    spoilt = _by_content(rows, "fault")
    return [
        Pair(good, bad)
        for content in clean
        for good in clean[content]
        for bad in spoilt.get(content, ())
        if (good.motion == bad.motion) == alike
    ]


def pair_accuracy(of: Iterable[Pair], column: str) -> Share:
    """Share of pairs in which the undamaged take scores higher; a tie is half a hit."""
    return share((pair.clean.content, _won(pair, column)) for pair in of)


def _won(pair: Pair, column: str) -> float:
    good, bad = pair.clean.scores[column], pair.fault.scores[column]
    return 0.5 if good == bad else float(good > bad)


def monotone(rows: Sequence[Row], column: str) -> Share:
    """Share of series (one content and fault, whatever the movement) in which no step of severity raises the score."""
    series: defaultdict[tuple[str, str | None], list[Row]] = defaultdict(list)
    for row in rows:
        if row.spoilt:
            series[row.content, row.fault].append(row)
    trials = []
    for (content, _), takes in series.items():
        scores = [take.scores[column] for take in sorted(takes, key=lambda take: take.severity)]
        if len(scores) > 1:
            trials.append((content, float(all(later <= earlier for earlier, later in pairwise(scores)))))
    return share(trials)


def best_of(
    rows: Sequence[Row], column: str, *, gated: bool = False, draws: int = 200, seed: int = 0
) -> Share:
    """Share of shots of four takes, one clean and three spoilt, in which the clean one is picked.

    Seeded draws for each content that has takes of four motions: the four move differently, at least one of the
    spoilt ones is of severity 1. `gated`: accepted takes come first, as in the farm. Ties share the hit.
    """
    clean, spoilt = _by_content(rows, "clean"), _by_content(rows, "fault")
    trials = []
    for content in sorted(clean):
        rng = np.random.default_rng([seed, int(hashlib.sha256(content.encode()).hexdigest()[:8], 16)])
        for _ in range(draws):
            shot = _shot(clean[content], spoilt.get(content, []), rng)
            if shot is None:
                continue
            ranks = [(not gated or take.accepted, take.scores[column]) for take in shot]
            trials.append((content, (ranks[0] == max(ranks)) / ranks.count(max(ranks))))
    return share(trials)


def _shot(clean: Sequence[Row], spoilt: Sequence[Row], rng: np.random.Generator) -> list[Row] | None:
    """A clean take first and three spoilt ones, of four motions; None where the content has too few."""
    first = clean[int(rng.integers(len(clean)))]
    order = [spoilt[i] for i in rng.permutation(len(spoilt))]
    order.sort(key=lambda take: take.severity != 1)
    slight = [take for take in order if take.severity == 1 and take.motion != first.motion]
    if not slight:
        return None
    shot = [first, slight[0]]
    for take in (order[i] for i in rng.permutation(len(order))):
        if len(shot) < TAKES and take.motion not in {one.motion for one in shot}:
            shot.append(take)
    return shot if len(shot) == TAKES else None


def _by_content(rows: Sequence[Row], *roles: str) -> dict[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.role in roles and (row.role != "fault" or row.spoilt):
            found[row.content].append(row)
    return found


def rejected(rows: Iterable[Row]) -> Share:
    """By the scorer's own rule."""
    return share((row.content, float(not row.accepted)) for row in rows)


def rejected_below(rows: Iterable[Row], column: str, threshold: float) -> Share:
    """Nothing is tried where there is no threshold (NaN)."""
    tried = () if math.isnan(threshold) else rows
    return share((row.content, float(row.scores[column] < threshold)) for row in tried)


def clean_threshold(rows: Iterable[Row], column: str, rejects: float = CLEAN_REJECTS) -> float:
    """The highest score of a clean take below which at most this share of the clean takes are; NaN for none."""
    scores = sorted(row.scores[column] for row in rows if row.role == "clean")
    return scores[math.floor(rejects * len(scores))] if scores else math.nan


@dataclass(frozen=True, slots=True)
class Cut:
    """`hits`: share of spans that are undamaged; `bad`: mean share of damaged frames inside them."""

    hits: Share
    bad: Share


def cuts(rows: Sequence[Row]) -> dict[str, Cut]:
    """Of takes damaged early or late that have a clean window: our span, the first window and the last one."""
    torn = [row for row in rows if row.role == "fault" and row.window and row.onset in ("early", "late")]
    return {
        "ours": _cut(torn, [row.bad_share for row in torn]),
        "first": _cut(torn, [row.first_bad for row in torn]),
        "last": _cut(torn, [row.last_bad for row in torn]),
    }


def _cut(rows: Sequence[Row], bad: Sequence[float]) -> Cut:
    contents = [row.content for row in rows]
    return Cut(
        hits=share((name, float(value <= CLEAN_SPAN)) for name, value in zip(contents, bad, strict=True)),
        bad=share(zip(contents, bad, strict=True)),
    )


def damage(bad: NDArray[np.bool_], start: int, stop: int, length: int) -> dict[str, float]:
    """Of a take with these damaged frames: a Row's bad_share of the span, first_bad, last_bad and least_bad."""
    length = min(length, len(bad))
    sums = np.concatenate([[0], np.cumsum(bad)])
    return {
        "bad_share": float(bad[start:stop].mean()),
        "first_bad": float(bad[:length].mean()),
        "last_bad": float(bad[-length:].mean()),
        "least_bad": float((sums[length:] - sums[:-length]).min() / length),
    }
