"""Nodes that are not to be used: those on which too much failed, and those that are being taken away. Pure.

Invariants: a node is avoided only while workers are ready on another one. What is held against it is held for a while:
somebody may have mended it. A take that kills its workers makes no node look broken: only losses that have no take
in common count.
"""

from collections import deque
from collections.abc import Collection, Set
from dataclasses import dataclass

from farm.dispatch.queue import Cell

WINDOW_S = 3600.0
"""Losses further apart have nothing to do with each other: eight GPUs of which each loses its worker once a day lose
three within an hour four times in a thousand hours."""

AVOIDED_S = 1800.0
"""Long enough for a reboot or a new machine under the old name; a node that is still broken then costs three loads of
two minutes every half hour."""

AGAIN_S = 300.0
"""A worker that came to stand on a node to be avoided is sent away, and its place stays empty for so long: whatever
places workers would put the next one there, too. A cluster's autoscaler gives an empty node back in that time."""


@dataclass(frozen=True, slots=True)
class _Loss:
    at_s: float
    worker: str
    cells: frozenset[Cell]


class Nodes:
    """Nodes by name; the empty name is a node that nobody named, of which nothing is ever said."""

    def __init__(self, losses: int, starts: int) -> None:
        self._losses_limit = losses
        self._starts_limit = starts
        self._now_s = 0.0
        self._losses: dict[str, list[_Loss]] = {}
        self._starts: dict[str, list[float]] = {}
        self._avoided: dict[str, float] = {}  # until when
        self._draining: dict[str, float | None] = {}  # until when
        self._sent_away_s: deque[float] = deque()

    def tick(self, at_s: float) -> list[str]:
        """Time passes; the nodes that are forgiven by now."""
        self._now_s = at_s
        while self._sent_away_s and self._sent_away_s[0] <= at_s - AGAIN_S:
            self._sent_away_s.popleft()
        forgiven = [node for node, until_s in self._avoided.items() if until_s <= at_s]
        for node in forgiven:
            del self._avoided[node]
        return forgiven

    def lost(self, node: str, worker: str, cells: Collection[Cell], others: Set[str]) -> str | None:
        """A worker failed with these takes; why its node is to be avoided from now on, if it is.

        `others` are the nodes on which workers are ready.
        """
        losses = self._losses.setdefault(node, [])
        losses[:] = [loss for loss in losses if loss.at_s > self._now_s - WINDOW_S]
        losses.append(_Loss(self._now_s, worker, frozenset(cells)))
        counted = _unrelated(losses)
        if counted < self._losses_limit or not self._bears(node, others):
            return None
        return self._avoid(node, f"{counted} workers failed there with different takes")

    def start_failed(self, node: str, others: Set[str]) -> str | None:
        """A worker could not start there; as `lost`."""
        starts = self._starts.setdefault(node, [])
        starts[:] = [*(at_s for at_s in starts if at_s > self._now_s - WINDOW_S), self._now_s]
        if len(starts) < self._starts_limit or not self._bears(node, others):
            return None
        return self._avoid(node, f"{len(starts)} workers could not start there")

    def started(self, node: str) -> None:
        self._starts.pop(node, None)

    def avoids(self, node: str) -> bool:
        return node in self._avoided

    def pardon(self, node: str) -> None:
        self._avoided.pop(node, None)

    def drain(self, node: str, left_s: float | None) -> bool:
        """A node is being taken away; whether that is news."""
        news = node not in self._draining
        self._draining[node] = None if left_s is None else self._now_s + left_s
        return news

    def drains(self, node: str) -> bool:
        return node in self._draining

    def expired(self) -> list[str]:
        """The nodes whose time is up, each named once."""
        expired = [
            node for node, until_s in self._draining.items() if until_s is not None and until_s <= self._now_s
        ]
        for node in expired:
            self._draining[node] = None  # it may live on for a while, and bears nothing for all that
        return expired

    def others(self, node: str, ready: Set[str]) -> bool:
        """Whether one of these nodes is another one that may be used."""
        return any(one and one != node and not self.avoids(one) and not self.drains(one) for one in ready)

    def sent_away(self) -> None:
        self._sent_away_s.append(self._now_s)

    @property
    def places_closed(self) -> int:
        """Workers that had better not be hired now."""
        return len(self._sent_away_s)

    def _bears(self, node: str, ready: Set[str]) -> bool:
        return bool(node) and not self.avoids(node) and self.others(node, ready)

    def _avoid(self, node: str, why: str) -> str:
        self._avoided[node] = self._now_s + AVOIDED_S
        self._losses.pop(node, None)
        self._starts.pop(node, None)
        return why


def _unrelated(losses: list[_Loss]) -> int:
    """Losses of different workers that have no take in common."""
    workers: set[str] = set()
    cells: set[Cell] = set()
    for loss in losses:
        if loss.worker not in workers and not loss.cells & cells:
            workers.add(loss.worker)
            cells |= loss.cells
    return len(workers)
