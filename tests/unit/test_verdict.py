"""Which take is circled, of all models and seeds of one still and motion."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.score.verdict import circle, rank
from farm.values import Blame, Outcome, Status, Verdict

KEPT = Outcome(
    take_id="a" * 32, still_id="s", still_uri="s.png", still_sha256="0" * 64, motion_id="push-in", prompt="p",
    model="previz", model_revision="1", seed=0, attempt=1, status=Status.KEPT, score=0.8, accepted=True,
    clip_uri="clips/a.mp4", cost_usd=0.25,
)  # fmt: skip
REJECTED = replace(
    KEPT, take_id="b" * 32, status=Status.REJECTED, accepted=False, score=0.4, reason="frozen throughout"
)
FAILED = replace(
    KEPT, take_id="c" * 32, status=Status.FAILED, accepted=False, score=None, clip_uri=None, blame=Blame.TASK
)


def take(name: str, **changes: object) -> Outcome:
    return replace(KEPT, take_id=name * 32, clip_uri=f"clips/{name}.mp4", **changes)  # type: ignore[arg-type]


def test_the_best_accepted_take_is_circled():
    best = take("d", score=0.93, seed=3, model="wan")
    select = circle([KEPT, REJECTED, best, FAILED])
    assert select.verdict is Verdict.SELECTED
    assert (select.take_id, select.model, select.score, select.clip_uri) == (
        best.take_id,
        "wan",
        0.93,
        "clips/d.mp4",
    )
    assert (select.takes_tried, select.cost_usd) == (4, 1.0)


def test_a_rejected_take_is_never_circled_however_high_its_score():
    select = circle([replace(REJECTED, score=0.99), FAILED])
    assert select.verdict is Verdict.NONE_USABLE
    assert (select.take_id, select.model, select.score, select.clip_uri) == (None, None, None, None)
    assert (select.still_id, select.motion_id, select.takes_tried) == ("s", "push-in", 2)


def test_equal_scores_go_to_the_lower_seed_then_the_model_then_the_id():
    takes = [take("4", seed=1), take("3", seed=0, model="wan"), take("2", seed=0), take("1", seed=0)]
    assert [outcome.take_id[0] for outcome in rank(takes)] == ["1", "2", "3", "4"]


def test_what_was_never_tried_is_not_counted_and_unknown_cost_is_none():
    refused = replace(FAILED, attempt=0, cost_usd=None)
    assert (circle([refused]).takes_tried, circle([refused]).cost_usd) == (0, 0)
    assert circle([refused, KEPT]).takes_tried == 1


def test_rank_puts_rejected_takes_after_accepted_and_failed_last():
    better = replace(REJECTED, take_id="e" * 32, score=0.6)
    low = take("f", score=0.1)
    assert rank([FAILED, REJECTED, better, low, KEPT]) == [KEPT, low, better, REJECTED, FAILED]


@pytest.mark.parametrize("outcomes", [[], [KEPT, replace(KEPT, motion_id="pan")]])
def test_a_select_is_of_one_still_and_motion(outcomes):
    with pytest.raises(ValueError, match="one still and one motion"):
        circle(outcomes)


@given(st.permutations([KEPT, REJECTED, FAILED, take("d"), take("e", seed=2), take("f", score=0.79)]))
def test_the_order_in_which_takes_end_does_not_matter(outcomes):
    assert circle(outcomes).take_id == KEPT.take_id
    assert [o.take_id for o in rank(outcomes)] == [o.take_id for o in rank(sorted(outcomes, key=repr))]
