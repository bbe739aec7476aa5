"""Who runs a run's job: what a driver writes into the run's lease, and how others tell whether it lives.

Invariant: `is_dead_here` is never wrong about a driver that lives: what cannot be known is "not dead".
"""

import getpass
import json
import os
import platform
import secrets
from dataclasses import asdict, dataclass, fields
from enum import Enum, auto
from pathlib import Path

from farm import __version__
from farm.clock import WakefulClock
from farm.errors import InputError

_MAX_TERM_S = 3600.0
_MAX_HELD_S = 1e9
_MAX_PID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Owner:
    """`held_s` counts from `taken_at` to `renewed_at` by the owner's own clock; the two times are for people only.

    `machine` and `process_start` tell whether `pid` still is that process; empty where a system does not say.
    """

    session: str
    user: str
    host: str
    pid: int
    machine: str
    process_start: str
    farm_version: str
    term_s: float
    taken_at: str
    renewed_at: str = ""
    held_s: float = 0.0
    writes: int = 0
    released: bool = False

    def __str__(self) -> str:
        return f"{self.user} on {self.host} (process {self.pid})"

    @property
    def told(self) -> str:
        """One line for people who look on."""
        gone = "; it is gone, the same command goes on" if is_dead_here(self) else ""
        return f"{self}, since {self.taken_at}; last heard of at {self.renewed_at}{gone}"

    def as_json(self) -> dict[str, object]:
        names = ("user", "host", "pid", "taken_at", "renewed_at", "farm_version")
        return {name: getattr(self, name) for name in names}


class Sight(Enum):
    FREE = auto()
    ALIVE = auto()
    UNSURE = auto()


class Watch:
    """Tells whether the owner of a lease lives, by looking again."""

    def __init__(self, clock: WakefulClock) -> None:
        self._clock = clock
        self._version = ""
        self._since_s = 0.0

    def see(self, owner: Owner, version: str) -> Sight:
        """What a look at the lease says; it was read before this is called."""
        if owner.released or is_dead_here(owner):
            return Sight.FREE
        now_s = self._clock.awake_or_not_s()
        if not self._version:
            self._version, self._since_s = version, now_s
        if version != self._version:
            return Sight.ALIVE
        return Sight.FREE if now_s - self._since_s >= owner.term_s else Sight.UNSURE


def this_process(term_s: float, taken_at: str) -> Owner:
    return Owner(
        session=secrets.token_hex(8),
        user=_printable(_user()),
        host=_printable(platform.node()) or "unknown",
        pid=os.getpid(),
        machine=_machine(),
        process_start=_state_and_start(os.getpid())[1],
        farm_version=__version__,
        term_s=term_s,
        taken_at=taken_at,
    )


def is_dead_here(owner: Owner) -> bool:
    """Whether the owner was a process of this very machine that is there no more."""
    if not owner.machine or owner.machine != _machine():
        return False
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it lives, under another account
    state, start = _state_and_start(owner.pid)
    return bool(start) and (state in "ZX" or start != owner.process_start)


def encode_owner(owner: Owner) -> bytes:
    return json.dumps(asdict(owner), indent=2, ensure_ascii=False).encode()


def decode_owner(data: bytes, where: str) -> Owner:
    """Raises InputError for what no driver of this version wrote."""
    try:
        plain = json.loads(data)
        owner = Owner(**plain)
    except (ValueError, TypeError, RecursionError):
        raise _foreign(where) from None
    if not all(_is_fine(getattr(owner, field.name), field.type) for field in fields(Owner)):
        raise _foreign(where)
    if not (
        0 < owner.pid <= _MAX_PID and 0 < owner.term_s <= _MAX_TERM_S and 0 <= owner.held_s < _MAX_HELD_S
    ):
        raise _foreign(where)
    return owner


def _foreign(where: str) -> InputError:
    return InputError(
        f"{where}: was not written by this version of farm; if no driver runs this job any more, delete that object"
    )


def _is_fine(value: object, kind: object) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    # A terminal obeys some characters.
    return type(value) is kind and (not isinstance(value, str) or value.isprintable())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return f"user {os.getuid()}"


def _printable(text: str) -> str:
    return "".join(one for one in text if one.isprintable())


def _machine() -> str:
    """This boot of this machine and its space of process ids, as containers have their own; empty if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{platform.node()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _state_and_start(pid: int) -> tuple[str, str]:
    """A process's state (Z: it has ended) and its start, in ticks since the boot; empty if unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", ""
    # Its name stands in parentheses and may hold anything.
    state, *rest = stat.rpartition(")")[2].split()
    return state, rest[18]
