"""Every key of a run, in one place. Keys are relative to the run's output, so that a run can be moved.

Invariant: a key comes from content, so that doing a thing twice writes the same object, and from `ids.segment`,
so that no name can leave its folder or meet another.
"""

import re

from farm.ids import segment
from farm.values import Task

JOB = "job.json"
STILLS = "stills/"
TAKES = "takes/"
OUTCOMES = "outcomes/"
CLIPS = "clips/"
SELECTS = "selects.parquet"
SUMMARY = "summary.json"
LEASE = "lease.json"

_TAKE_ID = re.compile(r"[0-9a-f]{32}")
_OUTCOME = re.compile(rf"{OUTCOMES}([0-9a-f]{{32}})\.json")
# Digits of a part's content stood in its name once; such parts are read.
_PART = re.compile(r"(?:takes|stills)/part-(\d{8})(?:-[0-9a-f]{8})?\.parquet")


def clip_key(task: Task) -> str:
    return _take_stem(task) + ".mp4"


def poster_key(task: Task) -> str:
    return _take_stem(task) + ".webp"


def filmstrip_key(task: Task) -> str:
    return _take_stem(task) + ".strip.webp"


def outcome_key(take_id: str) -> str:
    """Where a worker commits an outcome. Raises ValueError for what is no take id."""
    if not _TAKE_ID.fullmatch(take_id):
        raise ValueError(f"{take_id!r} is no take id: expected 32 hexadecimal digits")
    return f"{OUTCOMES}{take_id}.json"


def take_id_of(key: str) -> str | None:
    """The take id of an outcome's key; None for any other key."""
    match = _OUTCOME.fullmatch(key)
    return match[1] if match else None


def takes_part_key(number: int) -> str:
    """The number alone, so that of two drivers one has it and the other sees that."""
    return f"{TAKES}part-{number:08d}.parquet"


def stills_part_key(number: int) -> str:
    return f"{STILLS}part-{number:08d}.parquet"


def part_number(key: str) -> int | None:
    """The number of a part of takes or stills; None for any other key."""
    match = _PART.fullmatch(key)
    return int(match[1]) if match else None


def _take_stem(task: Task) -> str:
    shot = "/".join(segment(name) for name in (task.still.id, task.motion.id, task.model.name))
    return f"{CLIPS}{shot}/{task.seed}-{task.take_id[:8]}"
