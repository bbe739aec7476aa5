"""Outcomes as they begin: what follows from the task itself, before anybody has rendered anything."""

from dataclasses import replace

from farm import __version__
from farm.redact import redact
from farm.values import Blame, Outcome, Status, Task


def blank_outcome(task: Task, attempt: int, status: Status) -> Outcome:
    """The outcome of a task with all that follows from the task itself."""
    return Outcome(
        take_id=task.take_id,
        still_id=task.still.id,
        still_uri=redact(task.still.uri),
        still_sha256=task.still_sha256,
        motion_id=task.motion.id,
        prompt=task.prompt,
        model=task.model.name,
        model_revision=task.model.revision,
        seed=task.seed,
        attempt=attempt,
        status=status,
        farm_version=__version__,
        extra=dict(task.still.extra),
    )


def failed_outcome(task: Task, attempt: int, *, reason: str, blame: Blame, kind: str, at: str) -> Outcome:
    """The outcome of a task that failed: in a station, at the gate (attempt 0), or too often."""
    blank = blank_outcome(task, attempt, Status.FAILED)
    return replace(blank, reason=reason, blame=blame, kind=kind, finished_at=at)
