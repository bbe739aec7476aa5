"""The metrics of the scorer's bench, on tables with known answers."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scorer_metrics as metrics
import scorer_reliability as reliability
from scorer_metrics import Row

from farm.score.calibration.fit import KEPT, SHARES


def row(
    role: str,
    score: float,
    *,
    motion: str = "push",
    content: str = "cat",
    severity: int = 0,
    fault: str | None = None,
    onset: str | None = None,
    accepted: bool = True,
    bad_share: float = 0.0,
    window: bool = False,
) -> Row:
    damaged = role == "fault"
    return Row(
        id=f"{content}/{motion}/{fault}/{severity}",
        content=content,
        source="photo",
        split="check",
        role=role,
        motion=motion,
        fault=(fault or "melt") if damaged else fault,
        group="known" if damaged else None,
        severity=severity,
        onset=(onset or "throughout") if damaged else None,
        accepted=accepted,
        bad_share=bad_share,
        first_bad=0.0,
        last_bad=0.0,
        least_bad=0.0 if window or not damaged else 1.0,
        scores={"score": score},
    )


def bad(score: float, severity: int = 2, motion: str = "pan", **more: object) -> Row:
    return row("fault", score, severity=severity, motion=motion, bad_share=1.0, **more)  # type: ignore[arg-type]


# Ranking


def test_pairs_are_of_one_content_and_move_differently() -> None:
    rows = [
        row("clean", 0.8),
        row("clean", 0.7, content="dog"),
        bad(0.5),
        bad(0.5, motion="push"),
        row("hard", 0.1),
    ]
    assert [(p.clean.content, p.fault.motion) for p in metrics.pairs(rows)] == [("cat", "pan")]
    alike = metrics.pairs(rows, alike=True)
    assert [(p.clean.role, p.fault.motion) for p in alike] == [("clean", "push"), ("hard", "push")]


def test_a_take_with_a_clean_window_need_not_lose() -> None:
    rows = [row("clean", 0.5), bad(0.9, onset="late", window=True)]
    assert metrics.pairs(rows) == []


def test_a_tie_is_half_a_hit() -> None:
    rows = [row("clean", 0.6), bad(0.5), bad(0.6), bad(0.7), bad(0.1)]
    accuracy = metrics.pair_accuracy(metrics.pairs(rows), "score")
    assert accuracy.value == (1 + 0.5 + 0 + 1) / 4
    assert accuracy.count == 4


def test_a_share_of_nothing_is_not_a_number() -> None:
    nothing = metrics.pair_accuracy([], "score")
    assert math.isnan(nothing.value)
    assert all(math.isnan(end) for end in nothing.interval())


def test_severity_has_to_lower_the_score_in_each_step_of_a_series() -> None:
    falling = [bad(0.6, 1), bad(0.6, 2), bad(0.2, 3)]
    rising = [bad(0.6, 1, fault="blur"), bad(0.3, 2, fault="blur"), bad(0.4, 3, fault="blur")]
    alone = [bad(0.6, 1, fault="noise")]
    found = metrics.monotone([*rising, *alone, *reversed(falling)], "score")
    assert (found.value, found.count) == (0.5, 2)


def shots(clean: float, faulted: float, *, accepted: bool = True) -> list[Row]:
    moves = ("push", "pan", "tilt", "orbit", "static")
    return [row("clean", clean, motion=move, accepted=accepted) for move in moves] + [
        bad(faulted, severity, move) for move in moves for severity in (1, 2, 3)
    ]


def test_best_of_four_is_sure_where_the_clean_take_always_leads() -> None:
    assert metrics.best_of(shots(0.9, 0.3), "score").value == 1
    assert metrics.best_of(shots(0.3, 0.9), "score").value == 0


def test_best_of_four_is_a_quarter_where_all_are_the_same() -> None:
    assert metrics.best_of(shots(0.5, 0.5), "score").value == pytest.approx(0.25)


def test_accepted_takes_lead_where_the_farm_picks() -> None:
    rows = [replace(one, accepted=one.role == "clean") for one in shots(0.3, 0.9)]
    assert metrics.best_of(rows, "score", gated=True).value == 1
    assert metrics.best_of(rows, "score").value == 0


def test_best_of_four_draws_the_same_every_time_and_needs_four_motions() -> None:
    rng = np.random.default_rng(1)
    rows = [replace(one, scores={"score": float(rng.random())}) for one in shots(0, 0)]
    found = metrics.best_of(rows, "score", draws=50)
    assert found == metrics.best_of(rows, "score", draws=50)
    assert 0 < found.value < 1 and found.count == 50
    assert metrics.best_of([one for one in rows if one.motion in ("push", "pan", "tilt")], "score").count == 0


def test_each_shot_is_of_four_motions_and_has_a_slight_fault() -> None:
    clean, spoilt = metrics._by_content(shots(1, 0), "clean"), metrics._by_content(shots(1, 0), "fault")
    rng = np.random.default_rng(0)
    severities = set()
    for _ in range(50):
        shot = metrics._shot(clean["cat"], spoilt["cat"], rng)
        assert shot is not None and len({take.motion for take in shot}) == 4
        assert shot[0].role == "clean" and 1 in {take.severity for take in shot[1:]}
        severities |= {take.severity for take in shot[1:]}
    assert severities == {1, 2, 3}


# Rejecting


def test_the_threshold_lets_one_clean_take_in_twenty_go() -> None:
    rows = [row("clean", i / 100) for i in range(40)] + [bad(0.0)]
    threshold = metrics.clean_threshold(rows, "score")
    assert metrics.rejected_below([r for r in rows if r.role == "clean"], "score", threshold).value == 0.05
    assert metrics.rejected_below([bad(0.015), bad(0.02)], "score", threshold).value == 0.5


def test_the_scorers_own_rule_is_what_it_accepted() -> None:
    assert metrics.rejected([row("hard", 0.9, accepted=False), row("hard", 0.1)]).value == 0.5


# The cut


def test_a_cut_is_judged_where_there_was_something_to_cut() -> None:
    late = bad(0.9, onset="late", window=True)
    rows = [
        replace(late, bad_share=0.0, last_bad=1.0),
        replace(late, bad_share=0.5, first_bad=0.1, last_bad=1.0),
        bad(0.1),  # nowhere clean
        replace(late, onset="throughout", bad_share=1.0),  # damaged here and there
    ]
    found = metrics.cuts(rows)
    assert (found["ours"].hits.value, found["ours"].bad.value) == (0.5, 0.25)
    assert (found["first"].hits.value, found["first"].bad.value) == (0.5, 0.05)
    assert (found["last"].hits.value, found["last"].bad.value) == (0.0, 1.0)


def test_a_take_is_spoilt_when_no_window_is_clean() -> None:
    frames = np.array([1, 0, 0, 0, 1, 1], bool)
    assert metrics.damage(frames, 1, 5, 3) == {
        "bad_share": 0.25,
        "first_bad": 1 / 3,
        "last_bad": 2 / 3,
        "least_bad": 0.0,
    }
    assert metrics.damage(frames, 0, 4, 4)["least_bad"] == 0.25
    assert metrics.damage(frames[1:4], 0, 3, 48)["least_bad"] == 0  # a take that is shorter than a clip


# Bootstrap, margin


def test_contents_that_agree_leave_no_doubt_and_those_that_do_not_do() -> None:
    same = metrics.share([(name, hit) for name in "abcdefgh" for hit in (1.0, 0.0)])
    assert same.interval() == (0.5, 0.5)
    split = metrics.share([(name, float(name < "e")) for name in "abcdefgh" for _ in range(100)])
    low, high = split.interval()
    assert low <= 0.25 and high >= 0.75  # 8 contents decide, however many trials each has
    assert split.interval() == (low, high)


def test_a_margin_is_taken_on_the_same_draws() -> None:
    ours = metrics.share([(name, float(name < "e") * 0.5 + 0.5) for name in "abcdefgh"])
    theirs = metrics.share([(name, float(name < "e") * 0.5 + 0.2) for name in "abcdefgh"])
    assert metrics.margin(ours, theirs) == pytest.approx((30, 30, 30))


# A score as a probability


def test_an_honest_score_is_reliable() -> None:
    """In a mix of SHARES[0] undamaged takes and SHARES[3] that nobody would keep, split over two scores."""
    good, spoilt = SHARES[0] / 4, SHARES[3] / 4
    low, high = good / (good + 3 * spoilt), 3 * good / (3 * good + spoilt)
    rows = [row("clean", high)] * 3 + [bad(high, 3)] + [bad(low, 3)] * 3 + [row("hard", low)]
    found = reliability.reliability(rows, "score", bins=4)
    assert found.expected_error == pytest.approx(0)
    assert found.kept == pytest.approx(good / (good + spoilt))
    assert [(b.observed, b.count) for b in found.bins] == [
        (pytest.approx(low), 4),
        (pytest.approx(high), 4),
    ]


def test_a_boastful_score_is_not() -> None:
    found = reliability.reliability([row("clean", 1.0), bad(1.0, 3), bad(1.0, 3)], "score")
    spoilt = SHARES[3] / (SHARES[0] + SHARES[3])
    assert found.expected_error == pytest.approx(spoilt)
    assert found.brier == pytest.approx(spoilt)


def test_a_slight_fault_is_kept_more_often_than_a_grave_one_and_a_clean_span_always() -> None:
    kept = [reliability.keep(bad(0.5, severity)) for severity in (1, 2, 3)]
    assert kept == list(KEPT[1:]) and kept == sorted(kept, reverse=True)
    assert reliability.keep(replace(bad(0.5, 3), bad_share=0.0)) == 1
    assert reliability.reliability([bad(0.5, 1)], "score").brier == pytest.approx(0.25)


def test_spans_that_are_damaged_in_part_say_nothing() -> None:
    rows = [row("clean", 1.0), replace(bad(1.0, 3), bad_share=0.2)]
    assert reliability.reliability(rows, "score").expected_error == pytest.approx(0)


def test_a_score_that_is_no_probability_has_no_reliability() -> None:
    with pytest.raises(ValueError, match=r"0\.\.1"):
        reliability.reliability([row("clean", 1.2)], "score")
