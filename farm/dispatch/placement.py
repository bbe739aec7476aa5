"""Who renders a take, and who loads another model for it. Pure.

A worker without work comes before one that would only queue it, and one that already holds the take's still
before one that must fetch it. What the store refused goes back to who still has it, and what
faulted elsewhere than before, where there is an elsewhere. A take only goes to a worker that holds its model: loading
one takes minutes, and so is a decision of its own.
"""

from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass

AHEAD = 2
"""Leases a worker may hold: one that renders, and one that is finished beside it (see worker.py).

More would only sit behind a long render, and be lost with it.
"""

WORTH = 2.0
"""A worker loads another model for no less than so many times the load's time: a third of it is lost at most, and
the model that had to go for it may be wanted again."""


@dataclass(frozen=True, slots=True)
class Seat:
    """What matters of a worker that is ready: what it does, the models it holds, and the still it last saw."""

    worker: str
    leases: int
    holds: frozenset[int]
    still: int | None
    node: str = ""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits of one model: seconds of rendering, the workers that hold or load it, those of them that are ready,
    seconds to load it."""

    model: int
    work_s: float
    workers: int
    ready: int
    load_s: float

    @property
    def share_s(self) -> float:
        """What would be the part of one worker more."""
        return self.work_s / (self.workers + 1)


def choose(
    seats: Collection[Seat],
    model: int,
    still: int,
    *,
    ahead: int = AHEAD,
    tried: Set[str] = frozenset(),
    keeper: tuple[str, str] | None = None,
) -> str | None:
    """The worker for a take of `still` by `model`; None: nobody who holds it has room.

    `tried`: the nodes on which it faulted, of which none is taken where others hold its model. `keeper`: the worker,
    and its node, that rendered it and could not store it.

    `ahead`: leases a worker may hold, fewer than AHEAD where takes are better kept for workers that are loading,
    more where anybody will do who is to be kept free.
    """
    holding = [seat for seat in seats if model in seat.holds]
    elsewhere = [seat for seat in holding if seat.node not in tried]
    free = [seat for seat in elsewhere or holding if seat.leases < ahead]
    worker, node = keeper or ("", "")
    best = min(
        free,
        key=lambda seat: (
            keeper is not None and seat.worker != worker,
            keeper is not None and seat.node != node,
            seat.leases,
            seat.still != still,
        ),
        default=None,
    )
    return best.worker if best else None


def switch_to(backlogs: Iterable[Backlog], idle_s: float = 0.0) -> int | None:
    """The model that a worker should load that has had nothing else to do for `idle_s`; None: it had better wait.

    The one that is worth it most, else one that nobody holds: it would never be rendered. Those who are only asked
    for may never come: they are waited for as long as the load itself takes.
    """
    ranked = sorted(backlogs, key=lambda backlog: -backlog.share_s)
    worth = [backlog for backlog in ranked if backlog.share_s > WORTH * backlog.load_s]
    orphans = [one for one in ranked if not one.workers or (not one.ready and idle_s >= one.load_s)]
    chosen = next(iter([*worth, *orphans]), None)
    return chosen.model if chosen else None
