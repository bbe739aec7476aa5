"""The workers of a run: hired, ready, leaving, gone, and what each of them holds. Pure.

Invariants: a name is used once; a lease has one worker, and a worker never more leases than it may hold.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from farm.dispatch.events import Lease
from farm.dispatch.placement import AHEAD, Seat


@dataclass(slots=True)
class Member:
    ready: bool = False
    leaving: bool = False  # it faulted; it is stopped as soon as what else it holds is settled
    leases: set[Lease] = field(default_factory=set)
    still: int | None = None


class Crew:
    """Workers are named `session` and a number, so that no name is used twice in all sessions of a run."""

    def __init__(self, session: str) -> None:
        self._session = session
        self._hired = 0
        self._members: dict[str, Member] = {}

    def __len__(self) -> int:
        return len(self._members)

    def names(self, which: Callable[[Member], bool] = lambda _: True) -> list[str]:
        """Those for whom `which` holds, in the order in which they were hired."""
        return [name for name, member in self._members.items() if which(member)]

    def get(self, name: str) -> Member | None:
        return self._members.get(name)

    def hire(self) -> str:
        self._hired += 1
        name = f"{self._session}{self._hired}"
        self._members[name] = Member()
        return name

    def pop(self, name: str) -> Member | None:
        """Takes a worker off the list; who it was."""
        return self._members.pop(name, None)

    @property
    def ready(self) -> int:
        return sum(member.ready for member in self._members.values())

    @property
    def present(self) -> int:
        """Those who are not leaving, whether they are ready or not."""
        return sum(not member.leaving for member in self._members.values())

    @property
    def longest_queue(self) -> int:
        """The most leases that one worker holds."""
        return max((len(member.leases) for member in self._members.values()), default=0)

    def give(self, lease: Lease, still: int) -> None:
        member = self._members[lease.worker]
        member.leases.add(lease)
        member.still = still

    def release(self, lease: Lease) -> None:
        if lease.worker in self._members:
            self._members[lease.worker].leases.discard(lease)

    def seats(self, alone: Callable[[Lease], bool]) -> dict[str, Seat]:
        """What each worker that takes work offers; `alone` says which leases bear nothing beside them."""
        names = self.names(lambda member: member.ready and not member.leaving)
        return {name: self.seat(name, alone) for name in names}

    def seat(self, name: str, alone: Callable[[Lease], bool]) -> Seat:
        member = self._members[name]
        full = any(alone(lease) for lease in member.leases)
        return Seat(name, AHEAD if full else len(member.leases), member.still)

    def check(self, out: Iterable[Lease]) -> None:
        """Asserts the invariants; `out` are the leases that count."""
        held = [lease for member in self._members.values() for lease in member.leases]
        assert sorted(held, key=repr) == sorted(out, key=repr), "a lease has one worker"
        assert all(len(member.leases) <= AHEAD for member in self._members.values())
