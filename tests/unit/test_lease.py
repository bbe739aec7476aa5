"""One owner of a run, in virtual time: who may take it over, who is refused, and who finds out that it is lost."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from farm.dispatch.driver import Driver
from farm.dispatch.events import Lease as Given
from farm.dispatch.events import Render
from farm.errors import BrokenFarm, InputError, StoreError
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.lease import Lease, held, held_by_other, last_owner
from farm.store.owner import Owner, decode_owner, encode_owner, is_dead_here, this_process

TERM_S = 60.0


class Clock:
    """Time for all; `while_asleep` is what others do when somebody sleeps."""

    def __init__(self) -> None:
        self.at_s = 1000.0
        self.while_asleep: Callable[[], None] = lambda: None

    def monotonic_s(self) -> float:
        return self.at_s

    def awake_or_not_s(self) -> float:
        return self.at_s

    def now(self) -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=self.at_s)

    def sleep(self, seconds: float) -> None:
        self.at_s += seconds
        self.while_asleep()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(blobs: Blobs, clock: Clock) -> Lease:
    lease = Lease(blobs, clock, TERM_S)
    lease.take(never)
    return lease


def never(line: str) -> None:
    raise AssertionError(line)


# --- taking ---


def test_a_second_driver_is_refused_with_name_and_age(blobs, clock):
    first = taken(blobs, clock)
    clock.at_s += 7380
    first.check()
    clock.while_asleep = first.keep
    lines: list[str] = []
    with pytest.raises(InputError) as caught:
        Lease(blobs, clock, TERM_S).take(lines.append)
    me = last_owner(blobs)
    assert f"{me.user} on {me.host} (process {os.getpid()}) has been running this job for 2 h 03 min" in str(
        caught.value
    )
    assert f"farm status {blobs.url}" in str(caught.value)
    assert len(lines) == 1 and "may be dead" in lines[0]
    first.check()


def test_an_owner_that_is_not_heard_of_for_a_term_is_succeeded(blobs, clock):
    first = taken(blobs, clock)
    began_s = clock.at_s
    lines: list[str] = []
    second = Lease(blobs, clock, TERM_S)
    second.take(lines.append)
    assert TERM_S <= clock.at_s - began_s <= TERM_S + 2
    assert len(lines) == 1 and "for 1 min 00 s" in lines[0]
    second.check()
    for write in (first.check, first.still_ours, first.renew):
        with pytest.raises(BrokenFarm, match=r"lost its lease to .* nothing more is written"):
            write()
    first.release()  # changes nothing
    second.renew()


def test_a_driver_that_wakes_up_before_it_was_succeeded_goes_on(blobs, clock):
    first = taken(blobs, clock)
    clock.at_s += 10 * TERM_S
    first.check()
    second = Lease(blobs, clock, TERM_S)
    assert second.attempt() is not None
    clock.at_s += TERM_S / 2
    first.check()
    first.renew()
    with pytest.raises(InputError, match="is alive"):
        second.attempt()


def test_what_was_released_is_free_at_once(blobs, clock):
    first = taken(blobs, clock)
    first.release()
    assert last_owner(blobs).released
    second = taken(blobs, clock)
    second.check()
    clock.at_s += TERM_S
    with pytest.raises(BrokenFarm):
        first.check()


def test_no_lease_is_asked_for_while_it_is_fresh(blobs, clock):
    first = taken(blobs, clock)
    blobs.delete([layout.LEASE])
    clock.at_s += 44
    first.check()
    clock.at_s += 2
    with pytest.raises(BrokenFarm, match="somebody who removed it"):
        first.check()


def test_a_driver_that_hangs_is_not_kept(blobs, clock):
    first = taken(blobs, clock)
    for _ in range(100):
        clock.at_s += 10
        first.keep()
    assert last_owner(blobs).held_s < 910
    first.check()  # it goes on, and nobody had taken it
    assert last_owner(blobs).held_s == pytest.approx(1000, abs=1)


def test_a_lost_answer_is_no_lost_lease(blobs, clock):
    store = Slow(blobs)
    first = Lease(store, clock, TERM_S)  # type: ignore[arg-type]
    first.take(never)
    store.lose_answer = True
    with pytest.raises(StoreError):
        first.renew()
    clock.at_s += 50
    first.check()
    first.renew()


def test_an_answer_that_comes_late_is_worth_what_is_left_of_it(blobs, clock):
    store = Slow(blobs)
    first, second = Lease(store, clock, TERM_S), Lease(blobs, clock, TERM_S)  # type: ignore[arg-type]
    first.take(never)

    def watched_for_50_s() -> None:
        assert second.attempt() is not None
        clock.at_s += 50

    store.meanwhile = [lambda: None, watched_for_50_s]
    first.renew()
    clock.at_s += 11
    assert second.attempt() is None
    with pytest.raises(BrokenFarm):
        first.check()


def test_a_check_that_slept_is_made_again(blobs, clock):
    store = Slow(blobs)
    first, second = Lease(store, clock, TERM_S), Lease(blobs, clock, TERM_S)  # type: ignore[arg-type]
    first.take(never)
    clock.at_s += 50

    def succeeded() -> None:
        assert second.attempt() is not None
        clock.at_s += 61
        assert second.attempt() is None

    store.meanwhile = [lambda: None, succeeded]
    with pytest.raises(BrokenFarm):
        first.check()


def test_an_outage_stops_writes_but_not_renders(blobs, clock):
    store = Slow(blobs)
    first = Lease(store, clock, TERM_S)  # type: ignore[arg-type]
    first.take(never)
    clock.at_s += 50
    store.down = True
    first.still_ours()
    asked = store.asked
    first.still_ours()
    assert store.asked == asked, "it was asked a moment ago"
    with pytest.raises(StoreError):
        first.check()
    first.keep()
    store.down = False
    first.check()


def test_the_lease_ends_with_its_body_however_that_ends(blobs, clock):
    with pytest.raises(ZeroDivisionError), held(blobs, clock, never) as lease:
        lease.check()
        assert not last_owner(blobs).released
        raise ZeroDivisionError
    assert last_owner(blobs).released


def test_who_repairs_a_run_asks_first(blobs, clock):
    assert held_by_other(blobs, clock) is None
    first = taken(blobs, clock)
    clock.while_asleep = first.keep
    assert "is alive" in str(held_by_other(blobs, clock))
    clock.while_asleep = lambda: None
    assert held_by_other(blobs, clock) is None, "nothing was heard of it for a term"
    first.renew()
    first.release()
    before_s = clock.at_s
    assert held_by_other(blobs, clock) is None
    assert clock.at_s == before_s


def test_a_store_that_cannot_replace_by_version_is_warned_of(tmp_path, clock):
    blobs = Blobs.open(f"simplecache::file://{tmp_path}")
    lines: list[str] = []
    first = Lease(blobs, clock, TERM_S)
    first.take(lines.append)
    assert len(lines) == 1 and lines[0].startswith("warning: ") and "cannot be excluded" in lines[0]
    clock.while_asleep = first.keep
    with pytest.raises(InputError, match="is alive"):
        Lease(blobs, clock, TERM_S).take(lines.append)
    clock.while_asleep = lambda: None
    second = Lease(blobs, clock, TERM_S)
    second.take(lines.append)
    with pytest.raises(BrokenFarm):
        first.renew()
    second.check()


# --- who ---


def test_a_dead_process_of_this_machine_is_succeeded_at_once(blobs, clock):
    program = (
        "import sys; from farm.clock import SystemClock; from farm.store.blobs import Blobs\n"
        "from farm.store.lease import Lease\n"
        "Lease(Blobs.open(sys.argv[1]), SystemClock()).take(print)"
    )
    subprocess.run([sys.executable, "-c", program, blobs.url], check=True)
    dead = last_owner(blobs)
    assert not dead.released and dead.pid != os.getpid()
    before_s = clock.at_s
    taken(blobs, clock).check()
    assert clock.at_s == before_s


def test_who_lives_is_never_called_dead():
    me = this_process(TERM_S, "now")
    assert not is_dead_here(me)
    assert is_dead_here(replace(me, process_start="1")), "its number was given to another"
    assert not is_dead_here(replace(me, machine="", process_start="1"))
    assert not is_dead_here(replace(me, machine=me.machine + "x", pid=2**30))
    assert is_dead_here(replace(me, pid=2**30))


def test_a_process_that_nobody_buried_is_dead():
    me = this_process(TERM_S, "now")
    child = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.DEVNULL)
    stat = Path(f"/proc/{child.pid}/stat")
    start = stat.read_text().rpartition(")")[2].split()[19]
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead_here(replace(me, pid=child.pid, process_start=start))
    child.wait()


@pytest.mark.parametrize(
    "change",
    [
        {"pid": 0}, {"pid": -1}, {"pid": 2**40}, {"pid": True}, {"pid": "1"}, {"term_s": 0}, {"term_s": 1e9},
        {"held_s": float("nan")}, {"held_s": float("inf")}, {"user": "\x1b[2Jroot"}, {"user": None}, {"more": 1},
        {"released": 0}, {"session": 5},
    ],
)  # fmt: skip
def test_what_no_driver_wrote_is_refused_in_one_line(blobs, clock, change):
    good = json.loads(encode_owner(this_process(TERM_S, "now")))
    decode_owner(json.dumps(good).encode(), "x")
    blobs.put(layout.LEASE, json.dumps(good | change).encode())
    with pytest.raises(
        InputError, match=r"lease\.json: was not written by this version of farm; .*"
    ) as caught:
        Lease(blobs, clock, TERM_S).take(never)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_lease_at_all_is_refused(blobs, clock, data):
    blobs.put(layout.LEASE, data)
    with pytest.raises(InputError, match="was not written by this version of farm"):
        last_owner(blobs)


# --- who asks ---


@pytest.mark.parametrize("instructions", [[], [Render(Given(0, 0, 1, "w0"))]], ids=["a turn", "a take"])
def test_a_driver_asks_before_each_turn_and_each_take(clock, instructions):
    done: list[str] = []

    def lost() -> None:
        raise BrokenFarm("lost its lease")

    driver = Driver(
        grid=SimpleNamespace(still_of=lambda shot: 0, task=lambda *_: None),
        ledger=SimpleNamespace(handle=lambda event, at_s: instructions),
        pool=SimpleNamespace(poll=lambda _: done.append("poll"), render=lambda *_: done.append("render")),
        gate=SimpleNamespace(busy=False, report=lambda _: SimpleNamespace(still=None, sha256="")),
        record=None,
        clock=clock,
        still_ours=lost,
    )
    with pytest.raises(BrokenFarm):
        driver.run()
    assert done == []


# --- whatever comes between ---


class Slow:
    """A store whose replacements take time, lose their answers or fail, while others go on."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self.url = blobs.url
        self.create, self.delete, self.can_replace = blobs.create, blobs.delete, blobs.can_replace
        self.meanwhile: list[Callable[[], None]] = []  # before it arrives; then: before it is answered
        self.down = self.lose_answer = False
        self.asked = 0

    def read(self, key: str) -> tuple[bytes, str]:
        self._ask()
        return self._blobs.read(key)

    def replace(self, key: str, data: bytes, version: str) -> str | None:
        self._ask()
        before, after = (self.meanwhile.pop(0) if self.meanwhile else lambda: None for _ in range(2))
        before()
        new = self._blobs.replace(key, data, version)
        after()
        if self.lose_answer:
            self.lose_answer = False
            raise StoreError("no answer", kind="unreachable")
        return new

    def _ask(self) -> None:
        self.asked += 1
        if self.down:
            raise StoreError("no answer", kind="unreachable")


DRIVERS = st.integers(0, 2)
SECONDS = st.sampled_from([0.5, 9.0, 16.0, 31.0, 44.0, 46.0, 59.0, 61.0, 130.0])


class Rivals(RuleBasedStateMachine):
    """Three machines, each with one driver after another, none of which can tell whether another is dead."""

    def __init__(self) -> None:
        super().__init__()
        self.blobs = Blobs.open(f"memory://{uuid4().hex}")
        self.clock = Clock()
        self.stores = [Slow(self.blobs) for _ in range(3)]
        self.leases = [self.fresh(number) for number in range(3)]

    def fresh(self, number: int) -> Lease:
        return Lease(self.stores[number], self.clock, TERM_S)  # type: ignore[arg-type]

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.clock.at_s += seconds

    @rule(number=DRIVERS)
    def one_looks(self, number: int) -> None:
        self.look(number)

    @rule(number=DRIVERS)
    def one_checks(self, number: int) -> None:
        self.check(number)

    @rule(number=DRIVERS)
    def one_ends(self, number: int) -> None:
        if self.has_begun(number):
            self.leases[number].release()
        self.leases[number] = self.fresh(number)

    @rule(number=DRIVERS)
    def one_is_killed(self, number: int) -> None:
        self.leases[number] = self.fresh(number)

    @rule(
        number=DRIVERS, other=DRIVERS, before=SECONDS, after=SECONDS, looks=st.integers(0, 2),
        lost=st.booleans(), begins=st.booleans(),
    )  # fmt: skip
    def one_waits_for_the_store_while_another_acts(
        self, number: int, other: int, before: float, after: float, looks: int, lost: bool, begins: bool
    ) -> None:
        def acts(seconds: float) -> Callable[[], None]:
            def act() -> None:
                for wait_s in (0.0, *[seconds] * looks):
                    self.clock.at_s += wait_s
                    if other != number:
                        self.look(other)

            return act

        store = self.stores[number]
        store.meanwhile, store.lose_answer = [acts(before), acts(after)], lost
        if begins:
            self.look(number)
        else:
            self.check(number)
        store.meanwhile, store.lose_answer = [], False

    def look(self, number: int) -> None:
        if self.has_begun(number):
            return
        try:
            self.leases[number].attempt()
        except InputError:
            self.leases[number] = self.fresh(number)
        except StoreError:
            pass

    def check(self, number: int) -> None:
        if not self.has_begun(number):
            return
        try:
            self.leases[number].check()
        except BrokenFarm:
            self.leases[number] = self.fresh(number)
        except StoreError:
            pass
        else:
            assert self.owns(number)

    def has_begun(self, number: int) -> bool:
        return bool(self.leases[number]._version)

    def owns(self, number: int) -> bool:
        return bool(last_owner(self.blobs).session == self.leases[number]._owner.session)

    @invariant()
    def whoever_is_sure_is_right(self) -> None:
        sure = [number for number in range(3) if self.has_begun(number) and self.leases[number]._is_sure()]
        assert all(self.owns(number) for number in sure)
        assert len(sure) <= 1


def test_never_two_owners_whatever_comes_between() -> None:
    run_state_machine_as_test(
        Rivals, settings=settings(max_examples=150, stateful_step_count=30, deadline=None)
    )


def test_the_owner_says_who_it_is() -> None:
    owner: Owner = this_process(TERM_S, "2026-11-22T00:00:00+00:00")
    assert decode_owner(encode_owner(owner), "x") == owner
    assert f"process {os.getpid()}" in owner.told and "it is gone" not in owner.told
    assert "it is gone" in replace(owner, pid=2**30).told
