"""Processes that were killed are gone, and GPUs that were given are free."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from farm.clock import SystemClock
from farm.dispatch.events import NodeDraining
from farm.dispatch.processes import GRACE_S, Process, Reaper, _born, is_alive, this_process
from farm.dispatch.ray_drains import EVERY_S, Drains
from farm.dispatch.vacancy import PATIENCE_S, GpuBusy, wait_for_gpus

# It ignores all that can be ignored, has a child that does the same, and says when both are ready.
_STUBBORN = """
import os, signal, sys
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
child = os.fork()
if child:
    print(child, flush=True)
while True:
    signal.pause()
"""


class Hands:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def monotonic_s(self) -> float:
        return self.at_s

    def now(self) -> datetime:
        return datetime.fromtimestamp(1_000_000 + self.at_s, UTC)

    def sleep(self, seconds: float) -> None:
        self.at_s += seconds


@pytest.fixture
def stubborn() -> Iterator[tuple[subprocess.Popen[str], Process, Process]]:
    with subprocess.Popen([sys.executable, "-c", _STUBBORN], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        here = this_process()
        yield (
            parent,
            replace(here, pid=parent.pid, born=_born(parent.pid)),
            replace(here, pid=child, born=_born(child)),
        )
        parent.kill()
        if _born(child) is not None:
            os.kill(child, signal.SIGKILL)


def gone(process: Process) -> bool:
    for _ in range(100):
        if not is_alive(process):
            return True
        SystemClock().sleep(0.05)
    return False


def test_a_process_that_ignores_everything_and_is_stopped_is_killed_with_its_child(stubborn):
    parent, process, child = stubborn
    parent.send_signal(signal.SIGSTOP)
    clock = Hands()
    reaper = Reaper(clock)
    reaper.expect(process)
    clock.sleep(GRACE_S - 0.1)
    reaper.look()
    SystemClock().sleep(0.3)
    assert is_alive(process) and is_alive(child), "whoever killed it may still succeed"
    clock.sleep(0.1)
    reaper.look()
    assert gone(process) and gone(child)


def test_whoever_is_left_at_the_end_is_killed(stubborn):
    _, process, child = stubborn
    reaper = Reaper(Hands())
    reaper.expect(process)
    reaper.close()
    assert gone(process) and gone(child)


@pytest.mark.parametrize("wrong", ["born", "host"])
def test_another_process_under_the_same_id_is_left_alone(stubborn, wrong):
    _, process, _ = stubborn
    other = replace(process, born=process.born - 1) if wrong == "born" else replace(process, host="elsewhere")
    assert not is_alive(other)
    clock = Hands()
    reaper = Reaper(clock)
    reaper.expect(other)
    clock.sleep(2 * GRACE_S)
    reaper.look()
    reaper.close()
    SystemClock().sleep(0.3)
    assert is_alive(process)


def test_a_process_that_only_waits_to_be_reaped_is_gone(stubborn):
    parent, process, _ = stubborn
    os.kill(parent.pid, signal.SIGKILL)
    assert gone(process), "nobody has waited for it"


# --- GPUs -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gpu:
    free_bytes: int
    name: str = "H100"
    total_bytes: int = 80 * 2**30


def test_a_predecessor_that_vanishes_in_time_is_waited_for():
    clock, looks = Hands(), [Gpu(2**30), Gpu(10 * 2**30), Gpu(79 * 2**30)]
    wait_for_gpus(lambda: [Gpu(80 * 2**30), looks.pop(0)], clock)
    assert not looks and clock.at_s == 2.0


def test_a_predecessor_that_stays_is_the_nodes_fault():
    clock = Hands()
    with pytest.raises(GpuBusy, match=r"H100: only 1\.0 of 80\.0 GiB are free after 60 s") as caught:
        wait_for_gpus(lambda: [Gpu(2**30)], clock)
    assert caught.value.kind == "gpu_busy" and clock.at_s == PATIENCE_S


def test_where_there_is_no_gpu_nothing_is_waited_for():
    clock = Hands()
    wait_for_gpus(list, clock)
    assert clock.at_s == 0.0


# --- draining -------------------------------------------------------------------------------------------


def test_draining_nodes_are_said_once_with_what_is_left():
    clock, draining, asked = Hands(), {"id 1": 0, "id 2": 0, "id 9": 0}, []

    def ask() -> dict[str, int]:
        asked.append(clock.at_s)
        return draining

    drains, nodes = Drains(clock, ask), {"id 1": "one", "id 2": "two"}
    assert list(drains.news(nodes)) == [] and not asked
    clock.sleep(EVERY_S)
    draining["id 2"] = (1_000_000 + 35) * 1000
    assert list(drains.news(nodes)) == [NodeDraining("one", None), NodeDraining("two", 30.0)]
    clock.sleep(EVERY_S)
    assert list(drains.news(nodes)) == []
    assert list(drains.news({**nodes, "id 9": "nine"})) == [], "not so soon again"
    clock.sleep(EVERY_S)
    assert list(drains.news({**nodes, "id 9": "nine"})) == [NodeDraining("nine", None)]
    assert asked == [5.0, 10.0, 15.0]
