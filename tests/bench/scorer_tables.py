"""The scorer bench's figures as tables for people.

Invariant: prints what scorer_report.py made and decides nothing; headline figures are of the split that nothing was
tuned on, with the other split's beside them.
"""

from typing import Any

from scorer_report import SEVERITIES

MARGIN_TARGET = 20.0  # points
CPU_TARGET_S = 1.0
LISTED = 15  # of each kind of mistake


def as_text(found: dict[str, Any]) -> str:
    return "\n\n".join(
        [
            _headline_table(found),
            _fault_table(found),
            _hard_table(found),
            _wrong_table(found),
            _reliability_table(found),
        ]
    )


def _headline_table(found: dict[str, Any]) -> str:
    splits = found["splits"]
    shown = splits.get("check") or splits["all"]
    beside = splits.get("calibrate", {"figures": [{}] * len(shown["figures"])})
    lines = [
        "  ".join(f"{count} {name}" for name, count in sorted(found["entries"].items())),
        f"{'':38s} {'ours [90%]':>18s} {'calibrate':>9s} {'VBench':>7s} {'target':>7s} {'trials':>7s}",
    ]
    for one, other in zip(shown["figures"], beside["figures"], strict=True):
        ours = one["ours"]
        said = f"{ours['value']:.3f} [{ours['low']:.2f} {ours['high']:.2f}]" if ours else "-"
        calibrated, theirs = _value(other.get("ours")), _value(one["vbench"])
        trials = str(ours["trials"]) if ours else "-"
        lines.append(
            f"{one['name']:38s} {said:>18s} {calibrated:>9s} {theirs:>7s} {_target(one):>7s} {trials:>7s}"
            + _mark(one)
        )
    for name, label in (("pairs", "all pairs"), ("best_of_4", "best of 4")):
        points, low, high = shown["margin_points"][name]
        target = f">={MARGIN_TARGET:.0f}" if name == "pairs" else ""
        said = "-" if points is None else f"{points:+.1f} [{low:+.0f} {high:+.0f}]"
        lines.append(f"{'points over VBench-style, ' + label:38s} {said:>18s} {'':9s} {'':7s} {target:>7s}")
    for name, spent_s in found["cpu_s"].items():
        target = f"<={CPU_TARGET_S:.1f}" if name.startswith("ours") else ""
        lines.append(f"{'CPU s, 4 s 720p, ' + name:38s} {spent_s:18.2f} {'':9s} {'':7s} {target:>7s}")
    return "\n".join(lines)


def _value(of: dict[str, float] | None) -> str:
    return f"{of['value']:.3f}" if of else "-"


def _target(one: dict[str, Any]) -> str:
    if one["target"] is None:
        return ""
    return f"{'>=' if one['at_least'] else '<='}{one['target']:.2f}"


def _mark(one: dict[str, Any]) -> str:
    if one["target"] is None or one["ours"] is None:
        return ""
    over = one["ours"]["value"] - one["target"]
    return "" if (over >= 0 if one["at_least"] else over <= 0) else "  missed"


def _fault_table(found: dict[str, Any]) -> str:
    lines = [
        f"{'':28s} {'':8s} {'':6s} {'pairs, ours':^17s}  {'pairs, VBench':^17s}  {'rejected, ours':^17s}",
        f"{'fault':28s} {'group':8s} {'takes':>6s} " + "  ".join(["    1     2     3"] * 3),
    ]
    for one in found["faults"]:
        cells = (
            " ".join(_cell(one[f"{what}_{severity}"]) for severity in SEVERITIES)
            for what in ("ours", "vbench", "rejected")
        )
        lines.append(f"{one['fault']:28s} {one['group'] or '':8s} {one['takes']:6d} " + "  ".join(cells))
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "    -" if value is None else f"{value:5.2f}"


def _hard_table(found: dict[str, Any]) -> str:
    lines = [
        f"{'undamaged':28s} {'role':8s} {'takes':>6s} {'rejected':>9s} {'VBench*':>8s} {'score':>6s} {'lowest':>7s}"
    ]
    lines += [
        f"{one['kind']:28s} {one['role']:8s} {one['takes']:6d} {one['rejected']:9.2f} "
        f"{_cell(one['vbench_rejected']):>8s} {one['score']:6.2f} {one['lowest']:7.2f}"
        for one in found["hard_negatives"]
    ]
    return "\n".join([*lines, "* below the VBench-style total that 5% of the clean takes are under"])


def _reliability_table(found: dict[str, Any]) -> str:
    one = found["reliability"].get("check") or found["reliability"]["all"]
    always = one["kept"] * (1 - one["kept"])
    lines = [
        f"score as a probability to be kept: Brier {one['brier']:.3f} (a constant: {always:.3f}), "
        f"expected calibration error {one['expected_error']:.3f}",
        f"{'score':>11s} {'said':>6s} {'kept':>6s} {'spans':>6s}",
    ]
    lines += [
        f"{b['low']:5.1f}-{b['high']:.1f}   {b['predicted']:6.2f} {b['observed']:6.2f} {b['count']:6d}"
        for b in one["bins"]
    ]
    return "\n".join(lines)


def _wrong_table(found: dict[str, Any]) -> str:
    lines = []
    for name, some in found["wrong"].items():
        lines.append(f"{name.replace('_', ' ')}: {len(some)}")
        lines += [
            f"  {one['score']:.2f} {one['id']:50s} {'; '.join(one['reasons'])}" for one in some[:LISTED]
        ]
    return "\n".join(lines)
