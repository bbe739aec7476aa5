"""Who answers for what failed: the task, its worker, or the node under it. Pure.

Invariants: what fails on a node that is being taken away is nobody's fault. Once a node is avoided, what happened there
is excused for every take, and its workers get nothing more; so is, once a take is given up as poison, what it did to
those beside it.
"""

from collections.abc import Collection
from dataclasses import dataclass

from farm.dispatch.crew import Crew, Member
from farm.dispatch.events import GiveUp, Notice
from farm.dispatch.nodes import Nodes
from farm.dispatch.queue import Cell
from farm.dispatch.retry import Attempts, Caps, Fault, Streaks, given_up, story
from farm.values import Blame


@dataclass(frozen=True, slots=True)
class Ruling:
    """What follows from a worker's failure: the fault to charge, None: nobody is; and what people should know."""

    fault: Fault | None
    notices: tuple[Notice, ...] = ()


class Blamer:
    def __init__(self, caps: Caps, workers: int, crew: Crew) -> None:
        self.attempts = Attempts()
        self.streaks = Streaks(caps, workers)
        self.nodes = Nodes(caps.node_losses, caps.node_starts)
        self._caps = caps
        self._crew = crew

    def tick(self, at_s: float) -> list[Notice]:
        return [Notice(f"node {node} is tried again") for node in self.nodes.tick(at_s)]

    def settled(self, cell: Cell, model: int, *, well: bool) -> None:
        """A take of a model has an outcome; `well`: one that its renderer made."""
        self.attempts.settled(cell)
        self.streaks.settled(model, well=well)

    def started(self, node: str, model: int | None) -> None:
        """A worker became ready, and holds the model that it was started for."""
        self.streaks.started(model)
        self.nodes.started(node)

    def welcome(self, member: Member, node: str) -> bool:
        """Whether a worker may work where it stands; it is to be sent away otherwise."""
        member.node = node
        if self.nodes.avoids(node) and not self.nodes.others(node, self._crew.nodes):
            self.nodes.pardon(node)
        if self.nodes.avoids(node) or self.nodes.drains(node):
            self.nodes.sent_away()
            return False
        return True

    def drain(self, node: str, left_s: float | None) -> list[Notice]:
        """A node is being taken away: its workers get nothing more."""
        if not self.nodes.drain(node, left_s):
            return []
        self._crew.leave(node)
        when = "" if left_s is None else f" in {left_s:.0f} s"
        return [
            Notice(f"node {node} is being taken away{when}; what its workers hold is finished or handed back")
        ]

    def failed(self, worker: str, member: Member, kind: str, message: str, cells: Collection[Cell]) -> Ruling:
        """A worker failed, `cells` are the takes that may have done it."""
        node = member.node
        if self.nodes.drains(node):
            return Ruling(None)
        if member.ready:
            trouble = self.nodes.lost(node, worker, cells, self._crew.nodes)
        else:
            self.streaks.start_failed(member.loads, message)
            trouble = self.nodes.start_failed(node, self._crew.nodes)
        notices = () if trouble is None else (self._avoid(node, trouble, message),)
        excused = self.nodes.avoids(node)
        return Ruling(Fault(worker, Blame.WORKER, kind, message, node, excused), notices)

    def charge(self, cell: Cell, fault: Fault) -> GiveUp | None:
        """One more fault of a take; not None: it is given up."""
        faults = list(self.attempts.charge(cell, fault))
        blame = given_up(self._caps, faults)
        if blame is None:
            return None
        if blame is Blame.TASK:
            killed = {one.worker for one in faults}
            self.attempts.excuse(lambda one: one.worker in killed)
        return GiveUp(*cell, len(faults), blame, fault.kind, story(faults))

    def check(self) -> None:
        """Asserts that nobody who stays works on a node that bears nothing, and that no take is tried for ever."""
        for member in self._crew.members():
            unfit = self.nodes.avoids(member.node) or self.nodes.drains(member.node)
            assert member.leaving or not unfit, "a worker of an avoided node stays"
        self.attempts.check(self._caps)

    def _avoid(self, node: str, why: str, message: str) -> Notice:
        self._crew.leave(node)
        self.attempts.excuse(lambda fault: fault.node == node)
        self.streaks.excuse_starts()
        return Notice(f"node {node} is avoided for a while: {why} (the last: {message})")
