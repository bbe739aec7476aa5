"""Where a worker's process is, and seeing to it that one which was killed is gone.

Invariant: a process is told by its id and the instant of its birth, so that none is killed which only has the id of
another. Looks at this machine alone: elsewhere its Ray kills, and a GPU that is not free is seen by who comes next
(vacancy.py).
"""

import os
import platform
import signal
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no stubs of its own

from farm.clock import Clock

GRACE_S = 5.0
"""Ray's own way of killing asks the process first; one that can still be asked is gone in well under a second."""

_STARTED = 19  # in /proc/PID/stat, counted from the state, which follows the name in parentheses


@dataclass(frozen=True, slots=True)
class Process:
    """`born`: in clock ticks since its machine was started; None where nobody says, and nothing is done then."""

    host: str
    pid: int
    born: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker is: the node's name for people, its id for Ray, and the process there."""

    node: str
    node_id: str
    process: Process


def this_process() -> Process:
    return Process(platform.node(), os.getpid(), _born(os.getpid()))


def is_alive(process: Process) -> bool:
    """Whether a process of this machine is there. One that only waits to be reaped holds nothing any more."""
    return process.born is not None and process.host == platform.node() and _born(process.pid) == process.born


class Reaper:
    """Kills what was told to go and has not gone, with its children."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._going: list[tuple[float, Process]] = []  # since when

    def expect(self, process: Process) -> None:
        """This process is being killed by now."""
        if is_alive(process):
            now_s = self._clock.monotonic_s()
            self._going += [(now_s, one) for one in (process, *_children(process))]

    def look(self) -> None:
        """Kills who has stayed too long; cheap enough for every turn of a loop."""
        now_s = self._clock.monotonic_s()
        self._going = [(since_s, one) for since_s, one in self._going if is_alive(one)]
        for since_s, process in self._going:
            if now_s - since_s >= GRACE_S:
                _kill(process)

    def close(self) -> None:
        """Kills who is left, now."""
        for _, process in self._going:
            if is_alive(process):
                _kill(process)
        self._going = []


def _kill(process: Process) -> None:
    try:
        os.kill(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # gone by now; or another user's, whom Ray runs for


def _children(process: Process) -> list[Process]:
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        return []
    return [Process(process.host, child.pid, _born(child.pid)) for child in children]


def _born(pid: int) -> int | None:
    """When a process began; None: there is none, it is dead, or this system does not say."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if told[0] in "ZX" else int(told[_STARTED])
