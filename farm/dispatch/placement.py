"""Who renders a take. Pure.

A worker without work comes before one that would only queue it, and one that already holds the take's still
before one that must fetch it.
"""

from collections.abc import Iterable
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


def choose(seats: Iterable[Seat], still: int, *, ahead: int = AHEAD) -> str | None:
    """The worker for a take of `still`; None: nobody has room.

    `ahead`: leases a worker may hold, fewer than AHEAD where takes are better kept for workers that are loading,
    and for a take that is to render alone.
    """
    free = [seat for seat in seats if seat.leases < ahead]
    best = min(free, key=lambda seat: (seat.leases, seat.still != still), default=None)
    return best.worker if best else None
