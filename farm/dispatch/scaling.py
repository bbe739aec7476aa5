"""How many workers the rest of a run deserves, and for which models. Pure.

Here: as many as the job allows, never more than there are takes waiting for one, spread by what waits of each model.
What an accelerator is worth comes in when fleets are mixed.
"""

from collections.abc import Iterable

from farm.dispatch.placement import Backlog


def workers_to_start(limit: int, present: int, loading: int, waiting: int) -> int:
    """Workers to add now.

    `present` counts those that are not leaving, `loading` the part of them that is not ready yet and will take of
    the `waiting` takes when it is.
    """
    return max(0, min(limit - present, waiting - loading))


def model_to_load(backlogs: Iterable[Backlog]) -> int | None:
    """The model that a new worker loads first: the one of which its part would be greatest, if any."""
    chosen = max(backlogs, key=lambda backlog: backlog.share_s, default=None)
    return chosen.model if chosen else None
