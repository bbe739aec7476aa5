"""Who renders a take. Pure.

A worker without work comes before one that would only queue it, and one that already holds the take's still
before one that must fetch it.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass

AHEAD = 2
"""Leases a worker may hold: one that renders, and one that is finished beside it (see worker.py).

More would only sit behind a long render, and be lost with it.
"""


@dataclass(frozen=True, slots=True)
class Seat:
    """What matters of a worker that is ready: what it does, and the still it last saw."""

    worker: str
    leases: int
    still: int | None


def choose(seats: Iterable[Seat], still: int, shunned: Container[str], *, ahead: int = AHEAD) -> str | None:
    """The worker for a take of `still`, never one of `shunned` (it has failed there); None: nobody has room.

    `ahead`: leases a worker may hold, fewer than AHEAD where takes are better kept for workers that are loading.
    """
    free = [seat for seat in seats if seat.leases < ahead and seat.worker not in shunned]
    best = min(free, key=lambda seat: (seat.leases, seat.still != still), default=None)
    return best.worker if best else None
