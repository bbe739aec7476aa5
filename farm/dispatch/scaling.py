"""How many workers the rest of a run deserves. Pure.

Here: as many as the job allows, never more than there are takes waiting for one. What a cold start costs and what
an accelerator is worth comes in when fleets are mixed.
"""


def workers_to_start(limit: int, present: int, loading: int, waiting: int) -> int:
    """Workers to add now.

    `present` counts those that are not leaving, `loading` the part of them that is not ready yet and will take of
    the `waiting` takes when it is.
    """
    return max(0, min(limit - present, waiting - loading))
