"""The bench's figures, ours and VBench-style, with the target of each, as one JSON value.

Invariant: everything that is printed (scorer_tables.py) is in it; figures are kept for each split.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from scorer_figures import OURS, THEIRS
from scorer_metrics import (
    Row,
    Share,
    best_of,
    clean_threshold,
    cuts,
    margin,
    monotone,
    pair_accuracy,
    pairs,
    rejected,
    rejected_below,
)
from scorer_reliability import reliability

SEVERITIES = (1, 2, 3)
PAIR_TARGETS = {1: 0.85, 2: 0.95, 3: 0.98}


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure of both, its target, and whether that is to be reached (or not to be passed)."""

    name: str
    ours: Share | None
    theirs: Share | None
    target: float | None = None
    at_least: bool = True


def headlines(rows: Sequence[Row]) -> list[Headline]:
    moving, alike = pairs(rows), pairs(rows, alike=True)
    found = []
    for severity, target in PAIR_TARGETS.items():
        some = [pair for pair in moving if pair.fault.severity == severity]
        found.append(_both(f"pair accuracy, severity {severity}", some, target))
    for group in ("known", "unseen"):
        some = [pair for pair in moving if pair.fault.group == group and pair.fault.severity == 2]
        found.append(_both(f"{group} kinds, severity 2", some, 0.90 if group == "unseen" else None))
    found.append(_both("pair accuracy, all severities", moving))
    found.append(_both("pair accuracy, same movement", alike))
    ours, theirs = best_of(rows, OURS, gated=True), best_of(rows, THEIRS)
    found.append(Headline("best of 4 is the clean take", ours, theirs, 0.88))
    found.append(Headline("  by score alone", best_of(rows, OURS), theirs))
    found.append(Headline("severity never raises the score", monotone(rows, OURS), monotone(rows, THEIRS)))
    return [*found, *_rejects(rows), *_cuts(rows)]


def _both(name: str, of: Sequence[Any], target: float | None = None) -> Headline:
    return Headline(name, pair_accuracy(of, OURS), pair_accuracy(of, THEIRS), target)


def _rejects(rows: Sequence[Row]) -> list[Headline]:
    clean, hard = _of(rows, "clean"), _of(rows, "hard")
    limits = {column: clean_threshold(rows, column) for column in (OURS, THEIRS)}
    found = [
        Headline("clean rejected, own rule", rejected(clean), None, 0.05, at_least=False),
        Headline("hard negatives rejected, own rule", rejected(hard), None, 0.08, at_least=False),
        _below("hard negatives rejected at 5% clean", hard, limits),
    ]
    for severity in reversed(SEVERITIES):
        bad = [row for row in rows if row.spoilt and row.severity == severity]
        target = 0.90 if severity == 3 else None
        found.append(Headline(f"severity {severity} rejected, own rule", rejected(bad), None, target))
        found.append(_below(f"severity {severity} rejected at 5% clean", bad, limits, target))
    return found


def _below(name: str, rows: Sequence[Row], limits: dict[str, float], target: float | None = None) -> Headline:
    ours, theirs = (rejected_below(rows, column, limit) for column, limit in limits.items())
    return Headline(name, ours, theirs, target)


def _cuts(rows: Sequence[Row]) -> list[Headline]:
    found = cuts(rows)
    torn = [row for row in rows if row.role == "fault" and row.window and row.bad_share == 0]
    return [
        Headline("cut: spans without damage", found["ours"].hits, None, 0.95),
        Headline("  of severity 2 and 3", cuts([row for row in rows if row.severity > 1])["ours"].hits, None),
        Headline("  first 2 s", found["first"].hits, None),
        Headline("  last 2 s", found["last"].hits, None),
        Headline("cut: damaged frames inside", found["ours"].bad, None, 0.02, at_least=False),
        Headline("  first 2 s", found["first"].bad, None),
        Headline("  last 2 s", found["last"].bad, None),
        Headline("cut: undamaged spans rejected", rejected(torn), None),
    ]


def _of(rows: Iterable[Row], role: str) -> list[Row]:
    return [row for row in rows if row.role == role]


def as_json(rows: Sequence[Row], records: Sequence[dict[str, Any]], cpu: dict[str, float]) -> dict[str, Any]:
    """All figures; those of a split under its name."""
    splits = {
        "all": list(rows),
        **{name: [r for r in rows if r.split == name] for name in ("check", "calibrate")},
    }
    found = {
        "entries": dict(Counter(f"{row.split}/{row.role}" for row in rows)),
        "splits": {name: _figures(some) for name, some in splits.items() if some},
        "faults": _faults(rows),
        "hard_negatives": _hard(rows),
        "reliability": {name: asdict(reliability(some, OURS)) for name, some in splits.items() if some},
        "wrong": _wrong(rows, records),
        "cpu_s": cpu,
    }
    return cast(dict[str, Any], _plain(found))


def _plain(value: object) -> object:
    """With None for NaN, which JSON has no word for."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _figures(rows: Sequence[Row]) -> dict[str, Any]:
    moving = pairs(rows)
    points, low, high = margin(pair_accuracy(moving, OURS), pair_accuracy(moving, THEIRS))
    shots, shots_low, shots_high = margin(best_of(rows, OURS, gated=True), best_of(rows, THEIRS))
    return {
        "figures": [
            {
                "name": one.name,
                "ours": _share(one.ours),
                "vbench": _share(one.theirs),
                "target": one.target,
                "at_least": one.at_least,
            }
            for one in headlines(rows)
        ],
        "margin_points": {"pairs": [points, low, high], "best_of_4": [shots, shots_low, shots_high]},
    }


def _share(of: Share | None) -> dict[str, float] | None:
    if of is None or not of.count:
        return None
    low, high = of.interval()
    return {"value": of.value, "low": low, "high": high, "trials": of.count, "contents": len(of.trials)}


def _faults(rows: Sequence[Row]) -> list[dict[str, Any]]:
    moving = pairs(rows)
    found = []
    for fault in sorted({row.fault for row in rows if row.role == "fault" and row.fault}):
        spoilt = [row for row in rows if row.fault == fault and row.spoilt]
        one: dict[str, Any] = {
            "fault": fault,
            "group": next((row.group for row in rows if row.fault == fault), None),
            "takes": len(spoilt),
        }
        for severity in SEVERITIES:
            some = [pair for pair in moving if pair.fault.fault == fault and pair.fault.severity == severity]
            one[f"ours_{severity}"] = pair_accuracy(some, OURS).value
            one[f"vbench_{severity}"] = pair_accuracy(some, THEIRS).value
            one[f"rejected_{severity}"] = rejected(row for row in spoilt if row.severity == severity).value
        found.append(one)
    return found


def kind(row: Row) -> str:
    """What a clean take or a hard negative shows."""
    return row.fault or row.motion


def _hard(rows: Sequence[Row]) -> list[dict[str, Any]]:
    limit = clean_threshold(rows, THEIRS)
    found = []
    for role in ("clean", "hard"):
        for name in sorted({kind(row) for row in _of(rows, role)}):
            some = [row for row in _of(rows, role) if kind(row) == name]
            scores = [row.scores[OURS] for row in some]
            found.append(
                {
                    "role": role,
                    "kind": name,
                    "takes": len(some),
                    "rejected": rejected(some).value,
                    "vbench_rejected": rejected_below(some, THEIRS, limit).value,
                    "score": sum(scores) / len(scores),
                    "lowest": min(scores),
                }
            )
    return found


def _wrong(rows: Sequence[Row], records: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Undamaged takes that were rejected, the lowest score first, and takes of severity 3 that were accepted, the
    highest first."""
    told = {record["id"]: record["reasons"] for record in records}
    lost = [row for row in rows if row.role != "fault" and not row.accepted]
    missed = [row for row in rows if row.spoilt and row.severity == 3 and row.accepted]
    return {
        name: [{"id": row.id, "score": row.scores[OURS], "reasons": told[row.id]} for row in some]
        for name, some in (
            ("undamaged_rejected", sorted(lost, key=lambda row: row.scores[OURS])),
            ("severity_3_accepted", sorted(missed, key=lambda row: -row.scores[OURS])),
        )
    }
