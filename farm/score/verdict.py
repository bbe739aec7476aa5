"""Which take is circled: the verdict over all takes of one still and motion, of all models and seeds.

Invariant: pure, and independent of the order in which outcomes come; nothing is circled that was not accepted.
"""

from collections.abc import Iterable

from farm.values import Outcome, Select, Status, Verdict


def rank(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The best first: accepted takes, then rejected ones, each by score, then those that failed.

    Equal scores: the lower seed, then the model's name, then the take's id.
    """
    return sorted(outcomes, key=_order)


def circle(outcomes: Iterable[Outcome]) -> Select:
    """The select of one still and motion: its best accepted take, or `none_usable`.

    `takes_tried` counts the outcomes that were attempted at all (a refused still is not), `cost_usd` sums what is
    known. Raises ValueError for no outcomes, and for those of several stills or motions.
    """
    ranked = rank(outcomes)
    shots = {(outcome.still_id, outcome.motion_id) for outcome in ranked}
    if len(shots) != 1:
        raise ValueError(f"a select is of one still and one motion, got {sorted(shots)}")
    ((still_id, motion_id),) = shots
    best = ranked[0] if _circled(ranked[0]) else None
    return Select(
        still_id=still_id,
        motion_id=motion_id,
        verdict=Verdict.SELECTED if best else Verdict.NONE_USABLE,
        take_id=best.take_id if best else None,
        model=best.model if best else None,
        score=best.score if best else None,
        clip_uri=best.clip_uri if best else None,
        takes_tried=sum(outcome.attempt >= 1 for outcome in ranked),
        cost_usd=sum(outcome.cost_usd for outcome in ranked if outcome.cost_usd is not None),
    )


def _circled(outcome: Outcome) -> bool:
    return outcome.status is Status.KEPT and outcome.accepted and outcome.score is not None


def _order(outcome: Outcome) -> tuple[bool, float, int, str, str]:
    score = outcome.score if outcome.score is not None else -1.0
    return not _circled(outcome), -score, outcome.seed, outcome.model, outcome.take_id
