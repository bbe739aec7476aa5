"""The gate: what it says of stills that can be seen, cannot be reached, or stop coming."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from farm.dispatch.gate import UNREACHABLE, Gate
from farm.errors import BrokenFarm, InputError, StoreError
from farm.values import Gate as Verdict
from farm.values import Still, StillReport


def stills(count: int) -> Iterator[Still]:
    return (Still(f"s{number}", "u", f"catalog:{number}") for number in range(count))


def fine(still: Still) -> StillReport:
    return StillReport(still, Verdict.OK, "ab", 16, 16, 100)


def gone(still: Still) -> StillReport:
    raise StoreError("https://host: cannot be reached", kind="unreachable")


@pytest.fixture
def make() -> Iterator[Callable[..., Gate]]:
    made: list[Gate] = []

    def make(look: Callable[[Still], StillReport], count: int = 100) -> Gate:
        made.append(Gate(lambda: stills(count), look, pauses_s=(0.0, 0.0)))
        return made[-1]

    yield make
    for gate in made:
        gate.close()


def poll(gate: Gate) -> list[tuple[int, StillReport]]:
    seen: list[tuple[int, StillReport]] = []
    while gate.busy:
        seen += gate.poll()
    return seen


def test_a_still_is_held_until_it_is_closed(make):
    gate = make(fine)
    gate.open(0)
    gate.open(7)
    assert [(number, report.still.id) for number, report in poll(gate)] == [(0, "s0"), (7, "s7")]
    assert gate.report(7).still.id == "s7"
    gate.close_still(7)
    with pytest.raises(KeyError):
        gate.report(7)


def test_a_still_that_cannot_be_reached_is_tried_again(make):
    tries: list[str] = []

    def look(still: Still) -> StillReport:
        tries.append(still.id)
        return gone(still) if len(tries) < 3 else fine(still)

    gate = make(look)
    gate.open(0)
    ((_, report),) = poll(gate)
    assert report.verdict is Verdict.OK and len(tries) == 3


def test_one_dead_host_does_not_end_the_night(make):
    gate = make(lambda still: gone(still) if still.id == "s1" else fine(still))
    for number in range(3):
        gate.open(number)
    seen = dict(poll(gate))
    assert (seen[1].verdict, seen[1].kind, seen[1].sha256) == (Verdict.REFUSE, UNREACHABLE, None)
    assert "cannot be reached" in (seen[1].reason or "")
    assert seen[0].verdict is seen[2].verdict is Verdict.OK


def test_a_still_is_looked_at_again_in_a_later_pass(make):
    gate = make(fine)
    for number in (0, 7, 0, 3):
        gate.open(number)
        ((_, report),) = poll(gate)
        assert report.still.id == f"s{number}" and report.verdict is Verdict.OK
        gate.close_still(number)


@pytest.mark.parametrize("what", ["id", "sha256"])
def test_a_still_that_is_another_one_by_then_is_refused(make, what):
    changed: list[str] = []

    def look(still: Still) -> StillReport:
        if changed and what == "id":
            still = replace(still, id="another")
        return replace(fine(still), sha256="cd" if changed and what == "sha256" else "ab")

    gate = make(look)
    gate.open(5)
    assert poll(gate)[0][1].verdict is Verdict.OK
    changed.append("yes")
    for _ in range(2):
        gate.open(5)
        ((_, report),) = poll(gate)
        assert (report.verdict, report.kind) == (Verdict.REFUSE, "still_changed")
        assert "catalog:5: changed" in (report.reason or "")


def test_an_outage_ends_the_run_and_refuses_no_more(make):
    gate = make(gone)
    with pytest.raises(StoreError, match=r"32 stills in a row.*cannot be reached"):
        for number in range(40):
            gate.open(number)
            poll(gate)


def test_a_catalog_that_breaks_off_is_a_broken_farm(make):
    gate = make(fine, count=2)
    with pytest.raises(BrokenFarm, match="became shorter"):
        gate.open(2)


def test_what_was_fine_before_the_run_is_no_bad_input_in_it(make):
    def rows() -> Iterator[Still]:
        yield from stills(1)
        raise InputError("c.csv:3: image is empty")

    gate = Gate(rows, fine)
    with pytest.raises(BrokenFarm, match=r"c\.csv:3"):
        gate.open(1)
    gate.close()

    def look(still: Still) -> StillReport:
        raise InputError("gs:// needs another package")

    gate = make(look)
    gate.open(0)
    with pytest.raises(BrokenFarm, match="catalog:0: gs:// needs"):
        poll(gate)
