"""Whatever dies when: every take stands in exactly one row of the manifest."""

from collections.abc import Iterable
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from outcomes import SCHEMA, Clock, commit, kept, keys, open_manifest, take_id, written

from farm.errors import BrokenFarm, StoreError
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.manifest import Manifest


class Crash(Exception):
    """The driver is killed at this instant."""


class Faults:
    """A store whose next requests die: before they are done, or after, their answer lost."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self.url = blobs.url
        self.list, self.get, self.get_many, self.put = blobs.list, blobs.get, blobs.get_many, blobs.put
        self.plan: list[tuple[str, type[Exception]] | None] = []

    def create(self, key: str, data: bytes) -> bool:
        return self._do(lambda: self._blobs.create(key, data))

    def delete(self, names: Iterable[str]) -> None:
        # Half of them are gone when the driver dies in a delete.
        some = list(names)
        self._do(lambda: self._blobs.delete(some), half=lambda: self._blobs.delete(some[::2]))

    def _do(self, whole, half=lambda: None):  # type: ignore[no-untyped-def]
        fault = self.plan.pop(0) if self.plan else None
        if fault is None:
            return whole()
        when, error = fault
        {"before": lambda: None, "half": half, "after": whole}[when]()
        raise StoreError("no answer", kind="unreachable") if error is StoreError else Crash


class Driver(RuleBasedStateMachine):
    """Workers commit, drivers add, flush, lose answers and die; every take stands in one row in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.blobs = Blobs.open(f"memory://{uuid4().hex}")
        self.store = Faults(self.blobs)
        self.committed: set[int] = set()
        self.said: list[int] = []  # committed, and told to a driver that lives
        self.restart()

    @rule(count=st.integers(1, 3))
    def a_worker_commits_and_tells(self, count: int) -> None:
        for _ in range(count):
            number = len(self.committed)
            commit(self.blobs, kept(number))
            self.committed.add(number)
            self.manifest.add(kept(number))

    @rule()
    def a_worker_commits_and_nobody_hears(self) -> None:
        number = len(self.committed)
        commit(self.blobs, kept(number))
        self.committed.add(number)

    @rule(
        plan=st.lists(
            st.none()
            | st.tuples(st.sampled_from(["before", "half", "after"]), st.sampled_from([StoreError, Crash])),
            max_size=3,
        )
    )
    def the_driver_flushes(self, plan: list[tuple[str, type[Exception]] | None]) -> None:
        self.store.plan = plan
        try:
            self.manifest.flush()
        except StoreError:
            pass  # it goes on, and flushes again some time
        except Crash:
            self.restart()

    @rule()
    def the_driver_dies(self) -> None:
        self.restart()

    @rule(data=st.data())
    def a_late_worker_commits_a_settled_take_again(self, data: st.DataObject) -> None:
        if self.committed:
            commit(self.blobs, kept(data.draw(st.sampled_from(sorted(self.committed)))))

    def restart(self) -> None:
        self.store.plan = []
        self.manifest = Manifest(self.store, SCHEMA, Clock())  # type: ignore[arg-type]
        assert self.manifest.recover() == len(self.committed)
        assert sorted(written(self.blobs)) == [take_id(number) for number in sorted(self.committed)]

    @invariant()
    def no_take_stands_twice_and_none_is_lost(self) -> None:
        rows = written(self.blobs)
        assert len(rows) == len(set(rows))
        committed = {layout.take_id_of(key) for key in keys(self.blobs, "outcomes/")}
        assert set(rows) | committed == {take_id(number) for number in self.committed}

    def teardown(self) -> None:
        self.restart()
        assert keys(self.blobs, "outcomes/") == []


def test_whatever_dies_when_every_take_stands_in_one_row() -> None:
    run_state_machine_as_test(
        Driver, settings=settings(max_examples=60, stateful_step_count=25, deadline=None)
    )


def test_a_driver_that_dies_between_part_and_deletion(blobs: Blobs) -> None:
    commit(blobs, kept(1), kept(2))
    store = Faults(blobs)
    manifest = open_manifest(blobs)
    assert written(blobs) == [take_id(1), take_id(2)]
    commit(blobs, kept(3), kept(4), kept(5))
    manifest = Manifest(store, SCHEMA, Clock())  # type: ignore[arg-type]
    store.plan = [None, ("half", Crash)]
    with pytest.raises(Crash):
        manifest.recover()
    assert keys(blobs, "outcomes/") == [layout.outcome_key(take_id(4))]
    assert open_manifest(blobs).recover() == 5
    assert written(blobs) == [take_id(number) for number in range(1, 6)]
    assert keys(blobs, "outcomes/") == []


def test_a_lost_answer_never_makes_a_second_part(blobs: Blobs) -> None:
    store = Faults(blobs)
    manifest = open_manifest(store)  # type: ignore[arg-type]
    manifest.add(kept(1))
    store.plan = [("after", StoreError)]
    with pytest.raises(StoreError):
        manifest.flush()
    # More comes in before the second try, which must not take it along.
    manifest.add(kept(2))
    manifest.flush_due()
    assert written(blobs) == [take_id(1), take_id(2)]


def test_what_could_not_be_deleted_is_deleted_with_the_next_flush(blobs: Blobs) -> None:
    store = Faults(blobs)
    manifest = open_manifest(store)  # type: ignore[arg-type]
    commit(blobs, kept(1), kept(2))
    manifest.add(kept(1))
    manifest.add(kept(2))
    store.plan = [None, ("half", StoreError)]
    with pytest.raises(StoreError):
        manifest.flush()
    assert written(blobs) == [take_id(1), take_id(2)]
    assert len(keys(blobs, "outcomes/")) == 1
    manifest.flush()
    assert keys(blobs, "outcomes/") == []


# --- two drivers that both believe the run to be theirs ---


def test_a_part_of_a_driver_that_was_succeeded_doubles_nothing(blobs: Blobs) -> None:
    """It is stopped between its check and its write, for as long as it takes."""
    old = open_manifest(blobs)
    commit(blobs, kept(1), kept(2))
    old.add(kept(2))
    old.add(kept(1))
    new = open_manifest(blobs)
    commit(blobs, kept(3))
    new.add(kept(3))
    new.flush()
    with pytest.raises(
        BrokenFarm, match=r"takes/part-00000001\.parquet: another driver has written that part"
    ):
        old.flush()
    assert written(blobs) == [take_id(1), take_id(2), take_id(3)]


def test_a_part_that_comes_in_while_a_driver_begins_stands(blobs: Blobs) -> None:
    old = open_manifest(blobs)
    commit(blobs, kept(1), kept(2), kept(3))
    old.add(kept(2))
    old.add(kept(1))
    late = Late(blobs, old.flush)
    new = Manifest(late, SCHEMA, Clock())  # type: ignore[arg-type]
    assert new.recover() == 3
    assert written(blobs) == [take_id(2), take_id(1), take_id(3)]
    assert keys(blobs, "outcomes/") == []
    commit(blobs, kept(4))
    new.add(kept(4))
    new.flush()
    old.add(kept(4))
    with pytest.raises(BrokenFarm):
        old.flush()
    assert len(written(blobs)) == 4


class Late(Faults):
    """Another driver's part arrives just before the first one of ours."""

    def __init__(self, blobs: Blobs, arrive) -> None:  # type: ignore[no-untyped-def]
        super().__init__(blobs)
        self._arrive = arrive

    def create(self, key: str, data: bytes) -> bool:
        self._arrive()
        return super().create(key, data)


def test_a_driver_that_lost_its_lease_writes_and_deletes_nothing(blobs: Blobs) -> None:
    lost = False

    def check() -> None:
        if lost:
            raise BrokenFarm("lost its lease")

    store = Faults(blobs)
    manifest = Manifest(store, SCHEMA, Clock(), check)  # type: ignore[arg-type]
    manifest.recover()
    commit(blobs, kept(1), kept(2))
    manifest.add(kept(1))
    store.plan = [None, ("before", StoreError)]
    with pytest.raises(StoreError):
        manifest.flush()  # the part is written, its outcome not yet deleted
    lost, before = True, keys(blobs)
    with pytest.raises(BrokenFarm, match="lost its lease"):
        manifest.flush()
    manifest.add(kept(2))
    with pytest.raises(BrokenFarm, match="lost its lease"):
        manifest.flush()
    assert keys(blobs) == before and len(keys(blobs, "outcomes/")) == 2
    again = Manifest(blobs, SCHEMA, Clock(), check)
    with pytest.raises(BrokenFarm, match="lost its lease"):
        again.recover()
    assert keys(blobs) == before
