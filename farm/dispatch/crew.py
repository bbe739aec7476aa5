"""The workers of a run: hired, ready, leaving, gone, and what each of them holds. Pure.

Invariants: a name is used once; a lease has one worker, and a worker never more leases than it may hold. Which models
a worker holds is what it said last; only the one that it is loading is known without that.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from farm.dispatch.events import Lease
from farm.dispatch.placement import AHEAD, Seat


@dataclass(slots=True)
class Member:
    loads: int | None  # its first model, or the one that it changes to, until it said that it holds it
    resident: frozenset[int] = frozenset()
    ready: bool = False
    leaving: bool = False  # it faulted, or its node bears nothing: stopped once what it holds is settled
    leases: set[Lease] = field(default_factory=set)
    still: int | None = None
    idle_since_s: float | None = None  # it holds no lease, and its own models have no work for it
    node: str = ""  # where it stands, as soon as that is known

    @property
    def holds(self) -> frozenset[int]:
        """The models of which it takes work: the one that it loads alone, for the others may have to go for it."""
        return self.resident if self.loads is None else frozenset((self.loads,))


class Crew:
    """Workers are named `session` and a number, so that no name is used twice in all sessions of a run.

    Models are numbers in `models`, which names them as workers do.
    """

    def __init__(self, session: str, models: Sequence[str]) -> None:
        self._session = session
        self._numbers = {name: number for number, name in enumerate(models)}
        self._hired = 0
        self._members: dict[str, Member] = {}

    def __len__(self) -> int:
        return len(self._members)

    def names(self, which: Callable[[Member], bool] = lambda _: True) -> list[str]:
        """Those for whom `which` holds, in the order in which they were hired."""
        return [name for name, member in self._members.items() if which(member)]

    def get(self, name: str) -> Member | None:
        return self._members.get(name)

    def members(self) -> Iterable[Member]:
        return self._members.values()

    def on(self, node: str) -> list[str]:
        """Those who stand on this node."""
        return self.names(lambda member: member.node == node)

    def leave(self, node: str) -> None:
        """Nobody on this node is given anything more."""
        for member in self._members.values():
            member.leaving = member.leaving or member.node == node

    def hire(self, model: int) -> str:
        self._hired += 1
        name = f"{self._session}{self._hired}"
        self._members[name] = Member(loads=model)
        return name

    def pop(self, name: str) -> Member | None:
        """Takes a worker off the list; who it was."""
        return self._members.pop(name, None)

    def told(self, name: str, resident: Iterable[str], leased: Iterable[int] = ()) -> None:
        """A worker said which models it holds; `leased` are those of the takes that it still has.

        Names that are not of this run count for nothing. A model that a lease needs and that is not there is what it
        loads next, whether it never was there or had to go: the others may have to go for it.
        """
        member = self._members.get(name)
        if member is None:
            return
        member.resident = frozenset(self._numbers[model] for model in resident if model in self._numbers)
        member.loads = next((model for model in leased if model not in member.resident), None)

    def switch(self, name: str, model: int) -> None:
        """Has a worker that does nothing load another model, with the take that it is given next."""
        self._members[name].loads = model

    @property
    def ready(self) -> int:
        return sum(member.ready for member in self._members.values())

    @property
    def nodes(self) -> set[str]:
        """Where somebody is ready who is not leaving."""
        return {member.node for member in self._members.values() if member.ready and not member.leaving}

    @property
    def present(self) -> int:
        """Those who are not leaving, whether they are ready or not."""
        return sum(not member.leaving for member in self._members.values())

    @property
    def models(self) -> set[int]:
        """All that somebody who is not leaving holds or loads."""
        return {model for member in self._members.values() if not member.leaving for model in member.holds}

    def with_model(self, model: int) -> int:
        """Those who are not leaving and hold or load it."""
        return sum(not member.leaving and model in member.holds for member in self._members.values())

    def ready_with(self, model: int) -> int:
        """Those of them who are there, and not only asked for: a cluster may never have room for all."""
        return sum(
            member.ready and not member.leaving and model in member.holds for member in self._members.values()
        )

    def idles(self, name: str, at_s: float | None) -> float:
        """Seconds for which a worker has had nothing to do; `at_s` None: it has now."""
        member = self._members[name]
        if at_s is None:
            member.idle_since_s = None
            return 0.0
        member.idle_since_s = at_s if member.idle_since_s is None else member.idle_since_s
        return at_s - member.idle_since_s

    def starting(self, model: int) -> int:
        """Those who are not ready yet and will be with this model."""
        return sum(not member.ready and member.loads == model for member in self._members.values())

    @property
    def longest_queue(self) -> int:
        """The most leases that one worker holds."""
        return max((len(member.leases) for member in self._members.values()), default=0)

    def leases(self) -> list[Lease]:
        return [lease for member in self._members.values() for lease in member.leases]

    def give(self, lease: Lease, still: int) -> None:
        member = self._members[lease.worker]
        member.leases.add(lease)
        member.still = still
        member.idle_since_s = None

    def release(self, lease: Lease) -> None:
        if lease.worker in self._members:
            self._members[lease.worker].leases.discard(lease)

    def seats(self, alone: Callable[[Lease], bool], *, every: bool) -> dict[str, Seat]:
        """What each worker that takes work offers; `alone` says which leases bear nothing beside them.

        Those without room are left out, in a large crew almost all, but for `every`: one may be kept free later.
        """
        most = AHEAD + 1 if every else AHEAD
        names = self.names(lambda member: member.ready and not member.leaving and len(member.leases) < most)
        return {name: self.seat(name, alone) for name in names}

    def seat(self, name: str, alone: Callable[[Lease], bool]) -> Seat:
        member = self._members[name]
        full = any(alone(lease) for lease in member.leases)
        return Seat(name, AHEAD if full else len(member.leases), member.holds, member.still, member.node)

    def check(self, out: Iterable[Lease]) -> None:
        """Asserts the invariants; `out` are the leases that count."""
        assert sorted(self.leases(), key=repr) == sorted(out, key=repr), "a lease has one worker"
        assert all(len(member.leases) <= AHEAD for member in self._members.values())
        assert all(member.ready or member.loads is not None for member in self._members.values())
