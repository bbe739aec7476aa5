"""One owner: who runs a run's job holds its lease, one small object that is replaced by version.

Invariants
- `check` passes for one driver at a time. It is sure of itself for three quarters of a term after its last renewal was
  sent; who takes over has watched the object stay the same for a whole term, of its own time. No two clocks are
  compared; time that a machine sleeps through counts.
- A driver that lost its lease stays lost: it asks for it no more.

What a check cannot see is a driver that is stopped right after it, for longer than a term, and then goes on to write
(store/manifest.py says why no row can double even so). Where a store cannot replace by version, two drivers that
start within one request of each other are not told apart; a warning says so.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from farm.clock import WakefulClock
from farm.errors import BrokenFarm, InputError, StoreError
from farm.report.words import duration
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.owner import Owner, Sight, Watch, decode_owner, encode_owner, this_process

TERM_S = 60.0
_RENEWALS_A_TERM = 6
_LOOKS_A_TERM = 60
_SURE = 0.75  # the rest of a term is for clocks that run at different speeds, and for those that stand for a while
# Longest that a driver may be busy with one thing (reading a manifest of a million rows takes minutes at most). Who is
# silent for longer hangs, and others may take over.
_HUNG_S = 900.0
_TRIES = 3


class Lease:
    """A driver's hold on a run. `take` comes first; `check` before whatever is written. Safe in threads."""

    def __init__(self, blobs: Blobs, clock: WakefulClock, term_s: float = TERM_S) -> None:
        self._blobs = blobs
        self._clock = clock
        self._owner = this_process(term_s, _now(clock))
        self._began_s = clock.awake_or_not_s()
        self._sure_s = term_s * _SURE
        self._every_s = term_s / _RENEWALS_A_TERM
        self._watch = Watch(clock)
        self._one_step = True  # whether the store replaces by version
        self._version = ""
        self._writes = 0
        self._asked_s = self._renewed_s = -term_s  # never
        self._heard_s = self._began_s  # when the driver last asked for something
        self._lost: str | None = None
        self._lock = threading.Lock()

    # --- taking it ---

    def take(self, say: Callable[[str], None]) -> None:
        """Holds the lease when it returns; waits for a term at most where an owner may be dead, and says so.

        Raises InputError where another driver lives, StoreError.
        """
        self._one_step = self._blobs.can_replace()
        if not self._one_step:
            say(
                f"warning: {self._blobs.url}: this store cannot replace an object by version: another driver that "
                "starts at the same moment cannot be excluded"
            )
        told = False
        while (other := self.attempt()) is not None:
            if not told:
                say(
                    f"{self._blobs.url}: {other} has its lease and may be dead; taken over if nothing is heard of that "
                    f"driver for {duration(other.term_s)}"
                )
                told = True
            self._clock.sleep(other.term_s / _LOOKS_A_TERM)

    def attempt(self) -> Owner | None:
        """One look: None when the lease is ours from now on, else who may still have it.

        Raises InputError when that owner was seen to live, StoreError.
        """
        found = _found(self._blobs)
        if found is None:
            self._blobs.create(layout.LEASE, encode_owner(self._next()))
            found = _read(self._blobs)  # whoever made it
        owner, version = found
        ours = owner.session == self._owner.session
        sight = Sight.FREE if ours else self._watch.see(owner, version)
        if sight is Sight.ALIVE:
            raise InputError(_told_busy(self._blobs, owner))
        return None if sight is Sight.FREE and self._write(version) else owner

    # --- having it ---

    def check(self) -> None:
        """Returns only while the lease is ours; asks the store only where it has not been renewed for long.

        Raises BrokenFarm when it is lost, StoreError where that cannot be known.
        """
        self._busy()
        for _ in range(_TRIES):
            if self._is_sure():
                return
            self.renew()  # and is looked at again: its answer may have come after a sleep
        raise StoreError(
            f"{self._blobs.url}: renewing {layout.LEASE} takes too long to rely on", kind="unreachable"
        )

    def still_ours(self) -> None:
        """As `check`, but a store that does not answer is no reason to end. Cheap enough for every turn of a loop.

        Before takes are given out, too: what becomes of them is the same, whoever has them rendered.
        """
        self._busy()
        if not self._is_sure() and self._clock.awake_or_not_s() - self._asked_s >= self._every_s:
            with suppress(StoreError):
                self.renew()

    def renew(self) -> None:
        """Asks the store, whatever is known. Raises BrokenFarm when the lease is lost, StoreError."""
        with self._lock:
            self._renew()

    def keep(self) -> None:
        """What the keeper does every sixth of a term: renews for a driver that does not hang, and reports nothing."""
        if self._clock.awake_or_not_s() - self._heard_s < _HUNG_S:
            with suppress(StoreError, BrokenFarm):  # the driver's own checks will say it
                self.renew()

    def release(self) -> None:
        """Lets the next driver begin at once; where the store does not answer, it has to wait for a term."""
        with self._lock, suppress(StoreError, BrokenFarm):
            self._renew(released=True)

    def _busy(self) -> None:
        """The driver says that it does not hang. Raises BrokenFarm when the lease is known to be lost."""
        self._heard_s = self._clock.awake_or_not_s()
        if self._lost is not None:
            raise BrokenFarm(self._lost)

    def _is_sure(self) -> bool:
        return self._clock.awake_or_not_s() - self._renewed_s < self._sure_s

    def _renew(self, *, released: bool = False) -> None:
        for _ in range(_TRIES):
            if self._lost is not None:
                raise BrokenFarm(self._lost)
            if self._write(self._version, released=released):
                return
            found = _found(self._blobs)
            if found is None or found[0].session != self._owner.session:
                other = "somebody who removed it" if found is None else str(found[0])
                self._lost = f"{self._blobs.url}: lost its lease to {other}; nothing more is written here"
            else:
                # A write of ours whose answer was lost. Nobody knows when it arrived, so it counts for nothing.
                self._version = found[1]
        raise StoreError(
            f"{self._blobs.url}: cannot renew {layout.LEASE}: it is never as it was just read", kind="other"
        )

    def _write(self, version: str, *, released: bool = False) -> bool:
        """Puts our name in place of that version; False where another one stands there."""
        sent_s = self._asked_s = self._clock.awake_or_not_s()
        owner = replace(self._next(), released=released)
        data = encode_owner(owner)
        if self._one_step:
            new = self._blobs.replace(layout.LEASE, data, version)
        else:
            new = _replaced_in_steps(self._blobs, data, version)
        if new is None:
            return False
        self._owner, self._version, self._renewed_s = owner, new, sent_s
        return True

    def _next(self) -> Owner:
        """Ourselves, as never written before: equal contents would have equal versions."""
        self._writes += 1
        held_s = self._clock.awake_or_not_s() - self._began_s
        return replace(
            self._owner, renewed_at=_now(self._clock), held_s=round(held_s, 3), writes=self._writes
        )


@contextmanager
def held(
    blobs: Blobs, clock: WakefulClock, say: Callable[[str], None], term_s: float = TERM_S
) -> Iterator[Lease]:
    """The lease of a run, renewed by a thread while the body runs and given back after it, however it ends."""
    lease = Lease(blobs, clock, term_s)
    lease.take(say)
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(term_s / _RENEWALS_A_TERM):
            lease.keep()

    # A daemon: a store call that hangs must not keep a process from ending.
    keeper = threading.Thread(target=keep, name="lease", daemon=True)
    keeper.start()
    try:
        yield lease
    finally:
        ended.set()
        keeper.join()
        lease.release()


def last_owner(blobs: Blobs) -> Owner | None:
    """Who holds the lease or, released, held it last; whether that driver lives is not known. None before the first."""
    found = _found(blobs)
    return found[0] if found else None


def held_by_other(blobs: Blobs, clock: WakefulClock) -> str | None:
    """Who runs this run's job, in one line; None when nobody does. Takes a term at most, where an owner may be dead."""
    watch = Watch(clock)
    while (found := _found(blobs)) is not None:
        owner, version = found
        sight = watch.see(owner, version)
        if sight is Sight.FREE:
            return None
        if sight is Sight.ALIVE:
            return _told_busy(blobs, owner)
        clock.sleep(owner.term_s / _LOOKS_A_TERM)
    return None


def _told_busy(blobs: Blobs, owner: Owner) -> str:
    return (
        f"{blobs.url}: {owner} has been running this job for {duration(owner.held_s)} and is alive; "
        f"one driver at a time; to look at it: farm status {blobs.url}"
    )


def _found(blobs: Blobs) -> tuple[Owner, str] | None:
    try:
        return _read(blobs)
    except StoreError as e:
        if e.kind != "missing":
            raise
        return None


def _read(blobs: Blobs) -> tuple[Owner, str]:
    data, version = blobs.read(layout.LEASE)
    return decode_owner(data, f"{blobs.url}/{layout.LEASE}"), version


def _replaced_in_steps(blobs: Blobs, data: bytes, version: str) -> str | None:
    """`Blobs.replace` for a store that cannot: whoever writes between two of the steps is not seen."""
    if blobs.read(layout.LEASE)[1] != version:
        return None
    blobs.put(layout.LEASE, data)
    found, new = blobs.read(layout.LEASE)
    return new if found == data else None


def _now(clock: WakefulClock) -> str:
    return clock.now().isoformat(timespec="seconds")
