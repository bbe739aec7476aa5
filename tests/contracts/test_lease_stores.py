"""The lease on every store that keeps a run: local, memory, moto's S3 and Ceph's, in real time with a short term."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from farm.clock import SystemClock
from farm.errors import BrokenFarm, InputError
from farm.store.blobs import Blobs
from farm.store.lease import Lease, held, held_by_other, last_owner

CLOCK = SystemClock()


def test_one_of_many_that_start_at_once_has_it(output: str) -> None:
    start = threading.Barrier(4)

    def attempt(_: int) -> Lease | None:
        lease = Lease(Blobs.open(output), CLOCK)
        start.wait()
        for _ in range(4):
            try:
                if lease.attempt() is None:
                    return lease
            except InputError:
                return None
        return None

    with ThreadPoolExecutor(4) as pool:
        won = [lease for lease in pool.map(attempt, range(4)) if lease is not None]
    assert len(won) == 1
    won[0].check()
    won[0].renew()
    won[0].release()
    owner = last_owner(Blobs.open(output))
    assert owner is not None and owner.released


def test_it_is_kept_while_its_owner_lives_and_passes_on_when_not(output: str) -> None:
    blobs, lines = Blobs.open(output), []
    with held(blobs, CLOCK, lines.append, 3.0) as lease:
        with pytest.raises(InputError, match="is alive"):
            Lease(Blobs.open(output), CLOCK).take(lines.append)
        assert "is alive" in str(held_by_other(Blobs.open(output), CLOCK))
        lease.check()
    first = Lease(blobs, CLOCK, 1.0)
    first.take(lines.append)
    second = Lease(Blobs.open(output), CLOCK, 1.0)
    second.take(lines.append)
    with pytest.raises(BrokenFarm, match="lost its lease to"):
        first.check()
    second.renew()
    assert all("may be dead" in line for line in lines) and len(lines) == 2
